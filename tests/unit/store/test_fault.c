/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is acknowledged is kept, whatever the disk does. The store runs on a disk
 * in memory that fails at a chosen step, or loses power there.
 */
#include "../scratch.h"
#include "ram_disk.h"

#include <neo/memory.h>
#include <neo/store.h>

/* Sanitizers make this many times slower; then a part of the places must do. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IMAGES = 150, STRIDE = 13 };
#else
enum { IMAGES = 2000, STRIDE = 1 };
#endif

static const char *const schema[] = {
    "CREATE TABLE log(n INTEGER PRIMARY KEY, pair INTEGER UNIQUE, text BLOB) STRICT;",
    NULL,
};

/* The rows 0 .. `acknowledged` - 1 were promised; row `acknowledged` may be there or not. */
static int64_t acknowledged;

static enum neo_code add_row(struct neo_store *store)
{
    static uint8_t text[9000];
    const struct neo_value values[] = {
        neo_value_i64(acknowledged),
        neo_value_bytes(neo_bytes(text, (size_t)(acknowledged * 977 % 9000))),
    };

    memset(text, (int)('a' + acknowledged % 26), sizeof(text));
    NEO_TRY(neo_store_begin(store, NULL));
    enum neo_code code =
        neo_store_run(store, "INSERT INTO log VALUES(?1, NULL, ?2)", values, 2, NULL, NULL);
    if (code == NEO_OK)
        code = neo_store_run(store, "UPDATE log SET pair = -n WHERE n = ?1", values, 1, NULL, NULL);
    if (code != NEO_OK) {
        neo_store_rollback(store);
        return code;
    }
    NEO_TRY(neo_store_commit(store, NULL));
    acknowledged++;
    return NEO_OK;
}

static enum neo_code checkpoint(struct neo_store *store)
{
    struct neo_row *row;

    NEO_TRY(neo_store_query(store, "PRAGMA wal_checkpoint(PASSIVE)", NULL, 0, &row, NULL));
    while (neo_row_next(row))
        continue;
    return neo_row_done(row, NULL);
}

/* Opens, adds, checkpoints, closes, opens again; stops at the first failure. */
static enum neo_code work(void)
{
    for (int session = 0; session < 3; session++) {
        struct neo_store *store;
        enum neo_code code = neo_store_open(scratch("db"), schema, &store, NULL);
        if (code != NEO_OK)
            return code;
        for (int i = 0; i < 8 && code == NEO_OK; i++) {
            code = add_row(store);
            if (code == NEO_OK && i == 5)
                code = checkpoint(store);
        }
        neo_store_close(store);
        NEO_TRY(code);
    }
    return NEO_OK;
}

static void assert_kept(struct neo_store *store)
{
    struct neo_row *row;
    int64_t n = 0;

    assert_int_equal(neo_store_check(store, NULL), NEO_OK);
    assert_int_equal(neo_store_query(store, "SELECT n, pair, length(text) FROM log ORDER BY n",
                                     NULL, 0, &row, NULL),
                     NEO_OK);
    for (; neo_row_next(row); n++) {
        assert_int_equal(neo_row_i64(row, 0), n);
        assert_int_equal(neo_row_i64(row, 1), -n); /* both statements of its transaction */
        assert_int_equal(neo_row_i64(row, 2), n * 977 % 9000);
    }
    assert_int_equal(neo_row_done(row, NULL), NEO_OK);
    assert_in_range(n, acknowledged, acknowledged + 1);
}

static void assert_kept_after_restart(void)
{
    struct neo_store *store = NULL;
    struct neo_error err;

    if (neo_store_open(scratch("db"), schema, &store, &err) != NEO_OK)
        fail_msg("%d rows acknowledged, but: %s", (int)acknowledged, err.message);
    assert_kept(store);
    neo_store_close(store);
}

static void start_over(void)
{
    ram_format();
    acknowledged = 0;
    (void)unlink(scratch("db"));
}

static uint64_t steps_of_work(void)
{
    start_over();
    ram_fail(RAM_ANY, 0, 0, 0);
    assert_int_equal(work(), NEO_OK);
    assert_int_equal(acknowledged, 24);
    return ram.steps;
}

TEST(a_power_loss_at_any_step_loses_nothing_acknowledged)
{
    uint64_t steps = steps_of_work();
    uint64_t seed = 20;
    unsigned images = 0;
    int64_t rows = 0;

    while (images < IMAGES)
        for (uint64_t at = 1 + images % STRIDE; at <= steps; at += STRIDE, images++) {
            start_over();
            ram_fail(RAM_ANY, at, UINT64_MAX, SQLITE_IOERR);
            (void)work(); /* an error at the last close has nobody to tell */
            assert_true(ram.failed > 0);
            ram_lose_power(&seed);
            assert_kept_after_restart();
            rows += acknowledged;
        }
    print_message("%u power losses at %u places, %d acknowledged rows kept\n", images,
                  (unsigned)steps, (int)rows);
}

/* -1 when it cannot be read. */
static int64_t rows_of(struct neo_store *store)
{
    struct neo_row *row;
    int64_t n = 0;

    if (neo_store_query(store, "SELECT n FROM log", NULL, 0, &row, NULL) != NEO_OK)
        return -1;
    while (neo_row_next(row))
        n++;
    return neo_row_done(row, NULL) == NEO_OK ? n : -1;
}

