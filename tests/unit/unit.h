/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit.h - cmocka with less noise.
 *
 * A test is named as a promise the module makes, so that a failure reads as the
 * promise that was broken: "FAILED refusal_says_exactly_when_to_return". A test
 * that main() forgets to list is an unused function, hence a compile error.
 */
#ifndef NEO_TESTS_UNIT_H
#define NEO_TESTS_UNIT_H

/* cmocka.h does not include what it needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEST(name) static void name(void **state __attribute__((unused)))

/* xorshift64*: the same numbers everywhere, so that a failure can be repeated. */
static inline uint64_t unit_random(uint64_t *seed, uint64_t below)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545f4914f6cdd1d) % below;
}

#endif
