/* SPDX-License-Identifier: Apache-2.0 */
/* `measurement_rollouts:`, read and written. */
#include <neo/rollout.h>

#include <neo/spiffe.h>
#include <neo/yaml.h>

#include <stdio.h>
#include <time.h>

enum { KEYS_MAX = 64, TIME_LEN = 21 };

struct text {
    struct neo_bytes text;
    struct neo_place place;
};

struct source {
    struct text measurement;
    struct text state;
    struct text since;
    struct text proven;
    struct text not_before;
    struct text not_after;
};

struct source_entry {
    struct neo_bytes service;
    struct neo_place place;
    struct neo_yaml_list rows; /* of struct source */
};

struct source_document {
    struct neo_yaml_list services; /* of struct source_entry */
};

#define TEXT(name, member, is_required)                                                            \
    {                                                                                              \
        .key = (name), .kind = NEO_YAML_TEXT, .offset = offsetof(struct source, member.text),      \
        .required = (is_required), .place = offsetof(struct source, member.place) + 1              \
    }

static const struct neo_yaml_field source_fields[] = {
    TEXT("measurement", measurement, true),
    TEXT("state", state, true),
    TEXT("since", since, true),
    TEXT("proven", proven, false),
    TEXT("not_before", not_before, false),
    TEXT("not_after", not_after, false),
    {0},
};

static const struct neo_yaml_field row_element = {.kind = NEO_YAML_STRUCT, .fields = source_fields};

static const struct neo_yaml_field service_element = {
    .kind = NEO_YAML_LIST,
    .offset = offsetof(struct source_entry, rows),
    .size = sizeof(struct source),
    .element = &row_element,
};

static const struct neo_yaml_field document_fields[] = {
    {.key = "measurement_rollouts",
     .kind = NEO_YAML_MAP,
     .offset = offsetof(struct source_document, services),
     .required = true,
     .size = sizeof(struct source_entry),
     .element = &service_element},
    {0},
};

struct reader {
    struct neo_rollout *at;
    size_t n;
};

#define refuse(place, ...) neo_fail_at(err, NEO_INVALID_ARGUMENT, (place), __VA_ARGS__)

/* --- reading ---------------------------------------------------------------------------------- */

static bool parse_time(struct neo_bytes text, int64_t *ret)
{
    struct tm tm = {0};
    char copy[TIME_LEN];

    if (text.len != TIME_LEN - 1)
        return false;
    (void)snprintf(copy, sizeof(copy), "%.*s", NEO_FMT(text));
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &tm);
    *ret = timegm(&tm);
    return end != NULL && *end == '\0' && *ret > 0;
}

static enum neo_code read_time(const struct text *text, int64_t *ret, struct neo_error *err)
{
    if (text->place.file == NULL || parse_time(text->text, ret))
        return NEO_OK;
    return refuse(text->place, "\"%.*s\" must be a time like 2026-11-28T12:00:00Z",
                  NEO_FMT(text->text));
}

static enum neo_code read_state(const struct text *text, enum neo_rollout_state *ret,
                                struct neo_error *err)
{
    for (unsigned i = 0; i < NEO_ROLLOUT_STATES_N; i++) {
        if (neo_bytes_is(text->text, neo_rollout_state_text((enum neo_rollout_state)i))) {
            *ret = (enum neo_rollout_state)i;
            return NEO_OK;
        }
    }
    return refuse(text->place, "\"%.*s\" must be candidate, active, retiring or revoked",
                  NEO_FMT(text->text));
}

static enum neo_code read_row(struct reader *r, const char *service, const struct source *source,
                              struct neo_error *err)
{
    char measurement[NEO_ROLLOUT_MEASUREMENT_LEN + 8];
    struct neo_rollout *to = &r->at[r->n];
    struct neo_error why;

    if (r->n == NEO_ROLLOUTS_MAX)
        return refuse(source->measurement.place, "more than %d rollouts", NEO_ROLLOUTS_MAX);
    (void)snprintf(measurement, sizeof(measurement), "%.*s", NEO_FMT(source->measurement.text));
    if (neo_rollout_begin(service, measurement, 0, to, &why) != NEO_OK)
        return refuse(source->measurement.place, "%s", why.message);
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->at[i].service, service) == 0 &&
            strcmp(r->at[i].measurement, measurement) == 0)
            return refuse(source->measurement.place, "this measurement is there already");
    }
    NEO_TRY(read_state(&source->state, &to->state, err));
    NEO_TRY(read_time(&source->since, &to->since, err));
    NEO_TRY(read_time(&source->proven, &to->proven, err));
    NEO_TRY(read_time(&source->not_before, &to->not_before, err));
    NEO_TRY(read_time(&source->not_after, &to->not_after, err));
    r->n++;
    return NEO_OK;
}

