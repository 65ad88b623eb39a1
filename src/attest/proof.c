/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/exchange.h"

#include <neo/digest.h>

#include <assert.h>

enum {
    ROLE_SERVER = 1,
    ROLE_CLIENT = 2,
    CLAIMS_MAX = 1024,
};

/* `is_peer`: the binder of the peer's proof, as we see the channel; else that of our own. */
static void bind(const struct attest_session *s, bool is_peer, uint8_t kind, struct neo_bytes type,
                 struct neo_bytes claims, uint8_t ret[static NEO_BINDER_LEN])
{
    const struct attest_channel *c = &s->channel;
    struct neo_bytes own_spki = neo_bytes(c->own_spki_sha256, sizeof(c->own_spki_sha256));
    struct neo_bytes peer_spki = neo_bytes(c->peer_spki_sha256, sizeof(c->peer_spki_sha256));
    const struct attest_binder_input input = {
        .role = is_peer == c->is_server ? ROLE_CLIENT : ROLE_SERVER,
        .kind = kind,
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

/* --- our own ---------------------------------------------------------------------------------- */

size_t proof_known(const struct attest_session *s, struct neo_attest_v1_Known *known,
                   struct neo_attest_v1_Known **at)
{
    for (size_t i = 0; i < s->n_known; i++) {
        known[i] = (struct neo_attest_v1_Known){
            .key_sha256 = neo_bytes(vouch_key_sha256(s->known[i]), NEO_SHA256_LEN),
            .evidence_sha256 = neo_bytes(vouch_evidence_sha256(s->known[i]), NEO_SHA256_LEN),
        };
        at[i] = &known[i];
    }
    return s->n_known;
}

/* The claims name our key; whether the peer knows it decides what proves them. */
enum attest_state proof_delegate(struct attest_session *s, struct neo_attest_v1_Known *const *knows,
                                 size_t n, struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer claims = {0};
    uint8_t digest[NEO_SHA256_LEN];

    if (s->session_key == NULL)
        return ATTEST_RUNNING;
    if (neo_key_spki(s->session_key, &spki, NULL) != NEO_OK)
        return exchange_refuse(s, NEO_ATTEST_ATTESTER, out, "our session key is of no use");
    const struct neo_attest_v1_Claims is = {.session_key = neo_buffer_bytes(&spki)};
    if (neo_attest_v1_Claims_encode(&is, &claims, NULL) != NEO_OK)
        return exchange_refuse(s, NEO_ATTEST_ATTESTER, out, "out of memory for claims");
    s->own_claims = neo_arena_copy(&s->arena, neo_buffer_bytes(&claims));
    if (neo_arena_failed(&s->arena))
        return exchange_refuse(s, NEO_ATTEST_ATTESTER, out, "out of memory for claims");
    neo_sha256(neo_buffer_bytes(&spki), digest);
    for (size_t i = 0; i < n && !s->is_known; i++) {
        s->is_known = neo_bytes_equal(knows[i]->key_sha256, neo_bytes(digest, sizeof(digest))) &&
                      knows[i]->evidence_sha256.len == NEO_SHA256_LEN;
        if (s->is_known)
            memcpy(s->own_evidence_sha256, knows[i]->evidence_sha256.at, NEO_SHA256_LEN);
    }
    return ATTEST_RUNNING;
}

enum step proof_next(const struct attest_session *s)
{
    return (s->reply & HAS_OFFER) != 0 ? AWAIT_ANSWER : AWAIT_VERDICT;
}

static enum attest_state sign(struct attest_session *s, struct neo_bytes type,
                              struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer signature = {0};
    uint8_t message[ATTEST_SIGNED_LEN];

    bind(s, false, KIND_SESSION_KEY, type, s->own_claims, s->binder);
    attest_signed(s->binder, message);
    if (neo_key_sign(s->session_key, neo_bytes(message, sizeof(message)), &signature, NULL) !=
        NEO_OK)
        return exchange_refuse(s, NEO_ATTEST_ATTESTER, out, "our session key does not sign");
    struct neo_attest_v1_Proof proof = {
        .type = type,
        .claims = s->own_claims,
        .signature = neo_buffer_bytes(&signature),
    };
    return exchange_reply(s, s->reply, &proof, proof_next(s), out);
}

enum attest_state proof_ask(struct attest_session *s, unsigned parts, struct neo_buffer *out)
{
    struct neo_bytes type = neo_text(neo_evidence_kind_text(s->own_kind));

    s->reply = parts;
    if (s->is_known)
        return sign(s, type, out);
    bind(s, false, KIND_HARDWARE, type, s->own_claims, s->binder);
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

/*
 * A verdict's life counts from when the evidence came, `age` from then: the policy's limit, the
 * certificates' or the measurement's date, and the peer's own wish.
 */
static enum attest_state limit(struct attest_session *s, neo_nsec age, uint32_t wished,
                               struct moment at, struct neo_buffer *out)
{
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

static neo_nsec age_of_evidence(const struct attest_session *s, int64_t wall)
{
    neo_nsec age = s->appraisal.max_age;
    int64_t left = s->appraisal.not_after - wall - 1; /* `wall` was rounded down */
    neo_nsec dated = left > 0 ? seconds((uint64_t)left) : 0;

    return dated < age ? dated : age;
}

/* What the evidence says of a session key is put down, to be relied on once all is settled. */
static enum attest_state keep_key(struct attest_session *s, const struct neo_attest_v1_Proof *proof,
                                  struct neo_bytes key, const struct incoming *in)
{
    struct vouch_facts facts = {
        .identity = s->channel.peer_uri,
        .key = key,
        .appraisal = &s->appraisal,
        .rules = s->rules,
        .leaf = s->peer_leaf,
        .wall = in->at.wall,
        .since = in->at.now,
        .until = in->at.now + s->valid_for * NEO_NSEC_PER_SEC,
    };

    if (key.len == 0 && s->mode == ATTEST_PER_CALL)
        return exchange_refuse(s, NEO_ATTEST_UNSUPPORTED, in->out,
                               "the policy asks for a proof per call, and the peer names no key");
    if (key.len == 0)
        return ATTEST_RUNNING;
    if (!vouch_takes_key(key))
        return exchange_refuse(s, NEO_ATTEST_FORMAT, in->out,
                               "a session key that is neither P-256 nor Ed25519");
    neo_sha256(proof->evidence, facts.evidence_sha256);
    s->vouch = vouch_new(&facts);
    if (s->vouch == NULL)
        return exchange_refuse(s, NEO_ATTEST_FORMAT, in->out, "out of memory for a session key");
    return ATTEST_RUNNING;
}

static enum attest_state judge_evidence(struct attest_session *s, enum neo_evidence_kind kind,
                                        const struct neo_attest_v1_Claims *claims,
                                        const struct incoming *in)
{
    const struct neo_attest_v1_Proof *proof = in->frame.proof;
    const struct neo_evidence evidence = {kind, proof->evidence, proof->certificates};
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_error err;

    bind(s, true, KIND_HARDWARE, proof->type, proof->claims, binder);
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
    if (limit(s, age_of_evidence(s, in->at.wall), claims->max_lifetime_seconds, in->at, in->out) !=
            ATTEST_RUNNING ||
        s->mode == ATTEST_DIRECT)
        return s->state;
    return keep_key(s, proof, claims->session_key, in);
}

static struct attest_vouch *find_known(const struct attest_session *s, struct neo_bytes key,
                                       enum neo_evidence_kind kind)
{
    for (size_t i = 0; i < s->n_known; i++) {
        if (neo_bytes_equal(vouch_key(s->known[i]), key) &&
            vouch_appraisal(s->known[i])->kind == kind)
            return s->known[i];
    }
    return NULL;
}

/* No evidence came: what it said before of this key holds on, and ends when it would have. */
static enum attest_state judge_key(struct attest_session *s, enum neo_evidence_kind kind,
                                   const struct neo_attest_v1_Claims *claims,
                                   const struct incoming *in)
{
    const struct neo_attest_v1_Proof *proof = in->frame.proof;
    struct attest_vouch *vouch = find_known(s, claims->session_key, kind);
    uint8_t binder[NEO_BINDER_LEN];
    uint8_t message[ATTEST_SIGNED_LEN];

    if (proof->evidence.len + proof->certificates.len > 0)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out, "evidence beside a signature");
    if (s->mode == ATTEST_DIRECT)
        return exchange_refuse(s, NEO_ATTEST_UNSUPPORTED, in->out,
                               "a session key, and the policy asks for evidence (mode: direct)");
    if (vouch == NULL)
        return exchange_refuse(s, NEO_ATTEST_UNSUPPORTED, in->out,
                               "a session key that no evidence has named");
    if (in->at.now >= vouch_until(vouch))
        return exchange_refuse(s, NEO_ATTEST_EXPIRED, in->out,
                               "a session key whose evidence is too old");
    bind(s, true, KIND_SESSION_KEY, proof->type, proof->claims, binder);
    attest_signed(binder, message);
    if (neo_spki_verify(vouch_key(vouch), neo_bytes(message, sizeof(message)), proof->signature,
                        NULL) != NEO_OK)
        return exchange_refuse(s, NEO_ATTEST_BINDING, in->out,
                               "the session key did not sign for this connection");
    s->appraisal = *vouch_appraisal(vouch);
    s->is_appraised = true;
    s->vouch = vouch_ref(vouch);
    return limit(s, vouch_until(vouch) - in->at.now, claims->max_lifetime_seconds, in->at, in->out);
}

enum attest_state proof_judge(struct attest_session *s, const struct incoming *in)
{
    const struct neo_attest_v1_Proof *proof = in->frame.proof;
    enum neo_evidence_kind kind = neo_evidence_kind_parse(proof->type);
    struct neo_attest_v1_Claims claims;

    assert(!s->is_appraised);
    if (proof->claims.len > CLAIMS_MAX ||
        neo_attest_v1_Claims_decode(proof->claims, &claims, in->arena, NULL) != NEO_OK)
        return exchange_refuse(s, NEO_ATTEST_PROTOCOL, in->out, "claims that do not parse");
    if (kind == NEO_EVIDENCE_UNKNOWN || (s->peer_kinds & 1u << kind) == 0)
        return exchange_refuse(s, NEO_ATTEST_UNSUPPORTED, in->out,
                               "evidence of type \"%.*s\", which the policy does not take",
                               NEO_FMT(proof->type));
    s->peer_claims = neo_arena_copy(&s->arena, proof->claims);
    if (proof->signature.len > 0)
        return judge_key(s, kind, &claims, in);
    return judge_evidence(s, kind, &claims, in);
}
