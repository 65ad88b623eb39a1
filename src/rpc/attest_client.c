/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's end of neo-attest-v1: the first stream of a new connection, before
 * any call. Until the session has accepted, the subchannel is not ready, so there
 * is no path on which a request could leave early.
 *
 * The same connection is asked again at two thirds of the appraisal's life, with
 * a new nonce. Evidence is judged, and made, on a pool thread; the connection may be
 * gone when that is done, so its memory waits for it. A peer that has no time for us
 * now is asked again later for as long as its last proof holds.
 */
#include "rpc/channel_internal.h"

#include <neo/digest.h>
#include <neo/memory.h>
#include <neo/reason.h>

#include <stdio.h>

static const char attest_path[] = "/neo.attest.v1.Attestation/Attest";

static void refuse(struct sub_conn *sc, enum neo_attest_reason reason, const char *detail)
{
    sub_conn_refused(sc, reason, detail);
}

static void fill_channel(const struct sub_conn *sc, struct attest_channel *ret)
{
    struct channel_core *core = sc->sub->core;
    struct tls *tls = conn_tls(sc->conn);
    const struct tls_peer *peer = tls_peer(tls);

    ret->is_server = false;
    tls_own_spki_sha256(tls, ret->own_spki_sha256);
    memcpy(ret->peer_spki_sha256, peer->spki_sha256, sizeof(ret->peer_spki_sha256));
    if (core->epoch.identity != NULL)
        ret->own_uri = neo_cert_facts(neo_identity_leaf(core->epoch.identity))->uri;
    ret->peer_uri = neo_text(core->expect); /* whom we wanted, not who came */
    ret->peer_service = neo_text(core->service);
}

static void work_done(struct attest_work *w);

static enum neo_code new_session(struct sub_conn *sc, struct neo_error *err)
{
    struct channel_core *core = sc->sub->core;
    struct attest_channel facts = {0};
    struct attest_vouch *known[VOUCHES_OF_ONE];
    struct attest_options options = {
        .channel = &facts,
        .trust = core->epoch.attest_trust,
        .policies = core->epoch.attest_policies,
        .attester = core->attester,
        .want_peer = channel_wants_attestation(core),
        .session_key = core->session_key,
        .vouches = known,
        .rules = core->attest_number,
        .peer_leaf = tls_peer(conn_tls(sc->conn))->leaf,
    };
    const struct vouch_moment at = {core->attest_number, core->epoch.trust,
                                    neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC,
                                    neo_loop_now(core->loop)};

    fill_channel(sc, &facts);
    NEO_TRY(tls_exporter(conn_tls(sc->conn), facts.exporter, err));
    neo_random(options.nonce, sizeof(options.nonce));
    attest_work_fini(&sc->attest);
    sc->attest = (struct attest_work){.attester = core->attester, .done = work_done};
    if (sc->attested_by != core->attest_number) { /* keys that older rules vouched for */
        fresh_free(sc->fresh);
        fresh_free(sc->fresh_before);
        sc->fresh = sc->fresh_before = NULL;
    }
    sc->attested_by = core->attest_number;
    if (options.want_peer)
        options.n_vouches = vouch_find(core->vouches, facts.peer_uri, &at, known);
    enum neo_code code = attest_session_new(&options, &sc->attest.session, err);
    while (options.n_vouches > 0)
        vouch_unref(known[--options.n_vouches]);
    return code;
}

static void send_frame(struct sub_conn *sc, struct neo_bytes frame)
{
    uint8_t prefix[FRAME_PREFIX_LEN];
    struct h2 *h2 = conn_h2(sc->conn);

    if (sc->attest_stream == NULL || h2 == NULL || frame.len == 0)
        return;
    frame_prefix(prefix, frame.len);
    (void)h2_send(h2, sc->attest_stream, neo_bytes(prefix, sizeof(prefix)));
    (void)h2_send(h2, sc->attest_stream, frame);
    conn_kick(sc->conn);
}

