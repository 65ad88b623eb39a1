/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/metrics.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <assert.h>

/* --- counting: the hot path ----------------------------------------------------------------------
 */

static _Atomic unsigned threads;
static _Thread_local unsigned my_shard; /* counted from 1; 0: none yet; the last is of the others */

__attribute__((cold, noinline)) static void find_shard(void)
{
    unsigned taken = atomic_load_explicit(&threads, memory_order_relaxed);

    /* Not counted for ever, or one day the first would be given to a second thread. */
    if (taken < METRICS_SHARDS)
        taken = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    my_shard = taken < METRICS_SHARDS ? taken + 1 : METRICS_SHARDS;
}

static size_t distance_of_shard(void)
{
    if (my_shard == 0)
        find_shard();
    return (size_t)(my_shard - 1) * METRICS_SLAB_CELLS;
}

/* Who is alone with its shard needs no locked instruction, each of which is twenty others. */
static void add(struct neo_counter *cell, uint64_t n)
{
    if (my_shard < METRICS_SHARDS)
        atomic_store_explicit(&cell->n, atomic_load_explicit(&cell->n, memory_order_relaxed) + n,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&cell->n, n, memory_order_relaxed);
}

void neo_counter_add(struct neo_counter *counter, uint64_t n)
{
    if (counter != NULL)
        add(counter + distance_of_shard(), n);
}

void neo_gauge_set(struct neo_counter *gauge, int64_t value)
{
    if (gauge != NULL)
        atomic_store_explicit(&gauge->n, (uint64_t)value, memory_order_relaxed);
}

uint64_t neo_counter_get(const struct neo_counter *counter)
{
    return counter == NULL ? 0 : metrics_sum(counter);
}

const struct metrics_bound metrics_bounds[METRICS_BOUNDS] = {
    {50000, "5e-05"},     {100000, "0.0001"},  {250000, "0.00025"},  {500000, "0.0005"},
    {1000000, "0.001"},   {2500000, "0.0025"}, {5000000, "0.005"},   {10000000, "0.01"},
    {25000000, "0.025"},  {50000000, "0.05"},  {75000000, "0.075"},  {100000000, "0.1"},
    {250000000, "0.25"},  {500000000, "0.5"},  {750000000, "0.75"},  {1000000000, "1"},
    {2500000000u, "2.5"}, {5000000000u, "5"},  {7500000000u, "7.5"}, {10000000000u, "10"},
};

void neo_histogram_observe(struct neo_histogram *histogram, neo_nsec duration)
{
    if (histogram == NULL)
        return;

    struct neo_counter *cells = (struct neo_counter *)(void *)histogram + distance_of_shard();
    size_t i = 0;

    while (i < METRICS_BOUNDS && duration > metrics_bounds[i].upto)
        i++;
    add(&cells[i], 1);
    add(&cells[METRICS_SUM], duration);
}

uint64_t metrics_sum(const struct neo_counter *cell)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < METRICS_SHARDS; i++)
        sum += atomic_load_explicit(&cell[i * METRICS_SLAB_CELLS].n, memory_order_relaxed);
    return sum;
}

/* --- registration --------------------------------------------------------------------------------
 */

struct neo_metrics *neo_metrics_new(void)
{
    struct neo_metrics *m = neo_alloc(sizeof(*m));

    if (m == NULL)
        return NULL;
    (void)pthread_mutex_init(&m->lock, NULL);
    list_init(&m->families);
    m->slab_used = METRICS_SLAB_CELLS;
    return m;
}

static void free_series(struct metrics_series *s)
{
    if (s == NULL)
        return;
    neo_free(s->labels);
    neo_free(s);
}

static void free_family(struct neo_family *f)
{
    if (f == NULL)
        return;
    list_remove(&f->other.in_family); /* it is a part of the family */
    list_each (node, &f->series) {
        free_series(neo_owner(node, struct metrics_series, in_family));
    }
    map_fini(&f->by_labels);
    for (unsigned i = 0; i < METRICS_LABELS; i++)
        neo_free(f->labels[i]);
    neo_free(f->other.labels);
    neo_free(f->name);
    neo_free(f->help);
    neo_free(f);
}

