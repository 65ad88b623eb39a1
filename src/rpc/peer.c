/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that happens to a peer by the passing of time comes from one timer: it
 * is set to the first of its instants, and a busy connection is looked at every few
 * seconds besides, for calls that stand still. So a call arms nothing here.
 */
#include "rpc/peer.h"

#include "rpc/authority.h"
#include "rpc/call.h"
#include "rpc/record.h"
#include "rpc/share.h"
#include "rpc/wire.h"

#include "attest/fresh.h"

#include <neo/memory.h>

#include <assert.h>

#define BUSY_TICK    (5 * NEO_NSEC_PER_SEC)
#define BLOCK_LIMIT  (5 * NEO_NSEC_PER_SEC)
#define NOTICE_TIME  (1 * NEO_NSEC_PER_SEC)
#define CLOSE_TIME   (1 * NEO_NSEC_PER_SEC)
#define REATTEST     (10 * NEO_NSEC_PER_SEC) /* for a peer whose appraisal was by other rules */
#define DRAIN_BEFORE 60                      /* seconds before a certificate ends */
/* New calls end with the certificate; a stream that was begun before may run on for so long. */
#define STREAM_GRACE (60 * NEO_NSEC_PER_SEC)
#define LONGEST_LIFE (INT64_C(10) * 365 * 86400)

static const uint8_t drain_ping[8] = {'n', 'e', 'o', 'd', 'r', 'a', 'i', 'n'};
static const uint8_t keepalive_ping[8] = {'n', 'e', 'o', 'a', 'l', 'i', 'v', 'e'};

static neo_nsec now_of(const struct peer *p)
{
    return neo_loop_now(p->worker->loop);
}

/* --- time -------------------------------------------------------------------------------- */

static void consider(neo_nsec *first, neo_nsec at)
{
    if (at != 0 && (*first == 0 || at < *first))
        *first = at;
}

/* So long after `at`; 0 for never. */
static neo_nsec after(neo_nsec at, neo_nsec span)
{
    return span >= (neo_nsec)LONGEST_LIFE * NEO_NSEC_PER_SEC ? 0 : at + span;
}

/* The next keepalive PING, or the end of the wait for its answer. */
static neo_nsec keepalive_at(const struct peer *p)
{
    const struct neo_server_options *o = &p->worker->server->options;

    return p->pinged_at != 0 ? after(p->pinged_at, o->keepalive_timeout)
                             : after(conn_last_read(p->conn), o->keepalive_time);
}

static bool has_open_h2(const struct peer *p)
{
    return p->state != PEER_HANDSHAKE && p->state != PEER_GONE && conn_h2(p->conn) != NULL;
}

static void arm(struct peer *p)
{
    const struct neo_server_options *o = &p->worker->server->options;
    neo_nsec first = 0;

    consider(&first, p->expires_at == 0 ? 0 : p->expires_at + STREAM_GRACE);
    consider(&first, p->end_at);
    consider(&first, p->attested_until);
    consider(&first, p->block_at);
    if (p->state == PEER_OPEN) {
        consider(&first, p->drain_at);
        consider(&first, p->age_at);
    }
    if (has_open_h2(p))
        consider(&first, keepalive_at(p));
    if (p->state == PEER_NOTICED)
        consider(&first, p->leave_at);
    if (p->n_calls > 0)
        consider(&first, now_of(p) + BUSY_TICK);
    else if (p->state == PEER_OPEN)
        consider(&first, after(p->idle_since, o->max_connection_idle));
    if (p->state == PEER_GONE)
        first = 0;
    p->tick_at = first;
    if (first == 0)
        neo_loop_disarm(p->worker->loop, &p->tick);
    else
        neo_loop_arm(p->worker->loop, &p->tick, first);
}

void peer_note_busy(struct peer *p)
{
    p->n_calls++;
    if (p->tick_at == 0 || p->tick_at > now_of(p) + BUSY_TICK)
        arm(p);
}

void peer_note_idle(struct peer *p)
{
    if (--p->n_calls == 0)
        p->idle_since = now_of(p);
    if (!list_is_empty(&p->held))
        neo_loop_arm(p->worker->loop, &p->resume, now_of(p));
}

bool peer_output_is_full(const struct peer *p)
{
    return h2_queued_in_all(conn_h2(p->conn)) >= PEER_OUTPUT_MAX;
}

