/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/direct.h - a channel to a server that no control plane knows: docs/STANDALONE.md.
 */
#ifndef NEO_CLI_DIRECT_H
#define NEO_CLI_DIRECT_H

#include <neo/channel.h>

struct direct_options {
    const char *target; /* "ipv4:127.0.0.1:50051"; NULL: by the mesh */
    const char *ca;     /* files, in PEM */
    const char *cert;
    const char *key;
};

struct direct {
    struct neo_runtime *runtime;
    struct neo_identity *identity;
    struct neo_trust *trust;
    struct neo_channel *channel;
};

/*
 * Mutual TLS, as always: the server must prove to be `service` of the trust domain that our own
 * certificate names. Whatever comes of it: direct_close().
 */
NEO_MUST_CHECK enum neo_code direct_open(const char *service, const struct direct_options *options,
                                         struct direct *ret, struct neo_error *err);
/* {0} is fine. */
void direct_close(struct direct *direct);

#endif
