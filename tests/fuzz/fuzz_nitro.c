/* SPDX-License-Identifier: Apache-2.0 */
/* An attestation document of Nitro; since no root is known, nothing is ever accepted. */
#include "attest/nitro_document.h"

#include <neo/attest.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

#define ZERO16 "00000000000000000000000000000000"
static const char policy_text[] =
    "attestation_policies:\n  a:\n    require: simulator\n    any_of:\n      - tee: nitro\n"
    "        pcr: {0: \"" ZERO16 ZERO16 ZERO16 "\"}\n";

static bool lies_within(struct neo_bytes part, struct neo_bytes whole)
{
    return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct neo_attest_trust *trust;
    static struct neo_attest_policies *policies;
    const struct neo_evidence evidence = {.kind = NEO_EVIDENCE_SIM_NITRO,
                                          .body = neo_bytes(data, size)};
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct nitro_document document;
    struct neo_appraisal appraisal;
    struct neo_arena arena;

    if (trust == NULL) {
        const struct neo_document policy = {NEO_LIT("p"), NEO_LIT(policy_text)};
        must(neo_attest_trust_new(&(struct neo_attest_trust_options){.development = true}, &trust,
                                  NULL) == NEO_OK);
        must(neo_attest_policies_compile(&policy, 1, true, &policies, NULL) == NEO_OK);
    }
    if (nitro_document_read(evidence.body, &document, NULL) == NEO_OK) {
        must(lies_within(document.sign1.payload, evidence.body));
        for (size_t i = 0; i < NITRO_PCRS; i++)
            must(lies_within(document.pcrs[i], evidence.body));
        must(document.n_cabundle >= 1 && document.n_cabundle <= NITRO_ISSUERS_MAX);
    }
    neo_arena_init(&arena, 1 << 20);
    must(neo_attest_appraise(trust, policies, NEO_LIT("a"), &evidence, binder, 1790000000, &arena,
                             &appraisal, NULL) == NEO_OK);
    must(!appraisal.accepted && appraisal.reason != NEO_ATTEST_NONE);
    neo_arena_fini(&arena);
    return 0;
}
