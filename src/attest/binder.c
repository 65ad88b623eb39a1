/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What evidence is bound to. Every part carries its length, in a fixed order, and
 * none is optional, so two different inputs never give the same bytes to hash.
 */
#include "attest/session.h"

#include <neo/digest.h>

#include <assert.h>

/* The longest part is a SPIFFE id of 2048 bytes; both identities and the rest fit. */
enum { INPUT_MAX = 8192 };

struct writer {
    uint8_t at[INPUT_MAX];
    size_t len;
};

static void put(struct writer *w, struct neo_bytes part)
{
    assert(part.len <= sizeof(w->at) - w->len);
    if (part.len > 0)
        memcpy(w->at + w->len, part.at, part.len);
    w->len += part.len;
}

static void put_part(struct writer *w, struct neo_bytes part)
{
    const uint8_t len[] = {
        (uint8_t)(part.len >> 24),
        (uint8_t)(part.len >> 16),
        (uint8_t)(part.len >> 8),
        (uint8_t)part.len,
    };

    put(w, neo_bytes(len, sizeof(len)));
    put(w, part);
}

void attest_binder(const struct attest_binder_input *in, uint8_t ret[static NEO_BINDER_LEN])
{
    struct writer w = {.len = 0};
    uint8_t claims[NEO_SHA256_LEN];

    neo_sha256(in->claims, claims);
    put_part(&w, NEO_LIT("neo-attest-v1"));
    put(&w, neo_bytes(&in->role, 1));
    put(&w, neo_bytes(&in->kind, 1));
    put_part(&w, in->evidence_type);
    put_part(&w, in->verifier_nonce);
    put_part(&w, in->exporter);
    put_part(&w, in->attester_spki_sha256);
    put_part(&w, in->verifier_spki_sha256);
    put_part(&w, in->attester_uri);
    put_part(&w, in->verifier_uri);
    put_part(&w, neo_bytes(claims, sizeof(claims)));
    neo_sha512(neo_bytes(w.at, w.len), ret);
}

void attest_signed(const uint8_t binder[static NEO_BINDER_LEN],
                   uint8_t ret[static ATTEST_SIGNED_LEN])
{
    static const char domain[] = "neo-attest-v1 proof";

    static_assert(sizeof(domain) - 1 + NEO_BINDER_LEN == ATTEST_SIGNED_LEN, "the domain's length");
    memcpy(ret, domain, sizeof(domain) - 1);
    memcpy(ret + sizeof(domain) - 1, binder, NEO_BINDER_LEN);
}
