/* SPDX-License-Identifier: Apache-2.0 */
/* A DCAP quote; since no root is known, nothing is ever accepted. */
#include "attest/intel_quote.h"

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
    "attestation_policies:\n  a:\n    require: simulator\n    any_of:\n"
    "      - {tee: tdx, mrtd: [\"" ZERO16 ZERO16 ZERO16 "\"]}\n"
    "      - {tee: sgx, mrenclave: [\"" ZERO16 ZERO16 "\"]}\n";

static bool lies_within(struct neo_bytes part, const uint8_t *data, size_t size)
{
    return part.len == 0 || (part.at >= data && part.at + part.len <= data + size);
}

static void appraise(const struct neo_evidence *evidence)
{
    static struct neo_attest_trust *trust;
    static struct neo_attest_policies *policies;
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct neo_appraisal appraisal;
    struct neo_arena arena;

    if (trust == NULL) {
        const struct neo_document policy = {NEO_LIT("p"), NEO_LIT(policy_text)};
        must(neo_attest_trust_new(&(struct neo_attest_trust_options){.development = true}, &trust,
                                  NULL) == NEO_OK);
        must(neo_attest_policies_compile(&policy, 1, true, &policies, NULL) == NEO_OK);
    }
    neo_arena_init(&arena, 1 << 20);
    must(neo_attest_appraise(trust, policies, NEO_LIT("a"), evidence, binder, 1790000000, &arena,
                             &appraisal, NULL) == NEO_OK);
    must(!appraisal.accepted && appraisal.reason != NEO_ATTEST_NONE);
    neo_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct intel_quote q;
    struct neo_evidence evidence = {.kind = NEO_EVIDENCE_SIM_TDX, .body = neo_bytes(data, size)};

    if (intel_quote_read(evidence.body, &q, NULL) == NEO_OK) {
        must(q.len <= size && q.version >= 3 && q.version <= 5);
        must(q.signed_part.at == data && q.signed_part.len <= q.len);
        must(q.signature.len == INTEL_SIGNATURE_LEN && q.attestation_key.len == INTEL_KEY_LEN);
        must(lies_within(q.signature, data, q.len) && lies_within(q.qe_report, data, q.len) &&
             lies_within(q.qe_auth, data, q.len) && lies_within(q.certificates, data, q.len));
        if (!q.is_tdx)
            evidence.kind = NEO_EVIDENCE_SIM_SGX;
    }
    appraise(&evidence);
    return 0;
}
