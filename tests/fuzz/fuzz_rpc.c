/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rpc reads from a peer: messages in a stream, statuses, headers. The first byte
 * chooses which.
 *
 *   messages   cut anywhere, they are the same messages
 *   statuses   what is read can be written, and is then read the same
 *   headers    timeouts, messages and contexts never fail in a way of their own
 */
#include "rpc/frame.h"
#include "rpc/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAX = 1000, BUDGET = 1 << 20, FIELDS = 24, MESSAGE_SHOWN = 1024 };

static void must(bool promise)
{
    if (!promise)
        abort();
}

/* --- messages -------------------------------------------------------------------------------- */

struct read {
    enum frame_result end;
    size_t messages;
    size_t bytes;
    uint32_t sum;
};

/* Reads all of it in pieces of `step` bytes; inflated or not, no message is too large. */
static struct read read_in_pieces(struct neo_bytes all, size_t step, enum frame_encoding encoding)
{
    struct frame_reader r = {.max = MESSAGE_MAX, .encoding = encoding};
    struct read result = {.end = FRAME_MORE};
    struct neo_bytes message;
    struct neo_error err;

    for (size_t at = 0; at < all.len && result.end != FRAME_BAD; at += step) {
        struct neo_bytes piece = {all.at + at, step < all.len - at ? step : all.len - at};
        while ((result.end = frame_read(&r, &piece, &message, &err)) == FRAME_MESSAGE) {
            must(message.len <= MESSAGE_MAX);
            result.messages++;
            result.bytes += message.len;
            for (size_t i = 0; i < message.len; i++)
                result.sum = result.sum * 31 + message.at[i];
        }
        must(result.end == FRAME_BAD || piece.len == 0);
        must(r.partial.len <= MESSAGE_MAX + FRAME_PREFIX_LEN);
    }
    frame_reader_fini(&r);
    return result;
}

static void messages_of(struct neo_bytes all, enum frame_encoding encoding)
{
    struct read whole = read_in_pieces(all, all.len + 1, encoding);

    for (size_t step = 1; step < 9; step += 3) {
        struct read pieces = read_in_pieces(all, step, encoding);
        must(pieces.end == whole.end && pieces.messages == whole.messages &&
             pieces.bytes == whole.bytes && pieces.sum == whole.sum);
    }
}

static void messages(struct neo_bytes all)
{
    messages_of(all, FRAME_IDENTITY);
    messages_of(all, FRAME_GZIP);
    messages_of(all, FRAME_UNKNOWN);
}

/* --- statuses --------------------------------------------------------------------------------- */

static bool is_same(const struct neo_status *a, const struct neo_status *b)
{
    return a->code == b->code && neo_bytes_equal(a->reason, b->reason) &&
           neo_bytes_equal(a->decision_id, b->decision_id) && a->retry_after == b->retry_after &&
           neo_bytes_equal(a->bucket, b->bucket) && a->processed == b->processed &&
           a->n_metadata == b->n_metadata;
}

static void statuses(struct neo_bytes wire)
{
    struct neo_buffer again = {0};
    struct neo_buffer json = {0};
    struct neo_arena arena;
    struct neo_status status;
    struct neo_status second;

    neo_arena_init(&arena, BUDGET);
    if (neo_status_decode(wire, &arena, &status, NULL) == NEO_OK) {
        must(neo_status_encode(&status, &again));
        must(neo_status_decode(neo_buffer_bytes(&again), &arena, &second, NULL) == NEO_OK);
        must(is_same(&status, &second));
        must(neo_status_json(&status, false, &json));
    }
    neo_buffer_fini(&again);
    neo_buffer_fini(&json);
    neo_arena_fini(&arena);
}

/* --- headers ------------------------------------------------------------------------------------
 */

/* Lines of "name value". */
static struct h2_headers split(struct neo_bytes text, struct h2_header fields[static FIELDS])
{
    size_t n = 0;

    while (text.len > 0 && n < FIELDS) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        const uint8_t *space = memchr(text.at, ' ', len);
        size_t name = space == NULL ? len : (size_t)(space - text.at);
        fields[n].name = neo_bytes(text.at, name);
        fields[n].value = neo_bytes_from(neo_bytes(text.at, len), name + 1);
        n++;
        text = neo_bytes_from(text, len + 1);
    }
    return (struct h2_headers){fields, n};
}

static void headers(struct neo_bytes text)
{
    struct h2_header fields[FIELDS];
    struct h2_headers all = split(text, fields);
    struct neo_context context;
    struct neo_arena arena;
    neo_nsec timeout;

    neo_arena_init(&arena, BUDGET);
    enum neo_code code = wire_context_read(all, 1000, &arena, &context, NULL);
    must(code == NEO_OK || code == NEO_INVALID_ARGUMENT);
    must(code != NEO_OK || context.criticality >= NEO_CRITICAL);
    must(code != NEO_OK || context.caller.len == 0);

    struct neo_status status = wire_status_read(all, 200, &arena);
    must(status.code <= NEO_UNAUTHENTICATED);
    if (wire_timeout_parse(text, &timeout, NULL) == NEO_OK)
        must(timeout < UINT64_MAX / 2);

    struct neo_bytes encoded = wire_message_encode(text, &arena);
    for (size_t i = 0; i < encoded.len; i++)
        must(encoded.at[i] >= 0x20 && encoded.at[i] < 0x7f);
    struct neo_bytes shown = wire_message_shown(text, &arena);
    must(neo_bytes_equal(wire_message_decode(encoded, &arena), shown));
    if (text.len <= MESSAGE_SHOWN)
        must(neo_bytes_equal(shown, text));
    else /* "..." stands for the rest */
        must(shown.len <= MESSAGE_SHOWN && shown.len + 4 >= MESSAGE_SHOWN &&
             memcmp(shown.at, text.at, shown.len - 3) == 0);
    (void)wire_message_decode(text, &arena);
    (void)wire_is_reserved(text);
    neo_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_bytes rest = neo_bytes_from(neo_bytes(data, size), 1);

    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        messages(rest);
        break;
    case 1:
        statuses(rest);
        break;
    default:
        headers(rest);
        break;
    }
    return 0;
}
