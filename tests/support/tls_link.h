/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/tls_link.h - two TLS engines and the wire between them.
 */
#ifndef NEO_TESTS_SUPPORT_TLS_LINK_H
#define NEO_TESTS_SUPPORT_TLS_LINK_H

#include "support/pki.h"

#include <tls/tls.h>

struct tls_end {
    struct tls *tls;
    struct neo_buffer plain; /* what it received */
    struct neo_buffer out;   /* what it wants to send */
    struct neo_error err;    /* why it failed; code OK: it did not */
};

struct tls_link {
    struct tls_end client;
    struct tls_end server;
    int64_t wall;
    size_t step; /* bytes fed at once; 0: all there are */
};

/* References the contexts. The client has not begun. */
void tls_link_init(struct tls_link *link, struct tls_context *client, struct tls_context *server,
                   const char *expect);
void tls_link_fini(struct tls_link *link);

/* Feeds `bytes` in steps, unless the end has failed. */
void tls_end_feed(struct tls_end *end, struct neo_bytes bytes, size_t step, int64_t wall);
/* Carries bytes both ways until nothing moves. */
void tls_link_run(struct tls_link *link);

/* Contexts with an identity of `pki`, or without when `service` is NULL. */
struct tls_context *tls_link_context(enum tls_role role, struct pki *pki, const char *service);
struct tls_context *tls_link_context_of(enum tls_role role, struct neo_identity *identity,
                                        struct neo_trust *trust);

#endif
