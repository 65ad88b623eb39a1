/* SPDX-License-Identifier: Apache-2.0 */
/* The signer's journal: what a crash cut is forgotten, what was damaged is not passed over. */
#include "../unit.h"

#include "ca/journal.h"

#include "../scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORDS = 4, LEN = 700, HEADER = 56 };

#define path scratch("journal")

static uint8_t written[(HEADER + LEN) * RECORDS]; /* the file as it was made */

static void fill_certificate(uint8_t *certificate, unsigned number)
{
    for (size_t i = 0; i < LEN; i++)
        certificate[i] = (uint8_t)(1 + (number * 7 + i * 3) % 251);
}

static void serial_of(unsigned number, uint8_t serial[static 16])
{
    memset(serial, (int)number + 1, 16);
}

static void make_journal(void)
{
    uint8_t certificate[LEN], serial[16];
    struct journal j;

    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    for (unsigned i = 0; i < RECORDS; i++) {
        fill_certificate(certificate, i);
        serial_of(i, serial);
        assert_int_equal(journal_append(&j, serial, neo_bytes(certificate, LEN), NULL), NEO_OK);
    }
    assert_int_equal(pread(j.fd, written, sizeof(written), 0), sizeof(written));
    journal_close(&j);
}

/* By the journal once, and later the same bytes: nobody waits for the disk each time. */
static void write_journal(void)
{
    if (!scratch_exists("journal")) {
        make_journal();
        return;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, written, sizeof(written), 0), sizeof(written));
    assert_int_equal(close(fd), 0);
}

static long size_of_file(void)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

static void change_byte(long at)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

static void zero_from(long at)
{
    long size = size_of_file();

    assert_int_equal(truncate(path, at), 0);
    assert_int_equal(truncate(path, size), 0);
}

/* How many of the records are found after opening; -1 when it is refused as damaged. */
static int reopen(void)
{
    uint8_t expected[LEN], serial[16];
    struct journal j;
    int n = 0;

    enum neo_code code = journal_open(&j, path, NULL);
    for (unsigned i = 0; code == NEO_OK && i < RECORDS; i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer found = {0};
        serial_of(i, serial);
        fill_certificate(expected, i);
        if (journal_find(&j, serial, &found)) {
            assert_int_equal(found.len, LEN);
            assert_memory_equal(found.at, expected, LEN);
            n++;
        }
    }
    journal_close(&j);
    if (code != NEO_OK)
        assert_int_equal(code, NEO_DATA_LOSS);
    return code == NEO_OK ? n : -1;
}

TEST(a_changed_byte_is_damage_wherever_it_is)
{
    long size = (HEADER + LEN) * RECORDS;

    for (long at = 0; at < size; at++) {
        write_journal();
        change_byte(at);
        if (reopen() != -1)
            fail_msg("byte %ld of %ld was changed and the journal opened", at, size);
        assert_int_equal(size_of_file(), size); /* and nothing was cut */
    }
}

TEST(zeros_over_more_than_the_last_record_are_damage)
{
    write_journal();
    zero_from((HEADER + LEN) * 2 + 100);
    /* Two records long, and one of them was handed out. */
    assert_int_equal(reopen(), -1);
    write_journal();
    zero_from((HEADER + LEN) * 2);
    assert_int_equal(reopen(), -1);
}

TEST(a_record_that_a_crash_cut_is_forgotten_wherever_it_was_cut)
{
    for (long left = 1; left < HEADER + LEN; left++) {
        write_journal();
        assert_int_equal(truncate(path, (HEADER + LEN) * (RECORDS - 1) + left), 0);
        assert_int_equal(reopen(), RECORDS - 1);
        assert_int_equal(size_of_file(), (HEADER + LEN) * (RECORDS - 1));
    }
}

