/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judgement of a peer.
 *
 * The roots are those of the trust domain that the leaf names, looked up before
 * any signature is checked; another domain's roots are never in the same store,
 * so they cannot vouch for this one. OpenSSL then builds and checks the path
 * (RFC 5280), and our profile is applied to every certificate on the path it
 * found. Revocation is asked last, for leaf and issuers.
 *
 * An accepted leaf keeps its path, so that a later snapshot of trust can be asked
 * whether it still stands without the signatures being checked again.
 */
#include "crypto/trust.h"

#include "crypto/revocation.h"

#include <assert.h>
#include <base/map.h>
#include <neo/memory.h>

#include <openssl/err.h>

enum {
    ARENA_BUDGET = 1 << 20,
    DOMAINS_MAX = 256,
    ROOTS_MAX = 32,
    AUTH_LEVEL = 3, /* OpenSSL's measure: at least 128 bits for every key and signature */
};

struct domain {
    struct neo_bytes name;
    X509_STORE *store;
    size_t n;
    struct neo_cert **roots;
};

struct neo_trust {
    _Atomic unsigned refs;
    uint64_t epoch;
    bool is_pinned;
    uint8_t fingerprint[NEO_SHA256_LEN];
    size_t n;
    struct domain *domains;
    struct map by_name;
    struct revocations revocations;
    struct neo_arena arena;
};

/* --- making -------------------------------------------------------------------------------- */

static void unrefp(struct neo_trust **trust)
{
    neo_trust_unref(*trust);
}

static enum neo_code out_of_memory(struct neo_error *err)
{
    return openssl_fail(err, NEO_RESOURCE_EXHAUSTED, "trust: out of memory");
}

/* A root vouches for one domain only, even where two lists name it. */
static bool is_root_elsewhere(const struct neo_trust *trust, const struct neo_cert *root,
                              const struct domain *domain)
{
    for (size_t d = 0; d < trust->n; d++) {
        for (size_t i = 0; &trust->domains[d] != domain && i < trust->domains[d].n; i++) {
            if (neo_bytes_equal(trust->domains[d].roots[i]->facts.spki, root->facts.spki))
                return true;
        }
    }
    return false;
}

static enum neo_code check_root(const struct neo_trust *trust, const struct domain *domain,
                                const struct neo_cert *root, struct neo_error *err)
{
    struct neo_error why;

    if (cert_check_issuer(root, domain->name, &why) != NEO_OK)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "trust domain %.*s: %s", NEO_FMT(domain->name),
                        why.message);
    if (X509_self_signed(root->x509, 1) != 1)
        return openssl_fail(err, NEO_INVALID_ARGUMENT,
                            "trust domain %.*s: \"%.60s\" is not self-signed, so it is no root",
                            NEO_FMT(domain->name), root->facts.subject);
    if (is_root_elsewhere(trust, root, domain))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "trust domain %.*s: root \"%.60s\" belongs to another trust domain too",
                        NEO_FMT(domain->name), root->facts.subject);
    return NEO_OK;
}

static enum neo_code add_root(const struct neo_trust *trust, struct domain *domain,
                              struct neo_bytes der, struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *root = NULL;

    NEO_TRY(neo_cert_from_der(der, "root", &root, err));
    NEO_TRY(check_root(trust, domain, root, err));
    if (X509_STORE_add_cert(domain->store, root->x509) != 1)
        return out_of_memory(err);
    domain->roots[domain->n++] = root;
    root = NULL;
    return NEO_OK;
}

static enum neo_code add_domain(struct neo_trust *trust, const struct neo_trust_domain *from,
                                struct neo_error *err)
{
    if (!neo_is_trust_domain(from->name) || map_get(&trust->by_name, from->name) != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "trust domain \"%.*s\": not a valid name, or named twice",
                        NEO_FMT(from->name));
    if (from->n_roots > ROOTS_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "trust domain %.*s: %zu roots, at most %d",
                        NEO_FMT(from->name), from->n_roots, ROOTS_MAX);
    struct domain *domain = &trust->domains[trust->n++];
    domain->name = neo_arena_copy(&trust->arena, from->name);
    domain->roots = neo_arena_calloc(&trust->arena, from->n_roots, sizeof(struct neo_cert *));
    domain->store = X509_STORE_new();
    if (neo_arena_failed(&trust->arena) || domain->store == NULL ||
        !map_put(&trust->by_name, domain->name, domain))
        return out_of_memory(err);
    for (size_t i = 0; i < from->n_roots; i++)
        NEO_TRY(add_root(trust, domain, from->roots[i], err));
    return NEO_OK;
}

