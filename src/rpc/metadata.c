/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer sent under a reserved name is never shown. Two of the seed's names are
 * answered from what we know ourselves: x-caller-id from the certificate, x-trace-id
 * from the trace.
 */
#include "rpc/metadata.h"

#include "rpc/compression.h"
#include "rpc/wire.h"

#include <neo/encoding.h>
#include <neo/memory.h>

enum {
    FIELDS_MAX = 32,
    TRACE_ID_AT = 3,
    TRACE_ID_LEN = 32,
    FIELD_OVERHEAD = 32,     /* RFC 9113, 6.5.2 */
    OWN_HEADERS_MOST = 256,  /* :status, content-type and what says how messages are compressed */
    OWN_TRAILERS_LEAST = 64, /* grpc-status */
};

static bool is_binary(struct neo_bytes name)
{
    return name.len > 4 && memcmp(name.at + name.len - 4, "-bin", 4) == 0;
}

/* --- the request's ----------------------------------------------------------------------- */

static struct neo_bytes decoded(struct neo_bytes text, struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};

    if (text.at == NULL || neo_base64_decode(text, &raw, NULL) != NEO_OK)
        return (struct neo_bytes){0};
    return raw.len == 0 ? NEO_LIT("") : neo_arena_copy(arena, neo_buffer_bytes(&raw));
}

static struct neo_bytes trace_id(const struct neo_call *call)
{
    char text[NEO_TRACEPARENT_LEN + 1];

    neo_trace_format(&call->context.trace, text);
    return neo_arena_copy(call_arena_here(call), neo_bytes(text + TRACE_ID_AT, TRACE_ID_LEN));
}

struct neo_bytes neo_call_metadata(const struct neo_call *call, const char *name)
{
    struct neo_bytes wanted = neo_text(name);

    if (neo_bytes_is(wanted, "x-caller-id"))
        return call->context.caller;
    if (neo_bytes_is(wanted, "x-trace-id"))
        return trace_id(call);
    if (wire_is_reserved(wanted))
        return (struct neo_bytes){0};

    struct neo_bytes value = wire_header(call->request_headers, name);
    return is_binary(wanted) ? decoded(value, call_arena_here(call)) : value;
}

/* --- the answer's ------------------------------------------------------------------------ */

static bool is_name(struct neo_bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        bool fits =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!fits)
            return false;
    }
    return name.len > 0 && name.len <= 128 && !wire_is_reserved(name);
}

static bool is_text(struct neo_bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < 0x20 || value.at[i] > 0x7e)
            return false;
    return value.len == 0 || (value.at[0] != ' ' && value.at[value.len - 1] != ' ');
}

static struct neo_bytes encoded(struct neo_bytes value, struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    if (!neo_base64_encode(&text, value, NEO_BASE64_UNPADDED))
        return (struct neo_bytes){0};
    return neo_arena_copy(arena, neo_buffer_bytes(&text));
}

/* Whether the peer takes so many bytes in one block, as far as it has said. */
static bool fits(const struct neo_call *call, size_t bytes)
{
    const struct h2 *h2 = call->stream == NULL ? NULL : conn_h2(call->peer->conn);

    return h2 == NULL || bytes <= h2_peer_takes(h2);
}

/* `own` is what goes with it into the block in any case. */
static bool add(struct neo_call *call, struct call_fields *fields, size_t own, const char *name,
                struct neo_bytes value)
{
    struct neo_bytes key = neo_text(name);
    bool binary = is_binary(key);
    size_t len = binary ? (4 * value.len + 2) / 3 : value.len;
    size_t bytes = fields->bytes + key.len + len + FIELD_OVERHEAD;

    if (fields->n == FIELDS_MAX || !is_name(key) || (!binary && !is_text(value)) ||
        !fits(call, own + bytes))
        return false;
    if (fields->at == NULL)
        fields->at = neo_arena_calloc(call->arena, FIELDS_MAX, sizeof(*fields->at));
    key = neo_arena_copy(call->arena, key);
    value = binary ? encoded(value, call->arena) : neo_arena_copy(call->arena, value);
    if (neo_arena_failed(call->arena))
        return false;
    fields->at[fields->n++] = (struct h2_header){key, value};
    fields->bytes = bytes;
    return true;
}

bool neo_call_add_header(struct neo_call *call, const char *name, struct neo_bytes value)
{
    return !call_is_elsewhere(call) && call->state != CALL_ENDED && !call->headers_sent &&
           add(call, &call->headers, OWN_HEADERS_MOST, name, value);
}

bool neo_call_add_trailer(struct neo_call *call, const char *name, struct neo_bytes value)
{
    return !call_is_elsewhere(call) && call->state != CALL_ENDED &&
           add(call, &call->trailers, OWN_TRAILERS_LEAST, name, value);
}

static size_t put_compression(const struct neo_call *call, struct h2_header *ret)
{
    bool accepts = call->worker->server->options.accept_gzip;
    size_t n = 0;

    if (call->may_compress)
        ret[n++] = compression_encoding;
    if (accepts || call->reader.encoding == FRAME_UNKNOWN)
        ret[n++] = *compression_accept(accepts);
    return n;
}

bool metadata_is_usual(const struct neo_call *call)
{
    return call->headers.n == 0 && !call->may_compress && call->reader.encoding != FRAME_UNKNOWN &&
           !call->worker->server->options.accept_gzip;
}

size_t metadata_answer(const struct neo_call *call, bool added, struct h2_header *ret, size_t max)
{
    size_t n = 0;

    ret[n++] = h2_type_grpc;
    n += put_compression(call, ret + n);
    for (size_t i = 0; added && i < call->headers.n && n < max; i++)
        ret[n++] = call->headers.at[i];
    return n;
}