TEST(a_record_whose_blocks_the_disk_never_wrote_is_forgotten)
{
    long begin = (HEADER + LEN) * (RECORDS - 1);

    write_journal();
    zero_from(begin);
    assert_int_equal(reopen(), RECORDS - 1);
    write_journal();
    zero_from((begin + 511) / 512 * 512);
    assert_int_equal(reopen(), RECORDS - 1);
}

TEST(after_the_cut_it_goes_on)
{
    uint8_t certificate[LEN], serial[16];
    struct journal j;

    write_journal();
    assert_int_equal(truncate(path, (HEADER + LEN) * (RECORDS - 1) + 99), 0);
    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    fill_certificate(certificate, RECORDS - 1);
    serial_of(RECORDS - 1, serial);
    assert_int_equal(journal_append(&j, serial, neo_bytes(certificate, LEN), NULL), NEO_OK);
    journal_close(&j);
    assert_int_equal(reopen(), RECORDS);
}

/* More than one size of its index, before and after a start. */
TEST(each_of_many_is_found_in_a_step_or_two_and_nothing_else_is)
{
    enum { MANY = 300, OTHERS = 8 };
    uint8_t serial[16] = {0x40};
    struct journal j;

    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    for (uint32_t i = 0; i < MANY; i++) { /* neighbours, in the index, too */
        memcpy(serial + 1, &i, sizeof(i));
        assert_int_equal(
            journal_append(&j, serial, neo_bytes((const uint8_t *)&i, sizeof(i)), NULL), NEO_OK);
    }
    for (unsigned start = 0; start < 2; start++) {
        uint64_t before = j.n_looked;
        for (uint32_t i = 0; i < MANY + OTHERS; i++) {
            NEO_CLEANUP(neo_buffer_fini) struct neo_buffer found = {0};
            memcpy(serial + 1, &i, sizeof(i));
            assert_int_equal(journal_find(&j, serial, &found), i < MANY);
            if (i < MANY)
                assert_memory_equal(found.at, &i, sizeof(i));
        }
        /* All of them, one after the other, would be 46,650. */
        assert_in_range(j.n_looked - before, MANY + OTHERS, 2 * (MANY + OTHERS));
        journal_close(&j);
        assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    }
    journal_close(&j);
}

/* --- dropping --------------------------------------------------------------------------------- */

enum { DROPPED = 2, HEAD = HEADER + (int)sizeof(struct journal_head) };

/* Of the first `n` records as they were written. */
static void chain_of(unsigned n, uint8_t chain[static NEO_SHA256_LEN])
{
    struct journal_record r;

    memset(chain, 0, NEO_SHA256_LEN);
    for (unsigned i = 0; i < n; i++) {
        memcpy(&r, written + (size_t)i * (HEADER + LEN), sizeof(r));
        journal_chain(chain, &r);
    }
}

/* Whether it holds the records from `first` on, none before them, and tells of those. */
static void check_from(struct journal *j, unsigned first)
{
    uint8_t expected[LEN], serial[16], chain[NEO_SHA256_LEN];

    chain_of(first, chain);
    assert_int_equal(j->n, RECORDS - first);
    assert_int_equal(j->n_dropped, first);
    assert_memory_equal(j->dropped, chain, sizeof(chain));
    for (unsigned i = 0; i < RECORDS; i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer found = {0};
        serial_of(i, serial);
        fill_certificate(expected, i);
        assert_int_equal(journal_find(j, serial, &found), i >= first);
        if (i >= first)
            assert_memory_equal(found.at, expected, LEN);
    }
}

static void append(struct journal *j, unsigned number)
{
    uint8_t certificate[LEN], serial[16];

    fill_certificate(certificate, number);
    serial_of(number, serial);
    assert_int_equal(journal_append(j, serial, neo_bytes(certificate, LEN), NULL), NEO_OK);
}

static void write_anew(void)
{
    (void)unlink(path);
    make_journal();
}

static void write_pruned(unsigned n)
{
    struct journal j;

    write_anew();
    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    assert_int_equal(journal_prune(&j, n, NULL), NEO_OK);
    journal_close(&j);
}

