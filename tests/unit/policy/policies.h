/* SPDX-License-Identifier: Apache-2.0 */
/* policies.h - what the tests of this layer share. */
#ifndef NEO_TESTS_POLICIES_H
#define NEO_TESTS_POLICIES_H

#include "../unit.h"

#include <neo/memory.h>
#include <neo/policy.h>

/* The seed's example, word for word. */
static const char seed_policy[] = "service: \"automation-service\"\n"
                                  "allowed_calls:\n"
                                  "  - target_service: \"function-service\"\n"
                                  "    operations: [\"ExecuteFunction\", \"GetFunction\"]\n"
                                  "  - target_service: \"gas-bank-service\"\n"
                                  "    operations: [\"RequestGas\", \"CheckBalance\"]\n"
                                  "  - target_service: \"key-service\"\n"
                                  "    operations: [\"Sign\"]\n"
                                  "  - target_service: \"price-feed-service\"\n"
                                  "    operations: [\"GetPrice\", \"SubscribePriceUpdates\"]\n";

static inline struct neo_document document(const char *name, const char *text)
{
    return (struct neo_document){neo_text(name), neo_text(text)};
}

/* Compiles one file that must be valid. */
static inline struct neo_policy *compile(const char *text)
{
    struct neo_document d = document("p.yaml", text);
    struct neo_policy *policy = NULL;
    struct neo_error err = {0};

    if (neo_policy_compile(&d, 1, &policy, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policy;
}

/* Compiles one file that must be refused, with that message. */
static inline void assert_refused(const char *text, const char *message)
{
    struct neo_document d = document("p.yaml", text);
    struct neo_policy *policy = NULL;
    struct neo_error err = {0};

    assert_int_not_equal(neo_policy_compile(&d, 1, &policy, &err), NEO_OK);
    assert_null(policy);
    assert_string_equal(err.message, message);
}

static inline struct neo_policy_question question(const char *caller, const char *target,
                                                  const char *service, const char *method)
{
    return (struct neo_policy_question){
        .caller = neo_text(caller),
        .target = neo_text(target),
        .service = neo_text(service),
        .method = neo_text(method),
    };
}

static inline enum neo_verdict ask(const struct neo_policy *policy, const char *caller,
                                   const char *target, const char *method)
{
    struct neo_policy_question q = question(caller, target, "pkg.Service", method);

    return neo_policy_decide(policy, &q).verdict;
}

#endif
