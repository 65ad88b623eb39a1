/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform.h - simulated Intel platforms for tests: certificates, lists, signed documents and
 * quotes in Intel's forms under a root of ours.
 *
 * A platform is described by its fields; platform_issue() makes everything from
 * them, and the quote is signed anew for every question.
 */
#ifndef NEO_TESTS_ATTEST_PLATFORM_H
#define NEO_TESTS_ATTEST_PLATFORM_H

#include "../unit.h"

#include "attest/intel.h"
#include "attest/policies.h"
#include "crypto/vendor_issue.h"

#include <neo/encoding.h>

#define PLATFORM_NOW    INT64_C(1790000000)
#define PLATFORM_ISSUED "2026-09-21T12:00:00Z" /* a little before */
#define PLATFORM_UPDATE "2026-10-21T12:00:00Z"

enum { PLATFORM_ARENA = 4 << 20, PLATFORM_DAY = 86400 };
enum platform_key { KEY_ROOT, KEY_CA, KEY_PCK, KEY_SIGNER, KEY_QUOTE, PLATFORM_KEYS };

struct platform {
    bool is_tdx;
    unsigned version;   /* of quotes */
    bool is_td10;       /* a TD 1.0's body in a quote of version 5 */
    bool is_extended;   /* a TD 1.5's, extended */
    unsigned body_kind; /* what it says of its body; 0: what it is */
    struct vendor_key *keys[PLATFORM_KEYS];
    struct neo_buffer ders[PLATFORM_KEYS]; /* certificates; none of KEY_QUOTE */
    struct neo_buffer root_crl, ca_crl;
    struct neo_buffer tcb_json, identity_json;
    struct neo_attest_trust *trust;

    /* What the platform has. */
    uint8_t svn; /* of every component */
    uint16_t pce_svn;
    unsigned sgx_type;
    uint16_t qe_svn;
    uint8_t qe_signer;   /* every byte of it */
    size_t qe_data_flip; /* the n-th byte of the QE's report data is changed; 0: none */
    uint8_t tee_svn[INTEL_SVN_LEN];
    uint8_t tee_svn_now[INTEL_SVN_LEN];
    uint64_t flags;
    uint8_t td_attributes[8];
    uint8_t service_td;       /* every byte of MRSERVICETD */
    uint8_t service_td_first; /* extended: every byte of what was bound first */
    uint8_t service_td_now;   /* and of what is by now */
    uint8_t vmid;
    uint8_t code;               /* every byte of MRTD or MRENCLAVE */
    uint8_t binder;             /* every byte of REPORTDATA */
    const uint8_t *report_data; /* instead: 64 bytes; NULL: `binder` */
    size_t flip;                /* a byte of the signed quote to change; 0: none */

    /* What Intel says: text of "tcbLevels", and of the module's levels. */
    const char *levels;
    const char *module_levels;
    const char *issued;
    const char *next_update;
    const char *fmspc;
    enum platform_key revoked; /* KEY_ROOT: none */
    int64_t crl_until;
};

