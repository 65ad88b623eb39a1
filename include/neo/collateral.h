/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/collateral.h - what evidence is judged against besides policy: the makers' certificates,
 * revocation lists and signed documents.
 *
 * A set is read from files as people and tools have them (PEM, DER, hexadecimal DER, Intel's JSON,
 * bundles of it, keys of Arm CCA platforms), taken apart into its signed items, and each
 * item named by what it is. Every item is kept to the byte as its maker signed it.
 *
 *     NEO_TRY(neo_collateral_new(&options, &set, err));
 *     NEO_TRY(neo_collateral_add(set, text, "crl.der", err)) ...
 *     neo_collateral_verify(set);
 *     for (size_t i = 0; i < neo_collateral_count(set); i++) ... neo_collateral_at(set, i)
 *
 * Verifying here sorts what is kept; it is no part of any judgement. Whoever appraises evidence
 * trusts nothing for having been in a set (neo/attest.h).
 *
 * Pure: no I/O, no clock. Keeping them in a folder: neo/collateral_store.h.
 *
 * Threads   A set belongs to one thread until it is no longer changed; then any may read it.
 */
#ifndef NEO_COLLATERAL_H
#define NEO_COLLATERAL_H

#include <neo/attest.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One row per kind: name, its word in file names and requests. */
#define NEO_COLLATERAL_KINDS(X)                                                                    \
    X(AMD_ROOT, "amd-ark")                                                                         \
    X(AMD_VCEK_CA, "amd-ask")                                                                      \
    X(AMD_VLEK_CA, "amd-asvk")                                                                     \
    X(AMD_VCEK, "amd-vcek")                                                                        \
    X(AMD_VLEK, "amd-vlek")                                                                        \
    X(AMD_CRL, "amd-crl")                                                                          \
    X(INTEL_ROOT, "intel-root")                                                                    \
    X(INTEL_PCK_CA, "intel-pck-ca")                                                                \
    X(INTEL_PCK, "intel-pck")                                                                      \
    X(INTEL_TCB_SIGNING, "intel-tcb-signing")                                                      \
    X(INTEL_ROOT_CRL, "intel-root-crl")                                                            \
    X(INTEL_PCK_CRL, "intel-pck-crl")                                                              \
    X(INTEL_TCB_SGX, "intel-tcb-sgx")                                                              \
    X(INTEL_TCB_TDX, "intel-tcb-tdx")                                                              \
    X(INTEL_QE, "intel-qe")                                                                        \
    X(INTEL_TD_QE, "intel-td-qe")                                                                  \
    X(NITRO_ROOT, "nitro-root")                                                                    \
    X(CCA_KEYS, "cca-keys")                                                                        \
    X(OTHER_ROOT,                                                                                  \
      "other-root") /* of a TPM's maker, say: counts where a policy names its digest */            \
    X(OTHER_CERT, "other-cert")
/* clang-format off */
enum neo_collateral_kind {
#define X(name, text) NEO_COLLATERAL_##name,
    NEO_COLLATERAL_KINDS(X)
#undef X
    NEO_COLLATERAL_KINDS_N,
};
/* clang-format on */
const char *neo_collateral_kind_text(enum neo_collateral_kind kind);

enum neo_collateral_standing {
    NEO_COLLATERAL_UNPROVEN, /* who would vouch for it is not in the set, or there is nobody */
    NEO_COLLATERAL_VERIFIED, /* signed by its maker, up to a root that is pinned in this program */
    NEO_COLLATERAL_WRONG,    /* it is not what it says: see `why` */
};

enum { NEO_COLLATERAL_NAME_LEN = 96, NEO_COLLATERAL_REQUEST_LEN = 240 };

