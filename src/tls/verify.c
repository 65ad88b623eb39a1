/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judgement of the peer, asked by OpenSSL in the middle of the handshake, in
 * place of its own: neo_trust_verify()'s, at the caller's time. The peer is told
 * only that its certificate is bad; why is in our error.
 */
#include "tls/engine.h"

#include <crypto/cert.h>
#include <crypto/lean.h>
#include <crypto/trust.h>

struct chain {
    struct neo_cert *at[CERT_CHAIN_MAX];
    size_t n;
};

static void free_chain(struct chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        neo_cert_unref(chain->at[i]);
}

static void free_der(uint8_t **der)
{
    OPENSSL_free(*der);
}

/* Read again, from its bytes: TLS has read it without its key (crypto/lean.h). */
static enum neo_code take_cert(X509 *sent, struct neo_cert **ret, struct neo_error *err)
{
    NEO_CLEANUP(free_der) uint8_t *der = NULL;
    int len = i2d_X509(sent, &der);

    if (len <= 0)
        return openssl_fail(err, NEO_RESOURCE_EXHAUSTED,
                            "peer: a certificate cannot be written out");
    return cert_from_peer(neo_bytes(der, (size_t)len), ret, err);
}

static enum neo_code take_chain(STACK_OF(X509) * sent, struct chain *ret, struct neo_error *err)
{
    int n = sk_X509_num(sent);

    if (n < 1 || n > CERT_CHAIN_MAX)
        return neo_fail(err, NEO_UNAUTHENTICATED, "peer: a chain of %d certificates, not 1 to %d",
                        n, CERT_CHAIN_MAX);
    for (int i = 0; i < n; i++) {
        NEO_TRY(take_cert(sk_X509_value(sent, i), &ret->at[i], err));
        ret->n++;
    }
    return NEO_OK;
}

/* A server that does not speak h2 is refused before it sees our certificate. */
static enum neo_code check_protocol(const struct tls *tls, struct neo_error *err)
{
    const uint8_t *protocol = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(tls->ssl, &protocol, &len);
    if (!neo_bytes_is(neo_bytes(protocol, len), "h2"))
        return neo_fail(err, NEO_UNAVAILABLE, "tls: the server does not speak h2");
    return NEO_OK;
}

static enum neo_code check_identity(const struct tls *tls, const struct neo_cert *leaf,
                                    struct neo_error *err)
{
    struct neo_bytes uri = neo_cert_facts(leaf)->uri;

    if (tls->expect != NULL && !neo_bytes_is(uri, tls->expect))
        return neo_fail(err, NEO_UNAUTHENTICATED, "peer: is %.*s, expected %.100s", NEO_FMT(uri),
                        tls->expect);
    return NEO_OK;
}

static enum neo_code judge_chain(struct tls *tls, STACK_OF(X509) * sent, struct neo_cert **ret,
                                 struct neo_error *err)
{
    NEO_CLEANUP(free_chain) struct chain chain = {0};

    NEO_TRY(take_chain(sent, &chain, err));
    NEO_TRY(trust_judge(tls->context->trust, chain.at, chain.n, tls->wall, err));
    *ret = neo_cert_ref(chain.at[0]);
    return NEO_OK;
}

/* A chain that was judged good under this trust; what may have changed since is asked again. */
static struct neo_cert *recognise(struct tls *tls, const uint8_t key[static NEO_SHA256_LEN])
{
    struct neo_cert *leaf = known_find(&tls->context->known, key);

    if (leaf == NULL)
        return NULL;
    if (neo_trust_recheck(tls->context->trust, leaf, tls->wall, NULL) == NEO_OK) {
        atomic_fetch_add_explicit(&tls->context->known.hits, 1, memory_order_relaxed);
        return leaf;
    }
    neo_cert_unref(leaf);
    return NULL; /* the whole judgement will say why */
}

/*
 * TLS goes on with the leaf that was judged, in place of its own reading of the same bytes, which
 * has no key. It looks at no other certificate of the chain any more.
 */
static enum neo_code hand_over(X509_STORE_CTX *store, const struct neo_cert *leaf,
                               struct neo_error *err)
{
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);

    if (X509_up_ref(leaf->x509) != 1)
        return openssl_fail(err, NEO_RESOURCE_EXHAUSTED, "peer: no reference to its certificate");
    X509_STORE_CTX_set_cert(store, leaf->x509);
    while (sk_X509_num(sent) > 1)
        X509_free(sk_X509_pop(sent));
    X509_free(sk_X509_value(sent, 0));
    (void)sk_X509_set(sent, 0, leaf->x509);
    return NEO_OK;
}

static enum neo_code judge(struct tls *tls, X509_STORE_CTX *store, struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = NULL;
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
    uint8_t key[NEO_SHA256_LEN];
    bool has_key = known_key(sent, key);

    if (tls->context->role == TLS_CLIENT)
        NEO_TRY(check_protocol(tls, err));
    if (has_key)
        leaf = recognise(tls, key);
    if (leaf == NULL) {
        NEO_TRY(judge_chain(tls, sent, &leaf, err));
        if (has_key)
            known_put(&tls->context->known, key, leaf);
    }
    NEO_TRY(check_identity(tls, leaf, err));
    if (!lean_reads_keys())
        NEO_TRY(hand_over(store, leaf, err));
    tls->leaf = leaf;
    leaf = NULL;
    return NEO_OK;
}

int verify_peer(X509_STORE_CTX *store, void *unused __attribute__((unused)))
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = tls_of_ssl(ssl);
    enum neo_code code = judge(tls, store, &tls->verdict);

    if (code == NEO_OK) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    if (code == NEO_INVALID_ARGUMENT)
        tls->verdict.code = NEO_UNAUTHENTICATED; /* a malformed certificate proves nothing */
    X509_STORE_CTX_set_error(store, code == NEO_RESOURCE_EXHAUSTED ? X509_V_ERR_OUT_OF_MEM
                                                                   : X509_V_ERR_CERT_REJECTED);
    return 0;
}
