/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who vouches for what: from the pinned roots downwards, by signatures alone. Whether it is
 * current is another question; evidence asks it each time.
 */
#include "attest/collateral.h"

#include "attest/intel.h"
#include "attest/nitro.h"
#include "attest/snp_product.h"

#include <assert.h>

enum { DEPTH = 3 }; /* root, authority, leaf */

static const char nobody_here[] = "who signed it is not here: add its issuer's certificate";
static const char other_signer[] = "nobody of those who may sign such a thing has signed it";

static void verified(struct collateral_entry *entry, bool simulated)
{
    entry->is.standing = NEO_COLLATERAL_VERIFIED;
    entry->is.simulated = simulated;
    entry->is.why = NULL;
}

static void wrong(struct collateral_entry *entry, const char *why)
{
    entry->is.standing = NEO_COLLATERAL_WRONG;
    entry->is.why = why;
}

static void unproven(struct collateral_entry *entry, const char *why)
{
    entry->is.standing = NEO_COLLATERAL_UNPROVEN;
    entry->is.why = why;
}

/* --- roots ------------------------------------------------------------------------------------ */

static bool is_simulated(const struct neo_collateral *set, const uint8_t *sha256)
{
    for (size_t i = 0; i < set->simulated.n_certs; i++) {
        if (memcmp(vendor_cert_facts(set->simulated.certs[i])->sha256, sha256, NEO_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

static const uint8_t *pin_of(const struct collateral_entry *entry)
{
    if (entry->is.kind == NEO_COLLATERAL_AMD_ROOT)
        return snp_product_named(neo_text(entry->is.subject))->root_sha256;
    if (entry->is.kind == NEO_COLLATERAL_INTEL_ROOT)
        return intel_root_sha256;
    return entry->is.kind == NEO_COLLATERAL_NITRO_ROOT ? nitro_root_sha256 : NULL;
}

static void judge_root(const struct neo_collateral *set, struct collateral_entry *entry)
{
    const uint8_t *sha256 = vendor_cert_facts(entry->cert)->sha256;

    if (is_simulated(set, sha256))
        verified(entry, true);
    else if (memcmp(sha256, pin_of(entry), NEO_SHA256_LEN) == 0)
        verified(entry, false);
    else
        wrong(entry, "it has the name of a maker's root and is not that root");
}

/* --- what others vouch for -------------------------------------------------------------------- */

/* Which kind may sign `kind`; itself for those that nobody signs. */
static enum neo_collateral_kind signer_of(enum neo_collateral_kind kind)
{
    static const enum neo_collateral_kind signers[NEO_COLLATERAL_KINDS_N] = {
        [NEO_COLLATERAL_AMD_VCEK_CA] = NEO_COLLATERAL_AMD_ROOT,
        [NEO_COLLATERAL_AMD_VLEK_CA] = NEO_COLLATERAL_AMD_ROOT,
        [NEO_COLLATERAL_AMD_VCEK] = NEO_COLLATERAL_AMD_VCEK_CA,
        [NEO_COLLATERAL_AMD_VLEK] = NEO_COLLATERAL_AMD_VLEK_CA,
        [NEO_COLLATERAL_AMD_CRL] = NEO_COLLATERAL_AMD_ROOT,
        [NEO_COLLATERAL_INTEL_PCK_CA] = NEO_COLLATERAL_INTEL_ROOT,
        [NEO_COLLATERAL_INTEL_PCK] = NEO_COLLATERAL_INTEL_PCK_CA,
        [NEO_COLLATERAL_INTEL_TCB_SIGNING] = NEO_COLLATERAL_INTEL_ROOT,
        [NEO_COLLATERAL_INTEL_ROOT_CRL] = NEO_COLLATERAL_INTEL_ROOT,
        [NEO_COLLATERAL_INTEL_PCK_CRL] = NEO_COLLATERAL_INTEL_PCK_CA,
        [NEO_COLLATERAL_INTEL_TCB_SGX] = NEO_COLLATERAL_INTEL_TCB_SIGNING,
        [NEO_COLLATERAL_INTEL_TCB_TDX] = NEO_COLLATERAL_INTEL_TCB_SIGNING,
        [NEO_COLLATERAL_INTEL_QE] = NEO_COLLATERAL_INTEL_TCB_SIGNING,
        [NEO_COLLATERAL_INTEL_TD_QE] = NEO_COLLATERAL_INTEL_TCB_SIGNING,
        [NEO_COLLATERAL_NITRO_ROOT] = NEO_COLLATERAL_NITRO_ROOT,
        [NEO_COLLATERAL_INTEL_ROOT] = NEO_COLLATERAL_INTEL_ROOT,
        [NEO_COLLATERAL_AMD_ROOT] = NEO_COLLATERAL_AMD_ROOT,
        [NEO_COLLATERAL_CCA_KEYS] = NEO_COLLATERAL_CCA_KEYS,
        [NEO_COLLATERAL_OTHER_ROOT] = NEO_COLLATERAL_OTHER_ROOT,
        [NEO_COLLATERAL_OTHER_CERT] = NEO_COLLATERAL_OTHER_CERT,
    };

    assert((size_t)kind < NEO_COUNT(signers));
    return signers[kind];
}

/* Could it be its signer, going by names? */
static bool names_fit(const struct collateral_entry *signer, const struct collateral_entry *entry)
{
    struct neo_bytes name = vendor_cert_facts(signer->cert)->common_name;

    if (entry->document != NULL)
        return true;
    if (entry->crl != NULL)
        return neo_bytes_equal(vendor_crl_facts(entry->crl).issuer_common_name, name);
    return neo_bytes_equal(vendor_cert_facts(entry->cert)->issuer_common_name, name);
}

static bool has_signed(const struct collateral_entry *signer, const struct collateral_entry *entry)
{
    if (entry->document != NULL)
        return vendor_p256_verify(signer->cert, entry->document->signed_text,
                                  entry->document->signature);
    if (entry->crl != NULL)
        return vendor_crl_signed(signer->cert, entry->crl);
    return vendor_cert_signed(signer->cert, entry->cert);
}

static void judge(const struct neo_collateral *set, struct collateral_entry *entry)
{
    enum neo_collateral_kind wanted = signer_of(entry->is.kind);
    bool is_there = false;

    for (size_t i = 0; i < set->n; i++) {
        const struct collateral_entry *signer = &set->at[i];
        if (signer->is.kind != wanted || signer->is.standing != NEO_COLLATERAL_VERIFIED ||
            !names_fit(signer, entry))
            continue;
        if (has_signed(signer, entry)) {
            verified(entry, signer->is.simulated);
            return;
        }
        is_there = true;
    }
    if (is_there)
        wrong(entry, other_signer);
    else
        unproven(entry, nobody_here);
}

static unsigned depth_of(enum neo_collateral_kind kind)
{
    unsigned depth = 0;

    for (; signer_of(kind) != kind; depth++)
        kind = signer_of(kind);
    return depth;
}

void neo_collateral_verify(struct neo_collateral *set)
{
    for (unsigned depth = 0; depth <= DEPTH; depth++) {
        for (size_t i = 0; i < set->n; i++) {
            struct collateral_entry *entry = &set->at[i];
            if (depth_of(entry->is.kind) != depth)
                continue;
            if (depth > 0)
                judge(set, entry);
            else if (pin_of(entry) != NULL)
                judge_root(set, entry);
            else
                unproven(entry, "nobody vouches for it but who put it here");
        }
    }
}
