/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <google/rpc/error_details.neo.h>
#include <google/rpc/status.neo.h>
#include <neo/details.h>
#include <neo/memory.h>
#include <neo/status.h>
#include <neo/test/v1/secret.neo.h>

static struct neo_arena arena;

static int set_up(void **state)
{
    (void)state;
    neo_arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_arena_fini(&arena);
    return 0;
}

static const struct neo_status refusal = {
    .code = NEO_PERMISSION_DENIED,
    .message = {(const uint8_t *)"no", 2},
    .reason = {(const uint8_t *)"POLICY_DENIED", 13},
    .decision_id = {(const uint8_t *)"d-1", 3},
    .service = {(const uint8_t *)"key-service", 11},
    .required_permission = {(const uint8_t *)"Sign", 4},
    .resource = {(const uint8_t *)"a.Key/Sign", 10},
};

static struct neo_bytes encode(const struct neo_status *s)
{
    struct neo_buffer out = {0};

    assert_true(neo_status_encode(s, &out));
    struct neo_bytes wire = neo_arena_copy(&arena, neo_buffer_bytes(&out));
    neo_buffer_fini(&out);
    return wire;
}

/* The generated code, an implementation of its own, reads what we wrote by hand. */
TEST(is_a_google_rpc_status_to_others)
{
    struct google_rpc_Status s;
    struct google_rpc_ErrorInfo info;

    assert_int_equal(google_rpc_Status_decode(encode(&refusal), &s, &arena, NULL), NEO_OK);
    assert_int_equal(s.code, 7);
    assert_true(neo_bytes_is(s.message, "no"));
    assert_int_equal(s.details.len, 2);
    assert_true(
        neo_bytes_is(s.details.at[0]->type_url, "type.googleapis.com/google.rpc.ErrorInfo"));
    assert_int_equal(google_rpc_ErrorInfo_decode(s.details.at[0]->value, &info, &arena, NULL),
                     NEO_OK);
    assert_true(neo_bytes_is(info.reason, "POLICY_DENIED"));
    assert_true(neo_bytes_is(info.domain, "neo"));
    assert_int_equal(info.metadata.len, 2);
    assert_true(neo_bytes_is(info.metadata.at[0].key, "decision_id"));
    assert_true(neo_bytes_is(info.metadata.at[1].key, "processed"));
    assert_true(neo_bytes_is(info.metadata.at[1].value, "false"));
    assert_true(neo_bytes_is(s.details.at[1]->type_url,
                             "type.googleapis.com/neo.errors.v1.AuthorizationError"));
}

TEST(every_error_has_exactly_one_error_info)
{
    const struct neo_status bare = {.code = NEO_NOT_FOUND, .processed = true};
    struct google_rpc_Status s;

    assert_int_equal(google_rpc_Status_decode(encode(&bare), &s, &arena, NULL), NEO_OK);
    assert_int_equal(s.details.len, 1);
}

TEST(a_text_that_is_not_utf8_does_not_break_the_details)
{
    struct neo_status odd = refusal;
    struct google_rpc_Status s;

    odd.message = NEO_LIT("\xff\xfe");
    assert_int_equal(google_rpc_Status_decode(encode(&odd), &s, &arena, NULL), NEO_OK);
    assert_int_equal(s.message.len, 0);
}

TEST(refuses_every_truncation_or_reads_less)
{
    struct neo_bytes whole = encode(&refusal);

    for (size_t len = 0; len < whole.len; len++) {
        struct neo_status s = {.code = NEO_OK};
        enum neo_code code = neo_status_decode(neo_bytes(whole.at, len), &arena, &s, NULL);
        assert_true(code == NEO_OK || code == NEO_INVALID_ARGUMENT);
        if (code != NEO_OK)
            assert_int_equal(s.code, NEO_OK); /* untouched */
    }
}

