/* SPDX-License-Identifier: Apache-2.0 */
#include "policies.h"

#include <pthread.h>
#include <stdio.h>

static void assert_rule_line(struct neo_place place, unsigned line)
{
    assert_int_equal(place.line, line);
    if (line == 0)
        assert_null(place.file);
    else
        assert_string_equal(place.file, "p.yaml");
}

static struct neo_policy_answer answer(const struct neo_policy *policy, const char *caller,
                                       const char *target, const char *method)
{
    struct neo_policy_question q = question(caller, target, "pkg.Service", method);

    return neo_policy_decide(policy, &q);
}

/* spec: Authorization Policy. The seed's document loads unchanged and means what it says. */
TEST(the_seeds_document_allows_what_it_lists_and_nothing_else)
{
    struct neo_policy *policy = compile(seed_policy);

    assert_int_equal(ask(policy, "automation-service", "function-service", "ExecuteFunction"),
                     NEO_ALLOW);
    assert_int_equal(ask(policy, "automation-service", "function-service", "GetFunction"),
                     NEO_ALLOW);
    assert_int_equal(
        ask(policy, "automation-service", "price-feed-service", "SubscribePriceUpdates"),
        NEO_ALLOW);
    assert_int_equal(ask(policy, "automation-service", "function-service", "CreateFunction"),
                     NEO_DENY);
    assert_int_equal(ask(policy, "automation-service", "key-service", "ExecuteFunction"), NEO_DENY);
    assert_int_equal(ask(policy, "function-service", "automation-service", "ExecuteFunction"),
                     NEO_DENY);
    assert_int_equal(ask(policy, "price-feed-service", "function-service", "ExecuteFunction"),
                     NEO_DENY);
    neo_policy_unref(policy);
}

TEST(no_documents_deny_everything)
{
    struct neo_policy *policy = NULL;

    assert_int_equal(neo_policy_compile(NULL, 0, &policy, NULL), NEO_OK);
    struct neo_policy_answer a = answer(policy, "a", "b", "M");
    assert_int_equal(a.verdict, NEO_DENY);
    assert_string_equal(a.reason, "no rule allows it");
    assert_rule_line(a.rule, 0);
    assert_rule_line(a.nearest, 0);
    neo_policy_unref(policy);
}

/* reliability P01 */
TEST(ambiguous_files_are_refused_with_their_place)
{
    assert_refused("", "p.yaml:1:1: the file holds nothing; write a document or remove it");
    assert_refused("service: a\nalowed_calls: []\n",
                   "p.yaml:2:1: unknown key \"alowed_calls\"; did you mean \"allowed_calls\"?");
    assert_refused("service: a\nallowed_calls: {}\n",
                   "p.yaml:2:16: \"allowed_calls\" is a mapping; it must be a list; write [ ] "
                   "around it, or each element behind \"- \"");
    assert_refused("service: a\nservice: a\n", "p.yaml:2:1: \"service\" is given twice; keep one");
    assert_refused("service: a\n---\nservice: b\n---\nservice: a\n",
                   "p.yaml:5:1: \"a\" has a document in line 1 already; join them");
    assert_refused("allowed_calls: []\n",
                   "p.yaml:1:1: \"service\" is missing; say whose calls these are");
    assert_refused("service: a\nallowed_calls:\n  - operations: [M]\n",
                   "p.yaml:3:5: \"target_service\" is missing; add it");
    assert_refused("service: a\nallowed_calls:\n  - target_service: b\n",
                   "p.yaml:3:5: \"operations\" is missing; add it");
    assert_refused("service: a\nallowed_calls:\n  - {target_service: b, operations: []}\n",
                   "p.yaml:3:37: the list is empty; name at least one, or remove the key");
    assert_refused("service: a\nmode: log\n",
                   "p.yaml:2:7: \"log\" is neither \"enforce\" nor \"shadow\"");
    assert_refused("service: a\nallowed_calls:\n  - {target_service: b, operations: M}\n",
                   "p.yaml:3:37: \"operations\" is one value; it must be a list; write [ ] around "
                   "it, or each element behind \"- \"");
}

/* reliability P02: what YAML would reinterpret is no name, or exactly the name that was written. */
TEST(yaml_traps_are_text_or_refused)
{
    static const char *const refused[] = {
        "~",      "No",      "1.0",  "a b", "\"\"", "a.b",    "\"a\\0\"", "-1.5e3",      "a_b",
        "\"a \"", "!!str a", "&x a", "*x",  "[a]",  "{a: b}", "|\n  a\n", "na\xc3\xafve"};
    static const char *const taken[] = {"no",   "012",  "1e3",    "null",
                                        "true", "0x1f", "\"no\"", "'a'"};
    static const char *const names[] = {"no", "012", "1e3", "null", "true", "0x1f", "no", "a"};
    char text[128];

    for (size_t i = 0; i < NEO_COUNT(refused); i++) {
        (void)snprintf(text, sizeof(text), "service: %s\n", refused[i]);
        struct neo_document d = document("p.yaml", text);
        struct neo_policy *policy = NULL;
        struct neo_error err = {0};
        assert_int_equal(neo_policy_compile(&d, 1, &policy, &err), NEO_INVALID_ARGUMENT);
        assert_int_equal(strncmp(err.message, "p.yaml:1:", 9), 0);
    }
    for (size_t i = 0; i < NEO_COUNT(taken); i++) {
        (void)snprintf(text, sizeof(text),
                       "service: %s\nallowed_calls: [{target_service: b, operations: [M]}]\n",
                       taken[i]);
        struct neo_policy *policy = compile(text);
        assert_int_equal(ask(policy, names[i], "b", "M"), NEO_ALLOW);
        neo_policy_unref(policy);
    }
}

