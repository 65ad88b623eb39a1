/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of fields serves reading and writing. What no row of it covers is
 * reserved and must be zero; a row that a version does not have yet is reserved in
 * that version.
 */
#include "attest/snp_report.h"

#include <inttypes.h>

enum field_kind { INTEGER, BYTES };

/* What is beyond is no version, but garbage. */
enum { VERSIONS_MAX = 256 };

struct field {
    uint16_t offset; /* in the report */
    uint8_t len;
    uint8_t kind;
    uint8_t since; /* version of the report */
    uint16_t member;
};

#define ROW(offset, len, kind, since, name)                                                        \
    {                                                                                              \
        offset, len, kind, since, offsetof(struct snp_report, name)                                \
    }

/* Ascending. The signature's numbers fill 72 bytes each, of which P-384 needs 48. */
static const struct field fields[] = {
    ROW(0x000, 4, INTEGER, 2, version),
    ROW(0x004, 4, INTEGER, 2, guest_svn),
    ROW(0x008, 8, INTEGER, 2, policy),
    ROW(0x010, 16, BYTES, 2, family_id),
    ROW(0x020, 16, BYTES, 2, image_id),
    ROW(0x030, 4, INTEGER, 2, vmpl),
    ROW(0x034, 4, INTEGER, 2, signature_algo),
    ROW(0x038, 8, BYTES, 2, current_tcb),
    ROW(0x040, 8, INTEGER, 2, platform_info),
    ROW(0x048, 4, INTEGER, 2, key_info),
    ROW(0x050, 64, BYTES, 2, report_data),
    ROW(0x090, 48, BYTES, 2, measurement),
    ROW(0x0c0, 32, BYTES, 2, host_data),
    ROW(0x0e0, 48, BYTES, 2, id_key_digest),
    ROW(0x110, 48, BYTES, 2, author_key_digest),
    ROW(0x140, 32, BYTES, 2, report_id),
    ROW(0x160, 32, BYTES, 2, report_id_ma),
    ROW(0x180, 8, BYTES, 2, reported_tcb),
    ROW(0x188, 1, INTEGER, 3, cpu_family),
    ROW(0x189, 1, INTEGER, 3, cpu_model),
    ROW(0x18a, 1, INTEGER, 3, cpu_stepping),
    ROW(0x1a0, 64, BYTES, 2, chip_id),
    ROW(0x1e0, 8, BYTES, 2, committed_tcb),
    ROW(0x1e8, 3, BYTES, 2, current_version),
    ROW(0x1ec, 3, BYTES, 2, committed_version),
    ROW(0x1f0, 8, BYTES, 2, launch_tcb),
    ROW(0x1f8, 8, INTEGER, 5, launch_mitigations),
    ROW(0x200, 8, INTEGER, 5, current_mitigations),
    ROW(0x2a0, 48, BYTES, 2, signature.r),
    ROW(0x2e8, 48, BYTES, 2, signature.s),
};

