/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/span.h - the calls that ended last, for a look at what goes on.
 *
 * A ring of fixed size: a new span takes the place of the oldest. Nobody waits: a
 * span that meets a reader, or another span, in its place is dropped.
 *
 * Threads   Safe anywhere.
 */
#ifndef NEO_SPAN_H
#define NEO_SPAN_H

#include <neo/error.h>
#include <neo/time.h>
#include <neo/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_span {
    struct neo_trace trace;
    uint8_t parent[8]; /* zeros: none */
    char name[80];     /* "package.Service/Method"; longer ones are cut */
    int64_t wall_nsec; /* when it began */
    neo_nsec duration;
    enum neo_code code;
};

struct neo_spans;

/* Keeps the last `capacity`; NULL when out of memory. Release with neo_spans_free(). */
struct neo_spans *neo_spans_new(size_t capacity);
void neo_spans_free(struct neo_spans *spans);

/* On NULL does nothing. */
void neo_spans_add(struct neo_spans *spans, const struct neo_span *span);
/* Copies up to `n`, the latest first, and returns how many. */
size_t neo_spans_last(struct neo_spans *spans, struct neo_span *ret, size_t n);

#ifdef __cplusplus
}
#endif

#endif
