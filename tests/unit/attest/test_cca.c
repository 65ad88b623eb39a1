/* SPDX-License-Identifier: Apache-2.0 */
/* Arm CCA: on realms of our own making, and on recorded tokens where they are. */
#include "enclave.h"
#include "vectors.h"

#include "attest/cca_token.h"

#include <neo/encoding.h>

enum { ARENA = 1 << 20, ENTRY_PLATFORM = 44234, ENTRY_REALM = 44241 };

/* A realm on a simulated platform; its token is made anew for every question. */
struct realm {
    struct vendor_key *cpak;
    struct vendor_key *rak;
    struct vendor_key *other; /* nobody's */
    bool signs_with_other_cpak, signs_with_other_rak;
    bool vouches_for_other;
    bool is_collection; /* tag 907 */
    bool has_cose_key;
    bool is_shuffled; /* the COSE_Key: members in another order, and one more */
    uint32_t lifecycle;
    uint8_t instance;
    uint8_t challenge;
    uint8_t rim, rem, rpv;
    const char *platform_profile; /* NULL: the first name that it had */
    const char *realm_profile;    /* NULL: says none */
    uint64_t client;              /* 0: not said */
};

static void realm_init(struct realm *r)
{
    *r = (struct realm){.lifecycle = 0x3003,
                        .instance = 1,
                        .challenge = 0xb1,
                        .rim = 0x41,
                        .rem = 0x42,
                        .rpv = 0x43};
    assert_int_equal(vendor_key_generate(VENDOR_P384, &r->cpak, NULL), NEO_OK);
    assert_int_equal(vendor_key_generate(VENDOR_P384, &r->rak, NULL), NEO_OK);
    assert_int_equal(vendor_key_generate(VENDOR_P384, &r->other, NULL), NEO_OK);
}

static void realm_fini(struct realm *r)
{
    vendor_key_free(r->cpak);
    vendor_key_free(r->rak);
    vendor_key_free(r->other);
}

static void filled(struct neo_buffer *out, uint8_t value, size_t len)
{
    uint8_t bytes[64];

    memset(bytes, value, len);
    enclave_bytes(out, neo_bytes(bytes, len));
}

static void nint(struct neo_buffer *out, uint64_t n)
{
    enclave_head(out, 1, n);
}

static struct neo_buffer rak_of(const struct realm *r, const struct vendor_key *key)
{
    uint8_t point[VENDOR_P384_LEN];
    struct neo_buffer out = {0};

    assert_int_equal(vendor_key_point(key, point, sizeof(point), NULL), NEO_OK);
    if (!r->has_cose_key) {
        assert_true(neo_buffer_append_byte(&out, 4));
        assert_true(neo_buffer_append(&out, neo_bytes(point, sizeof(point))));
        return out;
    }
    enclave_head(&out, 5, r->is_shuffled ? 5 : 4);
    if (r->is_shuffled) {
        nint(&out, 2);
        enclave_bytes(&out, neo_bytes(point + 48, 48));
        enclave_head(&out, 0, 3); /* alg */
        nint(&out, 34);
    }
    enclave_head(&out, 0, 1);
    enclave_head(&out, 0, 2);
    nint(&out, 0);
    enclave_head(&out, 0, 2);
    nint(&out, 1);
    enclave_bytes(&out, neo_bytes(point, 48));
    if (r->is_shuffled)
        return out;
    nint(&out, 2);
    enclave_bytes(&out, neo_bytes(point + 48, 48));
    return out;
}

