/* SPDX-License-Identifier: Apache-2.0 */
/* What others may ask a connection; conn.c is what moves it. */
#include "rpc/conn_internal.h"

enum { OWNER_HOT = 576 /* bytes of what a server has beside a connection; see struct peer */ };

void *conn_owner(const struct conn *c)
{
    return c->owner;
}

struct neo_loop *conn_loop(const struct conn *c)
{
    return c->loop;
}

struct h2 *conn_h2(const struct conn *c)
{
    return c->h2;
}

struct tls *conn_tls(const struct conn *c)
{
    return c->tls;
}

const char *conn_peer_address(const struct conn *c)
{
    return c->peer.text;
}

bool conn_local_address(const struct conn *c, struct net_address *ret)
{
    return c->state != CONN_GONE && net_local_address(c->loop, c->watch.fd, ret, NULL) == NEO_OK;
}

void conn_socket_options(const struct conn *c, struct net_options *ret)
{
    *ret = (struct net_options){.n = 0};
    if (c->state != CONN_GONE)
        net_options(c->loop, c->watch.fd, ret);
}

bool conn_is_closing(const struct conn *c)
{
    return c->state >= CONN_CLOSING;
}

neo_nsec conn_last_read(const struct conn *c)
{
    return c->last_read;
}

/*
 * With very many connections each readiness finds its own in no cache. Asked for before the read,
 * what will be needed comes while the kernel is busy.
 */
void conn_warm(const struct conn *c)
{
    enum { LINE = 64 };

    for (size_t at = LINE; at < offsetof(struct conn, backlog); at += LINE)
        __builtin_prefetch((const char *)c + at);
    __builtin_prefetch(&c->events);
    __builtin_prefetch((const char *)&c->events + LINE);
    if (c->tls != NULL)
        tls_warm(c->tls);
    if (c->h2 != NULL)
        h2_warm(c->h2);
    for (size_t at = 0; at < OWNER_HOT; at += LINE)
        __builtin_prefetch((const char *)c->owner + at);
}