/* reliability P03 */
TEST(names_match_byte_by_byte)
{
    static const char *const others[] = {
        "automation-service-evil",
        "automation-servic",
        "Automation-Service",
        "automationservice",
        "automation-service.",
        "automation-service ",
        " automation-service",
        "automation_service",
        "",
        "*",
    };
    struct neo_policy *policy = compile(seed_policy);
    struct neo_policy_question q =
        question("automation-service", "function-service", "p.S", "ExecuteFunction");

    for (size_t i = 0; i < NEO_COUNT(others); i++)
        assert_int_equal(ask(policy, others[i], "function-service", "ExecuteFunction"), NEO_DENY);
    q.caller = NEO_LIT("automation-service\0");
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
    q.caller = NEO_LIT("automation-service");
    q.target = NEO_LIT("function-service\0");
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
    q.target = NEO_LIT("function-service");
    q.method = NEO_LIT("ExecuteFunction\0");
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
    assert_int_equal(ask(policy, "automation-service", "function-service", "executefunction"),
                     NEO_DENY);
    assert_int_equal(ask(policy, "automation-service", "function-service", "Execute"), NEO_DENY);
    assert_int_equal(ask(policy, "automation-service", "function-service", "*"), NEO_DENY);
    neo_policy_unref(policy);
}

TEST(an_invalid_caller_is_nobody_even_where_everyone_may)
{
    struct neo_policy *policy =
        compile("service: \"*\"\nmode: shadow\n"
                "allowed_calls: [{target_service: \"*\", operations: [\"*\"]}]\n");

    assert_int_equal(ask(policy, "a", "b", "M"), NEO_ALLOW);
    assert_int_equal(ask(policy, "", "b", "M"), NEO_DENY);
    assert_int_equal(ask(policy, "A", "b", "M"), NEO_DENY);
    assert_string_equal(answer(policy, "*", "b", "M").reason, "caller has no identity");
    neo_policy_unref(policy);
}

TEST(operations_match_in_all_their_forms)
{
    static const struct {
        const char *operation, *service, *method;
        enum neo_verdict want;
    } cases[] = {
        {"Sign", "a.Keys", "Sign", NEO_ALLOW},
        {"Sign", "", "Sign", NEO_ALLOW},
        {"Sign", "a.Keys", "Signs", NEO_DENY},
        {"Sign", "a.Keys", "Sig", NEO_DENY},
        {"a.Keys/Sign", "a.Keys", "Sign", NEO_ALLOW},
        {"a.Keys/Sign", "b.Keys", "Sign", NEO_DENY},
        {"a.Keys/Sign", "", "Sign", NEO_DENY},
        {"a.Keys/Sign", "a.Key", "sSign", NEO_DENY},
        {"Ex*", "a.Keys", "Export", NEO_ALLOW},
        {"Ex*", "a.Keys", "Ex", NEO_ALLOW},
        {"Ex*", "a.Keys", "E", NEO_DENY},
        {"Ex*", "a.Keys", "export", NEO_DENY},
        {"a.Keys/Ex*", "a.Keys", "Export", NEO_ALLOW},
        {"a.Keys/Ex*", "b.Keys", "Export", NEO_DENY},
        {"a.Keys/*", "a.Keys", "Anything", NEO_ALLOW},
        {"a.Keys/*", "a.KeysX", "Anything", NEO_DENY},
        {"*", "x.Y", "Z", NEO_ALLOW},
    };
    char text[256];

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        (void)snprintf(text, sizeof(text),
                       "service: c\nallowed_calls: [{target_service: t, operations: [\"%s\"]}]\n",
                       cases[i].operation);
        struct neo_policy *policy = compile(text);
        struct neo_policy_question q = question("c", "t", cases[i].service, cases[i].method);
        assert_int_equal(neo_policy_decide(policy, &q).verdict, cases[i].want);
        neo_policy_unref(policy);
    }
}

TEST(operations_outside_the_grammar_are_refused)
{
    static const char *const bad[] = {
        "",      "/Sign", "a.Keys/", "//Sign", "/a.Keys/Sign", "a.Keys//Sign", "a.Keys/Sign/",
        "*Sign", "S*n",   "Sign**",  "*/Sign", "a.*/Sign",     "a/b/c",        "1Sign",
        "Si-gn", "Si.gn", "Sign ",   " Sign",  "S\\u00e9",     ".a/Sign",      "a.Keys/1",
    };
    char text[256];

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        (void)snprintf(text, sizeof(text),
                       "service: c\nallowed_calls: [{target_service: t, operations: [\"%s\"]}]\n",
                       bad[i]);
        struct neo_document d = document("p.yaml", text);
        struct neo_policy *policy = NULL;
        assert_int_equal(neo_policy_compile(&d, 1, &policy, NULL), NEO_INVALID_ARGUMENT);
    }
}

TEST(a_denial_wins_whatever_the_order_and_the_file)
{
    static const char allow[] =
        "service: c\nallowed_calls: [{target_service: t, operations: [\"*\"]}]\n";
    static const char deny[] =
        "service: c\ndenied_calls: [{target_service: t, operations: [\"Export*\"]}]\n";

    for (int order = 0; order < 2; order++) {
        struct neo_document files[] = {
            document("1.yaml", order == 0 ? allow : deny),
            document("2.yaml", order == 0 ? deny : allow),
        };
        struct neo_policy *policy = NULL;
        assert_int_equal(neo_policy_compile(files, 2, &policy, NULL), NEO_OK);
        assert_int_equal(ask(policy, "c", "t", "Sign"), NEO_ALLOW);
        struct neo_policy_answer a = answer(policy, "c", "t", "ExportKey");
        assert_int_equal(a.verdict, NEO_DENY);
        assert_string_equal(a.reason, "denied by rule");
        assert_string_equal(a.rule.file, order == 0 ? "2.yaml" : "1.yaml");
        assert_int_equal(a.rule.line, 2);
        neo_policy_unref(policy);
    }
}

TEST(rules_of_several_files_add_up)
{
    struct neo_document files[] = {
        document("1.yaml", "service: c\nallowed_calls: [{target_service: t, operations: [A]}]\n"),
        document("2.yaml", "service: d\n---\nservice: c\nallowed_calls:\n"
                           "  - {target_service: t, operations: [B]}\n"
                           "  - {target_service: u, operations: [A]}\n"),
    };
    struct neo_policy *policy = NULL;

    assert_int_equal(neo_policy_compile(files, 2, &policy, NULL), NEO_OK);
    assert_int_equal(ask(policy, "c", "t", "A"), NEO_ALLOW);
    assert_int_equal(ask(policy, "c", "t", "B"), NEO_ALLOW);
    assert_int_equal(ask(policy, "c", "u", "A"), NEO_ALLOW);
    assert_int_equal(ask(policy, "c", "u", "B"), NEO_DENY);
    neo_policy_unref(policy);
}

