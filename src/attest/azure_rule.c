/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MEASUREMENT and MRTD prove the paravisor, which is Azure's; the guest is measured by
 * the virtual TPM alone. So a row names both: the hardware's code identity and at least
 * one PCR. Without secure boot whatever booted could have extended the later PCRs as it
 * liked, so that it is on must be given up by name.
 */
#include "attest/azure_rule.h"

#include "attest/row.h"
#include "attest/snp_rule.h"
#include "attest/tdx_rule.h"

/* --- judging ---------------------------------------------------------------------------------- */

static void judge_vm(const struct azure_rule *rule, const struct azure_hcl *hcl, unsigned bit,
                     unsigned check, struct ledger *ledger)
{
    unsigned mask = 1u << bit;

    if (((rule->vm_on | rule->vm_off) & mask) != 0 && (hcl->vm_known & mask) == 0)
        ledger_fail(ledger, check, "the runtime data does not tell");
    else
        ledger_judge_bit(ledger, check, hcl->vm_set, mask, rule->vm_on, rule->vm_off);
}

void azure_rule_judge(const struct azure_rule *rule, const struct azure_hcl *hcl,
                      const struct tpm_quote *quote, struct neo_bytes pcrs, unsigned base,
                      struct ledger *ledger)
{
    for (unsigned i = 0; i < AZURE_VM_BITS_N; i++)
        judge_vm(rule, hcl, i, base + CHECK_AZURE_VM_SECURE_BOOT + i, ledger);
    tpm_pcr_rule_judge(&rule->pcrs, quote, pcrs, base + CHECK_AZURE_PCR, ledger);
}

/* --- from the file ---------------------------------------------------------------------------- */

static enum neo_code read_vm(const struct azure_row *row, struct azure_rule *rule,
                             struct neo_error *err)
{
    uint64_t on = 1u << AZURE_SECURE_BOOT | 1u << AZURE_TPM_ENABLED, off = 0;

    for (unsigned i = 0; i < AZURE_VM_BITS_N; i++)
        NEO_TRY(row_read_bit(&row->vm[i], 1u << i, &on, &off, err));
    rule->vm_on = (unsigned)on;
    rule->vm_off = (unsigned)off;
    return NEO_OK;
}

typedef enum neo_code compile_fn(const struct attest_row *row, struct neo_arena *arena,
                                 const void **ret, struct neo_error *err);

static enum neo_code compile(const struct attest_row *row, compile_fn *hardware,
                             struct neo_arena *arena, const void **ret, struct neo_error *err)
{
    struct azure_rule *rule = neo_arena_calloc(arena, 1, sizeof(*rule));

    if (rule == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a rule");
    NEO_TRY(hardware(row, arena, &rule->hardware, err));
    NEO_TRY(tpm_pcr_rule_compile(row, arena, &rule->pcrs, err));
    NEO_TRY(read_vm(&row->azure, rule, err));
    *ret = rule;
    return NEO_OK;
}

enum neo_code azure_snp_rule_compile(const struct attest_row *row, struct neo_arena *arena,
                                     const void **ret, struct neo_error *err)
{
    return compile(row, snp_rule_compile, arena, ret, err);
}

enum neo_code azure_tdx_rule_compile(const struct attest_row *row, struct neo_arena *arena,
                                     const void **ret, struct neo_error *err)
{
    return compile(row, tdx_rule_compile, arena, ret, err);
}
