/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/call.h - a call on its way through the server.
 *
 *     REQUEST --> WAITING --> RUNNING --> ENDED
 *        |           |           ^
 *        |           '-----------|------> (shed)
 *        '-----------------------'
 *
 * Two things keep a call: its stream, and whoever holds a reference (one is its own
 * until it has ended). When both are gone it returns to its worker's pool. The arena
 * is the stream's; when the stream closes under a held call, the call keeps its
 * memory.
 */
#ifndef NEO_RPC_CALL_H
#define NEO_RPC_CALL_H

#include "rpc/frame.h"
#include "rpc/peer.h"

enum call_state {
    CALL_REQUEST, /* the headers passed; the rest is on its way */
    CALL_WAITING, /* for room: in the worker, or in the connection's output */
    CALL_RUNNING, /* the handler was called */
    CALL_ENDED,
};

struct call_fields {
    struct h2_header *at;
    size_t n;
    size_t bytes; /* as a peer counts them */
};

struct call_blocking;
struct call_value;

struct neo_call {
    struct list link; /* peer.calls; in the pool: worker.idle_calls */
    struct list held; /* peer.held, while the connection's output is full */
    struct peer *peer;
    struct worker *worker;
    struct h2_stream *stream; /* NULL once closed */
    struct h2_kept *kept;     /* its memory, after that */
    struct neo_arena *arena;
    struct method *method;
    struct h2_headers request_headers;
    enum call_state state;
    atomic_uint refs;
    atomic_bool cancelled;
    uint8_t step; /* of the pipeline, last taken */
    bool entered; /* counted by admission and by the peer */
    bool rested;  /* nobody holds it any more */
    bool headers_sent;
    bool answered; /* a message was sent */
    bool has_request;
    bool half_closed;
    bool is_full;     /* what it sent last has not left yet, and there is much of it */
    bool compressing; /* the next message; the headers have said, or will say, that this may be */
    bool may_compress;
    uint8_t gate;           /* enum gate_state */
    uint8_t intercepted;    /* interceptors that have begun and not ended */
    bool needs_attestation; /* the policy allows it to an attested caller only */

    struct neo_decision_id decision; /* empty: none was needed */
    struct neo_context context;
    struct neo_policy_answer answer;

    neo_nsec arrived;
    neo_nsec heard_at; /* when the request last moved */
    size_t trickled;   /* bytes of a message since then */
    struct neo_timer deadline;
    struct neo_admission_ticket ticket;
    neo_nsec gate_until; /* waiting at the gate of its method ends then */

    struct frame_reader reader;
    struct neo_bytes request; /* unary: the one message, undecoded, */
    struct neo_buffer body;   /* which lies here when it came in pieces */
    size_t holds;             /* what peer.holding has of it, */
    size_t arena_holds;       /* and of that the arena when the handler began */

    const struct neo_stream_events *events;
    void *events_state;
    enum neo_code code; /* with which it ended */
    struct call_fields headers;
    struct call_fields trailers;
    struct call_blocking *blocking;
    void **intercept_states;         /* one for each interceptor; NULL: there are none */
    const char *peer_address;        /* for neo_call_peer(); NULL: not asked yet */
    struct neo_cert *foreign;        /* for neo_call_foreign_certificate(); referenced */
    const struct call_value *values; /* neo_call_set_value() */
    struct neo_job release;

    /* Not cleared for each call: written before anybody reads them. */
    struct neo_limit_answer limit; /* why `limits` refused */
    struct neo_status status;      /* how it ended, for `done` */
};

/* --- call.c: life ------------------------------------------------------------------------ */

/* NULL when out of memory. Attached to `s`. */
struct neo_call *call_new(struct peer *p, struct h2_stream *s);
/* The stream is gone: a call that has not ended is cancelled. */
void call_closed(struct neo_call *call);
/* Ends it with the fixed text of a reason; nothing when it has ended. */
__attribute__((cold)) void call_end(struct neo_call *call, enum neo_reason reason);
/* The same, with a text that says more. It is copied. */
__attribute__((cold)) void call_end_with(struct neo_call *call, enum neo_reason reason,
                                         const char *text);
