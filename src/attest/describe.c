/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/describe.h"

#include "attest/cca_token.h"
#include "attest/family.h"
#include "attest/intel_pck.h"
#include "attest/nitro_document.h"
#include "attest/snp_report.h"

#include <stdarg.h>
#include <stdio.h>

static void add(struct description *d, const char *name, struct neo_bytes value, bool is_text)
{
    if (d->n < DESCRIBE_MAX)
        d->at[d->n++] = (struct neo_evidence_fact){name, value, is_text};
}

void describe_bytes(struct description *d, const char *name, const void *at, size_t len)
{
    add(d, name, neo_arena_copy(d->arena, neo_bytes(at, len)), false);
}

void describe_text(struct description *d, const char *name, struct neo_bytes text)
{
    add(d, name, neo_arena_copy(d->arena, text), true);
}

void describe_number(struct description *d, const char *name, const char *format, ...)
{
    char text[64];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    describe_text(d, name, neo_text(text));
}

#define BYTES(d, name, member) describe_bytes((d), (name), (member), sizeof(member))

/* --- the families ----------------------------------------------------------------------------- */

enum neo_code describe_snp(const struct neo_evidence *evidence, struct description *d,
                           struct neo_error *err)
{
    struct snp_report r;

    NEO_TRY(snp_report_read(evidence->body, &r, err));
    describe_number(d, "report_version", "%llu", (unsigned long long)r.version);
    BYTES(d, "measurement", r.measurement);
    BYTES(d, "report_data", r.report_data);
    d->binder = d->at[d->n - 1].value;
    BYTES(d, "host_data", r.host_data);
    BYTES(d, "id_key_digest", r.id_key_digest);
    BYTES(d, "author_key_digest", r.author_key_digest);
    BYTES(d, "family_id", r.family_id);
    BYTES(d, "image_id", r.image_id);
    BYTES(d, "chip_id", r.chip_id);
    describe_number(d, "vmpl", "%llu", (unsigned long long)r.vmpl);
    describe_number(d, "guest_svn", "%llu", (unsigned long long)r.guest_svn);
    describe_number(d, "policy", "0x%llx%s", (unsigned long long)r.policy,
                    (r.policy & SNP_POLICY_DEBUG) != 0 ? " (DEBUG)" : "");
    describe_number(d, "platform_info", "0x%llx", (unsigned long long)r.platform_info);
    describe_number(d, "cpuid", "family 0x%llx model 0x%llx stepping %llu",
                    (unsigned long long)r.cpu_family, (unsigned long long)r.cpu_model,
                    (unsigned long long)r.cpu_stepping);
    describe_number(d, "key_info", "0x%llx", (unsigned long long)r.key_info);
    describe_number(d, "signed by", "%s", snp_report_vek(&r) == SNP_VCEK ? "VCEK" : "VLEK");
    BYTES(d, "reported_tcb", r.reported_tcb);
    BYTES(d, "committed_tcb", r.committed_tcb);
    BYTES(d, "current_tcb", r.current_tcb);
    BYTES(d, "launch_tcb", r.launch_tcb);
    describe_number(d, "firmware", "%u.%u.%u", r.committed_version[2], r.committed_version[1],
                    r.committed_version[0]);
    return NEO_OK;
}

static void describe_enclave(const struct sgx_body *b, struct description *d)
{
    BYTES(d, "mrenclave", b->mrenclave);
    BYTES(d, "mrsigner", b->mrsigner);
    BYTES(d, "config_id", b->config_id);
    BYTES(d, "cpu_svn", b->cpu_svn);
    BYTES(d, "attributes", b->attributes);
    BYTES(d, "misc_select", b->misc_select);
    describe_number(d, "isvprodid", "%u", b->isv_prod_id);
    describe_number(d, "isvsvn", "%u", b->isv_svn);
    describe_number(d, "flags", "0x%llx%s", (unsigned long long)b->flags,
                    (b->flags & SGX_FLAG_DEBUG) != 0 ? " (DEBUG)" : "");
    BYTES(d, "report_data", b->report_data);
    d->binder = d->at[d->n - 1].value;
}

static void describe_td(const struct tdx_body *b, struct description *d)
{
    static const char *const rtmrs[] = {"rtmr.0", "rtmr.1", "rtmr.2", "rtmr.3"};

    BYTES(d, "mrtd", b->mrtd);
    for (size_t i = 0; i < INTEL_RTMRS; i++)
        BYTES(d, rtmrs[i], b->rtmr[i]);
    BYTES(d, "mrseam", b->mrseam);
    BYTES(d, "mrconfigid", b->mrconfigid);
    BYTES(d, "mrowner", b->mrowner);
    BYTES(d, "mrownerconfig", b->mrownerconfig);
    if (b->has_current) {
        BYTES(d, "mrservicetd", b->mrservicetd);
        BYTES(d, "tee_tcb_svn_2", b->tee_tcb_svn_now);
    }
    if (b->is_extended) {
        describe_number(d, "vmid", "%u", b->vmid);
        BYTES(d, "td_id", b->td_id);
        BYTES(d, "dev_info", b->devices);
        BYTES(d, "init_servicetd", b->service_td_first);
        BYTES(d, "init_servicetd_attributes", b->service_td_first_attributes);
        BYTES(d, "init_cpu_svn", b->cpu_svn_first);
        BYTES(d, "init_tee_tcb_svn", b->tee_tcb_svn_first);
        BYTES(d, "init_fmspc", b->platform_first);
        BYTES(d, "cur_servicetd", b->service_td_now);
        BYTES(d, "cur_servicetd_attributes", b->service_td_now_attributes);
    }
    BYTES(d, "mrsignerseam", b->mrsignerseam);
    BYTES(d, "td_attributes", b->td_attributes);
    BYTES(d, "xfam", b->xfam);
    BYTES(d, "tee_tcb_svn", b->tee_tcb_svn);
    BYTES(d, "report_data", b->report_data);
    d->binder = d->at[d->n - 1].value;
}

