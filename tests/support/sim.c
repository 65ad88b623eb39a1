/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world: time, chance, machines, and what is cut from what.
 *
 * One step is: what the network, the pool and the resolver have due; then one turn
 * of one loop that has something to do, chosen by chance; then, when none has, a
 * jump to the next instant at which something happens.
 */
#include "support/sim_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define START      (1000 * NEO_NSEC_PER_SEC)                   /* not 0, which often means "none" */
#define START_WALL (INT64_C(1767225600) * INT64_C(1000000000)) /* 2026-01-01T00:00:00Z */

enum { NAME_MAX_LEN = 32, MEMBERS_MAX = 32, MEMBER_MAX_LEN = 64, FIRST_PORT = 32768 };

struct host {
    struct list node;
    struct address ip;
};

struct member {
    bool is_any;
    bool has_port;
    struct address address;
};

struct group {
    struct list node;
    char name[NAME_MAX_LEN];
    size_t n;
    struct member members[MEMBERS_MAX];
};

struct rule {
    struct list node;
    const struct group *from;
    const struct group *to;
    bool cuts;
    neo_nsec extra;
};

struct world *world;

void world_die(const char *format, ...)
{
    va_list args;

    (void)fprintf(stderr,
                  "\nsim: at %.6f s: ", world == NULL ? 0 : (double)(world->now - START) / 1e9);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    abort();
}

void *world_alloc(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL)
        world_die("no memory for the world itself");
    return memory;
}

uint64_t world_random(uint64_t below)
{
    world->chance ^= world->chance >> 12;
    world->chance ^= world->chance << 25;
    world->chance ^= world->chance >> 27;
    return below == 0 ? 0 : world->chance * UINT64_C(0x2545f4914f6cdd1d) % below;
}

bool world_chance(unsigned percent)
{
    return percent > 0 && world_random(100) < percent;
}

/* FNV-1a over whole words: which order things came in matters, not how well it is mixed. */
static void digest(uint64_t value)
{
    world->trace = (world->trace ^ value) * UINT64_C(0x100000001b3);
}

void world_note(const char *event, uint64_t a, uint64_t b)
{
    digest(world->now);
    for (const char *c = event; *c != '\0'; c++)
        digest((unsigned char)*c);
    digest(a);
    digest(b);
    if (world->shows_trace)
        (void)fprintf(stderr, "%14.6f %-10s %8llu %8llu\n", (double)(world->now - START) / 1e9,
                      event, (unsigned long long)a, (unsigned long long)b);
}

void world_at(struct neo_timer *event, neo_nsec at)
{
    timers_arm(&world->events, event, at > world->now ? at : world->now);
}