TEST(the_last_record_is_not_dropped_and_no_certificate_is_taken_for_a_head)
{
    uint8_t serial[16];
    struct journal j;

    write_anew();
    memcpy(serial, JOURNAL_HEAD_SERIAL, sizeof(serial));
    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    assert_int_equal(journal_append(&j, serial, NEO_LIT("a certificate"), NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(journal_prune(&j, 0, NULL), NEO_FAILED_PRECONDITION);
    assert_int_equal(journal_prune(&j, RECORDS, NULL), NEO_FAILED_PRECONDITION);
    check_from(&j, 0);
    journal_close(&j);
}

TEST(what_is_dropped_is_gone_what_is_kept_is_found_and_a_copy_can_be_held_against_it)
{
    struct journal j;

    write_anew();
    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    assert_int_equal(journal_prune(&j, 1, NULL), NEO_OK);
    check_from(&j, 1);
    assert_int_equal(journal_prune(&j, DROPPED - 1, NULL), NEO_OK); /* the chain goes on */
    check_from(&j, DROPPED);
    assert_int_equal(size_of_file(), HEAD + (HEADER + LEN) * (RECORDS - DROPPED));
    journal_close(&j);
    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    check_from(&j, DROPPED);
    append(&j, RECORDS);
    assert_int_equal(j.n, RECORDS - DROPPED + 1);
    journal_close(&j);
    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    assert_int_equal(j.n, RECORDS - DROPPED + 1);
    journal_close(&j);
}

TEST(a_record_that_a_crash_cut_behind_a_head_is_forgotten)
{
    struct journal j;

    for (long left = 1; left < HEADER + LEN; left += 5) {
        write_pruned(RECORDS - 1);
        assert_int_equal(truncate(path, HEAD + left), 0);
        assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
        assert_int_equal(j.n, 0);
        assert_int_equal(j.n_dropped, RECORDS - 1);
        journal_close(&j);
        assert_int_equal(size_of_file(), HEAD);
    }
}

TEST(a_head_that_is_changed_cut_or_in_another_place_is_damage)
{
    static uint8_t whole[HEAD + (HEADER + LEN) * RECORDS];
    struct journal j;

    write_pruned(DROPPED);
    size_t size = (size_t)size_of_file();
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, whole, size, 0), size);
    for (size_t at = 0; at < size; at++) {
        uint8_t changed = whole[at] ^ 0x10;
        assert_int_equal(pwrite(fd, &changed, 1, (off_t)at), 1);
        assert_int_equal(journal_open(&j, path, NULL), NEO_DATA_LOSS);
        journal_close(&j);
        assert_int_equal(pwrite(fd, &whole[at], 1, (off_t)at), 1);
    }
    assert_int_equal(pwrite(fd, whole, HEAD, (off_t)size), HEAD); /* a second one */
    assert_int_equal(journal_open(&j, path, NULL), NEO_DATA_LOSS);
    journal_close(&j);
    for (long left = HEAD - 1; left > 0; left--) {
        assert_int_equal(ftruncate(fd, left), 0);
        assert_int_equal(journal_open(&j, path, NULL), NEO_DATA_LOSS);
        journal_close(&j);
        assert_int_equal(size_of_file(), left); /* and nothing was cut */
    }
    assert_int_equal(close(fd), 0);
}

/* --- a process that is killed while it drops ---------------------------------------------------
 */

enum { CALLS_MAX = 400 };

struct run {
    uint64_t calls[CALLS_MAX]; /* of the kernel, by their numbers */
    unsigned n;
    bool ended; /* by itself */
};

static void drop_and_end(void)
{
    struct journal j;

    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    (void)raise(SIGSTOP);
    bool good =
        journal_open(&j, path, NULL) == NEO_OK && journal_prune(&j, DROPPED, NULL) == NEO_OK;
    _exit(good ? 0 : 1);
}

