/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches.
 *
 * libuv closes a handle later than it is asked to, but an owner that stops watching
 * may be freed at once. So the handle sits in a slot that belongs to the loop:
 * unwatching parts the two, and the slot is used again when libuv has let go.
 *
 * Telling libuv what to watch for costs two system calls, so it is told only what
 * is new: a connection that only reads is never touched again.
 *
 * With very many connections each one that is ready is in no cache. So then one is not called as
 * libuv finds it, but a few places later: meanwhile its memory is fetched, step by step, while
 * others before it are at work. The order stays, and all are called before the turn goes on.
 */
#include "io/loop.h"

#include <neo/memory.h>

#include <assert.h>

#define PAUSE (100 * NEO_NSEC_PER_MSEC)

struct net_slot {
    struct list node;
    uv_poll_t poll;
    struct net_watch *watch; /* NULL: given up */
    unsigned armed;          /* what libuv watches for at present */
    unsigned came;           /* events that it is not called for yet */
    unsigned warmed;         /* steps made */
    bool paused;
};

static_assert((int)NET_READ == (int)UV_READABLE && (int)NET_WRITE == (int)UV_WRITABLE,
              "libuv's events are passed on as they are");

static void on_ready(uv_poll_t *poll, int status, int events);

static void adjust(struct net_slot *slot)
{
    unsigned want = slot->paused ? 0 : slot->watch->want;

    if (slot->armed == want)
        return;
    slot->armed = want;
    /* Fails only for a handle that is closing or a descriptor watched twice: neither is here. */
    int result = uv_poll_start(&slot->poll, (int)want, on_ready);
    assert(result == 0);
    (void)result;
}

static void warm_more(struct net_slot *slot)
{
    if (slot->warmed < NET_WARM_STEPS)
        slot->watch->warm(slot->watch, slot->warmed++);
}

static void call(struct net_slot *slot, unsigned events)
{
    struct net_watch *watch = slot->watch;

    watch->ready(watch, events);
    if (slot->watch != NULL) /* ready() did not end the watch */
        adjust(slot);
}

/* Whoever was called meanwhile may have ended this watch, or changed what it is for. */
static void call_first(struct neo_loop *loop)
{
    struct net_slot *slot = loop->watch.ahead[0];

    loop->watch.n_ahead--;
    for (size_t i = 0; i < loop->watch.n_ahead; i++)
        loop->watch.ahead[i] = loop->watch.ahead[i + 1];
    unsigned came = slot->came;
    slot->came = 0;
    if (slot->watch == NULL)
        return;
    while (slot->warmed < NET_WARM_STEPS)
        warm_more(slot);
    if (slot->armed != 0)
        came &= slot->watch->want;
    if (came != 0)
        call(slot, came);
}

void watch_warm(struct neo_loop *loop)
{
    for (size_t i = 0; i < loop->watch.n_ahead; i++)
        if (loop->watch.ahead[i]->watch != NULL)
            warm_more(loop->watch.ahead[i]);
}

void watch_call_all(struct neo_loop *loop)
{
    while (loop->watch.n_ahead > 0)
        call_first(loop);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct net_slot *slot = neo_owner(poll, struct net_slot, poll);
    struct neo_loop *loop = neo_owner(poll->loop, struct neo_loop, uv);

    loop_begin_turn(loop);
    if (status < 0) {
        slot->armed = 0; /* libuv has stopped it */
        events = NET_READ | NET_WRITE;
    }
    bool waits = slot->came != 0; /* libuv may ask the kernel more than once in a turn */
    if (!waits && (slot->watch->warm == NULL || loop->watch.n_used < WATCH_MANY)) {
        call(slot, (unsigned)events);
        return;
    }
    slot->came |= (unsigned)events;
    if (waits)
        return;
    slot->warmed = 0;
    if (loop->watch.n_ahead == NEO_COUNT(loop->watch.ahead))
        call_first(loop);
    loop->watch.ahead[loop->watch.n_ahead++] = slot;
    if (slot->watch != NULL) /* the one just called may have ended it */
        warm_more(slot);
}

static struct net_slot *take_slot(struct neo_loop *loop)
{
    struct list *node = list_pop_front(&loop->watch.idle);

    if (node != NULL)
        return neo_owner(node, struct net_slot, node);
    return neo_alloc(sizeof(struct net_slot));
}

static enum neo_code open_slot(struct neo_loop *loop, struct net_watch *watch,
                               struct neo_error *err)
{
    struct net_slot *slot = take_slot(loop);

    if (slot == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to watch a socket");

    int result = uv_poll_init(&loop->uv, &slot->poll, watch->fd);
    if (result < 0) {
        list_push_front(&loop->watch.idle, &slot->node);
        return loop_fail_uv(err, result, "cannot watch socket %d", watch->fd);
    }
    slot->watch = watch;
    slot->armed = slot->came = 0;
    slot->paused = false;
    watch->slot = slot;
    list_push_back(&loop->watch.used, &slot->node);
    loop->watch.n_used++;
    return NEO_OK;
}

static void on_slot_closed(uv_handle_t *handle)
{
    struct net_slot *slot = neo_owner(handle, struct net_slot, poll);
    struct neo_loop *loop = neo_owner(handle->loop, struct neo_loop, uv);

    list_push_front(&loop->watch.idle, &slot->node);
}

enum neo_code net_watch(struct neo_loop *loop, struct net_watch *watch, unsigned want,
                        struct neo_error *err)
{
    assert(neo_loop_is_current(loop));
    assert((want & ~(unsigned)(NET_READ | NET_WRITE)) == 0);

    if (want == 0) {
        net_unwatch(loop, watch);
        return NEO_OK;
    }
    if (watch->slot == NULL)
        NEO_TRY(open_slot(loop, watch, err));
    watch->want = want;
    adjust(watch->slot);
    return NEO_OK;
}

void net_unwatch(struct neo_loop *loop, struct net_watch *watch)
{
    struct net_slot *slot = watch->slot;

    assert(neo_loop_is_current(loop));
    if (slot == NULL)
        return;
    watch->slot = NULL;
    watch->want = 0;
    slot->watch = NULL;
    list_remove(&slot->node);
    loop->watch.n_used--;
    uv_close((uv_handle_t *)&slot->poll, on_slot_closed);
}

static void resume(struct neo_timer *timer)
{
    struct neo_loop *loop = neo_owner(timer, struct neo_loop, watch.resume);

    list_each (node, &loop->watch.used) {
        struct net_slot *slot = neo_owner(node, struct net_slot, node);
        slot->paused = false;
        adjust(slot);
    }
}

void watch_pause(struct neo_loop *loop, int fd)
{
    list_each (node, &loop->watch.used) {
        struct net_slot *slot = neo_owner(node, struct net_slot, node);
        if (slot->watch->fd != fd)
            continue;
        slot->paused = true;
        adjust(slot);
        if (!neo_timer_is_armed(&loop->watch.resume))
            neo_loop_arm(loop, &loop->watch.resume, neo_loop_now(loop) + PAUSE);
        loop->watch.pauses++;
    }
}

void watch_init(struct neo_loop *loop)
{
    list_init(&loop->watch.used);
    list_init(&loop->watch.idle);
    loop->watch.resume = (struct neo_timer){.expired = resume};
}

void watch_fini(struct neo_loop *loop)
{
    for (struct list *node; (node = list_pop_front(&loop->watch.idle)) != NULL;)
        neo_free(neo_owner(node, struct net_slot, node));
}
