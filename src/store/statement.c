/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements are compiled once and kept: a store knows some dozens of them, so the
 * cache is an array, searched by the hash of the SQL.
 */
#include "store/store.h"

#include "base/map.h"

#include <assert.h>

static bool is(const struct neo_row *row, uint64_t hash, const char *sql)
{
    return row->statement != NULL && row->hash == hash && !row->is_busy &&
           strcmp(sqlite3_sql(row->statement), sql) == 0;
}

/* A free place, else the one not used for longest; NULL when all are busy. */
static struct neo_row *place(struct neo_store *store)
{
    struct neo_row *oldest = NULL;

    for (size_t i = 0; i < NEO_COUNT(store->rows); i++) {
        struct neo_row *row = &store->rows[i];
        if (row->statement == NULL)
            return row;
        if (!row->is_busy && (oldest == NULL || row->used < oldest->used))
            oldest = row;
    }
    return oldest;
}

static enum neo_code prepare(struct neo_store *store, const char *sql, uint64_t hash,
                             struct neo_row **ret, struct neo_error *err)
{
    struct neo_row *row = place(store);
    const char *rest = NULL;

    if (row == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "store '%s': %d queries are open at once: %s",
                        store->path, STORE_STATEMENTS, sql);
    (void)sqlite3_finalize(row->statement);
    *row = (struct neo_row){.store = store, .hash = hash};

    int result =
        sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &row->statement, &rest);
    if (result != SQLITE_OK)
        return store_fail(store, result, sql, err);
    if (row->statement == NULL || *rest != '\0') {
        (void)sqlite3_finalize(row->statement);
        row->statement = NULL;
        return neo_fail(err, NEO_INVALID_ARGUMENT, "store '%s': not one single statement: %s",
                        store->path, sql);
    }
    *ret = row;
    return NEO_OK;
}

static enum neo_code find(struct neo_store *store, const char *sql, struct neo_row **ret,
                          struct neo_error *err)
{
    uint64_t hash = map_hash(neo_text(sql));

    for (size_t i = 0; i < NEO_COUNT(store->rows); i++)
        if (is(&store->rows[i], hash, sql)) {
            *ret = &store->rows[i];
            return NEO_OK;
        }
    return prepare(store, sql, hash, ret, err);
}

static int bind_one(sqlite3_stmt *statement, int at, const struct neo_value *value,
                    sqlite3_destructor_type copy)
{
    /* SQLite takes a NULL address for the value NULL; the empty run is not that. */
    const void *bytes = value->bytes.len == 0 ? "" : (const void *)value->bytes.at;

    switch (value->type) {
    case NEO_VALUE_NULL:
        return sqlite3_bind_null(statement, at);
    case NEO_VALUE_INT:
        return sqlite3_bind_int64(statement, at, value->i64);
    case NEO_VALUE_TEXT:
        return sqlite3_bind_text64(statement, at, bytes, value->bytes.len, copy, SQLITE_UTF8);
    case NEO_VALUE_BYTES:
        return sqlite3_bind_blob64(statement, at, bytes, value->bytes.len, copy);
    }
    return SQLITE_MISUSE;
}

static enum neo_code bind(struct neo_row *row, const struct neo_value *values, size_t n,
                          sqlite3_destructor_type copy, struct neo_error *err)
{
    const char *sql = sqlite3_sql(row->statement);
    int wanted = sqlite3_bind_parameter_count(row->statement);

    if ((size_t)wanted != n)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "store '%s': %zu values for %d parameters: %s",
                        row->store->path, n, wanted, sql);
    for (int i = 0; i < wanted; i++) {
        int result = bind_one(row->statement, i + 1, &values[i], copy);
        if (result != SQLITE_OK)
            return store_fail(row->store, result, sql, err);
    }
    return NEO_OK;
}

static void release(struct neo_row *row)
{
    (void)sqlite3_reset(row->statement); /* repeats the failure of the step, which was told */
    (void)sqlite3_clear_bindings(row->statement);
    row->is_busy = false;
    row->has_values = false;
}

/*
 * A full disk or lack of memory can end a transaction in its middle. What came
 * after it would then be committed alone, piece by piece: refuse it.
 */
static enum neo_code check_transaction(const struct neo_store *store, struct neo_error *err)
{
    if (store->in_transaction && sqlite3_get_autocommit(store->db))
        return neo_fail(err, NEO_ABORTED,
                        "store '%s': an earlier failure rolled the transaction back", store->path);
    return NEO_OK;
}

static enum neo_code check_disk(const struct neo_store *store, struct neo_error *err)
{
    if (store->broken != NEO_OK)
        return neo_fail(err, store->broken,
                        "store '%s': read-only since the disk failed: restart after repair",
                        store->path);
    return NEO_OK;
}

