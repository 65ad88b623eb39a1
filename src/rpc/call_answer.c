/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer that fits into what its peer takes (SETTINGS_MAX_HEADER_LIST_SIZE). What a handler adds
 * is refused to it where that alone is too much (metadata.c); what becomes too much together with a
 * status loses what can be missed, before its code and its text.
 */
#include "rpc/call.h"

#include "rpc/metadata.h"
#include "rpc/record.h"
#include "rpc/wire.h"

enum { ANSWER_FIELDS_MAX = 80 };

/* In the order in which they are given up. */
enum part { ADDED_DETAILS, METADATA, DETAILS, TEXT, PARTS };

static const char *const part_names[PARTS] = {
    [ADDED_DETAILS] = "the details that were added",
    [METADATA] = "these and the metadata",
    [DETAILS] = "these and all details",
    [TEXT] = "all but the code",
};

/* More than the peer takes, or than the call has memory for: less of it may go. */
static bool is_too_large(enum neo_code code)
{
    return code == NEO_INVALID_ARGUMENT || code == NEO_RESOURCE_EXHAUSTED;
}

bool call_answer_headers(struct neo_call *call)
{
    struct h2 *h2 = conn_h2(call->peer->conn);
    struct h2_header fields[ANSWER_FIELDS_MAX];
    size_t n = metadata_answer(call, true, fields, ANSWER_FIELDS_MAX);
    enum neo_code code = h2_respond(h2, call->stream, 200, fields, n, false, NULL);

    if (is_too_large(code) && call->headers.n > 0) { /* the peer has said less since */
        record_cut(call, "the metadata");
        n = metadata_answer(call, false, fields, ANSWER_FIELDS_MAX);
        code = h2_respond(h2, call->stream, 200, fields, n, false, NULL);
    }
    call->headers_sent = code == NEO_OK;
    return call->headers_sent;
}

static size_t without_details(struct h2_header *fields, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (!neo_bytes_is(fields[i].name, "grpc-status-details-bin"))
            fields[kept++] = fields[i];
    return kept;
}

/* Without the first `left_out` of its parts. */
static enum neo_code send_parts(struct neo_call *call, const struct neo_status *status,
                                unsigned left_out)
{
    struct h2 *h2 = conn_h2(call->peer->conn);
    struct h2_header fields[ANSWER_FIELDS_MAX];
    struct neo_status said = *status;
    bool metadata = left_out <= METADATA;
    size_t n = 0;

    if (left_out > ADDED_DETAILS)
        said.details = said.more_details = (struct neo_bytes){0};
    if (left_out > TEXT)
        said.message = (struct neo_bytes){0};
    if (!call->headers_sent)
        n = metadata_answer(call, metadata, fields, ANSWER_FIELDS_MAX);
    n += wire_status_headers(&said, call->trailers.at, metadata ? call->trailers.n : 0, call->arena,
                             fields + n, ANSWER_FIELDS_MAX - n);
    bool bare = call->worker->server->options.bare_refusals && status->details.len == 0;
    if (bare || left_out > DETAILS)
        n = without_details(fields, n);
    return call->headers_sent ? h2_send_trailers(h2, call->stream, fields, n, NULL)
                              : h2_respond(h2, call->stream, 200, fields, n, true, NULL);
}

enum neo_code call_answer_status(struct neo_call *call, const struct neo_status *status)
{
    unsigned left_out = 0;
    enum neo_code code = send_parts(call, status, left_out);

    while (is_too_large(code) && left_out < PARTS)
        code = send_parts(call, status, ++left_out);
    if (left_out > 0)
        record_cut(call, part_names[left_out - 1]);
    return code;
}
