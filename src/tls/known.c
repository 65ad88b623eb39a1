/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/known.h"

#include <crypto/cert.h>
#include <neo/memory.h>

#include <openssl/evp.h>

void known_init(struct known *known)
{
    (void)pthread_mutex_init(&known->lock, NULL);
    known->places = NULL;
    atomic_init(&known->hits, 0);
}

void known_fini(struct known *known)
{
    for (size_t i = 0; known->places != NULL && i < KNOWN_PLACES; i++)
        neo_cert_unref(known->places[i].leaf);
    neo_free(known->places);
    (void)pthread_mutex_destroy(&known->lock);
}

static void free_digest(EVP_MD_CTX **digest)
{
    EVP_MD_CTX_free(*digest);
}

static void free_der(uint8_t **der)
{
    OPENSSL_free(*der);
}

static bool add(EVP_MD_CTX *digest, X509 *cert)
{
    NEO_CLEANUP(free_der) uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);

    if (len <= 0)
        return false;
    const uint8_t prefix[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                               (uint8_t)len};
    return EVP_DigestUpdate(digest, prefix, sizeof(prefix)) == 1 &&
           EVP_DigestUpdate(digest, der, (size_t)len) == 1;
}

bool known_key(STACK_OF(X509) * chain, uint8_t ret[static NEO_SHA256_LEN])
{
    NEO_CLEANUP(free_digest) EVP_MD_CTX *digest = EVP_MD_CTX_new();
    int n = sk_X509_num(chain);

    if (digest == NULL || n < 1 || n > CERT_CHAIN_MAX ||
        EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        return false;
    for (int i = 0; i < n; i++)
        if (!add(digest, sk_X509_value(chain, i)))
            return false;
    return EVP_DigestFinal_ex(digest, ret, NULL) == 1;
}

static struct known_place *place_of(struct known *known, const uint8_t key[static NEO_SHA256_LEN])
{
    return &known->places[key[0] % KNOWN_PLACES];
}

struct neo_cert *known_find(struct known *known, const uint8_t key[static NEO_SHA256_LEN])
{
    struct neo_cert *leaf = NULL;

    (void)pthread_mutex_lock(&known->lock);
    if (known->places != NULL) {
        const struct known_place *place = place_of(known, key);
        if (place->leaf != NULL && memcmp(place->key, key, NEO_SHA256_LEN) == 0)
            leaf = neo_cert_ref(place->leaf);
    }
    (void)pthread_mutex_unlock(&known->lock);
    return leaf;
}

void known_put(struct known *known, const uint8_t key[static NEO_SHA256_LEN], struct neo_cert *leaf)
{
    struct neo_cert *old = NULL;

    (void)pthread_mutex_lock(&known->lock);
    if (known->places == NULL)
        known->places = neo_alloc_array(KNOWN_PLACES, sizeof(*known->places));
    if (known->places != NULL) {
        struct known_place *place = place_of(known, key);
        old = place->leaf;
        memcpy(place->key, key, NEO_SHA256_LEN);
        place->leaf = neo_cert_ref(leaf);
    }
    (void)pthread_mutex_unlock(&known->lock);
    neo_cert_unref(old);
}
