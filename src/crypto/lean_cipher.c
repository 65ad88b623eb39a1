/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function that makes a context is told of its provider and of nothing else; so each cipher that
 * is wrapped has one of its own, which knows the function behind it.
 */
#include "crypto/lean_cipher.h"

#include <neo/bytes.h>

#include <string.h>

enum { CIPHERS = 3, FUNCTIONS = 32 };

struct cipher {
    OSSL_FUNC_cipher_newctx_fn *make; /* the default provider's */
    OSSL_DISPATCH functions[FUNCTIONS];
};

static struct cipher ciphers[CIPHERS];
static size_t n_ciphers;

static _Thread_local struct lean_ciphers *noted;

void lean_cipher_note(struct lean_ciphers *into)
{
    noted = into;
}

static void *make(const struct cipher *c, void *provider)
{
    void *context = c->make(provider);

    if (noted != NULL && context != NULL) {
        for (size_t i = LEAN_CIPHERS_NOTED - 1; i > 0; i--)
            noted->at[i] = noted->at[i - 1];
        noted->at[0] = context;
    }
    return context;
}

static void *make_first(void *provider)
{
    return make(&ciphers[0], provider);
}

static void *make_second(void *provider)
{
    return make(&ciphers[1], provider);
}

static void *make_third(void *provider)
{
    return make(&ciphers[2], provider);
}

static size_t count(const OSSL_DISPATCH *functions)
{
    size_t n = 0;

    while (functions[n].function_id != 0)
        n++;
    return n;
}

const OSSL_DISPATCH *lean_cipher_noting(const OSSL_DISPATCH *implementation)
{
    static OSSL_FUNC_cipher_newctx_fn *const makers[CIPHERS] = {make_first, make_second,
                                                                make_third};
    size_t n = count(implementation);

    if (n_ciphers == CIPHERS || n >= FUNCTIONS)
        return implementation;

    struct cipher *c = &ciphers[n_ciphers];
    memcpy(c->functions, implementation, (n + 1) * sizeof(*implementation));
    for (size_t i = 0; i < n; i++) {
        if (c->functions[i].function_id != OSSL_FUNC_CIPHER_NEWCTX)
            continue;
        c->make = OSSL_FUNC_cipher_newctx(&c->functions[i]);
        c->functions[i].function = (void (*)(void))makers[n_ciphers];
        n_ciphers++;
        return c->functions;
    }
    return implementation;
}
