/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proof for one call. Only the headers leave, with a nonce; what the call sends waits
 * until the server's initial metadata has its session key's signature over this stream
 * of this connection. Anything else ends the call, and nothing of the request was sent.
 */
#include "rpc/channel_internal.h"
#include "rpc/wire.h"

#include <neo/digest.h>
#include <neo/encoding.h>
#include <neo/reason.h>

#include <assert.h>

bool client_fresh_wanted(const struct neo_client_call *call, const struct sub_conn *sc)
{
    return call->method->fresh_attestation || sc->per_call;
}

bool client_fresh_possible(const struct sub_conn *sc)
{
    return sub_conn_is_attested(sc) && fresh_can_check(sc->fresh);
}

void client_fresh_ask(struct call_attempt *a, char ret[static CLIENT_FRESH_TEXT_LEN])
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    static_assert(sizeof(a->nonce) == FRESH_NONCE_LEN, "a nonce");
    neo_random(a->nonce, sizeof(a->nonce));
    memset(ret, 'A', CLIENT_FRESH_TEXT_LEN); /* without memory it is refused, and so is the call */
    if (neo_base64_encode(&text, neo_bytes(a->nonce, sizeof(a->nonce)), NEO_BASE64_UNPADDED) &&
        text.len == CLIENT_FRESH_TEXT_LEN)
        memcpy(ret, text.at, text.len);
    a->unproven = true;
}

static enum neo_code read_value(const struct h2_stream *s, const char *name, struct neo_buffer *out,
                                struct neo_error *err)
{
    struct neo_bytes text = wire_header(s->headers, name);

    if (text.at == NULL)
        return neo_fail(err, NEO_UNAUTHENTICATED, "the answer has no %s", name);
    return neo_base64_decode(text, out, err);
}

static enum neo_code check(const struct call_attempt *a, const struct h2_stream *s,
                           struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer proof = {.limit = 256};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer evidence = {.limit = 256};
    neo_nsec now = neo_loop_now(a->call->channel->loop);
    const struct fresh_call is = {
        .nonce = neo_bytes(a->nonce, sizeof(a->nonce)),
        .stream = (uint32_t)s->id,
        .path = neo_text(a->call->method->path),
    };

    if (!client_fresh_possible(a->sc))
        return neo_fail(err, NEO_UNAUTHENTICATED, "the server's attestation has ended");
    NEO_TRY(read_value(s, "x-attestation-proof-bin", &proof, err));
    NEO_TRY(read_value(s, "x-attestation-evidence-id-bin", &evidence, err));
    if (a->sc->fresh_before != NULL &&
        fresh_check(a->sc->fresh_before, &is, neo_buffer_bytes(&proof), neo_buffer_bytes(&evidence),
                    now, NULL) == NEO_OK)
        return NEO_OK;
    return fresh_check(a->sc->fresh, &is, neo_buffer_bytes(&proof), neo_buffer_bytes(&evidence),
                       now, err);
}

bool client_fresh_take(struct call_attempt *a, struct h2_stream *s)
{
    struct neo_client_call *call = a->call;
    const struct channel_core *core = a->sc->sub->core;
    struct neo_error err = {0};

    if (check(a, s, &err) == NEO_OK) {
        a->unproven = false;
        (void)client_call_flush(call);
        if (call->events->writable != NULL && !call->over)
            call->events->writable(call, call->self);
        return s->user == a; /* else it has ended the call, and `call` may be another's memory */
    }
    struct neo_status status =
        neo_status_of(NEO_PERMISSION_DENIED, "the server did not prove itself for this call");
    status.reason = neo_text(neo_reason_name(NEO_REASON_ATTESTATION_REFUSED));
    neo_log_warn(core->log, "channel.call_not_proven", NEO_STR("target", core->target),
                 NEO_STR("method", call->method->path), NEO_STR("why", err.message));
    client_call_end(call, &status);
    return false;
}
