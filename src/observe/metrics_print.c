/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/metrics.h"

#include <inttypes.h>

static const char *const kind_names[] = {"counter", "gauge", "histogram"};

static void put_help(const struct neo_family *f, struct neo_buffer *out)
{
    (void)neo_buffer_printf(out, "# HELP %s ", f->name);
    for (const char *c = f->help; *c != '\0'; c++)
        if (*c == '\n')
            (void)neo_buffer_append_text(out, "\\n");
        else if (*c == '\\')
            (void)neo_buffer_append_text(out, "\\\\");
        else
            (void)neo_buffer_append_byte(out, (uint8_t)*c);
    (void)neo_buffer_printf(out, "\n# TYPE %s %s\n", f->name, kind_names[f->kind]);
}

static void put_name(const struct neo_family *f, const char *suffix, const char *labels,
                     struct neo_buffer *out)
{
    (void)neo_buffer_append_text(out, f->name);
    (void)neo_buffer_append_text(out, suffix);
    if (labels[0] == '\0')
        return;
    (void)neo_buffer_append_byte(out, '{');
    (void)neo_buffer_append_text(out, labels);
    (void)neo_buffer_append_byte(out, '}');
}

static void put_value(const struct neo_family *f, const struct metrics_series *s,
                      struct neo_buffer *out)
{
    uint64_t value = metrics_sum(s->cells);

    put_name(f, "", s->labels, out);
    if (f->kind == NEO_GAUGE)
        (void)neo_buffer_printf(out, " %" PRId64 "\n", (int64_t)value);
    else
        (void)neo_buffer_printf(out, " %" PRIu64 "\n", value);
}

static void put_bucket(const struct neo_family *f, const struct metrics_series *s, const char *upto,
                       uint64_t count, struct neo_buffer *out)
{
    (void)neo_buffer_printf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", f->name, s->labels,
                            s->labels[0] == '\0' ? "" : ",", upto, count);
}

/* The count is that of the last bucket, so that the two always agree. */
static void put_histogram(const struct neo_family *f, const struct metrics_series *s,
                          struct neo_buffer *out)
{
    uint64_t count = 0;

    for (size_t i = 0; i < METRICS_BOUNDS; i++) {
        count += metrics_sum(&s->cells[i]);
        put_bucket(f, s, metrics_bounds[i].text, count, out);
    }
    count += metrics_sum(&s->cells[METRICS_BOUNDS]);
    put_bucket(f, s, "+Inf", count, out);

    uint64_t sum = metrics_sum(&s->cells[METRICS_SUM]);
    put_name(f, "_sum", s->labels, out);
    (void)neo_buffer_printf(out, " %" PRIu64 ".%09" PRIu64 "\n", sum / NEO_NSEC_PER_SEC,
                            sum % NEO_NSEC_PER_SEC);
    put_name(f, "_count", s->labels, out);
    (void)neo_buffer_printf(out, " %" PRIu64 "\n", count);
}

static void put_family(const struct neo_family *f, struct neo_buffer *out)
{
    if (list_is_empty(&f->series))
        return;
    put_help(f, out);
    list_each (node, &f->series) {
        const struct metrics_series *s = neo_owner(node, struct metrics_series, in_family);
        if (f->kind == NEO_HISTOGRAM)
            put_histogram(f, s, out);
        else
            put_value(f, s, out);
    }
}

bool neo_metrics_print(struct neo_metrics *metrics, struct neo_buffer *out)
{
    (void)pthread_mutex_lock(&metrics->lock);
    list_each (node, &metrics->families) {
        put_family(neo_owner(node, struct neo_family, in_metrics), out);
    }
    (void)pthread_mutex_unlock(&metrics->lock);
    return !out->failed;
}
