/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack.h - a running server in a process of its own, attackers, and an innocent client.
 *
 * The server is a child process, so that its memory can be measured and its death
 * noticed. Attackers speak TLS like everybody else and then send bytes that no
 * HTTP/2 library would. Beside them one well-behaved client keeps calling on a
 * connection of its own: whatever happens, it must not notice.
 */
#ifndef NEO_TESTS_ATTACK_H
#define NEO_TESTS_ATTACK_H

#include "latency.h"

#include "unit/unit.h"

#include "support/frames.h"
#include "support/pki.h"
#include "support/rpc_client.h"

#include "rpc/server.h"

#include <neo/memory.h>
#include <neo/test/v1/echo.neo.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC
#ifndef MIB
#define MIB (1024 * 1024)
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_MEANS_NOTHING true
#else
#define MEMORY_MEANS_NOTHING false
#endif

/* --- the server's process ---------------------------------------------------------------- */

/* Shared with it. */
struct seen {
    char address[64];
    atomic_uint said;      /* handlers of the innocent's method */
    atomic_uint attacked;  /* handlers that attackers started */
    atomic_uint cancelled; /* and that heard of their end */
    atomic_uint messages;  /* of a stream, from attackers */
    atomic_uint spoofed;   /* handlers that saw a caller or metadata which the peer had forged */
    atomic_uint late;      /* handlers that saw x-late: yes */
    atomic_uint patient;   /* handlers with more than five minutes */
    atomic_uint connections;
    /* Of a client under attack; see victim.c. */
    atomic_uint calls;    /* that have ended */
    atomic_uint calls_ok; /* with OK */
    atomic_uint longest;  /* ms that one took */
    atomic_int code;      /* of the last, */
    atomic_uint text;     /* and the bytes of its text */
    atomic_uint honest;   /* answers of the honest server */
    atomic_uint honest_bad;
    struct latency honest_took;
};

static struct {
    struct pki *pki;
    struct neo_identity *server_identity, *caller, *attacker, *foreigner;
    const struct pki_cert *attacker_cert; /* another one, for attackers with their own TLS */
    struct pki *other_pki;
    struct neo_trust *trust;
    struct neo_loop *loop;
    struct seen *seen;
    struct seen *twin_seen; /* of the twin's server, which nobody attacks; NULL: there is none */
    pid_t server, twin;
    pid_t watched; /* whose memory and time are looked at: the server, or a client */
    int orders;    /* a byte is an order to the server */
    int twin_orders;
    size_t max_message;             /* of the server; 0: the default */
    const struct h2_limits *limits; /* of the server; NULL: the defaults */
    rlim_t files;                   /* that the server may open; 0: as many as we */
} world;

static inline void say(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    (void)self;
    atomic_fetch_add(&world.seen->said, 1);
    neo_call_reply(call, request);
}

static inline void on_end(struct neo_call *call, const struct neo_status *status, void *state)
{
    (void)call;
    (void)status;
    (void)state;
    atomic_fetch_add(&world.seen->cancelled, 1);
}

/* Who calls is said by its certificate, also where a handler asks the metadata. */
static inline void look_for_forgeries(struct neo_call *call)
{
    static const char *const names[] = {
        "x-attestation-nonce", "x-attestation-status", "x-attestation-evidence",
        "grpc-status",         "grpc-message",         "x-forwarded-client-cert",
        "x-priority",          "x-neo-admission",      "x-neo-caller-chain-bin",
        "x-data-bin"};
    struct neo_bytes told = neo_call_metadata(call, "x-caller-id");
    bool forged = !neo_bytes_is(neo_call_context(call)->caller, "attacker-service") ||
                  !neo_bytes_is(told, "attacker-service");

    for (size_t i = 0; i < NEO_COUNT(names); i++)
        forged = forged || neo_call_metadata(call, names[i]).at != NULL;
    if (forged)
        atomic_fetch_add(&world.seen->spoofed, 1);
    if (neo_bytes_is(neo_call_metadata(call, "x-late"), "yes"))
        atomic_fetch_add(&world.seen->late, 1);
}

static inline void never(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const struct neo_stream_events events = {.done = on_end};

    (void)request;
    (void)self;
    look_for_forgeries(call);
    atomic_fetch_add(&world.seen->attacked, 1);
    atomic_fetch_add(&world.seen->patient,
                     neo_call_context(call)->deadline > neo_mono_nsec() + 300 * SEC);
    neo_call_on_stream(call, &events, NULL);
}