TEST(everyone_is_every_authenticated_service_and_never_anonymous)
{
    struct neo_policy *policy =
        compile("service: \"*\"\nallowed_calls: [{target_service: t, operations: [Check]}]\n---\n"
                "service: c\ndenied_calls: [{target_service: t, operations: [Check]}]\n");

    assert_int_equal(ask(policy, "a", "t", "Check"), NEO_ALLOW);
    assert_int_equal(ask(policy, "c", "t", "Check"), NEO_DENY);
    assert_int_equal(ask(policy, "anonymous", "t", "Check"), NEO_DENY);
    assert_int_equal(ask(policy, "a", "u", "Check"), NEO_DENY);
    neo_policy_unref(policy);
}

TEST(anonymous_is_allowed_only_what_is_written_for_it)
{
    struct neo_policy *policy =
        compile("service: anonymous\nallowed_calls: [{target_service: ca, operations: [Sign]}]\n");

    assert_int_equal(ask(policy, "anonymous", "ca", "Sign"), NEO_ALLOW);
    assert_int_equal(ask(policy, "anonymous", "ca", "Renew"), NEO_DENY);
    assert_int_equal(ask(policy, "a", "ca", "Sign"), NEO_DENY);
    neo_policy_unref(policy);
    assert_refused("service: anonymous\nmode: shadow\n",
                   "p.yaml:1:1: \"anonymous\" has no \"mode: shadow\"; it would let everybody in");
    assert_refused("service: a\nallowed_calls: [{target_service: anonymous, operations: [M]}]\n",
                   "p.yaml:2:34: \"anonymous\" is no service to call; write 1 to 63 of a-z 0-9 -, "
                   "or \"*\" for every service");
}

TEST(a_denial_for_everyone_binds_everyone)
{
    struct neo_policy *policy = compile(
        "service: \"*\"\ndenied_calls: [{target_service: \"*\", operations: [Reset]}]\n---\n"
        "service: c\nallowed_calls: [{target_service: t, operations: [\"*\"]}]\n");

    assert_int_equal(ask(policy, "c", "t", "Get"), NEO_ALLOW);
    assert_int_equal(ask(policy, "c", "t", "Reset"), NEO_DENY);
    neo_policy_unref(policy);
}

TEST(a_service_has_the_rules_of_its_roles)
{
    struct neo_policy *policy =
        compile("service: c\nroles: [ghost, scheduler, auditor]\n---\n"
                "role: auditor\nallowed_calls: [{target_service: t, operations: [Read]}]\n---\n"
                "role: scheduler\n"
                "allowed_calls: [{target_service: t, operations: [Run]}]\n"
                "denied_calls: [{target_service: t, operations: [Stop]}]\n---\n"
                "service: d\nallowed_calls: [{target_service: t, operations: [Stop]}]\n---\n"
                "service: scheduler\n");

    assert_int_equal(ask(policy, "c", "t", "Run"), NEO_ALLOW);
    assert_int_equal(ask(policy, "c", "t", "Read"), NEO_ALLOW);
    assert_int_equal(ask(policy, "c", "t", "Stop"), NEO_DENY);
    assert_int_equal(ask(policy, "d", "t", "Run"), NEO_DENY);
    assert_int_equal(ask(policy, "d", "t", "Stop"), NEO_ALLOW);
    assert_int_equal(ask(policy, "scheduler", "t", "Run"), NEO_DENY);
    neo_policy_unref(policy);
}

TEST(roles_are_refused_where_they_mean_nothing)
{
    assert_refused("service: a\nrole: b\n",
                   "p.yaml:1:1: a document is of a service or of a role; split it in two");
    assert_refused("role: b\nroles: [c]\n", "p.yaml:1:1: a role has no \"mode\" and no \"roles\"; "
                                            "move them to its services");
    assert_refused(
        "role: b\nmode: shadow\n",
        "p.yaml:1:1: a role has no \"mode\" and no \"roles\"; move them to its services");
    assert_refused("service: \"*\"\nroles: [c]\n",
                   "p.yaml:1:1: \"*\" has no \"roles\"; write the rules here");
    assert_refused("service: a\nroles: [b, c, b]\n",
                   "p.yaml:2:15: role \"b\" is given twice; keep one");
    assert_refused(
        "service: a\nroles: [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, ra, rb, rc, rd, re, "
        "rf, rg]\n",
        "p.yaml:2:73: 17 roles; at most 16 for one service");
}

struct pair {
    const char *key, *value;
};

static struct neo_bytes lookup(const void *self, struct neo_bytes key)
{
    for (const struct pair *p = self; p->key != NULL; p++)
        if (neo_bytes_is(key, p->key))
            return neo_text(p->value);
    return (struct neo_bytes){0};
}

TEST(every_condition_must_hold)
{
    struct neo_policy *policy =
        compile("service: c\n"
                "allowed_calls:\n"
                "  - target_service: t\n"
                "    operations: [Sign]\n"
                "    when:\n"
                "      attested: true\n"
                "      hours: \"08:00-18:00\"\n"
                "      metadata: {x-tenant: [\"a\", \"b\"], x-env: [prod]}\n"
                "      on_behalf_of: [api-service]\n");
    const struct pair good[] = {{"x-tenant", "b"}, {"x-env", "prod"}, {NULL, NULL}};
    const struct pair other[] = {{"x-tenant", "c"}, {"x-env", "prod"}, {NULL, NULL}};
    const struct pair missing[] = {{"x-tenant", "b"}, {NULL, NULL}};
    const struct neo_policy_question whole = {
        .caller = NEO_LIT("c"),
        .target = NEO_LIT("t"),
        .method = NEO_LIT("Sign"),
        .attested = true,
        .wall = 9 * 3600,
        .metadata = lookup,
        .metadata_self = good,
        .on_behalf_of = NEO_LIT("api-service"),
    };
    struct neo_policy_question q = whole;

    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_ALLOW);
    q.attested = false;
    struct neo_policy_answer a = neo_policy_decide(policy, &q);
    assert_int_equal(a.verdict, NEO_DENY);
    assert_string_equal(a.reason, "condition does not hold: attested");
    assert_rule_line(a.rule, 4);
    assert_rule_line(a.nearest, 4);
    q = whole;
    q.wall = 18 * 3600;
    assert_string_equal(neo_policy_decide(policy, &q).reason, "condition does not hold: hours");
    q = whole;
    q.metadata_self = other;
    assert_string_equal(neo_policy_decide(policy, &q).reason, "condition does not hold: metadata");
    q.metadata_self = missing;
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
    q.metadata = NULL;
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
    q = whole;
    q.on_behalf_of = NEO_LIT("other");
    assert_string_equal(neo_policy_decide(policy, &q).reason,
                        "condition does not hold: on_behalf_of");
    q.on_behalf_of = NEO_LIT("");
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
    neo_policy_unref(policy);
}

