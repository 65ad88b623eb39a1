/* SPDX-License-Identifier: Apache-2.0 */
#include "policies.h"

TEST(lint_speaks_of_what_is_probably_not_meant)
{
    struct neo_policy *policy = compile("service: c\n"                             /* 1 */
                                        "mode: shadow\n"                           /* 2 */
                                        "roles: [ghost]\n"                         /* 3 */
                                        "allowed_calls:\n"                         /* 4 */
                                        "  - target_service: t\n"                  /* 5 */
                                        "    operations: [A, A, \"Get*\", GetX]\n" /* 6 */
                                        "  - target_service: u\n"                  /* 7 */
                                        "    operations: [\"*\", B]\n"             /* 8 */
                                        "  - target_service: u\n"                  /* 9 */
                                        "    operations: [C]\n"                    /* 10 */
                                        "    when: {attested: true}\n"             /* 11 */
                                        "  - target_service: w\n"                  /* 12 */
                                        "    operations: [A]\n"                    /* 13 */
                                        "denied_calls:\n"                          /* 14 */
                                        "  - target_service: w\n"                  /* 15 */
                                        "    operations: [\"A*\"]\n"               /* 16 */
                                        "---\n"                                    /* 17 */
                                        "service: \"*\"\n"                         /* 18 */
                                        "allowed_calls:\n"                         /* 19 */
                                        "  - target_service: \"*\"\n"              /* 20 */
                                        "    operations: [A]\n"                    /* 21 */
                                        "---\n"                                    /* 22 */
                                        "role: idle\n"                             /* 23 */
                                        "---\n"                                    /* 24 */
                                        "service: anonymous\n");                   /* 25 */
    struct neo_buffer out = {0};

    neo_policy_lint(policy, &out);
    neo_buffer_append_byte(&out, 0);
    assert_string_equal(
        (const char *)out.at,
        "p.yaml:1:1: mode is shadow: denials of \"c\" are let through\n"
        "p.yaml:6:21: has no effect: p.yaml:6 already allows it\n"
        "p.yaml:6:32: has no effect: p.yaml:6 already allows it\n"
        "p.yaml:8:23: has no effect: p.yaml:8 already allows it\n"
        "p.yaml:10:18: has no effect: p.yaml:8 already allows it\n"
        "p.yaml:8:18: allows every operation of u, those to come included; name them\n"
        "p.yaml:13:18: has no effect: p.yaml:16 already denies it\n"
        "p.yaml:18:1: applies to every authenticated service; name the services instead\n"
        "p.yaml:20:5: applies to every service that can be called; name them\n"
        "p.yaml:23:1: no service has the role \"idle\"\n"
        "p.yaml:25:1: applies to peers without any certificate\n"
        "p.yaml:3:9: role \"ghost\" has no document, so it gives nothing\n");
    neo_buffer_fini(&out);
    neo_policy_unref(policy);
}

TEST(lint_has_nothing_to_say_about_the_seed)
{
    struct neo_policy *policy = compile(seed_policy);
    struct neo_buffer out = {0};

    neo_policy_lint(policy, &out);
    assert_int_equal(out.len, 0);
    neo_policy_unref(policy);
}

TEST(lint_looks_at_every_role_prefix_and_order)
{
    struct neo_policy *policy =
        compile("service: c\n"                                          /* 1 */
                "roles: [r, ghost]\n"                                   /* 2 */
                "allowed_calls:\n"                                      /* 3 */
                "  - target_service: t\n"                               /* 4 */
                "    operations: [A]\n"                                 /* 5 */
                "    when: {attested: true}\n"                          /* 6 */
                "  - target_service: t\n"                               /* 7 */
                "    operations: [A, Z, \"B*\", \"C*\", \"Ca*\", Cx]\n" /* 8 */
                "  - target_service: \"*\"\n"                           /* 9 */
                "    operations: [\"D*\"]\n"                            /* 10 */
                "---\n"                                                 /* 11 */
                "role: r\n");                                           /* 12 */
    struct neo_buffer out = {0};

    neo_policy_lint(policy, &out);
    neo_buffer_append_byte(&out, 0);
    assert_string_equal((const char *)out.at,
                        "p.yaml:5:18: has no effect: p.yaml:8 already allows it\n"
                        "p.yaml:8:43: has no effect: p.yaml:8 already allows it\n"
                        "p.yaml:8:36: has no effect: p.yaml:8 already allows it\n"
                        "p.yaml:9:5: applies to every service that can be called; name them\n"
                        "p.yaml:2:12: role \"ghost\" has no document, so it gives nothing\n");
    neo_buffer_fini(&out);
    neo_policy_unref(policy);
}

TEST(lint_has_nothing_to_say_about_rules_that_count)
{
    struct neo_policy *policy =
        compile("service: c\nroles: [r]\nallowed_calls:\n"
                "  - {target_service: t, operations: [\"Get*\", p.S/Set, q.S/Set, \"p.S/E*\", "
                "q.S/Export]}\n"
                "  - {target_service: t, operations: [Run], when: {attested: true}}\n"
                "  - {target_service: t, operations: [Run], when: {hours: \"01:00-02:00\"}}\n"
                "denied_calls:\n"
                "  - {target_service: t, operations: [GetSecret]}\n"
                "  - {target_service: t, operations: [Run], when: {hours: \"03:00-04:00\"}}\n"
                "---\nrole: r\nallowed_calls: [{target_service: u, operations: [Go]}]\n");
    struct neo_buffer out = {0};

    neo_policy_lint(policy, &out);
    neo_buffer_append_byte(&out, 0);
    assert_string_equal((const char *)out.at, "");
    neo_buffer_fini(&out);
    neo_policy_unref(policy);
}

TEST(lint_warns_of_rules_that_wait_for_chains_nobody_makes)
{
    struct neo_policy *policy =
        compile("service: c\nallowed_calls:\n"
                "  - {target_service: t, operations: [Go], when: {on_behalf_of: [a]}}\n");
    struct neo_buffer out = {0};

    neo_policy_lint(policy, &out);
    neo_buffer_append_byte(&out, 0);
    assert_non_null(strstr((const char *)out.at, "p.yaml:3:38: never holds: "));
    neo_buffer_fini(&out);
    neo_policy_unref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lint_speaks_of_what_is_probably_not_meant),
        cmocka_unit_test(lint_has_nothing_to_say_about_the_seed),
        cmocka_unit_test(lint_looks_at_every_role_prefix_and_order),
        cmocka_unit_test(lint_has_nothing_to_say_about_rules_that_count),
        cmocka_unit_test(lint_warns_of_rules_that_wait_for_chains_nobody_makes),
    };
    return cmocka_run_group_tests_name("policy/lint", tests, NULL, NULL);
}
