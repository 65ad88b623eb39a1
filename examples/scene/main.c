/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scene-client: the part of `make demo` that calls. It joins as automation-service and
 * prints what it measured as one JSON object; the script that plays the scene decides
 * whether that keeps the promise.
 *
 *   scene-client <join options> -- call               the four methods, and the wire's view
 *   scene-client <join options> -- burst ID N         ExecuteFunction N times at once
 *   scene-client <join options> -- deadline           a function that never ends, 100 ms
 *   scene-client <join options> -- load ID RATE SECS  GetFunction at a rate, beside a log stream
 */
#include "function/function.neo.h"

#include <neo/json.h>
#include <neo/memory.h>
#include <neo/mesh.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SERVICE(m) functionservice_FunctionService_##m

static struct neo_mesh *mesh;
static struct neo_channel *channel;

static const struct neo_call_options patience = {.timeout = 5 * NEO_NSEC_PER_SEC,
                                                 .wait_for_ready = true};

static void put_text(struct neo_json_writer *w, const char *key, struct neo_bytes text)
{
    neo_json_put_key(w, key);
    neo_json_put_string(w, text);
}

static void put_u64(struct neo_json_writer *w, const char *key, uint64_t value)
{
    neo_json_put_key(w, key);
    neo_json_put_u64(w, value);
}

static void put_status(struct neo_json_writer *w, const struct neo_status *s)
{
    put_text(w, "code", neo_text(neo_code_name(s->code)));
    put_text(w, "message", s->message);
    put_text(w, "reason", s->reason);
    put_text(w, "decision_id", s->decision_id);
    put_text(w, "bucket", s->bucket);
    put_u64(w, "retry_after_ms", s->retry_after / NEO_NSEC_PER_MSEC);
}

/* --- call ------------------------------------------------------------------------------------- */

static enum neo_code create(const char *source, struct neo_arena *arena, struct neo_bytes *ret_id,
                            struct neo_status *status)
{
    struct functionservice_CreateFunctionRequest request = {.name = NEO_LIT("scene"),
                                                            .source = neo_text(source)};
    struct functionservice_CreateFunctionResponse response;

    enum neo_code code =
        SERVICE(CreateFunction)(channel, &patience, &request, &response, arena, status);
    if (code == NEO_OK)
        *ret_id = response.function->id;
    return code;
}

static enum neo_code call_three(struct neo_json_writer *w, struct neo_arena *arena,
                                struct neo_bytes *ret_id, struct neo_status *status)
{
    struct functionservice_GetFunctionRequest get = {0};
    struct functionservice_GetFunctionResponse got;
    struct functionservice_ExecuteFunctionRequest execute = {.input = NEO_LIT("neo")};
    struct functionservice_ExecuteFunctionResponse executed;

    NEO_TRY(create("log('hi ' .. input) return 'hello ' .. input", arena, ret_id, status));
    get.id = execute.id = *ret_id;
    NEO_TRY(SERVICE(GetFunction)(channel, &patience, &get, &got, arena, status));
    NEO_TRY(SERVICE(ExecuteFunction)(channel, &patience, &execute, &executed, arena, status));
    put_text(w, "id", *ret_id);
    put_text(w, "name", got.function->name);
    put_text(w, "output", executed.output);
    put_text(w, "instance", executed.instance);
    return NEO_OK;
}

/* The logs of both instances: the stream goes to one of them, so ask until it has some. */
static uint64_t count_logs(struct neo_bytes id)
{
    struct functionservice_StreamFunctionLogsRequest request = {.function_id = id};
    struct functionservice_LogEntry entry;
    uint64_t n = 0;

    for (int i = 0; i < 4 && n == 0; i++) {
        struct neo_stream *stream;
        struct neo_arena arena;
        struct neo_error err;
        neo_arena_init(&arena, 1 << 20);
        if (SERVICE(StreamFunctionLogs_stream)(channel, &patience, &request, &stream, &err) !=
            NEO_OK)
            return 0;
        while (SERVICE(StreamFunctionLogs_stream_next)(stream, &entry, &arena))
            n++;
        neo_stream_free(stream);
        neo_arena_fini(&arena);
    }
    return n;
}

