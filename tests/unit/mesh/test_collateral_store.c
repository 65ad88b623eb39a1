/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of collateral: what never comes in, what stays, what survives. */
#include "../attest/platform.h"
#include "../scratch.h"

#include <neo/collateral_store.h>
#include <neo/store.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static struct platform tdx;

static int make(void **state)
{
    (void)state;
    platform_init(&tdx, true, 4);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    platform_fini(&tdx);
    return 0;
}

static struct neo_collateral_store *opened(const char *name)
{
    const struct neo_collateral_store_options options = {
        .dir = scratch(name),
        .make = true,
        .simulated_root = neo_buffer_bytes(&tdx.ders[KEY_ROOT]),
        .development = true,
    };
    struct neo_collateral_store *store;
    struct neo_error err;

    if (neo_collateral_store_open(&options, &store, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return store;
}

static struct neo_collateral *collected(bool with_chain)
{
    static const enum platform_key keys[] = {KEY_ROOT, KEY_CA, KEY_SIGNER};
    struct neo_collateral *set;
    const struct neo_collateral_options options = {
        .simulated_root = neo_buffer_bytes(&tdx.ders[KEY_ROOT]), .development = true};

    assert_int_equal(neo_collateral_new(&options, &set, NULL), NEO_OK);
    for (size_t i = 0; with_chain && i < NEO_COUNT(keys); i++)
        assert_int_equal(neo_collateral_add(set, neo_buffer_bytes(&tdx.ders[keys[i]]), "c", NULL),
                         NEO_OK);
    assert_int_equal(neo_collateral_add(set, neo_buffer_bytes(&tdx.root_crl), "c", NULL), NEO_OK);
    assert_int_equal(neo_collateral_add(set, neo_buffer_bytes(&tdx.ca_crl), "c", NULL), NEO_OK);
    assert_int_equal(neo_collateral_add(set, neo_buffer_bytes(&tdx.tcb_json), "c", NULL), NEO_OK);
    assert_int_equal(neo_collateral_add(set, neo_buffer_bytes(&tdx.identity_json), "c", NULL),
                     NEO_OK);
    return set;
}

struct told {
    unsigned n[NEO_COLLATERAL_REFUSED + 1];
};

static void count(void *self, const struct neo_collateral_item *item,
                  enum neo_collateral_outcome outcome, const char *why)
{
    struct told *told = self;

    (void)item;
    (void)why;
    told->n[outcome]++;
}

static struct told put_with(struct neo_collateral_store *store, struct neo_collateral_put how,
                            bool with_chain)
{
    struct neo_collateral *set = collected(with_chain);
    struct told told = {{0}};
    struct neo_error err;

    how.source = "a test";
    how.now = PLATFORM_NOW;
    how.each = count;
    how.self = &told;
    if (neo_collateral_store_put(store, set, &how, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_collateral_free(set);
    return told;
}

static struct told put(struct neo_collateral_store *store)
{
    return put_with(store, (struct neo_collateral_put){0}, true);
}

static void write_file(const char *name, struct neo_bytes text)
{
    assert_int_equal(neo_file_replace(scratch(name), text, 0600, NULL), NEO_OK);
}

static const struct neo_collateral_held *held(const struct neo_collateral_store *store,
                                              const char *name)
{
    for (size_t i = 0; i < neo_collateral_store_count(store); i++) {
        const struct neo_collateral_held *h = neo_collateral_store_at(store, i);
        if (strcmp(h->item->name, name) == 0)
            return h;
    }
    fail_msg("no %s", name);
    return NULL;
}

#define TCB "intel-tcb-tdx_505050505050_0000.json"

/* --- refusals --------------------------------------------------------------------------------- */

TEST(a_folder_that_others_may_write_to_is_refused)
{
    const struct neo_collateral_store_options options = {.dir = scratch("open"), .make = true};
    struct neo_collateral_store *store;

    assert_int_equal(mkdir(scratch("open"), 0700), 0);
    assert_int_equal(chmod(scratch("open"), 0777), 0);
    assert_int_equal(neo_collateral_store_open(&options, &store, NULL), NEO_FAILED_PRECONDITION);
    const struct neo_collateral_store_options none = {.dir = scratch("none")};
    assert_int_equal(neo_collateral_store_open(&none, &store, NULL), NEO_NOT_FOUND);
}

/* Whoever owns it says what is genuine. Only root can give it away. */
TEST(a_folder_of_another_user_is_refused_and_so_is_a_file)
{
    const struct neo_collateral_store_options options = {.dir = scratch("theirs"), .make = true};
    struct neo_collateral_store *store = opened("s");

    if (geteuid() != 0) {
        neo_collateral_store_close(store);
        skip();
    }
    assert_int_equal(mkdir(scratch("theirs"), 0700), 0);
    assert_int_equal(chown(scratch("theirs"), 4711, 4711), 0);
    assert_int_equal(neo_collateral_store_open(&options, &store, NULL), NEO_FAILED_PRECONDITION);
    (void)put(store);
    const char *name = neo_collateral_store_at(store, 0)->item->name;
    char file[60];
    (void)snprintf(file, sizeof(file), "s/%.50s", name);
    assert_int_equal(chown(scratch(file), 4711, 4711), 0);
    size_t n = neo_collateral_store_count(store);
    neo_collateral_store_close(store);
    store = opened("s");
    assert_int_equal(neo_collateral_store_count(store), n - 1);
    neo_collateral_store_close(store);
}

TEST(an_older_edition_does_not_come_in_unless_forced)
{
    struct neo_collateral_store *store = opened("s");

    assert_int_equal(put(store).n[NEO_COLLATERAL_ADDED], 7);
    assert_int_equal(put(store).n[NEO_COLLATERAL_SAME], 7);
    tdx.issued = "2026-09-20T12:00:00Z";
    platform_documents(&tdx);
    assert_int_equal(put(store).n[NEO_COLLATERAL_OLDER], 2);
    assert_string_equal(held(store, TCB)->file, TCB);
    int64_t before = held(store, TCB)->item->issued;
    struct told forced = put_with(store, (struct neo_collateral_put){.force = true}, true);
    assert_int_equal(forced.n[NEO_COLLATERAL_REPLACED], 2);
    assert_true(held(store, TCB)->item->issued < before);
    tdx.issued = PLATFORM_ISSUED;
    platform_documents(&tdx);
    assert_int_equal(put(store).n[NEO_COLLATERAL_REPLACED], 2);
    neo_collateral_store_close(store);
}

TEST(what_nobody_vouches_for_is_refused_where_only_verified_counts)
{
    struct neo_collateral_store *store = opened("s");
    struct told told = put_with(store, (struct neo_collateral_put){.only_verified = true}, false);

    assert_int_equal(told.n[NEO_COLLATERAL_REFUSED], 4);
    assert_int_equal(neo_collateral_store_count(store), 0);
    told = put_with(store, (struct neo_collateral_put){.only_verified = true}, true);
    assert_int_equal(told.n[NEO_COLLATERAL_ADDED], 7);
    neo_collateral_store_close(store);
}

TEST(a_damaged_file_is_named_and_the_others_are_read)
{
    struct neo_collateral_store *store = opened("s");

    (void)put(store);
    write_file("s/" TCB, NEO_LIT("{\"tcbInfo\":{"));
    write_file("s/junk", NEO_LIT("junk"));
    assert_int_equal(symlink("/etc/passwd", scratch("s/link.der")), 0);
    assert_int_equal(mkdir(scratch("s/folder"), 0700), 0);
    write_file("s/index.json", NEO_LIT("[[[["));
    assert_int_equal(neo_collateral_store_reload(store, NULL), NEO_OK);
    assert_int_equal(neo_collateral_store_count(store), 6);
    assert_int_equal(neo_collateral_store_problems(store), 4);
    assert_string_equal(held(store, "intel-td-qe.json")->source, "found in the folder");
    /* and the next one mends it */
    (void)put(store);
    assert_int_equal(neo_collateral_store_reload(store, NULL), NEO_OK);
    assert_int_equal(neo_collateral_store_count(store), 7);
    assert_int_equal(neo_collateral_store_problems(store), 3);
    neo_collateral_store_close(store);
}

TEST(a_file_that_somebody_changed_counts_for_nothing)
{
    struct neo_collateral_store *store = opened("s");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    (void)put(store);
    platform_put(&text, tdx.tcb_json.at, tdx.tcb_json.len);
    ((uint8_t *)memmem(text.at, text.len, "\"svn\":5", 7))[6] = '1';
    write_file("s/" TCB, neo_buffer_bytes(&text));
    assert_int_equal(neo_collateral_store_reload(store, NULL), NEO_OK);
    assert_int_equal(neo_collateral_store_count(store), 6);
    assert_int_equal(neo_collateral_store_problems(store), 1);
    neo_collateral_store_close(store);
}

/* --- keeping ---------------------------------------------------------------------------------- */

TEST(every_item_is_a_file_to_the_byte_and_the_index_can_be_lost)
{
    struct neo_collateral_store *store = opened("s");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    (void)put(store);
    assert_int_equal(neo_file_read(scratch("s/" TCB), 1 << 20, &text, NULL), NEO_OK);
    assert_true(neo_bytes_equal(neo_buffer_bytes(&text), neo_buffer_bytes(&tdx.tcb_json)));
    assert_string_equal(held(store, TCB)->source, "a test");
    assert_int_equal(held(store, TCB)->stored_at, PLATFORM_NOW);
    neo_collateral_store_close(store);
    store = opened("s");
    assert_string_equal(held(store, TCB)->source, "a test");
    assert_int_equal(held(store, TCB)->stored_at, PLATFORM_NOW);
    assert_int_equal(unlink(scratch("s/index.json")), 0);
    assert_int_equal(neo_collateral_store_reload(store, NULL), NEO_OK);
    assert_int_equal(neo_collateral_store_count(store), 7);
    assert_true(held(store, TCB)->stored_at > 0);
    neo_collateral_store_close(store);
}

TEST(files_that_a_person_put_there_are_read_and_the_newest_counts)
{
    struct neo_collateral_store *store = opened("s");

    write_file("s/theirs.json", neo_buffer_bytes(&tdx.tcb_json));
    assert_int_equal(neo_collateral_store_reload(store, NULL), NEO_OK);
    assert_string_equal(held(store, TCB)->file, "theirs.json");
    tdx.issued = "2026-09-22T12:00:00Z";
    platform_documents(&tdx);
    (void)put(store);
    assert_string_equal(held(store, TCB)->file, TCB);
    neo_collateral_store_close(store);
    store = opened("s");
    assert_string_equal(held(store, TCB)->file, TCB);
    tdx.issued = PLATFORM_ISSUED;
    platform_documents(&tdx);
    neo_collateral_store_close(store);
}

TEST(what_a_killed_writer_left_is_cleared_away)
{
    struct neo_collateral_store *store = opened("s");

    write_file("s/" TCB ".Ab12Cd", NEO_LIT("{\"tcb"));
    assert_int_equal(neo_collateral_store_reload(store, NULL), NEO_OK);
    assert_int_equal(neo_collateral_store_problems(store), 0);
    (void)put(store);
    assert_false(scratch_exists("s/" TCB ".Ab12Cd"));
    neo_collateral_store_close(store);
}

/* Writers are killed at any point; what is there afterwards is whole, and a further one goes on. */
TEST(kill_9_leaves_whole_files)
{
    uint64_t seed = 4;

    for (unsigned round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct neo_collateral_store *store = opened("s");
            for (;;) {
                (void)put_with(store, (struct neo_collateral_put){.force = true}, true);
                (void)unlink(scratch("s/" TCB));
            }
        }
        const struct timespec nap = {.tv_nsec = (long)unit_random(&seed, 20000000)};
        (void)nanosleep(&nap, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        struct neo_collateral_store *store = opened("s");
        assert_int_equal(neo_collateral_store_problems(store), 0);
        neo_collateral_store_close(store);
    }
    struct neo_collateral_store *store = opened("s");
    (void)put(store);
    assert_int_equal(neo_collateral_store_count(store), 7);
    neo_collateral_store_close(store);
}

TEST(two_processes_may_write_at_once)
{
    enum { WRITERS = 3 };
    pid_t pids[WRITERS];

    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct neo_collateral_store *store = opened("s");
            for (unsigned k = 0; k < 10; k++)
                (void)put_with(store, (struct neo_collateral_put){.force = true}, true);
            _exit(neo_collateral_store_problems(store) == 0 ? 0 : 1);
        }
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    struct neo_collateral_store *store = opened("s");
    assert_int_equal(neo_collateral_store_count(store), 7);
    neo_collateral_store_close(store);
}

TEST(the_fingerprint_changes_with_every_file)
{
    uint8_t none[32], empty[32], full[32], again[32];
    struct neo_collateral_store *store;

    neo_collateral_fingerprint(scratch("s"), none);
    store = opened("s");
    neo_collateral_fingerprint(scratch("s"), empty);
    (void)put(store);
    neo_collateral_fingerprint(scratch("s"), full);
    neo_collateral_fingerprint(scratch("s"), again);
    assert_memory_not_equal(none, empty, 32);
    assert_memory_not_equal(empty, full, 32);
    assert_memory_equal(full, again, 32);
    assert_int_equal(unlink(scratch("s/" TCB)), 0);
    neo_collateral_fingerprint(scratch("s"), again);
    assert_memory_not_equal(full, again, 32);
    neo_collateral_store_close(store);
}

TEST(no_fingerprint_of_a_folder_looks_like_that_of_none)
{
    struct neo_collateral_store *store = opened("s");
    uint8_t print[32];

    (void)put(store);
    for (off_t size = 1; size <= 2000; size++) {
        assert_int_equal(truncate(scratch("s/" TCB), size), 0);
        neo_collateral_fingerprint(scratch("s"), print);
        assert_int_not_equal(print[0], 0);
    }
    neo_collateral_store_close(store);
}

/* --- asking ----------------------------------------------------------------------------------- */

struct plan {
    char text[16][NEO_COLLATERAL_REQUEST_LEN];
    int64_t at[16];
    size_t n;
};

static void note(void *self, const char *request, int64_t due_at)
{
    struct plan *plan = self;

    assert_true(plan->n < 16);
    plan->at[plan->n] = due_at;
    (void)snprintf(plan->text[plan->n++], sizeof(plan->text[0]), "%s", request);
}

TEST(what_is_missing_is_due_at_once_and_what_is_there_later)
{
    static const char *const wanted[] = {"intel-tcb-tdx 505050505050", "intel-tcb-tdx 000000000000",
                                         "no request", "intel-tcb-tdx 000000000000"};
    struct neo_collateral_store *store = opened("s");
    struct plan plan = {.n = 0};

    (void)put(store);
    assert_int_equal(neo_collateral_store_want(store, wanted, NEO_COUNT(wanted), NULL), NEO_OK);
    neo_collateral_store_close(store);
    store = opened("s");
    neo_collateral_store_due(store, PLATFORM_NOW, note, &plan);
    assert_int_equal(plan.n, 5);
    /* Evidence asks for it, and who makes up evidence must not keep the lists from their turn. */
    assert_string_equal(plan.text[4], "intel-tcb-tdx 000000000000");
    assert_int_equal(plan.at[4], 0);
    for (size_t i = 0; i < 4; i++)
        assert_true(plan.at[i] > PLATFORM_NOW && plan.at[i] <= PLATFORM_NOW + 86400);
    neo_collateral_store_close(store);
}

static enum neo_code fetch(struct neo_collateral_store *store, const char *script,
                           const char *request, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    const char *command[] = {scratch("fetch"), "first", NULL};
    const struct neo_collateral_fetcher how = {.command = command, .timeout_seconds = 3};
    const struct neo_collateral_put put = {.source = request, .now = PLATFORM_NOW};

    assert_true(neo_buffer_printf(&text, "#!/bin/sh\ncd %s\n%s\n", scratch_folder, script));
    assert_int_equal(neo_file_replace(command[0], neo_buffer_bytes(&text), 0700, NULL), NEO_OK);
    return neo_collateral_store_fetch(store, &how, request, &put, err);
}

TEST(a_fetcher_that_fails_changes_nothing)
{
    static const struct {
        const char *script;
        enum neo_code code;
        const char *message;
    } cases[] = {
        {"echo no such thing >&2; exit 22", NEO_UNAVAILABLE, "failed with 22: no such thing"},
        {"exit 0", NEO_NOT_FOUND, "empty"},
        {"echo rubbish", NEO_INVALID_ARGUMENT, "neither PEM nor DER"},
        {"cat crl", NEO_DATA_LOSS, "not in the answer"},
        {"sed 's/\"svn\":5/\"svn\":1/' tcb", NEO_DATA_LOSS, "refused"},
        {"head -c 5000000 /dev/zero", NEO_RESOURCE_EXHAUSTED, "longer than"},
        {"cat tcb; kill -9 $$", NEO_UNAVAILABLE, "failed with -1"},
        {"cat tcb; exec >&- 2>&-; sleep 60", NEO_DEADLINE_EXCEEDED, "longer than 3 s"},
    };
    struct neo_collateral_store *store = opened("s");

    (void)put_with(store, (struct neo_collateral_put){0}, true);
    assert_int_equal(unlink(scratch("s/" TCB)), 0);
    write_file("crl", neo_buffer_bytes(&tdx.ca_crl));
    write_file("tcb", neo_buffer_bytes(&tdx.tcb_json));
    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        struct neo_error err;
        enum neo_code code = fetch(store, cases[i].script, "intel-tcb-tdx 505050505050", &err);
        if (code != cases[i].code || strstr(err.message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].script, code == NEO_OK ? "OK" : err.message);
        assert_false(scratch_exists("s/" TCB));
    }
    const char *nothing[] = {"/nonexistent/fetch", NULL};
    const struct neo_collateral_fetcher how = {.command = nothing};
    const struct neo_collateral_put how_put = {.source = "x", .now = PLATFORM_NOW};
    assert_int_equal(neo_collateral_store_fetch(store, &how, "intel-qe", &how_put, NULL),
                     NEO_NOT_FOUND);
    assert_int_equal(neo_collateral_store_fetch(store, &how, "intel-qe; rm", &how_put, NULL),
                     NEO_INVALID_ARGUMENT);
    neo_collateral_store_close(store);
}

/* The process whose number is in the file `name`; waited for by its descriptor, for it is not ours.
 */
static bool ends(const char *name)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    bool ended = true;

    assert_int_equal(neo_file_read(scratch(name), 64, &text, NULL), NEO_OK);
    assert_true(neo_buffer_append_byte(&text, '\0'));
    long pid = strtol((const char *)text.at, NULL, 10);
    assert_true(pid > 1);
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0U);
    if (fd >= 0) { /* else it is gone already */
        struct pollfd watched = {.fd = fd, .events = POLLIN};
        ended = poll(&watched, 1, 10000) == 1;
        (void)close(fd);
        if (!ended)
            (void)kill((pid_t)pid, SIGKILL);
    }
    return ended;
}

