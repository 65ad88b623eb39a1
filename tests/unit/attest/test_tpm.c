/* SPDX-License-Identifier: Apache-2.0 */
/* TPM 2.0: on quotes of our own making, and on recorded ones where they are. */
#include "../unit.h"
#include "vectors.h"

#include "attest/policies.h"
#include "attest/tpm_log.h"
#include "crypto/vendor_issue.h"

#include <neo/encoding.h>

#define NOW INT64_C(1790000000)
enum { ARENA = 1 << 20, QUOTED = 3, RESTRICTED = 0x00050072 };

/* A machine that measured three PCRs; its quote is made anew for every question. */
struct measured {
    struct vendor_key *ak;
    struct vendor_key *other;
    struct vendor_key *root;
    struct neo_buffer root_der, ak_der;
    bool signs_with_other;
    uint32_t magic;
    uint16_t type;
    uint32_t attributes;
    uint8_t binder;
    uint16_t bank; /* whose values they are, and whose digests the log has */
    uint8_t pcrs[QUOTED][TPM_DIGEST_MAX];
    uint8_t claimed; /* what is added to the first value that is sent along */
    bool has_log;
    uint16_t logs_as;       /* 0: the bank; the log's own */
    uint8_t logged;         /* what is added to the log's first digest */
    struct vendor_key *rsa; /* instead of the AK on P-256 */
    enum vendor_scheme scheme;
    enum vendor_hash hash;
    bool has_other_bank;          /* SHA-1's, before the judged one */
    bool is_wrapped;              /* quote and key as TPM2B */
    bool is_bare;                 /* the key as a SubjectPublicKeyInfo */
    const char *extended, *usage; /* of the AK's certificate, DER in hex; NULL: none */
    const char *allows;           /* what a row by CA says besides; NULL: nothing */
    uint8_t found[32];            /* the measurement of the last appraisal; else zeros */
};

#define PURPOSE(oid_len, len, oid) "30" len "06" oid_len oid
#define AIK                        PURPOSE("05", "07", "6781050803")
#define EK                         PURPOSE("05", "07", "6781050801")
#define SERVER                     PURPOSE("08", "0a", "2b06010505070301")
#define ANY                        PURPOSE("04", "06", "551d2500")
#define SERVER_AND_AIK             "301106082b0601050507030106056781050803"
#define SIGNS                      "03020780"
#define ENCIPHERS                  "03020520"

enum { OTHER_LEN = 2 * 20 };

static void be(struct neo_buffer *out, uint64_t value, size_t width)
{
    for (size_t i = width; i > 0; i--)
        assert_true(neo_buffer_append_byte(out, (uint8_t)(value >> (8 * (i - 1)))));
}

static void le(struct neo_buffer *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        assert_true(neo_buffer_append_byte(out, (uint8_t)(value >> (8 * i))));
}

static void put(struct neo_buffer *out, const void *at, size_t len)
{
    assert_true(neo_buffer_append(out, neo_bytes(at, len)));
}

static void certify(struct measured *m, struct vendor_key *subject, bool is_ca,
                    struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer extended = {0}, usage = {0};
    struct vendor_extension extensions[3] = {
        {{(const uint8_t *)"\x55\x1d\x13", 3},
         is_ca ? (struct neo_bytes){(const uint8_t *)"\x30\x03\x01\x01\xff", 5}
               : (struct neo_bytes){(const uint8_t *)"\x30\x00", 2},
         true},
    };
    size_t n = 1;
    if (!is_ca && m->extended != NULL) {
        assert_int_equal(neo_hex_decode(neo_text(m->extended), &extended, NULL), NEO_OK);
        extensions[n++] = (struct vendor_extension){
            {(const uint8_t *)"\x55\x1d\x25", 3}, neo_buffer_bytes(&extended), false};
    }
    if (!is_ca && m->usage != NULL) {
        assert_int_equal(neo_hex_decode(neo_text(m->usage), &usage, NULL), NEO_OK);
        extensions[n++] = (struct vendor_extension){
            {(const uint8_t *)"\x55\x1d\x0f", 3}, neo_buffer_bytes(&usage), true};
    }
    const struct vendor_template t = {
        .common_name = is_ca ? "tpm-root.test" : "ak.test",
        .issuer_common_name = "tpm-root.test",
        .organization = "Neo tests, proves nothing",
        .serial = is_ca ? 1 : 2,
        .not_before = NOW - 60,
        .not_after = NOW + 3600,
        .extensions = extensions,
        .n_extensions = n,
    };

    neo_buffer_clear(out);
    assert_int_equal(vendor_cert_issue(&t, subject, m->root, out, NULL), NEO_OK);
}

/* Each PCR extended once, by 0x10 and its number. */
static void measure(struct measured *m, uint16_t bank)
{
    size_t len = tpm_hash_len(bank);

    m->bank = bank;
    for (size_t i = 0; i < QUOTED; i++) {
        uint8_t both[2 * TPM_DIGEST_MAX] = {0};
        memset(both + len, 0x10 + (int)i, len);
        tpm_digest(bank, neo_bytes(both, 2 * len), m->pcrs[i]);
    }
}

