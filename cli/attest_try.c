/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One piece of evidence of this machine, judged under a policy of its own values: whether the way
 * works, from the device to the last signature. What the machine runs nobody has asked.
 */
#include "cli/attest_machine.h"

#include <neo/digest.h>
#include <neo/encoding.h>
#include <neo/evidence.h>

#include <stdio.h>

#define SERVICE "this-machine"

void attest_trial_fini(struct attest_trial *t)
{
    attest_made_fini(&t->evidence);
    neo_arena_fini(&t->arena);
}

static const struct neo_evidence_fact *fact_of(const struct neo_evidence_facts *facts,
                                               const char *name)
{
    for (size_t i = 0; i < facts->n; i++) {
        if (strcmp(facts->at[i].name, name) == 0)
            return &facts->at[i];
    }
    return NULL;
}

/* "key: [value]", or `0: [value]` of the PCR below a key. */
static bool put_value(struct neo_buffer *out, const struct neo_evidence_facts *facts,
                      const char *name, const char *before, const char *after)
{
    const struct neo_evidence_fact *f = fact_of(facts, name);

    return f != NULL && neo_buffer_append_text(out, before) && neo_hex_encode(out, f->value) &&
           neo_buffer_append_text(out, after);
}

/* The identity that each kind must have in a policy, as it has it. */
static bool put_row(struct neo_buffer *out, const struct neo_evidence_facts *facts)
{
    static const struct {
        const char *tee, *fact, *before, *after;
    } rows[] = {
        {"sev-snp", "measurement", "        measurement: [\"", "\"]\n"},
        {"tdx", "mrtd", "        mrtd: [\"", "\"]\n"},
        {"sgx", "mrenclave", "        mrenclave: [\"", "\"]\n"},
        {"nitro", "pcr.0", "        pcr: {0: \"", "\"}\n"},
        {"arm-cca", "rim", "        rim: [\"", "\"]\n"},
        {"tpm", "pcr_sha256.0", "        pcr_sha256: {0: [\"", "\"]}\n"},
        {"azure-snp", "measurement", "        measurement: [\"", "\"]\n"},
        {"azure-snp", "pcr_sha256.0", "        pcr_sha256: {0: [\"", "\"]}\n"},
        {"azure-tdx", "mrtd", "        mrtd: [\"", "\"]\n"},
        {"azure-tdx", "td_attributes",
         "        td_attributes: {mask: \"ffffffffffffffff\", value: \"", "\"}\n"},
        {"azure-tdx", "pcr_sha256.0", "        pcr_sha256: {0: [\"", "\"]}\n"},
        {"tpm", "ak_name", "        ak: {names: [\"", "\"]}\n"},
    };
    bool any = false;

    if (!neo_buffer_printf(out, "      - tee: %s\n", facts->tee))
        return false;
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        if (strcmp(rows[i].tee, facts->tee) != 0)
            continue;
        if (!put_value(out, facts, rows[i].fact, rows[i].before, rows[i].after))
            return false;
        any = true;
    }
    return any;
}

static enum neo_code own_policy(const struct neo_evidence_facts *facts,
                                struct neo_attest_policies **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    if (!neo_buffer_append_text(&text, "attestation_policies:\n  " SERVICE ":\n"
                                       "    require: hardware-or-tpm\n    any_of:\n") ||
        !put_row(&text, facts))
        return neo_fail(err, NEO_UNIMPLEMENTED, "evidence of %s cannot be tried", facts->tee);
    const struct neo_document document = {NEO_LIT("its own values"), neo_buffer_bytes(&text)};
    return neo_attest_policies_compile(&document, 1, false, ret, err);
}

static enum neo_code judge(struct attest_trial *t, const struct attest_source *from,
                           const uint8_t *binder, struct neo_error *err)
{
    const struct neo_evidence e = {t->evidence.kind, neo_buffer_bytes(&t->evidence.body),
                                   neo_buffer_bytes(&t->evidence.certificates)};
    struct neo_attest_policies *policies = NULL;
    struct neo_attest_trust *trust = NULL;
    struct neo_evidence_facts facts;

    NEO_TRY(neo_evidence_describe(&e, &t->arena, &facts, err));
    enum neo_code code = own_policy(&facts, &policies, err);
    if (code == NEO_OK)
        code = attest_read_trust(&t->arena, from, &trust, err);
    if (code == NEO_OK)
        code = neo_attest_appraise(trust, policies, NEO_LIT(SERVICE), &e, binder,
                                   neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC, &t->arena,
                                   &t->appraisal, err);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    return code;
}

void attest_try(const struct neo_attester_options *options, const struct attest_source *from,
                struct attest_trial *t)
{
    uint8_t binder[NEO_BINDER_LEN];

    *t = (struct attest_trial){.made = false};
    neo_arena_init(&t->arena, ATTEST_ARENA);
    neo_random(binder, sizeof(binder));
    t->made = attest_make(options, binder, &t->evidence, &t->err) == NEO_OK;
    if (t->made)
        t->judged = judge(t, from, binder, &t->err) == NEO_OK;
}
