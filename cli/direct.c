/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/direct.h"

#include "cli/cli.h"

#include <neo/memory.h>
#include <neo/runtime.h>
#include <neo/store.h>

#include <stdio.h>

enum { FILE_MAX = 256 << 10 };

static enum neo_code read_identity(const struct direct_options *o, struct neo_identity **ret,
                                   struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer key = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};

    NEO_TRY(neo_file_read(o->cert, FILE_MAX, &chain, err));
    NEO_TRY(neo_file_read(o->key, FILE_MAX, &key, err));
    return neo_identity_from_pem(neo_buffer_bytes(&chain), neo_buffer_bytes(&key), o->cert, ret,
                                 err);
}

static enum neo_code read_trust(const struct direct_options *o, const char *trust_domain,
                                struct neo_trust **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer roots = {0};

    NEO_TRY(neo_file_read(o->ca, FILE_MAX, &roots, err));
    return neo_trust_from_pem(trust_domain, neo_buffer_bytes(&roots), o->ca, ret, err);
}

enum neo_code direct_open(const char *service, const struct direct_options *options,
                          struct direct *ret, struct neo_error *err)
{
    char trust_domain[256];

    NEO_TRY(read_identity(options, &ret->identity, err));
    const struct neo_cert *leaf = neo_identity_leaf(ret->identity);
    NEO_TRY(neo_cert_check_leaf(leaf, err));
    (void)snprintf(trust_domain, sizeof(trust_domain), "%.*s",
                   NEO_FMT_ALL(neo_cert_facts(leaf)->id.trust_domain));
    NEO_TRY(read_trust(options, trust_domain, &ret->trust, err));
    NEO_TRY(neo_runtime_new(1, &ret->runtime, err));
    const struct neo_channel_options channel = {
        .loop = neo_runtime_loop(ret->runtime, 0),
        .epoch = {.identity = ret->identity, .trust = ret->trust},
        .service = service,
        .trust_domain = trust_domain,
    };
    return neo_channel_open(options->target, &channel, &ret->channel, err);
}

void direct_close(struct direct *direct)
{
    if (direct->channel != NULL)
        neo_channel_free(direct->channel);
    if (direct->runtime != NULL)
        neo_runtime_free(direct->runtime);
    neo_identity_unref(direct->identity);
    neo_trust_unref(direct->trust);
}