static void measured_init(struct measured *m)
{
    *m = (struct measured){
        .magic = 0xff544347, .type = 0x8018, .attributes = RESTRICTED, .binder = 0xb1};
    m->extended = AIK;
    m->usage = SIGNS;
    assert_int_equal(vendor_key_generate(VENDOR_P256, &m->ak, NULL), NEO_OK);
    assert_int_equal(vendor_key_generate(VENDOR_P256, &m->other, NULL), NEO_OK);
    assert_int_equal(vendor_key_generate(VENDOR_P256, &m->root, NULL), NEO_OK);
    certify(m, m->root, true, &m->root_der);
    certify(m, m->ak, false, &m->ak_der);
    measure(m, TPM_SHA256);
}

static void measured_fini(struct measured *m)
{
    vendor_key_free(m->ak);
    vendor_key_free(m->other);
    vendor_key_free(m->root);
    vendor_key_free(m->rsa);
    neo_buffer_fini(&m->root_der);
    neo_buffer_fini(&m->ak_der);
}

/* The values as they are quoted, bank by bank. */
static struct neo_buffer values_of(const struct measured *m)
{
    struct neo_buffer out = {0};

    for (size_t i = 0; i < (m->has_other_bank ? (size_t)OTHER_LEN : 0); i++)
        be(&out, 0x51, 1);
    for (size_t i = 0; i < QUOTED; i++)
        put(&out, m->pcrs[i], tpm_hash_len(m->bank));
    return out;
}

static size_t digest_of(enum vendor_hash hash, struct neo_bytes data, uint8_t digest[64])
{
    if (hash == VENDOR_SHA256)
        neo_sha256(data, digest);
    else if (hash == VENDOR_SHA384)
        neo_sha384(data, digest);
    else
        neo_sha512(data, digest);
    return hash == VENDOR_SHA256 ? 32 : hash == VENDOR_SHA384 ? 48 : 64;
}

static struct neo_buffer attest_of(const struct measured *m)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer values = values_of(m);
    uint8_t binder[NEO_BINDER_LEN], extra[32], digest[64];
    struct neo_buffer out = {0};

    memset(binder, m->binder, sizeof(binder));
    neo_sha256(neo_bytes(binder, sizeof(binder)), extra);
    size_t digest_len = digest_of(m->hash, neo_buffer_bytes(&values), digest);
    be(&out, m->magic, 4);
    be(&out, m->type, 2);
    be(&out, 0, 2);
    be(&out, sizeof(extra), 2);
    put(&out, extra, sizeof(extra));
    be(&out, 0, 8);
    be(&out, 0, 8);
    be(&out, 1, 1);
    be(&out, 0, 8);
    be(&out, m->has_other_bank ? 3 : 1, 4);
    if (m->has_other_bank) {
        be(&out, TPM_SHA1, 2);
        be(&out, 3, 1);
        put(&out, "\x03\x00\x00", 3);
        be(&out, TPM_SHA512, 2); /* nothing of it */
        be(&out, 3, 1);
        put(&out, "\x00\x00\x00", 3);
    }
    be(&out, m->bank, 2);
    be(&out, 3, 1);
    put(&out, "\x07\x00\x00", 3);
    be(&out, digest_len, 2);
    put(&out, digest, digest_len);
    return out;
}

static struct neo_buffer signature_of(const struct measured *m, struct neo_bytes attest)
{
    uint8_t signature[VENDOR_P256_LEN];
    struct neo_buffer out = {0};

    if (m->rsa != NULL) {
        be(&out, m->scheme == VENDOR_RSAPSS ? 0x16 : 0x14, 2);
        be(&out, (uint64_t)TPM_SHA256 + m->hash, 2);
        be(&out, 256, 2);
        assert_int_equal(vendor_rsa_sign(m->rsa, m->scheme, m->hash, attest, &out, NULL), NEO_OK);
        return out;
    }
    assert_int_equal(
        vendor_p256_sign(m->signs_with_other ? m->other : m->ak, attest, signature, NULL), NEO_OK);
    be(&out, 0x18, 2);
    be(&out, TPM_SHA256, 2);
    be(&out, 32, 2);
    put(&out, signature, 32);
    be(&out, 32, 2);
    put(&out, signature + 32, 32);
    return out;
}

static struct neo_buffer public_of_rsa(const struct measured *m)
{
    struct neo_buffer out = {0};

    be(&out, 0x01, 2);
    be(&out, TPM_SHA256, 2);
    be(&out, m->attributes, 4);
    be(&out, 0, 2);
    be(&out, 0x10, 2); /* no symmetric algorithm */
    be(&out, 0x10, 2); /* any scheme */
    be(&out, 2048, 2);
    be(&out, 0, 4); /* the usual exponent */
    be(&out, 256, 2);
    assert_int_equal(vendor_key_modulus(m->rsa, &out, NULL), NEO_OK);
    return out;
}

/* P-256: the point behind the fixed head of a SubjectPublicKeyInfo. */
static struct neo_buffer spki_of(const struct measured *m)
{
    static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
    uint8_t point[VENDOR_P256_LEN];
    struct neo_buffer out = {0};

    assert_int_equal(vendor_key_point(m->ak, point, sizeof(point), NULL), NEO_OK);
    put(&out, head, sizeof(head));
    put(&out, point, sizeof(point));
    return out;
}

