/* SPDX-License-Identifier: Apache-2.0 */
/* A piece of evidence as a tree: its fields with the bits of flags by name, and its certificates.
 */
#include "attest/azure_hcl.h"
#include "attest/family.h"
#include "attest/intel_pck.h"
#include "attest/nitro_document.h"
#include "attest/snp_certs.h"

#include <neo/attest_policy.h>
#include <neo/digest.h>
#include <neo/encoding.h>

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { NODES_MAX = 1024, CERTS_MAX = 16 };

struct tree {
    struct neo_arena *arena;
    struct neo_explain_node *at;
    size_t n;
};

static void put(struct tree *t, unsigned depth, const char *name, struct neo_bytes value)
{
    if (t->n < NODES_MAX)
        t->at[t->n++] = (struct neo_explain_node){depth, name, value};
}

NEO_PRINTF(4, 5)
static void putf(struct tree *t, unsigned depth, const char *name, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put(t, depth, name, neo_arena_copy(t->arena, neo_text(text)));
}

static void put_hex(struct tree *t, unsigned depth, const char *name, struct neo_bytes bytes)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    (void)neo_hex_encode(&hex, bytes);
    put(t, depth, name, neo_arena_copy(t->arena, neo_buffer_bytes(&hex)));
}

/* --- flags ------------------------------------------------------------------------------------ */

struct flag {
    unsigned bit;
    const char *name;
};

static const struct flag snp_policy[] = {
    {16, "SMT"},
    {17, "RESERVED_ONE"},
    {18, "MIGRATE_MA"},
    {19, "DEBUG"},
    {20, "SINGLE_SOCKET"},
    {21, "CXL"},
    {22, "MEM_AES_256_XTS"},
    {23, "RAPL_DIS"},
    {24, "CIPHERTEXT_HIDING"},
    {25, "PAGE_SWAP_DISABLE"},
};
static const struct flag snp_platform[] = {
    {0, "SMT_EN"},
    {1, "TSME_EN"},
    {2, "ECC_EN"},
    {3, "RAPL_DIS"},
    {4, "CIPHERTEXT_HIDING_DRAM_EN"},
    {5, "ALIAS_CHECK_COMPLETE"},
    {7, "TIO"},
};
static const struct flag snp_key[] = {{0, "AUTHOR_KEY_EN"}, {1, "MASK_CHIP_KEY"}, {2, "VLEK"}};
static const struct flag sgx_flags[] = {
    {0, "INIT"},           {1, "DEBUG"}, {2, "MODE64BIT"},   {4, "PROVISION_KEY"},
    {5, "EINITTOKEN_KEY"}, {7, "KSS"},   {10, "AEX_NOTIFY"},
};
static const struct flag td_attributes[] = {
    {0, "DEBUG"}, {28, "SEPT_VE_DISABLE"}, {29, "MIGRATABLE"}, {30, "PKS"},
    {31, "KL"},   {63, "PERFMON"},
};
static const struct flag xfam[] = {
    {0, "X87"},    {1, "SSE"},       {2, "AVX"},       {3, "BNDREG"},
    {4, "BNDCSR"}, {5, "AVX512_OP"}, {6, "AVX512_HI"}, {7, "AVX512_16"},
    {8, "PT"},     {9, "PKRU"},      {11, "CET_U"},    {12, "CET_S"},
    {14, "UINTR"}, {15, "LBR"},      {17, "AMX_CFG"},  {18, "AMX_DATA"},
};

#define FLAGS(fact, table)                                                                         \
    {                                                                                              \
        fact, table, NEO_COUNT(table)                                                              \
    }
static const struct {
    const char *fact;
    const struct flag *flags;
    size_t n;
} decoded[] = {
    FLAGS("policy", snp_policy), FLAGS("platform_info", snp_platform),  FLAGS("key_info", snp_key),
    FLAGS("flags", sgx_flags),   FLAGS("td_attributes", td_attributes), FLAGS("xfam", xfam),
};

/* "0x3001f (DEBUG)", or eight bytes as they stand in a quote. */
static uint64_t value_of(const struct neo_evidence_fact *f)
{
    uint64_t value = 0;

    if (!f->is_text) {
        for (size_t i = f->value.len < 8 ? f->value.len : 8; i > 0; i--)
            value = value << 8 | f->value.at[i - 1];
        return value;
    }
    for (size_t i = 2; i < f->value.len; i++) {
        uint8_t c = f->value.at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            break;
        value = value << 4 | (uint64_t)digit;
    }
    return value;
}

