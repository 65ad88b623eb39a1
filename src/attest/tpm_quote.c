/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm_quote.h"

#include "base/cursor.h"
#include "crypto/der.h"
#include "crypto/weak.h"

#include <neo/digest.h>

#include <assert.h>

enum {
    ST_ATTEST_QUOTE = 0x8018,
    ALG_RSA = 0x01,
    ALG_NULL = 0x10,
    ALG_RSASSA = 0x14,
    ALG_RSAPSS = 0x16,
    ALG_ECDSA = 0x18,
    ALG_ECC = 0x23,
    ECC_P256 = 0x03,
    ECC_P384 = 0x04,
    RSA_DEFAULT_EXPONENT = 65537,
};
#define GENERATED UINT64_C(0xff544347) /* "\xffTCG": made by the TPM itself */

#define malformed(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

static struct neo_bytes take_sized(struct cursor *c)
{
    return cursor_take(c, (size_t)cursor_be(c, 2));
}

/* What a TPM2B wraps, when `text` is one: its first two bytes count the rest. */
static struct neo_bytes unwrapped(struct neo_bytes text)
{
    struct cursor c = cursor_of(text);
    uint64_t len = cursor_be(&c, 2);

    return !c.failed && len == c.left ? neo_bytes(c.at, c.left) : text;
}

/* --- hashes ----------------------------------------------------------------------------------- */

static void sha256(struct neo_bytes data, uint8_t *ret)
{
    neo_sha256(data, ret);
}

static void sha384(struct neo_bytes data, uint8_t *ret)
{
    neo_sha384(data, ret);
}

static void sha512(struct neo_bytes data, uint8_t *ret)
{
    neo_sha512(data, ret);
}

static void sha1(struct neo_bytes data, uint8_t *ret)
{
    weak_sha1(data, ret);
}

static const struct hash {
    uint16_t id;
    uint16_t len;
    const char *text;
    void (*digest)(struct neo_bytes data, uint8_t *ret);
} hashes[] = {
    {TPM_SHA1, WEAK_SHA1_LEN, "sha1", sha1},
    {TPM_SHA256, NEO_SHA256_LEN, "sha256", sha256},
    {TPM_SHA384, NEO_SHA384_LEN, "sha384", sha384},
    {TPM_SHA512, NEO_SHA512_LEN, "sha512", sha512},
};

static const struct hash *hash_of(uint16_t id)
{
    for (size_t i = 0; i < NEO_COUNT(hashes); i++) {
        if (hashes[i].id == id)
            return &hashes[i];
    }
    return NULL;
}

size_t tpm_hash_len(uint16_t hash)
{
    const struct hash *h = hash_of(hash);

    return h == NULL ? 0 : h->len;
}

const char *tpm_hash_text(uint16_t hash)
{
    const struct hash *h = hash_of(hash);

    return h == NULL ? "unknown" : h->text;
}

void tpm_digest(uint16_t hash, struct neo_bytes data, uint8_t ret[static TPM_DIGEST_MAX])
{
    const struct hash *h = hash_of(hash);

    assert(h != NULL);
    h->digest(data, ret);
}

/* --- what is signed --------------------------------------------------------------------------- */

static size_t count(uint32_t bits)
{
    size_t n = 0;

    for (; bits != 0; bits >>= 1)
        n += bits & 1;
    return n;
}

/* One bank. False: a PCR that does not exist, or of a bank that nobody knows. */
static bool read_bank(struct cursor *c, uint16_t *ret_bank, uint32_t *ret_selected)
{
    *ret_bank = (uint16_t)cursor_be(c, 2);
    struct neo_bytes bitmap = cursor_take(c, cursor_u8(c));
    *ret_selected = 0;
    for (size_t i = 0; i < bitmap.len; i++) {
        if (i >= TPM_PCRS / 8 && bitmap.at[i] != 0)
            return false;
        if (i < TPM_PCRS / 8)
            *ret_selected |= (uint32_t)bitmap.at[i] << (8 * i);
    }
    return !c->failed && (*ret_selected == 0 || tpm_hash_len(*ret_bank) > 0);
}

/* Values follow each other bank by bank, as selected. */
static enum neo_code read_selection(struct cursor *c, struct tpm_quote *q, struct neo_error *err)
{
    uint64_t n = cursor_be(c, 4);
    uint32_t banks[TPM_BANKS_MAX];

