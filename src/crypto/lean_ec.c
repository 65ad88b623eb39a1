/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/lean_ec.h"

#include "crypto/spki.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>

enum {
    PLACES = 64, /* of some 3 KiB each */
    FUNCTIONS = 32,
    PUBLIC = OSSL_KEYMGMT_SELECT_PUBLIC_KEY | OSSL_KEYMGMT_SELECT_ALL_PARAMETERS,
};

struct place {
    uint8_t spki[SPKI_MAX];
    size_t len;
    void *key; /* NULL: free */
};

static struct {
    void *context;
    OSSL_FUNC_BIO_read_ex_fn *read;
    OSSL_FUNC_keymgmt_new_fn *new;
    OSSL_FUNC_keymgmt_free_fn *free;
    OSSL_FUNC_keymgmt_import_fn *import;
    OSSL_FUNC_keymgmt_dup_fn *dup;
    OSSL_DISPATCH keys[FUNCTIONS];
    pthread_rwlock_t lock;
    struct place places[PLACES];
} ec = {.lock = PTHREAD_RWLOCK_INITIALIZER};

/* --- remembering --------------------------------------------------------------------------- */

static struct place *place_of(struct neo_bytes spki)
{
    return &ec.places[spki.at[spki.len - 1] % PLACES];
}

/* A copy of the key with these bytes, or NULL. */
static void *recall(struct neo_bytes spki)
{
    void *key = NULL;

    (void)pthread_rwlock_rdlock(&ec.lock);
    const struct place *place = place_of(spki);
    if (place->key != NULL && neo_bytes_equal(spki, neo_bytes(place->spki, place->len)))
        key = ec.dup(place->key, PUBLIC);
    (void)pthread_rwlock_unlock(&ec.lock);
    return key;
}

/* A copy stays here; without memory for it the key is read again next time. */
static void remember(struct neo_bytes spki, const void *key)
{
    void *copy = ec.dup(key, PUBLIC);

    if (copy == NULL)
        return;
    (void)pthread_rwlock_wrlock(&ec.lock);
    struct place *place = place_of(spki);
    void *old = place->key;
    memcpy(place->spki, spki.at, spki.len);
    place->len = spki.len;
    place->key = copy;
    (void)pthread_rwlock_unlock(&ec.lock);
    if (old != NULL)
        ec.free(old);
}

/* --- reading ------------------------------------------------------------------------------- */

static const char *curve_of(const struct spki_form *form)
{
    switch (form->kind) {
    case NEO_KEY_P256:
        return "P-256";
    case NEO_KEY_P384:
        return "P-384";
    case NEO_KEY_ED25519:
        break;
    }
    return NULL;
}

/* OpenSSL checks that the point lies on the curve. */
static void *import(const char *curve, struct neo_bytes point)
{
    union {
        const char *in;
        char *text;
    } name = {curve}; /* OSSL_PARAM takes no const; importing only reads */
    union {
        const uint8_t *in;
        void *out;
    } octets = {point.at};
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name.text, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets.out, point.len),
        OSSL_PARAM_construct_end(),
    };
    void *key = ec.new(ec.context);

    if (key != NULL && ec.import(key, PUBLIC, params) != 1) {
        ec.free(key);
        key = NULL;
    }
    return key;
}

static void *key_of(struct neo_bytes spki)
{
    const struct spki_form *form = spki_form(spki);
    const char *curve = form == NULL ? NULL : curve_of(form);

    if (curve == NULL)
        return NULL;
    void *key = recall(spki);
    if (key != NULL)
        return key;
    /* The point begins with the byte that says "uncompressed", which ends the header. */
    key = import(curve, neo_bytes_from(spki, form->header.len - 1));
    if (key != NULL)
        remember(spki, key);
    return key;
}

static bool read_all(OSSL_CORE_BIO *from, uint8_t *at, size_t len)
{
    size_t n = 0;

    while (len > 0 && ec.read(from, at, len, &n) == 1 && n > 0) {
        at += n;
        len -= n;
    }
    return len == 0;
}

/* One SEQUENCE of the length that a key of ours can have, and not a byte more. */
static struct neo_bytes read_spki(OSSL_CORE_BIO *from, uint8_t into[static SPKI_MAX])
{
    enum { SEQUENCE = 0x30 };

