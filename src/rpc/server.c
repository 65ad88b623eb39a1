/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server is made of stays constant once it listens; what it lives by is an
 * epoch, handed to each worker by a job. Whoever waits for the end (drain, free)
 * runs a loop of its own and looks at the workers' counts.
 */
#include "rpc/server.h"

#include "rpc/builtin.h"
#include "rpc/record.h"
#include "rpc/server_attest.h"
#include "rpc/symbols.h"

#include <neo/insecure.h>
#include <neo/memory.h>

#include <limits.h>
#include <stdio.h>

#define POLL_EVERY  (2 * NEO_NSEC_PER_MSEC)
#define CUT_TIMEOUT (250 * NEO_NSEC_PER_MSEC)

#define IDLE_PING_SPACING (2 * 3600 * NEO_NSEC_PER_SEC)
#define BUSY_PING_SPACING (500 * NEO_NSEC_PER_MSEC)

/* --- making ------------------------------------------------------------------------------ */

static enum neo_code check_insecure(const struct neo_server_options *o, struct neo_error *err)
{
    enum neo_insecure_mode mode = o->insecure->mode;

    if (mode != NEO_INSECURE_CLEARTEXT && mode != NEO_INSECURE_ANONYMOUS_CALLERS)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "server '%s': neo/insecure.h has no mode %d; without `insecure` it speaks "
                        "mutual TLS",
                        o->name, (int)mode);
    if (o->attester != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "server '%s': evidence needs mutual TLS; an insecure server has no "
                        "attester",
                        o->name);
    if (o->epoch.policy == NULL)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "server '%s' cannot be without a policy, insecure or not", o->name);
    return NEO_OK;
}

static enum neo_code check(const struct neo_server_options *o, struct neo_error *err)
{
    if (o->name == NULL || !neo_is_service_name(neo_text(o->name)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a server needs a service name of [a-z0-9-]");
    if (o->runtime == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "server '%s' has no runtime", o->name);
    if (o->max_metadata != 0 &&
        (o->max_metadata < H2_HEADER_BYTES_LEAST || o->max_metadata > H2_HEADER_BYTES_MOST))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "server '%s': max_metadata is %zu bytes; 0 or %d to %d", o->name,
                        o->max_metadata, H2_HEADER_BYTES_LEAST, H2_HEADER_BYTES_MOST);
    if (o->max_blocking > NEO_LANE_WIDTH_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "server '%s': max_blocking is %u threads; 0 or 1 to %d", o->name,
                        o->max_blocking, NEO_LANE_WIDTH_MAX);
    if (o->insecure != NULL)
        return check_insecure(o, err);
    if (o->epoch.identity == NULL || o->epoch.trust == NULL || o->epoch.policy == NULL)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "server '%s' cannot be without an identity, a trust and a policy: %s is "
                        "missing",
                        o->name,
                        o->epoch.identity == NULL ? "the identity"
                        : o->epoch.trust == NULL  ? "the trust"
                                                  : "the policy");
    return NEO_OK;
}

static void set_defaults(struct neo_server_options *o)
{
    if (o->max_message == 0)
        o->max_message = 4 * 1024 * 1024;
    if (o->max_connections_per_identity == 0)
        o->max_connections_per_identity = 64;
    if (o->max_in_flight == 0)
        o->max_in_flight = 1000;
    if (o->max_deadline == 0)
        o->max_deadline = 300 * NEO_NSEC_PER_SEC;
    if (o->max_connection_idle == 0)
        o->max_connection_idle = 300 * NEO_NSEC_PER_SEC;
    if (o->max_connection_age == 0)
        o->max_connection_age = 3600 * NEO_NSEC_PER_SEC;
    if (o->max_connection_age_grace == 0)
        o->max_connection_age_grace = NEO_FOREVER;
    if (o->keepalive_time == 0)
        o->keepalive_time = 2 * 3600 * NEO_NSEC_PER_SEC;
    if (o->keepalive_timeout == 0)
        o->keepalive_timeout = 20 * NEO_NSEC_PER_SEC;
    if (o->max_blocking == 0)
        o->max_blocking = 64;
    if (o->max_blocking_wait == 0)
        o->max_blocking_wait = 5 * NEO_NSEC_PER_SEC;
    if (o->max_stall == 0)
        o->max_stall = 30 * NEO_NSEC_PER_SEC;
}

