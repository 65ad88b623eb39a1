/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows are never removed, only counted down; one that counts nothing makes room for another, but
 * not at once: whose connection has just ended is about to make the next, and still rests on it.
 */
#include "rpc/census.h"

#include <neo/loop.h>
#include <neo/memory.h>

#include <pthread.h>
#include <stdio.h>

#define LINGER (15 * NEO_NSEC_PER_SEC)

struct neo_census {
    pthread_mutex_t lock;
    struct neo_census_row rows[NEO_CENSUS_ROWS_MAX];
    neo_nsec left_at[NEO_CENSUS_ROWS_MAX]; /* when its last connection ended; 0: none ever did */
};

static bool lingers(const struct neo_census *census, size_t i, neo_nsec now)
{
    return census->left_at[i] != 0 && now - census->left_at[i] < LINGER;
}

struct neo_census *neo_census_new(void)
{
    struct neo_census *census = neo_alloc(sizeof(*census));

    if (census != NULL)
        (void)pthread_mutex_init(&census->lock, NULL);
    return census;
}

void neo_census_free(struct neo_census *census)
{
    if (census == NULL)
        return;
    (void)pthread_mutex_destroy(&census->lock);
    neo_free(census);
}

size_t neo_census_read(struct neo_census *census, struct neo_census_row *rows, size_t max)
{
    neo_nsec now = neo_mono_nsec();
    size_t n = 0;

    (void)pthread_mutex_lock(&census->lock);
    for (size_t i = 0; i < NEO_CENSUS_ROWS_MAX && n < max; i++) {
        if (census->rows[i].connections == 0 && !lingers(census, i, now))
            continue;
        rows[n] = census->rows[i];
        rows[n].connections = rows[n].connections > 0 ? rows[n].connections : 1;
        n++;
    }
    (void)pthread_mutex_unlock(&census->lock);
    return n;
}

static struct neo_census_row *find(struct neo_census *census, const struct neo_census_row *like)
{
    struct neo_census_row *free_one = NULL;
    neo_nsec now = neo_mono_nsec();

    for (size_t i = 0; i < NEO_CENSUS_ROWS_MAX; i++) {
        struct neo_census_row *row = &census->rows[i];
        if (strcmp(row->service, like->service) == 0 &&
            strcmp(row->measurement, like->measurement) == 0)
            return row;
        if (row->connections == 0 && !lingers(census, i, now) && free_one == NULL)
            free_one = row;
    }
    if (free_one != NULL)
        *free_one = *like;
    return free_one;
}

static bool describe(struct neo_bytes service, struct neo_bytes measurement,
                     struct neo_census_row *ret)
{
    if (measurement.len == 0 || 2 * measurement.len >= sizeof(ret->measurement) ||
        service.len >= sizeof(ret->service))
        return false;
    memcpy(ret->service, service.at, service.len);
    for (size_t i = 0; i < measurement.len; i++)
        (void)snprintf(ret->measurement + 2 * i, 3, "%02x", measurement.at[i]);
    return true;
}

void census_count(struct census_mark *mark, struct neo_census *census, struct neo_bytes service,
                  const struct neo_appraisal *appraisal)
{
    struct neo_census_row like = {.connections = 0};

    census_forget(mark);
    if (census == NULL || appraisal == NULL || !appraisal->accepted ||
        !describe(service, appraisal->measurement, &like))
        return;
    (void)pthread_mutex_lock(&census->lock);
    struct neo_census_row *row = find(census, &like);
    if (row != NULL) {
        row->connections++;
        *mark = (struct census_mark){census, (unsigned)(row - census->rows)};
    }
    (void)pthread_mutex_unlock(&census->lock);
}

void census_forget(struct census_mark *mark)
{
    if (mark->census == NULL)
        return;
    (void)pthread_mutex_lock(&mark->census->lock);
    if (--mark->census->rows[mark->row].connections == 0)
        mark->census->left_at[mark->row] = neo_mono_nsec();
    (void)pthread_mutex_unlock(&mark->census->lock);
    mark->census = NULL;
}
