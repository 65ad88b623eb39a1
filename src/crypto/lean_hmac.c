/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* as in digest.c: a state on the stack and no way to fail */

#include "crypto/lean_hmac.h"

#include <neo/memory.h>

#include <string.h>
#include <strings.h>

static void begin_sha256(union lean_hash_state *state)
{
    (void)SHA256_Init(&state->sha256);
}

static void add_sha256(union lean_hash_state *state, struct neo_bytes data)
{
    (void)SHA256_Update(&state->sha256, data.at, data.len);
}

static void end_sha256(union lean_hash_state *state, uint8_t *ret)
{
    (void)SHA256_Final(ret, &state->sha256);
}

static void begin_sha384(union lean_hash_state *state)
{
    (void)SHA384_Init(&state->sha384);
}

static void add_sha384(union lean_hash_state *state, struct neo_bytes data)
{
    (void)SHA384_Update(&state->sha384, data.at, data.len);
}

static void end_sha384(union lean_hash_state *state, uint8_t *ret)
{
    (void)SHA384_Final(ret, &state->sha384);
}

static const struct lean_hash sha256 = {SHA256_DIGEST_LENGTH, SHA256_CBLOCK, begin_sha256,
                                        add_sha256, end_sha256};
static const struct lean_hash sha384 = {SHA384_DIGEST_LENGTH, SHA512_CBLOCK, begin_sha384,
                                        add_sha384, end_sha384};

const struct lean_hash *lean_hash_named(const char *name)
{
    static const struct {
        const char *name;
        const struct lean_hash *hash;
    } known[] = {
        {"SHA2-256", &sha256}, {"SHA2-384", &sha384}, {"SHA256", &sha256},
        {"SHA384", &sha384},   {"SHA-256", &sha256},  {"SHA-384", &sha384},
    };

    for (size_t i = 0; i < NEO_COUNT(known); i++)
        if (strcasecmp(name, known[i].name) == 0)
            return known[i].hash;
    return NULL;
}

static void begin_pass(struct lean_hmac *hmac, uint8_t change)
{
    for (size_t i = 0; i < hmac->hash->block; i++)
        hmac->pad[i] ^= change;
    hmac->hash->begin(&hmac->state);
    hmac->hash->add(&hmac->state, neo_bytes(hmac->pad, hmac->hash->block));
}

void lean_hmac_begin(struct lean_hmac *hmac, const struct lean_hash *hash, struct neo_bytes key)
{
    enum { INNER = 0x36 };

    hmac->hash = hash;
    memset(hmac->pad, 0, sizeof(hmac->pad));
    if (key.len > hash->block) {
        hash->begin(&hmac->state);
        hash->add(&hmac->state, key);
        hash->end(&hmac->state, hmac->pad);
    } else if (key.len > 0) {
        memcpy(hmac->pad, key.at, key.len);
    }
    begin_pass(hmac, INNER);
}

void lean_hmac_add(struct lean_hmac *hmac, struct neo_bytes data)
{
    hmac->hash->add(&hmac->state, data);
}

void lean_hmac_end(struct lean_hmac *hmac, uint8_t *ret)
{
    enum { INNER_TO_OUTER = 0x36 ^ 0x5c };
    uint8_t inner[LEAN_HASH_MAX];

    hmac->hash->end(&hmac->state, inner);
    begin_pass(hmac, INNER_TO_OUTER);
    hmac->hash->add(&hmac->state, neo_bytes(inner, hmac->hash->len));
    hmac->hash->end(&hmac->state, ret);
    neo_zeroise(inner, sizeof(inner));
    neo_zeroise(hmac, sizeof(*hmac));
}