/* Zeros are left to the guard. */
static struct h2_limits limits_of(const struct neo_server_options *o)
{
    return (struct h2_limits){
        .max_streams = o->max_streams,
        .header_bytes = (uint32_t)o->max_metadata,
        .connection_headers = (uint32_t)o->max_metadata * H2_HEADER_BLOCKS,
        .ping_spacing = o->refuse_idle_pings ? IDLE_PING_SPACING : o->min_ping_interval,
        .ping_spacing_busy = o->min_ping_interval != 0 ? o->min_ping_interval
                             : o->refuse_idle_pings    ? BUSY_PING_SPACING
                                                       : 0,
    };
}

/* How each epoch's TLS context is made. */
static struct tls_options tls_of(const struct neo_server_options *o)
{
    struct tls_options tls = {.role = TLS_SERVER, .allow_anonymous = o->allow_anonymous};

    if (o->insecure == NULL)
        return tls;
    tls.allow_anonymous = true;
    tls.mode = o->insecure->mode == NEO_INSECURE_CLEARTEXT ? TLS_CLEARTEXT : TLS_SERVER_PROVEN;
    tls.pem_chain = o->insecure->certificate_pem;
    tls.pem_key = o->insecure->key_pem;
    tls.pem_roots = o->insecure->caller_root_pem;
    return tls;
}

/* The first epoch. What was borrowed for it is not kept. */
static enum neo_code make_epoch(struct neo_server *server, struct neo_error *err)
{
    struct neo_server_options *o = &server->options;

    server->tls = tls_of(o);
    o->allow_anonymous = server->tls.allow_anonymous;
    enum neo_code code = epoch_new(NULL, &o->epoch, &server->tls, &server->shared.epoch, err);
    server->tls.pem_chain = server->tls.pem_key = (struct neo_bytes){0};
    o->insecure = NULL;
    return code;
}

static enum neo_code make_workers(struct neo_server *server, struct neo_error *err)
{
    unsigned n = neo_runtime_workers(server->options.runtime);

    server->workers = neo_alloc_array(n, sizeof(struct worker *));
    if (server->workers == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for %u workers", n);
    for (unsigned i = 0; i < n; i++) {
        NEO_TRY(worker_new(server, neo_runtime_loop(server->options.runtime, i),
                           &server->workers[i], err));
        server->n_workers++;
    }
    return NEO_OK;
}

static enum neo_code make(struct neo_server *server, struct neo_error *err)
{
    const struct neo_server_options *o = &server->options;

    server->name = neo_string_dup(o->name);
    server->attest = server_attest_new(o);
    if (server->name == NULL || server->attest == NULL || !record_init(server))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for server '%s'", o->name);
    server->options.name = server->name;
    server->target = neo_text(server->name);
    NEO_TRY(neo_loop_new(&server->waiting, err));
    NEO_TRY(make_epoch(server, err));
    NEO_TRY(make_workers(server, err));
    return builtin_add(server, err);
}

enum neo_code neo_server_new(const struct neo_server_options *options, struct neo_server **ret,
                             struct neo_error *err)
{
    NEO_TRY(check(options, err));

    struct neo_server *server = neo_alloc(sizeof(*server));
    if (server == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for server '%s'",
                        options->name);
    server->options = *options;
    set_defaults(&server->options);
    server->largest_request = server->options.max_message;
    server->blocking = (struct neo_lane){.width = server->options.max_blocking, .length = UINT_MAX};
    server->own_limits = limits_of(options);
    server->h2_limits = &server->own_limits;
    list_init(&server->services);
    (void)pthread_mutex_init(&server->shared.lock, NULL);

