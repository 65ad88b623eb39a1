/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking streams and the queue: what they refuse, what they tell, and how they end. */
#include "../unit.h"

#include "support/echo.h"

#include <neo/compression.h>
#include <neo/memory.h>
#include <neo/queue.h>
#include <neo/stream.h>
#include <neo/test/v1/echo.neo.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BIG = 1 << 20, HUGE = 32 << 20 };

static struct echo_world world;
static struct neo_server *server;
static struct neo_channel *channel;
static struct neo_arena arena;
static atomic_uint said;
static uint8_t *blob; /* of BIG bytes, exactly: who reads on reads foreign memory */
static const uint8_t zeros[HUGE];

/* --- a server that gives back what came ------------------------------------------------------- */

static const struct neo_status ok = {.code = NEO_OK};

static void say(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    (void)self;
    said++;
    (void)neo_call_add_header(call, "x-head", NEO_LIT("h"));
    (void)neo_call_add_header(call, "x-head-bin", NEO_LIT("\0\1"));
    (void)neo_call_add_trailer(call, "x-tail", NEO_LIT("t"));
    if (request->count != 0) {
        neo_call_fail(call, (enum neo_code)request->count, "as asked");
        return;
    }
    const struct neo_test_v1_Echo response = {
        .text = request->text, .body = {request->size > BIG ? zeros : blob, request->size}};
    (void)neo_call_compress(call, true); /* for who takes it */
    neo_call_reply(call, &response);
}

static void never(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    (void)call;
    (void)request;
    (void)self;
    said++;
}

/* One message, then nothing. */
static void subscribe(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    (void)self;
    (void)neo_call_add_header(call, "x-head", NEO_LIT("h"));
    (void)neo_call_add_trailer(call, "x-tail", NEO_LIT("t"));
    (void)neo_call_send(call, request);
    if (request->count == 0)
        neo_call_finish(call, &ok);
}

static void chat_one(struct neo_call *call, const void *request, void *state)
{
    (void)state;
    (void)neo_call_send(call, request);
}

static void chat_end(struct neo_call *call, void *state)
{
    (void)state;
    neo_call_finish(call, &ok);
}

static void chat(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const struct neo_stream_events events = {.message = chat_one, .half_closed = chat_end};

    (void)request;
    neo_call_on_stream(call, &events, self);
}

static const struct neo_test_v1_Echoes_handlers handlers = {
    .Say = say, .Never = never, .Subscribe = subscribe, .Chat = chat};

