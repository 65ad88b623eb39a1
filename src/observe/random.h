/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe/random.h - names made of random bits.
 *
 * Both are per thread, without locks, and start anew in the child of a fork.
 */
#ifndef NEO_OBSERVE_RANDOM_H
#define NEO_OBSERVE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* One step of xoshiro256**. */
uint64_t random_step(uint64_t state[static 4]);

/* Distinct, but who sees some can compute the rest: for traces and spans. */
uint64_t random_distinct(void);
void random_distinct_words(uint64_t *ret, size_t n);
/* From the kernel's generator: nobody can guess it. */
uint64_t random_unguessable(void);

#endif
