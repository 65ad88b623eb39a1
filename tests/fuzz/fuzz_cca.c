/* SPDX-License-Identifier: Apache-2.0 */
/* A token of Arm CCA; since no platform is known, nothing is ever accepted. */
#include "attest/cca_token.h"

#include <neo/evidence.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

#define ZERO16 "00000000000000000000000000000000"
static const char policy_text[] =
    "attestation_policies:\n  a:\n    require: simulator\n    any_of:\n"
    "      - {tee: arm-cca, rim: [\"" ZERO16 ZERO16 "\"]}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct neo_attest_trust *trust;
    static struct neo_attest_policies *policies;
    const struct neo_evidence evidence = {.kind = NEO_EVIDENCE_SIM_CCA,
                                          .body = neo_bytes(data, size)};
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct neo_evidence_facts facts;
    struct neo_appraisal appraisal;
    struct cca_token token;
    struct neo_arena arena;

    if (trust == NULL) {
        const struct neo_document policy = {NEO_LIT("p"), NEO_LIT(policy_text)};
        must(neo_attest_trust_new(&(struct neo_attest_trust_options){.development = true}, &trust,
                                  NULL) == NEO_OK);
        must(neo_attest_policies_compile(&policy, 1, true, &policies, NULL) == NEO_OK);
    }
    neo_arena_init(&arena, 1 << 20);
    if (cca_token_read(evidence.body, &token, NULL) == NEO_OK) {
        must(token.challenge.len == CCA_CHALLENGE_LEN && token.rpv.len == CCA_RPV_LEN);
        must(token.rim.len >= 32 && token.rim.len <= CCA_DIGEST_MAX);
        must(neo_evidence_describe(&evidence, &arena, &facts, NULL) == NEO_OK);
        must(facts.n > 0 && facts.binder.len == NEO_BINDER_LEN);
    }
    must(neo_attest_appraise(trust, policies, NEO_LIT("a"), &evidence, binder, 1790000000, &arena,
                             &appraisal, NULL) == NEO_OK);
    must(!appraisal.accepted && appraisal.reason != NEO_ATTEST_NONE);
    neo_arena_fini(&arena);
    return 0;
}
