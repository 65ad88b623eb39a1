/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parsers of evidence by themselves, without the judging behind them: fast enough for hundreds
 * of millions of inputs. NEO_PARSER names the one. The input ends where readable memory ends, so
 * that a byte read too much is a crash also without a sanitizer. See tools/fuzz-parsers.
 */
#include "attest/azure_hcl.h"
#include "attest/cca_token.h"
#include "attest/intel_collateral.h"
#include "attest/intel_quote.h"
#include "attest/nitro_document.h"
#include "attest/snp_certs.h"
#include "attest/snp_report.h"
#include "attest/tpm_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 << 10, PAGE = 4096 };

static void must(bool promise)
{
    if (!promise)
        abort();
}

/* Part of the input, or nothing. */
static void must_lie_within(struct neo_bytes part, struct neo_bytes text)
{
    must(part.len == 0 || (part.at >= text.at && part.at + part.len <= text.at + text.len));
}

static void parse_snp(struct neo_bytes text)
{
    struct snp_report report;
    uint8_t again[SNP_REPORT_LEN];

    if (snp_report_read(text, &report, NULL) != NEO_OK)
        return;
    snp_report_write(&report, again);
    must(neo_bytes_equal(text, neo_bytes(again, sizeof(again))));
}

static void parse_intel_quote(struct neo_bytes text)
{
    struct intel_quote q;

    if (intel_quote_read(text, &q, NULL) != NEO_OK)
        return;
    must(q.len <= text.len && q.signature.len == INTEL_SIGNATURE_LEN);
    must_lie_within(q.qe_report, text);
    must_lie_within(q.qe_auth, text);
    must_lie_within(q.certificates, text);
}

static void parse_intel_document(struct neo_bytes text)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct intel_document d;

    neo_arena_init(&arena, 16 << 20);
    if (intel_document_read(text, "fuzz", &arena, &d, NULL) == NEO_OK)
        must(d.signed_text.len > 0 && d.signed_text.len <= text.len && d.levels.n > 0);
}

static void parse_nitro(struct neo_bytes text)
{
    struct nitro_document d;

    if (nitro_document_read(text, &d, NULL) != NEO_OK)
        return;
    must(d.n_cabundle >= 1 && d.n_cabundle <= NITRO_ISSUERS_MAX);
    must_lie_within(d.certificate, text);
    must_lie_within(d.user_data, text);
}

static void parse_cca(struct neo_bytes text)
{
    struct cca_token token;

    if (cca_token_read(text, &token, NULL) != NEO_OK)
        return;
    must_lie_within(token.challenge, text);
    must_lie_within(token.rim, text);
    must_lie_within(token.rak, text);
}

static void parse_tpm(struct neo_bytes text)
{
    struct tpm_evidence parts;
    struct tpm_quote quote;

    if (tpm_attest_read(text, &quote, NULL) == NEO_OK)
        must_lie_within(quote.pcr_digest, text);
    (void)!tpm_signature_read(text, &quote, NULL);
    if (tpm_evidence_read(text, &parts, NULL) == NEO_OK)
        must_lie_within(parts.event_log, text);
}

static void parse_tpm_log(struct neo_bytes text)
{
    struct tpm_replay replay;

    if (tpm_log_replay(text, TPM_SHA256, &replay, NULL) == NEO_OK)
        must(replay.n_events <= text.len && replay.touched < UINT32_C(1) << TPM_PCRS);
}

static void parse_azure(struct neo_bytes text)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct azure_evidence parts;
    struct azure_hcl hcl;

    neo_arena_init(&arena, 4 << 20);
    if (azure_evidence_read(text, &parts, NULL) == NEO_OK) {
        must_lie_within(parts.td_quote, text);
        text = parts.hcl;
    }
    if (azure_hcl_read(text, &arena, &hcl, NULL) == NEO_OK)
        must_lie_within(hcl.runtime, text);
}

static void parse_snp_table(struct neo_bytes text)
{
    struct vendor_bundle bundle = {.max = 8};

    if (snp_hints_read(text, &bundle, NULL) == NEO_OK)
        must(bundle.n_certs <= bundle.max);
    vendor_bundle_fini(&bundle);
}

static const struct {
    const char *name;
    void (*parse)(struct neo_bytes text);
} parsers[] = {
    {"snp", parse_snp},
    {"snp_auxblob", parse_snp_table},
    {"intel_quote", parse_intel_quote},
    {"intel_document", parse_intel_document},
    {"nitro", parse_nitro},
    {"cca", parse_cca},
    {"tpm", parse_tpm},
    {"tpm_log", parse_tpm_log},
    {"azure", parse_azure},
};

static void (*choose(void))(struct neo_bytes)
{
    const char *name = getenv("NEO_PARSER");

    for (size_t i = 0; name != NULL && i < NEO_COUNT(parsers); i++) {
        if (strcmp(parsers[i].name, name) == 0)
            return parsers[i].parse;
    }
    (void)fprintf(stderr, "fuzz_parsers: NEO_PARSER must be one of:");
    for (size_t i = 0; i < NEO_COUNT(parsers); i++)
        (void)fprintf(stderr, " %s", parsers[i].name);
    (void)fprintf(stderr, "\n");
    exit(2);
}

/* Where readable memory ends. */
static uint8_t *make_cliff(void)
{
    uint8_t *at = mmap(NULL, INPUT_MAX + PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    must(at != MAP_FAILED && mprotect(at + INPUT_MAX, PAGE, PROT_NONE) == 0);
    return at + INPUT_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*parse)(struct neo_bytes);
    static uint8_t *cliff;

    if (parse == NULL) {
        parse = choose();
        cliff = make_cliff();
    }
    if (size > INPUT_MAX)
        return 0;
    uint8_t *at = cliff - size;
    if (size > 0)
        memcpy(at, data, size);
    parse(neo_bytes(at, size));
    return 0;
}
