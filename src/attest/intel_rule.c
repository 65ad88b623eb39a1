/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row may ask of an Intel platform: `tcb` and `pck`, for SGX and TDX alike.
 *
 * Left out, only UpToDate is good enough. Another status counts when the row names
 * it and every advisory that stands behind it.
 */
#include "attest/intel.h"
#include "attest/row.h"

#include <time.h>

/* --- judging ---------------------------------------------------------------------------------- */

static bool names(const struct intel_rule *rule, struct neo_bytes advisory)
{
    for (size_t i = 0; i < rule->n_advisories; i++) {
        if (neo_bytes_equal(rule->advisories[i], advisory))
            return true;
    }
    return false;
}

static void judge_advisories(const struct intel_rule *rule, const struct intel_standing *s,
                             struct ledger *ledger)
{
    if (s->status == INTEL_UP_TO_DATE) {
        ledger_skip(ledger, CHECK_INTEL_TCB_ADVISORIES, "up to date");
        return;
    }
    for (size_t i = 0; i < s->n_advisories; i++) {
        if (!names(rule, s->advisories[i])) {
            ledger_fail(ledger, CHECK_INTEL_TCB_ADVISORIES, "%.*s is not among the accepted",
                        NEO_FMT(s->advisories[i]));
            return;
        }
    }
    ledger_pass(ledger, CHECK_INTEL_TCB_ADVISORIES);
}

static void judge_tcb(const struct intel_rule *rule, const struct intel_case *c,
                      struct ledger *ledger)
{
    const struct intel_standing *s = &c->standing;

    if ((rule->statuses & 1u << s->status) != 0)
        ledger_pass(ledger, CHECK_INTEL_TCB_STATUS);
    else
        ledger_fail(ledger, CHECK_INTEL_TCB_STATUS, "%s", intel_status_text(s->status));
    judge_advisories(rule, s, ledger);

    if (rule->min_date == 0)
        ledger_skip(ledger, CHECK_INTEL_TCB_DATE, ledger_not_asked_for);
    else if (s->date >= rule->min_date)
        ledger_pass(ledger, CHECK_INTEL_TCB_DATE);
    else
        ledger_fail(ledger, CHECK_INTEL_TCB_DATE, "the TCB's date is before the least");

    uint32_t evaluation =
        c->tcb->evaluation < c->identity->evaluation ? c->tcb->evaluation : c->identity->evaluation;
    if (rule->min_evaluation == 0)
        ledger_skip(ledger, CHECK_INTEL_TCB_EVALUATION, ledger_not_asked_for);
    else if (evaluation >= rule->min_evaluation)
        ledger_pass(ledger, CHECK_INTEL_TCB_EVALUATION);
    else
        ledger_fail(ledger, CHECK_INTEL_TCB_EVALUATION, "%u is below %u", evaluation,
                    rule->min_evaluation);
}

static void judge_pck(const struct intel_rule *rule, const struct intel_pck *pck,
                      struct ledger *ledger)
{
    if (rule->sgx_types == 0)
        ledger_skip(ledger, CHECK_INTEL_PCK_TYPE, ledger_not_asked_for);
    else if ((rule->sgx_types & 1u << pck->sgx_type) != 0)
        ledger_pass(ledger, CHECK_INTEL_PCK_TYPE);
    else
        ledger_fail(ledger, CHECK_INTEL_PCK_TYPE, "%u is not among the allowed", pck->sgx_type);

    if (rule->instances.n > 0 && !pck->has_instance)
        ledger_fail(ledger, CHECK_INTEL_PCK_INSTANCE, "the certificate names no instance");
    else
        ledger_judge_value(ledger, CHECK_INTEL_PCK_INSTANCE, rule->instances,
                           pck->platform_instance_id, sizeof(pck->platform_instance_id));
    ledger_judge_value(ledger, CHECK_INTEL_PCK_PPID, rule->ppids, pck->ppid, sizeof(pck->ppid));
    ledger_judge_value(ledger, CHECK_INTEL_PCK_FMSPC, rule->fmspcs, pck->fmspc, sizeof(pck->fmspc));
}

