/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/table.h"

#include <neo/digest.h>
#include <neo/encoding.h>
#include <neo/loop.h>
#include <neo/memory.h>
#include <neo/spiffe.h>

#include <stdio.h>

enum {
    TTL_MIN = 5,
    TTL_MAX = 60,
    TTL_DEFAULT = 10,
    METADATA_MAX = 4096,
    LEASE_LEN = 40,
    LIVE_MAX = 64
};

struct entry {
    struct entry *next;
    char lease[LEASE_LEN];
    char service[64];
    char id[80];
    neo_nsec expires;
    neo_nsec ttl;
    int32_t health;
    uint64_t policy_number;
    bool audit_failing;
    struct neo_buffer wire; /* the Instance as kept */
    struct neo_buffer live; /* a HeartbeatRequest of which only `live` is filled */
};

static const char *const migrations[] = {
    "CREATE TABLE instances (service TEXT NOT NULL, id TEXT NOT NULL, lease TEXT NOT NULL UNIQUE,"
    "  ttl INTEGER NOT NULL, wire BLOB NOT NULL, PRIMARY KEY (service, id)) WITHOUT ROWID;"
    "CREATE TABLE revision (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);"
    "INSERT INTO revision VALUES (1, 1);",
    "CREATE TABLE policy (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL,"
    "  digest BLOB NOT NULL);"
    "INSERT INTO policy VALUES (1, 0, x'');",
    NULL,
};

#define VALUES(...)                                                                                \
    (const struct neo_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct neo_value[]){__VA_ARGS__}) / sizeof(struct neo_value)

static void entry_free(struct entry *e)
{
    neo_buffer_fini(&e->wire);
    neo_buffer_fini(&e->live);
    neo_free(e);
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool load_entry(struct table *t, const struct neo_row *row, neo_nsec now)
{
    struct entry *e = neo_alloc(sizeof(*e));

    if (e == NULL)
        return false;
    (void)snprintf(e->service, sizeof(e->service), "%.*s", NEO_FMT(neo_row_bytes(row, 0)));
    (void)snprintf(e->id, sizeof(e->id), "%.*s", NEO_FMT(neo_row_bytes(row, 1)));
    (void)snprintf(e->lease, sizeof(e->lease), "%.*s", NEO_FMT(neo_row_bytes(row, 2)));
    e->ttl = (neo_nsec)neo_row_i64(row, 3) * NEO_NSEC_PER_SEC;
    e->expires = now + 2 * e->ttl;
    e->health = neo_registry_v1_HEALTH_SERVING;
    (void)neo_buffer_append(&e->wire, neo_row_bytes(row, 4));
    e->next = t->first;
    t->first = e;
    t->n++;
    return true;
}

enum neo_code table_open(struct table *t, const char *path, neo_nsec now, struct neo_error *err)
{
    struct neo_row *row;

    *t = (struct table){.revision = 1};
    (void)pthread_mutex_init(&t->lock, NULL);
    NEO_TRY(neo_store_open(path, migrations, &t->store, err));
    NEO_TRY(neo_store_query(t->store, "SELECT number FROM revision", NULL, 0, &row, err));
    if (neo_row_next(row))
        t->revision = (uint64_t)neo_row_i64(row, 0);
    NEO_TRY(neo_row_done(row, err));
    NEO_TRY(neo_store_query(t->store, "SELECT service, id, lease, ttl, wire FROM instances", NULL,
                            0, &row, err));
    while (neo_row_next(row) && load_entry(t, row, now))
        ;
    return neo_row_done(row, err);
}

void table_close(struct table *t)
{
    while (t->first != NULL) {
        struct entry *e = t->first;
        t->first = e->next;
        entry_free(e);
    }
    neo_store_close(t->store);
    (void)pthread_mutex_destroy(&t->lock);
}

/* --- what may be registered ------------------------------------------------------------------- */

static bool is_label(struct neo_bytes text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("-._:/[]+", c) != NULL)))
            return false;
    }
    return text.len > 0 && text.len <= max;
}

