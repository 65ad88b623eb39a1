/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled policy against one that reads like the rules of the house
 * (reliability P08): random policies, random questions, no difference allowed.
 */
#include "policies.h"

#include <stdio.h>

enum { POLICIES = 400, QUESTIONS = 2500, MOST_RULES = 24 };

static const char *const callers[] = {"a", "b", "c", "*", "anonymous", "role r", "role s"};
static const char *const targets[] = {"t", "u", "tt", "*"};
static const char *const operations[] = {"Get",     "GetAll", "Set",     "Get*",    "G*",  "*",
                                         "p.S/Get", "p.S/*",  "q.S/Get", "p.S/Ge*", "SetX"};
static const char *const services[] = {"p.S", "q.S", ""};
static const char *const methods[] = {"Get", "GetAll", "Set", "SetX", "G", "Ge", "Other"};

#define PICK(seed, array) ((array)[unit_random((seed), NEO_COUNT(array))])

struct plain_rule {
    const char *caller, *target, *operation, *on_behalf_of;
    bool denies, asks_attested, office_hours;
};

static struct plain_rule rules[MOST_RULES];
static size_t n_rules;
static bool has_role_r; /* service "a" has the role "r"; nobody has "s" */

static void make_rules(uint64_t *seed)
{
    n_rules = unit_random(seed, MOST_RULES + 1);
    has_role_r = unit_random(seed, 2) == 0;
    for (size_t i = 0; i < n_rules; i++)
        rules[i] = (struct plain_rule){
            .caller = PICK(seed, callers),
            .target = PICK(seed, targets),
            .operation = PICK(seed, operations),
            .on_behalf_of = unit_random(seed, 6) == 0 ? "o" : NULL,
            .denies = unit_random(seed, 4) == 0,
            .asks_attested = unit_random(seed, 4) == 0,
            .office_hours = unit_random(seed, 6) == 0,
        };
}

static void print_rules(struct neo_buffer *out, const char *caller, bool denies)
{
    neo_buffer_printf(out, "%s: [", denies ? "denied_calls" : "allowed_calls");
    for (size_t i = 0; i < n_rules; i++) {
        const struct plain_rule *r = &rules[i];
        if (r->caller != caller || r->denies != denies)
            continue;
        neo_buffer_printf(out, "{target_service: \"%s\", operations: [\"%s\"], when: {", r->target,
                          r->operation);
        if (r->asks_attested)
            neo_buffer_printf(out, "attested: %s, ", denies ? "false" : "true");
        if (r->office_hours)
            neo_buffer_append_text(out, "hours: \"09:00-17:00\", ");
        if (r->on_behalf_of != NULL)
            neo_buffer_printf(out, "on_behalf_of: [%s, x], ", r->on_behalf_of);
        neo_buffer_append_text(out, "}}, ");
    }
    neo_buffer_append_text(out, "]\n");
}

static struct neo_policy *compile_rules(void)
{
    struct neo_buffer out = {0};

    for (size_t i = 0; i < NEO_COUNT(callers); i++) {
        bool is_role = strncmp(callers[i], "role ", 5) == 0;
        neo_buffer_printf(&out, "---\n%s: \"%s\"\n", is_role ? "role" : "service",
                          callers[i] + (is_role ? 5 : 0));
        if (i == 0 && has_role_r)
            neo_buffer_append_text(&out, "roles: [r]\n");
        print_rules(&out, callers[i], false);
        print_rules(&out, callers[i], true);
    }
    neo_buffer_append_byte(&out, 0);
    struct neo_policy *policy = compile((const char *)out.at);
    neo_buffer_fini(&out);
    return policy;
}

/* The reference: forty lines, no index, strings as people write them. */
static bool name_fits(const char *pattern, const char *name)
{
    size_t len = strlen(pattern);

    if (len > 0 && pattern[len - 1] == '*')
        return strncmp(pattern, name, len - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static bool operation_fits(const char *operation, const char *service, const char *method)
{
    char full[64];

    if (strchr(operation, '/') == NULL)
        return name_fits(operation, method);
    (void)snprintf(full, sizeof(full), "%s/%s", service, method);
    return name_fits(operation, full);
}

static bool caller_fits(const char *of_rule, const char *caller)
{
    if (strcmp(of_rule, "*") == 0)
        return strcmp(caller, "anonymous") != 0;
    if (strcmp(of_rule, "role r") == 0)
        return has_role_r && strcmp(caller, "a") == 0;
    return strcmp(of_rule, caller) == 0;
}

static bool reference(const char *caller, const char *target, const char *service,
                      const char *method, bool attested, unsigned hour, const char *on_behalf_of)
{
    bool allowed = false;

    for (const struct plain_rule *r = rules; r < rules + n_rules; r++) {
        if (!caller_fits(r->caller, caller) || !name_fits(r->target, target) ||
            !operation_fits(r->operation, service, method))
            continue;
        if ((r->asks_attested && attested == r->denies) ||
            (r->office_hours && (hour < 9 || hour >= 17)) ||
            (r->on_behalf_of != NULL && strcmp(on_behalf_of, r->on_behalf_of) != 0))
            continue;
        if (r->denies)
            return false;
        allowed = true;
    }
    return allowed;
}

TEST(a_million_questions_are_answered_as_by_the_plain_reading)
{
    static const char *const strangers[] = {"a", "b", "c", "anonymous", "stranger", "r", "s"};
    static const char *const places[] = {"t", "u", "tt", "v"};
    uint64_t seed = 20240601;
    unsigned allowed = 0;

    for (int i = 0; i < POLICIES; i++) {
        make_rules(&seed);
        struct neo_policy *policy = compile_rules();
        for (int k = 0; k < QUESTIONS; k++) {
            const char *caller = PICK(&seed, strangers);
            const char *target = PICK(&seed, places);
            const char *service = PICK(&seed, services);
            const char *method = PICK(&seed, methods);
            const char *origin = unit_random(&seed, 2) == 0 ? "o" : "";
            struct neo_policy_question q = question(caller, target, service, method);
            unsigned hour = (unsigned)unit_random(&seed, 24);
            q.attested = unit_random(&seed, 2) == 0;
            q.wall = hour * 3600;
            q.on_behalf_of = neo_text(origin);
            bool want = reference(caller, target, service, method, q.attested, hour, origin);
            assert_int_equal(neo_policy_decide(policy, &q).verdict == NEO_ALLOW, want);
            allowed += want;
        }
        neo_policy_unref(policy);
    }
    print_message("%u of %d questions allowed\n", allowed, POLICIES * QUESTIONS);
    assert_in_range(allowed, POLICIES * QUESTIONS / 20, POLICIES * QUESTIONS * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_questions_are_answered_as_by_the_plain_reading),
    };
    return cmocka_run_group_tests_name("policy/reference", tests, NULL, NULL);
}
