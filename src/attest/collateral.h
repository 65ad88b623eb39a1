/* SPDX-License-Identifier: Apache-2.0 */
/* attest/collateral.h - the inside of a set of collateral. */
#ifndef NEO_ATTEST_COLLATERAL_H
#define NEO_ATTEST_COLLATERAL_H

#include "attest/intel_collateral.h"
#include "crypto/vendor.h"

#include <neo/collateral.h>

struct collateral_entry {
    struct neo_collateral_item is;
    const struct vendor_cert *cert;        /* of a certificate */
    const struct vendor_crl *crl;          /* of a list */
    const struct intel_document *document; /* of a document */
};

struct neo_collateral {
    struct neo_arena arena;
    bool development;
    struct vendor_bundle simulated;
    struct vendor_bundle read; /* every certificate and list of the entries */
    struct collateral_entry *at;
    size_t n;
    size_t cap;
    size_t bytes;
};

/* --- collateral_kind.c: what an object is, by its contents ------------------------------------ */

/* Fill kind, name, subject, dates and request of `entry->is`. */
NEO_MUST_CHECK enum neo_code collateral_describe_cert(struct neo_arena *arena, const char *what,
                                                      struct collateral_entry *entry,
                                                      struct neo_error *err);
NEO_MUST_CHECK enum neo_code collateral_describe_crl(struct neo_arena *arena, const char *what,
                                                     struct collateral_entry *entry,
                                                     struct neo_error *err);
void collateral_describe_document(struct neo_arena *arena, struct collateral_entry *entry);
void collateral_describe_keys(struct neo_arena *arena, struct collateral_entry *entry);

#endif