/* A stream has gone, and what it had queued. */
static void on_resume(struct neo_timer *timer)
{
    struct peer *p = neo_owner(timer, struct peer, resume);

    while (!list_is_empty(&p->held) && conn_h2(p->conn) != NULL && !peer_output_is_full(p))
        call_resume(neo_owner(p->held.next, struct neo_call, held));
    conn_kick(p->conn);
}

/* Streams whose peer lets nothing out, and calls whose request does not arrive. */
static void cut_stalled(struct peer *p)
{
    struct h2 *h2 = conn_h2(p->conn);
    neo_nsec patience = p->worker->server->options.max_stall;
    neo_nsec now = now_of(p);
    struct h2_stream *s;

    if (h2 == NULL)
        return;
    while (now > patience && (s = h2_stalled(h2, now - patience)) != NULL)
        peer_cut_output(p, s);
    list_each (link, &p->calls)
        call_check_stalled(neo_owner(link, struct neo_call, link), now);
    conn_kick(p->conn);
}

static void rest(struct peer *p)
{
    if (conn_h2(p->conn) != NULL)
        h2_trim(conn_h2(p->conn));
    neo_nsec idle_at = after(p->idle_since, p->worker->server->options.max_connection_idle);
    if (p->state == PEER_OPEN && idle_at != 0 && now_of(p) >= idle_at)
        peer_drain(p, "max_idle", NOTICE_TIME, NEO_REASON_DRAINING);
}

static void leave(struct peer *p)
{
    neo_nsec now = now_of(p);
    neo_nsec left = p->end_at > now ? p->end_at - now : 0;

    if (p->end_at == 0) /* no hurry: its calls may take as long as they want */
        left = (neo_nsec)LONGEST_LIFE * NEO_NSEC_PER_SEC;
    p->state = PEER_LEAVING;
    conn_close(p->conn, H2_NO_ERROR, p->debug, left + CLOSE_TIME, NEO_OK, p->debug);
}

/* False: the peer is gone, and `p` with it. */
static bool check_alive(struct peer *p)
{
    neo_nsec now = now_of(p);
    neo_nsec at;

    if (!has_open_h2(p))
        return true;
    if (p->pinged_at != 0 && conn_last_read(p->conn) > p->pinged_at)
        p->pinged_at = 0; /* whatever came, it lives */
    at = keepalive_at(p);
    if (at == 0 || now < at)
        return true;
    if (p->pinged_at != 0) {
        record_silent(p);
        peer_cut(p);
        return false;
    }
    p->pinged_at = now;
    p->counts.pings++;
    h2_ping(conn_h2(p->conn), keepalive_ping);
    conn_kick(p->conn);
    return true;
}

/* Nothing else can come before its end, neither for new calls nor for those that run. */
void peer_note_block(struct peer *p)
{
    if (p->block_at != 0)
        return;
    p->block_at = h2_block_since(conn_h2(p->conn)) + BLOCK_LIMIT;
    if (p->tick_at == 0 || p->tick_at > p->block_at)
        arm(p);
}

static void check_block(struct peer *p)
{
    neo_nsec since = h2_block_since(conn_h2(p->conn));

    p->block_at = since == 0 ? 0 : since + BLOCK_LIMIT;
    if (p->block_at == 0 || now_of(p) < p->block_at)
        return;
    p->block_at = 0;
    record_stalled(p);
    peer_end(p, NEO_REASON_CALL_STALLED);
}

static void on_tick(struct neo_timer *timer)
{
    struct peer *p = neo_owner(timer, struct peer, tick);
    neo_nsec now = now_of(p);

    if (!check_alive(p))
        return;
    if (p->attested_until != 0 && now >= p->attested_until)
        peer_set_attested(p, 0);
    if (p->block_at != 0 && now >= p->block_at && has_open_h2(p))
        check_block(p);
    if (p->expires_at != 0 && now >= p->expires_at + STREAM_GRACE)
        peer_end(p, p->own_expires ? NEO_REASON_DRAINING : NEO_REASON_CERTIFICATE_EXPIRED);
    else if (p->end_at != 0 && now >= p->end_at)
        peer_end(p, p->end_reason);
    else if (p->state == PEER_NOTICED && now >= p->leave_at)
        leave(p);
    else if (p->state == PEER_OPEN && p->drain_at != 0 && now >= p->drain_at)
        peer_drain(p, "certificate_expires", p->expires_at - now + STREAM_GRACE,
                   NEO_REASON_CERTIFICATE_EXPIRED);
    else if (p->state == PEER_OPEN && p->age_at != 0 && now >= p->age_at)
        peer_drain(p, "max_age", p->worker->server->options.max_connection_age_grace,
                   NEO_REASON_DRAINING);
    if (p->n_calls > 0)
        cut_stalled(p);
    else
        rest(p);
    arm(p);
}

