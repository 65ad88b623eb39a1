/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function-service: keeps Lua functions in SQLite, runs them in a sandbox, streams
 * what they log. Its methods are the seed's; what waits (the disk, the function
 * itself) runs on the pool, the log stream on the worker.
 */
#include "function/journal.h"
#include "function/sandbox.h"

#include "function/function.neo.h"

#include <neo/encoding.h>
#include <neo/memory.h>
#include <neo/mesh.h>
#include <neo/store.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SOURCE_MAX = 64 << 10, NAME_MAX_LEN = 100, ID_LEN = 24 };

struct service {
    struct neo_mesh *mesh;
    struct neo_store *store; /* under the lock */
    pthread_mutex_t lock;
    struct journal journal;
    struct neo_channel *peers; /* all instances of this service, this one included */
    char instance[64];
};

static const char *const migrations[] = {
    "CREATE TABLE functions (id TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT NOT NULL,"
    "  owner TEXT NOT NULL, created_at INTEGER NOT NULL, executions INTEGER NOT NULL DEFAULT 0)"
    "  WITHOUT ROWID;",
    NULL,
};

#define VALUES(...)                                                                                \
    (const struct neo_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct neo_value[]){__VA_ARGS__}) / sizeof(struct neo_value)

static void new_id(const char *prefix, char id[static ID_LEN])
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    uint8_t random[8];

    neo_random(random, sizeof(random));
    (void)neo_hex_encode(&hex, neo_bytes(random, sizeof(random)));
    (void)snprintf(id, ID_LEN, "%s%.*s", prefix, NEO_FMT(neo_buffer_bytes(&hex)));
}

/* --- CreateFunction --------------------------------------------------------------------------- */

static enum neo_code insert(struct service *s, const struct functionservice_Function *f,
                            struct neo_error *err)
{
    (void)pthread_mutex_lock(&s->lock);
    enum neo_code code = neo_store_run(s->store,
                                       "INSERT OR IGNORE INTO functions (id, name, source, owner, "
                                       "created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                                       VALUES(neo_value_text(f->id), neo_value_text(f->name),
                                              neo_value_text(f->source), neo_value_text(f->owner),
                                              neo_value_i64(f->created_at)),
                                       NULL, err);
    (void)pthread_mutex_unlock(&s->lock);
    return code;
}

/* Made of what it is, so that every instance gives it the same id and twice is once. */
static void derive_id(const struct functionservice_Function *f, char id[static ID_LEN])
{
    const struct neo_bytes parts[] = {f->owner, f->name, f->source};
    uint8_t all[3 * NEO_SHA256_LEN], digest[NEO_SHA256_LEN];
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    for (size_t i = 0; i < NEO_COUNT(parts); i++)
        neo_sha256(parts[i], all + i * NEO_SHA256_LEN);
    neo_sha256(neo_bytes(all, sizeof(all)), digest);
    (void)neo_hex_encode(&hex, neo_bytes(digest, 8));
    (void)snprintf(id, ID_LEN, "fn-%.*s", NEO_FMT(neo_buffer_bytes(&hex)));
}

enum { PEERS_MAX = 16 };

/* True when every instance that can be reached had a call since `before` was counted. */
static bool all_reached(struct neo_channel *peers, const struct neo_channel_peer *before, size_t n)
{
    struct neo_channel_peer now[PEERS_MAX];
    size_t n_now = neo_channel_peers(peers, now, PEERS_MAX);

    for (size_t i = 0; i < n_now && i < PEERS_MAX; i++) {
        uint64_t had = 0;
        for (size_t k = 0; k < n && k < PEERS_MAX; k++)
            if (strcmp(before[k].address, now[i].address) == 0)
                had = before[k].calls;
        if (now[i].calls == had && strcmp(now[i].state, "backoff") != 0)
            return false;
    }
    return n_now > 0;
}

static void pass_on_once(struct service *s, const struct functionservice_Function *f)
{
    struct functionservice_CreateFunctionRequest request = {
        .name = f->name, .source = f->source, .owner = f->owner};
    struct functionservice_CreateFunctionResponse response;
    struct neo_call_options options = {.timeout = NEO_NSEC_PER_SEC};
    struct neo_status status;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    if (functionservice_FunctionService_CreateFunction(s->peers, &options, &request, &response,
                                                       &arena, &status) != NEO_OK)
        neo_log_warn(neo_mesh_log(s->mesh), "function.not_passed_on", NEO_BYTES("id", f->id),
                     NEO_STR("code", neo_code_name(status.code)), NEO_BYTES("why", status.message));
    neo_arena_fini(&arena);
}

/*
 * Passes a new function on to the other instances. Calls go round those that are connected, so it
 * calls until each had one, for a second; this one may hear it again, which is once. An instance
 * that is away misses it: its callers are told NOT_FOUND and create it again.
 */
