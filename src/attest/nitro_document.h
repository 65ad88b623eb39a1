/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/nitro_document.h - the attestation document of AWS Nitro Enclaves.
 *
 * A COSE_Sign1 (RFC 9052) with ES384 whose payload is a CBOR map. Reading is
 * strict: definite lengths, each key once, known keys only, sizes as AWS states
 * them, nothing behind the end.
 */
#ifndef NEO_ATTEST_NITRO_DOCUMENT_H
#define NEO_ATTEST_NITRO_DOCUMENT_H

#include "codec/cose.h"

enum {
    NITRO_PCRS = 32,
    NITRO_PCR_LEN = 48,
    NITRO_ISSUERS_MAX = 8,
    NITRO_DOCUMENT_MAX = 16 << 10,
};

/* All of it borrows the document. What is optional and absent has `at` NULL. */
struct nitro_document {
    struct cose_sign1 sign1;

    struct neo_bytes module_id;
    uint64_t timestamp_ms;
    struct neo_bytes pcrs[NITRO_PCRS];
    struct neo_bytes certificate;                 /* DER */
    struct neo_bytes cabundle[NITRO_ISSUERS_MAX]; /* DER, root first */
    size_t n_cabundle;
    struct neo_bytes public_key;
    struct neo_bytes user_data;
    struct neo_bytes nonce;
};
NEO_MUST_CHECK enum neo_code nitro_document_read(struct neo_bytes text, struct nitro_document *ret,
                                                 struct neo_error *err);

#endif