static inline void plant(struct neo_call *call, const struct neo_test_v1_Bush *bush, void *self)
{
    (void)bush;
    never(call, NULL, self);
}

/* More than a window: an attacker that opens none makes the server hold it. */
static inline void large(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const uint8_t body[60000];
    struct neo_test_v1_Echo response = {.body = {body, sizeof(body)}};

    (void)request;
    (void)self;
    atomic_fetch_add(&world.seen->attacked, 1);
    neo_call_reply(call, &response);
}

static inline void on_message(struct neo_call *call, const void *message, void *state)
{
    (void)call;
    (void)message;
    (void)state;
    atomic_fetch_add(&world.seen->messages, 1);
}

static inline void on_half_closed(struct neo_call *call, void *state)
{
    (void)state;
    neo_call_reply(call, &(struct neo_test_v1_Echo){.count = 1});
}

static inline void sum(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const struct neo_stream_events events = {.message = on_message,
                                                    .half_closed = on_half_closed};

    (void)request;
    (void)self;
    neo_call_on_stream(call, &events, NULL);
}

/* One at a time; the next waits, and is given no credit. */
static inline void chat(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    never(call, request, self);
}

static inline struct neo_policy *open_policy(void)
{
    static const char text[] =
        "service: \"caller-service\"\n"
        "allowed_calls: [{target_service: \"echo-service\", operations: [\"*\"]}]\n";
    static const char more[] =
        "service: \"attacker-service\"\n"
        "allowed_calls: [{target_service: \"echo-service\", operations: [\"*\"]}]\n";
    const struct neo_document documents[] = {
        {NEO_LIT("caller"), NEO_LIT(text)},
        {NEO_LIT("attacker"), NEO_LIT(more)},
    };
    struct neo_policy *policy = NULL;

    assert_int_equal(neo_policy_compile(documents, 2, &policy, NULL), NEO_OK);
    return policy;
}

static inline void revoke_attacker(struct neo_server *server)
{
    const struct neo_cert_facts *facts = neo_cert_facts(neo_identity_leaf(world.attacker));
    const struct neo_revocation revoked[] = {
        {.issuer_key_id = facts->issuer_key_id, .serial = facts->serial},
        {.issuer_key_id = facts->issuer_key_id, .serial = pki_serial(world.attacker_cert)},
    };
    struct neo_trust *trust = pki_trust_revoking(world.pki, revoked, NEO_COUNT(revoked));

    neo_server_update(server, &(struct neo_epoch){.trust = trust});
    neo_trust_unref(trust);
}

static inline void obey(struct neo_server *server, int orders)
{
    char order;

    for (;;) {
        struct timeval tick = {.tv_usec = 10000};
        fd_set set;
        FD_ZERO(&set);
        FD_SET(orders, &set);
        int ready = select(orders + 1, &set, NULL, NULL, &tick);
        atomic_store(&world.seen->connections, (unsigned)neo_server_stats(server).connections);
        if (ready <= 0)
            continue;
        if (read(orders, &order, 1) != 1)
            return;
        if (order == 'r')
            revoke_attacker(server);
    }
}

static inline void limit_files(void)
{
    const struct rlimit files = {world.files, world.files};

    assert_true(world.files == 0 || setrlimit(RLIMIT_NOFILE, &files) == 0);
}

static inline void serve(int orders)
{
    static const struct neo_test_v1_Echoes_handlers echo_handlers = {
        .Say = say, .Never = never, .Later = large, .Sum = sum, .Chat = chat, .Plant = plant};
    const struct neo_method_options alone = {.max_concurrent = 1, .max_wait = 10 * SEC};
    struct neo_policy *policy = open_policy();
    struct neo_log log = {.fd = STDERR_FILENO,
                          .level = getenv("NEO_TEST_LOG") ? NEO_LOG_DEBUG : NEO_LOG_OFF,
                          .wall_nsec = neo_wall_nsec};
    struct neo_server_options options = {
        .name = "echo-service",
        .epoch = {.identity = world.server_identity, .trust = world.trust, .policy = policy},
        .log = &log,
        .max_message = world.max_message,
        .max_connections_per_identity = 1000,
        .accept_gzip = true,
    };
    struct neo_server *server;

    limit_files();
    assert_int_equal(neo_runtime_new(1, &options.runtime, NULL), NEO_OK);
    assert_int_equal(neo_server_new(&options, &server, NULL), NEO_OK);
    server->h2_limits = world.limits;
    assert_int_equal(neo_test_v1_Echoes_add(server, &echo_handlers, NULL, NULL), NEO_OK);
    assert_int_equal(neo_server_set_method(server, "/neo.test.v1.Echoes/Chat", &alone, NULL),
                     NEO_OK);
    assert_int_equal(neo_server_listen(server, "127.0.0.1:0", NULL), NEO_OK);
    (void)snprintf(world.seen->address, sizeof(world.seen->address), "%s",
                   neo_server_address(server));
    obey(server, orders);
    neo_server_free(server);
    neo_runtime_free(options.runtime);
    neo_policy_unref(policy);
}