static bool is_text(struct neo_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x20 || text.at[i] > 0x7e)
            return false;
    return true;
}

/* "ip:port" with a port that is not 0; callers demand the identity, so more is not asked here. */
static bool is_address(struct neo_bytes text)
{
    size_t colon = text.len;
    unsigned port = 0;

    if (!is_label(text, 120))
        return false;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return false;
    for (size_t i = colon; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || port > 65535)
            return false;
        port = port * 10 + (unsigned)(text.at[i] - '0');
    }
    return port > 0 && port <= 65535;
}

static enum neo_code check_lists(const struct neo_registry_v1_Instance *i, struct neo_error *err)
{
    size_t size = 0;

    if (i->addresses.len == 0 || i->addresses.len > 8)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "an instance has 1 to 8 addresses");
    for (size_t k = 0; k < i->addresses.len; k++)
        if (!is_address(i->addresses.at[k]))
            return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.*s' is no address; write ip:port",
                            NEO_FMT(i->addresses.at[k]));
    for (size_t k = 0; k < i->metadata.len; k++) {
        size += i->metadata.at[k].key.len + i->metadata.at[k].value.len;
        if (!is_label(i->metadata.at[k].key, 64) || !is_text(i->metadata.at[k].value))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "metadata: keys of [A-Za-z0-9._:/+-], values printable ASCII");
    }
    for (size_t k = 0; k < i->capabilities.len; k++) {
        size += i->capabilities.at[k].len;
        if (!is_label(i->capabilities.at[k], 64))
            return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.*s' is no capability",
                            NEO_FMT(i->capabilities.at[k]));
    }
    return size <= METADATA_MAX
               ? NEO_OK
               : neo_fail(err, NEO_INVALID_ARGUMENT, "metadata and capabilities: at most %d bytes",
                          METADATA_MAX);
}

static enum neo_code check(struct neo_bytes caller, const struct neo_registry_v1_Instance *i,
                           struct neo_error *err)
{
    if (i == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "no instance in the request");
    if (!neo_bytes_equal(caller, i->service))
        return neo_fail(err, NEO_PERMISSION_DENIED, "'%.*s' may register itself only, not '%.*s'",
                        NEO_FMT(caller), NEO_FMT(i->service));
    if (!is_label(i->id, 79) || (i->version.len > 0 && !is_label(i->version, 63)) ||
        (i->admin_address.len > 0 && !is_address(i->admin_address)))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the instance's id, version or admin address is "
                        "malformed");
    return check_lists(i, err);
}

/* --- registering ------------------------------------------------------------------------------ */

static struct entry **find_id(struct table *t, struct neo_bytes service, struct neo_bytes id)
{
    struct entry **at = &t->first;

    while (*at != NULL && !(neo_bytes_is(service, (*at)->service) && neo_bytes_is(id, (*at)->id)))
        at = &(*at)->next;
    return at;
}

static size_t count_service(const struct table *t, struct neo_bytes service)
{
    size_t n = 0;

    for (const struct entry *e = t->first; e != NULL; e = e->next)
        n += neo_bytes_is(service, e->service);
    return n;
}

static enum neo_code write_entry(struct table *t, const struct entry *e, struct neo_error *err)
{
    NEO_TRY(neo_store_begin(t->store, err));
    enum neo_code code =
        neo_store_run(t->store,
                      "INSERT OR REPLACE INTO instances (service, id, lease, ttl, wire) "
                      "VALUES (?1, ?2, ?3, ?4, ?5)",
                      VALUES(neo_value_text(neo_text(e->service)), neo_value_text(neo_text(e->id)),
                             neo_value_text(neo_text(e->lease)),
                             neo_value_i64((int64_t)(e->ttl / NEO_NSEC_PER_SEC)),
                             neo_value_bytes(neo_buffer_bytes(&e->wire))),
                      NULL, err);
    if (code == NEO_OK)
        code = neo_store_run(t->store, "UPDATE revision SET number = ?1",
                             VALUES(neo_value_i64((int64_t)t->revision + 1)), NULL, err);
    if (code == NEO_OK)
        code = neo_store_commit(t->store, err);
    if (code != NEO_OK)
        neo_store_rollback(t->store);
    return code;
}

