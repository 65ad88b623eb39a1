/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM says, in parts that make one piece of evidence. */
#include "mesh/attester_tss.h"

#include "attest/tpm_log.h"

#include <neo/evidence.h>

#include <errno.h>
#include <fcntl.h>

#define EVENT_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"

/* PCRs may be extended between the reading and the quote. */
static enum neo_code check_pcrs(const struct tss_quote *q, struct tpm_quote *ret,
                                struct neo_error *err)
{
    struct tpm_quote quote = {.n_banks = 0};

    NEO_TRY(tpm_signature_read(neo_buffer_bytes(&q->signature), &quote, err));
    NEO_TRY(tpm_attest_read(neo_buffer_bytes(&q->attest), &quote, err));
    if (!tpm_pcrs_fit(&quote, neo_buffer_bytes(&q->pcrs)))
        return neo_fail(err, NEO_ABORTED, "PCRs were extended while they were quoted");
    *ret = quote;
    return NEO_OK;
}

static bool replays_bank(struct neo_bytes log, const struct tpm_bank *bank, struct neo_bytes pcrs)
{
    struct tpm_replay replay;

    if (tpm_log_replay(log, bank->hash, &replay, NULL) != NEO_OK)
        return false;
    for (unsigned i = 0; i < TPM_PCRS; i++) {
        struct neo_bytes value = tpm_pcr(bank, pcrs, i);
        if ((replay.touched & UINT32_C(1) << i) != 0 && value.len > 0 &&
            memcmp(value.at, replay.pcrs[i], value.len) != 0)
            return false;
    }
    return true;
}

static bool replays(struct neo_bytes log, const struct tpm_quote *quote, struct neo_bytes pcrs)
{
    for (size_t i = 0; i < quote->n_banks; i++) {
        if (!replays_bank(log, &quote->banks[i], pcrs))
            return false;
    }
    return true;
}

/*
 * The firmware's log, where it may be read, fits, and tells the whole story: what the running
 * system extends later is not in it, and a log that does not replay would have good evidence
 * refused.
 */
static void read_log(struct attester_run *run, const struct tpm_quote *quote,
                     const struct tss_quote *q, size_t room, struct neo_buffer *out)
{
    if (attester_read(run, EVENT_LOG, room, out, NULL) != NEO_OK ||
        !replays(neo_buffer_bytes(out), quote, neo_buffer_bytes(&q->pcrs)))
        neo_buffer_clear(out);
}

enum neo_code tpm_quote_into(struct attester_run *run, enum neo_evidence_kind kind, uint32_t ak,
                             const uint8_t *extra_data, const struct tpm_beside *beside,
                             struct neo_buffer *out_body, struct neo_error *err)
{
    NEO_CLEANUP(tss_quote_fini) struct tss_quote q = {.attest = {0}};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer log = {0};
    struct tpm_quote quote;

    NEO_TRY(tss_make_quote(run, ak, extra_data, &q, err));
    NEO_TRY(check_pcrs(&q, &quote, err));
    const size_t others = beside->hcl.len + beside->td_quote.len + q.attest.len + q.signature.len +
                          q.public_area.len + q.pcrs.len;
    if (others < ATTESTER_BODY_MAX)
        read_log(run, &quote, &q, ATTESTER_BODY_MAX - others, &log);
    const struct neo_bytes parts[NEO_EVIDENCE_PARTS_N] = {
        [NEO_PART_HCL] = beside->hcl,
        [NEO_PART_TDQUOTE] = beside->td_quote,
        [NEO_PART_QUOTE] = neo_buffer_bytes(&q.attest),
        [NEO_PART_SIGNATURE] = neo_buffer_bytes(&q.signature),
        [NEO_PART_KEY] = kind == NEO_EVIDENCE_TPM ? neo_buffer_bytes(&q.public_area)
                                                  : neo_bytes(NULL, 0), /* the report has it */
        [NEO_PART_PCRS] = neo_buffer_bytes(&q.pcrs),
        [NEO_PART_LOG] = neo_buffer_bytes(&log),
    };
    neo_buffer_clear(out_body);
    return neo_evidence_pack(kind, parts, out_body, err);
}

enum neo_code tpm_attest(struct attester_run *run, const struct attester_way *way,
                         const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                         struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                         struct neo_error *err)
{
    const struct tpm_beside nothing = {.hcl = {0}};
    uint8_t extra_data[NEO_SHA256_LEN];

    (void)way;
    (void)out_certificates; /* a policy names the key, or its certificate is known beforehand */
    neo_sha256(neo_bytes(binder, NEO_BINDER_LEN), extra_data);
    for (;;) {
        enum neo_code code = tpm_quote_into(run, NEO_EVIDENCE_TPM, run->options->ak, extra_data,
                                            &nothing, out_body, err);
        if (code == NEO_OK)
            return NEO_OK;
        NEO_TRY(attester_again(run, code, err));
    }
}

void tpm_look(struct attester_run *run, const struct attester_way *way,
              struct neo_attester_finding *ret)
{
    const char *tpm = run->options->tpm == NULL ? TPM_DEVICE : run->options->tpm;
    int number = tss_is_device(tpm) ? attester_open_error(run, tpm, O_RDWR) : 0;
    struct neo_error err;

    (void)way;
    if (number == ENOENT && attester_exists(run, "/dev/tpm0")) {
        attester_found(ret, NEO_ATTESTER_LACKING, "there is a TPM, but no %s", tpm);
        attester_next(ret, "a TPM 1.2, or a kernel without CONFIG_TCG_TPM's resource manager: "
                           "TPM 2.0 is needed");
    } else if (number != 0) {
        attester_found_device(ret, tpm, number);
        if (number == EACCES)
            attester_next(ret, "add the service's user to the group tss, which owns %s", tpm);
    } else if (!tss_is_there()) {
        attester_found(ret, NEO_ATTESTER_LACKING, "a TPM, but this build has no tpm2-tss");
        attester_next(ret, "apt-get install libtss2-dev; then build anew");
    } else if (tss_reach(run, &err) != NEO_OK) {
        attester_found(ret, NEO_ATTESTER_LACKING, "%.190s", err.message);
        attester_next(ret, "is '%s' right, and does what it names run?", tpm);
    } else {
        attester_found(ret, NEO_ATTESTER_READY, "%s%s", tss_is_device(tpm) ? "" : "TCTI ", tpm);
    }
}