/* When the earlier of both certificates ends; drained a minute, or a fifth of a short life, before.
 */
static void set_expiry(struct peer *p)
{
    const struct neo_cert_facts *facts = p->leaf == NULL ? NULL : neo_cert_facts(p->leaf);
    int64_t wall = worker_wall(p->worker);
    int64_t ends = p->worker->epoch->own_not_after;

    p->own_expires = facts == NULL || facts->not_after > ends;
    if (!p->own_expires)
        ends = facts->not_after;

    int64_t left = ends > wall ? ends - wall : 0;
    if (left > LONGEST_LIFE)
        left = LONGEST_LIFE;
    int64_t before = left / 5 < DRAIN_BEFORE ? left / 5 : DRAIN_BEFORE;
    p->expires_at = now_of(p) + (neo_nsec)left * NEO_NSEC_PER_SEC + 1;
    p->drain_at = p->expires_at - (neo_nsec)before * NEO_NSEC_PER_SEC;
}

/* A tenth sooner or later, so that connections that came together do not leave together. */
static void set_age(struct peer *p)
{
    neo_nsec age = p->worker->server->options.max_connection_age;
    neo_nsec tenth = age / 10;

    p->age_at = after(now_of(p), age);
    if (p->age_at != 0)
        p->age_at += worker_random(p->worker, 2 * tenth + 1) - tenth;
}

/* --- judgement --------------------------------------------------------------------------- */

static bool is_trusted(const struct peer *p, const struct epoch *e)
{
    if (p->leaf == NULL)
        return p->worker->server->options.allow_anonymous;
    return neo_trust_stands(e->is.trust, p->leaf);
}

/* False: what it proved to run counts no more, and it is gone. */
static bool judge_attestation(struct peer *p, const struct epoch *e)
{
    struct neo_bytes target = p->worker->server->target;

    p->must_attest = neo_policy_wants_attestation(e->is.policy, p->caller, target) ||
                     (e->is.attest_policies != NULL &&
                      neo_attest_policies_has(e->is.attest_policies, p->caller));
    if (p->attested_until == 0 || p->attested_by == e->attest_number)
        return true;
    if (attest_code_refusal(&p->code, e->is.attest_policies, p->caller, worker_wall(p->worker)) !=
        NULL) {
        peer_end(p, NEO_REASON_ATTESTATION_REFUSED);
        return false;
    }
    peer_drain(p, "attestation_policy_changed", REATTEST, NEO_REASON_ATTESTATION_EXPIRED);
    return true;
}

void peer_judge(struct peer *p)
{
    const struct epoch *e = p->worker->epoch;

    if (p->state == PEER_HANDSHAKE || p->state == PEER_GONE || p->judged == e->number)
        return;
    if (!is_trusted(p, e)) {
        peer_end(p, NEO_REASON_CERTIFICATE_REVOKED);
        return;
    }
    if (!judge_attestation(p, e))
        return;
    p->judged = e->number;
    list_each (link, &p->calls)
        call_judge(neo_owner(link, struct neo_call, link));
    conn_kick(p->conn);
}

enum neo_reason peer_objection(struct peer *p, neo_nsec now)
{
    if (p->expires_at != 0 && now >= p->expires_at)
        return NEO_REASON_CERTIFICATE_EXPIRED;
    if (p->judged != p->worker->epoch->number)
        peer_judge(p);
    if (p->judged == p->worker->epoch->number)
        return NEO_REASON_NONE;
    return is_trusted(p, p->worker->epoch) ? NEO_REASON_ATTESTATION_REFUSED
                                           : NEO_REASON_CERTIFICATE_REVOKED;
}

