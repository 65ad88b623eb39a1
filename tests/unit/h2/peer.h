/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One side of an HTTP/2 connection in memory, whose events are written down.
 *
 * The log is text, one word group for each event: "headers 1 /a.B/C; data 1 5;
 * ended 1; closed 1 0; ". What the side does on events is said by its switches.
 */
#ifndef NEO_TESTS_H2_PEER_H
#define NEO_TESTS_H2_PEER_H

#include "../unit.h"
#include "h2/h2.h"
#include "support/frames.h"

struct peer {
    struct h2 *h2;
    struct neo_buffer out;
    struct neo_buffer log;
    neo_nsec now;
    bool quiet;        /* write no log */
    bool keep_credit;  /* do not consume */
    bool echo;         /* server: answer each message with itself, then with trailers */
    size_t write_most; /* bytes of one feed; 0: as they come */

    size_t handlers; /* `headers` events */
    size_t open;     /* of which not closed */
    size_t most_open;
    size_t body;
    size_t writables;
    size_t closed;
    size_t refused; /* of which with REFUSED_STREAM */
    struct h2_stream *last;
    char malformed[32]; /* the last field for which a message was reset */
    void (*on_writable)(struct peer *p, struct h2_stream *s);
    void (*on_headers)(struct peer *p, struct h2_stream *s);
};

/* What a peer listens to; its owner must be the peer. */
const struct h2_events *peer_events(void);

void peer_start(struct peer *p, bool server, const struct h2_limits *limits);
void peer_stop(struct peer *p);

enum neo_code peer_feed(struct peer *p, struct neo_bytes bytes, struct neo_error *err);
/* Appends to `p->out`. */
enum neo_code peer_pull(struct peer *p, struct neo_error *err);
/* The log since the last time. */
void peer_expect(struct peer *p, const char *log);

/* Moves bytes both ways until both are silent; nothing may fail. */
void peers_talk(struct peer *a, struct peer *b);
/* The same after both have said hello. */
void peers_start(struct peer *client, struct peer *server);
void peers_stop(struct peer *client, struct peer *server);

/* A call with usual headers. */
struct h2_stream *peer_call(struct peer *client, const char *path);
void peer_respond(struct peer *server, struct h2_stream *s);
void peer_finish(struct peer *server, struct h2_stream *s);

#endif
