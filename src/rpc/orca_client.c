/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load reports out of band, for weighted_round_robin (gRFC A51, A58): one stream of
 * xds.service.orca.v3.OpenRcaService/StreamCoreMetrics on the connection that serves. Each message
 * is a new weight.
 *
 * Nobody waits for a report: a server that knows none is told of in the log and weighs as one that
 * has not reported yet. A stream that ends otherwise is begun anew after a backoff.
 */
#include "rpc/channel_internal.h"

#include <google/protobuf/duration.neo.h>
#include <neo/digest.h>

enum { MESSAGE_MAX = 64 * 1024, INTERVAL_TAG = 1 << 3 | 2 };

static const char path[] = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";

static const struct neo_backoff backoff = {NEO_NSEC_PER_SEC, 120 * NEO_NSEC_PER_SEC, 1.6, 0.2};

static void again_later(struct sub_conn *sc)
{
    struct neo_loop *loop = sc->sub->core->loop;
    uint64_t random;

    neo_random(&random, sizeof(random));
    neo_loop_arm(loop, &sc->orca.again,
                 neo_loop_now(loop) + neo_backoff_wait(&backoff, ++sc->orca.failures, random));
}

static void cancel(struct sub_conn *sc)
{
    h2_reset(conn_h2(sc->conn), sc->orca.stream, H2_CANCEL, false);
    conn_kick(sc->conn);
}

/* OrcaLoadReportRequest with nothing but report_interval. */
static void send_request(struct sub_conn *sc, neo_nsec period)
{
    const struct google_protobuf_Duration interval = {
        .seconds = (int64_t)(period / NEO_NSEC_PER_SEC),
        .nanos = (int32_t)(period % NEO_NSEC_PER_SEC)};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer inner = {0};
    struct h2 *h2 = conn_h2(sc->conn);
    uint8_t head[FRAME_PREFIX_LEN + 2];

    if (neo_proto_encode(&google_protobuf_Duration_info, &interval, &inner, NULL) != NEO_OK) {
        cancel(sc);
        return;
    }
    frame_prefix(head, inner.len + 2);
    head[FRAME_PREFIX_LEN] = INTERVAL_TAG;
    head[FRAME_PREFIX_LEN + 1] = (uint8_t)inner.len; /* at most 17 */
    (void)h2_send(h2, sc->orca.stream, neo_bytes(head, sizeof(head)));
    (void)h2_send(h2, sc->orca.stream, neo_buffer_bytes(&inner));
    h2_send_end(h2, sc->orca.stream);
}

static void begin(struct sub_conn *sc)
{
    const struct channel_core *core = sc->sub->core;
    static const struct h2_header headers[] = {
        {{(const uint8_t *)"content-type", 12}, {(const uint8_t *)"application/grpc", 16}},
        {{(const uint8_t *)"te", 2}, {(const uint8_t *)"trailers", 8}},
    };

    frame_reader_fini(&sc->orca.reader);
    sc->orca.reader = (struct frame_reader){.max = MESSAGE_MAX};
    if (h2_request(conn_h2(sc->conn), neo_text(path), neo_text(core->authority), headers,
                   NEO_COUNT(headers), NULL, &sc->orca.stream, NULL) != NEO_OK) {
        again_later(sc);
        return;
    }
    send_request(sc, core->config.balance.weighted.period);
    conn_kick(sc->conn);
}

static void again_expired(struct neo_timer *timer)
{
    struct sub_conn *sc = neo_owner(timer, struct sub_conn, orca.again);

    if (!sc->draining && !conn_is_closing(sc->conn))
        begin(sc);
}

void orca_client_start(struct sub_conn *sc)
{
    const struct balance_config *config = &sc->sub->core->config.balance;

    if (config->policy != &balance_weighted_round_robin || !config->weighted.out_of_band ||
        sc->orca.stream != NULL || sc->orca.unknown || neo_timer_is_armed(&sc->orca.again))
        return;
    sc->orca.again.expired = again_expired;
    begin(sc);
}

void orca_client_stop(struct sub_conn *sc)
{
    neo_loop_disarm(sc->sub->core->loop, &sc->orca.again);
    frame_reader_fini(&sc->orca.reader);
    if (sc->orca.stream != NULL && sc->conn != NULL && conn_h2(sc->conn) != NULL)
        cancel(sc);
    sc->orca.stream = NULL;
}

void orca_client_data(struct sub_conn *sc, struct neo_bytes bytes)
{
    const struct channel_core *core = sc->sub->core;
    struct neo_bytes message;

    for (;;) {
        switch (frame_read(&sc->orca.reader, &bytes, &message, NULL)) {
        case FRAME_MORE:
            return;
        case FRAME_BAD:
            cancel(sc);
            return;
        case FRAME_MESSAGE:
            break;
        }
        sc->orca.failures = 0;
        balance_report(&sc->sub->host,
                       balance_read_report(message, core->config.balance.weighted.penalty_milli),
                       neo_loop_now(core->loop));
    }
}

void orca_client_closed(struct sub_conn *sc, const struct neo_status *status)
{
    const struct channel_core *core = sc->sub->core;

    if (sc->draining || conn_is_closing(sc->conn))
        return;
    if (status->code != NEO_UNIMPLEMENTED) {
        again_later(sc);
        return;
    }
    sc->orca.unknown = true;
    neo_log_error(core->log, "channel.no_load_reports", NEO_STR("target", core->target),
                  NEO_STR("address", sc->sub->address));
}
