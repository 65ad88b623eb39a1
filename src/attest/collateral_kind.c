/* SPDX-License-Identifier: Apache-2.0 */
/* What an object is: told by its contents, never by the name of the file it came in. */
#include "attest/collateral.h"

#include "attest/intel_pck.h"
#include "attest/snp_certs.h"

#include <stdio.h>

/* --- text ------------------------------------------------------------------------------------- */

static const char *digest_text(struct neo_arena *arena, struct neo_bytes bytes)
{
    uint8_t sha256[NEO_SHA256_LEN];

    neo_sha256(bytes, sha256);
    return neo_arena_printf(arena, "%02x%02x%02x%02x%02x%02x%02x%02x", sha256[0], sha256[1],
                            sha256[2], sha256[3], sha256[4], sha256[5], sha256[6], sha256[7]);
}

static const char *hex_text(struct neo_arena *arena, struct neo_bytes bytes)
{
    char *text = neo_arena_alloc(arena, 2 * bytes.len + 1);

    for (size_t i = 0; text != NULL && i < bytes.len; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes.at[i]);
    return text;
}

/* For terminals: a name is whatever its maker put there. */
static const char *plain_text(struct neo_arena *arena, struct neo_bytes text)
{
    char *copy = neo_arena_string(arena, text.len > 120 ? neo_bytes(text.at, 120) : text);

    for (char *c = copy; c != NULL && *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    }
    return copy;
}

/* "amd-ask_Milan_67d303bd3905fd38.der": no two certificates have one name. */
static const char *cert_name(struct neo_arena *arena, const struct collateral_entry *entry,
                             const char *product)
{
    return neo_arena_printf(arena, "%s%s%s_%s.der", neo_collateral_kind_text(entry->is.kind),
                            product == NULL ? "" : "_", product == NULL ? "" : product,
                            digest_text(arena, vendor_cert_facts(entry->cert)->der));
}

/* --- AMD's certificates ----------------------------------------------------------------------- */

static bool is_amd_authority(struct neo_arena *arena, struct collateral_entry *entry)
{
    struct neo_bytes name = vendor_cert_facts(entry->cert)->common_name;
    struct neo_collateral_item *is = &entry->is;

    for (size_t i = 0; i < SNP_PRODUCTS; i++) {
        const struct snp_product *p = &snp_products[i];
        if (neo_bytes_is(name, p->root_name))
            is->kind = NEO_COLLATERAL_AMD_ROOT;
        else if (neo_bytes_is(name, p->issuer_name[SNP_VCEK]))
            is->kind = NEO_COLLATERAL_AMD_VCEK_CA;
        else if (neo_bytes_is(name, p->issuer_name[SNP_VLEK]))
            is->kind = NEO_COLLATERAL_AMD_VLEK_CA;
        else
            continue;
        is->subject = p->name;
        is->name = cert_name(arena, entry, p->name);
        is->request = neo_arena_printf(
            arena, is->kind == NEO_COLLATERAL_AMD_VLEK_CA ? "amd-vlek-chain %s" : "amd-chain %s",
            p->name);
        return true;
    }
    return false;
}

/* "amd-vcek Milan <chip id> 3 0 8 115": what AMD's service is asked with. */
static const char *vcek_request(struct neo_arena *arena, const struct snp_product *product,
                                struct neo_bytes hwid, const uint8_t tcb[static SNP_COMPONENTS])
{
    const char *hex = hex_text(arena, hwid);

    if (hex == NULL)
        return NULL;
    if (product->tcb[0] == SNP_FMC)
        return neo_arena_printf(arena, "amd-vcek %s %s %u %u %u %u %u", product->name, hex,
                                tcb[SNP_BOOTLOADER], tcb[SNP_TEE], tcb[SNP_SNP], tcb[SNP_MICROCODE],
                                tcb[SNP_FMC]);
    return neo_arena_printf(arena, "amd-vcek %s %s %u %u %u %u", product->name, hex,
                            tcb[SNP_BOOTLOADER], tcb[SNP_TEE], tcb[SNP_SNP], tcb[SNP_MICROCODE]);
}

static enum neo_code describe_leaf(struct neo_arena *arena, const char *what, enum snp_vek vek,
                                   struct collateral_entry *entry, struct neo_error *err)
{
    struct neo_collateral_item *is = &entry->is;
    struct snp_endorsement e;
    struct neo_error why;

