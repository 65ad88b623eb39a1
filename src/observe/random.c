/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace gets three words and every call a trace, so those come from a small
 * generator (xoshiro256**: 256 bits of state, enough for 128-bit names) that each
 * thread seeds once. The names of decisions give access to an explanation; they
 * come from the kernel, fetched in blocks because a system call costs as much as
 * the whole record.
 */
#include "observe/random.h"

#include <neo/digest.h>

#include <pthread.h>
#include <stdatomic.h>

enum { BLOCK = 64 };

struct source {
    unsigned process; /* in which it was filled; see `current_process` */
    uint64_t state[4];
    uint64_t block[BLOCK];
    unsigned left;
};

static _Thread_local struct source source;

/* Changes in the child of a fork, which would otherwise repeat its parent's numbers. */
static _Atomic unsigned current_process = 1;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static void become_another(void)
{
    atomic_fetch_add_explicit(&current_process, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, become_another);
}

__attribute__((noinline)) static void start(struct source *s, unsigned process)
{
    (void)pthread_once(&watch_once, watch_forks);
    neo_random(s->state, sizeof(s->state));
    s->state[0] |= 1; /* all zeros would stay zeros */
    s->left = 0;
    s->process = process;
}

static struct source *ready(void)
{
    unsigned process = atomic_load_explicit(&current_process, memory_order_relaxed);
    struct source *s = &source;

    if (s->process != process)
        start(s, process);
    return s;
}

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

uint64_t random_step(uint64_t s[static 4])
{
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_distinct(void)
{
    return random_step(ready()->state);
}

void random_distinct_words(uint64_t *ret, size_t n)
{
    struct source *s = ready();

    for (size_t i = 0; i < n; i++)
        ret[i] = random_step(s->state);
}

uint64_t random_unguessable(void)
{
    struct source *s = ready();

    if (s->left == 0) {
        neo_random(s->block, sizeof(s->block));
        s->left = BLOCK;
    }
    uint64_t word = s->block[--s->left];
    s->block[s->left] = 0; /* what was given out is not kept */
    return word;
}