void neo_metrics_free(struct neo_metrics *metrics)
{
    if (metrics == NULL)
        return;
    list_each (node, &metrics->families) {
        free_family(neo_owner(node, struct neo_family, in_metrics));
    }
    for (struct metrics_slab *s = metrics->slabs; s != NULL;) {
        struct metrics_slab *next = s->next;
        neo_free(s);
        s = next;
    }
    (void)pthread_mutex_destroy(&metrics->lock);
    neo_free(metrics);
}

static size_t cells_of(enum neo_metric_kind kind)
{
    return kind == NEO_HISTOGRAM ? METRICS_HISTOGRAM_CELLS : 1;
}

/* Cells are never given back: a series lives as long as the metrics. */
static struct neo_counter *take_cells(struct neo_metrics *m, size_t n)
{
    if (n > METRICS_SLAB_CELLS - m->slab_used) {
        struct metrics_slab *s = neo_alloc(sizeof(*s));
        if (s == NULL)
            return NULL;
        s->next = m->slabs;
        m->slabs = s;
        m->slab_used = 0;
    }
    struct neo_counter *cells = &m->slabs->cells[m->slab_used];
    m->slab_used += n;
    return cells;
}

static bool is_name(const char *text, bool with_colon)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_:0123456789";
    size_t len = strspn(text, letters);

    return len > 0 && text[len] == '\0' && (text[0] < '0' || text[0] > '9') &&
           (with_colon || strchr(text, ':') == NULL);
}

/* The label text of one series; every value is escaped, so the text is its key as well. */
static void put_labels(const struct neo_family *f, const struct neo_bytes *values,
                       struct neo_buffer *out)
{
    for (unsigned i = 0; i < f->n_labels; i++) {
        bool utf8 = neo_is_utf8(values[i]);
        (void)neo_buffer_printf(out, "%s%s=\"", i == 0 ? "" : ",", f->labels[i]);
        for (size_t k = 0; k < values[i].len; k++) {
            uint8_t c = values[i].at[k];
            if (c == '\\' || c == '"')
                (void)neo_buffer_append_byte(out, '\\');
            if (c == '\n')
                (void)neo_buffer_append_text(out, "\\n");
            else
                (void)neo_buffer_append_byte(out, c >= 0x80 && !utf8 ? '?' : c);
        }
        (void)neo_buffer_append_byte(out, '"');
    }
}

static char *labels_text(const struct neo_family *f, const struct neo_bytes *values)
{
    struct neo_buffer text = {0};

    put_labels(f, values, &text);
    (void)neo_buffer_append_byte(&text, '\0');
    if (text.failed)
        neo_buffer_fini(&text);
    return (char *)text.at; /* NULL when it failed */
}

static bool fill_family(struct neo_family *f, const char *name, const char *help,
                        const char *const *labels)
{
    static const struct neo_bytes other = {(const uint8_t *)"_other", 6};
    const struct neo_bytes others[METRICS_LABELS] = {other, other, other, other};

    f->name = neo_string_dup(name);
    f->help = neo_string_dup(help);
    for (; labels != NULL && labels[f->n_labels] != NULL; f->n_labels++) {
        assert(f->n_labels < METRICS_LABELS && is_name(labels[f->n_labels], false));
        assert(strcmp(labels[f->n_labels], "le") != 0); /* the histogram's own */
        f->labels[f->n_labels] = neo_string_dup(labels[f->n_labels]);
        if (f->labels[f->n_labels] == NULL)
            return false;
    }
    f->other.labels = labels_text(f, others);
    f->other.cells = take_cells(f->metrics, cells_of(f->kind));
    return f->name != NULL && f->help != NULL && f->other.labels != NULL && f->other.cells != NULL;
}