static struct neo_buffer public_of(const struct measured *m)
{
    uint8_t point[VENDOR_P256_LEN];
    struct neo_buffer out = {0};

    if (m->is_bare)
        return spki_of(m);
    if (m->rsa != NULL)
        return public_of_rsa(m);
    assert_int_equal(vendor_key_point(m->ak, point, sizeof(point), NULL), NEO_OK);
    be(&out, 0x23, 2);
    be(&out, TPM_SHA256, 2);
    be(&out, m->attributes, 4);
    be(&out, 0, 2);
    be(&out, 0x10, 2); /* no symmetric algorithm */
    be(&out, 0x18, 2);
    be(&out, TPM_SHA256, 2);
    be(&out, 3, 2);
    be(&out, 0x10, 2);
    be(&out, 32, 2);
    put(&out, point, 32);
    be(&out, 32, 2);
    put(&out, point + 32, 32);
    return out;
}

static struct neo_buffer log_of(const struct measured *m)
{
    struct neo_buffer out = {0};
    uint16_t bank = m->logs_as == 0 ? m->bank : m->logs_as;
    uint8_t digest[TPM_DIGEST_MAX];

    le(&out, 0, 4);
    le(&out, 3, 4);
    for (int i = 0; i < 20; i++)
        le(&out, 0, 1);
    le(&out, 16 + 8 + 4 + 4 + 1, 4);
    put(&out, "Spec ID Event03", 16);
    le(&out, 0, 8);
    le(&out, 1, 4);
    le(&out, bank, 2);
    le(&out, tpm_hash_len(bank), 2);
    le(&out, 0, 1);
    for (size_t i = 0; i < QUOTED; i++) {
        memset(digest, 0x10 + (int)i + (i == 0 ? m->logged : 0), sizeof(digest));
        le(&out, i, 4);
        le(&out, 8, 4);
        le(&out, 1, 4);
        le(&out, bank, 2);
        put(&out, digest, tpm_hash_len(bank));
        le(&out, 2, 4);
        put(&out, "ok", 2);
    }
    return out;
}

static void part(struct neo_buffer *out, struct neo_buffer *from)
{
    be(out, from->len, 4);
    if (from->len > 0)
        put(out, from->at, from->len);
    neo_buffer_fini(from);
}

/* Behind its length, as a TPM2B. */
static void wrap(struct neo_buffer *text)
{
    struct neo_buffer out = {0};

    be(&out, text->len, 2);
    put(&out, text->at, text->len);
    neo_buffer_fini(text);
    *text = out;
}

static struct neo_buffer evidence_of(const struct measured *m)
{
    struct neo_buffer attest = attest_of(m), out = {0}, pcrs = values_of(m), log = {0};
    struct neo_buffer signature = signature_of(m, neo_buffer_bytes(&attest));
    struct neo_buffer area = public_of(m);

    if (m->is_wrapped) {
        wrap(&attest);
        wrap(&area);
    }
    pcrs.at[0] = (uint8_t)(pcrs.at[0] + m->claimed);
    if (m->has_log)
        log = log_of(m);
    part(&out, &attest);
    part(&out, &signature);
    part(&out, &area);
    part(&out, &pcrs);
    part(&out, &log);
    return out;
}

/* --- asking ----------------------------------------------------------------------------------- */

static enum neo_code compile(const char *require, const char *rest,
                             struct neo_attest_policies **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    assert_true(neo_buffer_printf(&text,
                                  "attestation_policies:\n  function-service:\n    require: %s\n"
                                  "    any_of:\n      - tee: tpm\n%s",
                                  require, rest));
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    return neo_attest_policies_compile(&document, 1, true, ret, err);
}

static void put_hex(struct neo_buffer *out, const uint8_t *at, size_t len)
{
    assert_true(neo_buffer_append_text(out, "\""));
    assert_true(neo_hex_encode(out, neo_bytes(at, len)));
    assert_true(neo_buffer_append_text(out, "\""));
}

/* By the key's name or by its CA, with PCR `pcr` as measured or, when `wrong`, as not. */
static void rule_of(const struct measured *m, bool by_ca, unsigned pcr, bool wrong,
                    struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer area = public_of(m);
    uint8_t value[TPM_DIGEST_MAX], digest[34] = {0, TPM_SHA256};
    size_t len = tpm_hash_len(m->bank);

    neo_sha256(by_ca ? neo_buffer_bytes(&m->root_der) : neo_buffer_bytes(&area), digest + 2);
    memcpy(value, m->pcrs[pcr], sizeof(value));
    value[len - 1] ^= wrong;
    assert_true(
        neo_buffer_append_text(out, by_ca ? "        ak: {ca: [" : "        ak: {names: ["));
    put_hex(out, by_ca ? digest + 2 : digest, by_ca ? 32 : 34);
    assert_true(neo_buffer_printf(out, "]%s}\n        pcr_%s: {%u: [",
                                  by_ca && m->allows != NULL ? m->allows : "",
                                  tpm_hash_text(m->bank), pcr));
    put_hex(out, value, len);
    assert_true(neo_buffer_append_text(out, "]}\n"));
    if (m->bank == TPM_SHA1)
        assert_true(neo_buffer_append_text(out, "        accept_sha1: true\n"));
    assert_true(neo_buffer_append_byte(out, 0));
}

