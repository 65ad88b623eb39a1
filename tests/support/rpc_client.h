/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/rpc_client.h - a client that does what it is told and remembers what it saw.
 *
 * It sits on conn and h2 and knows nothing of retries, policies or deadlines, so a
 * test decides every header and every byte. For servers under test.
 */
#ifndef NEO_TESTS_SUPPORT_RPC_CLIENT_H
#define NEO_TESTS_SUPPORT_RPC_CLIENT_H

#include "rpc/conn.h"
#include "rpc/frame.h"

#include <neo/status.h>

enum { RPC_MESSAGES_MAX = 64 };

struct rpc_call {
    struct rpc_client *client;
    struct h2_stream *stream; /* NULL once closed */
    struct neo_arena arena;
    struct frame_reader reader;
    struct neo_bytes messages[RPC_MESSAGES_MAX]; /* the first so many */
    size_t n_messages;
    size_t bytes;
    bool deaf; /* takes no message: gives the server no credit */
    bool headers_came;
    bool trailers_only;
    bool ended;  /* with a status */
    bool closed; /* the stream is gone */
    uint32_t h2_error;
    struct h2_headers headers;
    struct h2_headers trailers;
    struct neo_status status; /* once it has ended */
};

struct rpc_client {
    struct neo_loop *loop;
    struct conn *conn; /* NULL once gone */
    struct tls_context *tls;
    bool proven;
    bool ready;
    bool gone;
    struct neo_error why;
    unsigned goaways;
    int32_t goaway_last_id;
    uint32_t goaway_error;
    char goaway_debug[128];
    size_t open_calls;
};

/* `identity` NULL: anonymous. `expect` is the server's SPIFFE id. False when not even begun. */
bool rpc_client_connect(struct rpc_client *client, struct neo_loop *loop, const char *address,
                        struct neo_identity *identity, struct neo_trust *trust, const char *expect);
/* At once; open calls hear of it. */
void rpc_client_close(struct rpc_client *client);

struct rpc_request {
    const char *path;
    const struct h2_header *headers; /* beside content-type and te */
    size_t n_headers;
    const char *content_type; /* NULL: application/grpc */
    const char *authority;    /* NULL: echo-service:8443 */
};

/* Opens a stream. False when there is no room for it. */
bool rpc_call_start(struct rpc_call *call, struct rpc_client *client,
                    const struct rpc_request *request);
/* One message, framed. */
void rpc_call_send(struct rpc_call *call, struct neo_bytes message);
/* Bytes as they are. */
void rpc_call_send_raw(struct rpc_call *call, struct neo_bytes bytes);
void rpc_call_end(struct rpc_call *call);
void rpc_call_reset(struct rpc_call *call, uint32_t h2_error);
/* Credits what it took deaf, and hears from now on. */
void rpc_call_hear(struct rpc_call *call);
void rpc_call_fini(struct rpc_call *call);

#endif
