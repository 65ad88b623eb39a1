/* SPDX-License-Identifier: Apache-2.0 */
/* A server that anybody may call and read along with: for development on one machine only. */
#include "hello/hello.neo.h"

#include <neo/insecure.h>
#include <neo/neo.h>

#include <stdio.h>

static void greet(struct neo_call *call, const struct hello_GreetRequest *request, void *self)
{
    (void)self;
    const char *text =
        neo_arena_printf(neo_call_arena(call), "hello, %.*s", NEO_FMT_ALL(request->name));
    struct hello_GreetReply reply = {.text = neo_text(text)};

    hello_Greeter_Greet_reply(call, &reply);
}

/* Nobody is known by name here, and still nothing is allowed that no rule allows. */
static const char rules[] = "service: anonymous\n"
                            "allowed_calls:\n"
                            "  - target_service: hello-service\n"
                            "    operations:\n"
                            "      - hello.Greeter/*\n"
                            "      - grpc.health.v1.Health/*\n"
                            "      - grpc.reflection.v1.ServerReflection/*\n";

static enum neo_code serve(const char *address, struct neo_error *err)
{
    const struct neo_document policy = {NEO_LIT("rules"), neo_text(rules)};
    const struct neo_insecure_server insecure = {.mode = NEO_INSECURE_CLEARTEXT};
    const struct hello_Greeter_handlers handlers = {.Greet = greet};
    struct neo_server_options options = {.name = "hello-service", .insecure = &insecure};
    struct neo_server *server;

    NEO_TRY(neo_policy_compile(&policy, 1, &options.epoch.policy, err));
    NEO_TRY(neo_runtime_new(0, &options.runtime, err));
    NEO_TRY(neo_server_new(&options, &server, err));
    NEO_TRY(hello_Greeter_add(server, &handlers, NULL, err));
    NEO_TRY(neo_server_listen(server, address, err));
    (void)printf("INSECURE: anybody may call %s and read along\n", neo_server_address(server));
    (void)fflush(stdout);

    neo_runtime_wait(options.runtime);
    neo_server_drain(server, 5 * NEO_NSEC_PER_SEC);
    neo_server_free(server);
    neo_runtime_free(options.runtime);
    neo_policy_unref(options.epoch.policy);
    return NEO_OK;
}

int main(int argc, char **argv)
{
    struct neo_error err;

    if (serve(argc > 1 ? argv[1] : "127.0.0.1:50052", &err) == NEO_OK)
        return 0;
    (void)fprintf(stderr, "%s: %s\n", neo_code_name(err.code), err.message);
    return 1;
}