static const char *ask(struct measured *m, const char *rule, enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = evidence_of(m);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    struct neo_attest_policies *policies;
    struct neo_attest_trust *trust;
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_appraisal a;
    struct neo_error err;
    const char *failed = "accepted";

    put(&certificates, m->ak_der.at, m->ak_der.len);
    put(&certificates, m->root_der.at, m->root_der.len);
    const struct neo_evidence evidence = {NEO_EVIDENCE_TPM, neo_buffer_bytes(&body),
                                          neo_buffer_bytes(&certificates)};
    if (compile("hardware-or-tpm", rule, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(neo_attest_trust_new(&(struct neo_attest_trust_options){0}, &trust, NULL),
                     NEO_OK);
    memset(binder, 0xb1, sizeof(binder));
    neo_arena_init(&arena, ARENA);
    assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder, NOW, &arena, &a, NULL),
                     NEO_OK);
    for (size_t i = a.n_checks; i-- > 0;) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            failed = a.checks[i].name;
    }
    assert_int_equal(a.accepted, a.reason == NEO_ATTEST_NONE);
    assert_int_equal(a.measurement.len, a.accepted ? sizeof(m->found) : 0);
    memset(m->found, 0, sizeof(m->found));
    if (a.accepted)
        memcpy(m->found, a.measurement.at, a.measurement.len);
    *ret_reason = a.reason;
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    return failed;
}

static void expect(struct measured *m, bool by_ca, unsigned pcr, bool wrong, const char *check,
                   enum neo_attest_reason reason)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    enum neo_attest_reason found;

    rule_of(m, by_ca, pcr, wrong, &rule);
    assert_string_equal(ask(m, (const char *)rule.at, &found), check);
    assert_int_equal(found, reason);
}

TEST(a_machine_is_accepted_by_its_keys_name_and_by_its_keys_ca)
{
    struct measured m;

    measured_init(&m);
    expect(&m, false, 0, false, "accepted", NEO_ATTEST_NONE);
    expect(&m, true, 2, false, "accepted", NEO_ATTEST_NONE);
    m.has_log = true;
    expect(&m, true, 1, false, "accepted", NEO_ATTEST_NONE);
    measured_fini(&m);
}

TEST(rsa_keys_sign_in_both_schemes_with_every_hash)
{
    static const enum vendor_scheme schemes[] = {VENDOR_RSASSA, VENDOR_RSAPSS};
    struct measured m;

    measured_init(&m);
    assert_int_equal(vendor_key_generate(VENDOR_RSA_2048, &m.rsa, NULL), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(schemes); i++) {
        for (unsigned hash = VENDOR_SHA256; hash <= VENDOR_SHA512; hash++) {
            m.scheme = schemes[i];
            m.hash = (enum vendor_hash)hash;
            expect(&m, false, 0, false, "accepted", NEO_ATTEST_NONE);
            m.claimed = 1;
            expect(&m, false, 0, false, "tpm.pcr_digest", NEO_ATTEST_SIGNATURE);
            m.claimed = 0;
        }
    }
    measured_fini(&m);
}

TEST(a_quote_may_cover_several_banks_and_be_wrapped)
{
    struct measured m;

    measured_init(&m);
    m.has_other_bank = true;
    expect(&m, false, 2, false, "accepted", NEO_ATTEST_NONE);
    expect(&m, false, 0, true, "tpm.pcr.0", NEO_ATTEST_MEASUREMENT);
    m.claimed = 1; /* a value of the other bank is quoted, too */
    expect(&m, false, 0, false, "tpm.pcr_digest", NEO_ATTEST_SIGNATURE);
    m.claimed = 0;
    m.is_wrapped = true;
    m.has_log = true;
    expect(&m, false, 1, false, "accepted", NEO_ATTEST_NONE);
    measured_fini(&m);
}

TEST(a_row_is_judged_on_the_bank_that_it_names)
{
    static const uint16_t banks[] = {TPM_SHA1, TPM_SHA256, TPM_SHA384};
    struct measured m;

    measured_init(&m);
    for (size_t i = 0; i < NEO_COUNT(banks); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
        enum neo_attest_reason reason;
        measure(&m, banks[i]);
        expect(&m, false, 0, true, "tpm.pcr.0", NEO_ATTEST_MEASUREMENT);
        expect(&m, false, 1, false, "accepted", NEO_ATTEST_NONE);
        m.has_log = true;
        expect(&m, false, 2, false, "accepted", NEO_ATTEST_NONE);
        m.logged = 1;
        expect(&m, false, 0, false, "tpm.event_log", NEO_ATTEST_MEASUREMENT);
        m.has_log = false;
        m.logged = 0;
        rule_of(&m, false, 2, false, &rule); /* what is quoted of another bank does not count */
        measure(&m, banks[(i + 1) % NEO_COUNT(banks)]);
        assert_string_equal(ask(&m, (const char *)rule.at, &reason), "tpm.pcr.2");
        assert_int_equal(reason, NEO_ATTEST_MEASUREMENT);
    }
    measured_fini(&m);
}