static void platform_claims(const struct realm *r, struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer rak = rak_of(r, r->vouches_for_other ? r->other : r->rak);
    uint8_t digest[NEO_SHA256_LEN], instance[CCA_INSTANCE_LEN] = {1};

    neo_sha256(neo_buffer_bytes(&rak), digest);
    memset(instance + 1, r->instance, sizeof(instance) - 1);
    enclave_head(out, 5, r->client == 0 ? 6 : 7);
    enclave_head(out, 0, 265);
    enclave_text(out, r->platform_profile == NULL ? "http://arm.com/CCA-SSD/1.0.0"
                                                  : r->platform_profile);
    if (r->client != 0) {
        enclave_head(out, 0, 2394);
        enclave_head(out, 0, r->client);
    }
    enclave_head(out, 0, 10);
    enclave_bytes(out, neo_bytes(digest, sizeof(digest)));
    enclave_head(out, 0, 2396);
    filled(out, 0x1d, 32);
    enclave_head(out, 0, 256);
    enclave_bytes(out, neo_bytes(instance, sizeof(instance)));
    enclave_head(out, 0, 2395);
    enclave_head(out, 0, r->lifecycle);
    enclave_head(out, 0, 2399); /* software components: nothing is judged by them */
    enclave_head(out, 4, 1);
    enclave_head(out, 5, 1);
    enclave_head(out, 0, 1);
    enclave_text(out, "BL");
}

static void realm_claims(const struct realm *r, struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rak = rak_of(r, r->rak);

    enclave_head(out, 5, r->realm_profile == NULL ? 6 : 7);
    if (r->realm_profile != NULL) {
        enclave_head(out, 0, 265);
        enclave_text(out, r->realm_profile);
    }
    enclave_head(out, 0, 10);
    filled(out, r->challenge, 64);
    enclave_head(out, 0, 44235);
    filled(out, r->rpv, 64);
    enclave_head(out, 0, 44238);
    filled(out, r->rim, 32);
    enclave_head(out, 0, 44239);
    enclave_head(out, 4, 4);
    for (uint8_t i = 0; i < 4; i++)
        filled(out, (uint8_t)(r->rem + i), 32);
    enclave_head(out, 0, 44237);
    enclave_bytes(out, neo_buffer_bytes(&rak));
    enclave_head(out, 0, 44240);
    enclave_text(out, "sha-256");
}

static void sign(const struct vendor_key *key, struct neo_bytes payload, struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer message = {0};
    const struct cose_sign1 s = {.protected_header = NEO_LIT("\xa1\x01\x38\x22"),
                                 .payload = payload};
    struct vendor_signature signature = {.is_little_endian = false};

    assert_true(cose_signed_bytes(&s, &message));
    assert_int_equal(vendor_p384_sign(key, neo_buffer_bytes(&message), &signature, NULL), NEO_OK);
    enclave_head(out, 6, 18);
    enclave_head(out, 4, 4);
    enclave_bytes(out, s.protected_header);
    enclave_head(out, 5, 0);
    enclave_bytes(out, payload);
    enclave_head(out, 2, 96);
    assert_true(neo_buffer_append(out, neo_bytes(signature.r, 48)));
    assert_true(neo_buffer_append(out, neo_bytes(signature.s, 48)));
}

static struct neo_buffer token_of(const struct realm *r)
{
    struct neo_buffer claims[2] = {{0}, {0}};
    struct neo_buffer all = {0};

    platform_claims(r, &claims[0]);
    realm_claims(r, &claims[1]);
    enclave_head(&all, 6, r->is_collection ? 907 : 399);
    enclave_head(&all, 5, 2);
    for (unsigned i = 0; i < 2; i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
        const struct vendor_key *key = i == 0 ? r->signs_with_other_cpak ? r->other : r->cpak
                                       : r->signs_with_other_rak ? r->other
                                                                 : r->rak;
        sign(key, neo_buffer_bytes(&claims[i]), &token);
        enclave_head(&all, 0, i == 0 ? ENTRY_PLATFORM : ENTRY_REALM);
        if (r->is_collection) {
            enclave_head(&all, 4, 2);
            enclave_head(&all, 0, 263);
        }
        enclave_bytes(&all, neo_buffer_bytes(&token));
    }
    neo_buffer_fini(&claims[0]);
    neo_buffer_fini(&claims[1]);
    return all;
}

