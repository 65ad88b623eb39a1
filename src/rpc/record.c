/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels come from closed sets only: known methods, codes, reasons, configured
 * buckets. A method nobody knows counts as "other".
 */
#include "rpc/record.h"

#include "rpc/wire.h"

#include <neo/encoding.h>

enum { TRACE_ID_AT = 3, TRACE_ID_LEN = 32 };

/* --- metrics ----------------------------------------------------------------------------- */

static struct neo_family *family(struct neo_server *server, const char *name, const char *help,
                                 enum neo_metric_kind kind, const char *const *labels)
{
    struct neo_metrics *metrics = server->options.metrics;

    return metrics == NULL ? NULL : neo_metrics_family(metrics, name, help, kind, labels);
}

bool record_init(struct neo_server *server)
{
    static const char *const by_method[] = {"method", NULL};
    static const char *const by_code[] = {"method", "code", NULL};
    static const char *const by_reason[] = {"reason", NULL};
    static const char *const by_bucket[] = {"bucket", NULL};
    static const char *const by_why[] = {"why", NULL};
    struct server_metrics *m = &server->metrics;

    m->started =
        family(server, "neo_rpc_server_started_total", "Calls received.", NEO_COUNTER, by_method);
    m->handled = family(server, "neo_rpc_server_handled_total", "Calls ended, by code.",
                        NEO_COUNTER, by_code);
    m->duration = family(server, "neo_rpc_server_duration_seconds",
                         "From the headers to the end of the call.", NEO_HISTOGRAM, by_method);
    m->denied = family(server, "neo_rpc_server_denied_total",
                       "Calls refused before or ended against their handler, by reason.",
                       NEO_COUNTER, by_reason);
    m->rate_limited = family(server, "neo_rpc_server_rate_limited_total",
                             "Calls refused by a rate limit, by bucket.", NEO_COUNTER, by_bucket);
    m->connections = family(server, "neo_rpc_server_connections_ended_total",
                            "Connections that ended, by why.", NEO_COUNTER, by_why);
    m->unknown.path = NEO_LIT("/other");
    return record_init_method(server, &m->unknown);
}

bool record_init_method(struct neo_server *server, struct method *m)
{
    struct neo_bytes label = neo_bytes_from(m->path, 1);

    if (server->options.metrics == NULL)
        return true;
    if (server->metrics.started == NULL || server->metrics.handled == NULL ||
        server->metrics.duration == NULL)
        return false;
    m->metrics.started = neo_counter(server->metrics.started, &label);
    m->metrics.duration = neo_histogram(server->metrics.duration, &label);
    return true;
}

static void count(struct neo_family *family, struct neo_bytes label)
{
    if (family != NULL)
        neo_counter_add(neo_counter(family, &label), 1);
}

/* Looked up once per method and code; whoever comes first keeps it for all workers. */
static struct neo_counter *handled_counter(struct neo_server *server, struct method *m,
                                           enum neo_code code)
{
    struct neo_counter *counter =
        atomic_load_explicit(&m->metrics.handled[code], memory_order_relaxed);

    if (counter == NULL) {
        const struct neo_bytes labels[] = {neo_bytes_from(m->path, 1),
                                           neo_text(neo_code_name(code))};
        counter = neo_counter(server->metrics.handled, labels);
        atomic_store_explicit(&m->metrics.handled[code], counter, memory_order_relaxed);
    }
    return counter;
}

static struct method *counted_as(struct neo_call *call)
{
    return call->method != NULL ? call->method : &call->worker->server->metrics.unknown;
}

void record_started(struct neo_call *call)
{
    if (call->worker->server->options.metrics != NULL)
        neo_counter_add(counted_as(call)->metrics.started, 1);
}

void record_ended(struct neo_call *call, enum neo_code code)
{
    struct worker *w = call->worker;
    struct neo_server *server = w->server;
    struct method *m = counted_as(call);

    if (server->options.metrics == NULL)
        return;
    neo_counter_add(handled_counter(server, m, (size_t)code < CODES ? code : NEO_UNKNOWN), 1);
    if (w->n_ended == NEO_COUNT(w->ended))
        record_durations(w);
    w->ended[w->n_ended++] = (struct ended_call){m->metrics.duration, call->arrived};
}

void record_durations(struct worker *w)
{
    neo_nsec now = w->n_ended > 0 ? neo_mono_nsec() : 0;

    for (size_t i = 0; i < w->n_ended; i++)
        neo_histogram_observe(w->ended[i].in, now - w->ended[i].arrived);
    w->n_ended = 0;
}

/* --- the log ----------------------------------------------------------------------------- */

enum { LINES_PER_SECOND = 10 };

