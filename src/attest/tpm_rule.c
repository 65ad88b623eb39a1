/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm_rule.h"

#include "attest/row.h"

enum { VALUE_LEN = NEO_SHA256_LEN };

/* --- judging ---------------------------------------------------------------------------------- */

bool tpm_log_judge(struct neo_bytes log, const struct tpm_quote *quote, struct neo_bytes values,
                   unsigned check, struct ledger *ledger)
{
    struct tpm_replay replay;
    struct neo_error why;

    if (log.len == 0) {
        ledger_skip(ledger, check, "none came");
        return true;
    }
    if (tpm_log_replay(log, quote->bank, &replay, &why) != NEO_OK)
        return ledger_fail_as(ledger, check, NEO_ATTEST_FORMAT, "%s", why.message);
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct neo_bytes quoted = tpm_pcr(quote, values, i);
        if ((replay.touched & UINT32_C(1) << i) != 0 && quoted.len > 0 &&
            memcmp(quoted.at, replay.pcrs[i], quoted.len) != 0)
            return ledger_fail(ledger, check, "it does not replay to PCR %u", i);
    }
    ledger_pass(ledger, check);
    return true;
}

void tpm_pcr_rule_judge(const struct tpm_pcr_rule *rule, const struct tpm_quote *quote,
                        struct neo_bytes values, unsigned first, struct ledger *ledger)
{
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct neo_bytes value = tpm_pcr(quote, values, i);
        if (rule->pcrs[i].n > 0 && (quote->bank != TPM_SHA256 || value.len != VALUE_LEN))
            ledger_fail(ledger, first + i, "it is not among the quoted of SHA-256's bank");
        else
            ledger_judge_value(ledger, first + i, rule->pcrs[i], value.at, value.len);
    }
}

/* --- from the file ---------------------------------------------------------------------------- */

/* "0" to "23" */
static bool read_index(struct neo_bytes key, unsigned *ret)
{
    unsigned value = 0;

    if (key.len == 0 || key.len > 2 || (key.len == 2 && key.at[0] == '0'))
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] < '0' || key.at[i] > '9')
            return false;
        value = value * 10 + (unsigned)(key.at[i] - '0');
    }
    *ret = value;
    return value < TPM_PCRS;
}

enum neo_code tpm_pcr_rule_compile(const struct attest_row *row, struct neo_arena *arena,
                                   struct tpm_pcr_rule *ret, struct neo_error *err)
{
    const struct neo_yaml_list *items = &row->tpm.pcr_sha256.items;
    const struct row_lists_entry *entries = items->at;

    if (items->len == 0)
        return row_refuse(row->place, "no code identity: anything may have booted; add "
                                      "\"pcr_sha256\" with the allowed values");
    for (size_t i = 0; i < items->len; i++) {
        const struct row_list list = {entries[i].items, entries[i].place};
        unsigned index;
        if (!read_index(entries[i].key, &index))
            return row_refuse(entries[i].place, "\"%.*s\" is no PCR: 0 to 23",
                              NEO_FMT(entries[i].key));
        NEO_TRY(row_read_values(&list, "pcr_sha256", VALUE_LEN, 0, arena, &ret->pcrs[index], err));
        if (ret->pcrs[index].n == 0)
            return row_refuse(entries[i].place, "PCR %u has no allowed value", index);
    }
    return NEO_OK;
}

/* --- for people ------------------------------------------------------------------------------- */

void tpm_describe(const struct tpm_quote *quote, struct neo_bytes values, struct neo_bytes log,
                  struct description *d)
{
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct neo_bytes value = tpm_pcr(quote, values, i);
        const char *name = value.len == 0 ? NULL : neo_arena_printf(d->arena, "pcr.%u", i);
        if (name != NULL)
            describe_bytes(d, name, value.at, value.len);
    }
    describe_number(d, "bank", "0x%04x", quote->bank);
    describe_number(d, "event_log", "%zu bytes", log.len);
    describe_bytes(d, "extra_data", quote->extra_data.at, quote->extra_data.len);
    d->binder = d->at[d->n - 1].value;
}
