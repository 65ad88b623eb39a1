/* SPDX-License-Identifier: Apache-2.0 */
/* Calls from a loop of your own: the queue is one more descriptor in it. */
#include "guide/guide.neo.h"

#include <neo/neo.h>

#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

struct question {
    const char *symbol;
    int64_t cents;
    enum neo_code code;
};

/* Takes what is there. Returns how many calls have ended. */
static int take(struct neo_queue *queue, struct neo_arena *arena)
{
    struct neo_event event;
    struct guide_Quote quote;
    int ended = 0;

    while (neo_queue_next(queue, &event)) {
        struct question *q = event.tag;
        if (event.kind == NEO_EVENT_MESSAGE &&
            neo_event_decode(&event, &quote, arena, NULL) == NEO_OK)
            q->cents = quote.cents;
        if (event.kind == NEO_EVENT_DONE) {
            q->code = event.status->code;
            ended++;
        }
    }
    return ended;
}

static int ask(struct neo_queue *queue, struct neo_channel *channel, struct question *q)
{
    const struct neo_method *method = &guide_Market_methods[guide_Market_Price_INDEX];
    const struct guide_PriceRequest request = {.symbol = neo_text(q->symbol)};
    struct neo_queue_call *call;

    return neo_queue_start(queue, channel, method, NULL, &request, q, &call, NULL) == NEO_OK;
}

/* The loop. Other descriptors of the program stand in `loop` beside the queue's. */
static int run(int loop, struct neo_queue *queue, struct neo_channel *channel,
               struct neo_arena *arena)
{
    struct question questions[] = {{.symbol = "NEO"}, {.symbol = "GAS"}};
    struct epoll_event watch = {.events = EPOLLIN, .data.ptr = queue};
    struct epoll_event ready;
    int left = ask(queue, channel, &questions[0]) + ask(queue, channel, &questions[1]);

    if (epoll_ctl(loop, EPOLL_CTL_ADD, neo_queue_fd(queue), &watch) != 0)
        return 1;
    while (left > 0) {
        if (epoll_wait(loop, &ready, 1, 10000) != 1)
            return 1;
        if (ready.data.ptr == queue)
            left -= take(queue, arena);
    }
    for (size_t i = 0; i < NEO_COUNT(questions); i++)
        (void)printf("%s: %s, %" PRId64 "\n", questions[i].symbol, neo_code_name(questions[i].code),
                     questions[i].cents);
    return 0;
}

int main(int argc, char **argv)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_channel *channel;
    struct neo_queue *queue;
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "guide-client", &mesh, &err) != NEO_OK ||
        neo_mesh_channel(mesh, "guide-service", 0, &channel, &err) != NEO_OK ||
        neo_queue_new(&queue, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    neo_arena_init(&arena, 1 << 20);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    int status = run(loop, queue, channel, &arena);
    (void)close(loop);
    neo_queue_free(queue);
    neo_mesh_channel_free(mesh, channel);
    neo_mesh_free(mesh);
    return status;
}
