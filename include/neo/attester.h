/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/attester.h - evidence made by this machine: its devices behind `struct neo_attester`.
 *
 * A *source* is one way to one kind of evidence: a report of SEV-SNP comes from
 * configfs or from /dev/sev-guest. neo_attester_survey() says of every source
 * whether it works here, and if not, what is missing; neo_attester_detect() takes
 * the first that works, in the order below, which puts what says most about the
 * code first. A TPM comes last: it says what booted and hides nothing.
 *
 * What a device gives is looked at before it is handed on: it must be of its form
 * and bound to the binder it was made for. That is no judgement; it finds a
 * broken device, or another process that asked in between, at its source.
 *
 * Nitro's document has a place for a nonce of its own, which stays empty: the
 * binder covers the verifier's nonce.
 *
 * Threads   attest() from any thread but an event loop's: it reads devices and may take seconds
 *           (`is_fast` is false). Calls take turns, across all attesters of the process, since
 *           Gramine's files and an enclave's device belong to the process; waiting for one's turn
 *           counts towards the deadline. Release it when no call is under way.
 * Time      A call ends within the deadline (10 s) with DEADLINE_EXCEEDED, whatever a device
 *           answers. One request that is already in the kernel is not cut short: a quote of TDX may
 *           keep its thread for as long as the host takes.
 */
#ifndef NEO_ATTESTER_H
#define NEO_ATTESTER_H

#include <neo/attest.h>
#include <neo/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The sources in the order in which they are tried: name, `tee` as in policies, by which way. */
#define NEO_ATTESTER_SOURCES(X)                                                                    \
    X(SGX_GRAMINE, "sgx", "gramine")                                                               \
    X(NITRO_NSM, "nitro", "nsm")                                                                   \
    X(TDX_TSM, "tdx", "configfs-tsm")                                                              \
    X(SNP_TSM, "sev-snp", "configfs-tsm")                                                          \
    X(SNP_DEVICE, "sev-snp", "sev-guest")                                                          \
    X(CCA_TSM, "arm-cca", "configfs-tsm")                                                          \
    X(AZURE_SNP_VTPM, "azure-snp", "vtpm")                                                         \
    X(AZURE_TDX_VTPM, "azure-tdx", "vtpm")                                                         \
    X(TPM_TSS, "tpm", "tpm2-tss")
/* clang-format off */
enum neo_attester_source {
#define X(name, tee, via) NEO_ATTESTER_##name,
    NEO_ATTESTER_SOURCES(X)
#undef X
    NEO_ATTESTER_SOURCES_N,
};
/* clang-format on */

enum neo_attester_state {
    NEO_ATTESTER_ABSENT,  /* this machine is not of that kind */
    NEO_ATTESTER_LACKING, /* it is, but something is missing: see `next` */
    NEO_ATTESTER_READY,
};

/* What was found out about one source. */
struct neo_attester_finding {
    const char *tee;
    const char *via;
    enum neo_attester_state state;
    char what[200]; /* one sentence: what is there, or what is not */
    char next[200]; /* what to do now; empty: nothing */
};

struct neo_attester_options {
    const char *tee;  /* "sev-snp", ...; NULL or "auto": the first that works */
    const char *root; /* folder that stands for "/"; NULL: "/". For tests */
    unsigned vmpl;    /* SEV-SNP: whose report; raised to the least that the guest may ask for */
    const char *tpm;  /* NULL: /dev/tpmrm0; a device's path, or a TCTI of tpm2-tss
                         ("swtpm:path=/run/swtpm/sock") */
    uint32_t ak;      /* persistent handle of the TPM's attestation key; 0: the primary signing key
                         of the endorsement hierarchy, the same at each time; Azure: its own */
    uint32_t pcrs;    /* bit i: quote PCR i; 0: all of them, 0 to 23 */
    neo_nsec timeout; /* of one attest(); 0: 10 s */
    const struct neo_log *log; /* copied; says why evidence could not be made, which attest() tells
                                  nobody but its caller; NULL: none */
    const char *metadata; /* Azure's metadata service, "address:port"; NULL: 169.254.169.254:80 */
};

/*
 * Looks, and makes no evidence: opens files and devices, and makes and removes an entry of
 * configfs-tsm. Fills one finding per source, in order. May block for a moment.
 */
void neo_attester_survey(const struct neo_attester_options *options,
                         struct neo_attester_finding ret[NEO_AT_LEAST(NEO_ATTESTER_SOURCES_N)]);

/*
 * The first source that works, of `options->tee` when that names one. NOT_FOUND: none does, and
 * `err` says what is missing of the one named, or of the nearest. INVALID_ARGUMENT: there is no
 * such tee. `ret_finding` (may be NULL) is what was found out about the chosen one, and borrows
 * nothing. Gives `*ret`: its `free`.
 */
NEO_MUST_CHECK enum neo_code neo_attester_detect(const struct neo_attester_options *options,
                                                 struct neo_attester **ret,
                                                 struct neo_attester_finding *ret_finding,
                                                 struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
