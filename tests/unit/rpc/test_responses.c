/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a channel makes of responses, right and wrong ones: a table of what a server
 * says on the wire and of the status that the caller gets (gRPC over HTTP/2, and its
 * mappings of HTTP and RST_STREAM codes).
 */
#include "../unit.h"

#include "codec/gzip.h"
#include "rpc/frame.h"
#include "support/raw_server.h"

#include <neo/channel_options.h>
#include <neo/compression.h>
#include <neo/insecure.h>
#include <neo/interceptor.h>
#include <neo/runtime.h>
#include <neo/test/v1/echo.neo.h>
#include <neo/test/v1/words.neo.h>

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }
#define FIELD(name, value)                                                                         \
    {                                                                                              \
        TEXT(name), TEXT(value)                                                                    \
    }
#define GRPC FIELD("content-type", "application/grpc")

/* Words{text: "hi"} in a frame; the same twice; and none. */
#define HI "\0\0\0\0\4\x0a\2hi"

static struct neo_runtime *runtime;

static int set_up(void **state __attribute__((unused)))
{
    return neo_runtime_new(1, &runtime, NULL) == NEO_OK ? 0 : 1;
}

static int tear_down(void **state __attribute__((unused)))
{
    neo_runtime_free(runtime);
    return 0;
}

/* --- one call --------------------------------------------------------------------------------- */

struct result {
    struct neo_status status;
    struct neo_test_v1_Words words;
    struct neo_arena arena;
};

/* No retries: each answer is judged once. */
static const char no_retries[] = "{\"methodConfig\": [{\"name\": [{}], \"timeout\": \"10s\"}]}";

