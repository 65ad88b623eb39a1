/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/cca_token.h"

#include "codec/cbor.h"

enum {
    TAG_LEGACY = 399,
    TAG_COLLECTION = 907,
    MEDIA_TYPE_CWT = 263, /* of an entry in a collection */
    ENTRY_PLATFORM = 44234,
    ENTRY_REALM = 44241,
};

enum {
    CLAIM_CHALLENGE = 10,
    CLAIM_INSTANCE_ID = 256,
    CLAIM_PROFILE = 265,
    CLAIM_CLIENT_ID = 2394,
    CLAIM_LIFECYCLE = 2395,
    CLAIM_IMPLEMENTATION_ID = 2396,
    CLAIM_RPV = 44235,
    CLAIM_RAK = 44237,
    CLAIM_RIM = 44238,
    CLAIM_REM = 44239,
    CLAIM_RAK_HASH = 44240,
};

enum { CLIENT_MONITOR = 1 };

enum { COSE_KEY_TYPE = 1, COSE_EC2 = 2, COSE_P256 = 1, COSE_P384 = 2, COSE_MEMBERS_MAX = 16 };

#define malformed(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

/* --- values ----------------------------------------------------------------------------------- */

static bool read_bytes(struct cbor *c, size_t min, size_t max, struct neo_bytes *ret)
{
    struct cbor_item item;

    if (!cbor_take(c, CBOR_BYTES, &item) || item.bytes.len < min || item.bytes.len > max)
        return false;
    *ret = item.bytes;
    return true;
}

/* A digest: 32, 48 or 64 bytes. */
static bool read_digest(struct cbor *c, struct neo_bytes *ret)
{
    return read_bytes(c, 32, CCA_DIGEST_MAX, ret) && ret->len % 16 == 0;
}

static bool read_hash(struct cbor *c, enum cca_hash *ret)
{
    static const char *const names[] = {
        [CCA_SHA256] = "sha-256", [CCA_SHA384] = "sha-384", [CCA_SHA512] = "sha-512"};
    struct cbor_item item;

    if (!cbor_take(c, CBOR_TEXT, &item))
        return false;
    for (size_t i = 0; i < NEO_COUNT(names); i++) {
        if (neo_bytes_is(item.bytes, names[i])) {
            *ret = (enum cca_hash)i;
            return true;
        }
    }
    return false;
}

struct profile_name {
    const char *text;
    enum cca_profile profile;
};

static const struct profile_name platform_profiles[] = {
    {"http://arm.com/CCA-SSD/1.0.0", CCA_1_0},
    {"tag:arm.com,2023:cca_platform#1.0.0", CCA_1_0},
    {"tag:arm.com,2024:cca_platform#2.0.0", CCA_2_0},
    {NULL, CCA_NOT_SAID},
};
static const struct profile_name realm_profiles[] = {
    {"tag:arm.com,2023:realm#1.0.0", CCA_1_0},
    {"tag:arm.com,2024:realm#2.0.0", CCA_2_0},
    {NULL, CCA_NOT_SAID},
};

static bool read_profile(struct cbor *c, const struct profile_name *names, enum cca_profile *ret)
{
    struct cbor_item item;

    if (!cbor_take(c, CBOR_TEXT, &item))
        return false;
    for (; names->text != NULL; names++) {
        if (neo_bytes_is(item.bytes, names->text)) {
            *ret = names->profile;
            return true;
        }
    }
    return false;
}

static bool read_rems(struct cbor *c, struct cca_token *t)
{
    struct cbor_item array;

    if (!cbor_take(c, CBOR_ARRAY, &array) || array.value != CCA_REMS)
        return false;
    for (size_t i = 0; i < CCA_REMS; i++) {
        if (!read_digest(c, &t->rem[i]))
            return false;
    }
    return true;
}

/* --- the realm's key -------------------------------------------------------------------------- */

static bool keep_point(struct cca_token *t, struct neo_bytes x, struct neo_bytes y)
{
    size_t half = t->rak_algorithm == COSE_ES256 ? 32 : 48;

    if (x.len != half || y.len != half)
        return false;
    memcpy(t->rak_point, x.at, half);
    memcpy(t->rak_point + half, y.at, half);
    return true;
}

/* {1: 2 (EC2), -1: curve, -2: x, -3: y}, in any order; what else there is says nothing of the
 * point. */