void intel_rule_judge(const struct intel_rule *rule, const struct intel_case *c,
                      struct ledger *ledger)
{
    judge_tcb(rule, c, ledger);
    judge_pck(rule, &c->pck, ledger);
}

/* --- from the file ---------------------------------------------------------------------------- */

static enum neo_code read_statuses(const struct row_list *list, unsigned *ret,
                                   struct neo_error *err)
{
    const struct row_text *words = list->items.at;

    NEO_TRY(row_check_not_empty(list, "accept", err));
    *ret = list->items.len == 0 ? 1u << INTEL_UP_TO_DATE : 0;
    for (size_t i = 0; i < list->items.len; i++) {
        enum intel_status status = intel_status_parse(words[i].text);
        if (status == INTEL_STATUSES_N)
            return row_refuse(words[i].place,
                              "\"%.*s\" is no TCB status of Intel's, such as "
                              "UpToDate or SWHardeningNeeded",
                              NEO_FMT(words[i].text));
        if (status == INTEL_REVOKED || status == INTEL_NOT_SUPPORTED)
            return row_refuse(words[i].place, "%s can never be accepted",
                              intel_status_text(status));
        *ret |= 1u << status;
    }
    return NEO_OK;
}

static enum neo_code read_advisories(const struct row_list *list, struct neo_arena *arena,
                                     struct intel_rule *rule, struct neo_error *err)
{
    const struct row_text *ids = list->items.at;
    struct neo_bytes *copies = neo_arena_calloc(arena, list->items.len, sizeof(*copies));

    for (size_t i = 0; copies != NULL && i < list->items.len; i++)
        copies[i] = neo_arena_copy(arena, ids[i].text);
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for \"advisories\"");
    rule->advisories = copies;
    rule->n_advisories = list->items.len;
    return NEO_OK;
}

/* "2024-11-13" */
static enum neo_code read_date(const struct row_text *text, int64_t *ret, struct neo_error *err)
{
    char date[11] = "";
    struct tm t = {0};

    *ret = 0;
    if (!row_gives(text->place))
        return NEO_OK;
    if (text->text.len == sizeof(date) - 1)
        memcpy(date, text->text.at, sizeof(date) - 1);
    const char *end = strptime(date, "%Y-%m-%d", &t);
    if (date[0] == '\0' || end == NULL || *end != '\0')
        return row_refuse(text->place, "\"min_date\" must look like 2024-11-13");
    *ret = timegm(&t);
    return NEO_OK;
}

static enum neo_code read_types(const struct row_list *list, unsigned *ret, struct neo_error *err)
{
    const struct row_text *types = list->items.at;

    NEO_TRY(row_check_not_empty(list, "sgx_type", err));
    *ret = 0;
    for (size_t i = 0; i < list->items.len; i++) {
        struct neo_bytes t = types[i].text;
        if (t.len != 1 || t.at[0] < '0' || t.at[0] > '2')
            return row_refuse(types[i].place,
                              "\"sgx_type\" is 0 (standard), 1 (scalable) or 2 (with integrity)");
        *ret |= 1u << (t.at[0] - '0');
    }
    return NEO_OK;
}

enum neo_code intel_rule_compile(const struct intel_row *row, struct neo_arena *arena,
                                 struct intel_rule *ret, struct neo_error *err)
{
    struct intel_rule rule = {.min_evaluation = row->tcb.min_eval_number.value};

    NEO_TRY(read_statuses(&row->tcb.accept, &rule.statuses, err));
    NEO_TRY(read_advisories(&row->tcb.advisories, arena, &rule, err));
    NEO_TRY(read_date(&row->tcb.min_date, &rule.min_date, err));
    NEO_TRY(read_types(&row->pck.sgx_type, &rule.sgx_types, err));
    NEO_TRY(row_read_values(&row->pck.platform_instance_id, "platform_instance_id", 16, 0, arena,
                            &rule.instances, err));
    NEO_TRY(row_read_values(&row->pck.ppid, "ppid", 16, 0, arena, &rule.ppids, err));
    NEO_TRY(row_read_values(&row->pck.fmspc, "fmspc", 6, 0, arena, &rule.fmspcs, err));
    *ret = rule;
    return NEO_OK;
}
