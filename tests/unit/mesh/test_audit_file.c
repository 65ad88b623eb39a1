/* SPDX-License-Identifier: Apache-2.0 */
#include "../scratch.h"

#include <neo/audit_file.h>
#include <neo/loop.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* --- the disk of this test takes the place of libc's --------------------------------------------
 */

static atomic_int sync_fails;
static atomic_int sync_msec;
static atomic_int syncs;
static atomic_bool is_gate_closed;
static atomic_bool is_waiting; /* a sync, at the gate */

static void pause_msec(int msec)
{
    (void)nanosleep(&(struct timespec){.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000L},
                    NULL);
}

int fdatasync(int fd)
{
    if (atomic_load(&sync_msec) > 0)
        pause_msec(atomic_load(&sync_msec));
    while (atomic_load(&is_gate_closed)) {
        atomic_store(&is_waiting, true);
        pause_msec(1);
    }
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&sync_fails) > 0) {
        atomic_fetch_sub(&sync_fails, 1);
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* --- verbs ---------------------------------------------------------------------------------------
 */

static struct neo_audit_file *open_with(struct neo_audit_file_options o)
{
    struct neo_audit_file *f = NULL;
    struct neo_error err = {0};

    if (o.path == NULL)
        o.path = scratch("audit.jsonl");
    if (neo_audit_file_open_with(&o, &f, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return f;
}

static struct neo_audit_file *open_trail(void)
{
    return open_with((struct neo_audit_file_options){0});
}

static enum neo_code code_of_opening(struct neo_error *err)
{
    struct neo_audit_file *f = NULL;
    enum neo_code code = neo_audit_file_open(scratch("audit.jsonl"), NULL, &f, err);

    neo_audit_file_close(f);
    return code;
}

static struct neo_audit_record numbered(uint64_t n)
{
    struct neo_audit_record r = {
        .wall_nsec = (int64_t)n,
        .caller = NEO_LIT("spiffe://neo.local/price-feed"),
        .target = NEO_LIT("function-service"),
        .method = NEO_LIT("neo.functions.v1.Functions/Execute"),
        .decision = "deny",
        .stage = "authorise",
        .reason = "NO_RULE_ALLOWS",
        .detail = "no rule lets price-feed call Execute",
    };

    (void)snprintf(r.id.text, sizeof(r.id.text), "d-%016llx", (unsigned long long)n);
    return r;
}

static enum neo_code append(struct neo_audit_file *f, uint64_t n)
{
    struct neo_audit_record r = numbered(n);

    return neo_audit_file_append(f, &r, NULL);
}

static enum neo_code append_durable(struct neo_audit_file *f, uint64_t n)
{
    struct neo_audit_record r = numbered(n);

    return neo_audit_file_append_durable(f, &r, NULL);
}

static void must(enum neo_code code)
{
    assert_int_equal(code, NEO_OK);
}

static struct neo_buffer read_file(const char *path)
{
    struct neo_buffer text = {0};

    must(neo_file_read(path, 1u << 30, &text, NULL));
    return text;
}

static struct neo_audit_chain verify_at(const char *path)
{
    struct neo_audit_chain chain = {0};
    struct neo_error err = {0};
    char pub[160];

    (void)snprintf(pub, sizeof(pub), "%s.pub", path);
    struct neo_buffer text = read_file(path);
    struct neo_buffer spki = read_file(pub);
    enum neo_code code =
        neo_audit_verify(neo_buffer_bytes(&text), neo_buffer_bytes(&spki), &chain, &err);
    neo_buffer_fini(&text);
    neo_buffer_fini(&spki);
    if (code != NEO_OK)
        fail_msg("%s", err.message);
    return chain;
}

static struct neo_audit_chain verify(void)
{
    return verify_at(scratch("audit.jsonl"));
}

/* How often `part` is in the file. */
static unsigned count_at(const char *path, const char *part)
{
    struct neo_buffer text = read_file(path);
    unsigned n = 0;

    assert_true(neo_buffer_append_byte(&text, '\0'));
    for (const char *at = strstr((const char *)text.at, part); at != NULL;
         at = strstr(at + 1, part))
        n++;
    neo_buffer_fini(&text);
    return n;
}

static unsigned count(const char *part)
{
    return count_at(scratch("audit.jsonl"), part);
}

static void append_text(const char *text, size_t len)
{
    int fd = open(scratch("audit.jsonl"), O_WRONLY | O_APPEND | O_CLOEXEC);

    assert_int_equal(write(fd, text, len), len);
    (void)close(fd);
}

static bool soon(bool (*is)(void *), void *self)
{
    for (int i = 0; i < 2000; i++) {
        if (is(self))
            return true;
        pause_msec(10);
    }
    return false;
}

static bool is_well(void *self)
{
    struct neo_audit_file_stats s = neo_audit_file_stats(self);

    return s.state == NEO_OK && s.durable == s.taken;
}

/* --- promises ------------------------------------------------------------------------------------
 */

TEST(what_was_recorded_is_in_a_signed_chain)
{
    struct neo_audit_file *f = open_trail();

    for (uint64_t n = 1; n <= 3500; n++)
        must(append(f, n));
    neo_audit_file_close(f);

    struct neo_audit_chain chain = verify();
    assert_int_equal(count("\"id\":"), 3500);
    assert_int_equal(chain.checkpoint, chain.sequence);
    assert_true(count("\"checkpoint\":") >= 4);
    assert_int_equal(scratch_mode("audit.jsonl"), 0600);
    assert_int_equal(scratch_mode("audit.jsonl.key"), 0600);
    assert_int_equal(scratch_mode("audit.jsonl.pub"), 0644);
}

TEST(records_keep_the_order_of_their_thread)
{
    struct neo_audit_file *f = open_trail();

    for (uint64_t n = 1; n <= 200; n++)
        must(append(f, n));
    neo_audit_file_close(f);
    struct neo_buffer text = read_file(scratch("audit.jsonl"));
    const uint8_t *last = text.at;
    for (uint64_t n = 1; n <= 200; n++) {
        struct neo_bytes line = neo_audit_find(neo_buffer_bytes(&text), numbered(n).id.text);
        assert_true(line.at >= last);
        last = line.at;
    }
    neo_buffer_fini(&text);
}

TEST(a_trail_is_continued_where_it_ended)
{
    for (uint64_t round = 0; round < 5; round++) {
        struct neo_audit_file *f = open_trail();
        for (uint64_t n = 0; n < 40; n++)
            must(append(f, 100 * round + n));
        neo_audit_file_close(f);
    }
    uint64_t lines = verify().sequence;
    assert_int_equal(count("\"id\":"), 200);
    neo_audit_file_close(open_trail()); /* nothing recorded, nothing written */
    assert_int_equal(verify().sequence, lines);
}

TEST(a_long_trail_is_continued_by_its_tail)
{
    struct neo_audit_file *f = open_trail();

    for (uint64_t n = 0; n < 6000; n++)
        must(append(f, n));
    neo_audit_file_close(f);
    f = open_trail();
    must(append(f, 6000));
    neo_audit_file_close(f);
    (void)verify();
    assert_int_equal(count("\"id\":"), 6001);
}

TEST(a_line_torn_by_a_crash_is_cut_and_the_trail_says_so)
{
    static const char *const torn[] = {"{\"seq\":", "x", "\0\0\0\0\0"};
    static const size_t lens[] = {7, 1, 5};

    for (size_t i = 0; i < NEO_COUNT(torn); i++) {
        struct neo_audit_file *f = open_trail();
        must(append(f, i));
        neo_audit_file_close(f);
        append_text(torn[i], lens[i]);
        assert_int_equal(count("\"torn\":"), i);
        neo_audit_file_close(open_trail());
        assert_int_equal(verify().checkpoint, verify().sequence);
        assert_int_equal(count("\"torn\":"), i + 1);
    }
    assert_int_equal(count("\"torn\":7"), 1);
    assert_int_equal(count("\"id\":"), 3);
}

TEST(a_trail_that_was_only_torn_begins_anew)
{
    neo_audit_file_close(open_trail());
    append_text("{\"se", 4);
    neo_audit_file_close(open_trail());
    assert_int_equal(count("\"torn\":4"), 1);
    (void)verify();
}

TEST(a_trail_that_was_changed_is_not_continued)
{
    struct neo_audit_file *f = open_trail();
    struct neo_error err;

    for (uint64_t n = 0; n < 10; n++)
        must(append(f, n));
    neo_audit_file_close(f);
    int fd = open(scratch("audit.jsonl"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "9", 1, 500), 1);
    (void)close(fd);
    assert_int_equal(code_of_opening(&err), NEO_DATA_LOSS);
    assert_non_null(strstr(err.message, "put it aside"));
    assert_non_null(strstr(err.message, "line"));
}

TEST(foreign_text_is_not_continued)
{
    neo_audit_file_close(open_trail());
    append_text("hello\n", 6);
    assert_int_equal(code_of_opening(NULL), NEO_DATA_LOSS);
}

TEST(a_trail_whose_key_is_gone_is_not_continued)
{
    struct neo_audit_file *f = open_trail();
    struct neo_error err;

    must(append(f, 1));
    neo_audit_file_close(f);
    assert_int_equal(unlink(scratch("audit.jsonl.key")), 0);
    assert_int_equal(code_of_opening(&err), NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "audit.jsonl.key"));
    assert_false(scratch_exists("audit.jsonl.key"));
}

TEST(a_key_of_the_callers_signs_instead)
{
    struct neo_key *key;

    must(neo_key_generate(NEO_KEY_P256, &key, NULL));
    struct neo_audit_file *f = open_with((struct neo_audit_file_options){.key = key});
    neo_key_unref(key);
    must(append(f, 1));
    neo_audit_file_close(f);
    (void)verify();
    assert_false(scratch_exists("audit.jsonl.key"));
}

TEST(what_is_not_a_private_file_is_refused)
{
    struct neo_audit_file *f = NULL;
    struct neo_error err;

    assert_int_equal(neo_audit_file_open("/nonexistent/a", NULL, &f, &err), NEO_NOT_FOUND);
    assert_int_equal(neo_audit_file_open("/dev/null", NULL, &f, &err), NEO_INVALID_ARGUMENT);
    neo_audit_file_close(open_trail());
    assert_int_equal(chmod(scratch("audit.jsonl"), 0644), 0);
    assert_int_equal(code_of_opening(&err), NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "chmod 600"));
    assert_int_equal(symlink("/tmp/elsewhere", scratch("link")), 0);
    assert_int_not_equal(neo_audit_file_open(scratch("link"), NULL, &f, &err), NEO_OK);
    assert_null(f);
}

TEST(a_trail_has_one_writer)
{
    struct neo_audit_file *f = open_trail();

    assert_int_equal(code_of_opening(NULL), NEO_UNAVAILABLE);
    neo_audit_file_close(f);
    must(code_of_opening(NULL));
}

static bool has_one_record(void *self)
{
    (void)self;
    return count("\"id\":") == 1;
}

static bool has_checkpoint(void *self)
{
    (void)self;
    return count("\"checkpoint\":") > 0;
}

TEST(a_record_is_written_at_once_and_signed_within_a_second)
{
    struct neo_audit_file *f = open_trail();
    neo_nsec start = neo_mono_nsec();

    must(append(f, 1));
    assert_true(soon(has_one_record, NULL));
    assert_int_equal(count("\"checkpoint\":"), 0);
    assert_true(soon(has_checkpoint, NULL));
    assert_in_range(neo_mono_nsec() - start, 900 * NEO_NSEC_PER_MSEC, 10 * NEO_NSEC_PER_SEC);
    assert_true(soon(is_well, f));
    assert_int_equal(neo_audit_file_stats(f).durable, 1);
    assert_int_equal(verify().sequence, 2);
    neo_audit_file_close(f);
    assert_int_equal(verify().sequence, 2);
}

TEST(a_durable_record_is_on_the_disk_when_the_call_returns)
{
    struct neo_audit_file *f = open_trail();

    for (uint64_t n = 1; n <= 20; n++) {
        int before = atomic_load(&syncs);
        must(append_durable(f, n));
        assert_true(atomic_load(&syncs) > before);
        assert_int_equal(count("\"id\":"), n);
        assert_int_equal(neo_audit_file_stats(f).durable, n);
    }
    neo_audit_file_close(f);
    (void)verify();
}

TEST(nobody_waits_for_a_slow_disk)
{
    struct neo_audit_file *f = open_trail();
    neo_nsec longest = 0;

    atomic_store(&sync_msec, 1500);
    neo_nsec end = neo_mono_nsec() + 3 * NEO_NSEC_PER_SEC;
    uint64_t n = 0;
    while (neo_mono_nsec() < end) {
        neo_nsec before = neo_mono_nsec();
        must(append(f, n++));
        neo_nsec took = neo_mono_nsec() - before;
        longest = took > longest ? took : longest;
        pause_msec(1);
    }
    atomic_store(&sync_msec, 0);
    neo_audit_file_close(f);
    (void)verify();
    assert_int_equal(count("\"id\":"), n);
    assert_true(longest < 700 * NEO_NSEC_PER_MSEC); /* a busy machine; the disk took 1500 */
}

TEST(a_failed_sync_is_never_believed_again)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_audit_file *f = open_with((struct neo_audit_file_options){.metrics = m});

    must(append_durable(f, 1));
    atomic_store(&sync_fails, 1);
    assert_int_equal(append_durable(f, 2), NEO_INTERNAL);
    int before = atomic_load(&syncs);
    assert_int_equal(append_durable(f, 3), NEO_INTERNAL);
    assert_int_equal(append(f, 4), NEO_INTERNAL);
    assert_int_equal(neo_audit_file_stats(f).state, NEO_INTERNAL);
    assert_int_equal(neo_audit_file_stats(f).durable, 1);
    assert_int_equal(neo_audit_file_stats(f).lost, 2);
    assert_int_equal(
        neo_counter_get(neo_counter(
            neo_metrics_family(m, "neo_audit_failing",
                               "0: written; 1: the disk is full; 2: it failed, restart.", NEO_GAUGE,
                               NULL),
            NULL)),
        2);
    neo_audit_file_close(f);
    assert_int_equal(atomic_load(&syncs), before);
    neo_metrics_free(m);

    f = open_trail(); /* what is there is a chain and goes on */
    must(append_durable(f, 5));
    neo_audit_file_close(f);
    (void)verify();
}