/* What the platform's certificate says, when it reads. */
static void describe_pck(struct neo_bytes chain, struct description *d)
{
    NEO_CLEANUP(vendor_bundle_fini) struct vendor_bundle certs = {.max = 8};
    struct intel_pck pck;

    while (chain.len > 0 && chain.at[chain.len - 1] == 0)
        chain.len--;
    if (vendor_bundle_read(&certs, chain, "PCK chain", NULL) != NEO_OK || certs.n_certs == 0 ||
        intel_pck_read(certs.certs[0], &pck, NULL) != NEO_OK)
        return;
    BYTES(d, "fmspc", pck.fmspc);
    BYTES(d, "pce_id", pck.pce_id);
    BYTES(d, "ppid", pck.ppid);
    if (pck.has_instance)
        BYTES(d, "platform_instance_id", pck.platform_instance_id);
    describe_number(d, "sgx_type", "%u", pck.sgx_type);
    BYTES(d, "pck_svn", pck.svn);
    describe_number(d, "pce_svn", "%u", pck.pce_svn);
}

enum neo_code describe_intel(const struct neo_evidence *evidence, struct description *d,
                             struct neo_error *err)
{
    struct intel_quote q;

    NEO_TRY(intel_quote_read(evidence->body, &q, err));
    describe_number(d, "quote_version", "%u", q.version);
    if (q.is_tdx)
        describe_td(&q.body.tdx, d);
    else
        describe_enclave(&q.body.sgx, d);
    describe_number(d, "qe_isvsvn", "%u", q.qe.isv_svn);
    describe_pck(q.certificates, d);
    return NEO_OK;
}

enum neo_code describe_nitro(const struct neo_evidence *evidence, struct description *d,
                             struct neo_error *err)
{
    struct nitro_document n;

    NEO_TRY(nitro_document_read(evidence->body, &n, err));
    describe_text(d, "module_id", n.module_id);
    describe_number(d, "timestamp_ms", "%llu", (unsigned long long)n.timestamp_ms);
    for (unsigned i = 0; i < NITRO_PCRS; i++) {
        const char *name = neo_arena_printf(d->arena, "pcr.%u", i);
        bool any = false;
        for (size_t k = 0; k < n.pcrs[i].len; k++)
            any = any || n.pcrs[i].at[k] != 0;
        if (name != NULL && (any || (i < 3 && n.pcrs[i].len > 0))) /* a zero there means debug */
            describe_bytes(d, name, n.pcrs[i].at, n.pcrs[i].len);
    }
    describe_bytes(d, "public_key", n.public_key.at, n.public_key.len);
    describe_bytes(d, "nonce", n.nonce.at, n.nonce.len);
    describe_bytes(d, "user_data", n.user_data.at, n.user_data.len);
    d->binder = d->at[d->n - 1].value;
    return NEO_OK;
}

enum neo_code describe_cca(const struct neo_evidence *evidence, struct description *d,
                           struct neo_error *err)
{
    static const char *const rems[] = {"rem.0", "rem.1", "rem.2", "rem.3"};
    struct cca_token t;

    NEO_TRY(cca_token_read(evidence->body, &t, err));
    describe_bytes(d, "rim", t.rim.at, t.rim.len);
    for (size_t i = 0; i < CCA_REMS; i++)
        describe_bytes(d, rems[i], t.rem[i].at, t.rem[i].len);
    describe_bytes(d, "rpv", t.rpv.at, t.rpv.len);
    describe_bytes(d, "implementation_id", t.implementation_id.at, t.implementation_id.len);
    describe_bytes(d, "instance_id", t.instance_id.at, t.instance_id.len);
    describe_number(d, "lifecycle", "0x%04x", t.lifecycle);
    describe_bytes(d, "challenge", t.challenge.at, t.challenge.len);
    d->binder = d->at[d->n - 1].value;
    return NEO_OK;
}

/* --- all of them ------------------------------------------------------------------------------ */

enum neo_code neo_evidence_describe(const struct neo_evidence *evidence, struct neo_arena *arena,
                                    struct neo_evidence_facts *ret, struct neo_error *err)
{
    const struct attest_family *family = attest_family_of(evidence->kind);
    struct description d = {.arena = arena, .n = 0};

    if (family == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "evidence of no kind that is known");
    NEO_TRY(family->describe(evidence, &d, err));
    struct neo_evidence_fact *at = neo_arena_calloc(arena, d.n, sizeof(*at));
    if (at == NULL || neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for what the evidence says");
    memcpy(at, d.at, d.n * sizeof(*at));
    *ret = (struct neo_evidence_facts){family->tee, d.binder, at, d.n};
    return NEO_OK;
}