    if (snp_endorsement_read(entry->cert, vek, &e, &why) != NEO_OK)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: %s", what, why.message);
    is->kind = vek == SNP_VLEK ? NEO_COLLATERAL_AMD_VLEK : NEO_COLLATERAL_AMD_VCEK;
    is->name = cert_name(arena, entry, e.product->name);
    if (vek == SNP_VLEK) {
        is->subject = neo_arena_printf(arena, "%s %.*s", e.product->name, NEO_FMT(e.csp_id));
        return NEO_OK;
    }
    is->request = vcek_request(arena, e.product, e.hwid, e.tcb);
    is->subject = neo_arena_printf(arena, "%s chip %02x%02x%02x%02x.. TCB %u.%u.%u.%u",
                                   e.product->name, e.hwid.at[0], e.hwid.at[1], e.hwid.at[2],
                                   e.hwid.at[3], e.tcb[SNP_BOOTLOADER], e.tcb[SNP_TEE],
                                   e.tcb[SNP_SNP], e.tcb[SNP_MICROCODE]);
    return NEO_OK;
}

/* --- certificates ----------------------------------------------------------------------------- */

static enum neo_collateral_kind kind_by_name(const struct vendor_cert *cert)
{
    static const struct {
        const char *name;
        enum neo_collateral_kind kind;
    } known[] = {
        {"Intel SGX Root CA", NEO_COLLATERAL_INTEL_ROOT},
        {"Intel SGX PCK Platform CA", NEO_COLLATERAL_INTEL_PCK_CA},
        {"Intel SGX PCK Processor CA", NEO_COLLATERAL_INTEL_PCK_CA},
        {"Intel SGX PCK Certificate", NEO_COLLATERAL_INTEL_PCK},
        {"Intel SGX TCB Signing", NEO_COLLATERAL_INTEL_TCB_SIGNING},
        {"aws.nitro-enclaves", NEO_COLLATERAL_NITRO_ROOT},
    };
    const struct vendor_cert_facts *facts = vendor_cert_facts(cert);

    for (size_t i = 0; i < NEO_COUNT(known); i++) {
        if (neo_bytes_is(facts->common_name, known[i].name))
            return known[i].kind;
    }
    return facts->is_ca && vendor_cert_signed(cert, cert) ? NEO_COLLATERAL_OTHER_ROOT
                                                          : NEO_COLLATERAL_OTHER_CERT;
}

enum neo_code collateral_describe_cert(struct neo_arena *arena, const char *what,
                                       struct collateral_entry *entry, struct neo_error *err)
{
    const struct vendor_cert_facts *facts = vendor_cert_facts(entry->cert);
    struct neo_collateral_item *is = &entry->is;

    is->bytes = facts->der;
    is->issued = facts->not_before;
    is->until = facts->not_after;
    if (neo_bytes_is(facts->common_name, "SEV-VCEK")) {
        NEO_TRY(describe_leaf(arena, what, SNP_VCEK, entry, err));
    } else if (neo_bytes_is(facts->common_name, "SEV-VLEK")) {
        NEO_TRY(describe_leaf(arena, what, SNP_VLEK, entry, err));
    } else if (!is_amd_authority(arena, entry)) {
        is->kind = kind_by_name(entry->cert);
        is->subject = plain_text(arena, facts->common_name);
        is->name = cert_name(arena, entry, NULL);
    }
    return NEO_OK;
}

/* --- lists ------------------------------------------------------------------------------------ */

static bool is_amd_list(struct neo_arena *arena, struct neo_bytes issuer,
                        struct neo_collateral_item *is)
{
    for (size_t i = 0; i < SNP_PRODUCTS; i++) {
        if (!neo_bytes_is(issuer, snp_products[i].root_name))
            continue;
        is->kind = NEO_COLLATERAL_AMD_CRL;
        is->subject = snp_products[i].name;
        is->name = neo_arena_printf(arena, "amd-crl_%s.der", is->subject);
        is->request = neo_arena_printf(arena, "amd-crl %s", is->subject);
        return true;
    }
    return false;
}