/* Killed when it enters its `last` call of the kernel; 0: never. False: nobody may trace here. */
static bool drop_in_process(unsigned last, struct run *run)
{
    struct __ptrace_syscall_info info;
    int status = 0;

    *run = (struct run){.n = 0};
    pid_t pid = fork();
    if (pid == 0)
        drop_and_end();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) != 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        return false;
    }
    while (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
           WIFSTOPPED(status)) {
        if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) <= 0 ||
            info.op != PTRACE_SYSCALL_INFO_ENTRY)
            continue;
        assert_in_range(run->n, 0, CALLS_MAX - 1);
        run->calls[run->n++] = info.entry.nr;
        if (run->n == last) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return true;
        }
    }
    run->ended = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return true;
}

/* The place of the last call of that kind before `end`; 0: there is none. */
static unsigned last_before(const struct run *run, unsigned end, uint64_t call)
{
    while (end > 0 && run->calls[end - 1] != call)
        end--;
    return end;
}

TEST(killed_at_any_point_it_leaves_the_old_journal_or_the_new_one_whole)
{
    unsigned old = 0, new = 0;
    struct journal j;
    struct run run;

    for (unsigned last = 1; last < CALLS_MAX; last++) {
        write_anew();
        if (!drop_in_process(last, &run)) {
            print_message("skipped: no ptrace\n");
            skip();
        }
        assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
        assert_false(scratch_exists("journal.next"));
        old += j.n_dropped == 0;
        new += j.n_dropped == DROPPED;
        check_from(&j, j.n_dropped == 0 ? 0 : DROPPED);
        append(&j, RECORDS);
        journal_close(&j);
        if (run.n < last)
            break;
    }
    assert_true(run.ended);
    assert_true(old >= 5 && new >= 2); /* before it has the name, and after */
}

/* What kill -9 does not show: power that goes. */
TEST(the_new_journal_is_synced_before_it_has_the_name_and_the_folder_after)
{
    struct run run;

    write_anew();
    if (!drop_in_process(0, &run)) {
        print_message("skipped: no ptrace\n");
        skip();
    }
    assert_true(run.ended);
    unsigned named = last_before(&run, run.n, SYS_renameat2);
#ifdef SYS_renameat
    if (named == 0)
        named = last_before(&run, run.n, SYS_renameat);
#endif
#ifdef SYS_rename
    if (named == 0)
        named = last_before(&run, run.n, SYS_rename);
#endif
    unsigned synced = last_before(&run, named, SYS_fsync);
    assert_true(named > 0 && synced > 0);
    assert_true(last_before(&run, named, SYS_write) < synced);
    assert_true(last_before(&run, run.n, SYS_fsync) > named);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_changed_byte_is_damage_wherever_it_is),
        scratch_test(zeros_over_more_than_the_last_record_are_damage),
        scratch_test(a_record_that_a_crash_cut_is_forgotten_wherever_it_was_cut),
        scratch_test(a_record_whose_blocks_the_disk_never_wrote_is_forgotten),
        scratch_test(after_the_cut_it_goes_on),
        scratch_test(each_of_many_is_found_in_a_step_or_two_and_nothing_else_is),
        scratch_test(the_last_record_is_not_dropped_and_no_certificate_is_taken_for_a_head),
        scratch_test(
            what_is_dropped_is_gone_what_is_kept_is_found_and_a_copy_can_be_held_against_it),
        scratch_test(a_record_that_a_crash_cut_behind_a_head_is_forgotten),
        scratch_test(a_head_that_is_changed_cut_or_in_another_place_is_damage),
        scratch_test(killed_at_any_point_it_leaves_the_old_journal_or_the_new_one_whole),
        scratch_test(the_new_journal_is_synced_before_it_has_the_name_and_the_folder_after),
    };
    return cmocka_run_group_tests_name("services/journal", tests, NULL, NULL);
}
