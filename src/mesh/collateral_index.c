/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files themselves cannot say: where an item came from and when it was last asked for
 * (index.json), and what was asked for and is not here (wanted.txt, a request a line). Both are
 * conveniences: lost or damaged, they are begun anew.
 */
#include "mesh/collateral_store.h"

#include <neo/json.h>
#include <neo/store.h>

#include <stdio.h>

enum { INDEX_MAX = 2 << 20, WANTED_BYTES_MAX = 64 << 10, DAY = 86400 };

/* --- index.json ------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, struct neo_bytes text)
{
    (void)snprintf(to, size, "%.*s", NEO_FMT(text));
}

static void read_entry(struct neo_json *r, struct index_entry *entry)
{
    struct neo_bytes key, text;

    if (!neo_json_enter_object(r))
        return;
    while (neo_json_key(r, &key)) {
        if (neo_bytes_is(key, "source") && neo_json_string(r, &text))
            copy_text(entry->source, sizeof(entry->source), text);
        else if (neo_bytes_is(key, "stored"))
            (void)neo_json_i64(r, &entry->stored_at);
        else if (neo_bytes_is(key, "checked"))
            (void)neo_json_i64(r, &entry->checked_at);
        else
            (void)neo_json_skip(r);
    }
}

struct index_entry *store_read_index(const struct neo_collateral_store *store,
                                     struct neo_arena *arena, size_t *ret_n)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct index_entry *entries =
        neo_arena_calloc(arena, NEO_COLLATERAL_HELD_MAX, sizeof(*entries));
    char path[STORE_PATH_LEN];
    struct neo_bytes key;
    struct neo_json r;
    size_t n = 0;

    *ret_n = 0;
    if (entries == NULL || store_path(store, "index.json", path, NULL) != NEO_OK ||
        neo_file_read(path, INDEX_MAX, &text, NULL) != NEO_OK)
        return entries;
    neo_json_init(&r, neo_buffer_bytes(&text), "index.json", arena);
    if (!neo_json_enter_object(&r))
        return entries;
    while (neo_json_key(&r, &key)) {
        if (n == NEO_COLLATERAL_HELD_MAX || key.len >= NEO_COLLATERAL_NAME_LEN) {
            (void)neo_json_skip(&r);
            continue;
        }
        copy_text(entries[n].name, sizeof(entries[n].name), key);
        read_entry(&r, &entries[n++]);
    }
    *ret_n = neo_json_finish(&r, NULL) == NEO_OK ? n : 0;
    return entries;
}

enum neo_code store_write_index(const struct neo_collateral_store *store, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};
    char path[STORE_PATH_LEN];

    neo_json_open_object(&w);
    for (size_t i = 0; i < store->n; i++) {
        const struct neo_collateral_held *held = &store->held[i];
        neo_json_put_key(&w, held->item->name);
        neo_json_open_object(&w);
        neo_json_put_key(&w, "source");
        neo_json_put_text(&w, held->source);
        neo_json_put_key(&w, "stored");
        neo_json_put_i64(&w, held->stored_at);
        neo_json_put_key(&w, "checked");
        neo_json_put_i64(&w, held->checked_at);
        neo_json_close_object(&w);
    }
    neo_json_close_object(&w);
    if (out.failed)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory writing index.json");
    NEO_TRY(store_path(store, "index.json", path, err));
    return neo_file_replace(path, neo_buffer_bytes(&out), 0600, err);
}

/* --- wanted.txt ------------------------------------------------------------------------------- */

static bool is_wanted(const struct neo_collateral_store *store, struct neo_bytes request)
{
    for (size_t i = 0; i < store->n_wanted; i++) {
        if (neo_bytes_is(request, store->wanted[i]))
            return true;
    }
    return false;
}

static bool is_held(const struct neo_collateral_store *store, struct neo_bytes request)
{
    for (size_t i = 0; i < store->n; i++) {
        const char *of_item = store->held[i].item->request;
        if (of_item != NULL && neo_bytes_is(request, of_item))
            return true;
    }
    return false;
}