static int set_up(void **state)
{
    char target[200];
    struct neo_error err = {0};

    (void)state;
    neo_arena_init(&arena, 64 << 20);
    said = 0;
    blob = neo_alloc(BIG);
    echo_world_init(&world);
    const struct neo_server_options options = {
        .name = "echo-service", .runtime = world.runtime, .epoch = world.epoch};
    if (neo_server_new(&options, &server, &err) != NEO_OK ||
        neo_test_v1_Echoes_add(server, &handlers, NULL, &err) != NEO_OK ||
        neo_server_listen(server, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
    echo_target(target, sizeof(target), &server, 1);
    channel = echo_channel(&world, "caller-service", target, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_memory_fail_at(0);
    neo_channel_free(channel);
    neo_server_free(server);
    echo_world_fini(&world);
    neo_free(blob);
    neo_arena_fini(&arena);
    return 0;
}

static struct neo_stream *open_chat(void)
{
    struct neo_stream *stream;
    struct neo_error err;

    if (neo_test_v1_Echoes_Chat_stream(channel, NULL, &stream, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return stream;
}

/* Sends it and has it back, so that all sent before it has gone its way, too. */
static void assert_comes_back(struct neo_stream *stream, const char *text)
{
    const struct neo_test_v1_Echo request = {.text = neo_text(text)};
    struct neo_test_v1_Echo response;

    assert_int_equal(neo_stream_send(stream, &request), NEO_OK);
    memset(&response, 0, sizeof(response));
    if (!neo_stream_next(stream, &response, &arena))
        fail_msg("the stream is over: %.*s", NEO_FMT(neo_stream_status(stream)->message));
    assert_true(neo_bytes_is(response.text, text));
    assert_int_equal(response.body.len, 0);
}

/* A message of which nothing can be sent: what it promises first is there, what comes then is no
 * UTF-8. */
static struct neo_test_v1_Echo unsendable(void)
{
    return (struct neo_test_v1_Echo){.body = {blob, BIG}, .text = NEO_LIT("\xff is no text")};
}

/* --- refusals --------------------------------------------------------------------------------- */

TEST(of_a_message_that_cannot_be_encoded_a_stream_sends_nothing)
{
    const struct neo_test_v1_Echo bad = unsendable();
    struct neo_stream *stream = open_chat();

    assert_comes_back(stream, "before");
    for (int i = 0; i < 3; i++)
        assert_int_equal(neo_stream_send(stream, &bad), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(neo_stream_refusal(stream), "UTF-8"));
    assert_comes_back(stream, "after");
    neo_stream_close_send(stream);
    struct neo_test_v1_Echo response = {0};
    assert_false(neo_stream_next(stream, &response, &arena));
    assert_int_equal(neo_stream_status(stream)->code, NEO_OK);
    neo_stream_free(stream);
}

TEST(of_a_message_there_is_no_memory_for_a_stream_sends_nothing)
{
    const struct neo_test_v1_Echo big = {.body = {blob, BIG}};
    struct neo_stream *stream = open_chat();

    assert_comes_back(stream, "before");
    for (unsigned long n = 1; n <= 2; n++) { /* the length, then the message */
        neo_memory_fail_at(n);
        enum neo_code code = neo_stream_send(stream, &big);
        neo_memory_fail_at(0);
        assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    }
    assert_comes_back(stream, "after");
    neo_stream_free(stream);
}

static struct neo_event next_event(struct neo_queue *queue)
{
    struct pollfd p = {.fd = neo_queue_fd(queue), .events = POLLIN};
    struct neo_event event;

    while (!neo_queue_next(queue, &event))
        if (poll(&p, 1, 10000) != 1)
            fail_msg("nothing came");
    return event;
}

TEST(of_a_message_that_cannot_be_encoded_a_queue_sends_nothing)
{
    const struct neo_method *method =
        &neo_test_v1_Echoes_info.methods[neo_test_v1_Echoes_Chat_INDEX];
    const struct neo_test_v1_Echo good = {.text = NEO_LIT("good")}, bad = unsendable();
    struct neo_test_v1_Echo response;
    struct neo_queue *queue;
    struct neo_queue_call *call;

    assert_int_equal(neo_queue_new(&queue, NULL), NEO_OK);
    assert_int_equal(neo_queue_start(queue, channel, method, NULL, NULL, NULL, &call, NULL),
                     NEO_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(neo_queue_call_send(call, &bad), NEO_FLOW_GONE);
    assert_non_null(strstr(neo_queue_call_refusal(call), "UTF-8"));
    assert_int_equal(neo_queue_call_send(call, &good), NEO_FLOW_MORE);
    neo_queue_call_close_send(call);
    struct neo_event event = next_event(queue);
    assert_int_equal(event.kind, NEO_EVENT_MESSAGE);
    assert_int_equal(neo_event_decode(&event, &response, &arena, NULL), NEO_OK);
    assert_true(neo_bytes_is(response.text, "good"));
    event = next_event(queue);
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_int_equal(event.status->code, NEO_OK);
    neo_queue_free(queue);
}

TEST(nothing_is_sent_behind_the_last_message)
{
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("late")};
    struct neo_test_v1_Echo response = {0};
    struct neo_stream *stream = open_chat();
    struct neo_error err;

    assert_comes_back(stream, "first");
    neo_stream_close_send(stream);
    assert_int_equal(neo_stream_send(stream, &request), NEO_FAILED_PRECONDITION);
    assert_true(strlen(neo_stream_refusal(stream)) > 0);
    assert_false(neo_stream_next(stream, &response, &arena));
    assert_int_equal(neo_stream_status(stream)->code, NEO_OK);
    assert_int_equal(neo_stream_send(stream, &request), NEO_OUT_OF_RANGE);
    assert_string_equal(neo_stream_refusal(stream), "");
    neo_stream_free(stream);

    const struct neo_test_v1_Echo open = {.count = 1};
    assert_int_equal(neo_test_v1_Echoes_Subscribe_stream(channel, NULL, &open, &stream, &err),
                     NEO_OK);
    assert_int_equal(neo_stream_send(stream, &request), NEO_FAILED_PRECONDITION);
    neo_stream_free(stream);
}

TEST(a_call_without_its_request_is_refused_before_it_begins)
{
    struct neo_test_v1_Echo response;
    struct neo_status status;
    struct neo_stream *stream;
    struct neo_error err;

    assert_int_equal(neo_test_v1_Echoes_Say(channel, NULL, NULL, &response, &arena, &status),
                     NEO_INVALID_ARGUMENT);
    assert_true(status.message.len > 0);
    assert_int_equal(neo_test_v1_Echoes_Subscribe_stream(channel, NULL, NULL, &stream, &err),
                     NEO_INVALID_ARGUMENT);
}

TEST(a_channel_without_a_loop_is_refused)
{
    const struct neo_channel_options options = {.service = "echo-service"};
    struct neo_channel *none = NULL;
    struct neo_error err = {0};

    assert_int_equal(neo_channel_open("ipv4:127.0.0.1:1", &options, &none, &err),
                     NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "loop"));
    assert_null(none);
}

/* --- arenas that are spent -------------------------------------------------------------------- */

static enum neo_code say_on(struct neo_arena *on, uint32_t size, struct neo_status *ret_status)
{
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("hello"), .size = size};
    struct neo_test_v1_Echo response = {0};

    return neo_test_v1_Echoes_Say(channel, NULL, &request, &response, on, ret_status);
}

TEST(with_a_spent_arena_no_call_begins_and_the_status_says_why)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena small = NEO_ARENA(8192);
    struct neo_arena zeroed = {0};
    struct neo_status status = {0};
    enum neo_code code = NEO_OK;

    for (int i = 0; i < 1000 && code == NEO_OK; i++)
        code = say_on(&small, 0, &status);
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(status.code, NEO_RESOURCE_EXHAUSTED);
    assert_non_null(memmem(status.message.at, status.message.len, "neo_arena_reset()", 17));
    unsigned before = said;
    assert_int_equal(say_on(&small, 0, &status), NEO_RESOURCE_EXHAUSTED);
    assert_non_null(memmem(status.message.at, status.message.len, "neo_arena_reset()", 17));
    assert_false(status.processed);
    assert_int_equal(say_on(&zeroed, 0, &status), NEO_INVALID_ARGUMENT);
    assert_true(status.message.len > 0);
    assert_int_equal(say_on(NULL, 0, &status), NEO_INVALID_ARGUMENT);
    assert_true(status.message.len > 0);
    assert_int_equal(said, before);
    neo_arena_reset(&small);
    assert_int_equal(say_on(&small, 0, &status), NEO_OK);
}

TEST(a_response_larger_than_the_arena_is_told_from_a_broken_one)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena small = NEO_ARENA(64 * 1024);
    const struct neo_test_v1_Echo request = {.body = {blob, BIG / 2}, .count = 1};
    struct neo_test_v1_Echo response = {0};
    struct neo_status status = {0};
    struct neo_stream *stream;
    struct neo_error err;

    for (int i = 0; i < 20; i++) { /* whichever comes first, the end or the reader */
        neo_arena_reset(&small);
        assert_int_equal(say_on(&small, BIG / 2, &status), NEO_RESOURCE_EXHAUSTED);
        assert_non_null(memmem(status.message.at, status.message.len, "budget", 6));
    }
    neo_arena_reset(&small);
    assert_int_equal(neo_test_v1_Echoes_Subscribe_stream(channel, NULL, &request, &stream, &err),
                     NEO_OK);
    assert_false(neo_stream_next(stream, &response, &small));
    const struct neo_status *how = neo_stream_status(stream);
    assert_int_equal(how->code, NEO_RESOURCE_EXHAUSTED);
    assert_non_null(memmem(how->message.at, how->message.len, "65536", 5));
    neo_stream_free(stream);
}

TEST(a_deadline_that_passes_before_anything_is_sent_leaves_the_call_unprocessed)
{
    const struct neo_call_options options = {.timeout = 20 * NEO_NSEC_PER_MSEC,
                                             .wait_for_ready = true};
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("x")};
    struct neo_test_v1_Echo response;
    struct neo_status status;
    struct neo_channel *nobody =
        echo_channel(&world, "caller-service", "unix:/nowhere/at/all", NULL);

    assert_int_equal(neo_test_v1_Echoes_Say(nobody, &options, &request, &response, &arena, &status),
                     NEO_DEADLINE_EXCEEDED);
    assert_false(status.processed);
    neo_channel_free(nobody);
    assert_int_equal(
        neo_test_v1_Echoes_Never(channel, &options, &request, &response, &arena, &status),
        NEO_DEADLINE_EXCEEDED);
    assert_true(status.processed || said == 0);
}

