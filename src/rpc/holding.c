/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/holding.h"

#include "rpc/share.h"

enum {
    OF_CONNECTION = 4, /* messages */
    OF_CALLER = 8,
    DECODED_TIMES = 8,
    SMALL_TIMES = 12, /* lists of small messages, up to SMALL */
    SMALL = 16 * 1024 * 1024,
    LEAST = 512 * 1024,
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t limit_of(const struct neo_call *call, size_t messages)
{
    size_t largest = call->worker->server->largest_request;
    size_t limit = largest > SIZE_MAX / messages ? SIZE_MAX : messages * largest;

    return larger(limit, messages / OF_CONNECTION * LEAST);
}

static size_t left_of(size_t limit, size_t held)
{
    return limit > held ? limit - held : 0;
}

static void set(struct neo_call *call, size_t bytes)
{
    call->peer->holding += bytes - call->holds;
    call->peer->share->holding += bytes - call->holds;
    call->holds = bytes;
}

bool holding_note(struct neo_call *call)
{
    const struct neo_arena *arena = call->arena;
    const struct peer *p = call->peer;

    if (call->state < CALL_RUNNING) /* later it may be another thread's */
        call->arena_holds = arena->budget - arena->left;
    set(call, call->reader.partial.len + call->body.len + call->arena_holds);
    if (p->holding <= LEAST && p->share->holding <= LEAST)
        return true; /* no limit is less */
    return p->holding <= limit_of(call, OF_CONNECTION) &&
           p->share->holding <= limit_of(call, OF_CALLER);
}

void holding_end(struct neo_call *call)
{
    set(call, 0);
}

bool holding_room(const struct neo_call *call, size_t wire, size_t *ret)
{
    const struct peer *p = call->peer;
    size_t all = larger(wire > SIZE_MAX / DECODED_TIMES ? SIZE_MAX : DECODED_TIMES * wire, LEAST);
    if (wire <= SMALL / DECODED_TIMES)
        all = larger(all, smaller(SMALL_TIMES * wire, SMALL));
    *ret = all;
    if (p->holding > call->holds)
        *ret = smaller(*ret, left_of(limit_of(call, OF_CONNECTION), p->holding));
    if (p->share->holding > call->holds)
        *ret = smaller(*ret, left_of(limit_of(call, OF_CALLER), p->share->holding));
    return *ret == all;
}
