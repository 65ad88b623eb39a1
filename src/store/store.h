/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/store.h - what the files of this folder share.
 */
#ifndef NEO_STORE_STORE_H
#define NEO_STORE_STORE_H

#include <neo/store.h>

#include <sqlite3.h>

enum { STORE_STATEMENTS = 64 };

/* A prepared statement. It stays in the cache of its store, and is the row of its query. */
struct neo_row {
    struct neo_store *store;
    sqlite3_stmt *statement; /* NULL: this place of the cache is free */
    uint64_t hash;           /* of its SQL */
    uint64_t used;           /* the latest use, on the clock of the store */
    bool is_busy;
    bool has_values; /* the step before found a row */
    struct neo_error error;
};

struct neo_store {
    sqlite3 *db;
    char *path;
    uint64_t clock; /* counts uses of statements */
    bool in_transaction;
    enum neo_code broken; /* not OK: the disk failed or lied; nothing is written any more */
    struct neo_row rows[STORE_STATEMENTS];
};

/*
 * Fails as SQLite's result says, and remembers when the store must not be written again. `what` is
 * the statement or the deed that failed.
 */
#define store_fail(store, result, what, err)                                                       \
    store_fail_at((store), (result), NEO_HERE, (what), (err))
enum neo_code store_fail_at(struct neo_store *store, int result, const char *where,
                            const char *what, struct neo_error *err);

/* Runs statements that take and give nothing. */
NEO_MUST_CHECK enum neo_code store_script(struct neo_store *store, const char *sql,
                                          const char *what, struct neo_error *err);
/* Refuses another program's file, or a newer schema, before anything in it is touched. */
NEO_MUST_CHECK enum neo_code store_check_owner(struct neo_store *store,
                                               const char *const *migrations,
                                               struct neo_error *err);
NEO_MUST_CHECK enum neo_code store_migrate(struct neo_store *store, const char *const *migrations,
                                           struct neo_error *err);
void store_finish_statements(struct neo_store *store);

/* SQLite would read an empty path as a nameless file and "file:..." as options. */
NEO_MUST_CHECK enum neo_code store_check_path(const char *path, struct neo_error *err);
/* Makes what was created, renamed or removed beside `path` survive power loss. */
NEO_MUST_CHECK enum neo_code store_sync_folder_of(const char *path, struct neo_error *err);
/*
 * Makes a private file beside `path`, lets `fill` write it, and puts it in the place of `path` in
 * one step that survives power loss. When anything fails nothing has changed.
 */
typedef enum neo_code store_fill_fn(const void *self, int fd, const char *temporary,
                                    struct neo_error *err);
NEO_MUST_CHECK enum neo_code store_replace(const char *path, store_fill_fn *fill, const void *self,
                                           struct neo_error *err);
void store_closep(const int *fd);

#endif
