/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proof for one call: the caller sends its headers and a nonce, and no byte of the
 * request before our answer. That goes out at once, in the initial metadata, before
 * anything of the request is read; who cannot give it refuses the call.
 *
 *     x-attestation-nonce-bin  -->
 *                              <--  x-attestation-proof-bin, x-attestation-evidence-id-bin
 *
 * The seed's names, for software that cannot send binary metadata, mean the same in
 * base64: x-attestation-nonce is answered by x-attestation-evidence, which is the proof
 * and never a quote.
 */
#include "rpc/call.h"
#include "rpc/record.h"
#include "rpc/wire.h"

#include "attest/fresh.h"

#include <neo/encoding.h>

enum { OWN_HEADERS_MAX = 32, NONCE_TEXT_MAX = 64 };

/* False: it is no nonce. */
static bool read_nonce(struct neo_bytes text, struct neo_buffer *out)
{
    return text.len <= NONCE_TEXT_MAX && neo_base64_decode(text, out, NULL) == NEO_OK &&
           out->len == FRESH_NONCE_LEN;
}

static bool add(struct neo_call *call, const char *name, struct neo_bytes value)
{
    struct call_fields *h = &call->headers;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    if (h->at == NULL)
        h->at = neo_arena_calloc(call->arena, OWN_HEADERS_MAX, sizeof(*h->at));
    if (!neo_base64_encode(&text, value, NEO_BASE64_UNPADDED))
        return false;
    struct neo_bytes kept = neo_arena_copy(call->arena, neo_buffer_bytes(&text));
    if (neo_arena_failed(call->arena))
        return false;
    h->at[h->n++] = (struct h2_header){neo_text(name), kept};
    return true;
}

static enum neo_reason answer(struct neo_call *call, struct neo_bytes text, bool by_seed)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer nonce = {.limit = NONCE_TEXT_MAX};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer proof = {0};
    uint8_t evidence[FRESH_EVIDENCE_LEN];

    if (!read_nonce(text, &nonce))
        return NEO_REASON_REQUEST_MALFORMED;
    const struct fresh_call is = {neo_buffer_bytes(&nonce), (uint32_t)call->stream->id,
                                  call->stream->path};
    if (fresh_prove(call->peer->fresh, &is, &proof, evidence, NULL) != NEO_OK)
        return NEO_REASON_ATTESTATION_REQUIRED;
    if (!add(call, by_seed ? "x-attestation-evidence" : "x-attestation-proof-bin",
             neo_buffer_bytes(&proof)) ||
        !add(call, by_seed ? "x-attestation-evidence-id" : "x-attestation-evidence-id-bin",
             neo_bytes(evidence, sizeof(evidence))))
        return NEO_REASON_OUT_OF_MEMORY;
    neo_call_send_headers(call);
    return NEO_REASON_NONE;
}

/* Hardly any call does: names are not compared where none begins as these do. */
static bool may_ask(const struct neo_call *call)
{
    const struct h2_headers *h = &call->request_headers;
    bool found = false;

    for (size_t i = 0; i < h->len; i++)
        found |= h->at[i].name.at[0] == 'x';
    return found;
}

enum neo_reason call_prove(struct neo_call *call)
{
    struct neo_bytes nonce = {0};
    bool asks = may_ask(call), by_seed = false;

    if (asks)
        nonce = wire_header(call->request_headers, "x-attestation-nonce-bin");
    if (asks && nonce.at == NULL) {
        by_seed = true;
        nonce = wire_header(call->request_headers, "x-attestation-nonce");
    }
    if (nonce.at != NULL)
        return answer(call, nonce, by_seed);
    return call->method->info->fresh_attestation ? NEO_REASON_ATTESTATION_REQUIRED
                                                 : NEO_REASON_NONE;
}
