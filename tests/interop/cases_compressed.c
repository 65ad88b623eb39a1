/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression, message by message. Each client case begins with a probe: a server that
 * does not look at the compressed flag answers it with OK, and the case has failed.
 */
#include "rpc.h"

static struct grpc_testing_BoolValue yes = {.value = true};
static struct grpc_testing_BoolValue no = {.value = false};

enum { REQUEST = 271828, RESPONSE = 314159 };

/* --- by the client ---------------------------------------------------------------------------- */

static bool check_sent(struct client *c, bool gzip, struct grpc_testing_BoolValue *expect,
                       enum neo_code code)
{
    struct grpc_testing_Payload payload = zeros_of(REQUEST);
    struct grpc_testing_SimpleRequest request = {
        .response_size = RESPONSE, .payload = &payload, .expect_compressed = expect};
    const struct neo_call_options options = {.gzip = gzip};
    struct grpc_testing_SimpleResponse response;
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(UnaryCall), &options, &request))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_status(&rpc, code, NULL);
    if (ok && code == NEO_OK)
        ok = rpc_message(&rpc, 0, &response) &&
             expect_number("size of the payload", RESPONSE,
                           response.payload == NULL ? 0 : (int64_t)response.payload->body.len);
    rpc_fini(&rpc);
    return ok;
}

bool case_client_compressed_unary(struct client *c)
{
    return check_sent(c, false, &yes, NEO_INVALID_ARGUMENT) && check_sent(c, true, &yes, NEO_OK) &&
           check_sent(c, false, &no, NEO_OK);
}

static bool send_input(struct rpc *rpc, size_t size, bool gzip,
                       struct grpc_testing_BoolValue *expect)
{
    struct grpc_testing_Payload payload = zeros_of(size);
    struct grpc_testing_StreamingInputCallRequest request = {.payload = &payload,
                                                             .expect_compressed = expect};

    if (rpc->call != NULL)
        neo_client_call_compress(rpc->call, gzip);
    return rpc_send(rpc, &request);
}

static bool probe_stream(struct client *c)
{
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(StreamingInputCall), NULL, NULL))
        return false;
    (void)send_input(&rpc, 27182, false, &yes);
    rpc_close_send(&rpc);
    rpc_wait(&rpc);
    bool ok = expect_status(&rpc, NEO_INVALID_ARGUMENT, NULL);
    rpc_fini(&rpc);
    return ok;
}

bool case_client_compressed_streaming(struct client *c)
{
    const struct neo_call_options options = {.gzip = true};
    struct grpc_testing_StreamingInputCallResponse response;
    struct rpc rpc = {0};

    if (!probe_stream(c) || !rpc_start(&rpc, c, TEST_METHOD(StreamingInputCall), &options, NULL))
        return false;
    bool ok = send_input(&rpc, 27182, true, &yes) && send_input(&rpc, 45904, false, &no);
    rpc_close_send(&rpc);
    rpc_wait(&rpc);
    ok = expect_ok(&rpc) && ok && expect_count(&rpc, 1) && rpc_message(&rpc, 0, &response) &&
         expect_number("aggregated_payload_size", 73086, response.aggregated_payload_size);
    rpc_fini(&rpc);
    return ok;
}

/* --- by the server ---------------------------------------------------------------------------- */

static bool expect_compressed(const struct rpc *rpc, size_t i, bool compressed)
{
    if (rpc->compressed[i] == compressed)
        return true;
    return fail("response %zu: expected it %s, got it %s", i,
                compressed ? "compressed" : "uncompressed",
                compressed ? "uncompressed" : "compressed");
}

static bool check_received(struct client *c, struct grpc_testing_BoolValue *compressed)
{
    struct grpc_testing_Payload payload = zeros_of(REQUEST);
    struct grpc_testing_SimpleRequest request = {
        .response_size = RESPONSE, .payload = &payload, .response_compressed = compressed};
    struct grpc_testing_SimpleResponse response;
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(UnaryCall), NULL, &request))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_ok(&rpc) && rpc_message(&rpc, 0, &response) &&
              expect_compressed(&rpc, 0, compressed->value) &&
              expect_number("size of the payload", RESPONSE,
                            response.payload == NULL ? 0 : (int64_t)response.payload->body.len);
    rpc_fini(&rpc);
    return ok;
}

bool case_server_compressed_unary(struct client *c)
{
    return check_received(c, &yes) && check_received(c, &no);
}

bool case_server_compressed_streaming(struct client *c)
{
    struct grpc_testing_ResponseParameters parameters[] = {
        {.size = 31415, .compressed = &yes},
        {.size = 92653, .compressed = &no},
    };
    struct grpc_testing_ResponseParameters *list[] = {&parameters[0], &parameters[1]};
    struct grpc_testing_StreamingOutputCallRequest request = {.response_parameters = {list, 2}};
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(StreamingOutputCall), NULL, &request))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_ok(&rpc) && expect_count(&rpc, 2) && expect_body(&rpc, 0, 31415) &&
              expect_body(&rpc, 1, 92653) && expect_compressed(&rpc, 0, true) &&
              expect_compressed(&rpc, 1, false);
    rpc_fini(&rpc);
    return ok;
}
