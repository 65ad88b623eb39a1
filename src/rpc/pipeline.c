/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a call through the server, from its headers to its record.
 *
 * The table below is the whole of it, in order. A step lets the call pass or gives
 * the reason why not; the first reason ends the call. Whatever refuses before
 * `handler` has run nothing, and says so on the wire, so that the caller may safely
 * try again. `record` runs for every call exactly once, however it ended.
 */
#include "rpc/authority.h"
#include "rpc/call.h"
#include "rpc/compression.h"
#include "rpc/intercept.h"
#include "rpc/method_gate.h"
#include "rpc/record.h"
#include "rpc/share.h"
#include "rpc/wire.h"

#include <neo/trace.h>

enum phase {
    ON_HEADERS, /* no byte of the body is read before these have passed */
    ON_REQUEST, /* the request is there (a stream of them: as soon as the headers are) */
    ON_END,
};

typedef enum neo_reason step_fn(struct neo_call *call);
static step_fn read_grammar, check_deadline, authorise, check_attestation, take_tokens, prove_call,
    enter_method, ask_admission, ask_interceptors, run_handler, record;

/* clang-format off */
static const struct step {
    const char *name; /* the `stage` of audit records */
    enum phase phase;
    step_fn *run;
} steps[] = {
    {"grammar",   ON_HEADERS, read_grammar},      /* which method, one id for all that follows; context */
    {"deadline",  ON_HEADERS, check_deadline},    /* already late? capped otherwise, and armed */
    {"authorise", ON_HEADERS, authorise},         /* (caller, method, context): allow, or deny by default */
    {"attested",  ON_HEADERS, check_attestation}, /* has this channel proven what the policy asks? */
    {"limits",    ON_HEADERS, take_tokens},       /* method, caller, global: from all or none */
    {"fresh",     ON_HEADERS, prove_call},        /* a proof for this call, before anything of it is read */
    {"method",    ON_REQUEST, enter_method},      /* room among the calls of this method? */
    {"admission", ON_REQUEST, ask_admission},     /* criticality, concurrency, queue */
    {"intercept", ON_REQUEST, ask_interceptors},  /* the owner's own code: never for those refused above */
    {"handler",   ON_REQUEST, run_handler},       /* on the worker; on the pool if it blocks */
    {"record",    ON_END,     record},            /* metrics; audit has come with each decision */
};
/* clang-format on */

/* --- the steps --------------------------------------------------------------------------- */

/* HTTP/2 has checked the grammar of the path; calls of one method tend to follow each other. */
static struct method *find_method(struct neo_call *call)
{
    struct peer *p = call->peer;

    if (p->last_method == NULL || !neo_bytes_equal(p->last_method->path, call->stream->path))
        p->last_method = map_get(&call->worker->server->methods, call->stream->path);
    return p->last_method;
}

static enum neo_reason read_grammar(struct neo_call *call)
{
    struct peer *p = call->peer;

    call->method = find_method(call);
    record_started(call);
    if (call->method == NULL)
        return NEO_REASON_METHOD_UNKNOWN;
    call->reader.encoding =
        compression_read(call->request_headers, call->worker->server->options.accept_gzip);
    if (call->reader.encoding == FRAME_UNKNOWN)
        return NEO_REASON_COMPRESSION_UNKNOWN;
    if (call->method->max_request != 0)
        call->reader.max = call->method->max_request;
    if (!authority_is_ours(p, call->stream->authority))
        return NEO_REASON_AUTHORITY_UNKNOWN;
    if (wire_context_read(call->request_headers, call->arrived, call->arena, &call->context,
                          NULL) != NEO_OK)
        return NEO_REASON_REQUEST_MALFORMED;
    call->context.caller = p->caller;
    call->context.caller_uri = p->caller_uri;
    call->context.caller_serial = p->serial;
    call->context.caller_attested = peer_is_attested(p, call->arrived);
    call->context.caller_simulated = call->context.caller_attested && p->simulated;
    if (call->context.caller_attested && p->measurement != NULL) /* proving anew frees it */
        call->context.caller_measurement = neo_arena_copy(call->arena, neo_text(p->measurement));
    return NEO_REASON_NONE;
}

static enum neo_reason check_deadline(struct neo_call *call)
{
    neo_nsec longest = call->worker->server->options.max_deadline;
    neo_nsec latest = call->arrived + longest;

