/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix of attacks against a running server, and its table. `make attack` runs it; with words
 * as arguments only the rows whose ids begin so; after --fast none that takes long. See matrix.h.
 */
#include "matrix.h"
#include "attack.h"

#include "support/cost.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <sys/socket.h>

enum {
    ROWS_MOST = 256,
    PARALLEL = 4,
    RATIO_MOST = 10,
    CPU_NOISE = 20,  /* ms */
    P99_MOST = 50,   /* ms, or ten times what the twin has */
    SLOWEST = 1000,  /* ms, or ten times that of the twin */
    CALLS_SEEN = 200 /* of a neighbour, before anything is said of its p99 */
};

struct result {
    bool done;
    char why[256]; /* it failed */
    struct report guarded, control;
    size_t memory;   /* for each connection, */
    size_t over;     /* beyond this, which the honest twin takes */
    size_t exploded; /* the control's */
    double cpu;      /* the server's, ms */
    double took;     /* ms on the wall */
    unsigned served; /* calls of the innocent */
    struct latency neighbour, twin;
};

/* Calls a server of its own as the innocent calls the one under attack. */
static struct neighbour twin;

static struct {
    struct report *report; /* shared with the attacker's process */
    struct report *spare;
    int listener; /* the attacker's, when it plays the server */
    char hostile[64];
    pid_t victim;
} stage;

/* --- the attacker's process --------------------------------------------------------------------
 */

const char *stage_address(void)
{
    return world.seen->address;
}

struct pki *stage_pki(void)
{
    return world.pki;
}

const struct pki_cert *stage_cert(void)
{
    return world.attacker_cert;
}

struct raw_options stage_tls(void)
{
    return (struct raw_options){.cert = world.attacker_cert};
}

unsigned stage_handlers(void)
{
    return atomic_load(&world.seen->attacked);
}

unsigned stage_cancelled(void)
{
    return atomic_load(&world.seen->cancelled);
}

unsigned stage_messages(void)
{
    return atomic_load(&world.seen->messages);
}

unsigned stage_spoofed(void)
{
    return atomic_load(&world.seen->spoofed);
}

unsigned stage_late(void)
{
    return atomic_load(&world.seen->late);
}

unsigned stage_patient(void)
{
    return atomic_load(&world.seen->patient);
}

unsigned stage_connections(void)
{
    return atomic_load(&world.seen->connections);
}

int stage_listener(void)
{
    return stage.listener;
}

unsigned stage_calls(void)
{
    return atomic_load(&world.seen->calls);
}

unsigned stage_calls_ok(void)
{
    return atomic_load(&world.seen->calls_ok);
}

unsigned stage_longest(void)
{
    return atomic_load(&world.seen->longest);
}

int stage_code(void)
{
    return atomic_load(&world.seen->code);
}

unsigned stage_text(void)
{
    return atomic_load(&world.seen->text);
}

bool stage_wait_handlers(unsigned n)
{
    for (int i = 0; i < 3000 && stage_handlers() < n; i++)
        stage_sleep(1);
    return stage_handlers() == n;
}

void stage_revoke(void)
{
    if (write(world.orders, "r", 1) != 1)
        _exit(3);
}