static enum neo_code start(struct neo_store *store, const char *sql, const struct neo_value *values,
                           size_t n, sqlite3_destructor_type copy, struct neo_row **ret,
                           struct neo_error *err)
{
    struct neo_row *row = NULL;

    NEO_TRY(check_transaction(store, err));
    NEO_TRY(find(store, sql, &row, err));
    if (!sqlite3_stmt_readonly(row->statement))
        NEO_TRY(check_disk(store, err));
    enum neo_code code = bind(row, values, n, copy, err);
    if (code != NEO_OK) {
        release(row);
        return code;
    }
    row->is_busy = true;
    row->used = ++store->clock;
    row->error.code = NEO_OK;
    *ret = row;
    return NEO_OK;
}

enum neo_code neo_store_run(struct neo_store *store, const char *sql,
                            const struct neo_value *values, size_t n, int64_t *ret_changed,
                            struct neo_error *err)
{
    struct neo_row *row = NULL;
    enum neo_code code = NEO_OK;

    NEO_TRY(start(store, sql, values, n, SQLITE_STATIC, &row, err));
    int result = sqlite3_step(row->statement);
    if (result == SQLITE_ROW)
        code = neo_fail(err, NEO_INVALID_ARGUMENT, "store '%s': gives rows, so query it: %s",
                        store->path, sql);
    else if (result != SQLITE_DONE)
        code = store_fail(store, result, sql, err);
    else if (ret_changed != NULL)
        *ret_changed = sqlite3_changes64(store->db);
    release(row);
    return code;
}

enum neo_code neo_store_query(struct neo_store *store, const char *sql,
                              const struct neo_value *values, size_t n, struct neo_row **ret,
                              struct neo_error *err)
{
    return start(store, sql, values, n, SQLITE_TRANSIENT, ret, err);
}

bool neo_row_next(struct neo_row *row)
{
    if (row->error.code != NEO_OK)
        return false;

    int result = sqlite3_step(row->statement);
    row->has_values = result == SQLITE_ROW;
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        (void)store_fail(row->store, result, sqlite3_sql(row->statement), &row->error);
    return row->has_values;
}

int64_t neo_row_i64(const struct neo_row *row, int column)
{
    return row->has_values ? sqlite3_column_int64(row->statement, column) : 0;
}

struct neo_bytes neo_row_bytes(const struct neo_row *row, int column)
{
    if (!row->has_values)
        return (struct neo_bytes){0};

    const void *at = sqlite3_column_blob(row->statement, column);
    int len = sqlite3_column_bytes(row->statement, column);
    return neo_bytes(at, at == NULL ? 0 : (size_t)len);
}

bool neo_row_is_null(const struct neo_row *row, int column)
{
    return !row->has_values || sqlite3_column_type(row->statement, column) == SQLITE_NULL;
}

enum neo_code neo_row_done(struct neo_row *row, struct neo_error *err)
{
    enum neo_code code = row->error.code;

    if (code != NEO_OK && err != NULL)
        *err = row->error;
    release(row);
    return code;
}

enum neo_code store_script(struct neo_store *store, const char *sql, const char *what,
                           struct neo_error *err)
{
    int result = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

    return result == SQLITE_OK ? NEO_OK : store_fail(store, result, what, err);
}

void store_finish_statements(struct neo_store *store)
{
    for (size_t i = 0; i < NEO_COUNT(store->rows); i++) {
        assert(!store->rows[i].is_busy); /* every query is ended by neo_row_done() */
        (void)sqlite3_finalize(store->rows[i].statement);
    }
}

enum neo_code neo_store_begin(struct neo_store *store, struct neo_error *err)
{
    if (store->in_transaction)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "store '%s': a transaction is open already",
                        store->path);
    NEO_TRY(neo_store_run(store, "BEGIN IMMEDIATE", NULL, 0, NULL, err));
    store->in_transaction = true;
    return NEO_OK;
}

enum neo_code neo_store_commit(struct neo_store *store, struct neo_error *err)
{
    if (!store->in_transaction)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "store '%s': no transaction is open",
                        store->path);
    enum neo_code code = check_disk(store, err);
    if (code == NEO_OK)
        code = neo_store_run(store, "COMMIT", NULL, 0, NULL, err);
    if (code != NEO_OK)
        neo_store_rollback(store);
    store->in_transaction = false;
    return code;
}

void neo_store_rollback(struct neo_store *store)
{
    if (!sqlite3_get_autocommit(store->db))
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    store->in_transaction = false;
}

int64_t neo_store_last_id(const struct neo_store *store)
{
    return sqlite3_last_insert_rowid(store->db);
}