/* Callers decide how often such lines come: only so many are written. */
static bool may_note(struct worker *w, enum neo_log_level level, uint64_t *ret_left_out)
{
    struct log_gate *gate = &w->noted;
    neo_nsec now = neo_loop_now(w->loop);

    if (!neo_log_enabled(w->server->options.log, level))
        return false;
    if (now - gate->since >= NEO_NSEC_PER_SEC) {
        gate->since = now;
        gate->n = 0;
    }
    if (gate->n == LINES_PER_SECOND) {
        gate->left_out++;
        return false;
    }
    gate->n++;
    *ret_left_out = gate->left_out;
    gate->left_out = 0;
    return true;
}

void record_broken(struct neo_call *call, const char *how)
{
    uint64_t left_out;

    if (may_note(call->worker, NEO_LOG_WARN, &left_out))
        neo_log_warn(call->worker->server->options.log, "call.handler_broken",
                     NEO_BYTES("method", call->method->path), NEO_STR("why", how),
                     NEO_U64("left_out", left_out));
}

void record_cut(struct neo_call *call, const char *what)
{
    uint64_t left_out;

    if (may_note(call->worker, NEO_LOG_WARN, &left_out))
        neo_log_warn(call->worker->server->options.log, "call.answer_cut",
                     NEO_BYTES("method", call->method->path), NEO_STR("not_sent", what),
                     NEO_U64("peer_takes", h2_peer_takes(conn_h2(call->peer->conn))),
                     NEO_BYTES("caller", call->peer->caller), NEO_U64("left_out", left_out));
}

void record_stalled(const struct peer *p)
{
    uint64_t left_out;

    if (may_note(p->worker, NEO_LOG_WARN, &left_out))
        neo_log_warn(p->worker->server->options.log, "call.stalled", NEO_BYTES("caller", p->caller),
                     NEO_STR("peer", conn_peer_address(p->conn)), NEO_U64("left_out", left_out));
}

void record_no_thread(struct neo_call *call)
{
    const struct neo_server_options *o = &call->worker->server->options;
    uint64_t left_out;

    count(call->worker->server->metrics.denied, neo_text(neo_reason_name(NEO_REASON_OVERLOADED)));
    if (may_note(call->worker, NEO_LOG_WARN, &left_out))
        neo_log_warn(o->log, "call.no_thread", NEO_BYTES("method", call->method->path),
                     NEO_U64("max_blocking", o->max_blocking),
                     NEO_U64("waited_ms", o->max_blocking_wait / NEO_NSEC_PER_MSEC),
                     NEO_U64("left_out", left_out));
}

void record_unanswered(struct neo_call *call)
{
    uint64_t left_out;

    if (may_note(call->worker, NEO_LOG_INFO, &left_out))
        neo_log_info(call->worker->server->options.log, "call.unanswered",
                     NEO_BYTES("method", call->method->path),
                     NEO_STR("why", "the handler had not answered when the deadline passed"),
                     NEO_U64("left_out", left_out));
}

/* Where no audit sink has it, the log says what a decision id of ours was about. */
static void note_denied(struct neo_call *call, const struct neo_audit_record *r)
{
    const struct peer *p = call->peer;
    uint64_t left_out;

    if (may_note(call->worker, NEO_LOG_INFO, &left_out))
        neo_log_info(
            call->worker->server->options.log, "call.denied",
            NEO_STR("decision", call->decision.text),
            NEO_BYTES("method", call->method != NULL ? call->method->path : call->stream->path),
            NEO_BYTES("caller", p->caller_uri.len > 0 ? p->caller_uri : p->caller),
            NEO_STR("stage", r->stage), NEO_STR("reason", r->reason), NEO_STR("detail", r->detail),
            NEO_U64("left_out", left_out));
}

/* --- audit ------------------------------------------------------------------------------- */

static void write_audit(struct neo_call *call, struct neo_audit_record *r)
{
    struct neo_audit_sink *sink = call->worker->server->options.audit;
    const struct peer *p = call->peer;
    char trace[NEO_TRACEPARENT_LEN + 1];

    neo_trace_format(&call->context.trace, trace);
    r->id = call->decision;
    r->wall_nsec = neo_wall_nsec();
    r->caller = p->caller_uri.len > 0 ? p->caller_uri : p->caller;
    r->target = call->worker->server->target;
    r->method = neo_bytes_from(call->method != NULL ? call->method->path : call->stream->path, 1);
    if (!call->answer.by_default) { /* else it is where the caller's document begins: no rule */
        r->rule_file = call->answer.rule.file;
        r->rule_line = call->answer.rule.line;
    }
    r->nearest_file = call->answer.nearest.file;
    r->nearest_line = call->answer.nearest.line;
    r->trace_id = neo_bytes(trace + TRACE_ID_AT, TRACE_ID_LEN);
    r->peer = neo_text(p->conn == NULL ? "" : conn_peer_address(p->conn));
    r->policy_version = neo_policy_version(call->worker->epoch->is.policy);
    r->evidence = p->evidence[0] == '\0' ? NULL : p->evidence;
    sink->record(sink, r);
}

