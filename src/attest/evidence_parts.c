/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence that comes in parts, as one: each part after its length in four bytes, big-endian. */
#include <neo/evidence.h>

struct shape {
    const enum neo_evidence_part *order;
    size_t n;
    unsigned may_be_empty; /* bits by enum neo_evidence_part */
};

static const enum neo_evidence_part tpm_order[] = {
    NEO_PART_QUOTE, NEO_PART_SIGNATURE, NEO_PART_KEY, NEO_PART_PCRS, NEO_PART_LOG,
};
static const enum neo_evidence_part azure_order[] = {
    NEO_PART_HCL, NEO_PART_QUOTE, NEO_PART_SIGNATURE, NEO_PART_PCRS, NEO_PART_LOG, NEO_PART_TDQUOTE,
};

static const char *const words[] = {
#define X(name, word) [NEO_PART_##name] = word,
    NEO_EVIDENCE_PARTS(X)
#undef X
};

static struct shape shape_of(enum neo_evidence_kind kind)
{
    const unsigned log = 1u << NEO_PART_LOG;

    if (kind == NEO_EVIDENCE_TPM)
        return (struct shape){tpm_order, NEO_COUNT(tpm_order), log};
    if (kind == NEO_EVIDENCE_AZURE_TDX || kind == NEO_EVIDENCE_SIM_AZURE_TDX)
        return (struct shape){azure_order, NEO_COUNT(azure_order), log};
    if (kind == NEO_EVIDENCE_AZURE_SNP || kind == NEO_EVIDENCE_SIM_AZURE_SNP)
        return (struct shape){azure_order, NEO_COUNT(azure_order), log | 1u << NEO_PART_TDQUOTE};
    return (struct shape){NULL, 0, 0};
}

static enum neo_code check(const struct shape *shape, enum neo_evidence_kind kind,
                           const struct neo_bytes *parts, struct neo_error *err)
{
    unsigned belong = 0;

    for (size_t i = 0; i < shape->n; i++) {
        enum neo_evidence_part part = shape->order[i];
        belong |= 1u << part;
        if (parts[part].len == 0 && (shape->may_be_empty & 1u << part) == 0)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s needs the part \"%s\"",
                            neo_evidence_kind_text(kind), words[part]);
    }
    if (kind == NEO_EVIDENCE_AZURE_SNP || kind == NEO_EVIDENCE_SIM_AZURE_SNP)
        belong &= ~(1u << NEO_PART_TDQUOTE);
    for (unsigned i = 0; i < NEO_EVIDENCE_PARTS_N; i++) {
        if (parts[i].len > 0 && (belong & 1u << i) == 0)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s has no part \"%s\"",
                            neo_evidence_kind_text(kind), words[i]);
    }
    return NEO_OK;
}

enum neo_code neo_evidence_pack(enum neo_evidence_kind kind,
                                const struct neo_bytes parts[static NEO_EVIDENCE_PARTS_N],
                                struct neo_buffer *out, struct neo_error *err)
{
    const struct shape shape = shape_of(kind);
    bool fits = true;

    if (shape.n == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s does not come in parts",
                        neo_evidence_kind_text(kind));
    NEO_TRY(check(&shape, kind, parts, err));
    for (size_t i = 0; i < shape.n && fits; i++) {
        struct neo_bytes part = parts[shape.order[i]];
        const uint8_t len[] = {(uint8_t)(part.len >> 24), (uint8_t)(part.len >> 16),
                               (uint8_t)(part.len >> 8), (uint8_t)part.len};
        fits = part.len <= UINT32_MAX && neo_buffer_append(out, neo_bytes(len, sizeof(len))) &&
               neo_buffer_append(out, part);
    }
    if (!fits)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for evidence");
    return NEO_OK;
}
