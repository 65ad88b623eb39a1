/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/echo.h"

#include <neo/interceptor.h>
#include <neo/memory.h>

#include <stdatomic.h>
#include <stdio.h>

static struct echo_world world;
static struct neo_server *server;
static struct neo_channel *channel;
static struct neo_arena arena;

/* The server reads what the client's interceptors sent. */
static char got[64];

static enum neo_code read_metadata(struct neo_interceptor *self, struct neo_call *call,
                                   void **state, struct neo_status *refusal)
{
    (void)self;
    (void)state;
    (void)refusal;
    (void)snprintf(got, sizeof(got), "%.*s,%.*s,%.*s", NEO_FMT(neo_call_metadata(call, "x-own")),
                   NEO_FMT(neo_call_metadata(call, "x-added")),
                   NEO_FMT(neo_call_metadata(call, "x-more-bin")));
    return NEO_OK;
}

struct adder {
    struct neo_client_interceptor base;
    enum neo_code refuses;
    atomic_uint begun, ended;
    atomic_int code;
};

static enum neo_code on_begin(struct neo_client_interceptor *self, struct neo_client_call *call,
                              void **state, struct neo_error *err)
{
    struct adder *a = neo_owner(self, struct adder, base);

    assert_null(*state);
    assert_string_equal(neo_client_call_method(call)->service, "neo.test.v1.Speech");
    assert_true(neo_client_call_context(call)->criticality == NEO_CRITICAL);
    if (a->refuses != NEO_OK)
        return neo_fail(err, a->refuses, "not from here");
    *state = a;
    atomic_fetch_add(&a->begun, 1);
    if (strcmp(a->base.name, "first") != 0)
        return NEO_OK;
    assert_int_equal(neo_client_call_add_metadata(call, NEO_LIT("grpc-own"), NEO_LIT("x"), NULL),
                     NEO_INVALID_ARGUMENT);
    NEO_TRY(neo_client_call_add_metadata(call, NEO_LIT("x-added"), NEO_LIT("yes"), err));
    return neo_client_call_add_metadata(call, NEO_LIT("x-more-bin"), NEO_LIT("b\1"), err);
}

static void on_end(struct neo_client_interceptor *self, struct neo_client_call *call, void *state,
                   const struct neo_status *status)
{
    struct adder *a = neo_owner(self, struct adder, base);

    assert_ptr_equal(state, a);
    /* Too late for more. */
    assert_int_equal(neo_client_call_add_metadata(call, NEO_LIT("x-late"), NEO_LIT("x"), NULL),
                     NEO_FAILED_PRECONDITION);
    atomic_store(&a->code, (int)status->code);
    atomic_fetch_add(&a->ended, 1);
}

static struct adder first, second;
static struct neo_interceptor reader = {.name = "reader", .begin = read_metadata};

static int set_up(void **state)
{
    char target[200];

    (void)state;
    got[0] = '\0';
    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    first.base = (struct neo_client_interceptor){.name = "first", .begin = on_begin, .end = on_end};
    second.base =
        (struct neo_client_interceptor){.name = "second", .begin = on_begin, .end = on_end};
    neo_arena_init(&arena, 1 << 20);
    echo_world_init(&world);
    server = echo_server_intercepted(&world, &reader);
    echo_target(target, sizeof(target), &server, 1);
    channel = echo_channel(&world, "caller-service", target, NULL);
    assert_int_equal(neo_channel_intercept(channel, &first.base, NULL), NEO_OK);
    assert_int_equal(neo_channel_intercept(channel, &second.base, NULL), NEO_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_channel_free(channel);
    neo_server_free(server);
    echo_world_fini(&world);
    neo_arena_fini(&arena);
    return 0;
}

static enum neo_code say(const struct neo_call_options *options, unsigned code,
                         struct neo_status *ret_status)
{
    const struct neo_test_v1_Words words = {.text = NEO_LIT("hello"), .code = code};
    struct neo_test_v1_Words reply;

    return neo_test_v1_Speech_Say(channel, options, &words, &reply, &arena, ret_status);
}

TEST(one_that_refuses_keeps_the_call_from_leaving)
{
    struct neo_status status;

    second.refuses = NEO_PERMISSION_DENIED;
    assert_int_equal(say(NULL, 0, &status), NEO_PERMISSION_DENIED);
    assert_true(neo_bytes_is(status.message, "not from here"));
    assert_int_equal(world.handled, 0);
    assert_int_equal(first.begun, 1);
    assert_int_equal(first.ended, 1);
    assert_int_equal(first.code, NEO_PERMISSION_DENIED);
    assert_int_equal(second.ended, 0);
}

TEST(no_ninth_is_taken)
{
    for (int i = 2; i < NEO_INTERCEPTORS_MAX; i++)
        assert_int_equal(neo_channel_intercept(channel, &second.base, NULL), NEO_OK);
    assert_int_equal(neo_channel_intercept(channel, &second.base, NULL), NEO_RESOURCE_EXHAUSTED);
}

TEST(none_is_taken_once_a_call_has_begun)
{
    struct neo_error err;

    assert_int_equal(say(NULL, 0, NULL), NEO_OK);
    assert_int_equal(neo_channel_intercept(channel, &second.base, &err), NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "before the first"));
    assert_int_equal(second.begun, 1);
}

