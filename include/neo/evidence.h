/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/evidence.h - looking into a piece of evidence, for people.
 *
 * Nothing here judges: what a report says of itself is worth nothing until
 * neo_attest_appraise() has accepted it.
 *
 * Threads   Any. Everything that is given lives in the caller's arena.
 */
#ifndef NEO_EVIDENCE_H
#define NEO_EVIDENCE_H

#include <neo/attest.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_evidence_fact {
    const char *name; /* as in policies where there is such a key: "measurement", "mrtd" */
    struct neo_bytes value;
    bool is_text; /* else bytes, to be shown as hex digits */
};

struct neo_evidence_facts {
    const char *tee;         /* "sev-snp" */
    struct neo_bytes binder; /* what its place for the binder holds: 64 bytes, or fewer where the
                                maker of the evidence was not neo; a digest in a TPM's quote */
    const struct neo_evidence_fact *at;
    size_t n;
};

/* What `body` looks like, whole or damaged; NEO_EVIDENCE_UNKNOWN: like nothing that is known. */
enum neo_evidence_kind neo_evidence_guess(struct neo_bytes body);
/* The evidence within the answer of a driver (/dev/sev-guest, /dev/nsm); else `body` itself. */
struct neo_bytes neo_evidence_unwrap(struct neo_bytes body);

/* INVALID_ARGUMENT says what is malformed. The facts live in `arena` and borrow the evidence. */
NEO_MUST_CHECK enum neo_code neo_evidence_describe(const struct neo_evidence *evidence,
                                                   struct neo_arena *arena,
                                                   struct neo_evidence_facts *ret,
                                                   struct neo_error *err);

/*
 * Judges evidence that another protocol than neo-attest-v1 asked for: recordings, and what other
 * tools made. As neo_attest_appraise(), but its place for the binder (REPORT_DATA, user_data,
 * extraData, a realm's challenge) must hold `bound` just as it stands, of any length: a TPM's
 * nonce itself, and not the digest of a binder. No channel is ever opened by it. All is borrowed.
 */
struct neo_evidence_question {
    const struct neo_attest_trust *trust;
    const struct neo_attest_policies *policies;
    struct neo_bytes service;
    const struct neo_evidence *evidence;
    struct neo_bytes bound;
    int64_t now; /* seconds since 1970 */
};
NEO_MUST_CHECK enum neo_code neo_evidence_appraise(const struct neo_evidence_question *question,
                                                   struct neo_arena *arena,
                                                   struct neo_appraisal *ret,
                                                   struct neo_error *err);

/* --- parts ------------------------------------------------------------------------------------ */

/*
 * TPMs and Azure's machines hand out structures; neo packs them into one piece of evidence.
 * Name, word for it on the command line.
 */
#define NEO_EVIDENCE_PARTS(X)                                                                      \
    X(HCL, "hcl")             /* Azure: the blob of NV index 0x01400001 */                         \
    X(QUOTE, "quote")         /* TPMS_ATTEST or TPM2B_ATTEST */                                    \
    X(SIGNATURE, "signature") /* TPMT_SIGNATURE; Azure: also RSASSA's bare number */               \
    X(KEY, "key")             /* TPM: TPMT_PUBLIC or TPM2B_PUBLIC of the key */                    \
    X(PCRS, "pcrs")           /* the quoted values, in the order of their selection */             \
    X(LOG, "log")             /* the event log; may be empty */                                    \
    X(TDQUOTE, "tdquote")     /* Azure on TDX: the TD's DCAP quote */
/* clang-format off */
enum neo_evidence_part {
#define X(name, word) NEO_PART_##name,
    NEO_EVIDENCE_PARTS(X)
#undef X
    NEO_EVIDENCE_PARTS_N,
};
/* clang-format on */
/* Appends evidence of `kind`, which is a tpm-quote or azure-*, or one of these simulated.
 * INVALID_ARGUMENT: a part is missing, or does not belong there. */
NEO_MUST_CHECK enum neo_code neo_evidence_pack(
    enum neo_evidence_kind kind, const struct neo_bytes parts[NEO_AT_LEAST(NEO_EVIDENCE_PARTS_N)],
    struct neo_buffer *out, struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
