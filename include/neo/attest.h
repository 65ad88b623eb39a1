/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/attest.h - evidence of what code a peer runs, and our judgement of it.
 *
 * Vocabulary (RFC 9334): an attester makes evidence; a verifier appraises it
 * against collateral (vendor certificates) and reference values (policy). Here
 * verifier and relying party are one, in process.
 *
 * Pure: bytes, collateral, policy and time in; appraisal out. Every check has a
 * name and appears in the appraisal. There is no way to skip the binder: it is 64
 * bytes by value, compared whole and in constant time. Debug is refused before
 * policy. A simulated root is accepted only by a trust made with `development`.
 */
#ifndef NEO_ATTEST_H
#define NEO_ATTEST_H

#include <neo/arena.h>
#include <neo/buffer.h>
#include <neo/error.h>
#include <neo/policy.h>
#include <neo/time.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEO_BINDER_LEN = 64 };

/* What a piece of evidence is, on the wire and in policy. One row per kind: name, wire text. */
#define NEO_EVIDENCE_KINDS(X)                                                                      \
    X(SNP, "snp-report")                                                                           \
    X(SIM_SNP, "sim-snp-report")                                                                   \
    X(NITRO, "nitro-doc")                                                                          \
    X(SIM_NITRO, "sim-nitro-doc")                                                                  \
    X(SGX, "sgx-quote")                                                                            \
    X(SIM_SGX, "sim-sgx-quote")                                                                    \
    X(TDX, "tdx-quote")                                                                            \
    X(SIM_TDX, "sim-tdx-quote")                                                                    \
    X(CCA, "cca-token")                                                                            \
    X(SIM_CCA, "sim-cca-token")                                                                    \
    X(TPM, "tpm-quote")                                                                            \
    X(AZURE_SNP, "azure-snp")                                                                      \
    X(SIM_AZURE_SNP, "sim-azure-snp")                                                              \
    X(AZURE_TDX, "azure-tdx")                                                                      \
    X(SIM_AZURE_TDX, "sim-azure-tdx")
/* clang-format off */
enum neo_evidence_kind {
#define X(name, text) NEO_EVIDENCE_##name,
    NEO_EVIDENCE_KINDS(X)
#undef X
    NEO_EVIDENCE_UNKNOWN,
};
/* clang-format on */
enum neo_evidence_kind neo_evidence_kind_parse(struct neo_bytes text);
const char *neo_evidence_kind_text(enum neo_evidence_kind kind);

/* Why evidence was refused: stable; docs/ERRORS.md. */
#define NEO_ATTEST_REASONS(X)                                                                      \
    X(NONE, "none")                                                                                \
    X(FORMAT, "format")                                                                            \
    X(UNSUPPORTED, "unsupported")                                                                  \
    X(CHAIN, "chain")                                                                              \
    X(REVOKED, "revoked")                                                                          \
    X(EXPIRED, "expired")                                                                          \
    X(SIGNATURE, "signature")                                                                      \
    X(BINDING, "binding")                                                                          \
    X(DEBUG, "debug")                                                                              \
    X(TCB_FLOOR, "tcb-floor")                                                                      \
    X(MEASUREMENT, "measurement")                                                                  \
    X(PLATFORM, "platform")                                                                        \
    X(POLICY_MISSING, "policy-missing")                                                            \
    X(COLLATERAL, "collateral")                                                                    \
    X(COLLATERAL_STALE, "collateral-stale")                                                        \
    X(TCB_STATUS, "tcb-status")                                                                    \
    X(QE_IDENTITY, "qe-identity")                                                                  \
    X(ROLE, "role")                                                                                \
    X(IDENTITY, "identity")                                                                        \
    X(PROTOCOL, "protocol")                                                                        \
    X(RATE_LIMITED, "rate-limited")                                                                \
    X(TIMEOUT, "timeout")                                                                          \
    X(ATTESTER, "attester")                                                                        \
    X(PEER_REFUSED, "peer-refused")
enum neo_attest_reason {
#define X(name, text) NEO_ATTEST_##name,
    NEO_ATTEST_REASONS(X)
#undef X
};
const char *neo_attest_reason_text(enum neo_attest_reason reason);

/* --- reference values: the `attestation_policies:` document (an epoch) ------------------------ */

struct neo_attest_policies;

/*
 * Compiles the documents that hold `attestation_policies`; others are ignored; none: nobody has to
 * prove anything. Refused: an unknown key, a policy without code identity, `require: simulator`
 * without `development`. Gives `*ret`: neo_attest_policies_unref().
 */
NEO_MUST_CHECK enum neo_code neo_attest_policies_compile(const struct neo_document *documents,
                                                         size_t n, bool development,
                                                         struct neo_attest_policies **ret,
                                                         struct neo_error *err);
struct neo_attest_policies *neo_attest_policies_ref(struct neo_attest_policies *policies);
void neo_attest_policies_unref(struct neo_attest_policies *policies);
/*
 * The registry's, and the CA's: candidates of rollouts are accepted, too, so that they can start
 * and be seen to (neo/rollout.h). Before it is used.
 */
