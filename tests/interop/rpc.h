/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interop/rpc.h - calls as the cases see them: start, send, wait for what must come.
 *
 * One thread, one loop: it runs only inside the rpc_ functions that wait, so a case
 * decides what happens between two events. Whatever is not as it must be is said on
 * stderr, expected and got, and makes the case fail.
 */
#ifndef NEO_TESTS_INTEROP_RPC_H
#define NEO_TESTS_INTEROP_RPC_H

#include <grpc/testing/test.neo.h>
#include <neo/compression.h>

enum { RPC_MESSAGES_MAX = 128 };

struct client {
    struct neo_loop *loop;
    struct neo_channel *channel;
    /* Opens a channel as the flags say; `service_config` NULL: theirs. */
    struct neo_channel *(*open)(struct client *c, const char *service_config);
    const struct neo_pair *metadata; /* of every call */
    size_t n_metadata;
    struct {
        int64_t iterations, max_failures, max_latency_ms, timeout_s, min_ms_between, threads;
        int64_t request_size, response_size;
    } soak;
};

struct rpc {
    struct client *client;
    struct neo_client_call *call; /* NULL once it is over */
    const struct neo_method *method;
    struct neo_arena arena;
    struct neo_bytes messages[RPC_MESSAGES_MAX];
    bool compressed[RPC_MESSAGES_MAX]; /* it came so */
    size_t n_messages;
    bool got_headers;
    bool done;
    bool writable;
    struct neo_bytes echo_initial;  /* of the response headers */
    struct neo_bytes echo_trailing; /* of the trailers, decoded */
    struct neo_bytes load_report;   /* of the trailers, decoded */
    char peer[128];
    struct neo_status status;
    neo_nsec ended_at;
    void (*ended)(struct rpc *rpc, void *self); /* may be NULL */
    void *self;
};

/* Starts it; {0} otherwise. rpc_fini() when it was. False: it could not even be begun. */
bool rpc_start(struct rpc *rpc, struct client *c, const struct neo_method *method,
               const struct neo_call_options *options, const void *request);
/* One message; waits while the server takes none. False: the call has ended. */
bool rpc_send(struct rpc *rpc, const void *request);
void rpc_close_send(struct rpc *rpc);
void rpc_cancel(struct rpc *rpc);
/* Until so many messages came, or the end. False: fewer. */
bool rpc_wait_messages(struct rpc *rpc, size_t n);
/* Until the end. */
void rpc_wait(struct rpc *rpc);
/* Cancels what is not over. */
void rpc_fini(struct rpc *rpc);
/* Message `i` as a `response`, which borrows. */
bool rpc_message(struct rpc *rpc, size_t i, void *response);

/* Runs the loop until rpc_stop(), or 60 s. */
bool rpc_run(struct client *c);
void rpc_pause(struct client *c, neo_nsec time);

/* --- expectations: false, and said on stderr, when they do not hold ----------------------------
 */

bool fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool expect_status(const struct rpc *rpc, enum neo_code code, const char *message);
bool expect_ok(const struct rpc *rpc);
bool expect_count(const struct rpc *rpc, size_t n);
bool expect_text(const char *what, struct neo_bytes expected, struct neo_bytes got);
bool expect_number(const char *what, int64_t expected, int64_t got);

/* --- helpers of several cases ----------------------------------------------------------------- */

#define TEST_METHOD(name)                                                                          \
    (&grpc_testing_TestService_methods[grpc_testing_TestService_##name##_INDEX])

/* A payload of so many zeros. */
struct grpc_testing_Payload zeros_of(size_t n);
/* One unary call and its response's payload, all of it as it must be. */
bool check_unary(struct client *c, const struct grpc_testing_SimpleRequest *request);
/* The body size of streaming message `i`. */
bool expect_body(struct rpc *rpc, size_t i, size_t size);

/* --- the cases -------------------------------------------------------------------------------- */

typedef bool case_fn(struct client *c);
case_fn case_empty_unary, case_large_unary, case_custom_metadata, case_pick_first_unary,
    case_concurrent_large_unary, case_large_metadata;
case_fn case_client_streaming, case_server_streaming, case_ping_pong, case_empty_stream,
    case_half_duplex;
case_fn case_status_code_and_message, case_special_status_message, case_unimplemented_method,
    case_unimplemented_service, case_cancel_after_begin, case_cancel_after_first_response,
    case_timeout_on_sleeping_server;
case_fn case_client_compressed_unary, case_server_compressed_unary,
    case_client_compressed_streaming, case_server_compressed_streaming;
case_fn case_orca_per_rpc, case_orca_oob;
case_fn case_rpc_soak, case_channel_soak, case_long_lived_channel;

#endif
