/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/tpm_log.h - the event log of a measured boot (TCG PC Client, crypto-agile), replayed.
 *
 * A log is what the machine says happened; that it is true shows in its replay: the
 * digests, extended one by one, give the values that the TPM quoted.
 */
#ifndef NEO_ATTEST_TPM_LOG_H
#define NEO_ATTEST_TPM_LOG_H

#include "attest/tpm_quote.h"

struct tpm_replay {
    uint32_t touched; /* bit i: the log has events for PCR i */
    uint8_t pcrs[TPM_PCRS][TPM_DIGEST_MAX];
    size_t n_events;
};
/* For one bank, by enum tpm_hash. INVALID_ARGUMENT: malformed. NOT_FOUND: without that bank. */
NEO_MUST_CHECK enum neo_code tpm_log_replay(struct neo_bytes log, uint16_t bank,
                                            struct tpm_replay *ret, struct neo_error *err);

#endif