static void put_peers(struct neo_json_writer *w)
{
    struct neo_channel_peer peers[16];
    size_t n = neo_channel_peers(channel, peers, NEO_COUNT(peers));

    neo_json_put_key(w, "peers");
    neo_json_open_array(w);
    for (size_t i = 0; i < n && i < NEO_COUNT(peers); i++) {
        neo_json_open_object(w);
        put_text(w, "address", neo_text(peers[i].address));
        put_text(w, "state", neo_text(peers[i].state));
        put_text(w, "last_error", neo_text(peers[i].last_error));
        neo_json_put_key(w, "attested");
        neo_json_put_bool(w, peers[i].attested);
        neo_json_put_key(w, "simulated");
        neo_json_put_bool(w, peers[i].simulated);
        put_u64(w, "calls", peers[i].calls);
        neo_json_close_object(w);
    }
    neo_json_close_array(w);
}

static void put_wire(struct neo_json_writer *w)
{
    struct neo_channel_wire wire = neo_channel_wire(channel);

    put_u64(w, "request_bytes", wire.request_bytes);
    put_u64(w, "verdict_at_ns", wire.verdict_at);
    put_u64(w, "first_request_at_ns", wire.first_request_at);
}

static void do_call(struct neo_json_writer *w)
{
    struct neo_status status = neo_status_of(NEO_OK, "");
    struct neo_bytes id = {0};
    struct neo_arena arena;
    neo_nsec start = neo_mono_nsec();

    neo_arena_init(&arena, 4 << 20);
    if (call_three(w, &arena, &id, &status) == NEO_OK) {
        put_u64(w, "took_us", (neo_mono_nsec() - start) / 1000);
        put_u64(w, "logs", count_logs(id));
    }
    put_status(w, &status);
    put_wire(w);
    put_peers(w);
    neo_arena_fini(&arena);
}

/* --- burst: all at once, each in its own words ------------------------------------------------ */

struct burst {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned left;
    unsigned ok;
    unsigned refused;
    unsigned other;
    struct neo_status first; /* refusal; texts copied */
    char bucket[64], decision[32], reason[64];
    uint64_t retry_ms;
    struct neo_bytes id;
    unsigned n;
};

static void burst_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

static void burst_done(struct neo_client_call *call, const struct neo_status *s, void *self)
{
    struct burst *b = self;

    (void)call;
    (void)pthread_mutex_lock(&b->lock);
    b->ok += s->code == NEO_OK;
    b->other += s->code != NEO_OK && s->code != NEO_RESOURCE_EXHAUSTED;
    if (s->code == NEO_RESOURCE_EXHAUSTED && b->refused++ == 0) {
        (void)snprintf(b->bucket, sizeof(b->bucket), "%.*s", NEO_FMT(s->bucket));
        (void)snprintf(b->decision, sizeof(b->decision), "%.*s", NEO_FMT(s->decision_id));
        (void)snprintf(b->reason, sizeof(b->reason), "%.*s", NEO_FMT(s->reason));
        b->retry_ms = (s->retry_after + NEO_NSEC_PER_MSEC - 1) / NEO_NSEC_PER_MSEC;
    }
    if (--b->left == 0)
        (void)pthread_cond_signal(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
}

static void burst_begin(void *self)
{
    static const struct neo_client_events events = {.message = burst_message, .done = burst_done};
    struct burst *b = self;
    struct functionservice_ExecuteFunctionRequest request = {.id = b->id, .input = NEO_LIT("x")};

    for (unsigned i = 0; i < b->n; i++) {
        struct neo_client_call *call;
        struct neo_error err;
        if (SERVICE(ExecuteFunction_start)(channel, &patience, &request, &events, b, &call, &err) !=
            NEO_OK) {
            struct neo_status status = neo_status_of(err.code, err.message);
            burst_done(NULL, &status, b);
        }
    }
}

/* `n` calls at once, counted by how they ended. */
static void run_burst(struct burst *b, struct neo_bytes id, unsigned n)
{
    *b = (struct burst){.left = n, .n = n, .id = id};
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->changed, NULL);
    neo_runtime_call(neo_mesh_runtime(mesh), 0, burst_begin, b);
    (void)pthread_mutex_lock(&b->lock);
    while (b->left > 0)
        (void)pthread_cond_wait(&b->changed, &b->lock);
    (void)pthread_mutex_unlock(&b->lock);
}

