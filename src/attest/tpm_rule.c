/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm_rule.h"

#include "attest/row.h"

/* --- judging ---------------------------------------------------------------------------------- */

/* False: the failure was put down. */
static bool replay(struct neo_bytes log, const struct tpm_bank *bank, struct neo_bytes values,
                   unsigned check, struct ledger *ledger, size_t *replayed, uint32_t *ret_differs)
{
    struct tpm_replay replay;
    struct neo_error why;

    enum neo_code code = tpm_log_replay(log, bank->hash, &replay, &why);
    if (code == NEO_NOT_FOUND)
        return true;
    if (code != NEO_OK)
        return ledger_fail_as(ledger, check, NEO_ATTEST_FORMAT, "%s", why.message);
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct neo_bytes quoted = tpm_pcr(bank, values, i);
        if ((replay.touched & UINT32_C(1) << i) != 0 && quoted.len > 0 &&
            memcmp(quoted.at, replay.pcrs[i], quoted.len) != 0)
            *ret_differs |= UINT32_C(1) << i;
    }
    ++*replayed;
    return true;
}

bool tpm_log_read(struct neo_bytes log, const struct tpm_quote *quote, struct neo_bytes values,
                  unsigned check, struct ledger *ledger, struct tpm_logged *ret)
{
    struct tpm_logged logged = {.came = log.len > 0};
    size_t replayed = 0;

    if (!logged.came)
        ledger_skip(ledger, check, "none came");
    for (size_t i = 0; logged.came && i < quote->n_banks; i++) {
        if (!replay(log, &quote->banks[i], values, check, ledger, &replayed, &logged.differs[i]))
            return false;
    }
    if (logged.came && replayed == 0)
        return ledger_fail_as(ledger, check, NEO_ATTEST_FORMAT,
                              "a log of none of the quoted banks");
    *ret = logged;
    return true;
}

void tpm_log_judge(const struct tpm_logged *logged, const struct tpm_pcr_rule *rule,
                   const struct tpm_quote *quote, unsigned check, struct ledger *ledger)
{
    const struct tpm_bank *bank = tpm_bank_of(quote, rule->hash);
    uint32_t differs = bank == NULL ? 0 : logged->differs[bank - quote->banks];
    int other = -1;

    if (!logged->came)
        return;
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        if ((differs & UINT32_C(1) << i) == 0)
            continue;
        if (rule->pcrs[i].n > 0) {
            ledger_fail(ledger, check, "it does not replay to PCR %u of %s", i,
                        tpm_hash_text(rule->hash));
            return;
        }
        other = (int)i;
    }
    if (other < 0)
        ledger_pass(ledger, check);
    else
        ledger_pass_with(ledger, check, "it does not replay to PCR %d, which no rule rests on",
                         other);
}

void tpm_pcr_rule_measure(const struct tpm_pcr_rule *rule, const struct tpm_quote *quote,
                          struct neo_bytes values, uint8_t ret[static NEO_SHA256_LEN])
{
    const struct tpm_bank *bank = tpm_bank_of(quote, rule->hash);
    uint8_t named[TPM_PCRS * TPM_DIGEST_MAX];
    size_t len = 0;

    for (unsigned i = 0; bank != NULL && i < TPM_PCRS; i++) {
        struct neo_bytes value = tpm_pcr(bank, values, i);
        if (rule->pcrs[i].n == 0 || value.len == 0)
            continue;
        memcpy(named + len, value.at, value.len);
        len += value.len;
    }
    neo_sha256(neo_bytes(named, len), ret);
}

void tpm_pcr_rule_judge(const struct tpm_pcr_rule *rule, const struct tpm_quote *quote,
                        struct neo_bytes values, unsigned first, struct ledger *ledger)
{
    const struct tpm_bank *bank = tpm_bank_of(quote, rule->hash);

    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct neo_bytes value = bank == NULL ? neo_bytes(NULL, 0) : tpm_pcr(bank, values, i);
        if (rule->pcrs[i].n > 0 && value.len != tpm_hash_len(rule->hash))
            ledger_fail(ledger, first + i, "it is not among the quoted of the bank %s",
                        tpm_hash_text(rule->hash));
        else
            ledger_judge_value(ledger, first + i, rule->pcrs[i], value.at, value.len);
    }
}

/* --- from the file ---------------------------------------------------------------------------- */

struct bank_key {
    const char *key;
    uint16_t hash;
    const struct row_lists *lists;
};

