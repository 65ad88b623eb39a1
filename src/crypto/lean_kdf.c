/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/lean_kdf.h"

#include "crypto/lean_hmac.h"

#include <neo/memory.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <string.h>

/* The default provider's, for what we do not do ourselves. */
static struct {
    void *context;
    OSSL_FUNC_kdf_newctx_fn *new;
    OSSL_FUNC_kdf_freectx_fn *free;
    OSSL_FUNC_kdf_derive_fn *derive;
    OSSL_FUNC_kdf_set_ctx_params_fn *set;
    OSSL_FUNC_kdf_get_ctx_params_fn *get;
} theirs;

struct kdf {
    void *theirs; /* NULL: nothing was set before derive() */
};

/* --- what is asked ------------------------------------------------------------------------- */

/* What libssl gives with a derivation; what it leaves out has no address. */
struct question {
    int mode;
    const struct lean_hash *hash;
    struct neo_bytes key, salt, prefix, label, data;
};

static bool take_octets(const OSSL_PARAM *p, struct neo_bytes *ret)
{
    if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data == NULL || ret->at != NULL)
        return false;
    *ret = neo_bytes(p->data, p->data_size);
    return true;
}

static bool take_hash(const OSSL_PARAM *p, const struct lean_hash **ret)
{
    if (p->data_type != OSSL_PARAM_UTF8_STRING || p->data == NULL || *ret != NULL)
        return false;
    *ret = lean_hash_named(p->data);
    return *ret != NULL;
}

static bool take_mode(const OSSL_PARAM *p, int *ret)
{
    if (p->data_type != OSSL_PARAM_INTEGER || p->data_size != sizeof(*ret) || p->data == NULL ||
        *ret >= 0)
        return false;
    memcpy(ret, p->data, sizeof(*ret));
    return *ret >= 0;
}

/* False: something else, or a second time; OpenSSL may know what that means. */
static bool take(const OSSL_PARAM *p, struct question *q)
{
    if (strcmp(p->key, OSSL_KDF_PARAM_MODE) == 0)
        return take_mode(p, &q->mode);
    if (strcmp(p->key, OSSL_KDF_PARAM_DIGEST) == 0)
        return take_hash(p, &q->hash);
    if (strcmp(p->key, OSSL_KDF_PARAM_KEY) == 0)
        return take_octets(p, &q->key);
    if (strcmp(p->key, OSSL_KDF_PARAM_SALT) == 0)
        return take_octets(p, &q->salt);
    if (strcmp(p->key, OSSL_KDF_PARAM_PREFIX) == 0)
        return take_octets(p, &q->prefix);
    if (strcmp(p->key, OSSL_KDF_PARAM_LABEL) == 0)
        return take_octets(p, &q->label);
    if (strcmp(p->key, OSSL_KDF_PARAM_DATA) == 0)
        return take_octets(p, &q->data);
    return false;
}

/* False: it is not what libssl asks, or not in full. */
static bool understand(const OSSL_PARAM params[], size_t len, struct question *q)
{
    for (; params != NULL && params->key != NULL; params++)
        if (!take(params, q))
            return false;
    if (q->hash == NULL || q->prefix.len + q->label.len > UINT8_MAX || q->data.len > UINT8_MAX)
        return false;
    if (q->mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY)
        return q->key.at != NULL && q->salt.at == NULL && len > 0 && len <= q->hash->len;
    return q->mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY && len == q->hash->len;
}

/* --- RFC 8446, 7.1 ------------------------------------------------------------------------- */

/* HKDF-Expand-Label() of at most one block: what HKDF-Expand() calls T(1). */
static void expand(const struct question *q, struct neo_bytes secret, struct neo_bytes data,
                   uint8_t *ret, size_t len)
{
    const uint8_t head[] = {0, (uint8_t)len, (uint8_t)(q->prefix.len + q->label.len)};
    const uint8_t data_len[] = {(uint8_t)data.len}, counter[] = {1};
    uint8_t block[LEAN_HASH_MAX];
    struct lean_hmac hmac;

    lean_hmac_begin(&hmac, q->hash, secret);
    lean_hmac_add(&hmac, neo_bytes(head, sizeof(head)));
    lean_hmac_add(&hmac, q->prefix);
    lean_hmac_add(&hmac, q->label);
    lean_hmac_add(&hmac, neo_bytes(data_len, sizeof(data_len)));
    lean_hmac_add(&hmac, data);
    lean_hmac_add(&hmac, neo_bytes(counter, sizeof(counter)));
    lean_hmac_end(&hmac, block);
    memcpy(ret, block, len);
    neo_zeroise(block, sizeof(block));
}

