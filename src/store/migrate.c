/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema's version is the number of migrations that ran, kept in the file's
 * header (user_version) and changed in the transaction of the migration, so that
 * a migration has happened once or not at all.
 */
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

/* "neo" and the generation of this scheme: the application_id of our files. */
#define FILE_MARK INT64_C(0x6e656f01)

static enum neo_code read_number(struct neo_store *store, const char *sql, int64_t *ret,
                                 struct neo_error *err)
{
    struct neo_row *row;
    int64_t number = 0;

    NEO_TRY(neo_store_query(store, sql, NULL, 0, &row, err));
    if (neo_row_next(row))
        number = neo_row_i64(row, 0);
    NEO_TRY(neo_row_done(row, err));
    *ret = number;
    return NEO_OK;
}

static size_t newest_version(const char *const *migrations)
{
    size_t n = 0;

    while (migrations[n] != NULL)
        n++;
    return n;
}

enum neo_code store_check_owner(struct neo_store *store, const char *const *migrations,
                                struct neo_error *err)
{
    size_t newest = newest_version(migrations);
    int64_t version;
    int64_t mark;
    int64_t tables;

    NEO_TRY(read_number(store, "PRAGMA user_version", &version, err));
    NEO_TRY(read_number(store, "PRAGMA application_id", &mark, err));
    NEO_TRY(read_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err));
    if (mark != FILE_MARK && (mark != 0 || version != 0 || tables != 0))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "store '%s': the file belongs to another program", store->path);
    if (version < 0 || (uint64_t)version > newest)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "store '%s': made by a newer program (schema %" PRId64
                        ", this one knows %zu): run that one or restore a backup",
                        store->path, version, newest);
    return NEO_OK;
}

static enum neo_code apply(struct neo_store *store, const char *sql, size_t version,
                           struct neo_error *err)
{
    char what[40];
    char mark[80];

    (void)snprintf(what, sizeof(what), "migration to version %zu", version);
    (void)snprintf(mark, sizeof(mark), "PRAGMA user_version=%zu; PRAGMA application_id=%" PRId64,
                   version, FILE_MARK);
    NEO_TRY(neo_store_begin(store, err));
    NEO_TRY(store_script(store, sql, what, err));
    if (sqlite3_get_autocommit(store->db))
        return neo_fail(err, NEO_INTERNAL, "store '%s': %s ended its own transaction", store->path,
                        what);
    NEO_TRY(store_script(store, mark, what, err));
    return neo_store_commit(store, err);
}

enum neo_code store_migrate(struct neo_store *store, const char *const *migrations,
                            struct neo_error *err)
{
    int64_t version;

    NEO_TRY(read_number(store, "PRAGMA user_version", &version, err));
    for (size_t i = (size_t)version; migrations[i] != NULL; i++)
        NEO_TRY(apply(store, migrations[i], i + 1, err));
    return NEO_OK;
}
