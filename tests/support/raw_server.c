/* SPDX-License-Identifier: Apache-2.0 */
#include "support/raw_server.h"

#include <neo/memory.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, FIELDS_MAX = 64, BODY_MAX = 256 * 1024 };

struct field {
    char name[64];
    char value[128];
};

struct raw_server {
    const struct raw_answer *answer;
    int listener;
    char target[64];
    pthread_t thread;
    struct {
        pthread_mutex_t lock;
        bool stopping;
        int connection; /* -1: none */
        struct field fields[FIELDS_MAX];
        size_t n_fields;
        struct neo_buffer body;
        unsigned requests;
    } shared;
    /* The serving thread's own: what it does once all that was said before has left. */
    bool hung_up;
    struct h2_stream *to_reset;
};

static void must(bool fine, const char *what)
{
    if (!fine) {
        perror(what);
        abort();
    }
}

/* --- what it hears ---------------------------------------------------------------------------- */

static void note_headers(struct raw_server *server, const struct h2_stream *s)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    server->shared.requests++;
    server->shared.n_fields = 0;
    server->shared.body.len = 0;
    for (size_t i = 0; i < s->headers.len && i < FIELDS_MAX; i++) {
        struct field *f = &server->shared.fields[server->shared.n_fields++];
        (void)snprintf(f->name, sizeof(f->name), "%.*s", NEO_FMT(s->headers.at[i].name));
        (void)snprintf(f->value, sizeof(f->value), "%.*s", NEO_FMT(s->headers.at[i].value));
    }
    (void)pthread_mutex_unlock(&server->shared.lock);
}

static void reply(struct h2 *h2, struct h2_stream *s, const struct raw_answer *a)
{
    int status = a->status == 0 ? 200 : a->status;

    if (a->no_headers)
        return;
    must(h2_respond(h2, s, status, a->headers, a->n_headers, a->headers_only, NULL) == NEO_OK,
         "raw_server: h2_respond");
    if (a->headers_only)
        return;
    if (a->body.len > 0)
        (void)h2_send(h2, s, a->body);
    if (!a->reset && !a->hang_up)
        must(h2_send_trailers(h2, s, a->trailers, a->n_trailers, NULL) == NEO_OK,
             "raw_server: h2_send_trailers");
}

static void on_headers(struct h2 *h2, struct h2_stream *s, bool end_stream)
{
    struct raw_server *server = h2_owner(h2);

    (void)end_stream;
    note_headers(server, s);
    reply(h2, s, server->answer);
    s->user = server;
}

static void on_data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    struct raw_server *server = h2_owner(h2);

    (void)pthread_mutex_lock(&server->shared.lock);
    if (server->shared.body.len + bytes.len <= BODY_MAX)
        (void)neo_buffer_append(&server->shared.body, bytes);
    (void)pthread_mutex_unlock(&server->shared.lock);
    h2_consume(h2, s, bytes.len);
}

static void on_end(struct h2 *h2, struct h2_stream *s)
{
    struct raw_server *server = h2_owner(h2);

    server->hung_up = server->answer->hang_up;
    (void)h2;
    server->to_reset = server->answer->reset ? s : NULL;
}

static void on_closed(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    struct raw_server *server = h2_owner(h2);

    if (server->to_reset == s)
        server->to_reset = NULL;
    (void)h2_error;
}

/* --- connections ------------------------------------------------------------------------------ */

static bool flush(struct h2 *h2, int fd)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    while (h2_wants_write(h2)) {
        neo_buffer_clear(&out);
        bool fine = h2_pull(h2, READ_SIZE, 1, &out, NULL) == NEO_OK;
        for (size_t at = 0; at < out.len;) {
            ssize_t n = send(fd, out.at + at, out.len - at, MSG_NOSIGNAL);
            if (n <= 0)
                return false;
            at += (size_t)n;
        }
        if (!fine || out.len == 0)
            return fine;
    }
    return true;
}