static void put_flags(struct tree *t, const struct neo_evidence_fact *f)
{
    uint64_t value = value_of(f);

    for (size_t i = 0; i < NEO_COUNT(decoded); i++) {
        if (strcmp(decoded[i].fact, f->name) != 0)
            continue;
        for (size_t k = 0; k < decoded[i].n; k++) {
            const struct flag *flag = &decoded[i].flags[k];
            put(t, 3, flag->name, (value >> flag->bit & 1) != 0 ? NEO_LIT("1") : NEO_LIT("0"));
            value &= ~(UINT64_C(1) << flag->bit);
        }
        if (strcmp(f->name, "policy") == 0)
            putf(t, 3, "ABI", "%u.%u", (unsigned)(value >> 8 & 0xff), (unsigned)(value & 0xff));
        else if (value != 0)
            putf(t, 3, "others", "0x%llx", (unsigned long long)value);
    }
}

/* --- fields ----------------------------------------------------------------------------------- */

static bool is_tcb(const char *name)
{
    return strcmp(name, "reported_tcb") == 0 || strcmp(name, "committed_tcb") == 0 ||
           strcmp(name, "current_tcb") == 0 || strcmp(name, "launch_tcb") == 0;
}

/* Turin's report names its family; every other product has the older order. */
static void put_tcb(struct tree *t, const struct neo_evidence_fact *f, bool is_turin)
{
    const uint8_t *b = f->value.at;

    if (f->value.len != SNP_TCB_LEN)
        return;
    if (is_turin)
        putf(t, 3, "components", "fmc %u, bootloader %u, tee %u, snp %u, microcode %u", b[0], b[1],
             b[2], b[3], b[7]);
    else
        putf(t, 3, "components", "bootloader %u, tee %u, snp %u, microcode %u", b[0], b[1], b[6],
             b[7]);
}

static const char *lifecycle_of(uint64_t value)
{
    static const char *const names[] = {
        [0] = "unknown",
        [1] = "assembly and test",
        [2] = "provisioning",
        [3] = "secured",
        [4] = "debug of what is not the CCA platform",
        [5] = "recoverable debug of the CCA platform",
        [6] = "decommissioned",
    };

    return value >> 12 < NEO_COUNT(names) ? names[value >> 12] : "unknown";
}

static void put_fields(struct tree *t, const struct neo_evidence_facts *facts)
{
    bool is_turin = false;

    put(t, 1, "fields", NEO_LIT("nothing of them is verified"));
    for (size_t i = 0; i < facts->n; i++) {
        const struct neo_evidence_fact *f = &facts->at[i];
        if (strcmp(f->name, "cpuid") == 0)
            is_turin = neo_bytes_starts(f->value, NEO_LIT("family 0x1a"));
        if (f->is_text)
            put(t, 2, f->name, f->value);
        else
            put_hex(t, 2, f->name, f->value);
        put_flags(t, f);
        if (is_tcb(f->name))
            put_tcb(t, f, is_turin);
        if (strcmp(f->name, "lifecycle") == 0)
            put(t, 3, "means", neo_text(lifecycle_of(value_of(f))));
    }
}

/* --- certificates ----------------------------------------------------------------------------- */

static void put_time(struct tree *t, const char *name, int64_t at)
{
    time_t seconds = (time_t)at;
    char text[32] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    put(t, 3, name, neo_arena_copy(t->arena, neo_text(text)));
}

static void put_endorsement(struct tree *t, const struct vendor_cert *cert)
{
    struct snp_endorsement e;
    bool is_vlek = neo_bytes_is(vendor_cert_facts(cert)->common_name, "SEV-VLEK");

    if (snp_endorsement_read(cert, is_vlek ? SNP_VLEK : SNP_VCEK, &e, NULL) != NEO_OK)
        return;
    putf(t, 3, "product", "%s", e.product->name);
    putf(t, 3, "TCB", "fmc %u, bootloader %u, tee %u, snp %u, microcode %u", e.tcb[SNP_FMC],
         e.tcb[SNP_BOOTLOADER], e.tcb[SNP_TEE], e.tcb[SNP_SNP], e.tcb[SNP_MICROCODE]);
    if (is_vlek)
        put(t, 3, "operator", neo_arena_copy(t->arena, e.csp_id));
    else
        put_hex(t, 3, "hardware id", e.hwid);
}

