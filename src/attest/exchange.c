/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo-attest-v1, session mode.
 *
 *     client                                server
 *     Hello ------------------------------> AWAIT_HELLO
 *     AWAIT_OFFER <------------------------ Offer [Proof]
 *     [Proof] Done -----------------------> AWAIT_ANSWER
 *     AWAIT_VERDICT <---------------------- Done
 *
 * and when the client has to prove itself first:
 *
 *     AWAIT_OFFER <------------------------ Offer
 *     Proof ------------------------------> AWAIT_ANSWER
 *     AWAIT_VERDICT <---------------------- Proof Done
 *     Done -------------------------------> AWAIT_VERDICT
 *
 * Each step takes frames of exactly one shape, which follows from what both sides
 * asked for. So a peer that leaves out its proof, repeats a frame, or answers out
 * of turn has sent the wrong shape, and there is one place that refuses it. A side
 * says Done only when it is content, and is ACCEPTED only when both have said it.
 *
 * One session, one nonce, one piece of evidence judged. Whatever goes wrong ends
 * in exchange_refuse(): the peer gets a coarse code, our log gets the detail.
 */
#include "attest/exchange.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* --- frames out ------------------------------------------------------------------------------- */

bool exchange_append(const struct neo_attest_v1_AttestFrame *frame, struct neo_buffer *out)
{
    size_t before = out->len;

    if (neo_attest_v1_AttestFrame_encode(frame, out, NULL) == NEO_OK &&
        out->len - before <= ATTEST_FRAME_MAX)
        return true;
    out->len = before;
    return false;
}

static int32_t coarse(enum neo_attest_reason reason)
{
    switch (reason) {
    case NEO_ATTEST_UNSUPPORTED:
        return neo_attest_v1_REFUSAL_UNSUPPORTED;
    case NEO_ATTEST_PROTOCOL:
        return neo_attest_v1_REFUSAL_PROTOCOL;
    case NEO_ATTEST_ATTESTER:
    case NEO_ATTEST_RATE_LIMITED:
        return neo_attest_v1_REFUSAL_UNAVAILABLE;
    case NEO_ATTEST_TIMEOUT:
        return neo_attest_v1_REFUSAL_TIMEOUT;
    case NEO_ATTEST_NONE:
    case NEO_ATTEST_FORMAT:
    case NEO_ATTEST_CHAIN:
    case NEO_ATTEST_REVOKED:
    case NEO_ATTEST_EXPIRED:
    case NEO_ATTEST_SIGNATURE:
    case NEO_ATTEST_BINDING:
    case NEO_ATTEST_DEBUG:
    case NEO_ATTEST_TCB_FLOOR:
    case NEO_ATTEST_MEASUREMENT:
    case NEO_ATTEST_PLATFORM:
    case NEO_ATTEST_POLICY_MISSING:
    case NEO_ATTEST_COLLATERAL:
    case NEO_ATTEST_COLLATERAL_STALE:
    case NEO_ATTEST_TCB_STATUS:
    case NEO_ATTEST_QE_IDENTITY:
    case NEO_ATTEST_ROLE:
    case NEO_ATTEST_IDENTITY:
    case NEO_ATTEST_PEER_REFUSED:
        break;
    }
    return neo_attest_v1_REFUSAL_EVIDENCE;
}

enum attest_state exchange_refuse(struct attest_session *s, enum neo_attest_reason reason,
                                  struct neo_buffer *out, const char *format, ...)
{
    struct neo_attest_v1_Done done = {.refusal = coarse(reason)};
    const struct neo_attest_v1_AttestFrame frame = {.done = &done};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(s->detail, sizeof(s->detail), format, args);
    va_end(args);
    s->state = ATTEST_REFUSED;
    s->reason = reason;
    if (out != NULL)
        (void)exchange_append(&frame, out); /* a courtesy: we are closing anyway */
    return s->state;
}

enum attest_state exchange_reply(struct attest_session *s, unsigned parts,
                                 struct neo_attest_v1_Proof *proof, enum step next,
                                 struct neo_buffer *out)
{
    struct neo_bytes accepts[NEO_EVIDENCE_UNKNOWN];
    struct neo_attest_v1_Known known[VOUCHES_OF_ONE];
    struct neo_attest_v1_Known *knows[VOUCHES_OF_ONE];
    struct neo_attest_v1_Offer offer = {
        .nonce = neo_bytes(s->nonce, sizeof(s->nonce)),
        .want_client = s->want_peer,
        .accepts = {accepts, attest_kind_names(s->peer_kinds, accepts)},
        .client_first = s->client_first,
        .delegates = s->mode != ATTEST_DIRECT,
        .knows = {knows, proof_known(s, known, knows)},
    };
    struct neo_attest_v1_Done done = {.ok = true, .valid_for_seconds = s->valid_for};
    const struct neo_attest_v1_AttestFrame frame = {
        .offer = (parts & HAS_OFFER) != 0 ? &offer : NULL,
        .proof = (parts & HAS_PROOF) != 0 ? proof : NULL,
        .done = (parts & HAS_DONE) != 0 ? &done : NULL,
    };

