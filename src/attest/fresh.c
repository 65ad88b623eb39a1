/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/fresh.h"

#include "attest/exchange.h"

#include <neo/digest.h>
#include <neo/memory.h>

enum { ROLE_SERVER = 1, ROLE_CLIENT = 2, CLAIMS_MAX = 1024, PATH_MAX_LEN = 1024 };

struct attest_fresh {
    struct attest_channel channel; /* its texts follow */
    struct neo_key *key;           /* ours; NULL: none was named */
    struct attest_vouch *vouch;    /* the peer's; NULL: none */
    enum neo_evidence_kind own_kind;
    struct neo_bytes own_claims;
    struct neo_bytes peer_claims;
    uint8_t own_evidence_sha256[FRESH_EVIDENCE_LEN];
    uint8_t texts[];
};

static struct neo_bytes keep(uint8_t **at, struct neo_bytes text)
{
    struct neo_bytes kept = neo_bytes(*at, text.len);

    if (text.len > 0)
        memcpy(*at, text.at, text.len);
    *at += text.len;
    return kept;
}

struct attest_fresh *fresh_new(const struct attest_session *s)
{
    const struct attest_channel *c = &s->channel;
    bool named = s->session_key != NULL && s->own_claims.len > 0;

    if (s->state != ATTEST_ACCEPTED || (!named && s->vouch == NULL))
        return NULL;
    size_t len = c->own_uri.len + c->peer_uri.len + s->own_claims.len + s->peer_claims.len;
    struct attest_fresh *f = neo_alloc(sizeof(*f) + len);
    if (f == NULL)
        return NULL;
    uint8_t *at = f->texts;
    f->channel = *c;
    f->channel.own_uri = keep(&at, c->own_uri);
    f->channel.peer_uri = keep(&at, c->peer_uri);
    f->channel.peer_service = (struct neo_bytes){0};
    f->own_claims = keep(&at, s->own_claims);
    f->peer_claims = keep(&at, s->peer_claims);
    f->own_kind = s->own_kind;
    f->key = named ? neo_key_ref(s->session_key) : NULL;
    f->vouch = s->vouch == NULL ? NULL : vouch_ref(s->vouch);
    memcpy(f->own_evidence_sha256, s->own_evidence_sha256, sizeof(f->own_evidence_sha256));
    return f;
}

void fresh_free(struct attest_fresh *f)
{
    if (f == NULL)
        return;
    neo_key_unref(f->key);
    vouch_unref(f->vouch);
    neo_zeroise(f, sizeof(*f)); /* the exporter is a secret of the connection */
    neo_free(f);
}

bool fresh_can_check(const struct attest_fresh *f)
{
    return f != NULL && f->vouch != NULL;
}

bool fresh_can_prove(const struct attest_fresh *f)
{
    return f != NULL && f->key != NULL;
}

/* The claims of a call: those of the session, u32 stream, u32 length and path. */
static size_t put_claims(uint8_t *to, struct neo_bytes claims, const struct fresh_call *call)
{
    const uint32_t numbers[2] = {call->stream, (uint32_t)call->path.len};
    uint8_t *at = to;

    if (claims.len > 0)
        memcpy(at, claims.at, claims.len);
    at += claims.len;
    for (size_t i = 0; i < 8; i++)
        *at++ = (uint8_t)(numbers[i / 4] >> (24 - i % 4 * 8));
    memcpy(at, call->path.at, call->path.len);
    return (size_t)(at - to) + call->path.len;
}

static bool make_message(const struct attest_fresh *f, bool is_peer, const struct fresh_call *call,
                         uint8_t ret[static ATTEST_SIGNED_LEN])
{
    const struct attest_channel *c = &f->channel;
    struct neo_bytes own_spki = neo_bytes(c->own_spki_sha256, sizeof(c->own_spki_sha256));
    struct neo_bytes peer_spki = neo_bytes(c->peer_spki_sha256, sizeof(c->peer_spki_sha256));
    struct neo_bytes claims = is_peer ? f->peer_claims : f->own_claims;
    enum neo_evidence_kind kind = is_peer ? vouch_appraisal(f->vouch)->kind : f->own_kind;
    uint8_t all[CLAIMS_MAX + 8 + PATH_MAX_LEN];
    uint8_t binder[NEO_BINDER_LEN];

    if (claims.len > CLAIMS_MAX || call->path.len > PATH_MAX_LEN ||
        call->nonce.len != FRESH_NONCE_LEN)
        return false;
    const struct attest_binder_input input = {
        .role = is_peer == c->is_server ? ROLE_CLIENT : ROLE_SERVER,
        .kind = KIND_CALL,
        .evidence_type = neo_text(neo_evidence_kind_text(kind)),
        .verifier_nonce = call->nonce,
        .exporter = neo_bytes(c->exporter, sizeof(c->exporter)),
        .attester_spki_sha256 = is_peer ? peer_spki : own_spki,
        .verifier_spki_sha256 = is_peer ? own_spki : peer_spki,
        .attester_uri = is_peer ? c->peer_uri : c->own_uri,
        .verifier_uri = is_peer ? c->own_uri : c->peer_uri,
        .claims = neo_bytes(all, put_claims(all, claims, call)),
    };
    attest_binder(&input, binder);
    attest_signed(binder, ret);
    return true;
}

enum neo_code fresh_prove(const struct attest_fresh *f, const struct fresh_call *call,
                          struct neo_buffer *out, uint8_t ret_evidence[static FRESH_EVIDENCE_LEN],
                          struct neo_error *err)
{
    uint8_t message[ATTEST_SIGNED_LEN];

    if (!fresh_can_prove(f))
        return neo_fail(err, NEO_FAILED_PRECONDITION, "no session key was named to the peer");
    if (!make_message(f, false, call, message))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a nonce of %zu bytes for a path of %zu",
                        call->nonce.len, call->path.len);
    NEO_TRY(neo_key_sign(f->key, neo_bytes(message, sizeof(message)), out, err));
    memcpy(ret_evidence, f->own_evidence_sha256, FRESH_EVIDENCE_LEN);
    return NEO_OK;
}

enum neo_code fresh_check(const struct attest_fresh *f, const struct fresh_call *call,
                          struct neo_bytes proof, struct neo_bytes evidence, neo_nsec now,
                          struct neo_error *err)
{
    uint8_t message[ATTEST_SIGNED_LEN];

    if (!fresh_can_check(f))
        return neo_fail(err, NEO_UNAUTHENTICATED, "no session key of the peer is known");
    if (now >= vouch_until(f->vouch))
        return neo_fail(err, NEO_UNAUTHENTICATED, "the evidence behind the key is too old");
    if (!neo_bytes_equal(evidence, neo_bytes(vouch_evidence_sha256(f->vouch), FRESH_EVIDENCE_LEN)))
        return neo_fail(err, NEO_UNAUTHENTICATED, "the proof names other evidence");
    if (!make_message(f, true, call, message))
        return neo_fail(err, NEO_UNAUTHENTICATED, "no proof can be for this call");
    if (neo_spki_verify(vouch_key(f->vouch), neo_bytes(message, sizeof(message)), proof, NULL) !=
        NEO_OK)
        return neo_fail(err, NEO_UNAUTHENTICATED, "the session key did not sign for this call");
    return NEO_OK;
}