static void talk(struct raw_server *server, int fd)
{
    static const struct h2_events events = {.headers = on_headers,
                                            .data = on_data,
                                            .ended = on_end,
                                            .trailers = on_end,
                                            .closed = on_closed};
    struct h2 *h2 = NULL;
    uint8_t *in = neo_alloc(READ_SIZE);

    must(in != NULL && h2_new(&(struct h2_options){.server = true,
                                                   .events = &events,
                                                   .owner = server,
                                                   .cleartext = true},
                              1, &h2, NULL) == NEO_OK,
         "raw_server: h2_new");
    server->hung_up = false;
    while (flush(h2, fd) && !server->hung_up) {
        if (server->to_reset != NULL) {
            h2_reset(h2, server->to_reset, server->answer->reset_code, false);
            server->to_reset = NULL;
            continue;
        }
        ssize_t n = recv(fd, in, READ_SIZE, 0);
        if (n <= 0 || h2_feed(h2, neo_bytes(in, (size_t)n), 1, NULL) != NEO_OK)
            break;
    }
    h2_free(h2);
    neo_free(in);
}

/* False: the end. */
static bool keep_connection(struct raw_server *server, int fd)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    bool stopping = server->shared.stopping;
    server->shared.connection = stopping ? -1 : fd;
    (void)pthread_mutex_unlock(&server->shared.lock);
    return !stopping;
}

static void *serve(void *self)
{
    struct raw_server *server = self;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        if (keep_connection(server, fd))
            talk(server, fd);
        (void)keep_connection(server, -1);
        (void)close(fd);
    }
    return NULL;
}

/* --- the face --------------------------------------------------------------------------------- */

struct raw_server *raw_server_new(const struct raw_answer *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct raw_server *server = neo_alloc(sizeof(*server));
    socklen_t len = sizeof(address);

    must(server != NULL, "raw_server");
    server->answer = answer;
    server->shared.connection = -1;
    (void)pthread_mutex_init(&server->shared.lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(server->listener, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
             listen(server->listener, 16) == 0 &&
             getsockname(server->listener, (struct sockaddr *)&address, &len) == 0,
         "raw_server: listen");
    (void)snprintf(server->target, sizeof(server->target), "ipv4:127.0.0.1:%u",
                   (unsigned)ntohs(address.sin_port));
    must(pthread_create(&server->thread, NULL, serve, server) == 0, "raw_server: thread");
    return server;
}

const char *raw_server_target(const struct raw_server *server)
{
    return server->target;
}

void raw_server_seen(struct raw_server *server, const char *name, char ret[static 128])
{
    unsigned times = 0;

    ret[0] = '\0';
    (void)pthread_mutex_lock(&server->shared.lock);
    for (size_t i = 0; i < server->shared.n_fields; i++)
        if (strcmp(server->shared.fields[i].name, name) == 0)
            (void)snprintf(ret, 128, "%s", ++times == 1 ? server->shared.fields[i].value : "");
    (void)pthread_mutex_unlock(&server->shared.lock);
}

size_t raw_server_body(struct raw_server *server, uint8_t *ret, size_t max)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    size_t len = server->shared.body.len < max ? server->shared.body.len : max;
    if (len > 0)
        memcpy(ret, server->shared.body.at, len);
    (void)pthread_mutex_unlock(&server->shared.lock);
    return len;
}

unsigned raw_server_requests(struct raw_server *server)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    unsigned n = server->shared.requests;
    (void)pthread_mutex_unlock(&server->shared.lock);
    return n;
}

void raw_server_free(struct raw_server *server)
{
    (void)pthread_mutex_lock(&server->shared.lock);
    server->shared.stopping = true;
    if (server->shared.connection >= 0)
        (void)shutdown(server->shared.connection, SHUT_RDWR);
    (void)pthread_mutex_unlock(&server->shared.lock);
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    (void)pthread_mutex_destroy(&server->shared.lock);
    neo_buffer_fini(&server->shared.body);
    neo_free(server);
}