    if (!read_all(from, into, 2) || into[0] != SEQUENCE || into[1] > SPKI_MAX - 2 ||
        !read_all(from, into + 2, into[1]))
        return (struct neo_bytes){0};
    return neo_bytes(into, 2U + into[1]);
}

/* --- the decoder --------------------------------------------------------------------------- */

static void *new_decoder(void *context)
{
    return context; /* it has no state; anything but NULL will do */
}

static void free_decoder(void *decoder __attribute__((unused)))
{
}

static int does_selection(void *context __attribute__((unused)), int selection)
{
    return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0;
}

/* Finding nothing is no failure; then the certificate has no key that anybody could use. */
static int decode(void *decoder __attribute__((unused)), OSSL_CORE_BIO *from, int selection,
                  OSSL_CALLBACK *give, void *own,
                  OSSL_PASSPHRASE_CALLBACK *unused __attribute__((unused)),
                  void *unused_too __attribute__((unused)))
{
    uint8_t bytes[SPKI_MAX];
    char type[] = "EC";
    int object = OSSL_OBJECT_PKEY;

    if (does_selection(NULL, selection) == 0)
        return 0;
    struct neo_bytes spki = read_spki(from, bytes);
    void *key = spki.len == 0 ? NULL : key_of(spki);
    if (key == NULL)
        return 1;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &object),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, type, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof(key)),
        OSSL_PARAM_construct_end(),
    };
    int done = give(params, own);
    if (key != NULL)
        ec.free(key); /* nobody took it */
    return done;
}

/* Takes what decode() refers to. */
static void *load(const void *reference, size_t len)
{
    union {
        const void *in;
        void **at;
    } place = {reference};

    if (len != sizeof(*place.at))
        return NULL;
    void *key = *place.at;
    *place.at = NULL;
    return key;
}

const OSSL_DISPATCH *lean_ec_decoder(void)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))new_decoder},
        {OSSL_FUNC_DECODER_FREECTX, (void (*)(void))free_decoder},
        {OSSL_FUNC_DECODER_DOES_SELECTION, (void (*)(void))does_selection},
        {OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode},
        {0, NULL},
    };

    return functions;
}

const OSSL_DISPATCH *lean_ec_keys(void)
{
    return ec.keys;
}

/* --- making -------------------------------------------------------------------------------- */

static void note(const OSSL_DISPATCH *f)
{
    switch (f->function_id) {
    case OSSL_FUNC_KEYMGMT_NEW:
        ec.new = OSSL_FUNC_keymgmt_new(f);
        break;
    case OSSL_FUNC_KEYMGMT_FREE:
        ec.free = OSSL_FUNC_keymgmt_free(f);
        break;
    case OSSL_FUNC_KEYMGMT_IMPORT:
        ec.import = OSSL_FUNC_keymgmt_import(f);
        break;
    case OSSL_FUNC_KEYMGMT_DUP:
        ec.dup = OSSL_FUNC_keymgmt_dup(f);
        break;
    default:
        break;
    }
}

bool lean_ec_begin(const OSSL_DISPATCH *core, const OSSL_DISPATCH *from, void *context)
{
    size_t n = 0;

    for (; core->function_id != 0; core++)
        if (core->function_id == OSSL_FUNC_BIO_READ_EX)
            ec.read = OSSL_FUNC_BIO_read_ex(core);
    for (; from->function_id != 0 && n < FUNCTIONS - 1; from++) {
        note(from);
        ec.keys[n++] = from->function_id == OSSL_FUNC_KEYMGMT_LOAD
                           ? (OSSL_DISPATCH){OSSL_FUNC_KEYMGMT_LOAD, (void (*)(void))load}
                           : *from;
    }
    ec.context = context;
    return from->function_id == 0 && ec.read != NULL &&
           ec.new != NULL &&ec.free != NULL &&ec.import != NULL &&ec.dup != NULL;
}

void lean_ec_end(void)
{
    for (size_t i = 0; i < PLACES; i++) {
        if (ec.places[i].key != NULL)
            ec.free(ec.places[i].key);
        ec.places[i].key = NULL;
    }
}