static bool is_intel_list(struct neo_bytes issuer, struct neo_collateral_item *is)
{
    static const struct {
        const char *issuer;
        enum neo_collateral_kind kind;
        const char *subject;
        const char *name;
        const char *request;
    } known[] = {
        {"Intel SGX Root CA", NEO_COLLATERAL_INTEL_ROOT_CRL, "root", "intel-root-crl.der",
         "intel-root-crl"},
        {"Intel SGX PCK Platform CA", NEO_COLLATERAL_INTEL_PCK_CRL, "platform",
         "intel-pck-crl_platform.der", "intel-pck-crl platform"},
        {"Intel SGX PCK Processor CA", NEO_COLLATERAL_INTEL_PCK_CRL, "processor",
         "intel-pck-crl_processor.der", "intel-pck-crl processor"},
    };

    for (size_t i = 0; i < NEO_COUNT(known); i++) {
        if (!neo_bytes_is(issuer, known[i].issuer))
            continue;
        is->kind = known[i].kind;
        is->subject = known[i].subject;
        is->name = known[i].name;
        is->request = known[i].request;
        return true;
    }
    return false;
}

enum neo_code collateral_describe_crl(struct neo_arena *arena, const char *what,
                                      struct collateral_entry *entry, struct neo_error *err)
{
    struct vendor_crl_facts facts = vendor_crl_facts(entry->crl);
    struct neo_collateral_item *is = &entry->is;

    is->bytes = facts.der;
    is->issued = facts.this_update;
    is->until = facts.next_update;
    is->number = facts.number;
    is->is_dated = true;
    if (is_amd_list(arena, facts.issuer_common_name, is) ||
        is_intel_list(facts.issuer_common_name, is))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "%s: a revocation list of \"%.*s\", by which nothing is judged", what,
                    NEO_FMT(facts.issuer_common_name));
}

/* --- documents, keys -------------------------------------------------------------------------- */

void collateral_describe_document(struct neo_arena *arena, struct collateral_entry *entry)
{
    static const enum neo_collateral_kind kinds[] = {
        [INTEL_TCB_SGX] = NEO_COLLATERAL_INTEL_TCB_SGX,
        [INTEL_TCB_TDX] = NEO_COLLATERAL_INTEL_TCB_TDX,
        [INTEL_QE] = NEO_COLLATERAL_INTEL_QE,
        [INTEL_TD_QE] = NEO_COLLATERAL_INTEL_TD_QE,
    };
    const struct intel_document *d = entry->document;
    struct neo_collateral_item *is = &entry->is;
    const uint8_t *f = d->fmspc;

    is->kind = kinds[d->kind];
    is->issued = d->issued;
    is->until = d->next_update;
    is->number = d->evaluation;
    is->is_dated = true;
    const char *kind = neo_collateral_kind_text(is->kind);
    if (d->kind == INTEL_QE || d->kind == INTEL_TD_QE) {
        is->name = neo_arena_printf(arena, "%s.json", kind);
        is->subject = d->kind == INTEL_QE ? "SGX quoting enclave" : "TDX quoting enclave";
        is->request = kind;
        return;
    }
    const char *fmspc =
        neo_arena_printf(arena, "%02X%02X%02X%02X%02X%02X", f[0], f[1], f[2], f[3], f[4], f[5]);
    is->name =
        neo_arena_printf(arena, "%s_%s_%02X%02X.json", kind, fmspc, d->pce_id[0], d->pce_id[1]);
    is->subject = neo_arena_printf(arena, "FMSPC %s", fmspc);
    is->request = neo_arena_printf(arena, "%s %s", kind, fmspc);
}

void collateral_describe_keys(struct neo_arena *arena, struct collateral_entry *entry)
{
    entry->is.name =
        neo_arena_printf(arena, "cca-keys_%s.json", digest_text(arena, entry->is.bytes));
    entry->is.subject = "Arm CCA platforms";
}

/* --- requests --------------------------------------------------------------------------------- */