    if (c->failed || n == 0 || n > TPM_BANKS_MAX)
        return malformed("a quote of %llu banks of PCRs", (unsigned long long)n);
    q->n_banks = 0;
    q->values_len = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint16_t bank;
        uint32_t selected;
        if (!read_bank(c, &bank, &selected))
            return malformed("a selection of PCRs of an unknown bank, or of a PCR beyond %d",
                             TPM_PCRS - 1);
        for (uint64_t k = 0; k < i; k++) {
            if (banks[k] == bank)
                return malformed("a bank of PCRs that is selected twice");
        }
        banks[i] = bank;
        if (selected != 0)
            q->banks[q->n_banks++] = (struct tpm_bank){bank, selected, q->values_len};
        q->values_len += count(selected) * tpm_hash_len(bank);
    }
    if (q->n_banks == 0)
        return malformed("a quote of no PCR");
    return NEO_OK;
}

enum neo_code tpm_attest_read(struct neo_bytes attest, struct tpm_quote *ret, struct neo_error *err)
{
    struct neo_bytes whole = unwrapped(attest);
    struct cursor c = cursor_of(whole);
    struct tpm_quote q = *ret;

    if (cursor_be(&c, 4) != GENERATED)
        return malformed("not made by a TPM: the magic is missing");
    if (cursor_be(&c, 2) != ST_ATTEST_QUOTE)
        return malformed("not a quote");
    (void)take_sized(&c); /* qualified signer */
    q.extra_data = take_sized(&c);
    (void)cursor_take(&c, 17); /* clock */
    (void)cursor_take(&c, 8);  /* firmware */
    NEO_TRY(read_selection(&c, &q, err));
    q.pcr_digest = take_sized(&c);
    if (!cursor_is_done(&c))
        return malformed("a quote that is cut short, or bytes behind it");
    q.attest = whole;
    *ret = q;
    return NEO_OK;
}

static bool read_hash(uint16_t alg, enum vendor_hash *ret)
{
    if (alg != TPM_SHA256 && alg != TPM_SHA384 && alg != TPM_SHA512)
        return false;
    *ret = alg == TPM_SHA256 ? VENDOR_SHA256 : alg == TPM_SHA384 ? VENDOR_SHA384 : VENDOR_SHA512;
    return true;
}

enum neo_code tpm_signature_read(struct neo_bytes signature, struct tpm_quote *ret,
                                 struct neo_error *err)
{
    struct cursor c = cursor_of(signature);
    struct vendor_parts parts = {.scheme = VENDOR_RSASSA};
    uint16_t scheme = (uint16_t)cursor_be(&c, 2);
    uint16_t hash = (uint16_t)cursor_be(&c, 2);

    if (scheme == ALG_RSAPSS)
        parts.scheme = VENDOR_RSAPSS;
    else if (scheme == ALG_ECDSA)
        parts.scheme = VENDOR_ECDSA;
    else if (scheme != ALG_RSASSA)
        return malformed("a signature of the unknown scheme 0x%04x", scheme);
    if (!read_hash(hash, &parts.hash))
        return malformed("a signature with the hash 0x%04x", hash);
    parts.first = take_sized(&c);
    if (parts.scheme == VENDOR_ECDSA)
        parts.second = take_sized(&c);
    if (!cursor_is_done(&c))
        return malformed("a signature that is cut short, or bytes behind it");
    ret->signature = parts;
    return NEO_OK;
}

/* --- the key ---------------------------------------------------------------------------------- */

static bool read_scheme(struct cursor *c)
{
    uint16_t scheme = (uint16_t)cursor_be(c, 2);

    if (scheme != ALG_NULL)
        (void)cursor_be(c, 2); /* its hash; the signature names it again */
    return scheme == ALG_NULL || scheme == ALG_RSASSA || scheme == ALG_RSAPSS ||
           scheme == ALG_ECDSA;
}

static enum neo_code read_rsa(struct cursor *c, struct vendor_public **ret, struct neo_error *err)
{
    if (cursor_be(c, 2) != ALG_NULL || !read_scheme(c))
        return malformed("a key that is not for signing");
    (void)cursor_be(c, 2); /* bits: the modulus says it */
    uint32_t exponent = (uint32_t)cursor_be(c, 4);
    struct neo_bytes modulus = take_sized(c);
    if (!cursor_is_done(c))
        return malformed("a public area that is cut short, or bytes behind it");
    return vendor_public_rsa(modulus, exponent == 0 ? RSA_DEFAULT_EXPONENT : exponent, ret, err);
}