TEST(what_a_fetcher_leaves_behind_ends_with_it)
{
    static const struct {
        const char *script;
        enum neo_code code;
    } cases[] = {
        {"sleep 600 > /dev/null 2>&1 & echo $! > left; cat tcb", NEO_OK},
        {"sleep 600 > /dev/null 2>&1 & echo $! > left; exit 1", NEO_UNAVAILABLE},
        {"sleep 600 & echo $! > left; cat tcb", NEO_DEADLINE_EXCEEDED}, /* it holds our pipe */
        {"sleep 600 > /dev/null & echo $! > left; cat /dev/zero", NEO_RESOURCE_EXHAUSTED},
        {"sh -c 'sleep 600 & echo $! > left; wait'", NEO_DEADLINE_EXCEEDED},
    };
    struct neo_collateral_store *store = opened("s");

    (void)put_with(store, (struct neo_collateral_put){0}, true);
    write_file("tcb", neo_buffer_bytes(&tdx.tcb_json));
    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        struct neo_error err = {.message = ""};
        enum neo_code code = fetch(store, cases[i].script, "intel-tcb-tdx 505050505050", &err);
        if (code != cases[i].code)
            fail_msg("%s: %s", cases[i].script, err.message);
        if (!ends("left"))
            fail_msg("%s: it lives on", cases[i].script);
        assert_int_equal(unlink(scratch("left")), 0);
    }
    neo_collateral_store_close(store);
}

