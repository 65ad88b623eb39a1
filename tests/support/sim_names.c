/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver of the twin: a table, and an answer that takes a millisecond or so.
 */
#include "support/sim_world.h"

#include <neo/memory.h>

#include <stdio.h>
#include <stdlib.h>

enum { ANSWERS_MAX = 64, HOST_MAX_LEN = 256, IP_MAX_LEN = 64 };
#define ANSWER_TAKES (2 * NEO_NSEC_PER_MSEC) /* at most */

struct name {
    struct list node;
    char host[HOST_MAX_LEN];
    char *addresses;
    enum neo_code code;
};

struct net_lookup {
    struct neo_timer timer;
    struct neo_job job;
    struct neo_loop *loop;
    char host[HOST_MAX_LEN];
    uint16_t port;
    net_lookup_fn *done; /* NULL: cancelled */
    void *self;
};

static struct name *find_name(const char *host)
{
    list_each (node, &world->names) {
        struct name *name = neo_owner(node, struct name, node);
        if (strcmp(name->host, host) == 0)
            return name;
    }
    return NULL;
}

static void set_name(const char *host, const char *addresses, enum neo_code code)
{
    struct name *name = find_name(host);

    if (name == NULL) {
        name = world_alloc(sizeof(*name));
        (void)snprintf(name->host, sizeof(name->host), "%s", host);
        list_push_back(&world->names, &name->node);
    }
    free(name->addresses);
    name->addresses = world_alloc(strlen(addresses) + 1);
    memcpy(name->addresses, addresses, strlen(addresses) + 1);
    name->code = code;
}

void sim_name(const char *host, const char *addresses)
{
    if (addresses == NULL)
        set_name(host, "", NEO_NOT_FOUND);
    else
        set_name(host, addresses, NEO_OK);
}

void sim_name_fails(const char *host, enum neo_code code)
{
    set_name(host, "", code);
}

void names_free(void)
{
    for (struct list *node; (node = list_pop_front(&world->names)) != NULL;) {
        struct name *name = neo_owner(node, struct name, node);
        free(name->addresses);
        free(name);
    }
}

static size_t format_answers(const char *text, uint16_t port, struct net_address ret[])
{
    size_t n = 0;

    for (;;) {
        struct address address;
        char ip[IP_MAX_LEN];
        text += strspn(text, " ");
        size_t len = strcspn(text, " ");
        if (len == 0 || n == ANSWERS_MAX)
            return n;
        (void)snprintf(ip, sizeof(ip), "%.*s", (int)len, text);
        if (!address_parse_ip(ip, &address))
            world_die("sim_name(): \"%s\" is not a numeric address", ip);
        address.port = port;
        address_format(&address, &ret[n++]);
        text += len;
    }
}

static enum neo_code look_up(const struct net_lookup *lookup, struct net_address ret[],
                             size_t *ret_n)
{
    const struct name *name = find_name(lookup->host);
    struct address number;

    if (address_parse_ip(lookup->host, &number))
        *ret_n = format_answers(lookup->host, lookup->port, ret);
    else if (name != NULL)
        *ret_n = format_answers(name->addresses, lookup->port, ret);
    else if (strcmp(lookup->host, "localhost") == 0)
        *ret_n = format_answers("127.0.0.1 ::1", lookup->port, ret);
    if (name != NULL && name->code != NEO_OK)
        return name->code;
    return *ret_n > 0 ? NEO_OK : NEO_NOT_FOUND;
}

static void report(struct neo_job *job)
{
    struct net_lookup *lookup = neo_owner(job, struct net_lookup, job);
    struct net_address addresses[ANSWERS_MAX];
    size_t n = 0;

    lookup->loop->under_way--;
    if (lookup->done != NULL) {
        enum neo_code code = look_up(lookup, addresses, &n);
        lookup->done(lookup->self, code, addresses, n);
    }
    neo_free(lookup);
}

static void on_answer(struct neo_timer *timer)
{
    struct net_lookup *lookup = neo_owner(timer, struct net_lookup, timer);

    world_note("lookup", lookup->loop->id, lookup->port);
    lookup->job.run = report;
    neo_loop_post(lookup->loop, &lookup->job);
}

enum neo_code net_resolve(struct neo_loop *loop, const char *host, uint16_t port,
                          net_lookup_fn *done, void *self, struct net_lookup **ret,
                          struct neo_error *err)
{
    if (!neo_loop_is_current(loop))
        world_die("a lookup for loop %u on a thread that is not its own", loop->id);
    NEO_TRY(address_check_host(host, err));

    struct net_lookup *lookup = neo_alloc(sizeof(*lookup));
    if (lookup == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to look up %s", host);
    (void)snprintf(lookup->host, sizeof(lookup->host), "%s", host);
    lookup->loop = loop;
    lookup->port = port;
    lookup->done = done;
    lookup->self = self;
    lookup->timer.expired = on_answer;
    loop->under_way++;
    world_at(&lookup->timer, world->now + 1 + world_random(ANSWER_TAKES));
    *ret = lookup;
    return NEO_OK;
}

void net_lookup_cancel(struct net_lookup *lookup)
{
    if (!neo_loop_is_current(lookup->loop))
        world_die("a lookup of loop %u is cancelled by another", lookup->loop->id);
    lookup->done = NULL;
}