static bool read_cose_key(struct cca_token *t)
{
    enum { KTY = 1, CRV = 2, X = 4, Y = 8 };
    struct cbor c = cbor_of(t->rak);
    struct cbor_item map, key, value;
    struct neo_bytes x = {0}, y = {0};
    uint64_t curve = 0;
    unsigned seen = 0;

    if (!cbor_take(&c, CBOR_MAP, &map) || map.value > COSE_MEMBERS_MAX)
        return false;
    for (uint64_t i = 0; i < map.value; i++) {
        unsigned which = 0;
        if (!cbor_next(&c, &key) || (key.type != CBOR_UINT && key.type != CBOR_NINT))
            return false;
        if (key.type == CBOR_UINT && key.value == COSE_KEY_TYPE) {
            which = KTY;
            if (!cbor_take(&c, CBOR_UINT, &value) || value.value != COSE_EC2)
                return false;
        } else if (key.type == CBOR_NINT && key.value == 0) {
            which = CRV;
            if (!cbor_take(&c, CBOR_UINT, &value))
                return false;
            curve = value.value;
        } else if (key.type == CBOR_NINT && key.value <= 2) {
            which = key.value == 1 ? X : Y;
            if (!read_bytes(&c, 1, CCA_POINT_MAX / 2, which == X ? &x : &y))
                return false;
        } else if (cbor_skip(&c).at == NULL) {
            return false;
        }
        if ((seen & which) != 0)
            return false;
        seen |= which;
    }
    if (!cbor_is_done(&c) || seen != (KTY | CRV | X | Y) ||
        (curve != COSE_P256 && curve != COSE_P384))
        return false;
    t->rak_algorithm = curve == COSE_P256 ? COSE_ES256 : COSE_ES384;
    return keep_point(t, x, y);
}

/* A bare point in RMM 1.0, a COSE_Key since. */
static bool read_rak(struct cbor *c, struct cca_token *t)
{
    if (!read_bytes(c, 1, 256, &t->rak))
        return false;
    if (t->rak.at[0] != 0x04)
        return read_cose_key(t);
    if (t->rak.len != 65 && t->rak.len != 97)
        return false;
    size_t half = t->rak.len / 2;
    t->rak_algorithm = half == 32 ? COSE_ES256 : COSE_ES384;
    return keep_point(t, neo_bytes(t->rak.at + 1, half), neo_bytes(t->rak.at + 1 + half, half));
}

/* --- claims ----------------------------------------------------------------------------------- */

static bool read_platform_claim(struct cbor *c, uint64_t claim, struct cca_token *t)
{
    struct cbor_item item;

    switch (claim) {
    case CLAIM_PROFILE:
        return read_profile(c, platform_profiles, &t->platform_profile);
    case CLAIM_CHALLENGE:
        return read_digest(c, &t->platform_challenge);
    case CLAIM_IMPLEMENTATION_ID:
        return read_bytes(c, CCA_IMPLEMENTATION_LEN, CCA_IMPLEMENTATION_LEN, &t->implementation_id);
    case CLAIM_INSTANCE_ID:
        return read_bytes(c, CCA_INSTANCE_LEN, CCA_INSTANCE_LEN, &t->instance_id);
    case CLAIM_CLIENT_ID:
        if (!cbor_take(c, CBOR_UINT, &item))
            return false;
        t->client = item.value;
        return true;
    case CLAIM_LIFECYCLE:
        if (!cbor_take(c, CBOR_UINT, &item) || item.value > UINT16_MAX)
            return false;
        t->lifecycle = (uint32_t)item.value;
        return true;
    default:
        return cbor_skip(c).at != NULL;
    }
}

static bool read_realm_claim(struct cbor *c, uint64_t claim, struct cca_token *t)
{
    switch (claim) {
    case CLAIM_PROFILE:
        return read_profile(c, realm_profiles, &t->realm_profile);
    case CLAIM_CHALLENGE:
        return read_bytes(c, CCA_CHALLENGE_LEN, CCA_CHALLENGE_LEN, &t->challenge);
    case CLAIM_RPV:
        return read_bytes(c, CCA_RPV_LEN, CCA_RPV_LEN, &t->rpv);
    case CLAIM_RIM:
        return read_digest(c, &t->rim);
    case CLAIM_REM:
        return read_rems(c, t);
    case CLAIM_RAK:
        return read_rak(c, t);
    case CLAIM_RAK_HASH:
        return read_hash(c, &t->rak_hash);
    default:
        return cbor_skip(c).at != NULL;
    }
}

/* What must be there, by claim; 0 ends it. */
static const uint64_t platform_claims[] = {
    CLAIM_PROFILE, CLAIM_CHALLENGE, CLAIM_IMPLEMENTATION_ID, CLAIM_INSTANCE_ID, CLAIM_LIFECYCLE, 0,
};
static const uint64_t realm_claims[] = {
    CLAIM_CHALLENGE, CLAIM_RPV, CLAIM_RAK, CLAIM_RIM, CLAIM_REM, CLAIM_RAK_HASH, 0,
};

enum { CLAIMS_MAX = 32 };

typedef bool claim_fn(struct cbor *c, uint64_t claim, struct cca_token *t);

static bool contains(const uint64_t *claims, size_t n, uint64_t claim)
{
    for (size_t i = 0; i < n; i++) {
        if (claims[i] == claim)
            return true;
    }
    return false;
}

