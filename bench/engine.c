/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one small unary call costs the HTTP/2 engine alone: no socket, no TLS.
 *
 * Our client sends batches of calls in memory, to our server or to a bare nghttp2
 * server that looks at nothing; each side's time is taken apart. The message is 16
 * bytes behind the five of gRPC, both ways.
 *
 * Connections take turns, as they do on a worker, and share its pool. Time is this
 * thread's processor time, so a busy machine does not count.
 *
 *     bench_engine [connections] [calls in a batch]
 */
#include "h2/h2.h"

#include <nghttp2/nghttp2.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MESSAGE = 5 + 16, MOST_CONNECTIONS = 64, CALLS = 100000 };

static const uint8_t message[MESSAGE] = {0, 0, 0, 0, 16, 'a', 'b', 'c'};

static uint64_t clock_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* --- our two sides ---------------------------------------------------------------------------- */

static void answer(struct h2 *h2, struct h2_stream *s)
{
    const struct h2_header head = {NEO_LIT("content-type"), NEO_LIT("application/grpc")};
    const struct h2_header status = {NEO_LIT("grpc-status"), NEO_LIT("0")};
    enum neo_code code = h2_respond(h2, s, 200, &head, 1, false, NULL);

    (void)h2_send(h2, s, neo_bytes(message, sizeof(message)));
    code = code == NEO_OK ? h2_send_trailers(h2, s, &status, 1, NULL) : code;
    assert(code == NEO_OK);
}

static void ignore_headers(struct h2 *h2, struct h2_stream *s, bool end)
{
    (void)h2;
    (void)s;
    (void)end;
}

static void consume(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    h2_consume(h2, s, bytes.len);
}

static void ignore_stream(struct h2 *h2, struct h2_stream *s)
{
    (void)h2;
    (void)s;
}

static void count_answer(struct h2 *h2, struct h2_stream *s)
{
    uint64_t *answers = h2_owner(h2);

    assert(s->trailers.len == 1);
    ++*answers;
}

static void expect_success(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    (void)h2;
    (void)s;
    assert(h2_error == H2_NO_ERROR);
}

static const struct h2_events server_events = {
    .headers = ignore_headers,
    .data = consume,
    .trailers = ignore_stream,
    .ended = answer,
    .closed = expect_success,
};
static const struct h2_events client_events = {
    .headers = ignore_headers,
    .data = consume,
    .trailers = count_answer,
    .ended = ignore_stream,
    .closed = expect_success,
};

static struct h2 *new_engine(bool server, struct h2_pool *pool, void *owner)
{
    struct h2 *h2 = NULL;
    const struct h2_options options = {
        .server = server,
        .events = server ? &server_events : &client_events,
        .owner = owner,
        .pool = pool,
        .limits.max_streams = 1000,
    };
    enum neo_code code = h2_new(&options, 0, &h2, NULL);

    assert(code == NEO_OK);
    return h2;
}

/* --- the bare server -------------------------------------------------------------------------- */

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE        \
    }

static ssize_t bare_read(nghttp2_session *session, int32_t id, uint8_t *at, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    static const nghttp2_nv trailers[] = {NV("grpc-status", "0")};

    (void)source;
    (void)user;
    assert(room >= sizeof(message));
    memcpy(at, message, sizeof(message));
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    int result = nghttp2_submit_trailer(session, id, trailers, 1);
    assert(result == 0);
    return sizeof(message);
}

static int bare_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    static const nghttp2_nv headers[] = {
        NV(":status", "200"),
        NV("content-type", "application/grpc"),
    };
    const nghttp2_data_provider body = {.read_callback = bare_read};

    (void)user;
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    return nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &body);
}

static nghttp2_session *new_bare(void)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    int result = nghttp2_session_callbacks_new(&callbacks);

    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, bare_frame);
    result |= nghttp2_session_server_new(&session, callbacks, NULL);
    nghttp2_session_callbacks_del(callbacks);
    result |= nghttp2_submit_settings(session, 0, settings, 2);
    assert(result == 0);
    return session;
}

static void bare_turn(nghttp2_session *session, struct neo_bytes in, struct neo_buffer *out)
{
    const uint8_t *at;
    ssize_t n = nghttp2_session_mem_recv(session, in.at, in.len);

    assert(n == (ssize_t)in.len);
    while ((n = nghttp2_session_mem_send(session, &at)) > 0)
        neo_buffer_append(out, neo_bytes(at, (size_t)n));
    assert(n == 0);
}

/* --- one against the other -------------------------------------------------------------------- */

