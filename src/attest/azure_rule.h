/* SPDX-License-Identifier: Apache-2.0 */
/* attest/azure_rule.h - one `tee: azure-snp` or `azure-tdx` row of a policy. */
#ifndef NEO_ATTEST_AZURE_RULE_H
#define NEO_ATTEST_AZURE_RULE_H

#include "attest/azure_hcl.h"
#include "attest/family.h"
#include "attest/tpm_rule.h"

/*
 * Name, text, reason, claim. These stand behind the checks of the hardware's own family, so a check
 * of a family is its base and one of these.
 */
#define AZURE_CHECKS_BEFORE_RULES(X)                                                               \
    X(AZURE_FORMAT, "azure.format", FORMAT, HARDWARE)                                              \
    X(AZURE_TEE, "azure.tee", UNSUPPORTED, HARDWARE)                                               \
    X(AZURE_TD_REPORT, "azure.td_report", SIGNATURE, HARDWARE)                                     \
    X(AZURE_RUNTIME, "azure.runtime_data", SIGNATURE, HARDWARE)                                    \
    X(AZURE_KEY, "azure.key", SIGNATURE, HARDWARE)                                                 \
    X(AZURE_SIGNATURE, "azure.quote.signature", SIGNATURE, HARDWARE)                               \
    X(AZURE_BINDER, "azure.binder", BINDING, NONE)                                                 \
    X(AZURE_PCR_DIGEST, "azure.pcr_digest", SIGNATURE, HARDWARE)                                   \
    X(AZURE_LOG, "azure.event_log", MEASUREMENT, NONE)

/* clang-format off */
enum azure_check {
#define X(name, text, reason, claim) CHECK_##name,
    AZURE_CHECKS_BEFORE_RULES(X)
#undef X
#define X(name, member, key) CHECK_AZURE_VM_##name,
    AZURE_VM_BITS(X)
#undef X
    CHECK_AZURE_PCR,
    AZURE_CHECKS = CHECK_AZURE_PCR + TPM_PCRS,
};
/* clang-format on */

struct azure_rule {
    const void *hardware; /* the row of the hardware's own family */
    struct tpm_pcr_rule pcrs;
    unsigned vm_on; /* bits by enum azure_vm_bit: must be on, must be off */
    unsigned vm_off;
};
NEO_MUST_CHECK enum neo_code azure_snp_rule_compile(const struct attest_row *row,
                                                    struct neo_arena *arena, const void **ret,
                                                    struct neo_error *err);
NEO_MUST_CHECK enum neo_code azure_tdx_rule_compile(const struct attest_row *row,
                                                    struct neo_arena *arena, const void **ret,
                                                    struct neo_error *err);
/* All but the hardware's row; `base` is the first of these checks. */
void azure_rule_judge(const struct azure_rule *rule, const struct azure_hcl *hcl,
                      const struct tpm_quote *quote, struct neo_bytes pcrs, unsigned base,
                      struct ledger *ledger);

#endif