#define SOME_CODE "4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d"

TEST(what_the_caller_runs_is_a_condition_that_asks_for_proof)
{
    struct neo_policy *policy =
        compile("service: c\n"
                "allowed_calls:\n"
                "  - target_service: t\n"
                "    operations: [Sign]\n"
                "    when: {tee: [tdx, sev-snp], measurement: [" SOME_CODE "]}\n"
                "tests:\n"
                "  - {from: c, to: t, method: Sign, attested: true, tee: tdx, measurement: "
                "\"" SOME_CODE "\", expect: allow}\n"
                "  - {from: c, to: t, method: Sign, attested: true, tee: tdx, expect: deny}\n");
    struct neo_policy_question q = question("c", "t", "", "Sign");

    assert_true(neo_policy_wants_attestation(policy, NEO_LIT("c"), NEO_LIT("t")));
    q.tee = NEO_LIT("sev-snp"); /* said, and not proven */
    q.measurement = NEO_LIT(SOME_CODE);
    assert_string_equal(neo_policy_decide(policy, &q).reason, "condition does not hold: attested");
    q.attested = true;
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_ALLOW);
    assert_true(neo_policy_decide(policy, &q).conditional);
    q.tee = NEO_LIT("nitro");
    assert_string_equal(neo_policy_decide(policy, &q).reason, "condition does not hold: tee");
    q.tee = NEO_LIT("tdx");
    q.measurement = NEO_LIT("4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4e");
    assert_string_equal(neo_policy_decide(policy, &q).reason,
                        "condition does not hold: measurement");
    q.measurement = (struct neo_bytes){0};
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
    q.any_code = true; /* what attesting could bring */
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_ALLOW);
    neo_policy_unref(policy);
}

TEST(a_condition_on_code_that_protects_nothing_or_is_mistyped_does_not_load)
{
#define ALLOWED "service: c\nallowed_calls:\n  - target_service: t\n    operations: [M]\n"
    assert_refused(ALLOWED "    when: {tee: [sev]}\n",
                   "p.yaml:5:18: \"sev\" is no tee that is known");
    assert_refused(ALLOWED "    when: {measurement: [4D]}\n",
                   "p.yaml:5:26: \"4D\" is no measurement; write its bytes as hex digits 0-9 a-f");
    assert_refused("service: c\ndenied_calls:\n  - target_service: t\n    operations: [M]\n"
                   "    when: {tee: [tdx]}\n",
                   "p.yaml:5:12: a denial by what the caller runs can be dodged by not proving "
                   "it; allow by tee and measurement instead");
#undef ALLOWED
}

TEST(each_condition_counts_alone)
{
    static const char *const conditions[] = {"attested: true", "hours: \"11:00-12:00\"",
                                             "metadata: {x-a_0.z9: [b]}", "on_behalf_of: [api]"};
    const struct pair good[] = {{"x-a_0.z9", "b"}, {NULL, NULL}};
    char text[256];

    for (size_t i = 0; i < NEO_COUNT(conditions); i++) {
        (void)snprintf(text, sizeof(text),
                       "service: c\nallowed_calls: [{target_service: t, operations: [M], when: "
                       "{%s}}]\n",
                       conditions[i]);
        struct neo_policy *policy = compile(text);
        struct neo_policy_question q = question("c", "t", "", "M");
        assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
        q.attested = true;
        q.wall = 11 * 3600;
        q.metadata = lookup;
        q.metadata_self = good;
        q.on_behalf_of = NEO_LIT("api");
        assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_ALLOW);
        neo_policy_unref(policy);
    }
}

TEST(hours_begin_inclusive_end_exclusive_and_may_pass_midnight)
{
    static const struct {
        const char *hours;
        int64_t minute;
        enum neo_verdict want;
    } cases[] = {
        {"08:00-18:00", 479, NEO_DENY},   {"08:00-18:00", 480, NEO_ALLOW},
        {"08:00-18:00", 1079, NEO_ALLOW}, {"08:00-18:00", 1080, NEO_DENY},
        {"22:00-06:00", 1319, NEO_DENY},  {"22:00-06:00", 1320, NEO_ALLOW},
        {"22:00-06:00", 0, NEO_ALLOW},    {"22:00-06:00", 359, NEO_ALLOW},
        {"22:00-06:00", 360, NEO_DENY},   {"00:00-24:00", 0, NEO_ALLOW},
        {"00:00-24:00", 1439, NEO_ALLOW}, {"23:59-24:00", 1439, NEO_ALLOW},
        {"23:59-24:00", 0, NEO_DENY},
    };
    char text[256];

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        (void)snprintf(text, sizeof(text),
                       "service: c\nallowed_calls: [{target_service: t, operations: [M], when: "
                       "{hours: \"%s\"}}]\n",
                       cases[i].hours);
        struct neo_policy *policy = compile(text);
        struct neo_policy_question q = question("c", "t", "", "M");
        for (int64_t day = -1; day <= 20000; day += 6667) {
            q.wall = day * 86400 + cases[i].minute * 60;
            assert_int_equal(neo_policy_decide(policy, &q).verdict, cases[i].want);
            q.wall += 59;
            assert_int_equal(neo_policy_decide(policy, &q).verdict, cases[i].want);
        }
        neo_policy_unref(policy);
    }
}

