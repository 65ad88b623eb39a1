/* SPDX-License-Identifier: Apache-2.0 */
#include "support/rpc_client.h"

#include "rpc/wire.h"

#include <stdio.h>

enum { LARGEST_MESSAGE = 64 * 1024 * 1024, FIELDS_MAX = 64 };

static struct rpc_client *client_of(const struct h2 *h2)
{
    return conn_owner(h2_owner(h2));
}

static struct h2_headers copy_headers(struct h2_headers from, struct neo_arena *arena)
{
    struct h2_header *at = neo_arena_calloc(arena, from.len, sizeof(*at));

    for (size_t i = 0; i < from.len && at != NULL; i++)
        at[i] = (struct h2_header){neo_arena_copy(arena, from.at[i].name),
                                   neo_arena_copy(arena, from.at[i].value)};
    return (struct h2_headers){at, from.len};
}

static void finish(struct rpc_call *call, struct h2_headers trailers)
{
    call->trailers = copy_headers(trailers, &call->arena);
    call->status = wire_status_read(call->trailers, call->stream->status, &call->arena);
    call->ended = true;
}

static void on_headers(struct h2 *h2, struct h2_stream *s, bool end_stream)
{
    struct rpc_call *call = s->user;

    (void)h2;
    call->headers_came = true;
    call->headers = copy_headers(s->headers, &call->arena);
    call->trailers_only = end_stream;
    if (end_stream)
        finish(call, s->headers);
}

static void on_data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    struct rpc_call *call = s->user;
    struct neo_bytes message;
    size_t len = bytes.len;

    call->bytes += len;
    while (frame_read(&call->reader, &bytes, &message, NULL) == FRAME_MESSAGE) {
        if (call->n_messages < RPC_MESSAGES_MAX)
            call->messages[call->n_messages] = neo_arena_copy(&call->arena, message);
        call->n_messages++;
    }
    if (!call->deaf)
        h2_consume(h2, s, len);
}

static void on_trailers(struct h2 *h2, struct h2_stream *s)
{
    (void)h2;
    finish(s->user, s->trailers);
}

static void on_ended(struct h2 *h2, struct h2_stream *s)
{
    (void)h2;
    (void)s;
}

static void on_closed(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    struct rpc_call *call = s->user;

    client_of(h2)->open_calls--;
    call->stream = NULL;
    call->closed = true;
    call->h2_error = h2_error;
    if (!call->ended)
        call->status = wire_status_of_reset(h2_error);
}

static void on_goaway(struct h2 *h2, int32_t last_id, uint32_t h2_error, struct neo_bytes debug)
{
    struct rpc_client *c = client_of(h2);

    c->goaways++;
    c->goaway_last_id = last_id;
    c->goaway_error = h2_error;
    (void)snprintf(c->goaway_debug, sizeof(c->goaway_debug), "%.*s", NEO_FMT(debug));
}

static void on_ready(struct h2 *h2)
{
    client_of(h2)->ready = true;
}

static const struct h2_events events = {
    .headers = on_headers,
    .data = on_data,
    .trailers = on_trailers,
    .ended = on_ended,
    .closed = on_closed,
    .goaway = on_goaway,
    .ready = on_ready,
};

static enum neo_code on_proven(struct conn *c, struct neo_error *err)
{
    struct rpc_client *client = conn_owner(c);

    (void)err;
    client->proven = true;
    return NEO_OK;
}

static void on_gone(struct conn *c, const struct neo_error *err)
{
    struct rpc_client *client = conn_owner(c);

    client->gone = true;
    client->why = *err;
    client->conn = NULL;
    conn_free(c);
}

static const struct conn_hooks hooks = {.proven = on_proven, .gone = on_gone};

bool rpc_client_connect(struct rpc_client *client, struct neo_loop *loop, const char *address,
                        struct neo_identity *identity, struct neo_trust *trust, const char *expect)
{
    const struct tls_options tls_options = {
        .role = TLS_CLIENT,
        .identity = identity,
        .trust = trust,
    };
    struct conn_options options = {
        .loop = loop,
        .events = &events,
        .hooks = &hooks,
        .owner = client,
    };

    *client = (struct rpc_client){.loop = loop};
    if (tls_context_new(&tls_options, &client->tls, &client->why) != NEO_OK ||
        tls_new(client->tls, neo_text(expect), NULL, &options.tls, &client->why) != NEO_OK)
        return false;
    if (net_connect(loop, address, &options.fd, &client->why) != NEO_OK) {
        tls_free(options.tls);
        return false;
    }
    if (conn_new(&options, &client->conn, &client->why) != NEO_OK) {
        net_close(loop, options.fd);
        tls_free(options.tls);
        return false;
    }
    return true;
}

void rpc_client_close(struct rpc_client *client)
{
    conn_free(client->conn);
    client->conn = NULL;
    tls_context_unref(client->tls);
    client->tls = NULL;
}

static struct neo_bytes authority_of(const struct rpc_request *request)
{
    return neo_text(request->authority == NULL ? "echo-service:8443" : request->authority);
}

bool rpc_call_start(struct rpc_call *call, struct rpc_client *client,
                    const struct rpc_request *request)
{
    struct h2_header headers[FIELDS_MAX] = {
        {NEO_LIT("te"), NEO_LIT("trailers")},
        {NEO_LIT("content-type"),
         neo_text(request->content_type == NULL ? "application/grpc" : request->content_type)},
    };

    *call = (struct rpc_call){.client = client, .reader = {.max = LARGEST_MESSAGE}};
    neo_arena_init(&call->arena, SIZE_MAX / 4);
    for (size_t i = 0; i < request->n_headers && i + 2 < FIELDS_MAX; i++)
        headers[2 + i] = request->headers[i];
    if (client->conn == NULL || conn_h2(client->conn) == NULL ||
        h2_request(conn_h2(client->conn), neo_text(request->path), authority_of(request), headers,
                   2 + request->n_headers, call, &call->stream, NULL) != NEO_OK)
        return false;
    client->open_calls++;
    conn_kick(client->conn);
    return true;
}

void rpc_call_send_raw(struct rpc_call *call, struct neo_bytes bytes)
{
    if (call->stream == NULL)
        return;
    (void)h2_send(conn_h2(call->client->conn), call->stream, bytes);
    conn_kick(call->client->conn);
}

void rpc_call_send(struct rpc_call *call, struct neo_bytes message)
{
    uint8_t prefix[FRAME_PREFIX_LEN];

    frame_prefix(prefix, message.len);
    rpc_call_send_raw(call, neo_bytes(prefix, sizeof(prefix)));
    rpc_call_send_raw(call, message);
}

void rpc_call_end(struct rpc_call *call)
{
    if (call->stream == NULL)
        return;
    h2_send_end(conn_h2(call->client->conn), call->stream);
    conn_kick(call->client->conn);
}

void rpc_call_reset(struct rpc_call *call, uint32_t h2_error)
{
    if (call->stream == NULL)
        return;
    h2_reset(conn_h2(call->client->conn), call->stream, h2_error, false);
    conn_kick(call->client->conn);
}

void rpc_call_hear(struct rpc_call *call)
{
    call->deaf = false;
    if (call->stream == NULL)
        return;
    h2_consume(conn_h2(call->client->conn), call->stream, call->bytes);
    conn_kick(call->client->conn);
}

void rpc_call_fini(struct rpc_call *call)
{
    frame_reader_fini(&call->reader);
    neo_arena_fini(&call->arena);
}
