/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo-interop-server: grpc.testing.TestService as gRPC's interoperability suite wants it.
 *
 * Cleartext, or TLS with --use_tls, as the suite does it; or, with --use_mtls, the way
 * Neo does it: both sides with certificates of one trust domain, and a policy.
 */
#include "files.h"
#include "flags.h"
#include "serve.h"

#include <neo/insecure.h>

#include <stdio.h>
#include <stdlib.h>

static struct {
    int64_t port;
    const char *bind;
    bool use_tls;
    bool use_mtls;
    const char *tls_cert_file;
    const char *tls_key_file;
    const char *ca_file;
    const char *policy_file;
} flag = {.bind = "127.0.0.1"};

static const struct flag flags[] = {
    {"port", FLAG_NUMBER, &flag.port},
    {"bind", FLAG_TEXT, &flag.bind},
    {"use_tls", FLAG_BOOL, &flag.use_tls},
    {"use_mtls", FLAG_BOOL, &flag.use_mtls},
    {"tls_cert_file", FLAG_TEXT, &flag.tls_cert_file},
    {"tls_key_file", FLAG_TEXT, &flag.tls_key_file},
    {"ca_file", FLAG_TEXT, &flag.ca_file},
    {"policy_file", FLAG_TEXT, &flag.policy_file},
};

/* To whoever comes without a certificate: these tests have no other callers. */
static const char everybody[] = "service: \"anonymous\"\n"
                                "allowed_calls:\n"
                                "  - target_service: \"" INTEROP_SERVICE "\"\n"
                                "    operations: [\"*\"]\n";

static struct neo_policy *read_policy(void)
{
    struct neo_buffer file = {0};
    struct neo_document document = {.name = neo_text("everybody"), .text = NEO_LIT(everybody)};
    struct neo_policy *policy;
    struct neo_error err;

    if (flag.use_mtls)
        flag.policy_file = file_or_default(flag.policy_file, "--policy_file", "policy.yaml");
    if (flag.policy_file != NULL) {
        file = file_read(flag.policy_file);
        document = (struct neo_document){neo_text(flag.policy_file), neo_buffer_bytes(&file)};
    }
    must(neo_policy_compile(&document, 1, &policy, &err), &err);
    neo_buffer_fini(&file);
    return policy;
}

static struct neo_server *make_server(struct neo_server_options *options)
{
    struct neo_insecure_server insecure = {.mode = NEO_INSECURE_CLEARTEXT};
    struct neo_buffer cert = {0}, key = {0};
    struct neo_server *server;
    struct neo_error err;

    if (flag.use_mtls) {
        options->epoch.identity =
            file_identity(file_or_default(flag.tls_cert_file, "--tls_cert_file", "neo-server.pem"),
                          file_or_default(flag.tls_key_file, "--tls_key_file", "neo-server.key"));
        options->epoch.trust = file_trust(file_or_default(flag.ca_file, "--ca_file", "neo-ca.pem"),
                                          options->epoch.identity);
    } else {
        options->insecure = &insecure;
    }
    if (flag.use_tls) {
        cert = file_read(file_or_default(flag.tls_cert_file, "--tls_cert_file", "server1.pem"));
        key = file_read(file_or_default(flag.tls_key_file, "--tls_key_file", "server1.key"));
        insecure = (struct neo_insecure_server){.mode = NEO_INSECURE_ANONYMOUS_CALLERS,
                                                .certificate_pem = neo_buffer_bytes(&cert),
                                                .key_pem = neo_buffer_bytes(&key)};
    }
    must(neo_server_new(options, &server, &err), &err);
    options->insecure = NULL; /* it ends here */
    neo_buffer_fini(&cert);
    neo_buffer_fini_secret(&key);
    return server;
}

int main(int argc, char **argv)
{
    struct neo_runtime *runtime;
    struct neo_error err;
    char address[128];

    if (!flags_read(argc, argv, flags, NEO_COUNT(flags)))
        return 2;
    if (flag.use_tls && flag.use_mtls) {
        (void)fprintf(stderr,
                      "--use_tls is the server's certificate alone, --use_mtls both: choose one\n");
        return 2;
    }
    must(neo_runtime_new(1, &runtime, &err), &err);

    struct neo_server_options options = {
        .name = INTEROP_SERVICE,
        .runtime = runtime,
        .epoch.policy = read_policy(),
        .max_connections_per_identity = 10000, /* all of them come from one address */
        .max_message = 16u << 20,
        .accept_gzip = true,
        .channelz = true,
    };
    struct neo_server *server = make_server(&options);
    must(serve_add(server, &err), &err);
    must(orca_add(server, &err), &err);
    (void)snprintf(address, sizeof(address), "%s:%lld", flag.bind, (long long)flag.port);
    must(neo_server_listen(server, address, &err), &err);
    (void)printf("listening on %s\n", neo_server_address(server));
    (void)fflush(stdout);

    neo_runtime_wait(runtime);
    neo_server_free(server);
    neo_policy_unref(options.epoch.policy);
    neo_identity_unref(options.epoch.identity);
    neo_trust_unref(options.epoch.trust);
    neo_runtime_free(runtime);
    return 0;
}