    if (call->context.deadline != 0 && call->context.deadline <= call->arrived)
        return NEO_REASON_DEADLINE_PASSED;
    if (call->method->info->kind == NEO_UNARY && longest != NEO_FOREVER &&
        (call->context.deadline == 0 || call->context.deadline > latest))
        call->context.deadline = latest;
    if (call->context.deadline != 0)
        neo_loop_arm(call->worker->loop, &call->deadline, call->context.deadline);
    return NEO_REASON_NONE;
}

static struct neo_bytes look_up_metadata(const void *self, struct neo_bytes key)
{
    const struct neo_call *call = self;
    char name[128];

    if (key.len >= sizeof(name) || wire_is_reserved(key))
        return (struct neo_bytes){0};
    memcpy(name, key.at, key.len);
    name[key.len] = '\0';
    return wire_header(call->request_headers, name);
}

struct neo_policy_answer pipeline_decide(struct neo_call *call, bool attested)
{
    const struct peer *p = call->peer;
    bool proven = attested && peer_is_attested(p, call->arrived);
    const struct neo_policy_question q = {
        .caller = p->caller,
        .target = call->worker->server->target,
        .service = call->method->service,
        .method = call->method->name,
        .attested = attested,
        .wall = worker_wall(call->worker),
        .metadata = look_up_metadata,
        .metadata_self = call,
        .tee = neo_text(proven && p->tee != NULL ? p->tee : ""),
        .measurement = neo_text(proven && p->measurement != NULL ? p->measurement : ""),
        .any_code = attested && !proven,
    };

    return neo_policy_decide(call->worker->epoch->is.policy, &q);
}

/* Where no condition was asked, the answer stands for all calls of this method on this connection.
 */
static struct neo_policy_answer decide(struct neo_call *call, bool attested)
{
    struct peer_method *known = peer_method(call->peer, call->method);

    if (known != NULL && known->decided)
        return known->answer;

    struct neo_policy_answer answer = pipeline_decide(call, attested);
    if (known != NULL && !answer.conditional) {
        known->answer = answer;
        known->decided = true;
    }
    return answer;
}

/* Health and the like are open to whoever has proven who it is, until a rule says otherwise. */
static bool is_open(const struct neo_call *call)
{
    return call->method->builtin && call->peer->leaf != NULL && call->answer.by_default;
}

/*
 * A denial that an attested caller would not get is none yet: the next step says what is
 * missing. The attestation itself needs no more than a proven caller.
 */
static enum neo_reason authorise(struct neo_call *call)
{
    enum neo_reason objection = peer_objection(call->peer, call->arrived);
    bool attested = call->context.caller_attested;

    if (objection != NEO_REASON_NONE)
        return objection;
    call->answer = decide(call, attested);
    if (call->answer.verdict != NEO_DENY || call->method->raw != NULL)
        return NEO_REASON_NONE;
    if (!attested && call->answer.conditional)
        call->needs_attestation = pipeline_decide(call, true).verdict != NEO_DENY;
    return call->needs_attestation || is_open(call) ? NEO_REASON_NONE : NEO_REASON_POLICY_DENIED;
}

static enum neo_reason check_attestation(struct neo_call *call)
{
    bool asked = call->needs_attestation || call->peer->must_attest;

    if (!asked || call->context.caller_attested || call->method->raw != NULL)
        return NEO_REASON_NONE;
    return NEO_REASON_ATTESTATION_REQUIRED;
}

static enum neo_reason take_tokens(struct neo_call *call)
{
    struct neo_limits *limits = call->worker->epoch->is.limits;
    const struct peer_method *known;

    if (limits == NULL || call->method->builtin)
        return NEO_REASON_NONE;
    known = peer_method(call->peer, call->method);
    if (known == NULL)
        return NEO_REASON_OUT_OF_MEMORY;
    call->limit = neo_limits_take(limits, known->limits, call->arrived);
    return call->limit.wait == 0 ? NEO_REASON_NONE : NEO_REASON_RATE_LIMITED;
}

/* Handlers whose streams were reset still run: they count, so resetting buys nobody more of them.
 */
enum { RUNNING_PER_PEER = 100 };