/* A server in a process of its own; returns the end that takes orders. */
static inline int start_one(struct seen *seen, pid_t *ret)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    *ret = fork();
    assert_true(*ret >= 0);
    if (*ret == 0) {
        (void)close(ends[1]);
        if (world.orders > 0)
            (void)close(world.orders);
        world.seen = seen;
        serve(ends[0]);
        _exit(0);
    }
    (void)close(ends[0]);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    for (int i = 0; i < 10000 && seen->address[0] == '\0'; i++)
        (void)usleep(1000);
    assert_true(seen->address[0] != '\0');
    return ends[1];
}

static inline void start_server(void)
{
    world.orders = start_one(world.seen, &world.server);
    world.watched = world.server;
}

/* A line of /proc/PID/status in bytes. */
static inline size_t memory_line(const char *name)
{
    char path[64], line[256];
    size_t kib = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)world.watched);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoul(line + strlen(name) + 1, NULL, 10);
    (void)fclose(file);
    return kib * 1024;
}

/* From now on the peak is counted anew. */
static inline size_t memory_begin(void)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)world.watched);
    FILE *file = fopen(path, "w");
    if (file != NULL) {
        (void)fputs("5", file);
        (void)fclose(file);
    }
    return memory_line("VmRSS:");
}

static inline size_t memory_peak(void)
{
    return memory_line("VmHWM:");
}

/* --- the world --------------------------------------------------------------------------- */

