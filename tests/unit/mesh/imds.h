/* SPDX-License-Identifier: Apache-2.0 */
/* imds.h - a metadata service on loopback that answers every request with the same bytes. */
#ifndef NEO_TESTS_MESH_IMDS_H
#define NEO_TESTS_MESH_IMDS_H

#include "../unit.h"

#include <neo/encoding.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IMDS_REQUEST_MAX = 8192 };

struct imds {
    int listener;
    int stop[2];
    pthread_t thread;
    char address[32];
    struct neo_bytes answer; /* borrowed; empty: never answers */
    size_t piece;            /* bytes at a time; 0: all */
    bool stays;              /* open after the answer */
    char request[IMDS_REQUEST_MAX];
    unsigned asked;
};

static inline bool imds_wait(struct imds *s, int fd)
{
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};

    return poll(p, 2, -1) > 0 && p[1].revents == 0;
}

/* The head and as much as it says; what was asked is kept. */
static inline bool imds_take(struct imds *s, int fd)
{
    size_t len = 0;

    while (len + 1 < sizeof(s->request) && imds_wait(s, fd)) {
        ssize_t n = read(fd, s->request + len, sizeof(s->request) - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        s->request[len] = '\0';
        const char *body = strstr(s->request, "\r\n\r\n");
        const char *length = strstr(s->request, "Content-Length: ");
        if (body != NULL && length != NULL && strlen(body + 4) == strtoul(length + 16, NULL, 10))
            return true;
    }
    return false;
}

static inline void imds_serve(struct imds *s, int fd)
{
    if (!imds_take(s, fd))
        return;
    s->asked++;
    for (size_t at = 0; at < s->answer.len;) {
        size_t n = s->piece == 0 || s->answer.len - at < s->piece ? s->answer.len - at : s->piece;
        if (send(fd, s->answer.at + at, n, MSG_NOSIGNAL) < 0)
            return;
        at += n;
    }
    if (s->stays || s->answer.len == 0)
        (void)imds_wait(s, fd); /* until the asker goes, or the end */
}

static inline void *imds_run(void *arg)
{
    struct imds *s = arg;

    while (imds_wait(s, s->listener)) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0)
            break;
        imds_serve(s, fd);
        (void)close(fd);
    }
    return NULL;
}

static inline void imds_begin(struct imds *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(pipe(s->stop), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, imds_run, s), 0);
}

static inline void imds_end(struct imds *s)
{
    assert_int_equal(close(s->stop[1]), 0); /* wakes it */
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->stop[0]);
    (void)close(s->listener);
}

/* {"quote": ...} as an answer of HTTP/1.1 with its length. */
static inline struct neo_buffer imds_answer(struct neo_bytes quote)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    struct neo_buffer out = {0};

    assert_true(neo_buffer_append_text(&body, "{\"quote\":\""));
    assert_true(neo_base64_encode(&body, quote, NEO_BASE64_URL));
    assert_true(neo_buffer_append_text(&body, "\"}"));
    assert_true(neo_buffer_printf(&out,
                                  "HTTP/1.1 200 OK\r\nContent-Type: application/json; "
                                  "charset=utf-8\r\nServer: IMDS\r\nContent-Length: %zu\r\n\r\n",
                                  body.len));
    assert_true(neo_buffer_append(&out, neo_buffer_bytes(&body)));
    return out;
}

#endif