TEST(conditions_that_cannot_be_meant_are_refused)
{
    static const char *const hours[] = {"8:00-18:00",  "08:00-18:00 ", "08:00",       "24:00-06:00",
                                        "08:60-09:00", "08:00-24:01",  "08:00-08:00", "0800-1800",
                                        "08:00_18:00", "aa:00-18:00",  "08:00-25:00", "1/:00-18:00",
                                        "0::00-18:00"};
    char text[256];

    for (size_t i = 0; i < NEO_COUNT(hours); i++) {
        char message[256];
        (void)snprintf(text, sizeof(text),
                       "service: c\nallowed_calls: [{target_service: t, operations: [M], when: "
                       "{hours: \"%s\"}}]\n",
                       hours[i]);
        (void)snprintf(message, sizeof(message),
                       "p.yaml:2:68: \"%s\" is no span of hours; write \"HH:MM-HH:MM\" in UTC",
                       hours[i]);
        assert_refused(text, message);
    }
    assert_refused("service: c\nallowed_calls:\n  - target_service: t\n    operations: [M]\n"
                   "    when: {attested: false}\n",
                   "p.yaml:5:12: an allowance to unattested callers only protects nothing; write "
                   "\"attested: true\" or remove it");
    assert_refused("service: c\ndenied_calls:\n  - target_service: t\n    operations: [M]\n"
                   "    when: {attested: true}\n",
                   "p.yaml:5:12: a denial to attested callers only protects nothing; write "
                   "\"attested: false\" or remove it");
    assert_refused("service: c\ndenied_calls:\n  - target_service: t\n    operations: [M]\n"
                   "    when: {metadata: {x-a: [b]}}\n",
                   "p.yaml:5:23: a denial by metadata can be dodged by the caller; allow by "
                   "metadata instead");
    assert_refused("service: c\nallowed_calls:\n  - target_service: t\n    operations: [M]\n"
                   "    when: {metadata: {x-a: [c], X-A: [b]}}\n",
                   "p.yaml:5:33: \"X-A\" is no metadata key to decide by; write a-z 0-9 - _ . and "
                   "not -bin");
    assert_refused("service: c\nallowed_calls:\n  - target_service: t\n    operations: [M]\n"
                   "    when: {metadata: {-bin: [b]}}\n",
                   "p.yaml:5:23: \"-bin\" is no metadata key to decide by; write a-z 0-9 - _ . and "
                   "not -bin");
    assert_refused("service: c\nallowed_calls:\n  - target_service: t\n    operations: [M]\n"
                   "    when: {metadata: {Xa: [b]}}\n",
                   "p.yaml:5:23: \"Xa\" is no metadata key to decide by; write a-z 0-9 - _ . and "
                   "not -bin");
    assert_refused("service: c\nallowed_calls:\n  - target_service: t\n    operations: [M]\n"
                   "    when: {metadata: {}}\n",
                   "p.yaml:5:22: the list is empty; name at least one, or remove the key");
}

TEST(a_denial_may_be_for_the_unattested)
{
    struct neo_policy *policy = compile(
        "service: c\nallowed_calls: [{target_service: t, operations: [\"*\"]}]\n"
        "denied_calls: [{target_service: t, operations: [Sign], when: {attested: false}}]\n");
    struct neo_policy_question q = question("c", "t", "", "Sign");

    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_DENY);
    q.attested = true;
    assert_int_equal(neo_policy_decide(policy, &q).verdict, NEO_ALLOW);
    neo_policy_unref(policy);
}

TEST(attestation_is_wanted_where_any_rule_asks_for_it)
{
    struct neo_policy *policy =
        compile("service: c\nroles: [r]\nallowed_calls:\n"
                "  - {target_service: t, operations: [A]}\n"
                "  - {target_service: t, operations: [B], when: {attested: true}}\n"
                "  - {target_service: u, operations: [A], when: {hours: \"00:00-01:00\"}}\n---\n"
                "role: r\nallowed_calls: [{target_service: v, operations: [A], when: {attested: "
                "true}}]\n---\nservice: \"*\"\n"
                "denied_calls: [{target_service: w, operations: [A], when: {attested: false}}]\n");

    assert_true(neo_policy_wants_attestation(policy, NEO_LIT("c"), NEO_LIT("t")));
    assert_false(neo_policy_wants_attestation(policy, NEO_LIT("c"), NEO_LIT("u")));
    assert_true(neo_policy_wants_attestation(policy, NEO_LIT("c"), NEO_LIT("v")));
    assert_true(neo_policy_wants_attestation(policy, NEO_LIT("c"), NEO_LIT("w")));
    assert_false(neo_policy_wants_attestation(policy, NEO_LIT("d"), NEO_LIT("t")));
    assert_false(neo_policy_wants_attestation(policy, NEO_LIT("anonymous"), NEO_LIT("w")));
    neo_policy_unref(policy);
}

TEST(shadow_lets_through_and_says_what_it_would_have_denied)
{
    struct neo_policy *policy =
        compile("service: c\nmode: shadow\n"
                "allowed_calls: [{target_service: t, operations: [A]}]\n"
                "denied_calls: [{target_service: t, operations: [B]}]\n---\n"
                "service: d\nmode: enforce\n");

    assert_int_equal(ask(policy, "c", "t", "A"), NEO_ALLOW);
    assert_int_equal(ask(policy, "c", "t", "B"), NEO_SHADOW_DENY);
    struct neo_policy_answer a = answer(policy, "c", "t", "C");
    assert_int_equal(a.verdict, NEO_SHADOW_DENY);
    assert_string_equal(a.reason, "no rule allows it");
    assert_int_equal(ask(policy, "d", "t", "A"), NEO_DENY);
    assert_int_equal(ask(policy, "x", "t", "A"), NEO_DENY);
    neo_policy_unref(policy);
}

TEST(files_that_disagree_about_the_mode_are_refused)
{
    struct neo_document files[] = {document("1.yaml", "service: c\n"),
                                   document("2.yaml", "service: c\nmode: shadow\n")};
    struct neo_policy *policy = NULL;
    struct neo_error err;

    assert_int_equal(neo_policy_compile(files, 2, &policy, &err), NEO_INVALID_ARGUMENT);
    assert_string_equal(
        err.message, "2.yaml:1:1: mode is shadow here, but not in 1.yaml:1; say the same in both");
}