static struct neo_channel *open_channel_with(struct raw_server *server, bool accept_gzip,
                                             const char *service_config)
{
    static const struct neo_insecure_channel insecure = {.mode = NEO_INSECURE_CLEARTEXT,
                                                         .server_name = "localhost"};
    static const struct neo_channel_tuning tuning = {.backoff.initial = NEO_NSEC_PER_MSEC};
    struct neo_channel_options o = {.loop = neo_runtime_loop(runtime, 0),
                                    .service_config = service_config,
                                    .max_message = 64 * 1024,
                                    .accept_gzip = accept_gzip,
                                    .insecure = &insecure,
                                    .tuning = &tuning};
    struct neo_channel *channel;
    struct neo_error err;

    if (neo_channel_open(raw_server_target(server), &o, &channel, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return channel;
}

static struct neo_channel *open_channel(struct raw_server *server, bool accept_gzip)
{
    return open_channel_with(server, accept_gzip, no_retries);
}

static void ask(const struct raw_answer *answer, bool accept_gzip, struct result *ret)
{
    struct raw_server *server = raw_server_new(answer);
    struct neo_channel *channel = open_channel(server, accept_gzip);
    struct neo_test_v1_Words request = {.text = NEO_LIT("hello")};

    neo_arena_init(&ret->arena, 1 << 20);
    enum neo_code code =
        neo_test_v1_Speech_Say(channel, NULL, &request, &ret->words, &ret->arena, &ret->status);
    assert_int_equal(code, ret->status.code);
    neo_channel_free(channel);
    raw_server_free(server);
}

static void assert_answer(const char *what, const struct raw_answer *answer, enum neo_code code,
                          const char *message)
{
    struct result r = {0};

    ask(answer, false, &r);
    if (r.status.code != code || (message != NULL && !neo_bytes_is(r.status.message, message)))
        fail_msg("%s: expected %s %s, got %s \"%.*s\"", what, neo_code_name(code),
                 message == NULL ? "" : message, neo_code_name(r.status.code),
                 NEO_FMT(r.status.message));
    neo_arena_fini(&r.arena);
}

/* --- trailers --------------------------------------------------------------------------------- */

static const struct h2_header grpc[] = {GRPC};

static void assert_trailers(const struct h2_header *trailers, size_t n, const char *body,
                            size_t len, enum neo_code code, const char *message)
{
    const struct raw_answer answer = {.headers = grpc,
                                      .n_headers = 1,
                                      .body = {(const uint8_t *)body, len},
                                      .trailers = trailers,
                                      .n_trailers = n};

    assert_answer("trailers", &answer, code, message);
}

TEST(a_whole_message_without_a_status_is_no_success)
{
    static const struct h2_header other[] = {FIELD("x-other", "1")};

    assert_trailers(other, 1, HI, 9, NEO_UNKNOWN, NULL);
}

TEST(a_status_that_is_no_number_is_unknown)
{
    static const char *const values[] = {"",   "OK",  "00", "01",         "-1",
                                         "17", "0x0", "+0", "99999999999"};

    for (size_t i = 0; i < NEO_COUNT(values); i++) {
        struct h2_header status = FIELD("grpc-status", "");
        status.value = neo_text(values[i]);
        assert_trailers(&status, 1, HI, 9, NEO_UNKNOWN, NULL);
    }
}

TEST(a_status_said_twice_is_unknown)
{
    static const struct h2_header twice[] = {FIELD("grpc-status", "0"), FIELD("grpc-status", "0")};

    assert_trailers(twice, 2, HI, 9, NEO_UNKNOWN, NULL);
}

TEST(ok_with_other_than_one_whole_message_is_an_error)
{
    static const struct h2_header ok[] = {FIELD("grpc-status", "0")};

    assert_trailers(ok, 1, "", 0, NEO_UNIMPLEMENTED, NULL);
    assert_trailers(ok, 1, HI, 7, NEO_INTERNAL, NULL);                     /* cut */
    assert_trailers(ok, 1, HI HI, 18, NEO_UNIMPLEMENTED, NULL);            /* two */
    assert_trailers(ok, 1, "\2\0\0\0\0", 5, NEO_INTERNAL, NULL);           /* flags */
    assert_trailers(ok, 1, "\0\0\0\0\2\x0a\x09", 7, NEO_INTERNAL, NULL);   /* no protobuf */
    assert_trailers(ok, 1, "\0\0\2\0\0", 5, NEO_RESOURCE_EXHAUSTED, NULL); /* too large */
    assert_trailers(ok, 1, HI, 9, NEO_OK, NULL);
}

TEST(an_error_keeps_its_code_after_a_message_and_its_text_is_decoded)
{
    static const struct h2_header error[] = {FIELD("grpc-status", "5"),
                                             FIELD("grpc-message", "no%20such %E2%98%BA %zz%")};

    assert_trailers(error, 2, HI, 9, NEO_NOT_FOUND, "no such \u263a %zz%");
    assert_trailers(error, 2, "", 0, NEO_NOT_FOUND, "no such \u263a %zz%");
}

/* --- one block of headers --------------------------------------------------------------------- */

TEST(a_response_of_one_block_is_a_status_and_ok_in_it_lacks_a_message)
{
    static const struct h2_header error[] = {GRPC, FIELD("grpc-status", "7"),
                                             FIELD("grpc-message", "no")};
    static const struct h2_header ok[] = {GRPC, FIELD("grpc-status", "0")};
    static const struct h2_header none[] = {GRPC};

    assert_answer("error",
                  &(struct raw_answer){.headers = error, .n_headers = 3, .headers_only = true},
                  NEO_PERMISSION_DENIED, "no");
    assert_answer("ok", &(struct raw_answer){.headers = ok, .n_headers = 2, .headers_only = true},
                  NEO_UNIMPLEMENTED, NULL);
    assert_answer("none",
                  &(struct raw_answer){.headers = none, .n_headers = 1, .headers_only = true},
                  NEO_UNKNOWN, NULL);
}

TEST(a_status_in_headers_that_do_not_end_the_stream_is_not_the_status)
{
    static const struct h2_header headers[] = {GRPC, FIELD("grpc-status", "0")};
    static const struct h2_header trailers[] = {FIELD("grpc-status", "5")};

    assert_answer("both",
                  &(struct raw_answer){.headers = headers,
                                       .n_headers = 2,
                                       .body = TEXT(HI),
                                       .trailers = trailers,
                                       .n_trailers = 1},
                  NEO_NOT_FOUND, NULL);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

TEST(http_statuses_are_mapped_where_there_is_no_other)
{
    static const struct {
        int http;
        enum neo_code code;
    } rows[] = {
        {400, NEO_INTERNAL},      {401, NEO_UNAUTHENTICATED}, {403, NEO_PERMISSION_DENIED},
        {404, NEO_UNIMPLEMENTED}, {429, NEO_UNAVAILABLE},     {431, NEO_UNKNOWN},
        {500, NEO_UNKNOWN},       {502, NEO_UNAVAILABLE},     {503, NEO_UNAVAILABLE},
        {504, NEO_UNAVAILABLE},   {418, NEO_UNKNOWN},         {302, NEO_UNKNOWN},
        {204, NEO_UNKNOWN},
    };
    static const struct h2_header html[] = {FIELD("content-type", "text/html")};
    static const struct h2_header status[] = {GRPC, FIELD("grpc-status", "9")};

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        assert_answer(
            "bare",
            &(struct raw_answer){
                .status = rows[i].http, .headers = html, .n_headers = 1, .headers_only = true},
            rows[i].code, NULL);
        assert_answer("with a body",
                      &(struct raw_answer){.status = rows[i].http,
                                           .headers = html,
                                           .n_headers = 1,
                                           .body = rows[i].http == 204
                                                       ? (struct neo_bytes){0}
                                                       : (struct neo_bytes)TEXT("<html>"),
                                           .trailers = html,
                                           .n_trailers = 1},
                      rows[i].code, NULL);
        assert_answer(
            "with a status",
            &(struct raw_answer){
                .status = rows[i].http, .headers = status, .n_headers = 2, .headers_only = true},
            NEO_FAILED_PRECONDITION, NULL);
    }
}

TEST(another_content_type_is_no_grpc)
{
    static const char *const types[] = {"text/html", "application/grpc-web", "application/grpcfoo",
                                        "application/json"};
    static const char *const good[] = {"application/grpc", "application/grpc+proto",
                                       "application/grpc;x=y"};
    static const struct h2_header ok[] = {FIELD("grpc-status", "0")};
    struct h2_header type = FIELD("content-type", "");
    const struct raw_answer answer = {
        .headers = &type, .n_headers = 1, .body = TEXT(HI), .trailers = ok, .n_trailers = 1};

    for (size_t i = 0; i < NEO_COUNT(types); i++) {
        type.value = neo_text(types[i]);
        assert_answer(types[i], &answer, NEO_UNKNOWN, NULL);
    }
    for (size_t i = 0; i < NEO_COUNT(good); i++) {
        type.value = neo_text(good[i]);
        assert_answer(good[i], &answer, NEO_OK, NULL);
    }
}

/* --- answers that come early ------------------------------------------------------------------ */

static atomic_uint ended_early;

static void early_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

static void early_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    (void)self;
    assert(status->code == NEO_NOT_FOUND);
    atomic_fetch_add(&ended_early, 1);
}

struct early {
    struct neo_channel *channel;
    bool begun;
};

static void begin_early(void *self)
{
    static const struct neo_client_events events = {.message = early_message, .done = early_done};
    struct early *e = self;
    struct neo_client_call *call;

    e->begun =
        neo_test_v1_Speech_Count_start(e->channel, NULL, &events, NULL, &call, NULL) == NEO_OK;
}

/* The request never ends; were its stream left open, the server's limit of 100 would be reached. */
TEST(a_status_before_the_end_of_the_request_frees_the_stream)
{
    static const struct h2_header error[] = {GRPC, FIELD("grpc-status", "5")};
    const struct raw_answer answer = {.headers = error, .n_headers = 2, .headers_only = true};
    struct raw_server *server = raw_server_new(&answer);
    struct early e = {.channel = open_channel(server, false)};

    for (unsigned n = 1; n <= 250; n++) {
        neo_nsec end = neo_mono_nsec() + 10 * NEO_NSEC_PER_SEC;
        neo_runtime_call(runtime, 0, begin_early, &e);
        assert_true(e.begun);
        while (atomic_load(&ended_early) < n)
            assert_true(neo_mono_nsec() < end);
    }
    neo_channel_free(e.channel);
    raw_server_free(server);
}

/* --- resets ----------------------------------------------------------------------------------- */

enum { UNKNOWN_RESET = 99 };

/* Of gRPC over HTTP/2, "Errors"; a code that nobody has defined is as good as INTERNAL_ERROR. */
static const struct reset_row {
    uint32_t h2_error;
    enum neo_code code;
    const char *text;
} reset_rows[] = {
    {H2_NO_ERROR, NEO_INTERNAL, "the server ended the stream without a status"},
    {H2_PROTOCOL_ERROR, NEO_INTERNAL, "the server reset the stream: PROTOCOL_ERROR"},
    {H2_INTERNAL_ERROR, NEO_INTERNAL, "the server reset the stream: INTERNAL_ERROR"},
    {H2_FLOW_CONTROL_ERROR, NEO_INTERNAL, "the server reset the stream: FLOW_CONTROL_ERROR"},
    {H2_SETTINGS_TIMEOUT, NEO_INTERNAL, "the server reset the stream: SETTINGS_TIMEOUT"},
    {H2_STREAM_CLOSED, NEO_INTERNAL, "the server reset the stream: STREAM_CLOSED"},
    {H2_FRAME_SIZE_ERROR, NEO_INTERNAL, "the server reset the stream: FRAME_SIZE_ERROR"},
    {H2_REFUSED_STREAM, NEO_UNAVAILABLE, "the server refused the stream unprocessed"},
    {H2_CANCEL, NEO_CANCELLED, "the server cancelled the stream"},
    {H2_COMPRESSION_ERROR, NEO_INTERNAL, "the server reset the stream: COMPRESSION_ERROR"},
    {H2_CONNECT_ERROR, NEO_INTERNAL, "the server reset the stream: CONNECT_ERROR"},
    {H2_ENHANCE_YOUR_CALM, NEO_RESOURCE_EXHAUSTED, "the server asks to be calm"},
    {H2_INADEQUATE_SECURITY, NEO_PERMISSION_DENIED, "the server finds the security inadequate"},
    {H2_HTTP_1_1_REQUIRED, NEO_INTERNAL, "the server reset the stream: HTTP_1_1_REQUIRED"},
    {UNKNOWN_RESET, NEO_INTERNAL, "the server reset the stream with an unknown code"},
};

static void assert_reset(const struct reset_row *row, bool headers_came)
{
    const struct raw_answer answer = {.headers = grpc,
                                      .n_headers = 1,
                                      .body = TEXT(HI),
                                      .no_headers = !headers_came,
                                      .reset = true,
                                      .reset_code = row->h2_error};
    struct result r = {0};

    ask(&answer, false, &r);
    if (r.status.code != row->code || !neo_bytes_is(r.status.message, row->text))
        fail_msg("reset %u: got %s \"%.*s\"", row->h2_error, neo_code_name(r.status.code),
                 NEO_FMT(r.status.message));
    assert_int_equal(r.status.reason.len, 0);
    assert_int_equal(r.status.processed, row->h2_error != H2_REFUSED_STREAM || headers_came);
    neo_arena_fini(&r.arena);
}

TEST(resets_are_mapped_and_only_a_refusal_before_any_answer_means_not_processed)
{
    for (size_t i = 0; i < NEO_COUNT(reset_rows); i++) {
        assert_reset(&reset_rows[i], false);
        assert_reset(&reset_rows[i], true);
    }
}

static const char retries_unavailable[] =
    "{\"methodConfig\": [{\"name\": [{}], \"timeout\": \"10s\", \"waitForReady\": true, "
    "\"retryPolicy\": {\"maxAttempts\": "
    "4, "
    "\"initialBackoff\": \"0.01s\", \"maxBackoff\": \"0.01s\", \"backoffMultiplier\": 1, "
    "\"retryableStatusCodes\": [\"UNAVAILABLE\"]}}]}";

/* How many requests the server gets of a call that may be retried on UNAVAILABLE. */
static unsigned attempts_at(const struct raw_answer *answer, struct result *ret)
{
    struct raw_server *server = raw_server_new(answer);
    struct neo_channel *channel = open_channel_with(server, false, retries_unavailable);
    struct neo_test_v1_Words request = {.text = NEO_LIT("hello")};

    neo_arena_init(&ret->arena, 1 << 20);
    assert_int_not_equal(
        neo_test_v1_Speech_Say(channel, NULL, &request, &ret->words, &ret->arena, &ret->status),
        NEO_OK);
    neo_channel_free(channel);
    unsigned n = raw_server_requests(server);
    raw_server_free(server);
    return n;
}

TEST(a_reset_is_not_retried_as_a_lost_connection_is)
{
    struct raw_answer answer = {.no_headers = true, .reset = true, .reset_code = H2_INTERNAL_ERROR};
    struct result r = {0};

    assert_int_equal(attempts_at(&answer, &r), 1);
    assert_int_equal(r.status.code, NEO_INTERNAL);
    neo_arena_fini(&r.arena);

    /* The control: the same, but the connection ends. */
    answer = (struct raw_answer){.no_headers = true, .hang_up = true};
    assert_true(attempts_at(&answer, &r) > 1);
    assert_int_equal(r.status.code, NEO_UNAVAILABLE);
    assert_true(neo_bytes_is(r.status.reason, "CONNECT_FAILED"));
    neo_arena_fini(&r.arena);
}

TEST(metadata_over_our_own_limit_is_not_laid_at_the_servers_door)
{
    struct h2_header headers[120] = {GRPC};
    const struct raw_answer answer = {
        .headers = headers, .n_headers = NEO_COUNT(headers), .body = TEXT(HI)};
    struct result r = {0};

    for (size_t i = 1; i < NEO_COUNT(headers); i++)
        headers[i] = (struct h2_header){NEO_LIT("x-one"), NEO_LIT("of many")};
    ask(&answer, false, &r);
    assert_int_equal(r.status.code, NEO_RESOURCE_EXHAUSTED);
    assert_true(neo_bytes_starts(r.status.message,
                                 NEO_LIT("the response's metadata is larger than we take: 16384")));
    assert_true(r.status.processed);
    neo_arena_fini(&r.arena);
}

/* --- what the channel sends ------------------------------------------------------------------- */

/* One call with that metadata; what the server saw of `name` in `ret_seen`. */
static enum neo_code send_pair(const char *key, const char *value, const char *name,
                               struct result *ret, char ret_seen[static 128],
                               unsigned *ret_requests)
{
    static const struct h2_header trailers[] = {FIELD("grpc-status", "0")};
    static const struct raw_answer answer = {
        .headers = grpc, .n_headers = 1, .body = TEXT(HI), .trailers = trailers, .n_trailers = 1};
    struct raw_server *server = raw_server_new(&answer);
    struct neo_channel *channel = open_channel(server, false);
    const struct neo_pair pair = {neo_text(key), neo_text(value)};
    const struct neo_call_options options = {.metadata = &pair, .n_metadata = 1};
    struct neo_test_v1_Words request = {.text = NEO_LIT("hello")};

    neo_arena_init(&ret->arena, 1 << 20);
    enum neo_code code =
        neo_test_v1_Speech_Say(channel, &options, &request, &ret->words, &ret->arena, &ret->status);
    neo_channel_free(channel);
    *ret_requests = raw_server_requests(server);
    raw_server_seen(server, name, ret_seen);
    raw_server_free(server);
    return code;
}

TEST(metadata_that_no_server_may_take_is_refused_before_anything_leaves)
{
    static const struct {
        const char *key, *value, *why;
    } rows[] = {
        {"x-sp", " lead", "the value of metadata 'x-sp'"},
        {"x-sp", "trail ", "the value of metadata 'x-sp'"},
        {"x-ctl", "a\tb", "the value of metadata 'x-ctl'"},
        {"user-agent", "mine ", "the value of metadata 'user-agent'"},
        {"connection", "close", "metadata key 'connection': it is reserved"},
        {"keep-alive", "1", "metadata key 'keep-alive': it is reserved"},
        {"proxy-connection", "1", "metadata key 'proxy-connection': it is reserved"},
        {"transfer-encoding", "chunked", "metadata key 'transfer-encoding': it is reserved"},
        {"upgrade", "h2c", "metadata key 'upgrade': it is reserved"},
        {"content-length", "0", "metadata key 'content-length': it is reserved"},
        {"host", "other", "metadata key 'host': it is reserved"},
        {"grpc-timeout", "1S", "metadata key 'grpc-timeout': it is reserved"},
        {"traceparent", "00-", "metadata key 'traceparent': the channel writes it"},
        {"x-deadline-ms", "1", "metadata key 'x-deadline-ms': the channel writes it"},
        {"x_caller_id", "root", "metadata key 'x_caller_id': it may be taken for"},
        {"x-forwarded_for", "::1", "metadata key 'x-forwarded_for': it may be taken for"},
        {"X-Upper", "1", "metadata key 'X-Upper': keys are of a-z 0-9 _ - ."},
        {":path", "/", "metadata key ':path': keys are of"},
        {"", "1", "metadata key '': keys are of"},
    };

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct result r = {0};
        unsigned requests;
        char seen[128];
        assert_int_equal(send_pair(rows[i].key, rows[i].value, rows[i].key, &r, seen, &requests),
                         NEO_INVALID_ARGUMENT);
        assert_int_equal(requests, 0);
        if (!neo_bytes_starts(r.status.message, neo_text(rows[i].why)))
            fail_msg("%s: %.*s", rows[i].key, NEO_FMT(r.status.message));
        neo_arena_fini(&r.arena);
    }
}

