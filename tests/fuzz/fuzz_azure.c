/* SPDX-License-Identifier: Apache-2.0 */
/* Azure's evidence in its six parts, and its blob on its own. No root is known: nothing passes. */
#include "attest/azure_hcl.h"

#include <neo/evidence.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

#define ZERO16 "00000000000000000000000000000000"
#define PCR    "pcr_sha256: {0: [\"" ZERO16 ZERO16 "\"]}"
static const char policy_text[] =
    "attestation_policies:\n  a:\n    require: hardware\n    any_of:\n"
    "      - {tee: azure-snp, measurement: [\"" ZERO16 ZERO16 ZERO16 "\"], " PCR "}\n"
    "      - {tee: azure-tdx, mrtd: [\"" ZERO16 ZERO16 ZERO16 "\"], " PCR "}\n";

static void read_blob(struct neo_bytes blob, struct neo_arena *arena)
{
    struct azure_hcl hcl;

    if (azure_hcl_read(blob, arena, &hcl, NULL) != NEO_OK)
        return;
    must(hcl.runtime.at >= blob.at && hcl.runtime.at + hcl.runtime.len <= blob.at + blob.len);
    must(hcl.modulus.len > 0 && (hcl.vm_set & ~hcl.vm_known) == 0);
    must(hcl.user_data.len == 0 || hcl.user_data.len == AZURE_USER_DATA_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum neo_evidence_kind kinds[] = {NEO_EVIDENCE_AZURE_SNP, NEO_EVIDENCE_AZURE_TDX};
    static struct neo_attest_trust *trust;
    static struct neo_attest_policies *policies;
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct neo_evidence_facts facts;
    struct neo_appraisal appraisal;
    struct azure_evidence parts;
    struct neo_arena arena;

    if (trust == NULL) {
        const struct neo_document policy = {NEO_LIT("p"), NEO_LIT(policy_text)};
        must(neo_attest_trust_new(&(struct neo_attest_trust_options){0}, &trust, NULL) == NEO_OK);
        must(neo_attest_policies_compile(&policy, 1, false, &policies, NULL) == NEO_OK);
    }
    neo_arena_init(&arena, 4 << 20);
    read_blob(neo_bytes(data, size), &arena);
    if (azure_evidence_read(neo_bytes(data, size), &parts, NULL) == NEO_OK)
        read_blob(parts.hcl, &arena);
    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        const struct neo_evidence evidence = {.kind = kinds[i], .body = neo_bytes(data, size)};
        if (neo_evidence_describe(&evidence, &arena, &facts, NULL) == NEO_OK)
            must(facts.n > 0);
        must(neo_attest_appraise(trust, policies, NEO_LIT("a"), &evidence, binder, 1790000000,
                                 &arena, &appraisal, NULL) == NEO_OK);
        must(!appraisal.accepted && appraisal.reason != NEO_ATTEST_NONE);
    }
    neo_arena_fini(&arena);
    return 0;
}