/* The oldest gives way. */
static bool add_wanted(struct neo_collateral_store *store, struct neo_bytes request)
{
    if (!neo_collateral_is_request(request) || is_held(store, request) || is_wanted(store, request))
        return false;
    char *copy = neo_arena_string(&store->arena, request);
    if (copy == NULL)
        return false;
    if (store->n_wanted == NEO_COLLATERAL_WANTED_MAX) {
        store->n_wanted--;
        memmove(store->wanted, store->wanted + 1, store->n_wanted * sizeof(*store->wanted));
    }
    store->wanted[store->n_wanted++] = copy;
    return true;
}

void store_read_wanted(struct neo_collateral_store *store)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char path[STORE_PATH_LEN];

    store->n_wanted = 0;
    if (store_path(store, "wanted.txt", path, NULL) != NEO_OK ||
        neo_file_read(path, WANTED_BYTES_MAX, &text, NULL) != NEO_OK)
        return;
    for (struct neo_bytes left = neo_buffer_bytes(&text); left.len > 0;) {
        const uint8_t *end = memchr(left.at, '\n', left.len);
        size_t len = end == NULL ? left.len : (size_t)(end - left.at);
        (void)add_wanted(store, neo_bytes(left.at, len));
        left = neo_bytes_from(left, len + 1);
    }
}

/* What is held by now is wanted no more. */
static void drop_answered(struct neo_collateral_store *store)
{
    size_t n = 0;

    for (size_t i = 0; i < store->n_wanted; i++) {
        if (!is_held(store, neo_text(store->wanted[i])))
            store->wanted[n++] = store->wanted[i];
    }
    store->n_wanted = n;
}

enum neo_code store_write_wanted(struct neo_collateral_store *store, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    size_t before = store->n_wanted;
    char path[STORE_PATH_LEN];

    drop_answered(store);
    if (before == 0) /* there is no such file, or an empty one */
        return NEO_OK;
    for (size_t i = 0; i < store->n_wanted; i++)
        (void)neo_buffer_printf(&out, "%s\n", store->wanted[i]);
    if (out.failed)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory writing wanted.txt");
    NEO_TRY(store_path(store, "wanted.txt", path, err));
    return neo_file_replace(path, neo_buffer_bytes(&out), 0600, err);
}

enum neo_code neo_collateral_store_want(struct neo_collateral_store *store,
                                        const char *const *requests, size_t n,
                                        struct neo_error *err)
{
    NEO_CLEANUP(store_unlock) int lock = store_lock(store, err);
    bool is_new = false;

    if (lock < 0)
        return err == NULL ? NEO_INTERNAL : err->code;
    NEO_TRY(neo_collateral_store_reload(store, err));
    for (size_t i = 0; i < n; i++)
        is_new = add_wanted(store, neo_text(requests[i])) || is_new;
    return is_new ? store_write_wanted(store, err) : NEO_OK;
}

/* --- what is due ------------------------------------------------------------------------------ */

/*
 * Once a day, for a maker may publish a new edition, and the bad news in it, long before the old
 * one ends; from two thirds of its life on, and when it has ended, more often.
 */
static int64_t due_at(const struct neo_collateral_held *held, int64_t now)
{
    const struct neo_collateral_item *item = held->item;
    int64_t last = held->checked_at > held->stored_at ? held->checked_at : held->stored_at;
    int64_t life = item->until - item->issued;

    if (now >= item->until)
        return last + DAY / 24;
    return last + (now >= item->issued + life / 3 * 2 ? DAY / 4 : DAY);
}

void neo_collateral_store_due(const struct neo_collateral_store *store, int64_t now,
                              neo_collateral_due_fn *each, void *self)
{
    for (size_t i = 0; i < store->n; i++) {
        const struct neo_collateral_held *held = &store->held[i];
        if (held->item->is_dated && held->item->request != NULL)
            each(self, held->item->request, due_at(held, now));
    }
    /* Behind what there is: these come from evidence, whose maker is not proven yet. */
    for (size_t i = 0; i < store->n_wanted; i++)
        each(self, store->wanted[i], 0);
}
