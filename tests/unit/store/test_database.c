/* SPDX-License-Identifier: Apache-2.0 */
#include "../scratch.h"

#include <neo/store.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>

static const char *const schema[] = {
    "CREATE TABLE token(hash BLOB PRIMARY KEY, service TEXT NOT NULL, uses INTEGER) STRICT;"
    "CREATE INDEX token_by_service ON token(service);",
    "CREATE TABLE serial(n INTEGER PRIMARY KEY, token BLOB REFERENCES token(hash)) STRICT;",
    NULL,
};
static const char *const no_schema[] = {NULL};

static struct neo_store *open_with(const char *const *migrations)
{
    struct neo_store *store = NULL;
    struct neo_error err = {0};

    if (neo_store_open(scratch("db"), migrations, &store, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return store;
}

static struct neo_store *open_store(void)
{
    return open_with(schema);
}

static enum neo_code put(struct neo_store *store, const char *hash, const char *service)
{
    const struct neo_value values[] = {neo_value_bytes(neo_text(hash)),
                                       neo_value_text(neo_text(service)), neo_value_i64(1)};

    return neo_store_run(store, "INSERT INTO token VALUES(?1, ?2, ?3)", values, 3, NULL, NULL);
}

static void must(enum neo_code code)
{
    assert_int_equal(code, NEO_OK);
}

static int64_t number(struct neo_store *store, const char *sql)
{
    struct neo_row *row;

    must(neo_store_query(store, sql, NULL, 0, &row, NULL));
    assert_true(neo_row_next(row));
    int64_t n = neo_row_i64(row, 0);
    assert_false(neo_row_next(row));
    must(neo_row_done(row, NULL));
    return n;
}

static int64_t tokens(struct neo_store *store)
{
    return number(store, "SELECT count(*) FROM token");
}

static enum neo_code code_of_opening(const char *const *migrations, struct neo_error *err)
{
    struct neo_store *store = NULL;
    enum neo_code code = neo_store_open(scratch("db"), migrations, &store, err);

    if (code != NEO_OK)
        assert_null(store);
    neo_store_close(store);
    return code;
}

TEST(what_was_committed_is_there_after_reopening)
{
    struct neo_store *store = open_store();

    must(put(store, "a", "x"));
    must(neo_store_begin(store, NULL));
    must(put(store, "b", "y"));
    must(neo_store_commit(store, NULL));
    neo_store_close(store);
    store = open_store();
    assert_int_equal(tokens(store), 2);
    must(neo_store_check(store, NULL));
    neo_store_close(store);
    assert_false(scratch_exists("db-wal"));
}

TEST(what_was_not_committed_is_not_there)
{
    struct neo_store *store = open_store();

    must(neo_store_begin(store, NULL));
    must(put(store, "a", "x"));
    neo_store_rollback(store);
    assert_int_equal(tokens(store), 0);
    must(neo_store_begin(store, NULL));
    must(put(store, "b", "x"));
    neo_store_close(store);
    store = open_store();
    assert_int_equal(tokens(store), 0);
    neo_store_close(store);
}

TEST(a_transaction_has_one_level)
{
    struct neo_store *store = open_store();

    assert_int_equal(neo_store_commit(store, NULL), NEO_FAILED_PRECONDITION);
    must(neo_store_begin(store, NULL));
    assert_int_equal(neo_store_begin(store, NULL), NEO_FAILED_PRECONDITION);
    must(put(store, "a", "x"));
    must(neo_store_commit(store, NULL));
    assert_int_equal(neo_store_commit(store, NULL), NEO_FAILED_PRECONDITION);
    neo_store_rollback(store);
    assert_int_equal(tokens(store), 1);
    neo_store_close(store);
}

TEST(the_file_and_its_log_are_private_and_there_is_no_shared_memory)
{
    mode_t old = umask(0);
    struct neo_store *store = open_store();

    must(put(store, "a", "x"));
    assert_int_equal(scratch_mode("db"), 0600);
    assert_int_equal(scratch_mode("db-wal"), 0600);
    assert_false(scratch_exists("db-shm"));
    neo_store_close(store);
    (void)umask(old);
}

TEST(a_file_others_may_read_is_refused)
{
    struct neo_error err;

    neo_store_close(open_store());
    assert_int_equal(chmod(scratch("db"), 0640), 0);
    assert_int_equal(code_of_opening(schema, &err), NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "chmod 600"));
    assert_non_null(strstr(err.message, scratch("db")));
}

TEST(a_path_that_is_no_plain_file_is_refused)
{
    struct neo_store *store = NULL;

    assert_int_equal(neo_store_open("", schema, &store, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_store_open("file:x?mode=memory", schema, &store, NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_store_open("/tmp", schema, &store, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_store_open("/nonexistent/db", schema, &store, NULL), NEO_NOT_FOUND);
    assert_null(store);
}

TEST(it_syncs_every_commit_and_checks_foreign_keys)
{
    struct neo_store *store = open_store();

    assert_int_equal(number(store, "PRAGMA synchronous"), 2);
    assert_int_equal(number(store, "PRAGMA foreign_keys"), 1);
    neo_store_close(store);
}

TEST(each_migration_runs_once_and_in_order)
{
    static const char *const first[] = {"CREATE TABLE t(x); INSERT INTO t VALUES(1);", NULL};
    static const char *const both[] = {"CREATE TABLE t(x); INSERT INTO t VALUES(1);",
                                       "INSERT INTO t SELECT x + 1 FROM t;", NULL};

    neo_store_close(open_with(no_schema));
    neo_store_close(open_with(first));
    neo_store_close(open_with(first));
    neo_store_close(open_with(both));
    struct neo_store *store = open_with(both);
    assert_int_equal(number(store, "SELECT count(*) FROM t"), 2);
    assert_int_equal(number(store, "SELECT sum(x) FROM t"), 3);
    neo_store_close(store);
}

TEST(a_failed_migration_leaves_the_version_before_it)
{
    static const char *const wrong[] = {"CREATE TABLE t(x);", "CREATE TABLE u(x); NONSENSE;", NULL};
    static const char *const right[] = {"CREATE TABLE t(x);", "CREATE TABLE u(x);", NULL};
    struct neo_error err;

    assert_int_equal(code_of_opening(wrong, &err), NEO_INTERNAL);
    assert_non_null(strstr(err.message, "migration to version 2"));
    struct neo_store *store = open_with(right);
    assert_int_equal(number(store, "SELECT count(*) FROM u"), 0);
    neo_store_close(store);
}

TEST(a_migration_may_not_end_its_own_transaction)
{
    static const char *const sly[] = {"CREATE TABLE t(x); COMMIT;", NULL};

    assert_int_equal(code_of_opening(sly, NULL), NEO_INTERNAL);
}

TEST(a_newer_schema_is_refused_untouched)
{
    static const char *const newer[] = {"CREATE TABLE t(x);", "CREATE TABLE u(x);", NULL};
    static const char *const older[] = {"CREATE TABLE t(x);", NULL};
    struct neo_error err;

    neo_store_close(open_with(newer));
    assert_int_equal(code_of_opening(older, &err), NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "newer program"));
    neo_store_close(open_with(newer));
}

TEST(another_programs_file_is_refused_untouched)
{
    sqlite3 *other;

    assert_int_equal(sqlite3_open(scratch("db"), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE theirs(x)", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(other);
    assert_int_equal(chmod(scratch("db"), 0600), 0);
    assert_int_equal(code_of_opening(schema, NULL), NEO_FAILED_PRECONDITION);

    struct stat status;
    assert_int_equal(stat(scratch("db"), &status), 0);
    uint8_t header[20] = {0};
    int fd = open(scratch("db"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, header, sizeof(header)), sizeof(header));
    (void)close(fd);
    assert_int_equal(header[18], 1); /* still a rollback journal, not WAL */
}

TEST(an_existing_key_is_already_exists_and_other_constraints_are_not)
{
    struct neo_store *store = open_store();
    const struct neo_value missing = neo_value_bytes(NEO_LIT("missing"));
    const struct neo_value nothing[] = {neo_value_bytes(NEO_LIT("b")), {0}, {0}};

    must(put(store, "a", "x"));
    assert_int_equal(put(store, "a", "y"), NEO_ALREADY_EXISTS);
    assert_int_equal(
        neo_store_run(store, "INSERT INTO serial VALUES(1, ?1)", &missing, 1, NULL, NULL),
        NEO_FAILED_PRECONDITION);
    assert_int_equal(
        neo_store_run(store, "INSERT INTO token VALUES(?1, ?2, ?3)", nothing, 3, NULL, NULL),
        NEO_FAILED_PRECONDITION);
    assert_int_equal(tokens(store), 1);
    neo_store_close(store);
}

TEST(a_refused_statement_leaves_the_rest_of_its_transaction)
{
    struct neo_store *store = open_store();

    must(neo_store_begin(store, NULL));
    must(put(store, "a", "x"));
    assert_int_equal(put(store, "a", "x"), NEO_ALREADY_EXISTS);
    must(put(store, "b", "x"));
    must(neo_store_commit(store, NULL));
    assert_int_equal(tokens(store), 2);
    neo_store_close(store);
}

TEST(values_come_back_as_they_were)
{
    struct neo_store *store = open_with(no_schema);
    const struct neo_value values[] = {
        neo_value_i64(INT64_MIN),          neo_value_text(neo_bytes("a\0b", 3)),
        neo_value_bytes(NEO_LIT("\xff'")), neo_value_bytes(neo_bytes(NULL, 0)),
        neo_value_text(neo_bytes("", 0)),  {.type = NEO_VALUE_NULL},
    };
    struct neo_row *row;

    must(neo_store_query(store, "SELECT ?1, ?2, ?3, ?4, ?5, ?6", values, 6, &row, NULL));
    assert_int_equal(neo_row_i64(row, 0), 0); /* no row yet */
    assert_true(neo_row_is_null(row, 0));
    assert_true(neo_row_next(row));
    assert_int_equal(neo_row_i64(row, 0), INT64_MIN);
    assert_true(neo_bytes_equal(neo_row_bytes(row, 1), neo_bytes("a\0b", 3)));
    assert_true(neo_bytes_is(neo_row_bytes(row, 2), "\xff'"));
    for (int i = 0; i < 5; i++)
        assert_false(neo_row_is_null(row, i));
    assert_int_equal(neo_row_bytes(row, 3).len, 0);
    assert_true(neo_row_is_null(row, 5));
    assert_int_equal(neo_row_bytes(row, 5).len, 0);
    assert_true(neo_row_is_null(row, 6)); /* no such column */
    assert_false(neo_row_next(row));
    assert_int_equal(neo_row_i64(row, 0), 0);
    must(neo_row_done(row, NULL));
    neo_store_close(store);
}

TEST(a_query_keeps_its_values_after_the_call)
{
    struct neo_store *store = open_with(no_schema);
    char text[] = "kept";
    struct neo_value value = neo_value_text(neo_text(text));
    struct neo_row *row;

    must(neo_store_query(store, "SELECT ?1", &value, 1, &row, NULL));
    memset(text, 'x', sizeof(text) - 1);
    value.i64 = 0;
    assert_true(neo_row_next(row));
    assert_true(neo_bytes_is(neo_row_bytes(row, 0), "kept"));
    must(neo_row_done(row, NULL));
    neo_store_close(store);
}

TEST(the_same_query_may_be_open_twice)
{
    struct neo_store *store = open_store();
    struct neo_row *outer, *inner;
    int pairs = 0;

    must(put(store, "a", "x"));
    must(put(store, "b", "x"));
    must(neo_store_query(store, "SELECT hash FROM token", NULL, 0, &outer, NULL));
    while (neo_row_next(outer)) {
        must(neo_store_query(store, "SELECT hash FROM token", NULL, 0, &inner, NULL));
        while (neo_row_next(inner))
            pairs++;
        must(neo_row_done(inner, NULL));
    }
    must(neo_row_done(outer, NULL));
    assert_int_equal(pairs, 4);
    neo_store_close(store);
}

TEST(more_statements_than_the_cache_holds_all_work)
{
    struct neo_store *store = open_with(no_schema);

    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 200; i++) {
            char sql[40];
            (void)snprintf(sql, sizeof(sql), "SELECT %d", i);
            assert_int_equal(number(store, sql), i);
        }
    neo_store_close(store);
}

TEST(queries_that_are_never_ended_run_out_and_say_so)
{
    struct neo_store *store = open_with(no_schema);
    struct neo_row *rows[1000];
    size_t n = 0;

    while (neo_store_query(store, "SELECT 1", NULL, 0, &rows[n], NULL) == NEO_OK)
        n++;
    assert_in_range(n, 60, 64);
    assert_int_equal(neo_store_run(store, "SELECT 2", NULL, 0, NULL, NULL), NEO_RESOURCE_EXHAUSTED);
    while (n > 0)
        must(neo_row_done(rows[--n], NULL));
    assert_int_equal(number(store, "SELECT 2"), 2);
    neo_store_close(store);
}

TEST(misuse_is_refused)
{
    struct neo_store *store = open_store();
    const struct neo_value one = neo_value_i64(1);
    struct neo_row *row = NULL;

    assert_int_equal(neo_store_run(store, "SELECT 1", NULL, 0, NULL, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_store_query(store, "SELECT ?1", NULL, 0, &row, NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_store_query(store, "SELECT 1", &one, 1, &row, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(
        neo_store_run(store, "DELETE FROM token; DELETE FROM serial", NULL, 0, NULL, NULL),
        NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_store_run(store, "", NULL, 0, NULL, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_store_run(store, "NONSENSE", NULL, 0, NULL, NULL), NEO_INTERNAL);
    /* Text in double quotes is a column's name and never a value. */
    assert_int_equal(
        neo_store_run(store, "DELETE FROM token WHERE service = \"x\"", NULL, 0, NULL, NULL),
        NEO_INTERNAL);
    assert_null(row);
    neo_store_close(store);
}

TEST(it_counts_what_changed_and_knows_the_last_id)
{
    struct neo_store *store = open_store();
    int64_t changed = -1;

    must(put(store, "a", "x"));
    must(put(store, "b", "x"));
    must(neo_store_run(store, "UPDATE token SET uses = 7 WHERE service = 'x'", NULL, 0, &changed,
                       NULL));
    assert_int_equal(changed, 2);
    must(neo_store_run(store, "INSERT INTO serial VALUES(41, NULL)", NULL, 0, NULL, NULL));
    assert_int_equal(neo_store_last_id(store), 41);
    changed = -1;
    assert_int_equal(
        neo_store_run(store, "INSERT INTO serial VALUES(41, NULL)", NULL, 0, &changed, NULL),
        NEO_ALREADY_EXISTS);
    assert_int_equal(changed, -1);
    neo_store_close(store);
}

TEST(a_store_that_is_open_cannot_be_opened_again)
{
    struct neo_store *store = open_store();
    struct neo_error err;

    must(put(store, "a", "x"));
    assert_int_equal(code_of_opening(schema, &err), NEO_UNAVAILABLE);
    assert_non_null(strstr(err.message, "has it open"));

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit((int)code_of_opening(schema, NULL));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), NEO_UNAVAILABLE);

    must(put(store, "b", "x"));
    neo_store_close(store);
    must(code_of_opening(schema, NULL));
}

TEST(a_damaged_file_is_data_loss)
{
    static const char junk[100] = "this is not a database";
    struct neo_store *store = open_store();
    struct neo_error err;

    for (int i = 0; i < 200; i++) {
        char hash[16];
        (void)snprintf(hash, sizeof(hash), "%d", i);
        must(put(store, hash, "a service with a long name that fills pages"));
    }
    neo_store_close(store);

    /* Its schema is whole, its rows are not. */
    int fd = open(scratch("db"), O_RDWR | O_CLOEXEC);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    for (off_t at = 4096 * 2; at < status.st_size; at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
    store = open_store();
    assert_int_equal(neo_store_check(store, &err), NEO_DATA_LOSS);
    assert_int_equal(put(store, "new", "x"), NEO_DATA_LOSS);
    struct neo_row *row;
    must(neo_store_query(store, "SELECT * FROM token", NULL, 0, &row, NULL));
    while (neo_row_next(row))
        continue;
    assert_int_equal(neo_row_done(row, &err), NEO_DATA_LOSS);
    assert_non_null(strstr(err.message, "restore a backup"));
    neo_store_close(store);

    assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
    assert_int_equal(code_of_opening(schema, &err), NEO_DATA_LOSS);
    assert_non_null(strstr(err.message, scratch("db")));
    (void)close(fd);
}

TEST(a_full_disk_refuses_writes_keeps_reads_and_recovers_by_itself)
{
    enum { FITS_BEFORE = 20 };
    static char service[2000];
    const char *disk = scratch("disk");
    int64_t n = 0;
    enum neo_code code = NEO_OK;
    struct neo_store *store = NULL;

    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("none", disk, "tmpfs", 0, "size=1m") != 0) {
        print_message("SKIPPED: a small disk needs root\n");
        skip();
    }
    memset(service, 's', sizeof(service) - 1);
    must(neo_store_open(scratch("disk/db"), schema, &store, NULL));
    int ballast = open(scratch("disk/ballast"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(posix_fallocate(ballast, 0, 200000) == 0 ? NEO_OK : NEO_INTERNAL);
    while (code == NEO_OK && n < 1000) {
        char hash[16];
        (void)snprintf(hash, sizeof(hash), "%d", (int)n);
        code = put(store, hash, service);
        n += code == NEO_OK;
    }
    int64_t seen = tokens(store);
    int truncated = ftruncate(ballast, 0);
    (void)close(ballast);
    enum neo_code after = put(store, "after", "x");
    enum neo_code whole = neo_store_check(store, NULL);
    neo_store_close(store);
    assert_int_equal(umount(scratch("disk")), 0);

    assert_int_equal(truncated, 0);
    assert_true(n > FITS_BEFORE);
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(seen, n);
    assert_int_equal(after, NEO_OK);
    assert_int_equal(whole, NEO_OK);
}

TEST(a_transaction_that_filled_the_disk_is_gone_as_a_whole)
{
    static char service[4000];
    struct neo_store *store = open_store();
    enum neo_code code = NEO_OK;

    memset(service, 's', sizeof(service) - 1);
    must(put(store, "before", "x"));
    assert_int_equal(number(store, "PRAGMA max_page_count=50"), 50);
    must(neo_store_begin(store, NULL));
    for (int i = 0; code == NEO_OK; i++) {
        char hash[16];
        (void)snprintf(hash, sizeof(hash), "%d", i);
        code = put(store, hash, service);
    }
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    neo_store_rollback(store);
    assert_int_equal(tokens(store), 1);
    must(put(store, "after", "x"));
    neo_store_close(store);
}

TEST(a_backup_is_a_store_with_everything_in_it)
{
    struct neo_store *store = open_store();
    struct neo_store *copy = NULL;

    must(put(store, "a", "x"));
    must(neo_store_backup(store, scratch("copy"), NULL));
    must(put(store, "b", "x"));
    must(neo_store_backup(store, scratch("copy"), NULL));
    assert_int_equal(scratch_mode("copy"), 0600);
    must(neo_store_open(scratch("copy"), schema, &copy, NULL));
    must(neo_store_check(copy, NULL));
    assert_int_equal(tokens(copy), 2);
    assert_int_equal(neo_store_backup(store, "/nonexistent/copy", NULL), NEO_NOT_FOUND);
    assert_int_equal(neo_store_backup(store, "", NULL), NEO_INVALID_ARGUMENT);
    neo_store_close(copy);
    neo_store_close(store);
}

TEST(a_store_in_memory_needs_no_file)
{
    struct neo_store *store = NULL;

    must(neo_store_open(":memory:", schema, &store, NULL));
    must(put(store, "a", "x"));
    assert_int_equal(tokens(store), 1);
    neo_store_close(store);
    neo_store_close(NULL);
}

TEST(a_log_of_many_commits_stays_bounded)
{
    static char service[3000];
    struct neo_store *store = open_store();
    struct stat status;

    memset(service, 's', sizeof(service) - 1);
    must(put(store, "a", service));
    for (int i = 0; i < 2500; i++) {
        service[0] = (char)('a' + i % 26);
        const struct neo_value value = neo_value_text(neo_bytes(service, sizeof(service) - 1));
        must(neo_store_run(store, "UPDATE token SET service = ?1", &value, 1, NULL, NULL));
    }
    assert_int_equal(stat(scratch("db-wal"), &status), 0);
    assert_true(status.st_size < 1200 * 4120);
    neo_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(what_was_committed_is_there_after_reopening),
        scratch_test(what_was_not_committed_is_not_there),
        scratch_test(a_transaction_has_one_level),
        scratch_test(the_file_and_its_log_are_private_and_there_is_no_shared_memory),
        scratch_test(a_file_others_may_read_is_refused),
        scratch_test(a_path_that_is_no_plain_file_is_refused),
        scratch_test(it_syncs_every_commit_and_checks_foreign_keys),
        scratch_test(each_migration_runs_once_and_in_order),
        scratch_test(a_failed_migration_leaves_the_version_before_it),
        scratch_test(a_migration_may_not_end_its_own_transaction),
        scratch_test(a_newer_schema_is_refused_untouched),
        scratch_test(another_programs_file_is_refused_untouched),
        scratch_test(an_existing_key_is_already_exists_and_other_constraints_are_not),
        scratch_test(a_refused_statement_leaves_the_rest_of_its_transaction),
        scratch_test(values_come_back_as_they_were),
        scratch_test(a_query_keeps_its_values_after_the_call),
        scratch_test(the_same_query_may_be_open_twice),
        scratch_test(more_statements_than_the_cache_holds_all_work),
        scratch_test(queries_that_are_never_ended_run_out_and_say_so),
        scratch_test(misuse_is_refused),
        scratch_test(it_counts_what_changed_and_knows_the_last_id),
        scratch_test(a_store_that_is_open_cannot_be_opened_again),
        scratch_test(a_damaged_file_is_data_loss),
        scratch_test(a_full_disk_refuses_writes_keeps_reads_and_recovers_by_itself),
        scratch_test(a_transaction_that_filled_the_disk_is_gone_as_a_whole),
        scratch_test(a_backup_is_a_store_with_everything_in_it),
        scratch_test(a_store_in_memory_needs_no_file),
        scratch_test(a_log_of_many_commits_stays_bounded),
    };
    return cmocka_run_group_tests_name("store/database", tests, NULL, NULL);
}
