/* SPDX-License-Identifier: Apache-2.0 */
/*
 * google.rpc.Status and its details, by hand: six small messages that both ends of
 * every failed call need, written in field order and read strictly, one level deep
 * at a time.
 *
 * What of a status has no field of its own in these messages travels in
 * ErrorInfo.metadata: the decision id, and "processed" = "false" for a refusal
 * that ran nothing.
 */
#include <neo/status.h>

#include "base/cursor.h"

#include <neo/encoding.h>
#include <neo/json.h>

#define TYPE_PREFIX "type.googleapis.com/"

/* clang-format off */
enum { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum { INFO_REASON = 1, INFO_DOMAIN = 2, INFO_METADATA = 3 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { RETRY_DELAY = 1, DURATION_SECONDS = 1, DURATION_NANOS = 2 };
enum { QUOTA_VIOLATIONS = 1, VIOLATION_SUBJECT = 1 };
enum { AUTHZ_SERVICE = 1, AUTHZ_PERMISSION = 2, AUTHZ_RESOURCE = 3, AUTHZ_DECISION = 4 };
enum { VARINT = 0, FIXED64 = 1, LEN = 2, FIXED32 = 5 };
/* clang-format on */

/* --- writing ----------------------------------------------------------------------------- */

static size_t varint_format(uint64_t value, uint8_t ret[static 10])
{
    size_t n = 0;

    while (value >= 0x80) {
        ret[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    ret[n++] = (uint8_t)value;
    return n;
}

static void put_raw_varint(struct neo_buffer *out, uint64_t value)
{
    uint8_t text[10];

    neo_buffer_append(out, neo_bytes(text, varint_format(value, text)));
}

static void put_varint(struct neo_buffer *out, unsigned field, uint64_t value)
{
    put_raw_varint(out, field << 3 | VARINT);
    put_raw_varint(out, value);
}

/* As proto3 asks, an empty value is not written. */
static void put_bytes(struct neo_buffer *out, unsigned field, struct neo_bytes value)
{
    if (value.len == 0)
        return;
    put_raw_varint(out, field << 3 | LEN);
    put_raw_varint(out, value.len);
    neo_buffer_append(out, value);
}

/* A nested message: its contents are written between open and close, then its length before them.
 */
static size_t open_message(struct neo_buffer *out, unsigned field)
{
    put_raw_varint(out, field << 3 | LEN);
    return out->len;
}

static void close_message(struct neo_buffer *out, size_t start)
{
    uint8_t text[10];
    size_t len = out->len - start;
    size_t n = varint_format(len, text);

    if (neo_buffer_reserve(out, n) == NULL)
        return;
    memmove(out->at + start + n, out->at + start, len);
    memcpy(out->at + start, text, n);
    out->len += n;
}

struct detail {
    size_t any;
    size_t value;
};

static struct detail open_detail(struct neo_buffer *out, const char *type_url)
{
    struct detail d = {.any = open_message(out, STATUS_DETAILS)};

    put_bytes(out, ANY_TYPE_URL, neo_text(type_url));
    d.value = open_message(out, ANY_VALUE);
    return d;
}

static void close_detail(struct neo_buffer *out, struct detail d)
{
    close_message(out, d.value);
    close_message(out, d.any);
}

static void put_entry(struct neo_buffer *out, struct neo_bytes key, struct neo_bytes value)
{
    size_t entry = open_message(out, INFO_METADATA);

    put_bytes(out, ENTRY_KEY, key);
    put_bytes(out, ENTRY_VALUE, value);
    close_message(out, entry);
}

static void put_error_info(struct neo_buffer *out, const struct neo_status *s)
{
    struct detail d = open_detail(out, TYPE_PREFIX "google.rpc.ErrorInfo");

    put_bytes(out, INFO_REASON, s->reason);
    put_bytes(out, INFO_DOMAIN, NEO_LIT("neo"));
    if (s->decision_id.len > 0)
        put_entry(out, NEO_LIT("decision_id"), s->decision_id);
    if (!s->processed)
        put_entry(out, NEO_LIT("processed"), NEO_LIT("false"));
    for (size_t i = 0; i < s->n_metadata; i++)
        put_entry(out, s->metadata[i].key, s->metadata[i].value);
    close_detail(out, d);
}

static void put_retry_info(struct neo_buffer *out, const struct neo_status *s)
{
    if (s->retry_after == 0)
        return;

    struct detail d = open_detail(out, TYPE_PREFIX "google.rpc.RetryInfo");
    size_t delay = open_message(out, RETRY_DELAY);
    if (s->retry_after / NEO_NSEC_PER_SEC > 0)
        put_varint(out, DURATION_SECONDS, s->retry_after / NEO_NSEC_PER_SEC);
    if (s->retry_after % NEO_NSEC_PER_SEC > 0)
        put_varint(out, DURATION_NANOS, s->retry_after % NEO_NSEC_PER_SEC);
    close_message(out, delay);
    close_detail(out, d);
}

static void put_quota_failure(struct neo_buffer *out, const struct neo_status *s)
{
    if (s->bucket.len == 0)
        return;

    struct detail d = open_detail(out, TYPE_PREFIX "google.rpc.QuotaFailure");
    size_t violation = open_message(out, QUOTA_VIOLATIONS);
    put_bytes(out, VIOLATION_SUBJECT, s->bucket);
    close_message(out, violation);
    close_detail(out, d);
}

static bool is_about_authorization(const struct neo_status *s)
{
    return s->service.len + s->required_permission.len + s->resource.len > 0;
}

static void put_authorization_error(struct neo_buffer *out, const struct neo_status *s)
{
    if (!is_about_authorization(s))
        return;

    struct detail d = open_detail(out, TYPE_PREFIX "neo.errors.v1.AuthorizationError");
    put_bytes(out, AUTHZ_SERVICE, s->service);
    put_bytes(out, AUTHZ_PERMISSION, s->required_permission);
    put_bytes(out, AUTHZ_RESOURCE, s->resource);
    put_bytes(out, AUTHZ_DECISION, s->decision_id);
    close_detail(out, d);
}

bool neo_status_encode(const struct neo_status *status, struct neo_buffer *out)
{
    if (status->details.len > 0)
        return neo_buffer_append(out, status->details);
    put_varint(out, STATUS_CODE, (uint64_t)status->code);
    if (neo_is_utf8(status->message)) /* proto3 strings are; grpc-message carries any bytes */
        put_bytes(out, STATUS_MESSAGE, status->message);
    put_error_info(out, status);
    put_retry_info(out, status);
    put_quota_failure(out, status);
    put_authorization_error(out, status);
    neo_buffer_append(out, status->more_details);
    return !out->failed;
}

/* --- reading ----------------------------------------------------------------------------- */

/* One field of a message: `number` for a varint, `bytes` for what has a length. */
struct field {
    unsigned id;
    unsigned type;
    uint64_t number;
    struct neo_bytes bytes;
};

static uint64_t take_varint(struct cursor *c)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cursor_u8(c);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    c->failed = true;
    return 0;
}

/* False at the end, and on anything malformed: then `c->failed`. */
static bool next_field(struct cursor *c, struct field *ret)
{
    if (c->failed || c->left == 0)
        return false;

    uint64_t tag = take_varint(c);
    *ret = (struct field){.id = (unsigned)(tag >> 3), .type = (unsigned)(tag & 7)};
    if (tag >> 3 == 0 || tag > UINT32_MAX)
        c->failed = true;
    switch (ret->type) {
    case VARINT:
        ret->number = take_varint(c);
        break;
    case FIXED64:
        cursor_take(c, 8);
        break;
    case FIXED32:
        cursor_take(c, 4);
        break;
    case LEN:
        ret->bytes = cursor_take(c, (size_t)take_varint(c));
        break;
    default: /* groups and what does not exist */
        c->failed = true;
    }
    return !c->failed;
}

static struct neo_bytes bytes_of(const struct field *f)
{
    return f->type == LEN ? f->bytes : (struct neo_bytes){0};
}

/* The last of the fields 1 .. n that have a length, into slots[1 .. n]. */
static bool read_strings(struct neo_bytes wire, unsigned n, struct neo_bytes slots[])
{
    struct cursor c = cursor_of(wire);
    struct field f;

    while (next_field(&c, &f))
        if (f.id <= n && f.type == LEN)
            slots[f.id] = f.bytes;
    return !c.failed;
}

static void keep_entry(struct neo_status *s, struct neo_pair *pairs, struct neo_pair entry)
{
    if (neo_bytes_is(entry.key, "decision_id"))
        s->decision_id = entry.value;
    else if (neo_bytes_is(entry.key, "processed"))
        s->processed = !neo_bytes_is(entry.value, "false");
    else
        pairs[s->n_metadata++] = entry;
}

static size_t count_entries(struct neo_bytes wire)
{
    struct cursor c = cursor_of(wire);
    struct field f;
    size_t n = 0;

    while (next_field(&c, &f))
        n += f.id == INFO_METADATA;
    return n;
}

static bool read_error_info(struct neo_bytes wire, struct neo_arena *arena, struct neo_status *s)
{
    struct neo_bytes info[3] = {0};

    if (!read_strings(wire, INFO_DOMAIN, info))
        return false;
    s->reason = info[INFO_REASON];

    struct neo_pair *pairs = neo_arena_calloc(arena, count_entries(wire) + 1, sizeof(*pairs));
    struct cursor c = cursor_of(wire);
    struct field f;
    if (pairs == NULL)
        return false;
    s->metadata = pairs;
    while (next_field(&c, &f)) {
        struct neo_bytes entry[3] = {0};
        if (f.id != INFO_METADATA)
            continue;
        if (!read_strings(bytes_of(&f), ENTRY_VALUE, entry))
            return false;
        keep_entry(s, pairs, (struct neo_pair){entry[ENTRY_KEY], entry[ENTRY_VALUE]});
    }
    return true;
}

/* A negative or absurd delay is none: the caller falls back on its own backoff. */
static bool read_retry_info(struct neo_bytes wire, struct neo_status *s)
{
    struct neo_bytes delay[2] = {0};
    uint64_t number[3] = {0};

    if (!read_strings(wire, RETRY_DELAY, delay))
        return false;

    struct cursor c = cursor_of(delay[RETRY_DELAY]);
    struct field f;
    while (next_field(&c, &f))
        if (f.id <= DURATION_NANOS && f.type == VARINT)
            number[f.id] = f.number;
    if (number[DURATION_SECONDS] <= UINT32_MAX && number[DURATION_NANOS] < NEO_NSEC_PER_SEC)
        s->retry_after = number[DURATION_SECONDS] * NEO_NSEC_PER_SEC + number[DURATION_NANOS];
    return !c.failed;
}

static bool read_quota_failure(struct neo_bytes wire, struct neo_status *s)
{
    struct neo_bytes violation[2] = {0};
    struct neo_bytes subject[2] = {0};

    if (!read_strings(wire, QUOTA_VIOLATIONS, violation) ||
        !read_strings(violation[QUOTA_VIOLATIONS], VIOLATION_SUBJECT, subject))
        return false;
    s->bucket = subject[VIOLATION_SUBJECT];
    return true;
}

static bool read_authorization_error(struct neo_bytes wire, struct neo_status *s)
{
    struct neo_bytes fields[AUTHZ_DECISION + 1] = {0};

    if (!read_strings(wire, AUTHZ_DECISION, fields))
        return false;
    s->service = fields[AUTHZ_SERVICE];
    s->required_permission = fields[AUTHZ_PERMISSION];
    s->resource = fields[AUTHZ_RESOURCE];
    if (s->decision_id.len == 0)
        s->decision_id = fields[AUTHZ_DECISION];
    return true;
}

static bool read_detail(struct neo_bytes wire, struct neo_arena *arena, struct neo_status *s)
{
    struct neo_bytes any[3] = {0};

    if (!read_strings(wire, ANY_VALUE, any))
        return false;

    struct neo_bytes type = any[ANY_TYPE_URL];
    for (size_t i = type.len; i > 0; i--)
        if (type.at[i - 1] == '/') {
            type = neo_bytes_from(type, i);
            break;
        }
    if (neo_bytes_is(type, "google.rpc.ErrorInfo") && s->metadata == NULL)
        return read_error_info(any[ANY_VALUE], arena, s);
    if (neo_bytes_is(type, "google.rpc.RetryInfo"))
        return read_retry_info(any[ANY_VALUE], s);
    if (neo_bytes_is(type, "google.rpc.QuotaFailure"))
        return read_quota_failure(any[ANY_VALUE], s);
    if (neo_bytes_is(type, "neo.errors.v1.AuthorizationError"))
        return read_authorization_error(any[ANY_VALUE], s);
    return true;
}

enum neo_code neo_status_decode(struct neo_bytes wire, struct neo_arena *arena,
                                struct neo_status *ret, struct neo_error *err)
{
    struct neo_status s = {.code = NEO_UNKNOWN, .processed = true};
    struct cursor c = cursor_of(wire);
    struct field f;

    while (next_field(&c, &f)) {
        if (f.id == STATUS_CODE && f.type == VARINT)
            s.code = f.number <= NEO_UNAUTHENTICATED ? (enum neo_code)f.number : NEO_UNKNOWN;
        else if (f.id == STATUS_MESSAGE)
            s.message = bytes_of(&f);
        else if (f.id == STATUS_DETAILS && !read_detail(bytes_of(&f), arena, &s))
            c.failed = true;
    }
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no room to decode a google.rpc.Status");
    if (c.failed)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "malformed google.rpc.Status");
    *ret = s;
    return NEO_OK;
}

/* --- the JSON shape of the seed ---------------------------------------------------------- */

static void json_pair(struct neo_json_writer *w, const char *key, struct neo_bytes value)
{
    if (value.len == 0)
        return;
    neo_json_put_key(w, key);
    neo_json_put_string(w, value);
}

static void json_type(struct neo_json_writer *w, const char *type)
{
    neo_json_open_object(w);
    json_pair(w, "type", neo_text(type));
}

static void json_metadata(struct neo_json_writer *w, const struct neo_status *s)
{
    if (s->n_metadata == 0)
        return;
    neo_json_put_key(w, "metadata");
    neo_json_open_object(w);
    for (size_t i = 0; i < s->n_metadata; i++) {
        neo_json_put_key_bytes(w, s->metadata[i].key);
        neo_json_put_string(w, s->metadata[i].value);
    }
    neo_json_close_object(w);
}

static void json_retry_info(struct neo_json_writer *w, const struct neo_status *s)
{
    if (s->retry_after == 0)
        return;
    json_type(w, "RetryInfo");
    neo_json_put_key(w, "retry_after_ms");
    neo_json_put_u64(w, (s->retry_after + NEO_NSEC_PER_MSEC - 1) / NEO_NSEC_PER_MSEC);
    neo_json_close_object(w);
}

static void json_details(struct neo_json_writer *w, const struct neo_status *s)
{
    if (is_about_authorization(s)) {
        json_type(w, "AuthorizationError");
        json_pair(w, "service", s->service);
        json_pair(w, "required_permission", s->required_permission);
        json_pair(w, "resource", s->resource);
        json_pair(w, "decision_id", s->decision_id);
        neo_json_close_object(w);
    }
    if (s->reason.len > 0) {
        json_type(w, "ErrorInfo");
        json_pair(w, "reason", s->reason);
        json_pair(w, "domain", NEO_LIT("neo"));
        json_pair(w, "decision_id", s->decision_id);
        json_metadata(w, s);
        neo_json_close_object(w);
    }
    json_retry_info(w, s);
    if (s->bucket.len > 0) {
        json_type(w, "QuotaFailure");
        json_pair(w, "subject", s->bucket);
        neo_json_close_object(w);
    }
}

bool neo_status_json(const struct neo_status *status, bool pretty, struct neo_buffer *out)
{
    struct neo_json_writer w = {.out = out, .pretty = pretty};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "error");
    neo_json_open_object(&w);
    neo_json_put_key(&w, "code");
    neo_json_put_text(&w, neo_code_name(status->code));
    neo_json_put_key(&w, "message");
    neo_json_put_string(&w, status->message);
    neo_json_put_key(&w, "details");
    neo_json_open_array(&w);
    json_details(&w, status);
    neo_json_close_array(&w);
    neo_json_close_object(&w);
    neo_json_close_object(&w);
    return !out->failed;
}
