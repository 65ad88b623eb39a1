/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load reports (gRFC A51), in the trailers of a call and as a stream beside the calls.
 */
#include "rpc.h"

#include <xds/service/orca/v3/orca.neo.h>

#define POLL_FOR (10 * NEO_NSEC_PER_SEC)

struct load {
    double cpu, memory, cost, utilization;
};

/* Both sides carry the same bits of a double; there is nothing to round. */
static bool is_same(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static double cost_of(const struct xds_data_orca_v3_OrcaLoadReport *r)
{
    for (size_t i = 0; i < r->request_cost.len; i++)
        if (neo_bytes_is(r->request_cost.at[i].key, "cost"))
            return r->request_cost.at[i].value;
    return 0;
}

static double utilization_of(const struct xds_data_orca_v3_OrcaLoadReport *r)
{
    for (size_t i = 0; i < r->utilization.len; i++)
        if (neo_bytes_is(r->utilization.at[i].key, "util"))
            return r->utilization.at[i].value;
    return 0;
}

static bool is_load(const struct xds_data_orca_v3_OrcaLoadReport *r, const struct load *expected)
{
    return is_same(r->cpu_utilization, expected->cpu) &&
           is_same(r->mem_utilization, expected->memory) && is_same(cost_of(r), expected->cost) &&
           is_same(utilization_of(r), expected->utilization);
}

static bool say_load(const struct xds_data_orca_v3_OrcaLoadReport *r, const struct load *expected)
{
    return fail("load report: expected cpu %g memory %g cost %g utilization %g, got %g %g %g %g",
                expected->cpu, expected->memory, expected->cost, expected->utilization,
                r->cpu_utilization, r->mem_utilization, cost_of(r), utilization_of(r));
}

struct report {
    struct grpc_testing_TestOrcaReport wire;
    struct grpc_testing_TestOrcaReport_RequestCostEntry cost;
    struct grpc_testing_TestOrcaReport_UtilizationEntry utilization;
};

static void make_report(struct report *ret, const struct load *load)
{
    *ret = (struct report){
        .wire = {.cpu_utilization = load->cpu,
                 .memory_utilization = load->memory,
                 .utilization = {.at = &ret->utilization, .len = 1}},
        .cost = {.key = NEO_LIT("cost"), .value = load->cost},
        .utilization = {.key = NEO_LIT("util"), .value = load->utilization},
    };
    if (load->cost > 0) {
        ret->wire.request_cost.at = &ret->cost;
        ret->wire.request_cost.len = 1;
    }
}

bool case_orca_per_rpc(struct client *c)
{
    static const struct load load = {0.8210, 0.5847, 3456.32, 0.30499};
    struct xds_data_orca_v3_OrcaLoadReport got;
    struct report report;
    struct rpc rpc = {0};
    struct neo_error err;

    make_report(&report, &load);
    struct grpc_testing_SimpleRequest request = {.orca_per_query_report = &report.wire};
    if (!rpc_start(&rpc, c, TEST_METHOD(UnaryCall), NULL, &request))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_ok(&rpc);
    if (ok &&
        xds_data_orca_v3_OrcaLoadReport_decode(rpc.load_report, &got, &rpc.arena, &err) != NEO_OK)
        ok = fail("load report: %s", err.message);
    if (ok && !is_load(&got, &load))
        ok = say_load(&got, &load);
    rpc_fini(&rpc);
    return ok;
}

/* Tells the server its load over `control`, and waits until the stream of reports says so. */
static bool check_oob(struct rpc *control, struct rpc *reports, const struct load *load)
{
    struct grpc_testing_ResponseParameters parameters = {.size = 1};
    struct grpc_testing_ResponseParameters *list[] = {&parameters};
    struct xds_data_orca_v3_OrcaLoadReport got = {0};
    struct report report;
    size_t before = control->n_messages;

    make_report(&report, load);
    struct grpc_testing_StreamingOutputCallRequest request = {.response_parameters = {list, 1},
                                                              .orca_oob_report = &report.wire};
    if (!rpc_send(control, &request) || !rpc_wait_messages(control, before + 1))
        return false;
    for (neo_nsec end = neo_mono_nsec() + POLL_FOR; neo_mono_nsec() < end;) {
        if (!rpc_wait_messages(reports, reports->n_messages + 1) ||
            !rpc_message(reports, reports->n_messages - 1, &got))
            return false;
        if (is_load(&got, load))
            return true;
    }
    return say_load(&got, load);
}

bool case_orca_oob(struct client *c)
{
    static const struct load first = {0.8210, 0.5847, 0, 0.30499};
    static const struct load second = {0.29309, 0.2, 0, 0.2039};
    struct google_protobuf_Duration interval = {.nanos = 200000000};
    struct xds_service_orca_v3_OrcaLoadReportRequest ask = {.report_interval = &interval};
    struct rpc control = {0}, reports = {0};

    if (!rpc_start(&control, c, TEST_METHOD(FullDuplexCall), NULL, NULL))
        return false;
    bool ok = rpc_start(&reports, c, &xds_service_orca_v3_OpenRcaService_methods[0], NULL, &ask);
    ok = ok && check_oob(&control, &reports, &first) && check_oob(&control, &reports, &second);
    rpc_close_send(&control);
    rpc_wait(&control);
    ok = expect_ok(&control) && ok;
    rpc_fini(&reports);
    rpc_fini(&control);
    return ok;
}
