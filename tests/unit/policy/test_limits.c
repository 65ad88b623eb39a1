/* SPDX-License-Identifier: Apache-2.0 */
#include "policies.h"

#include <neo/limits.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC

/* The seed's example, word for word. */
static const char seed_limits[] = "rate_limits:\n"
                                  "  global:\n"
                                  "    requests_per_second: 1000\n"
                                  "    burst: 100\n"
                                  "  per_caller:\n"
                                  "    automation-service:\n"
                                  "      requests_per_second: 500\n"
                                  "      burst: 50\n"
                                  "    api-service:\n"
                                  "      requests_per_second: 300\n"
                                  "      burst: 30\n"
                                  "  per_method:\n"
                                  "    ExecuteFunction:\n"
                                  "      requests_per_second: 100\n"
                                  "      burst: 20\n";

static struct neo_limits *limits_of(const char *text)
{
    struct neo_document d = document("l.yaml", text);
    struct neo_limits *limits = NULL;
    struct neo_error err = {0};

    if (neo_limits_compile(&d, 1, &limits, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return limits;
}

static void assert_limits_refused(const char *text, const char *message)
{
    struct neo_document d = document("l.yaml", text);
    struct neo_limits *limits = NULL;
    struct neo_error err = {0};

    assert_int_equal(neo_limits_compile(&d, 1, &limits, &err), NEO_INVALID_ARGUMENT);
    assert_null(limits);
    assert_string_equal(err.message, message);
}

static struct neo_limit_keys keys(const struct neo_limits *limits, const char *caller,
                                  const char *service, const char *method)
{
    return neo_limits_keys(limits, neo_text(caller), neo_text(service), neo_text(method));
}

static unsigned take_until_refused(struct neo_limits *limits, struct neo_limit_keys k, neo_nsec now,
                                   struct neo_limit_answer *ret)
{
    unsigned taken = 0;

    for (;;) {
        *ret = neo_limits_take(limits, k, now);
        if (ret->wait != 0)
            return taken;
        assert_null(ret->bucket);
        taken++;
    }
}

/* spec: Rate Limiting and Backpressure. The seed's document loads unchanged. */
TEST(the_seeds_limits_are_kept)
{
    struct neo_limits *limits = limits_of(seed_limits);
    struct neo_limit_answer a;

    assert_int_equal(
        take_until_refused(limits, keys(limits, "automation-service", "f.F", "ExecuteFunction"),
                           SEC, &a),
        20);
    assert_int_equal(a.wait, 10 * MSEC);
    assert_string_equal(a.bucket, "method:ExecuteFunction");
    assert_int_equal(take_until_refused(
                         limits, keys(limits, "automation-service", "f.F", "GetFunction"), SEC, &a),
                     30);
    assert_string_equal(a.bucket, "caller:automation-service");
    assert_int_equal(a.wait, 2 * MSEC);
    assert_int_equal(
        take_until_refused(limits, keys(limits, "other", "f.F", "GetFunction"), SEC, &a), 50);
    assert_string_equal(a.bucket, "global");
    assert_int_equal(a.wait, MSEC);
    neo_limits_unref(limits);
}

/* reliability Q03 */
TEST(a_refused_call_takes_nothing_anywhere)
{
    struct neo_limits *limits = limits_of(seed_limits);
    struct neo_limit_keys tight = keys(limits, "automation-service", "f.F", "ExecuteFunction");
    struct neo_limit_answer a;

    take_until_refused(limits, tight, SEC, &a);
    for (int i = 0; i < 1000; i++)
        assert_int_not_equal(neo_limits_take(limits, tight, SEC).wait, 0);
    assert_int_equal(
        take_until_refused(limits, keys(limits, "automation-service", "", "X"), SEC, &a), 30);
    assert_int_equal(take_until_refused(limits, keys(limits, "x", "", "X"), SEC, &a), 50);
    neo_limits_unref(limits);
}

TEST(no_documents_or_no_sections_limit_nothing)
{
    static const char *const texts[] = {"rate_limits: {}\n", "service: a\n",
                                        "attestation_policies: {}\n"};
    struct neo_limits *limits = NULL;

    assert_int_equal(neo_limits_compile(NULL, 0, &limits, NULL), NEO_OK);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(neo_limits_take(limits, keys(limits, "a", "b", "c"), SEC).wait, 0);
    neo_limits_unref(limits);
    neo_limits_unref(NULL);
    for (size_t i = 0; i < NEO_COUNT(texts); i++) {
        limits = limits_of(texts[i]);
        assert_int_equal(neo_limits_take(limits, keys(limits, "a", "b", "c"), SEC).wait, 0);
        neo_limits_unref(limits);
    }
}

TEST(a_full_method_name_goes_before_a_bare_one)
{
    struct neo_limits *limits =
        limits_of("rate_limits:\n  per_method:\n"
                  "    Sign: {requests_per_second: 1, burst: 1}\n"
                  "    neo.keys.v1.Keys/Sign: {requests_per_second: 1, burst: 2}\n");
    struct neo_limit_answer a;

    assert_int_equal(
        take_until_refused(limits, keys(limits, "x", "neo.keys.v1.Keys", "Sign"), SEC, &a), 2);
    assert_string_equal(a.bucket, "method:neo.keys.v1.Keys/Sign");
    assert_int_equal(take_until_refused(limits, keys(limits, "x", "other.Keys", "Sign"), SEC, &a),
                     1);
    assert_string_equal(a.bucket, "method:Sign");
    neo_limits_unref(limits);
}

/* reliability Q01: only what is configured has a bucket. */
TEST(unknown_callers_and_methods_share_only_the_global_bucket)
{
    struct neo_limits *limits = limits_of(seed_limits);
    char longest[300];

    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(keys(limits, "stranger", "p.S", "Unknown").method, -1);
    assert_int_equal(keys(limits, "stranger", "p.S", "Unknown").caller, -1);
    assert_int_equal(keys(limits, longest, longest, longest).method, -1);
    assert_int_equal(keys(limits, "", "", "").caller, -1);
    assert_int_equal(keys(limits, "", "", "").method, -1);
    neo_limits_unref(limits);
}

TEST(wrong_documents_are_refused_with_their_place)
{
    assert_limits_refused("rate_limits:\n  global: {requests_per_second: 0, burst: 1}\n",
                          "l.yaml:2:33: 0 would refuse every call; write at least 1, and refuse "
                          "calls in the policy");
    assert_limits_refused("rate_limits:\n  global: {requests_per_second: 1}\n",
                          "l.yaml:2:11: \"burst\" is missing; add it");
    assert_limits_refused("rate_limits:\n  globel: {}\n",
                          "l.yaml:2:3: unknown key \"globel\"; did you mean \"global\"?");
    assert_limits_refused("rate_limits:\n  global: {requests_per_second: 1.5, burst: 1}\n",
                          "l.yaml:2:33: \"requests_per_second\" must be a whole number from 0 to "
                          "4294967295, in plain digits");
    assert_limits_refused(
        "rate_limits:\n  per_caller:\n    A: {requests_per_second: 1, burst: 1}\n",
        "l.yaml:3:5: \"A\" is no service; write 1 to 63 of a-z 0-9 -");
    assert_limits_refused(
        "rate_limits:\n  per_method:\n    \"*\": {requests_per_second: 1, burst: 1}\n",
        "l.yaml:3:5: \"*\" is no method; write Method or package.Service/Method");
    assert_limits_refused("rate_limits: {}\nservice: a\n",
                          "l.yaml:2:1: this key is of another kind of document; put \"---\" "
                          "between the two");
    assert_limits_refused("rate_limit: {}\n",
                          "l.yaml:1:1: unknown key \"rate_limit\"; did you mean \"rate_limits\"?");
    assert_limits_refused("rate_limits: {global: {requests_per_second: 1, burst: 1}}\n---\n"
                          "rate_limits: {global: {requests_per_second: 1, burst: 1}}\n",
                          "l.yaml:3:15: the limit global stands in l.yaml:1 already; keep one");
    assert_limits_refused(
        "rate_limits: {per_method: {M: {requests_per_second: 1, burst: 1}}}\n---\n"
        "rate_limits: {per_method: {M: {requests_per_second: 1, burst: 1}}}\n",
        "l.yaml:3:28: the limit method:M stands in l.yaml:1 already; keep one");
}

TEST(every_entry_of_a_section_is_checked)
{
    assert_limits_refused("rate_limits:\n  per_caller:\n"
                          "    a: {requests_per_second: 1, burst: 1}\n"
                          "    B: {requests_per_second: 1, burst: 1}\n",
                          "l.yaml:4:5: \"B\" is no service; write 1 to 63 of a-z 0-9 -");
    assert_limits_refused(
        "rate_limits:\n  per_method:\n"
        "    A: {requests_per_second: 1, burst: 1}\n"
        "    \"B*\": {requests_per_second: 1, burst: 1}\n",
        "l.yaml:4:5: \"B*\" is no method; write Method or package.Service/Method");
}

TEST(the_first_bucket_counts_like_any_other)
{
    struct neo_limits *limits =
        limits_of("rate_limits: {per_caller: {c: {requests_per_second: 4294967295, burst: 1}}}\n");
    struct neo_limit_answer a;

    assert_int_equal(take_until_refused(limits, keys(limits, "c", "", "M"), SEC, &a), 1);
    assert_int_equal(a.wait, 1);
    assert_string_equal(a.bucket, "caller:c");
    neo_limits_unref(limits);
}

TEST(ten_thousand_callers_have_their_own_buckets)
{
    enum { CALLERS = 10000 };
    struct neo_buffer text = {0};
    struct neo_document d = {.name = NEO_LIT("l.yaml")};
    struct neo_limits *limits = NULL;
    char name[32];

    neo_buffer_append_text(&text, "rate_limits:\n  per_caller:\n");
    for (int i = 0; i < CALLERS; i++)
        neo_buffer_printf(&text, "    caller-%d: {requests_per_second: 1, burst: 1}\n", i);
    d.text = neo_buffer_bytes(&text);
    assert_int_equal(neo_limits_compile(&d, 1, &limits, NULL), NEO_OK);
    for (int i = 0; i < CALLERS; i++) {
        (void)snprintf(name, sizeof(name), "caller-%d", i);
        assert_int_equal(neo_limits_take(limits, keys(limits, name, "", ""), SEC).wait, 0);
        assert_int_equal(neo_limits_take(limits, keys(limits, name, "", ""), SEC).wait, SEC);
    }
    neo_limits_unref(limits);
    neo_buffer_fini(&text);
}

TEST(limits_go_with_their_last_owner)
{
    struct neo_limits *limits = limits_of(seed_limits);

    assert_ptr_equal(neo_limits_ref(limits), limits);
    neo_limits_unref(limits);
    assert_int_equal(neo_limits_take(limits, keys(limits, "x", "", ""), SEC).wait, 0);
    neo_limits_unref(limits);
}

TEST(documents_of_several_files_add_up)
{
    struct neo_document files[] = {
        document("1", "service: x\n---\nrate_limits: {per_method: {M: {requests_per_second: 1, "
                      "burst: 2}}}\n"),
        document("2", "rate_limits: {per_caller: {c: {requests_per_second: 1, burst: 3}}}\n"),
    };
    struct neo_limits *limits = NULL;
    struct neo_limit_answer a;

    assert_int_equal(neo_limits_compile(files, 2, &limits, NULL), NEO_OK);
    assert_int_equal(take_until_refused(limits, keys(limits, "c", "", "M"), SEC, &a), 2);
    assert_int_equal(take_until_refused(limits, keys(limits, "c", "", "X"), SEC, &a), 1);
    assert_string_equal(a.bucket, "caller:c");
    neo_limits_unref(limits);
}

TEST(no_memory_is_reported_and_leaks_nothing)
{
    struct neo_document d = document("l.yaml", seed_limits);
    unsigned long n = 1;
    enum neo_code code;

    do {
        struct neo_limits *limits = NULL;
        neo_memory_fail_at(n++);
        code = neo_limits_compile(&d, 1, &limits, NULL);
        neo_memory_fail_at(0);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
        neo_limits_unref(limits);
    } while (code != NEO_OK);
    assert_true(n > 4);
}

/* reliability Q06: what threads admitted and what is left is the burst, bucket by bucket. */
enum { THREADS = 8, ROUNDS = 20000 };
static struct neo_limits *shared;
static _Atomic unsigned admitted_total, admitted_method, admitted_caller;

static void *take(void *at)
{
    uint64_t seed = (uint64_t)(uintptr_t)at * 40503 + 1;
    struct neo_limit_keys both = keys(shared, "c", "", "M");

    for (int i = 0; i < ROUNDS; i++) {
        struct neo_limit_keys k = both;
        uint64_t kind = unit_random(&seed, 4);
        k.method = kind & 1 ? k.method : -1;
        k.caller = kind & 2 ? k.caller : -1;
        if (neo_limits_take(shared, k, SEC).wait != 0)
            continue;
        atomic_fetch_add(&admitted_total, 1);
        atomic_fetch_add(&admitted_method, k.method >= 0);
        atomic_fetch_add(&admitted_caller, k.caller >= 0);
    }
    return NULL;
}

TEST(racing_threads_share_the_limits_exactly)
{
    pthread_t threads[THREADS];
    struct neo_limit_answer a;

    shared = limits_of("rate_limits:\n  global: {requests_per_second: 1, burst: 120000}\n"
                       "  per_caller: {c: {requests_per_second: 1, burst: 30000}}\n"
                       "  per_method: {M: {requests_per_second: 1, burst: 20000}}\n");
    struct neo_limit_keys k = keys(shared, "c", "", "M");
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    unsigned left_both = take_until_refused(shared, k, SEC, &a);
    k.caller = -1;
    unsigned left_method = take_until_refused(shared, k, SEC, &a);
    assert_string_equal(a.bucket, "method:M");
    assert_int_equal(admitted_method + left_both + left_method, 20000);
    k = keys(shared, "c", "", "");
    unsigned left_caller = take_until_refused(shared, k, SEC, &a);
    assert_string_equal(a.bucket, "caller:c");
    assert_int_equal(admitted_caller + left_both + left_caller, 30000);
    k.caller = -1;
    unsigned left = take_until_refused(shared, k, SEC, &a);
    assert_int_equal(admitted_total + left_both + left_method + left_caller + left, 120000);
    neo_limits_unref(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seeds_limits_are_kept),
        cmocka_unit_test(a_refused_call_takes_nothing_anywhere),
        cmocka_unit_test(no_documents_or_no_sections_limit_nothing),
        cmocka_unit_test(a_full_method_name_goes_before_a_bare_one),
        cmocka_unit_test(unknown_callers_and_methods_share_only_the_global_bucket),
        cmocka_unit_test(wrong_documents_are_refused_with_their_place),
        cmocka_unit_test(every_entry_of_a_section_is_checked),
        cmocka_unit_test(the_first_bucket_counts_like_any_other),
        cmocka_unit_test(ten_thousand_callers_have_their_own_buckets),
        cmocka_unit_test(limits_go_with_their_last_owner),
        cmocka_unit_test(documents_of_several_files_add_up),
        cmocka_unit_test(no_memory_is_reported_and_leaks_nothing),
        cmocka_unit_test(racing_threads_share_the_limits_exactly),
    };
    return cmocka_run_group_tests_name("policy/limits", tests, NULL, NULL);
}
