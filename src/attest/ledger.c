/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/ledger.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

const char ledger_not_asked_for[] = "not asked for";
const char ledger_not_reached[] = "not reached";

void ledger_init(struct ledger *ledger, const struct check_info *known, unsigned n,
                 struct neo_arena *arena)
{
    assert(n <= LEDGER_MAX);
    *ledger = (struct ledger){.arena = arena, .known = known, .n = n, .first_failure = n};
    for (unsigned i = 0; i < n; i++)
        ledger->checks[i] = (struct neo_check){
            .name = known[i].name,
            .result = NEO_CHECK_NOT_APPLICABLE,
            .detail = ledger_not_reached,
        };
}

void ledger_pass(struct ledger *ledger, unsigned check)
{
    ledger->checks[check].result = NEO_CHECK_PASS;
    ledger->checks[check].detail = NULL;
}

void ledger_pass_fresh(struct ledger *ledger, unsigned check, bool by_grace)
{
    ledger_pass(ledger, check);
    if (!by_grace)
        return;
    ledger->by_grace = true;
    ledger->checks[check].detail = "out of date, within the policy's max_stale";
}

void ledger_pass_with(struct ledger *ledger, unsigned check, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ledger_pass(ledger, check);
    ledger->checks[check].detail = neo_arena_string(ledger->arena, neo_text(text));
}

void ledger_skip(struct ledger *ledger, unsigned check, const char *why)
{
    ledger->checks[check].result = NEO_CHECK_NOT_APPLICABLE;
    ledger->checks[check].detail = why;
}

NEO_PRINTF(4, 0)
static void record(struct ledger *ledger, unsigned check, enum neo_attest_reason reason,
                   const char *format, va_list args)
{
    char text[256];

    (void)vsnprintf(text, sizeof(text), format, args);
    ledger->checks[check].result = NEO_CHECK_FAIL;
    ledger->checks[check].detail = neo_arena_string(ledger->arena, neo_text(text));
    if (check < ledger->first_failure) {
        ledger->first_failure = check;
        ledger->reason = reason;
    }
}

bool ledger_fail(struct ledger *ledger, unsigned check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    record(ledger, check, ledger->known[check].reason, format, args);
    va_end(args);
    return false;
}

bool ledger_fail_as(struct ledger *ledger, unsigned check, enum neo_attest_reason reason,
                    const char *format, ...)
{
    va_list args;

    va_start(args, format);
    record(ledger, check, reason, format, args);
    va_end(args);
    return false;
}

/* --- judgements that all families make -------------------------------------------------------- */

static bool contains(struct attest_values values, struct neo_bytes wanted)
{
    for (size_t i = 0; i < values.n; i++) {
        if (memcmp(values.at + i * wanted.len, wanted.at, wanted.len) == 0)
            return true;
    }
    return false;
}

void ledger_judge_value(struct ledger *ledger, unsigned check, struct attest_values allowed,
                        const uint8_t *at, size_t len)
{
    char hex[2 * 64 + 1] = "";

    if (allowed.n == 0) {
        ledger_skip(ledger, check, ledger_not_asked_for);
        return;
    }
    if (contains(allowed, neo_bytes(at, len))) {
        ledger_pass(ledger, check);
        return;
    }
    for (size_t i = 0; i < len && i < sizeof(hex) / 2; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", at[i]);
    ledger_fail(ledger, check, "%s is not among the allowed", hex);
}

void ledger_judge_bit(struct ledger *ledger, unsigned check, uint64_t value, uint64_t bit,
                      uint64_t set, uint64_t clear)
{
    if (((set | clear) & bit) == 0)
        ledger_skip(ledger, check, ledger_not_asked_for);
    else if ((set & bit) != 0 && (value & bit) == 0)
        ledger_fail(ledger, check, "is off, and must be on");
    else if ((clear & bit) != 0 && (value & bit) != 0)
        ledger_fail(ledger, check, "is on, and must be off");
    else
        ledger_pass(ledger, check);
}