static enum neo_code make_entry(const struct neo_registry_v1_RegisterRequest *r, neo_nsec now,
                                struct entry *e, struct neo_error *err)
{
    struct neo_registry_v1_Instance kept = *r->instance;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    int64_t ttl = r->ttl_seconds == 0 ? TTL_DEFAULT : r->ttl_seconds;
    uint8_t random[16];

    ttl = ttl < TTL_MIN ? TTL_MIN : ttl > TTL_MAX ? TTL_MAX : ttl;
    kept.registered_at = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    kept.health = neo_registry_v1_HEALTH_SERVING;
    neo_random(random, sizeof(random));
    if (!neo_hex_encode(&hex, neo_bytes(random, sizeof(random))))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory registering");
    (void)snprintf(e->lease, sizeof(e->lease), "%.*s", NEO_FMT(neo_buffer_bytes(&hex)));
    (void)snprintf(e->service, sizeof(e->service), "%.*s", NEO_FMT(kept.service));
    (void)snprintf(e->id, sizeof(e->id), "%.*s", NEO_FMT(kept.id));
    e->ttl = (neo_nsec)ttl * NEO_NSEC_PER_SEC;
    e->expires = now + e->ttl;
    e->health = kept.health;
    return neo_registry_v1_Instance_encode(&kept, &e->wire, err);
}

static enum neo_code register_locked(struct table *t, struct entry *e, struct neo_error *err)
{
    struct entry **old = find_id(t, neo_text(e->service), neo_text(e->id));

    if (*old == NULL && count_service(t, neo_text(e->service)) >= TABLE_PER_SERVICE_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "at most %d instances of a service",
                        TABLE_PER_SERVICE_MAX);
    if (*old == NULL && t->n >= TABLE_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "at most %d instances in all", TABLE_MAX);
    NEO_TRY(write_entry(t, e, err));
    t->revision++;
    if (*old != NULL) {
        struct entry *gone = *old;
        *old = gone->next;
        t->n--;
        entry_free(gone);
    }
    e->next = t->first;
    t->first = e;
    t->n++;
    return NEO_OK;
}

enum neo_code table_register(struct table *t, struct neo_bytes caller,
                             const struct neo_registry_v1_RegisterRequest *r, neo_nsec now,
                             struct neo_arena *arena,
                             struct neo_registry_v1_RegisterResponse *response,
                             struct neo_error *err)
{
    NEO_TRY(check(caller, r->instance, err));
    struct entry *e = neo_alloc(sizeof(*e));
    if (e == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory registering");
    enum neo_code code = make_entry(r, now, e, err);
    if (code == NEO_OK) {
        response->lease_id = neo_arena_copy(arena, neo_text(e->lease));
        response->ttl_seconds = (int64_t)(e->ttl / NEO_NSEC_PER_SEC);
        (void)pthread_mutex_lock(&t->lock);
        code = register_locked(t, e, err);
        response->revision = t->revision;
        (void)pthread_mutex_unlock(&t->lock);
    }
    if (code != NEO_OK)
        entry_free(e);
    return code;
}

/* --- leases ----------------------------------------------------------------------------------- */

static struct entry **find_lease(struct table *t, struct neo_bytes caller, struct neo_bytes lease)
{
    struct entry **at = &t->first;

