/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/attest_machine.h - this machine's evidence, for the words that make some.
 */
#ifndef NEO_CLI_ATTEST_MACHINE_H
#define NEO_CLI_ATTEST_MACHINE_H

#include "cli/attest.h"

#include <neo/attester.h>
#include <neo/loop.h>

/* Options that name the source. */
struct attest_machine {
    const char *tee;
    const char *root;
    const char *tpm;
    const char *tpm_ak;
    uint32_t vmpl;
};
#define ATTEST_MACHINE_ARGS(m)                                                                     \
    {"--tee", ARG_TEXT, &(m).tee, "TEE",                                                           \
     "sev-snp, tdx, sgx, nitro, arm-cca, azure-snp, azure-tdx, tpm [auto]"},                       \
        {"--vmpl", ARG_U32, &(m).vmpl, "N", "SEV-SNP: whose report [0, or the least allowed]"},    \
        {"--tpm", ARG_TEXT, &(m).tpm, "TPM", "device, or TCTI of tpm2-tss [/dev/tpmrm0]"},         \
        {"--tpm-ak", ARG_TEXT, &(m).tpm_ak, "HANDLE", "key that the TPM keeps [a primary one]"},   \
    {                                                                                              \
        "--root", ARG_TEXT, &(m).root, "DIR", "look at this folder instead of / (tests)"           \
    }
NEO_MUST_CHECK enum neo_code attest_machine_options(const struct attest_machine *m,
                                                    struct neo_attester_options *ret,
                                                    struct neo_error *err);

/* One piece of evidence; attest_made_fini(). */
struct attest_made {
    struct neo_attester_finding by;
    enum neo_evidence_kind kind;
    struct neo_buffer body;
    struct neo_buffer certificates;
    neo_nsec took;
};
NEO_MUST_CHECK enum neo_code attest_make(const struct neo_attester_options *options,
                                         const uint8_t *binder, struct attest_made *ret,
                                         struct neo_error *err);
void attest_made_fini(struct attest_made *m);

/* --- for the doctor --------------------------------------------------------------------------- */

/* attest_facts.c: kernel, processor, devices, drivers, rights; below `root` (NULL: "/"). */
enum { ATTEST_FACTS_MAX = 12 };
struct attest_facts {
    struct attest_fact {
        const char *name;
        char text[200];
    } at[ATTEST_FACTS_MAX];
    size_t n;
};
void attest_look(const char *root, struct attest_facts *ret);

/* attest_try.c: evidence, and what is to be said of it when it is measured by itself. */
struct attest_trial {
    bool made;
    bool judged;
    struct attest_made evidence;
    struct neo_appraisal appraisal; /* in `arena` */
    struct neo_error err;           /* when not made, or not judged */
    struct neo_arena arena;
};
void attest_try(const struct neo_attester_options *options, const struct attest_source *from,
                struct attest_trial *ret);
void attest_trial_fini(struct attest_trial *t);

#endif