TEST(a_log_of_none_of_the_quoted_banks_is_refused)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer log = {0};
    struct tpm_replay replay;
    struct measured m;

    measured_init(&m);
    log = log_of(&m);
    assert_int_equal(tpm_log_replay(neo_buffer_bytes(&log), TPM_SHA384, &replay, NULL),
                     NEO_NOT_FOUND);
    m.has_log = true;
    m.has_other_bank = true; /* quoted too, and not in the log: the log counts for what it has */
    expect(&m, false, 0, false, "accepted", NEO_ATTEST_NONE);
    m.has_other_bank = false;
    m.logs_as = TPM_SHA384;
    expect(&m, false, 0, false, "tpm.event_log", NEO_ATTEST_FORMAT);
    measured_fini(&m);
}

/* Nobody but the row's author can say what kind of key it is. */
TEST(a_key_without_its_public_area_counts_only_by_its_own_digest)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    enum neo_attest_reason reason;
    uint8_t sha256[32];
    struct measured m;

    measured_init(&m);
    m.is_bare = true;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = spki_of(&m);
    expect(&m, true, 0, false, "tpm.ak", NEO_ATTEST_CHAIN); /* a certificate does not help */
    for (unsigned i = 0; i < 2; i++) {
        neo_sha256(neo_buffer_bytes(&spki), sha256);
        sha256[0] ^= (uint8_t)i;
        neo_buffer_clear(&rule);
        assert_true(neo_buffer_append_text(&rule, "        ak: {spki: ["));
        put_hex(&rule, sha256, sizeof(sha256));
        assert_true(neo_buffer_append_text(&rule, "]}\n        pcr_sha256: {0: ["));
        put_hex(&rule, m.pcrs[0], 32);
        assert_true(neo_buffer_append_text(&rule, "]}\n"));
        assert_true(neo_buffer_append_byte(&rule, 0));
        assert_string_equal(ask(&m, (const char *)rule.at, &reason),
                            i == 0 ? "accepted" : "tpm.ak");
    }
    m.is_bare = false; /* the same key with its public area: its nature is judged */
    m.attributes ^= UINT32_C(1) << 16;
    assert_string_equal(ask(&m, (const char *)rule.at, &reason), "tpm.key");
    measured_fini(&m);
}

TEST(what_a_tpm_did_not_make_itself_is_refused)
{
    struct measured m;

    measured_init(&m);
    m.magic = 0;
    expect(&m, false, 0, false, "tpm.format", NEO_ATTEST_FORMAT);
    m.magic = 0xff544347;
    m.type = 0x8017;
    expect(&m, false, 0, false, "tpm.format", NEO_ATTEST_FORMAT);
    m.type = 0x8018;
    for (unsigned bit = 0; bit < 32; bit++) {
        if ((TPM_AK_REQUIRED | TPM_AK_FORBIDDEN) >> bit & 1) {
            m.attributes = RESTRICTED ^ UINT32_C(1) << bit;
            expect(&m, true, 0, false, "tpm.key", NEO_ATTEST_CHAIN);
        }
    }
    m.attributes = RESTRICTED;
    m.signs_with_other = true;
    expect(&m, false, 0, false, "tpm.signature", NEO_ATTEST_SIGNATURE);
    measured_fini(&m);
}

TEST(the_channel_the_values_and_the_log_must_be_the_quoted_ones)
{
    struct measured m;

    measured_init(&m);
    m.binder = 0xb2;
    expect(&m, false, 0, false, "tpm.binder", NEO_ATTEST_BINDING);
    m.binder = 0xb1;
    m.claimed = 1;
    expect(&m, false, 1, false, "tpm.pcr_digest", NEO_ATTEST_SIGNATURE);
    m.claimed = 0;
    m.has_log = true;
    m.logged = 1;
    expect(&m, false, 0, false, "tpm.event_log", NEO_ATTEST_MEASUREMENT);
    measured_fini(&m);
}

/* What runs after the firmware extends PCRs of which the firmware's log does not know. */
TEST(a_log_may_contradict_only_pcrs_that_no_row_rests_on)
{
    struct measured m;

    measured_init(&m);
    m.has_log = true;
    m.logged = 1; /* not what extended PCR 0 */
    expect(&m, false, 0, false, "tpm.event_log", NEO_ATTEST_MEASUREMENT);
    expect(&m, false, 1, false, "accepted", NEO_ATTEST_NONE);
    expect(&m, false, 1, true, "tpm.pcr.1", NEO_ATTEST_MEASUREMENT);
    measured_fini(&m);
}

