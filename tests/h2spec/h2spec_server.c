/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of ours, as it is but for two things that h2spec needs: it takes clients
 * without a certificate, and it has the plain page. Prints its address, and serves
 * until its standard input ends.
 */
#include "rpc/server.h"
#include "support/pki.h"

#include <neo/runtime.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(enum neo_code code, const struct neo_error *err)
{
    if (code == NEO_OK)
        return;
    (void)fprintf(stderr, "h2spec_server: %s: %s\n", neo_code_name(code), err->message);
    exit(1);
}

static struct neo_policy *no_calls(void)
{
    static const char text[] = "service: \"nobody-service\"\nallowed_calls: []\n";
    const struct neo_document document = {NEO_LIT("nobody"), NEO_LIT(text)};
    struct neo_policy *policy = NULL;
    struct neo_error err = {0};

    check(neo_policy_compile(&document, 1, &policy, &err), &err);
    return policy;
}

int main(void)
{
    static const struct h2_limits with_page = {.plain_page = "a page for h2spec\n"};
    struct pki *pki = pki_new("neo.test");
    struct neo_server_options options = {
        .name = "h2spec-service",
        .epoch = {.identity = pki_identity(pki, "h2spec-service", NULL),
                  .trust = pki_trust(pki),
                  .policy = no_calls()},
        .allow_anonymous = true,
        .max_connections_per_identity = 1000,
    };
    struct neo_server *server = NULL;
    struct neo_error err = {0};
    char byte;

    (void)signal(SIGPIPE, SIG_IGN);
    check(neo_runtime_new(1, &options.runtime, &err), &err);
    check(neo_server_new(&options, &server, &err), &err);
    server->h2_limits = &with_page;
    check(neo_server_listen(server, "127.0.0.1:0", &err), &err);
    (void)printf("%s\n", neo_server_address(server));
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    neo_server_free(server);
    neo_runtime_free(options.runtime);
    neo_policy_unref(options.epoch.policy);
    neo_trust_unref(options.epoch.trust);
    neo_identity_unref(options.epoch.identity);
    pki_free(pki);
    return 0;
}