static bool is_at_the_gate(void *self)
{
    (void)self;
    return atomic_load(&is_waiting);
}

TEST(records_that_come_too_fast_are_refused_counted_and_told)
{
    enum { N = 1000 };
    struct neo_audit_file *f = open_with((struct neo_audit_file_options){.queue = 1});
    uint64_t refused = 0;

    atomic_store(&is_waiting, false);
    atomic_store(&is_gate_closed, true);
    must(append(f, 0));
    assert_true(soon(is_at_the_gate, NULL));
    for (uint64_t n = 1; n < N; n++)
        refused += append(f, n) == NEO_RESOURCE_EXHAUSTED;
    assert_in_range(refused, 1, N - 2);
    assert_int_equal(neo_audit_file_stats(f).lost, refused);
    assert_int_equal(neo_audit_file_stats(f).taken, N - refused);
    atomic_store(&is_gate_closed, false);
    neo_audit_file_close(f);
    (void)verify();
    assert_int_equal(count("\"id\":"), N - refused);
    char told[32];
    (void)snprintf(told, sizeof(told), "\"lost\":%d,", (int)refused);
    assert_int_equal(count(told), 1);
}

/* --- a full disk ---------------------------------------------------------------------------------
 */

static bool mount_small_disk(void)
{
    const char *disk = scratch("disk");

    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("none", disk, "tmpfs", 0, "size=256k") == 0)
        return true;
    print_message("SKIPPED: a small disk needs root\n");
    return false;
}

