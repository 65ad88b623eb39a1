/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/key.h - private keys.
 *
 * ECDSA P-256 is the default; P-384 and Ed25519 are allowed; RSA is refused
 * everywhere but in foreign evidence. A key never leaves this module in clear
 * except to a file of mode 0600 that the caller asked for.
 *
 * Threads   A key is immutable and may be shared; it is reference counted.
 */
#ifndef NEO_KEY_H
#define NEO_KEY_H

#include <neo/buffer.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_key;

enum neo_key_kind {
    NEO_KEY_P256,
    NEO_KEY_P384,
    NEO_KEY_ED25519,
};

/* Gives `*ret`: neo_key_unref(). */
NEO_MUST_CHECK enum neo_code neo_key_generate(enum neo_key_kind kind, struct neo_key **ret,
                                              struct neo_error *err);
struct neo_key *neo_key_ref(struct neo_key *key);
void neo_key_unref(struct neo_key *key);
void neo_key_unrefp(struct neo_key **key);
enum neo_key_kind neo_key_kind(const struct neo_key *key);

/* PKCS#8 PEM. Use neo_buffer_fini_secret() on the result. */
NEO_MUST_CHECK enum neo_code neo_key_to_pem(const struct neo_key *key, struct neo_buffer *out,
                                            struct neo_error *err);
/* `what` names the source in messages ("key.pem"). Gives `*ret`. */
NEO_MUST_CHECK enum neo_code neo_key_from_pem(struct neo_bytes pem, const char *what,
                                              struct neo_key **ret, struct neo_error *err);

/* SubjectPublicKeyInfo, DER. */
NEO_MUST_CHECK enum neo_code neo_key_spki(const struct neo_key *key, struct neo_buffer *out,
                                          struct neo_error *err);

/*
 * Signs `message` (not a digest): ECDSA with SHA-256 or SHA-384 by curve, DER form; Ed25519 raw.
 */
NEO_MUST_CHECK enum neo_code neo_key_sign(const struct neo_key *key, struct neo_bytes message,
                                          struct neo_buffer *out, struct neo_error *err);
/* UNAUTHENTICATED when the signature does not fit. */
NEO_MUST_CHECK enum neo_code neo_spki_verify(struct neo_bytes spki, struct neo_bytes message,
                                             struct neo_bytes signature, struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
