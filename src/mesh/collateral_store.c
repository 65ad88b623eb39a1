/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder is the truth: what is in it is read by its contents, and a name is only where to
 * find it. Nothing is deleted but what a newer edition replaces, and what a writer that was
 * killed left half-written.
 */
#include "mesh/collateral_store.h"

#include <neo/digest.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_BUDGET = 64 << 20, FILES_MAX = 4096, PROBLEMS_MAX = 64, TOTAL_MAX = 32 << 20 };

enum neo_code store_path(const struct neo_collateral_store *store, const char *name,
                         char path[static STORE_PATH_LEN], struct neo_error *err)
{
    int len = snprintf(path, STORE_PATH_LEN, "%s/%s", store->dir, name);

    if (len < 0 || len >= STORE_PATH_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the path of '%s' is too long", name);
    return NEO_OK;
}

int store_lock(const struct neo_collateral_store *store, struct neo_error *err)
{
    char path[STORE_PATH_LEN];

    if (store_path(store, ".lock", path, err) != NEO_OK)
        return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)neo_fail_errno(err, "cannot lock the collateral: '%s'", path);
        return -1;
    }
    while (flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        (void)neo_fail_errno(err, "cannot lock the collateral: '%s'", path);
        (void)close(fd);
        return -1;
    }
    return fd;
}

void store_unlock(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* --- reading ---------------------------------------------------------------------------------- */

NEO_PRINTF(3, 4)
static void problem(struct neo_collateral_store *store, const char *file, const char *format, ...)
{
    char why[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    if (store->n_problems < PROBLEMS_MAX) {
        char *text = neo_arena_printf(&store->arena, "%s: %s", file, why);
        if (text != NULL)
            store->problems[store->n_problems++] = text;
    }
}

/* "intel-qe.json.Ab12Cd": what neo_file_replace() was writing when it was killed. */
static bool is_half_written(const char *name)
{
    static const char *const ends[] = {".der.", ".json.", ".txt."};
    size_t len = strlen(name);

    for (size_t i = 0; i < NEO_COUNT(ends); i++) {
        size_t n = strlen(ends[i]);
        if (len > n + 6 && memcmp(name + len - 6 - n, ends[i], n) == 0)
            return true;
    }
    return false;
}

static bool is_collateral(const char *name)
{
    return name[0] != '.' && strcmp(name, "index.json") != 0 && strcmp(name, "wanted.txt") != 0 &&
           !is_half_written(name);
}

struct folder {
    char *names[FILES_MAX];
    size_t n;
};

static int by_name(const void *a, const void *b)
{
    char *const *left = a;
    char *const *right = b;

    return strcmp(*left, *right);
}

static enum neo_code list_folder(struct neo_collateral_store *store, struct folder *ret,
                                 struct neo_error *err)
{
    DIR *dir = opendir(store->dir);

    if (dir == NULL)
        return neo_fail_errno(err, "cannot open the collateral folder '%s'", store->dir);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (!is_collateral(d->d_name))
            continue;
        if (ret->n == FILES_MAX) {
            problem(store, d->d_name, "more than %d files: it and others are not read", FILES_MAX);
            break;
        }
        char *name = neo_arena_string(&store->arena, neo_text(d->d_name));
        if (name != NULL)
            ret->names[ret->n++] = name;
    }
    (void)closedir(dir);
    qsort(ret->names, ret->n, sizeof(ret->names[0]), by_name);
    return NEO_OK;
}

/* The items that a file brought are those from the set's end at the time. */
static void read_file(struct neo_collateral_store *store, const char *name, struct stat *st)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char path[STORE_PATH_LEN];
    struct neo_error why;

    if (store_path(store, name, path, &why) != NEO_OK || lstat(path, st) != 0)
        return;
    if (!S_ISREG(st->st_mode))
        problem(store, name, "no regular file");
    else if (st->st_uid != geteuid() && st->st_uid != 0)
        problem(store, name, "it belongs to another user; run: chown %u '%s'", (unsigned)geteuid(),
                path);
    else if ((st->st_mode & 022) != 0)
        problem(store, name, "others may write to it; run: chmod go-w '%s'", path);
    else if (neo_file_read(path, NEO_COLLATERAL_FILE_MAX, &text, &why) != NEO_OK ||
             neo_collateral_add(store->set, neo_buffer_bytes(&text), name, &why) != NEO_OK)
        problem(store, name, "%s", why.message);
}

struct origin {
    const char *file;
    int64_t stored_at;
};

static enum neo_code read_files(struct neo_collateral_store *store, struct origin *origins,
                                struct neo_error *err)
{
    struct folder *folder = neo_arena_calloc(&store->arena, 1, sizeof(*folder));

