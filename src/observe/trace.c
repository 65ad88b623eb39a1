/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/trace.h>

#include "observe/hex.h"
#include "observe/random.h"
#include "observe/trace.h"

enum { TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53 };

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

/* A version above 00 may have more behind the flags; what we know of it is as in 00. */
static bool has_length_of(struct neo_bytes text, uint8_t version)
{
    if (text.len == NEO_TRACEPARENT_LEN)
        return true;
    return version != 0 && text.len > NEO_TRACEPARENT_LEN && text.at[NEO_TRACEPARENT_LEN] == '-';
}

bool neo_trace_parse(struct neo_bytes text, struct neo_trace *ret)
{
    struct neo_trace t;
    uint8_t version;

    if (text.len < NEO_TRACEPARENT_LEN || text.at[TRACE_AT - 1] != '-' ||
        text.at[SPAN_AT - 1] != '-' || text.at[FLAGS_AT - 1] != '-')
        return false;
    if (!hex_take(text.at, &version, 1) || version == 0xff || !has_length_of(text, version))
        return false;
    if (!hex_take(text.at + TRACE_AT, t.trace_id, sizeof(t.trace_id)) ||
        !hex_take(text.at + SPAN_AT, t.span_id, sizeof(t.span_id)) ||
        !hex_take(text.at + FLAGS_AT, &t.flags, 1))
        return false;
    if (is_zero(t.trace_id, sizeof(t.trace_id)) || is_zero(t.span_id, sizeof(t.span_id)))
        return false;

    t.flags &= NEO_TRACE_SAMPLED | NEO_TRACE_RANDOM;
    *ret = t;
    return true;
}

static void put_span_id(struct neo_trace *t, uint64_t id)
{
    if (id == 0) /* means "none" */
        id = 1;
    memcpy(t->span_id, &id, sizeof(id));
}

void trace_begin(struct neo_trace *ret)
{
    uint64_t id[3];

    random_distinct_words(id, NEO_COUNT(id));
    if (id[0] == 0 && id[1] == 0)
        id[0] = 1;
    memcpy(ret->trace_id, id, sizeof(ret->trace_id));
    put_span_id(ret, id[2]);
    ret->flags = NEO_TRACE_SAMPLED | NEO_TRACE_RANDOM;
}

struct neo_trace neo_trace_new(void)
{
    struct neo_trace t;

    trace_begin(&t);
    return t;
}

struct neo_trace neo_trace_child(const struct neo_trace *parent)
{
    struct neo_trace t = *parent;

    put_span_id(&t, random_distinct());
    return t;
}

void neo_trace_format(const struct neo_trace *trace, char ret[static NEO_TRACEPARENT_LEN + 1])
{
    memcpy(ret, "00-", 3);
    char *at = hex_put(ret + TRACE_AT, trace->trace_id, sizeof(trace->trace_id));
    *at++ = '-';
    at = hex_put(at, trace->span_id, sizeof(trace->span_id));
    *at++ = '-';
    at = hex_put(at, &trace->flags, 1);
    *at = '\0';
}
