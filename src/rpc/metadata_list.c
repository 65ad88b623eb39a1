/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata one by one, and the client's by name. A field of a -bin name is a list: commas are
 * looked for before anything is decoded, since a peer may have joined what it sent (gRPC over
 * HTTP/2).
 */
#include <neo/encoding.h>
#include <neo/metadata.h>

#include "rpc/call.h"
#include "rpc/channel_internal.h"
#include "rpc/wire.h"

static bool is_binary(struct neo_bytes name)
{
    return name.len > 4 && memcmp(name.at + name.len - 4, "-bin", 4) == 0;
}

static void next_field(struct neo_metadata_cursor *cursor)
{
    cursor->field++;
    cursor->offset = 0;
}

/* The next of the values that a field holds; goes on to the next field after the last one. */
static struct neo_bytes next_part(struct neo_bytes value, struct neo_metadata_cursor *cursor)
{
    struct neo_bytes rest = neo_bytes_from(value, cursor->offset);
    const uint8_t *comma = rest.len == 0 ? NULL : memchr(rest.at, ',', rest.len);

    if (comma == NULL) {
        next_field(cursor);
        return rest;
    }
    size_t len = (size_t)(comma - rest.at);
    cursor->offset += len + 1;
    return neo_bytes(rest.at, len);
}

static struct neo_bytes trimmed(struct neo_bytes text)
{
    while (text.len > 0 && text.at[0] == ' ')
        text = neo_bytes_from(text, 1);
    while (text.len > 0 && text.at[text.len - 1] == ' ')
        text.len--;
    return text;
}

static bool decode(struct neo_bytes text, struct neo_arena *arena, struct neo_bytes *ret)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};

    if (neo_base64_decode(trimmed(text), &raw, NULL) != NEO_OK)
        return false;
    *ret = raw.len == 0 ? NEO_LIT("") : neo_arena_copy(arena, neo_buffer_bytes(&raw));
    return !neo_arena_failed(arena);
}

static bool next(struct h2_headers fields, struct neo_arena *arena,
                 struct neo_metadata_cursor *cursor, struct neo_pair *ret)
{
    while (cursor->field < fields.len) {
        const struct h2_header *h = &fields.at[cursor->field];
        if (wire_is_reserved(h->name)) {
            next_field(cursor);
            continue;
        }
        ret->key = h->name;
        if (!is_binary(h->name)) {
            ret->value = h->value;
            next_field(cursor);
            return true;
        }
        if (decode(next_part(h->value, cursor), arena, &ret->value))
            return true;
    }
    return false;
}

bool neo_call_metadata_next(const struct neo_call *call, struct neo_metadata_cursor *cursor,
                            struct neo_pair *ret)
{
    return next(call->request_headers, call_arena_here(call), cursor, ret);
}

/* A response that is only a status has no headers, whatever its frame is called. */
static struct h2_headers response_part(const struct neo_client_call *call, bool trailers)
{
    const struct call_attempt *a = call->n_running > 0 ? call->running[0] : NULL;
    const struct h2_headers none = {0};

    if (a == NULL) {
        size_t n = call->n_response_headers;
        return trailers ? (struct h2_headers){call->response + n, call->n_response - n}
                        : (struct h2_headers){call->response, n};
    }
    if (a->got_headers)
        return trailers ? a->stream->trailers : a->stream->headers;
    return trailers && a->stream->remote_ended ? a->stream->headers : none;
}

bool neo_client_call_header_next(struct neo_client_call *call, struct neo_metadata_cursor *cursor,
                                 struct neo_pair *ret)
{
    return next(response_part(call, false), &call->arena, cursor, ret);
}

bool neo_client_call_trailer_next(struct neo_client_call *call, struct neo_metadata_cursor *cursor,
                                  struct neo_pair *ret)
{
    return next(response_part(call, true), &call->arena, cursor, ret);
}

/* As it came. */
static struct neo_bytes response_field(const struct neo_client_call *call, const char *name)
{
    if (!call->committed || call->n_running == 0)
        return wire_header((struct h2_headers){call->response, call->n_response}, name);
    const struct h2_stream *s = call->running[0]->stream;
    struct neo_bytes value = wire_header(s->headers, name);
    return value.at != NULL ? value : wire_header(s->trailers, name);
}

/* Values that were joined are as many as were not: a name that is repeated has no one value. */
struct neo_bytes neo_client_call_metadata(struct neo_client_call *call, const char *name)
{
    struct neo_bytes value = response_field(call, name);
    struct neo_bytes raw;

    if (value.at == NULL || !is_binary(neo_text(name)))
        return value;
    return decode(value, &call->arena, &raw) ? raw : (struct neo_bytes){0};
}