/* Ends it; `status` borrows from the call's arena or is static. */
void call_finish(struct neo_call *call, const struct neo_status *status);
/* Counted from now on as running. */
void call_enter(struct neo_call *call);
/* Admission has decided. */
void call_admitted(struct neo_call *call, enum neo_admission_verdict verdict);
/* By the present policy; ends it when that forbids it now. */
void call_judge(struct neo_call *call);
/* The appraisal has ended: so does what needed it. */
void call_judge_attestation(struct neo_call *call);
void call_check_stalled(struct neo_call *call, neo_nsec now);
/*
 * Ends the call when `why`, of neo_proto_check_open(), says that its message needs an attested
 * peer, and this one is not; true then. Empty: it does not.
 */
bool call_withholds(struct neo_call *call, struct neo_bytes why);
/* Sends bytes as one message. */
enum neo_flow call_send_raw(struct neo_call *call, struct neo_bytes message);

static inline bool call_is_streaming_in(const struct neo_call *call)
{
    return (call->method->info->kind & NEO_CLIENT_STREAM) != 0;
}

/* --- call_answer.c ----------------------------------------------------------------------- */

/*
 * The response headers with more in them than the content-type. False: nothing was sent. What is
 * more than the peer takes is left out, here and below, and logged.
 */
bool call_answer_headers(struct neo_call *call);
/*
 * What goes out with the status: trailers, or the one block of an answer without messages. Left out
 * is, step by step: details that the handler added, its metadata, the other details, the text.
 */
enum neo_code call_answer_status(struct neo_call *call, const struct neo_status *status);

/* --- call_request.c ---------------------------------------------------------------------- */

/* Pieces of the request body, and its end. */
void call_take(struct neo_call *call, struct neo_bytes bytes);
void call_take_end(struct neo_call *call);
/* There is room again for what it sends. */
void call_has_room(struct neo_call *call);
/* What was held for want of that room goes on, unless it is full anew. */
void call_take_held(struct neo_call *call);
/* The connection takes answers again: goes on with a call that was held. */
void call_resume(struct neo_call *call);
/* Decodes and calls the handler: the pipeline's last step before the end. */
enum neo_reason call_run(struct neo_call *call);

/* --- call_fresh.c ------------------------------------------------------------------------ */

/* Sends the headers with a proof, where the caller or the method asks for one. */
enum neo_reason call_prove(struct neo_call *call);

/* --- call_blocking.c --------------------------------------------------------------------- */

/* Runs the handler on the pool. */
enum neo_reason call_run_blocking(struct neo_call *call, const void *request);
/* True when we are on the pool: then the deed was taken to the worker. */
bool call_is_elsewhere(const struct neo_call *call);
void call_post_headers(struct neo_call *call);
void call_post_reply(struct neo_call *call, const void *response);
void call_post_finish(struct neo_call *call, const struct neo_status *status);
enum neo_flow call_post_send(struct neo_call *call, const void *response);
/* The stream has room again. */
void call_blocking_wake(struct neo_call *call);
/* The call has ended. */
void call_blocking_end(struct neo_call *call);
/* Its handler blocks, was not begun, and never will be. */
bool call_blocking_found_no_thread(const struct neo_call *call);
void call_blocking_fini(struct neo_call *call);
/* The one that this thread may take from: a handler on the pool has its own. */
struct neo_arena *call_arena_here(const struct neo_call *call);

/* --- pipeline.c -------------------------------------------------------------------------- */

/* The steps that need the headers only. */
void pipeline_headers(struct neo_call *call);
/* Those that need the request. */
void pipeline_request(struct neo_call *call);
/* After admission let it wait. */
void pipeline_resume(struct neo_call *call, enum neo_reason refused);
/* The last step, exactly once. */
void pipeline_end(struct neo_call *call);
struct neo_policy_answer pipeline_decide(struct neo_call *call, bool attested);

#endif