    while (*at != NULL && !(neo_secret_equal(lease, neo_text((*at)->lease)) &&
                            neo_bytes_is(caller, (*at)->service)))
        at = &(*at)->next;
    return at;
}

/* What does not look like a count is not kept: nobody but people and rollouts go by it. */
static void keep_live(struct entry *e, const struct neo_registry_v1_HeartbeatRequest *beat)
{
    struct neo_registry_v1_HeartbeatRequest kept = {0};

    kept.live.at = beat->live.at;
    kept.live.len = beat->live.len;
    neo_buffer_clear(&e->live);
    if (beat->live.len > LIVE_MAX)
        return;
    for (size_t i = 0; i < beat->live.len; i++) {
        const struct neo_registry_v1_Live *l = beat->live.at[i];
        if (!neo_is_service_name(l->service) || !is_label(l->measurement, 128))
            return;
    }
    if (neo_registry_v1_HeartbeatRequest_encode(&kept, &e->live, NULL) != NEO_OK)
        neo_buffer_clear(&e->live);
}

bool table_heartbeat(struct table *t, struct neo_bytes caller,
                     const struct neo_registry_v1_HeartbeatRequest *beat, neo_nsec now,
                     bool *ret_changed)
{
    int32_t health = beat->health;
    bool known;

    *ret_changed = false;
    (void)pthread_mutex_lock(&t->lock);
    struct entry *e = *find_lease(t, caller, beat->lease_id);
    known = e != NULL;
    if (known) {
        e->expires = now + e->ttl;
        e->policy_number = beat->policy_number;
        e->audit_failing = beat->audit_failing;
        keep_live(e, beat);
        if (health != neo_registry_v1_HEALTH_UNSPECIFIED && health != e->health) {
            e->health = health;
            t->revision++;
            *ret_changed = true;
        }
    }
    (void)pthread_mutex_unlock(&t->lock);
    return known;
}

static enum neo_code remove_locked(struct table *t, struct entry **at, struct neo_error *err)
{
    struct entry *gone = *at;

    NEO_TRY(neo_store_run(
        t->store, "DELETE FROM instances WHERE service = ?1 AND id = ?2",
        VALUES(neo_value_text(neo_text(gone->service)), neo_value_text(neo_text(gone->id))), NULL,
        err));
    NEO_TRY(neo_store_run(t->store, "UPDATE revision SET number = ?1",
                          VALUES(neo_value_i64((int64_t)t->revision + 1)), NULL, err));
    t->revision++;
    *at = gone->next;
    t->n--;
    entry_free(gone);
    return NEO_OK;
}

enum neo_code table_deregister(struct table *t, struct neo_bytes caller, struct neo_bytes lease,
                               struct neo_error *err)
{
    enum neo_code code = NEO_OK;

