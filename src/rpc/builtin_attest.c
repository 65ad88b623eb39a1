/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo.attest.v1.Attestation/Attest: carries the frames of an exchange between the
 * stream and attest/session.h, which knows what they mean. The connection's own view
 * of itself goes in, and what comes out is kept on the connection: attested until
 * when.
 *
 * One exchange at a time, a few at once and one a second after that, ten seconds
 * each; no more of one identity, and of all together, than the server's rates say.
 * Evidence is judged and made on the pool; the exchange outlives the call for as long
 * as that takes.
 */
#include "rpc/attest_work.h"
#include "rpc/builtin.h"
#include "rpc/call.h"
#include "rpc/record.h"
#include "rpc/server_attest.h"

#include "attest/fresh.h"

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
    struct attest_work work;
    bool over;     /* the call has ended */
    bool settling; /* a frame is being taken: who does that frees */
    bool want_peer;
    uint64_t attest_number; /* of the epoch whose rules the session holds */
};

static void free_exchange(struct attest_exchange *x)
{
    attest_work_fini(&x->work);
    neo_free(x);
}

/* --- what comes out ---------------------------------------------------------------------- */

/* What the policy may ask of the caller's code. */
static void keep_code(struct peer *p, const struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    neo_free(p->measurement);
    p->measurement = NULL;
    p->simulated = appraisal != NULL && appraisal->simulated;
    p->tee = NULL;
    attest_code_keep(&p->code, appraisal);
    census_count(&p->counted, p->worker->server->options.census, p->caller, appraisal);
    if (appraisal == NULL || !neo_hex_encode(&hex, appraisal->measurement) ||
        !neo_buffer_append_byte(&hex, 0))
        return;
    p->tee = appraisal->tee;
    p->measurement = neo_string_dup((const char *)hex.at); /* NULL: no condition on it holds */
}

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

/* The session keys that were named count from now on, with the verdict. */
static void keep_keys(struct attest_exchange *x)
{
    struct peer *p = x->call->peer;
    struct attest_vouch *vouch = attest_session_vouch(x->work.session);

    if (vouch != NULL)
        vouch_put(p->worker->server->attest->vouches, vouch);
    fresh_free(p->fresh);
    p->fresh = fresh_new(x->work.session);
}

static void accept(struct attest_exchange *x)
{
    static const struct neo_status ok = {.code = NEO_OK};
    struct peer *p = x->call->peer;

    keep_keys(x);

    if (x->want_peer) {
        keep_digest(p, attest_session_appraisal(x->work.session));
        keep_code(p, attest_session_appraisal(x->work.session));
        record_attested(x->call, attest_session_detail(x->work.session));
        peer_set_attested(p, attest_session_valid_until(x->work.session));
    }
    neo_call_finish(x->call, &ok);
}