TEST(a_default_denial_names_the_document_and_the_nearest_rule)
{
    struct neo_policy *policy = compile("service: c\n"
                                        "allowed_calls:\n"
                                        "  - target_service: t\n"
                                        "    operations:\n"
                                        "      - GetFunction\n"
                                        "      - SetFunction\n"
                                        "---\n"
                                        "service: d\n"
                                        "allowed_calls:\n"
                                        "  - target_service: u\n"
                                        "    operations: [Sign]\n"
                                        "---\n"
                                        "service: e\n");

    /* The same caller and target: the method that begins most alike. */
    struct neo_policy_answer a = answer(policy, "c", "t", "GetFunctions");
    assert_string_equal(a.reason, "no rule allows it");
    assert_rule_line(a.rule, 1);
    assert_rule_line(a.nearest, 5);
    assert_rule_line(answer(policy, "c", "t", "GetFunc").nearest, 5);
    assert_rule_line(answer(policy, "c", "t", "SetFunctio").nearest, 6);
    assert_rule_line(answer(policy, "c", "t", "Z").nearest, 6);
    assert_rule_line(answer(policy, "c", "t", "A").nearest, 5);
    /* The same caller. */
    a = answer(policy, "d", "t", "Sign");
    assert_rule_line(a.rule, 8);
    assert_rule_line(a.nearest, 11);
    /* The same target and method for another caller. */
    a = answer(policy, "e", "u", "Sign");
    assert_rule_line(a.rule, 13);
    assert_rule_line(a.nearest, 11);
    assert_rule_line(answer(policy, "stranger", "u", "Sign").nearest, 11);
    /* Nothing at all. */
    a = answer(policy, "stranger", "u", "Other");
    assert_rule_line(a.rule, 0);
    assert_rule_line(a.nearest, 0);
    neo_policy_unref(policy);
}

TEST(the_nearest_rule_is_sought_in_all_that_applies)
{
    struct neo_policy *policy = compile("service: c\n"                     /* 1 */
                                        "roles: [r]\n"                     /* 2 */
                                        "allowed_calls:\n"                 /* 3 */
                                        "  - target_service: t\n"          /* 4 */
                                        "    operations:\n"                /* 5 */
                                        "      - GetFab\n"                 /* 6 */
                                        "      - GetFxy\n"                 /* 7 */
                                        "  - target_service: u\n"          /* 8 */
                                        "    operations: [\"Export*\"]\n"  /* 9 */
                                        "denied_calls:\n"                  /* 10 */
                                        "  - target_service: u\n"          /* 11 */
                                        "    operations: [\"A*\", GetX]\n" /* 12 */
                                        "---\n"                            /* 13 */
                                        "role: r\n"                        /* 14 */
                                        "allowed_calls:\n"                 /* 15 */
                                        "  - target_service: v\n"          /* 16 */
                                        "    operations: [Run]\n"          /* 17 */
                                        "---\n"                            /* 18 */
                                        "service: d\n"                     /* 19 */
                                        "allowed_calls:\n"                 /* 20 */
                                        "  - target_service: w\n"          /* 21 */
                                        "    operations: [One]\n"          /* 22 */
                                        "---\n"                            /* 23 */
                                        "service: e\n"                     /* 24 */
                                        "allowed_calls:\n"                 /* 25 */
                                        "  - target_service: w\n"          /* 26 */
                                        "    operations: [Two]\n"          /* 27 */
                                        "    when: {attested: true}\n");   /* 28 */

    /* Between two names: the one that begins more alike. */
    assert_rule_line(answer(policy, "c", "t", "GetFxa").nearest, 7);
    assert_rule_line(answer(policy, "c", "t", "GetFb").nearest, 6);
    /* Only prefixes allow here; a denial is never what comes near. */
    assert_rule_line(answer(policy, "c", "u", "Sign").nearest, 9);
    assert_rule_line(answer(policy, "c", "u", "GetXY").nearest, 9);
    /* A rule of its role. */
    assert_rule_line(answer(policy, "c", "v", "Stop").nearest, 17);
    /* The second of two others, even when it has a condition. */
    assert_rule_line(answer(policy, "stranger", "w", "One").nearest, 22);
    assert_rule_line(answer(policy, "stranger", "w", "Two").nearest, 27);
    neo_policy_unref(policy);
}

TEST(an_allowance_names_its_rule)
{
    struct neo_policy *policy = compile(seed_policy);
    struct neo_policy_answer a =
        answer(policy, "automation-service", "gas-bank-service", "CheckBalance");

    assert_int_equal(a.verdict, NEO_ALLOW);
    assert_string_equal(a.reason, "allowed by rule");
    assert_rule_line(a.rule, 6);
    assert_int_equal(a.rule.column, 32);
    neo_policy_unref(policy);
}

TEST(other_kinds_of_document_are_passed_over_and_mixtures_refused)
{
    struct neo_policy *policy =
        compile("rate_limits:\n  global: {anything: [here]}\n---\nservice: c\n"
                "allowed_calls: [{target_service: t, operations: [A]}]\n---\n"
                "attestation_policies: {x: y}\n---\nservice_config: []\n");

    assert_int_equal(ask(policy, "c", "t", "A"), NEO_ALLOW);
    neo_policy_unref(policy);
    assert_refused("service: c\nrate_limits: {}\n",
                   "p.yaml:2:1: this key is of another kind of document; put \"---\" between the "
                   "two");
    assert_refused("rate_limits: {}\nallowed_calls: []\n",
                   "p.yaml:1:1: this key is of another kind of document; put \"---\" between the "
                   "two");
    assert_refused("services: []\n",
                   "p.yaml:1:1: unknown key \"services\"; did you mean \"service\"?");
    assert_refused("kind: Deployment\n", "p.yaml:1:1: unknown key \"kind\"; remove it");
}