TEST(a_certificate_counts_only_where_it_says_that_its_key_attests)
{
    static const struct {
        const char *extended, *usage;
        bool aik, ek, none; /* accepted under `usage: [...]` */
    } says[] = {
        {AIK, SIGNS, true, false, false},
        {AIK, NULL, true, false, false},
        {SERVER_AND_AIK, SIGNS, true, false, false},
        {AIK, ENCIPHERS, false, false, false},
        {EK, SIGNS, false, true, false},
        {EK, NULL, false, false, false},
        {EK, ENCIPHERS, false, false, false},
        {NULL, SIGNS, false, false, true},
        {NULL, NULL, false, false, false},
        {NULL, ENCIPHERS, false, false, false},
        {SERVER, SIGNS, false, false, false},
        {SERVER, ENCIPHERS, false, false, false},
        {ANY, SIGNS, false, false, false},
        {"0500", SIGNS, false, false, false}, /* not a list */
    };
    struct measured m;

    measured_init(&m);
    for (size_t i = 0; i < NEO_COUNT(says); i++) {
        const struct {
            const char *word;
            bool is_accepted;
        } rows[] = {{NULL, says[i].aik || says[i].ek},
                    {", usage: [aik]", says[i].aik},
                    {", usage: [ek]", says[i].ek},
                    {", usage: [none]", says[i].none},
                    {", usage: [aik, ek, none]", says[i].aik || says[i].ek || says[i].none}};
        m.extended = says[i].extended;
        m.usage = says[i].usage;
        certify(&m, m.ak, false, &m.ak_der);
        for (size_t k = 0; k < NEO_COUNT(rows); k++) {
            m.allows = rows[k].word;
            expect(&m, true, 0, false, rows[k].is_accepted ? "accepted" : "tpm.ak",
                   rows[k].is_accepted ? NEO_ATTEST_NONE : NEO_ATTEST_CHAIN);
        }
        expect(&m, false, 0, false, "accepted", NEO_ATTEST_NONE); /* by its name: no certificate */
    }
    measured_fini(&m);
}

TEST(the_measurement_is_the_digest_of_the_pcrs_that_the_row_names)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    enum neo_attest_reason reason;
    uint8_t digest[32];
    struct measured m;

    measured_init(&m);
    expect(&m, false, 1, false, "accepted", NEO_ATTEST_NONE);
    neo_sha256(neo_bytes(m.pcrs[1], 32), digest);
    assert_memory_equal(m.found, digest, 32);
    m.pcrs[0][0] ^= 1; /* another machine, the same code by this row */
    expect(&m, false, 1, false, "accepted", NEO_ATTEST_NONE);
    assert_memory_equal(m.found, digest, 32);
    rule_of(&m, false, 2, false, &rule);
    rule.len -= 3; /* "}\n", and its end */
    assert_true(neo_buffer_append_text(&rule, ", 0: ["));
    put_hex(&rule, m.pcrs[0], 32);
    assert_true(neo_buffer_append_text(&rule, "]}\n"));
    assert_true(neo_buffer_append_byte(&rule, 0));
    assert_string_equal(ask(&m, (const char *)rule.at, &reason), "accepted");
    uint8_t both[64];
    memcpy(both, m.pcrs[0], 32);
    memcpy(both + 32, m.pcrs[2], 32);
    neo_sha256(neo_bytes(both, sizeof(both)), digest);
    assert_memory_equal(m.found, digest, 32);
    measured_fini(&m);
}

TEST(another_value_another_key_and_another_ca_are_refused)
{
    struct measured m, n;

    measured_init(&m);
    measured_init(&n);
    expect(&m, false, 0, true, "tpm.pcr.0", NEO_ATTEST_MEASUREMENT);
    expect(&m, false, 2, true, "tpm.pcr.2", NEO_ATTEST_MEASUREMENT);
    for (unsigned by_ca = 0; by_ca < 2; by_ca++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
        enum neo_attest_reason reason;
        rule_of(&n, by_ca != 0, 0, false, &rule);
        assert_string_equal(ask(&m, (const char *)rule.at, &reason), "tpm.ak");
        assert_int_equal(reason, NEO_ATTEST_CHAIN);
    }
    measured_fini(&m);
    measured_fini(&n);
}

TEST(no_bit_of_the_evidence_can_be_changed)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    struct neo_attest_policies *policies;
    struct neo_attest_trust *trust;
    uint8_t binder[NEO_BINDER_LEN];
    struct measured m;

    measured_init(&m);
    m.has_log = true;
    body = evidence_of(&m);
    rule_of(&m, false, 0, false, &rule);
    rule.len -= 3; /* "}\n", and its end */
    for (unsigned i = 1; i < QUOTED; i++) {
        assert_true(neo_buffer_printf(&rule, ", %u: [", i));
        put_hex(&rule, m.pcrs[i], 32);
        assert_true(neo_buffer_append_text(&rule, "]"));
    }
    assert_true(neo_buffer_append_text(&rule, "}\n"));
    assert_true(neo_buffer_append_byte(&rule, 0));
    assert_int_equal(compile("hardware-or-tpm", (const char *)rule.at, &policies, NULL), NEO_OK);
    assert_int_equal(neo_attest_trust_new(&(struct neo_attest_trust_options){0}, &trust, NULL),
                     NEO_OK);
    memset(binder, 0xb1, sizeof(binder));
    size_t log_len = 0;
    for (size_t bit = 0; bit < 8 * body.len; bit++) {
        NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
        const struct neo_evidence evidence = {.kind = NEO_EVIDENCE_TPM,
                                              .body = neo_buffer_bytes(&body)};
        struct neo_appraisal a;
        neo_arena_init(&arena, ARENA);
        body.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("function-service"),
                                             &evidence, binder, NOW, &arena, &a, NULL),
                         NEO_OK);
        body.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        log_len += a.accepted;
    }
    /* Names and sizes of events are nobody's word; all that is quoted or replayed is. */
    assert_true(log_len < (size_t)8 * 100);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    measured_fini(&m);
}

