/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram_disk.h - a disk for SQLite that can fail and lose power.
 *
 * A file has what its owner sees, what the platter holds, and the changes since
 * the last sync. When the power goes, each of those changes happened, did not
 * happen, or happened to some sectors only: a write says nothing about the writes
 * before it. A file that was removed may be back.
 *
 * Every change is a step, counted; one chosen step, and if wanted all later ones,
 * fail.
 */
#ifndef NEO_TESTS_RAM_DISK_H
#define NEO_TESTS_RAM_DISK_H

#include "../unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

enum { RAM_FILES = 4, RAM_SECTOR = 512 };
enum { RAM_WRITE = 1, RAM_SYNC = 2, RAM_OTHER = 4, RAM_ANY = 7 };

struct ram_bytes {
    uint8_t *at;
    size_t len;
};

struct ram_change {
    struct ram_change *next;
    bool truncates;
    size_t at;
    size_t len;
    uint8_t bytes[];
};

struct ram_file {
    char name[256];
    bool exists;
    bool on_platter; /* its name has been synced */
    struct ram_bytes seen;
    struct ram_bytes platter;
    struct ram_change *changes;
    struct ram_change **last;
};

static struct {
    struct ram_file files[RAM_FILES];
    uint64_t steps;
    uint64_t fail_at; /* 0: never */
    uint64_t fail_for;
    int failure;
    bool lies;      /* says it synced, and did not */
    unsigned kinds; /* of steps that are counted and may fail */
    uint64_t failed;
} ram;

struct ram_handle {
    sqlite3_file base;
    struct ram_file *file;
};

static void ram_resize(struct ram_bytes *b, size_t len)
{
    uint8_t *at = realloc(b->at, len == 0 ? 1 : len);

    assert_non_null(at);
    if (len > b->len)
        memset(at + b->len, 0, len - b->len);
    *b = (struct ram_bytes){at, len};
}

static void ram_copy(struct ram_bytes *to, const struct ram_bytes *from)
{
    ram_resize(to, from->len);
    if (from->len > 0)
        memcpy(to->at, from->at, from->len);
}

static void ram_put(struct ram_bytes *b, size_t at, const uint8_t *bytes, size_t len)
{
    if (at + len > b->len)
        ram_resize(b, at + len);
    memcpy(b->at + at, bytes, len);
}

static void ram_forget_changes(struct ram_file *f)
{
    while (f->changes != NULL) {
        struct ram_change *next = f->changes->next;
        free(f->changes);
        f->changes = next;
    }
    f->last = &f->changes;
}

static void ram_remember(struct ram_file *f, bool truncates, size_t at, const void *bytes,
                         size_t len)
{
    struct ram_change *change = malloc(sizeof(*change) + len);

    assert_non_null(change);
    *change = (struct ram_change){.truncates = truncates, .at = at, .len = len};
    if (len > 0)
        memcpy(change->bytes, bytes, len);
    *f->last = change;
    f->last = &change->next;
}

/* One step; true when it must fail. */
static bool ram_step(unsigned kind)
{
    if ((ram.kinds & kind) == 0)
        return false;
    ram.steps++;
    if (ram.fail_at == 0 || ram.steps < ram.fail_at || ram.steps - ram.fail_at >= ram.fail_for)
        return false;
    ram.failed++;
    return true;
}

static struct ram_file *ram_find(const char *name)
{
    for (size_t i = 0; i < RAM_FILES; i++)
        if (ram.files[i].exists && strcmp(ram.files[i].name, name) == 0)
            return &ram.files[i];
    return NULL;
}

static struct ram_file *ram_create(const char *name)
{
    for (size_t i = 0; i < RAM_FILES; i++) {
        struct ram_file *f = &ram.files[i];
        /* A removed file comes back under its own name only. */
        if (f->exists || (f->on_platter && strcmp(f->name, name) != 0))
            continue;
        ram_forget_changes(f);
        ram_resize(&f->seen, 0);
        if (!f->on_platter)
            ram_resize(&f->platter, 0);
        else
            ram_remember(f, true, 0, NULL, 0);
        (void)snprintf(f->name, sizeof(f->name), "%s", name);
        f->exists = true;
        return f;
    }
    fail_msg("more files than the disk of the test holds: %s", name);
    return NULL;
}