static enum neo_code read_claims(struct neo_bytes payload, const char *whose, claim_fn *read,
                                 const uint64_t *required, struct cca_token *t,
                                 struct neo_error *err)
{
    struct cbor c = cbor_of(payload);
    uint64_t seen[CLAIMS_MAX];
    struct cbor_item map, key;
    size_t n = 0;

    if (!cbor_take(&c, CBOR_MAP, &map) || map.value > CLAIMS_MAX)
        return malformed("the %s's claims are no map, or too many", whose);
    for (; n < map.value; n++) {
        if (!cbor_take(&c, CBOR_UINT, &key))
            return malformed("a claim of the %s without a number", whose);
        if (contains(seen, n, key.value))
            return malformed("claim %llu of the %s stands there twice",
                             (unsigned long long)key.value, whose);
        seen[n] = key.value;
        bool fits = read(&c, key.value, t);
        if (!fits && key.value == CLAIM_PROFILE)
            return neo_fail(err, NEO_UNIMPLEMENTED, "a profile of the %s that is not known", whose);
        if (!fits)
            return malformed("claim %llu of the %s is not of its form",
                             (unsigned long long)key.value, whose);
    }
    if (!cbor_is_done(&c))
        return malformed("bytes behind the %s's claims", whose);
    for (; *required != 0; required++) {
        if (!contains(seen, n, *required))
            return malformed("claim %llu of the %s is missing", (unsigned long long)*required,
                             whose);
    }
    return NEO_OK;
}

/* --- the envelope ----------------------------------------------------------------------------- */

static bool read_entry(struct cbor *c, bool is_collection, struct neo_bytes *ret)
{
    struct cbor_item item;

    if (is_collection && (!cbor_take(c, CBOR_ARRAY, &item) || item.value != 2 ||
                          !cbor_take(c, CBOR_UINT, &item) || item.value != MEDIA_TYPE_CWT))
        return false;
    return read_bytes(c, 1, CCA_TOKEN_MAX, ret);
}

static enum neo_code read_envelope(struct neo_bytes text, struct neo_bytes *platform,
                                   struct neo_bytes *realm, struct neo_error *err)
{
    struct cbor c = cbor_of(text);
    struct cbor_item tag, map, key;

    if (!cbor_take(&c, CBOR_TAG, &tag) || (tag.value != TAG_LEGACY && tag.value != TAG_COLLECTION))
        return malformed("neither tag 399 nor tag 907");
    if (!cbor_take(&c, CBOR_MAP, &map) || map.value != 2)
        return malformed("not a map of two tokens");
    for (size_t i = 0; i < 2; i++) {
        if (!cbor_take(&c, CBOR_UINT, &key))
            return malformed("an entry without a number");
        struct neo_bytes *to = key.value == ENTRY_PLATFORM ? platform
                               : key.value == ENTRY_REALM  ? realm
                                                           : NULL;
        if (to == NULL || to->at != NULL || !read_entry(&c, tag.value == TAG_COLLECTION, to))
            return malformed("an entry that is neither the platform's nor the realm's token");
    }
    if (!cbor_is_done(&c))
        return malformed("bytes behind the token");
    return NEO_OK;
}

/* In RMM 1.0 only the monitor of realms could ask the platform for a token; in 2.0 the token says
 * who did. Anybody else's challenge vouches for a key of theirs. */
static enum neo_code check_profiles(const struct cca_token *t, struct neo_error *err)
{
    bool is_newer = t->platform_profile == CCA_2_0;

    if (is_newer != (t->realm_profile == CCA_2_0))
        return malformed("the profiles of platform and realm do not belong together");
    if (is_newer && t->client != CLIENT_MONITOR)
        return malformed("the platform was asked by client %llu, not by the monitor of realms",
                         (unsigned long long)t->client);
    return NEO_OK;
}

enum neo_code cca_token_read(struct neo_bytes text, struct cca_token *ret, struct neo_error *err)
{
    struct neo_bytes platform = {0}, realm = {0};
    struct cca_token t = {.lifecycle = 0};

    if (text.len > CCA_TOKEN_MAX)
        return malformed("a token of %zu bytes, at most %d", text.len, CCA_TOKEN_MAX);
    NEO_TRY(read_envelope(text, &platform, &realm, err));
    NEO_TRY(cose_sign1_read(platform, &t.platform, err));
    NEO_TRY(cose_sign1_read(realm, &t.realm, err));
    NEO_TRY(
        read_claims(t.platform.payload, "platform", read_platform_claim, platform_claims, &t, err));
    NEO_TRY(read_claims(t.realm.payload, "realm", read_realm_claim, realm_claims, &t, err));
    NEO_TRY(check_profiles(&t, err));
    *ret = t;
    return NEO_OK;
}