static enum neo_code check_options(const struct neo_trust_options *options, struct neo_error *err)
{
    if ((options->n_domains > 0) == (options->root_fingerprint != NULL))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "trust: give either trust domains or one root's fingerprint");
    if (options->n_domains > DOMAINS_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "trust: %zu trust domains, at most %d",
                        options->n_domains, DOMAINS_MAX);
    return NEO_OK;
}

static enum neo_code fill(struct neo_trust *trust, const struct neo_trust_options *options,
                          struct neo_error *err)
{
    trust->epoch = options->epoch;
    trust->is_pinned = options->root_fingerprint != NULL;
    if (trust->is_pinned)
        memcpy(trust->fingerprint, options->root_fingerprint, NEO_SHA256_LEN);
    trust->domains = neo_arena_calloc(&trust->arena, options->n_domains, sizeof(*trust->domains));
    if (neo_arena_failed(&trust->arena))
        return out_of_memory(err);
    for (size_t i = 0; i < options->n_domains; i++)
        NEO_TRY(add_domain(trust, &options->domains[i], err));
    return revocations_init(&trust->revocations, options->revocations, options->n_revocations, err);
}

enum neo_code neo_trust_new(const struct neo_trust_options *options, struct neo_trust **ret,
                            struct neo_error *err)
{
    NEO_TRY(check_options(options, err));

    NEO_CLEANUP(unrefp) struct neo_trust *trust = neo_alloc(sizeof(*trust));
    if (trust == NULL)
        return out_of_memory(err);
    trust->refs = 1;
    neo_arena_init(&trust->arena, ARENA_BUDGET);
    NEO_TRY(fill(trust, options, err));
    *ret = trust;
    trust = NULL;
    return NEO_OK;
}

struct neo_trust *neo_trust_ref(struct neo_trust *trust)
{
    atomic_fetch_add_explicit(&trust->refs, 1, memory_order_relaxed);
    return trust;
}

void neo_trust_unref(struct neo_trust *trust)
{
    if (trust == NULL || atomic_fetch_sub_explicit(&trust->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t d = 0; d < trust->n; d++) {
        for (size_t i = 0; i < trust->domains[d].n; i++)
            neo_cert_unref(trust->domains[d].roots[i]);
        X509_STORE_free(trust->domains[d].store);
    }
    map_fini(&trust->by_name);
    revocations_fini(&trust->revocations);
    neo_arena_fini(&trust->arena);
    neo_free(trust);
}

uint64_t neo_trust_epoch(const struct neo_trust *trust)
{
    return trust->epoch;
}

bool trust_is_pinned(const struct neo_trust *trust)
{
    return trust->is_pinned;
}

/* --- the roots that may vouch for a leaf ----------------------------------------------------- */

struct anchors {
    X509_STORE *store;
    struct neo_cert *const *roots;
    size_t n;
    struct neo_cert *pinned; /* borrowed; `roots` then points here */
};

static void free_anchors(struct anchors *anchors)
{
    X509_STORE_free(anchors->store);
}

static bool is_pinned_root(const struct neo_trust *trust, const struct neo_cert *cert)
{
    uint8_t fingerprint[NEO_SHA256_LEN];

    neo_sha256(cert->facts.der, fingerprint);
    return memcmp(fingerprint, trust->fingerprint, sizeof(fingerprint)) == 0;
}

static enum neo_code find_pinned(const struct neo_trust *trust, struct neo_cert *const *chain,
                                 size_t n, struct anchors *ret, struct neo_error *err)
{
    for (size_t i = 1; i < n && ret->pinned == NULL; i++)
        ret->pinned = is_pinned_root(trust, chain[i]) ? chain[i] : NULL;
    if (ret->pinned == NULL)
        return neo_fail(err, NEO_UNAUTHENTICATED,
                        "peer: its chain does not hold the root with the expected fingerprint");
    ret->store = X509_STORE_new();
    if (ret->store == NULL || X509_STORE_add_cert(ret->store, ret->pinned->x509) != 1)
        return out_of_memory(err);
    ret->roots = &ret->pinned;
    ret->n = 1;
    return NEO_OK;
}

static enum neo_code find_anchors(const struct neo_trust *trust, struct neo_cert *const *chain,
                                  size_t n, struct anchors *ret, struct neo_error *err)
{
    if (trust->is_pinned)
        return find_pinned(trust, chain, n, ret, err);

    struct neo_bytes name = chain[0]->facts.id.trust_domain;
    const struct domain *domain = map_get(&trust->by_name, name);
    if (domain == NULL)
        return neo_fail(err, NEO_UNAUTHENTICATED, "peer: trust domain %.*s is not trusted here",
                        NEO_FMT(name));
    if (X509_STORE_up_ref(domain->store) != 1)
        return out_of_memory(err);
    *ret = (struct anchors){.store = domain->store, .roots = domain->roots, .n = domain->n};
    return NEO_OK;
}

/* --- the path ------------------------------------------------------------------------------ */

struct path {
    X509_STORE_CTX *ctx;
    STACK_OF(X509) * untrusted;
};

static void free_path(struct path *path)
{
    X509_STORE_CTX_free(path->ctx);
    sk_X509_free(path->untrusted);
}

static bool set_up(struct path *path, X509_STORE *store, struct neo_cert *const *chain, size_t n,
                   int64_t now)
{
    path->ctx = X509_STORE_CTX_new();
    path->untrusted = sk_X509_new_null();
    if (path->ctx == NULL || path->untrusted == NULL)
        return false;
    for (size_t i = 1; i < n; i++) {
        if (sk_X509_push(path->untrusted, chain[i]->x509) <= 0)
            return false;
    }
    if (X509_STORE_CTX_init(path->ctx, store, chain[0]->x509, path->untrusted) != 1)
        return false;
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(path->ctx);
    X509_VERIFY_PARAM_set_time(param, now);
    X509_VERIFY_PARAM_set_depth(param, CERT_CHAIN_MAX - 2); /* issuers between leaf and root */
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    return X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT) == 1 &&
           X509_STORE_CTX_set_purpose(path->ctx, X509_PURPOSE_SSL_CLIENT) == 1;
}

