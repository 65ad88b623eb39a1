/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/collateral_text.h - collateral in the forms in which it is handed out and saved.
 *
 * Intel's service gives PEM chains in HTTP headers, percent-encoded, and lists as DER, PEM or
 * hex; tools keep all of it in one JSON object of strings:
 *
 *     tcb_info, qe_identity                      the signed documents, or their bodies alone with
 *     tcb_info_signature, qe_identity_signature  these beside them
 *     pck_crl, root_ca_crl                       lists: PEM, or DER in hex or base64
 *     pck_crl_issuer_chain, tcb_info_issuer_chain, qe_identity_issuer_chain, pck_certificate_chain
 */
#ifndef NEO_ATTEST_COLLATERAL_TEXT_H
#define NEO_ATTEST_COLLATERAL_TEXT_H

#include "attest/intel_collateral.h"
#include "crypto/vendor.h"

/* `text` as PEM or DER: unchanged, or undone from hex, base64 or percent-encoding, in `arena`. */
struct neo_bytes collateral_plain(struct neo_bytes text, struct neo_arena *arena);

enum collateral_form {
    COLLATERAL_INTEL,  /* one signed document of Intel's */
    COLLATERAL_BUNDLE, /* an object of all of it */
    COLLATERAL_JWK,    /* a key */
    COLLATERAL_ODD,
};
/* Of a JSON object, by its members. */
enum collateral_form collateral_form_of(struct neo_bytes text, struct neo_arena *arena);

/* --- collateral_bundle.c: an object of all of it, whoever reads it -----------------------------
 */

enum { COLLATERAL_CHAINS = 3, COLLATERAL_LISTS = 2, COLLATERAL_DOCUMENTS = 2 };
/* What the object does not hold is empty. Certificates and lists as collateral_plain() has them. */
struct collateral_saved {
    struct neo_bytes chains[COLLATERAL_CHAINS]; /* of issuers */
    struct neo_bytes platform;                  /* the chain of one machine's PCK */
    struct neo_bytes lists[COLLATERAL_LISTS];
    struct neo_bytes documents[COLLATERAL_DOCUMENTS]; /* whole: body and signature */
};
bool collateral_is_saved_key(struct neo_bytes key);
/* INVALID_ARGUMENT: no object, or a member that is not of its form. What is found lives in `arena`.
 */
NEO_MUST_CHECK enum neo_code collateral_saved_read(struct neo_bytes text, const char *what,
                                                   struct neo_arena *arena,
                                                   struct collateral_saved *ret,
                                                   struct neo_error *err);

#endif