/* --- callbacks -------------------------------------------------------------------------------- */

enum whim { CANCEL, SEND_BAD, SEND_NONE };

static struct watched {
    enum whim whim;
    atomic_bool inside, done_inside, done;
    atomic_int code;
    struct neo_client_call *call;
} watched;

static void watched_message(struct neo_client_call *call, const void *response, void *self)
{
    const struct neo_test_v1_Echo bad = unsendable();
    struct watched *w = self;

    (void)response;
    w->inside = true;
    if (w->whim == CANCEL)
        neo_client_call_cancel(call);
    else
        assert_int_equal(neo_client_call_send(call, &bad), NEO_FLOW_GONE);
    neo_client_call_cancel(call); /* still there, and nothing more comes of it */
    assert_int_equal(neo_client_call_send(call, &bad), NEO_FLOW_GONE);
    w->inside = false;
}

static void watched_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct watched *w = self;

    (void)call;
    w->done_inside = w->inside;
    w->code = (int)status->code;
    w->done = true;
}

static void watched_start(void *self)
{
    static const struct neo_client_events events = {.message = watched_message,
                                                    .done = watched_done};
    const struct neo_test_v1_Echo hello = {.text = NEO_LIT("hello")};
    struct watched *w = self;

    assert_int_equal(neo_test_v1_Echoes_Chat_start(channel, NULL, &events, w, &w->call, NULL),
                     NEO_OK);
    assert_int_equal(neo_client_call_send(w->call, &hello), NEO_FLOW_MORE);
}

