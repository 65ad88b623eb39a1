/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are too large for who asked, and answers that are none: what reaches the caller, and
 * what the server's log has of it. Over real sockets, a caller that takes 8 KiB of metadata.
 */
#include "../unit.h"

#include "support/echo.h"

#include <neo/channel_options.h>
#include <neo/details.h>
#include <neo/neo.h>

#include <google/rpc/error_details.neo.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KIB = 1 << 10, CALLER_TAKES = 8 * KIB, REQUEST_MOST = 64 * KIB };

static struct echo_world world;
static char text[128 * KIB];

/* What the handler does; set before the call, read by it. */
static struct plan {
    size_t header, trailer; /* bytes of values; 0: none */
    size_t added;           /* of a detail that it adds */
    size_t info;            /* of a value in ErrorInfo */
    const char *broken;     /* NULL, or how it ends instead */
    bool names;             /* adds headers of many names */
    bool refused;           /* told: a header or trailer was not taken */
} plan;

static void finish(struct neo_call *call)
{
    const struct neo_pair info = {NEO_LIT("why"), neo_bytes(text, plan.info)};
    struct google_rpc_LocalizedMessage detail = {.locale = NEO_LIT("en"),
                                                 .message = neo_bytes(text, plan.added)};
    struct neo_status status = neo_status_of(NEO_ABORTED, "try the whole of it again");

    status.reason = NEO_LIT("TORN");
    status.metadata = &info;
    status.n_metadata = plan.info > 0;
    if (plan.added > 0)
        assert_true(neo_status_add_detail(&status, neo_call_arena(call),
                                          &google_rpc_LocalizedMessage_info, &detail));
    neo_call_finish(call, &status);
}

static void add_names(struct neo_call *call)
{
    static const char *const bad[] = {
        "x_caller_id",       "x_forwarded_for", "grpc_status", "connection",     "keep-alive",
        "transfer-encoding", "upgrade",         "host",        "content-length", "content_type"};

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        assert_false(neo_call_add_header(call, bad[i], NEO_LIT("1")));
        assert_false(neo_call_add_trailer(call, bad[i], NEO_LIT("1")));
    }
    assert_true(neo_bytes_is(neo_call_metadata(call, "x_asked_by"), "me"));
    assert_true(neo_call_add_header(call, "x_note", NEO_LIT("read")));
    assert_true(neo_call_add_trailer(call, "x_end_bin-bin", NEO_LIT("\1")));
}

static void say(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    const struct neo_status ok = {.code = NEO_OK};

    (void)self;
    if (plan.names)
        add_names(call);
    plan.refused =
        (plan.header > 0 && !neo_call_add_header(call, "x-h", neo_bytes(text, plan.header))) ||
        (plan.trailer > 0 && !neo_call_add_trailer(call, "x-t", neo_bytes(text, plan.trailer)));
    if (plan.broken == NULL && plan.added + plan.info + plan.trailer > 0)
        finish(call);
    else if (plan.broken == NULL)
        neo_test_v1_Speech_Say_reply(call, request);
    else if (strcmp(plan.broken, "fail with OK") == 0)
        neo_call_fail(call, NEO_OK, "all is well");
    else
        neo_call_finish(call, &ok);
}

struct outcome {
    struct neo_arena arena;
    struct neo_status status;
    char log[4 * KIB];
};

static struct neo_server *serve(const struct neo_log *log, bool blocking)
{
    static const struct neo_test_v1_Speech_handlers handlers = {.Say = say};
    const struct neo_server_options options = {.name = "echo-service",
                                               .runtime = world.runtime,
                                               .epoch = world.epoch,
                                               .max_message = 32 * KIB,
                                               .log = log};
    struct neo_server *server;
    struct neo_error err;

    assert_int_equal(neo_server_new(&options, &server, &err), NEO_OK);
    assert_int_equal(neo_test_v1_Speech_add(server, &handlers, NULL, &err), NEO_OK);
    if (blocking)
        assert_int_equal(neo_server_set_blocking(server, "/neo.test.v1.Speech/Say", &err), NEO_OK);
    assert_int_equal(neo_server_listen(server, "127.0.0.1:0", &err), NEO_OK);
    return server;
}

static struct neo_channel *connect_to(struct neo_server *server)
{
    struct neo_identity *identity = pki_identity(world.pki, "caller-service", NULL);
    const struct neo_channel_tuning tuning = {.max_metadata = CALLER_TAKES};
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(world.runtime, 0),
        .epoch = {.identity = identity, .trust = world.epoch.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .max_message = REQUEST_MOST,
        .tuning = &tuning,
    };
    struct neo_channel *channel;
    struct neo_error err;
    char target[200];

