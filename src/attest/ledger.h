/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/ledger.h - every check that evidence must pass, by name and in order.
 *
 * Each family of evidence has its own list; all begin with the same two. An
 * appraisal shows the whole list: what was not reached or not asked for says so.
 * The reason of a refusal is that of the first failure in its order.
 */
#ifndef NEO_ATTEST_LEDGER_H
#define NEO_ATTEST_LEDGER_H

#include <neo/attest.h>

/* What a check speaks for in the trustworthiness vector of AR4SI; see ear.c. */
enum check_claim {
    CLAIM_NONE,
    CLAIM_INSTANCE,
    CLAIM_CONFIGURATION,
    CLAIM_EXECUTABLES,
    CLAIM_HARDWARE,
};

struct check_info {
    const char *name;
    enum neo_attest_reason reason; /* of a failure, unless the check knows better */
    enum check_claim claim;
};

/* The first of every list: name, text, reason, claim. */
#define COMMON_CHECKS(X)                                                                           \
    X(SERVICE, "policy.service", POLICY_MISSING, NONE)                                             \
    X(KIND, "evidence.kind", UNSUPPORTED, NONE)                                                    \
    X(ROLLOUT, "policy.rollout", MEASUREMENT, EXECUTABLES)
enum {
#define X(name, text, reason, claim) CHECK_##name,
    COMMON_CHECKS(X)
#undef X
        COMMON_CHECKS_N,
};

/* A row of a family's `checks`. */
#define CHECK_ROW(name, text, reason, claim)                                                       \
    [CHECK_##name] = {text, NEO_ATTEST_##reason, CLAIM_##claim},

enum { LEDGER_MAX = 96 };

struct ledger {
    struct neo_arena *arena;
    const struct check_info *known;
    unsigned n;
    struct neo_check checks[LEDGER_MAX];
    enum neo_attest_reason reason; /* of the first failure; NONE so far */
    unsigned first_failure;        /* `n`: none */
    bool by_grace;                 /* collateral that is out of date was good enough */
};

/* Borrows `known`, which has at most LEDGER_MAX rows. */
void ledger_init(struct ledger *ledger, const struct check_info *known, unsigned n,
                 struct neo_arena *arena);
void ledger_pass(struct ledger *ledger, unsigned check);
/* Passes; `by_grace`: only because the policy allows stale collateral for a while, which it says.
 */
void ledger_pass_fresh(struct ledger *ledger, unsigned check, bool by_grace);
/* Passed, and what was found: one sentence. */
NEO_PRINTF(3, 4)
void ledger_pass_with(struct ledger *ledger, unsigned check, const char *format, ...);
/* `why` is static. */
void ledger_skip(struct ledger *ledger, unsigned check, const char *why);
/* False, for `return ledger_fail(...)`. */
NEO_PRINTF(3, 4)
bool ledger_fail(struct ledger *ledger, unsigned check, const char *format, ...);
NEO_PRINTF(4, 5)
bool ledger_fail_as(struct ledger *ledger, unsigned check, enum neo_attest_reason reason,
                    const char *format, ...);
static inline bool ledger_holds(const struct ledger *ledger)
{
    return ledger->first_failure == ledger->n;
}

/* `n` values of one known length, one behind the other. None: not asked for. */
struct attest_values {
    const uint8_t *at;
    size_t n;
};
/* Passes when `at` is one of `allowed`; skips when nothing is asked for. */
void ledger_judge_value(struct ledger *ledger, unsigned check, struct attest_values allowed,
                        const uint8_t *at, size_t len);
/* A bit that a rule wants set, clear, or leaves open. */
void ledger_judge_bit(struct ledger *ledger, unsigned check, uint64_t value, uint64_t bit,
                      uint64_t set, uint64_t clear);

extern const char ledger_not_asked_for[], ledger_not_reached[];

#endif