#define PLATFORM_SVN(n)                                                                            \
    "{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n             \
    "},{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n           \
    "},{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n "},{\"svn\":" #n           \
    "},{\"svn\":" #n "}"
#define PLATFORM_LEVEL(n, status, advisories)                                                      \
    "{\"tcb\":{\"sgxtcbcomponents\":[" PLATFORM_SVN(                                               \
        n) "],\"pcesvn\":" #n                                                                      \
           ",\"tdxtcbcomponents\":[" PLATFORM_SVN(n) "]},\"tcbDate\":\"2025-01-0" #n               \
                                                     "T00:00:00Z\",\"tcbStatus\":\"" status        \
                                                     "\",\"advisoryIDs\":[" advisories "]}"
#define PLATFORM_ISV_LEVEL(n, status)                                                              \
    "{\"tcb\":{\"isvsvn\":" #n "},\"tcbDate\":\"2025-01-0" #n                                      \
    "T00:00:00Z\",\"tcbStatus\":\"" status "\"}"

static inline void platform_put(struct neo_buffer *out, const void *at, size_t len)
{
    assert_true(neo_buffer_append(out, neo_bytes(at, len)));
}

static inline void platform_fill(struct neo_buffer *out, uint8_t value, size_t len)
{
    while (len-- > 0)
        assert_true(neo_buffer_append_byte(out, value));
}

static inline void platform_le(struct neo_buffer *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        assert_true(neo_buffer_append_byte(out, (uint8_t)(value >> (8 * i))));
}

/* --- certificates ----------------------------------------------------------------------------- */

/* {OID, value} with the OID 1.2.840.113741.1.13.1.<a>[.<b>]; `value` is whole DER. */
static inline void platform_member(struct neo_buffer *out, uint8_t a, uint8_t b,
                                   struct neo_bytes value)
{
    uint8_t oid[] = {0x06, 10, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, a, b};
    size_t len = b == 0 ? 12 : 13;

    oid[1] = (uint8_t)(len - 2);
    assert_true(neo_buffer_append_byte(out, 0x30));
    assert_true(neo_buffer_append_byte(out, (uint8_t)(len + value.len)));
    platform_put(out, oid, len);
    platform_put(out, value.at, value.len);
}

static inline void platform_number(struct neo_buffer *out, uint8_t a, uint8_t b, uint8_t value)
{
    const uint8_t der[] = {b == 0 ? 0x0a : 0x02, 1, value};

    platform_member(out, a, b, neo_bytes(der, sizeof(der)));
}

static inline void platform_octets(struct neo_buffer *out, uint8_t a, uint8_t b, uint8_t fill,
                                   uint8_t len)
{
    uint8_t der[2 + 16] = {0x04, len};

    memset(der + 2, fill, len);
    platform_member(out, a, b, neo_bytes(der, 2U + len));
}

static inline void platform_sequence(struct neo_buffer *out, struct neo_bytes body)
{
    const uint8_t head[] = {0x30, 0x82, (uint8_t)(body.len >> 8), (uint8_t)body.len};
    const uint8_t medium[] = {0x30, 0x81, (uint8_t)body.len};

    if (body.len < 256)
        platform_put(out, medium, sizeof(medium));
    else
        platform_put(out, head, sizeof(head));
    platform_put(out, body.at, body.len);
}

/* Intel's extension of a PCK certificate. */
static inline void platform_extension(const struct platform *p, struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer tcb = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer tcb_sequence = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = {0};
    const uint8_t oid[] = {0x06, 10, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, 2};

    for (uint8_t i = 1; i <= 16; i++)
        platform_number(&tcb, 2, i, p->svn);
    platform_number(&tcb, 2, 17, (uint8_t)p->pce_svn);
    platform_octets(&tcb, 2, 18, p->svn, 16);
    platform_octets(&all, 1, 0, 0xab, 16); /* PPID */
    platform_sequence(&tcb_sequence, neo_buffer_bytes(&tcb));
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer member = {0};
    platform_put(&member, oid, sizeof(oid));
    platform_put(&member, tcb_sequence.at, tcb_sequence.len);
    platform_sequence(&all, neo_buffer_bytes(&member));
    platform_octets(&all, 3, 0, 0, 2);    /* PCE-ID */
    platform_octets(&all, 4, 0, 0x50, 6); /* FMSPC */
    platform_number(&all, 5, 0, (uint8_t)p->sgx_type);
    platform_octets(&all, 6, 0, 0xcd, 16); /* platform instance */
    platform_sequence(out, neo_buffer_bytes(&all));
}

static inline void platform_certificate(struct platform *p, enum platform_key key,
                                        enum platform_key issuer, const char *name,
                                        const char *issuer_name)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer intel = {0};
    bool is_ca = key == KEY_ROOT || key == KEY_CA;
    const struct vendor_extension extensions[] = {
        {{(const uint8_t *)"\x55\x1d\x13", 3},
         is_ca ? (struct neo_bytes){(const uint8_t *)"\x30\x03\x01\x01\xff", 5}
               : (struct neo_bytes){(const uint8_t *)"\x30\x00", 2},
         true},
        {{(const uint8_t *)"\x55\x1d\x0f", 3},
         {(const uint8_t *)(is_ca ? "\x03\x02\x01\x06" : "\x03\x02\x06\xc0"), 4},
         true},
        {{(const uint8_t *)"\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01", 9}, {0}, false},
    };
    struct vendor_extension mine[3];
    memcpy(mine, extensions, sizeof(mine));
    if (key == KEY_PCK) {
        platform_extension(p, &intel);
        mine[2].value = neo_buffer_bytes(&intel);
    }
    const struct vendor_template t = {
        .common_name = name,
        .issuer_common_name = issuer_name,
        .organization = "Neo tests, proves nothing",
        .serial = (uint32_t)key + 1,
        .not_before = PLATFORM_NOW - 30 * PLATFORM_DAY,
        .not_after = PLATFORM_NOW + 300 * PLATFORM_DAY,
        .extensions = mine,
        .n_extensions = key == KEY_PCK ? 3 : 2,
    };

    neo_buffer_fini(&p->ders[key]);
    assert_int_equal(vendor_cert_issue(&t, p->keys[key], p->keys[issuer], &p->ders[key], NULL),
                     NEO_OK);
}

