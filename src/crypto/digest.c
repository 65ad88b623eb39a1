/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digests are OpenSSL's low-level ones: their state is on the stack, so a
 * digest needs no memory, no provider look-up and no error path.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <neo/digest.h>

#include <neo/memory.h>

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/random.h>

enum { HMAC_BLOCK = 64 };

void neo_sha256(struct neo_bytes data, uint8_t ret[static NEO_SHA256_LEN])
{
    SHA256_CTX state;

    SHA256_Init(&state);
    SHA256_Update(&state, data.at, data.len);
    SHA256_Final(ret, &state);
}

void neo_sha384(struct neo_bytes data, uint8_t ret[static NEO_SHA384_LEN])
{
    SHA512_CTX state;

    SHA384_Init(&state);
    SHA384_Update(&state, data.at, data.len);
    SHA384_Final(ret, &state);
}

void neo_sha512(struct neo_bytes data, uint8_t ret[static NEO_SHA512_LEN])
{
    SHA512_CTX state;

    SHA512_Init(&state);
    SHA512_Update(&state, data.at, data.len);
    SHA512_Final(ret, &state);
}

static void hmac_pass(const uint8_t key[static HMAC_BLOCK], uint8_t pad, struct neo_bytes data,
                      uint8_t ret[static NEO_SHA256_LEN])
{
    uint8_t block[HMAC_BLOCK];
    SHA256_CTX state;

    for (size_t i = 0; i < HMAC_BLOCK; i++)
        block[i] = key[i] ^ pad;
    SHA256_Init(&state);
    SHA256_Update(&state, block, sizeof(block));
    SHA256_Update(&state, data.at, data.len);
    SHA256_Final(ret, &state);
    neo_zeroise(block, sizeof(block));
    neo_zeroise(&state, sizeof(state));
}

/* RFC 2104: H(key ^ opad, H(key ^ ipad, data)), a key longer than a block being hashed first. */
void neo_hmac_sha256(struct neo_bytes key, struct neo_bytes data,
                     uint8_t ret[static NEO_SHA256_LEN])
{
    uint8_t block[HMAC_BLOCK] = {0};
    uint8_t inner[NEO_SHA256_LEN];

    if (key.len > HMAC_BLOCK)
        neo_sha256(key, block);
    else if (key.len > 0)
        memcpy(block, key.at, key.len);
    hmac_pass(block, 0x36, data, inner);
    hmac_pass(block, 0x5c, neo_bytes(inner, sizeof(inner)), ret);
    neo_zeroise(block, sizeof(block));
    neo_zeroise(inner, sizeof(inner));
}

void neo_random(void *at, size_t len)
{
    uint8_t *next = at;

    while (len > 0) {
        ssize_t n = getrandom(next, len, 0);

        assert(n > 0 || errno == EINTR); /* no other failure exists for a valid buffer */
        if (n > 0) {
            next += n;
            len -= (size_t)n;
        }
    }
}

bool neo_secret_equal(struct neo_bytes a, struct neo_bytes b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.at, b.at, a.len) == 0);
}
