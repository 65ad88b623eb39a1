/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/intel_pck.h"

#include "crypto/der.h"

/* 1.2.840.113741.1.13.1 */
static const uint8_t sgx_oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};

enum { DER_OID = 0x06, DER_ENUMERATED = 0x0a };
enum { PPID = 1, TCB = 2, PCE_ID = 3, FMSPC = 4, SGX_TYPE = 5, INSTANCE = 6, CONFIGURATION = 7 };
enum { TCB_PCE_SVN = 17, TCB_CPU_SVN = 18, MEMBERS = 8, TCB_MEMBERS = 19 };

/* The number behind `prefix` in an OID that has just one component more; 0: it is another. */
static unsigned last_component(struct neo_bytes oid, struct neo_bytes prefix)
{
    if (oid.len != prefix.len + 1 || !neo_bytes_starts(oid, prefix) || oid.at[prefix.len] >= 0x80)
        return 0;
    return oid.at[prefix.len];
}

static bool read_octets(struct cursor *c, uint8_t *to, size_t len)
{
    struct neo_bytes body = der_take(c, DER_OCTET_STRING).body;

    if (c->failed || body.len != len)
        return false;
    memcpy(to, body.at, len);
    return true;
}

static bool read_number(struct cursor *c, uint8_t tag, unsigned max, unsigned *ret)
{
    struct neo_bytes body = der_take(c, tag).body;
    unsigned value = 0;

    if (c->failed || body.len == 0 || body.len > 3 || body.at[0] >= 0x80)
        return false;
    for (size_t i = 0; i < body.len; i++)
        value = value << 8 | body.at[i];
    *ret = value;
    return value <= max;
}

/* One {OID, value}; marks it in `seen`. The value is left in `*value`. */
static unsigned open_member(struct cursor *c, struct neo_bytes prefix, unsigned members,
                            uint32_t *seen, struct cursor *value)
{
    *value = cursor_of(der_take(c, DER_SEQUENCE).body);
    unsigned which = last_component(der_take(value, DER_OID).body, prefix);

    if (c->failed || value->failed || which == 0 || which >= members ||
        (*seen & UINT32_C(1) << which) != 0)
        return 0;
    *seen |= UINT32_C(1) << which;
    return which;
}

static bool read_tcb(struct cursor *c, struct intel_pck *pck)
{
    static const uint8_t oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, TCB};
    struct cursor members = cursor_of(der_take(c, DER_SEQUENCE).body);
    uint8_t cpu_svn[INTEL_SVN_LEN];
    uint32_t seen = 0;

    while (!members.failed && members.left > 0) {
        struct cursor value;
        unsigned number;
        unsigned which =
            open_member(&members, neo_bytes(oid, sizeof(oid)), TCB_MEMBERS, &seen, &value);
        if (which == 0)
            return false;
        if (which == TCB_CPU_SVN) {
            if (!read_octets(&value, cpu_svn, sizeof(cpu_svn)))
                return false;
        } else if (which == TCB_PCE_SVN) {
            if (!read_number(&value, DER_INTEGER, UINT16_MAX, &number))
                return false;
            pck->pce_svn = (uint16_t)number;
        } else {
            if (!read_number(&value, DER_INTEGER, UINT8_MAX, &number))
                return false;
            pck->svn[which - 1] = (uint8_t)number;
        }
        if (!cursor_is_done(&value))
            return false;
    }
    return cursor_is_done(&members) && seen == (UINT32_C(1) << TCB_MEMBERS) - 2;
}

static bool read_member(unsigned which, struct cursor *value, struct intel_pck *pck)
{
    switch (which) {
    case PPID:
        return read_octets(value, pck->ppid, sizeof(pck->ppid));
    case TCB:
        return read_tcb(value, pck);
    case PCE_ID:
        return read_octets(value, pck->pce_id, sizeof(pck->pce_id));
    case FMSPC:
        return read_octets(value, pck->fmspc, sizeof(pck->fmspc));
    case SGX_TYPE:
        return read_number(value, DER_ENUMERATED, 2, &pck->sgx_type);
    case INSTANCE:
        pck->has_instance = true;
        return read_octets(value, pck->platform_instance_id, sizeof(pck->platform_instance_id));
    case CONFIGURATION: /* dynamic platform, cached keys, SMT: nothing is judged by them */
        (void)der_take(value, DER_SEQUENCE);
        return !value->failed;
    default:
        return false;
    }
}

enum neo_code intel_pck_parse(struct neo_bytes extension, struct intel_pck *ret,
                              struct neo_error *err)
{
    const uint32_t required = 1u << PPID | 1u << TCB | 1u << PCE_ID | 1u << FMSPC | 1u << SGX_TYPE;
    struct neo_bytes prefix = neo_bytes(sgx_oid, sizeof(sgx_oid));
    struct intel_pck pck = {.sgx_type = 0};
    struct cursor c = cursor_of(extension);
    struct cursor members = cursor_of(der_take(&c, DER_SEQUENCE).body);
    uint32_t seen = 0;

    while (!members.failed && members.left > 0) {
        struct cursor value;
        unsigned which = open_member(&members, prefix, MEMBERS, &seen, &value);
        if (which == 0 || !read_member(which, &value, &pck) || !cursor_is_done(&value))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "a PCK certificate whose member %u is malformed", which);
    }
    if (!cursor_is_done(&c) || !cursor_is_done(&members) || (seen & required) != required)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a PCK certificate whose extension is incomplete");
    *ret = pck;
    return NEO_OK;
}

enum neo_code intel_pck_read(const struct vendor_cert *cert, struct intel_pck *ret,
                             struct neo_error *err)
{
    struct neo_bytes extension;

    if (!vendor_cert_extension(cert, neo_bytes(sgx_oid, sizeof(sgx_oid)), &extension))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a PCK certificate without Intel's extension");
    return intel_pck_parse(extension, ret, err);
}