    echo_target(target, sizeof(target), &server, 1);
    assert_int_equal(neo_channel_open(target, &options, &channel, &err), NEO_OK);
    neo_identity_unref(identity);
    return channel;
}

static void read_log(int fd, char ret[static 4 * KIB])
{
    ssize_t n = pread(fd, ret, 4 * KIB - 1, 0);

    assert_true(n >= 0);
    ret[n] = '\0';
}

static void ask(const struct plan *is, bool blocking, size_t request_bytes, struct outcome *ret)
{
    struct neo_log log = {.fd = memfd_create("log", 0), .level = NEO_LOG_WARN};
    struct neo_server *server = serve(&log, blocking);
    struct neo_channel *channel = connect_to(server);
    const struct neo_test_v1_Words request = {.text = neo_bytes(text, request_bytes)};
    struct neo_test_v1_Words response;

    plan = *is;
    neo_arena_init(&ret->arena, 1 << 20);
    (void)!neo_test_v1_Speech_Say(channel, NULL, &request, &response, &ret->arena, &ret->status);
    neo_channel_free(channel);
    neo_server_free(server);
    read_log(log.fd, ret->log);
    (void)close(log.fd);
}

/* --- names ------------------------------------------------------------------------------------ */

struct seen {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
    enum neo_code code;
    char note[16];
    size_t end;
};

static void on_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

static void on_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct seen *seen = self;
    struct neo_bytes note = neo_client_call_metadata(call, "x_note");

    (void)pthread_mutex_lock(&seen->lock);
    (void)snprintf(seen->note, sizeof(seen->note), "%.*s", NEO_FMT(note));
    seen->end = neo_client_call_metadata(call, "x_end_bin-bin").len;
    seen->code = status->code;
    seen->done = true;
    (void)pthread_cond_signal(&seen->ended);
    (void)pthread_mutex_unlock(&seen->lock);
}

struct start {
    struct neo_channel *channel;
    struct seen *seen;
};

static void start(void *self)
{
    static const struct neo_client_events events = {.message = on_message, .done = on_done};
    static const struct neo_pair asked = {{(const uint8_t *)"x_asked_by", 10},
                                          {(const uint8_t *)"me", 2}};
    const struct neo_call_options options = {.metadata = &asked, .n_metadata = 1};
    const struct neo_test_v1_Words request = {0};
    struct start *s = self;
    struct neo_client_call *call;

    assert_int_equal(neo_channel_start(s->channel, &neo_test_v1_Speech_methods[0], &options,
                                       &request, &events, s->seen, &call, NULL),
                     NEO_OK);
}

TEST(names_with_underscores_go_both_ways_but_for_those_that_look_like_ours)
{
    struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    struct neo_server *server = serve(NULL, false);
    struct start s = {connect_to(server), &seen};

    plan = (struct plan){.names = true};
    neo_runtime_call(world.runtime, 0, start, &s);
    (void)pthread_mutex_lock(&seen.lock);
    while (!seen.done)
        (void)pthread_cond_wait(&seen.ended, &seen.lock);
    (void)pthread_mutex_unlock(&seen.lock);
    assert_int_equal(seen.code, NEO_OK);
    assert_string_equal(seen.note, "read");
    assert_int_equal(seen.end, 1);
    neo_channel_free(s.channel);
    neo_server_free(server);
}

/* --- too large -------------------------------------------------------------------------------- */

TEST(metadata_that_the_caller_would_not_take_is_refused_to_the_handler_at_once)
{
    static const struct plan bad[] = {
        {.header = CALLER_TAKES},
        {.header = 17 * KIB},
        {.trailer = CALLER_TAKES},
        {.trailer = 70 * KIB},
    };
    struct outcome o;

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        ask(&bad[i], false, 1, &o);
        assert_true(plan.refused);
        assert_int_equal(o.status.code, bad[i].trailer > 0 ? NEO_ABORTED : NEO_OK);
        assert_string_equal(o.log, "");
        neo_arena_fini(&o.arena);
    }
    ask(&(struct plan){.header = 7 * KIB}, false, 1, &o);
    assert_false(plan.refused);
    assert_int_equal(o.status.code, NEO_OK);
    neo_arena_fini(&o.arena);
}