static void pass_on(struct service *s, const struct functionservice_Function *f)
{
    static const struct timespec pause = {.tv_nsec = 10 * NEO_NSEC_PER_MSEC};
    struct neo_channel_peer before[PEERS_MAX];
    size_t n = neo_channel_peers(s->peers, before, PEERS_MAX);
    neo_nsec end = neo_mono_nsec() + NEO_NSEC_PER_SEC;

    pass_on_once(s, f);
    while (!all_reached(s->peers, before, n) && neo_mono_nsec() < end) {
        (void)nanosleep(&pause, NULL);
        pass_on_once(s, f);
    }
}

static bool is_acceptable(const struct functionservice_CreateFunctionRequest *request)
{
    return request->name.len > 0 && request->name.len <= NAME_MAX_LEN && request->source.len > 0 &&
           request->source.len <= SOURCE_MAX;
}

static void create_function(struct neo_call *call,
                            const struct functionservice_CreateFunctionRequest *request, void *self)
{
    struct neo_bytes caller = neo_call_context(call)->caller;
    bool is_peer = neo_bytes_is(caller, "function-service");
    struct functionservice_Function f = {.name = request->name,
                                         .source = request->source,
                                         .owner = is_peer ? request->owner : caller,
                                         .created_at = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC};
    struct functionservice_CreateFunctionResponse response = {.function = &f};
    struct neo_error err = {0};
    char id[ID_LEN];

    if (!is_acceptable(request)) {
        neo_call_fail(call, NEO_INVALID_ARGUMENT,
                      "a function has a name of at most %d and a source of at most %d bytes",
                      NAME_MAX_LEN, SOURCE_MAX);
        return;
    }
    derive_id(&f, id);
    f.id = neo_text(id);
    enum neo_code code = sandbox_check(request->source, &err);
    if (code == NEO_OK)
        code = insert(self, &f, &err);
    if (code == NEO_OK && !is_peer)
        pass_on(self, &f);
    if (code == NEO_OK)
        functionservice_FunctionService_CreateFunction_reply(call, &response);
    else
        neo_call_fail(call, code, "%s", err.message);
}

/* --- GetFunction ------------------------------------------------------------------------------ */

static enum neo_code find(struct service *s, struct neo_bytes id, struct neo_arena *arena,
                          struct functionservice_Function *ret, struct neo_error *err)
{
    struct neo_row *row;
    bool found = false;