/* The control: on a disk whose syncs lie, the test above must find losses. */
TEST(a_disk_that_lies_is_noticed)
{
    uint64_t steps = steps_of_work();
    uint64_t seed = 21;
    unsigned lost = 0;

    for (uint64_t at = steps / 2; at <= steps; at += STRIDE) {
        struct neo_store *store = NULL;

        start_over();
        ram.lies = true;
        ram_fail(RAM_ANY, at, UINT64_MAX, SQLITE_IOERR);
        (void)work();
        ram.lies = false;
        ram_lose_power(&seed);
        lost += neo_store_open(scratch("db"), schema, &store, NULL) != NEO_OK ||
                neo_store_check(store, NULL) != NEO_OK || rows_of(store) < acknowledged;
        neo_store_close(store);
    }
    assert_true(lost > steps / STRIDE / 4);
}

TEST(one_failed_sync_stops_all_writing_until_reopened)
{
    uint64_t steps = steps_of_work();
    unsigned fired = 0;

    for (uint64_t at = 1; at <= steps; at += STRIDE) {
        struct neo_store *store;
        enum neo_code code = NEO_OK;

        start_over();
        assert_int_equal(neo_store_open(scratch("db"), schema, &store, NULL), NEO_OK);
        ram_fail(RAM_SYNC, at, 1, SQLITE_IOERR);
        for (int i = 0; i < 20 && code == NEO_OK; i++) {
            code = add_row(store);
            if (i % 3 == 2)
                (void)checkpoint(store);
        }
        if (ram.failed > 0) {
            fired++;
            /* The disk works again, and nobody believes it. */
            struct neo_error err;
            assert_int_equal(neo_store_begin(store, &err), NEO_INTERNAL);
            assert_non_null(strstr(err.message, "read-only"));
            assert_int_equal(neo_store_run(store, "DELETE FROM log", NULL, 0, NULL, NULL),
                             NEO_INTERNAL);
            assert_kept(store); /* reads go on */
        }
        neo_store_close(store);
        ram_fail(RAM_ANY, 0, 0, 0);
        assert_kept_after_restart();
    }
    assert_true(fired > 0);
}

TEST(an_io_error_at_any_step_loses_nothing_acknowledged)
{
    uint64_t steps = steps_of_work();
    uint64_t seed = 22;

    for (uint64_t at = 1; at <= steps; at += STRIDE) {
        start_over();
        ram_fail(RAM_ANY, at, 1, SQLITE_IOERR);
        (void)work();
        assert_int_equal(ram.failed, 1);
        ram_lose_power(&seed);
        assert_kept_after_restart();
    }
}

TEST(a_full_disk_at_any_step_loses_nothing_and_needs_no_restart)
{
    uint64_t steps = steps_of_work();
    unsigned refused = 0;

    for (uint64_t at = 1; at <= steps; at += STRIDE) {
        struct neo_store *store;

        start_over();
        assert_int_equal(neo_store_open(scratch("db"), schema, &store, NULL), NEO_OK);
        ram_fail(RAM_WRITE, at, 5, SQLITE_FULL);
        for (int i = 0; i < 24; i++) {
            enum neo_code code = add_row(store);
            if (code == NEO_OK)
                continue;
            assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
            assert_kept(store);
            refused++;
        }
        ram_fail(RAM_ANY, 0, 0, 0);
        assert_int_equal(add_row(store), NEO_OK);
        neo_store_close(store);
        assert_kept_after_restart();
    }
    assert_true(refused > steps / STRIDE / 2);
}

/* --- memory -------------------------------------------------------------------------------------
 */

/* SQLite's allocations are ours for this test, with the size in front. */
struct block {
    size_t size;
    size_t unused;
};

static void *lend(int size)
{
    struct block *b = neo_alloc(sizeof(*b) + (size_t)size);

    if (b == NULL)
        return NULL;
    b->size = (size_t)size;
    return b + 1;
}

static void take_back(void *memory)
{
    neo_free((struct block *)memory - 1);
}

static void *lend_more(void *memory, int size)
{
    struct block *b = neo_realloc((struct block *)memory - 1, sizeof(*b) + (size_t)size);

    if (b == NULL)
        return NULL;
    b->size = (size_t)size;
    return b + 1;
}

static int size_of(void *memory)
{
    return (int)((struct block *)memory - 1)->size;
}

static int round_up(int size)
{
    return (size + 7) & ~7;
}

static int begin_lending(void *self)
{
    (void)self;
    return SQLITE_OK;
}

static void end_lending(void *self)
{
    (void)self;
}

static const sqlite3_mem_methods lender = {
    lend, take_back, lend_more, size_of, round_up, begin_lending, end_lending, NULL,
};

TEST(lack_of_memory_anywhere_fails_cleanly_and_loses_nothing)
{
    unsigned long n = 0;
    enum neo_code code;

    do {
        start_over();
        n += STRIDE;
        neo_memory_fail_at(n);
        code = work();
        neo_memory_fail_at(0);
        if (code != NEO_OK && code != NEO_RESOURCE_EXHAUSTED && code != NEO_ABORTED)
            fail_msg("allocation %lu gave %s", n, neo_code_name(code));
        if (n % 8 == 1 || code == NEO_OK)
            assert_kept_after_restart();
    } while (code != NEO_OK);
    print_message("%lu allocations failed in turn\n", n / STRIDE);
    assert_true(n > 500 / STRIDE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_power_loss_at_any_step_loses_nothing_acknowledged),
        scratch_test(a_disk_that_lies_is_noticed),
        scratch_test(one_failed_sync_stops_all_writing_until_reopened),
        scratch_test(an_io_error_at_any_step_loses_nothing_acknowledged),
        scratch_test(a_full_disk_at_any_step_loses_nothing_and_needs_no_restart),
        scratch_test(lack_of_memory_anywhere_fails_cleanly_and_loses_nothing),
    };

    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &lender) != SQLITE_OK)
        return 1;
    ram_mount();
    int failed = cmocka_run_group_tests_name("store/fault", tests, NULL, NULL);
    ram_format();
    return failed;
}
