/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one caller has of a worker: all its connections together may fill three
 * quarters of the room for running calls, so that others find some. Without this a
 * single peer with calls that never end would shut everybody out. The same holds for
 * the threads of handlers that block, which are counted over all workers.
 */
#include "rpc/share.h"

#include <neo/memory.h>

#include <assert.h>
#include <limits.h>

enum { WORTH_SHARING = 64 /* fewer places than that are not divided */ };

/* --- over all workers --------------------------------------------------------------------- */

struct identity_count {
    unsigned connections;
    unsigned workers;         /* that use its lane */
    struct neo_lane blocking; /* its part of the server's */
    size_t len;
    uint8_t name[];
};

/* One caller leaves the others a quarter of the threads, where there is more than one. */
static unsigned blocking_share(const struct neo_server *server)
{
    unsigned all = server->options.max_blocking;

    return all == 1 ? 1 : all * 3 / 4;
}

static struct identity_count *find_identity(struct neo_server *server, struct neo_bytes name)
{
    struct identity_count *found = map_get(&server->shared.identities, name);

    if (found != NULL)
        return found;
    found = neo_alloc(sizeof(*found) + name.len);
    if (found == NULL)
        return NULL;
    memcpy(found->name, name.at, name.len);
    found->len = name.len;
    found->blocking = (struct neo_lane){
        .width = blocking_share(server), .length = UINT_MAX, .within = &server->blocking};
    if (!map_put(&server->shared.identities, neo_bytes(found->name, found->len), found)) {
        neo_free(found);
        return NULL;
    }
    return found;
}

static void forget_unused(struct neo_server *server, struct identity_count *count)
{
    if (count->connections > 0 || count->workers > 0)
        return;
    (void)map_remove(&server->shared.identities, neo_bytes(count->name, count->len));
    neo_free(count);
}

bool server_identity_enter(struct neo_server *server, struct neo_bytes identity)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    struct identity_count *count = find_identity(server, identity);
    bool entered =
        count != NULL && count->connections < server->options.max_connections_per_identity;
    if (entered)
        count->connections++;
    (void)pthread_mutex_unlock(&server->shared.lock);
    return entered;
}

void server_identity_leave(struct neo_server *server, struct neo_bytes identity)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    struct identity_count *count = map_get(&server->shared.identities, identity);
    assert(count != NULL && count->connections > 0);
    count->connections--;
    forget_unused(server, count);
    (void)pthread_mutex_unlock(&server->shared.lock);
}

struct neo_lane *server_identity_lane(struct neo_server *server, struct neo_bytes identity)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    struct identity_count *count = find_identity(server, identity);
    if (count != NULL)
        count->workers++;
    (void)pthread_mutex_unlock(&server->shared.lock);
    return count == NULL ? NULL : &count->blocking;
}

void server_identity_leave_lane(struct neo_server *server, struct neo_bytes identity)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    struct identity_count *count = map_get(&server->shared.identities, identity);
    assert(count != NULL && count->workers > 0);
    count->workers--;
    forget_unused(server, count);
    (void)pthread_mutex_unlock(&server->shared.lock);
}

/* --- of one worker ----------------------------------------------------------------------- */

struct caller_share *share_enter(struct worker *w, struct neo_bytes name)
{
    struct caller_share *s = map_get(&w->shares, name);

    if (s == NULL) {
        s = neo_alloc(sizeof(*s) + name.len);
        if (s == NULL)
            return NULL;
        memcpy(s->name, name.at, name.len);
        s->len = name.len;
        s->blocking = server_identity_lane(w->server, name);
        if (s->blocking == NULL) {
            neo_free(s);
            return NULL;
        }
        if (!map_put(&w->shares, neo_bytes(s->name, s->len), s)) {
            server_identity_leave_lane(w->server, name);
            neo_free(s);
            return NULL;
        }
    }
    s->peers++;
    return s;
}

void share_leave(struct worker *w, struct caller_share *s)
{
    if (s == NULL || --s->peers > 0)
        return;
    (void)map_remove(&w->shares, neo_bytes(s->name, s->len));
    server_identity_leave_lane(w->server, neo_bytes(s->name, s->len));
    neo_free(s);
}

bool share_is_spent(const struct worker *w, const struct caller_share *s)
{
    uint64_t limit = w->admission.limit;

    return limit >= WORTH_SHARING && s->running >= limit - limit / 4;
}
