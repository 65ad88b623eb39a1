/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave.h - simulated Nitro enclaves for tests: documents in AWS's form under a root of ours.
 *
 * A document is `document`, signed anew for every question, so a test changes a
 * field and asks.
 */
#ifndef NEO_TESTS_ATTEST_ENCLAVE_H
#define NEO_TESTS_ATTEST_ENCLAVE_H

#include "../unit.h"

#include "attest/nitro.h"
#include "attest/policies.h"
#include "crypto/vendor_issue.h"

#define ENCLAVE_NOW INT64_C(1790000000)

enum { ENCLAVE_AUTHORITIES = 3, ENCLAVE_ARENA = 1 << 20 };

struct enclave {
    struct vendor_key *keys[ENCLAVE_AUTHORITIES + 1]; /* root first, the leaf's last */
    struct neo_buffer ders[ENCLAVE_AUTHORITIES + 1];
    struct neo_attest_trust *trust;

    /* What the document says. */
    uint64_t timestamp_ms;
    uint8_t pcrs[3][NITRO_PCR_LEN];
    uint8_t user_data[NEO_BINDER_LEN];
    size_t user_data_len;
    bool is_tagged;
    size_t pcr3_len; /* of one more PCR; 0: none */
};

static inline void enclave_head(struct neo_buffer *out, unsigned major, uint64_t value)
{
    uint8_t head[9] = {(uint8_t)(major << 5 | 27)};

    if (value < 24) {
        assert_true(neo_buffer_append_byte(out, (uint8_t)(major << 5 | value)));
        return;
    }
    for (size_t i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(value >> (56 - 8 * i));
    size_t skip = value < 256 ? 7 : value < 65536 ? 6 : 0;
    if (skip > 0)
        head[skip] = (uint8_t)(major << 5 | (skip == 7 ? 24 : 25));
    assert_true(neo_buffer_append(out, neo_bytes(head + skip, 9 - skip)));
}

static inline void enclave_bytes(struct neo_buffer *out, struct neo_bytes bytes)
{
    enclave_head(out, 2, bytes.len);
    assert_true(neo_buffer_append(out, bytes));
}

static inline void enclave_text(struct neo_buffer *out, const char *text)
{
    enclave_head(out, 3, strlen(text));
    assert_true(neo_buffer_append_text(out, text));
}

/* Certificate `i` of the line, issued by the one before it; a leaf is no authority. */
static inline void enclave_issue(struct enclave *e, size_t i, int64_t not_before, int64_t not_after)
{
    static const char *const names[] = {"aws.nitro-enclaves.test", "zonal.test", "instance.test",
                                        "enclave.test"};
    static const struct vendor_extension authority[] = {
        {{(const uint8_t *)"\x55\x1d\x13", 3}, {(const uint8_t *)"\x30\x03\x01\x01\xff", 5}, true},
        {{(const uint8_t *)"\x55\x1d\x0f", 3}, {(const uint8_t *)"\x03\x02\x01\x86", 4}, true},
    };
    static const struct vendor_extension leaf[] = {
        {{(const uint8_t *)"\x55\x1d\x13", 3}, {(const uint8_t *)"\x30\x00", 2}, true},
        {{(const uint8_t *)"\x55\x1d\x0f", 3}, {(const uint8_t *)"\x03\x02\x07\x80", 4}, true},
    };
    const struct vendor_template t = {
        .common_name = names[i],
        .issuer_common_name = names[i == 0 ? 0 : i - 1],
        .organization = "Neo tests, proves nothing",
        .serial = (uint32_t)i + 1,
        .not_before = not_before,
        .not_after = not_after,
        .extensions = i < ENCLAVE_AUTHORITIES ? authority : leaf,
        .n_extensions = 2,
    };

    if (e->keys[i] == NULL)
        assert_int_equal(vendor_key_generate(VENDOR_P384, &e->keys[i], NULL), NEO_OK);
    neo_buffer_fini(&e->ders[i]);
    assert_int_equal(
        vendor_cert_issue(&t, e->keys[i], e->keys[i == 0 ? 0 : i - 1], &e->ders[i], NULL), NEO_OK);
}

static inline void enclave_init(struct enclave *e)
{
    *e = (struct enclave){.timestamp_ms = (uint64_t)ENCLAVE_NOW * 1000,
                          .user_data_len = NEO_BINDER_LEN};
    for (size_t i = 0; i <= ENCLAVE_AUTHORITIES; i++)
        enclave_issue(e, i, ENCLAVE_NOW - 60, ENCLAVE_NOW + 3 * 3600);
    const struct neo_attest_trust_options options = {
        .simulated_root = neo_buffer_bytes(&e->ders[0]), .development = true};
    assert_int_equal(neo_attest_trust_new(&options, &e->trust, NULL), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(e->pcrs); i++)
        memset(e->pcrs[i], 0x40 + (int)i, sizeof(e->pcrs[i]));
    memset(e->user_data, 0xb1, sizeof(e->user_data));
}

static inline void enclave_fini(struct enclave *e)
{
    for (size_t i = 0; i <= ENCLAVE_AUTHORITIES; i++) {
        vendor_key_free(e->keys[i]);
        neo_buffer_fini(&e->ders[i]);
    }
    neo_attest_trust_unref(e->trust);
}

static inline void enclave_payload(const struct enclave *e, struct neo_buffer *out)
{
    enclave_head(out, 5, 7);
    enclave_text(out, "module_id");
    enclave_text(out, "i-test-enc1");
    enclave_text(out, "digest");
    enclave_text(out, "SHA384");
    enclave_text(out, "timestamp");
    enclave_head(out, 0, e->timestamp_ms);
    enclave_text(out, "pcrs");
    enclave_head(out, 5, NEO_COUNT(e->pcrs) + (e->pcr3_len > 0));
    if (e->pcr3_len > 0) {
        uint8_t value[80] = {3};
        enclave_head(out, 0, 3);
        enclave_bytes(out, neo_bytes(value, e->pcr3_len));
    }
    for (size_t i = 0; i < NEO_COUNT(e->pcrs); i++) {
        enclave_head(out, 0, i);
        enclave_bytes(out, neo_bytes(e->pcrs[i], sizeof(e->pcrs[i])));
    }
    enclave_text(out, "certificate");
    enclave_bytes(out, neo_buffer_bytes(&e->ders[ENCLAVE_AUTHORITIES]));
    enclave_text(out, "cabundle");
    enclave_head(out, 4, ENCLAVE_AUTHORITIES);
    for (size_t i = 0; i < ENCLAVE_AUTHORITIES; i++)
        enclave_bytes(out, neo_buffer_bytes(&e->ders[i]));
    enclave_text(out, "user_data");
    enclave_bytes(out, neo_bytes(e->user_data, e->user_data_len));
}

/* A COSE_Sign1 over any payload, signed by key `signer`. */
static inline void enclave_sign(const struct enclave *e, size_t signer, struct neo_bytes payload,
                                struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer message = {0};
    const struct cose_sign1 d = {.protected_header = NEO_LIT("\xa1\x01\x38\x22"),
                                 .payload = payload};
    struct vendor_signature signature = {.is_little_endian = false};

    assert_true(cose_signed_bytes(&d, &message));
    assert_int_equal(
        vendor_p384_sign(e->keys[signer], neo_buffer_bytes(&message), &signature, NULL), NEO_OK);
    if (e->is_tagged)
        enclave_head(out, 6, 18);
    enclave_head(out, 4, 4);
    enclave_bytes(out, d.protected_header);
    enclave_head(out, 5, 0);
    enclave_bytes(out, payload);
    enclave_head(out, 2, 96);
    assert_true(neo_buffer_append(out, neo_bytes(signature.r, sizeof(signature.r))));
    assert_true(neo_buffer_append(out, neo_bytes(signature.s, sizeof(signature.s))));
}

static inline struct neo_buffer enclave_document(const struct enclave *e)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer payload = {0};
    struct neo_buffer all = {0};

    enclave_payload(e, &payload);
    enclave_sign(e, ENCLAVE_AUTHORITIES, neo_buffer_bytes(&payload), &all);
    return all;
}