/* The anchor of the platform, as JSON. */
static void anchor_of(const struct realm *r, bool simulated, struct neo_buffer *out)
{
    uint8_t point[VENDOR_P384_LEN];

    assert_int_equal(vendor_key_point(r->cpak, point, sizeof(point), NULL), NEO_OK);
    assert_true(
        neo_buffer_append_text(out, "[{\"pkey\":{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\""));
    assert_true(neo_base64_encode(out, neo_bytes(point, 48), NEO_BASE64_URL));
    assert_true(neo_buffer_append_text(out, "\",\"y\":\""));
    assert_true(neo_base64_encode(out, neo_bytes(point + 48, 48), NEO_BASE64_URL));
    assert_true(neo_buffer_append_text(out, "\"},\"implementation-id\":\""));
    for (size_t i = 0; i < 32; i++)
        assert_true(neo_buffer_append_text(out, "1d"));
    assert_true(neo_buffer_append_text(out, "\",\"instance-id\":\"01"));
    for (size_t i = 0; i < 32; i++)
        assert_true(neo_buffer_append_text(out, "01"));
    assert_true(neo_buffer_printf(out, "\",\"simulated\":%s}]", simulated ? "true" : "false"));
}

static struct neo_attest_policies *policy_of(const char *require, const char *rest)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_attest_policies *policies;
    struct neo_error err;

    assert_true(neo_buffer_printf(&text,
                                  "attestation_policies:\n  function-service:\n    require: %s\n"
                                  "    any_of:\n      - tee: arm-cca\n%s",
                                  require, rest));
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, true, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policies;
}

/* The first failed check, or "accepted". */
static const char *appraise(const struct neo_attest_trust *trust,
                            const struct neo_attest_policies *policies, enum neo_evidence_kind kind,
                            struct neo_bytes token, const uint8_t *binder,
                            enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_evidence evidence = {.kind = kind, .body = token};
    struct neo_appraisal a;
    const char *failed = "accepted";

    neo_arena_init(&arena, ARENA);
    assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder, ENCLAVE_NOW, &arena, &a, NULL),
                     NEO_OK);
    assert_int_equal(a.accepted, a.reason == NEO_ATTEST_NONE);
    for (size_t i = a.n_checks; i-- > 0;) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            failed = a.checks[i].name;
    }
    *ret_reason = a.reason;
    return failed;
}

#define HEX32(b) b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b
#define RIM      "        rim: [\"" HEX32("41") "\"]\n"
#define HEX64(b) HEX32(b) HEX32(b)

static const char *ask(const struct realm *r, const char *rest, enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_of(r);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer anchor = {0};
    struct neo_attest_policies *policies = policy_of("simulator", rest);
    struct neo_attest_trust *trust;
    uint8_t binder[NEO_BINDER_LEN];

    anchor_of(r, true, &anchor);
    const struct neo_bytes collateral = neo_buffer_bytes(&anchor);
    const struct neo_attest_trust_options options = {
        .collateral = &collateral, .n_collateral = 1, .development = true};
    assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_OK);
    memset(binder, 0xb1, sizeof(binder));
    const char *said = appraise(trust, policies, NEO_EVIDENCE_SIM_CCA, neo_buffer_bytes(&token),
                                binder, ret_reason);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    return said;
}

#define EXPECT(r, rest, check, why)                                                                \
    do {                                                                                           \
        enum neo_attest_reason reason_;                                                            \
        assert_string_equal(ask((r), (rest), &reason_), (check));                                  \
        assert_string_equal(neo_attest_reason_text(reason_), (why));                               \
    } while (0)

TEST(a_realm_is_accepted_in_both_envelopes_and_with_both_forms_of_its_key)
{
    struct realm r;

    realm_init(&r);
    for (unsigned i = 0; i < 4; i++) {
        r.is_collection = (i & 1) != 0;
        r.has_cose_key = (i & 2) != 0;
        EXPECT(&r, RIM, "accepted", "none");
    }
    r.is_shuffled = true;
    EXPECT(&r, RIM, "accepted", "none");
    realm_fini(&r);
}

