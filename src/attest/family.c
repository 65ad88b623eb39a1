/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/family.h"

#include <neo/digest.h>

const struct attest_family *const attest_families[] = {
    &attest_snp, &attest_tdx,       &attest_sgx,       &attest_cca, &attest_nitro,
    &attest_tpm, &attest_azure_snp, &attest_azure_tdx, NULL};

const struct attest_family *attest_family_of(enum neo_evidence_kind kind)
{
    for (size_t i = 0; attest_families[i] != NULL && kind != NEO_EVIDENCE_UNKNOWN; i++) {
        if (attest_families[i]->kind == kind || attest_families[i]->simulated == kind)
            return attest_families[i];
    }
    return NULL;
}

const struct attest_family *attest_family_named(struct neo_bytes tee)
{
    for (size_t i = 0; attest_families[i] != NULL; i++) {
        if (neo_bytes_is(tee, attest_families[i]->tee))
            return attest_families[i];
    }
    return NULL;
}

bool attest_is_bound(const struct attest_question *q, struct neo_bytes found)
{
    return neo_secret_equal(found, q->binder);
}

bool attest_is_bound_by_digest(const struct attest_question *q, struct neo_bytes found)
{
    uint8_t digest[NEO_SHA256_LEN];

    if (q->is_literal)
        return neo_secret_equal(found, q->binder);
    neo_sha256(q->binder, digest);
    return neo_secret_equal(found, neo_bytes(digest, sizeof(digest)));
}

enum neo_attest_reason attest_chain_reason(enum vendor_verdict verdict)
{
    switch (verdict) {
    case VENDOR_EXPIRED:
        return NEO_ATTEST_EXPIRED;
    case VENDOR_REVOKED:
        return NEO_ATTEST_REVOKED;
    case VENDOR_STALE_CRL:
        return NEO_ATTEST_COLLATERAL_STALE;
    case VENDOR_NO_CRL:
        return NEO_ATTEST_COLLATERAL;
    case VENDOR_GOOD:
    case VENDOR_UNTRUSTED:
    case VENDOR_NO_MEMORY:
        break;
    }
    return NEO_ATTEST_CHAIN;
}