static void ram_format(void)
{
    for (size_t i = 0; i < RAM_FILES; i++) {
        struct ram_file *f = &ram.files[i];
        ram_forget_changes(f);
        free(f->seen.at);
        free(f->platter.at);
        *f = (struct ram_file){0};
        f->last = &f->changes;
    }
    ram.steps = ram.failed = ram.fail_at = 0;
    ram.kinds = RAM_ANY;
}

static void ram_fail(unsigned kinds, uint64_t at, uint64_t times, int failure)
{
    ram.steps = ram.failed = 0;
    ram.kinds = kinds;
    ram.fail_at = at;
    ram.fail_for = times;
    ram.failure = failure;
}

static void ram_settle(struct ram_file *f, const struct ram_change *change, uint64_t *seed)
{
    uint64_t fate = unit_random(seed, 3);

    if (fate == 0)
        return;
    if (change->truncates) {
        ram_resize(&f->platter, change->at);
        return;
    }
    for (size_t i = 0; i < change->len; i += RAM_SECTOR) {
        size_t len = change->len - i < RAM_SECTOR ? change->len - i : RAM_SECTOR;
        if (fate == 1 || unit_random(seed, 2) == 0)
            ram_put(&f->platter, change->at + i, change->bytes + i, len);
    }
}

/* The power goes and comes back. */
static void ram_lose_power(uint64_t *seed)
{
    for (size_t i = 0; i < RAM_FILES; i++) {
        struct ram_file *f = &ram.files[i];
        f->exists = f->on_platter && (f->exists || unit_random(seed, 2) == 0);
        for (const struct ram_change *c = f->changes; c != NULL; c = c->next)
            ram_settle(f, c, seed);
        ram_forget_changes(f);
        ram_copy(&f->seen, &f->platter);
        f->on_platter = f->exists;
    }
    ram.fail_at = 0;
}

static int ram_close(sqlite3_file *h)
{
    (void)h;
    return SQLITE_OK;
}