static inline void platform_crl(struct platform *p, enum platform_key issuer,
                                struct neo_buffer *out)
{
    struct vendor_bundle certs = {.max = 2};
    enum platform_key child = issuer == KEY_ROOT ? KEY_CA : KEY_PCK;
    bool revokes = p->revoked == child || (issuer == KEY_ROOT && p->revoked == KEY_SIGNER);

    if (issuer == KEY_ROOT && p->revoked == KEY_SIGNER)
        child = KEY_SIGNER;
    assert_int_equal(vendor_bundle_read(&certs, neo_buffer_bytes(&p->ders[issuer]), "ca", NULL),
                     NEO_OK);
    assert_int_equal(vendor_bundle_read(&certs, neo_buffer_bytes(&p->ders[child]), "child", NULL),
                     NEO_OK);
    neo_buffer_fini(out);
    assert_int_equal(vendor_crl_issue(certs.certs[0], p->keys[issuer],
                                      revokes ? certs.certs[1] : NULL, PLATFORM_NOW - PLATFORM_DAY,
                                      p->crl_until, out, NULL),
                     NEO_OK);
    vendor_bundle_fini(&certs);
}

/* --- documents -------------------------------------------------------------------------------- */

static inline void platform_sign_json(const struct platform *p, const char *member,
                                      struct neo_bytes body, struct neo_buffer *out)
{
    uint8_t signature[VENDOR_P256_LEN];

    neo_buffer_fini(out);
    assert_int_equal(vendor_p256_sign(p->keys[KEY_SIGNER], body, signature, NULL), NEO_OK);
    assert_true(neo_buffer_printf(out, "{\"%s\":", member));
    platform_put(out, body.at, body.len);
    assert_true(neo_buffer_append_text(out, ",\"signature\":\""));
    assert_true(neo_hex_encode(out, neo_bytes(signature, sizeof(signature))));
    assert_true(neo_buffer_append_text(out, "\"}"));
}

#define PLATFORM_ZERO96                                                                            \
    "000000000000000000000000000000000000000000000000"                                             \
    "000000000000000000000000000000000000000000000000"

static inline void platform_documents(struct platform *p)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer tcb = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer identity = {0};

    assert_true(neo_buffer_printf(
        &tcb,
        "{\"id\":\"%s\",\"version\":3,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\",\"fmspc\":\"%s\","
        "\"pceId\":\"0000\",\"tcbType\":0,\"tcbEvaluationDataNumber\":18,"
        "\"tdxModule\":{\"mrsigner\":\"" PLATFORM_ZERO96
        "\",\"attributes\":\"0000000000000000\",\"attributesMask\":\"FFFFFFFFFFFFFFFF\"},"
        "\"tdxModuleIdentities\":[{\"id\":\"TDX_01\",\"mrsigner\":\"" PLATFORM_ZERO96
        "\",\"attributes\":\"0000000000000000\",\"attributesMask\":\"FFFFFFFFFFFFFFFF\","
        "\"tcbLevels\":[%s]}],\"tcbLevels\":[%s]}",
        p->is_tdx ? "TDX" : "SGX", p->issued, p->next_update, p->fmspc, p->module_levels,
        p->levels));
    assert_true(neo_buffer_printf(
        &identity,
        "{\"id\":\"%s\",\"version\":2,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\","
        "\"tcbEvaluationDataNumber\":18,\"miscselect\":\"00000000\",\"miscselectMask\":"
        "\"FFFFFFFF\",\"attributes\":\"11000000000000000000000000000000\",\"attributesMask\":"
        "\"FBFFFFFFFFFFFFFF0000000000000000\",\"mrsigner\":\"E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5"
        "E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5\",\"isvprodid\":2,\"tcbLevels\":[%s]}",
        p->is_tdx ? "TD_QE" : "QE", p->issued, p->next_update,
        PLATFORM_ISV_LEVEL(4, "UpToDate") "," PLATFORM_ISV_LEVEL(2, "OutOfDate")));
    platform_sign_json(p, "tcbInfo", neo_buffer_bytes(&tcb), &p->tcb_json);
    platform_sign_json(p, "enclaveIdentity", neo_buffer_bytes(&identity), &p->identity_json);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Makes everything anew from the description. */