static uint64_t count_attempts(struct neo_channel *of)
{
    struct neo_channel_peer peers[16];
    size_t n = neo_channel_peers(of, peers, NEO_COUNT(peers));
    uint64_t attempts = 0;

    for (size_t i = 0; i < n && i < NEO_COUNT(peers); i++)
        attempts += peers[i].calls;
    return attempts;
}

static void look_once(struct neo_channel *on, struct neo_bytes id)
{
    struct functionservice_GetFunctionRequest request = {.id = id};
    struct functionservice_GetFunctionResponse response;
    struct neo_status status;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    if (SERVICE(GetFunction)(on, &patience, &request, &response, &arena, &status) != NEO_OK)
        (void)fprintf(stderr, "scene-client: GetFunction: %.*s\n", NEO_FMT(status.message));
    neo_arena_fini(&arena);
}

static enum neo_code call_once(struct neo_channel *on, struct neo_bytes id)
{
    struct functionservice_ExecuteFunctionRequest request = {.id = id, .input = NEO_LIT("x")};
    struct functionservice_ExecuteFunctionResponse response;
    struct neo_status status;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    enum neo_code code =
        SERVICE(ExecuteFunction)(on, &patience, &request, &response, &arena, &status);
    neo_arena_fini(&arena);
    return code;
}

/*
 * On a channel of its own, whose retries no failure has throttled yet: a call that is told when to
 * come back, does, and is served. A few are made, for a token may come back in between.
 */
static void call_after(struct neo_json_writer *w, struct neo_bytes id)
{
    struct neo_channel *fresh;
    struct neo_error err;
    struct burst b;
    uint64_t calls = 3, served = 0; /* the retry budget of a channel pays for four refusals */

    if (neo_mesh_channel(mesh, "function-service", 0, &fresh, &err) != NEO_OK)
        return;
    for (int i = 0; i < 4; i++)
        look_once(fresh, id); /* connected to both; costs no token of the bucket */
    uint64_t before = count_attempts(fresh);
    neo_nsec start = neo_mono_nsec();
    for (uint64_t i = 0; i < calls; i++) {
        run_burst(&b, id, 60); /* empties the buckets */
        served += call_once(fresh, id) == NEO_OK;
    }
    put_u64(w, "after_us", (neo_mono_nsec() - start) / 1000);
    put_u64(w, "after_calls", calls);
    put_u64(w, "after_served", served);
    put_u64(w, "after_attempts", count_attempts(fresh) - before);
    neo_mesh_channel_free(mesh, fresh);
}

static void do_burst(struct neo_json_writer *w, const char *id, unsigned n)
{
    struct burst b;

    run_burst(&b, neo_text(id), 4); /* both instances are connected now */
    neo_nsec start = neo_mono_nsec();
    run_burst(&b, neo_text(id), n);
    put_u64(w, "took_ms", (neo_mono_nsec() - start) / NEO_NSEC_PER_MSEC);
    put_u64(w, "ok", b.ok);
    put_u64(w, "refused", b.refused);
    put_u64(w, "other", b.other);
    put_text(w, "bucket", neo_text(b.bucket));
    put_text(w, "reason", neo_text(b.reason));
    put_text(w, "decision_id", neo_text(b.decision));
    put_u64(w, "retry_after_ms", b.retry_ms);
    put_peers(w);
    call_after(w, neo_text(id));
}

/* --- deadline --------------------------------------------------------------------------------- */

