/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "rpc/wire.h"

#include <neo/encoding.h>

#include <stdio.h>

#define HOUR (3600 * NEO_NSEC_PER_SEC)

enum { FIELDS = 16 };

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

/* --- timeouts ---------------------------------------------------------------------------- */

TEST(a_timeout_is_digits_and_a_unit)
{
    static const char *const bad[] = {"",    "1",   "n",   "S",          "-1S",  "1SS",  "1s",
                                      " 1S", "1 S", "1S ", "123456789n", "0x1S", "1.5S", "+1S"};
    neo_nsec timeout = 77;

    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        assert_int_equal(wire_timeout_parse(neo_text(bad[i]), &timeout, NULL),
                         NEO_INVALID_ARGUMENT);
    assert_int_equal(timeout, 77);
}

TEST(a_timeout_means_its_unit)
{
    static const struct {
        const char *text;
        neo_nsec want;
    } cases[] = {
        {"0n", 0},
        {"1n", 1},
        {"12u", 12000},
        {"5m", 5000000},
        {"3S", 3 * NEO_NSEC_PER_SEC},
        {"2M", 120 * NEO_NSEC_PER_SEC},
        {"1H", HOUR},
        {"99999999n", 99999999},
    };

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        neo_nsec timeout;
        assert_int_equal(wire_timeout_parse(neo_text(cases[i].text), &timeout, NULL), NEO_OK);
        assert_true(timeout == cases[i].want);
    }
}

TEST(the_longest_timeout_does_not_overflow)
{
    neo_nsec timeout;

    assert_int_equal(wire_timeout_parse(NEO_LIT("99999999H"), &timeout, NULL), NEO_OK);
    assert_true(timeout > 1000 * 365 * 24 * (HOUR / 1000));
    assert_true(timeout < UINT64_MAX / 2); /* may be added to any clock */
}

/* What we write is read back as at least as long, and no more than a unit longer. */
TEST(a_timeout_is_rounded_up_by_less_than_its_unit)
{
    uint64_t seed = 5;

    for (int i = 0; i < 20000; i++) {
        neo_nsec timeout = unit_random(&seed, UINT64_MAX / 8) >> unit_random(&seed, 60);
        char text[WIRE_TIMEOUT_LEN];
        neo_nsec back;
        size_t len = wire_timeout_format(timeout, text);

        assert_true(len >= 2 && len <= 9);
        assert_int_equal(wire_timeout_parse(neo_bytes(text, len), &back, NULL), NEO_OK);
        assert_true(back >= timeout);
        assert_true(back - timeout <= timeout / 99999 + 1);
    }
}

/* --- grpc-message ------------------------------------------------------------------------ */

static void assert_encodes(struct neo_bytes text, const char *want)
{
    struct neo_bytes encoded = wire_message_encode(text, &arena);

    assert_true(neo_bytes_is(encoded, want));
    assert_true(neo_bytes_equal(wire_message_decode(encoded, &arena), text));
}

TEST(a_message_is_printable_on_the_wire)
{
    assert_encodes(NEO_LIT(""), "");
    assert_encodes(NEO_LIT("plain words, no more"), "plain words, no more");
    assert_encodes(NEO_LIT("100%"), "100%25");
    assert_encodes(NEO_LIT(" edges "), "%20edges%20");
    assert_encodes(NEO_LIT("a\r\nb\0c"), "a%0D%0Ab%00c");
    assert_encodes(NEO_LIT("\xc3\xbc\x7f"), "%C3%BC%7F");
}

TEST(a_bad_escape_stays_as_it_is)
{
    assert_true(neo_bytes_is(wire_message_decode(NEO_LIT("%"), &arena), "%"));
    assert_true(neo_bytes_is(wire_message_decode(NEO_LIT("%4"), &arena), "%4"));
    assert_true(neo_bytes_is(wire_message_decode(NEO_LIT("%zz%4x%x4"), &arena), "%zz%4x%x4"));
    assert_true(neo_bytes_is(wire_message_decode(NEO_LIT("%41%4b%4B"), &arena), "AKK"));
}

TEST(a_long_message_is_cut_and_says_so)
{
    static uint8_t text[5000];

    memset(text, 'x', sizeof(text));
    struct neo_bytes encoded = wire_message_encode(neo_bytes(text, sizeof(text)), &arena);
    assert_int_equal(encoded.len, 1024);
    assert_memory_equal(encoded.at + 1020, "x...", 4);
    encoded = wire_message_encode(neo_bytes(text, 1024), &arena); /* and that is whole */
    assert_int_equal(encoded.len, 1024);
    assert_memory_equal(encoded.at + 1020, "xxxx", 4);
}

