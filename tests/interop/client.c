/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo-interop-client: one case of gRPC's interoperability suite against a server.
 *
 * Exit status 0 says that the case has passed, and nothing else does. Cleartext, or
 * TLS with --use_tls, as the suite does it; or, with --use_mtls, the way Neo does it.
 */
#include "files.h"
#include "flags.h"
#include "rpc.h"

#include <neo/insecure.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

enum {
    METADATA_MAX = 32,
    SOAK_SIZE_MAX = 15 << 20, /* the channel takes 16 MiB */
    SOAK_THREADS_MAX = 10000,
};

static struct {
    const char *server_host;
    int64_t server_port;
    const char *server_host_override;
    const char *test_case;
    bool use_tls, use_test_ca, use_mtls;
    const char *ca_file, *tls_cert_file, *tls_key_file;
    const char *server_service; /* with --use_mtls: whom the server must prove to be */
    const char *service_config_json;
    const char *additional_metadata;
    struct client client;
} flag = {
    .server_host = "localhost",
    .server_port = 8080,
    .test_case = "large_unary",
    .server_service = "interop-service",
    .client.soak = {.iterations = 10,
                    .max_latency_ms = 1000,
                    .timeout_s = 10,
                    .threads = 1,
                    .request_size = 271828,
                    .response_size = 314159},
};

static const struct flag flags[] = {
    {"server_host", FLAG_TEXT, &flag.server_host},
    {"server_port", FLAG_NUMBER, &flag.server_port},
    {"server_host_override", FLAG_TEXT, &flag.server_host_override},
    {"test_case", FLAG_TEXT, &flag.test_case},
    {"use_tls", FLAG_BOOL, &flag.use_tls},
    {"use_test_ca", FLAG_BOOL, &flag.use_test_ca},
    {"use_mtls", FLAG_BOOL, &flag.use_mtls},
    {"ca_file", FLAG_TEXT, &flag.ca_file},
    {"tls_cert_file", FLAG_TEXT, &flag.tls_cert_file},
    {"tls_key_file", FLAG_TEXT, &flag.tls_key_file},
    {"server_service", FLAG_TEXT, &flag.server_service},
    {"service_config_json", FLAG_TEXT, &flag.service_config_json},
    {"additional_metadata", FLAG_TEXT, &flag.additional_metadata},
    {"soak_iterations", FLAG_NUMBER, &flag.client.soak.iterations},
    {"soak_max_failures", FLAG_NUMBER, &flag.client.soak.max_failures},
    {"soak_per_iteration_max_acceptable_latency_ms", FLAG_NUMBER, &flag.client.soak.max_latency_ms},
    {"soak_overall_timeout_seconds", FLAG_NUMBER, &flag.client.soak.timeout_s},
    {"soak_min_time_ms_between_rpcs", FLAG_NUMBER, &flag.client.soak.min_ms_between},
    {"soak_num_threads", FLAG_NUMBER, &flag.client.soak.threads},
    {"soak_request_size", FLAG_NUMBER, &flag.client.soak.request_size},
    {"soak_response_size", FLAG_NUMBER, &flag.client.soak.response_size},
};

static const struct {
    const char *name;
    case_fn *run;
    const char *service_config; /* when the flags give none */
} cases[] = {
    {"empty_unary", case_empty_unary, NULL},
    {"large_unary", case_large_unary, NULL},
    {"client_streaming", case_client_streaming, NULL},
    {"server_streaming", case_server_streaming, NULL},
    {"ping_pong", case_ping_pong, NULL},
    {"empty_stream", case_empty_stream, NULL},
    {"half_duplex", case_half_duplex, NULL},
    {"custom_metadata", case_custom_metadata, NULL},
    {"large_metadata", case_large_metadata, NULL},
    {"status_code_and_message", case_status_code_and_message, NULL},
    {"special_status_message", case_special_status_message, NULL},
    {"unimplemented_method", case_unimplemented_method, NULL},
    {"unimplemented_service", case_unimplemented_service, NULL},
    {"cancel_after_begin", case_cancel_after_begin, NULL},
    {"cancel_after_first_response", case_cancel_after_first_response, NULL},
    {"timeout_on_sleeping_server", case_timeout_on_sleeping_server, NULL},
    {"client_compressed_unary", case_client_compressed_unary, NULL},
    {"server_compressed_unary", case_server_compressed_unary, NULL},
    {"client_compressed_streaming", case_client_compressed_streaming, NULL},
    {"server_compressed_streaming", case_server_compressed_streaming, NULL},
    {"concurrent_large_unary", case_concurrent_large_unary, NULL},
    {"pick_first_unary", case_pick_first_unary,
     "{\"loadBalancingConfig\": [{\"pick_first\": {}}]}"},
    {"orca_per_rpc", case_orca_per_rpc, NULL},
    {"orca_oob", case_orca_oob, NULL},
    {"rpc_soak", case_rpc_soak, NULL},
    {"channel_soak", case_channel_soak, NULL},
    {"long_lived_channel", case_long_lived_channel, NULL},
};

