/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/span.h>

#include <neo/memory.h>

#include <stdatomic.h>

struct place {
    atomic_bool is_taken;
    uint64_t number; /* of its span, from 1; 0: none yet */
    struct neo_span span;
};

struct neo_spans {
    _Atomic uint64_t next;
    size_t capacity;
    struct place places[];
};

static bool enter(struct place *p)
{
    return !atomic_exchange_explicit(&p->is_taken, true, memory_order_acquire);
}

static void leave(struct place *p)
{
    atomic_store_explicit(&p->is_taken, false, memory_order_release);
}

struct neo_spans *neo_spans_new(size_t capacity)
{
    struct neo_spans *spans = NULL;

    if (capacity > 0 && capacity < SIZE_MAX / sizeof(struct place) - 1)
        spans = neo_alloc(sizeof(*spans) + capacity * sizeof(struct place));
    if (spans != NULL)
        spans->capacity = capacity;
    return spans;
}

void neo_spans_free(struct neo_spans *spans)
{
    neo_free(spans);
}

void neo_spans_add(struct neo_spans *spans, const struct neo_span *span)
{
    if (spans == NULL)
        return;

    uint64_t number = 1 + atomic_fetch_add_explicit(&spans->next, 1, memory_order_relaxed);
    struct place *p = &spans->places[number % spans->capacity];

    if (!enter(p))
        return;
    if (number > p->number) { /* not when a later span overtook us */
        p->number = number;
        p->span = *span;
    }
    leave(p);
}

size_t neo_spans_last(struct neo_spans *spans, struct neo_span *ret, size_t n)
{
    uint64_t latest = atomic_load_explicit(&spans->next, memory_order_relaxed);
    size_t found = 0;

    for (uint64_t back = 0; back < spans->capacity && back < latest && found < n; back++) {
        struct place *p = &spans->places[(latest - back) % spans->capacity];
        if (!enter(p))
            continue;
        if (p->number == latest - back)
            ret[found++] = p->span;
        leave(p);
    }
    return found;
}
