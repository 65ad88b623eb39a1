/* SPDX-License-Identifier: Apache-2.0 */
#include "support/script.h"

#include "rpc/frame.h"
#include "rpc/wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct served {
    struct list link;
    struct script *script;
    struct conn *conn;
};

static void check(enum neo_code code, const struct neo_error *err)
{
    if (code != NEO_OK) {
        (void)fprintf(stderr, "script: %s: %s\n", neo_code_name(code), err->message);
        abort();
    }
}

static struct served *served_by(const struct h2 *h2)
{
    return conn_owner(h2_owner(h2));
}

/* --- requests --------------------------------------------------------------------------------- */

static void complete(struct script_call *call)
{
    struct script *s = call->script;

    s->requests++;
    call->number = s->requests;
    s->answer(call, s->self);
}

static void on_headers(struct h2 *h2, struct h2_stream *stream, bool end_stream)
{
    struct served *served = served_by(h2);
    struct script_call *call = calloc(1, sizeof(*call));
    struct neo_bytes previous = wire_header(stream->headers, "grpc-previous-rpc-attempts");

    assert(call != NULL);
    *call = (struct script_call){.script = served->script,
                                 .conn = served->conn,
                                 .stream = stream,
                                 .previous = previous.at == NULL ? -1 : previous.at[0] - '0'};
    (void)snprintf(call->path, sizeof(call->path), "%.*s", NEO_FMT(stream->path));
    stream->user = call;
    call->script->open++;
    if (call->script->open > call->script->most_open)
        call->script->most_open = call->script->open;
    if (end_stream)
        complete(call);
}

static void on_data(struct h2 *h2, struct h2_stream *stream, struct neo_bytes bytes)
{
    struct script_call *call = stream->user;

    for (size_t i = 0; i < bytes.len && call->received + i < sizeof(call->head); i++)
        call->head[call->received + i] = bytes.at[i];
    call->received += bytes.len;
    h2_consume(h2, stream, bytes.len);
}

static void on_ended(struct h2 *h2, struct h2_stream *stream)
{
    (void)h2;
    complete(stream->user);
}

static void on_closed(struct h2 *h2, struct h2_stream *stream, uint32_t h2_error)
{
    struct script_call *call = stream->user;

    (void)h2;
    if (call == NULL)
        return;
    call->script->open--;
    call->script->resets += h2_error != H2_NO_ERROR;
    neo_loop_disarm(call->script->loop, &call->timer);
    free(call);
}

static void on_trailers(struct h2 *h2, struct h2_stream *stream)
{
    on_ended(h2, stream);
}

static const struct h2_events events = {.headers = on_headers,
                                        .data = on_data,
                                        .ended = on_ended,
                                        .trailers = on_trailers,
                                        .closed = on_closed};

/* --- answers: without memory the stream is reset
 * ---------------------------------------------------------------------------------- */

static bool must_give_up(struct script_call *call, enum neo_code code)
{
    if (code != NEO_OK)
        h2_reset(conn_h2(call->conn), call->stream, H2_INTERNAL_ERROR, false);
    conn_kick(call->conn);
    return code != NEO_OK;
}

void script_send(struct script_call *call, struct neo_bytes message)
{
    const struct h2_header type = {NEO_LIT("content-type"), NEO_LIT("application/grpc")};
    struct h2 *h2 = conn_h2(call->conn);
    uint8_t prefix[FRAME_PREFIX_LEN];

    if (must_give_up(call, h2_respond(h2, call->stream, 200, &type, 1, false, NULL)))
        return;
    frame_prefix(prefix, message.len);
    (void)h2_send(h2, call->stream, neo_bytes(prefix, sizeof(prefix)));
    (void)h2_send(h2, call->stream, message);
    call->sent = true;
    conn_kick(call->conn);
}

void script_finish(struct script_call *call, enum neo_code code, const char *name,
                   const char *value)
{
    char number[8];
    struct h2_header fields[3] = {{NEO_LIT("grpc-status"), {0}}};
    size_t n = 1;
    struct h2 *h2 = conn_h2(call->conn);

    (void)snprintf(number, sizeof(number), "%d", code);
    fields[0].value = neo_text(number);
    if (name != NULL)
        fields[n++] = (struct h2_header){neo_text(name), neo_text(value)};
    if (call->sent) {
        (void)must_give_up(call, h2_send_trailers(h2, call->stream, fields, n, NULL));
        return;
    }
    fields[n++] = (struct h2_header){NEO_LIT("content-type"), NEO_LIT("application/grpc")};
    (void)must_give_up(call, h2_respond(h2, call->stream, 200, fields, n, true, NULL));
}

