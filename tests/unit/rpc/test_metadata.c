/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/metadata.h>

#include "rpc/call.h"
#include "rpc/channel_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* The pairs of a request with these fields as "name=value;", with binary values as they are. */
static const char *listed(const struct h2_header *fields, size_t n)
{
    static char text[256];
    struct neo_call *call = calloc(1, sizeof(*call));
    struct neo_metadata_cursor at = {0};
    struct neo_arena arena;
    struct neo_pair pair;
    size_t len = 0;

    assert_non_null(call);
    neo_arena_init(&arena, 1 << 16);
    call->arena = &arena;
    call->request_headers = (struct h2_headers){fields, n};
    while (neo_call_metadata_next(call, &at, &pair))
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s=%.*s;", NEO_FMT(pair.key),
                                NEO_FMT(pair.value));
    text[len] = '\0';
    assert_false(neo_call_metadata_next(call, &at, &pair));
    neo_arena_fini(&arena);
    free(call);
    return text;
}

#define FIELD(n, v) {NEO_LIT(n), NEO_LIT(v)}

TEST(shows_nothing_of_the_protocol_and_nothing_a_peer_may_not_say)
{
    const struct h2_header fields[] = {
        FIELD("content-type", "application/grpc"), FIELD("te", "trailers"),
        FIELD("grpc-timeout", "1S"),               FIELD("grpc-encoding", "gzip"),
        FIELD("x-caller-id", "somebody"),          FIELD("x_caller_id", "somebody"),
    };

    assert_string_equal(listed(fields, NEO_COUNT(fields)), "");
    assert_string_equal(listed(NULL, 0), "");
}

TEST(leaves_out_binary_values_that_are_not_base64)
{
    const struct h2_header fields[] = {
        FIELD("a-bin", "???"), FIELD("b-bin", "aGk,!,eW91"), FIELD("c", "text")};

    assert_string_equal(listed(fields, NEO_COUNT(fields)), "b-bin=hi;b-bin=you;c=text;");
}

TEST(gives_a_repeated_name_as_often_as_it_came_and_in_order)
{
    const struct h2_header fields[] = {FIELD("a", "1"), FIELD("b", ""), FIELD("a", "2,3")};

    assert_string_equal(listed(fields, NEO_COUNT(fields)), "a=1;b=;a=2,3;");
}

TEST(takes_binary_values_padded_unpadded_and_joined)
{
    const struct h2_header fields[] = {
        FIELD("a-bin", "aGk="), FIELD("a-bin", "aGk"), FIELD("a-bin", "aGk=, eW91"),
        FIELD("a-bin", "")};

    assert_string_equal(listed(fields, NEO_COUNT(fields)),
                        "a-bin=hi;a-bin=hi;a-bin=hi;a-bin=you;a-bin=;");
}

static size_t count(struct neo_client_call *call,
                    bool next(struct neo_client_call *, struct neo_metadata_cursor *,
                              struct neo_pair *))
{
    struct neo_metadata_cursor at = {0};
    struct neo_pair pair;
    size_t n = 0;

    while (next(call, &at, &pair))
        n++;
    return n;
}

TEST(tells_headers_from_trailers_also_after_the_stream_is_gone)
{
    struct h2_header fields[] = {FIELD("a", "1"), FIELD("b", "2"), FIELD("c", "3")};
    struct neo_client_call *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    neo_arena_init(&call->arena, 1 << 16);
    call->response = fields;
    call->n_response = 3;
    call->n_response_headers = 1;
    assert_int_equal(count(call, neo_client_call_header_next), 1);
    assert_int_equal(count(call, neo_client_call_trailer_next), 2);

    struct h2_stream stream = {.headers = {fields, 2}, .trailers = {fields, 1}};
    call->running[0] = &call->own;
    call->n_running = 1;
    call->own.stream = &stream;
    call->own.got_headers = true;
    assert_int_equal(count(call, neo_client_call_header_next), 2);
    assert_int_equal(count(call, neo_client_call_trailer_next), 1);

    call->own.got_headers = false; /* nothing but a status */
    stream.remote_ended = true;
    assert_int_equal(count(call, neo_client_call_header_next), 0);
    assert_int_equal(count(call, neo_client_call_trailer_next), 2);
    neo_arena_fini(&call->arena);
    free(call);
}

/* Of a client's call whose response has these fields; "(none)" when there is no such value. */
static const char *named(const struct h2_header *fields, size_t n, const char *name)
{
    static char text[64];
    struct neo_client_call *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    neo_arena_init(&call->arena, 1 << 16);
    struct h2_stream stream = {.headers = {fields, n}};
    call->running[0] = &call->own;
    call->n_running = 1;
    call->own.stream = &stream;
    call->committed = true;
    struct neo_bytes value = neo_client_call_metadata(call, name);
    (void)snprintf(text, sizeof(text), "%.*s", NEO_FMT(value));
    if (value.at == NULL)
        (void)snprintf(text, sizeof(text), "(none)");
    neo_arena_fini(&call->arena);
    free(call);
    return text;
}

TEST(a_client_that_asks_by_name_gets_no_binary_value_that_is_not_one)
{
    const struct h2_header fields[] = {FIELD("a-bin", "???"), FIELD("b-bin", "aGk,eW91"),
                                       FIELD("c-bin", "aGk"), FIELD("c-bin", "eW91")};

    assert_string_equal(named(fields, NEO_COUNT(fields), "a-bin"), "(none)");
    assert_string_equal(named(fields, NEO_COUNT(fields), "b-bin"), "(none)");
    assert_string_equal(named(fields, NEO_COUNT(fields), "c-bin"), "(none)");
    assert_string_equal(named(fields, NEO_COUNT(fields), "d-bin"), "(none)");
}

TEST(a_client_that_asks_by_name_gets_binary_values_decoded)
{
    const struct h2_header fields[] = {FIELD("a-bin", "aGk="), FIELD("b-bin", "aGk"),
                                       FIELD("c-bin", ""), FIELD("d", "aGk=")};

    assert_string_equal(named(fields, NEO_COUNT(fields), "a-bin"), "hi");
    assert_string_equal(named(fields, NEO_COUNT(fields), "b-bin"), "hi");
    assert_string_equal(named(fields, NEO_COUNT(fields), "c-bin"), "");
    assert_string_equal(named(fields, NEO_COUNT(fields), "d"), "aGk=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_asks_by_name_gets_no_binary_value_that_is_not_one),
        cmocka_unit_test(a_client_that_asks_by_name_gets_binary_values_decoded),
        cmocka_unit_test(shows_nothing_of_the_protocol_and_nothing_a_peer_may_not_say),
        cmocka_unit_test(leaves_out_binary_values_that_are_not_base64),
        cmocka_unit_test(gives_a_repeated_name_as_often_as_it_came_and_in_order),
        cmocka_unit_test(takes_binary_values_padded_unpadded_and_joined),
        cmocka_unit_test(tells_headers_from_trailers_also_after_the_stream_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