/*
 * The next of early, handshake and master secret: its salt is Derive-Secret(., "derived", "") of
 * the one before. A secret that is left out is zeros; before the first there is none.
 */
static void extract(const struct question *q, uint8_t *ret)
{
    static const uint8_t zeros[LEAN_HASH_MAX];
    uint8_t nothing[LEAN_HASH_MAX], salt[LEAN_HASH_MAX];
    size_t salt_len = 0;
    union lean_hash_state state;
    struct lean_hmac hmac;

    if (q->salt.at != NULL) {
        q->hash->begin(&state);
        q->hash->end(&state, nothing);
        expand(q, q->salt, neo_bytes(nothing, q->hash->len), salt, q->hash->len);
        salt_len = q->hash->len;
    }
    lean_hmac_begin(&hmac, q->hash, neo_bytes(salt, salt_len));
    lean_hmac_add(&hmac, q->key.at != NULL ? q->key : neo_bytes(zeros, q->hash->len));
    lean_hmac_end(&hmac, ret);
    neo_zeroise(salt, salt_len);
}

/* --- as a provider ------------------------------------------------------------------------- */

static void *new_kdf(void *context __attribute__((unused)))
{
    return neo_alloc(sizeof(struct kdf));
}

static void reset(void *own)
{
    struct kdf *kdf = own;

    if (kdf->theirs != NULL)
        theirs.free(kdf->theirs);
    kdf->theirs = NULL;
}

static void free_kdf(void *own)
{
    if (own == NULL)
        return;
    reset(own);
    neo_free(own);
}

static void *theirs_of(struct kdf *kdf)
{
    if (kdf->theirs == NULL)
        kdf->theirs = theirs.new(theirs.context);
    return kdf->theirs;
}

static int set(void *own, const OSSL_PARAM params[])
{
    void *context = params == NULL ? NULL : theirs_of(own);

    return params == NULL ? 1 : context == NULL ? 0 : theirs.set(context, params);
}

static int get(void *own, OSSL_PARAM params[])
{
    void *context = theirs_of(own);

    return context == NULL ? 0 : theirs.get(context, params);
}

static int derive(void *own, unsigned char *ret, size_t len, const OSSL_PARAM params[])
{
    struct kdf *kdf = own;
    struct question q = {.mode = -1};

    if (kdf->theirs == NULL && understand(params, len, &q)) {
        if (q.mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY)
            expand(&q, q.key, q.data, ret, len);
        else
            extract(&q, ret);
        return 1;
    }
    void *context = theirs_of(kdf);
    return context == NULL ? 0 : theirs.derive(context, ret, len, params);
}

const OSSL_DISPATCH *lean_kdf(void)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_KDF_NEWCTX, (void (*)(void))new_kdf},
        {OSSL_FUNC_KDF_FREECTX, (void (*)(void))free_kdf},
        {OSSL_FUNC_KDF_RESET, (void (*)(void))reset},
        {OSSL_FUNC_KDF_DERIVE, (void (*)(void))derive},
        {OSSL_FUNC_KDF_SET_CTX_PARAMS, (void (*)(void))set},
        {OSSL_FUNC_KDF_GET_CTX_PARAMS, (void (*)(void))get},
        {0, NULL},
    };

    return functions;
}

/* --- making -------------------------------------------------------------------------------- */

static void note(const OSSL_DISPATCH *f)
{
    switch (f->function_id) {
    case OSSL_FUNC_KDF_NEWCTX:
        theirs.new = OSSL_FUNC_kdf_newctx(f);
        break;
    case OSSL_FUNC_KDF_FREECTX:
        theirs.free = OSSL_FUNC_kdf_freectx(f);
        break;
    case OSSL_FUNC_KDF_DERIVE:
        theirs.derive = OSSL_FUNC_kdf_derive(f);
        break;
    case OSSL_FUNC_KDF_SET_CTX_PARAMS:
        theirs.set = OSSL_FUNC_kdf_set_ctx_params(f);
        break;
    case OSSL_FUNC_KDF_GET_CTX_PARAMS:
        theirs.get = OSSL_FUNC_kdf_get_ctx_params(f);
        break;
    default:
        break;
    }
}

bool lean_kdf_begin(const OSSL_DISPATCH *from, void *context)
{
    for (; from->function_id != 0; from++)
        note(from);
    theirs.context = context;
    return theirs.new != NULL &&theirs.free != NULL &&theirs.derive != NULL &&theirs.set !=
           NULL &&theirs.get != NULL;
}
