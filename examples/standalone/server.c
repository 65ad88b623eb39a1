/* SPDX-License-Identifier: Apache-2.0 */
/* A server without a control plane: its certificate, roots and policy are files in this folder. */
#include "hello/hello.neo.h"

#include <neo/neo.h>
#include <neo/store.h>

#include <stdio.h>

static void greet(struct neo_call *call, const struct hello_GreetRequest *request, void *self)
{
    (void)self;
    const char *text =
        neo_arena_printf(neo_call_arena(call), "hello, %.*s", NEO_FMT_ALL(request->name));
    struct hello_GreetReply reply = {.text = neo_text(text)};

    hello_Greeter_Greet_reply(call, &reply);
}

/* The files as they are now. Certificates end: read them anew then, and neo_server_update(). */
static enum neo_code read_epoch(struct neo_epoch *ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer key = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer roots = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rules = {0};

    NEO_TRY(neo_file_read("hello-service.pem", 65536, &chain, err));
    NEO_TRY(neo_file_read("hello-service.key", 65536, &key, err));
    NEO_TRY(neo_file_read("ca.pem", 65536, &roots, err));
    NEO_TRY(neo_file_read("policy.yaml", 65536, &rules, err));
    const struct neo_document policy = {NEO_LIT("policy.yaml"), neo_buffer_bytes(&rules)};
    NEO_TRY(neo_identity_from_pem(neo_buffer_bytes(&chain), neo_buffer_bytes(&key), "hello-service",
                                  &ret->identity, err));
    NEO_TRY(
        neo_trust_from_pem("example.org", neo_buffer_bytes(&roots), "ca.pem", &ret->trust, err));
    return neo_policy_compile(&policy, 1, &ret->policy, err);
}

static enum neo_code serve(const char *address, struct neo_error *err)
{
    const struct hello_Greeter_handlers handlers = {.Greet = greet};
    const struct neo_log log = {.fd = 2, .level = NEO_LOG_INFO, .wall_nsec = neo_wall_nsec};
    struct neo_server_options options = {.name = "hello-service", .log = &log};
    struct neo_server *server;

    NEO_TRY(read_epoch(&options.epoch, err));
    NEO_TRY(neo_runtime_new(0, &options.runtime, err));
    NEO_TRY(neo_server_new(&options, &server, err));
    NEO_TRY(hello_Greeter_add(server, &handlers, NULL, err));
    NEO_TRY(neo_server_listen(server, address, err));
    (void)printf("listening on %s\n", neo_server_address(server));
    (void)fflush(stdout);

    neo_runtime_wait(options.runtime); /* for SIGINT or SIGTERM */
    neo_server_drain(server, 5 * NEO_NSEC_PER_SEC);
    neo_server_free(server);
    neo_runtime_free(options.runtime);
    neo_identity_unref(options.epoch.identity);
    neo_trust_unref(options.epoch.trust);
    neo_policy_unref(options.epoch.policy);
    return NEO_OK;
}

int main(int argc, char **argv)
{
    struct neo_error err;

    if (serve(argc > 1 ? argv[1] : "127.0.0.1:50051", &err) == NEO_OK)
        return 0;
    (void)fprintf(stderr, "%s: %s\n", neo_code_name(err.code), err.message);
    return 1;
}
