/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys live in OpenSSL's secure heap: locked in memory, left out of core
 * dumps, cleansed when freed. The heap belongs to the process, so it is set up
 * once, by whoever makes the first key; where the kernel refuses to lock (a low
 * RLIMIT_MEMLOCK) keys work all the same.
 */
#include "crypto/key.h"

#include "crypto/pem.h"
#include "crypto/spki.h"

#include <neo/memory.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    SECURE_HEAP = 1 << 20, /* about 16,000 secrets, those of handshakes under way included */
    SECURE_BLOCK = 32,
};

struct neo_key {
    _Atomic unsigned refs;
    enum neo_key_kind kind;
    EVP_PKEY *pkey;
    uint8_t spki[SPKI_MAX];
    size_t spki_len;
};

static void set_up_secure_heap(void)
{
    if (CRYPTO_secure_malloc_initialized() == 0)
        (void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_BLOCK);
}

static void need_secure_heap(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, set_up_secure_heap);
}

/* Takes over `pkey` when it succeeds. */
static enum neo_code wrap(EVP_PKEY **pkey, const char *what, struct neo_key **ret,
                          struct neo_error *err)
{
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    int len = i2d_PUBKEY(*pkey, &der);
    if (len <= 0)
        return openssl_fail(err, NEO_INTERNAL, "%s: cannot encode the public key", what);

    const struct spki_form *form = spki_form(neo_bytes(der, (size_t)len));
    if (form == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: neither ECDSA P-256, ECDSA P-384 nor Ed25519; make such a key", what);
    struct neo_key *key = neo_alloc(sizeof(*key));
    if (key == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    key->refs = 1;
    key->kind = form->kind;
    key->pkey = *pkey;
    key->spki_len = form->len;
    memcpy(key->spki, der, form->len);
    *pkey = NULL;
    *ret = key;
    return NEO_OK;
}

static EVP_PKEY *generate(enum neo_key_kind kind)
{
    switch (kind) {
    case NEO_KEY_P256:
        return EVP_EC_gen("P-256");
    case NEO_KEY_P384:
        return EVP_EC_gen("P-384");
    case NEO_KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    return NULL;
}

enum neo_code neo_key_generate(enum neo_key_kind kind, struct neo_key **ret, struct neo_error *err)
{
    need_secure_heap();
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *pkey = generate(kind);
    if (pkey == NULL)
        return openssl_fail(err, NEO_INTERNAL, "key: cannot generate");
    return wrap(&pkey, "key", ret, err);
}

struct neo_key *neo_key_ref(struct neo_key *key)
{
    atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
    return key;
}

void neo_key_unref(struct neo_key *key)
{
    if (key == NULL || atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(key->pkey);
    neo_free(key);
}

void neo_key_unrefp(struct neo_key **key)
{
    neo_key_unref(*key);
}

enum neo_key_kind neo_key_kind(const struct neo_key *key)
{
    return key->kind;
}

EVP_PKEY *key_pkey(const struct neo_key *key)
{
    return key->pkey;
}

struct neo_bytes key_spki(const struct neo_key *key)
{
    return neo_bytes(key->spki, key->spki_len);
}

enum neo_code neo_key_to_pem(const struct neo_key *key, struct neo_buffer *out,
                             struct neo_error *err)
{
    NEO_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;

    if (bio == NULL ||
        PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return openssl_fail(err, NEO_INTERNAL, "key: cannot write as PEM");
    long len = BIO_get_mem_data(bio, &text);
    if (!neo_buffer_append(out, neo_bytes(text, (size_t)len)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "key: out of memory");
    return NEO_OK;
}

static EVP_PKEY *read_pkcs8(struct neo_bytes der)
{
    const uint8_t *at = der.at;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.len);
    EVP_PKEY *pkey = info != NULL && at == der.at + der.len ? EVP_PKCS82PKEY(info) : NULL;

    PKCS8_PRIV_KEY_INFO_free(info);
    return pkey;
}

static EVP_PKEY *read_ec(struct neo_bytes der)
{
    const uint8_t *at = der.at;

    return d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, (long)der.len);
}

/* A private scalar that belongs to another public point would sign what nobody can verify. */
static bool is_consistent(EVP_PKEY *pkey)
{
    NEO_CLEANUP(openssl_pkey_ctx_freep)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

    return ctx != NULL && EVP_PKEY_pairwise_check(ctx) == 1;
}

enum neo_code neo_key_from_pem(struct neo_bytes text, const char *what, struct neo_key **ret,
                               struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader pem = {0};
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *pkey = NULL;

    need_secure_heap();
    NEO_TRY(pem_open(&pem, text, what, err));
    NEO_TRY(pem_find_key(&pem, err));
    if (pem.is_encrypted)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: the private key is encrypted; decrypt it with openssl pkcs8", what);
    pkey = strcmp(pem.label, "EC PRIVATE KEY") == 0 ? read_ec(pem.der) : read_pkcs8(pem.der);
    if (pkey == NULL && strcmp(pem.label, "RSA PRIVATE KEY") == 0)
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: RSA; make an ECDSA P-256 key", what);
    if (pkey == NULL)
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: not a readable private key", what);
    struct neo_key *key;
    NEO_TRY(wrap(&pkey, what, &key, err));
    if (!is_consistent(key->pkey)) {
        neo_key_unref(key);
        return openssl_fail(err, NEO_INVALID_ARGUMENT,
                            "%s: the private key does not belong to its public key", what);
    }
    *ret = key;
    return NEO_OK;
}

enum neo_code neo_key_spki(const struct neo_key *key, struct neo_buffer *out, struct neo_error *err)
{
    if (!neo_buffer_append(out, key_spki(key)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "key: out of memory");
    return NEO_OK;
}

enum neo_code neo_key_sign(const struct neo_key *key, struct neo_bytes message,
                           struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = (size_t)EVP_PKEY_get_size(key->pkey);
    uint8_t *at = neo_buffer_reserve(out, len);

    if (at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "key: out of memory");
    if (ctx == NULL ||
        EVP_DigestSignInit(ctx, NULL, spki_digest(key->kind), NULL, key->pkey) != 1 ||
        EVP_DigestSign(ctx, at, &len, message.at, message.len) != 1)
        return openssl_fail(err, NEO_INTERNAL, "key: cannot sign");
    out->len += len;
    return NEO_OK;
}