static enum neo_code read_document(void *self, void *document, struct neo_place place,
                                   struct neo_error *err)
{
    const struct source_document *d = document;
    const struct source_entry *entries = d->services.at;
    struct reader *r = self;

    (void)place;
    for (size_t i = 0; i < d->services.len; i++) {
        const struct source *rows = entries[i].rows.at;
        char service[NEO_ROLLOUT_SERVICE_LEN];
        if (!neo_is_service_name(entries[i].service))
            return refuse(entries[i].place, "\"%.*s\" is not a service name",
                          NEO_FMT(entries[i].service));
        (void)snprintf(service, sizeof(service), "%.*s", NEO_FMT(entries[i].service));
        if (entries[i].rows.len == 0)
            return refuse(entries[i].place, "no measurement: nothing would be accepted");
        for (size_t k = 0; k < entries[i].rows.len; k++)
            NEO_TRY(read_row(r, service, &rows[k], err));
    }
    return NEO_OK;
}

static enum neo_code is_ours(const struct neo_document *document, const char *file,
                             struct neo_arena *arena, bool *ret, struct neo_error *err)
{
    struct neo_bytes keys[KEYS_MAX];
    size_t n;

    NEO_TRY(neo_yaml_keys(document->text, file, arena, keys, NEO_COUNT(keys), &n, err));
    *ret = false;
    for (size_t i = 0; i < n; i++)
        *ret = *ret || neo_bytes_is(keys[i], "measurement_rollouts");
    return NEO_OK;
}

enum neo_code neo_rollouts_read(const struct neo_document *document, struct neo_arena *arena,
                                struct neo_rollout **ret, size_t *ret_n, struct neo_error *err)
{
    const char *file = neo_arena_string(arena, document->name);
    struct reader r = {.n = 0};
    bool ours;

    if (file == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for rollouts");
    *ret_n = 0;
    NEO_TRY(is_ours(document, file, arena, &ours, err));
    if (!ours)
        return NEO_OK;
    r.at = neo_arena_calloc(arena, NEO_ROLLOUTS_MAX, sizeof(*r.at));
    if (r.at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for rollouts");
    NEO_TRY(neo_yaml_read(document->text, file, document_fields, sizeof(struct source_document),
                          arena, read_document, &r, err));
    *ret = r.at;
    *ret_n = r.n;
    return NEO_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_time(struct neo_buffer *out, const char *key, int64_t at)
{
    time_t seconds = (time_t)at;
    char text[32];
    struct tm tm;

    if (at != 0 && gmtime_r(&seconds, &tm) != NULL &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
        (void)neo_buffer_printf(out, "      %s: \"%s\"\n", key, text);
}

static void put_row(struct neo_buffer *out, const struct neo_rollout *r)
{
    (void)neo_buffer_printf(out, "    - measurement: \"%s\"\n      state: %s\n", r->measurement,
                            neo_rollout_state_text(r->state));
    put_time(out, "since", r->since);
    put_time(out, "proven", r->proven);
    put_time(out, "not_before", r->not_before);
    put_time(out, "not_after", r->not_after);
}

static bool is_first_of_service(const struct neo_rollout *rollouts, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(rollouts[k].service, rollouts[i].service) == 0)
            return false;
    }
    return true;
}

bool neo_rollouts_write(const struct neo_rollout *rollouts, size_t n, struct neo_buffer *out)
{
    (void)neo_buffer_append_text(out, "# Kept by `neo attest rollout`.\nmeasurement_rollouts:\n");
    for (size_t i = 0; i < n; i++) {
        if (!is_first_of_service(rollouts, i))
            continue;
        (void)neo_buffer_printf(out, "  %s:\n", rollouts[i].service);
        for (size_t k = i; k < n; k++) {
            if (strcmp(rollouts[k].service, rollouts[i].service) == 0)
                put_row(out, &rollouts[k]);
        }
    }
    return !out->failed;
}
