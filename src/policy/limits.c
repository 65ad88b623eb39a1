/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of one service: an array of buckets and two maps into it.
 *
 * The bucket that every call draws from comes last in memory. Buckets are locked
 * in the order of their addresses, so the one that all workers want is held for
 * the shortest time.
 */
#include <neo/limits.h>

#include <neo/arena.h>
#include <neo/memory.h>
#include <neo/ratelimit.h>
#include <neo/spiffe.h>

#include "base/map.h"
#include "policy/pattern.h"

#include <stdatomic.h>

enum { BYTES_PER_BYTE = 256, BYTES_ANYWAY = 1 << 20 };

/* As written. */
struct rate {
    uint32_t per_second;
    uint32_t burst;
    struct neo_place place; /* file NULL: not given */
};

struct entry {
    struct neo_bytes key;
    struct neo_place place;
    struct rate rate;
};

struct sections {
    struct rate global;
    struct neo_yaml_list per_caller; /* struct entry */
    struct neo_yaml_list per_method; /* struct entry */
};

struct limits_document {
    struct limits_document *next;
    struct sections sections;
    struct neo_place own;
    struct neo_place other;
};

struct bucket {
    struct neo_ratelimit limiter;
    int index;
    const char *name;
    struct neo_place place;
};

struct neo_limits {
    _Atomic unsigned refs;
    struct neo_arena arena;
    struct limits_document *documents;
    struct limits_document **documents_end;
    struct bucket *buckets; /* methods and callers as they came, then the global one */
    size_t n;
    bool has_global;
    struct map methods; /* as written, to struct bucket */
    struct map callers;
};

static enum neo_code check_rate(const void *value, struct neo_error *err)
{
    uint32_t number = *(const uint32_t *)value;

    return number > 0 ? NEO_OK
                      : neo_fail(err, NEO_INVALID_ARGUMENT,
                                 "0 would refuse every call; write at least 1, and refuse calls "
                                 "in the policy");
}

/* clang-format off */
static const struct neo_yaml_field rate_fields[] = {
    {.key = "requests_per_second", .kind = NEO_YAML_U32, .required = true,
     .offset = offsetof(struct rate, per_second), .check = check_rate},
    {.key = "burst", .kind = NEO_YAML_U32, .required = true,
     .offset = offsetof(struct rate, burst), .check = check_rate},
    {0},
};
static const struct neo_yaml_field entry_row = {
    .kind = NEO_YAML_STRUCT, .offset = offsetof(struct entry, rate), .fields = rate_fields};
static const struct neo_yaml_field section_fields[] = {
    {.key = "global", .kind = NEO_YAML_STRUCT, .offset = offsetof(struct sections, global),
     .fields = rate_fields,
     .place = offsetof(struct sections, global) + offsetof(struct rate, place) + 1},
    {.key = "per_caller", .kind = NEO_YAML_MAP, .offset = offsetof(struct sections, per_caller),
     .size = sizeof(struct entry), .element = &entry_row},
    {.key = "per_method", .kind = NEO_YAML_MAP, .offset = offsetof(struct sections, per_method),
     .size = sizeof(struct entry), .element = &entry_row},
    {0},
};
#define OTHER(name) \
    {.key = name, .kind = NEO_YAML_ANY, .place = offsetof(struct limits_document, other) + 1}
static const struct neo_yaml_field document_fields[] = {
    {.key = "rate_limits", .kind = NEO_YAML_STRUCT, .offset = offsetof(struct limits_document, sections),
     .fields = section_fields, .place = offsetof(struct limits_document, own) + 1},
    OTHER("service"), OTHER("role"), OTHER("mode"), OTHER("roles"), OTHER("allowed_calls"),
    OTHER("denied_calls"), OTHER("tests"), OTHER("attestation_policies"), OTHER("measurement_rollouts"), OTHER("service_config"),
    {0},
};
/* clang-format on */

static bool is_method(struct neo_bytes name)
{
    struct pattern p;

    return pattern_parse(name, &p) && !p.is_prefix;
}

