/* SPDX-License-Identifier: Apache-2.0 */
/* A client that proves nothing and has nothing proven to it: for development on one machine only.
 */
#include "hello/hello.neo.h"

#include <neo/insecure.h>
#include <neo/neo.h>

#include <stdio.h>

static enum neo_code greet(const char *target, struct neo_error *err)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = NEO_ARENA(1 << 20);
    const struct neo_insecure_channel insecure = {.mode = NEO_INSECURE_CLEARTEXT,
                                                  .server_name = "localhost"};
    const struct neo_call_options patience = {.timeout = 5 * NEO_NSEC_PER_SEC};
    struct hello_GreetRequest request = {.name = NEO_LIT("world")};
    struct neo_channel_options options = {.insecure = &insecure};
    struct hello_GreetReply reply;
    struct neo_channel *channel;
    struct neo_runtime *runtime;
    struct neo_status status;

    NEO_TRY(neo_runtime_new(1, &runtime, err));
    options.loop = neo_runtime_loop(runtime, 0);
    NEO_TRY(neo_channel_open(target, &options, &channel, err));
    enum neo_code code = hello_Greeter_Greet(channel, &patience, &request, &reply, &arena, &status);
    if (code == NEO_OK)
        (void)printf("%.*s\n", NEO_FMT(reply.text));
    else
        (void)neo_fail(err, code, "%.*s", NEO_FMT(status.message));
    neo_channel_free(channel);
    neo_runtime_free(runtime);
    return code;
}

int main(int argc, char **argv)
{
    struct neo_error err;

    if (greet(argc > 1 ? argv[1] : "ipv4:127.0.0.1:50052", &err) == NEO_OK)
        return 0;
    (void)fprintf(stderr, "%s: %s\n", neo_code_name(err.code), err.message);
    return 1;
}