    enum neo_code code = make(server, err);
    if (code != NEO_OK) {
        neo_server_free(server);
        return code;
    }
    server_look_at_certificate(options);
    server_note(server, false, "created");
    *ret = server;
    return NEO_OK;
}

/* --- services ---------------------------------------------------------------------------- */

static void init_method(struct method *m, const struct neo_method *info, const void *handlers,
                        size_t row, void *self)
{
    *m = (struct method){
        .info = info,
        .self = self,
        .path = neo_text(info->path),
        .service = neo_text(info->service),
        .name = neo_text(info->name),
    };
    /* The generated struct holds one function pointer per method and nothing else. */
    memcpy(&m->handler, (const uint8_t *)handlers + row * sizeof(m->handler), sizeof(m->handler));
}

enum neo_code server_add(struct neo_server *server, const struct neo_service_info *info,
                         const void *handlers, void *self, bool builtin, struct service **ret,
                         struct neo_error *err)
{
    struct service *s = neo_alloc(sizeof(*s) + info->n_methods * sizeof(s->methods[0]));

    if (s == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for service '%s'",
                        info->full_name);
    s->info = info;
    s->serving = true;
    list_push_back(&server->services, &s->link);
    for (size_t i = 0; i < info->n_methods; i++) {
        struct method *m = &s->methods[i];
        init_method(m, &info->methods[i], handlers, i, self);
        m->builtin = builtin;
        m->index = server->n_methods++;
        s->n_methods++;
        if (map_get(&server->methods, m->path) != NULL)
            return neo_fail(err, NEO_ALREADY_EXISTS, "server '%s' already serves %s", server->name,
                            info->methods[i].path);
        if (!map_put(&server->methods, m->path, m) || !record_init_method(server, m))
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for method '%s'",
                            info->methods[i].path);
    }
    if (ret != NULL)
        *ret = s;
    return NEO_OK;
}

void server_note(struct neo_server *server, bool warning, const char *text)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    channelz_note(&server->shared.trace, neo_mono_nsec(), warning, 0, text);
    (void)pthread_mutex_unlock(&server->shared.lock);
}

bool server_is_listening(struct neo_server *server)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    bool listening = server->shared.listening;
    (void)pthread_mutex_unlock(&server->shared.lock);
    return listening;
}

enum neo_code neo_server_add(struct neo_server *server, const struct neo_service_info *info,
                             const void *handlers, void *self, struct neo_error *err)
{
    if (server_is_listening(server))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "server '%s' listens already: add '%s' before", server->name,
                        info->full_name);
    return server_add(server, info, handlers, self, false, NULL, err);
}

/* --- listening --------------------------------------------------------------------------- */

struct listen_request {
    struct worker *worker;
    const char *address;
    enum net_listening how;
    struct net_address bound;
    enum neo_code code;
    struct neo_error err;
};

static void listen_there(void *self)
{
    struct listen_request *r = self;

    r->code = worker_listen(r->worker, r->address, r->how, &r->bound, &r->err);
}

static enum neo_code listen_on(struct neo_server *server, unsigned i, const char *address,
                               enum net_listening how, struct net_address *ret,
                               struct neo_error *err)
{
    struct listen_request r = {
        .worker = server->workers[i],
        .address = address,
        .how = how,
    };

    neo_runtime_call(server->options.runtime, i, listen_there, &r);
    if (r.code != NEO_OK) {
        if (err != NULL)
            *err = r.err;
        return r.code;
    }
    *ret = r.bound;
    return NEO_OK;
}

/* From here on nothing is added: what is made of all services can be made. */
static enum neo_code close_for_services(struct neo_server *server, struct neo_error *err)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    enum neo_code code = builtin_reflection_index(server, err);
    server->shared.listening = server->shared.listening || code == NEO_OK;
    (void)pthread_mutex_unlock(&server->shared.lock);
    return code;
}

