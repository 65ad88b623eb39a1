/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/exchange.h"

#include <neo/digest.h>
#include <neo/memory.h>

#include <assert.h>

enum {
    URI_MAX = 2048,
    ARENA_BUDGET = 256 << 10,
    FRAME_ARENA_BUDGET = 128 << 10,
    FRAME_ARENA_FIRST = 2048,
    EVIDENCE_MIN = 512,
};

static bool is_zero(const uint8_t *at, size_t len)
{
    return snp_is_zero(neo_bytes(at, len));
}

/* --- life ------------------------------------------------------------------------------------- */

static enum neo_code check_options(const struct attest_options *o, struct neo_error *err)
{
    const struct attest_channel *c = o->channel;

    if (is_zero(o->nonce, sizeof(o->nonce)) || is_zero(c->exporter, sizeof(c->exporter)) ||
        is_zero(c->own_spki_sha256, sizeof(c->own_spki_sha256)) ||
        is_zero(c->peer_spki_sha256, sizeof(c->peer_spki_sha256)))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "attestation needs a nonce, an exporter and both keys");
    if (c->own_uri.len == 0 || c->peer_uri.len == 0 || c->own_uri.len > URI_MAX ||
        c->peer_uri.len > URI_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "attestation needs both identities");
    if (!o->want_peer)
        return NEO_OK;
    if (o->trust == NULL || !neo_attest_policies_has(o->policies, c->peer_service))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "\"%.*s\" must be attested, and no attestation policy says what it runs",
                        NEO_FMT(c->peer_service));
    return NEO_OK;
}

static void copy_channel(struct attest_session *s, const struct attest_channel *channel)
{
    s->channel = *channel;
    s->channel.own_uri = neo_arena_copy(&s->arena, channel->own_uri);
    s->channel.peer_uri = neo_arena_copy(&s->arena, channel->peer_uri);
    s->channel.peer_service = neo_arena_copy(&s->arena, channel->peer_service);
}

static void want(struct attest_session *s, const struct attest_options *options)
{
    s->trust = neo_attest_trust_ref(options->trust);
    s->policies = neo_attest_policies_ref(options->policies);
    const struct attest_policy *policy =
        attest_policies_find(s->policies, options->channel->peer_service);
    s->peer_kinds = attest_policy_kinds(policy);
    s->mode = policy->mode;
    if (s->mode == ATTEST_DIRECT)
        return;
    while (s->n_known < options->n_vouches && s->n_known < VOUCHES_OF_ONE) {
        s->known[s->n_known] = vouch_ref(options->vouches[s->n_known]);
        s->n_known++;
    }
}

enum neo_code attest_session_new(const struct attest_options *options, struct attest_session **ret,
                                 struct neo_error *err)
{
    NEO_TRY(check_options(options, err));
    struct attest_session *s = neo_alloc(sizeof(*s));
    if (s == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an attestation");

    s->state = ATTEST_RUNNING;
    s->step = options->channel->is_server ? AWAIT_HELLO : AWAIT_START;
    s->can_prove = options->attester != NULL;
    s->own_kind = s->can_prove ? options->attester->kind : NEO_EVIDENCE_UNKNOWN;
    s->want_peer = options->want_peer;
    s->client_first = options->client_first && options->channel->is_server;
    s->rules = options->rules;
    s->session_key = options->session_key == NULL ? NULL : neo_key_ref(options->session_key);
    s->peer_leaf = options->peer_leaf == NULL ? NULL : neo_cert_ref(options->peer_leaf);
    s->deadline = options->now == 0 ? 0 : options->now + ATTEST_EXCHANGE_MAX;
    s->valid_until = UINT64_MAX;
    memcpy(s->nonce, options->nonce, sizeof(s->nonce));
    neo_arena_init(&s->arena, ARENA_BUDGET);
    copy_channel(s, options->channel);
    if (options->want_peer)
        want(s, options);
    if (neo_arena_failed(&s->arena)) {
        attest_session_free(s);
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an attestation");
    }
    *ret = s;
    return NEO_OK;
}

void attest_session_free(struct attest_session *s)
{
    if (s == NULL)
        return;
    neo_attest_trust_unref(s->trust);
    neo_attest_policies_unref(s->policies);
    while (s->n_known > 0)
        vouch_unref(s->known[--s->n_known]);
    vouch_unref(s->vouch);
    neo_key_unref(s->session_key);
    neo_cert_unref(s->peer_leaf);
    neo_arena_fini(&s->arena);
    neo_zeroise(s, sizeof(*s)); /* the exporter is a secret of the connection */
    neo_free(s);
}

/* --- the exchange ----------------------------------------------------------------------------- */

static unsigned shape_of(const struct neo_attest_v1_AttestFrame *frame)
{
    return (frame->hello != NULL ? HAS_HELLO : 0u) | (frame->offer != NULL ? HAS_OFFER : 0u) |
           (frame->proof != NULL ? HAS_PROOF : 0u) | (frame->done != NULL ? HAS_DONE : 0u);
}

enum neo_code attest_session_start(struct attest_session *s, struct neo_buffer *out,
                                   struct neo_error *err)
{
    struct neo_bytes accepts[NEO_EVIDENCE_UNKNOWN];
    struct neo_attest_v1_Known known[VOUCHES_OF_ONE];
    struct neo_attest_v1_Known *knows[VOUCHES_OF_ONE];
    struct neo_bytes produces = neo_text(neo_evidence_kind_text(s->own_kind));
    struct neo_attest_v1_Hello hello = {
        .version = EXCHANGE_VERSION,
        .nonce = neo_bytes(s->nonce, sizeof(s->nonce)),
        .want_server = s->want_peer,
        .accepts = {accepts, attest_kind_names(s->peer_kinds, accepts)},
        .produces = {&produces, s->can_prove ? 1 : 0},
        .delegates = s->mode != ATTEST_DIRECT,
        .knows = {knows, proof_known(s, known, knows)},
    };
    const struct neo_attest_v1_AttestFrame frame = {.hello = &hello};

