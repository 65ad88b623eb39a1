/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust as people have it who run a certificate authority by hand: a file of roots.
 */
#include "crypto/cert.h"
#include "crypto/pem.h"

enum { ROOTS_MAX = 32, ARENA_BUDGET = 512 << 10 };

struct roots {
    struct neo_arena arena;
    struct neo_bytes at[ROOTS_MAX];
    size_t n;
};

static void fini_roots(struct roots *roots)
{
    neo_arena_fini(&roots->arena);
}

static enum neo_code add_root(struct roots *roots, const struct pem_reader *pem,
                              struct neo_error *err)
{
    /* Whoever hands this file to all who shall trust it would hand out the key. */
    if (strstr(pem->label, "PRIVATE KEY") != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: holds a private key; roots are certificates alone, so keep the key "
                        "in a file of its own",
                        pem->what);
    if (strcmp(pem->label, "CERTIFICATE") != 0)
        return NEO_OK;
    if (roots->n == ROOTS_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: more than %d roots", pem->what, ROOTS_MAX);
    roots->at[roots->n++] = neo_arena_copy(&roots->arena, pem->der);
    return neo_arena_failed(&roots->arena)
               ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", pem->what)
               : NEO_OK;
}

static enum neo_code read_roots(struct roots *roots, struct neo_bytes text, const char *what,
                                struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader pem = {0};

    NEO_TRY(pem_open(&pem, text, what, err));
    for (;;) {
        enum neo_code code = pem_next(&pem, err);
        if (code == NEO_NOT_FOUND && roots->n > 0)
            return NEO_OK;
        if (code == NEO_NOT_FOUND)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "%s: no root; expected a \"CERTIFICATE\" block in PEM", what);
        if (code != NEO_OK)
            return code;
        NEO_TRY(add_root(roots, &pem, err));
    }
}

enum neo_code neo_trust_from_pem(const char *trust_domain, struct neo_bytes roots_pem,
                                 const char *what, struct neo_trust **ret, struct neo_error *err)
{
    NEO_CLEANUP(fini_roots) struct roots roots = {.n = 0};
    struct neo_error why;

    neo_arena_init(&roots.arena, ARENA_BUDGET);
    NEO_TRY(read_roots(&roots, roots_pem, what, err));
    const struct neo_trust_domain domain = {neo_text(trust_domain), roots.at, roots.n};
    enum neo_code code =
        neo_trust_new(&(struct neo_trust_options){.domains = &domain, .n_domains = 1}, ret, &why);
    return code == NEO_OK ? NEO_OK : neo_fail(err, code, "%s: %s", what, why.message);
}