bool world_is_same_ip(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool world_is_loopback(const struct address *ip)
{
    static const uint8_t ip6[16] = {[15] = 1};

    if (ip->family == ADDRESS_IP4)
        return ip->ip[0] == 127;
    return memcmp(ip->ip, ip6, sizeof(ip6)) == 0;
}

bool world_has_host(const struct address *ip)
{
    list_each (node, &world->hosts)
        if (world_is_same_ip(&neo_owner(node, struct host, node)->ip, ip))
            return true;
    return false;
}

void sim_host(const char *ip)
{
    struct address address;

    if (!address_parse_ip(ip, &address))
        world_die("sim_host(\"%s\"): not a numeric address", ip);
    world->host = address;
    if (world_has_host(&address))
        return;

    struct host *host = world_alloc(sizeof(*host));
    host->ip = address;
    list_push_back(&world->hosts, &host->node);
}

/* Groups and what holds between them. */

static struct group *find_group(const char *name)
{
    list_each (node, &world->groups) {
        struct group *group = neo_owner(node, struct group, node);
        if (strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

static struct group *group_named(const char *name)
{
    struct group *group = find_group(name);

    if (group == NULL)
        world_die("there is no group \"%s\": make it with sim_group()", name);
    return group;
}

static void parse_member(const char *text, struct member *ret)
{
    *ret = (struct member){.is_any = strcmp(text, "*") == 0};
    if (ret->is_any || address_parse_ip(text, &ret->address))
        return;
    ret->has_port = true;
    if (address_parse(text, &ret->address, NULL) != NEO_OK)
        world_die("\"%s\" is not \"*\", an address, or an address with a port", text);
}

static void parse_members(const char *text, struct group *ret)
{
    ret->n = 0;
    for (;;) {
        char member[MEMBER_MAX_LEN];
        text += strspn(text, " ");
        size_t len = strcspn(text, " ");
        if (len == 0)
            return;
        if (len >= sizeof(member) || ret->n == MEMBERS_MAX)
            world_die("the group \"%s\" is too large", ret->name);
        memcpy(member, text, len);
        member[len] = '\0';
        parse_member(member, &ret->members[ret->n++]);
        text += len;
    }
}

void sim_group(const char *name, const char *members)
{
    struct group *group = find_group(name);

    if (group == NULL) {
        group = world_alloc(sizeof(*group));
        (void)snprintf(group->name, sizeof(group->name), "%s", name);
        list_push_back(&world->groups, &group->node);
    }
    parse_members(members, group);
}

static bool is_in(const struct group *group, const struct address *end)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct member *m = &group->members[i];
        if (m->is_any ||
            (world_is_same_ip(&m->address, end) && (!m->has_port || m->address.port == end->port)))
            return true;
    }
    return false;
}

static bool applies(const struct rule *rule, const struct address *from, const struct address *to)
{
    return is_in(rule->from, from) && is_in(rule->to, to);
}

bool world_is_cut(const struct address *from, const struct address *to)
{
    list_each (node, &world->rules) {
        const struct rule *rule = neo_owner(node, struct rule, node);
        if (rule->cuts && applies(rule, from, to))
            return true;
    }
    return false;
}

static neo_nsec extra_latency(const struct address *from, const struct address *to)
{
    neo_nsec extra = 0;

    list_each (node, &world->rules) {
        const struct rule *rule = neo_owner(node, struct rule, node);
        if (applies(rule, from, to))
            extra += rule->extra;
    }
    if (world_chance(world->network.delays))
        extra += world_random(world->network.delay_max);
    return extra;
}

neo_nsec world_latency(const struct address *from, const struct address *to)
{
    const struct sim_network *n = &world->network;

    if (from->family == ADDRESS_UNIX)
        return n->local_latency;
    if (world_is_same_ip(from, to))
        return n->local_latency + extra_latency(from, to);
    return n->latency_min + world_random(n->latency_max - n->latency_min + 1) +
           extra_latency(from, to);
}

static void add_rule(const char *from, const char *to, bool cuts, neo_nsec extra)
{
    struct rule *rule = world_alloc(sizeof(*rule));

    rule->from = group_named(from);
    rule->to = group_named(to);
    rule->cuts = cuts;
    rule->extra = extra;
    list_push_back(&world->rules, &rule->node);
}

void sim_cut(const char *from, const char *to)
{
    add_rule(from, to, true, 0);
}

void sim_partition(const char *a, const char *b)
{
    sim_cut(a, b);
    sim_cut(b, a);
}

void sim_slow(const char *from, const char *to, neo_nsec extra)
{
    add_rule(from, to, false, extra);
}

void sim_heal(const char *a, const char *b)
{
    const struct group *ga = a == NULL ? NULL : group_named(a);
    const struct group *gb = b == NULL ? NULL : group_named(b);

    list_each (node, &world->rules) {
        struct rule *rule = neo_owner(node, struct rule, node);
        if (ga == NULL || gb == NULL || (rule->from == ga && rule->to == gb) ||
            (rule->from == gb && rule->to == ga)) {
            list_remove(node);
            free(rule);
        }
    }
}

static bool is_between(const struct address *x, const struct address *y, void *self)
{
    const struct rule *rule = self;

    return applies(rule, x, y) || applies(rule, y, x);
}

size_t sim_reset(const char *a, const char *b)
{
    struct rule between = {.from = group_named(a), .to = group_named(b)};

    return wire_reset_all(is_between, &between);
}

/* Time. */

static struct neo_loop *pick_runnable(void)
{
    struct neo_loop *picked = NULL;
    uint64_t n = 0;

    list_each (node, &world->loops) {
        struct neo_loop *loop = neo_owner(node, struct neo_loop, node);
        if (loop_is_runnable(loop) && world_random(++n) == 0)
            picked = loop;
    }
    return picked;
}

static neo_nsec next_instant(void)
{
    neo_nsec next = world->events.first == NULL ? NEVER : world->events.first->at;

    list_each (node, &world->loops) {
        neo_nsec at = loop_next_instant(neo_owner(node, struct neo_loop, node));
        if (at < next)
            next = at;
    }
    return next;
}

bool world_step(neo_nsec limit)
{
    if (world->running != NULL || world->in_pool)
        world_die("the world is run from inside a callback");

    timers_expire(&world->events, world->now);
    struct neo_loop *loop = pick_runnable();
    if (loop != NULL) {
        loop_turn(loop);
        return true;
    }
    neo_nsec next = next_instant();
    if (next == NEVER || next > limit)
        return false;
    if (next > world->now)
        world->now = next;
    return true;
}

void sim_run_until(neo_nsec mono)
{
    while (world->now <= mono && world_step(mono))
        ;
    if (world->now < mono)
        world->now = mono;
}

void sim_run_for(neo_nsec duration)
{
    sim_run_until(world->now + duration);
}

bool sim_wait(sim_condition_fn *holds, void *self, neo_nsec within)
{
    neo_nsec limit = world->now + within;

    while (!holds(self)) {
        if (world->now >= limit)
            return false;
        if (!world_step(limit))
            world->now = limit;
    }
    return true;
}

int64_t neo_wall_nsec(void)
{
    return (int64_t)world->now + world->wall_ahead;
}

neo_nsec neo_mono_nsec(void)
{
    return world->now;
}

void sim_clock_jump(int64_t wall_delta)
{
    world->wall_ahead += wall_delta;
}

void sim_clock_set(int64_t wall)
{
    world->wall_ahead = wall - (int64_t)world->now;
}

/* The world itself. */

struct sim_network sim_network_default(void)
{
    return (struct sim_network){
        .latency_min = 200000,
        .latency_max = 400000,
        .local_latency = 20000,
        .buffer = 128 * 1024,
    };
}

void sim_network(const struct sim_network *network)
{
    if (network->latency_max < network->latency_min || network->buffer == 0)
        world_die("sim_network(): latency_max below latency_min, or no buffer");
    world->network = *network;
}

uint64_t sim_trace(void)
{
    return world->trace;
}

void sim_descriptors(size_t limit)
{
    world->descriptors.limit = limit;
}

size_t sim_open_sockets(void)
{
    return world->descriptors.open;
}

void sim_new(uint64_t seed)
{
    if (world != NULL)
        world_die("there is a world already");
    world = world_alloc(sizeof(*world));
    world->thread = pthread_self();
    world->now = START;
    world->wall_ahead = START_WALL - (int64_t)START;
    /* No seed may give 0, in which xorshift would stay. */
    world->chance = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    world->trace = UINT64_C(0xcbf29ce484222325);
    world->shows_trace = getenv("NEO_SIM_TRACE") != NULL;
    world->network = sim_network_default();
    world->descriptors.limit = SIZE_MAX;
    world->next_port = FIRST_PORT;
    list_init(&world->hosts);
    list_init(&world->loops);
    list_init(&world->groups);
    list_init(&world->rules);
    list_init(&world->names);
    list_init(&world->listeners);
    list_init(&world->wires);
    sim_host("127.0.0.1");
    sim_group("*", "*");
}

static void free_list(struct list *list, size_t offset)
{
    for (struct list *node; (node = list_pop_front(list)) != NULL;)
        free((char *)node - offset);
}

void sim_free(void)
{
    if (world == NULL)
        return;
    if (!list_is_empty(&world->loops))
        world_die("sim_free(): a loop was not freed");
    if (world->descriptors.open > 0)
        world_die("sim_free(): %zu sockets were not closed", world->descriptors.open);
    names_free();
    free_list(&world->rules, offsetof(struct rule, node));
    free_list(&world->groups, offsetof(struct group, node));
    free_list(&world->hosts, offsetof(struct host, node));
    free(world->descriptors.at);
    free(world);
    world = NULL;
}
