/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/cose.h - COSE_Sign1 (RFC 9052), as evidence uses it.
 *
 * Tagged or not, an algorithm in the protected header, nothing behind the signature. A
 * content type, a type and a key's name may stand beside the algorithm, and a key's name in the
 * unprotected header: they are told of, and decide nothing. Whatever else a header says is
 * refused, above all what must be understood (`crit`).
 */
#ifndef NEO_CODEC_COSE_H
#define NEO_CODEC_COSE_H

#include <neo/buffer.h>
#include <neo/error.h>

enum cose_algorithm {
    COSE_ES256,
    COSE_ES384,
};

/* Borrows the text. */
struct cose_sign1 {
    enum cose_algorithm algorithm;
    bool has_more; /* in its headers than the algorithm */
    struct neo_bytes protected_header;
    struct neo_bytes payload;
    struct neo_bytes signature; /* r and s, big-endian, 32 or 48 bytes each */
};
NEO_MUST_CHECK enum neo_code cose_sign1_read(struct neo_bytes text, struct cose_sign1 *ret,
                                             struct neo_error *err);
/* What the signature is over (RFC 9052, 4.4), without external data. */
bool cose_signed_bytes(const struct cose_sign1 *sign1, struct neo_buffer *out);

#endif
