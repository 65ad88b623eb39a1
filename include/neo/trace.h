/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/trace.h - W3C Trace Context: where a call belongs.
 *
 * Standard: W3C Trace Context Level 1 (Level 2's random flag is kept). A malformed
 * traceparent is replaced by a new one, never an error.
 */
#ifndef NEO_TRACE_H
#define NEO_TRACE_H

#include <neo/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_trace {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;
};

enum { NEO_TRACEPARENT_LEN = 55 };

/* Flags; others are dropped. */
enum { NEO_TRACE_SAMPLED = 1, NEO_TRACE_RANDOM = 2 };

/* False when malformed; `*ret` is untouched then. */
bool neo_trace_parse(struct neo_bytes traceparent, struct neo_trace *ret);
/* A new trace: random ids, sampled. The ids are distinct but not secret. */
struct neo_trace neo_trace_new(void);
/* The same trace, a new span. */
struct neo_trace neo_trace_child(const struct neo_trace *parent);
/* "00-<32 hex>-<16 hex>-<2 hex>", terminated. */
void neo_trace_format(const struct neo_trace *trace,
                      char ret[NEO_AT_LEAST(NEO_TRACEPARENT_LEN + 1)]);

#ifdef __cplusplus
}
#endif

#endif
