/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/store.h - durable state in one SQLite file.
 *
 * Opened with WAL, synchronous=FULL, exclusive locking and foreign keys on; one
 * connection per file, owned by one thread, does all writes and checkpoints (a
 * condition for SQLite 3.40's WAL to be safe). What a transaction committed
 * survives kill -9 and power loss.
 *
 * SQL is written by us, never made of input: values are bound.
 *
 *     struct neo_row *row;
 *     NEO_TRY(neo_store_query(store, "SELECT service FROM tokens WHERE hash = ?1",
 *                             (struct neo_value[]){neo_value_bytes(hash)}, 1, &row, err));
 *     while (neo_row_next(row)) ...
 *     NEO_TRY(neo_row_done(row, err));
 *
 * Threads   A store belongs to the thread that opened it, or to callers that take turns.
 */
#ifndef NEO_STORE_H
#define NEO_STORE_H

#include <neo/bytes.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_store;

/*
 * Opens or makes `path` (":memory:" for tests; mode 0600) and brings it to the newest schema:
 * migrations[i] is run once, in order, each in its own transaction; NULL ends the list. A file made
 * by a newer program is FAILED_PRECONDITION; a damaged one DATA_LOSS. Gives `*ret`:
 * neo_store_close().
 */
NEO_MUST_CHECK enum neo_code neo_store_open(const char *path, const char *const *migrations,
                                            struct neo_store **ret, struct neo_error *err);
void neo_store_close(struct neo_store *store);

enum neo_value_type {
    NEO_VALUE_NULL,
    NEO_VALUE_INT,
    NEO_VALUE_TEXT,
    NEO_VALUE_BYTES,
};

struct neo_value {
    enum neo_value_type type;
    int64_t i64;
    struct neo_bytes bytes; /* borrowed during the call */
};

/* Values for the `?` of a statement; bytes are borrowed. */
static inline struct neo_value neo_value_i64(int64_t v)
{
    struct neo_value value = {NEO_VALUE_INT, v, {NULL, 0}};

    return value;
}
static inline struct neo_value neo_value_text(struct neo_bytes v)
{
    struct neo_value value = {NEO_VALUE_TEXT, 0, v};

    return value;
}
static inline struct neo_value neo_value_bytes(struct neo_bytes v)
{
    struct neo_value value = {NEO_VALUE_BYTES, 0, v};

    return value;
}

/*
 * Runs one statement that gives no rows. ALREADY_EXISTS: a UNIQUE or PRIMARY KEY refused;
 * RESOURCE_EXHAUSTED: the disk is full; DATA_LOSS: damaged. `ret_changed` may be NULL.
 */
NEO_MUST_CHECK enum neo_code neo_store_run(struct neo_store *store, const char *sql,
                                           const struct neo_value *values, size_t n,
                                           int64_t *ret_changed, struct neo_error *err);

/*
 * Transactions nest as savepoints do not: one level. An open one is rolled back by _close(), and by
 * a _commit() that fails. ABORTED: a full disk or lack of memory ended it earlier; nothing of it is
 * there.
 *
 * After a disk error (INTERNAL) or damage (DATA_LOSS) the store answers reads and refuses writes
 * until it is opened anew: an fsync that failed is never repeated and believed.
 */
NEO_MUST_CHECK enum neo_code neo_store_begin(struct neo_store *store, struct neo_error *err);
NEO_MUST_CHECK enum neo_code neo_store_commit(struct neo_store *store, struct neo_error *err);
void neo_store_rollback(struct neo_store *store);

struct neo_row;
/* Gives `*ret`, which must be ended by neo_row_done(). */
NEO_MUST_CHECK enum neo_code neo_store_query(struct neo_store *store, const char *sql,
                                             const struct neo_value *values, size_t n,
                                             struct neo_row **ret, struct neo_error *err);
/* False at the end or on failure: neo_row_done() tells. */
bool neo_row_next(struct neo_row *row);
int64_t neo_row_i64(const struct neo_row *row, int column);
/* Valid until the next neo_row_next(). Empty for NULL. */
struct neo_bytes neo_row_bytes(const struct neo_row *row, int column);
bool neo_row_is_null(const struct neo_row *row, int column);
NEO_MUST_CHECK enum neo_code neo_row_done(struct neo_row *row, struct neo_error *err);

/* The rowid of the last INSERT. */
int64_t neo_store_last_id(const struct neo_store *store);

/* Reads everything and checks that it fits together; DATA_LOSS when not. Slow. */
NEO_MUST_CHECK enum neo_code neo_store_check(struct neo_store *store, struct neo_error *err);
/*
 * Writes a whole, consistent copy (mode 0600) to `path`, replacing it in one step. The only way to
 * copy a store that is open: no other program may touch its files. Not within a transaction.
 */
NEO_MUST_CHECK enum neo_code neo_store_backup(struct neo_store *store, const char *path,
                                              struct neo_error *err);

/* --- small whole files ------------------------------------------------------------------------ */

/*
 * Replaces `path` by `bytes` in one step that survives power loss: temporary file of `mode`,
 * fsync, rename, fsync of the folder.
 */
NEO_MUST_CHECK enum neo_code neo_file_replace(const char *path, struct neo_bytes bytes,
                                              unsigned mode, struct neo_error *err);

struct neo_buffer;
/* Appends the whole file; RESOURCE_EXHAUSTED beyond `limit` bytes. */
NEO_MUST_CHECK enum neo_code neo_file_read(const char *path, size_t limit, struct neo_buffer *out,
                                           struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