static struct neo_family *find_family(const struct neo_metrics *m, const char *name)
{
    list_each (node, &m->families) {
        struct neo_family *f = neo_owner(node, struct neo_family, in_metrics);
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static struct neo_family *make_family(struct neo_metrics *m, const char *name, const char *help,
                                      enum neo_metric_kind kind, const char *const *labels)
{
    struct neo_family *f = neo_alloc(sizeof(*f));

    if (f == NULL)
        return NULL;
    f->metrics = m;
    f->kind = kind;
    list_init(&f->series);
    list_init(&f->other.in_family);
    if (!fill_family(f, name, help, labels)) {
        free_family(f);
        return NULL;
    }
    list_push_back(&m->families, &f->in_metrics);
    return f;
}

static bool has_labels(const struct neo_family *f, const char *const *labels)
{
    unsigned i = 0;

    for (; labels != NULL && labels[i] != NULL; i++)
        if (i == f->n_labels || strcmp(labels[i], f->labels[i]) != 0)
            return false;
    return i == f->n_labels;
}

struct neo_family *neo_metrics_family(struct neo_metrics *metrics, const char *name,
                                      const char *help, enum neo_metric_kind kind,
                                      const char *const *labels)
{
    if (metrics == NULL)
        return NULL;
    assert(is_name(name, true));

    (void)pthread_mutex_lock(&metrics->lock);
    struct neo_family *f = find_family(metrics, name);
    if (f == NULL)
        f = make_family(metrics, name, help, kind, labels);
    (void)pthread_mutex_unlock(&metrics->lock);
    assert(f == NULL || (f->kind == kind && has_labels(f, labels)));
    return f;
}

/* Takes `labels`. NULL when the family is full or memory is short. */
static struct metrics_series *add_series(struct neo_family *f, char *labels)
{
    struct metrics_series *s = NULL;

    if (f->by_labels.used < METRICS_SERIES)
        s = neo_alloc(sizeof(*s));
    if (s == NULL) {
        neo_free(labels);
        return NULL;
    }
    s->labels = labels;
    s->cells = take_cells(f->metrics, cells_of(f->kind));
    if (s->cells == NULL || !map_put(&f->by_labels, neo_text(labels), s)) {
        free_series(s);
        return NULL;
    }
    list_push_back(&f->series, &s->in_family);
    return s;
}

/*
 * The series of these values, made when there is none. What finds no place of its own counts as
 * "_other", which is printed once it was used; a family without labels has nothing else.
 */
static struct metrics_series *find_series(struct neo_family *f, const struct neo_bytes *values)
{
    char *labels = labels_text(f, values);
    struct metrics_series *s = NULL;

    if (labels != NULL && strcmp(labels, f->other.labels) != 0) {
        s = map_get(&f->by_labels, neo_text(labels));
        if (s == NULL)
            s = add_series(f, labels);
        else
            neo_free(labels);
    } else {
        neo_free(labels);
    }
    if (s == NULL && list_is_empty(&f->other.in_family))
        list_push_back(&f->series, &f->other.in_family);
    return s == NULL ? &f->other : s;
}

static struct neo_counter *find_cells(struct neo_family *f, const struct neo_bytes *values)
{
    (void)pthread_mutex_lock(&f->metrics->lock);
    struct neo_counter *cells = find_series(f, values)->cells;
    (void)pthread_mutex_unlock(&f->metrics->lock);
    return cells;
}

struct neo_counter *neo_counter(struct neo_family *family, const struct neo_bytes *values)
{
    if (family == NULL)
        return NULL;
    assert(family->kind != NEO_HISTOGRAM);
    return find_cells(family, values);
}

struct neo_histogram *neo_histogram(struct neo_family *family, const struct neo_bytes *values)
{
    if (family == NULL)
        return NULL;
    assert(family->kind == NEO_HISTOGRAM);
    return (struct neo_histogram *)(void *)find_cells(family, values);
}