/* The first worker learns the port that the others share. A path has room for one only. */
enum neo_code neo_server_listen(struct neo_server *server, const char *address,
                                struct neo_error *err)
{
    bool is_path = strncmp(address, "unix:", 5) == 0;
    unsigned n = is_path ? 1 : server->n_workers;
    struct net_address bound;
    struct net_address again;
    char note[sizeof(bound.text) + 16];

    NEO_TRY(close_for_services(server, err));
    NEO_TRY(listen_on(server, 0, address, n > 1 ? NET_FIRST : NET_ALONE, &bound, err));
    for (unsigned i = 1; i < n; i++)
        NEO_TRY(listen_on(server, i, bound.text, NET_JOIN, &again, err));
    (void)snprintf(note, sizeof(note), "listens on %s", bound.text);
    server_note(server, false, note);
    unsigned at = atomic_load(&server->n_addresses);
    if (at == LISTENERS_MAX) /* as many as there were before it was drained */
        return NEO_OK;
    (void)snprintf(server->addresses[at], sizeof(server->addresses[at]), "%s", bound.text);
    atomic_store(&server->n_addresses, at + 1);
    return NEO_OK;
}

const char *neo_server_address(const struct neo_server *server)
{
    return server->addresses[0];
}

const char *neo_server_address_at(const struct neo_server *server, size_t i)
{
    return i < atomic_load(&server->n_addresses) ? server->addresses[i] : NULL;
}

/* --- updates ----------------------------------------------------------------------------- */

struct epoch *server_epoch(struct neo_server *server)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    struct epoch *e = epoch_ref(server->shared.epoch);
    (void)pthread_mutex_unlock(&server->shared.lock);
    return e;
}

/* Under the lock throughout, so that updates reach every worker in one order. */
void neo_server_update(struct neo_server *server, const struct neo_epoch *epoch)
{
    struct neo_error err = {0};
    struct epoch *next;

    (void)pthread_mutex_lock(&server->shared.lock);
    enum neo_code code = epoch_new(server->shared.epoch, epoch, &server->tls, &next, &err);
    if (code == NEO_OK) {
        epoch_unref(server->shared.epoch);
        server->shared.epoch = next;
        for (unsigned i = 0; i < server->n_workers; i++)
            worker_post_update(server->workers[i], next);
    }
    (void)pthread_mutex_unlock(&server->shared.lock);
    if (code == NEO_OK)
        return;
    server_note(server, true, "refused an update");
    neo_log_error(server->options.log, "server.update_refused", NEO_STR("error", err.message),
                  NEO_STR("kept", "the epoch before"));
}

void neo_server_set_serving(struct neo_server *server, const char *service, bool serving)
{
    list_each (link, &server->services) {
        struct service *s = neo_owner(link, struct service, link);
        if (strcmp(s->info->full_name, service) == 0)
            atomic_store(&s->serving, serving);
    }
    (void)pthread_mutex_lock(&server->shared.lock);
    for (unsigned i = 0; i < server->n_workers; i++)
        worker_post_update(server->workers[i], server->shared.epoch);
    (void)pthread_mutex_unlock(&server->shared.lock);
}

/* --- the end ----------------------------------------------------------------------------- */

struct wait {
    struct neo_timer poll;
    struct neo_server *server;
    neo_nsec until;
};

static bool is_empty(const struct neo_server *server)
{
    for (unsigned i = 0; i < server->n_workers; i++)
        if (!worker_is_empty(server->workers[i]))
            return false;
    return true;
}

static void poll_workers(struct neo_timer *timer)
{
    struct wait *wait = neo_owner(timer, struct wait, poll);
    struct neo_loop *loop = wait->server->waiting;

    if (is_empty(wait->server) || neo_loop_now(loop) >= wait->until)
        neo_loop_stop(loop);
    else
        neo_loop_arm(loop, &wait->poll, neo_loop_now(loop) + POLL_EVERY);
}