#define PLATFORM_2023 "tag:arm.com,2023:cca_platform#1.0.0"
#define PLATFORM_2024 "tag:arm.com,2024:cca_platform#2.0.0"
#define REALM_2023    "tag:arm.com,2023:realm#1.0.0"
#define REALM_2024    "tag:arm.com,2024:realm#2.0.0"

static const struct {
    const char *platform, *realm;
    uint64_t client;
    const char *check, *why;
} profiles[] = {
    {NULL, REALM_2023, 0, "accepted", "none"},
    {PLATFORM_2023, NULL, 0, "accepted", "none"},
    {PLATFORM_2023, REALM_2023, 0, "accepted", "none"},
    {PLATFORM_2024, REALM_2024, 1, "accepted", "none"},
    /* made for a client that is no monitor of realms, or for nobody knows whom */
    {PLATFORM_2024, REALM_2024, 2, "cca.format", "format"},
    {PLATFORM_2024, REALM_2024, 0, "cca.format", "format"},
    {PLATFORM_2024, REALM_2023, 1, "cca.format", "format"},
    {PLATFORM_2024, NULL, 1, "cca.format", "format"},
    {PLATFORM_2023, REALM_2024, 1, "cca.format", "format"},
    {NULL, REALM_2024, 1, "cca.format", "format"},
    {"", NULL, 0, "cca.format", "unsupported"},
    {"tag:arm.com,2024:cca_platform#2.0.1", REALM_2024, 1, "cca.format", "unsupported"},
    {PLATFORM_2023, "", 0, "cca.format", "unsupported"},
    {PLATFORM_2023, PLATFORM_2023, 0, "cca.format", "unsupported"},
    {REALM_2023, NULL, 0, "cca.format", "unsupported"},
};

TEST(profiles_count_in_the_pairs_that_arm_names_and_any_other_is_unsupported)
{
    struct realm r;

    realm_init(&r);
    r.has_cose_key = true;
    for (size_t i = 0; i < NEO_COUNT(profiles); i++) {
        r.platform_profile = profiles[i].platform;
        r.realm_profile = profiles[i].realm;
        r.client = profiles[i].client;
        EXPECT(&r, RIM, profiles[i].check, profiles[i].why);
    }
    realm_fini(&r);
}

TEST(every_link_from_the_platform_to_the_channel_decides)
{
    struct realm r;

    realm_init(&r);
    r.instance = 2;
    EXPECT(&r, RIM, "cca.anchor", "collateral");
    r.instance = 1;
    r.signs_with_other_cpak = true;
    EXPECT(&r, RIM, "cca.platform.signature", "signature");
    r.signs_with_other_cpak = false;
    r.vouches_for_other = true;
    EXPECT(&r, RIM, "cca.rak", "signature");
    r.vouches_for_other = false;
    r.signs_with_other_rak = true;
    EXPECT(&r, RIM, "cca.realm.signature", "signature");
    r.signs_with_other_rak = false;
    r.challenge = 0xb2;
    EXPECT(&r, RIM, "cca.binder", "binding");
    realm_fini(&r);
}

TEST(a_platform_that_is_not_secured_is_refused_whatever_the_policy_says)
{
    static const uint32_t cycles[] = {0x0000, 0x1000, 0x2000, 0x2fff,
                                      0x3100, 0x4000, 0x5000, 0x6000};
    struct realm r;

    realm_init(&r);
    for (size_t i = 0; i < NEO_COUNT(cycles); i++) {
        r.lifecycle = cycles[i];
        EXPECT(&r, RIM, "cca.lifecycle", "debug");
    }
    r.lifecycle = 0x30ff;
    EXPECT(&r, RIM "        lifecycle: secured\n", "accepted", "none");
    realm_fini(&r);
}

