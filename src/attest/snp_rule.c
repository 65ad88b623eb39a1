/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/snp_rule.h"

#include <inttypes.h>
#include <stdio.h>

/* --- identity --------------------------------------------------------------------------------- */

static void judge_identity(const struct snp_rule *rule, const struct snp_report *r,
                           struct ledger *ledger)
{
    ledger_judge_value(ledger, CHECK_MEASUREMENT, rule->measurements, r->measurement,
                       sizeof(r->measurement));
    ledger_judge_value(ledger, CHECK_ID_KEY, rule->id_keys, r->id_key_digest,
                       sizeof(r->id_key_digest));
    ledger_judge_value(ledger, CHECK_HOST_DATA, rule->host_data, r->host_data,
                       sizeof(r->host_data));
    ledger_judge_value(ledger, CHECK_FAMILY_ID, rule->family_ids, r->family_id,
                       sizeof(r->family_id));
    ledger_judge_value(ledger, CHECK_IMAGE_ID, rule->image_ids, r->image_id, sizeof(r->image_id));

    if (rule->author_keys.n > 0 && (r->key_info & SNP_KEY_AUTHOR) == 0)
        ledger_fail(ledger, CHECK_AUTHOR_KEY, "the guest was launched without an author key");
    else
        ledger_judge_value(ledger, CHECK_AUTHOR_KEY, rule->author_keys, r->author_key_digest,
                           sizeof(r->author_key_digest));

    if (rule->min_guest_svn == 0)
        ledger_skip(ledger, CHECK_GUEST_SVN, ledger_not_asked_for);
    else if (r->guest_svn >= rule->min_guest_svn)
        ledger_pass(ledger, CHECK_GUEST_SVN);
    else
        ledger_fail(ledger, CHECK_GUEST_SVN, "%" PRIu64 " is below %" PRIu32, r->guest_svn,
                    rule->min_guest_svn);
}

static void judge_chip(const struct snp_rule *rule, const struct snp_facts *facts,
                       struct ledger *ledger)
{
    const struct snp_report *r = facts->report;
    bool is_masked = snp_is_zero(neo_bytes(r->chip_id, sizeof(r->chip_id)));

    if (is_masked && rule->chip_ids.n > 0)
        ledger_fail(ledger, CHECK_CHIP_ID, "the chip id is masked, so it cannot be compared");
    else if (is_masked && snp_report_vek(r) == SNP_VCEK && !rule->allow_masked_chip)
        ledger_fail(ledger, CHECK_CHIP_ID, "the chip id is masked");
    else
        ledger_judge_value(ledger, CHECK_CHIP_ID, rule->chip_ids, r->chip_id, sizeof(r->chip_id));
}

static void judge_product(const struct snp_rule *rule, const struct snp_facts *facts,
                          struct ledger *ledger)
{
    const struct snp_product *product = facts->endorsement->product;

    if ((rule->products & 1u << (product - snp_products)) != 0)
        ledger_pass(ledger, CHECK_PRODUCTS);
    else
        ledger_fail(ledger, CHECK_PRODUCTS, "%s is not among the allowed", product->name);
}

/* --- who signed, and for whom ----------------------------------------------------------------- */

static void judge_signer(const struct snp_rule *rule, const struct snp_facts *facts,
                         struct ledger *ledger)
{
    enum snp_vek vek = snp_report_vek(facts->report);
    struct neo_bytes csp_id = facts->endorsement->csp_id;

    if ((rule->veks & 1u << vek) != 0)
        ledger_pass(ledger, CHECK_VEK);
    else
        ledger_fail(ledger, CHECK_VEK, "signed by a %s", vek == SNP_VCEK ? "VCEK" : "VLEK");

    if (vek == SNP_VCEK) {
        ledger_skip(ledger, CHECK_CSP_ID, "a VCEK has none");
        return;
    }
    for (size_t i = 0; i < rule->n_csp_ids; i++) {
        if (neo_bytes_equal(rule->csp_ids[i], csp_id)) {
            ledger_pass(ledger, CHECK_CSP_ID);
            return;
        }
    }
    ledger_fail(ledger, CHECK_CSP_ID, "\"%.*s\" is not among the allowed", NEO_FMT(csp_id));
}

static void judge_vmpl(const struct snp_rule *rule, const struct snp_report *r,
                       struct ledger *ledger)
{
    if (r->version >= rule->min_version)
        ledger_pass(ledger, CHECK_VERSION);
    else
        ledger_fail(ledger, CHECK_VERSION, "%" PRIu64 " is below %" PRIu32, r->version,
                    rule->min_version);
    if (r->vmpl == rule->vmpl)
        ledger_pass(ledger, CHECK_VMPL);
    else
        ledger_fail(ledger, CHECK_VMPL, "%" PRIu64 ", must be %" PRIu32, r->vmpl, rule->vmpl);
}

/* --- bits ------------------------------------------------------------------------------------- */