static void nothing(void *self)
{
    (void)self;
}

static void wait_until(const atomic_bool *what)
{
    for (int i = 0; i < 10000 && !*what; i++) {
        neo_runtime_call(world.runtime, 0, nothing, NULL);
        (void)poll(NULL, 0, 1);
    }
    assert_true(*what);
}

TEST(done_never_comes_from_inside_a_callback_that_ends_the_call)
{
    static const enum whim whims[] = {CANCEL, SEND_BAD};

    for (size_t i = 0; i < NEO_COUNT(whims); i++) {
        memset(&watched, 0, sizeof(watched));
        watched.whim = whims[i];
        neo_runtime_call(world.runtime, 0, watched_start, &watched);
        wait_until(&watched.done);
        assert_false(watched.done_inside);
        assert_int_equal(watched.code, whims[i] == CANCEL ? NEO_CANCELLED : NEO_INTERNAL);
    }
}

/* Larger than a chunk, so that it lies in memory of the call's own. */
static void cancel_and_read(struct neo_client_call *call, const void *response, void *self)
{
    const struct neo_test_v1_Echo *message = response;
    struct watched *w = self;

    neo_client_call_cancel(call);
    w->inside = message->body.len == BIG && memcmp(message->body.at, blob, BIG) == 0;
}

