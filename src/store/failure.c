/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite's results in our words.
 *
 * After a failed fsync the kernel may have dropped the pages it could not write
 * and call the next fsync a success. So a disk error is never retried: the store
 * keeps answering reads, refuses every write, and has to be opened anew, which
 * reads what the disk really holds.
 */
#include "store/store.h"

#include <errno.h>

struct meaning {
    int result; /* extended, or primary for all its extensions */
    enum neo_code code;
    const char *advice;
};

static const struct meaning meanings[] = {
    {SQLITE_CONSTRAINT_UNIQUE, NEO_ALREADY_EXISTS, NULL},
    {SQLITE_CONSTRAINT_PRIMARYKEY, NEO_ALREADY_EXISTS, NULL},
    {SQLITE_CONSTRAINT_ROWID, NEO_ALREADY_EXISTS, NULL},
    {SQLITE_CONSTRAINT, NEO_FAILED_PRECONDITION, NULL},
    {SQLITE_FULL, NEO_RESOURCE_EXHAUSTED, "free space on its disk"},
    {SQLITE_NOMEM, NEO_RESOURCE_EXHAUSTED, NULL},
    {SQLITE_IOERR_NOMEM, NEO_RESOURCE_EXHAUSTED, NULL},
    {SQLITE_BUSY, NEO_UNAVAILABLE, "another process or connection has it open: stop that first"},
    {SQLITE_LOCKED, NEO_FAILED_PRECONDITION, NULL},
    {SQLITE_CORRUPT, NEO_DATA_LOSS, "the file is damaged: restore a backup"},
    {SQLITE_NOTADB, NEO_DATA_LOSS, "the file is damaged or not a store: restore a backup"},
    {SQLITE_READONLY, NEO_PERMISSION_DENIED, "make the file and its folder writable"},
    {SQLITE_PERM, NEO_PERMISSION_DENIED, NULL},
    {SQLITE_AUTH, NEO_PERMISSION_DENIED, NULL},
    {SQLITE_TOOBIG, NEO_INVALID_ARGUMENT, NULL},
    {SQLITE_INTERRUPT, NEO_CANCELLED, NULL},
    {SQLITE_ABORT, NEO_ABORTED, NULL},
    {SQLITE_IOERR, NEO_INTERNAL, "the disk failed: nothing is written until restart"},
};

static const struct meaning *meaning_of(int result)
{
    for (size_t i = 0; i < NEO_COUNT(meanings); i++)
        if (meanings[i].result == result || meanings[i].result == (result & 0xff))
            return &meanings[i];
    return NULL;
}

static bool is_disk_error(int result)
{
    int primary = result & 0xff;

    return (primary == SQLITE_IOERR && result != SQLITE_IOERR_NOMEM) || primary == SQLITE_CORRUPT ||
           primary == SQLITE_NOTADB;
}

enum neo_code store_fail_at(struct neo_store *store, int result, const char *where,
                            const char *what, struct neo_error *err)
{
    const struct meaning *meaning = meaning_of(result);
    enum neo_code code = meaning == NULL ? NEO_INTERNAL : meaning->code;
    const char *advice = meaning == NULL ? NULL : meaning->advice;
    int number = store->db == NULL ? 0 : sqlite3_system_errno(store->db);
    const char *why = store->db == NULL ? sqlite3_errstr(result) : sqlite3_errmsg(store->db);

    if ((result & 0xff) == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT))
        code = NEO_RESOURCE_EXHAUSTED;
    if (is_disk_error(result) && store->broken == NEO_OK)
        store->broken = code;
    if ((result & 0xff) == SQLITE_CANTOPEN && number != 0) {
        errno = number;
        return neo_error_set_errno(err, where, "store '%s': cannot open", store->path);
    }
    return neo_error_set(err, code, where, "store '%s': %s: %s%s%s", store->path, why,
                         advice == NULL ? "" : advice, advice == NULL ? "" : ": ", what);
}