static enum neo_code build_path(struct path *path, const struct anchors *anchors,
                                struct neo_cert *const *chain, size_t n, int64_t now,
                                struct neo_error *err)
{
    if (!set_up(path, anchors->store, chain, n, now))
        return out_of_memory(err);
    if (X509_verify_cert(path->ctx) == 1) {
        ERR_clear_error();
        return NEO_OK;
    }
    int reason = X509_STORE_CTX_get_error(path->ctx);
    ERR_clear_error();
    if (reason == X509_V_ERR_OUT_OF_MEM)
        return out_of_memory(err);
    return neo_fail(err, NEO_UNAUTHENTICATED, "peer \"%.60s\": %s (certificate %d of its chain)",
                    chain[0]->facts.subject, X509_verify_cert_error_string(reason),
                    X509_STORE_CTX_get_error_depth(path->ctx));
}

static struct neo_cert *find_cert(struct neo_cert *const *certs, size_t n, const X509 *x509)
{
    for (size_t i = 0; i < n; i++) {
        if (certs[i]->x509 == x509)
            return certs[i];
    }
    return NULL;
}

/* The path as our own certificates, linked from the leaf up. */
static enum neo_code link_path(const struct path *path, const struct anchors *anchors,
                               struct neo_cert *const *chain, size_t n, struct neo_error *err)
{
    STACK_OF(X509) *found = X509_STORE_CTX_get0_chain(path->ctx);
    struct neo_cert *child = chain[0];

    for (int i = 1; i < sk_X509_num(found); i++) {
        const X509 *x509 = sk_X509_value(found, i);
        bool is_root = i == sk_X509_num(found) - 1;
        struct neo_cert *issuer =
            is_root ? find_cert(anchors->roots, anchors->n, x509) : find_cert(chain, n, x509);
        if (issuer == NULL)
            return neo_fail(err, NEO_INTERNAL, "peer \"%.60s\": its path leads out of its chain",
                            chain[0]->facts.subject);
        child->issued_by = neo_cert_ref(issuer);
        child = issuer;
    }
    return NEO_OK;
}

/* --- the judgement ------------------------------------------------------------------------- */

static enum neo_code check_issuers(const struct neo_cert *leaf, struct neo_error *err)
{
    for (const struct neo_cert *child = leaf; child->issued_by != NULL; child = child->issued_by) {
        const struct neo_cert *issuer = child->issued_by;

        NEO_TRY(cert_check_issuer(issuer, leaf->facts.id.trust_domain, err));
        /* Revocation goes by this identifier, so it must be the issuer's and not a mere claim. */
        if (!neo_bytes_equal(child->facts.issuer_key_id, issuer->facts.subject_key_id))
            return neo_fail(err, NEO_UNAUTHENTICATED,
                            "peer \"%.60s\": authority key identifier is not its issuer's",
                            leaf->facts.subject);
    }
    return NEO_OK;
}

