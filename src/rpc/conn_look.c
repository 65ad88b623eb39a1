/* SPDX-License-Identifier: Apache-2.0 */
/* What others may ask a connection; conn.c is what moves it. */
#include "rpc/conn_internal.h"

#include "base/warm.h"

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

void conn_warm(struct net_watch *watch, unsigned step)
{
    const struct conn *c = neo_owner(watch, struct conn, watch);

    if (step == 0) {
        warm(c, offsetof(struct conn, greeting));
        warm(&c->events, sizeof(c->events));
        return;
    }
    if (c->hooks->warm != NULL)
        c->hooks->warm(c, step);
    if (c->tls != NULL)
        tls_warm(c->tls, step - 1);
    if (c->h2 != NULL)
        h2_warm(c->h2, step - 1);
}