static void start_to_cancel(void *self)
{
    static const struct neo_client_events events = {.message = cancel_and_read,
                                                    .done = watched_done};
    const struct neo_test_v1_Echo request = {.size = BIG};
    struct watched *w = self;

    assert_int_equal(
        neo_test_v1_Echoes_Say_start(channel, NULL, &request, &events, w, &w->call, NULL), NEO_OK);
}

TEST(a_message_stays_whole_until_its_callback_returns_even_when_that_cancels_the_call)
{
    memset(&watched, 0, sizeof(watched));
    memset(blob, 'b', BIG);
    neo_runtime_call(world.runtime, 0, start_to_cancel, &watched);
    wait_until(&watched.done);
    assert_true(watched.inside);
    assert_int_equal(watched.code, NEO_CANCELLED);
}

TEST(the_next_message_holds_nothing_of_the_one_before)
{
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("x")};
    struct neo_test_v1_Echo reply = {.count = 7, .body = NEO_LIT("of another")};
    struct neo_stream *stream = open_chat();

    assert_int_equal(neo_stream_send(stream, &request), NEO_OK);
    assert_true(neo_stream_next(stream, &reply, &arena));
    assert_true(neo_bytes_is(reply.text, "x"));
    assert_true(reply.count == 0 && reply.body.len == 0);
    neo_stream_free(stream);
}

static void start_unheard(void *self)
{
    static const struct neo_client_events none = {0}, end = {.done = watched_done};
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("hello")};
    struct neo_client_call *call;

    (void)self;
    assert_int_equal(
        neo_test_v1_Echoes_Say_start(channel, NULL, &request, &none, NULL, &call, NULL), NEO_OK);
    assert_int_equal(
        neo_test_v1_Echoes_Say_start(channel, NULL, &request, &end, &watched, &call, NULL), NEO_OK);
}

TEST(who_wants_to_hear_nothing_of_a_call_hears_nothing)
{
    memset(&watched, 0, sizeof(watched));
    neo_runtime_call(world.runtime, 0, start_unheard, NULL);
    wait_until(&watched.done);
    assert_int_equal(watched.code, NEO_OK);
    assert_int_equal(said, 2);
}

static void start_wrongly(void *self)
{
    struct neo_canceller *canceller = NULL;
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("hello")};
    static const struct neo_client_events none = {0};
    struct neo_client_call *call;
    enum neo_code *code = self;

    assert_int_equal(neo_canceller_new(&canceller, NULL), NEO_OK);
    const struct neo_call_options options = {.canceller = canceller};
    code[0] = neo_test_v1_Echoes_Say_start(channel, NULL, NULL, &none, NULL, &call, NULL);
    code[1] = neo_test_v1_Echoes_Say_start(channel, &options, &request, &none, NULL, &call, NULL);
    neo_canceller_free(canceller);
}

TEST(a_start_refuses_what_it_cannot_do)
{
    enum neo_code code[2] = {NEO_OK, NEO_OK};

    neo_runtime_call(world.runtime, 0, start_wrongly, code);
    assert_int_equal(code[0], NEO_INVALID_ARGUMENT);
    assert_int_equal(code[1], NEO_INVALID_ARGUMENT);
}

/* In a process of its own, for it ends there: what it said. */
static void assert_aborts_with(void (*misuse)(void), const char *says)
{
    char text[2000] = {0};
    size_t len = 0;
    ssize_t n;
    int fds[2], how;

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        misuse();
        _exit(0);
    }
    (void)close(fds[1]);
    while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFSIGNALED(how));
    if (strstr(text, says) == NULL)
        fail_msg("it said: %s", text);
}

static void start_off_the_loop(void)
{
    watched_start(&watched);
}

static void cancel_off_the_loop(void)
{
    neo_client_call_cancel(watched.call);
}

TEST(a_call_used_off_its_loop_says_what_to_use)
{
    memset(&watched, 0, sizeof(watched));
    assert_aborts_with(start_off_the_loop, "neo_runtime_call()");
    neo_runtime_call(world.runtime, 0, watched_start, &watched);
    assert_aborts_with(cancel_off_the_loop, "neo_loop_post()");
    wait_until(&watched.done);
}

