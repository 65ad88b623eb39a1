/* SPDX-License-Identifier: Apache-2.0 */
#include "support/openssl_memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static unsigned long countdown;
static unsigned long allocations;

static bool must_fail(void)
{
    allocations++;
    if (countdown == 0)
        return false;
    if (countdown == 1)
        return true; /* stays: once memory is gone, it is gone */
    countdown--;
    return false;
}

static void *take(size_t size, const char *file __attribute__((unused)),
                  int line __attribute__((unused)))
{
    return must_fail() ? NULL : malloc(size);
}

static void *resize(void *old, size_t size, const char *file __attribute__((unused)),
                    int line __attribute__((unused)))
{
    return must_fail() ? NULL : realloc(old, size);
}

static void give_back(void *memory, const char *file __attribute__((unused)),
                      int line __attribute__((unused)))
{
    free(memory);
}

bool openssl_memory_install(void)
{
    return CRYPTO_set_mem_functions(take, resize, give_back) == 1;
}

void openssl_memory_fail_at(unsigned long n)
{
    countdown = n;
}

unsigned long openssl_memory_count(void)
{
    unsigned long n = allocations;

    allocations = 0;
    return n;
}
