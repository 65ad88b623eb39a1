/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/reference.h - reference values as other tools print them, made into a row of a policy.
 *
 * Pure: text in, YAML out. What a tool's output does not hold stays out of the row; a row
 * that would not load without it says so in a comment. A shape that is not known is
 * refused with what was expected.
 */
#ifndef NEO_REFERENCE_H
#define NEO_REFERENCE_H

#include <neo/buffer.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Name, word for it on the command line. */
#define NEO_REFERENCE_FORMS(X)                                                                     \
    X(SEV_SNP_MEASURE, "sev-snp-measure") /* a launch digest: hex, base64 or JSON */               \
    X(TD_SHIM, "td-shim")                 /* JSON of mrtd, rtmr0 to 3, ... in hex */               \
    X(CCEL, "ccel")           /* a TD's event log (ACPI CCEL's area), replayed to RTMRs */         \
    X(NITRO_CLI, "nitro-cli") /* JSON with "Measurements", as build-enclave prints it */           \
    X(CORIM, "corim")         /* CBOR, unsigned or COSE_Sign1, whose signature is not judged */    \
    X(TPM2_PCRREAD, "tpm2-pcrread") /* a list of PCRs by bank, as tpm2-tools print it */
/* clang-format off */
enum neo_reference_form {
#define X(name, word) NEO_REFERENCE_##name,
    NEO_REFERENCE_FORMS(X)
#undef X
    NEO_REFERENCE_FORMS_N,
};
/* clang-format on */
/* NEO_REFERENCE_FORMS_N: no such word. */
enum neo_reference_form neo_reference_form_parse(struct neo_bytes word);
const char *neo_reference_form_text(enum neo_reference_form form);

/*
 * Appends one document `attestation_policies:` for `service`, or several rows of it where the
 * reference values are of several. INVALID_ARGUMENT: another shape, and which was expected.
 */
NEO_MUST_CHECK enum neo_code neo_reference_import(enum neo_reference_form form,
                                                  struct neo_bytes text, struct neo_bytes service,
                                                  struct neo_buffer *out, struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