TEST(a_policy_whose_tests_fail_does_not_load)
{
    static const char rules[] = "service: c\n"
                                "allowed_calls:\n"
                                "  - target_service: t\n"
                                "    operations: [Sign]\n"
                                "    when: {attested: true, hours: \"08:00-18:00\", metadata: "
                                "{x-a: [b]}, on_behalf_of: [api]}\n"
                                "tests:\n";
    static const struct {
        const char *test;
        bool passes;
    } cases[] = {
        {"{from: c, to: t, method: Sign, attested: true, at: \"09:00\", metadata: {x-a: b}, "
         "on_behalf_of: api, expect: allow}",
         true},
        {"{from: c, to: t, method: x.Y/Sign, attested: true, metadata: {x-a: b}, on_behalf_of: "
         "api, expect: allow}",
         true},
        {"{from: c, to: t, method: Sign, expect: deny}", true},
        {"{from: c, to: t, method: Sign, attested: true, at: \"07:59\", metadata: {x-a: b}, "
         "on_behalf_of: api, expect: allow}",
         false},
        {"{from: c, to: t, method: Sign, attested: true, metadata: {x-a: c}, on_behalf_of: api, "
         "expect: allow}",
         false},
        {"{from: c, to: t, method: Sign, attested: true, metadata: {x-a: b}, expect: allow}",
         false},
        {"{from: c, to: t, method: Sign, attested: true, metadata: {x-a: b}, on_behalf_of: api, "
         "expect: deny}",
         false},
    };
    char text[512];

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        (void)snprintf(text, sizeof(text), "%s  - %s\n", rules, cases[i].test);
        struct neo_document d = document("p.yaml", text);
        struct neo_policy *policy = NULL;
        enum neo_code code = neo_policy_compile(&d, 1, &policy, NULL);
        assert_int_equal(code, cases[i].passes ? NEO_OK : NEO_FAILED_PRECONDITION);
        neo_policy_unref(policy);
    }
}

TEST(a_test_that_fails_or_is_none_is_named_with_its_place)
{
    assert_refused("service: c\ntests:\n  - {from: c, to: t, method: M, expect: allow}\n",
                   "p.yaml:3:5: test failed: c to t M is denied (no rule allows it, line 1 of "
                   "p.yaml)");
    assert_refused("service: c\ntests:\n  - {from: c, to: t, method: \"M*\", expect: allow}\n",
                   "p.yaml:3:30: \"M*\" is no method; write Method or package.Service/Method");
    assert_refused("service: c\ntests:\n  - {from: c, to: t, method: M, expect: deny}\n"
                   "  - {from: d, to: t, method: p.S/M, expect: allow}\n",
                   "p.yaml:4:5: test failed: d to t p.S/M is denied (no rule allows it, line 0 of "
                   "no file)");
    assert_refused("service: c\ntests: [{to: t, method: M, expect: deny}]\n",
                   "p.yaml:2:9: \"from\" is missing; add it");
    assert_refused("service: c\ntests: [{from: c, method: M, expect: deny}]\n",
                   "p.yaml:2:9: \"to\" is missing; add it");
    assert_refused("service: c\ntests: [{from: c, to: t, expect: deny}]\n",
                   "p.yaml:2:9: \"method\" is missing; add it");
    assert_refused("service: c\ntests: [{from: c, to: t, method: M}]\n",
                   "p.yaml:2:9: \"expect\" is missing; add it");
    assert_refused(
        "service: c\ntests: [{from: c, to: t, method: M, at: \"24:00\", expect: deny}]\n",
        "p.yaml:2:41: \"24:00\" is no time; write \"HH:MM\" in UTC");
    assert_refused("service: c\ntests:\n  - {from: c, to: t, method: M, expect: maybe}\n",
                   "p.yaml:3:41: \"maybe\" is neither \"allow\" nor \"deny\"");
}

TEST(a_test_may_ask_for_a_full_name_and_several_metadata)
{
    struct neo_policy *policy =
        compile("service: c\nallowed_calls:\n"
                "  - target_service: t\n    operations: [p.S/M]\n"
                "    when: {metadata: {x-a: [b], x-c: [d]}}\n"
                "tests:\n"
                "  - {from: c, to: t, method: p.S/M, metadata: {x-a: b, x-c: d}, expect: allow}\n"
                "  - {from: c, to: t, method: q.S/M, metadata: {x-a: b, x-c: d}, expect: deny}\n"
                "  - {from: c, to: t, method: p.S/M, metadata: {x-a: b}, expect: deny}\n");

    neo_policy_unref(policy);
}

TEST(a_test_counts_shadow_as_denied)
{
    struct neo_policy *policy = compile("service: c\nmode: shadow\ntests:\n"
                                        "  - {from: c, to: t, method: M, expect: deny}\n");

    neo_policy_unref(policy);
}

TEST(a_file_holds_at_most_ten_thousand_rules)
{
    struct neo_buffer text = {0};
    struct neo_document d = {.name = NEO_LIT("p.yaml")};
    struct neo_policy *policy = NULL;
    struct neo_error err;

    neo_buffer_append_text(&text, "service: c\nallowed_calls:\n");
    for (int i = 0; i < 10000; i++)
        neo_buffer_printf(&text, "- {target_service: t%d, operations: [M]}\n", i);
    d.text = neo_buffer_bytes(&text);
    struct neo_document two[] = {d, document("q.yaml", seed_policy)};
    assert_int_equal(neo_policy_compile(two, 2, &policy, NULL), NEO_OK);
    assert_int_equal(ask(policy, "c", "t9999", "M"), NEO_ALLOW);
    neo_policy_unref(policy);
    policy = NULL;

    neo_buffer_append_text(&text, "---\nservice: d\nallowed_calls: [{target_service: t, "
                                  "operations: [M]}]\n");
    d.text = neo_buffer_bytes(&text);
    assert_int_equal(neo_policy_compile(&d, 1, &policy, &err), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, "p.yaml:10005:1: more than 10000 rules in one file; split it");
    neo_buffer_fini(&text);
}

TEST(the_version_is_of_the_texts_not_of_their_names_or_order)
{
    struct neo_document ab[] = {document("1", "service: a\n"), document("2", "service: b\n")};
    struct neo_document ba[] = {document("x", "service: b\n"), document("y", "service: a\n")};
    struct neo_document ac[] = {document("1", "service: a\n"), document("2", "service: c\n")};
    struct neo_policy *first, *second, *third;

    assert_int_equal(neo_policy_compile(ab, 2, &first, NULL), NEO_OK);
    assert_int_equal(neo_policy_compile(ba, 2, &second, NULL), NEO_OK);
    assert_int_equal(neo_policy_compile(ac, 2, &third, NULL), NEO_OK);
    assert_int_equal(strlen(neo_policy_version(first)), 16);
    assert_string_equal(neo_policy_version(first), neo_policy_version(second));
    assert_string_not_equal(neo_policy_version(first), neo_policy_version(third));
    neo_policy_unref(first);
    neo_policy_unref(second);
    neo_policy_unref(third);
}