/* --- what came beside the messages ------------------------------------------------------------ */

static void assert_pair(const struct neo_pair *pairs, size_t n, const char *key,
                        struct neo_bytes value)
{
    for (size_t i = 0; i < n; i++)
        if (neo_bytes_is(pairs[i].key, key) && neo_bytes_equal(pairs[i].value, value))
            return;
    fail_msg("there is no %s", key);
}

TEST(a_unary_call_tells_its_headers_its_trailers_and_who_answered)
{
    struct neo_response_info info;
    const struct neo_call_options options = {.response = &info};
    struct neo_test_v1_Echo request = {.text = NEO_LIT("x")}, response;
    struct neo_status status;

    assert_int_equal(
        neo_test_v1_Echoes_Say(channel, &options, &request, &response, &arena, &status), NEO_OK);
    assert_int_equal(info.n_headers, 2);
    assert_pair(info.headers, info.n_headers, "x-head", NEO_LIT("h"));
    assert_pair(info.headers, info.n_headers, "x-head-bin", NEO_LIT("\0\1"));
    assert_int_equal(info.n_trailers, 1);
    assert_pair(info.trailers, info.n_trailers, "x-tail", NEO_LIT("t"));
    assert_true(neo_bytes_is(info.peer, neo_server_address(server)));

    request.count = NEO_NOT_FOUND; /* a response of nothing but a status */
    assert_int_equal(
        neo_test_v1_Echoes_Say(channel, &options, &request, &response, &arena, &status),
        NEO_NOT_FOUND);
    assert_int_equal(info.n_headers, 0);
    assert_pair(info.trailers, info.n_trailers, "x-tail", NEO_LIT("t"));
    assert_true(neo_bytes_is(info.peer, neo_server_address(server)));

    assert_int_equal(neo_test_v1_Echoes_Say(channel, &options, NULL, &response, &arena, &status),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(info.n_trailers + info.peer.len, 0);
}

TEST(a_stream_tells_its_headers_at_once_and_its_trailers_at_the_end)
{
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("x")};
    struct neo_test_v1_Echo response = {0};
    struct neo_response_info info;
    struct neo_stream *stream;
    struct neo_error err;

    assert_int_equal(neo_test_v1_Echoes_Subscribe_stream(channel, NULL, &request, &stream, &err),
                     NEO_OK);
    assert_true(neo_stream_next(stream, &response, &arena));
    assert_true(neo_stream_response(stream, &arena, &info));
    assert_pair(info.headers, info.n_headers, "x-head", NEO_LIT("h"));
    assert_true(neo_bytes_is(info.peer, neo_server_address(server)));
    assert_false(neo_stream_next(stream, &response, &arena));
    assert_true(neo_stream_response(stream, &arena, &info));
    neo_stream_free(stream);
    assert_int_equal(info.n_headers, 1);
    assert_pair(info.trailers, info.n_trailers, "x-tail", NEO_LIT("t"));
}

TEST(a_call_of_a_queue_tells_them_too)
{
    const struct neo_method *method =
        &neo_test_v1_Echoes_info.methods[neo_test_v1_Echoes_Say_INDEX];
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("x")};
    struct neo_response_info info;
    struct neo_queue_call *call;
    struct neo_queue *queue;

    assert_int_equal(neo_queue_new(&queue, NULL), NEO_OK);
    assert_int_equal(neo_queue_start(queue, channel, method, NULL, &request, NULL, &call, NULL),
                     NEO_OK);
    while (next_event(queue).kind != NEO_EVENT_DONE)
        ;
    assert_true(neo_queue_call_response(call, &arena, &info));
    neo_queue_free(queue);
    assert_pair(info.headers, info.n_headers, "x-head", NEO_LIT("h"));
    assert_pair(info.trailers, info.n_trailers, "x-tail", NEO_LIT("t"));
    assert_true(neo_bytes_is(info.peer, neo_server_address(server)));
}

/* --- cancelling from another thread ----------------------------------------------------------- */

