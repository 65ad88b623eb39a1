/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include "io/net.h"

#include <neo/time.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 20000 /* ms, for a peer that takes nothing */ };

static int64_t now_msec(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- what came -------------------------------------------------------------------------------- */

static void read_block(struct link *l, struct neo_bytes block)
{
    int flags = 0;

    if (l->inflater == NULL && nghttp2_hd_inflate_new(&l->inflater) != 0)
        abort();
    l->http = -1;
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(l->inflater, &nv, &flags, block.at, block.len, 1);
        if (n < 0)
            return;
        block = neo_bytes_from(block, (size_t)n);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0)
            continue;
        if (neo_bytes_is(neo_bytes(nv.name, nv.namelen), ":status"))
            l->http = atoi((const char *)nv.value);
        else if (neo_bytes_is(neo_bytes(nv.name, nv.namelen), "grpc-status"))
            l->grpc = atoi((const char *)nv.value);
    }
    l->failures += l->http >= 0 && l->grpc > 0;
    nghttp2_hd_inflate_end_headers(l->inflater);
}

static int64_t code_at(struct neo_bytes payload, size_t at)
{
    int64_t code = 0;

    for (size_t i = at; i < at + 4 && i < payload.len; i++)
        code = code << 8 | payload.at[i];
    return code;
}

static void read_frame(struct link *l, const struct frame *f)
{
    if (f->type < NEO_COUNT(l->frames))
        l->frames[f->type]++;
    switch (f->type) {
    case FRAME_DATA:
        l->data += f->payload.len;
        break;
    case FRAME_HEADERS:
        read_block(l, f->payload);
        break;
    case FRAME_RST_STREAM:
        l->reset = code_at(f->payload, 0);
        break;
    case FRAME_PING:
        l->ping_acks += f->flags & FLAG_ACK;
        break;
    case FRAME_GOAWAY:
        l->goaway = code_at(f->payload, 4);
        (void)snprintf(l->debug, sizeof(l->debug), "%.*s", NEO_FMT(neo_bytes_from(f->payload, 8)));
        break;
    default:
        break;
    }
}

static void read_frames(struct link *l)
{
    struct neo_bytes left;
    struct frame f;

    neo_buffer_append(&l->in, neo_buffer_bytes(&l->raw->plain));
    neo_buffer_clear(&l->raw->plain);
    left = neo_buffer_bytes(&l->in);
    if (l->raw->is_server && !l->greeted) {
        if (left.len < NGHTTP2_CLIENT_MAGIC_LEN)
            return;
        left = neo_bytes_from(left, NGHTTP2_CLIENT_MAGIC_LEN);
        l->greeted = true;
    }
    while (frames_next(&left, &f))
        read_frame(l, &f);
    neo_buffer_drop(&l->in, l->in.len - left.len);
}

static void take(struct link *l, struct neo_bytes bytes)
{
    if (l->raw == NULL) {
        neo_buffer_append(&l->in, bytes);
        return;
    }
    raw_run(l->raw, bytes, &l->cipher);
    read_frames(l);
    if (l->raw->failed || (SSL_get_shutdown(l->raw->ssl) & SSL_RECEIVED_SHUTDOWN) != 0)
        l->closed = true;
}

/* --- the socket ------------------------------------------------------------------------------- */

static void receive(struct link *l)
{
    uint8_t bytes[65536];
    ssize_t n = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n > 0)
        take(l, neo_bytes(bytes, (size_t)n));
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        l->closed = true;
}

static void transmit(struct link *l)
{
    ssize_t n = send(l->fd, l->cipher.at, l->cipher.len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0)
        neo_buffer_drop(&l->cipher, (size_t)n);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        l->closed = true;
}

/* Moves bytes once, waiting at most so long. False when nothing happened in that time. */
static bool move(struct link *l, int msec)
{
    struct pollfd p = {.fd = l->fd};

    p.events = (short)((l->deaf ? 0 : POLLIN) | (l->cipher.len > 0 ? POLLOUT : 0));
    if (l->closed || poll(&p, 1, msec < 0 ? 0 : msec) <= 0)
        return false;
    if (p.revents & POLLIN)
        receive(l);
    else if (p.revents & (POLLERR | POLLHUP))
        l->closed = true;
    if (!l->closed && (p.revents & POLLOUT))
        transmit(l);
    return true;
}

static void begin(struct link *l, int fd)
{
    *l = (struct link){.fd = fd, .goaway = -1, .reset = -1, .http = -1, .grpc = -1};
}