static void begin(struct sub_conn *sc)
{
    struct channel_core *core = sc->sub->core;
    struct neo_error err = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    static const struct h2_header headers[] = {
        {{(const uint8_t *)"content-type", 12}, {(const uint8_t *)"application/grpc", 16}},
        {{(const uint8_t *)"te", 2}, {(const uint8_t *)"trailers", 8}},
    };

    frame_reader_fini(&sc->attest_reader);
    sc->attest_reader = (struct frame_reader){.max = 64 * 1024};
    if (!sc->attested) /* else it is armed for the end of what was proven */
        neo_loop_arm(core->loop, &sc->reattest, neo_loop_now(core->loop) + ATTEST_EXCHANGE_MAX);
    if (new_session(sc, &err) != NEO_OK ||
        attest_session_start(sc->attest.session, &out, &err) != NEO_OK ||
        h2_request(conn_h2(sc->conn), neo_text(attest_path), neo_text(core->authority), headers,
                   NEO_COUNT(headers), NULL, &sc->attest_stream, &err) != NEO_OK) {
        refuse(sc, NEO_ATTEST_PROTOCOL, err.message);
        return;
    }
    send_frame(sc, neo_buffer_bytes(&out));
}

static void reattest_expired(struct neo_timer *timer)
{
    struct sub_conn *sc = neo_owner(timer, struct sub_conn, reattest);
    struct neo_loop *loop = sc->sub->core->loop;

    /* A peer that has said goodbye lingers without HTTP/2: there is nobody to ask. */
    if (sc->draining || conn_is_closing(sc->conn))
        return;
    if (!sc->attested) {
        refuse(sc, NEO_ATTEST_TIMEOUT, "the exchange took longer than 10 s");
        return;
    }
    if (neo_loop_now(loop) >= sc->attested_until) {
        refuse(sc, NEO_ATTEST_EXPIRED, "the peer did not prove itself anew in time");
        return;
    }
    /* A peer that never answers, or never ended the exchange before, is not used beyond that. */
    neo_loop_arm(loop, &sc->reattest, sc->attested_until);
    if (sc->attest_stream == NULL && !sc->attest.busy)
        begin(sc);
}

/* There is no time for us now, here or there. */
static void try_later(struct sub_conn *sc, const char *detail)
{
    struct neo_loop *loop = sc->sub->core->loop;
    neo_nsec now = neo_loop_now(loop);

    if (!sc->attested || now >= sc->attested_until) {
        refuse(sc, NEO_ATTEST_RATE_LIMITED, detail);
        return;
    }
    neo_nsec wait = (sc->attested_until - now) / 4;
    neo_loop_arm(loop, &sc->reattest, wait < NEO_NSEC_PER_SEC ? sc->attested_until : now + wait);
}

void attest_client_start(struct sub_conn *sc)
{
    sc->reattest.expired = reattest_expired;
    begin(sc);
}

static void accept_peer(struct sub_conn *sc)
{
    struct channel_core *core = sc->sub->core;
    const struct neo_appraisal *appraisal = attest_session_appraisal(sc->attest.session);
    neo_nsec now = neo_loop_now(core->loop);

    struct attest_vouch *vouch = attest_session_vouch(sc->attest.session);

    if (vouch != NULL)
        vouch_put(core->vouches, vouch);
    fresh_free(sc->fresh_before);
    sc->fresh_before = sc->fresh;
    sc->fresh = fresh_new(sc->attest.session);
    sc->per_call =
        channel_wants_attestation(core) &&
        attest_mode_of(core->epoch.attest_policies, neo_text(core->service)) == ATTEST_PER_CALL;
    sc->attested = appraisal != NULL && appraisal->accepted;
    census_count(&sc->counted, core->census, neo_text(core->service), appraisal);
    attest_code_keep(&sc->code, appraisal);
    sc->simulated = appraisal != NULL && appraisal->accepted && appraisal->simulated;
    sc->attested_until = attest_session_valid_until(sc->attest.session);
    sc->asked_anew = false;
    core->wire.verdict_at = neo_mono_nsec();
    if (sc->attested && sc->attested_until > now)
        neo_loop_arm(core->loop, &sc->reattest, now + (sc->attested_until - now) / 3 * 2);
    else
        neo_loop_disarm(core->loop, &sc->reattest);
    h2_send_end(conn_h2(sc->conn), sc->attest_stream);
    conn_kick(sc->conn);
    neo_log_info(core->log, "channel.attested", NEO_STR("target", core->target),
                 NEO_STR("address", sc->sub->address), NEO_BOOL("peer_proven", sc->attested),
                 NEO_BOOL("SIMULATED", sc->simulated));
    sub_conn_proven(sc);
}

static void finish(struct sub_conn *sc)
{
    if (sc->attested_by != sc->sub->core->attest_number) {
        /* The rules changed while it proved itself by those before. */
        h2_send_end(conn_h2(sc->conn), sc->attest_stream);
        begin(sc);
        return;
    }
    if (channel_wants_attestation(sc->sub->core)) {
        const struct neo_appraisal *appraisal = attest_session_appraisal(sc->attest.session);
        if (appraisal == NULL || !appraisal->accepted) {
            refuse(sc, NEO_ATTEST_PROTOCOL, "the exchange ended without an appraisal");
            return;
        }
    }
    accept_peer(sc);
}