static bool is_full(void *self)
{
    return neo_audit_file_stats(self).state == NEO_RESOURCE_EXHAUSTED;
}

static void fill_disk(struct neo_audit_file *f)
{
    for (uint64_t n = 0; n < 2000 && !is_full(f); n++) {
        (void)append(f, n);
        pause_msec(n % 50 == 49 ? 3 : 0);
    }
    assert_true(soon(is_full, f));
}

TEST(a_full_disk_is_survived_and_what_was_lost_is_told)
{
    if (!mount_small_disk())
        skip();
    char path[160];
    (void)snprintf(path, sizeof(path), "%s", scratch("disk/audit.jsonl"));
    int ballast = open(scratch("disk/ballast"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(ballast, 0, 120000), 0);

    struct neo_audit_file *f = open_with((struct neo_audit_file_options){.path = path});
    fill_disk(f);
    assert_int_equal(append_durable(f, 1), NEO_RESOURCE_EXHAUSTED);
    must(append(f, 99999)); /* there is room in the queue */
    assert_int_equal(neo_audit_file_stats(f).lost, 1);
    assert_int_equal(ftruncate(ballast, 0), 0);
    assert_true(soon(is_well, f));
    must(append_durable(f, 100000));
    struct neo_audit_file_stats stats = neo_audit_file_stats(f);
    neo_audit_file_close(f);

    struct neo_audit_chain chain = verify_at(path);
    unsigned records = count_at(path, "\"id\":");
    unsigned told = count_at(path, "\"lost\":1");
    unsigned kept = count_at(path, "d-000000000001869f");
    (void)close(ballast);
    assert_int_equal(umount(scratch("disk")), 0);
    assert_int_equal(records, stats.taken);
    assert_int_equal(told, 1);
    assert_int_equal(kept, 1);
    assert_int_equal(chain.checkpoint, chain.sequence);
}

TEST(with_fail_closed_a_full_disk_refuses_every_record)
{
    if (!mount_small_disk())
        skip();
    struct neo_audit_file *f = open_with(
        (struct neo_audit_file_options){.path = scratch("disk/audit.jsonl"), .fail_closed = true});

    fill_disk(f);
    enum neo_code refused = append(f, 1);
    uint64_t lost = neo_audit_file_stats(f).lost;
    neo_audit_file_close(f);
    assert_int_equal(umount(scratch("disk")), 0);
    assert_int_equal(refused, NEO_RESOURCE_EXHAUSTED);
    assert_true(lost > 0);
}

/* --- threads, kills, memory ----------------------------------------------------------------------
 */

enum { THREADS = 4, EACH = 3000, KILLS = 40 };

static void *record_many(void *self)
{
    struct neo_audit_file *f = self;
    static _Atomic uint64_t next;

    for (int i = 0; i < EACH; i++) {
        struct neo_audit_record r = numbered(atomic_fetch_add(&next, 1));
        struct neo_audit_sink *sink = neo_audit_file_sink(f);
        if (i % 500 != 0)
            sink->record(sink, &r);
        else if (neo_audit_file_append_durable(f, &r, NULL) != NEO_OK)
            return self;
    }
    return NULL;
}

TEST(many_threads_record_into_one_chain)
{
    struct neo_audit_file *f = open_trail();
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, f), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    struct neo_audit_file_stats stats = neo_audit_file_stats(f);
    assert_int_equal(stats.taken + stats.lost, THREADS * EACH);
    neo_audit_file_close(f);
    (void)verify();
    assert_int_equal(count("\"id\":"), stats.taken);
}

