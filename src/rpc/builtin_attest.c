/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo.attest.v1.Attestation/Attest: carries the frames of an exchange between the
 * stream and attest/session.h, which knows what they mean. The connection's own view
 * of itself goes in, and what comes out is kept on the connection: attested until
 * when.
 *
 * One exchange at a time, a few at once and one a second after that, ten seconds
 * each. An attester that blocks runs on the pool; the exchange outlives the call for
 * as long as that takes.
 */
#include "rpc/builtin.h"
#include "rpc/call.h"
#include "rpc/record.h"

#include "attest/session.h"

#include <neo/attest/v1/attest.neo.h>
#include <neo/digest.h>
#include <neo/encoding.h>
#include <neo/memory.h>

#define EXCHANGE_TIME  (10 * NEO_NSEC_PER_SEC)
#define EXCHANGE_EVERY (1 * NEO_NSEC_PER_SEC)
#define LEAVE_TIME     (2 * NEO_NSEC_PER_SEC)

enum { EXCHANGE_BURST = 4, FRAME_MAX = 64 * 1024 };

struct attest_exchange {
    struct neo_call *call;
    struct attest_session *session;
    struct neo_task quote; /* an attester that blocks */
    struct neo_buffer body;
    struct neo_buffer certificates;
    enum neo_code quoted;
    bool quoting;
    bool over;     /* the call has ended */
    bool settling; /* a frame is being taken: who does that frees */
    bool want_peer;
    uint64_t attest_number; /* of the epoch whose rules the session holds */
};

static void free_exchange(struct attest_exchange *x)
{
    attest_session_free(x->session);
    neo_buffer_fini(&x->body);
    neo_buffer_fini(&x->certificates);
    neo_free(x);
}

/* --- what comes out ---------------------------------------------------------------------- */

static void keep_digest(struct peer *p, const struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    p->evidence[0] = '\0';
    if (appraisal == NULL || !neo_hex_encode(&hex, neo_bytes(appraisal->evidence_sha256, 32)) ||
        hex.len >= sizeof(p->evidence))
        return;
    memcpy(p->evidence, hex.at, hex.len);
    p->evidence[hex.len] = '\0';
}

static void accept(struct attest_exchange *x)
{
    static const struct neo_status ok = {.code = NEO_OK};
    struct peer *p = x->call->peer;

    if (x->want_peer) {
        keep_digest(p, attest_session_appraisal(x->session));
        record_attested(x->call, attest_session_detail(x->session));
        peer_set_attested(p, attest_session_valid_until(x->session));
    }
    neo_call_finish(x->call, &ok);
}

/* An attestation that failed is not tried again on this connection. */
static void refuse(struct attest_exchange *x)
{
    struct peer *p = x->call->peer;
    struct neo_call *call = x->call;

    record_denied(call, "attestation", NEO_REASON_ATTESTATION_REFUSED,
                  attest_session_detail(x->session));
    if (x->want_peer)
        peer_set_attested(p, 0);
    call_end(call, NEO_REASON_ATTESTATION_REFUSED);
    peer_drain(p, "attestation_refused", LEAVE_TIME, NEO_REASON_ATTESTATION_REFUSED);
}

/*
 * Rules that have been withdrawn speak for nobody, though the session still judges by them: what
 * they found is kept neither here nor, as the verdict has not left, there.
 */
static void ask_anew(struct attest_exchange *x)
{
    record_denied(x->call, "attestation", NEO_REASON_ATTESTATION_EXPIRED,
                  "the rules changed while the evidence was judged");
    call_end(x->call, NEO_REASON_ATTESTATION_EXPIRED);
}

static void send_frame(struct attest_exchange *x, const struct neo_buffer *frame)
{
    if (frame->len > 0)
        (void)call_send_raw(x->call, neo_buffer_bytes(frame));
}

/* --- evidence ---------------------------------------------------------------------------- */

static void quote(struct attest_exchange *x)
{
    struct neo_attester *attester = x->call->worker->server->options.attester;

    x->quoted = attester->attest(attester, attest_session_binder(x->session), &x->body,
                                 &x->certificates, NULL);
}

static void go_on(struct attest_exchange *x, enum attest_state state,
                  const struct neo_buffer *frame);

static void hand_in(struct attest_exchange *x)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    if (x->quoted != NEO_OK)
        neo_buffer_clear(&x->body);
    enum attest_state state = attest_session_evidence(x->session, neo_buffer_bytes(&x->body),
                                                      neo_buffer_bytes(&x->certificates), &out);
    go_on(x, state, &out);
}

static void quote_there(struct neo_job *job)
{
    quote(neo_owner(job, struct attest_exchange, quote.job));
}

static void quoted(struct neo_job *job)
{
    struct attest_exchange *x = neo_owner(job, struct attest_exchange, quote.job);
    struct neo_call *call = x->call;

    x->quoting = false;
    if (x->over)
        free_exchange(x);
    else
        hand_in(x);
    neo_call_unref(call);
}

static void get_evidence(struct attest_exchange *x)
{
    struct neo_attester *attester = x->call->worker->server->options.attester;

    if (attester == NULL) {
        x->quoted = NEO_FAILED_PRECONDITION;
        hand_in(x);
    } else if (attester->is_fast) {
        quote(x);
        hand_in(x);
    } else {
        x->quoting = true;
        x->quote.work = quote_there;
        x->quote.done = quoted;
        (void)neo_call_ref(x->call);
        neo_loop_offload(x->call->worker->loop, &x->quote);
    }
}

