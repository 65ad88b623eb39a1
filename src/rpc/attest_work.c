/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/attest_work.h"

#include <assert.h>

/* A machine has one secure processor, or one quoting enclave: asking it twice at once is no faster.
 */
struct neo_lane attest_judging = {.width = 2, .length = 64};
struct neo_lane attest_quoting = {.width = 1, .length = 32};

static struct attest_work *work_of(struct neo_job *job)
{
    return neo_owner(neo_owner(job, struct neo_task, job), struct attest_work, task);
}

static void settled(struct neo_job *job)
{
    struct attest_work *w = work_of(job);

    w->busy = false;
    w->state = w->result;
    w->done(w);
}

static bool send_away(struct attest_work *w, struct neo_loop *loop, struct neo_lane *lane,
                      neo_job_fn *work)
{
    w->result = ATTEST_REFUSED;
    w->task = (struct neo_task){.work = work, .done = settled};
    w->busy = neo_loop_offload_in(loop, lane, &w->task);
    return w->busy;
}

static bool is_unwanted(struct attest_work *w)
{
    return atomic_load_explicit(&w->unwanted, memory_order_relaxed);
}

/* --- judging ----------------------------------------------------------------------------- */

static void judge_there(struct neo_job *job)
{
    struct attest_work *w = work_of(job);

    if (!is_unwanted(w))
        w->result =
            attest_session_feed(w->session, neo_buffer_bytes(&w->in), w->wall, w->now, &w->out);
}

enum attest_progress attest_work_feed(struct attest_work *w, struct neo_loop *loop,
                                      struct neo_bytes frame)
{
    assert(!w->busy);
    neo_buffer_clear(&w->out);
    w->wall = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    w->now = neo_loop_now(loop); /* a verdict's life begins when its evidence came */
    if (!attest_session_is_dear(w->session, frame)) {
        w->state = attest_session_feed(w->session, frame, w->wall, w->now, &w->out);
        return ATTEST_SETTLED;
    }
    neo_buffer_clear(&w->in);
    if (!neo_buffer_append(&w->in, frame) || !send_away(w, loop, &attest_judging, judge_there))
        return ATTEST_FULL;
    return ATTEST_BUSY;
}

/* --- quoting ----------------------------------------------------------------------------- */

static enum attest_state quote(struct attest_work *w)
{
    neo_buffer_clear(&w->body);
    neo_buffer_clear(&w->certificates);
    /* An empty body tells the session that there is none. */
    if (w->attester == NULL || w->attester->attest(w->attester, attest_session_binder(w->session),
                                                   &w->body, &w->certificates, NULL) != NEO_OK)
        neo_buffer_clear(&w->body);
    return attest_session_evidence(w->session, neo_buffer_bytes(&w->body),
                                   neo_buffer_bytes(&w->certificates), &w->out);
}

static void quote_there(struct neo_job *job)
{
    struct attest_work *w = work_of(job);

    if (!is_unwanted(w))
        w->result = quote(w);
}

enum attest_progress attest_work_quote(struct attest_work *w, struct neo_loop *loop)
{
    assert(!w->busy);
    neo_buffer_clear(&w->out);
    if (w->attester == NULL || w->attester->is_fast) {
        w->state = quote(w);
        return ATTEST_SETTLED;
    }
    return send_away(w, loop, &attest_quoting, quote_there) ? ATTEST_BUSY : ATTEST_FULL;
}

/* --- life -------------------------------------------------------------------------------- */

void attest_work_forget(struct attest_work *w)
{
    atomic_store_explicit(&w->unwanted, true, memory_order_relaxed);
}

void attest_work_fini(struct attest_work *w)
{
    assert(!w->busy);
    attest_session_free(w->session);
    w->session = NULL;
    neo_buffer_fini(&w->in);
    neo_buffer_fini(&w->out);
    neo_buffer_fini(&w->body);
    neo_buffer_fini(&w->certificates);
}
