/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a policy and as limits. What loads must decide: the unknown and the
 * nameless are denied whatever the text says, unless it speaks of them.
 */
#include <neo/limits.h>
#include <neo/policy.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

static void ask(const struct neo_policy *policy)
{
    static const char *const names[] = {"a", "b", "anonymous", "automation-service",
                                        "",  "*", "A",         "key-service"};
    static const char *const methods[] = {"Sign", "Get", "", "GetFunction", "*"};

    for (size_t i = 0; i < NEO_COUNT(names); i++)
        for (size_t k = 0; k < NEO_COUNT(names); k++)
            for (size_t m = 0; m < NEO_COUNT(methods); m++) {
                struct neo_policy_question q = {
                    .caller = neo_text(names[i]),
                    .target = neo_text(names[k]),
                    .service = NEO_LIT("p.S"),
                    .method = neo_text(methods[m]),
                    .attested = m % 2 == 0,
                };
                struct neo_policy_answer answer = neo_policy_decide(policy, &q);
                must(answer.reason != NULL);
                must(answer.verdict != NEO_ALLOW || answer.rule.file != NULL);
                must((i != 4 && i != 5 && i != 6) || answer.verdict == NEO_DENY);
                (void)neo_policy_wants_attestation(policy, q.caller, q.target);
            }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_document document = {NEO_LIT("f"), neo_bytes(data, size)};
    struct neo_policy *policy = NULL;
    struct neo_limits *limits = NULL;
    struct neo_buffer lint = {0};
    struct neo_error err = {0};

    if (neo_policy_compile(&document, 1, &policy, &err) == NEO_OK) {
        ask(policy);
        neo_policy_lint(policy, &lint);
        neo_buffer_fini(&lint);
        neo_policy_unref(policy);
    } else {
        must(policy == NULL && neo_bytes_starts(neo_text(err.message), NEO_LIT("f:")));
    }
    if (neo_limits_compile(&document, 1, &limits, &err) == NEO_OK) {
        struct neo_limit_keys keys =
            neo_limits_keys(limits, NEO_LIT("a"), NEO_LIT("p.S"), NEO_LIT("Sign"));
        for (neo_nsec now = 1; now < 4; now++)
            must(neo_limits_take(limits, keys, now).wait < UINT64_C(1) << 62);
        neo_limits_unref(limits);
    }
    return 0;
}