    if (folder == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading collateral");
    NEO_TRY(list_folder(store, folder, err));
    for (size_t i = 0; i < folder->n; i++) {
        struct stat st = {0};
        size_t before = neo_collateral_count(store->set);
        read_file(store, folder->names[i], &st);
        for (size_t k = before; k < neo_collateral_count(store->set); k++)
            origins[k] = (struct origin){folder->names[i], st.st_mtim.tv_sec};
    }
    return NEO_OK;
}

static const struct index_entry *find_entry(const struct index_entry *index, size_t n,
                                            const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(index[i].name, name) == 0)
            return &index[i];
    }
    return NULL;
}

/* Of each name the newest that is not wrong. */
static void hold_items(struct neo_collateral_store *store, const struct origin *origins)
{
    size_t n_index = 0;
    const struct index_entry *index = store_read_index(store, &store->arena, &n_index);

    neo_collateral_verify(store->set);
    for (size_t i = 0; i < neo_collateral_count(store->set); i++) {
        const struct neo_collateral_item *item = neo_collateral_at(store->set, i);
        if (item->standing == NEO_COLLATERAL_WRONG) {
            problem(store, origins[i].file, "%s", item->why);
            continue;
        }
        if (neo_collateral_find(store->set, neo_text(item->name)) != item)
            continue; /* there is a newer edition */
        if (store->n == NEO_COLLATERAL_HELD_MAX) {
            problem(store, origins[i].file, "more than %d items", NEO_COLLATERAL_HELD_MAX);
            return;
        }
        const struct index_entry *known = find_entry(index, n_index, item->name);
        store->bytes[store->n] = item->bytes;
        store->held[store->n++] = (struct neo_collateral_held){
            .item = item,
            .file = origins[i].file,
            .source = known != NULL ? known->source : "found in the folder",
            .stored_at = known != NULL ? known->stored_at : origins[i].stored_at,
            .checked_at = known != NULL ? known->checked_at : 0,
        };
    }
}

static void forget(struct neo_collateral_store *store)
{
    neo_collateral_free(store->set);
    store->set = NULL;
    neo_arena_fini(&store->arena);
    neo_arena_init(&store->arena, ARENA_BUDGET);
    store->n = store->n_problems = store->n_wanted = 0;
}

enum neo_code neo_collateral_store_reload(struct neo_collateral_store *store, struct neo_error *err)
{
    const struct neo_collateral_options options = {
        .simulated_root = neo_buffer_bytes(&store->simulated_root),
        .development = store->development,
    };

    forget(store);
    NEO_TRY(neo_collateral_new(&options, &store->set, err));
    struct neo_arena *arena = &store->arena;
    struct origin *origins =
        neo_arena_calloc(arena, NEO_COLLATERAL_ITEMS_MAX, sizeof(struct origin));
    store->held = neo_arena_calloc(arena, NEO_COLLATERAL_HELD_MAX, sizeof(*store->held));
    store->bytes = neo_arena_calloc(arena, NEO_COLLATERAL_HELD_MAX, sizeof(*store->bytes));
    store->problems = neo_arena_calloc(arena, PROBLEMS_MAX, sizeof(*store->problems));
    store->wanted = neo_arena_calloc(arena, NEO_COLLATERAL_WANTED_MAX, sizeof(*store->wanted));
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading collateral");
    NEO_TRY(read_files(store, origins, err));
    hold_items(store, origins);
    store_read_wanted(store);
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading collateral");
    return NEO_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum neo_code check_folder(const struct neo_collateral_store_options *o,
                                  struct neo_error *err)
{
    struct stat st;

    if (o->make && mkdir(o->dir, 0700) != 0 && errno != EEXIST)
        return neo_fail_errno(err, "cannot make the collateral folder '%s'", o->dir);
    if (stat(o->dir, &st) != 0)
        return neo_fail_errno(err, "cannot look at the collateral folder '%s'", o->dir);
    if (!S_ISDIR(st.st_mode))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%s' is not a folder", o->dir);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "the collateral folder '%s' belongs to another user, who would say what is "
                        "genuine; run: chown %u '%s'",
                        o->dir, (unsigned)geteuid(), o->dir);
    if ((st.st_mode & 022) != 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "others may write to the collateral folder '%s', and would say what is "
                        "genuine; run: chmod go-w '%s'",
                        o->dir, o->dir);
    return NEO_OK;
}

void neo_collateral_store_close(struct neo_collateral_store *store)
{
    if (store == NULL)
        return;
    neo_collateral_free(store->set);
    neo_arena_fini(&store->arena);
    neo_buffer_fini(&store->simulated_root);
    neo_free(store->dir);
    neo_free(store);
}

static void store_closep(struct neo_collateral_store **store)
{
    neo_collateral_store_close(*store);
}

