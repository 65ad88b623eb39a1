/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Further connections to one instance, when its streams are all taken.
 *
 * They stand beside the current one, which alone says how the instance is: they are made only while
 * that serves, are never waited for, and one that fails is not missed. Each has its own handshake,
 * proof and retirement. When the current one goes, the first of them that can serve takes its
 * place.
 */
#include "rpc/channel_internal.h"

#include <neo/memory.h>

#define PAUSE (1 * NEO_NSEC_PER_SEC) /* after an attempt that came to nothing */

static bool has_room(const struct sub_conn *sc)
{
    return !sc->draining && !conn_is_closing(sc->conn) && conn_h2(sc->conn) != NULL &&
           h2_stream_room(conn_h2(sc->conn)) > 0;
}

struct sub_conn *subchannel_with_room(const struct subchannel *sub)
{
    if (sub->current != NULL && has_room(sub->current))
        return sub->current;
    list_each (node, &sub->extra) {
        struct sub_conn *sc = neo_owner(node, struct sub_conn, link);
        if (sc->usable && has_room(sc))
            return sc;
    }
    return NULL;
}

static bool is_one_coming(const struct subchannel *sub)
{
    list_each (node, &sub->extra)
        if (!neo_owner(node, struct sub_conn, link)->usable)
            return true;
    return false;
}

void subchannel_widen(struct subchannel *sub)
{
    struct channel_core *core = sub->core;
    neo_nsec now = neo_loop_now(core->loop);
    struct sub_conn *sc;

    if (sub->n_extra + 1 >= core->tuning.max_connections || sub->state != SUB_READY ||
        core->closing || now < sub->extra_at || is_one_coming(sub))
        return;
    sub->extra_at = now + PAUSE;
    if (sub_conn_open(sub, &sc, NULL) != NEO_OK)
        return;
    sc->extra = true;
    list_push_back(&sub->extra, &sc->link);
    sub->n_extra++;
}

void subchannel_extra_proven(struct sub_conn *sc)
{
    sc->usable = !sc->draining;
    sc->sub->extra_at = 0; /* it went well: another may follow at once */
}

void subchannel_extra_left(struct sub_conn *sc)
{
    if (!sc->extra)
        return;
    sc->extra = sc->usable = false;
    sc->sub->n_extra--;
    list_remove(&sc->link);
}

void subchannel_extra_rest(struct subchannel *sub, const char *why)
{
    while (!list_is_empty(&sub->extra)) {
        struct sub_conn *sc = neo_owner(sub->extra.next, struct sub_conn, link);
        if (sc->draining) { /* it is on its way already */
            subchannel_extra_left(sc);
            list_push_back(&sub->draining, &sc->link);
        } else if (sc->usable)
            sub_conn_retire(sc, 0, NEO_OK, why);
        else
            sub_conn_free(sc);
    }
}

bool subchannel_promote(struct subchannel *sub)
{
    list_each (node, &sub->extra) {
        struct sub_conn *sc = neo_owner(node, struct sub_conn, link);
        if (!sc->usable || sc->draining || conn_is_closing(sc->conn))
            continue;
        subchannel_extra_left(sc);
        sub->current = sc;
        sub->attempt_at = sc->opened_at;
        subchannel_set_state(sub, SUB_CONNECTING);
        sub_conn_proven(sc);
        return true;
    }
    return false;
}