    if (!exchange_append(&frame, out))
        return exchange_refuse(s, NEO_ATTEST_ATTESTER, out,
                               "a frame of ours did not fit into %d bytes", ATTEST_FRAME_MAX);
    s->step = next;
    s->state = ATTEST_RUNNING;
    return s->state;
}

static enum attest_state accept(struct attest_session *s)
{
    s->state = ATTEST_ACCEPTED;
    return s->state;
}

/* Sends what was found to be due, with evidence first when it takes some. */
static enum attest_state go_on(struct attest_session *s, unsigned parts, enum step next,
                               struct neo_buffer *out)
{
    if ((parts & HAS_PROOF) != 0)
        return proof_ask(s, parts, out);
    return exchange_reply(s, parts, NULL, next, out);
}

/* --- frames in -------------------------------------------------------------------------------- */

/* Ours come from the kernel; one that equals ours or is zero was not drawn at random. */
static bool keep_nonce(struct attest_session *s, struct neo_bytes nonce)
{
    if (nonce.len != EXCHANGE_NONCE_LEN || snp_is_zero(nonce) ||
        memcmp(nonce.at, s->nonce, EXCHANGE_NONCE_LEN) == 0)
        return false;
    memcpy(s->peer_nonce, nonce.at, EXCHANGE_NONCE_LEN);
    return true;
}

static unsigned kinds_of(const struct neo_bytes *at, size_t n)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < n; i++) {
        enum neo_evidence_kind kind = neo_evidence_kind_parse(at[i]);
        if (kind != NEO_EVIDENCE_UNKNOWN)
            kinds |= 1u << kind;
    }
    return kinds;
}

/* RUNNING: the peer asks for nothing, or for what we can give. */
static enum attest_state can_satisfy(struct attest_session *s, const struct neo_bytes *accepts,
                                     size_t n, struct neo_buffer *out)
{
    if (!s->peer_wants)
        return ATTEST_RUNNING;
    if (!s->can_prove)
        return exchange_refuse(s, NEO_ATTEST_UNSUPPORTED, out,
                               "the peer asks for evidence, and we have no attester");
    if ((kinds_of(accepts, n) & 1u << s->own_kind) == 0)
        return exchange_refuse(s, NEO_ATTEST_UNSUPPORTED, out, "the peer does not accept %s",
                               neo_evidence_kind_text(s->own_kind));
    return ATTEST_RUNNING;
}

static enum attest_state wrong_shape(struct attest_session *s, const struct incoming *in)
{
    if (s->want_peer && !s->is_appraised && (in->shape & (HAS_OFFER | HAS_DONE)) != 0 &&
        (in->shape & HAS_PROOF) == 0)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out,
                               "the peer leaves out the proof we asked for");
    return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out, "a frame out of turn (parts 0x%x)",
                           in->shape);
}

static enum attest_state take_hello(struct attest_session *s, const struct incoming *in)
{
    const struct neo_attest_v1_Hello *hello = in->frame.hello;

    if (in->shape != HAS_HELLO)
        return wrong_shape(s, in);
    if (hello->version != EXCHANGE_VERSION)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out,
                               "version %u of the protocol, we speak %d", hello->version,
                               EXCHANGE_VERSION);
    if (!keep_nonce(s, hello->nonce))
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out, "a nonce that is no nonce");
    s->peer_wants = hello->want_server;
    if (can_satisfy(s, hello->accepts.at, hello->accepts.len, in->out) != ATTEST_RUNNING)
        return s->state;
    if (s->want_peer && (kinds_of(hello->produces.at, hello->produces.len) & s->peer_kinds) == 0)
        return exchange_refuse(s, NEO_ATTEST_UNSUPPORTED, in->out,
                               "the client can produce no evidence that the policy takes");
    if (s->peer_wants && hello->delegates &&
        proof_delegate(s, hello->knows.at, hello->knows.len, in->out) != ATTEST_RUNNING)
        return s->state;
    s->client_first = s->client_first && s->want_peer && s->peer_wants;
    bool prove_now = s->peer_wants && !s->client_first;
    return go_on(s, HAS_OFFER | (prove_now ? HAS_PROOF : 0u), AWAIT_ANSWER, in->out);
}

