/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "rpc/wire.h"

enum { NOW = 1000000, MOST = 64 };

static struct neo_arena arena;
static struct h2_header fields[MOST];
static size_t n_fields;

static int set_up(void **state)
{
    (void)state;
    neo_arena_init(&arena, 1 << 16);
    n_fields = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_arena_fini(&arena);
    return 0;
}

static void header(const char *name, const char *value)
{
    fields[n_fields++] = (struct h2_header){neo_text(name), neo_text(value)};
}

static enum neo_code read_headers(struct neo_context *ret)
{
    return wire_context_read((struct h2_headers){fields, n_fields}, NOW, &arena, ret, NULL);
}

static struct neo_context read_good(void)
{
    struct neo_context c;

    assert_int_equal(read_headers(&c), NEO_OK);
    return c;
}

TEST(refuses_a_malformed_timeout)
{
    struct neo_context c;

    header("grpc-timeout", "1s");
    assert_int_equal(read_headers(&c), NEO_INVALID_ARGUMENT);
}

TEST(refuses_two_timeouts_even_when_they_agree)
{
    struct neo_context c;

    header("grpc-timeout", "1S");
    header("grpc-timeout", "1S");
    assert_int_equal(read_headers(&c), NEO_INVALID_ARGUMENT);
}

TEST(refuses_too_much_business)
{
    struct neo_context c;

    for (int i = 0; i < 17; i++)
        header("x-neo-ctx-a", "1");
    assert_int_equal(read_headers(&c), NEO_INVALID_ARGUMENT);

    static char long_value[4097];
    memset(long_value, 'x', sizeof(long_value) - 1);
    n_fields = 0;
    header("x-neo-ctx-a", long_value);
    assert_int_equal(read_headers(&c), NEO_INVALID_ARGUMENT);
}

TEST(no_headers_are_a_context_with_defaults)
{
    struct neo_context c = read_good();
    struct neo_context d = read_good();

    assert_true(c.deadline == 0);
    assert_int_equal(c.criticality, NEO_CRITICAL);
    assert_int_equal(c.n_business, 0);
    assert_memory_not_equal(c.trace.trace_id, d.trace.trace_id, 16);
    assert_memory_not_equal(c.trace.trace_id, (uint8_t[16]){0}, 16);
}

TEST(the_deadline_counts_from_now)
{
    header("grpc-timeout", "5m");
    assert_true(read_good().deadline == NOW + 5 * NEO_NSEC_PER_MSEC);
}

TEST(x_deadline_ms_may_only_shorten)
{
    header("grpc-timeout", "5S");
    header("x-deadline-ms", "7000");
    assert_true(read_good().deadline == NOW + 5 * NEO_NSEC_PER_SEC);
    fields[1].value = NEO_LIT("1000");
    assert_true(read_good().deadline == NOW + NEO_NSEC_PER_SEC);
    fields[1].value = NEO_LIT("2023-12-20 12:00:00 UTC"); /* the seed's sample sends this */
    assert_true(read_good().deadline == NOW + 5 * NEO_NSEC_PER_SEC);
    n_fields = 0;
    header("x-deadline-ms", "1000");
    assert_true(read_good().deadline == NOW + NEO_NSEC_PER_SEC);
}

TEST(the_trace_goes_on_with_a_new_span)
{
    header("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
    header("tracestate", "a=1");

    struct neo_context c = read_good();
    char text[NEO_TRACEPARENT_LEN + 1];
    neo_trace_format(&c.trace, text);
    assert_memory_equal(text, "00-0123456789abcdef0123456789abcdef-", 36);
    assert_memory_not_equal(text + 36, "0123456789abcdef", 16);
    assert_true(neo_bytes_is(c.tracestate, "a=1"));
}

TEST(a_malformed_or_doubled_trace_is_replaced)
{
    header("traceparent", "00-0123456789ABCDEF0123456789abcdef-0123456789abcdef-01");
    header("tracestate", "a=1");
    assert_int_equal(read_good().tracestate.len, 0);

    n_fields = 0;
    header("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
    header("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
    struct neo_context c = read_good();
    char text[NEO_TRACEPARENT_LEN + 1];
    neo_trace_format(&c.trace, text);
    assert_memory_not_equal(text, "00-0123456789abcdef0123456789abcdef-", 36);
}

/* Lower importance may be asked for; higher may not. */
TEST(nobody_raises_its_own_importance)
{
    static const struct {
        const char *text;
        enum neo_criticality want;
    } cases[] = {
        {"critical_plus", NEO_CRITICAL},
        {"critical", NEO_CRITICAL},
        {"sheddable_plus", NEO_SHEDDABLE_PLUS},
        {"sheddable", NEO_SHEDDABLE},
        {"", NEO_CRITICAL},
        {"SHEDDABLE", NEO_CRITICAL},
        {"0", NEO_CRITICAL},
    };

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        n_fields = 0;
        header("x-neo-criticality", cases[i].text);
        assert_int_equal(read_good().criticality, cases[i].want);
    }
}

TEST(business_entries_come_without_their_prefix)
{
    header("x-neo-ctx-tenant", "a");
    header("x-neo-ctx-", "no name");
    header("x-neo-ctx-order", "7");

    struct neo_context c = read_good();
    assert_int_equal(c.n_business, 2);
    assert_true(neo_bytes_is(c.business[0].key, "tenant"));
    assert_true(neo_bytes_is(c.business[0].value, "a"));
    assert_true(neo_bytes_is(c.business[1].key, "order"));
}

TEST(a_caller_named_in_a_header_is_nobody)
{
    header("x-caller-id", "admin-service");

    struct neo_context c = read_good();
    assert_int_equal(c.caller.len, 0);
    assert_int_equal(c.caller_uri.len, 0);
}

TEST(says_so_when_the_arena_is_spent)
{
    struct neo_context c;
    struct neo_arena none;

    neo_arena_init(&none, 0);
    header("x-neo-ctx-tenant", "a");
    assert_int_equal(wire_context_read((struct h2_headers){fields, 1}, NOW, &none, &c, NULL),
                     NEO_RESOURCE_EXHAUSTED);
    neo_arena_fini(&none);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(refuses_a_malformed_timeout),
        PROMISE(refuses_two_timeouts_even_when_they_agree),
        PROMISE(refuses_too_much_business),
        PROMISE(no_headers_are_a_context_with_defaults),
        PROMISE(the_deadline_counts_from_now),
        PROMISE(x_deadline_ms_may_only_shorten),
        PROMISE(the_trace_goes_on_with_a_new_span),
        PROMISE(a_malformed_or_doubled_trace_is_replaced),
        PROMISE(nobody_raises_its_own_importance),
        PROMISE(business_entries_come_without_their_prefix),
        PROMISE(a_caller_named_in_a_header_is_nobody),
        PROMISE(says_so_when_the_arena_is_spent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