TEST(a_long_message_is_cut_between_characters)
{
    static uint8_t text[5000];

    for (size_t at = 1018; at <= 1021; at++) {
        memset(text, 'x', sizeof(text));
        memcpy(text + at, "\xf0\x9f\x98\x88", 4);
        assert_int_equal(wire_message_encode(neo_bytes(text, sizeof(text)), &arena).len,
                         (at == 1021 ? 1021 : at) + 3);
    }
    memset(text, 0x80, sizeof(text)); /* no characters at all */
    assert_int_equal(wire_message_encode(neo_bytes(text, sizeof(text)), &arena).len, 3 * 1021 + 3);
}

/* What a peer sends is longer than what we would: escapes of everything, characters at the cut. */
TEST(of_a_peers_message_no_more_is_kept)
{
    static uint8_t text[12000];
    struct neo_arena small;

    neo_arena_init(&small, 8192);
    memset(text, 'x', sizeof(text));
    assert_int_equal(wire_message_decode(neo_bytes(text, sizeof(text)), &small).len, 1024);
    for (size_t i = 0; i < sizeof(text); i += 12)
        memcpy(text + i, "%F0%9F%98%88", 12);
    for (size_t skip = 0; skip < 4; skip++) { /* whole characters, however the first one begins */
        struct neo_bytes kept = wire_message_decode(
            neo_bytes(text + 12 - skip * 3, sizeof(text) - 12 + skip * 3), &small);
        assert_int_equal(kept.len, 1021 - (1021 - skip) % 4 + 3);
    }
    neo_arena_fini(&small);
}

TEST(of_the_message_in_a_peers_details_no_more_is_kept)
{
    static uint8_t long_text[5000];
    struct neo_buffer details = {0}, text = {0};
    struct h2_header trailers[2] = {{NEO_LIT("grpc-status"), NEO_LIT("13")},
                                    {NEO_LIT("grpc-status-details-bin"), NEO_LIT("")}};

    memset(long_text, 'x', sizeof(long_text));
    assert_true(neo_buffer_append(&details, NEO_LIT("\x08\x0d\x12\x88\x27")) &&
                neo_buffer_append(&details, neo_bytes(long_text, sizeof(long_text))));
    assert_true(neo_base64_encode(&text, neo_buffer_bytes(&details), NEO_BASE64_PADDED));
    trailers[1].value = neo_buffer_bytes(&text);
    struct neo_status got = wire_status_read((struct h2_headers){trailers, 2}, 200, &arena);
    assert_int_equal(got.code, NEO_INTERNAL);
    assert_int_equal(got.message.len, 1024);
    neo_buffer_fini(&details);
    neo_buffer_fini(&text);
}

/* --- headers ----------------------------------------------------------------------------- */

TEST(a_repeated_header_has_no_value)
{
    const struct h2_header at[] = {
        {NEO_LIT("x-a"), NEO_LIT("1")},
        {NEO_LIT("x-b"), NEO_LIT("2")},
        {NEO_LIT("x-b"), NEO_LIT("2")},
        {NEO_LIT("x-empty"), {0}},
    };
    struct h2_headers headers = {at, NEO_COUNT(at)};

    assert_true(neo_bytes_is(wire_header(headers, "x-a"), "1"));
    assert_null(wire_header(headers, "x-b").at);
    assert_null(wire_header(headers, "x-c").at);
    assert_non_null(wire_header(headers, "x-empty").at);
    assert_int_equal(wire_header(headers, "x-empty").len, 0);
}

TEST(a_peer_cannot_say_who_it_is)
{
    static const char *const names[] = {
        "x-caller-id",
        "x-caller_id",
        "grpc-status",
        "grpc-timeout",
        "x-forwarded-client-cert",
        "te",
        "content-type",
        ":path",
        "",
        "x-attestation-evidence",
        "x_caller-id",
        "x-neo-caller-chain-bin",
        "x-priority",
        "x_forwarded_for",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "host",
    };

    for (size_t i = 0; i < NEO_COUNT(names); i++)
        assert_true(wire_is_reserved(neo_text(names[i])));
    assert_false(wire_is_reserved(NEO_LIT("x-tenant")));
    assert_false(wire_is_reserved(NEO_LIT("x_tenant")));
    assert_false(wire_is_reserved(NEO_LIT("x-forwarded-for")));
    assert_false(wire_is_reserved(NEO_LIT("x-caller-ids")));
    assert_false(wire_is_reserved(NEO_LIT("authorization")));
}

/* --- statuses ---------------------------------------------------------------------------- */