    (void)pthread_mutex_lock(&t->lock);
    struct entry **at = find_lease(t, caller, lease);
    if (*at != NULL) /* gone already is as good */
        code = remove_locked(t, at, err);
    (void)pthread_mutex_unlock(&t->lock);
    return code;
}

static bool may_end_another(struct table *t, neo_nsec now)
{
    if (t->brake.began == 0 || now - t->brake.began >= TABLE_BRAKE_WINDOW) {
        t->brake.began = now;
        t->brake.n = t->n;
        t->brake.ended = 0;
    }
    size_t part = t->brake.n / TABLE_BRAKE_PART;
    return t->brake.ended < (part < TABLE_BRAKE_LEAST ? TABLE_BRAKE_LEAST : part);
}

size_t table_expire(struct table *t, neo_nsec now, size_t *ret_held)
{
    struct neo_error err;
    size_t expired = 0;

    *ret_held = 0;
    (void)pthread_mutex_lock(&t->lock);
    for (struct entry **at = &t->first; *at != NULL;) {
        bool over = (*at)->expires <= now;
        if (over && may_end_another(t, now)) {
            if (remove_locked(t, at, &err) != NEO_OK)
                break; /* the disk is full: try again at the next turn */
            t->brake.ended++;
            expired++;
            continue;
        }
        *ret_held += over;
        at = &(*at)->next;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return expired;
}

/* --- the number of the policy ----------------------------------------------------------------- */

static enum neo_code next_number(struct table *t, struct neo_bytes digest, uint64_t beyond,
                                 uint64_t *ret, struct neo_error *err)
{
    bool is_same = false;
    uint64_t number = 0;
    struct neo_row *row;

    NEO_TRY(neo_store_query(t->store, "SELECT number, digest FROM policy", NULL, 0, &row, err));
    if (neo_row_next(row)) {
        number = (uint64_t)neo_row_i64(row, 0);
        is_same = neo_bytes_equal(neo_row_bytes(row, 1), digest);
    }
    NEO_TRY(neo_row_done(row, err));
    if (is_same && number > beyond) {
        *ret = number;
        return NEO_OK;
    }
    number = (number > beyond ? number : beyond) + 1;
    NEO_TRY(neo_store_run(t->store, "UPDATE policy SET number = ?1, digest = ?2",
                          VALUES(neo_value_i64((int64_t)number), neo_value_bytes(digest)), NULL,
                          err));
    *ret = number;
    return NEO_OK;
}

enum neo_code table_policy_number(struct table *t, const uint8_t digest[static 32], uint64_t beyond,
                                  uint64_t *ret, struct neo_error *err)
{
    if (beyond > INT64_MAX / 2)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "no policy has a number that high");
    (void)pthread_mutex_lock(&t->lock);
    enum neo_code code = next_number(t, neo_bytes(digest, 32), beyond, ret, err);
    (void)pthread_mutex_unlock(&t->lock);
    return code;
}

/* --- finding ---------------------------------------------------------------------------------- */

static bool has_metadata(const struct neo_registry_v1_Instance *i,
                         const struct neo_registry_v1_DiscoverRequest *filter)
{
    for (size_t k = 0; k < filter->metadata.len; k++) {
        bool found = false;
        for (size_t m = 0; m < i->metadata.len; m++)
            found |= neo_bytes_equal(filter->metadata.at[k].key, i->metadata.at[m].key) &&
                     neo_bytes_equal(filter->metadata.at[k].value, i->metadata.at[m].value);
        if (!found)
            return false;
    }
    return true;
}

/* "1.2" fits "1.2" and "1.2.3", not "1.20". */
static bool has_version(struct neo_bytes version, struct neo_bytes prefix)
{
    return prefix.len == 0 || (neo_bytes_starts(version, prefix) &&
                               (version.len == prefix.len || version.at[prefix.len] == '.'));
}

static struct neo_registry_v1_Instance *open_entry(const struct entry *e, struct neo_arena *arena)
{
    struct neo_registry_v1_Instance *i = neo_arena_calloc(arena, 1, sizeof(*i));
    struct neo_bytes wire = neo_arena_copy(arena, neo_buffer_bytes(&e->wire));

    if (i == NULL || neo_registry_v1_Instance_decode(wire, i, arena, NULL) != NEO_OK)
        return NULL;
    i->health = e->health;
    i->policy_number = e->policy_number;
    i->audit_failing = e->audit_failing;
    struct neo_registry_v1_HeartbeatRequest *told = neo_arena_calloc(arena, 1, sizeof(*told));
    struct neo_bytes live = neo_arena_copy(arena, neo_buffer_bytes(&e->live));
    if (told != NULL &&
        neo_registry_v1_HeartbeatRequest_decode(live, told, arena, NULL) == NEO_OK) {
        i->live.at = told->live.at;
        i->live.len = told->live.len;
    }
    return i;
}

enum neo_code table_find(struct table *t, const struct neo_registry_v1_DiscoverRequest *filter,
                         struct neo_arena *arena, struct neo_registry_v1_DiscoverResponse *ret,
                         struct neo_error *err)
{
    (void)pthread_mutex_lock(&t->lock);
    ret->instances.at = neo_arena_calloc(arena, t->n + 1, sizeof(*ret->instances.at));
    ret->revision = t->revision;
    for (const struct entry *e = t->first; ret->instances.at != NULL && e != NULL; e = e->next) {
        if (filter->service.len > 0 && !neo_bytes_is(filter->service, e->service))
            continue;
        struct neo_registry_v1_Instance *i = open_entry(e, arena);
        if (i != NULL && has_version(i->version, filter->version) && has_metadata(i, filter))
            ret->instances.at[ret->instances.len++] = i;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return neo_arena_failed(arena)
               ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory listing instances")
               : NEO_OK;
}
