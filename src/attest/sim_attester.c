/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator that development runs: one Genoa chip.
 *
 * Its bundle holds the chip's key and the certificates up to the root, and not the
 * keys of the authorities: those are forgotten as soon as the chip is issued.
 */
#include "attest/sim.h"

#include <neo/attest.h>
#include <neo/digest.h>
#include <neo/memory.h>

enum { DAY = 86400, YEAR = 365 * DAY };

static const char key_begins[] = "-----BEGIN PRIVATE KEY-----";

/* --- making a bundle -------------------------------------------------------------------------- */

static enum neo_code write_bundle(const struct sim_authority *authority,
                                  const struct sim_chip *chip, struct neo_buffer *out,
                                  struct neo_error *err)
{
    if (!vendor_pem_append(out, "CERTIFICATE", neo_buffer_bytes(&chip->cert_der)) ||
        !vendor_pem_append(out, "CERTIFICATE", neo_buffer_bytes(&authority->issuer_der)) ||
        !vendor_pem_append(out, "CERTIFICATE", neo_buffer_bytes(&authority->root_der)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the simulator's bundle");
    return vendor_key_to_pem(chip->key, out, err);
}

enum neo_code neo_sim_snp_init(struct neo_buffer *out_bundle_pem, struct neo_buffer *out_root_der,
                               int64_t now, struct neo_error *err)
{
    NEO_CLEANUP(sim_keys_fini) struct sim_keys keys = {0};
    NEO_CLEANUP(sim_authority_fini)
    struct sim_authority authority = {
        .keys = &keys,
        .product = snp_product_named(NEO_LIT("Genoa")),
        .vek = SNP_VCEK,
        .not_before = now - DAY,
        .not_after = now + 10 * (int64_t)YEAR,
    };
    NEO_CLEANUP(sim_chip_fini)
    struct sim_chip chip = {
        .product = authority.product,
        .vek = SNP_VCEK,
        .tcb = {[SNP_BOOTLOADER] = 10, [SNP_SNP] = 23, [SNP_MICROCODE] = 84},
        .not_before = now - DAY,
        .not_after = now + 7 * (int64_t)YEAR,
    };

    NEO_TRY(sim_keys_generate(&keys, err));
    NEO_TRY(sim_authority_issue(&authority, err));
    neo_random(chip.hwid, sizeof(chip.hwid));
    NEO_TRY(sim_chip_issue(&chip, &authority, err));
    NEO_TRY(write_bundle(&authority, &chip, out_bundle_pem, err));
    if (!neo_buffer_append(out_root_der, neo_buffer_bytes(&authority.root_der)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the simulated root");
    return NEO_OK;
}

/* --- using it --------------------------------------------------------------------------------- */

struct sim_attester {
    struct neo_attester attester;
    struct vendor_key *key;
    struct neo_buffer certificates; /* PEM, as they are sent */
    struct snp_report report;       /* all but the binder and the signature */
};

static void sim_free(struct sim_attester *sim)
{
    if (sim == NULL)
        return;
    vendor_key_free(sim->key);
    neo_buffer_fini(&sim->certificates);
    neo_free(sim);
}

static void sim_freep(struct sim_attester **sim)
{
    sim_free(*sim);
}

static void attester_free(struct neo_attester *self)
{
    sim_free(neo_owner(self, struct sim_attester, attester));
}

static enum neo_code attester_attest(struct neo_attester *self,
                                     const uint8_t binder[static NEO_BINDER_LEN],
                                     struct neo_buffer *out_body,
                                     struct neo_buffer *out_certificates, struct neo_error *err)
{
    const struct sim_attester *sim = neo_owner(self, struct sim_attester, attester);
    struct snp_report report = sim->report;

    memcpy(report.report_data, binder, sizeof(report.report_data));
    NEO_TRY(sim_report_sign(&report, sim->key, out_body, err));
    if (!neo_buffer_append(out_certificates, neo_buffer_bytes(&sim->certificates)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for simulated evidence");
    return NEO_OK;
}

/* A bundle that was put together wrongly would make evidence that nobody accepts: say so at once.
 */
static enum neo_code check_key(const struct sim_attester *sim, const struct vendor_cert *leaf,
                               struct neo_error *err)
{
    struct vendor_signature signature = {0};

    NEO_TRY(vendor_p384_sign(sim->key, NEO_LIT("neo"), &signature, err));
    if (!vendor_p384_verify(leaf, NEO_LIT("neo"), &signature))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "simulator bundle: the key is not the first certificate's");
    return NEO_OK;
}

static enum neo_code read_chip(struct sim_attester *sim, const uint8_t measurement[static 48],
                               struct neo_error *err)
{
    NEO_CLEANUP(vendor_bundle_fini) struct vendor_bundle certs = {.max = SNP_HINTS_MAX};
    struct snp_endorsement chip;

    NEO_TRY(
        vendor_bundle_read(&certs, neo_buffer_bytes(&sim->certificates), "simulator bundle", err));
    if (certs.n_certs == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "simulator bundle: no certificate");
    NEO_TRY(check_key(sim, certs.certs[0], err));
    NEO_TRY(snp_endorsement_read(certs.certs[0], SNP_VCEK, &chip, err));
    sim_report_init(&sim->report, chip.product, chip.tcb, chip.hwid.at);
    memcpy(sim->report.measurement, measurement, sizeof(sim->report.measurement));
    return NEO_OK;
}

enum neo_code neo_sim_snp_attester(struct neo_bytes bundle_pem,
                                   const uint8_t measurement[static 48], bool development,
                                   struct neo_attester **ret, struct neo_error *err)
{
    const uint8_t *key =
        bundle_pem.len == 0 ? NULL
                            : memmem(bundle_pem.at, bundle_pem.len, key_begins, strlen(key_begins));
    NEO_CLEANUP(sim_freep) struct sim_attester *sim = NULL;

    if (!development)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "simulated evidence proves nothing; it is made in development only");
    if (key == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "simulator bundle: no PRIVATE KEY");
    sim = neo_alloc(sizeof(*sim));
    size_t certs_len = (size_t)(key - bundle_pem.at);
    if (sim == NULL || !neo_buffer_append(&sim->certificates, neo_bytes(bundle_pem.at, certs_len)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the simulator");
    NEO_TRY(vendor_key_from_pem(neo_bytes_from(bundle_pem, certs_len), &sim->key, err));
    NEO_TRY(read_chip(sim, measurement, err));
    sim->attester = (struct neo_attester){
        .kind = NEO_EVIDENCE_SIM_SNP,
        .is_fast = true,
        .attest = attester_attest,
        .free = attester_free,
    };
    *ret = &sim->attester;
    sim = NULL;
    return NEO_OK;
}