static void settle(struct attest_exchange *x, enum attest_state state)
{
    if (x->over)
        return;
    switch (state) {
    case ATTEST_RUNNING:
        return;
    case ATTEST_NEEDS_EVIDENCE:
        get_evidence(x);
        return;
    case ATTEST_ACCEPTED:
        accept(x);
        return;
    case ATTEST_REFUSED:
        refuse(x);
        return;
    }
}

/* To where the session has come, with the frame that says so. */
static void go_on(struct attest_exchange *x, enum attest_state state,
                  const struct neo_buffer *frame)
{
    if (state == ATTEST_ACCEPTED && !x->over &&
        x->attest_number != x->call->worker->epoch->attest_number) {
        ask_anew(x);
        return;
    }
    send_frame(x, frame);
    settle(x, state);
}

/* --- the stream -------------------------------------------------------------------------- */

static void on_done(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct attest_exchange *x = state;

    (void)status;
    call->peer->exchange = NULL;
    x->over = true;
    if (!x->quoting && !x->settling)
        free_exchange(x);
}

static void on_frame(struct neo_call *call, struct neo_bytes frame)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct attest_exchange *x = call->peer->exchange;

    if (x == NULL || x->call != call)
        return;
    if (x->quoting) { /* it is our turn to speak */
        call_end(call, NEO_REASON_REQUEST_MALFORMED);
        return;
    }
    x->settling = true;
    enum attest_state state =
        attest_session_feed(x->session, frame, neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC,
                            neo_loop_now(call->worker->loop), &out);
    go_on(x, state, &out);
    x->settling = false;
    if (x->over && !x->quoting)
        free_exchange(x);
}

static enum neo_code open_session(struct attest_exchange *x, struct neo_error *err)
{
    const struct peer *p = x->call->peer;
    const struct epoch *e = p->worker->epoch;
    const struct tls_peer *facts = tls_peer(conn_tls(p->conn));

    if (e->is.identity == NULL)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "an insecure server proves nothing");

    struct attest_channel channel = {
        .is_server = true,
        .own_uri = neo_cert_facts(neo_identity_leaf(e->is.identity))->uri,
        .peer_uri = p->caller_uri,
        .peer_service = p->caller,
    };
    struct attest_options options = {
        .channel = &channel,
        .trust = e->is.attest_trust,
        .policies = e->is.attest_policies,
        .attester = p->worker->server->options.attester,
        .want_peer = x->want_peer,
    };

    NEO_TRY(tls_exporter(conn_tls(p->conn), channel.exporter, err));
    tls_own_spki_sha256(conn_tls(p->conn), channel.own_spki_sha256);
    memcpy(channel.peer_spki_sha256, facts->spki_sha256, sizeof(channel.peer_spki_sha256));
    neo_random(options.nonce, sizeof(options.nonce));
    return attest_session_new(&options, &x->session, err);
}

/* Appraising costs as much as many calls: a few at once, then one a second. */
static bool may_try(struct peer *p, neo_nsec now)
{
    neo_nsec tat = p->exchange_tat > now ? p->exchange_tat : now;

    if (p->exchange != NULL || tat - now > (EXCHANGE_BURST - 1) * EXCHANGE_EVERY)
        return false;
    p->exchange_tat = tat + EXCHANGE_EVERY;
    return true;
}

static void start(struct neo_call *call)
{
    static const struct neo_stream_events events = {.done = on_done};
    const struct epoch *e = call->worker->epoch;
    neo_nsec now = neo_loop_now(call->worker->loop);
    struct attest_exchange *x;
    struct neo_error err;

    call->reader.max = FRAME_MAX;
    if (!may_try(call->peer, now)) {
        call_end(call, NEO_REASON_OVERLOADED);
        return;
    }
    x = neo_alloc(sizeof(*x));
    if (x == NULL) {
        call_end(call, NEO_REASON_OUT_OF_MEMORY);
        return;
    }
    x->call = call;
    x->attest_number = e->attest_number;
    x->want_peer = e->is.attest_policies != NULL &&
                   neo_attest_policies_has(e->is.attest_policies, call->peer->caller);
    if (open_session(x, &err) != NEO_OK) {
        neo_log_error(call->worker->server->options.log, "attestation.failed",
                      NEO_STR("error", err.message), NEO_BYTES("caller", call->peer->caller));
        free_exchange(x);
        call_end(call, NEO_REASON_ATTESTATION_REFUSED);
        return;
    }
    call->peer->exchange = x;
    neo_call_on_stream(call, &events, x);
    neo_loop_arm(call->worker->loop, &call->deadline, now + EXCHANGE_TIME);
}

static const struct raw_method raw = {.started = start, .message = on_frame};

enum neo_code builtin_attest_add(struct neo_server *server, struct neo_error *err)
{
    static const struct neo_attest_v1_Attestation_handlers handlers = {NULL};
    struct service *s;

    NEO_TRY(server_add(server, &neo_attest_v1_Attestation_info, &handlers, server, true, &s, err));
    s->methods[neo_attest_v1_Attestation_Attest_INDEX].raw = &raw;
    return NEO_OK;
}