TEST(all_other_metadata_leaves_as_it_is_and_the_users_agent_before_ours)
{
    static const struct {
        const char *key, *value, *seen;
    } rows[] = {
        {"x_under", "1", "1"},
        {"x-a_b.c-1", "in side", "in side"},
        {"x-forwarded-for", "::1", "::1"},
        {"authorization", "Bearer x", "Bearer x"},
        {"x-empty", "", ""},
        {"user-agent", "shop/2 (test)", "shop/2 (test) neo-c/0.1"},
        {"user-agent", "", "neo-c/0.1"},
    };

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct result r = {0};
        unsigned requests;
        char seen[128];
        assert_int_equal(send_pair(rows[i].key, rows[i].value, rows[i].key, &r, seen, &requests),
                         NEO_OK);
        assert_int_equal(requests, 1);
        assert_string_equal(seen, rows[i].seen); /* "" as well where a name is there twice */
        neo_arena_fini(&r.arena);
    }
}

/* --- compression ------------------------------------------------------------------------------ */

static const struct h2_header gzip_headers[] = {GRPC, FIELD("grpc-encoding", "gzip")};
static const struct h2_header ok_trailers[] = {FIELD("grpc-status", "0")};

static struct neo_buffer framed_gzip(struct neo_bytes plain)
{
    struct neo_buffer wire = {0};
    uint8_t prefix[FRAME_PREFIX_LEN] = {0};