static enum neo_code check_names(const struct sections *sections, struct neo_error *err)
{
    const struct entry *callers = sections->per_caller.at;
    const struct entry *methods = sections->per_method.at;

    for (size_t i = 0; i < sections->per_caller.len; i++)
        if (!neo_is_service_name(callers[i].key))
            return neo_fail_at(err, NEO_INVALID_ARGUMENT, callers[i].place,
                               "\"%.*s\" is no service; write 1 to 63 of a-z 0-9 -",
                               NEO_FMT(callers[i].key));
    for (size_t i = 0; i < sections->per_method.len; i++)
        if (!is_method(methods[i].key))
            return neo_fail_at(err, NEO_INVALID_ARGUMENT, methods[i].place,
                               "\"%.*s\" is no method; write Method or package.Service/Method",
                               NEO_FMT(methods[i].key));
    return NEO_OK;
}

static enum neo_code add_document(void *self, void *document, struct neo_place place,
                                  struct neo_error *err)
{
    struct neo_limits *limits = self;
    struct limits_document *d = document;

    (void)place;
    if (d->own.file == NULL)
        return NEO_OK;
    if (d->other.file != NULL)
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, d->other,
                           "this key is of another kind of document; put \"---\" between the two");
    NEO_TRY(check_names(&d->sections, err));
    *limits->documents_end = d;
    limits->documents_end = &d->next;
    limits->n += d->sections.per_caller.len + d->sections.per_method.len;
    limits->has_global = limits->has_global || d->sections.global.place.file != NULL;
    return NEO_OK;
}

static enum neo_code out_of_memory(struct neo_error *err)
{
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory for the limits");
}

static enum neo_code given_twice(struct neo_place place, const struct bucket *before,
                                 struct neo_error *err)
{
    return neo_fail_at(err, NEO_INVALID_ARGUMENT, place,
                       "the limit %s stands in %s:%u already; keep one", before->name,
                       before->place.file, before->place.line);
}

static enum neo_code fill(struct neo_limits *limits, struct bucket *bucket, const char *kind,
                          struct neo_bytes key, const struct rate *rate, struct neo_error *err)
{
    bucket->name =
        key.len == 0 ? kind : neo_arena_printf(&limits->arena, "%s:%.*s", kind, NEO_FMT_ALL(key));
    if (bucket->name == NULL)
        return out_of_memory(err);
    bucket->index = (int)(bucket - limits->buckets);
    bucket->place = rate->place;
    neo_ratelimit_init(&bucket->limiter, rate->per_second, rate->burst);
    return NEO_OK;
}

static enum neo_code fill_section(struct neo_limits *limits, struct bucket **at, struct map *map,
                                  const char *kind, struct neo_yaml_list list,
                                  struct neo_error *err)
{
    struct entry *entries = list.at;

    for (size_t i = 0; i < list.len; i++) {
        const struct bucket *before = map_get(map, entries[i].key);
        if (before != NULL)
            return given_twice(entries[i].place, before, err);
        entries[i].rate.place = entries[i].place;
        NEO_TRY(fill(limits, *at, kind, entries[i].key, &entries[i].rate, err));
        if (!map_put(map, entries[i].key, *at))
            return out_of_memory(err);
        ++*at;
    }
    return NEO_OK;
}

static enum neo_code build(struct neo_limits *limits, struct neo_error *err)
{
    struct bucket *at;
    struct bucket *global;

    limits->buckets = neo_arena_calloc(&limits->arena, limits->n + 1, sizeof(*limits->buckets));
    if (limits->buckets == NULL)
        return out_of_memory(err);
    at = limits->buckets;
    global = &limits->buckets[limits->n];
    for (struct limits_document *d = limits->documents; d != NULL; d = d->next) {
        struct sections *s = &d->sections;
        NEO_TRY(fill_section(limits, &at, &limits->methods, "method", s->per_method, err));
        NEO_TRY(fill_section(limits, &at, &limits->callers, "caller", s->per_caller, err));
        if (s->global.place.file == NULL)
            continue;
        if (global->name != NULL)
            return given_twice(s->global.place, global, err);
        NEO_TRY(fill(limits, global, "global", (struct neo_bytes){0}, &s->global, err));
    }
    return NEO_OK;
}