static void put_cert(struct tree *t, const struct vendor_cert *cert)
{
    const struct vendor_cert_facts *f = vendor_cert_facts(cert);
    const char *key = f->is_p256 ? "P-256" : f->is_p384 ? "P-384" : "RSA or another";
    struct intel_pck pck;

    put(t, 2, "certificate", neo_arena_copy(t->arena, f->common_name));
    put(t, 3, "issuer", neo_arena_copy(t->arena, f->issuer_common_name));
    put_time(t, "not before", f->not_before);
    put_time(t, "not after", f->not_after);
    putf(t, 3, "key", "%s%s", key, f->is_ca ? ", an authority's" : "");
    put_hex(t, 3, "sha256", neo_bytes(f->sha256, sizeof(f->sha256)));
    put_endorsement(t, cert);
    if (intel_pck_read(cert, &pck, NULL) == NEO_OK) {
        put_hex(t, 3, "FMSPC", neo_bytes(pck.fmspc, sizeof(pck.fmspc)));
        put_hex(t, 3, "SVNs", neo_bytes(pck.svn, sizeof(pck.svn)));
        putf(t, 3, "PCE SVN", "%u", pck.pce_svn);
    }
}

/* A quote's chain, without the NULs behind it. */
static struct neo_bytes chain_of(struct neo_bytes quote)
{
    struct intel_quote q;

    if (intel_quote_read(quote, &q, NULL) != NEO_OK)
        return (struct neo_bytes){0};
    while (q.certificates.len > 0 && q.certificates.at[q.certificates.len - 1] == 0)
        q.certificates.len--;
    return q.certificates;
}

static void read_certs(const struct neo_evidence *e, struct vendor_bundle *certs)
{
    const struct attest_family *family = attest_family_of(e->kind);
    struct nitro_document nitro;
    struct azure_evidence azure;
    struct neo_bytes chain = {0};
    enum neo_code code = NEO_OK;

    if (family == &attest_snp || family == &attest_azure_snp)
        code = snp_hints_read(e->certificates, certs, NULL);
    else if (e->certificates.len > 0)
        code = vendor_bundle_read(certs, e->certificates, "certificates", NULL);
    if (family == &attest_sgx || family == &attest_tdx)
        chain = chain_of(e->body);
    else if (family == &attest_azure_tdx && azure_evidence_read(e->body, &azure, NULL) == NEO_OK)
        chain = chain_of(azure.td_quote);
    if (chain.len > 0)
        code = vendor_bundle_read(certs, chain, "PCK chain", NULL);
    if (family == &attest_nitro && nitro_document_read(e->body, &nitro, NULL) == NEO_OK) {
        code = vendor_bundle_read(certs, nitro.certificate, "leaf", NULL);
        for (size_t i = nitro.n_cabundle; i > 0; i--)
            code = vendor_bundle_read(certs, nitro.cabundle[i - 1], "authority", NULL);
    }
    (void)code; /* what was read before a failure is shown */
}

static void put_certificates(struct tree *t, const struct neo_evidence *e)
{
    NEO_CLEANUP(vendor_bundle_fini) struct vendor_bundle certs = {.max = CERTS_MAX};

    read_certs(e, &certs);
    putf(t, 1, "certificates", "%zu came along", certs.n_certs);
    for (size_t i = 0; i < certs.n_certs; i++)
        put_cert(t, certs.certs[i]);
}

/* --- parts ------------------------------------------------------------------------------------ */

static void put_parts(struct tree *t, const struct neo_evidence *e)
{
    struct azure_evidence a;

    putf(t, 1, "size", "%zu bytes", e->body.len);
    if (azure_evidence_read(e->body, &a, NULL) != NEO_OK)
        return;
    const struct {
        const char *name;
        struct neo_bytes part;
    } parts[] = {{"HCL report", a.hcl}, {"quote", a.attest},        {"signature", a.signature},
                 {"PCRs", a.pcrs},      {"event log", a.event_log}, {"TD quote", a.td_quote}};
    put(t, 1, "parts", NEO_LIT("processor's report, runtime data, virtual TPM's quote"));
    for (size_t i = 0; i < NEO_COUNT(parts); i++)
        putf(t, 2, parts[i].name, "%zu bytes", parts[i].part.len);
}

enum neo_code neo_evidence_explain(const struct neo_evidence *evidence, struct neo_arena *arena,
                                   const struct neo_explain_node **ret, size_t *ret_n,
                                   struct neo_error *err)
{
    struct tree t = {.arena = arena,
                     .at = neo_arena_calloc(arena, NODES_MAX, sizeof(struct neo_explain_node))};
    struct neo_evidence_facts facts;
    uint8_t sha256[NEO_SHA256_LEN];

    if (t.at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    NEO_TRY(neo_evidence_describe(evidence, arena, &facts, err));
    neo_sha256(evidence->body, sha256);
    putf(&t, 0, neo_evidence_kind_text(evidence->kind), "evidence of %s", facts.tee);
    put_hex(&t, 1, "sha256", neo_bytes(sha256, sizeof(sha256)));
    put_parts(&t, evidence);
    put_fields(&t, &facts);
    put_certificates(&t, evidence);
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an explanation");
    *ret = t.at;
    *ret_n = t.n;
    return NEO_OK;
}