bool peer_is_attested(const struct peer *p, neo_nsec now)
{
    return p->attested_until != 0 && now < p->attested_until;
}

void peer_set_attested(struct peer *p, neo_nsec until)
{
    p->attested_until = until;
    p->attested_by = p->worker->epoch->attest_number;
    if (until == 0) {
        neo_free(p->measurement);
        p->measurement = NULL;
        p->tee = NULL;
        census_forget(&p->counted);
    }
    if (until == 0)
        list_each (link, &p->calls)
            call_judge_attestation(neo_owner(link, struct neo_call, link));
    arm(p);
}

/* --- leaving ----------------------------------------------------------------------------- */

void peer_drain(struct peer *p, const char *debug, neo_nsec grace, enum neo_reason reason)
{
    neo_nsec ends = after(now_of(p), grace);

    if (p->state == PEER_GONE)
        return;
    if (grace == 0 || p->state == PEER_HANDSHAKE || conn_h2(p->conn) == NULL) {
        peer_end(p, reason);
        return;
    }
    if (ends != 0 && (p->end_at == 0 || ends < p->end_at)) {
        p->end_at = ends;
        p->end_reason = reason;
    }
    if (p->state == PEER_OPEN) {
        p->state = PEER_NOTICED;
        p->debug = debug;
        p->leave_at = now_of(p) + NOTICE_TIME;
        h2_shutdown_notice(conn_h2(p->conn));
        h2_ping(conn_h2(p->conn), drain_ping);
        conn_kick(p->conn);
    }
    arm(p);
}

/* The requests that were under way when the first GOAWAY left have come: the second may go. */
void peer_note_pong(struct peer *p, const uint8_t opaque[static 8])
{
    if (p->state == PEER_NOTICED && memcmp(opaque, drain_ping, sizeof(drain_ping)) == 0)
        leave(p);
}

void peer_end(struct peer *p, enum neo_reason reason)
{
    if (p->state == PEER_GONE)
        return;
    p->judged = 0;
    p->expires_at = p->end_at = p->drain_at = 0;
    list_each (link, &p->calls)
        call_end(neo_owner(link, struct neo_call, link), reason);
    p->state = PEER_LEAVING;
    conn_close(p->conn, H2_NO_ERROR, neo_reason_name(reason), CLOSE_TIME, neo_reason_code(reason),
               neo_reason_text(reason));
    arm(p);
}

/* --- life -------------------------------------------------------------------------------- */

/* Without a certificate the address is all there is to count by. */
static struct neo_bytes counting_name(const struct tls_peer *facts, const char *address)
{
    const char *port = strrchr(address, ':');

    if (facts->leaf != NULL)
        return facts->uri;
    return port == NULL ? neo_text(address) : neo_bytes(address, (size_t)(port - address));
}

static enum neo_code copy_identity(struct peer *p, struct neo_error *err)
{
    const struct tls_peer *facts = tls_peer(conn_tls(p->conn));
    struct neo_bytes name = counting_name(facts, conn_peer_address(p->conn));
    struct neo_bytes serial = {0};
    if (facts->leaf != NULL)
        serial = neo_cert_facts(facts->leaf)->serial;
    size_t len = facts->service.len + facts->uri.len + serial.len + name.len;
    char *at = neo_alloc(len + 1);

    if (at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a peer's identity");
    p->strings = at;
    p->leaf = facts->leaf;
    p->caller = neo_bytes(memcpy(at, facts->service.at, facts->service.len), facts->service.len);
    at += facts->service.len;
    if (facts->uri.len > 0)
        p->caller_uri = neo_bytes(memcpy(at, facts->uri.at, facts->uri.len), facts->uri.len);
    at += facts->uri.len;
    if (serial.len > 0)
        p->serial = neo_bytes(memcpy(at, serial.at, serial.len), serial.len);
    at += serial.len;
    if (!server_identity_enter(p->worker->server, name))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "too many connections of '%.*s'",
                        NEO_FMT(name));
    p->counted_as = neo_bytes(memcpy(at, name.at, name.len), name.len);
    p->share = share_enter(p->worker, name);
    if (p->share == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a peer's share");
    return NEO_OK;
}

static void on_greeted(struct conn *c)
{
    struct peer *p = conn_owner(c);

    worker_greeted(p->worker, p);
}

static enum neo_code on_proven(struct conn *c, struct neo_error *err)
{
    struct peer *p = conn_owner(c);

