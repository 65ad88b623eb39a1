/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/channelz.h"

#include <grpc/channelz/v1/channelz.neo.h>

#include <neo/memory.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { VIEW_BUDGET = 8 << 20, PATIENCE_SECONDS = 2 };

static atomic_int_fast64_t last_id;

static struct {
    pthread_mutex_t lock;
    struct list channels; /* in the order of their ids */
} registry = {PTHREAD_MUTEX_INITIALIZER, {&registry.channels, &registry.channels}};

int64_t channelz_new_id(void)
{
    return atomic_fetch_add(&last_id, 1) + 1;
}

void channelz_enter(struct channelz_entry *entry, struct neo_loop *loop)
{
    (void)pthread_mutex_lock(&registry.lock);
    entry->id = channelz_new_id();
    entry->loop = loop;
    list_push_back(&registry.channels, &entry->link);
    (void)pthread_mutex_unlock(&registry.lock);
}

void channelz_leave(struct channelz_entry *entry)
{
    (void)pthread_mutex_lock(&registry.lock);
    if (entry->id != 0)
        list_remove(&entry->link);
    entry->id = 0;
    (void)pthread_mutex_unlock(&registry.lock);
}

/* The lock is held. */
static struct channelz_entry *find(int64_t from, bool exactly)
{
    list_each (link, &registry.channels) {
        struct channelz_entry *entry = neo_owner(link, struct channelz_entry, link);
        if (entry->id == from || (!exactly && entry->id > from))
            return entry;
    }
    return NULL;
}

int64_t channelz_next(int64_t from)
{
    (void)pthread_mutex_lock(&registry.lock);
    const struct channelz_entry *entry = find(from, false);
    int64_t id = entry == NULL ? 0 : entry->id;
    (void)pthread_mutex_unlock(&registry.lock);
    return id;
}

/* --- looking ---------------------------------------------------------------------------------- */

struct look {
    struct channelz_view view; /* first: it is what is given */
    struct neo_job job;
    int64_t id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

void channelz_view_free(struct channelz_view *view)
{
    struct look *l = neo_owner(view, struct look, view);

    if (atomic_fetch_sub(&view->refs, 1) > 1)
        return;
    neo_arena_fini(&view->arena);
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->lock);
    neo_free(l);
}

/* On the channel's loop, where it also leaves the list: so one that is still there stays. */
static void look_run(struct neo_job *job)
{
    struct look *l = neo_owner(job, struct look, job);

    (void)pthread_mutex_lock(&registry.lock);
    struct channelz_entry *entry = find(l->id, true);
    (void)pthread_mutex_unlock(&registry.lock);
    if (entry != NULL)
        channelz_fill(entry, &l->view);
    (void)pthread_mutex_lock(&l->lock);
    l->done = true;
    (void)pthread_cond_signal(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
    channelz_view_free(&l->view);
}

static struct look *new_look(int64_t id)
{
    struct look *l = neo_alloc(sizeof(*l));

    if (l == NULL)
        return NULL;
    l->id = id;
    l->job.run = look_run;
    atomic_init(&l->view.refs, 2);
    neo_arena_init(&l->view.arena, VIEW_BUDGET);
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->changed, NULL);
    return l;
}

/* Under the lock: a channel that is in the list has a loop that still runs its jobs. */
static bool post(struct look *l)
{
    (void)pthread_mutex_lock(&registry.lock);
    struct channelz_entry *entry = find(l->id, true);
    if (entry != NULL)
        neo_loop_post(entry->loop, &l->job);
    (void)pthread_mutex_unlock(&registry.lock);
    return entry != NULL;
}

static bool wait_for(struct look *l)
{
    int64_t wall = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    const struct timespec until = {.tv_sec = (time_t)(wall + PATIENCE_SECONDS)};
    int rc = 0;

    (void)pthread_mutex_lock(&l->lock);
    while (!l->done && rc == 0)
        rc = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    bool done = l->done;
    (void)pthread_mutex_unlock(&l->lock);
    return done;
}