static void go_on(struct sub_conn *sc, enum attest_progress progress);

static void settle(struct sub_conn *sc)
{
    struct attest_work *w = &sc->attest;

    send_frame(sc, neo_buffer_bytes(&w->out));
    switch (w->state) {
    case ATTEST_RUNNING:
        return;
    case ATTEST_NEEDS_EVIDENCE:
        go_on(sc, attest_work_quote(w, sc->sub->core->loop));
        return;
    case ATTEST_ACCEPTED:
        finish(sc);
        return;
    case ATTEST_REFUSED:
        refuse(sc, attest_session_reason(w->session), attest_session_detail(w->session));
        return;
    }
}

static void go_on(struct sub_conn *sc, enum attest_progress progress)
{
    switch (progress) {
    case ATTEST_SETTLED:
        settle(sc);
        return;
    case ATTEST_BUSY:
        return;
    case ATTEST_FULL:
        sc->attest.state = ATTEST_REFUSED;
        if (sc->attest_stream != NULL)
            h2_reset(conn_h2(sc->conn), sc->attest_stream, H2_CANCEL, false);
        conn_kick(sc->conn);
        try_later(sc, "too much evidence waits here to be judged or made");
        return;
    }
}

static void work_done(struct attest_work *w)
{
    struct sub_conn *sc = neo_owner(w, struct sub_conn, attest);

    if (sc->dead) { /* its subchannel is gone, too */
        attest_work_fini(&sc->attest);
        neo_free(sc);
        return;
    }
    if (sc->draining || conn_is_closing(sc->conn))
        return;
    if (sc->attest_stream == NULL) /* the peer has ended it meanwhile */
        w->state = ATTEST_REFUSED;
    else
        settle(sc);
}

static bool is_over(const struct sub_conn *sc)
{
    const struct attest_work *w = &sc->attest;

    return w->session == NULL || w->state == ATTEST_ACCEPTED || w->state == ATTEST_REFUSED;
}

void attest_client_data(struct sub_conn *sc, struct neo_bytes bytes)
{
    struct neo_bytes frame;
    struct neo_error err;

    for (;;) {
        switch (frame_read(&sc->attest_reader, &bytes, &frame, &err)) {
        case FRAME_MORE:
            return;
        case FRAME_BAD:
            refuse(sc, NEO_ATTEST_PROTOCOL, err.message);
            return;
        case FRAME_MESSAGE:
            break;
        }
        if (sc->draining || is_over(sc))
            return;
        if (sc->attest.busy) { /* it is our turn to speak */
            refuse(sc, NEO_ATTEST_PROTOCOL, "the peer speaks out of turn");
            return;
        }
        go_on(sc, attest_work_feed(&sc->attest, sc->sub->core->loop, frame));
    }
}

/* Its rules changed while it judged us by those before. Once: it may not keep us at it. */
static bool is_asked_anew(const struct sub_conn *sc, const struct neo_status *status)
{
    return !sc->asked_anew && !sc->attest.busy && status->code == NEO_UNAVAILABLE &&
           neo_bytes_is(status->reason, neo_reason_name(NEO_REASON_ATTESTATION_EXPIRED));
}

void attest_client_closed(struct sub_conn *sc, const struct neo_status *status)
{
    char detail[200];

    if (sc->draining || is_over(sc))
        return;
    if (is_asked_anew(sc, status)) {
        sc->asked_anew = true;
        begin(sc);
        return;
    }
    (void)snprintf(detail, sizeof(detail), "the peer ended the exchange: %s %.*s",
                   neo_code_name(status->code), NEO_FMT(status->message));
    if (status->code == NEO_RESOURCE_EXHAUSTED) {
        sc->attest.state = ATTEST_REFUSED;
        try_later(sc, detail);
        return;
    }
    refuse(sc, NEO_ATTEST_PROTOCOL, detail);
}

bool attest_client_fini(struct sub_conn *sc)
{
    frame_reader_fini(&sc->attest_reader);
    fresh_free(sc->fresh);
    fresh_free(sc->fresh_before);
    sc->fresh = sc->fresh_before = NULL;
    census_forget(&sc->counted);
    if (sc->attest.busy) {
        attest_work_forget(&sc->attest);
        sc->dead = true;
        return false;
    }
    attest_work_fini(&sc->attest);
    return true;
}
