/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report, and behind it the certificates that came with it. What reads writes back
 * to the same bytes; and since no root is known, nothing is ever accepted.
 */
#include "attest/snp_report.h"

#include <neo/attest.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

static const char policy_text[] =
    "attestation_policies:\n  a:\n    require: simulator\n    any_of:\n      - tee: sev-snp\n"
    "        measurement: [4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d"
    "4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d]\n";

static void check_round_trip(struct neo_bytes bytes)
{
    struct snp_report report;
    uint8_t again[SNP_REPORT_LEN];

    if (snp_report_read(bytes, &report, NULL) != NEO_OK)
        return;
    snp_report_write(&report, again);
    must(neo_bytes_equal(bytes, neo_bytes(again, sizeof(again))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct neo_attest_trust *trust;
    static struct neo_attest_policies *policies;
    size_t report_len = size < SNP_REPORT_LEN ? size : SNP_REPORT_LEN;
    const struct neo_evidence evidence = {
        .kind = NEO_EVIDENCE_SIM_SNP,
        .body = neo_bytes(data, report_len),
        .certificates = neo_bytes(data + report_len, size - report_len),
    };
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct neo_appraisal appraisal;
    struct neo_arena arena;

    if (trust == NULL) {
        const struct neo_document document = {NEO_LIT("p"), NEO_LIT(policy_text)};
        must(neo_attest_trust_new(&(struct neo_attest_trust_options){.development = true}, &trust,
                                  NULL) == NEO_OK);
        must(neo_attest_policies_compile(&document, 1, true, &policies, NULL) == NEO_OK);
    }
    check_round_trip(evidence.body);
    neo_arena_init(&arena, 1 << 20);
    must(neo_attest_appraise(trust, policies, NEO_LIT("a"), &evidence, binder, 1790000000, &arena,
                             &appraisal, NULL) == NEO_OK);
    must(!appraisal.accepted && appraisal.reason != NEO_ATTEST_NONE);
    neo_arena_fini(&arena);
    return 0;
}