static void call(struct h2 *client)
{
    const struct h2_header headers[] = {
        {NEO_LIT("content-type"), NEO_LIT("application/grpc")},
        {NEO_LIT("te"), NEO_LIT("trailers")},
        {NEO_LIT("user-agent"), NEO_LIT("neo/0.1")},
        {NEO_LIT("grpc-timeout"), NEO_LIT("1000m")},
    };
    struct h2_stream *s;
    enum neo_code code =
        h2_request(client, NEO_LIT("/bench.Echo/Call"), NEO_LIT("echo-service:8443"), headers,
                   NEO_COUNT(headers), NULL, &s, NULL);

    assert(code == NEO_OK);
    (void)h2_send(client, s, neo_bytes(message, sizeof(message)));
    h2_send_end(client, s);
}

struct pair {
    struct h2 *client;
    struct h2 *server;     /* or */
    nghttp2_session *bare; /* this one */
    struct neo_buffer up;
    struct neo_buffer down;
    uint64_t in_client; /* ns */
    uint64_t in_server;
};

static void turn(struct pair *p, unsigned calls)
{
    uint64_t begin = clock_now();
    enum neo_code code;

    for (unsigned i = 0; i < calls; i++)
        call(p->client);
    code = h2_pull(p->client, SIZE_MAX, begin, &p->up, NULL);
    assert(code == NEO_OK);

    uint64_t arrived = clock_now();
    if (p->bare != NULL) {
        bare_turn(p->bare, neo_buffer_bytes(&p->up), &p->down);
    } else {
        code = h2_feed(p->server, neo_buffer_bytes(&p->up), arrived, NULL);
        assert(code == NEO_OK);
        code = h2_pull(p->server, SIZE_MAX, arrived, &p->down, NULL);
        assert(code == NEO_OK);
    }
    uint64_t answered = clock_now();
    code = h2_feed(p->client, neo_buffer_bytes(&p->down), answered, NULL);
    assert(code == NEO_OK);
    neo_buffer_clear(&p->up);
    neo_buffer_clear(&p->down);
    p->in_client += arrived - begin + (clock_now() - answered);
    p->in_server += answered - arrived;
}

struct cost {
    double client; /* ns per call */
    double server;
};

struct setup {
    struct pair pairs[MOST_CONNECTIONS];
    size_t n;
    struct h2_pool *for_clients;
    struct h2_pool *for_servers;
    uint64_t answers;
};

static void start(struct setup *s, bool bare)
{
    enum neo_code code = h2_pool_new(&s->for_clients, NULL);

    assert(code == NEO_OK);
    code = h2_pool_new(&s->for_servers, NULL);
    assert(code == NEO_OK);
    for (size_t i = 0; i < s->n; i++) {
        s->pairs[i] = (struct pair){
            .client = new_engine(false, s->for_clients, &s->answers),
            .server = bare ? NULL : new_engine(true, s->for_servers, NULL),
            .bare = bare ? new_bare() : NULL,
        };
        for (int hello = 0; hello < 3; hello++)
            turn(&s->pairs[i], 0);
    }
}

static void stop(struct setup *s)
{
    for (size_t i = 0; i < s->n; i++) {
        h2_free(s->pairs[i].client);
        h2_free(s->pairs[i].server);
        nghttp2_session_del(s->pairs[i].bare);
        neo_buffer_fini(&s->pairs[i].up);
        neo_buffer_fini(&s->pairs[i].down);
    }
    h2_pool_free(s->for_clients);
    h2_pool_free(s->for_servers);
}

static void run_calls(struct setup *s, unsigned batch, size_t calls)
{
    for (size_t done = 0; done < calls; done += batch * s->n) {
        for (size_t i = 0; i < s->n; i++)
            turn(&s->pairs[i], batch);
    }
}

static struct cost run(bool bare, size_t connections, unsigned batch)
{
    struct setup s = {.n = connections};
    struct cost sum = {0};

    start(&s, bare);
    run_calls(&s, batch, CALLS / 10);
    s.answers = 0;
    for (size_t i = 0; i < s.n; i++)
        s.pairs[i].in_client = s.pairs[i].in_server = 0;
    run_calls(&s, batch, CALLS);
    for (size_t i = 0; i < s.n; i++) {
        sum.client += (double)s.pairs[i].in_client / (double)s.answers;
        sum.server += (double)s.pairs[i].in_server / (double)s.answers;
    }
    stop(&s);
    return sum;
}

int main(int argc, char **argv)
{
    size_t connections = argc > 1 ? strtoul(argv[1], NULL, 10) : 8;
    unsigned batch = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 32;

    if (connections < 1 || connections > MOST_CONNECTIONS || batch < 1) {
        (void)fprintf(stderr, "usage: bench_engine [connections, at most %d] [calls in a batch]\n",
                      MOST_CONNECTIONS);
        return 2;
    }
    printf("ns per call, %zu connections x %u calls\n   client   server   bare nghttp2 server\n",
           connections, batch);
    for (int round = 0; round < 5; round++) {
        struct cost neo = run(false, connections, batch);
        struct cost bare = run(true, connections, batch);
        printf("%9.0f%9.0f%14.0f   (%.2f)\n", neo.client, neo.server, bare.server,
               neo.server / bare.server);
    }
    return 0;
}
