/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates that come with a report: PEM, DER or the host's table. */
#include "attest/snp_certs.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

static void check_endorsement(const struct vendor_cert *cert, enum snp_vek vek)
{
    struct snp_endorsement e;

    if (snp_endorsement_read(cert, vek, &e, NULL) != NEO_OK)
        return;
    must(e.product != NULL);
    must(vek == SNP_VCEK ? e.hwid.len == e.product->hwid_len && e.csp_id.len == 0
                         : e.hwid.len == 0 && e.csp_id.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vendor_bundle bundle = {.max = SNP_HINTS_MAX};
    enum neo_code code = snp_hints_read(neo_bytes(data, size), &bundle, NULL);

    must(bundle.n_certs + bundle.n_crls <= SNP_HINTS_MAX);
    must(code != NEO_OK || bundle.n_crls == 0);
    for (size_t i = 0; i < bundle.n_certs; i++) {
        check_endorsement(bundle.certs[i], SNP_VCEK);
        check_endorsement(bundle.certs[i], SNP_VLEK);
    }
    if (bundle.n_certs > 0) {
        const struct vendor_chain chain = {
            .leaf = bundle.certs[0],
            .issuers = bundle.certs,
            .n_issuers = bundle.n_certs,
            .root = bundle.certs[bundle.n_certs - 1],
            .now = 1790000000,
        };
        struct vendor_path path = {0};
        must((vendor_chain_verify(&chain, &path, NULL) == VENDOR_GOOD) == (path.issuer != NULL));
    }
    vendor_bundle_fini(&bundle);
    return 0;
}