TEST(every_key_of_a_row_decides)
{
    static const struct {
        const char *right;
        const char *wrong;
        const char *check;
    } rows[] = {
        {RIM, "        rim: [\"" HEX32("40") "\"]\n", "cca.rim"},
        {RIM "        rem: {0: [\"" HEX32("42") "\"]}\n",
         RIM "        rem: {0: [\"" HEX32("43") "\"]}\n", "cca.rem.0"},
        {RIM "        rem: {1: [\"" HEX32("43") "\"]}\n",
         RIM "        rem: {1: [\"" HEX32("42") "\"]}\n", "cca.rem.1"},
        {RIM "        rem: {2: [\"" HEX32("44") "\"]}\n",
         RIM "        rem: {2: [\"" HEX32("45") "\"]}\n", "cca.rem.2"},
        {RIM "        rem: {3: [\"" HEX32("45") "\"]}\n",
         RIM "        rem: {3: [\"" HEX64("45") "\"]}\n", "cca.rem.3"},
        {RIM "        rpv: [\"" HEX64("43") "\"]\n", RIM "        rpv: [\"" HEX64("44") "\"]\n",
         "cca.rpv"},
        {RIM "        implementation_id: [" HEX32("1d") "]\n",
         RIM "        implementation_id: [" HEX32("1e") "]\n", "cca.implementation_id"},
        {RIM "        instance_id: [\"01" HEX32("01") "\"]\n",
         RIM "        instance_id: [\"01" HEX32("02") "\"]\n", "cca.instance_id"},
    };
    struct realm r;

    realm_init(&r);
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        enum neo_attest_reason reason;
        assert_string_equal(ask(&r, rows[i].right, &reason), "accepted");
        assert_string_equal(ask(&r, rows[i].wrong, &reason), rows[i].check);
    }
    realm_fini(&r);
}

TEST(no_bit_of_a_token_can_be_changed)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer anchor = {0};
    struct neo_attest_policies *policies = policy_of("simulator", RIM);
    struct neo_attest_trust *trust;
    uint8_t binder[NEO_BINDER_LEN];
    enum neo_attest_reason reason;
    struct realm r;

    realm_init(&r);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_of(&r);
    anchor_of(&r, true, &anchor);
    const struct neo_bytes collateral = neo_buffer_bytes(&anchor);
    const struct neo_attest_trust_options options = {
        .collateral = &collateral, .n_collateral = 1, .development = true};
    assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_OK);
    memset(binder, 0xb1, sizeof(binder));
    for (size_t bit = 0; bit < 8 * token.len; bit += getenv("NEO_EXHAUSTIVE") == NULL ? 3 : 1) {
        token.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)appraise(trust, policies, NEO_EVIDENCE_SIM_CCA, neo_buffer_bytes(&token), binder,
                       &reason);
        token.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(reason, NEO_ATTEST_NONE);
    }
    for (size_t len = 0; len < token.len; len += 5) {
        (void)appraise(trust, policies, NEO_EVIDENCE_SIM_CCA, neo_bytes(token.at, len), binder,
                       &reason);
        assert_int_equal(reason, NEO_ATTEST_FORMAT);
    }
    assert_string_equal(
        appraise(trust, policies, NEO_EVIDENCE_SIM_CCA, neo_buffer_bytes(&token), binder, &reason),
        "accepted");
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    realm_fini(&r);
}

/* The JWK within an anchor, on its own. */
static struct neo_bytes jwk_of(const struct neo_buffer *anchor)
{
    const uint8_t *from = memmem(anchor->at, anchor->len, "{\"kty\"", 6);
    const uint8_t *end = memmem(anchor->at, anchor->len, ",\"implementation-id\"", 20);

    assert_true(from != NULL && end != NULL);
    return neo_bytes(from, (size_t)(end - from));
}

/* P-384: the point behind the fixed head of a SubjectPublicKeyInfo, as PEM. */
static struct neo_buffer pem_of(const struct vendor_key *key)
{
    static const uint8_t head[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                                   0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                                   0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};
    uint8_t spki[sizeof(head) + VENDOR_P384_LEN];
    struct neo_buffer pem = {0};