TEST(a_status_that_is_too_large_loses_its_least_and_never_its_code_and_text)
{
    static const struct {
        struct plan plan;
        const char *left_out; /* as the log has it; NULL: nothing */
        bool added, info;     /* what the caller gets of it */
    } rows[] = {
        {{.added = 1 * KIB, .info = 1 * KIB, .trailer = 1 * KIB}, NULL, true, true},
        {{.added = 12 * KIB, .info = 1 * KIB}, "the details that were added", false, true},
        {{.added = 2 * KIB, .trailer = 7 * KIB}, "the details that were added", false, true},
        {{.added = 2 * KIB, .info = 4 * KIB, .trailer = 7 * KIB},
         "these and the metadata",
         false,
         true},
        {{.info = 4 * KIB, .header = 7 * KIB}, "these and the metadata", false, true},
        {{.added = 2 * KIB, .info = 12 * KIB, .trailer = 1 * KIB},
         "these and all details",
         false,
         false},
    };

    for (size_t i = 0; i < 2 * NEO_COUNT(rows); i++) {
        bool blocking = i >= NEO_COUNT(rows); /* which adds no metadata */
        size_t row = i % NEO_COUNT(rows);
        struct google_rpc_LocalizedMessage detail;
        struct outcome o;
        if (blocking && rows[row].plan.trailer + rows[row].plan.header > 0)
            continue;
        ask(&rows[row].plan, blocking, 1, &o);
        assert_int_equal(o.status.code, NEO_ABORTED);
        assert_true(neo_bytes_is(o.status.message, "try the whole of it again"));
        assert_int_equal(
            neo_status_detail(&o.status, &google_rpc_LocalizedMessage_info, &o.arena, &detail),
            rows[row].added);
        assert_int_equal(neo_bytes_is(o.status.reason, "TORN"), rows[row].info);
        if (rows[row].left_out == NULL)
            assert_string_equal(o.log, "");
        else
            assert_non_null(strstr(o.log, rows[row].left_out));
        neo_arena_fini(&o.arena);
    }
}

TEST(details_that_no_connection_brings_are_not_added)
{
    struct neo_arena arena = NEO_ARENA(1 << 20);
    struct google_rpc_LocalizedMessage detail = {.message = neo_bytes(text, 45 * KIB)};
    struct neo_status status = neo_status_of(NEO_ABORTED, "");

    assert_false(
        neo_status_add_detail(&status, &arena, &google_rpc_LocalizedMessage_info, &detail));
    assert_int_equal(status.more_details.len, 0);
    detail.message.len = 40 * KIB;
    assert_true(neo_status_add_detail(&status, &arena, &google_rpc_LocalizedMessage_info, &detail));
    neo_arena_fini(&arena);
}

TEST(a_message_over_a_limit_is_told_with_both_sizes_and_the_options_name)
{
    struct outcome o;

    ask(&(struct plan){0}, false, 70 * KIB, &o);
    assert_int_equal(o.status.code, NEO_RESOURCE_EXHAUSTED);
    assert_true(neo_bytes_is(o.status.message,
                             "a request of 71684 bytes is larger than the limit of 65536 (the "
                             "channel's max_message, or maxRequestMessageBytes)"));
    neo_arena_fini(&o.arena);

    ask(&(struct plan){0}, false, 40 * KIB, &o);
    assert_int_equal(o.status.code, NEO_RESOURCE_EXHAUSTED);
    assert_true(neo_bytes_is(o.status.reason, "MESSAGE_TOO_LARGE"));
    assert_true(
        neo_bytes_is(o.status.message,
                     "a message of 40964 bytes is larger than the limit of 32768 (max_message)"));
    assert_false(o.status.processed);
    neo_arena_fini(&o.arena);
}

/* --- none ------------------------------------------------------------------------------------- */

TEST(ok_without_the_response_is_the_handlers_fault_and_the_servers_log_says_so)
{
    static const struct {
        const char *how, *said;
    } rows[] = {
        {"fail with OK", "neo_call_fail() with OK"},
        {"finish with OK", "the handler finished with OK and sent no response"},
    };

    for (size_t i = 0; i < 2 * NEO_COUNT(rows); i++) {
        const struct plan broken = {.broken = rows[i % NEO_COUNT(rows)].how};
        struct outcome o;
        ask(&broken, i >= NEO_COUNT(rows), 1, &o);
        assert_int_equal(o.status.code, NEO_INTERNAL);
        assert_true(neo_bytes_is(o.status.reason, "HANDLER_BROKEN"));
        assert_non_null(strstr(o.log, "call.handler_broken"));
        assert_non_null(strstr(o.log, rows[i % NEO_COUNT(rows)].said));
        neo_arena_fini(&o.arena);
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(text, 'x', sizeof(text));
    echo_world_init(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    echo_world_fini(&world);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(names_with_underscores_go_both_ways_but_for_those_that_look_like_ours),
        T(metadata_that_the_caller_would_not_take_is_refused_to_the_handler_at_once),
        T(a_status_that_is_too_large_loses_its_least_and_never_its_code_and_text),
        T(details_that_no_connection_brings_are_not_added),
        T(a_message_over_a_limit_is_told_with_both_sizes_and_the_options_name),
        T(ok_without_the_response_is_the_handlers_fault_and_the_servers_log_says_so),
    };

    return cmocka_run_group_tests_name("rpc/answers", tests, NULL, NULL);
}