static inline void platform_issue(struct platform *p)
{
    platform_certificate(p, KEY_ROOT, KEY_ROOT, "Intel SGX Root CA", "Intel SGX Root CA");
    platform_certificate(p, KEY_CA, KEY_ROOT, "Intel SGX PCK Platform CA", "Intel SGX Root CA");
    platform_certificate(p, KEY_PCK, KEY_CA, "Intel SGX PCK Certificate",
                         "Intel SGX PCK Platform CA");
    platform_certificate(p, KEY_SIGNER, KEY_ROOT, "Intel SGX TCB Signing", "Intel SGX Root CA");
    platform_crl(p, KEY_ROOT, &p->root_crl);
    platform_crl(p, KEY_CA, &p->ca_crl);
    platform_documents(p);
    const struct neo_bytes collateral[] = {
        neo_buffer_bytes(&p->root_crl),         neo_buffer_bytes(&p->ca_crl),
        neo_buffer_bytes(&p->tcb_json),         neo_buffer_bytes(&p->identity_json),
        neo_buffer_bytes(&p->ders[KEY_SIGNER]),
    };
    const struct neo_attest_trust_options options = {
        .collateral = collateral,
        .n_collateral = NEO_COUNT(collateral),
        .simulated_root = neo_buffer_bytes(&p->ders[KEY_ROOT]),
        .development = true,
    };
    struct neo_error err;
    neo_attest_trust_unref(p->trust);
    p->trust = NULL;
    if (neo_attest_trust_new(&options, &p->trust, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static inline void platform_init(struct platform *p, bool is_tdx, unsigned version)
{
    *p = (struct platform){
        .is_tdx = is_tdx,
        .version = version,
        .svn = 5,
        .pce_svn = 5,
        .sgx_type = 1,
        .qe_svn = 4,
        .qe_signer = 0xe5,
        .flags = 5,
        .td_attributes = {0, 0, 0, 0x10},
        .code = 0x4d,
        .binder = 0xb1,
        .levels = PLATFORM_LEVEL(5, "UpToDate", "") "," PLATFORM_LEVEL(
            4, "SWHardeningNeeded",
            "\"INTEL-SA-1\",\"INTEL-SA-2\"") "," PLATFORM_LEVEL(3, "OutOfDate", ""),
        .module_levels = PLATFORM_ISV_LEVEL(5, "UpToDate") "," PLATFORM_ISV_LEVEL(3, "OutOfDate"),
        .issued = PLATFORM_ISSUED,
        .next_update = PLATFORM_UPDATE,
        .fmspc = "505050505050",
        .crl_until = PLATFORM_NOW + PLATFORM_DAY,
    };
    memset(p->tee_svn, 5, sizeof(p->tee_svn));
    p->tee_svn[1] = 1; /* the module's own version */
    memcpy(p->tee_svn_now, p->tee_svn, sizeof(p->tee_svn));
    for (size_t i = 0; i < PLATFORM_KEYS; i++)
        assert_int_equal(vendor_key_generate(VENDOR_P256, &p->keys[i], NULL), NEO_OK);
    platform_issue(p);
}

static inline void platform_fini(struct platform *p)
{
    for (size_t i = 0; i < PLATFORM_KEYS; i++) {
        vendor_key_free(p->keys[i]);
        neo_buffer_fini(&p->ders[i]);
    }
    neo_buffer_fini(&p->root_crl);
    neo_buffer_fini(&p->ca_crl);
    neo_buffer_fini(&p->tcb_json);
    neo_buffer_fini(&p->identity_json);
    neo_attest_trust_unref(p->trust);
}

/* --- quotes ----------------------------------------------------------------------------------- */

static inline void platform_sgx_body(struct neo_buffer *out, uint64_t flags, uint8_t enclave,
                                     uint8_t signer, uint16_t product, uint16_t svn,
                                     const uint8_t *report_data)
{
    platform_fill(out, 5, 16 + 4 * 0);
    platform_fill(out, 0, 4 + 12 + 16);
    platform_le(out, flags, 8);
    platform_le(out, 0, 8);
    platform_fill(out, enclave, 32);
    platform_fill(out, 0, 32);
    platform_fill(out, signer, 32);
    platform_fill(out, 0, 32 + 64);
    platform_le(out, product, 2);
    platform_le(out, svn, 2);
    platform_fill(out, 0, 2 + 42 + 16);
    platform_put(out, report_data, 64);
}

/* Where the extension of a TD 1.5 begins in its quote. */
enum { PLATFORM_EXTENSION = 48 + 6 + 648, PLATFORM_EXTENSION_LEN = 885 - 648 };

static inline void platform_tdx_body(const struct platform *p, struct neo_buffer *out)
{
    platform_put(out, p->tee_svn, 16);
    platform_fill(out, 0x5e, 48);
    platform_fill(out, 0, 48 + 8);
    platform_put(out, p->td_attributes, 8);
    platform_le(out, 0x2e7, 8);
    platform_fill(out, p->code, 48);
    platform_fill(out, 0xc1, 48);
    platform_fill(out, 0xc2, 48);
    platform_fill(out, 0xc3, 48);
    for (uint8_t i = 0; i < INTEL_RTMRS; i++)
        platform_fill(out, (uint8_t)(0x70 + i), 48);
    if (p->report_data != NULL)
        platform_put(out, p->report_data, 64);
    else
        platform_fill(out, p->binder, 64);
    if (p->version == 5 && !p->is_td10) {
        platform_put(out, p->tee_svn_now, 16);
        platform_fill(out, p->service_td, 48);
    }
    if (p->is_extended) {
        platform_fill(out, p->vmid, 1);
        platform_fill(out, 0x1d, 32 + 48);
        platform_fill(out, p->service_td_first, 48 + 8);
        platform_fill(out, 0x0f, 16 + 16 + 12);
        platform_fill(out, p->service_td_now, 48 + 8);
    }
}

static inline void platform_chain(const struct platform *p, struct neo_buffer *out)
{
    static const enum platform_key order[] = {KEY_PCK, KEY_CA, KEY_ROOT};

    for (size_t i = 0; i < NEO_COUNT(order); i++)
        assert_true(vendor_pem_append(out, "CERTIFICATE", neo_buffer_bytes(&p->ders[order[i]])));
}

/* QE report, its signature, authentication data, chain. */
static inline void platform_certification(const struct platform *p, struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bound = {0};
    uint8_t point[VENDOR_P256_LEN], signature[VENDOR_P256_LEN];
    uint8_t report_data[64] = {0}, auth[32];
    size_t at = out->len;

    memset(auth, 0xaa, sizeof(auth));
    assert_int_equal(vendor_key_point(p->keys[KEY_QUOTE], point, sizeof(point), NULL), NEO_OK);
    platform_put(&bound, point, sizeof(point));
    platform_put(&bound, auth, sizeof(auth));
    neo_sha256(neo_buffer_bytes(&bound), report_data);
    if (p->qe_data_flip != 0)
        report_data[p->qe_data_flip - 1] ^= 1;
    platform_sgx_body(out, 0x11, 0x9e, p->qe_signer, 2, p->qe_svn, report_data);
    assert_int_equal(
        vendor_p256_sign(p->keys[KEY_PCK], neo_bytes(out->at + at, 384), signature, NULL), NEO_OK);
    platform_put(out, signature, sizeof(signature));
    platform_le(out, sizeof(auth), 2);
    platform_put(out, auth, sizeof(auth));
    platform_chain(p, &chain);
    platform_le(out, 5, 2);
    platform_le(out, chain.len, 4);
    platform_put(out, chain.at, chain.len);
}

static inline struct neo_buffer platform_quote(const struct platform *p)
{
    static const uint8_t vendor[] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                     0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certification = {0};
    uint8_t point[VENDOR_P256_LEN], signature[VENDOR_P256_LEN], report_data[64];
    static const size_t lens[] = {0, 384, 584, 648, 885};
    struct neo_buffer q = {0};

    platform_le(&q, p->version, 2);
    platform_le(&q, 2, 2);
    platform_le(&q, p->is_tdx ? 0x81 : 0, 4);
    platform_le(&q, 0, 4);
    platform_put(&q, vendor, sizeof(vendor));
    platform_fill(&q, 0, 20);
    if (p->version == 5) {
        unsigned kind = !p->is_tdx ? 1 : p->is_td10 ? 2 : p->is_extended ? 4 : 3;
        platform_le(&q, p->body_kind != 0 ? p->body_kind : kind, 2);
        platform_le(&q, lens[kind], 4);
    }
    memset(report_data, p->binder, sizeof(report_data));
    if (p->is_tdx)
        platform_tdx_body(p, &q);
    else
        platform_sgx_body(&q, p->flags, p->code, 0x51, 7, 3, report_data);
    assert_int_equal(vendor_p256_sign(p->keys[KEY_QUOTE], neo_buffer_bytes(&q), signature, NULL),
                     NEO_OK);
    assert_int_equal(vendor_key_point(p->keys[KEY_QUOTE], point, sizeof(point), NULL), NEO_OK);
    platform_certification(p, &certification);
    platform_le(&q, 128 + certification.len + (p->version > 3 ? 6 : 0), 4);
    platform_put(&q, signature, sizeof(signature));
    platform_put(&q, point, sizeof(point));
    if (p->version > 3) {
        platform_le(&q, 6, 2);
        platform_le(&q, certification.len, 4);
    }
    platform_put(&q, certification.at, certification.len);
    return q;
}

/* A policy for function-service with one row; `rest` is appended to it. */
static inline enum neo_code platform_compile(const struct platform *p, const char *rest,
                                             struct neo_attest_policies **ret,
                                             struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    assert_true(neo_buffer_printf(&text,
                                  "attestation_policies:\n  function-service:\n"
                                  "    require: simulator\n    any_of:\n      - tee: %s\n%s",
                                  p->is_tdx ? "tdx" : "sgx", rest));
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    return neo_attest_policies_compile(&document, 1, true, ret, err);
}

/* The first failed check, or "accepted". */
static inline const char *platform_verdict(const struct platform *p, const char *rest,
                                           enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = platform_quote(p);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer row = {0};
    const struct neo_evidence evidence = {
        .kind = p->is_tdx ? NEO_EVIDENCE_SIM_TDX : NEO_EVIDENCE_SIM_SGX,
        .body = neo_buffer_bytes(&quote),
    };
    struct neo_attest_policies *policies;
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_appraisal a;
    struct neo_error err;
    const char *failed = "accepted";

    if (p->flip != 0)
        quote.at[p->flip] ^= 1;
    assert_true(
        neo_buffer_append_text(&row, p->is_tdx ? "        mrtd: [\"" : "        mrenclave: [\""));
    for (size_t i = 0; i < (p->is_tdx ? 48U : 32U); i++)
        assert_true(neo_buffer_append_text(&row, "4d"));
    assert_true(neo_buffer_printf(&row, "\"]\n%s", rest));
    assert_true(neo_buffer_append_byte(&row, 0));
    if (platform_compile(p, (const char *)row.at, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    memset(binder, 0xb1, sizeof(binder));
    neo_arena_init(&arena, PLATFORM_ARENA);
    assert_int_equal(neo_attest_appraise(p->trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder, PLATFORM_NOW, &arena, &a, NULL),
                     NEO_OK);
    assert_int_equal(a.accepted, a.reason == NEO_ATTEST_NONE);
    for (size_t i = a.n_checks; i-- > 0;) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            failed = a.checks[i].name; /* a literal */
    }
    *ret_reason = a.reason;
    neo_attest_policies_unref(policies);
    return failed;
}

#endif
