/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/intel_quote.h"

#include "base/cursor.h"

enum {
    HEADER_LEN = 48,
    KEY_TYPE_P256 = 2,
    TEE_SGX = 0,
    TEE_TDX = 0x81,
    BODY_SGX = 1,
    BODY_TD10 = 2,
    BODY_TD15 = 3,
    BODY_TD15_EX = 4,
    SGX_BODY_LEN = 384,
    TD10_BODY_LEN = 584,
    TD15_BODY_LEN = 648,
    TD15_EX_BODY_LEN = 885,
    DATA_PCK_CHAIN = 5, /* kinds of certification data */
    DATA_QE_REPORT = 6,
};

static const uint8_t intel_qe_vendor[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                            0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

#define malformed(...)   neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)
#define unsupported(...) neo_fail(err, NEO_UNIMPLEMENTED, __VA_ARGS__)

static void copy(struct cursor *c, void *to, size_t len)
{
    struct neo_bytes from = cursor_take(c, len);

    if (from.len == len)
        memcpy(to, from.at, len);
}

/* Reserved: anything but zeros fails the cursor. */
static void expect_zeros(struct cursor *c, size_t len)
{
    struct neo_bytes bytes = cursor_take(c, len);
    uint8_t any = 0;

    for (size_t i = 0; i < bytes.len; i++)
        any |= bytes.at[i];
    c->failed = c->failed || any != 0;
}

/* --- bodies ----------------------------------------------------------------------------------- */

static bool read_sgx_body(struct neo_bytes text, struct sgx_body *ret)
{
    struct cursor c = cursor_of(text);

    copy(&c, ret->cpu_svn, sizeof(ret->cpu_svn));
    copy(&c, ret->misc_select, sizeof(ret->misc_select));
    expect_zeros(&c, 12);
    copy(&c, ret->ext_prod_id, sizeof(ret->ext_prod_id));
    struct cursor flags = c;
    ret->flags = cursor_le(&flags, 8);
    copy(&c, ret->attributes, sizeof(ret->attributes));
    copy(&c, ret->mrenclave, sizeof(ret->mrenclave));
    expect_zeros(&c, 32);
    copy(&c, ret->mrsigner, sizeof(ret->mrsigner));
    expect_zeros(&c, 32);
    copy(&c, ret->config_id, sizeof(ret->config_id));
    ret->isv_prod_id = (uint16_t)cursor_le(&c, 2);
    ret->isv_svn = (uint16_t)cursor_le(&c, 2);
    ret->config_svn = (uint16_t)cursor_le(&c, 2);
    expect_zeros(&c, 42);
    copy(&c, ret->family_id, sizeof(ret->family_id));
    copy(&c, ret->report_data, sizeof(ret->report_data));
    return cursor_is_done(&c);
}

/* What the TD began as, and what is bound to it now. */
static void read_tdx_extension(struct cursor *c, struct tdx_body *ret)
{
    ret->vmid = (uint8_t)cursor_le(c, 1);
    copy(c, ret->td_id, sizeof(ret->td_id));
    copy(c, ret->devices, sizeof(ret->devices));
    copy(c, ret->service_td_first, sizeof(ret->service_td_first));
    copy(c, ret->service_td_first_attributes, sizeof(ret->service_td_first_attributes));
    copy(c, ret->cpu_svn_first, sizeof(ret->cpu_svn_first));
    copy(c, ret->tee_tcb_svn_first, sizeof(ret->tee_tcb_svn_first));
    copy(c, ret->platform_first, sizeof(ret->platform_first));
    copy(c, ret->service_td_now, sizeof(ret->service_td_now));
    copy(c, ret->service_td_now_attributes, sizeof(ret->service_td_now_attributes));
}

static bool read_tdx_body(struct neo_bytes text, struct tdx_body *ret)
{
    struct cursor c = cursor_of(text);

    copy(&c, ret->tee_tcb_svn, sizeof(ret->tee_tcb_svn));
    copy(&c, ret->mrseam, sizeof(ret->mrseam));
    copy(&c, ret->mrsignerseam, sizeof(ret->mrsignerseam));
    copy(&c, ret->seam_attributes, sizeof(ret->seam_attributes));
    copy(&c, ret->td_attributes, sizeof(ret->td_attributes));
    copy(&c, ret->xfam, sizeof(ret->xfam));
    copy(&c, ret->mrtd, sizeof(ret->mrtd));
    copy(&c, ret->mrconfigid, sizeof(ret->mrconfigid));
    copy(&c, ret->mrowner, sizeof(ret->mrowner));
    copy(&c, ret->mrownerconfig, sizeof(ret->mrownerconfig));
    for (size_t i = 0; i < INTEL_RTMRS; i++)
        copy(&c, ret->rtmr[i], sizeof(ret->rtmr[i]));
    copy(&c, ret->report_data, sizeof(ret->report_data));
    ret->has_current = text.len >= TD15_BODY_LEN;
    if (ret->has_current) {
        copy(&c, ret->tee_tcb_svn_now, sizeof(ret->tee_tcb_svn_now));
        copy(&c, ret->mrservicetd, sizeof(ret->mrservicetd));
    }
    ret->is_extended = text.len == TD15_EX_BODY_LEN;
    if (ret->is_extended)
        read_tdx_extension(&c, ret);
    return cursor_is_done(&c);
}

/* --- header ----------------------------------------------------------------------------------- */

static enum neo_code read_header(struct cursor *c, struct intel_quote *q, struct neo_error *err)
{
    q->version = (unsigned)cursor_le(c, 2);
    unsigned key_type = (unsigned)cursor_le(c, 2);
    uint32_t tee = (uint32_t)cursor_le(c, 4);
    (void)cursor_le(c, 4); /* version 3: the security versions of QE and PCE, for people */
    struct neo_bytes vendor = cursor_take(c, sizeof(intel_qe_vendor));
    (void)cursor_take(c, 20); /* user data */

    if (c->failed)
        return malformed("a quote that ends within its header");
    if (q->version > 5)
        return unsupported("a quote of version %u; known are 3, 4 and 5", q->version);
    if (q->version < 3)
        return malformed("a quote of version %u; known are 3, 4 and 5", q->version);
    if (key_type != KEY_TYPE_P256)
        return malformed("an attestation key of kind %u; known is 2 (ECDSA P-256)", key_type);
    if (tee != TEE_SGX && (tee != TEE_TDX || q->version == 3))
        return malformed("a TEE of kind 0x%x in a quote of version %u", tee, q->version);
    if (!neo_bytes_equal(vendor, neo_bytes(intel_qe_vendor, sizeof(intel_qe_vendor))))
        return malformed("a quoting enclave of an unknown vendor");
    q->is_tdx = tee == TEE_TDX;
    return NEO_OK;
}

/* Version 5 says what its body is; the older ones leave it to the kind of TEE. */
static enum neo_code read_body_len(struct cursor *c, const struct intel_quote *q, size_t *ret,
                                   struct neo_error *err)
{
    static const size_t lens[] = {
        [BODY_SGX] = SGX_BODY_LEN,
        [BODY_TD10] = TD10_BODY_LEN,
        [BODY_TD15] = TD15_BODY_LEN,
        [BODY_TD15_EX] = TD15_EX_BODY_LEN,
    };

    *ret = q->is_tdx ? TD10_BODY_LEN : SGX_BODY_LEN;
    if (q->version < 5)
        return NEO_OK;
    unsigned type = (unsigned)cursor_le(c, 2);
    uint64_t len = cursor_le(c, 4);
    if (!c->failed && type > BODY_TD15_EX && q->is_tdx)
        return unsupported("a body of kind %u; known are 1 (enclave), 2 (TD 1.0), 3 (TD 1.5) and "
                           "4 (TD 1.5, extended)",
                           type);
    if (c->failed || type < BODY_SGX || type > BODY_TD15_EX || (type != BODY_SGX) != q->is_tdx)
        return malformed("a body of kind %u", type);
    if (len != lens[type])
        return malformed("a body of kind %u with %llu bytes", type, (unsigned long long)len);
    *ret = lens[type];
    return NEO_OK;
}

/* --- signature data --------------------------------------------------------------------------- */

/* Kind and length, then that many bytes. */
static struct neo_bytes take_data(struct cursor *c, unsigned kind, unsigned *ret_found)
{
    *ret_found = (unsigned)cursor_le(c, 2);
    uint64_t len = cursor_le(c, 4);

    c->failed = c->failed || *ret_found != kind;
    return cursor_take(c, (size_t)len);
}

static enum neo_code read_signature(struct neo_bytes text, struct intel_quote *q,
                                    struct neo_error *err)
{
    struct cursor c = cursor_of(text);
    struct cursor inner;
    unsigned kind;

    q->signature = cursor_take(&c, INTEL_SIGNATURE_LEN);
    q->attestation_key = cursor_take(&c, INTEL_KEY_LEN);
    inner = c;
    if (q->version > 3) {
        inner = cursor_of(take_data(&c, DATA_QE_REPORT, &kind));
        if (!cursor_is_done(&c))
            return malformed("certification data of kind %u that is not the QE's report (6)", kind);
    }
    q->qe_report = cursor_take(&inner, SGX_BODY_LEN);
    q->qe_signature = cursor_take(&inner, INTEL_SIGNATURE_LEN);
    q->qe_auth = cursor_take(&inner, (size_t)cursor_le(&inner, 2));
    q->certificates = take_data(&inner, DATA_PCK_CHAIN, &kind);
    if (!cursor_is_done(&inner))
        return malformed("signature data that is not key, QE report and PCK chain (5): its "
                         "certification data is of kind %u, and must bring the chain along",
                         kind);
    if (!read_sgx_body(q->qe_report, &q->qe))
        return malformed("a QE report with reserved bytes set");
    return NEO_OK;
}

enum neo_code intel_quote_read(struct neo_bytes text, struct intel_quote *ret,
                               struct neo_error *err)
{
    struct cursor c = cursor_of(text);
    struct intel_quote q = {0};
    size_t body_len;

    if (text.len > INTEL_QUOTE_MAX)
        return malformed("a quote of %zu bytes, at most %d", text.len, INTEL_QUOTE_MAX);
    NEO_TRY(read_header(&c, &q, err));
    NEO_TRY(read_body_len(&c, &q, &body_len, err));
    struct neo_bytes body = cursor_take(&c, body_len);
    q.signed_part = neo_bytes(text.at, text.len - c.left);
    if (body.len != body_len ||
        !(q.is_tdx ? read_tdx_body(body, &q.body.tdx) : read_sgx_body(body, &q.body.sgx)))
        return malformed("a report body that is too short, or has reserved bytes set");
    struct neo_bytes data = cursor_take(&c, (size_t)cursor_le(&c, 4));
    if (c.failed)
        return malformed("signature data beyond the end");
    NEO_TRY(read_signature(data, &q, err));
    q.len = text.len - c.left;
    *ret = q;
    return NEO_OK;
}