    (void)pthread_mutex_lock(&s->lock);
    enum neo_code code = neo_store_query(
        s->store, "SELECT name, source, owner, created_at, executions FROM functions WHERE id = ?1",
        VALUES(neo_value_text(id)), &row, err);
    if (code == NEO_OK) {
        found = neo_row_next(row);
        if (found)
            *ret = (struct functionservice_Function){
                .id = id,
                .name = neo_arena_copy(arena, neo_row_bytes(row, 0)),
                .source = neo_arena_copy(arena, neo_row_bytes(row, 1)),
                .owner = neo_arena_copy(arena, neo_row_bytes(row, 2)),
                .created_at = neo_row_i64(row, 3),
                .executions = (uint64_t)neo_row_i64(row, 4),
            };
        code = neo_row_done(row, err);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (code == NEO_OK && !found)
        return neo_fail(err, NEO_NOT_FOUND, "there is no function '%.*s'", NEO_FMT(id));
    return code;
}

static void get_function(struct neo_call *call,
                         const struct functionservice_GetFunctionRequest *request, void *self)
{
    struct functionservice_Function f;
    struct functionservice_GetFunctionResponse response = {.function = &f};
    struct neo_error err = {0};

    enum neo_code code = find(self, request->id, neo_call_arena(call), &f, &err);
    if (code == NEO_OK)
        functionservice_FunctionService_GetFunction_reply(call, &response);
    else
        neo_call_fail(call, code, "%s", err.message);
}

/* --- ExecuteFunction -------------------------------------------------------------------------- */

struct execution {
    struct service *service;
    char function_id[JOURNAL_ID];
    char id[ID_LEN];
};

static void logged(void *self, struct neo_bytes text)
{
    struct execution *e = self;

    journal_add(&e->service->journal, e->function_id, e->id, text);
}

static enum neo_code execute(struct execution *e, const struct functionservice_Function *f,
                             struct neo_bytes input, struct sandbox_result *ret,
                             struct neo_error *err)
{
    logged(e, NEO_LIT("started"));
    enum neo_code code = sandbox_run(f->source, input, logged, e, ret, err);
    logged(e, code == NEO_OK ? NEO_LIT("ended") : neo_text(err->message));
    if (code != NEO_OK)
        return code;
    (void)pthread_mutex_lock(&e->service->lock);
    code = neo_store_run(e->service->store,
                         "UPDATE functions SET executions = executions + 1 WHERE id = ?1",
                         VALUES(neo_value_text(f->id)), NULL, err);
    (void)pthread_mutex_unlock(&e->service->lock);
    return code;
}

static void execute_function(struct neo_call *call,
                             const struct functionservice_ExecuteFunctionRequest *request,
                             void *self)
{
    struct execution e = {.service = self};
    struct functionservice_Function f = {0};
    struct sandbox_result result = {.instructions = 0};
    struct neo_error err = {0};
    neo_nsec start = neo_mono_nsec();

    new_id("ex-", e.id);
    enum neo_code code = find(self, request->id, neo_call_arena(call), &f, &err);
    if (code == NEO_OK) {
        (void)snprintf(e.function_id, sizeof(e.function_id), "%.*s", NEO_FMT(request->id));
        code = execute(&e, &f, request->input, &result, &err);
    }
    if (code != NEO_OK) {
        neo_call_fail(call, code, "%s", err.message);
    } else {
        struct functionservice_ExecuteFunctionResponse response = {
            .output = neo_buffer_bytes(&result.output),
            .execution_id = neo_text(e.id),
            .instructions = result.instructions,
            .memory_bytes = result.memory,
            .duration_us = (int64_t)((neo_mono_nsec() - start) / 1000),
            .instance = neo_text(e.service->instance),
        };
        functionservice_FunctionService_ExecuteFunction_reply(call, &response);
    }
    neo_buffer_fini(&result.output);
}

/* --- StreamFunctionLogs ----------------------------------------------------------------------- */

#define LOOK_AGAIN (20 * NEO_NSEC_PER_MSEC)

struct reader {
    struct service *service;
    struct neo_call *call;
    struct neo_timer timer;
    char function_id[JOURNAL_ID];
    uint64_t at;
    bool follow;
};

/* Sends what is new; false: the call is over or must wait until it is writable. */
static bool send_new(struct reader *r)
{
    struct journal_entry e;
    uint64_t lost;

    while (journal_next(&r->service->journal, r->function_id, &r->at, &e, &lost)) {
        struct functionservice_LogEntry entry = {
            .sequence = e.sequence,
            .at = e.at,
            .execution_id = neo_text(e.execution_id),
            .text = neo_bytes(e.text, e.len),
            .lost = lost,
        };
        if (functionservice_FunctionService_StreamFunctionLogs_send(r->call, &entry) !=
            NEO_FLOW_MORE)
            return false;
    }
    return true;
}

static void look(struct reader *r)
{
    static const struct neo_status ok = {.code = NEO_OK};
    struct neo_loop *loop = neo_call_loop(r->call);

    if (!send_new(r))
        return; /* `writable` or `done` comes */
    if (r->follow)
        neo_loop_arm(loop, &r->timer, neo_loop_now(loop) + LOOK_AGAIN);
    else
        neo_call_finish(r->call, &ok);
}

static void due(struct neo_timer *timer)
{
    look(neo_owner(timer, struct reader, timer));
}

static void writable(struct neo_call *call, void *state)
{
    (void)call;
    look(state);
}

static void over(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct reader *r = state;

    (void)status;
    neo_loop_disarm(neo_call_loop(call), &r->timer);
}

static void stream_function_logs(struct neo_call *call,
                                 const struct functionservice_StreamFunctionLogsRequest *request,
                                 void *self)
{
    static const struct neo_stream_events events = {.writable = writable, .done = over};
    struct reader *r = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*r));

    if (r == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *r = (struct reader){
        .service = self, .call = call, .timer = {.expired = due}, .follow = request->follow};
    (void)snprintf(r->function_id, sizeof(r->function_id), "%.*s", NEO_FMT(request->function_id));
    neo_call_on_stream(call, &events, r);
    look(r);
}

/* --- the service ------------------------------------------------------------------------------ */

static const struct functionservice_FunctionService_handlers handlers = {
    .CreateFunction = create_function,
    .GetFunction = get_function,
    .ExecuteFunction = execute_function,
    .StreamFunctionLogs = stream_function_logs,
};

static enum neo_code serve(struct service *s, struct neo_error *err)
{
    static const char *const blocking[] = {
        "/functionservice.FunctionService/CreateFunction",
        "/functionservice.FunctionService/GetFunction",
        "/functionservice.FunctionService/ExecuteFunction",
    };

    NEO_TRY(neo_mesh_serve(s->mesh, &functionservice_FunctionService_info, &handlers, s, err));
    for (size_t i = 0; i < NEO_COUNT(blocking); i++)
        NEO_TRY(neo_server_set_blocking(neo_mesh_server(s->mesh), blocking[i], err));
    NEO_TRY(neo_mesh_channel(s->mesh, "function-service", 0, &s->peers, err));
    return neo_mesh_run(s->mesh, err);
}

int main(int argc, char **argv)
{
    static struct service s;
    struct neo_error err;
    char path[1024];

    (void)pthread_mutex_init(&s.lock, NULL);
    journal_init(&s.journal);
    if (neo_mesh_start(argc, argv, "function-service", &s.mesh, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    (void)snprintf(s.instance, sizeof(s.instance), "%s", neo_mesh_instance(s.mesh));
    (void)snprintf(path, sizeof(path), "%s/functions.db", neo_mesh_state_dir(s.mesh));
    if (neo_store_open(path, migrations, &s.store, &err) != NEO_OK || serve(&s, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    neo_store_close(s.store);
    return 0;
}