/* True when every worker is empty within `most`. */
static bool wait_until_empty(struct neo_server *server, neo_nsec most)
{
    struct wait wait = {
        .poll = {.expired = poll_workers},
        .server = server,
        .until = most == UINT64_MAX ? most : neo_mono_nsec() + most,
    };

    if (!is_empty(server)) {
        neo_loop_arm(server->waiting, &wait.poll, neo_mono_nsec());
        neo_loop_run(server->waiting);
    }
    return is_empty(server);
}

struct drain_request {
    struct worker *worker;
    neo_nsec grace;
};

static void drain_there(void *self)
{
    struct drain_request *r = self;

    worker_drain(r->worker, r->grace);
}

static void cut_there(void *self)
{
    worker_cut(self);
}

void neo_server_drain(struct neo_server *server, neo_nsec grace)
{
    atomic_store(&server->draining, true);
    server_note(server, false, "drains");
    for (unsigned i = 0; i < server->n_workers; i++) {
        struct drain_request r = {server->workers[i], grace};
        neo_runtime_call(server->options.runtime, i, drain_there, &r);
    }
    (void)wait_until_empty(server, grace + 4 * NEO_NSEC_PER_SEC);
}

static void close_there(void *self)
{
    worker_close_listeners(self);
}

/* Politely first: a call or connection that was ended has a moment to hear of it. */
static void end_workers(struct neo_server *server)
{
    atomic_store(&server->draining, true);
    for (unsigned i = 0; i < server->n_workers; i++) {
        struct drain_request r = {server->workers[i], 0};
        neo_runtime_call(server->options.runtime, i, close_there, server->workers[i]);
        neo_runtime_call(server->options.runtime, i, drain_there, &r);
    }
    if (wait_until_empty(server, CUT_TIMEOUT))
        return;
    for (unsigned i = 0; i < server->n_workers; i++)
        neo_runtime_call(server->options.runtime, i, cut_there, server->workers[i]);
    /* What is left are calls that handlers still hold. */
    (void)wait_until_empty(server, UINT64_MAX);
}

static void free_worker_there(void *self)
{
    worker_free(self);
}

static void free_services(struct neo_server *server)
{
    struct list *link;

    while ((link = list_pop_front(&server->services)) != NULL) {
        struct service *s = neo_owner(link, struct service, link);
        for (size_t i = 0; i < s->n_methods; i++)
            neo_free(s->methods[i].gate);
        neo_free(s);
    }
    map_fini(&server->methods);
    symbols_free(server->symbols);
}

void neo_server_free(struct neo_server *server)
{
    if (server == NULL)
        return;
    if (server->n_workers > 0)
        end_workers(server);
    for (unsigned i = 0; i < server->n_workers; i++)
        neo_runtime_call(server->options.runtime, i, free_worker_there, server->workers[i]);
    neo_free(server->workers);
    free_services(server);
    map_fini(&server->shared.identities);
    server_attest_free(server->attest);
    epoch_unref(server->shared.epoch);
    if (server->waiting != NULL)
        neo_loop_free(server->waiting);
    (void)pthread_mutex_destroy(&server->shared.lock);
    neo_free(server->name);
    neo_free(server);
}

struct neo_server_stats neo_server_stats(const struct neo_server *server)
{
    struct neo_server_stats sum = {0};

    for (unsigned i = 0; i < server->n_workers; i++) {
        const struct worker *w = server->workers[i];
        sum.connections += atomic_load_explicit(&w->stats.connections, memory_order_relaxed);
        sum.calls += atomic_load_explicit(&w->stats.calls, memory_order_relaxed);
        sum.accepted += atomic_load_explicit(&w->stats.accepted, memory_order_relaxed);
        sum.started += atomic_load_explicit(&w->stats.started, memory_order_relaxed);
        sum.denied += atomic_load_explicit(&w->stats.denied, memory_order_relaxed);
    }
    return sum;
}
