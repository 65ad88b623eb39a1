/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses, on libuv's threads: the C library's resolver blocks.
 *
 * A lookup that is cancelled while a thread is busy with it cannot be stopped. It
 * is only told to keep its answer to itself, and freed when that has come.
 */
#include "io/loop.h"
#include "io/sockaddr.h"

#include <neo/memory.h>

#include <assert.h>
#include <netdb.h>
#include <stdio.h>

enum { ANSWERS_MAX = 64 };

struct net_lookup {
    uv_getaddrinfo_t request;
    struct neo_loop *loop;
    net_lookup_fn *done; /* NULL: cancelled */
    void *self;
};

static enum neo_code code_of(int status)
{
    switch (status) {
    case 0:
        return NEO_OK;
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
    case UV_EAI_ADDRFAMILY:
        return NEO_NOT_FOUND;
    case UV_ENOMEM:
    case UV_EAI_MEMORY:
        return NEO_RESOURCE_EXHAUSTED;
    default: /* no name server, or none that answers */
        return NEO_UNAVAILABLE;
    }
}

static size_t format_answers(const struct addrinfo *answers, struct net_address ret[])
{
    size_t n = 0;

    for (const struct addrinfo *a = answers; a != NULL && n < ANSWERS_MAX; a = a->ai_next) {
        struct address address;
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
            continue;
        sockaddr_read(a->ai_addr, a->ai_addrlen, &address);
        address_format(&address, &ret[n++]);
    }
    return n;
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *answers)
{
    struct net_lookup *lookup = neo_owner(request, struct net_lookup, request);
    struct net_address addresses[ANSWERS_MAX];
    size_t n = format_answers(answers, addresses);
    enum neo_code code = code_of(status);

    uv_freeaddrinfo(answers);
    loop_begin_turn(lookup->loop);
    lookup->loop->under_way--;
    if (code == NEO_OK && n == 0)
        code = NEO_NOT_FOUND;
    if (lookup->done != NULL)
        lookup->done(lookup->self, code, addresses, n);
    neo_free(lookup);
}

static int start(struct net_lookup *lookup, const char *host, uint16_t port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char service[8];

    (void)snprintf(service, sizeof(service), "%u", port);
    return uv_getaddrinfo(&lookup->loop->uv, &lookup->request, on_answer, host, service, &hints);
}

enum neo_code net_resolve(struct neo_loop *loop, const char *host, uint16_t port,
                          net_lookup_fn *done, void *self, struct net_lookup **ret,
                          struct neo_error *err)
{
    assert(neo_loop_is_current(loop));
    NEO_TRY(address_check_host(host, err));

    struct net_lookup *lookup = neo_alloc(sizeof(*lookup));
    if (lookup == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to look up %s", host);
    lookup->loop = loop;
    lookup->done = done;
    lookup->self = self;

    int result = start(lookup, host, port);
    if (result < 0) {
        neo_free(lookup);
        return loop_fail_uv(err, result, "cannot look up %s", host);
    }
    loop->under_way++;
    *ret = lookup;
    return NEO_OK;
}

void net_lookup_cancel(struct net_lookup *lookup)
{
    assert(neo_loop_is_current(lookup->loop));
    lookup->done = NULL;
    (void)uv_cancel((uv_req_t *)&lookup->request); /* refused when a thread has begun */
}