static void record_until_killed(int report)
{
    struct neo_audit_file *f = NULL;

    if (neo_audit_file_open(scratch("audit.jsonl"), NULL, &f, NULL) != NEO_OK)
        _exit(2);
    for (uint64_t n = (uint64_t)getpid() << 32;; n++) {
        if (n % 4 != 0)
            (void)append(f, n);
        else if (append_durable(f, n) != NEO_OK || write(report, &n, sizeof(n)) != sizeof(n))
            _exit(3);
    }
}

TEST(a_kill_loses_no_record_that_was_acknowledged)
{
    uint64_t seed = 70;
    unsigned acknowledged = 0;

    for (int i = 0; i < KILLS; i++) {
        int report[2];
        uint64_t n;

        assert_int_equal(pipe(report), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            record_until_killed(report[1]);
        (void)close(report[1]);
        /* Some die while they open; most when they have begun, however busy the machine is. */
        uint64_t first = 0;
        if (i % 4 != 0)
            assert_int_equal(read(report[0], &first, sizeof(first)), sizeof(first));
        pause_msec((int)unit_random(&seed, 40));
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        if (!scratch_exists("audit.jsonl")) {
            (void)close(report[0]);
            continue;
        }
        neo_audit_file_close(open_trail()); /* cuts what was torn */
        (void)verify();
        struct neo_buffer text = read_file(scratch("audit.jsonl"));
        if (first != 0) {
            assert_true(neo_audit_find(neo_buffer_bytes(&text), numbered(first).id.text).len > 0);
            acknowledged++;
        }
        while (read(report[0], &n, sizeof(n)) == sizeof(n)) {
            assert_true(neo_audit_find(neo_buffer_bytes(&text), numbered(n).id.text).len > 0);
            acknowledged++;
        }
        neo_buffer_fini(&text);
        (void)close(report[0]);
    }
    assert_true(acknowledged >= KILLS * 3 / 4);
}

TEST(lack_of_memory_at_opening_fails_cleanly)
{
    struct neo_audit_file *f = NULL;
    enum neo_code code = NEO_INTERNAL;

    for (unsigned long n = 1; code != NEO_OK; n++) {
        neo_memory_fail_at(n);
        code = neo_audit_file_open(scratch("audit.jsonl"), NULL, &f, NULL);
        neo_memory_fail_at(0);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED ||
                    code == NEO_FAILED_PRECONDITION);
    }
    must(append(f, 1));
    neo_audit_file_close(f);
    (void)verify();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(what_was_recorded_is_in_a_signed_chain),
        scratch_test(records_keep_the_order_of_their_thread),
        scratch_test(a_trail_is_continued_where_it_ended),
        scratch_test(a_long_trail_is_continued_by_its_tail),
        scratch_test(a_line_torn_by_a_crash_is_cut_and_the_trail_says_so),
        scratch_test(a_trail_that_was_only_torn_begins_anew),
        scratch_test(a_trail_that_was_changed_is_not_continued),
        scratch_test(foreign_text_is_not_continued),
        scratch_test(a_trail_whose_key_is_gone_is_not_continued),
        scratch_test(a_key_of_the_callers_signs_instead),
        scratch_test(what_is_not_a_private_file_is_refused),
        scratch_test(a_trail_has_one_writer),
        scratch_test(a_record_is_written_at_once_and_signed_within_a_second),
        scratch_test(a_durable_record_is_on_the_disk_when_the_call_returns),
        scratch_test(nobody_waits_for_a_slow_disk),
        scratch_test(a_failed_sync_is_never_believed_again),
        scratch_test(records_that_come_too_fast_are_refused_counted_and_told),
        scratch_test(a_full_disk_is_survived_and_what_was_lost_is_told),
        scratch_test(with_fail_closed_a_full_disk_refuses_every_record),
        scratch_test(many_threads_record_into_one_chain),
        scratch_test(a_kill_loses_no_record_that_was_acknowledged),
        scratch_test(lack_of_memory_at_opening_fails_cleanly),
    };
    return cmocka_run_group_tests_name("mesh/audit_file", tests, NULL, NULL);
}
