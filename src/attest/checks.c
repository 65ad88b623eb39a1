/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/checks.h"

#include <stdarg.h>
#include <stdio.h>

/* clang-format off */
static const struct {
    const char *name;
    enum neo_attest_reason reason;
} known[ATTEST_CHECKS] = {
#define X(name, text, reason) [CHECK_##name] = {text, NEO_ATTEST_##reason},
    ATTEST_CHECKS_BEFORE_RULES(X)
    ATTEST_CHECKS_OF_RULES(X)
    ATTEST_CHECKS_OF_RULES_REST(X)
#undef X
#define X(name, key) [CHECK_POLICY_##name] = {"snp.policy." key, NEO_ATTEST_PLATFORM},
    SNP_POLICY_BITS(X)
#undef X
#define X(name, key) [CHECK_PLATFORM_##name] = {"snp.platform." key, NEO_ATTEST_PLATFORM},
    SNP_PLATFORM_BITS(X)
#undef X
};
/* clang-format on */

void ledger_init(struct ledger *ledger, struct neo_arena *arena)
{
    *ledger = (struct ledger){.arena = arena, .first_failure = ATTEST_CHECKS};
    for (size_t i = 0; i < ATTEST_CHECKS; i++)
        ledger->checks[i] = (struct neo_check){
            .name = known[i].name,
            .result = NEO_CHECK_NOT_APPLICABLE,
            .detail = "not reached",
        };
}

void ledger_pass(struct ledger *ledger, enum attest_check check)
{
    ledger->checks[check].result = NEO_CHECK_PASS;
    ledger->checks[check].detail = NULL;
}

void ledger_skip(struct ledger *ledger, enum attest_check check, const char *why)
{
    ledger->checks[check].result = NEO_CHECK_NOT_APPLICABLE;
    ledger->checks[check].detail = why;
}

NEO_PRINTF(4, 0)
static void record(struct ledger *ledger, enum attest_check check, enum neo_attest_reason reason,
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

bool ledger_fail(struct ledger *ledger, enum attest_check check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    record(ledger, check, known[check].reason, format, args);
    va_end(args);
    return false;
}

bool ledger_fail_as(struct ledger *ledger, enum attest_check check, enum neo_attest_reason reason,
                    const char *format, ...)
{
    va_list args;

    va_start(args, format);
    record(ledger, check, reason, format, args);
    va_end(args);
    return false;
}