    assert_true(neo_buffer_append(&wire, neo_bytes(prefix, sizeof(prefix))) &&
                neo_buffer_append(&wire, plain));
    assert_int_equal(frame_compress(&wire, 0, NULL), NEO_OK);
    return wire;
}

static void assert_compressed(const struct h2_header *headers, size_t n, struct neo_bytes body,
                              bool accept_gzip, enum neo_code code)
{
    const struct raw_answer answer = {
        .headers = headers, .n_headers = n, .body = body, .trailers = ok_trailers, .n_trailers = 1};
    struct result r = {0};

    ask(&answer, accept_gzip, &r);
    if (r.status.code != code)
        fail_msg("expected %s, got %s \"%.*s\"", neo_code_name(code), neo_code_name(r.status.code),
                 NEO_FMT(r.status.message));
    if (code == NEO_OK)
        assert_true(neo_bytes_is(r.words.text, "hi"));
    neo_arena_fini(&r.arena);
}

TEST(a_compressed_response_is_internal_unless_it_was_asked_for_and_is_what_it_says)
{
    static const struct h2_header deflate[] = {GRPC, FIELD("grpc-encoding", "deflate")};
    static const struct h2_header identity[] = {GRPC, FIELD("grpc-encoding", "identity")};
    struct neo_buffer hi = framed_gzip(NEO_LIT("\x0a\2hi"));
    struct neo_bytes wire = neo_buffer_bytes(&hi);

    assert_compressed(gzip_headers, 2, wire, false, NEO_INTERNAL);
    assert_compressed(gzip_headers, 1, wire, true, NEO_INTERNAL); /* no encoding */
    assert_compressed(identity, 2, wire, true, NEO_INTERNAL);
    assert_compressed(deflate, 2, wire, true, NEO_INTERNAL);
    assert_compressed(deflate, 2, NEO_LIT(HI), true, NEO_OK); /* it was not used */
    assert_compressed(gzip_headers, 2, NEO_LIT("\1\0\0\0\4\x0a\2hi"), true, NEO_INTERNAL);
    assert_compressed(gzip_headers, 2, NEO_LIT(HI), true, NEO_OK);
    assert_compressed(gzip_headers, 2, wire, true, NEO_OK);
    neo_buffer_fini(&hi);
}

