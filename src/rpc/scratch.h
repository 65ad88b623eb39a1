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

enum { SCRATCH_READ_SIZE = 64 * 1024 };

struct scratch {
    size_t users;
    struct h2_pool *pool;
    struct neo_buffer plain;  /* decrypted */
    struct neo_buffer framed; /* to be encrypted */
    struct neo_buffer cipher; /* to be written */
    uint8_t read[SCRATCH_READ_SIZE];
};

extern _Thread_local struct scratch *scratch;

/* Balanced, on the same thread; between them `scratch` is there. False when out of memory. */
bool scratch_enter(void);
void scratch_leave(void);

/* The buffer, emptied, and not for ever as large as the largest thing that ever passed. */
struct neo_buffer *scratch_use(struct neo_buffer *buffer);

#endif
