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
    struct neo_bytes binder; /* what the evidence is bound to; 64 bytes, or fewer where the maker of
                                the evidence was not neo */
    const struct neo_evidence_fact *at;
    size_t n;
};

/* What `body` looks like; NEO_EVIDENCE_UNKNOWN when it is of no form that is known. */
enum neo_evidence_kind neo_evidence_guess(struct neo_bytes body);

/* INVALID_ARGUMENT says what is malformed. The facts live in `arena` and borrow the evidence. */
NEO_MUST_CHECK enum neo_code neo_evidence_describe(const struct neo_evidence *evidence,
                                                   struct neo_arena *arena,
                                                   struct neo_evidence_facts *ret,
                                                   struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
