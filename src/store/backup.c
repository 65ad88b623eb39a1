/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

enum neo_code neo_store_check(struct neo_store *store, struct neo_error *err)
{
    struct neo_row *row;

    NEO_TRY(neo_store_query(store, "PRAGMA integrity_check(1)", NULL, 0, &row, err));
    enum neo_code code = NEO_OK;
    if (neo_row_next(row) && !neo_bytes_is(neo_row_bytes(row, 0), "ok"))
        code = neo_fail(err, NEO_DATA_LOSS, "store '%s': damaged: %.*s", store->path,
                        NEO_FMT(neo_row_bytes(row, 0)));
    NEO_TRY(neo_row_done(row, code == NEO_OK ? err : NULL));
    NEO_TRY(code);

    NEO_TRY(neo_store_query(store, "PRAGMA foreign_key_check", NULL, 0, &row, err));
    if (neo_row_next(row))
        code =
            neo_fail(err, NEO_DATA_LOSS, "store '%s': damaged: table %.*s refers to a missing row",
                     store->path, NEO_FMT(neo_row_bytes(row, 0)));
    NEO_TRY(neo_row_done(row, code == NEO_OK ? err : NULL));
    return code;
}

/* SQLite writes into an empty file that is there, so its mode is ours from the first byte. */
static enum neo_code copy_into(const void *self, int fd, const char *temporary,
                               struct neo_error *err)
{
    struct neo_store *const *store = self;
    struct neo_value target = neo_value_text(neo_text(temporary));

    (void)fd;
    return neo_store_run(*store, "VACUUM INTO ?1", &target, 1, NULL, err);
}

enum neo_code neo_store_backup(struct neo_store *store, const char *path, struct neo_error *err)
{
    NEO_TRY(store_check_path(path, err));
    return store_replace(path, copy_into, &store, err);
}
