/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/scratch.h - what all connections of a thread share: the buffers that bytes pass through
 * within one turn, and the pool of streams.
 *
 * No bytes here survive the turn, so an idle connection costs no buffers.
 */
#ifndef NEO_RPC_SCRATCH_H
#define NEO_RPC_SCRATCH_H

#include "h2/h2.h"

#include <neo/buffer.h>

enum { SCRATCH_READ_SIZE = 128 * 1024 };

struct scratch {
    size_t users;
    struct h2_pool *pool;
    struct neo_buffer plain;  /* decrypted */
    struct neo_buffer framed; /* to be encrypted */
    struct neo_buffer early;  /* framed while more was being read; belongs in front of `framed` */
    struct neo_buffer cipher; /* to be written */
    uint8_t read[SCRATCH_READ_SIZE];
};

extern _Thread_local struct scratch *scratch;

/* Balanced, on the same thread; between them `scratch` is there. False when out of memory. */
bool scratch_enter(void);
void scratch_leave(void);

/* The buffer, emptied, and not for ever as large as the largest thing that ever passed. */
struct neo_buffer *scratch_use(struct neo_buffer *buffer);

/*
 * h2_feed() in small pieces. What was answered in one is framed before the next is read, unless
 * `held`, so that a call's memory is used again while it is warm in the cache.
 */
NEO_MUST_CHECK enum neo_code scratch_feed(struct h2 *h2, struct neo_bytes plain, bool held,
                                          neo_nsec now, struct neo_error *err);
/* `framed`, with what scratch_feed() has framed in this turn and nothing else. */
struct neo_buffer *scratch_framed(void);

#endif