void script_reply(struct script_call *call, struct neo_bytes message)
{
    script_send(call, message);
    if (call->sent)
        script_finish(call, NEO_OK, NULL, NULL);
}

static void due(struct neo_timer *timer)
{
    script_reply(neo_owner(timer, struct script_call, timer), (struct neo_bytes){0});
}

void script_reply_after(struct script_call *call, neo_nsec wait)
{
    struct neo_loop *loop = call->script->loop;

    call->timer.expired = due;
    neo_loop_arm(loop, &call->timer, neo_loop_now(loop) + wait);
}

void script_refuse(struct script_call *call)
{
    h2_reset(conn_h2(call->conn), call->stream, H2_REFUSED_STREAM, false);
    conn_kick(call->conn);
}

/* --- connections ------------------------------------------------------------------------------ */

static void on_gone(struct conn *c, const struct neo_error *err)
{
    struct served *served = conn_owner(c);

    (void)err;
    list_remove(&served->link);
    conn_free(c);
    free(served);
}

static const struct conn_hooks hooks = {.gone = on_gone};

/* Without memory the connection is refused. */
static void serve(struct script *s, int fd)
{
    struct served *served = calloc(1, sizeof(*served));
    struct tls *tls = NULL;

    assert(served != NULL);
    served->script = s;
    if (tls_new(s->tls, (struct neo_bytes){0}, NULL, &tls, NULL) != NEO_OK ||
        conn_new(&(struct conn_options){.loop = s->loop,
                                        .fd = fd,
                                        .server = true,
                                        .tls = tls,
                                        .events = &events,
                                        .limits = &s->limits,
                                        .hooks = &hooks,
                                        .owner = served},
                 &served->conn, NULL) != NEO_OK) {
        tls_free(tls);
        net_close(s->loop, fd);
        free(served);
        return;
    }
    list_push_back(&s->conns, &served->link);
}

static void on_listener(struct net_watch *watch, unsigned events_seen)
{
    struct script *s = neo_owner(watch, struct script, watch);
    struct neo_error err;
    int fd;

    (void)events_seen;
    while (net_accept(s->loop, s->listener, &fd, &err) == NET_OK) {
        if (s->accepted < SCRIPT_ACCEPTS_MAX)
            s->accepted_at[s->accepted] = neo_loop_now(s->loop);
        s->accepted++;
        if (s->slams)
            net_close(s->loop, fd);
        else
            serve(s, fd);
    }
}

void script_start(struct script *s, struct neo_loop *loop, const char *address,
                  struct neo_identity *identity, struct neo_trust *trust)
{
    const struct tls_options options = {.role = TLS_SERVER, .identity = identity, .trust = trust};
    struct net_address local;
    struct neo_error err;

    s->loop = loop;
    s->watch.ready = on_listener;
    list_init(&s->conns);
    check(tls_context_new(&options, &s->tls, &err), &err);
    check(net_listen(loop, address, NET_ALONE, &s->listener, &err), &err);
    s->watch.fd = s->listener;
    check(net_watch(loop, &s->watch, NET_READ, &err), &err);
    check(net_local_address(loop, s->listener, &local, &err), &err);
    (void)snprintf(s->address, sizeof(s->address), "%s", local.text);
}

void script_goaway(struct script *s, uint32_t h2_error, const char *debug)
{
    list_each (node, &s->conns) {
        struct served *served = neo_owner(node, struct served, link);
        conn_close(served->conn, h2_error, debug, 3600 * NEO_NSEC_PER_SEC, NEO_OK, "script");
    }
}

void script_goaway_first(struct script *s, uint32_t h2_error, const char *debug)
{
    struct served *served = neo_owner(s->conns.next, struct served, link);

    assert(!list_is_empty(&s->conns));
    conn_close(served->conn, h2_error, debug, 3600 * NEO_NSEC_PER_SEC, NEO_OK, "script");
}

void script_cut(struct script *s)
{
    list_each (node, &s->conns) {
        struct served *served = neo_owner(node, struct served, link);
        list_remove(&served->link);
        conn_free(served->conn);
        free(served);
    }
}

size_t script_connections(const struct script *s)
{
    size_t n = 0;

    list_each (node, &s->conns)
        n++;
    return n;
}

void script_stop(struct script *s)
{
    script_cut(s);
    net_unwatch(s->loop, &s->watch);
    net_close(s->loop, s->listener);
    tls_context_unref(s->tls);
}
