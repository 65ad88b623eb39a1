/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - what the two files of bench_load share: load.c moves bytes, load_call.c makes calls.
 */
#ifndef NEO_BENCH_LOAD_H
#define NEO_BENCH_LOAD_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection {
    int fd;
    SSL *ssl;                 /* NULL: not open */
    nghttp2_session *session; /* NULL during the handshake */
    bool ready;               /* the server's SETTINGS are here */
    bool waits_to_write;
    uint8_t *out;
    size_t len;
    size_t cap;
};

struct load {
    uint16_t port;
    size_t connections;
    size_t in_flight;
    size_t calls;
    size_t size;
    size_t messages;
    size_t handshakes;

    SSL_CTX *tls;
    int epoll;
    struct connection *all;
    size_t opened;
    size_t opening;
    size_t n_ready;

    uint8_t *message; /* framed */
    size_t message_len;
    size_t next; /* connection that gets a call */
    size_t started;
    size_t to_start; /* as many as have ended */
    size_t done;
    size_t failed;
    uint64_t messages_back;
    uint32_t *took; /* ns, of each call */
};

void die(const char *what);
uint64_t now_ns(void);
/* Writes what its session has to say. */
void connection_flush(struct connection *c);

void message_make(struct load *load);
nghttp2_session *session_new(struct load *load, struct connection *c);
/* One more, on the next connection; where there is only one, whoever starts flushes it. */
void call_start(struct load *load);

#endif
