/* SPDX-License-Identifier: Apache-2.0 */
/* What a service proves itself with: the machine it runs on, or a pretended one. */
#include "mesh/mesh.h"

#include <neo/attester.h>
#include <neo/encoding.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <stdlib.h>

enum { BUNDLE_MAX = 256 << 10, MEASUREMENT_LEN = 48 };

static bool is_auto(const char *tee)
{
    return tee == NULL || strcmp(tee, "auto") == 0;
}

static enum neo_code simulate(const struct neo_mesh_options *o, struct neo_attester **ret,
                              struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer bundle = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer measurement = {0};

    if (!o->development)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "a simulated TEE is for development: add --insecure-dev");
    if (!is_auto(o->tee))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--tee %s and --simulated-tee are two machines: choose one", o->tee);
    NEO_TRY(neo_file_read(o->simulated_tee, BUNDLE_MAX, &bundle, err));
    if (o->measurement == NULL ||
        neo_hex_decode(neo_text(o->measurement), &measurement, NULL) != NEO_OK ||
        measurement.len != MEASUREMENT_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--simulated-tee needs --measurement with 96 hex digits");
    return neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement.at, o->development, ret,
                                err);
}

static enum neo_code read_handle(const char *text, uint32_t *ret, struct neo_error *err)
{
    char *end;

    if (text == NULL)
        return NEO_OK;
    unsigned long value = strtoul(text, &end, 16);
    if (*text == '\0' || *end != '\0' || value > UINT32_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--tpm-ak %s: write the handle in hexadecimal, 0x81010002", text);
    *ret = (uint32_t)value;
    return NEO_OK;
}

enum neo_code mesh_make_attester(struct neo_mesh *mesh, const struct neo_mesh_options *o,
                                 struct neo_error *err)
{
    struct neo_attester_options options = {.tee = o->tee, .tpm = o->tpm, .log = &mesh->log};
    struct neo_attester_finding found;
    struct neo_error why;

    mesh->simulated = o->simulated_tee != NULL;
    if (mesh->simulated)
        return simulate(o, &mesh->attester, err);
    if (o->measurement != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--measurement is what a simulated TEE runs: give --simulated-tee FILE, "
                        "too; hardware measures by itself");
    if (o->tee != NULL && strcmp(o->tee, "none") == 0)
        return NEO_OK;
    NEO_TRY(read_handle(o->tpm_ak, &options.ak, err));
    enum neo_code code = neo_attester_detect(&options, &mesh->attester, &found, &why);
    if (code == NEO_OK) {
        neo_log_info(&mesh->log, "attester.chosen", NEO_STR("tee", found.tee),
                     NEO_STR("by", found.via), NEO_STR("what", found.what));
        return NEO_OK;
    }
    if (code == NEO_NOT_FOUND && is_auto(o->tee)) {
        neo_log_debug(&mesh->log, "attester.none", NEO_STR("why", why.message));
        return NEO_OK;
    }
    return neo_fail(err, code, "--tee %s: %.180s; see: neo attest doctor",
                    o->tee == NULL ? "auto" : o->tee, why.message);
}