static enum neo_reason ask_admission(struct neo_call *call)
{
    call->ticket.criticality =
        call->method->builtin ? NEO_CRITICAL_PLUS : call->context.criticality;
    call->ticket.deadline = call->context.deadline;
    if (call->peer->n_running >= RUNNING_PER_PEER ||
        share_is_spent(call->worker, call->peer->share))
        return NEO_REASON_OVERLOADED;
    switch (neo_admission_enter(&call->worker->admission, &call->ticket,
                                neo_loop_now(call->worker->loop))) {
    case NEO_ADMISSION_RUN:
        call_enter(call);
        return NEO_REASON_NONE;
    case NEO_ADMISSION_WAIT:
        call->state = CALL_WAITING;
        worker_admit(call->worker); /* sets the time by which waiting must end */
        return NEO_REASON_NONE;
    case NEO_ADMISSION_SHED_LATE:
        return NEO_REASON_DEADLINE_PASSED;
    case NEO_ADMISSION_SHED_FULL:
        break;
    }
    return NEO_REASON_OVERLOADED;
}

static enum neo_reason prove_call(struct neo_call *call)
{
    return call_prove(call);
}

static enum neo_reason enter_method(struct neo_call *call)
{
    return call->method->gate == NULL ? NEO_REASON_NONE : method_gate_enter(call);
}

/* One that refuses has ended the call with a status of its own. */
static enum neo_reason ask_interceptors(struct neo_call *call)
{
    if (call->worker->server->n_interceptors > 0 && !call->method->builtin)
        (void)intercept_begin(call);
    return NEO_REASON_NONE;
}

static enum neo_reason run_handler(struct neo_call *call)
{
    return call_run(call);
}

static enum neo_reason record(struct neo_call *call)
{
    record_ended(call, call->code);
    return NEO_REASON_NONE;
}

/* --- refusing ---------------------------------------------------------------------------- */

/* A little more than asked, so that those who were refused together do not come back together. */
static neo_nsec spread(struct neo_call *call, neo_nsec wait)
{
    return wait + worker_random(call->worker, wait / 2 + 1);
}

__attribute__((cold)) static void refuse(struct neo_call *call, const char *stage,
                                         enum neo_reason reason)
{
    struct neo_status status = {
        .code = neo_reason_code(reason),
        .message = neo_text(neo_reason_text(reason)),
        .reason = neo_text(neo_reason_name(reason)),
    };

    record_denied(call, stage, reason, NULL);
    status.decision_id = neo_text(call->decision.text);
    if (reason == NEO_REASON_RATE_LIMITED) {
        status.bucket = neo_text(call->limit.bucket);
        status.retry_after = spread(call, call->limit.wait);
    }
    if (reason == NEO_REASON_OVERLOADED)
        status.retry_after = spread(call, NEO_NSEC_PER_SEC);
    if (reason == NEO_REASON_POLICY_DENIED || reason == NEO_REASON_ATTESTATION_REQUIRED) {
        status.service = call->worker->server->target;
        status.required_permission = call->method->name;
        status.resource = neo_bytes_from(call->method->path, 1);
    }
    call_finish(call, &status);
}

/* --- walking ----------------------------------------------------------------------------- */

/* From step `at` as far as its phase goes, or the call does. */
static void walk(struct neo_call *call, size_t at)
{
    enum phase phase = steps[at].phase;

    for (; at < NEO_COUNT(steps) && steps[at].phase == phase; at++) {
        call->step = (uint8_t)at;
        enum neo_reason reason = steps[at].run(call);
        if (reason != NEO_REASON_NONE) {
            refuse(call, steps[at].name, reason);
            return;
        }
        if (call->state == CALL_WAITING || call->state == CALL_ENDED)
            return;
    }
}

static size_t first_of(enum phase phase)
{
    size_t at = 0;

    while (steps[at].phase != phase)
        at++;
    return at;
}

void pipeline_headers(struct neo_call *call)
{
    walk(call, first_of(ON_HEADERS));
}

void pipeline_request(struct neo_call *call)
{
    walk(call, first_of(ON_REQUEST));
}

void pipeline_resume(struct neo_call *call, enum neo_reason refused)
{
    call->state = CALL_REQUEST;
    if (refused != NEO_REASON_NONE)
        refuse(call, steps[call->step].name, refused);
    else
        walk(call, call->step + 1U);
}

void pipeline_end(struct neo_call *call)
{
    walk(call, first_of(ON_END));
}
