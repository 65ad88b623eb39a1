/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pages.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* 0: never fail. Otherwise the number of allocations until they do. */
static _Atomic unsigned long fail_countdown;

void neo_memory_fail_at(unsigned long n)
{
    atomic_store_explicit(&fail_countdown, n, memory_order_relaxed);
}

static bool must_fail(void)
{
    unsigned long n = atomic_load_explicit(&fail_countdown, memory_order_relaxed);

    if (n == 0)
        return false;
    if (n == 1)
        return true; /* stays: once memory is gone, it is gone */
    atomic_store_explicit(&fail_countdown, n - 1, memory_order_relaxed);
    return false;
}

void *neo_alloc(size_t size)
{
    return must_fail() ? NULL : calloc(1, size == 0 ? 1 : size);
}

void *neo_alloc_array(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        return neo_alloc(0);
    return must_fail() ? NULL : calloc(count, size);
}

void *neo_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : realloc(old, size == 0 ? 1 : size);
}

void *pages_alloc(size_t size)
{
    void *memory = MAP_FAILED;

    if (!must_fail())
        /* cppcheck-suppress invalidFunctionArg ; -1 is what an anonymous mapping has for a file */
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void pages_free(void *memory, size_t size)
{
    if (memory != NULL)
        (void)munmap(memory, size);
}

void neo_free(void *memory)
{
    free(memory);
}

char *neo_string_from(struct neo_bytes bytes)
{
    char *copy = neo_alloc(bytes.len + 1);

    if (copy != NULL && bytes.len > 0)
        memcpy(copy, bytes.at, bytes.len);
    return copy;
}

char *neo_string_dup(const char *text)
{
    return neo_string_from(neo_text(text));
}

void neo_zeroise(void *memory, size_t len)
{
    if (len > 0)
        explicit_bzero(memory, len);
}

void neo_freep(void *pointer_to_pointer)
{
    void *memory;

    memcpy(&memory, pointer_to_pointer, sizeof(memory));
    free(memory);
}
