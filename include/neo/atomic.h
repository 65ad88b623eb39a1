/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/atomic.h - members that several threads change, in structs that C++ may hold.
 *
 * Some structs are plain values that you embed (neo/ratelimit.h, neo/breaker.h, neo/retry.h), and
 * some of their private members are atomic. C++ has no word for these: there they are numbers of
 * the same size, which only the library touches.
 */
#ifndef NEO_ATOMIC_H
#define NEO_ATOMIC_H

#include <stdint.h>

#ifdef __cplusplus
#define NEO_ATOMIC(type) alignas(sizeof(type)) type
#else
#define NEO_ATOMIC(type) _Atomic(type)
_Static_assert(sizeof(NEO_ATOMIC(uint32_t)) == sizeof(uint32_t), "C++ sees another struct");
_Static_assert(sizeof(NEO_ATOMIC(uint64_t)) == sizeof(uint64_t), "C++ sees another struct");
#endif

#endif
