/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard/spin.h - waiting for another core to finish a few instructions.
 *
 * For critical sections of nanoseconds that neither block nor allocate, where a
 * mutex would cost more than what it protects. A holder can be preempted, so
 * after a moment the waiter gives its core away.
 */
#ifndef NEO_GUARD_SPIN_H
#define NEO_GUARD_SPIN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

enum { SPIN_ROUNDS = 64 };

static inline void spin_wait(unsigned *rounds)
{
    if (++*rounds > SPIN_ROUNDS) {
        (void)sched_yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static inline void spin_lock(_Atomic uint32_t *lock)
{
    unsigned rounds = 0;

    while (atomic_exchange_explicit(lock, 1, memory_order_acquire) != 0)
        while (atomic_load_explicit(lock, memory_order_relaxed) != 0)
            spin_wait(&rounds);
}

static inline void spin_unlock(_Atomic uint32_t *lock)
{
    atomic_store_explicit(lock, 0, memory_order_release);
}

#endif