TEST(a_response_that_inflates_beyond_the_limit_is_resource_exhausted)
{
    static uint8_t zeros[1 << 20];
    struct neo_buffer bomb = framed_gzip(neo_bytes(zeros, sizeof(zeros)));

    assert_true(bomb.len < 4096);
    assert_compressed(gzip_headers, 2, neo_buffer_bytes(&bomb), true, NEO_RESOURCE_EXHAUSTED);
    neo_buffer_fini(&bomb);
}

/* --- what interceptors see of a call that is decoded elsewhere ---------------------------------
 */

struct watcher {
    struct neo_client_interceptor base;
    unsigned seen;
    bool was_hi;
};

static void watch(struct neo_client_interceptor *self, struct neo_client_call *call, void *state,
                  const void *message)
{
    struct watcher *w = neo_owner(self, struct watcher, base);

    (void)state;
    w->seen++;
    w->was_hi = neo_client_call_method(call)->response == &neo_test_v1_Words_info &&
                neo_bytes_is(((const struct neo_test_v1_Words *)message)->text, "hi");
}

/* A blocking call of Say, whose answer is of type `info`. */
static enum neo_code call_watched(const struct raw_answer *answer, struct watcher *w,
                                  const struct neo_message_info *info, void *response)
{
    struct raw_server *server = raw_server_new(answer);
    struct neo_channel *channel = open_channel(server, true);
    struct neo_method method = neo_test_v1_Speech_methods[neo_test_v1_Speech_Say_INDEX];
    const struct neo_test_v1_Words request = {.text = NEO_LIT("hello")};
    struct neo_arena arena = NEO_ARENA(64 << 20);

    method.response = info;
    *w = (struct watcher){.base = {.name = "watcher", .response = watch}};
    assert_int_equal(neo_channel_intercept(channel, &w->base, NULL), NEO_OK);
    enum neo_code code = neo_channel_call(channel, &method, NULL, &request, response, &arena, NULL);
    neo_arena_fini(&arena);
    neo_channel_free(channel);
    raw_server_free(server);
    return code;
}

