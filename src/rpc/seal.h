/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/seal.h - encrypts frames where they lie.
 *
 * A large body is read once on its way out, by the cipher: neither the engine of HTTP/2 nor this
 * copies it into a buffer of frames.
 */
#ifndef NEO_RPC_SEAL_H
#define NEO_RPC_SEAL_H

#include "h2/h2.h"
#include "tls/tls.h"

struct seal {
    struct h2_sink sink; /* for h2_pull_through() */
    struct tls *tls;
    struct neo_buffer *cipher;
};

/* Borrows both. Records are appended to `cipher`. */
struct seal seal_of(struct tls *tls, struct neo_buffer *cipher);

#endif
