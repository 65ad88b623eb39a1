/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/raw_server.h - a server that says what it is told, right or wrong.
 *
 * In cleartext, on a thread of its own, one connection at a time; it gives every
 * request the same answer as soon as its headers have come. For channels under test.
 */
#ifndef NEO_TESTS_SUPPORT_RAW_SERVER_H
#define NEO_TESTS_SUPPORT_RAW_SERVER_H

#include "h2/h2.h"

struct raw_answer {
    int status;                      /* 0: 200 */
    const struct h2_header *headers; /* as they are; there is no content-type but this */
    size_t n_headers;
    bool headers_only; /* END_STREAM on the first block: Trailers-Only */
    struct neo_bytes body;
    const struct h2_header *trailers;
    size_t n_trailers;
    bool reset; /* in place of trailers */
    uint32_t reset_code;
    bool no_headers; /* nothing before the reset, or the end */
    bool hang_up;    /* in place of trailers: the connection ends */
};

struct raw_server;

/* `answer` and what it points at are read until raw_server_free(). */
struct raw_server *raw_server_new(const struct raw_answer *answer);
const char *raw_server_target(const struct raw_server *server); /* "ipv4:127.0.0.1:43121" */
/* The value of a header of the last request; copied into `ret`, "" when it was absent, or there
   more than once. */
void raw_server_seen(struct raw_server *server, const char *name, char ret[static 128]);
/* The body bytes of the last request so far. */
size_t raw_server_body(struct raw_server *server, uint8_t *ret, size_t max);
/* How many requests have come. */
unsigned raw_server_requests(struct raw_server *server);
void raw_server_free(struct raw_server *server);

#endif