TEST(a_response_that_came_compressed_is_seen_as_what_it_stands_for)
{
    struct neo_buffer hi = framed_gzip(NEO_LIT("\x0a\2hi"));
    const struct raw_answer answer = {.headers = gzip_headers,
                                      .n_headers = 2,
                                      .body = neo_buffer_bytes(&hi),
                                      .trailers = ok_trailers,
                                      .n_trailers = 1};
    struct neo_test_v1_Words words = {0};
    struct watcher w;

    assert_int_equal(call_watched(&answer, &w, &neo_test_v1_Words_info, &words), NEO_OK);
    assert_int_equal(w.seen, 1);
    assert_true(w.was_hi);
    neo_buffer_fini(&hi);
}

TEST(a_response_too_large_to_be_seen_does_not_reach_the_caller)
{
    enum { CHILDREN = 31000 };
    static uint8_t body[5 + 2 * CHILDREN] = {0, 0, 0, 2 * CHILDREN >> 8, 2 * CHILDREN & 255};
    const struct raw_answer answer = {.headers = grpc,
                                      .n_headers = 1,
                                      .body = {body, sizeof(body)},
                                      .trailers = ok_trailers,
                                      .n_trailers = 1};
    struct neo_test_v1_Bush bush = {0};
    struct watcher w;

    for (size_t i = 5; i < sizeof(body); i += 2)
        body[i] = 0x0a; /* a child without anything */
    assert_int_equal(call_watched(&answer, &w, &neo_test_v1_Bush_info, &bush),
                     NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(w.seen, 0);
    body[3] = body[4] = 0; /* none */
    const struct raw_answer empty = {.headers = grpc,
                                     .n_headers = 1,
                                     .body = {body, 5},
                                     .trailers = ok_trailers,
                                     .n_trailers = 1};
    assert_int_equal(call_watched(&empty, &w, &neo_test_v1_Bush_info, &bush), NEO_OK);
    assert_int_equal(w.seen, 1);
}

/* --- what we say ------------------------------------------------------------------------------ */

static void assert_seen(struct raw_server *server, const char *name, const char *value)
{
    char seen[128];

    raw_server_seen(server, name, seen);
    assert_string_equal(seen, value);
}

TEST(a_request_says_of_compression_what_was_asked_for_and_no_more)
{
    static const struct raw_answer answer = {.headers = grpc,
                                             .n_headers = 1,
                                             .body = TEXT(HI),
                                             .trailers = ok_trailers,
                                             .n_trailers = 1};
    struct neo_test_v1_Words request = {.text = NEO_LIT("hello")}, reply;
    struct neo_call_options options = {0};
    struct neo_buffer plain = {0};
    struct neo_arena arena;
    uint8_t body[256];

    for (int gzip = 0; gzip < 2; gzip++) {
        struct raw_server *server = raw_server_new(&answer);
        struct neo_channel *channel = open_channel(server, gzip == 1);
        neo_arena_init(&arena, 1 << 20);
        options.gzip = gzip == 1;
        assert_int_equal(neo_test_v1_Speech_Say(channel, &options, &request, &reply, &arena, NULL),
                         NEO_OK);
        assert_seen(server, "te", "trailers");
        assert_seen(server, "content-type", "application/grpc");
        assert_seen(server, "grpc-encoding", gzip == 1 ? "gzip" : "");
        assert_seen(server, "grpc-accept-encoding", gzip == 1 ? "identity,gzip" : "");
        neo_channel_free(channel);
        size_t len = raw_server_body(server, body, sizeof(body));
        raw_server_free(server);
        assert_true(len > FRAME_PREFIX_LEN);
        assert_int_equal(body[0], gzip);
        if (gzip == 1)
            assert_int_equal(gzip_inflate(neo_bytes(body + 5, len - 5), 100, &plain, NULL), NEO_OK);
        else
            assert_int_equal(len, FRAME_PREFIX_LEN + 7);
        neo_arena_fini(&arena);
    }
    assert_true(neo_bytes_is(neo_buffer_bytes(&plain), "\x0a\5hello"));
    neo_buffer_fini(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_message_without_a_status_is_no_success),
        cmocka_unit_test(a_status_that_is_no_number_is_unknown),
        cmocka_unit_test(a_status_said_twice_is_unknown),
        cmocka_unit_test(ok_with_other_than_one_whole_message_is_an_error),
        cmocka_unit_test(an_error_keeps_its_code_after_a_message_and_its_text_is_decoded),
        cmocka_unit_test(a_response_of_one_block_is_a_status_and_ok_in_it_lacks_a_message),
        cmocka_unit_test(a_status_in_headers_that_do_not_end_the_stream_is_not_the_status),
        cmocka_unit_test(http_statuses_are_mapped_where_there_is_no_other),
        cmocka_unit_test(another_content_type_is_no_grpc),
        cmocka_unit_test(a_status_before_the_end_of_the_request_frees_the_stream),
        cmocka_unit_test(
            resets_are_mapped_and_only_a_refusal_before_any_answer_means_not_processed),
        cmocka_unit_test(metadata_that_no_server_may_take_is_refused_before_anything_leaves),
        cmocka_unit_test(all_other_metadata_leaves_as_it_is_and_the_users_agent_before_ours),
        cmocka_unit_test(a_reset_is_not_retried_as_a_lost_connection_is),
        cmocka_unit_test(metadata_over_our_own_limit_is_not_laid_at_the_servers_door),
        cmocka_unit_test(
            a_compressed_response_is_internal_unless_it_was_asked_for_and_is_what_it_says),
        cmocka_unit_test(a_response_that_inflates_beyond_the_limit_is_resource_exhausted),
        cmocka_unit_test(a_response_that_came_compressed_is_seen_as_what_it_stands_for),
        cmocka_unit_test(a_response_too_large_to_be_seen_does_not_reach_the_caller),
        cmocka_unit_test(a_request_says_of_compression_what_was_asked_for_and_no_more),
    };
    return cmocka_run_group_tests_name("rpc/responses", tests, set_up, tear_down);
}