void neo_attest_policies_observe(struct neo_attest_policies *policies);
/* Must this service prove itself? */
bool neo_attest_policies_has(const struct neo_attest_policies *policies, struct neo_bytes service);

/* --- roots of the vendors (an epoch) ---------------------------------------------------------- */

struct neo_attest_trust;
struct neo_evidence;
/*
 * The makers' roots are pinned by digest. `collateral` is what is known beforehand, each as it
 * came: PEM or DER certificates (ARK, ASK, VCEK, TCB signing, ...) and revocation lists, and
 * Intel's signed JSON (TCB info, identities of quoting enclaves) or the keys of Arm CCA platforms.
 * `simulated_root` (DER, one for each simulated family, one behind the other; empty: none) needs
 * `development`. Gives `*ret`: _unref().
 */
struct neo_attest_trust_options {
    const struct neo_bytes *collateral;
    size_t n_collateral;
    struct neo_bytes simulated_root;
    bool development;
    /* Told, on any thread and not for long, of evidence whose collateral is missing or stale. */
    void (*missing)(void *self, const struct neo_evidence *evidence);
    void *missing_self; /* must outlive the trust */
};
NEO_MUST_CHECK enum neo_code neo_attest_trust_new(const struct neo_attest_trust_options *options,
                                                  struct neo_attest_trust **ret,
                                                  struct neo_error *err);
struct neo_attest_trust *neo_attest_trust_ref(struct neo_attest_trust *trust);
void neo_attest_trust_unref(struct neo_attest_trust *trust);

/* --- appraisal -------------------------------------------------------------------------------- */

struct neo_evidence {
    enum neo_evidence_kind kind;
    struct neo_bytes body;         /* the report or quote */
    struct neo_bytes certificates; /* what came with it: PEM, DER, the vendor's table, or nothing */
};

enum neo_check_result {
    NEO_CHECK_PASS,
    NEO_CHECK_FAIL,
    NEO_CHECK_NOT_APPLICABLE,
};
struct neo_check {
    const char *name; /* "snp.signature" */
    enum neo_check_result result;
    const char *detail; /* one sentence, or NULL */
};

struct neo_appraisal {
    enum neo_evidence_kind kind;
    bool accepted;
    enum neo_attest_reason reason; /* the first failure */
    bool simulated;
    const char *tee;              /* "sev-snp"; "unknown" for a kind that nobody knows */
    struct neo_bytes measurement; /* the code's identity, in the form of its tee; with PCRs: SHA-256
                                     over those of the row that holds, so empty when none does */
    uint8_t evidence_sha256[32];
    const struct neo_check *checks;
    size_t n_checks;
    int64_t not_after; /* of the certificates, or its rollout's date; seconds since 1970 */
    neo_nsec max_age;  /* of the policy */
    bool by_grace;     /* collateral was out of date, within the policy's max_stale */
    int64_t
        rollout_end; /* by its rollout the measurement counts no more from then on; 0: no date */
};

/*
 * Judges `evidence` of `service`. OK also for a refusal: see `accepted`. Anything that goes wrong
 * inside is a refusal, never a pass. The appraisal lives in `arena`.
 */
NEO_MUST_CHECK enum neo_code neo_attest_appraise(const struct neo_attest_trust *trust,
                                                 const struct neo_attest_policies *policies,
                                                 struct neo_bytes service,
                                                 const struct neo_evidence *evidence,
                                                 const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                                                 int64_t now, struct neo_arena *arena,
                                                 struct neo_appraisal *ret, struct neo_error *err);

/* The appraisal in the shape of EAR / AR4SI (JSON). */
bool neo_appraisal_json(const struct neo_appraisal *appraisal, struct neo_buffer *out);

/* --- attesters -------------------------------------------------------------------------------- */

/* Makes evidence over a binder. May block: call it off the loop unless `is_fast`. */
struct neo_attester {
    enum neo_evidence_kind kind;
    bool is_fast;
    enum neo_code (*attest)(struct neo_attester *self,
                            const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                            struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                            struct neo_error *err);
    void (*free)(struct neo_attester *self);
};

/*
 * The simulator: format-true SEV-SNP evidence under a development root. init() makes a machine: its
 * bundle (a private key and certificates; keep it like a key) and the root to trust. `measurement`
 * is 48 bytes: what the pretended machine runs. Gives `*ret`: its `free`.
 */
NEO_MUST_CHECK enum neo_code neo_sim_snp_init(struct neo_buffer *out_bundle_pem,
                                              struct neo_buffer *out_root_der, int64_t now,
                                              struct neo_error *err);
NEO_MUST_CHECK enum neo_code neo_sim_snp_attester(struct neo_bytes bundle_pem,
                                                  const uint8_t measurement[NEO_AT_LEAST(48)],
                                                  bool development, struct neo_attester **ret,
                                                  struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