bool link_connect_from(struct link *l, const char *address, unsigned n)
{
    const char *colon = strrchr(address, ':');
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)atoi(colon + 1)),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}},
                             from = {.sin_family = AF_INET,
                                     .sin_addr = {htonl(INADDR_LOOPBACK + n % 100)}};
    const int late = 1; /* the port is picked by connect(), which knows the whole tuple */

    begin(l, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return l->fd >= 0 &&
           setsockopt(l->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late)) == 0 &&
           bind(l->fd, (const struct sockaddr *)&from, sizeof(from)) == 0 &&
           connect(l->fd, (const struct sockaddr *)&to, sizeof(to)) == 0;
}

bool link_connect(struct link *l, const char *address)
{
    return link_connect_from(l, address, 0);
}

bool link_accept(struct link *l, int listener, int msec)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};

    begin(l, -1);
    if (poll(&p, 1, msec) > 0)
        l->fd = accept(listener, NULL, NULL);
    return l->fd >= 0;
}

void link_begin_secure(struct link *l, struct raw *raw)
{
    l->raw = raw;
    take(l, (struct neo_bytes){0});
}

bool link_is_secure(const struct link *l)
{
    return l->raw != NULL && SSL_is_init_finished(l->raw->ssl) == 1;
}

bool link_secure(struct link *l, const struct raw_options *options, int msec)
{
    int64_t until = now_msec() + msec;

    link_begin_secure(l, raw_new(options));
    while (!l->closed && SSL_is_init_finished(l->raw->ssl) == 0 && now_msec() < until)
        (void)move(l, (int)(until - now_msec()));
    while (!l->closed && l->cipher.len > 0 && now_msec() < until)
        (void)move(l, (int)(until - now_msec()));
    return !l->closed && link_is_secure(l);
}

bool link_open(struct link *l, const char *address, const struct raw_options *options)
{
    return link_connect(l, address) && link_secure(l, options, PATIENCE);
}

static bool flush(struct link *l)
{
    while (!l->closed && l->cipher.len > 0)
        if (!move(l, PATIENCE))
            return false;
    return !l->closed;
}

bool link_send(struct link *l, struct neo_bytes bytes)
{
    size_t n = 0;

    if (l->raw == NULL)
        return link_send_raw(l, bytes);
    if (l->closed || l->raw->failed)
        return false;
    while (bytes.len > 0) {
        size_t len = bytes.len < 16384 ? bytes.len : 16384;
        if (SSL_write_ex(l->raw->ssl, bytes.at, len, &n) != 1)
            return false;
        bytes = neo_bytes_from(bytes, n);
        raw_run(l->raw, (struct neo_bytes){0}, &l->cipher);
        if (!flush(l))
            return false;
    }
    return true;
}

bool link_send_raw(struct link *l, struct neo_bytes bytes)
{
    neo_buffer_append(&l->cipher, bytes);
    return flush(l);
}

/* --- waiting ---------------------------------------------------------------------------------- */

#define WAIT(l, msec, until_true)                                                                  \
    do {                                                                                           \
        int64_t wait_until = now_msec() + (msec);                                                  \
        while (!(until_true) && !(l)->closed && now_msec() < wait_until)                           \
            (void)move(l, (int)(wait_until - now_msec()));                                         \
    } while (0)

void link_read(struct link *l, int msec)
{
    while (move(l, 0) && msec == 0)
        continue;
    WAIT(l, msec, false);
}

bool link_wait(struct link *l, uint8_t type, size_t n, int msec)
{
    WAIT(l, msec, l->frames[type] >= n);
    return l->frames[type] >= n;
}

bool link_wait_answer(struct link *l, int msec)
{
    WAIT(l, msec, l->http >= 0 || l->grpc >= 0 || l->reset >= 0);
    return l->http >= 0 || l->grpc >= 0 || l->reset >= 0;
}

bool link_wait_closed(struct link *l, int msec)
{
    link_read(l, msec);
    return l->closed;
}

bool link_is_alive(struct link *l)
{
    struct neo_buffer out = {0};
    size_t acks = l->ping_acks;

    frames_ping(&out, 0);
    bool sent = link_send(l, neo_buffer_bytes(&out));
    neo_buffer_fini(&out);
    if (!sent)
        return false;
    WAIT(l, 5000, l->ping_acks > acks);
    return l->ping_acks > acks;
}

void link_close(struct link *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    if (l->raw != NULL)
        raw_free(l->raw);
    if (l->inflater != NULL)
        nghttp2_hd_inflate_del(l->inflater);
    neo_buffer_fini(&l->cipher);
    neo_buffer_fini(&l->in);
    *l = (struct link){.fd = -1, .closed = true};
}