static inline int begin_with(const struct h2_limits *limits, rlim_t files)
{
    size_t max_message = world.max_message;

    memset(&world, 0, sizeof(world));
    world.max_message = max_message;
    world.limits = limits;
    world.files = files;
    world.seen =
        mmap(NULL, sizeof(*world.seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world.seen == MAP_FAILED)
        return -1;
    (void)signal(SIGPIPE, SIG_IGN);
    world.pki = pki_new("neo.test");
    world.other_pki = pki_new("other.test");
    world.server_identity = pki_identity(world.pki, "echo-service", NULL);
    world.caller = pki_identity(world.pki, "caller-service", NULL);
    world.attacker = pki_identity(world.pki, "attacker-service", NULL);
    world.attacker_cert = pki_make(world.pki, pki_issuer(world.pki), "attacker-service", NULL);
    world.foreigner = pki_identity(world.other_pki, "attacker-service", NULL);
    world.trust = pki_trust(world.pki);
    start_server();
    return neo_loop_new(&world.loop, NULL) == NEO_OK ? 0 : -1;
}

static inline int begin(void **state)
{
    (void)state;
    return begin_with(NULL, 0);
}

static inline int begin_unguarded(void **state)
{
    static const struct h2_limits no_guard = {.unguarded = true};

    (void)state;
    return begin_with(&no_guard, 0);
}

/* The server must have lived until it was told to go. */
static inline int end(void **state)
{
    int status = 0;

    (void)state;
    (void)close(world.orders);
    (void)waitpid(world.server, &status, 0);
    if (world.loop != NULL)
        neo_loop_free(world.loop);
    neo_trust_unref(world.trust);
    neo_identity_unref(world.server_identity);
    neo_identity_unref(world.caller);
    neo_identity_unref(world.attacker);
    neo_identity_unref(world.foreigner);
    pki_free(world.pki);
    pki_free(world.other_pki);
    (void)munmap(world.seen, sizeof(*world.seen));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static inline void on_enough(struct neo_timer *timer)
{
    (void)timer;
    neo_loop_stop(world.loop);
}

static inline void run_for(neo_nsec duration)
{
    struct neo_timer enough = {.expired = on_enough};

    neo_loop_arm(world.loop, &enough, neo_mono_nsec() + duration);
    neo_loop_run(world.loop);
}

#define wait_at_most(limit, what)                                                                  \
    do {                                                                                           \
        neo_nsec wait_until = neo_mono_nsec() + (limit);                                           \
        while (!(what)) {                                                                          \
            if (neo_mono_nsec() > wait_until)                                                      \
                fail_msg("waited in vain for: %s", #what);                                         \
            run_for(MSEC);                                                                         \
        }                                                                                          \
    } while (0)

/* --- the innocent ------------------------------------------------------------------------ */

struct neighbour {
    struct rpc_client client;
    struct rpc_call call;
    struct neo_timer next;
    neo_nsec pause; /* from one call to the next */
    neo_nsec begun;
    unsigned ok;
    unsigned failed;
    struct latency took;
    bool busy;
};

static struct neighbour innocent;

static inline void neighbour_call(struct neighbour *n)
{
    const struct neo_test_v1_Echo echo = {.text = NEO_LIT("hello")};
    struct neo_buffer out = {0};

    n->begun = neo_mono_nsec();
    n->busy = rpc_call_start(&n->call, &n->client,
                             &(struct rpc_request){.path = "/neo.test.v1.Echoes/Say"});
    n->failed += !n->busy;
    if (!n->busy)
        return;
    assert_int_equal(neo_test_v1_Echo_encode(&echo, &out, NULL), NEO_OK);
    rpc_call_send(&n->call, neo_buffer_bytes(&out));
    rpc_call_end(&n->call);
    neo_buffer_fini(&out);
}

static inline void neighbour_next(struct neo_timer *timer)
{
    struct neighbour *n = neo_owner(timer, struct neighbour, next);

    if (n->busy && n->call.closed) {
        latency_add(&n->took, neo_mono_nsec() - n->begun);
        n->ok += n->call.status.code == NEO_OK;
        n->failed += n->call.status.code != NEO_OK;
        rpc_call_fini(&n->call);
        n->busy = false;
    }
    if (!n->busy && neo_mono_nsec() - n->begun >= n->pause)
        neighbour_call(n);
    neo_loop_arm(world.loop, timer, neo_mono_nsec() + MSEC);
}

static inline void neighbour_begin(struct neighbour *n, const char *address, neo_nsec pause)
{
    memset(n, 0, sizeof(*n));
    n->pause = pause;
    assert_true(rpc_client_connect(&n->client, world.loop, address, world.caller, world.trust,
                                   "spiffe://neo.test/echo-service"));
    wait_at_most(5 * SEC, n->client.ready);
    n->next.expired = neighbour_next;
    neighbour_next(&n->next);
    wait_at_most(5 * SEC, n->ok > 10);
}

static inline void neighbour_end(struct neighbour *n)
{
    neo_loop_disarm(world.loop, &n->next);
    rpc_client_close(&n->client);
    if (n->busy)
        rpc_call_fini(&n->call);
}

/* Every other millisecond: 500 calls a second. */
static inline void innocent_begin(void)
{
    neighbour_begin(&innocent, world.seen->address, 2 * MSEC);
}

static inline void innocent_end(void)
{
    unsigned before = innocent.ok;

    wait_at_most(5 * SEC, innocent.ok > before + 10); /* still served */
    neighbour_end(&innocent);
    assert_int_equal(innocent.failed, 0);
    assert_true(innocent.took.slowest < SEC);
}

/* --- the attackers ----------------------------------------------------------------------- */

struct attacker {
    struct net_watch watch;
    struct tls *tls;
    struct tls_context *context;
    struct neo_buffer plain; /* still to be encrypted */
    struct neo_buffer out;   /* still to be written */
    struct neo_buffer in;    /* frames that came */
    bool connected;
    bool open;                        /* TLS is */
    bool closed;                      /* by the server */
    void (*more)(struct attacker *a); /* appends to `plain`, when that is empty */
    unsigned sent;                    /* times that */
    unsigned most;
    uint32_t stream;
    const void *how;
};

static inline void attacker_close(struct attacker *a)
{
    if (a->watch.fd < 0)
        return;
    net_unwatch(world.loop, &a->watch);
    net_close(world.loop, a->watch.fd);
    a->watch.fd = -1;
    a->closed = true;
}

static inline void attacker_flush(struct attacker *a)
{
    size_t sent = 0;

    while (!a->closed && a->out.len > 0) {
        switch (net_write(world.loop, a->watch.fd, neo_buffer_bytes(&a->out), &sent, NULL)) {
        case NET_OK:
            neo_buffer_drop(&a->out, sent);
            break;
        case NET_AGAIN:
            return;
        case NET_EOF:
        case NET_ERROR:
            attacker_close(a);
            return;
        }
    }
}

/* Keeps the pipe full: one unit after the other until there are no more. */
static inline void attacker_push(struct attacker *a)
{
    for (int i = 0; i < 64 && a->open && !a->closed && a->out.len == 0; i++) {
        while (a->more != NULL && a->plain.len < 8192 && a->sent < a->most) {
            a->more(a);
            a->sent++;
        }
        if (a->plain.len == 0)
            return;
        if (tls_write(a->tls, neo_buffer_bytes(&a->plain), &a->out, NULL) != NEO_OK) {
            attacker_close(a);
            return;
        }
        neo_buffer_clear(&a->plain);
        attacker_flush(a);
    }
}

static inline void attacker_watch(struct attacker *a)
{
    unsigned want = NET_READ;

    if (a->closed)
        return;
    if (!a->connected || a->out.len > 0 || (a->open && a->more != NULL && a->sent < a->most))
        want |= NET_WRITE;
    assert_int_equal(net_watch(world.loop, &a->watch, want, NULL), NEO_OK);
}

static inline void attacker_read(struct attacker *a)
{
    static uint8_t bytes[65536];
    size_t len = 0;
    int64_t wall = neo_wall_nsec() / (int64_t)SEC;

    switch (net_read(world.loop, a->watch.fd, bytes, sizeof(bytes), &len, NULL)) {
    case NET_OK:
        break;
    case NET_AGAIN:
        return;
    case NET_EOF:
    case NET_ERROR:
        attacker_close(a);
        return;
    }
    if (tls_feed(a->tls, neo_bytes(bytes, len), wall, &a->in, &a->out, NULL) != NEO_OK)
        attacker_close(a);
    else if (!a->open && tls_state(a->tls) == TLS_OPEN)
        a->open = true;
    else if (tls_state(a->tls) == TLS_CLOSED)
        attacker_close(a);
    if (a->in.len > 4 * MIB)
        neo_buffer_drop(&a->in, a->in.len - MIB);
}

static inline void on_attacker(struct net_watch *watch, unsigned events)
{
    struct attacker *a = neo_owner(watch, struct attacker, watch);
    int64_t wall = neo_wall_nsec() / (int64_t)SEC;

    if (!a->connected) {
        a->connected = true;
        if (net_connected(world.loop, watch->fd, NULL) != NEO_OK ||
            tls_feed(a->tls, (struct neo_bytes){0}, wall, &a->in, &a->out, NULL) != NEO_OK)
            attacker_close(a);
    } else if (events & NET_READ) {
        attacker_read(a);
    }
    attacker_flush(a);
    attacker_push(a);
    attacker_watch(a);
}

static inline void attacker_begin(struct attacker *a, struct neo_identity *identity)
{
    const struct tls_options options = {
        .role = TLS_CLIENT, .identity = identity, .trust = world.trust};
    struct neo_error err = {0};

    *a = (struct attacker){.watch = {.ready = on_attacker, .fd = -1}, .stream = 1};
    if (tls_context_new(&options, &a->context, &err) != NEO_OK ||
        tls_new(a->context, NEO_LIT("spiffe://neo.test/echo-service"), NULL, &a->tls, &err) !=
            NEO_OK ||
        net_connect(world.loop, world.seen->address, &a->watch.fd, &err) != NEO_OK)
        fail_msg("%s", err.message);
    attacker_watch(a);
}

static inline void attacker_end(struct attacker *a)
{
    attacker_close(a);
    tls_free(a->tls);
    tls_context_unref(a->context);
    neo_buffer_fini(&a->plain);
    neo_buffer_fini(&a->out);
    neo_buffer_fini(&a->in);
}

/* More was put into `plain` by hand. */
static inline void attacker_kick(struct attacker *a)
{
    attacker_push(a);
    attacker_watch(a);
}

#define PROMISE(name)   cmocka_unit_test_setup_teardown(name, begin, end)
#define UNGUARDED(name) cmocka_unit_test_setup_teardown(name, begin_unguarded, end)

#endif
