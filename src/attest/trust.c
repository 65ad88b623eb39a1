/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/trust.h"

#include "attest/collateral_text.h"
#include "crypto/vendor_public.h"

#include <neo/memory.h>

#include <stdio.h>

enum { COLLATERAL_MAX = 4096, SIMULATED_MAX = 8, INTEL_MAX = 4096, ARENA_BUDGET = 64 << 20 };

static void trust_free(struct neo_attest_trust *trust)
{
    if (trust == NULL)
        return;
    vendor_bundle_fini(&trust->collateral);
    vendor_bundle_fini(&trust->simulated);
    vendor_memo_free(trust->memo);
    neo_arena_fini(&trust->arena);
    neo_free(trust);
}

static void trust_freep(struct neo_attest_trust **trust)
{
    trust_free(*trust);
}

static enum neo_code read_simulated_root(struct neo_attest_trust *trust, struct neo_bytes der,
                                         struct neo_error *err)
{
    if (der.len == 0)
        return NEO_OK;
    if (!trust->development)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "a simulated root proves nothing; it is accepted in development only");
    NEO_TRY(vendor_bundle_read(&trust->simulated, der, "simulated root", err));
    if (trust->simulated.n_certs == 0 || trust->simulated.n_crls > 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "simulated root: not certificates alone");
    return NEO_OK;
}

static enum neo_code read_intel(struct neo_attest_trust *trust, struct neo_bytes text,
                                const char *what, struct neo_error *err)
{
    struct intel_document *d = neo_arena_calloc(&trust->arena, 1, sizeof(*d));

    if (d == NULL || trust->n_intel == INTEL_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "%s: more than %d documents of Intel's, or no "
                        "memory",
                        what, INTEL_MAX);
    NEO_TRY(intel_document_read(text, what, &trust->arena, d, err));
    trust->intel[trust->n_intel++] = d;
    return NEO_OK;
}

static enum neo_code read_cca(struct neo_attest_trust *trust, struct neo_bytes text,
                              const char *what, struct neo_error *err)
{
    NEO_TRY(cca_anchors_read(text, what, &trust->arena, &trust->cca, err));
    for (const struct cca_anchor *a = trust->cca; a != NULL; a = a->next) {
        if (a->simulated && !trust->development)
            return neo_fail(err, NEO_FAILED_PRECONDITION,
                            "%s: a simulated platform proves nothing; it is accepted in "
                            "development only",
                            what);
    }
    return NEO_OK;
}

/* The first byte that is no blank: '{' of a document, '[' of a list, anything else of neither. */
static uint8_t first_byte(struct neo_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != ' ' && text.at[i] != '\t' && text.at[i] != '\r' && text.at[i] != '\n')
            return text.at[i];
    }
    return 0;
}

/* Chains or lists, those that are there. */
static enum neo_code read_lines(struct neo_attest_trust *trust, const struct neo_bytes *lines,
                                size_t n, const char *what, struct neo_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (lines[i].len > 0)
            NEO_TRY(vendor_bundle_read(&trust->collateral, lines[i], what, err));
    }
    return NEO_OK;
}

static enum neo_code read_bundle(struct neo_attest_trust *trust, struct neo_bytes text,
                                 const char *what, struct neo_error *err)
{
    struct collateral_saved saved;

    NEO_TRY(collateral_saved_read(text, what, &trust->arena, &saved, err));
    NEO_TRY(read_lines(trust, saved.chains, COLLATERAL_CHAINS, what, err));
    NEO_TRY(read_lines(trust, &saved.platform, 1, what, err));
    NEO_TRY(read_lines(trust, saved.lists, COLLATERAL_LISTS, what, err));
    for (size_t i = 0; i < COLLATERAL_DOCUMENTS; i++) {
        if (saved.documents[i].len > 0)
            NEO_TRY(read_intel(trust, saved.documents[i], what, err));
    }
    return NEO_OK;
}

static enum neo_code read_object(struct neo_attest_trust *trust, struct neo_bytes text,
                                 const char *what, struct neo_error *err)
{
    switch (collateral_form_of(text, &trust->arena)) {
    case COLLATERAL_INTEL:
        return read_intel(trust, text, what, err);
    case COLLATERAL_BUNDLE:
        return read_bundle(trust, text, what, err);
    case COLLATERAL_JWK:
        return cca_anchor_read_jwk(text, what, &trust->arena, &trust->cca, err);
    case COLLATERAL_ODD:
        break;
    }
    return neo_fail(
        err, NEO_INVALID_ARGUMENT,
        "%s: a JSON object that is neither Intel's TCB info or identity, nor a bundle of "
        "its collateral, nor a key",
        what);
}

/* PEM, DER, or text that stands for one of them. */
static enum neo_code read_certs(struct neo_attest_trust *trust, struct neo_bytes text,
                                const char *what, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    struct neo_bytes plain = collateral_plain(text, &trust->arena);

    if (!neo_bytes_starts(plain, NEO_LIT("-----BEGIN PUBLIC KEY-----")))
        return vendor_bundle_read(&trust->collateral, plain, what, err);
    NEO_TRY(vendor_pem_block(plain, "PUBLIC KEY", what, &spki, err));
    return cca_anchor_read_spki(neo_buffer_bytes(&spki), what, &trust->arena, &trust->cca, err);
}

static enum neo_code read_collateral(struct neo_attest_trust *trust,
                                     const struct neo_attest_trust_options *options,
                                     struct neo_error *err)
{
    /* A bundle brings two documents along. */
    trust->intel = neo_arena_calloc(&trust->arena, options->n_collateral * COLLATERAL_DOCUMENTS,
                                    sizeof(struct intel_document *));
    if (neo_arena_failed(&trust->arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < options->n_collateral; i++) {
        char what[40];
        (void)snprintf(what, sizeof(what), "collateral[%zu]", i);
        uint8_t first = first_byte(options->collateral[i]);
        if (first == '[')
            NEO_TRY(read_cca(trust, options->collateral[i], what, err));
        else if (first == '{')
            NEO_TRY(read_object(trust, options->collateral[i], what, err));
        else
            NEO_TRY(read_certs(trust, options->collateral[i], what, err));
    }
    return NEO_OK;
}

enum neo_code neo_attest_trust_new(const struct neo_attest_trust_options *options,
                                   struct neo_attest_trust **ret, struct neo_error *err)
{
    NEO_CLEANUP(trust_freep) struct neo_attest_trust *trust = neo_alloc(sizeof(*trust));

    if (trust == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    atomic_init(&trust->refs, 1);
    trust->development = options->development;
    trust->missing = options->missing;
    trust->missing_self = options->missing_self;
    trust->memo = vendor_memo_new();
    if (trust->memo == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    neo_arena_init(&trust->arena, ARENA_BUDGET);
    trust->collateral.max = COLLATERAL_MAX;
    trust->simulated.max = SIMULATED_MAX;
    NEO_TRY(read_simulated_root(trust, options->simulated_root, err));
    NEO_TRY(read_collateral(trust, options, err));
    *ret = trust;
    trust = NULL;
    return NEO_OK;
}

struct neo_attest_trust *neo_attest_trust_ref(struct neo_attest_trust *trust)
{
    atomic_fetch_add_explicit(&trust->refs, 1, memory_order_relaxed);
    return trust;
}

void neo_attest_trust_unref(struct neo_attest_trust *trust)
{
    if (trust != NULL && atomic_fetch_sub_explicit(&trust->refs, 1, memory_order_acq_rel) == 1)
        trust_free(trust);
}
