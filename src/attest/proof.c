/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/exchange.h"

#include <assert.h>

enum {
    ROLE_SERVER = 1,
    ROLE_CLIENT = 2,
    KIND_HARDWARE = 1,
    CLAIMS_MAX = 1024,
};

/* `is_peer`: the binder of the peer's evidence, as we see the channel; else that of our own. */
static void bind(const struct attest_session *s, bool is_peer, struct neo_bytes type,
                 struct neo_bytes claims, uint8_t ret[static NEO_BINDER_LEN])
{
    const struct attest_channel *c = &s->channel;
    struct neo_bytes own_spki = neo_bytes(c->own_spki_sha256, sizeof(c->own_spki_sha256));
    struct neo_bytes peer_spki = neo_bytes(c->peer_spki_sha256, sizeof(c->peer_spki_sha256));
    const struct attest_binder_input input = {
        .role = is_peer == c->is_server ? ROLE_CLIENT : ROLE_SERVER,
        .kind = KIND_HARDWARE,
        .evidence_type = type,
        .verifier_nonce = neo_bytes(is_peer ? s->nonce : s->peer_nonce, EXCHANGE_NONCE_LEN),
        .exporter = neo_bytes(c->exporter, sizeof(c->exporter)),
        .attester_spki_sha256 = is_peer ? peer_spki : own_spki,
        .verifier_spki_sha256 = is_peer ? own_spki : peer_spki,
        .attester_uri = is_peer ? c->peer_uri : c->own_uri,
        .verifier_uri = is_peer ? c->own_uri : c->peer_uri,
        .claims = claims,
    };

    attest_binder(&input, ret);
}

enum attest_state proof_ask(struct attest_session *s, unsigned parts)
{
    struct neo_bytes type = neo_text(neo_evidence_kind_text(s->own_kind));

    bind(s, false, type, (struct neo_bytes){0}, s->binder);
    s->reply = parts;
    s->state = ATTEST_NEEDS_EVIDENCE;
    return s->state;
}

/* --- judging the peer ------------------------------------------------------------------------- */

static const char *first_failure(const struct neo_appraisal *a, const char **ret_detail)
{
    for (size_t i = 0; i < a->n_checks; i++) {
        if (a->checks[i].result == NEO_CHECK_FAIL) {
            *ret_detail = a->checks[i].detail;
            return a->checks[i].name;
        }
    }
    *ret_detail = NULL;
    return "no check";
}

static neo_nsec seconds(uint64_t n)
{
    return n > UINT64_MAX / NEO_NSEC_PER_SEC ? UINT64_MAX : n * NEO_NSEC_PER_SEC;
}

/* From when the evidence came: the policy's limit, the certificates', and the peer's own wish. */
static enum attest_state limit(struct attest_session *s, uint32_t wished, struct moment at,
                               struct neo_buffer *out)
{
    neo_nsec age = s->appraisal.max_age;
    neo_nsec certificates = s->appraisal.not_after > at.wall
                                ? seconds((uint64_t)(s->appraisal.not_after - at.wall))
                                : 0;

    if (certificates < age)
        age = certificates;
    if (wished != 0 && seconds(wished) < age)
        age = seconds(wished);
    if (age < NEO_NSEC_PER_SEC)
        return exchange_refuse(s, NEO_ATTEST_EXPIRED, out,
                               "the evidence would be valid for no time at all");
    s->valid_for = (uint32_t)(age / NEO_NSEC_PER_SEC);
    if (at.now + age < s->valid_until)
        s->valid_until = at.now + age;
    return ATTEST_RUNNING;
}

enum attest_state proof_judge(struct attest_session *s, const struct incoming *in)
{
    const struct neo_attest_v1_Proof *proof = in->frame.proof;
    const struct neo_evidence evidence = {
        .kind = neo_evidence_kind_parse(proof->type),
        .body = proof->evidence,
        .certificates = proof->certificates,
    };
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_attest_v1_Claims claims;
    struct neo_error err;

    assert(!s->is_appraised);
    if (proof->claims.len > CLAIMS_MAX ||
        neo_attest_v1_Claims_decode(proof->claims, &claims, in->arena, NULL) != NEO_OK)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out, "claims that do not parse");
    if (evidence.kind == NEO_EVIDENCE_UNKNOWN || (s->peer_kinds & 1u << evidence.kind) == 0)
        return exchange_refuse(s, NEO_ATTEST_UNSUPPORTED, in->out,
                               "evidence of type \"%.*s\", which the policy does not take",
                               NEO_FMT(proof->type));
    bind(s, true, proof->type, proof->claims, binder);
    if (neo_attest_appraise(s->trust, s->policies, s->channel.peer_service, &evidence, binder,
                            in->at.wall, &s->arena, &s->appraisal, &err) != NEO_OK)
        return exchange_refuse(s, NEO_ATTEST_FORMAT, in->out, "could not appraise: %s",
                               err.message);
    s->is_appraised = true;
    if (!s->appraisal.accepted) {
        const char *detail;
        const char *name = first_failure(&s->appraisal, &detail);
        return exchange_refuse(s, s->appraisal.reason, in->out, "%s: %s", name,
                               detail == NULL ? "" : detail);
    }
    return limit(s, claims.max_lifetime_seconds, in->at, in->out);
}
