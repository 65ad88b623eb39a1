/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - simulated machines for tests: any product, right or broken in one place.
 *
 * A machine is an authority, a chip under it, and a development trust in its root.
 * Its report is `report`, signed anew for every question, so a test changes a field
 * and asks. RSA keys take a while: one pair serves all machines of a test program.
 */
#ifndef NEO_TESTS_ATTEST_MACHINE_H
#define NEO_TESTS_ATTEST_MACHINE_H

#include "../unit.h"

#include "attest/policies.h"
#include "attest/sim.h"
#include "attest/trust.h"

#include <stdio.h>

#define NOW INT64_C(1790000000)
enum { MACHINE_DAY = 86400, MACHINE_ARENA = 1 << 20 };

static struct sim_keys machine_keys;

static inline int machine_setup(void **state)
{
    (void)state;
    return sim_keys_generate(&machine_keys, NULL) == NEO_OK ? 0 : -1;
}

static inline int machine_teardown(void **state)
{
    (void)state;
    sim_keys_fini(&machine_keys);
    return 0;
}

struct machine {
    struct sim_authority authority;
    struct sim_chip chip;
    struct neo_attest_trust *trust;
    struct snp_report report;
};

static inline struct neo_attest_trust *machine_trust(struct neo_bytes root)
{
    const struct neo_attest_trust_options options = {.simulated_root = root, .development = true};
    struct neo_attest_trust *trust;

    assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_OK);
    return trust;
}

/* Issues what `m` describes. */
static inline void machine_issue(struct machine *m)
{
    struct neo_error err;

    if (m->authority.root_der.len == 0 && sim_authority_issue(&m->authority, &err) != NEO_OK)
        fail_msg("%s", err.message);
    if (sim_chip_issue(&m->chip, &m->authority, &err) != NEO_OK)
        fail_msg("%s", err.message);
    if (m->trust == NULL)
        m->trust = machine_trust(neo_buffer_bytes(&m->authority.root_der));
}

static inline void machine_init(struct machine *m, const char *product, enum snp_vek vek)
{
    *m = (struct machine){
        .authority =
            {
                .keys = &machine_keys,
                .product = snp_product_named(neo_text(product)),
                .vek = vek,
                .not_before = NOW - MACHINE_DAY,
                .not_after = NOW + 100 * MACHINE_DAY,
            },
        .chip =
            {
                .product = snp_product_named(neo_text(product)),
                .vek = vek,
                .tcb =
                    {[SNP_BOOTLOADER] = 10, [SNP_TEE] = 1, [SNP_SNP] = 23, [SNP_MICROCODE] = 200},
                .csp_id = "CN=cc-us-east-2.example.com",
                .not_before = NOW - MACHINE_DAY,
                .not_after = NOW + 10 * MACHINE_DAY,
            },
    };
    m->chip.tcb[SNP_FMC] = m->chip.product->tcb[0] == SNP_FMC ? 3 : 0;
    memset(m->chip.hwid, 0xc1, sizeof(m->chip.hwid));
    machine_issue(m);
    sim_report_init(&m->report, m->chip.product, m->chip.tcb,
                    vek == SNP_VCEK ? m->chip.hwid : NULL);
    m->report.key_info = (uint64_t)vek << 2;
    memset(m->report.measurement, 0x4d, sizeof(m->report.measurement));
    memset(m->report.report_data, 0xb1, sizeof(m->report.report_data));
}

static inline void machine_fini(struct machine *m)
{
    sim_authority_fini(&m->authority);
    sim_chip_fini(&m->chip);
    neo_attest_trust_unref(m->trust);
}

/* Leaf and intermediate, as DER one behind the other. */
static inline struct neo_buffer machine_certificates(const struct machine *m)
{
    struct neo_buffer all = {0};

    assert_true(neo_buffer_append(&all, neo_buffer_bytes(&m->chip.cert_der)));
    assert_true(neo_buffer_append(&all, neo_buffer_bytes(&m->authority.issuer_der)));
    return all;
}

/* One policy for function-service; `rest` is appended to its one row. */
static inline enum neo_code machine_compile(const char *require, const char *rest,
                                            struct neo_attest_policies **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    assert_true(neo_buffer_printf(&text,
                                  "attestation_policies:\n"
                                  "  function-service:\n"
                                  "    require: %s\n"
                                  "    any_of:\n"
                                  "      - tee: sev-snp\n"
                                  "        measurement: [",
                                  require));
    for (size_t i = 0; i < SNP_MEASUREMENT_LEN; i++)
        assert_true(neo_buffer_append_text(&text, "4d"));
    assert_true(neo_buffer_printf(&text, "]\n%s", rest));
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    return neo_attest_policies_compile(&document, 1, true, ret, err);
}

static inline struct neo_attest_policies *machine_policy(const char *rest)
{
    struct neo_attest_policies *policies;
    struct neo_error err;

    if (machine_compile("simulator", rest, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policies;
}

/* The verdict on the machine's report under the policy. Lives in `arena`. */
static inline struct neo_appraisal machine_appraise(const struct machine *m,
                                                    const struct neo_attest_policies *policies,
                                                    struct neo_bytes certificates,
                                                    struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_appraisal appraisal;

    memset(binder, 0xb1, sizeof(binder));
    assert_int_equal(sim_report_sign(&m->report, m->chip.key, &body, NULL), NEO_OK);
    const struct neo_evidence evidence = {NEO_EVIDENCE_SIM_SNP, neo_buffer_bytes(&body),
                                          certificates};
    assert_int_equal(neo_attest_appraise(m->trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder, NOW, arena, &appraisal, NULL),
                     NEO_OK);
    assert_true(appraisal.simulated);
    assert_int_equal(appraisal.accepted, appraisal.reason == NEO_ATTEST_NONE);
    return appraisal;
}

/* The first failed check's name, or NULL. */
static inline const char *machine_first_failure(const struct neo_appraisal *a)
{
    for (size_t i = 0; i < a->n_checks; i++) {
        if (a->checks[i].result == NEO_CHECK_FAIL)
            return a->checks[i].name;
    }
    return NULL;
}

/* Asks under a policy of which `rest` is appended to the row. "accepted", or the first failed
 * check. */
static inline const char *machine_verdict(const struct machine *m, const char *rest,
                                          enum neo_attest_reason *ret_reason)
{
    struct neo_attest_policies *policies = machine_policy(rest);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(m);
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};

    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a = machine_appraise(m, policies, neo_buffer_bytes(&certificates), &arena);
    neo_attest_policies_unref(policies);
    if (ret_reason != NULL)
        *ret_reason = a.reason;
    const char *failed = machine_first_failure(&a); /* a literal, not in the arena */
    assert_int_equal(a.accepted, failed == NULL);
    return a.accepted ? "accepted" : failed;
}

#endif
