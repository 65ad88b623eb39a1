/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite 3.40 can damage a WAL file when one connection commits at the instant at
 * which another checkpoints. Here there is no other: the connection locks the
 * file against every process and does its own checkpoints, after its own commits.
 * In exclusive mode the index of the WAL is in memory, so there is no -shm file.
 */
#include "store/store.h"

#include <neo/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHECKPOINT_PAGES = 1000, BUSY_MSEC = 2000 };

static const char lock_script[] = "PRAGMA locking_mode=EXCLUSIVE;"
                                  "PRAGMA temp_store=MEMORY;"
                                  "PRAGMA trusted_schema=OFF;"
                                  "PRAGMA cell_size_check=ON;"
                                  "PRAGMA foreign_keys=ON;";
static const char wal_script[] = "PRAGMA journal_mode=WAL;"
                                 "PRAGMA synchronous=FULL;"
                                 "PRAGMA journal_size_limit=16777216;";

enum neo_code store_check_path(const char *path, struct neo_error *err)
{
    if (path[0] == '\0' || strncmp(path, "file:", 5) == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%s' cannot be the path of a store", path);
    return NEO_OK;
}

static bool is_memory(const char *path)
{
    return strcmp(path, ":memory:") == 0;
}

/* Makes the file, so that it is private from its first byte: SQLite gives -wal the same mode. */
static enum neo_code create_private(const char *path, bool *ret_created, struct neo_error *err)
{
    struct stat status;

    NEO_CLEANUP(store_closep)
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    *ret_created = fd >= 0;
    if (fd >= 0)
        return NEO_OK;
    if (errno != EEXIST)
        return neo_fail_errno(err, "store '%s': cannot create", path);

    /* Not opened to look: closing it would drop the lock of a store open in this process. */
    if (stat(path, &status) != 0)
        return neo_fail_errno(err, "store '%s': cannot look at it", path);
    if (!S_ISREG(status.st_mode))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "store '%s': not a regular file", path);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "store '%s': others may read or write it (mode %o): chmod 600 it", path,
                        (unsigned)status.st_mode & 0777u);
    return NEO_OK;
}

/* Replaces SQLite's own hook, which would hide that the disk failed. */
static int checkpoint_when_due(void *self, sqlite3 *db, const char *schema, int pages)
{
    struct neo_store *store = self;

    if (pages < CHECKPOINT_PAGES)
        return SQLITE_OK;
    int result = sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (result != SQLITE_OK)
        (void)store_fail(store, result, "checkpoint", NULL);
    return SQLITE_OK; /* the commit stands; what follows is refused if the disk failed */
}

static enum neo_code connect(struct neo_store *store, struct neo_error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(store->path, &store->db, flags, NULL);

    if (result != SQLITE_OK)
        return store_fail(store, result, "open", err);
    (void)sqlite3_busy_timeout(store->db, BUSY_MSEC);
    (void)sqlite3_wal_hook(store->db, checkpoint_when_due, store);
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    return store_script(store, lock_script, "open", err);
}

static enum neo_code check_journal(struct neo_store *store, struct neo_error *err)
{
    struct neo_row *row;

    NEO_TRY(neo_store_query(store, "PRAGMA journal_mode", NULL, 0, &row, err));
    bool durable = neo_row_next(row) && neo_bytes_is(neo_row_bytes(row, 0), "wal");
    NEO_TRY(neo_row_done(row, err));
    if (!durable && !is_memory(store->path))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "store '%s': its file system allows no write-ahead log", store->path);
    return NEO_OK;
}

static enum neo_code set_up(struct neo_store *store, const char *const *migrations,
                            struct neo_error *err)
{
    NEO_TRY(connect(store, err));
    NEO_TRY(store_check_owner(store, migrations, err));
    NEO_TRY(store_script(store, wal_script, "open", err));
    NEO_TRY(check_journal(store, err));
    return store_migrate(store, migrations, err);
}

static void close_storep(struct neo_store **store)
{
    neo_store_close(*store);
}

enum neo_code neo_store_open(const char *path, const char *const *migrations,
                             struct neo_store **ret, struct neo_error *err)
{
    bool created = false;

    NEO_TRY(store_check_path(path, err));
    NEO_CLEANUP(close_storep) struct neo_store *store = neo_alloc(sizeof(*store));
    if (store == NULL || (store->path = neo_string_dup(path)) == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening store '%s'", path);
    if (!is_memory(path))
        NEO_TRY(create_private(path, &created, err));
    NEO_TRY(set_up(store, migrations, err));
    if (created)
        NEO_TRY(store_sync_folder_of(path, err));

    *ret = store;
    store = NULL; /* now the caller's */
    return NEO_OK;
}

void neo_store_close(struct neo_store *store)
{
    if (store == NULL)
        return;
    store_finish_statements(store);
    /* A disk that failed is not written once more on the way out. */
    if (store->db != NULL && store->broken != NEO_OK)
        (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_close(store->db);
    neo_free(store->path);
    neo_free(store);
}