TEST(refuses_malformed_fields)
{
    static const struct neo_bytes bad[] = {
        {(const uint8_t *)"\x00\x01", 2}, /* field 0 */
        {(const uint8_t *)"\x0b\x0c", 2}, /* a group */
        {(const uint8_t *)"\x12\x05"
                          "ab",
         4},                                                                       /* too short */
        {(const uint8_t *)"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* varint */
        {(const uint8_t *)"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10}, /* a huge length */
        {(const uint8_t *)"\x1a\x02\x12\x05", 4},                          /* in a detail */
    };

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        struct neo_status s;
        assert_int_equal(neo_status_decode(bad[i], &arena, &s, NULL), NEO_INVALID_ARGUMENT);
    }
}

TEST(unknown_details_are_skipped)
{
    struct neo_status s;
    static const uint8_t wire[] = "\x08\x05\x1a\x08\x0a\x03"
                                  "x/y"
                                  "\x12\x01"
                                  "z";

    assert_int_equal(neo_status_decode(neo_bytes(wire, sizeof(wire) - 1), &arena, &s, NULL),
                     NEO_OK);
    assert_int_equal(s.code, NEO_NOT_FOUND);
    assert_int_equal(s.reason.len, 0);
    assert_true(s.processed);
}

TEST(a_code_from_the_future_is_unknown)
{
    struct neo_status s;

    assert_int_equal(neo_status_decode(NEO_LIT("\x08\x63"), &arena, &s, NULL), NEO_OK);
    assert_int_equal(s.code, NEO_UNKNOWN);
}

TEST(an_absurd_delay_is_none)
{
    /* RetryInfo{retry_delay{seconds: -1}} */
    static const uint8_t wire[] = "\x08\x0e\x1a\x39\x0a\x28"
                                  "type.googleapis.com/google.rpc.RetryInfo"
                                  "\x12\x0d\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    struct neo_status s;

    assert_int_equal(neo_status_decode(neo_bytes(wire, sizeof(wire) - 1), &arena, &s, NULL),
                     NEO_OK);
    assert_true(s.retry_after == 0);
}

TEST(json_has_the_shape_of_the_seed)
{
    struct neo_buffer out = {0};

    assert_true(neo_status_json(&refusal, false, &out));
    assert_true(neo_bytes_is(
        neo_buffer_bytes(&out),
        "{\"error\":{\"code\":\"PERMISSION_DENIED\",\"message\":\"no\",\"details\":["
        "{\"type\":\"AuthorizationError\",\"service\":\"key-service\","
        "\"required_permission\":\"Sign\",\"resource\":\"a.Key/Sign\",\"decision_id\":\"d-1\"},"
        "{\"type\":\"ErrorInfo\",\"reason\":\"POLICY_DENIED\",\"domain\":\"neo\","
        "\"decision_id\":\"d-1\"}]}}"));
    neo_buffer_fini(&out);
}

TEST(says_so_when_memory_is_out)
{
    struct neo_bytes wire = encode(&refusal);
    struct neo_arena none;
    struct neo_status s;

    for (unsigned long n = 1;; n++) {
        struct neo_buffer out = {0};
        neo_memory_fail_at(n);
        bool ok = neo_status_encode(&refusal, &out);
        neo_memory_fail_at(0);
        neo_buffer_fini(&out);
        if (ok)
            break;
    }
    neo_arena_init(&none, 0);
    assert_int_equal(neo_status_decode(wire, &none, &s, NULL), NEO_RESOURCE_EXHAUSTED);
    neo_arena_fini(&none);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- details of other types --- neo/details.h -------------------------------------------- */

static const struct neo_pair wrong[] = {
    {{(const uint8_t *)"lines[2].amount", 15}, {(const uint8_t *)"must be positive", 16}},
    {{(const uint8_t *)"name", 4}, {(const uint8_t *)"is missing", 10}},
};

TEST(details_are_not_added_twice_nor_those_that_a_status_has_of_itself)
{
    struct neo_status s = neo_status_of(NEO_INVALID_ARGUMENT, "no");
    const struct google_rpc_ErrorInfo info = {.reason = NEO_LIT("X")};
    const struct google_rpc_Help help = {0};
    const struct google_rpc_ResourceInfo bad = {.owner = NEO_LIT("\xff")};
    const struct neo_test_v1_Vault secret = {.key = NEO_LIT("for attested code alone")};

    assert_true(neo_status_add_violations(&s, &arena, wrong, 2));
    struct neo_bytes before = s.more_details;
    assert_false(neo_status_add_violations(&s, &arena, wrong, 1));
    assert_false(neo_status_add_violations(&s, &arena, NULL, 0));
    assert_false(neo_status_add_detail(&s, &arena, &google_rpc_ErrorInfo_info, &info));
    assert_false(neo_status_add_detail(&s, &arena, &google_rpc_ResourceInfo_info, &bad));
    assert_false(neo_status_add_detail(&s, &arena, &neo_test_v1_Vault_info, &secret));
    assert_true(neo_bytes_equal(s.more_details, before));
    assert_true(neo_status_add_detail(&s, &arena, &google_rpc_Help_info, &help));
}

TEST(what_is_not_there_is_not_read)
{
    struct google_rpc_BadRequest bad;
    struct neo_status s = neo_status_of(NEO_INVALID_ARGUMENT, "no");

    assert_false(neo_status_detail(&s, &google_rpc_BadRequest_info, &arena, &bad));
    s.details = NEO_LIT("\x1a\xff");
    assert_false(neo_status_detail(&s, &google_rpc_BadRequest_info, &arena, &bad));
}

TEST(details_arrive_beside_those_of_the_status)
{
    struct neo_status s = neo_status_of(NEO_INVALID_ARGUMENT, "the order is wrong");
    const struct google_rpc_ResourceInfo resource = {.resource_name = NEO_LIT("orders/7")};
    struct google_rpc_ResourceInfo same;
    struct google_rpc_BadRequest bad;
    struct google_rpc_Status whole;
    struct neo_status read;

    s.reason = NEO_LIT("ORDER_INVALID");
    assert_true(neo_status_add_violations(&s, &arena, wrong, 2));
    assert_true(neo_status_add_detail(&s, &arena, &google_rpc_ResourceInfo_info, &resource));
    struct neo_bytes wire = encode(&s);
    assert_int_equal(google_rpc_Status_decode(wire, &whole, &arena, NULL), NEO_OK);
    assert_int_equal(whole.details.len, 3);
    assert_int_equal(neo_status_decode(wire, &arena, &read, NULL), NEO_OK);
    assert_true(neo_bytes_is(read.reason, "ORDER_INVALID"));
    read.details = wire;
    assert_true(neo_status_detail(&read, &google_rpc_BadRequest_info, &arena, &bad));
    assert_int_equal(bad.field_violations.len, 2);
    assert_true(neo_bytes_is(bad.field_violations.at[0]->field, "lines[2].amount"));
    assert_true(neo_bytes_is(bad.field_violations.at[1]->description, "is missing"));
    assert_true(neo_status_detail(&read, &google_rpc_ResourceInfo_info, &arena, &same));
    assert_true(neo_bytes_is(same.resource_name, "orders/7"));
    /* And before it was sent, from the one that was made. */
    assert_true(neo_status_detail(&s, &google_rpc_BadRequest_info, &arena, &bad));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(is_a_google_rpc_status_to_others),
        PROMISE(every_error_has_exactly_one_error_info),
        PROMISE(a_text_that_is_not_utf8_does_not_break_the_details),
        PROMISE(refuses_every_truncation_or_reads_less),
        PROMISE(refuses_malformed_fields),
        PROMISE(unknown_details_are_skipped),
        PROMISE(a_code_from_the_future_is_unknown),
        PROMISE(an_absurd_delay_is_none),
        PROMISE(json_has_the_shape_of_the_seed),
        PROMISE(says_so_when_memory_is_out),
        cmocka_unit_test_setup_teardown(
            details_are_not_added_twice_nor_those_that_a_status_has_of_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(details_arrive_beside_those_of_the_status, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
