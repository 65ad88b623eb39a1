/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - an attacker's end of a connection: a socket and plain OpenSSL, in either role.
 *
 * It belongs to a process of its own that does nothing else, so what it costs is the attacker's
 * cost. Everything waits at most as long as it is told. What comes back is read while something
 * is sent (unless it is deaf), taken apart into frames and counted.
 */
#ifndef NEO_TESTS_ATTACK_LINK_H
#define NEO_TESTS_ATTACK_LINK_H

#include "support/frames.h"
#include "support/tls_raw.h"

#include <nghttp2/nghttp2.h>

struct link {
    int fd;
    struct raw *raw; /* NULL: no TLS */
    nghttp2_hd_inflater *inflater;
    struct neo_buffer cipher; /* not yet written */
    struct neo_buffer in;     /* the beginning of a frame, or plain bytes without TLS */
    bool deaf;                /* reads nothing */
    bool greeted;             /* a server: the client's magic was read */
    bool closed;              /* by the other end */

    /* What came. */
    size_t frames[10]; /* by type */
    size_t data;       /* bytes of DATA */
    size_t ping_acks;
    int64_t goaway; /* the last one's error; -1: none */
    char debug[64];
    int64_t reset;   /* the last RST_STREAM's error; -1: none */
    int http;        /* the last :status, */
    int grpc;        /* and grpc-status; -1: none */
    size_t failures; /* blocks with a grpc-status that is not 0 */
};

/* TCP alone. False when it is refused. */
bool link_connect(struct link *l, const char *address);
/* The same from the `n`th of a hundred addresses of our own, each of which has all ports. */
bool link_connect_from(struct link *l, const char *address, unsigned n);
/* The other side of it: takes one connection off `listener`; false after `msec` without one. */
bool link_accept(struct link *l, int listener, int msec);
/* TLS on it, at most `msec`; false when it came to nothing. A client believes in it before its
 * certificate was looked at: link_read() tells. */
bool link_secure(struct link *l, const struct raw_options *options, int msec);
/* The first bytes of it, with a `raw` of one's own, which is taken. */
void link_begin_secure(struct link *l, struct raw *raw);
bool link_is_secure(const struct link *l);
/* Both, as a client. */
bool link_open(struct link *l, const char *address, const struct raw_options *options);

/* False once it is closed. Through TLS if there is any; with it, _raw() goes past it. */
bool link_send(struct link *l, struct neo_bytes bytes);
bool link_send_raw(struct link *l, struct neo_bytes bytes);
/* Reads for so long, or until the other end closes. */
void link_read(struct link *l, int msec);
/* Until a frame of `type` has come `n` times in all; false when it did not. */
bool link_wait(struct link *l, uint8_t type, size_t n, int msec);
/* Until :status or a RST_STREAM comes for the last request. */
bool link_wait_answer(struct link *l, int msec);
bool link_wait_closed(struct link *l, int msec);
/* It answers a PING: whatever was sent was taken. */
bool link_is_alive(struct link *l);
void link_close(struct link *l);

#endif