TEST(a_fetcher_gets_its_words_and_nothing_of_ours)
{
    struct neo_collateral_store *store = opened("s");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer said = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};
    struct neo_error err;

    int leak = open(scratch_folder, O_RDONLY | O_DIRECTORY);
    assert_true(leak >= 0);
    assert_int_equal(setenv("NEO_SECRET", "secret", 1), 0);
    write_file("tcb", neo_buffer_bytes(&tdx.tcb_json));
    assert_true(vendor_pem_append(&pem, "CERTIFICATE", neo_buffer_bytes(&tdx.ders[KEY_SIGNER])));
    assert_true(vendor_pem_append(&pem, "CERTIFICATE", neo_buffer_bytes(&tdx.ders[KEY_ROOT])));
    write_file("pem", neo_buffer_bytes(&pem));
    enum neo_code code =
        fetch(store,
              "{ echo \"$@\"; env; ls /proc/self/fd; grep NoNewPrivs /proc/self/status; } > said\n"
              "printf 'TCB-Info-Issuer-Chain: ' > $NEO_FETCH_HEADERS\n"
              "od -An -v -tx1 pem | tr -d '\\n' | sed 's/ /%/g' >> $NEO_FETCH_HEADERS\n"
              "cat tcb",
              "intel-tcb-tdx 505050505050", &err);
    if (code != NEO_OK)
        fail_msg("%s", err.message);
    (void)close(leak);
    assert_int_equal(neo_file_read(scratch("said"), 1 << 16, &said, NULL), NEO_OK);
    assert_true(neo_buffer_append_byte(&said, '\0'));
    const char *text = (const char *)said.at;
    assert_int_equal(strncmp(text, "first intel-tcb-tdx 505050505050\n", 33), 0);
    assert_null(strstr(text, "NEO_SECRET"));
    assert_non_null(strstr(text, "NoNewPrivs:\t1"));
    assert_non_null(strstr(text, "\n0\n1\n2\n"));
    assert_int_equal(neo_collateral_store_count(store), 3);
    assert_string_equal(held(store, TCB)->source, "intel-tcb-tdx 505050505050");
    neo_collateral_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_folder_that_others_may_write_to_is_refused),
        scratch_test(a_folder_of_another_user_is_refused_and_so_is_a_file),
        scratch_test(an_older_edition_does_not_come_in_unless_forced),
        scratch_test(what_nobody_vouches_for_is_refused_where_only_verified_counts),
        scratch_test(a_damaged_file_is_named_and_the_others_are_read),
        scratch_test(a_file_that_somebody_changed_counts_for_nothing),
        scratch_test(every_item_is_a_file_to_the_byte_and_the_index_can_be_lost),
        scratch_test(files_that_a_person_put_there_are_read_and_the_newest_counts),
        scratch_test(what_a_killed_writer_left_is_cleared_away),
        scratch_test(kill_9_leaves_whole_files),
        scratch_test(two_processes_may_write_at_once),
        scratch_test(the_fingerprint_changes_with_every_file),
        scratch_test(no_fingerprint_of_a_folder_looks_like_that_of_none),
        scratch_test(what_is_missing_is_due_at_once_and_what_is_there_later),
        scratch_test(a_fetcher_that_fails_changes_nothing),
        scratch_test(what_a_fetcher_leaves_behind_ends_with_it),
        scratch_test(a_fetcher_gets_its_words_and_nothing_of_ours),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
