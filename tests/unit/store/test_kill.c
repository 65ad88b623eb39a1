/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that dies by SIGKILL, at moments of chance and at chosen system calls,
 * loses nothing it acknowledged.
 */
#include "../scratch.h"

#include <neo/store.h>

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { KILLS = 250, ROWS_UNDER_STRACE = 12 };

static const char *const schema[] = {
    "CREATE TABLE log(n INTEGER PRIMARY KEY, text BLOB) STRICT;",
    NULL,
};

static int64_t rows_of(struct neo_store *store)
{
    struct neo_row *row;

    assert_int_equal(
        neo_store_query(store, "SELECT count(*), max(n) FROM log", NULL, 0, &row, NULL), NEO_OK);
    assert_true(neo_row_next(row));
    int64_t n = neo_row_i64(row, 0);
    if (n > 0)
        assert_int_equal(neo_row_i64(row, 1), n - 1); /* none is missing in the middle */
    assert_int_equal(neo_row_done(row, NULL), NEO_OK);
    return n;
}

/* The child: adds rows and reports each one after its commit. Ends only by _exit: it may be traced.
 */
static void write_rows(const char *path, int report, int64_t rows)
{
    static uint8_t text[5000];
    struct neo_store *store;

    if (neo_store_open(path, schema, &store, NULL) != NEO_OK)
        _exit(2);
    for (int64_t n = rows_of(store); rows != 0; n++, rows--) {
        const struct neo_value values[] = {
            neo_value_i64(n), neo_value_bytes(neo_bytes(text, (size_t)(n * 977 % 5000)))};
        if (neo_store_run(store, "INSERT INTO log VALUES(?1, ?2)", values, 2, NULL, NULL) != NEO_OK)
            _exit(3);
        int64_t acknowledged = n + 1;
        if (write(report, &acknowledged, sizeof(acknowledged)) != sizeof(acknowledged))
            _exit(4);
    }
    neo_store_close(store);
    _exit(0);
}

static int64_t last_report(int pipe, int64_t latest)
{
    while (read(pipe, &latest, sizeof(latest)) == sizeof(latest))
        continue;
    return latest;
}

/* Returns the rows there are: they were read, so they may not go any more either. */
static int64_t assert_kept(int64_t acknowledged)
{
    struct neo_store *store = NULL;
    struct neo_error err;

    if (neo_store_open(scratch("db"), schema, &store, &err) != NEO_OK)
        fail_msg("%s", err.message);
    int64_t rows = rows_of(store);
    assert_in_range(rows, acknowledged, acknowledged + 1);
    assert_int_equal(neo_store_check(store, NULL), NEO_OK);
    neo_store_close(store);
    return rows;
}

TEST(a_kill_at_any_moment_loses_nothing_acknowledged)
{
    uint64_t seed = 30;
    int64_t acknowledged = 0;

    for (int i = 0; i < KILLS; i++) {
        int report[2];
        int status;

        assert_int_equal(pipe(report), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_rows(scratch("db"), report[1], -1);
        (void)close(report[1]);
        /* Some die while they open; most when they have begun, however busy the machine is. */
        int64_t latest = 0;
        if (i % 4 != 0)
            assert_int_equal(read(report[0], &latest, sizeof(latest)), sizeof(latest));
        long moment = (long)unit_random(&seed, 15 * 1000 * 1000);
        (void)nanosleep(&(struct timespec){.tv_nsec = moment}, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        latest = last_report(report[0], latest);
        (void)close(report[0]);
        acknowledged = assert_kept(latest != 0 ? latest : acknowledged);
    }
    print_message("%d kills, %d rows\n", KILLS, (int)acknowledged);
    assert_true(acknowledged >= KILLS * 3 / 4);
}

/* Runs this program under strace, which kills it at its `nth` call of `calls`. */
static int run_traced(const char *calls, int nth, int report)
{
    char inject[128];
    char fd[16];
    char self[256] = {0};
    int status;

    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)snprintf(inject, sizeof(inject), "inject=%s:signal=SIGKILL:when=%d", calls, nth);
        (void)snprintf(fd, sizeof(fd), "%d", report);
        (void)execlp("strace", "strace", "-qq", "-o", "/dev/null", "-e", inject, self,
                     scratch("db"), fd, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int64_t kill_at(const char *calls, int nth, bool *ret_fired)
{
    int report[2];

    assert_int_equal(pipe(report), 0);
    int status = run_traced(calls, nth, report[1]);
    (void)close(report[1]);
    int64_t latest = last_report(report[0], 0);
    (void)close(report[0]);
    *ret_fired = WIFSIGNALED(status);
    return latest;
}

TEST(a_kill_at_every_system_call_that_writes_loses_nothing_acknowledged)
{
    static const char *const calls[] = {"pwrite64", "fdatasync", "openat",
                                        "unlink",   "ftruncate", "fsync"};
    bool fired;
    int points = 0;

    int status = run_traced("pwrite64", 1, STDERR_FILENO);
    if (!WIFSIGNALED(status)) {
        print_message("SKIPPED: strace is absent or may not trace here\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        for (int nth = 1;; nth++) {
            (void)unlink(scratch("db"));
            (void)unlink(scratch("db-wal"));
            (void)unlink(scratch("db-journal"));
            int64_t acknowledged = kill_at(calls[i], nth, &fired);
            (void)assert_kept(acknowledged);
            if (!fired)
                break;
            points++;
        }
    print_message("%d kill points\n", points);
    assert_true(points > 50);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_kill_at_any_moment_loses_nothing_acknowledged),
        scratch_test(a_kill_at_every_system_call_that_writes_loses_nothing_acknowledged),
    };

    if (argc == 3)
        write_rows(argv[1], argv[2][0] - '0', ROWS_UNDER_STRACE);
    return cmocka_run_group_tests_name("store/kill", tests, NULL, NULL);
}