static void do_deadline(struct neo_json_writer *w)
{
    struct neo_call_options options = {.timeout = 100 * NEO_NSEC_PER_MSEC};
    struct functionservice_StreamFunctionLogsRequest request = {.follow = true};
    struct functionservice_LogEntry entry;
    struct neo_stream *stream;
    struct neo_arena arena;
    struct neo_error err;
    neo_nsec start = neo_mono_nsec();

    neo_arena_init(&arena, 1 << 20);
    request.function_id = NEO_LIT("fn-nothing");
    if (SERVICE(StreamFunctionLogs_stream)(channel, &options, &request, &stream, &err) == NEO_OK) {
        while (SERVICE(StreamFunctionLogs_stream_next)(stream, &entry, &arena))
            ;
        put_status(w, neo_stream_status(stream));
        neo_stream_free(stream);
    }
    put_u64(w, "took_ms", (neo_mono_nsec() - start) / NEO_NSEC_PER_MSEC);
    neo_arena_fini(&arena);
}

/* --- load: a rate of small calls beside one long stream --------------------------------------- */

struct load {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct neo_timer tick;
    neo_nsec interval;
    neo_nsec end;
    struct neo_bytes id;
    unsigned started, finished, failed;
    char first_failure[200];
    struct neo_client_call *stream;
    bool stream_over;
    bool ticking;
    struct neo_status stream_status;
    char stream_reason[64], stream_message[160];
    int64_t stream_ended_at;
    uint64_t entries;
    uint64_t slowest_us;
};

struct small_call {
    struct load *load;
    neo_nsec start;
};