    memcpy(spki, head, sizeof(head));
    assert_int_equal(vendor_key_point(key, spki + sizeof(head), VENDOR_P384_LEN, NULL), NEO_OK);
    assert_true(vendor_pem_append(&pem, "PUBLIC KEY", neo_bytes(spki, sizeof(spki))));
    return pem;
}

TEST(a_platforms_key_alone_counts_for_what_it_signed)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer anchor = {0};
    struct neo_attest_policies *policies = policy_of("hardware", RIM);
    uint8_t binder[NEO_BINDER_LEN];
    struct realm r;

    realm_init(&r);
    anchor_of(&r, false, &anchor);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_of(&r);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = pem_of(r.cpak);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer other = pem_of(r.other);
    const struct {
        struct neo_bytes collateral[2];
        const char *check;
    } known[] = {
        {{jwk_of(&anchor), neo_buffer_bytes(&other)}, "accepted"},
        {{neo_buffer_bytes(&other), neo_buffer_bytes(&pem)}, "accepted"},
        {{neo_buffer_bytes(&pem), neo_buffer_bytes(&other)}, "accepted"},
        {{neo_buffer_bytes(&other), neo_buffer_bytes(&other)}, "cca.platform.signature"},
    };
    memset(binder, 0xb1, sizeof(binder));
    for (size_t i = 0; i < NEO_COUNT(known); i++) {
        const struct neo_attest_trust_options options = {.collateral = known[i].collateral,
                                                         .n_collateral = 2};
        struct neo_attest_trust *trust;
        enum neo_attest_reason reason;
        struct neo_error err;
        if (neo_attest_trust_new(&options, &trust, &err) != NEO_OK)
            fail_msg("%s", err.message);
        assert_string_equal(
            appraise(trust, policies, NEO_EVIDENCE_CCA, neo_buffer_bytes(&token), binder, &reason),
            known[i].check);
        neo_attest_trust_unref(trust);
    }
    neo_attest_policies_unref(policies);
    realm_fini(&r);
}

TEST(anchors_that_are_not_whole_do_not_load_and_simulated_ones_need_development)
{
    static const char *const wrong[] = {
        "[{}]",
        "[1]",
        "[{\"pkey\":{}}]",
        "[{\"other\":1}]",
        "[{\"pkey\":{\"kty\":\"RSA\"}}]",
        "[{\"pkey\":{\"kty\":\"EC\",\"crv\":\"P-521\"}}]",
        "[{\"implementation-id\":\"00\"}]",
        "[",
    };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer anchor = {0};
    struct neo_attest_trust *trust = NULL;
    struct neo_bytes collateral;
    struct neo_attest_trust_options options = {.collateral = &collateral, .n_collateral = 1};
    struct realm r;

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        collateral = neo_text(wrong[i]);
        assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_INVALID_ARGUMENT);
    }
    realm_init(&r);
    anchor_of(&r, true, &anchor);
    collateral = neo_buffer_bytes(&anchor);
    assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_FAILED_PRECONDITION);
    assert_null(trust);
    realm_fini(&r);
}

TEST(rows_without_code_identity_or_with_other_lifecycles_do_not_load)
{
    static const char *const wrong[][2] = {
        {"", "no code identity"},
        {"        rim: [aa]\n", "32, 48 or 64"},
        {"        rim: []\n", "is empty"},
        {RIM "        lifecycle: debug\n", "can only be secured"},
        {RIM "        rem: {4: [aa]}\n", "no REM"},
        {RIM "        mrtd: [aa]\n", "does not belong to tee arm-cca"},
    };

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
        struct neo_attest_policies *policies = NULL;
        struct neo_error err;

        assert_true(neo_buffer_printf(&text,
                                      "attestation_policies:\n  a:\n    require: hardware\n"
                                      "    any_of:\n      - tee: arm-cca\n%s",
                                      wrong[i][0]));
        const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
        assert_int_equal(neo_attest_policies_compile(&document, 1, false, &policies, &err),
                         NEO_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, wrong[i][1]));
    }
}

/* --- recorded ----------------------------------------------------------------------------------
 */

