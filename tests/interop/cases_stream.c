/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

static const int32_t request_sizes[] = {27182, 8, 1828, 45904};
static const int32_t response_sizes[] = {31415, 9, 2653, 58979};
enum { ROUNDS = NEO_COUNT(request_sizes) };

bool case_client_streaming(struct client *c)
{
    struct grpc_testing_StreamingInputCallResponse response;
    struct rpc rpc = {0};
    bool ok = true;

    if (!rpc_start(&rpc, c, TEST_METHOD(StreamingInputCall), NULL, NULL))
        return false;
    for (size_t i = 0; ok && i < ROUNDS; i++) {
        struct grpc_testing_Payload payload = zeros_of((size_t)request_sizes[i]);
        struct grpc_testing_StreamingInputCallRequest request = {.payload = &payload};
        ok = rpc_send(&rpc, &request);
    }
    rpc_close_send(&rpc);
    rpc_wait(&rpc);
    ok = expect_ok(&rpc) && ok && expect_count(&rpc, 1) && rpc_message(&rpc, 0, &response) &&
         expect_number("aggregated_payload_size", 74922, response.aggregated_payload_size);
    rpc_fini(&rpc);
    return ok;
}

/* All four sizes in one request. */
static bool check_all_bodies(struct rpc *rpc)
{
    bool ok = expect_ok(rpc) && expect_count(rpc, ROUNDS);

    for (size_t i = 0; ok && i < ROUNDS; i++)
        ok = expect_body(rpc, i, (size_t)response_sizes[i]);
    return ok;
}

bool case_server_streaming(struct client *c)
{
    struct grpc_testing_ResponseParameters parameters[ROUNDS] = {0};
    struct grpc_testing_ResponseParameters *list[ROUNDS];
    struct grpc_testing_StreamingOutputCallRequest request = {
        .response_parameters = {list, ROUNDS}};
    struct rpc rpc = {0};

    for (size_t i = 0; i < ROUNDS; i++) {
        parameters[i].size = response_sizes[i];
        list[i] = &parameters[i];
    }
    if (!rpc_start(&rpc, c, TEST_METHOD(StreamingOutputCall), NULL, &request))
        return false;
    rpc_wait(&rpc);
    bool ok = check_all_bodies(&rpc);
    rpc_fini(&rpc);
    return ok;
}

static bool send_round(struct rpc *rpc, size_t i)
{
    struct grpc_testing_Payload payload = zeros_of((size_t)request_sizes[i]);
    struct grpc_testing_ResponseParameters parameters = {.size = response_sizes[i]};
    struct grpc_testing_ResponseParameters *list[] = {&parameters};
    struct grpc_testing_StreamingOutputCallRequest request = {.response_parameters = {list, 1},
                                                              .payload = &payload};

    return rpc_send(rpc, &request);
}

bool case_ping_pong(struct client *c)
{
    struct rpc rpc = {0};
    bool ok = true;

    if (!rpc_start(&rpc, c, TEST_METHOD(FullDuplexCall), NULL, NULL))
        return false;
    for (size_t i = 0; ok && i < ROUNDS; i++)
        ok = send_round(&rpc, i) && rpc_wait_messages(&rpc, i + 1);
    rpc_close_send(&rpc);
    rpc_wait(&rpc);
    ok = check_all_bodies(&rpc) && ok;
    rpc_fini(&rpc);
    return ok;
}

bool case_half_duplex(struct client *c)
{
    struct rpc rpc = {0};
    bool ok = true;

    if (!rpc_start(&rpc, c, TEST_METHOD(HalfDuplexCall), NULL, NULL))
        return false;
    for (size_t i = 0; ok && i < ROUNDS; i++)
        ok = send_round(&rpc, i);
    ok = ok && expect_count(&rpc, 0);
    rpc_close_send(&rpc);
    rpc_wait(&rpc);
    ok = check_all_bodies(&rpc) && ok;
    rpc_fini(&rpc);
    return ok;
}

bool case_empty_stream(struct client *c)
{
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(FullDuplexCall), NULL, NULL))
        return false;
    rpc_close_send(&rpc);
    rpc_wait(&rpc);
    bool ok = expect_ok(&rpc) && expect_count(&rpc, 0);
    rpc_fini(&rpc);
    return ok;
}