    if (s->step != AWAIT_START)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "only a client starts, and once");
    if (!exchange_append(&frame, out))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a Hello");
    s->step = AWAIT_OFFER;
    return NEO_OK;
}

enum attest_state attest_session_tick(struct attest_session *s, neo_nsec now,
                                      struct neo_buffer *out)
{
    bool is_over = s->state == ATTEST_ACCEPTED || s->state == ATTEST_REFUSED;

    if (s->deadline == 0)
        s->deadline = now + ATTEST_EXCHANGE_MAX;
    if (is_over || now < s->deadline)
        return s->state;
    return exchange_refuse(s, NEO_ATTEST_TIMEOUT, out, "the exchange took longer than 10 s");
}

bool attest_session_is_dear(const struct attest_session *s, struct neo_bytes frame)
{
    return s->want_peer && !s->is_appraised && frame.len >= EVIDENCE_MIN;
}

enum attest_state attest_session_feed(struct attest_session *s, struct neo_bytes frame,
                                      int64_t wall, neo_nsec now, struct neo_buffer *out)
{
    uint8_t first[FRAME_ARENA_FIRST];
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
    struct incoming in = {.at = {wall, now}, .arena = &arena, .out = out};
    struct neo_error err;

    neo_arena_init_with(&arena, first, sizeof(first), FRAME_ARENA_BUDGET);
    if (attest_session_tick(s, now, out) == ATTEST_REFUSED)
        return s->state;
    if (s->state == ATTEST_ACCEPTED)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, out,
                               "a frame after the end of the exchange");
    if (frame.len > ATTEST_FRAME_MAX)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, out, "a frame of %zu bytes, at most %d",
                               frame.len, ATTEST_FRAME_MAX);
    if (neo_attest_v1_AttestFrame_decode(frame, &in.frame, &arena, &err) != NEO_OK)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, out, "a frame that does not parse: %s",
                               err.message);
    in.shape = shape_of(&in.frame);
    return exchange_take(s, &in);
}

const uint8_t *attest_session_binder(const struct attest_session *s)
{
    assert(s->state == ATTEST_NEEDS_EVIDENCE);
    return s->binder;
}

enum attest_state attest_session_evidence(struct attest_session *s, struct neo_bytes body,
                                          struct neo_bytes certificates, struct neo_buffer *out)
{
    struct neo_attest_v1_Proof proof = {
        .type = neo_text(neo_evidence_kind_text(s->own_kind)),
        .evidence = body,
        .certificates = certificates,
        .claims = s->own_claims,
    };

    if (s->state != ATTEST_NEEDS_EVIDENCE) /* the peer gave up while we were at it */
        return s->state;
    if (body.len == 0)
        return exchange_refuse(s, NEO_ATTEST_ATTESTER, out,
                               "our own attester could not make evidence");
    neo_sha256(body, s->own_evidence_sha256);
    return exchange_reply(s, s->reply, &proof, proof_next(s), out);
}

/* --- the outcome ------------------------------------------------------------------------------ */

enum attest_state attest_session_state(const struct attest_session *s)
{
    return s->state;
}

const struct neo_appraisal *attest_session_appraisal(const struct attest_session *s)
{
    return s->is_appraised ? &s->appraisal : NULL;
}

struct attest_vouch *attest_session_vouch(const struct attest_session *s)
{
    return s->state == ATTEST_ACCEPTED ? s->vouch : NULL;
}

enum neo_attest_reason attest_session_reason(const struct attest_session *s)
{
    return s->reason;
}

const char *attest_session_detail(const struct attest_session *s)
{
    return s->detail;
}

neo_nsec attest_session_valid_until(const struct attest_session *s)
{
    return s->valid_until;
}
