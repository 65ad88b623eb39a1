/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/tpm_rule.h - what is judged of a TPM's quote wherever one stands: on its own, or behind
 * the paravisor of a confidential machine.
 */
#ifndef NEO_ATTEST_TPM_RULE_H
#define NEO_ATTEST_TPM_RULE_H

#include "attest/describe.h"
#include "attest/ledger.h"
#include "attest/tpm_log.h"

struct attest_row;

/* `pcr_sha256`, or another bank: the allowed values of each PCR; none: not asked for. */
struct tpm_pcr_rule {
    uint16_t hash; /* enum tpm_hash */
    struct attest_values pcrs[TPM_PCRS];
};
/* One PCR at least must be named that only a reset of the machine resets, all of one bank. */
NEO_MUST_CHECK enum neo_code tpm_pcr_rule_compile(const struct attest_row *row,
                                                  struct neo_arena *arena, struct tpm_pcr_rule *ret,
                                                  struct neo_error *err);
/* `first` is the check of PCR 0; the others follow. */
void tpm_pcr_rule_judge(const struct tpm_pcr_rule *rule, const struct tpm_quote *quote,
                        struct neo_bytes values, unsigned first, struct ledger *ledger);

/*
 * The code's identity by this row: SHA-256 over the values of the PCRs that it names, in their
 * order, as they were quoted. It is pcrDigest of a quote of just those, made with SHA-256.
 */
void tpm_pcr_rule_measure(const struct tpm_pcr_rule *rule, const struct tpm_quote *quote,
                          struct neo_bytes values, uint8_t ret[static NEO_SHA256_LEN]);

/* What a log says of the quoted PCRs. */
struct tpm_logged {
    bool came;
    uint32_t differs[TPM_BANKS_MAX]; /* by the quote's banks; bit i: it does not replay to PCR i */
};
/* False, and the failure put down: malformed, or of none of the quoted banks. */
bool tpm_log_read(struct neo_bytes log, const struct tpm_quote *quote, struct neo_bytes values,
                  unsigned check, struct ledger *ledger, struct tpm_logged *ret);
/*
 * A log must not contradict what a row rests on. Others it may: what runs later extends PCRs that
 * the firmware keeps no log of.
 */
void tpm_log_judge(const struct tpm_logged *logged, const struct tpm_pcr_rule *rule,
                   const struct tpm_quote *quote, unsigned check, struct ledger *ledger);

void tpm_describe(const struct tpm_quote *quote, struct neo_bytes values, struct neo_bytes log,
                  struct description *d);

/* Rows of a table of checks, one for each PCR. */
#define TPM_PCR_ROW(first, tee, i)                                                                 \
    [(first) + (i)] = {tee ".pcr." #i, NEO_ATTEST_MEASUREMENT, CLAIM_EXECUTABLES},
#define TPM_PCR_ROWS(first, tee)                                                                   \
    TPM_PCR_ROW(first, tee, 0)                                                                     \
    TPM_PCR_ROW(first, tee, 1)                                                                     \
    TPM_PCR_ROW(first, tee, 2)                                                                     \
    TPM_PCR_ROW(first, tee, 3)                                                                     \
    TPM_PCR_ROW(first, tee, 4)                                                                     \
    TPM_PCR_ROW(first, tee, 5)                                                                     \
    TPM_PCR_ROW(first, tee, 6)                                                                     \
    TPM_PCR_ROW(first, tee, 7)                                                                     \
    TPM_PCR_ROW(first, tee, 8)                                                                     \
    TPM_PCR_ROW(first, tee, 9)                                                                     \
    TPM_PCR_ROW(first, tee, 10)                                                                    \
    TPM_PCR_ROW(first, tee, 11)                                                                    \
    TPM_PCR_ROW(first, tee, 12)                                                                    \
    TPM_PCR_ROW(first, tee, 13)                                                                    \
    TPM_PCR_ROW(first, tee, 14)                                                                    \
    TPM_PCR_ROW(first, tee, 15)                                                                    \
    TPM_PCR_ROW(first, tee, 16)                                                                    \
    TPM_PCR_ROW(first, tee, 17)                                                                    \
    TPM_PCR_ROW(first, tee, 18)                                                                    \
    TPM_PCR_ROW(first, tee, 19)                                                                    \
    TPM_PCR_ROW(first, tee, 20)                                                                    \
    TPM_PCR_ROW(first, tee, 21)                                                                    \
    TPM_PCR_ROW(first, tee, 22)                                                                    \
    TPM_PCR_ROW(first, tee, 23)

#endif