static enum neo_code compile(struct neo_limits *limits, const struct neo_document *documents,
                             size_t n, struct neo_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = neo_arena_string(&limits->arena, documents[i].name);
        if (name == NULL)
            return out_of_memory(err);
        NEO_TRY(neo_yaml_read(documents[i].text, name, document_fields,
                              sizeof(struct limits_document), &limits->arena, add_document, limits,
                              err));
    }
    return build(limits, err);
}

enum neo_code neo_limits_compile(const struct neo_document *documents, size_t n,
                                 struct neo_limits **ret, struct neo_error *err)
{
    struct neo_limits *limits = neo_alloc(sizeof(*limits));
    size_t budget = BYTES_ANYWAY;

    if (limits == NULL)
        return out_of_memory(err);
    for (size_t i = 0; i < n; i++)
        budget += (documents[i].text.len + documents[i].name.len) * BYTES_PER_BYTE;
    neo_arena_init(&limits->arena, budget);
    limits->documents_end = &limits->documents;
    atomic_init(&limits->refs, 1);

    enum neo_code code = compile(limits, documents, n, err);
    if (code == NEO_OK)
        *ret = limits;
    else
        neo_limits_unref(limits);
    return code;
}

struct neo_limits *neo_limits_ref(struct neo_limits *limits)
{
    atomic_fetch_add_explicit(&limits->refs, 1, memory_order_relaxed);
    return limits;
}

void neo_limits_unref(struct neo_limits *limits)
{
    if (limits == NULL || atomic_fetch_sub_explicit(&limits->refs, 1, memory_order_acq_rel) > 1)
        return;
    map_fini(&limits->methods);
    map_fini(&limits->callers);
    neo_arena_fini(&limits->arena);
    neo_free(limits);
}

/* "package.Service/Method" as the file spells it; the empty run when no file could. */
static struct neo_bytes full_name(char *at, size_t size, struct neo_bytes service,
                                  struct neo_bytes method)
{
    size_t len = service.len + 1 + method.len;

    if (service.len == 0 || len > size)
        return (struct neo_bytes){0};
    memcpy(at, service.at, service.len);
    at[service.len] = '/';
    if (method.len > 0)
        memcpy(at + service.len + 1, method.at, method.len);
    return neo_bytes(at, len);
}

struct neo_limit_keys neo_limits_keys(const struct neo_limits *limits, struct neo_bytes caller,
                                      struct neo_bytes service, struct neo_bytes method)
{
    char text[256]; /* longer than any name in a file */
    struct neo_bytes full = full_name(text, sizeof(text), service, method);
    const struct bucket *of_method = full.len == 0 ? NULL : map_get(&limits->methods, full);
    const struct bucket *of_caller = map_get(&limits->callers, caller);

    if (of_method == NULL)
        of_method = map_get(&limits->methods, method);
    return (struct neo_limit_keys){
        .method = of_method == NULL ? -1 : of_method->index,
        .caller = of_caller == NULL ? -1 : of_caller->index,
    };
}

struct neo_limit_answer neo_limits_take(struct neo_limits *limits, struct neo_limit_keys keys,
                                        neo_nsec now)
{
    struct bucket *applies[3];
    struct neo_ratelimit *limiters[3];
    size_t n = 0;
    size_t which = 0;

    if (keys.method >= 0)
        applies[n++] = &limits->buckets[keys.method];
    if (keys.caller >= 0)
        applies[n++] = &limits->buckets[keys.caller];
    if (limits->has_global)
        applies[n++] = &limits->buckets[limits->n];
    for (size_t i = 0; i < n; i++)
        limiters[i] = &applies[i]->limiter;

    neo_nsec wait = neo_ratelimit_take_all(limiters, n, now, &which);
    return (struct neo_limit_answer){
        .wait = wait,
        .bucket = wait > 0 ? applies[which]->name : NULL,
    };
}
