/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/warm.h - asks the caches for memory that will be touched in a while.
 *
 * A hint: nothing happens where it is wrong, not even for an address where nothing is.
 */
#ifndef NEO_BASE_WARM_H
#define NEO_BASE_WARM_H

#include <stddef.h>
#include <stdint.h>

enum { WARM_LINE = 64 };

/* Of `len` bytes from `at` on, all lines. */
static inline void warm(const void *at, size_t len)
{
    uintptr_t first = (uintptr_t)at / WARM_LINE * WARM_LINE;

    for (uintptr_t line = first; line < (uintptr_t)at + len; line += WARM_LINE)
        __builtin_prefetch((const void *)line); /* NOLINT(performance-no-int-to-ptr) */
}

#endif
