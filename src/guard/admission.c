/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs, who waits, who is turned away.
 *
 * The queue's own age tells a burst from an overload (CoDel, as servers use it):
 * a queue that was empty a moment ago will be empty again, and its calls may wait;
 * one that has not been empty for a while would only turn its length into latency
 * for everybody, so waits become short and the newest, whose callers are still
 * there, go first.
 */
#include <neo/admission.h>

#include <assert.h>

#define PATIENT   (100 * NEO_NSEC_PER_MSEC)
#define IMPATIENT (5 * NEO_NSEC_PER_MSEC)

static const unsigned SHARE_PERCENT[NEO_CRITICALITIES] = {
    [NEO_CRITICAL_PLUS] = 100,
    [NEO_CRITICAL] = 90,
    [NEO_SHEDDABLE_PLUS] = 70,
    [NEO_SHEDDABLE] = 40,
};

/* Rounded up, so that the smallest limit still serves every class. */
static bool has_room(const struct neo_admission *a, enum neo_criticality criticality)
{
    uint64_t share = ((uint64_t)a->limit * SHARE_PERCENT[criticality] + 99) / 100;

    return a->running < share;
}

static bool is_late(const struct neo_admission_ticket *t, neo_nsec now)
{
    return t->deadline != 0 && (t->deadline <= now || t->deadline - now < t->usual);
}

static bool is_overloaded(const struct neo_admission *a, neo_nsec now)
{
    return a->waiting > 0 && now >= a->empty_at + PATIENT;
}

static neo_nsec patience_ends(const struct neo_admission *a, const struct neo_admission_ticket *t,
                              neo_nsec now)
{
    return t->arrived + (is_overloaded(a, now) ? IMPATIENT : PATIENT);
}

static void add_waiting(struct neo_admission *a, struct neo_admission_ticket *t, neo_nsec now)
{
    struct neo_admission_ticket *last = a->newest[t->criticality];

    if (a->waiting++ == 0)
        a->empty_at = now;
    t->arrived = now;
    t->waiting = true;
    t->next = NULL;
    t->prev = last;
    a->newest[t->criticality] = t;
    if (last == NULL)
        a->oldest[t->criticality] = t;
    else
        last->next = t;
}

static void remove_waiting(struct neo_admission *a, struct neo_admission_ticket *t)
{
    if (t->prev == NULL)
        a->oldest[t->criticality] = t->next;
    else
        t->prev->next = t->next;
    if (t->next == NULL)
        a->newest[t->criticality] = t->prev;
    else
        t->next->prev = t->prev;
    t->waiting = false;
    a->waiting--;
}

/* Somebody as important already waits: going first would only turn the queue around. */
static bool must_queue_behind(const struct neo_admission *a, enum neo_criticality criticality)
{
    for (unsigned c = 0; c <= (unsigned)criticality; c++)
        if (a->oldest[c] != NULL)
            return true;
    return false;
}

void neo_admission_init(struct neo_admission *a, unsigned limit, unsigned queue)
{
    assert(limit >= 1);

    *a = (struct neo_admission){.limit = limit, .queue = queue};
}

enum neo_admission_verdict neo_admission_enter(struct neo_admission *a,
                                               struct neo_admission_ticket *ticket, neo_nsec now)
{
    assert((unsigned)ticket->criticality < NEO_CRITICALITIES);

    ticket->waiting = false;
    if (is_late(ticket, now))
        return NEO_ADMISSION_SHED_LATE;
    if (has_room(a, ticket->criticality) && !must_queue_behind(a, ticket->criticality)) {
        a->running++;
        return NEO_ADMISSION_RUN;
    }
    if (a->waiting >= a->queue)
        return NEO_ADMISSION_SHED_FULL;
    add_waiting(a, ticket, now);
    return NEO_ADMISSION_WAIT;
}

void neo_admission_leave(struct neo_admission *a)
{
    assert(a->running > 0);

    a->running--;
}

/* The oldest of a class loses its patience first, whoever is to run first. */
static struct neo_admission_ticket *next_expired(struct neo_admission *a, neo_nsec now,
                                                 neo_nsec *ret_wake)
{
    /* Not yet overloaded: everybody's patience may shrink when that begins. */
    neo_nsec wake = a->waiting > 0 && !is_overloaded(a, now) ? a->empty_at + PATIENT : 0;

    for (unsigned c = 0; c < NEO_CRITICALITIES; c++) {
        struct neo_admission_ticket *t = a->oldest[c];
        if (t == NULL)
            continue;
        neo_nsec ends = patience_ends(a, t, now);
        if (ends <= now)
            return t;
        if (wake == 0 || ends < wake)
            wake = ends;
    }
    *ret_wake = wake;
    return NULL;
}

static struct neo_admission_ticket *next_to_run(struct neo_admission *a, neo_nsec now)
{
    for (unsigned c = 0; c < NEO_CRITICALITIES; c++) {
        struct neo_admission_ticket *t = is_overloaded(a, now) ? a->newest[c] : a->oldest[c];
        if (t != NULL && has_room(a, (enum neo_criticality)c))
            return t;
    }
    return NULL;
}

struct neo_admission_ticket *neo_admission_next(struct neo_admission *a, neo_nsec now,
                                                enum neo_admission_verdict *ret_verdict,
                                                neo_nsec *ret_wake)
{
    struct neo_admission_ticket *t = next_to_run(a, now);

    if (t != NULL) {
        *ret_verdict = is_late(t, now) ? NEO_ADMISSION_SHED_LATE : NEO_ADMISSION_RUN;
        if (*ret_verdict == NEO_ADMISSION_RUN)
            a->running++;
        remove_waiting(a, t);
        return t;
    }
    t = next_expired(a, now, ret_wake);
    if (t != NULL) {
        *ret_verdict = is_late(t, now) ? NEO_ADMISSION_SHED_LATE : NEO_ADMISSION_SHED_FULL;
        remove_waiting(a, t);
    }
    return t;
}

void neo_admission_cancel(struct neo_admission *a, struct neo_admission_ticket *ticket)
{
    if (ticket->waiting)
        remove_waiting(a, ticket);
}

void neo_median_add(struct neo_median *m, neo_nsec sample)
{
    neo_nsec step = m->value / 32 + 1;

    if (m->value == 0)
        m->value = sample;
    else if (sample > m->value)
        m->value += step;
    else if (sample < m->value)
        m->value -= step;
}