static enum neo_code read_ecc(struct cursor *c, struct vendor_public **ret, struct neo_error *err)
{
    if (cursor_be(c, 2) != ALG_NULL || !read_scheme(c))
        return malformed("a key that is not for signing");
    uint16_t curve = (uint16_t)cursor_be(c, 2);
    if (cursor_be(c, 2) != ALG_NULL)
        return malformed("a key with a derivation scheme");
    struct neo_bytes x = take_sized(c);
    struct neo_bytes y = take_sized(c);
    if (!cursor_is_done(c))
        return malformed("a public area that is cut short, or bytes behind it");
    if (curve != ECC_P256 && curve != ECC_P384)
        return malformed("a key on the unknown curve 0x%04x", curve);
    return vendor_public_ec(curve == ECC_P256 ? VENDOR_CURVE_P256 : VENDOR_CURVE_P384, x, y, ret,
                            err);
}

/* What tools keep of a key when they keep no public area: it says nothing of the key's nature. */
static enum neo_code read_spki(struct neo_bytes der, struct tpm_key *ret, struct neo_error *err)
{
    struct tpm_key key = {.is_bare = true};

    NEO_TRY(vendor_public_spki(der, &key.key, err));
    *ret = key;
    return NEO_OK;
}

enum neo_code tpm_public_read(struct neo_bytes text, struct tpm_key *ret, struct neo_error *err)
{
    struct neo_bytes area = unwrapped(text);
    struct cursor c = cursor_of(area);
    struct tpm_key key = {.key = NULL};
    uint16_t type = (uint16_t)cursor_be(&c, 2);
    uint16_t name_hash = (uint16_t)cursor_be(&c, 2);

    if (text.len > 0 && text.at[0] == DER_SEQUENCE)
        return read_spki(text, ret, err);
    key.attributes = (uint32_t)cursor_be(&c, 4);
    (void)take_sized(&c); /* authorisation policy */
    if (c.failed || name_hash == TPM_SHA1 || tpm_hash_len(name_hash) == 0)
        return malformed("a public area that is cut short, or named by an unknown or weak hash");
    tpm_digest(name_hash, area, key.name + 2);
    key.name[0] = (uint8_t)(name_hash >> 8);
    key.name[1] = (uint8_t)name_hash;
    key.name_len = 2 + tpm_hash_len(name_hash);
    if (type == ALG_RSA)
        NEO_TRY(read_rsa(&c, &key.key, err));
    else if (type == ALG_ECC)
        NEO_TRY(read_ecc(&c, &key.key, err));
    else
        return malformed("a key of the unknown type 0x%04x", type);
    *ret = key;
    return NEO_OK;
}

/* --- PCRs ------------------------------------------------------------------------------------- */

const struct tpm_bank *tpm_bank_of(const struct tpm_quote *quote, uint16_t hash)
{
    for (size_t i = 0; i < quote->n_banks; i++) {
        if (quote->banks[i].hash == hash)
            return &quote->banks[i];
    }
    return NULL;
}

struct neo_bytes tpm_pcr(const struct tpm_bank *bank, struct neo_bytes values, unsigned i)
{
    size_t len = tpm_hash_len(bank->hash);

    if (i >= TPM_PCRS || (bank->selected & UINT32_C(1) << i) == 0)
        return (struct neo_bytes){0};
    size_t at = bank->before + count(bank->selected & ((UINT32_C(1) << i) - 1)) * len;
    if (at + len > values.len)
        return (struct neo_bytes){0};
    return neo_bytes(values.at + at, len);
}

bool tpm_pcrs_fit(const struct tpm_quote *quote, struct neo_bytes values)
{
    static const uint16_t of_signature[] = {
        [VENDOR_SHA256] = TPM_SHA256, [VENDOR_SHA384] = TPM_SHA384, [VENDOR_SHA512] = TPM_SHA512};
    uint16_t hash = of_signature[quote->signature.hash];
    uint8_t expected[TPM_DIGEST_MAX];

    if (values.len != quote->values_len)
        return false;
    tpm_digest(hash, values, expected);
    return neo_bytes_equal(quote->pcr_digest, neo_bytes(expected, tpm_hash_len(hash)));
}

/* --- the whole -------------------------------------------------------------------------------- */

enum neo_code tpm_evidence_read(struct neo_bytes text, struct tpm_evidence *ret,
                                struct neo_error *err)
{
    struct cursor c = cursor_of(text);
    struct tpm_evidence e;
    struct neo_bytes *const parts[] = {&e.attest, &e.signature, &e.public_area, &e.pcrs,
                                       &e.event_log};

    if (text.len > TPM_EVIDENCE_MAX)
        return malformed("evidence of %zu bytes, at most %d", text.len, TPM_EVIDENCE_MAX);
    for (size_t i = 0; i < NEO_COUNT(parts); i++)
        *parts[i] = cursor_take(&c, (size_t)cursor_be(&c, 4));
    if (!cursor_is_done(&c))
        return malformed("not five parts with their lengths");
    *ret = e;
    return NEO_OK;
}