/* A policy for function-service whose one row begins `tee: nitro`. */
static inline enum neo_code enclave_compile(const char *require, const char *rest,
                                            struct neo_attest_policies **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    assert_true(neo_buffer_printf(&text,
                                  "attestation_policies:\n  function-service:\n    require: %s\n"
                                  "    any_of:\n      - tee: nitro\n%s",
                                  require, rest));
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    return neo_attest_policies_compile(&document, 1, true, ret, err);
}

/* "        pcr: {0: 4040..., n: ...}" of this enclave, for the PCRs in `mask`. */
static inline void enclave_rule(const struct enclave *e, unsigned mask, struct neo_buffer *out)
{
    const char *separator = "";

    assert_true(neo_buffer_append_text(out, "        pcr: {"));
    for (unsigned i = 0; i < NEO_COUNT(e->pcrs); i++) {
        if ((mask & 1u << i) == 0)
            continue;
        assert_true(neo_buffer_printf(out, "%s%u: \"", separator, i));
        for (size_t k = 0; k < NITRO_PCR_LEN; k++)
            assert_true(neo_buffer_printf(out, "%02x", e->pcrs[i][k]));
        assert_true(neo_buffer_append_text(out, "\""));
        separator = ", ";
    }
    assert_true(neo_buffer_append_text(out, "}\n"));
    assert_true(neo_buffer_append_byte(out, 0));
}

#endif
