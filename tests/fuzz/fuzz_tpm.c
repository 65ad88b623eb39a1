/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM's evidence in its five parts, and its event log on its own. */
#include "attest/tpm_log.h"

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
    "attestation_policies:\n  a:\n    require: hardware-or-tpm\n    any_of:\n"
    "      - {tee: tpm, pcr_sha256: {0: [\"" ZERO16 ZERO16 "\"]}, ak: {ca: [\"" ZERO16 ZERO16
    "\"]}}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct neo_attest_trust *trust;
    static struct neo_attest_policies *policies;
    const struct neo_evidence evidence = {.kind = NEO_EVIDENCE_TPM, .body = neo_bytes(data, size)};
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct neo_appraisal appraisal;
    struct tpm_replay replay;
    struct tpm_evidence parts;
    struct neo_arena arena;

    if (trust == NULL) {
        const struct neo_document policy = {NEO_LIT("p"), NEO_LIT(policy_text)};
        must(neo_attest_trust_new(&(struct neo_attest_trust_options){0}, &trust, NULL) == NEO_OK);
        must(neo_attest_policies_compile(&policy, 1, false, &policies, NULL) == NEO_OK);
    }
    if (tpm_log_replay(evidence.body, TPM_SHA256, &replay, NULL) == NEO_OK)
        must(replay.touched < UINT32_C(1) << TPM_PCRS);
    if (tpm_evidence_read(evidence.body, &parts, NULL) == NEO_OK &&
        tpm_log_replay(parts.event_log, TPM_SHA384, &replay, NULL) == NEO_OK)
        must(replay.n_events <= size);
    neo_arena_init(&arena, 1 << 20);
    must(neo_attest_appraise(trust, policies, NEO_LIT("a"), &evidence, binder, 1790000000, &arena,
                             &appraisal, NULL) == NEO_OK);
    must(!appraisal.accepted && appraisal.reason != NEO_ATTEST_NONE);
    neo_arena_fini(&arena);
    return 0;
}