static struct neo_status send(const struct neo_status *status)
{
    struct h2_header fields[FIELDS];
    size_t n = wire_status_headers(status, NULL, 0, &arena, fields, FIELDS);

    return wire_status_read((struct h2_headers){fields, n}, 200, &arena);
}

TEST(a_good_end_is_one_short_trailer)
{
    const struct neo_status ok = {.code = NEO_OK, .processed = true};
    struct h2_header fields[FIELDS];

    assert_int_equal(wire_status_headers(&ok, NULL, 0, &arena, fields, FIELDS), 1);
    assert_true(neo_bytes_is(fields[0].name, "grpc-status"));
    assert_true(neo_bytes_is(fields[0].value, "0"));
    assert_int_equal(send(&ok).code, NEO_OK);
}

TEST(a_status_arrives_with_all_its_details)
{
    const struct neo_pair more = {NEO_LIT("limit"), NEO_LIT("20")};
    const struct neo_status sent = {
        .code = NEO_RESOURCE_EXHAUSTED,
        .message = NEO_LIT("too much: 100 %\n"),
        .reason = NEO_LIT("RATE_LIMITED"),
        .decision_id = NEO_LIT("d-0123456789abcdef"),
        .retry_after = 1500 * NEO_NSEC_PER_MSEC + 1,
        .bucket = NEO_LIT("method:Sign"),
        .service = NEO_LIT("key-service"),
        .required_permission = NEO_LIT("Sign"),
        .resource = NEO_LIT("key/1"),
        .metadata = &more,
        .n_metadata = 1,
        .processed = false,
    };
    struct neo_status got = send(&sent);

    assert_int_equal(got.code, sent.code);
    assert_true(neo_bytes_equal(got.message, sent.message));
    assert_true(neo_bytes_equal(got.reason, sent.reason));
    assert_true(neo_bytes_equal(got.decision_id, sent.decision_id));
    assert_true(got.retry_after == sent.retry_after);
    assert_true(neo_bytes_equal(got.bucket, sent.bucket));
    assert_true(neo_bytes_equal(got.service, sent.service));
    assert_true(neo_bytes_equal(got.required_permission, sent.required_permission));
    assert_true(neo_bytes_equal(got.resource, sent.resource));
    assert_int_equal(got.n_metadata, 1);
    assert_true(neo_bytes_is(got.metadata[0].value, "20"));
    assert_false(got.processed);
}

TEST(details_of_other_peoples_types_pass_as_they_are)
{
    /* code 10, message "m", one Any: type_url "t/x", value "v" */
    static const char wire[] = "\x08\x0a\x12\x01m\x1a\x08\x0a\x03t/x\x12\x01v";
    const struct neo_status sent = {
        .code = NEO_ABORTED,
        .message = NEO_LIT("m"),
        .reason = NEO_LIT("APPLICATION"),
        .details = NEO_LIT(wire),
    };

    assert_true(neo_bytes_equal(send(&sent).details, sent.details));
    assert_int_equal(send(&sent).reason.len, 0);
}

TEST(details_of_another_code_than_the_status_are_not_shown)
{
    const struct neo_status sent = {.code = NEO_UNKNOWN, .details = NEO_LIT("\x08\x0a")};

    assert_int_equal(send(&sent).code, NEO_UNKNOWN);
    assert_int_equal(send(&sent).details.len, 0);
}

TEST(the_pushback_is_whole_milliseconds_rounded_up)
{
    const struct neo_status sent = {.code = NEO_UNAVAILABLE, .retry_after = 1};
    struct h2_header fields[FIELDS];
    size_t n = wire_status_headers(&sent, NULL, 0, &arena, fields, FIELDS);

    assert_true(
        neo_bytes_is(wire_header((struct h2_headers){fields, n}, "grpc-retry-pushback-ms"), "1"));
}

TEST(more_fields_than_room_are_left_out)
{
    const struct neo_status sent = {.code = NEO_UNAVAILABLE, .message = NEO_LIT("x")};
    const struct h2_header extra = {NEO_LIT("x-a"), NEO_LIT("1")};
    struct h2_header fields[2];

    assert_int_equal(wire_status_headers(&sent, &extra, 1, &arena, fields, 2), 2);
    assert_true(neo_bytes_is(fields[0].name, "grpc-status"));
}

static enum neo_code code_of(const char *number, int http)
{
    struct h2_header field = {NEO_LIT("grpc-status"), neo_text(number)};

    return wire_status_read((struct h2_headers){&field, number != NULL}, http, &arena).code;
}