TEST(rows_without_pcrs_or_key_and_tpms_as_hardware_do_not_load)
{
#define ZERO16    "00000000000000000000000000000000"
#define ZERO20    ZERO16 "00000000"
#define PCR       "        pcr_sha256: {0: [\"" ZERO16 ZERO16 "\"]}\n"
#define LATE(pcr) "        pcr_sha256: {" pcr ": [\"" ZERO16 ZERO16 "\"]}\n"
#define AK        "        ak: {ca: [\"" ZERO16 ZERO16 "\"]}\n"
    static const char *const wrong[][3] = {
        {"hardware", PCR, "hardware-or-tpm"},
        {"simulator", PCR, "no simulator"},
        {"hardware-or-tpm", "", "no code identity"},
        {"hardware-or-tpm", PCR, "whose key"},
        {"hardware-or-tpm", PCR "        ak: {names: [00]}\n", "34, 50 or 66"},
        {"hardware-or-tpm", PCR "        ak: {ca: [00]}\n", "32 bytes"},
        {"hardware-or-tpm", "        ak: {ca: [00]}\n        pcr_sha256: {}\n", "no code identity"},
        {"hardware-or-tpm", AK "        pcr_sha1: {0: [\"" ZERO20 "\"]}\n", "SHA-1 is weak"},
        {"hardware-or-tpm",
         AK "        accept_sha1: false\n        pcr_sha1: {0: [\"" ZERO20 "\"]}\n",
         "SHA-1 is weak"},
        {"hardware-or-tpm", AK PCR "        accept_sha1: true\n", "for \"pcr_sha1\""},
        {"hardware-or-tpm", AK PCR "        pcr_sha384: {0: [\"" ZERO16 ZERO16 ZERO16 "\"]}\n",
         "one bank"},
        {"hardware-or-tpm", AK "        pcr_sha384: {0: [\"" ZERO16 ZERO16 "\"]}\n", "48 bytes"},
        {"hardware-or-tpm", AK "        pcr_sha384: {24: [\"" ZERO16 ZERO16 ZERO16 "\"]}\n",
         "0 to 23"},
        {"hardware-or-tpm", AK LATE("16"), "attest.yaml:7:9: no code identity: PCR 16 to 23"},
        {"hardware-or-tpm", AK LATE("17"), "attest.yaml:7:9: no code identity: PCR 16 to 23"},
        {"hardware-or-tpm", AK LATE("22"), "attest.yaml:7:9: no code identity: PCR 16 to 23"},
        {"hardware-or-tpm", AK LATE("23"), "attest.yaml:7:9: no code identity: PCR 16 to 23"},
        {"hardware-or-tpm", PCR "        ak: {ca: [\"" ZERO16 ZERO16 "\"], usage: []}\n", "empty"},
        {"hardware-or-tpm", PCR "        ak: {ca: [\"" ZERO16 ZERO16 "\"], usage: [any]}\n",
         "aik, ek and none"},
        {"hardware-or-tpm", PCR "        ak: {spki: [\"" ZERO16 ZERO16 "\"], usage: [ek]}\n",
         "under \"ca\""},
        {"hardware-or-tpm", "        measurement: [00]\n", "no code identity"},
    };

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        struct neo_attest_policies *policies = NULL;
        struct neo_error err;
        assert_int_equal(compile(wrong[i][0], wrong[i][1], &policies, &err), NEO_INVALID_ARGUMENT);
        if (strstr(err.message, wrong[i][2]) == NULL && i + 1 < NEO_COUNT(wrong))
            fail_msg("%s: %s", wrong[i][2], err.message);
        assert_null(policies);
    }
    /* Beside one that counts they may stand. */
    struct neo_attest_policies *policies = NULL;
    assert_int_equal(compile("hardware-or-tpm",
                             AK "        pcr_sha256: {23: [\"" ZERO16 ZERO16
                                "\"], 15: [\"" ZERO16 ZERO16 "\"]}\n",
                             &policies, NULL),
                     NEO_OK);
    neo_attest_policies_unref(policies);
}

/* --- recorded ----------------------------------------------------------------------------------
 */

