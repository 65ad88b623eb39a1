/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

#define SPECIAL "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"

static bool check_unary_status(struct client *c, const char *message)
{
    struct grpc_testing_EchoStatus echo = {.code = NEO_UNKNOWN, .message = neo_text(message)};
    struct grpc_testing_SimpleRequest request = {.response_status = &echo};
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(UnaryCall), NULL, &request))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_status(&rpc, NEO_UNKNOWN, message) && expect_count(&rpc, 0);
    rpc_fini(&rpc);
    return ok;
}

static bool check_duplex_status(struct client *c, const char *message)
{
    struct grpc_testing_EchoStatus echo = {.code = NEO_UNKNOWN, .message = neo_text(message)};
    struct grpc_testing_StreamingOutputCallRequest request = {.response_status = &echo};
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(FullDuplexCall), NULL, NULL))
        return false;
    bool ok = rpc_send(&rpc, &request);
    rpc_close_send(&rpc);
    rpc_wait(&rpc);
    ok = expect_status(&rpc, NEO_UNKNOWN, message) && ok;
    rpc_fini(&rpc);
    return ok;
}

bool case_status_code_and_message(struct client *c)
{
    return check_unary_status(c, "test status message") &&
           check_duplex_status(c, "test status message");
}

bool case_special_status_message(struct client *c)
{
    return check_unary_status(c, SPECIAL);
}

static bool check_unimplemented(struct client *c, const struct neo_method *method)
{
    static const struct grpc_testing_Empty empty;
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, method, NULL, &empty))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_status(&rpc, NEO_UNIMPLEMENTED, NULL);
    rpc_fini(&rpc);
    return ok;
}

bool case_unimplemented_method(struct client *c)
{
    return check_unimplemented(c, TEST_METHOD(UnimplementedCall));
}

bool case_unimplemented_service(struct client *c)
{
    return check_unimplemented(c, &grpc_testing_UnimplementedService_methods[0]);
}

bool case_cancel_after_begin(struct client *c)
{
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(StreamingInputCall), NULL, NULL))
        return false;
    rpc_cancel(&rpc);
    rpc_wait(&rpc);
    bool ok = expect_status(&rpc, NEO_CANCELLED, NULL);
    rpc_fini(&rpc);
    return ok;
}

static bool send_one(struct rpc *rpc)
{
    struct grpc_testing_Payload payload = zeros_of(27182);
    struct grpc_testing_ResponseParameters parameters = {.size = 31415};
    struct grpc_testing_ResponseParameters *list[] = {&parameters};
    struct grpc_testing_StreamingOutputCallRequest request = {.response_parameters = {list, 1},
                                                              .payload = &payload};

    return rpc_send(rpc, &request);
}

bool case_cancel_after_first_response(struct client *c)
{
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(FullDuplexCall), NULL, NULL))
        return false;
    bool ok = send_one(&rpc) && rpc_wait_messages(&rpc, 1) && expect_body(&rpc, 0, 31415);
    rpc_cancel(&rpc);
    rpc_wait(&rpc);
    ok = expect_status(&rpc, NEO_CANCELLED, NULL) && ok;
    rpc_fini(&rpc);
    return ok;
}

/* The server is asked for nothing, so it sleeps until the deadline. */
bool case_timeout_on_sleeping_server(struct client *c)
{
    struct neo_call_options options = {.timeout = NEO_NSEC_PER_MSEC};
    struct grpc_testing_Payload payload = zeros_of(27182);
    struct grpc_testing_StreamingOutputCallRequest request = {.payload = &payload};
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(FullDuplexCall), &options, NULL))
        return false;
    (void)rpc_send(&rpc, &request); /* the deadline may be earlier */
    rpc_wait(&rpc);
    bool ok = expect_status(&rpc, NEO_DEADLINE_EXCEEDED, NULL);
    rpc_fini(&rpc);
    return ok;
}
