/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/enrol.h"

#include <neo/digest.h>
#include <neo/encoding.h>
#include <neo/loop.h>
#include <neo/memory.h>

#include <stdio.h>

/* A nonce: 8 bytes of time, 8 at random, 16 of a code over both and the service. */
enum {
    TIME_LEN = 8,
    OPEN_LEN = 16,
    CODE_LEN = 16,
    CHALLENGE_LIFE = 60,
    JUDGE_ARENA = 256 << 10,
    EVIDENCE_MAX = 64 << 10
};

void enrol_init(struct enrol *e, struct neo_attest_policies *policies,
                struct neo_attest_trust *trust, const char *trust_domain)
{
    *e = (struct enrol){.trust_domain = trust_domain};
    e->policies = policies == NULL ? NULL : neo_attest_policies_ref(policies);
    if (policies != NULL)
        neo_attest_policies_observe(policies);
    e->trust = trust == NULL ? NULL : neo_attest_trust_ref(trust);
    neo_random(e->secret, sizeof(e->secret));
    (void)pthread_mutex_init(&e->lock, NULL);
}

/* What evidence is judged by; one judgement by one of them. */
struct rules {
    struct neo_attest_policies *policies;
    struct neo_attest_trust *trust;
};

static struct rules rules_of(struct enrol *e)
{
    struct rules r = {NULL, NULL};

    (void)pthread_mutex_lock(&e->lock);
    if (e->policies != NULL)
        r.policies = neo_attest_policies_ref(e->policies);
    if (e->trust != NULL)
        r.trust = neo_attest_trust_ref(e->trust);
    (void)pthread_mutex_unlock(&e->lock);
    return r;
}

static void leave(struct rules *r)
{
    neo_attest_policies_unref(r->policies);
    neo_attest_trust_unref(r->trust);
}

void enrol_update(struct enrol *e, struct neo_attest_policies *policies,
                  struct neo_attest_trust *trust)
{
    neo_attest_policies_observe(policies);
    (void)pthread_mutex_lock(&e->lock);
    struct rules before = {e->policies, NULL};
    e->policies = neo_attest_policies_ref(policies);
    if (trust != NULL) {
        before.trust = e->trust;
        e->trust = neo_attest_trust_ref(trust);
    }
    (void)pthread_mutex_unlock(&e->lock);
    leave(&before);
}

void enrol_compare(struct enrol *e, const struct neo_attest_policies *with, neo_enrol_lost_fn *tell,
                   void *self)
{
    struct rules now = rules_of(e);

    neo_enrol_compare(now.policies, with, tell, self);
    leave(&now);
}

void enrol_fini(struct enrol *e)
{
    (void)pthread_mutex_destroy(&e->lock);
    neo_attest_policies_unref(e->policies);
    neo_attest_trust_unref(e->trust);
    neo_zeroise(e->secret, sizeof(e->secret));
}

static void code_of(const struct enrol *e, const uint8_t open[static OPEN_LEN],
                    struct neo_bytes service, uint8_t ret[static NEO_SHA256_LEN])
{
    uint8_t text[OPEN_LEN + 64];
    size_t len = service.len < 64 ? service.len : 64;

    memcpy(text, open, OPEN_LEN);
    if (len > 0)
        memcpy(text + OPEN_LEN, service.at, len);
    neo_hmac_sha256(neo_bytes(e->secret, sizeof(e->secret)), neo_bytes(text, OPEN_LEN + len), ret);
}

void enrol_challenge(const struct enrol *e, struct neo_bytes service, int64_t now,
                     uint8_t ret[static NEO_ENROL_NONCE_LEN])
{
    uint8_t code[NEO_SHA256_LEN];

    for (size_t i = 0; i < TIME_LEN; i++)
        ret[i] = (uint8_t)((uint64_t)now >> (56 - 8 * i));
    neo_random(ret + TIME_LEN, OPEN_LEN - TIME_LEN);
    code_of(e, ret, service, code);
    memcpy(ret + OPEN_LEN, code, CODE_LEN);
}

