/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load reports (gRFC A51): in the trailers of a call, and as a stream beside the calls.
 */
#include "serve.h"

#include <xds/service/orca/v3/orca.neo.h>

#define DEFAULT_INTERVAL (30 * NEO_NSEC_PER_SEC)
#define SHORTEST         (10 * NEO_NSEC_PER_MSEC)

enum { PAIRS_MAX = 16, NAME_MAX_LEN = 64 };

/* The numbers of one report, kept here. */
static struct {
    double cpu, memory;
    size_t n_cost, n_utilization;
    struct xds_data_orca_v3_OrcaLoadReport_RequestCostEntry cost[PAIRS_MAX];
    struct xds_data_orca_v3_OrcaLoadReport_UtilizationEntry utilization[PAIRS_MAX];
    char names[2 * PAIRS_MAX][NAME_MAX_LEN];
} now;

static struct neo_bytes name_of(size_t row, struct neo_bytes key)
{
    size_t len = key.len < NAME_MAX_LEN ? key.len : NAME_MAX_LEN;

    if (len > 0)
        memcpy(now.names[row], key.at, len);
    return neo_bytes(now.names[row], len);
}

void orca_report_all(const struct grpc_testing_TestOrcaReport *report)
{
    now.cpu = report->cpu_utilization;
    now.memory = report->memory_utilization;
    now.n_cost = now.n_utilization = 0;
    for (size_t i = 0; i < report->request_cost.len && i < PAIRS_MAX; i++) {
        now.cost[i].key = name_of(i, report->request_cost.at[i].key);
        now.cost[i].value = report->request_cost.at[i].value;
        now.n_cost++;
    }
    for (size_t i = 0; i < report->utilization.len && i < PAIRS_MAX; i++) {
        now.utilization[i].key = name_of(PAIRS_MAX + i, report->utilization.at[i].key);
        now.utilization[i].value = report->utilization.at[i].value;
        now.n_utilization++;
    }
}

static struct xds_data_orca_v3_OrcaLoadReport present(void)
{
    return (struct xds_data_orca_v3_OrcaLoadReport){
        .cpu_utilization = now.cpu,
        .mem_utilization = now.memory,
        .request_cost = {now.cost, now.n_cost},
        .utilization = {now.utilization, now.n_utilization},
    };
}

void orca_report_call(struct neo_call *call, const struct grpc_testing_TestOrcaReport *report)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct xds_data_orca_v3_OrcaLoadReport_RequestCostEntry cost[PAIRS_MAX];
    struct xds_data_orca_v3_OrcaLoadReport_UtilizationEntry utilization[PAIRS_MAX];
    struct xds_data_orca_v3_OrcaLoadReport said = {
        .cpu_utilization = report->cpu_utilization,
        .mem_utilization = report->memory_utilization,
        .request_cost = {.at = cost},
        .utilization = {.at = utilization},
    };

    for (size_t i = 0; i < report->request_cost.len && i < PAIRS_MAX; i++) {
        cost[i].key = report->request_cost.at[i].key;
        cost[i].value = report->request_cost.at[i].value;
        said.request_cost.len++;
    }
    for (size_t i = 0; i < report->utilization.len && i < PAIRS_MAX; i++) {
        utilization[i].key = report->utilization.at[i].key;
        utilization[i].value = report->utilization.at[i].value;
        said.utilization.len++;
    }
    if (xds_data_orca_v3_OrcaLoadReport_encode(&said, &wire, NULL) == NEO_OK)
        (void)neo_call_add_trailer(call, "endpoint-load-metrics-bin", neo_buffer_bytes(&wire));
}

/* --- the stream ------------------------------------------------------------------------------- */

struct watch {
    struct neo_call *call;
    struct neo_timer due;
    neo_nsec interval;
    bool full;
};

static void tell(struct neo_timer *timer)
{
    struct watch *w = neo_owner(timer, struct watch, due);
    struct neo_loop *loop = neo_call_loop(w->call);
    struct xds_data_orca_v3_OrcaLoadReport report = present();

    neo_loop_arm(loop, &w->due, neo_loop_now(loop) + w->interval);
    if (!w->full)
        w->full = xds_service_orca_v3_OpenRcaService_StreamCoreMetrics_send(w->call, &report) !=
                  NEO_FLOW_MORE;
}

static void on_writable(struct neo_call *call, void *state)
{
    (void)call;
    ((struct watch *)state)->full = false;
}

static void on_done(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct watch *w = state;

    (void)status;
    neo_loop_disarm(neo_call_loop(call), &w->due);
}

static neo_nsec interval_of(const struct google_protobuf_Duration *d)
{
    if (d == NULL || d->seconds < 0 || d->seconds > 3600 || d->nanos < 0)
        return DEFAULT_INTERVAL;
    neo_nsec asked = (neo_nsec)d->seconds * NEO_NSEC_PER_SEC + (neo_nsec)d->nanos;
    if (asked == 0)
        return DEFAULT_INTERVAL;
    return asked < SHORTEST ? SHORTEST : asked;
}

static void stream_core_metrics(struct neo_call *call,
                                const struct xds_service_orca_v3_OrcaLoadReportRequest *request,
                                void *self)
{
    static const struct neo_stream_events events = {.writable = on_writable, .done = on_done};
    struct watch *w = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*w));

    (void)self;
    if (w == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *w = (struct watch){
        .call = call, .due = {.expired = tell}, .interval = interval_of(request->report_interval)};
    neo_call_on_stream(call, &events, w);
    tell(&w->due);
}

enum neo_code orca_add(struct neo_server *server, struct neo_error *err)
{
    static const struct xds_service_orca_v3_OpenRcaService_handlers handlers = {
        .StreamCoreMetrics = stream_core_metrics};

    return xds_service_orca_v3_OpenRcaService_add(server, &handlers, NULL, err);
}
