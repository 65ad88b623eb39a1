/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parsers of evidence by themselves, without the judging behind them: fast enough for hundreds
 * of millions of inputs. NEO_PARSER names the one. The input ends where readable memory ends, so
 * that a byte read too much is a crash also without a sanitizer. See tools/fuzz-parsers.
 *
 * What is here is ours to the last byte. X.509 is OpenSSL's, which is ten times slower; the parsers
 * that lead to it end here where it begins, and go through it in fuzz_snp_auxblob, fuzz_cert and
 * fuzz_collateral.
 */
#include "attest/azure_hcl.h"
#include "attest/cca_token.h"
#include "attest/collateral_text.h"
#include "attest/exchange.h"
#include "attest/intel_collateral.h"
#include "attest/intel_pck.h"
#include "attest/intel_quote.h"
#include "attest/nitro_document.h"
#include "attest/snp_certs.h"
#include "attest/snp_report.h"
#include "attest/tpm_log.h"

#include <neo/reference.h>

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

/* An arena that rarely asks for memory: asking would be most of the time. */
static struct neo_arena *fresh_arena(size_t budget)
{
    static uint8_t first[64 << 10];
    static struct neo_arena arena;

    neo_arena_init_with(&arena, first, sizeof(first), budget);
    return &arena;
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
    struct neo_arena *arena = fresh_arena(16 << 20);
    struct intel_document d;

    if (intel_document_read(text, "fuzz", arena, &d, NULL) == NEO_OK)
        must(d.signed_text.len > 0 && d.signed_text.len <= text.len && d.levels.n > 0);
    neo_arena_fini(arena);
}

/* The extension of a PCK certificate. */
static void parse_intel_pck(struct neo_bytes text)
{
    struct intel_pck pck;

    if (intel_pck_parse(text, &pck, NULL) == NEO_OK)
        must(pck.sgx_type <= 2 && text.len > 2 * INTEL_SVN_LEN);
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

    uint16_t bank = text.len % 2 == 0 ? TPM_SHA256 : TPM_SHA384;
    if (tpm_log_replay(text, bank, &replay, NULL) == NEO_OK)
        must(replay.n_events <= text.len && replay.touched < UINT32_C(1) << TPM_PCRS);
}

static void parse_azure(struct neo_bytes text)
{
    struct neo_arena *arena = fresh_arena(4 << 20);
    struct azure_evidence parts;
    struct azure_hcl hcl;

    if (azure_evidence_read(text, &parts, NULL) == NEO_OK) {
        must_lie_within(parts.td_quote, text);
        text = parts.hcl;
    }
    if (azure_hcl_read(text, arena, &hcl, NULL) == NEO_OK)
        must_lie_within(hcl.runtime, text);
    neo_arena_fini(arena);
}

/* The host's table of certificates, not what is in them. */
static void parse_snp_table(struct neo_bytes text)
{
    struct snp_hints hints;

    if (snp_hints_split(text, &hints, NULL) != NEO_OK)
        return;
    must(hints.n <= SNP_TABLE_ENTRIES_MAX);
    for (size_t i = 0; i < hints.n; i++)
        must_lie_within(hints.parts[i], text);
}

/* Any bytes: what they are, and what a device's answer wraps. */
static void parse_form(struct neo_bytes text)
{
    struct neo_bytes body = neo_evidence_unwrap(text);

    must_lie_within(body, text);
    must(neo_evidence_guess(body) <= NEO_EVIDENCE_UNKNOWN);
}

/* A frame of neo-attest-v1. What was read is written and reads again. */
static void parse_frame(struct neo_bytes text)
{
    static struct neo_buffer out;
    struct neo_arena *arena = fresh_arena(256 << 10);
    struct neo_attest_v1_AttestFrame frame, again;

    neo_buffer_clear(&out);
    if (neo_attest_v1_AttestFrame_decode(text, &frame, arena, NULL) == NEO_OK) {
        must(neo_attest_v1_AttestFrame_encode(&frame, &out, NULL) == NEO_OK);
        must(neo_attest_v1_AttestFrame_decode(neo_buffer_bytes(&out), &again, arena, NULL) ==
             NEO_OK);
        must((frame.proof == NULL) == (again.proof == NULL));
    }
    neo_arena_fini(arena);
}

/* An object of all of Intel's collateral, taken apart. */
static void parse_collateral(struct neo_bytes text)
{
    struct neo_arena arena = *fresh_arena(4 << 20);
    struct collateral_saved saved;

    if (collateral_form_of(text, &arena) == COLLATERAL_BUNDLE &&
        collateral_saved_read(text, "fuzz", &arena, &saved, NULL) == NEO_OK)
        for (size_t i = 0; i < COLLATERAL_DOCUMENTS; i++)
            must(saved.documents[i].len <= 2 * text.len + 64);
    neo_arena_fini(&arena);
}

/* Reference values, whose form the first byte names. */
static void parse_reference(struct neo_bytes text)
{
    static struct neo_buffer out;

    if (text.len == 0)
        return;
    enum neo_reference_form form = (enum neo_reference_form)(text.at[0] % NEO_REFERENCE_FORMS_N);
    neo_buffer_clear(&out);
    enum neo_code code =
        neo_reference_import(form, neo_bytes_from(text, 1), NEO_LIT("a"), &out, NULL);
    must((code == NEO_OK) == (out.len > 0));
}

static const struct {
    const char *name;
    void (*parse)(struct neo_bytes text);
} parsers[] = {
    {"snp", parse_snp},
    {"snp_auxblob", parse_snp_table},
    {"intel_quote", parse_intel_quote},
    {"intel_document", parse_intel_document},
    {"intel_pck", parse_intel_pck},
    {"nitro", parse_nitro},
    {"cca", parse_cca},
    {"tpm", parse_tpm},
    {"tpm_log", parse_tpm_log},
    {"azure", parse_azure},
    {"evidence", parse_form},
    {"frame", parse_frame},
    {"collateral", parse_collateral},
    {"reference", parse_reference},
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
    uint8_t *at =
        mmap(NULL, INPUT_MAX + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

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
