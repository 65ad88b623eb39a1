/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The appraisal as an EAT Attestation Result (draft-ietf-rats-ear): its profile,
 * its status and its trustworthiness vector (AR4SI), and beside them, under our
 * own names, every check. What is simulated is neither affirmed nor called
 * genuine hardware, however well it was accepted.
 */
#include "attest/family.h"

#include <neo/encoding.h>
#include <neo/json.h>

/* AR4SI: 0 no claim, 2 to 31 affirming, 32 to 95 warning, 96 and up contraindicated. */
enum {
    NO_CLAIM = 0,
    TRUSTWORTHY_INSTANCE = 2,
    UNRECOGNISED_INSTANCE = 97,
    APPROVED_CONFIGURATION = 2,
    UNSAFE_CONFIGURATION = 32,
    APPROVED_BOOT = 3,
    UNRECOGNISED_BOOT = 33,
    GENUINE_HARDWARE = 2,
    UNRECOGNISED_HARDWARE = 97,
};

/* `good` when all checks that speak for `which` and applied passed, and one did; `bad` if one
 * failed.
 */
static int claim(const struct neo_appraisal *a, enum check_claim which, int good, int bad)
{
    const struct attest_family *family = attest_family_of(a->kind);
    int value = NO_CLAIM;

    for (size_t i = 0; family != NULL && i < a->n_checks && i < family->n_checks; i++) {
        if (family->checks[i].claim != which)
            continue;
        if (a->checks[i].result == NEO_CHECK_FAIL)
            return bad;
        if (a->checks[i].result == NEO_CHECK_PASS)
            value = good;
    }
    return value;
}

static void put_claim(struct neo_json_writer *w, const char *key, int value)
{
    if (value == NO_CLAIM)
        return;
    neo_json_put_key(w, key);
    neo_json_put_i64(w, value);
}

static void put_vector(struct neo_json_writer *w, const struct neo_appraisal *a)
{
    int hardware = claim(a, CLAIM_HARDWARE, GENUINE_HARDWARE, UNRECOGNISED_HARDWARE);

    neo_json_put_key(w, "ear.trustworthiness-vector");
    neo_json_open_object(w);
    put_claim(w, "instance-identity",
              claim(a, CLAIM_INSTANCE, TRUSTWORTHY_INSTANCE, UNRECOGNISED_INSTANCE));
    put_claim(w, "configuration",
              claim(a, CLAIM_CONFIGURATION, APPROVED_CONFIGURATION, UNSAFE_CONFIGURATION));
    put_claim(w, "executables", claim(a, CLAIM_EXECUTABLES, APPROVED_BOOT, UNRECOGNISED_BOOT));
    put_claim(w, "hardware", a->simulated && hardware == GENUINE_HARDWARE ? NO_CLAIM : hardware);
    neo_json_close_object(w);
}

static const char *status_of(const struct neo_appraisal *a)
{
    if (!a->accepted)
        return "contraindicated";
    if (a->simulated)
        return "none";
    return a->by_grace ? "warning" : "affirming";
}

static void put_text(struct neo_json_writer *w, const char *key, const char *text)
{
    neo_json_put_key(w, key);
    neo_json_put_text(w, text);
}

static void put_hex(struct neo_json_writer *w, const char *key, struct neo_bytes bytes)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    if (!neo_hex_encode(&hex, bytes))
        w->out->failed = true;
    neo_json_put_key(w, key);
    neo_json_put_string(w, neo_buffer_bytes(&hex));
}

static const char *result_text(enum neo_check_result result)
{
    switch (result) {
    case NEO_CHECK_PASS:
        return "pass";
    case NEO_CHECK_FAIL:
        return "fail";
    case NEO_CHECK_NOT_APPLICABLE:
        break;
    }
    return "not applicable";
}

static void put_checks(struct neo_json_writer *w, const struct neo_appraisal *a)
{
    neo_json_put_key(w, "neo.checks");
    neo_json_open_array(w);
    for (size_t i = 0; i < a->n_checks; i++) {
        neo_json_open_object(w);
        put_text(w, "name", a->checks[i].name);
        put_text(w, "result", result_text(a->checks[i].result));
        if (a->checks[i].detail != NULL)
            put_text(w, "detail", a->checks[i].detail);
        neo_json_close_object(w);
    }
    neo_json_close_array(w);
}

static void put_submodule(struct neo_json_writer *w, const struct neo_appraisal *a)
{
    neo_json_open_object(w);
    put_text(w, "ear.status", status_of(a));
    put_vector(w, a);
    neo_json_put_key(w, "neo.accepted");
    neo_json_put_bool(w, a->accepted);
    neo_json_put_key(w, "neo.collateral-by-grace");
    neo_json_put_bool(w, a->by_grace);
    put_text(w, "neo.reason", neo_attest_reason_text(a->reason));
    put_hex(w, "neo.measurement", a->measurement);
    put_hex(w, "neo.evidence-sha256", neo_bytes(a->evidence_sha256, sizeof(a->evidence_sha256)));
    neo_json_put_key(w, "neo.certificates-not-after");
    neo_json_put_i64(w, a->not_after);
    neo_json_put_key(w, "neo.max-age-seconds");
    neo_json_put_u64(w, a->max_age / NEO_NSEC_PER_SEC);
    put_checks(w, a);
    neo_json_close_object(w);
}

bool neo_appraisal_json(const struct neo_appraisal *appraisal, struct neo_buffer *out)
{
    struct neo_json_writer w = {.out = out};

    neo_json_open_object(&w);
    put_text(&w, "eat_profile", "tag:github.com,2023:veraison/ear");
    neo_json_put_key(&w, "ear.verifier-id");
    neo_json_open_object(&w);
    put_text(&w, "developer", "neo");
    put_text(&w, "build", "neo-attest-v1");
    neo_json_close_object(&w);
    neo_json_put_key(&w, "simulated");
    neo_json_put_bool(&w, appraisal->simulated);
    neo_json_put_key(&w, "submods");
    neo_json_open_object(&w);
    neo_json_put_key(&w, appraisal->tee);
    put_submodule(&w, appraisal);
    neo_json_close_object(&w);
    neo_json_close_object(&w);
    return !out->failed;
}
