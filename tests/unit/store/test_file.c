/* SPDX-License-Identifier: Apache-2.0 */
#include "../scratch.h"

#include <neo/buffer.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>

static enum neo_code replace(const char *name, const char *text)
{
    return neo_file_replace(scratch(name), neo_text(text), 0600, NULL);
}

static void assert_holds(const char *name, const char *want)
{
    struct neo_buffer text = {0};

    assert_int_equal(neo_file_read(scratch(name), 1000, &text, NULL), NEO_OK);
    assert_true(neo_bytes_is(neo_buffer_bytes(&text), want));
    neo_buffer_fini(&text);
}

static unsigned files_in_folder(void)
{
    unsigned n = 0;
    DIR *folder = opendir(scratch_folder);

    assert_non_null(folder);
    for (const struct dirent *d = readdir(folder); d != NULL; d = readdir(folder))
        n += d->d_name[0] != '.';
    (void)closedir(folder);
    return n;
}

TEST(a_file_is_replaced_whole)
{
    assert_int_equal(replace("a", "first"), NEO_OK);
    assert_holds("a", "first");
    assert_int_equal(replace("a", ""), NEO_OK);
    assert_holds("a", "");
    assert_int_equal(replace("a", "third"), NEO_OK);
    assert_holds("a", "third");
    assert_int_equal(files_in_folder(), 1);
}

TEST(the_mode_is_the_one_asked_for_whatever_the_umask)
{
    mode_t old = umask(0777);

    assert_int_equal(neo_file_replace(scratch("open"), NEO_LIT("x"), 0644, NULL), NEO_OK);
    assert_int_equal(neo_file_replace(scratch("closed"), NEO_LIT("x"), 0600, NULL), NEO_OK);
    (void)umask(0);
    assert_int_equal(neo_file_replace(scratch("still closed"), NEO_LIT("x"), 0600, NULL), NEO_OK);
    (void)umask(old);
    assert_int_equal(scratch_mode("open"), 0644);
    assert_int_equal(scratch_mode("closed"), 0600);
    assert_int_equal(scratch_mode("still closed"), 0600);
}

TEST(a_reader_that_is_open_keeps_the_old_file)
{
    char text[8] = {0};

    assert_int_equal(replace("a", "old"), NEO_OK);
    int fd = open(scratch("a"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(replace("a", "new"), NEO_OK);
    assert_int_equal(read(fd, text, sizeof(text)), 3);
    assert_string_equal(text, "old");
    (void)close(fd);
}

TEST(a_failure_leaves_the_old_file_and_nothing_beside_it)
{
    struct neo_error err;

    assert_int_equal(replace("a", "old"), NEO_OK);
    assert_int_equal(mkdir(scratch("folder"), 0700), 0);
    assert_int_equal(replace("folder/a", "x"), NEO_OK);
    assert_int_not_equal(neo_file_replace(scratch("folder"), NEO_LIT("x"), 0600, &err), NEO_OK);
    assert_non_null(strstr(err.message, scratch("folder")));
    assert_int_equal(replace("missing/a", "x"), NEO_NOT_FOUND);
    assert_int_equal(files_in_folder(), 2);
    assert_holds("a", "old");
}

TEST(a_full_disk_is_resource_exhausted_and_changes_nothing)
{
    static uint8_t big[1 << 20];
    const char *disk = scratch("disk");

    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("none", disk, "tmpfs", 0, "size=64k") != 0) {
        print_message("SKIPPED: a small disk needs root\n");
        skip();
    }
    assert_int_equal(replace("disk/a", "old"), NEO_OK);
    enum neo_code code =
        neo_file_replace(scratch("disk/a"), neo_bytes(big, sizeof(big)), 0600, NULL);
    struct neo_buffer text = {0};
    enum neo_code read_code = neo_file_read(scratch("disk/a"), 10, &text, NULL);
    bool same = neo_bytes_is(neo_buffer_bytes(&text), "old");
    neo_buffer_fini(&text);
    assert_int_equal(umount(scratch("disk")), 0);
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(read_code, NEO_OK);
    assert_true(same);
}

TEST(a_file_longer_than_the_limit_is_refused_and_leaves_the_buffer)
{
    struct neo_buffer text = {0};

    assert_int_equal(replace("a", "12345"), NEO_OK);
    assert_true(neo_buffer_append_text(&text, "before"));
    assert_int_equal(neo_file_read(scratch("a"), 4, &text, NULL), NEO_RESOURCE_EXHAUSTED);
    assert_true(neo_bytes_is(neo_buffer_bytes(&text), "before"));
    assert_int_equal(neo_file_read(scratch("a"), 5, &text, NULL), NEO_OK);
    assert_true(neo_bytes_is(neo_buffer_bytes(&text), "before12345"));
    neo_buffer_fini(&text);

    /* A file without a size of its own. */
    assert_int_equal(neo_file_read("/dev/zero", 10000, &text, NULL), NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(text.len, 0);
    neo_buffer_fini(&text);
}

TEST(what_cannot_be_read_is_named)
{
    struct neo_buffer text = {0};
    struct neo_error err;

    assert_int_equal(neo_file_read("/nonexistent/x", 10, &text, &err), NEO_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent/x"));
    assert_int_equal(neo_file_read("/tmp", 10, &text, &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "/tmp"));
}

TEST(out_of_memory_is_a_failure_not_a_crash)
{
    enum neo_code code = NEO_INTERNAL;

    assert_int_equal(replace("a", "old"), NEO_OK);
    for (unsigned long n = 1; code != NEO_OK; n++) {
        struct neo_buffer text = {0};

        neo_memory_fail_at(n);
        code = replace("a", "new");
        if (code == NEO_OK)
            code = neo_file_read(scratch("a"), 100, &text, NULL);
        neo_memory_fail_at(0);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
        assert_int_equal(files_in_folder(), 1);
        neo_buffer_fini(&text);
    }
    assert_holds("a", "new");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_file_is_replaced_whole),
        scratch_test(the_mode_is_the_one_asked_for_whatever_the_umask),
        scratch_test(a_reader_that_is_open_keeps_the_old_file),
        scratch_test(a_failure_leaves_the_old_file_and_nothing_beside_it),
        scratch_test(a_full_disk_is_resource_exhausted_and_changes_nothing),
        scratch_test(a_file_longer_than_the_limit_is_refused_and_leaves_the_buffer),
        scratch_test(what_cannot_be_read_is_named),
        scratch_test(out_of_memory_is_a_failure_not_a_crash),
    };
    return cmocka_run_group_tests_name("store/file", tests, NULL, NULL);
}
