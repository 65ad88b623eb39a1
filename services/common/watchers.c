/* SPDX-License-Identifier: Apache-2.0 */
#include "common/watchers.h"

#include <neo/memory.h>

#include <stdio.h>

struct watcher {
    struct watcher *next; /* this and `posted` under the list's lock */
    bool posted;
    struct watchers *list;
    struct neo_call *call; /* referenced */
    struct neo_job job;
    bool over; /* these three the call's worker only */
    bool full; /* the stream holds enough: send when it is writable */
    bool stale;
    char key[64];
};

void watchers_init(struct watchers *list, watch_send_fn *send, void *self)
{
    *list = (struct watchers){.send = send, .self = self};
    (void)pthread_mutex_init(&list->lock, NULL);
}

void watchers_fini(struct watchers *list)
{
    (void)pthread_mutex_destroy(&list->lock);
}

static void release(struct watcher *w)
{
    neo_call_unref(w->call);
    neo_free(w);
}

/* One snapshot waits in a stream at most: who does not read makes us hold no more than that. */
static void send_present(struct watcher *w)
{
    w->stale = w->full;
    if (!w->full)
        w->full = w->list->send(w->call, w->key, w->list->self) == NEO_FLOW_FULL;
}

static void deliver(struct neo_job *job)
{
    struct watcher *w = neo_owner(job, struct watcher, job);

    (void)pthread_mutex_lock(&w->list->lock);
    w->posted = false;
    (void)pthread_mutex_unlock(&w->list->lock);
    if (w->over)
        release(w);
    else
        send_present(w);
}

static void writable(struct neo_call *call, void *state)
{
    struct watcher *w = state;

    (void)call;
    w->full = false;
    if (w->stale)
        send_present(w);
}

static void done(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct watcher *w = state;

    (void)call;
    (void)status;
    (void)pthread_mutex_lock(&w->list->lock);
    for (struct watcher **at = &w->list->first; *at != NULL; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    bool posted = w->posted;
    (void)pthread_mutex_unlock(&w->list->lock);
    w->over = true;
    if (!posted)
        release(w); /* else its job does */
}

static const struct neo_stream_events events = {.writable = writable, .done = done};

void watchers_add(struct watchers *list, struct neo_call *call, struct neo_bytes key)
{
    struct watcher *w = neo_alloc(sizeof(*w));

    if (w == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *w = (struct watcher){.list = list, .call = neo_call_ref(call), .job = {.run = deliver}};
    (void)snprintf(w->key, sizeof(w->key), "%.*s", NEO_FMT(key));
    (void)pthread_mutex_lock(&list->lock);
    w->next = list->first;
    list->first = w;
    (void)pthread_mutex_unlock(&list->lock);
    neo_call_on_stream(call, &events, w);
    send_present(w);
}

void watchers_tell(struct watchers *list)
{
    (void)pthread_mutex_lock(&list->lock);
    for (struct watcher *w = list->first; w != NULL; w = w->next)
        if (!w->posted) {
            w->posted = true;
            neo_call_run(w->call, &w->job);
        }
    (void)pthread_mutex_unlock(&list->lock);
}
