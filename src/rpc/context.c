/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the headers of a request. What a decision rests on counts only when
 * it was sent once; what is merely helpful (trace, criticality, x-deadline-ms) is
 * replaced by its default when it is malformed.
 */
#include "observe/trace.h"
#include "rpc/wire.h"

enum { BUSINESS_MAX = 16, BUSINESS_BYTES_MAX = 4096 };

#define BUSINESS_PREFIX "x-neo-ctx-"

/* What was found, before it means anything. */
struct found {
    struct neo_bytes timeout;
    struct neo_bytes deadline_ms;
    struct neo_bytes traceparent;
    struct neo_bytes tracestate;
    struct neo_bytes criticality;
    unsigned n_timeout;
    unsigned n_traceparent;
    size_t n_business;
    size_t business_bytes;
};

static const char *const criticality_texts[] = {"critical_plus", "critical", "sheddable_plus",
                                                "sheddable"};

const char *neo_criticality_text(enum neo_criticality c)
{
    return (size_t)c < NEO_COUNT(criticality_texts) ? criticality_texts[c] : "critical";
}

/* The default for what is absent or unknown. `critical_plus` is ours alone: nobody asks for it
 * here. */
static enum neo_criticality criticality_of(struct neo_bytes text)
{
    for (size_t i = NEO_CRITICAL; text.len > 0 && i < NEO_COUNT(criticality_texts); i++)
        if (neo_bytes_is(text, criticality_texts[i]))
            return (enum neo_criticality)i;
    return NEO_CRITICAL;
}

static bool is_business(struct neo_bytes name)
{
    return neo_bytes_starts(name, NEO_LIT(BUSINESS_PREFIX)) &&
           name.len > sizeof(BUSINESS_PREFIX) - 1;
}

static void note_x(struct found *f, const struct h2_header *h)
{
    if (is_business(h->name)) {
        f->n_business++;
        f->business_bytes += h->name.len + h->value.len;
    } else if (neo_bytes_is(h->name, "x-neo-criticality")) {
        f->criticality = h->value;
    } else if (neo_bytes_is(h->name, "x-deadline-ms")) {
        f->deadline_ms = h->value;
    }
}

/* The first letter rules out almost every header that is none of ours. */
static void note(struct found *f, const struct h2_header *h)
{
    switch (h->name.len == 0 ? 0 : h->name.at[0]) {
    case 'g':
        if (neo_bytes_is(h->name, "grpc-timeout")) {
            f->timeout = h->value;
            f->n_timeout++;
        }
        return;
    case 't':
        if (neo_bytes_is(h->name, "traceparent")) {
            f->traceparent = h->value;
            f->n_traceparent++;
        } else if (neo_bytes_is(h->name, "tracestate")) {
            f->tracestate = h->value;
        }
        return;
    case 'x':
        note_x(f, h);
        return;
    default:
        return;
    }
}

static neo_nsec earlier(neo_nsec a, neo_nsec b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* grpc-timeout rules; x-deadline-ms, in milliseconds left, may only shorten. */
static enum neo_code read_deadline(const struct found *f, neo_nsec now, neo_nsec *ret,
                                   struct neo_error *err)
{
    neo_nsec deadline = 0;
    neo_nsec timeout;
    uint64_t msec = 0;
    bool digits = f->deadline_ms.len > 0 && f->deadline_ms.len <= 12;

    if (f->n_timeout > 1)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "grpc-timeout was sent more than once");
    if (f->n_timeout == 1) {
        NEO_TRY(wire_timeout_parse(f->timeout, &timeout, err));
        deadline = now + timeout;
    }
    for (size_t i = 0; digits && i < f->deadline_ms.len; i++) {
        digits = f->deadline_ms.at[i] >= '0' && f->deadline_ms.at[i] <= '9';
        msec = msec * 10 + (uint64_t)(f->deadline_ms.at[i] - '0');
    }
    *ret = digits ? earlier(deadline, now + msec * NEO_NSEC_PER_MSEC) : deadline;
    return NEO_OK;
}

static enum neo_code read_business(struct h2_headers headers, const struct found *f,
                                   struct neo_arena *arena, const struct neo_entry **ret,
                                   struct neo_error *err)
{
    if (f->n_business > BUSINESS_MAX || f->business_bytes > BUSINESS_BYTES_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%zu " BUSINESS_PREFIX "* headers of %zu bytes: at most %d and %d",
                        f->n_business, f->business_bytes, BUSINESS_MAX, BUSINESS_BYTES_MAX);

    struct neo_entry *entries = neo_arena_calloc(arena, f->n_business, sizeof(*entries));
    size_t n = 0;
    if (entries == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the call's memory is spent");
    for (size_t i = 0; i < headers.len; i++)
        if (is_business(headers.at[i].name))
            entries[n++] = (struct neo_entry){
                .key = neo_bytes_from(headers.at[i].name, sizeof(BUSINESS_PREFIX) - 1),
                .value = headers.at[i].value,
            };
    *ret = entries;
    return NEO_OK;
}

/* What was written in small pieces is slow to be copied in large ones, hence in its place. */
static void read_trace(const struct found *f, struct neo_context *ret)
{
    if (f->n_traceparent == 1 && neo_trace_parse(f->traceparent, &ret->trace)) {
        ret->trace = neo_trace_child(&ret->trace);
        ret->tracestate = f->tracestate;
    } else {
        trace_begin(&ret->trace);
    }
}

enum neo_code wire_context_read(struct h2_headers headers, neo_nsec now, struct neo_arena *arena,
                                struct neo_context *ret, struct neo_error *err)
{
    struct found f = {0};
    const struct neo_entry *business = NULL;
    neo_nsec deadline = 0;

    for (size_t i = 0; i < headers.len; i++)
        note(&f, &headers.at[i]);
    NEO_TRY(read_deadline(&f, now, &deadline, err));
    if (f.n_business > 0)
        NEO_TRY(read_business(headers, &f, arena, &business, err));
    *ret = (struct neo_context){
        .deadline = deadline,
        .criticality = criticality_of(f.criticality),
        .business = business,
        .n_business = f.n_business,
    };
    read_trace(&f, ret);
    return NEO_OK;
}