    worker_handshake_done(p->worker, p);
    enum neo_code code = copy_identity(p, err);
    if (code != NEO_OK) {
        record_refused_connection(p->worker->server, "too_many_connections", conn_peer_address(c));
        conn_close(c, H2_ENHANCE_YOUR_CALM, "too_many_connections", 0, code, err->message);
        return NEO_OK;
    }
    p->state = PEER_OPEN;
    p->idle_since = now_of(p);
    set_expiry(p);
    set_age(p);
    peer_judge(p);
    if (atomic_load(&p->worker->server->draining))
        peer_drain(p, "server_shutdown", NOTICE_TIME, NEO_REASON_DRAINING);
    arm(p);
    return NEO_OK;
}

/* The connection is no more, or is about to be; its calls have heard `closed`. */
static void let_go(struct peer *p)
{
    struct worker *w = p->worker;

    assert(list_is_empty(&p->calls));
    record_durations(w);
    worker_handshake_done(w, p);
    neo_loop_disarm(w->loop, &p->tick);
    neo_loop_disarm(w->loop, &p->resume);
    list_remove(&p->link);
    w->n_peers--;
    stat_add(&w->stats.connections, -1);
    if (p->counted_as.len > 0)
        server_identity_leave(w->server, p->counted_as);
    p->state = PEER_GONE;
    p->leaf = NULL;
    p->conn = NULL;
    fresh_free(p->fresh);
    p->fresh = NULL;
    peer_unref(p);
}

static void on_gone(struct conn *c, const struct neo_error *err)
{
    struct peer *p = conn_owner(c);

    record_gone(p, err);
    conn_free(c);
    let_go(p);
}

void peer_cut(struct peer *p)
{
    if (p->state == PEER_GONE)
        return;
    conn_free(p->conn);
    let_go(p);
}

static void on_worked(struct conn *c)
{
    const struct peer *p = conn_owner(c);

    record_durations(p->worker);
}

static const struct conn_hooks hooks = {
    .warm = peer_warm,
    .greeted = on_greeted,
    .proven = on_proven,
    .worked = on_worked,
    .gone = on_gone,
};

enum neo_code peer_new(struct worker *w, int fd, struct tls *tls, struct peer **ret,
                       struct neo_error *err)
{
    struct peer *p = neo_alloc(sizeof(*p));
    const struct conn_options options = {
        .loop = w->loop,
        .fd = fd,
        .server = true,
        .tls = tls,
        .events = &peer_events,
        .limits = w->server->h2_limits,
        .hooks = &hooks,
        .owner = p,
    };

    if (p == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a connection");
    enum neo_code code = conn_new(&options, &p->conn, err);
    if (code != NEO_OK) {
        neo_free(p);
        return code;
    }
    p->worker = w;
    p->refs = 1;
    p->tick.expired = on_tick;
    p->resume.expired = on_resume;
    list_init(&p->held);
    list_init(&p->calls);
    list_push_back(&w->peers, &p->link);
    list_init(&p->handshake);
    w->n_peers++;
    stat_add(&w->stats.connections, 1);
    *ret = p;
    return NEO_OK;
}

struct peer *peer_ref(struct peer *p)
{
    p->refs++;
    return p;
}

void peer_unref(struct peer *p)
{
    if (--p->refs > 0)
        return;
    census_forget(&p->counted);
    share_leave(p->worker, p->share);
    neo_free(p->methods);
    neo_free(p->strings);
    neo_free(p->measurement);
    authority_forget(p);
    neo_free(p);
}

struct peer_method *peer_method(struct peer *p, const struct method *m)
{
    const struct epoch *e = p->worker->epoch;

    if (p->methods == NULL)
        p->methods = neo_alloc_array(p->worker->server->n_methods, sizeof(*p->methods));
    if (p->methods == NULL)
        return NULL;

    struct peer_method *known = &p->methods[m->index];
    if (known->epoch == e->number)
        return known;
    *known = (struct peer_method){.epoch = e->number};
    if (e->is.limits != NULL)
        known->limits = neo_limits_keys(e->is.limits, p->caller, m->service, m->name);
    return known;
}
