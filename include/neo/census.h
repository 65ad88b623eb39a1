/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/census.h - which measurements the live connections of a process rest on.
 *
 * Channels and servers that are given one count in it: a connection from when its peer has proven
 * itself until it ends, or proves something else.
 *
 * Threads   Any. It must outlive whoever counts in it.
 */
#ifndef NEO_CENSUS_H
#define NEO_CENSUS_H

#include <neo/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEO_CENSUS_MEASUREMENT_LEN = 129, NEO_CENSUS_ROWS_MAX = 256 };

struct neo_census_row {
    char service[64];
    char measurement[NEO_CENSUS_MEASUREMENT_LEN]; /* lower-case hex */
    uint32_t connections;
};

struct neo_census;
/* NULL when out of memory. Release with neo_census_free(). */
struct neo_census *neo_census_new(void);
void neo_census_free(struct neo_census *census);
/*
 * Copies the rows that have connections, at most `max`; returns how many. One whose last connection
 * ended within 15 s has one: who lost it is about to make the next.
 */
size_t neo_census_read(struct neo_census *census, struct neo_census_row *rows, size_t max);

#ifdef __cplusplus
}
#endif

#endif
