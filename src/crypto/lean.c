/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/lean.h"

#include "crypto/lean_cipher.h"
#include "crypto/lean_ec.h"

#include <neo/bytes.h>

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

enum { MOST = 24 }; /* algorithms of an operation */

/* What is handed on. A name is the first one of an algorithm; NULL: all of the operation. */
struct wanted {
    int operation;
    const char *const *names;
};

static const char *const digests[] = {"SHA1", "SHA2-256", "SHA2-384", "SHA2-512", NULL};
static const char *const ciphers[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", NULL};
static const char *const macs[] = {"HMAC", NULL};
static const char *const kdfs[] = {"HKDF", "TLS13-KDF", NULL};
static const char *const keys[] = {"EC", "X25519", "ED25519", "ML-KEM-768", "X25519MLKEM768", NULL};
static const char *const exchanges[] = {"ECDH", "X25519", NULL};
static const char *const signatures[] = {"ECDSA", "ED25519", NULL};
static const char *const kems[] = {"ML-KEM-768", "X25519MLKEM768", NULL};
static const char *const decoders[] = {"EC", "ED25519", NULL};

static const struct wanted wanted[] = {
    {OSSL_OP_DIGEST, digests},
    {OSSL_OP_CIPHER, ciphers},
    {OSSL_OP_MAC, macs},
    {OSSL_OP_KDF, kdfs},
    {OSSL_OP_KEYMGMT, keys},
    {OSSL_OP_KEYEXCH, exchanges},
    {OSSL_OP_SIGNATURE, signatures},
    {OSSL_OP_KEM, kems},
    {OSSL_OP_DECODER, decoders},
    {OSSL_OP_RAND, NULL},
};

static struct {
    pthread_once_t once;
    OSSL_LIB_CTX *all; /* where the default provider is */
    OSSL_PROVIDER *from;
    OSSL_LIB_CTX *lean;
    OSSL_PROVIDER *ours;
    OSSL_ALGORITHM algorithms[NEO_COUNT(wanted)][MOST + 1]; /* ended by one without a name */
} lib = {.once = PTHREAD_ONCE_INIT};

/* --- the choice ---------------------------------------------------------------------------- */

/* "EC:id-ecPublicKey:1.2.840.10045.2.1" is EC. */
static bool is_named(const OSSL_ALGORITHM *algorithm, const char *name)
{
    size_t len = strcspn(algorithm->algorithm_names, ":");

    return strlen(name) == len && strncasecmp(algorithm->algorithm_names, name, len) == 0;
}

static bool is_wanted(const OSSL_ALGORITHM *algorithm, const struct wanted *w)
{
    if (w->operation == OSSL_OP_DECODER &&
        (strstr(algorithm->property_definition, "input=der") == NULL ||
         strstr(algorithm->property_definition, "structure=SubjectPublicKeyInfo") == NULL))
        return false;
    if (w->names == NULL)
        return true;
    for (size_t i = 0; w->names[i] != NULL; i++)
        if (is_named(algorithm, w->names[i]))
            return true;
    return false;
}

static void choose(const struct wanted *w, OSSL_ALGORITHM *into)
{
    int no_cache = 0;
    const OSSL_ALGORITHM *each = OSSL_PROVIDER_query_operation(lib.from, w->operation, &no_cache);
    size_t n = 0;

    for (; each != NULL && each->algorithm_names != NULL && n < MOST; each++)
        if (is_wanted(each, w))
            into[n++] = *each;
}

/* --- the provider -------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *query(void *unused __attribute__((unused)), int operation,
                                   int *ret_no_cache)
{
    *ret_no_cache = 0;
    for (size_t i = 0; i < NEO_COUNT(wanted); i++)
        if (wanted[i].operation == operation)
            return lib.algorithms[i];
    return NULL;
}

/* The groups of TLS. */
static int get_capabilities(void *unused __attribute__((unused)), const char *capability,
                            OSSL_CALLBACK *callback, void *own)
{
    return OSSL_PROVIDER_get_capabilities(lib.from, capability, callback, own);
}

static OSSL_ALGORITHM *find(int operation, const char *name)
{
    for (size_t i = 0; i < NEO_COUNT(wanted); i++)
        for (OSSL_ALGORITHM *each = lib.algorithms[i];
             wanted[i].operation == operation && each->algorithm_names != NULL; each++)
            if (is_named(each, name))
                return each;
    return NULL;
}

/* Keys that are remembered, in place of the default provider's, if they can be. */
static void use_our_keys(const OSSL_DISPATCH *core, void *context)
{
    OSSL_ALGORITHM *key = find(OSSL_OP_KEYMGMT, "EC"), *decoder = find(OSSL_OP_DECODER, "EC");

    if (key == NULL || decoder == NULL || !lean_ec_begin(core, key->implementation, context))
        return;
    key->implementation = lean_ec_keys();
    decoder->implementation = lean_ec_decoder();
}

/* The default provider's ciphers, which note where they keep their keys. */
static void use_noted_ciphers(void)
{
    for (size_t i = 0; ciphers[i] != NULL; i++) {
        OSSL_ALGORITHM *cipher = find(OSSL_OP_CIPHER, ciphers[i]);
        if (cipher != NULL)
            cipher->implementation = lean_cipher_noting(cipher->implementation);
    }
}

static int provider_init(const OSSL_CORE_HANDLE *handle __attribute__((unused)),
                         const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                         void **provider_context)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities},
        {0, NULL},
    };

    *out = functions;
    *provider_context = OSSL_PROVIDER_get0_provider_ctx(lib.from); /* its code, its context */
    use_our_keys(in, *provider_context);
    use_noted_ciphers();
    return 1;
}

/* --- making -------------------------------------------------------------------------------- */

/* Of what was made, the last first. With OpenSSL's own end, before it forgets its locks. */
static void forget(void)
{
    lean_ec_end();
    if (lib.ours != NULL)
        (void)OSSL_PROVIDER_unload(lib.ours);
    lib.ours = NULL;
    OSSL_LIB_CTX_free(lib.lean);
    lib.lean = NULL;
    if (lib.from != NULL)
        (void)OSSL_PROVIDER_unload(lib.from);
    lib.from = NULL;
    OSSL_LIB_CTX_free(lib.all);
    lib.all = NULL;
}

static bool make(void)
{
    lib.all = OSSL_LIB_CTX_new();
    lib.from = lib.all == NULL ? NULL : OSSL_PROVIDER_load(lib.all, "default");
    lib.lean = lib.from == NULL ? NULL : OSSL_LIB_CTX_new();
    if (lib.lean == NULL)
        return false;
    for (size_t i = 0; i < NEO_COUNT(wanted); i++)
        choose(&wanted[i], lib.algorithms[i]);
    if (OSSL_PROVIDER_add_builtin(lib.lean, "neo", provider_init) == 1)
        lib.ours = OSSL_PROVIDER_load(lib.lean, "neo");
    return lib.ours != NULL && OPENSSL_atexit(forget) == 1;
}

static void make_once(void)
{
    if (make())
        return;
    ERR_clear_error();
    forget();
}

OSSL_LIB_CTX *lean_library(void)
{
    (void)pthread_once(&lib.once, make_once);
    return lib.lean;
}
