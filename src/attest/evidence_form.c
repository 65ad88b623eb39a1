/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run of bytes looks like. First by what reads as a whole; then, so that damaged
 * evidence is refused for what is wrong with it, by how it begins.
 */
#include "attest/azure_hcl.h"
#include "attest/cca_token.h"
#include "attest/intel_quote.h"
#include "attest/nitro_document.h"
#include "attest/snp_report.h"
#include "attest/tpm_quote.h"
#include "base/cursor.h"
#include "codec/cbor.h"

#include <neo/evidence.h>

/* --- by its form ------------------------------------------------------------------------------ */

static enum neo_evidence_kind by_form(struct neo_bytes body)
{
    struct nitro_document nitro;
    struct azure_evidence azure;
    struct intel_quote intel;
    struct tpm_evidence tpm;
    struct snp_report snp;
    struct cca_token cca;

    if (snp_report_read(body, &snp, NULL) == NEO_OK)
        return NEO_EVIDENCE_SNP;
    if (intel_quote_read(body, &intel, NULL) == NEO_OK)
        return intel.is_tdx ? NEO_EVIDENCE_TDX : NEO_EVIDENCE_SGX;
    if (cca_token_read(body, &cca, NULL) == NEO_OK)
        return NEO_EVIDENCE_CCA;
    if (nitro_document_read(body, &nitro, NULL) == NEO_OK)
        return NEO_EVIDENCE_NITRO;
    if (azure_evidence_read(body, &azure, NULL) == NEO_OK)
        return azure.td_quote.len > 0 ? NEO_EVIDENCE_AZURE_TDX : NEO_EVIDENCE_AZURE_SNP;
    return tpm_evidence_read(body, &tpm, NULL) == NEO_OK ? NEO_EVIDENCE_TPM : NEO_EVIDENCE_UNKNOWN;
}

/* --- by its beginning ------------------------------------------------------------------------- */

static bool begins(struct neo_bytes body, const char *hex_free, size_t len)
{
    return neo_bytes_starts(body, neo_bytes(hex_free, len));
}

/* About as long as a report, and beginning with a small version. */
static bool is_like_snp(struct neo_bytes body)
{
    struct cursor c = cursor_of(body);

    return body.len > SNP_REPORT_LEN - 64 && body.len < SNP_REPORT_LEN + 64 &&
           cursor_le(&c, 4) < 256 && cursor_le(&c, 4) != SNP_REPORT_LEN; /* a driver's refusal */
}

static enum neo_evidence_kind like_intel(struct neo_bytes body)
{
    struct cursor c = cursor_of(body);
    uint64_t version = cursor_le(&c, 2);
    uint64_t key = cursor_le(&c, 2);
    uint64_t tee = cursor_le(&c, 4);

    if (body.len < 432 || version < 1 || version > 16 || key > 16)
        return NEO_EVIDENCE_UNKNOWN;
    if (tee == 0x81)
        return NEO_EVIDENCE_TDX;
    return tee == 0 ? NEO_EVIDENCE_SGX : NEO_EVIDENCE_UNKNOWN;
}

/* A first part after its length. */
static enum neo_evidence_kind like_parts(struct neo_bytes body)
{
    struct cursor c = cursor_of(body);

    if (cursor_be(&c, 4) > body.len)
        return NEO_EVIDENCE_UNKNOWN;
    struct neo_bytes first = neo_bytes_from(body, 4);
    if (begins(first, "HCLA", 4))
        return NEO_EVIDENCE_AZURE_SNP;
    return begins(first, "\xffTCG", 4) ? NEO_EVIDENCE_TPM : NEO_EVIDENCE_UNKNOWN;
}

static enum neo_evidence_kind by_beginning(struct neo_bytes body)
{
    if (is_like_snp(body))
        return NEO_EVIDENCE_SNP;
    if (begins(body, "\xd9\x01\x8f", 3) || begins(body, "\xd9\x03\x8b", 3))
        return NEO_EVIDENCE_CCA;
    if (begins(body, "\x84\x44\xa1\x01", 4) || begins(body, "\xd2\x84\x44\xa1", 4))
        return NEO_EVIDENCE_NITRO;
    enum neo_evidence_kind kind = like_intel(body);
    return kind != NEO_EVIDENCE_UNKNOWN ? kind : like_parts(body);
}

enum neo_evidence_kind neo_evidence_guess(struct neo_bytes body)
{
    enum neo_evidence_kind kind = by_form(body);

    return kind != NEO_EVIDENCE_UNKNOWN ? kind : by_beginning(body);
}

/* --- wrappings of drivers --------------------------------------------------------------------- */

static bool is_zero(struct neo_bytes bytes)
{
    uint8_t any = 0;

    for (size_t i = 0; i < bytes.len; i++)
        any |= bytes.at[i];
    return any == 0;
}

/* The answer of /dev/sev-guest: status, size, 24 reserved bytes, the report, zeros. */
static struct neo_bytes of_sev_guest(struct neo_bytes body)
{
    enum { HEADER_LEN = 32 };
    struct cursor c = cursor_of(body);
    uint64_t status = cursor_le(&c, 4);
    uint64_t size = cursor_le(&c, 4);
    struct neo_bytes reserved = cursor_take(&c, HEADER_LEN - 8);
    struct neo_bytes report = cursor_take(&c, SNP_REPORT_LEN);

    if (c.failed || status != 0 || size != SNP_REPORT_LEN || !is_zero(reserved) ||
        !is_zero(neo_bytes(c.at, c.left)))
        return (struct neo_bytes){0};
    return report;
}

/* The answer of /dev/nsm: {"Attestation": {"document": bytes}}. */
static struct neo_bytes of_nsm(struct neo_bytes body)
{
    struct cbor c = cbor_of(body);
    struct cbor_item item, key = {0}, inner = {0}, document = {0};

    if (!cbor_take(&c, CBOR_MAP, &item) || item.value != 1 || !cbor_take(&c, CBOR_TEXT, &key) ||
        !neo_bytes_is(key.bytes, "Attestation") || !cbor_take(&c, CBOR_MAP, &item) ||
        item.value != 1 || !cbor_take(&c, CBOR_TEXT, &inner) ||
        !neo_bytes_is(inner.bytes, "document") || !cbor_take(&c, CBOR_BYTES, &document) ||
        !cbor_is_done(&c))
        return (struct neo_bytes){0};
    return document.bytes;
}

struct neo_bytes neo_evidence_unwrap(struct neo_bytes body)
{
    struct neo_bytes inner = of_sev_guest(body);

    if (inner.at == NULL)
        inner = of_nsm(body);
    return inner.at == NULL ? body : inner;
}
