/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/script.h - a server that does what a test tells it, also what no server should.
 *
 * It sits on conn and h2 and knows nothing of gRPC but how to answer. The test is asked for each
 * complete request. For clients under test; on the loop it is given.
 */
#ifndef NEO_TESTS_SUPPORT_SCRIPT_H
#define NEO_TESTS_SUPPORT_SCRIPT_H

#include "base/list.h"
#include "rpc/conn.h"

#include <neo/cert.h>

enum { SCRIPT_ACCEPTS_MAX = 64 };

struct script;
struct script_call {
    struct script *script;
    struct conn *conn;
    struct h2_stream *stream;
    unsigned number; /* from 1, over all connections */
    char path[128];
    int previous; /* grpc-previous-rpc-attempts; -1: absent */
    size_t received;
    uint8_t head[32]; /* the first of what was received, prefix and all */
    bool sent;              /* headers */
    struct neo_timer timer; /* for script_reply_after() */
};

typedef void script_fn(struct script_call *call, void *self);

struct script {
    struct neo_loop *loop;
    struct tls_context *tls;
    script_fn *answer;
    void *self;
    struct h2_limits limits;
    bool slams; /* closes every connection before a byte */
    char address[128];
    unsigned accepted;
    neo_nsec accepted_at[SCRIPT_ACCEPTS_MAX];
    unsigned requests;
    unsigned resets;
    unsigned open;
    unsigned most_open;
    /* private */
    int listener;
    struct net_watch watch;
    struct list conns;
};

/* Listens on `address`; ends the program when it cannot. */
void script_start(struct script *s, struct neo_loop *loop, const char *address,
                  struct neo_identity *identity, struct neo_trust *trust);
void script_stop(struct script *s);
size_t script_connections(const struct script *s);

/* Headers, one message, OK. */
void script_reply(struct script_call *call, struct neo_bytes message);
void script_reply_after(struct script_call *call, neo_nsec wait);
/* Headers and a message; the stream stays open. */
void script_send(struct script_call *call, struct neo_bytes message);
/* The end, with further trailers: "name: value" or NULL. After script_send(), or alone. */
void script_finish(struct script_call *call, enum neo_code code, const char *name,
                   const char *value);
void script_refuse(struct script_call *call);
/* GOAWAY on all connections; they close when their streams have ended. */
void script_goaway(struct script *s, uint32_t h2_error, const char *debug);
/* The same on the connection that has been there for longest. */
void script_goaway_first(struct script *s, uint32_t h2_error, const char *debug);
/* All connections, without a word. */
void script_cut(struct script *s);

#endif
