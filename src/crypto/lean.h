/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/lean.h - an OpenSSL library context with the algorithms of mutual TLS and no others.
 *
 * OpenSSL 3.0 finds the reader of a public key by asking every decoder there is, for each
 * certificate of each handshake; with all of the default provider that is most of a handshake. In
 * this context a provider of ours hands on, from the default provider, only what our TLS can
 * negotiate and our profile admits. What is not there cannot be reached by a peer, either: no
 * parser of RSA, DSA or DH keys, no old digests but SHA-1, by which OpenSSL tells certificates
 * apart.
 *
 * The implementations are OpenSSL's own, but for two that it makes dear by detours: the reading of
 * ECDSA's public keys (lean_ec.h), and the derivation of secrets from the two hashes of TLS 1.3
 * (lean_kdf.h), whose compressions are OpenSSL's again.
 *
 * Threads   Any. It lives until OpenSSL's own end, at the exit of the process.
 */
#ifndef NEO_CRYPTO_LEAN_H
#define NEO_CRYPTO_LEAN_H

#include <openssl/types.h>
#include <stdbool.h>

/*
 * For connections, and for certificates. NULL, which is OpenSSL's default context, when it cannot
 * be made: slower, and no less strict.
 */
OSSL_LIB_CTX *lean_library(void);
OSSL_LIB_CTX *lean_reader(void);

/*
 * False: certificates that TLS reads by lean_library() have no keys, because finding out who could
 * read them is half of reading a certificate. Whoever judges them reads them by lean_reader() and
 * gives TLS what he has read.
 */
bool lean_reads_keys(void);

#endif
