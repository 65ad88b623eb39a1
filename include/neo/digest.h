/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/digest.h - digests, randomness, and comparison of secrets.
 */
#ifndef NEO_DIGEST_H
#define NEO_DIGEST_H

#include <neo/bytes.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEO_SHA256_LEN = 32, NEO_SHA384_LEN = 48, NEO_SHA512_LEN = 64 };

/* One-shot digests cannot fail. */
void neo_sha256(struct neo_bytes data, uint8_t ret[NEO_AT_LEAST(NEO_SHA256_LEN)]);
void neo_sha384(struct neo_bytes data, uint8_t ret[NEO_AT_LEAST(NEO_SHA384_LEN)]);
void neo_sha512(struct neo_bytes data, uint8_t ret[NEO_AT_LEAST(NEO_SHA512_LEN)]);

/* RFC 2104. Cannot fail. */
void neo_hmac_sha256(struct neo_bytes key, struct neo_bytes data,
                     uint8_t ret[NEO_AT_LEAST(NEO_SHA256_LEN)]);

/* Random bytes from the kernel, fit for keys. Cannot fail once the kernel is up. */
void neo_random(void *at, size_t len);

/* Constant in time for equal lengths. */
bool neo_secret_equal(struct neo_bytes a, struct neo_bytes b);

#ifdef __cplusplus
}
#endif

#endif