enum neo_code neo_collateral_store_open(const struct neo_collateral_store_options *options,
                                        struct neo_collateral_store **ret, struct neo_error *err)
{
    NEO_TRY(check_folder(options, err));
    NEO_CLEANUP(store_closep) struct neo_collateral_store *store = neo_alloc(sizeof(*store));
    if (store == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening collateral");
    store->dir = neo_string_dup(options->dir);
    store->development = options->development;
    if (store->dir == NULL || !neo_buffer_append(&store->simulated_root, options->simulated_root))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening collateral");
    neo_arena_init(&store->arena, ARENA_BUDGET);
    NEO_TRY(neo_collateral_store_reload(store, err));
    *ret = store;
    store = NULL;
    return NEO_OK;
}

size_t neo_collateral_store_count(const struct neo_collateral_store *store)
{
    return store->n;
}

const struct neo_collateral_held *neo_collateral_store_at(const struct neo_collateral_store *store,
                                                          size_t i)
{
    return &store->held[i];
}

size_t neo_collateral_store_problems(const struct neo_collateral_store *store)
{
    return store->n_problems;
}

const char *neo_collateral_store_problem(const struct neo_collateral_store *store, size_t i)
{
    return store->problems[i];
}

const struct neo_bytes *neo_collateral_store_bytes(const struct neo_collateral_store *store,
                                                   size_t *ret_n)
{
    *ret_n = store->n;
    return store->bytes;
}

/* --- fingerprint ------------------------------------------------------------------------------ */

void neo_collateral_fingerprint(const char *dir, uint8_t ret[static 32])
{
    uint8_t sum[32] = {0};
    DIR *d = opendir(dir);

    memset(ret, 0, 32);
    if (d == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        char text[512];
        uint8_t one[NEO_SHA256_LEN];
        struct stat st;
        if (!is_collateral(entry->d_name) || fstatat(dirfd(d), entry->d_name, &st, 0) != 0)
            continue;
        int len = snprintf(text, sizeof(text), "%s %llu %lld %lld.%ld", entry->d_name,
                           (unsigned long long)st.st_ino, (long long)st.st_size,
                           (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        neo_sha256(neo_bytes(text, len < 0 ? 0 : strnlen(text, sizeof(text))), one);
        for (size_t i = 0; i < sizeof(one); i++) /* in whatever order they are listed */
            sum[i] ^= one[i];
    }
    (void)closedir(d);
    sum[0] = 1; /* whatever the sum is, there is a folder */
    memcpy(ret, sum, 32);
}

/* --- putting ---------------------------------------------------------------------------------- */

/* Headers of a fetch that was killed an hour ago; another one may be under way. */
static bool is_left_over(const char *path, int64_t now)
{
    struct stat st;

    return lstat(path, &st) == 0 && st.st_mtim.tv_sec + 3600 < now;
}

static void remove_half_written(const struct neo_collateral_store *store, int64_t now)
{
    char path[STORE_PATH_LEN];
    DIR *dir = opendir(store->dir);

    if (dir == NULL)
        return;
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (store_path(store, d->d_name, path, NULL) != NEO_OK)
            continue;
        if (is_half_written(d->d_name) ||
            (strncmp(d->d_name, ".headers.", 9) == 0 && is_left_over(path, now)))
            (void)unlink(path);
    }
    (void)closedir(dir);
}

static struct neo_collateral_held *find_held(struct neo_collateral_store *store, const char *name)
{
    for (size_t i = 0; i < store->n; i++) {
        if (strcmp(store->held[i].item->name, name) == 0)
            return &store->held[i];
    }
    return NULL;
}

static enum neo_code has_room(const struct neo_collateral_store *store, size_t more,
                              struct neo_error *err)
{
    size_t total = more;

    for (size_t i = 0; i < store->n; i++)
        total += store->bytes[i].len;
    if (store->n >= NEO_COLLATERAL_HELD_MAX || total > TOTAL_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "the collateral folder '%s' is full: at most %d items and %d MiB",
                        store->dir, NEO_COLLATERAL_HELD_MAX, TOTAL_MAX >> 20);
    return NEO_OK;
}

static enum neo_collateral_outcome judge(const struct neo_collateral_item *item,
                                         const struct neo_collateral_held *old,
                                         const struct neo_collateral_put *how)
{
    if (item->standing == NEO_COLLATERAL_WRONG ||
        (how->only_verified && item->standing != NEO_COLLATERAL_VERIFIED))
        return NEO_COLLATERAL_REFUSED;
    if (old == NULL)
        return NEO_COLLATERAL_ADDED;
    if (neo_bytes_equal(item->bytes, old->item->bytes))
        return NEO_COLLATERAL_SAME;
    int newer = neo_collateral_compare(item, old->item);
    if (newer > 0 || how->force)
        return NEO_COLLATERAL_REPLACED;
    return newer < 0 ? NEO_COLLATERAL_OLDER : NEO_COLLATERAL_SAME;
}

static enum neo_code write_item(struct neo_collateral_store *store,
                                const struct neo_collateral_item *item,
                                struct neo_collateral_held *old,
                                const struct neo_collateral_put *how, struct neo_error *err)
{
    char path[STORE_PATH_LEN], stale[STORE_PATH_LEN];
    char source[STORE_SOURCE_LEN];

    if (old == NULL)
        NEO_TRY(has_room(store, item->bytes.len, err));
    (void)snprintf(source, sizeof(source), "%s", how->source);
    NEO_TRY(store_path(store, item->name, path, err));
    NEO_TRY(neo_file_replace(path, item->bytes, 0600, err));
    /* A forced older one must not lose against the file of another name that held the newer. */
    if (old != NULL && how->force && strcmp(old->file, item->name) != 0 &&
        store_path(store, old->file, stale, NULL) == NEO_OK)
        (void)unlink(stale);
    if (old == NULL)
        old = &store->held[store->n++];
    *old = (struct neo_collateral_held){
        .item = item,
        .file = item->name,
        .source = neo_arena_string(&store->arena, neo_text(source)),
        .stored_at = how->now,
        .checked_at = how->now,
    };
    store->bytes[old - store->held] = item->bytes;
    return old->source == NULL ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory") : NEO_OK;
}

/* The item of these bytes in the store's own set, after the incoming ones were added to it. */
static const struct neo_collateral_item *own_item(const struct neo_collateral_store *store,
                                                  struct neo_bytes bytes)
{
    for (size_t i = 0; i < neo_collateral_count(store->set); i++) {
        const struct neo_collateral_item *item = neo_collateral_at(store->set, i);
        if (neo_bytes_equal(item->bytes, bytes))
            return item;
    }
    return NULL;
}

static enum neo_code put_item(struct neo_collateral_store *store,
                              const struct neo_collateral_item *item,
                              const struct neo_collateral_put *how, struct neo_error *err)
{
    struct neo_collateral_held *old = find_held(store, item->name);
    enum neo_collateral_outcome outcome = judge(item, old, how);
    const char *why = item->why;

    if (outcome == NEO_COLLATERAL_ADDED || outcome == NEO_COLLATERAL_REPLACED)
        NEO_TRY(write_item(store, item, old, how, err));
    else if (outcome == NEO_COLLATERAL_SAME)
        old->checked_at = how->now;
    else if (outcome == NEO_COLLATERAL_OLDER)
        why = "what is there is newer; --force puts the older one in its place";
    if (how->each != NULL)
        how->each(how->self, item, outcome, why);
    return NEO_OK;
}

/* Pointers into the set move when it grows: everything is found anew by its bytes. */
static enum neo_code merge(struct neo_collateral_store *store, const struct neo_collateral *set,
                           struct neo_error *err)
{
    for (size_t i = 0; i < neo_collateral_count(set); i++)
        NEO_TRY(
            neo_collateral_add(store->set, neo_collateral_at(set, i)->bytes, "collateral", err));
    neo_collateral_verify(store->set);
    for (size_t i = 0; i < store->n; i++)
        store->held[i].item = own_item(store, store->bytes[i]);
    return NEO_OK;
}

enum neo_code neo_collateral_store_put(struct neo_collateral_store *store,
                                       const struct neo_collateral *set,
                                       const struct neo_collateral_put *how, struct neo_error *err)
{
    NEO_CLEANUP(store_unlock) int lock = store_lock(store, err);
    enum neo_code code = NEO_OK;

    if (lock < 0)
        return err == NULL ? NEO_INTERNAL : err->code;
    remove_half_written(store, how->now);
    NEO_TRY(neo_collateral_store_reload(store, err)); /* another process may have been here */
    NEO_TRY(merge(store, set, err));
    for (size_t i = 0; i < neo_collateral_count(set) && code == NEO_OK; i++) {
        const struct neo_collateral_item *item = own_item(store, neo_collateral_at(set, i)->bytes);
        if (item != NULL)
            code = put_item(store, item, how, err);
    }
    if (code != NEO_OK)
        return code;
    NEO_TRY(store_write_index(store, err));
    return store_write_wanted(store, err);
}

const char *neo_collateral_outcome_text(enum neo_collateral_outcome outcome)
{
    static const char *const texts[] = {
        [NEO_COLLATERAL_ADDED] = "added",     [NEO_COLLATERAL_REPLACED] = "replaced",
        [NEO_COLLATERAL_SAME] = "same",       [NEO_COLLATERAL_OLDER] = "older",
        [NEO_COLLATERAL_REFUSED] = "refused",
    };

    return (size_t)outcome < NEO_COUNT(texts) ? texts[outcome] : "unknown";
}