void stage_sleep(int msec)
{
    const struct timespec t = {.tv_sec = msec / 1000, .tv_nsec = (long)(msec % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

void attack_say(struct report *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(r->outcome, sizeof(r->outcome), format, args);
    va_end(args);
}

void attack_open(struct link *l)
{
    const struct raw_options tls = stage_tls();
    struct neo_buffer out = {0};

    if (!link_open(l, stage_address(), &tls)) {
        (void)fprintf(stderr, "attacker: no connection\n");
        _exit(2);
    }
    frames_preface(&out);
    frames_settings_ack(&out);
    (void)attack_send(l, &out);
    neo_buffer_fini(&out);
}

bool attack_send(struct link *l, struct neo_buffer *out)
{
    bool sent = link_send(l, neo_buffer_bytes(out));

    neo_buffer_clear(out);
    return sent;
}

static void serve_client(struct link *l, bool acknowledge)
{
    const struct pki_cert *cert = pki_make(world.pki, pki_issuer(world.pki), "echo-service", NULL);
    const struct raw_options tls = {.is_server = true, .cert = cert};
    struct neo_buffer out = {0};

    if (!link_accept(l, stage.listener, 10000) || !link_secure(l, &tls, 5000)) {
        (void)fprintf(stderr, "attacker: no client\n");
        _exit(2);
    }
    frames_put(&out, FRAME_SETTINGS, 0, 0, NEO_LIT(""));
    if (acknowledge)
        frames_settings_ack(&out);
    (void)attack_send(l, &out);
    (void)link_wait(l, FRAME_HEADERS, 1, 5000);
    neo_buffer_fini(&out);
}

void attack_serve(struct link *l)
{
    serve_client(l, true);
}

void attack_serve_early(struct link *l)
{
    serve_client(l, false);
}

void put_head(struct neo_buffer *out, uint32_t stream, const char *path, uint8_t flags)
{
    struct frames_request request = frames_good_request;

    request.path = path;
    request.authority = "echo-service";
    frames_request(out, stream, flags, &request);
}

void put_message(struct neo_buffer *out, uint32_t stream, struct neo_bytes message, uint8_t flags)
{
    struct neo_buffer body = {0};
    const uint8_t head[5] = {0, (uint8_t)(message.len >> 24), (uint8_t)(message.len >> 16),
                             (uint8_t)(message.len >> 8), (uint8_t)message.len};

    neo_buffer_append(&body, neo_bytes(head, sizeof(head)));
    neo_buffer_append(&body, message);
    for (struct neo_bytes left = neo_buffer_bytes(&body); left.len > 0;) {
        size_t len = left.len < 16384 ? left.len : 16384;
        frames_put(out, FRAME_DATA, len == left.len ? flags : 0, stream, neo_bytes(left.at, len));
        left = neo_bytes_from(left, len);
    }
    neo_buffer_fini(&body);
}

void put_call(struct neo_buffer *out, uint32_t stream, const char *method)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/neo.test.v1.Echoes/%s", method);
    put_head(out, stream, path, 0);
    put_message(out, stream, NEO_LIT("\x12\x00"), FLAG_END_STREAM);
}

void attack_say_end(struct report *r, const struct link *l, uint32_t units)
{
    if (l->goaway > 0)
        attack_say(r, "GOAWAY %d %.40s after %u", (int)l->goaway, l->debug, units);
    else
        attack_say(r, "%s after %u", l->closed ? "closed" : "all taken", units);
}

static void flood(const struct row *row, struct report *r)
{
    uint32_t most = r->control ? row->control_units : row->units;
    struct neo_buffer out = {0};
    struct link l;
    uint32_t i = 0;

    most = most != 0 ? most : r->control ? 20000 : 1000000;
    if (row->client)
        attack_serve(&l);
    else
        attack_open(&l);
    l.deaf = row->deaf && !r->control;
    while (i < most && !l.closed) {
        size_t at_once = row->write == 0 ? 8192 : row->write;
        at_once = r->control && row->streams ? 1 : at_once;
        while (out.len < at_once && i < most)
            (r->control && row->twin != NULL ? row->twin : row->unit)(&out, i++);
        if (!attack_send(&l, &out) || (at_once == 1 && i % 50 == 0 && !link_is_alive(&l)))
            break;
    }
    l.deaf = false;
    r->through = i == most && link_is_alive(&l);
    link_read(&l, l.closed ? 0 : 100);
    attack_say_end(r, &l, i);
    neo_buffer_fini(&out);
    link_close(&l);
}

static double cpu_of(clockid_t clock)
{
    struct timespec t = {0};

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

enum part { ATTACK, AGAIN, WARM_UP, HONEST };

/* What any first connection costs a process is not the attack's. */
static void warm_up(void)
{
    struct neo_buffer out = {0};
    unsigned others = stage_connections();
    struct link l;

    for (int i = 0; i < 2; i++) {
        attack_open(&l);
        put_call(&out, 1, "Say");
        (void)attack_send(&l, &out);
        (void)link_wait(&l, FRAME_DATA, 1, 2000);
        link_close(&l);
    }
    stage_sleep(30); /* until the last is counted, */
    for (int i = 0; i < 2000 && stage_connections() > others; i++)
        stage_sleep(1); /* and gone */
    neo_buffer_fini(&out);
}

static void attack(const struct row *row, enum part part, struct report *r)
{
    double before = cpu_of(CLOCK_PROCESS_CPUTIME_ID);

    if (part == WARM_UP)
        warm_up();
    else if (part == HONEST)
        row->honest(r);
    else if (r->control && row->control != NULL)
        row->control(r);
    else if (row->run != NULL)
        row->run(r);
    else
        flood(row, r);
    r->cpu = cpu_of(CLOCK_PROCESS_CPUTIME_ID) - before;
}

/* --- the watcher's -----------------------------------------------------------------------------
 */

__attribute__((format(printf, 2, 3))) static void complain(struct result *res, const char *format,
                                                           ...)
{
    va_list args;

    if (res->why[0] != '\0')
        return;
    va_start(args, format);
    (void)vsnprintf(res->why, sizeof(res->why), format, args);
    va_end(args);
}

static double process_cpu(pid_t pid)
{
    clockid_t clock;

    return clock_getcpuclockid(pid, &clock) == 0 ? cpu_of(clock) : 0;
}

static double server_cpu(void)
{
    return process_cpu(world.watched);
}

static pid_t start_attacker(const struct row *row, enum part part)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (part == AGAIN && freopen("/dev/null", "w", stderr) == NULL)
        _exit(6);
    attack(row, part, part == ATTACK || part == HONEST ? stage.report : stage.spare);
    _exit(0);
}

/* Runs the attacker beside the innocent; false when it did not come to an end. */
static bool let_attack(const struct row *row, enum part part, struct result *res)
{
    neo_nsec until = neo_mono_nsec() + (row->slow + 40) * SEC * COST_SLACK;
    int status = 0;
    pid_t pid = start_attacker(row, part);

    while (waitpid(pid, &status, WNOHANG) == 0) {
        run_for(2 * MSEC);
        if (neo_mono_nsec() < until)
            continue;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        complain(res, "the attacker did not come to an end");
        return false;
    }
    if (status != 0 && part != AGAIN)
        complain(res, "the attacker's process ended with %x", status);
    return status == 0;
}

/* The client's time for one of its calls to the honest server, ms. */
static double price_of_call(void)
{
    double before = server_cpu();
    unsigned honest = atomic_load(&world.seen->honest);

    run_for(200 * MSEC);
    honest = atomic_load(&world.seen->honest) - honest;
    return honest == 0 ? 0 : (server_cpu() - before) / honest;
}

static void on_ended(bool honest, enum neo_code code, size_t text, neo_nsec took)
{
    struct seen *seen = world.seen;
    unsigned msec = (unsigned)(took / MSEC);

    if (honest) {
        latency_add(&seen->honest_took, took);
        atomic_fetch_add(code == NEO_OK ? &seen->honest : &seen->honest_bad, 1);
        return;
    }
    atomic_store(&seen->code, (int)code);
    atomic_store(&seen->text, (unsigned)text);
    if (msec > atomic_load(&seen->longest))
        atomic_store(&seen->longest, msec);
    atomic_fetch_add(&seen->calls_ok, code == NEO_OK);
    atomic_fetch_add(&seen->calls, 1);
}

static bool begin_listening(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);

    stage.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (stage.listener < 0 || bind(stage.listener, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(stage.listener, 16) != 0 ||
        getsockname(stage.listener, (struct sockaddr *)&at, &len) != 0)
        return false;
    (void)snprintf(stage.hostile, sizeof(stage.hostile), "ipv4:127.0.0.1:%u", ntohs(at.sin_port));
    return true;
}

static void start_victim(const struct row *row, const struct h2_limits *limits)
{
    char honest[80];

    (void)snprintf(honest, sizeof(honest), "ipv4:%s", world.seen->address);
    stage.victim = fork();
    if (stage.victim == 0)
        victim_run(&(struct victim){.streams = row->victim_streams,
                                    .hostile = stage.hostile,
                                    .honest = honest,
                                    .identity = world.caller,
                                    .trust = world.trust,
                                    .limits = limits,
                                    .ended = on_ended});
    world.watched = stage.victim;
}

static void twin_begin(void)
{
    world.twin_seen = mmap(NULL, sizeof(*world.twin_seen), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world.twin_seen == MAP_FAILED)
        _exit(4);
    world.twin_orders = start_one(world.twin_seen, &world.twin);
    neighbour_begin(&twin, world.twin_seen->address, innocent.pause);
}

static bool stage_begin(const struct row *row, bool unguarded)
{
    static const struct h2_limits no_guard = {.unguarded = true, .arena_budget = 256 * 1024 * 1024};

    world.max_message = row->max_message;
    if (begin_with(unguarded ? &no_guard : NULL, unguarded ? 0 : row->files) != 0)
        return false;
    neighbour_begin(&innocent, world.seen->address, row->slow > 0 ? 20 * MSEC : 2 * MSEC);
    if (!row->client)
        return true;
    if (!begin_listening())
        return false;
    start_victim(row, world.limits);
    for (int i = 0; i < 5000 && atomic_load(&world.seen->honest) < 10; i++)
        run_for(MSEC);
    return true;
}

/* It is alive, and its calls to the honest server went on. */
static void victim_end(struct result *res)
{
    unsigned before = atomic_load(&world.seen->honest);
    int status = 0;

    for (int i = 0; i < 5000 && atomic_load(&world.seen->honest) < before + 10; i++)
        run_for(MSEC);
    if (atomic_load(&world.seen->honest) < before + 10 || atomic_load(&world.seen->honest_bad) > 0)
        complain(res, "the client's calls to the honest server: %u failed",
                 atomic_load(&world.seen->honest_bad));
    if (waitpid(stage.victim, &status, WNOHANG) != 0)
        complain(res, "the client's process ended with %x", status);
    (void)kill(stage.victim, SIGKILL);
    (void)waitpid(stage.victim, &status, 0);
    (void)close(stage.listener);
    world.watched = world.server;
}

static void end_server(pid_t pid, int orders, const char *whose, struct result *res)
{
    int status = 0;

    (void)close(orders);
    for (int i = 0; i < 5000 && waitpid(pid, &status, WNOHANG) == 0; i++)
        stage_sleep(1);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        complain(res, "the process of the %s ended with %x", whose, status);
    (void)kill(pid, SIGKILL);
}

/* The server lives, and serves the innocent. */
static void stage_end(struct result *res)
{
    unsigned before = innocent.ok;
    neo_nsec until = neo_mono_nsec() + 5 * SEC;

    while (innocent.ok < before + 10 && neo_mono_nsec() < until)
        run_for(MSEC);
    if (innocent.ok < before + 10)
        complain(res, "the innocent is served no more");
    neighbour_end(&innocent);
    if (world.twin > 0) {
        neighbour_end(&twin);
        end_server(world.twin, world.twin_orders, "twin", res);
    }
    end_server(world.server, world.orders, "server", res);
}

/* --- the costs ---------------------------------------------------------------------------------
 */

/* As they stand, to be looked at again later. */
struct costs {
    size_t memory;
    double cpu, twin_cpu, price;
    unsigned ok, twin_ok, honest;
    neo_nsec begun;
};

static void costs_begin(const struct row *row, struct costs *c)
{
    struct latency none = {0};

    c->price = row->client ? price_of_call() : 0;
    c->memory = memory_begin();
    c->honest = atomic_load(&world.seen->honest);
    c->ok = innocent.ok;
    c->twin_ok = twin.ok;
    c->twin_cpu = row->client ? 0 : process_cpu(world.twin);
    c->cpu = server_cpu();
    c->begun = neo_mono_nsec();
    innocent.took = twin.took = none;
    world.seen->honest_took = none;
}

/* The innocent's calls cost what the twin's cost at the same time; a client's, what they did. */
static void costs_end(const struct row *row, const struct costs *c, struct result *res)
{
    double cpu = server_cpu() - c->cpu;
    unsigned n = stage.report->connections == 0 ? 1 : stage.report->connections;
    size_t peak = memory_peak();

    res->took = (double)(neo_mono_nsec() - c->begun) / 1e6;
    res->guarded = *stage.report;
    res->memory = (peak > c->memory ? peak - c->memory : 0) / n;
    res->served = row->client ? atomic_load(&world.seen->honest) - c->honest : innocent.ok - c->ok;
    if (row->client)
        cpu -= c->price * res->served;
    else if (twin.ok > c->twin_ok)
        cpu -= (process_cpu(world.twin) - c->twin_cpu) / (twin.ok - c->twin_ok) * res->served;
    res->cpu = cpu > 0 ? cpu : 0;
}

static bool is_disturbed(const struct result *res)
{
    double p99 = 10 * latency_p99(&res->twin);
    double slowest = 10 * (double)res->twin.slowest / 1e6;

    p99 = COST_SLACK * (p99 > (double)P99_MOST ? p99 : (double)P99_MOST);
    slowest = COST_SLACK * (slowest > (double)SLOWEST ? slowest : (double)SLOWEST);
    return latency_p99(&res->neighbour) > p99 || (double)res->neighbour.slowest / 1e6 > slowest;
}

/*
 * Most attacks are over before the neighbour has made enough calls to judge by: they come again and
 * again until it has. Whoever is disturbed by an attack, and not by the machine, is so each time.
 */
static void watch_neighbour(const struct row *row, struct result *res)
{
    struct latency none = {0};

    for (int tries = 0; tries < 3; tries++) {
        neo_nsec until = neo_mono_nsec() + 10 * SEC;
        if (tries > 0)
            innocent.took = twin.took = world.seen->honest_took = none;
        const struct latency *took = row->client ? &world.seen->honest_took : &innocent.took;
        while (row->slow == 0 && took->all < CALLS_SEEN && neo_mono_nsec() < until)
            (void)let_attack(row, AGAIN, res);
        res->neighbour = *took;
        res->twin = row->client ? innocent.took : twin.took;
        if (row->slow > 0 || !is_disturbed(res))
            break;
    }
    if (is_disturbed(res))
        complain(res, "the innocent's p99 is %.1f ms, its slowest %.0f ms",
                 latency_p99(&res->neighbour), (double)res->neighbour.slowest / 1e6);
}

/* On a stage of its own: what a message that is no attack takes, as large and in the same way. */
static void play_honest(const struct row *row, struct result *res)
{
    memset(stage.report, 0, sizeof(*stage.report));
    if (!stage_begin(row, false)) {
        complain(res, "no stage for the honest message");
        return;
    }
    if (!row->client)
        (void)let_attack(row, WARM_UP, res);
    size_t memory = memory_begin();
    (void)let_attack(row, HONEST, res);
    size_t peak = memory_peak();
    res->over = peak > memory ? peak - memory : 0;
    if (!stage.report->through)
        complain(res, "the honest message was refused: %s", stage.report->outcome);
    if (row->client)
        victim_end(res);
    stage_end(res);
}

static void play_guarded(const struct row *row, struct result *res)
{
    struct costs c;

    memset(stage.report, 0, sizeof(*stage.report));
    if (!stage_begin(row, false)) {
        complain(res, "no stage");
        return;
    }
    if (!row->client) {
        twin_begin();
        (void)let_attack(row, WARM_UP, res);
    }
    costs_begin(row, &c);
    (void)let_attack(row, ATTACK, res);
    run_for(20 * MSEC);
    costs_end(row, &c, res);
    unsigned handlers = stage_handlers();
    watch_neighbour(row, res);
    if (row->client)
        victim_end(res);
    stage_end(res);
    if (res->guarded.through)
        complain(res, "it got through: %s", res->guarded.outcome);
    if (handlers > row->handlers)
        complain(res, "it started %u handlers", handlers);
    if (innocent.failed > 0)
        complain(res, "%u calls of the innocent failed", innocent.failed);
}

static void play_control(const struct row *row, struct result *res)
{
    memset(stage.report, 0, sizeof(*stage.report));
    stage.report->control = true;
    if (!stage_begin(row, !row->same_server && row->twin == NULL)) {
        complain(res, "no stage for the control");
        return;
    }
    size_t memory = memory_begin();
    (void)let_attack(row, ATTACK, res);
    size_t peak = memory_peak();
    res->exploded = peak > memory ? peak - memory : 0;
    res->control = *stage.report;
    if (row->explodes > 0)
        res->control.through = res->exploded >= row->explodes || MEMORY_MEANS_NOTHING;
    if (row->client)
        victim_end(res);
    stage_end(res);
    if (!res->control.through)
        complain(res, "the control did not get through: %s", res->control.outcome);
}

static void judge_costs(const struct row *row, struct result *res)
{
    size_t most = res->over + (row->memory == 0 ? MIB : row->memory);
    double share = res->took * row->share / 100, ratio = (double)RATIO_MOST * res->guarded.cpu;

    if (MEMORY_MEANS_NOTHING)
        return;
    if (res->memory > most)
        complain(res, "%zu KiB for each connection", res->memory / KIB);
    if (row->share > 0 && res->cpu > share)
        complain(res, "%.1f ms of the server in %.1f ms", res->cpu, res->took);
    if (!row->waits && res->cpu > (double)CPU_NOISE && res->cpu > ratio)
        complain(res, "%.1f ms of the server for %.1f of the attacker", res->cpu, res->guarded.cpu);
}

/* In a process of its own. */
static void play(const struct row *row, struct result *res)
{
    stage.report = mmap(NULL, 2 * sizeof(*stage.report), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stage.report == MAP_FAILED)
        _exit(4);
    stage.spare = stage.report + 1;
    if (row->honest != NULL)
        play_honest(row, res);
    play_guarded(row, res);
    judge_costs(row, res);
    play_control(row, res);
    res->done = true;
    _exit(0);
}

/* --- the table ---------------------------------------------------------------------------------
 */

static void print_costs(const struct row *row, const struct result *res)
{
    char over[32] = "", cpu[48];

    if (row->honest != NULL)
        (void)snprintf(over, sizeof(over), "-%zu", res->over / KIB);
    if (row->waits)
        (void)snprintf(cpu, sizeof(cpu), "%.2f %% of a core", res->cpu / res->took * 100);
    else
        (void)snprintf(cpu, sizeof(cpu), "%.1f /%7.1f ms = %4.1f", res->cpu, res->guarded.cpu,
                       res->guarded.cpu > 0 ? res->cpu / res->guarded.cpu : 0);
    (void)printf("%5zu%s KiB %26s  %5u, p99 %5.1f (%5.1f), %4.0f ms  ", res->memory / KIB, over,
                 cpu, res->served, latency_p99(&res->neighbour), latency_p99(&res->twin),
                 (double)res->neighbour.slowest / 1e6);
}

static void print(const struct row *row, const struct result *res)
{
    char control[120];

    if (row->not_applicable != NULL) {
        (void)printf("%-4s %-38s not applicable: %s\n", row->id, row->attack, row->not_applicable);
        return;
    }
    if (row->explodes > 0)
        (void)snprintf(control, sizeof(control), "takes %zu MiB", res->exploded / MIB);
    else
        (void)snprintf(control, sizeof(control), "%s%s",
                       row->twin == NULL ? "" : "twin: ", res->control.outcome);
    (void)printf("%-4s %-38s %-52s ", row->id, row->attack, res->guarded.outcome);
    print_costs(row, res);
    (void)printf("%s\n", control);
    if (res->why[0] != '\0')
        (void)printf("     FAILED: %s\n", res->why);
    (void)fflush(stdout);
}

struct playing {
    const struct row *row;
    struct result *res;
    pid_t pid;
};

static void start(struct playing *p, const struct row *row)
{
    *p = (struct playing){.row = row};
    p->res = mmap(NULL, sizeof(*p->res), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (row->not_applicable != NULL || p->res == MAP_FAILED)
        return;
    (void)fflush(stdout);
    p->pid = fork();
    if (p->pid == 0)
        play(row, p->res);
}

/* False when it failed. */
static bool finish(struct playing *p)
{
    int status = 0;

    if (p->pid > 0)
        (void)waitpid(p->pid, &status, 0);
    if (p->pid != 0 && !p->res->done)
        complain(p->res, "its process ended with %x", status);
    print(p->row, p->res);
    bool good = p->res->why[0] == '\0';
    (void)munmap(p->res, sizeof(*p->res));
    return good;
}

static bool is_asked_for(const struct row *row, int n, char **words)
{
    bool asked = n == 0;

    for (int i = 0; i < n; i++)
        asked = asked || strncmp(row->id, words[i], strlen(words[i])) == 0;
    return asked;
}

static struct {
    unsigned all, bad, absent;
} count;

static void tell(struct playing *p)
{
    count.all += p->row->not_applicable == NULL;
    count.absent += p->row->not_applicable != NULL;
    count.bad += !finish(p);
}

/* The rows that are asked for: the slow ones first, since they play beside all others. */
static size_t choose(const struct row **ret, size_t most, int n, char **words)
{
    const struct {
        const struct row *at;
        size_t n;
    } tables[] = {{rows_h2, n_rows_h2},     {rows_grpc, n_rows_grpc},     {rows_tls, n_rows_tls},
                  {rows_load, n_rows_load}, {rows_client, n_rows_client}, {rows_slow, n_rows_slow}};
    size_t chosen = 0;

    bool fast = n > 0 && strcmp(words[0], "--fast") == 0;
    for (size_t t = 0; t < NEO_COUNT(tables); t++)
        for (size_t i = 0; i < tables[t].n && chosen < most; i++)
            if (is_asked_for(&tables[t].at[i], n - fast, words + fast) &&
                (!fast || tables[t].at[i].slow == 0))
                ret[chosen++] = &tables[t].at[i];
    return chosen;
}

int main(int argc, char **argv)
{
    static const struct row *rows[ROWS_MOST];
    static struct playing playing[ROWS_MOST];
    size_t n = choose(rows, ROWS_MOST, argc - 1, argv + 1), started = 0;

    (void)printf("%-4s %-38s %-52s %9s %26s  %s  %s\n", "id", "attack", "guarded", "memory",
                 "CPU: server / attacker", "neighbour: calls, p99 (twin), slowest", "control");
    for (size_t i = 0; i < n; i++)
        if (rows[i]->slow > 0)
            start(&playing[i], rows[i]);
    for (size_t i = 0; i < n; i++) {
        for (; started < n && started < i + PARALLEL; started++)
            if (rows[started]->slow == 0)
                start(&playing[started], rows[started]);
        tell(&playing[i]);
    }
    if (count.absent > 0)
        (void)printf("%u rows are not applicable, as they say\n", count.absent);
    (void)printf("%u%% tests passed, %u tests failed out of %u\n",
                 count.all == 0 ? 0 : (count.all - count.bad) * 100 / count.all, count.bad,
                 count.all);
    return count.bad == 0 && count.all > 0 ? 0 : 1;
}