static void *cancel_stream(void *stream)
{
    (void)poll(NULL, 0, 5); /* most likely it waits by then; either way it must end */
    neo_stream_cancel(stream);
    return NULL;
}

TEST(another_thread_cancels_a_stream_that_waits)
{
    struct neo_test_v1_Echo response = {0};
    pthread_t thread;

    for (int i = 0; i < 10; i++) {
        struct neo_stream *stream = open_chat();
        assert_int_equal(pthread_create(&thread, NULL, cancel_stream, stream), 0);
        assert_false(neo_stream_next(stream, &response, &arena));
        assert_int_equal(neo_stream_status(stream)->code, NEO_CANCELLED);
        assert_int_equal(pthread_join(thread, NULL), 0);
        neo_stream_cancel(stream); /* it has ended: nothing */
        assert_int_equal(neo_stream_status(stream)->code, NEO_CANCELLED);
        neo_stream_free(stream);
    }
}

struct waiting {
    struct neo_canceller *canceller;
    enum neo_code code;
};

static void *wait_for_never(void *self)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena own = NEO_ARENA(1 << 20);
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("x")};
    struct neo_test_v1_Echo response = {0};
    struct neo_status status = {0};
    struct waiting *w = self;
    const struct neo_call_options options = {.canceller = w->canceller};

    w->code = neo_test_v1_Echoes_Never(channel, &options, &request, &response, &own, &status);
    return NULL;
}

TEST(a_canceller_ends_all_calls_that_have_it_and_those_that_come_later)
{
    enum { N = 8 };
    struct waiting waiting[N] = {{0}};
    struct neo_canceller *canceller;
    pthread_t threads[N];

    assert_int_equal(neo_canceller_new(&canceller, NULL), NEO_OK);
    for (int i = 0; i < N; i++) {
        waiting[i].canceller = canceller;
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_never, &waiting[i]), 0);
    }
    for (int i = 0; i < 10000 && said < N / 2; i++) /* some wait, others only begin */
        (void)poll(NULL, 0, 1);
    neo_canceller_cancel(canceller);
    for (int i = 0; i < N; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waiting[i].code, NEO_CANCELLED);
    }
    neo_canceller_cancel(canceller);
    (void)wait_for_never(&waiting[0]);
    assert_int_equal(waiting[0].code, NEO_CANCELLED);
    neo_canceller_free(canceller);
}

TEST(a_canceller_may_go_before_the_queue_whose_calls_were_dismissed)
{
    const struct neo_method *method =
        &neo_test_v1_Echoes_info.methods[neo_test_v1_Echoes_Never_INDEX];
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("x")};
    struct neo_canceller *canceller;
    struct neo_queue_call *call;
    struct neo_queue *queue;

    assert_int_equal(neo_canceller_new(&canceller, NULL), NEO_OK);
    const struct neo_call_options options = {.canceller = canceller};
    assert_int_equal(neo_queue_new(&queue, NULL), NEO_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            neo_queue_start(queue, channel, method, &options, &request, NULL, &call, NULL), NEO_OK);
    neo_canceller_cancel(canceller);
    struct neo_event event = next_event(queue);
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_int_equal(event.status->code, NEO_CANCELLED);
    neo_queue_free(queue);
    neo_canceller_cancel(canceller);
    neo_canceller_free(canceller);
}

/* --- a message that came small and is large --------------------------------------------------- */

static struct neo_channel *open_for_huge(void)
{
    struct neo_identity *identity = pki_identity(world.pki, "caller-service", NULL);
    struct neo_channel *ret = NULL;
    struct neo_error err = {0};
    char target[200];
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(world.runtime, 0),
        .epoch = {.identity = identity, .trust = world.epoch.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .max_message = HUGE * 2,
        .accept_gzip = true,
    };