/* The recorded anchors are the key alone, or a list as we read it. */
static struct neo_buffer recorded_anchor(const char *file, const struct cca_token *t)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer jwk = vectors_read(file);
    struct neo_buffer out = {0};

    assert_true(neo_buffer_append_text(&out, "[{\"pkey\":"));
    assert_true(neo_buffer_append(&out, neo_buffer_bytes(&jwk)));
    assert_true(neo_buffer_append_text(&out, ",\"implementation-id\":\""));
    assert_true(neo_hex_encode(&out, t->implementation_id));
    assert_true(neo_buffer_append_text(&out, "\",\"instance-id\":\""));
    assert_true(neo_hex_encode(&out, t->instance_id));
    assert_true(neo_buffer_append_text(&out, "\"}]"));
    return out;
}

TEST(recorded_tokens_are_accepted_by_a_policy_for_their_realm)
{
    static const char *const recorded[][2] = {
        {"cca/tfrmm_token_legacy399.cbor", "cca/fvp_cpak_p384.jwk.json"},
        {"cca/fvp_token_legacy399.cbor", "cca/fvp_cpak_p384.jwk.json"},
        {"cca/veraison_synth_coserak.cbor", "cca/veraison_synth_cpak_p256.jwk.json"},
    };

    if (!vectors_exist())
        skip();
    for (size_t i = 0; i < NEO_COUNT(recorded); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = vectors_read(recorded[i][0]);
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer row = {0};
        struct neo_attest_policies *policies;
        struct neo_attest_trust *trust;
        enum neo_attest_reason reason;
        struct cca_token t;
        struct neo_error err;

        if (cca_token_read(neo_buffer_bytes(&token), &t, &err) != NEO_OK)
            fail_msg("%s: %s", recorded[i][0], err.message);
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer anchor = recorded_anchor(recorded[i][1], &t);
        assert_true(neo_buffer_append_text(&row, "        rim: [\""));
        assert_true(neo_hex_encode(&row, t.rim));
        assert_true(neo_buffer_append_text(&row, "\"]\n"));
        assert_true(neo_buffer_append_byte(&row, 0));
        const struct neo_bytes collateral = neo_buffer_bytes(&anchor);
        const struct neo_attest_trust_options options = {.collateral = &collateral,
                                                         .n_collateral = 1};
        if (neo_attest_trust_new(&options, &trust, &err) != NEO_OK)
            fail_msg("%s", err.message);
        policies = policy_of("hardware", (const char *)row.at);
        assert_string_equal(appraise(trust, policies, NEO_EVIDENCE_CCA, neo_buffer_bytes(&token),
                                     t.challenge.at, &reason),
                            "accepted");
        assert_string_equal(appraise(trust, policies, NEO_EVIDENCE_CCA, neo_buffer_bytes(&token),
                                     t.rpv.at, &reason),
                            "cca.binder");
        neo_attest_policies_unref(policies);
        neo_attest_trust_unref(trust);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_realm_is_accepted_in_both_envelopes_and_with_both_forms_of_its_key),
        cmocka_unit_test(profiles_count_in_the_pairs_that_arm_names_and_any_other_is_unsupported),
        cmocka_unit_test(every_link_from_the_platform_to_the_channel_decides),
        cmocka_unit_test(a_platform_that_is_not_secured_is_refused_whatever_the_policy_says),
        cmocka_unit_test(every_key_of_a_row_decides),
        cmocka_unit_test(no_bit_of_a_token_can_be_changed),
        cmocka_unit_test(a_platforms_key_alone_counts_for_what_it_signed),
        cmocka_unit_test(
            anchors_that_are_not_whole_do_not_load_and_simulated_ones_need_development),
        cmocka_unit_test(rows_without_code_identity_or_with_other_lifecycles_do_not_load),
        cmocka_unit_test(recorded_tokens_are_accepted_by_a_policy_for_their_realm),
    };
    return cmocka_run_group_tests_name("attest/cca", tests, NULL, NULL);
}