struct channelz_view *channelz_look(int64_t id)
{
    struct look *l = new_look(id);

    if (l == NULL)
        return NULL;
    if (!post(l)) {
        channelz_view_free(&l->view); /* the job's */
        channelz_view_free(&l->view);
        return NULL;
    }
    if (wait_for(l) && l->view.channel != NULL)
        return &l->view;
    channelz_view_free(&l->view);
    return NULL;
}

/* --- times ------------------------------------------------------------------------------------ */

struct google_protobuf_Timestamp *channelz_time(struct neo_arena *arena, neo_nsec mono)
{
    struct google_protobuf_Timestamp *t = mono == 0 ? NULL : neo_arena_calloc(arena, 1, sizeof(*t));
    int64_t wall;

    if (t == NULL)
        return NULL;
    wall = neo_wall_nsec() - (int64_t)(neo_mono_nsec() - mono);
    t->seconds = wall / (int64_t)NEO_NSEC_PER_SEC;
    t->nanos = (int32_t)(wall % (int64_t)NEO_NSEC_PER_SEC);
    return t;
}

/* --- traces ----------------------------------------------------------------------------------- */

void channelz_note(struct channelz_trace *trace, neo_nsec now, bool warning, int64_t subchannel,
                   const char *text)
{
    struct channelz_event *e = &trace->events[trace->n++ % CHANNELZ_EVENTS_KEPT];

    if (trace->created == 0)
        trace->created = now;
    *e = (struct channelz_event){.at = now, .subchannel = subchannel, .warning = warning};
    (void)snprintf(e->text, sizeof(e->text), "%s", text);
}

static struct grpc_channelz_v1_ChannelTraceEvent *event_of(struct neo_arena *arena,
                                                           const struct channelz_event *e)
{
    struct grpc_channelz_v1_ChannelTraceEvent *t = neo_arena_calloc(arena, 1, sizeof(*t));
    struct grpc_channelz_v1_SubchannelRef *ref = neo_arena_calloc(arena, 1, sizeof(*ref));

    if (t == NULL || ref == NULL)
        return NULL;
    t->description = neo_arena_copy(arena, neo_text(e->text));
    t->severity = e->warning ? grpc_channelz_v1_ChannelTraceEvent_CT_WARNING
                             : grpc_channelz_v1_ChannelTraceEvent_CT_INFO;
    t->timestamp = channelz_time(arena, e->at);
    if (e->subchannel != 0) {
        ref->subchannel_id = e->subchannel;
        t->subchannel_ref = ref;
        t->child_ref_case = grpc_channelz_v1_ChannelTraceEvent_subchannel_ref_FIELD;
    }
    return t;
}

struct grpc_channelz_v1_ChannelTrace *channelz_trace(struct neo_arena *arena,
                                                     const struct channelz_trace *trace)
{
    struct grpc_channelz_v1_ChannelTrace *t = neo_arena_calloc(arena, 1, sizeof(*t));
    struct grpc_channelz_v1_ChannelTraceEvent **events =
        neo_arena_calloc(arena, CHANNELZ_EVENTS_KEPT, sizeof(*events));
    size_t n = trace->n < CHANNELZ_EVENTS_KEPT ? (size_t)trace->n : CHANNELZ_EVENTS_KEPT;

    if (t == NULL || events == NULL)
        return NULL;
    t->num_events_logged = (int64_t)trace->n;
    t->creation_timestamp = channelz_time(arena, trace->created);
    for (size_t i = 0; i < n; i++) {
        events[i] = event_of(arena, &trace->events[(trace->n - n + i) % CHANNELZ_EVENTS_KEPT]);
        if (events[i] == NULL)
            return NULL;
    }
    t->events.at = events;
    t->events.len = n;
    return t;
}