static void judge_bits(const struct snp_rule *rule, const struct snp_report *r,
                       struct ledger *ledger)
{
#define X(name, key)                                                                               \
    ledger_judge_bit(ledger, CHECK_POLICY_##name, r->policy, SNP_POLICY_##name, rule->policy_set,  \
                     rule->policy_clear);
    SNP_POLICY_BITS(X)
#undef X
#define X(name, key)                                                                               \
    ledger_judge_bit(ledger, CHECK_PLATFORM_##name, r->platform_info, SNP_PLATFORM_##name,         \
                     rule->platform_set, rule->platform_clear);
    SNP_PLATFORM_BITS(X)
#undef X
}

/* --- firmware --------------------------------------------------------------------------------- */

static void judge_tcb(const struct snp_rule *rule, const struct snp_product *product,
                      const uint8_t tcb[static SNP_TCB_LEN], unsigned check, struct ledger *ledger)
{
    static const char *const names[SNP_COMPONENTS] = {
        [SNP_BOOTLOADER] = "bootloader", [SNP_TEE] = "tee", [SNP_SNP] = "snp",
        [SNP_MICROCODE] = "microcode",   [SNP_FMC] = "fmc",
    };

    for (size_t i = 0; i < SNP_TCB_LEN; i++) {
        uint8_t component = product->tcb[i];
        if (tcb[i] < rule->min_tcb[component]) {
            ledger_fail(ledger, check, "%s %u is below %u", names[component], tcb[i],
                        rule->min_tcb[component]);
            return;
        }
    }
    ledger_pass(ledger, check);
}

/* Provisional firmware runs, but is not committed: the host can still go back to the older. */
static void judge_provisional(const struct snp_rule *rule, const struct snp_report *r,
                              struct ledger *ledger)
{
    if (rule->allow_provisional)
        ledger_skip(ledger, CHECK_TCB_PROVISIONAL, ledger_not_asked_for);
    else if (memcmp(r->current_tcb, r->committed_tcb, SNP_TCB_LEN) != 0 ||
             memcmp(r->current_version, r->committed_version, sizeof(r->current_version)) != 0)
        ledger_fail(ledger, CHECK_TCB_PROVISIONAL,
                    "the running firmware is not committed; the host can roll it back");
    else
        ledger_pass(ledger, CHECK_TCB_PROVISIONAL);
}

static void judge_firmware(const struct snp_rule *rule, const struct snp_report *r,
                           struct ledger *ledger)
{
    const uint8_t has[] = {r->committed_version[2], r->committed_version[1],
                           r->committed_version[0]};
    const uint8_t *min = rule->min_firmware;

    if (snp_is_zero(neo_bytes(min, sizeof(rule->min_firmware))))
        ledger_skip(ledger, CHECK_FIRMWARE, ledger_not_asked_for);
    else if (memcmp(has, min, sizeof(has)) < 0)
        ledger_fail(ledger, CHECK_FIRMWARE, "%u.%u.%u is below %u.%u.%u", has[0], has[1], has[2],
                    min[0], min[1], min[2]);
    else
        ledger_pass(ledger, CHECK_FIRMWARE);
}

static void judge_mitigations(const struct snp_rule *rule, const struct snp_report *r,
                              struct ledger *ledger)
{
    uint64_t has = r->launch_mitigations & r->current_mitigations;

    if (rule->mitigations == 0)
        ledger_skip(ledger, CHECK_MITIGATIONS, ledger_not_asked_for);
    else if (r->version < 5)
        ledger_fail(ledger, CHECK_MITIGATIONS, "a report of version %" PRIu64 " does not tell them",
                    r->version);
    else if ((has & rule->mitigations) != rule->mitigations)
        ledger_fail(ledger, CHECK_MITIGATIONS, "0x%" PRIx64 " lacks bits of 0x%" PRIx64, has,
                    rule->mitigations);
    else
        ledger_pass(ledger, CHECK_MITIGATIONS);
}

void snp_rule_judge(const struct snp_rule *rule, const struct snp_facts *facts,
                    struct ledger *ledger)
{
    const struct snp_report *r = facts->report;
    const struct snp_product *product = facts->endorsement->product;

    judge_signer(rule, facts, ledger);
    judge_vmpl(rule, r, ledger);
    judge_bits(rule, r, ledger);
    judge_tcb(rule, product, r->reported_tcb, CHECK_TCB_REPORTED, ledger);
    judge_tcb(rule, product, r->committed_tcb, CHECK_TCB_COMMITTED, ledger);
    judge_tcb(rule, product, r->launch_tcb, CHECK_TCB_LAUNCH, ledger);
    judge_provisional(rule, r, ledger);
    judge_firmware(rule, r, ledger);
    judge_mitigations(rule, r, ledger);
    judge_identity(rule, r, ledger);
    judge_product(rule, facts, ledger);
    judge_chip(rule, facts, ledger);
}