/* An attestation that failed is not tried again on this connection. */
static void refuse(struct attest_exchange *x)
{
    struct peer *p = x->call->peer;
    struct neo_call *call = x->call;

    record_denied(call, "attestation", NEO_REASON_ATTESTATION_REFUSED,
                  attest_session_detail(x->work.session));
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

/* --- too much ---------------------------------------------------------------------------- */

static void refuse_for_now(struct neo_call *call, enum neo_reason reason, neo_nsec wait)
{
    struct neo_status status = {
        .code = neo_reason_code(reason),
        .message = neo_text(neo_reason_text(reason)),
        .reason = neo_text(neo_reason_name(reason)),
        .retry_after = wait + worker_random(call->worker, wait / 2 + 1),
    };

    record_denied(call, "attestation", reason, NULL);
    status.decision_id = neo_text(call->decision.text);
    call_finish(call, &status);
}

/* --- going on ---------------------------------------------------------------------------- */

static void go_on(struct attest_exchange *x, enum attest_progress progress);

static void get_evidence(struct attest_exchange *x)
{
    struct worker *w = x->call->worker;
    neo_nsec wait = 0;

    if (x->work.attester != NULL)
        wait = server_attest_quote(w->server->attest, neo_loop_now(w->loop));
    if (wait > 0)
        refuse_for_now(x->call, NEO_REASON_RATE_LIMITED, wait);
    else
        go_on(x, attest_work_quote(&x->work, w->loop));
}

/* To where the session has come, with the frame that says so. */
static void settle(struct attest_exchange *x)
{
    const struct neo_buffer *frame = &x->work.out;

    if (x->over)
        return;
    if (x->work.state == ATTEST_ACCEPTED &&
        x->attest_number != x->call->worker->epoch->attest_number) {
        ask_anew(x);
        return;
    }
    if (frame->len > 0)
        (void)call_send_raw(x->call, neo_buffer_bytes(frame));
    switch (x->work.state) {
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

static void work_done(struct attest_work *w)
{
    struct attest_exchange *x = neo_owner(w, struct attest_exchange, work);
    struct neo_call *call = x->call;

    x->settling = true;
    settle(x);
    x->settling = false;
    if (x->over && !w->busy)
        free_exchange(x);
    neo_call_unref(call);
}

static void go_on(struct attest_exchange *x, enum attest_progress progress)
{
    switch (progress) {
    case ATTEST_SETTLED:
        settle(x);
        return;
    case ATTEST_BUSY: /* the pool's work keeps the call, and the call its worker */
        (void)neo_call_ref(x->call);
        return;
    case ATTEST_FULL:
        refuse_for_now(x->call, NEO_REASON_OVERLOADED, NEO_NSEC_PER_SEC);
        return;
    }
}

/* --- the stream -------------------------------------------------------------------------- */

static void on_done(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct attest_exchange *x = state;

    (void)status;
    call->peer->exchange = NULL;
    x->over = true;
    attest_work_forget(&x->work);
    if (!x->work.busy && !x->settling)
        free_exchange(x);
}

static void on_frame(struct neo_call *call, struct neo_bytes frame)
{
    struct attest_exchange *x = call->peer->exchange;

    if (x == NULL || x->call != call)
        return;
    if (x->work.busy) { /* it is our turn to speak */
        call_end(call, NEO_REASON_REQUEST_MALFORMED);
        return;
    }
    x->settling = true;
    go_on(x, attest_work_feed(&x->work, call->worker->loop, frame));
    x->settling = false;
    if (x->over && !x->work.busy)
        free_exchange(x);
}

static enum neo_code open_session(struct attest_exchange *x, struct neo_error *err)
{
    const struct peer *p = x->call->peer;
    const struct epoch *e = p->worker->epoch;
    const struct tls_peer *facts = tls_peer(conn_tls(p->conn));
    const struct server_attest *shared = p->worker->server->attest;
    struct attest_vouch *known[VOUCHES_OF_ONE];

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
        .session_key = shared->session_key,
        .vouches = known,
        .rules = e->attest_number,
        .peer_leaf = facts->leaf,
    };
    const struct vouch_moment at = {e->attest_number, e->is.trust, worker_wall(p->worker),
                                    neo_loop_now(p->worker->loop)};

    NEO_TRY(tls_exporter(conn_tls(p->conn), channel.exporter, err));
    tls_own_spki_sha256(conn_tls(p->conn), channel.own_spki_sha256);
    memcpy(channel.peer_spki_sha256, facts->spki_sha256, sizeof(channel.peer_spki_sha256));
    neo_random(options.nonce, sizeof(options.nonce));
    if (x->want_peer)
        options.n_vouches = vouch_find(shared->vouches, p->caller_uri, &at, known);
    enum neo_code code = attest_session_new(&options, &x->work.session, err);
    while (options.n_vouches > 0)
        vouch_unref(known[--options.n_vouches]);
    return code;
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
    neo_nsec wait = server_attest_begin(call->worker->server->attest, call->peer->counted_as, now);
    if (wait > 0) {
        refuse_for_now(call, NEO_REASON_RATE_LIMITED, wait);
        return;
    }
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
    x->work.attester = call->worker->server->options.attester;
    x->work.done = work_done;
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