TEST(an_odd_status_is_unknown)
{
    static const char *const odd[] = {"", "00", "01", "17", "-1", "1 ", "x", "4294967296"};

    for (size_t i = 0; i < NEO_COUNT(odd); i++)
        assert_int_equal(code_of(odd[i], 200), NEO_UNKNOWN);
    for (int i = 0; i <= 16; i++) {
        char number[3];
        (void)snprintf(number, sizeof(number), "%d", i);
        assert_int_equal(code_of(number, 503), i);
    }
}

TEST(without_a_status_http_decides)
{
    static const struct {
        int http;
        enum neo_code want;
    } cases[] = {
        {200, NEO_UNKNOWN},           {400, NEO_INTERNAL},      {401, NEO_UNAUTHENTICATED},
        {403, NEO_PERMISSION_DENIED}, {404, NEO_UNIMPLEMENTED}, {429, NEO_UNAVAILABLE},
        {431, NEO_UNKNOWN},           {502, NEO_UNAVAILABLE},   {503, NEO_UNAVAILABLE},
        {504, NEO_UNAVAILABLE},       {500, NEO_UNKNOWN},       {0, NEO_UNKNOWN},
    };

    for (size_t i = 0; i < NEO_COUNT(cases); i++)
        assert_int_equal(code_of(NULL, cases[i].http), cases[i].want);
}

TEST(details_of_another_code_are_ignored)
{
    const struct neo_status lies = {.code = NEO_OK, .reason = NEO_LIT("X"), .processed = false};
    struct h2_header fields[FIELDS];
    size_t n;
    struct neo_status other = lies;

    other.code = NEO_INTERNAL;
    n = wire_status_headers(&other, NULL, 0, &arena, fields, FIELDS);
    fields[0].value = NEO_LIT("14");

    struct neo_status got = wire_status_read((struct h2_headers){fields, n}, 200, &arena);
    assert_int_equal(got.code, NEO_UNAVAILABLE);
    assert_int_equal(got.reason.len, 0);
    assert_true(got.processed);
}

TEST(broken_details_do_not_hide_the_code)
{
    const struct h2_header fields[] = {
        {NEO_LIT("grpc-status"), NEO_LIT("7")},
        {NEO_LIT("grpc-message"), NEO_LIT("no")},
        {NEO_LIT("grpc-status-details-bin"), NEO_LIT("%%%")},
    };
    struct neo_status got = wire_status_read((struct h2_headers){fields, 3}, 200, &arena);

    assert_int_equal(got.code, NEO_PERMISSION_DENIED);
    assert_true(neo_bytes_is(got.message, "no"));
}

TEST(only_a_refused_stream_is_safe_to_try_again)
{
    for (uint32_t error = 0; error < 20; error++) {
        struct neo_status s = wire_status_of_reset(error);
        assert_int_equal(s.processed, error != H2_REFUSED_STREAM);
        assert_int_not_equal(s.code, NEO_OK);
    }
    assert_int_equal(wire_status_of_reset(H2_REFUSED_STREAM).code, NEO_UNAVAILABLE);
    assert_int_equal(wire_status_of_reset(H2_CANCEL).code, NEO_CANCELLED);
    assert_int_equal(wire_status_of_reset(H2_ENHANCE_YOUR_CALM).code, NEO_RESOURCE_EXHAUSTED);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_timeout_is_digits_and_a_unit),
        PROMISE(a_timeout_means_its_unit),
        PROMISE(the_longest_timeout_does_not_overflow),
        PROMISE(a_timeout_is_rounded_up_by_less_than_its_unit),
        PROMISE(a_message_is_printable_on_the_wire),
        PROMISE(a_bad_escape_stays_as_it_is),
        PROMISE(a_long_message_is_cut_and_says_so),
        PROMISE(a_long_message_is_cut_between_characters),
        PROMISE(of_a_peers_message_no_more_is_kept),
        PROMISE(of_the_message_in_a_peers_details_no_more_is_kept),
        PROMISE(a_repeated_header_has_no_value),
        PROMISE(a_peer_cannot_say_who_it_is),
        PROMISE(a_good_end_is_one_short_trailer),
        PROMISE(a_status_arrives_with_all_its_details),
        PROMISE(details_of_other_peoples_types_pass_as_they_are),
        PROMISE(details_of_another_code_than_the_status_are_not_shown),
        PROMISE(the_pushback_is_whole_milliseconds_rounded_up),
        PROMISE(more_fields_than_room_are_left_out),
        PROMISE(an_odd_status_is_unknown),
        PROMISE(without_a_status_http_decides),
        PROMISE(details_of_another_code_are_ignored),
        PROMISE(broken_details_do_not_hide_the_code),
        PROMISE(only_a_refused_stream_is_safe_to_try_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
