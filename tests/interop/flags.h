/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interop/flags.h - "--name=value" and "--name value", as the official programs take them.
 */
#ifndef NEO_TESTS_INTEROP_FLAGS_H
#define NEO_TESTS_INTEROP_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_kind { FLAG_TEXT, FLAG_NUMBER, FLAG_BOOL };

/* `at` is a const char **, an int64_t * or a bool *. A bool may come without a value. */
struct flag {
    const char *name; /* without dashes */
    enum flag_kind kind;
    void *at;
};

/* False, after saying why on stderr, when an argument is none of the `n` flags. */
bool flags_read(int argc, char **argv, const struct flag *flags, size_t n);

#endif
