/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/pem.h"

#include <neo/memory.h>

struct neo_identity {
    _Atomic unsigned refs;
    struct neo_key *key;
    size_t n;
    struct neo_cert *chain[CERT_CHAIN_MAX]; /* leaf first */
};

static void unrefp(struct neo_identity **identity)
{
    neo_identity_unref(*identity);
}

static enum neo_code read_chain(struct neo_identity *identity, const struct neo_bytes *chain,
                                size_t n, struct neo_error *err)
{
    for (size_t i = 0; i < n; i++) {
        NEO_TRY(neo_cert_from_der(chain[i], "identity", &identity->chain[i], err));
        identity->n++;
    }
    return NEO_OK;
}

enum neo_code neo_identity_new(struct neo_key *key, const struct neo_bytes *chain, size_t n,
                               struct neo_identity **ret, struct neo_error *err)
{
    if (n < 1 || n > CERT_CHAIN_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "identity: a chain of %zu certificates, not 1 to %d", n, CERT_CHAIN_MAX);
    NEO_CLEANUP(unrefp) struct neo_identity *identity = neo_alloc(sizeof(*identity));
    if (identity == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "identity: out of memory");
    identity->refs = 1;
    NEO_TRY(read_chain(identity, chain, n, err));
    if (!neo_bytes_equal(identity->chain[0]->facts.spki, key_spki(key)))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "identity: the key does not belong to the certificate \"%.60s\"",
                        identity->chain[0]->facts.subject);
    identity->key = neo_key_ref(key);
    *ret = identity;
    identity = NULL;
    return NEO_OK;
}

struct pem_chain {
    struct neo_buffer at[CERT_CHAIN_MAX];
    size_t n;
};

static void fini_chain(struct pem_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        neo_buffer_fini(&chain->at[i]);
}

static enum neo_code read_pem_chain(struct neo_bytes text, const char *what,
                                    struct pem_chain *chain, struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader pem = {0};

    NEO_TRY(pem_open(&pem, text, what, err));
    for (;;) {
        enum neo_code code = pem_find(&pem, "CERTIFICATE", err);
        if (code == NEO_NOT_FOUND && chain->n > 0)
            return NEO_OK;
        if (code != NEO_OK)
            return code;
        if (chain->n == CERT_CHAIN_MAX)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: more than %d certificates", what,
                            CERT_CHAIN_MAX);
        if (!neo_buffer_append(&chain->at[chain->n++], pem.der))
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    }
}

enum neo_code neo_identity_from_pem(struct neo_bytes chain_pem, struct neo_bytes key_pem,
                                    const char *what, struct neo_identity **ret,
                                    struct neo_error *err)
{
    NEO_CLEANUP(fini_chain) struct pem_chain chain = {0};
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
    struct neo_bytes der[CERT_CHAIN_MAX];

    NEO_TRY(read_pem_chain(chain_pem, what, &chain, err));
    NEO_TRY(neo_key_from_pem(key_pem, what, &key, err));
    for (size_t i = 0; i < chain.n; i++)
        der[i] = neo_buffer_bytes(&chain.at[i]);
    return neo_identity_new(key, der, chain.n, ret, err);
}

struct neo_identity *neo_identity_ref(struct neo_identity *identity)
{
    atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
    return identity;
}

void neo_identity_unref(struct neo_identity *identity)
{
    if (identity == NULL ||
        atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < identity->n; i++)
        neo_cert_unref(identity->chain[i]);
    neo_key_unref(identity->key);
    neo_free(identity);
}

const struct neo_cert *neo_identity_leaf(const struct neo_identity *identity)
{
    return identity->chain[0];
}

size_t neo_identity_chain_length(const struct neo_identity *identity)
{
    return identity->n;
}

const struct neo_cert *neo_identity_chain(const struct neo_identity *identity, size_t i)
{
    return identity->chain[i];
}

struct neo_key *neo_identity_key(const struct neo_identity *identity)
{
    return identity->key;
}