static void small_done(struct neo_client_call *call, const struct neo_status *s, void *self)
{
    struct small_call *c = self;
    struct load *l = c->load;
    uint64_t us = (neo_mono_nsec() - c->start) / 1000;

    (void)call;
    (void)pthread_mutex_lock(&l->lock);
    l->finished++;
    if (us > l->slowest_us)
        l->slowest_us = us;
    if (s->code != NEO_OK && l->failed++ == 0)
        (void)snprintf(l->first_failure, sizeof(l->first_failure), "%s: %.*s",
                       neo_code_name(s->code), NEO_FMT(s->message));
    (void)pthread_cond_signal(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
    neo_free(c);
}

static void start_small(struct load *l)
{
    static const struct neo_client_events events = {.message = burst_message, .done = small_done};
    struct functionservice_GetFunctionRequest request = {.id = l->id};
    struct small_call *c = neo_alloc(sizeof(*c));
    struct neo_client_call *call;
    struct neo_error err;

    if (c == NULL)
        return;
    *c = (struct small_call){.load = l, .start = neo_mono_nsec()};
    (void)pthread_mutex_lock(&l->lock);
    l->started++;
    (void)pthread_mutex_unlock(&l->lock);
    if (SERVICE(GetFunction_start)(channel, &patience, &request, &events, c, &call, &err) !=
        NEO_OK) {
        struct neo_status status = neo_status_of(err.code, err.message);
        small_done(NULL, &status, c);
    }
}

static void tick(struct neo_timer *timer)
{
    struct load *l = neo_owner(timer, struct load, tick);
    struct neo_loop *loop = neo_runtime_loop(neo_mesh_runtime(mesh), 0);
    neo_nsec now = neo_loop_now(loop);

    if (now >= l->end) {
        if (l->stream != NULL && !l->stream_over)
            neo_client_call_cancel(l->stream);
        (void)pthread_mutex_lock(&l->lock);
        l->ticking = false;
        (void)pthread_cond_signal(&l->changed);
        (void)pthread_mutex_unlock(&l->lock);
        return;
    }
    if (l->interval > 0)
        start_small(l);
    neo_loop_arm(loop, timer, now + (l->interval == 0 ? 10 * NEO_NSEC_PER_MSEC : l->interval));
}

static void stream_message(struct neo_client_call *call, const void *message, void *self)
{
    (void)call;
    (void)message;
    ((struct load *)self)->entries++;
}

static void stream_done(struct neo_client_call *call, const struct neo_status *s, void *self)
{
    struct load *l = self;

    (void)call;
    (void)pthread_mutex_lock(&l->lock);
    l->stream = NULL;
    l->stream_over = true;
    l->stream_status = neo_status_of(s->code, "");
    l->stream_ended_at = neo_wall_nsec();
    (void)snprintf(l->stream_reason, sizeof(l->stream_reason), "%.*s", NEO_FMT(s->reason));
    (void)snprintf(l->stream_message, sizeof(l->stream_message), "%.*s", NEO_FMT(s->message));
    (void)pthread_cond_signal(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
}

static void load_begin(void *self)
{
    static const struct neo_client_events events = {.message = stream_message, .done = stream_done};
    struct load *l = self;
    struct neo_loop *loop = neo_runtime_loop(neo_mesh_runtime(mesh), 0);
    struct functionservice_StreamFunctionLogsRequest request = {.function_id = l->id,
                                                                .follow = true};
    struct neo_call_options options = {.wait_for_ready = true};

    if (SERVICE(StreamFunctionLogs_start)(channel, &options, &request, &events, l, &l->stream,
                                          NULL) != NEO_OK)
        l->stream_over = true;
    l->end += neo_loop_now(loop);
    l->tick.expired = tick;
    l->ticking = true;
    neo_loop_arm(loop, &l->tick, neo_loop_now(loop));
}

static void do_load(struct neo_json_writer *w, const char *id, unsigned rate, unsigned seconds)
{
    static struct load l;
    struct neo_arena arena;
    struct neo_status status = {0};
    struct neo_bytes made = neo_text(id);

    neo_arena_init(&arena, 1 << 20);
    if (strcmp(id, "new") == 0 && create("return input", &arena, &made, &status) != NEO_OK) {
        put_status(w, &status);
        return;
    }
    l.id = made;
    l.interval = rate == 0 ? 0 : NEO_NSEC_PER_SEC / rate;
    l.end = seconds * NEO_NSEC_PER_SEC;
    (void)pthread_mutex_init(&l.lock, NULL);
    (void)pthread_cond_init(&l.changed, NULL);
    neo_runtime_call(neo_mesh_runtime(mesh), 0, load_begin, &l);
    (void)pthread_mutex_lock(&l.lock);
    while (l.ticking || !l.stream_over || l.finished < l.started)
        (void)pthread_cond_wait(&l.changed, &l.lock);
    (void)pthread_mutex_unlock(&l.lock);
    put_u64(w, "calls", l.started);
    put_u64(w, "failed", l.failed);
    put_text(w, "first_failure", neo_text(l.first_failure));
    put_u64(w, "slowest_us", l.slowest_us);
    put_text(w, "stream_code", neo_text(neo_code_name(l.stream_status.code)));
    put_text(w, "stream_reason", neo_text(l.stream_reason));
    put_text(w, "stream_message", neo_text(l.stream_message));
    put_u64(w, "stream_ended_at_ns", (uint64_t)l.stream_ended_at);
    put_u64(w, "stream_entries", l.entries);
    put_peers(w);
    neo_arena_fini(&arena);
}

/* --- the program ------------------------------------------------------------------------------ */

static bool play(struct neo_json_writer *w, char **argv, int argc)
{
    if (argc == 1 && strcmp(argv[0], "call") == 0)
        do_call(w);
    else if (argc == 3 && strcmp(argv[0], "burst") == 0)
        do_burst(w, argv[1], (unsigned)strtoul(argv[2], NULL, 10));
    else if (argc == 1 && strcmp(argv[0], "deadline") == 0)
        do_deadline(w);
    else if (argc == 4 && strcmp(argv[0], "load") == 0)
        do_load(w, argv[1], (unsigned)strtoul(argv[2], NULL, 10),
                (unsigned)strtoul(argv[3], NULL, 10));
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out};
    struct neo_error err;
    int split = 1;

    while (split < argc && strcmp(argv[split], "--") != 0)
        split++;
    if (split + 1 >= argc) {
        (void)fprintf(stderr,
                      "usage: scene-client <join options> -- call|burst|deadline|load ...\n");
        return 2;
    }
    if (neo_mesh_start(split, argv, "automation-service", &mesh, &err) != NEO_OK ||
        neo_mesh_channel(mesh, "function-service", 0, &channel, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    neo_json_open_object(&w);
    bool played = play(&w, argv + split + 1, argc - split - 1);
    neo_json_close_object(&w);
    (void)printf("%.*s\n", (int)out.len, (const char *)out.at);
    neo_mesh_channel_free(mesh, channel);
    neo_mesh_free(mesh);
    return played ? 0 : 2;
}
