/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream that has run for a while is started again at once when it ends, as it
 * does whenever its connection retires; one that cannot start backs off.
 */
#include "mesh/mesh.h"

#include <neo/memory.h>

#define FIRST_WAIT (200 * NEO_NSEC_PER_MSEC)
#define LAST_WAIT  (10 * NEO_NSEC_PER_SEC)

static void arm(struct follow *f, neo_nsec wait)
{
    neo_loop_arm(f->mesh->loop, &f->again, neo_loop_now(f->mesh->loop) + wait);
}

static void on_message(struct neo_client_call *call, const void *response, void *self)
{
    struct follow *f = self;

    (void)call;
    f->failures = 0;
    f->quiet = false;
    f->heard(f, response);
}

static void on_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct follow *f = self;

    (void)call;
    f->call = NULL;
    if (f->stopped)
        return;
    if (!f->quiet)
        neo_log_info(&f->mesh->log, "mesh.stream_ended", NEO_STR("stream", f->name),
                     NEO_STR("code", neo_code_name(status->code)),
                     NEO_BYTES("why", status->message));
    f->quiet = true;
    arm(f, mesh_backoff(f->failures++, FIRST_WAIT, LAST_WAIT));
}

static const struct neo_client_events events = {.message = on_message, .done = on_done};

static void begin(struct follow *f)
{
    struct neo_error err = {0};
    struct neo_arena arena;

    neo_arena_init(&arena, 64 * 1024);
    void *request = neo_arena_calloc(&arena, 1, f->method->request->size);
    if (request != NULL) {
        f->ask(f, request);
        struct neo_call_options options = {.wait_for_ready = true};
        if (neo_channel_start(f->channel, f->method, &options, request, &events, f, &f->call,
                              &err) != NEO_OK) {
            f->call = NULL;
            arm(f, mesh_backoff(f->failures++, FIRST_WAIT, LAST_WAIT));
        }
    } else {
        arm(f, LAST_WAIT);
    }
    neo_arena_fini(&arena);
}

static void again(struct neo_timer *timer)
{
    begin(neo_owner(timer, struct follow, again));
}

void follow_start(struct follow *f)
{
    f->again.expired = again;
    f->stopped = false;
    begin(f);
}

void follow_stop(struct follow *f)
{
    if (f->mesh == NULL || f->stopped)
        return;
    f->stopped = true;
    neo_loop_disarm(f->mesh->loop, &f->again);
    if (f->call != NULL)
        neo_client_call_cancel(f->call);
}
