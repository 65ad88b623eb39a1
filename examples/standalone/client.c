/* SPDX-License-Identifier: Apache-2.0 */
/* A client without a control plane: where the server is, it is told; who both are, files say. */
#include "hello/hello.neo.h"

#include <neo/neo.h>
#include <neo/store.h>

#include <stdio.h>

static enum neo_code read_epoch(struct neo_epoch *ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer key = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer roots = {0};

    NEO_TRY(neo_file_read("hello-client.pem", 65536, &chain, err));
    NEO_TRY(neo_file_read("hello-client.key", 65536, &key, err));
    NEO_TRY(neo_file_read("ca.pem", 65536, &roots, err));
    NEO_TRY(neo_identity_from_pem(neo_buffer_bytes(&chain), neo_buffer_bytes(&key), "hello-client",
                                  &ret->identity, err));
    return neo_trust_from_pem("example.org", neo_buffer_bytes(&roots), "ca.pem", &ret->trust, err);
}

static enum neo_code greet(const char *target, struct neo_error *err)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = NEO_ARENA(1 << 20);
    const struct neo_call_options patience = {.timeout = 5 * NEO_NSEC_PER_SEC};
    struct hello_GreetRequest request = {.name = NEO_LIT("world")};
    struct hello_GreetReply reply;
    struct neo_channel *channel;
    struct neo_runtime *runtime;
    struct neo_status status;
    struct neo_epoch epoch = {0};

    NEO_TRY(read_epoch(&epoch, err));
    NEO_TRY(neo_runtime_new(1, &runtime, err));
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(runtime, 0),
        .epoch = epoch,
        .service = "hello-service", /* what the server must prove to be, wherever it is */
        .trust_domain = "example.org",
    };
    NEO_TRY(neo_channel_open(target, &options, &channel, err));
    enum neo_code code = hello_Greeter_Greet(channel, &patience, &request, &reply, &arena, &status);
    if (code == NEO_OK)
        (void)printf("%.*s\n", NEO_FMT(reply.text));
    else
        (void)neo_fail(err, code, "%.*s", NEO_FMT(status.message));

    neo_channel_free(channel);
    neo_runtime_free(runtime);
    neo_identity_unref(epoch.identity);
    neo_trust_unref(epoch.trust);
    return code;
}

int main(int argc, char **argv)
{
    struct neo_error err;

    if (greet(argc > 1 ? argv[1] : "ipv4:127.0.0.1:50051", &err) == NEO_OK)
        return 0;
    (void)fprintf(stderr, "%s: %s\n", neo_code_name(err.code), err.message);
    return 1;
}