TEST(recorded_quotes_are_signed_by_their_keys_over_their_pcrs)
{
    static const struct {
        const char *name;
        const char *area; /* TPMT_PUBLIC */
        size_t skip;      /* bytes before it: of a TPM2B */
        const char *extra;
    } recorded[] = {
        {"tpm/gce_quote_sha1", "tpm/gce_ak.tpmt_public", 0, "9009"},
        {"tpm/gce_quote_sha256", "tpm/gce_ak.tpmt_public", 0, "9009"},
        {"tpm/gce_quote_sha384", "tpm/gce_ak.tpmt_public", 0, "9009"},
        {"tpm/swtpm_quote_ecc", "tpm/swtpm_ak_ecc.tpm2b_public", 2,
         "60410753aa2924e961ffdb2dd2998393b49f73c4d2f1668ead96562f838b8aba"},
        {"tpm/swtpm_quote_rsa", "tpm/swtpm_ak_rsa.tpm2b_public", 2,
         "60410753aa2924e961ffdb2dd2998393b49f73c4d2f1668ead96562f838b8aba"},
    };

    if (!vectors_exist())
        skip();
    for (size_t i = 0; i < NEO_COUNT(recorded); i++) {
        char path[128];
        struct tpm_quote q = {.n_banks = 0};
        struct tpm_key key;
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer extra = {0};

        (void)snprintf(path, sizeof(path), "%s.tpms_attest", recorded[i].name);
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer attest = vectors_read(path);
        (void)snprintf(path, sizeof(path), "%s.tpmt_signature", recorded[i].name);
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer signature = vectors_read(path);
        (void)snprintf(path, sizeof(path), "%s.pcrs", recorded[i].name);
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pcrs = vectors_read(path);
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer area = vectors_read(recorded[i].area);
        assert_int_equal(tpm_signature_read(neo_buffer_bytes(&signature), &q, NULL), NEO_OK);
        assert_int_equal(tpm_attest_read(neo_buffer_bytes(&attest), &q, NULL), NEO_OK);
        assert_int_equal(
            tpm_public_read(neo_bytes_from(neo_buffer_bytes(&area), recorded[i].skip), &key, NULL),
            NEO_OK);
        assert_int_equal(key.attributes, RESTRICTED);
        assert_true(vendor_public_verify(key.key, q.attest, &q.signature));
        assert_true(tpm_pcrs_fit(&q, neo_buffer_bytes(&pcrs)));
        assert_int_equal(neo_hex_decode(neo_text(recorded[i].extra), &extra, NULL), NEO_OK);
        assert_true(neo_bytes_equal(q.extra_data, neo_buffer_bytes(&extra)));
        attest.at[attest.len - 1] ^= 1;
        assert_false(vendor_public_verify(key.key, q.attest, &q.signature));
        pcrs.at[0] ^= 1;
        assert_false(tpm_pcrs_fit(&q, neo_buffer_bytes(&pcrs)));
        vendor_public_free(key.key);
    }
}

static void expect_replay(struct neo_bytes log, uint16_t bank)
{
    struct tpm_quote q = {.n_banks = 0};
    struct tpm_replay replay;
    struct neo_error err;
    char path[64];

    (void)snprintf(path, sizeof(path), "tpm/gce_quote_%s.tpms_attest", tpm_hash_text(bank));
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer attest = vectors_read(path);
    (void)snprintf(path, sizeof(path), "tpm/gce_quote_%s.pcrs", tpm_hash_text(bank));
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pcrs = vectors_read(path);
    assert_int_equal(tpm_attest_read(neo_buffer_bytes(&attest), &q, NULL), NEO_OK);
    if (tpm_log_replay(log, bank, &replay, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(replay.touched & 0x3ff, 0x3ff); /* PCR 0 to 9 */
    for (unsigned i = 0; i < 10; i++) {
        struct neo_bytes quoted = tpm_pcr(tpm_bank_of(&q, bank), neo_buffer_bytes(&pcrs), i);
        assert_int_equal(quoted.len, tpm_hash_len(bank));
        assert_memory_equal(quoted.at, replay.pcrs[i], quoted.len);
    }
}

TEST(the_recorded_log_replays_to_the_quoted_pcrs_of_each_bank)
{
    struct tpm_replay replay;

    if (!vectors_exist())
        skip();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer log = vectors_read("tpm/gce_eventlog_cos85.bin");
    expect_replay(neo_buffer_bytes(&log), TPM_SHA1);
    expect_replay(neo_buffer_bytes(&log), TPM_SHA256);
    expect_replay(neo_buffer_bytes(&log), TPM_SHA384);
    for (size_t len = 1; len < 60; len++) /* within the header */
        assert_int_equal(tpm_log_replay(neo_bytes(log.at, len), TPM_SHA256, &replay, NULL),
                         NEO_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_accepted_by_its_keys_name_and_by_its_keys_ca),
        cmocka_unit_test(rsa_keys_sign_in_both_schemes_with_every_hash),
        cmocka_unit_test(a_quote_may_cover_several_banks_and_be_wrapped),
        cmocka_unit_test(a_row_is_judged_on_the_bank_that_it_names),
        cmocka_unit_test(a_log_of_none_of_the_quoted_banks_is_refused),
        cmocka_unit_test(a_key_without_its_public_area_counts_only_by_its_own_digest),
        cmocka_unit_test(what_a_tpm_did_not_make_itself_is_refused),
        cmocka_unit_test(the_channel_the_values_and_the_log_must_be_the_quoted_ones),
        cmocka_unit_test(a_log_may_contradict_only_pcrs_that_no_row_rests_on),
        cmocka_unit_test(a_certificate_counts_only_where_it_says_that_its_key_attests),
        cmocka_unit_test(the_measurement_is_the_digest_of_the_pcrs_that_the_row_names),
        cmocka_unit_test(another_value_another_key_and_another_ca_are_refused),
        cmocka_unit_test(no_bit_of_the_evidence_can_be_changed),
        cmocka_unit_test(rows_without_pcrs_or_key_and_tpms_as_hardware_do_not_load),
        cmocka_unit_test(recorded_quotes_are_signed_by_their_keys_over_their_pcrs),
        cmocka_unit_test(the_recorded_log_replays_to_the_quoted_pcrs_of_each_bank),
    };
    return cmocka_run_group_tests_name("attest/tpm", tests, NULL, NULL);
}