bool neo_trust_is_revoked(const struct neo_trust *trust, const struct neo_cert *leaf)
{
    for (const struct neo_cert *c = leaf; c != NULL; c = c->issued_by) {
        if (revocations_cover(&trust->revocations, c))
            return true;
    }
    return false;
}

static enum neo_code check_revocation(const struct neo_trust *trust, const struct neo_cert *leaf,
                                      struct neo_error *err)
{
    if (neo_trust_is_revoked(trust, leaf))
        return neo_fail(err, NEO_UNAUTHENTICATED,
                        "peer \"%.60s\": it or its issuer is revoked (epoch %llu)",
                        leaf->facts.subject, (unsigned long long)trust->epoch);
    return NEO_OK;
}

enum neo_code trust_judge(const struct neo_trust *trust, struct neo_cert *const *chain, size_t n,
                          int64_t now, struct neo_error *err)
{
    NEO_CLEANUP(free_anchors) struct anchors anchors = {0};
    NEO_CLEANUP(free_path) struct path path = {0};

    NEO_TRY(neo_cert_check_leaf(chain[0], err));
    NEO_TRY(cert_check_time(chain[0], now, err));
    NEO_TRY(find_anchors(trust, chain, n, &anchors, err));
    NEO_TRY(build_path(&path, &anchors, chain, n, now, err));
    NEO_TRY(link_path(&path, &anchors, chain, n, err));
    NEO_TRY(check_issuers(chain[0], err));
    return check_revocation(trust, chain[0], err);
}

struct parsed_chain {
    struct neo_cert *at[CERT_CHAIN_MAX];
    size_t n;
};

static void free_parsed(struct parsed_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        neo_cert_unref(chain->at[i]);
}

enum neo_code neo_trust_verify(const struct neo_trust *trust, const struct neo_bytes *chain,
                               size_t n, int64_t now, struct neo_cert **ret_leaf,
                               struct neo_error *err)
{
    NEO_CLEANUP(free_parsed) struct parsed_chain parsed = {0};

    if (n < 1 || n > CERT_CHAIN_MAX)
        return neo_fail(err, NEO_UNAUTHENTICATED, "peer: a chain of %zu certificates, not 1 to %d",
                        n, CERT_CHAIN_MAX);
    for (size_t i = 0; i < n; i++) {
        struct neo_error why;
        enum neo_code code = neo_cert_from_der(chain[i], "peer", &parsed.at[i], &why);
        if (code != NEO_OK)
            return neo_fail(err, code == NEO_INVALID_ARGUMENT ? NEO_UNAUTHENTICATED : code, "%s",
                            why.message);
        parsed.n++;
    }
    NEO_TRY(trust_judge(trust, parsed.at, n, now, err));
    *ret_leaf = neo_cert_ref(parsed.at[0]);
    return NEO_OK;
}

/* --- later on ------------------------------------------------------------------------------ */

/* The end of the path that `leaf` was verified by; itself when it never was. */
static const struct neo_cert *root_of(const struct neo_cert *leaf)
{
    while (leaf->issued_by != NULL)
        leaf = leaf->issued_by;
    return leaf;
}

static bool still_has_root(const struct neo_trust *trust, const struct neo_cert *leaf)
{
    const struct neo_cert *root = root_of(leaf);

    if (trust->is_pinned)
        return is_pinned_root(trust, root);

    const struct domain *domain = map_get(&trust->by_name, leaf->facts.id.trust_domain);
    for (size_t i = 0; domain != NULL && i < domain->n; i++) {
        if (neo_bytes_equal(domain->roots[i]->facts.der, root->facts.der))
            return true;
    }
    return false;
}

bool neo_trust_stands(const struct neo_trust *trust, const struct neo_cert *leaf)
{
    return still_has_root(trust, leaf) && !neo_trust_is_revoked(trust, leaf);
}

enum neo_code neo_trust_recheck(const struct neo_trust *trust, const struct neo_cert *leaf,
                                int64_t now, struct neo_error *err)
{
    assert(leaf != NULL);
    for (const struct neo_cert *c = leaf; c != NULL; c = c->issued_by)
        NEO_TRY(cert_check_time(c, now, err));
    NEO_TRY(check_revocation(trust, leaf, err));
    if (!still_has_root(trust, leaf))
        return neo_fail(err, NEO_UNAUTHENTICATED,
                        "peer \"%.60s\": its root is not trusted any more", leaf->facts.subject);
    return NEO_OK;
}
