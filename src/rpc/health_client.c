/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's end of grpc.health.v1.Health/Watch (gRFC A17): one stream on each connection, open
 * for as long as the connection is in service. Until the first answer the instance takes no calls.
 *
 * A server that does not know Watch is taken to be well. A stream that ends otherwise says that it
 * is not, and is begun anew after a backoff.
 */
#include "rpc/channel_internal.h"

#include <grpc/health/v1/health.neo.h>
#include <neo/digest.h>
#include <neo/memory.h>

#include <stdio.h>

enum { MESSAGE_MAX = 1024, ARENA_BUDGET = 4096 };

static const char watch_path[] = "/grpc.health.v1.Health/Watch";

static const struct neo_backoff backoff = {NEO_NSEC_PER_SEC, 120 * NEO_NSEC_PER_SEC, 1.6, 0.2};

static void again_later(struct sub_conn *sc)
{
    struct neo_loop *loop = sc->sub->core->loop;
    uint64_t random;

    neo_random(&random, sizeof(random));
    neo_loop_arm(loop, &sc->health_again,
                 neo_loop_now(loop) + neo_backoff_wait(&backoff, ++sc->health_failures, random));
}

static void send_request(struct sub_conn *sc, const char *service)
{
    const struct grpc_health_v1_HealthCheckRequest request = {.service = neo_text(service)};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    uint8_t prefix[FRAME_PREFIX_LEN];
    struct h2 *h2 = conn_h2(sc->conn);

    if (neo_proto_encode(&grpc_health_v1_HealthCheckRequest_info, &request, &wire, NULL) !=
        NEO_OK) {
        h2_reset(h2, sc->health_stream, H2_CANCEL, false);
        return;
    }
    frame_prefix(prefix, wire.len);
    (void)h2_send(h2, sc->health_stream, neo_bytes(prefix, sizeof(prefix)));
    (void)h2_send(h2, sc->health_stream, neo_buffer_bytes(&wire));
    h2_send_end(h2, sc->health_stream);
}

static void begin(struct sub_conn *sc)
{
    const struct channel_core *core = sc->sub->core;
    struct neo_error err = {0};
    static const struct h2_header headers[] = {
        {{(const uint8_t *)"content-type", 12}, {(const uint8_t *)"application/grpc", 16}},
        {{(const uint8_t *)"te", 2}, {(const uint8_t *)"trailers", 8}},
    };

    frame_reader_fini(&sc->health_reader);
    sc->health_reader = (struct frame_reader){.max = MESSAGE_MAX};
    if (h2_request(conn_h2(sc->conn), neo_text(watch_path), neo_text(core->authority), headers,
                   NEO_COUNT(headers), NULL, &sc->health_stream, &err) != NEO_OK) {
        sub_conn_health(sc, err.message);
        again_later(sc);
        return;
    }
    send_request(sc, core->config.health_service);
    conn_kick(sc->conn);
}

static void again_expired(struct neo_timer *timer)
{
    struct sub_conn *sc = neo_owner(timer, struct sub_conn, health_again);

    if (!sc->draining && !conn_is_closing(sc->conn))
        begin(sc);
}

void health_client_start(struct sub_conn *sc)
{
    if (sc->health_stream != NULL || neo_timer_is_armed(&sc->health_again))
        return; /* it proved itself anew while its health was not known yet */
    sc->health_again.expired = again_expired;
    begin(sc);
}

void health_client_stop(struct sub_conn *sc)
{
    struct h2_stream *stream = sc->health_stream;

    neo_loop_disarm(sc->sub->core->loop, &sc->health_again);
    frame_reader_fini(&sc->health_reader);
    sc->health_stream = NULL;
    if (stream != NULL && sc->conn != NULL && conn_h2(sc->conn) != NULL) {
        h2_reset(conn_h2(sc->conn), stream, H2_CANCEL, false);
        conn_kick(sc->conn);
    }
}

static void judge(struct sub_conn *sc, int status)
{
    const char *service = sc->sub->core->config.health_service;
    char why[sizeof(sc->sub->last_error)];

    sc->health_failures = 0; /* it answers */
    sc->healthy = status == grpc_health_v1_HealthCheckResponse_SERVING;
    if (sc->healthy) {
        sub_conn_health(sc, NULL);
        return;
    }
    if (status == grpc_health_v1_HealthCheckResponse_SERVICE_UNKNOWN)
        (void)snprintf(why, sizeof(why),
                       "the instance knows no health of '%.127s' (healthCheckConfig.serviceName)",
                       service);
    else
        (void)snprintf(why, sizeof(why), "the instance says that '%.127s' is %s", service,
                       status == grpc_health_v1_HealthCheckResponse_NOT_SERVING
                           ? "not serving"
                           : "of unknown health");
    sub_conn_health(sc, why);
}

void health_client_data(struct sub_conn *sc, struct neo_bytes bytes)
{
    struct neo_bytes message;
    struct neo_error err;

    for (;;) {
        enum frame_result result = frame_read(&sc->health_reader, &bytes, &message, &err);
        if (result == FRAME_MORE)
            return;
        struct grpc_health_v1_HealthCheckResponse response = {0};
        NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
        neo_arena_init(&arena, ARENA_BUDGET);
        if (result == FRAME_BAD || neo_proto_decode(&grpc_health_v1_HealthCheckResponse_info,
                                                    message, &response, &arena, &err) != NEO_OK) {
            h2_reset(conn_h2(sc->conn), sc->health_stream, H2_CANCEL, false);
            conn_kick(sc->conn);
            return;
        }
        judge(sc, response.status);
        if (sc->draining)
            return;
    }
}

void health_client_closed(struct sub_conn *sc, const struct neo_status *status)
{
    const struct channel_core *core = sc->sub->core;
    char why[200];

    sc->healthy = false;
    if (sc->draining || conn_is_closing(sc->conn))
        return;
    if (status->code == NEO_UNIMPLEMENTED) {
        neo_log_error(core->log, "channel.no_health_service", NEO_STR("target", core->target),
                      NEO_STR("address", sc->sub->address), NEO_STR("taken_for", "healthy"));
        sub_conn_health(sc, NULL);
        return;
    }
    (void)snprintf(why, sizeof(why), "the health check ended: %s %.*s", neo_code_name(status->code),
                   NEO_FMT(status->message));
    sub_conn_health(sc, why);
    again_later(sc);
}