/* Official cases that cannot be played between two programs. */
#define GOOGLES "credentials of Google's cloud"
static const struct {
    const char *name;
    const char *needs;
} elsewhere[] = {
    {"cacheable_unary", "a caching proxy"},
    {"compute_engine_creds", GOOGLES},
    {"compute_engine_channel_credentials", GOOGLES},
    {"google_default_credentials", GOOGLES},
    {"jwt_token_creds", GOOGLES},
    {"oauth2_auth_token", GOOGLES},
    {"per_rpc_creds", GOOGLES},
    {"service_account_creds", GOOGLES},
};

/* --- the channel ------------------------------------------------------------------------------ */

static const char *default_config;

/* "ipv4:" for addresses, of which there may be several ("127.0.0.1:1,127.0.0.1:2"); "::1" and
   "[::1]" are of IPv6; else a name. */
static void make_target(char *ret, size_t len)
{
    const char *host = flag.server_host;
    bool bracketed = host[0] == '[';
    char bare[64] = "";
    struct in6_addr six;

    (void)snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(host + bracketed, "]"),
                   host + bracketed);
    if (strchr(host, ',') == NULL && inet_pton(AF_INET6, bare, &six) == 1)
        (void)snprintf(ret, len, "ipv6:[%s]:%lld", bare, (long long)flag.server_port);
    else if (strchr(host, ',') != NULL || strchr(host, ':') != NULL)
        (void)snprintf(ret, len, "ipv4:%s", host);
    else
        (void)snprintf(ret, len, "dns:///%s:%lld", flag.server_host, (long long)flag.server_port);
}

static const char *server_name(void)
{
    static char name[256];

    if (flag.server_host_override != NULL)
        return flag.server_host_override;
    bool six = strchr(flag.server_host, ':') != strrchr(flag.server_host, ':') &&
               strpbrk(flag.server_host, ",[") == NULL;
    (void)snprintf(name, sizeof(name), six ? "[%s]" : "%s", flag.server_host);
    return name;
}

static void open_mutual(struct neo_channel_options *o)
{
    struct neo_identity *identity =
        file_identity(file_or_default(flag.tls_cert_file, "--tls_cert_file", "neo-client.pem"),
                      file_or_default(flag.tls_key_file, "--tls_key_file", "neo-client.key"));
    static char domain[256];

    (void)snprintf(domain, sizeof(domain), "%.*s",
                   NEO_FMT(neo_cert_facts(neo_identity_leaf(identity))->id.trust_domain));
    o->epoch.identity = identity;
    o->epoch.trust = file_trust(file_or_default(flag.ca_file, "--ca_file", "neo-ca.pem"), identity);
    o->service = flag.server_service;
    o->trust_domain = domain;
}

/* As OpenSSL's own programs find them. */
static const char *system_roots(void)
{
    const char *named = getenv("SSL_CERT_FILE");

    return named != NULL && named[0] != '\0' ? named : SYSTEM_ROOTS;
}

static struct neo_channel *open_channel(struct client *c, const char *service_config)
{
    struct neo_insecure_channel insecure = {
        .mode = NEO_INSECURE_CLEARTEXT,
        .server_name = server_name(),
    };
    struct neo_channel_options o = {.loop = c->loop, .max_message = 16u << 20, .accept_gzip = true};
    struct neo_buffer roots = {0};
    struct neo_channel *channel;
    struct neo_error err;
    char target[1024];

