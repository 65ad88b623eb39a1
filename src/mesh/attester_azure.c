/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A confidential machine of Azure's: the paravisor keeps the processor's report in the virtual TPM,
 * whose key the report vouches for; the quote by that key is what is fresh.
 */
#include "mesh/attester_imds.h"
#include "mesh/attester_tss.h"

#include "attest/azure_hcl.h"

#include <neo/digest.h>
#include <neo/evidence.h>

#include <errno.h>
#include <fcntl.h>

/* What Azure writes there for all of its machines. */
#define ASSET_TAG  "/sys/class/dmi/id/chassis_asset_tag"
#define AZURES_TAG "7783-7084-3265-9085-8269-3286-77"
#define REPORT_NV  UINT32_C(0x01400001)
#define AZURES_KEY UINT32_C(0x81000003)

enum { TAG_MAX = 64, LOOK_ARENA = 256 << 10 };

static bool is_azures(struct attester_run *run)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer tag = {0};

    if (attester_read(run, ASSET_TAG, TAG_MAX, &tag, NULL) != NEO_OK)
        return false;
    while (tag.len > 0 && tag.at[tag.len - 1] == '\n')
        tag.len--;
    return neo_bytes_is(neo_buffer_bytes(&tag), AZURES_TAG);
}

/* The TDREPORT within the blob, as the quote that Azure's service makes of it. */
static enum neo_code ask_for_quote(struct attester_run *run, struct neo_bytes report,
                                   struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct azure_hcl hcl;

    neo_arena_init(&arena, LOOK_ARENA);
    NEO_TRY(azure_hcl_read(report, &arena, &hcl, err));
    if (!hcl.is_tdx)
        return neo_fail(err, NEO_DATA_LOSS, "Azure's report is not of TDX any more");
    return imds_quote(run, hcl.report, out, err);
}

static enum neo_code ask(struct attester_run *run, enum neo_evidence_kind kind,
                         const uint8_t *extra_data, struct neo_buffer *out_body,
                         struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer report = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = {0};
    uint32_t key = run->options->ak == 0 ? AZURES_KEY : run->options->ak;

    NEO_TRY(tss_read_nv(run, REPORT_NV, AZURE_HCL_MAX, &report, err));
    if (kind == NEO_EVIDENCE_AZURE_TDX)
        NEO_TRY(ask_for_quote(run, neo_buffer_bytes(&report), &quote, err));
    const struct tpm_beside beside = {neo_buffer_bytes(&report), neo_buffer_bytes(&quote)};
    return tpm_quote_into(run, kind, key, extra_data, &beside, out_body, err);
}

enum neo_code azure_attest(struct attester_run *run, const struct attester_way *way,
                           const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                           struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                           struct neo_error *err)
{
    uint8_t extra_data[NEO_SHA256_LEN];

    (void)out_certificates; /* the processor's must be known to whoever judges */
    neo_sha256(neo_bytes(binder, NEO_BINDER_LEN), extra_data);
    for (;;) {
        enum neo_code code = ask(run, way->kind, extra_data, out_body, err);
        if (code == NEO_OK)
            return NEO_OK;
        NEO_TRY(attester_again(run, code, err));
    }
}

static void look_at_service(struct attester_run *run, struct neo_attester_finding *ret)
{
    struct neo_error err;

    if (imds_reach(run, &err) == NEO_OK) {
        attester_found(ret, NEO_ATTESTER_READY, "a report of TDX in Azure's virtual TPM");
        return;
    }
    attester_found(ret, NEO_ATTESTER_LACKING, "%.190s", err.message);
    attester_next(ret, "the guest must reach it, and by no proxy: see its firewall and routes");
}

/* The report says which processor it is. */
static void look_at_report(struct attester_run *run, const struct attester_way *way,
                           struct neo_bytes report, struct neo_attester_finding *ret)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    bool wants_tdx = way->kind == NEO_EVIDENCE_AZURE_TDX;
    struct azure_hcl hcl;
    struct neo_error err;

    neo_arena_init(&arena, LOOK_ARENA);
    if (azure_hcl_read(report, &arena, &hcl, &err) != NEO_OK)
        attester_found(ret, NEO_ATTESTER_LACKING, "Azure's report cannot be read: %.150s",
                       err.message);
    else if (hcl.is_tdx != wants_tdx)
        attester_found(ret, NEO_ATTESTER_ABSENT, "a machine of Azure's with %s",
                       hcl.is_tdx ? "TDX" : "SEV-SNP");
    else if (wants_tdx)
        look_at_service(run, ret);
    else
        attester_found(ret, NEO_ATTESTER_READY, "a report of SEV-SNP in Azure's virtual TPM");
}

void azure_look(struct attester_run *run, const struct attester_way *way,
                struct neo_attester_finding *ret)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer report = {0};
    struct neo_error err;

    if (!is_azures(run)) {
        attester_found(ret, NEO_ATTESTER_ABSENT, "not a machine of Azure's, by its asset tag");
        return;
    }
    tpm_look(run, way, ret);
    if (ret->state != NEO_ATTESTER_READY)
        return;
    enum neo_code code = tss_read_nv(run, REPORT_NV, AZURE_HCL_MAX, &report, &err);
    if (code == NEO_OK)
        look_at_report(run, way, neo_buffer_bytes(&report), ret);
    else if (code == NEO_NOT_FOUND)
        attester_found(ret, NEO_ATTESTER_ABSENT,
                       "a machine of Azure's, but no confidential one: its TPM keeps no report");
    else
        attester_found(ret, NEO_ATTESTER_LACKING, "%.190s", err.message);
}