/* Everything lives as long as the set. Times are seconds since 1970. */
struct neo_collateral_item {
    enum neo_collateral_kind kind;
    /* What it would be called as a file: two items of one name are two editions of one thing.
     * [A-Za-z0-9._-] only, never beginning with a dot. */
    const char *name;
    const char *subject;    /* for people: "FMSPC 90C06F000000" */
    struct neo_bytes bytes; /* as signed: DER, or JSON */
    int64_t issued;
    int64_t until;   /* next update, or the certificate's end; 0: it does not say */
    bool is_dated;   /* a list or document: there will be a newer one before `until` */
    uint64_t number; /* tcbEvaluationDataNumber or CRL number; 0: none */
    bool simulated;  /* vouched for by a simulated root */
    enum neo_collateral_standing standing;
    const char *why;     /* one sentence; NULL when verified */
    const char *request; /* what one asks for to get it anew; NULL: it cannot be asked for */
};

struct neo_collateral;
/* `simulated_root` as in neo_attest_trust_options; needs `development`. */
struct neo_collateral_options {
    struct neo_bytes simulated_root;
    bool development;
};
/* Gives `*ret`: neo_collateral_free(). */
NEO_MUST_CHECK enum neo_code neo_collateral_new(const struct neo_collateral_options *options,
                                                struct neo_collateral **ret, struct neo_error *err);
void neo_collateral_free(struct neo_collateral *set);

/*
 * Takes the file `text` apart and adds its items; all or none. `what` names it in messages. Of an
 * item that is there already, to the byte, there is no second. INVALID_ARGUMENT: it is nothing
 * that is known, or malformed. RESOURCE_EXHAUSTED: too many, too large.
 */
enum { NEO_COLLATERAL_FILE_MAX = 4 << 20, NEO_COLLATERAL_ITEMS_MAX = 2048 };
NEO_MUST_CHECK enum neo_code neo_collateral_add(struct neo_collateral *set, struct neo_bytes text,
                                                const char *what, struct neo_error *err);
/*
 * The same for the header of an answer of Intel's service (`Name: value` lines): adds the
 * certificates of the issuer chains in it. What else is in it is left alone.
 */
NEO_MUST_CHECK enum neo_code neo_collateral_add_headers(struct neo_collateral *set,
                                                        struct neo_bytes text, const char *what,
                                                        struct neo_error *err);
/* Sets the standing of every item by all the others. Until then all are unproven. */
void neo_collateral_verify(struct neo_collateral *set);

/* How many items it has, and one of them, `i` below that. It lives as long as the set. */
size_t neo_collateral_count(const struct neo_collateral *set);
const struct neo_collateral_item *neo_collateral_at(const struct neo_collateral *set, size_t i);
/* Of several of this name the newest that is not wrong; NULL: none. */
const struct neo_collateral_item *neo_collateral_find(const struct neo_collateral *set,
                                                      struct neo_bytes name);

/* Above 0: `a` is the newer edition; below: `b`; 0: neither. By number, then by date of issue. */
int neo_collateral_compare(const struct neo_collateral_item *a,
                           const struct neo_collateral_item *b);

/* How long before its next update an item counts as ending. */
enum { NEO_COLLATERAL_SOON = 3 * 86400 };
enum neo_freshness {
    NEO_FRESH,
    NEO_STALE_SOON,
    NEO_STALE,
};
/* Of a certificate: whether its end is near, or past. */
enum neo_freshness neo_collateral_freshness(const struct neo_collateral_item *item, int64_t now);

/* --- asking for it ---------------------------------------------------------------------------- */

/*
 * A request is a line of words, what to get and for what: "intel-tcb-tdx 90C06F000000",
 * "intel-pck-crl platform", "amd-vcek Milan <chip id> <bootloader> <tee> <snp> <microcode>",
 * "amd-chain Genoa". docs/ATTESTATION.md has them all.
 */
bool neo_collateral_is_request(struct neo_bytes text);

typedef void neo_collateral_wanted_fn(void *self, const char *request);
/* What one must have to judge this evidence, as it says itself; nothing for what does not parse. */
void neo_collateral_wanted(const struct neo_evidence *evidence, neo_collateral_wanted_fn *each,
                           void *self);

#ifdef __cplusplus
}
#endif

#endif