/* The policy's own words where it was the policy; the caller is told none of them. */
static const char *detail_of(const struct neo_call *call, enum neo_reason reason)
{
    if (reason == NEO_REASON_POLICY_DENIED || reason == NEO_REASON_POLICY_CHANGED)
        return call->answer.reason;
    if (reason == NEO_REASON_RATE_LIMITED)
        return call->limit.bucket;
    return neo_reason_text(reason);
}

void record_denied(struct neo_call *call, const char *stage, enum neo_reason reason,
                   const char *detail)
{
    struct neo_server *server = call->worker->server;
    struct neo_audit_record r = {
        .decision = "deny",
        .stage = stage,
        .reason = neo_reason_name(reason),
        .detail = detail != NULL ? detail : detail_of(call, reason),
    };

    call->decision = neo_decision_id_new();
    stat_add(&call->worker->stats.denied, 1);
    count(server->metrics.denied, neo_text(neo_reason_name(reason)));
    if (reason == NEO_REASON_RATE_LIMITED)
        count(server->metrics.rate_limited, neo_text(call->limit.bucket));
    if (server->options.audit != NULL)
        write_audit(call, &r);
    else
        note_denied(call, &r);
}

void record_allowed(struct neo_call *call)
{
    struct neo_audit_sink *sink = call->worker->server->options.audit;
    bool shadow = call->answer.verdict == NEO_SHADOW_DENY;

    if (sink == NULL || !(shadow || sink->allowances))
        return;

    struct neo_audit_record r = {
        .decision = shadow ? "shadow-deny" : "allow",
        .stage = "authorise",
        .reason = "",
        .detail =
            call->answer.verdict == NEO_DENY ? "open to every proven caller" : call->answer.reason,
    };
    call->decision = neo_decision_id_new();
    write_audit(call, &r);
}

void record_attested(struct neo_call *call, const char *detail)
{
    struct neo_audit_record r = {
        .decision = "allow",
        .stage = "attestation",
        .reason = "",
        .detail = detail,
    };

    call->decision = neo_decision_id_new();
    if (call->worker->server->options.audit != NULL)
        write_audit(call, &r);
}

/* --- connections ------------------------------------------------------------------------- */

/* Once for a connection: whoever sends one such request sends more. */
void record_malformed(struct peer *p, struct neo_bytes name)
{
    enum { NAME_SHOWN = 128 };

    if (p->told_malformed)
        return;
    p->told_malformed = true;
    name.len = name.len > NAME_SHOWN ? NAME_SHOWN : name.len;
    neo_log_warn(p->worker->server->options.log, "connection.malformed_request",
                 NEO_BYTES("field", name), NEO_BYTES("caller", p->caller_uri),
                 NEO_STR("peer", conn_peer_address(p->conn)));
}

void record_unread(const struct peer *p, const struct neo_error *err)
{
    neo_log_warn(p->worker->server->options.log, "connection.foreign_certificate",
                 NEO_STR("error", err->message), NEO_STR("peer", conn_peer_address(p->conn)));
}

void record_silent(const struct peer *p)
{
    count(p->worker->server->metrics.connections, NEO_LIT("silent"));
    neo_log_info(p->worker->server->options.log, "connection.silent",
                 NEO_BYTES("caller", p->caller_uri), NEO_STR("peer", conn_peer_address(p->conn)));
}

static const char *why(const struct peer *p, enum neo_code code)
{
    bool early = p->state == PEER_HANDSHAKE;

    switch ((int)code) {
    case NEO_OK:
        return "done";
    case NEO_UNAUTHENTICATED:
        return "unauthenticated";
    case NEO_DEADLINE_EXCEEDED:
        return "handshake_timeout";
    case NEO_RESOURCE_EXHAUSTED:
        return early ? "handshake_failed" : "guard";
    default:
        return early ? "handshake_failed" : "lost";
    }
}

/* The guard's message names the attack, and here is by whom. That peers come and go is no warning.
 */
void record_gone(const struct peer *p, const struct neo_error *err)
{
    const struct neo_server *server = p->worker->server;
    bool bad = err->code == NEO_RESOURCE_EXHAUSTED || err->code == NEO_UNAUTHENTICATED;

    count(server->metrics.connections, neo_text(why(p, err->code)));
    if (err->code != NEO_OK)
        neo_log_at(server->options.log, bad ? NEO_LOG_WARN : NEO_LOG_INFO, "connection.ended",
                   NEO_STR("why", why(p, err->code)), NEO_STR("error", err->message),
                   NEO_BYTES("caller", p->caller_uri), NEO_STR("peer", conn_peer_address(p->conn)),
                   {0});
}

void record_refused_connection(const struct neo_server *server, const char *reason,
                               const char *address)
{
    count(server->metrics.connections, neo_text(reason));
    neo_log_warn(server->options.log, "connection.refused", NEO_STR("why", reason),
                 NEO_STR("peer", address));
}
