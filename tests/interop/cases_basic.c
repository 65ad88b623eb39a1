/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

#include <neo/memory.h>

enum { LARGE_REQUEST = 271828, LARGE_RESPONSE = 314159, CONCURRENT = 1000, PICKS = 100 };

bool case_empty_unary(struct client *c)
{
    static const struct grpc_testing_Empty empty;
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(EmptyCall), NULL, &empty))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_ok(&rpc) && expect_count(&rpc, 1) &&
              expect_number("bytes of the empty response", 0, (int64_t)rpc.messages[0].len);
    rpc_fini(&rpc);
    return ok;
}

bool case_large_unary(struct client *c)
{
    struct grpc_testing_Payload payload = zeros_of(LARGE_REQUEST);
    struct grpc_testing_SimpleRequest request = {.response_size = LARGE_RESPONSE,
                                                 .payload = &payload};

    return check_unary(c, &request);
}

/* --- metadata --------------------------------------------------------------------------------- */

#define ECHO_INITIAL  "test_initial_metadata_value"
#define ECHO_TRAILING "\xab\xab\xab"

static bool start_with_echo(struct rpc *rpc, struct client *c, const struct neo_method *method,
                            const void *request)
{
    const struct neo_pair pairs[] = {
        {NEO_LIT("x-grpc-test-echo-initial"), NEO_LIT(ECHO_INITIAL)},
        {NEO_LIT("x-grpc-test-echo-trailing-bin"), NEO_LIT(ECHO_TRAILING)},
    };
    const struct neo_call_options options = {.metadata = pairs, .n_metadata = NEO_COUNT(pairs)};

    return rpc_start(rpc, c, method, &options, request);
}

static bool expect_echo(const struct rpc *rpc)
{
    return expect_ok(rpc) &&
           expect_text("initial metadata", NEO_LIT(ECHO_INITIAL), rpc->echo_initial) &&
           expect_text("trailing metadata", NEO_LIT(ECHO_TRAILING), rpc->echo_trailing);
}

static bool check_unary_echo(struct client *c)
{
    struct grpc_testing_Payload payload = zeros_of(LARGE_REQUEST);
    struct grpc_testing_SimpleRequest request = {.response_size = LARGE_RESPONSE,
                                                 .payload = &payload};
    struct rpc rpc = {0};

    if (!start_with_echo(&rpc, c, TEST_METHOD(UnaryCall), &request))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_echo(&rpc);
    rpc_fini(&rpc);
    return ok;
}

static bool check_duplex_echo(struct client *c)
{
    struct grpc_testing_Payload payload = zeros_of(LARGE_REQUEST);
    struct grpc_testing_ResponseParameters parameters = {.size = LARGE_RESPONSE};
    struct grpc_testing_ResponseParameters *list[] = {&parameters};
    struct grpc_testing_StreamingOutputCallRequest request = {.response_parameters = {list, 1},
                                                              .payload = &payload};
    struct rpc rpc = {0};

    if (!start_with_echo(&rpc, c, TEST_METHOD(FullDuplexCall), NULL))
        return false;
    bool ok = rpc_send(&rpc, &request);
    rpc_close_send(&rpc);
    rpc_wait(&rpc);
    ok = ok && expect_echo(&rpc) && expect_count(&rpc, 1) && expect_body(&rpc, 0, LARGE_RESPONSE);
    rpc_fini(&rpc);
    return ok;
}

bool case_custom_metadata(struct client *c)
{
    return check_unary_echo(c) && check_duplex_echo(c);
}

/* A header that needs CONTINUATION frames, and is within what every server takes. */
bool case_large_metadata(struct client *c)
{
    enum { LARGE_HEADER = 7000 };
    char *text = neo_alloc(LARGE_HEADER);
    struct neo_pair pair = {NEO_LIT("x-grpc-test-echo-initial"), neo_bytes(text, LARGE_HEADER)};
    struct neo_call_options options = {.metadata = &pair, .n_metadata = 1};
    struct grpc_testing_SimpleRequest request = {.response_size = 1};
    struct rpc rpc = {0};
    bool ok = false;

    memset(text, 'X', LARGE_HEADER);
    if (rpc_start(&rpc, c, TEST_METHOD(UnaryCall), &options, &request)) {
        rpc_wait(&rpc);
        ok = expect_ok(&rpc) && expect_text("initial metadata", pair.value, rpc.echo_initial);
        rpc_fini(&rpc);
    }
    neo_free(text);
    return ok;
}

/* --- many ------------------------------------------------------------------------------------- */

bool case_concurrent_large_unary(struct client *c)
{
    struct grpc_testing_Payload payload = zeros_of(LARGE_REQUEST);
    struct grpc_testing_SimpleRequest request = {.response_size = LARGE_RESPONSE,
                                                 .payload = &payload};
    struct rpc *rpcs = neo_alloc_array(CONCURRENT, sizeof(*rpcs));
    size_t started = 0;
    bool ok = rpcs != NULL;

    for (; ok && started < CONCURRENT; started++)
        ok = rpc_start(&rpcs[started], c, TEST_METHOD(UnaryCall), NULL, &request);
    for (size_t i = 0; i < started; i++) {
        rpc_wait(&rpcs[i]);
        ok = ok && expect_ok(&rpcs[i]) && expect_count(&rpcs[i], 1); /* the first failure is said */
        rpc_fini(&rpcs[i]);
    }
    neo_free(rpcs);
    return ok;
}

static bool ask_server_id(struct client *c, char *ret, size_t len)
{
    struct grpc_testing_SimpleRequest request = {.response_size = 1, .fill_server_id = true};
    struct grpc_testing_SimpleResponse response;
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(UnaryCall), NULL, &request))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_ok(&rpc) && rpc_message(&rpc, 0, &response);
    if (ok && response.server_id.len >= len)
        ok = fail("a server id of %zu bytes", response.server_id.len);
    if (ok) {
        memset(ret, 0, len);
        memcpy(ret, response.server_id.at, response.server_id.len);
        ok = ret[0] != '\0' || fail("the server has filled in no id");
    }
    rpc_fini(&rpc);
    return ok;
}

bool case_pick_first_unary(struct client *c)
{
    char first[256], other[256];

    if (!ask_server_id(c, first, sizeof(first)))
        return false;
    for (int i = 1; i < PICKS; i++)
        if (!ask_server_id(c, other, sizeof(other)) ||
            !expect_text("server id", neo_text(first), neo_text(other)))
            return false;
    return true;
}