TEST(what_they_add_arrives_beside_what_the_caller_sent)
{
    const struct neo_pair own = {NEO_LIT("x-own"), NEO_LIT("mine")};
    const struct neo_call_options options = {.metadata = &own, .n_metadata = 1};

    assert_int_equal(say(&options, 0, NULL), NEO_OK);
    assert_string_equal(got, "mine,yes,b\1");
    assert_int_equal(say(NULL, 0, NULL), NEO_OK);
    assert_string_equal(got, ",yes,b\1");
    assert_int_equal(first.begun, 2);
    assert_int_equal(first.ended, 2);
    assert_int_equal(second.ended, 2);
}

TEST(they_hear_how_each_call_ended)
{
    assert_int_equal(say(NULL, NEO_NOT_FOUND, NULL), NEO_NOT_FOUND);
    assert_int_equal(first.code, NEO_NOT_FOUND);
    assert_int_equal(second.code, NEO_NOT_FOUND);
    assert_int_equal(first.ended, 1);
}

/* --- messages --------------------------------------------------------------------------------- */

struct looker {
    struct neo_client_interceptor base;
    bool cancels;
    atomic_uint requests, responses;
    char last[64];
};

static struct looker looker;

static void on_request(struct neo_client_interceptor *self, struct neo_client_call *call,
                       void *state, const void *message)
{
    struct looker *l = neo_owner(self, struct looker, base);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    (void)state;
    assert_int_equal(neo_proto_to_json(neo_client_call_method(call)->request, message,
                                       NEO_JSON_REDACT, &text, NULL),
                     NEO_OK);
    (void)snprintf(l->last, sizeof(l->last), "%.*s", NEO_FMT(neo_buffer_bytes(&text)));
    atomic_fetch_add(&l->requests, 1);
    if (l->cancels)
        neo_client_call_cancel(call);
}

static void on_response(struct neo_client_interceptor *self, struct neo_client_call *call,
                        void *state, const void *message)
{
    const struct neo_test_v1_Words *words = message;
    struct looker *l = neo_owner(self, struct looker, base);

    (void)call;
    (void)state;
    assert_true(words->text.len < 100);
    atomic_fetch_add(&l->responses, 1);
}

static int set_up_to_look(void **state)
{
    memset(&looker, 0, sizeof(looker));
    looker.base = (struct neo_client_interceptor){
        .name = "looker", .request = on_request, .response = on_response};
    if (set_up(state) != 0)
        return -1;
    assert_int_equal(neo_channel_intercept(channel, &looker.base, NULL), NEO_OK);
    return 0;
}

TEST(a_call_that_is_cancelled_from_a_look_at_its_request_does_not_leave)
{
    looker.cancels = true;
    assert_int_equal(say(NULL, 0, NULL), NEO_CANCELLED);
    assert_int_equal(looker.requests, 1);
    assert_int_equal(looker.responses, 0);
    assert_int_equal(world.handled, 0);
}

TEST(no_response_is_seen_of_a_call_that_failed)
{
    assert_int_equal(say(NULL, NEO_NOT_FOUND, NULL), NEO_NOT_FOUND);
    assert_int_equal(looker.requests, 1);
    assert_int_equal(looker.responses, 0);
}

TEST(a_blocking_call_shows_its_request_and_its_response)
{
    assert_int_equal(say(NULL, 0, NULL), NEO_OK);
    assert_string_equal(looker.last, "{\"text\":\"aGVsbG8=\"}");
    assert_int_equal(looker.requests, 1);
    assert_int_equal(looker.responses, 1);
}

TEST(a_blocking_stream_shows_each_message)
{
    const struct neo_test_v1_Words words = {.text = NEO_LIT("hello")};
    struct neo_test_v1_Words reply;
    struct neo_stream *stream;

    assert_int_equal(neo_channel_stream(channel,
                                        &neo_test_v1_Speech_methods[neo_test_v1_Speech_Chat_INDEX],
                                        NULL, NULL, &stream, NULL),
                     NEO_OK);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(neo_stream_send(stream, &words), NEO_OK);
        assert_true(neo_stream_next(stream, &reply, &arena));
        assert_int_equal(looker.requests, i);
        assert_int_equal(looker.responses, i);
    }
    neo_stream_close_send(stream);
    assert_false(neo_stream_next(stream, &reply, &arena));
    neo_stream_free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_refuses_keeps_the_call_from_leaving, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(none_is_taken_once_a_call_has_begun, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_ninth_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_they_add_arrives_beside_what_the_caller_sent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(they_hear_how_each_call_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_call_that_is_cancelled_from_a_look_at_its_request_does_not_leave, set_up_to_look,
            tear_down),
        cmocka_unit_test_setup_teardown(no_response_is_seen_of_a_call_that_failed, set_up_to_look,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_blocking_call_shows_its_request_and_its_response,
                                        set_up_to_look, tear_down),
        cmocka_unit_test_setup_teardown(a_blocking_stream_shows_each_message, set_up_to_look,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