static enum neo_code check_nonce(const struct enrol *e, struct neo_bytes nonce,
                                 struct neo_bytes service, int64_t now, struct neo_error *err)
{
    uint8_t code[NEO_SHA256_LEN];
    uint64_t made = 0;

    if (nonce.len != NEO_ENROL_NONCE_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the evidence answers no challenge of this CA");
    code_of(e, nonce.at, service, code);
    if (!neo_secret_equal(neo_bytes(code, CODE_LEN), neo_bytes_from(nonce, OPEN_LEN)))
        return neo_fail(err, NEO_PERMISSION_DENIED, "the evidence answers no challenge of this CA");
    for (size_t i = 0; i < TIME_LEN; i++)
        made = made << 8 | nonce.at[i];
    if (now < (int64_t)made || now - (int64_t)made > CHALLENGE_LIFE)
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "the evidence answers a challenge that is too old; ask for another");
    return NEO_OK;
}

static enum neo_code appraise(const struct enrol *e, const struct rules *by,
                              const struct enrol_request *r, int64_t now, struct neo_arena *arena,
                              struct neo_appraisal *ret, struct neo_error *err)
{
    const struct neo_enrolment enrolment = {
        .evidence_type = r->evidence->type,
        .nonce = r->evidence->nonce,
        .spki = r->spki,
        .trust_domain = neo_text(e->trust_domain),
        .service = r->service,
    };
    const struct neo_evidence evidence = {
        .kind = neo_evidence_kind_parse(r->evidence->type),
        .body = r->evidence->evidence,
        .certificates = r->evidence->certificates,
    };
    uint8_t binder[NEO_BINDER_LEN];

    NEO_TRY(neo_enrol_binder(&enrolment, binder, err));
    return neo_attest_appraise(by->trust, by->policies, r->service, &evidence, binder, now, arena,
                               ret, err);
}

bool enrol_takes(struct enrol *e, struct neo_bytes service)
{
    struct rules by = rules_of(e);
    bool takes = neo_enrol_is_asked(by.policies, service);

    leave(&by);
    return takes;
}

static enum neo_code judge(const struct enrol *e, const struct rules *by,
                           const struct enrol_request *r, int64_t now, struct enrol_verdict *ret,
                           struct neo_error *err)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    struct neo_appraisal a;

    *ret = (struct enrol_verdict){.until = 0};
    if (!neo_enrol_is_asked(by->policies, r->service))
        return NEO_OK;
    if (r->evidence == NULL || by->trust == NULL)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "a certificate for '%.*s' takes evidence of what it runs (enrol: "
                        "attested), and none came",
                        NEO_FMT(r->service));
    if (r->evidence->evidence.len + r->evidence->certificates.len > EVIDENCE_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "evidence of more than 64 KiB");
    NEO_TRY(check_nonce(e, r->evidence->nonce, r->service, now, err));
    neo_arena_init(&arena, JUDGE_ARENA);
    NEO_TRY(appraise(e, by, r, now, &arena, &a, err));
    if (!a.accepted)
        return neo_fail(err, NEO_PERMISSION_DENIED, "the evidence of '%.*s' was not accepted: %s",
                        NEO_FMT(r->service), neo_attest_reason_text(a.reason));
    if (!neo_hex_encode(&hex, neo_bytes(a.evidence_sha256, sizeof(a.evidence_sha256))))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory recording");
    ret->until = a.rollout_end;
    (void)snprintf(ret->note, sizeof(ret->note), ", %s evidence %.*s%s", a.tee,
                   NEO_FMT(neo_buffer_bytes(&hex)), a.simulated ? " (simulated)" : "");
    return NEO_OK;
}

enum neo_code enrol_judge(struct enrol *e, const struct enrol_request *r, int64_t now,
                          struct enrol_verdict *ret, struct neo_error *err)
{
    struct rules by = rules_of(e);
    enum neo_code code = judge(e, &by, r, now, ret, err);

    leave(&by);
    return code;
}