TEST(a_policy_keeps_nothing_of_its_callers)
{
    char *text = neo_string_dup(seed_policy);
    char *name = neo_string_dup("name.yaml");
    struct neo_document d = document(name, text);
    struct neo_policy *policy = NULL;

    assert_int_equal(neo_policy_compile(&d, 1, &policy, NULL), NEO_OK);
    memset(text, 'x', strlen(text));
    memset(name, 'x', strlen(name));
    neo_free(text);
    neo_free(name);
    struct neo_policy_answer a = answer(policy, "automation-service", "key-service", "Sign");
    assert_int_equal(a.verdict, NEO_ALLOW);
    assert_string_equal(a.rule.file, "name.yaml");
    neo_policy_unref(policy);
    neo_policy_unref(NULL);
}

static const char rich[] =
    "service: c\nroles: [r]\nallowed_calls:\n  - {target_service: t, operations: [A, \"B*\"], "
    "when: "
    "{metadata: {x-a: [b]}}}\ndenied_calls:\n  - {target_service: \"*\", operations: [C]}\ntests:\n"
    "  - {from: c, to: t, method: A, metadata: {x-a: b}, expect: allow}\n---\nrole: r\n"
    "allowed_calls: [{target_service: u, operations: [D]}]\n---\nservice: \"*\"\n";

TEST(no_memory_is_reported_and_leaks_nothing)
{
    struct neo_document d[] = {document("p.yaml", rich), document("q.yaml", seed_policy)};
    unsigned long n = 1;
    enum neo_code code;

    do {
        struct neo_policy *policy = NULL;
        neo_memory_fail_at(n++);
        code = neo_policy_compile(d, 2, &policy, NULL);
        neo_memory_fail_at(0);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
        assert_int_equal(policy != NULL, code == NEO_OK);
        neo_policy_unref(policy);
    } while (code != NEO_OK);
    assert_true(n > 10);
}

TEST(every_prefix_loads_or_says_why_not)
{
    for (size_t len = 0; len < sizeof(rich); len++) {
        struct neo_document d = {NEO_LIT("p.yaml"), neo_bytes(rich, len)};
        struct neo_policy *policy = NULL;
        struct neo_error err = {0};
        if (neo_policy_compile(&d, 1, &policy, &err) != NEO_OK)
            assert_int_equal(strncmp(err.message, "p.yaml:", 7), 0);
        neo_policy_unref(policy);
    }
}

/* Readers keep an epoch while another thread drops it. */
enum { READERS = 4, QUESTIONS = 2000 };

static void *read_and_drop(void *policy)
{
    for (int i = 0; i < QUESTIONS; i++) {
        struct neo_policy *mine = neo_policy_ref(policy);
        if (ask(mine, "automation-service", "key-service", "Sign") != NEO_ALLOW)
            return policy;
        neo_policy_unref(mine);
    }
    neo_policy_unref(policy);
    return NULL;
}

TEST(an_epoch_is_shared_and_goes_with_its_last_reader)
{
    struct neo_policy *policy = compile(seed_policy);
    pthread_t readers[READERS];

    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_and_drop, neo_policy_ref(policy)),
                         0);
    neo_policy_unref(policy);
    for (size_t i = 0; i < READERS; i++) {
        void *failed;
        assert_int_equal(pthread_join(readers[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seeds_document_allows_what_it_lists_and_nothing_else),
        cmocka_unit_test(no_documents_deny_everything),
        cmocka_unit_test(ambiguous_files_are_refused_with_their_place),
        cmocka_unit_test(yaml_traps_are_text_or_refused),
        cmocka_unit_test(names_match_byte_by_byte),
        cmocka_unit_test(an_invalid_caller_is_nobody_even_where_everyone_may),
        cmocka_unit_test(operations_match_in_all_their_forms),
        cmocka_unit_test(operations_outside_the_grammar_are_refused),
        cmocka_unit_test(a_denial_wins_whatever_the_order_and_the_file),
        cmocka_unit_test(rules_of_several_files_add_up),
        cmocka_unit_test(everyone_is_every_authenticated_service_and_never_anonymous),
        cmocka_unit_test(anonymous_is_allowed_only_what_is_written_for_it),
        cmocka_unit_test(a_denial_for_everyone_binds_everyone),
        cmocka_unit_test(a_service_has_the_rules_of_its_roles),
        cmocka_unit_test(roles_are_refused_where_they_mean_nothing),
        cmocka_unit_test(every_condition_must_hold),
        cmocka_unit_test(what_the_caller_runs_is_a_condition_that_asks_for_proof),
        cmocka_unit_test(a_condition_on_code_that_protects_nothing_or_is_mistyped_does_not_load),
        cmocka_unit_test(each_condition_counts_alone),
        cmocka_unit_test(hours_begin_inclusive_end_exclusive_and_may_pass_midnight),
        cmocka_unit_test(conditions_that_cannot_be_meant_are_refused),
        cmocka_unit_test(a_denial_may_be_for_the_unattested),
        cmocka_unit_test(attestation_is_wanted_where_any_rule_asks_for_it),
        cmocka_unit_test(shadow_lets_through_and_says_what_it_would_have_denied),
        cmocka_unit_test(files_that_disagree_about_the_mode_are_refused),
        cmocka_unit_test(a_default_denial_names_the_document_and_the_nearest_rule),
        cmocka_unit_test(the_nearest_rule_is_sought_in_all_that_applies),
        cmocka_unit_test(an_allowance_names_its_rule),
        cmocka_unit_test(other_kinds_of_document_are_passed_over_and_mixtures_refused),
        cmocka_unit_test(a_policy_whose_tests_fail_does_not_load),
        cmocka_unit_test(a_test_that_fails_or_is_none_is_named_with_its_place),
        cmocka_unit_test(a_test_may_ask_for_a_full_name_and_several_metadata),
        cmocka_unit_test(a_test_counts_shadow_as_denied),
        cmocka_unit_test(a_file_holds_at_most_ten_thousand_rules),
        cmocka_unit_test(the_version_is_of_the_texts_not_of_their_names_or_order),
        cmocka_unit_test(a_policy_keeps_nothing_of_its_callers),
        cmocka_unit_test(no_memory_is_reported_and_leaks_nothing),
        cmocka_unit_test(every_prefix_loads_or_says_why_not),
        cmocka_unit_test(an_epoch_is_shared_and_goes_with_its_last_reader),
    };
    return cmocka_run_group_tests_name("policy/policy", tests, NULL, NULL);
}