static enum neo_code compile_bank(const struct bank_key *bank, struct neo_arena *arena,
                                  struct tpm_pcr_rule *ret, struct neo_error *err)
{
    const struct row_lists_entry *entries = bank->lists->items.at;

    for (size_t i = 0; i < bank->lists->items.len; i++) {
        const struct row_list list = {entries[i].items, entries[i].place};
        unsigned index;
        if (!row_index(entries[i].key, TPM_PCRS, &index))
            return row_refuse(entries[i].place, "\"%.*s\" is no PCR: 0 to 23",
                              NEO_FMT(entries[i].key));
        NEO_TRY(row_read_values(&list, bank->key, tpm_hash_len(bank->hash), 0, arena,
                                &ret->pcrs[index], err));
        if (ret->pcrs[index].n == 0)
            return row_refuse(entries[i].place, "PCR %u has no allowed value", index);
    }
    ret->hash = bank->hash;
    return NEO_OK;
}

/* Two things of one SHA-1 can be made, one to be looked at and one to boot. */
static enum neo_code check_sha1(const struct tpm_row *row, bool is_used, struct neo_error *err)
{
    if (is_used && !row->accept_sha1)
        return row_refuse(row->pcr_sha1.place,
                          "SHA-1 is weak: two things of one digest can be made, so use "
                          "\"pcr_sha256\" or \"pcr_sha384\"; where the TPM has nothing else, add "
                          "\"accept_sha1: true\"");
    if (!is_used && row_gives(row->accept_sha1_place))
        return row_refuse(row->accept_sha1_place, "\"accept_sha1\" is for \"pcr_sha1\"");
    return NEO_OK;
}

/*
 * What runs can reset PCR 16 and 23 at any time, and 17 to 22 belong to a later launch that need
 * not have been: only 0 to 15 hold since the machine's start.
 */
enum { PCR_STATIC_N = 16 };

static enum neo_code check_identity(const struct tpm_pcr_rule *rule, const struct bank_key *bank,
                                    struct neo_error *err)
{
    for (unsigned i = 0; i < PCR_STATIC_N; i++) {
        if (rule->pcrs[i].n > 0)
            return NEO_OK;
    }
    return row_refuse(bank->lists->place,
                      "no code identity: PCR 16 to 23 can be reset without a reset of the machine; "
                      "name one of PCR 0 to 15 in \"%s\"",
                      bank->key);
}

enum neo_code tpm_pcr_rule_compile(const struct attest_row *row, struct neo_arena *arena,
                                   struct tpm_pcr_rule *ret, struct neo_error *err)
{
    const struct bank_key banks[] = {
        {"pcr_sha256", TPM_SHA256, &row->tpm.pcr_sha256},
        {"pcr_sha384", TPM_SHA384, &row->tpm.pcr_sha384},
        {"pcr_sha1", TPM_SHA1, &row->tpm.pcr_sha1},
    };
    const struct bank_key *named = NULL;

    for (size_t i = 0; i < NEO_COUNT(banks); i++) {
        if (banks[i].lists->items.len == 0)
            continue;
        if (named != NULL)
            return row_refuse(banks[i].lists->place,
                              "\"%s\" and \"%s\": a row is judged on one bank; make two rows of it",
                              named->key, banks[i].key);
        named = &banks[i];
    }
    if (named == NULL)
        return row_refuse(row->place, "no code identity: anything may have booted; add "
                                      "\"pcr_sha256\" with the allowed values");
    NEO_TRY(check_sha1(&row->tpm, named->hash == TPM_SHA1, err));
    NEO_TRY(compile_bank(named, arena, ret, err));
    return check_identity(ret, named, err);
}

/* --- for people ------------------------------------------------------------------------------- */

static void describe_bank(const struct tpm_bank *bank, struct neo_bytes values,
                          struct description *d)
{
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct neo_bytes value = tpm_pcr(bank, values, i);
        const char *name =
            value.len == 0 ? NULL
                           : neo_arena_printf(d->arena, "pcr_%s.%u", tpm_hash_text(bank->hash), i);
        if (name != NULL)
            describe_bytes(d, name, value.at, value.len);
    }
}

void tpm_describe(const struct tpm_quote *quote, struct neo_bytes values, struct neo_bytes log,
                  struct description *d)
{
    for (size_t i = 0; i < quote->n_banks; i++)
        describe_bank(&quote->banks[i], values, d);
    describe_number(d, "event_log", "%zu bytes", log.len);
    describe_bytes(d, "extra_data", quote->extra_data.at, quote->extra_data.len);
    d->binder = d->at[d->n - 1].value;
}