    o.service_config = service_config != NULL             ? service_config
                       : flag.service_config_json != NULL ? flag.service_config_json
                                                          : default_config;
    if (flag.use_mtls)
        open_mutual(&o);
    else
        o.insecure = &insecure;
    if (flag.use_tls) {
        roots = file_read(flag.use_test_ca ? file_or_default(flag.ca_file, "--ca_file", "ca.pem")
                          : flag.ca_file != NULL ? flag.ca_file
                                                 : system_roots());
        insecure.mode = NEO_INSECURE_ANONYMOUS_CALLERS;
        insecure.root_pem = neo_buffer_bytes(&roots);
    }
    make_target(target, sizeof(target));
    must(neo_channel_open(target, &o, &channel, &err), &err);
    neo_identity_unref(o.epoch.identity);
    neo_trust_unref(o.epoch.trust);
    neo_buffer_fini(&roots);
    return channel;
}

/* "key:value;key:value" */
static bool read_metadata(struct client *c, const char *text)
{
    static struct neo_pair pairs[METADATA_MAX];
    size_t n = 0;

    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, ";");
        const char *colon = memchr(text, ':', len);
        if (colon == NULL || n == METADATA_MAX)
            return fail("--additional_metadata: \"%s\" is not key:value;key:value", text);
        pairs[n].key = neo_bytes(text, (size_t)(colon - text));
        pairs[n].value = neo_bytes(colon + 1, len - (size_t)(colon - text) - 1);
        n++;
        text += len + (text[len] == ';');
    }
    c->metadata = pairs;
    c->n_metadata = n;
    return true;
}

static int run(case_fn *run_case)
{
    struct client *c = &flag.client;
    struct neo_error err;

    must(neo_loop_new(&c->loop, &err), &err);
    c->open = open_channel;
    c->channel = open_channel(c, NULL);
    bool passed = run_case(c);
    neo_channel_free(c->channel);
    neo_loop_free(c->loop);
    (void)printf("%s %s\n", flag.test_case, passed ? "passed" : "failed");
    return passed ? 0 : 1;
}

/* A soak that makes no call has shown nothing. */
static bool soak_is_right(void)
{
    const struct {
        const char *name;
        int64_t value, least, most;
    } bounds[] = {
        {"soak_iterations", flag.client.soak.iterations, 1, INT32_MAX},
        {"soak_num_threads", flag.client.soak.threads, 1, SOAK_THREADS_MAX},
        {"soak_request_size", flag.client.soak.request_size, 0, SOAK_SIZE_MAX},
        {"soak_response_size", flag.client.soak.response_size, 0, SOAK_SIZE_MAX},
        {"soak_max_failures", flag.client.soak.max_failures, 0, INT32_MAX},
        {"soak_min_time_ms_between_rpcs", flag.client.soak.min_ms_between, 0, INT32_MAX},
        {"soak_per_iteration_max_acceptable_latency_ms", flag.client.soak.max_latency_ms, 0,
         INT32_MAX},
        {"soak_overall_timeout_seconds", flag.client.soak.timeout_s, 0, INT32_MAX},
    };

    for (size_t i = 0; i < NEO_COUNT(bounds); i++)
        if (bounds[i].value < bounds[i].least || bounds[i].value > bounds[i].most)
            return fail("--%s=%lld: a number of %lld to %lld", bounds[i].name,
                        (long long)bounds[i].value, (long long)bounds[i].least,
                        (long long)bounds[i].most);
    return true;
}

int main(int argc, char **argv)
{
    if (!flags_read(argc, argv, flags, NEO_COUNT(flags)) ||
        !read_metadata(&flag.client, flag.additional_metadata) || !soak_is_right())
        return 2;
    if (flag.use_tls && flag.use_mtls) {
        (void)fail("--use_tls is the server's certificate alone, --use_mtls both: choose one");
        return 2;
    }
    for (size_t i = 0; i < NEO_COUNT(cases); i++)
        if (strcmp(cases[i].name, flag.test_case) == 0) {
            default_config = cases[i].service_config;
            return run(cases[i].run);
        }
    for (size_t i = 0; i < NEO_COUNT(elsewhere); i++)
        if (strcmp(elsewhere[i].name, flag.test_case) == 0) {
            (void)fail("the case \"%s\" needs %s, and is not here", flag.test_case,
                       elsewhere[i].needs);
            return 2;
        }
    (void)fail("there is no case \"%s\"; there are", flag.test_case);
    for (size_t i = 0; i < NEO_COUNT(cases); i++)
        (void)fail("  %s", cases[i].name);
    return 2;
}