static bool is_word(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

bool neo_collateral_is_request(struct neo_bytes text)
{
    static const char *const words[] = {
        "intel-tcb-sgx", "intel-tcb-tdx",  "intel-qe", "intel-td-qe", "intel-root-crl",
        "intel-pck-crl", "amd-vlek-chain", "amd-crl",  "amd-vcek",    "amd-chain",
    };
    bool was_blank = true;
    size_t first = text.len;

    if (text.len == 0 || text.len >= NEO_COLLATERAL_REQUEST_LEN)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool is_blank = text.at[i] == ' ';
        if ((is_blank && was_blank) || (!is_blank && !is_word(text.at[i])) ||
            (was_blank && text.at[i] == '-')) /* no word may be taken for an option */
            return false;
        if (is_blank && first == text.len)
            first = i;
        was_blank = is_blank;
    }
    for (size_t i = 0; i < NEO_COUNT(words); i++) {
        if (neo_bytes_is(neo_bytes(text.at, first), words[i]))
            return !was_blank;
    }
    return false;
}

static void want_snp(const struct neo_evidence *evidence, struct neo_arena *arena,
                     neo_collateral_wanted_fn *each, void *self)
{
    uint8_t tcb[SNP_COMPONENTS] = {0};
    struct snp_report r;

    if (snp_report_read(evidence->body, &r, NULL) != NEO_OK)
        return;
    const struct snp_product *p = snp_product_of_cpu(r.cpu_family, r.cpu_model);
    if (p == NULL) /* reports of version 2 do not say */
        return;
    bool is_vlek = snp_report_vek(&r) == SNP_VLEK;
    const char *chain =
        neo_arena_printf(arena, is_vlek ? "amd-vlek-chain %s" : "amd-chain %s", p->name);
    if (chain != NULL)
        each(self, chain);
    if (is_vlek || snp_is_zero(neo_bytes(r.chip_id, sizeof(r.chip_id))))
        return;
    for (size_t i = 0; i < SNP_TCB_LEN; i++)
        tcb[p->tcb[i]] = r.reported_tcb[i];
    const char *vcek = vcek_request(arena, p, neo_bytes(r.chip_id, p->hwid_len), tcb);
    if (vcek != NULL)
        each(self, vcek);
}

static void want_intel(const struct neo_evidence *evidence, struct neo_arena *arena,
                       neo_collateral_wanted_fn *each, void *self)
{
    struct neo_collateral *chain = NULL;
    struct intel_quote quote;
    struct intel_pck pck;

    if (intel_quote_read(evidence->body, &quote, NULL) != NEO_OK ||
        neo_collateral_new(&(struct neo_collateral_options){.development = false}, &chain, NULL) !=
            NEO_OK)
        return;
    if (neo_collateral_add(chain, quote.certificates, "PCK chain", NULL) != NEO_OK)
        chain->n = 0;
    for (size_t i = 0; i < chain->n; i++) {
        const struct collateral_entry *entry = &chain->at[i];
        if (entry->is.kind != NEO_COLLATERAL_INTEL_PCK ||
            intel_pck_read(entry->cert, &pck, NULL) != NEO_OK)
            continue;
        bool is_platform = neo_bytes_is(vendor_cert_facts(entry->cert)->issuer_common_name,
                                        "Intel SGX PCK Platform CA");
        const uint8_t *f = pck.fmspc;
        const char *tcb =
            neo_arena_printf(arena, "intel-tcb-%s %02X%02X%02X%02X%02X%02X",
                             quote.is_tdx ? "tdx" : "sgx", f[0], f[1], f[2], f[3], f[4], f[5]);
        if (tcb != NULL)
            each(self, tcb);
        each(self, quote.is_tdx ? "intel-td-qe" : "intel-qe");
        each(self, is_platform ? "intel-pck-crl platform" : "intel-pck-crl processor");
        each(self, "intel-root-crl");
        break;
    }
    neo_collateral_free(chain);
}

void neo_collateral_wanted(const struct neo_evidence *evidence, neo_collateral_wanted_fn *each,
                           void *self)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};

    neo_arena_init(&arena, 64 << 10);
    /* The others bring along all they need, or there is nobody to ask. */
    if (evidence->kind == NEO_EVIDENCE_SNP || evidence->kind == NEO_EVIDENCE_SIM_SNP)
        want_snp(evidence, &arena, each, self);
    else if (evidence->kind == NEO_EVIDENCE_SGX || evidence->kind == NEO_EVIDENCE_SIM_SGX ||
             evidence->kind == NEO_EVIDENCE_TDX || evidence->kind == NEO_EVIDENCE_SIM_TDX)
        want_intel(evidence, &arena, each, self);
}