static int ram_read(sqlite3_file *h, void *out, int amount, sqlite3_int64 offset)
{
    const struct ram_bytes *b = &((struct ram_handle *)(void *)h)->file->seen;
    size_t at = (size_t)offset;
    size_t wanted = (size_t)amount;
    size_t there = at >= b->len ? 0 : b->len - at < wanted ? b->len - at : wanted;

    if (there > 0)
        memcpy(out, b->at + at, there);
    memset((uint8_t *)out + there, 0, wanted - there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int ram_write(sqlite3_file *h, const void *bytes, int amount, sqlite3_int64 offset)
{
    struct ram_file *f = ((struct ram_handle *)(void *)h)->file;
    bool fails = ram_step(RAM_WRITE);
    size_t len = fails ? (size_t)amount / 2 : (size_t)amount; /* a failed write is half a write */

    ram_put(&f->seen, (size_t)offset, bytes, len);
    ram_remember(f, false, (size_t)offset, bytes, len);
    if (!fails)
        return SQLITE_OK;
    return ram.failure == SQLITE_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int ram_truncate(sqlite3_file *h, sqlite3_int64 size)
{
    struct ram_file *f = ((struct ram_handle *)(void *)h)->file;

    if (ram_step(RAM_OTHER))
        return SQLITE_IOERR_TRUNCATE;
    ram_resize(&f->seen, (size_t)size);
    ram_remember(f, true, (size_t)size, NULL, 0);
    return SQLITE_OK;
}

static void ram_sync_folder(void)
{
    for (size_t i = 0; i < RAM_FILES; i++)
        ram.files[i].on_platter = ram.files[i].exists;
}

/* A sync that fails has thrown the changes away, and the next will not say so: as Linux does. */
static int ram_sync(sqlite3_file *h, int flags)
{
    struct ram_file *f = ((struct ram_handle *)(void *)h)->file;

    (void)flags;
    if (ram_step(RAM_SYNC)) {
        uint64_t seed = ram.steps;
        for (const struct ram_change *c = f->changes; c != NULL; c = c->next)
            ram_settle(f, c, &seed);
        ram_forget_changes(f);
        return SQLITE_IOERR_FSYNC;
    }
    if (!ram.lies) {
        ram_copy(&f->platter, &f->seen);
        ram_forget_changes(f);
    }
    if (!f->on_platter)
        ram_sync_folder(); /* as SQLite's unix driver does, at a new file's first sync */
    return SQLITE_OK;
}

static int ram_size(sqlite3_file *h, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)((struct ram_handle *)(void *)h)->file->seen.len;
    return SQLITE_OK;
}

static int ram_lock(sqlite3_file *h, int kind)
{
    (void)h;
    (void)kind;
    return SQLITE_OK;
}

static int ram_reserved(sqlite3_file *h, int *ret)
{
    (void)h;
    *ret = 0;
    return SQLITE_OK;
}

static int ram_control(sqlite3_file *h, int op, void *arg)
{
    (void)h;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int ram_sector(sqlite3_file *h)
{
    (void)h;
    return RAM_SECTOR;
}

static int ram_nature(sqlite3_file *h)
{
    (void)h;
    return 0;
}

static const sqlite3_io_methods ram_methods = {
    .iVersion = 1,
    .xClose = ram_close,
    .xRead = ram_read,
    .xWrite = ram_write,
    .xTruncate = ram_truncate,
    .xSync = ram_sync,
    .xFileSize = ram_size,
    .xLock = ram_lock,
    .xUnlock = ram_lock,
    .xCheckReservedLock = ram_reserved,
    .xFileControl = ram_control,
    .xSectorSize = ram_sector,
    .xDeviceCharacteristics = ram_nature,
};

static int ram_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *h, int flags, int *ret_flags)
{
    struct ram_handle *handle = (struct ram_handle *)(void *)h;

    (void)vfs;
    *handle = (struct ram_handle){.file = ram_find(name)};
    /* The store made its main file itself; this disk did not see that. */
    if (handle->file == NULL && (flags & SQLITE_OPEN_MAIN_DB) != 0) {
        handle->file = ram_create(name);
        handle->file->on_platter = true;
    }
    if (handle->file == NULL && (flags & SQLITE_OPEN_CREATE) == 0)
        return SQLITE_CANTOPEN;
    if (handle->file == NULL)
        handle->file = ram_create(name);
    handle->base.pMethods = &ram_methods;
    if (ret_flags != NULL)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int ram_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    struct ram_file *f = ram_find(name);

    (void)vfs;
    if (f == NULL)
        return SQLITE_IOERR_DELETE_NOENT;
    if (ram_step(RAM_OTHER))
        return SQLITE_IOERR_DELETE;
    f->exists = false;
    if (sync_folder)
        ram_sync_folder();
    return SQLITE_OK;
}

static int ram_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)vfs;
    (void)flags;
    *ret = ram_find(name) != NULL;
    return SQLITE_OK;
}

static int ram_full_path(sqlite3_vfs *vfs, const char *name, int len, char *out)
{
    (void)vfs;
    (void)snprintf(out, (size_t)len, "%s", name);
    return SQLITE_OK;
}

static sqlite3_vfs ram_vfs = {
    .iVersion = 1,
    .szOsFile = sizeof(struct ram_handle),
    .mxPathname = 255,
    .zName = "ram",
    .xOpen = ram_open,
    .xDelete = ram_delete,
    .xAccess = ram_access,
    .xFullPathname = ram_full_path,
};

/* Every store opened from now on lives on this disk. */
static void ram_mount(void)
{
    const sqlite3_vfs *usual = sqlite3_vfs_find(NULL);

    ram_vfs.xRandomness = usual->xRandomness;
    ram_vfs.xSleep = usual->xSleep;
    ram_vfs.xCurrentTime = usual->xCurrentTime;
    ram_vfs.xGetLastError = usual->xGetLastError;
    assert_int_equal(sqlite3_vfs_register(&ram_vfs, 1), SQLITE_OK);
    ram_format();
}

#endif
