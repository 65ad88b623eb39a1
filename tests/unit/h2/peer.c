/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <stdio.h>

static struct peer *peer_of(struct h2 *h2)
{
    return h2_owner(h2);
}

#define LOG(p, ...)                                                                                \
    do {                                                                                           \
        if (!(p)->quiet)                                                                           \
            neo_buffer_printf(&(p)->log, __VA_ARGS__);                                             \
    } while (0)

static void headers(struct h2 *h2, struct h2_stream *s, bool end)
{
    struct peer *p = peer_of(h2);

    p->last = s;
    p->handlers++;
    p->open++;
    if (p->open > p->most_open)
        p->most_open = p->open;
    if (s->path.len > 0)
        LOG(p, "headers %d %.*s%s; ", s->id, NEO_FMT(s->path), end ? " end" : "");
    else
        LOG(p, "headers %d %d%s; ", s->id, s->status, end ? " end" : "");
    if (p->on_headers != NULL)
        p->on_headers(p, s);
}

static void data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    struct peer *p = peer_of(h2);

    p->body += bytes.len;
    LOG(p, "data %d %zu; ", s->id, bytes.len);
    if (p->echo) {
        if (s->user == NULL)
            peer_respond(p, s);
        (void)h2_send(h2, s, bytes);
    }
    if (!p->keep_credit)
        h2_consume(h2, s, bytes.len);
}

static void trailers(struct h2 *h2, struct h2_stream *s)
{
    struct peer *p = peer_of(h2);

    LOG(p, "trailers %d", s->id);
    for (size_t i = 0; i < s->trailers.len; i++)
        LOG(p, " %.*s=%.*s", NEO_FMT(s->trailers.at[i].name), NEO_FMT(s->trailers.at[i].value));
    LOG(p, "; ");
}

static void ended(struct h2 *h2, struct h2_stream *s)
{
    struct peer *p = peer_of(h2);

    LOG(p, "ended %d; ", s->id);
    if (p->echo)
        peer_finish(p, s);
}

static void writable(struct h2 *h2, struct h2_stream *s)
{
    struct peer *p = peer_of(h2);

    p->writables++;
    if (p->on_writable != NULL)
        p->on_writable(p, s);
}

static void closed(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    struct peer *p = peer_of(h2);

    p->closed++;
    p->refused += h2_error == H2_REFUSED_STREAM ? 1 : 0;
    if (p->open > 0)
        p->open--;
    LOG(p, "closed %d %u; ", s->id, h2_error);
}

static void goaway(struct h2 *h2, int32_t last_id, uint32_t h2_error, struct neo_bytes debug)
{
    struct peer *p = peer_of(h2);

    LOG(p, "goaway %d %u '%.*s'; ", last_id, h2_error, NEO_FMT(debug));
}

static void ready(struct h2 *h2)
{
    struct peer *p = peer_of(h2);

    LOG(p, "ready; ");
}

static void pong(struct h2 *h2, const uint8_t opaque[static 8])
{
    struct peer *p = peer_of(h2);

    LOG(p, "pong %.8s; ", (const char *)opaque);
}

static void malformed(struct h2 *h2, struct neo_bytes name)
{
    struct peer *p = peer_of(h2);

    (void)snprintf(p->malformed, sizeof(p->malformed), "%.*s", NEO_FMT(name));
}

static const struct h2_events events = {
    .headers = headers,
    .data = data,
    .trailers = trailers,
    .ended = ended,
    .writable = writable,
    .closed = closed,
    .goaway = goaway,
    .ready = ready,
    .malformed = malformed,
    .pong = pong,
};

const struct h2_events *peer_events(void)
{
    return &events;
}

void peer_start(struct peer *p, bool server, const struct h2_limits *limits)
{
    struct h2_options options = {.server = server, .events = &events, .owner = p};

    if (limits != NULL)
        options.limits = *limits;
    assert_int_equal(h2_new(&options, p->now, &p->h2, NULL), NEO_OK);
}

void peer_stop(struct peer *p)
{
    h2_free(p->h2);
    neo_buffer_fini(&p->out);
    neo_buffer_fini(&p->log);
}

enum neo_code peer_feed(struct peer *p, struct neo_bytes bytes, struct neo_error *err)
{
    size_t most = p->write_most == 0 ? SIZE_MAX : p->write_most;

    while (bytes.len > 0) {
        size_t len = bytes.len < most ? bytes.len : most;
        NEO_TRY(h2_feed(p->h2, neo_bytes(bytes.at, len), p->now, err));
        bytes = neo_bytes_from(bytes, len);
    }
    return NEO_OK;
}

enum neo_code peer_pull(struct peer *p, struct neo_error *err)
{
    return h2_pull(p->h2, SIZE_MAX, p->now, &p->out, err);
}

void peer_expect(struct peer *p, const char *log)
{
    neo_buffer_append_byte(&p->log, '\0');
    assert_string_equal((const char *)p->log.at, log);
    neo_buffer_clear(&p->log);
}

static bool give(struct peer *from, struct peer *to)
{
    struct neo_error err = {0};

    assert_int_equal(peer_pull(from, &err), NEO_OK);
    if (from->out.len == 0)
        return false;
    if (peer_feed(to, neo_buffer_bytes(&from->out), &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_buffer_clear(&from->out);
    return true;
}

void peers_talk(struct peer *a, struct peer *b)
{
    bool spoke;

    do {
        spoke = give(a, b);
        spoke |= give(b, a);
    } while (spoke);
}

void peers_start(struct peer *client, struct peer *server)
{
    peer_start(client, false, NULL);
    peer_start(server, true, NULL);
    peers_talk(client, server);
    neo_buffer_clear(&client->log);
    neo_buffer_clear(&server->log);
}

void peers_stop(struct peer *client, struct peer *server)
{
    peer_stop(client);
    peer_stop(server);
}

struct h2_stream *peer_call(struct peer *client, const char *path)
{
    const struct h2_header fields[] = {
        {NEO_LIT("content-type"), NEO_LIT("application/grpc")},
        {NEO_LIT("te"), NEO_LIT("trailers")},
    };
    struct h2_stream *s = NULL;
    struct neo_error err = {0};

    if (h2_request(client->h2, neo_text(path), NEO_LIT("test-service:8443"), fields,
                   NEO_COUNT(fields), NULL, &s, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return s;
}

void peer_respond(struct peer *server, struct h2_stream *s)
{
    const struct h2_header type = {NEO_LIT("content-type"), NEO_LIT("application/grpc")};

    assert_int_equal(h2_respond(server->h2, s, 200, &type, 1, false, NULL), NEO_OK);
    s->user = server; /* answered */
}

void peer_finish(struct peer *server, struct h2_stream *s)
{
    const struct h2_header status = {NEO_LIT("grpc-status"), NEO_LIT("0")};

    if (s->user == NULL)
        peer_respond(server, s);
    assert_int_equal(h2_send_trailers(server->h2, s, &status, 1, NULL), NEO_OK);
}