    echo_target(target, sizeof(target), &server, 1);
    if (neo_channel_open(target, &options, &ret, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_identity_unref(identity);
    return ret;
}

struct asker {
    struct neo_canceller *canceller;
    atomic_bool asks, enough;
    neo_nsec longest;
};

/* Each time the call's lock is taken, as its loop does for whatever comes. */
static void *ask_again_and_again(void *self)
{
    struct asker *a = self;

    while (!a->enough) {
        neo_nsec before = neo_mono_nsec();
        neo_canceller_cancel(a->canceller);
        neo_nsec took = neo_mono_nsec() - before;
        a->longest = took > a->longest ? took : a->longest;
        a->asks = true;
    }
    return NULL;
}

TEST(while_a_message_is_inflated_nobody_else_waits_for_its_call)
{
    const struct neo_method *method =
        &neo_test_v1_Echoes_info.methods[neo_test_v1_Echoes_Say_INDEX];
    const struct neo_test_v1_Echo request = {.size = HUGE};
    struct asker asker = {0};
    struct neo_queue_call *call;
    struct neo_queue *queue;
    struct neo_event event;
    pthread_t thread;
    struct neo_channel *wide = open_for_huge();

    assert_int_equal(neo_canceller_new(&asker.canceller, NULL), NEO_OK);
    const struct neo_call_options options = {.canceller = asker.canceller};
    assert_int_equal(neo_queue_new(&queue, NULL), NEO_OK);
    assert_int_equal(neo_queue_start(queue, wide, method, &options, &request, NULL, &call, NULL),
                     NEO_OK);
    struct pollfd p = {.fd = neo_queue_fd(queue), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_int_equal(pthread_create(&thread, NULL, ask_again_and_again, &asker), 0);
    while (!asker.asks)
        (void)poll(NULL, 0, 1);
    neo_nsec before = neo_mono_nsec();
    assert_true(neo_queue_next(queue, &event));
    neo_nsec took = neo_mono_nsec() - before;
    asker.enough = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    bool is_whole = event.kind == NEO_EVENT_MESSAGE && event.message.len > HUGE;
    neo_queue_free(queue);
    neo_canceller_free(asker.canceller);
    neo_channel_free(wide);
    assert_true(is_whole);
    if (asker.longest >= took / 2)
        fail_msg("waited %llu us of %llu", (unsigned long long)asker.longest / 1000,
                 (unsigned long long)took / 1000);
}

#define STREAMED(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAMED(of_a_message_that_cannot_be_encoded_a_stream_sends_nothing),
        STREAMED(of_a_message_there_is_no_memory_for_a_stream_sends_nothing),
        STREAMED(of_a_message_that_cannot_be_encoded_a_queue_sends_nothing),
        STREAMED(nothing_is_sent_behind_the_last_message),
        STREAMED(a_call_without_its_request_is_refused_before_it_begins),
        STREAMED(a_channel_without_a_loop_is_refused),
        STREAMED(with_a_spent_arena_no_call_begins_and_the_status_says_why),
        STREAMED(a_response_larger_than_the_arena_is_told_from_a_broken_one),
        STREAMED(a_deadline_that_passes_before_anything_is_sent_leaves_the_call_unprocessed),
        STREAMED(done_never_comes_from_inside_a_callback_that_ends_the_call),
        STREAMED(a_message_stays_whole_until_its_callback_returns_even_when_that_cancels_the_call),
        STREAMED(the_next_message_holds_nothing_of_the_one_before),
        STREAMED(who_wants_to_hear_nothing_of_a_call_hears_nothing),
        STREAMED(a_start_refuses_what_it_cannot_do),
        STREAMED(a_call_used_off_its_loop_says_what_to_use),
        STREAMED(a_unary_call_tells_its_headers_its_trailers_and_who_answered),
        STREAMED(a_stream_tells_its_headers_at_once_and_its_trailers_at_the_end),
        STREAMED(a_call_of_a_queue_tells_them_too),
        STREAMED(another_thread_cancels_a_stream_that_waits),
        STREAMED(a_canceller_ends_all_calls_that_have_it_and_those_that_come_later),
        STREAMED(a_canceller_may_go_before_the_queue_whose_calls_were_dismissed),
        STREAMED(while_a_message_is_inflated_nobody_else_waits_for_its_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