bool snp_is_zero(struct neo_bytes bytes)
{
    uint8_t seen = 0;

    for (size_t i = 0; i < bytes.len; i++)
        seen |= bytes.at[i];
    return seen == 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static uint64_t little_endian(const uint8_t *at, size_t len)
{
    uint64_t value = 0;

    for (size_t i = len; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

/* The first byte that is neither zero nor part of a field of this version; the length: none. */
static size_t first_reserved_set(const uint8_t *bytes, uint64_t version)
{
    size_t at = 0;

    for (size_t i = 0; i <= NEO_COUNT(fields); i++) {
        bool is_end = i == NEO_COUNT(fields);
        size_t next = is_end ? SNP_REPORT_LEN : fields[i].offset;
        if (!is_end && fields[i].since > version)
            continue;
        for (; at < next; at++) {
            if (bytes[at] != 0)
                return at;
        }
        if (!is_end)
            at = next + fields[i].len;
    }
    return SNP_REPORT_LEN;
}

static void copy_fields(const uint8_t *bytes, struct snp_report *r)
{
    *r = (struct snp_report){.signature.is_little_endian = true};
    for (size_t i = 0; i < NEO_COUNT(fields); i++) {
        const struct field *f = &fields[i];
        uint8_t *to = (uint8_t *)r + f->member;
        if (f->kind == BYTES) {
            memcpy(to, bytes + f->offset, f->len);
        } else {
            uint64_t value = little_endian(bytes + f->offset, f->len);
            memcpy(to, &value, sizeof(value));
        }
    }
}

static bool is_known_version(uint64_t version)
{
    return version == 2 || version == 3 || version == 5;
}

/*
 * The host may report less than is committed, and run more; never the other way round. Every byte
 * of a TCB version is one component or reserved, so this holds byte for byte for every product.
 */
static bool tcbs_are_ordered(const struct snp_report *r)
{
    for (size_t i = 0; i < SNP_TCB_LEN; i++) {
        if (r->reported_tcb[i] > r->committed_tcb[i] || r->committed_tcb[i] > r->current_tcb[i] ||
            r->launch_tcb[i] > r->current_tcb[i])
            return false;
    }
    return true;
}

static enum neo_code check_header(const struct snp_report *r, struct neo_error *err)
{
    bool is_newer = r->version > 3 && r->version < VERSIONS_MAX;

    if (!is_known_version(r->version))
        return neo_fail(err, is_newer ? NEO_UNIMPLEMENTED : NEO_INVALID_ARGUMENT,
                        "report version %" PRIu64 ", known are 2, 3, 5", r->version);
    if (r->signature_algo != 1)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "signature algorithm %" PRIu64 ", only 1 (ECDSA P-384) exists",
                        r->signature_algo);
    if ((r->key_info & ~SNP_KEY_KNOWN) != 0 || r->key_info >> 2 > SNP_VLEK)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "key info 0x%" PRIx64 ": signed by neither VCEK nor VLEK", r->key_info);
    if (r->vmpl > 3)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "VMPL 0x%" PRIx64 ": not asked for by a guest",
                        r->vmpl);
    return NEO_OK;
}

static enum neo_code check_body(const struct snp_report *r, struct neo_error *err)
{
    if ((r->policy & ~SNP_POLICY_KNOWN) != 0 || (r->policy & SNP_POLICY_RESERVED_ONE) == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "policy 0x%" PRIx64 " breaks reserved bits",
                        r->policy);
    if ((r->platform_info & ~SNP_PLATFORM_KNOWN) != 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "platform info 0x%" PRIx64 " has bits of unknown meaning",
                        r->platform_info);
    if ((r->key_info & SNP_KEY_AUTHOR) == 0 &&
        !snp_is_zero(neo_bytes(r->author_key_digest, sizeof(r->author_key_digest))))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "an author key digest without author key");
    if (!tcbs_are_ordered(r))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "TCB versions are not reported <= committed <= current >= launch");
    return NEO_OK;
}

enum neo_code snp_report_read_signed(struct neo_bytes bytes, struct snp_report *ret,
                                     size_t *ret_reserved, struct neo_error *err)
{
    struct snp_report r;

    if (bytes.len != SNP_REPORT_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%zu bytes, a report has %d", bytes.len,
                        SNP_REPORT_LEN);
    copy_fields(bytes.at, &r);
    NEO_TRY(check_header(&r, err));
    size_t reserved = first_reserved_set(bytes.at, r.version);
    if (reserved >= SNP_SIGNED_LEN && reserved != SNP_REPORT_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "byte 0x%zx is reserved in version %" PRIu64 " and not zero", reserved,
                        r.version);
    NEO_TRY(check_body(&r, err));
    *ret_reserved = reserved == SNP_REPORT_LEN ? 0 : reserved;
    *ret = r;
    return NEO_OK;
}

enum neo_code snp_report_read(struct neo_bytes bytes, struct snp_report *ret, struct neo_error *err)
{
    struct snp_report r;
    size_t reserved;

    NEO_TRY(snp_report_read_signed(bytes, &r, &reserved, err));
    if (reserved != 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "byte 0x%zx is reserved in version %" PRIu64 " and not zero", reserved,
                        r.version);
    *ret = r;
    return NEO_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

void snp_report_write(const struct snp_report *report, uint8_t ret[static SNP_REPORT_LEN])
{
    memset(ret, 0, SNP_REPORT_LEN);
    for (size_t i = 0; i < NEO_COUNT(fields); i++) {
        const struct field *f = &fields[i];
        const uint8_t *from = (const uint8_t *)report + f->member;
        uint64_t value;
        if (f->since > report->version)
            continue;
        if (f->kind == BYTES) {
            memcpy(ret + f->offset, from, f->len);
            continue;
        }
        memcpy(&value, from, sizeof(value));
        for (size_t byte = 0; byte < f->len; byte++)
            ret[f->offset + byte] = (uint8_t)(value >> 8 * byte);
    }
}