static enum attest_state take_offer(struct attest_session *s, const struct incoming *in)
{
    const struct neo_attest_v1_Offer *offer = in->frame.offer;

    if (offer == NULL)
        return wrong_shape(s, in);
    s->peer_wants = offer->want_client;
    s->client_first = offer->client_first;
    if (s->client_first && !(s->want_peer && s->peer_wants))
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out,
                               "client first, where not both must prove");
    bool proof_now = s->want_peer && !s->client_first;
    if (in->shape != (HAS_OFFER | (proof_now ? HAS_PROOF : 0u)))
        return wrong_shape(s, in);
    if (!keep_nonce(s, offer->nonce))
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out, "a nonce that is no nonce");
    if (can_satisfy(s, offer->accepts.at, offer->accepts.len, in->out) != ATTEST_RUNNING)
        return s->state;
    if (s->peer_wants && offer->delegates &&
        proof_delegate(s, offer->knows.at, offer->knows.len, in->out) != ATTEST_RUNNING)
        return s->state;
    if (proof_now && proof_judge(s, in) != ATTEST_RUNNING)
        return s->state;
    return go_on(s, (s->peer_wants ? HAS_PROOF : 0u) | (s->client_first ? 0u : HAS_DONE),
                 AWAIT_VERDICT, in->out);
}

/* RUNNING: the peer is content, and for how long fits to whether it asked for our proof. */
static enum attest_state take_done(struct attest_session *s, const struct incoming *in)
{
    assert(in->frame.done != NULL); /* by its shape */
    neo_nsec until = in->at.now + in->frame.done->valid_for_seconds * NEO_NSEC_PER_SEC;

    if ((in->frame.done->valid_for_seconds > 0) != s->peer_wants)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out, "a verdict that holds for %u s",
                               in->frame.done->valid_for_seconds);
    if (s->peer_wants && until < s->valid_until)
        s->valid_until = until;
    return ATTEST_RUNNING;
}

static enum attest_state take_answer(struct attest_session *s, const struct incoming *in)
{
    unsigned done = s->client_first ? 0 : HAS_DONE;

    if (in->shape != ((s->want_peer ? HAS_PROOF : 0u) | done))
        return wrong_shape(s, in);
    if (done != 0 && take_done(s, in) != ATTEST_RUNNING)
        return s->state;
    if (s->want_peer && proof_judge(s, in) != ATTEST_RUNNING)
        return s->state;
    if (s->client_first)
        return proof_ask(s, HAS_PROOF | HAS_DONE, in->out);
    return exchange_reply(s, HAS_DONE, NULL, AWAIT_VERDICT, in->out) == ATTEST_RUNNING ? accept(s)
                                                                                       : s->state;
}

static enum attest_state take_verdict(struct attest_session *s, const struct incoming *in)
{
    bool proof_due = s->client_first && !s->channel.is_server;

    if (in->shape != (HAS_DONE | (proof_due ? HAS_PROOF : 0u)))
        return wrong_shape(s, in);
    if (take_done(s, in) != ATTEST_RUNNING)
        return s->state;
    if (!proof_due)
        return accept(s);
    if (proof_judge(s, in) != ATTEST_RUNNING)
        return s->state;
    return exchange_reply(s, HAS_DONE, NULL, AWAIT_VERDICT, in->out) == ATTEST_RUNNING ? accept(s)
                                                                                       : s->state;
}

enum attest_state exchange_take(struct attest_session *s, const struct incoming *in)
{
    const struct neo_attest_v1_Done *done = in->frame.done;

    if (in->shape == HAS_DONE && !done->ok)
        return exchange_refuse(s, NEO_ATTEST_PEER_REFUSED, NULL,
                               "the peer ended the exchange (code %d)", (int)done->refusal);
    if (s->state == ATTEST_NEEDS_EVIDENCE || (done != NULL && !done->ok))
        return wrong_shape(s, in);
    switch (s->step) {
    case AWAIT_HELLO:
        return take_hello(s, in);
    case AWAIT_OFFER:
        return take_offer(s, in);
    case AWAIT_ANSWER:
        return take_answer(s, in);
    case AWAIT_VERDICT:
        return take_verdict(s, in);
    case AWAIT_START:
        break;
    }
    return wrong_shape(s, in);
}
