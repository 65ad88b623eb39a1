/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/rest.h - gives memory back while the process has nothing to do.
 *
 * Starting, joining and every burst of work touch code, tables and heap that waiting
 * for the next call does not. A process that rests gives them back: free heap to the
 * kernel, and the pages of its own file and of its libraries to the page cache, from
 * where they return when they are touched (some microseconds each).
 *
 * Threads   The loop's own thread.
 */
#ifndef NEO_IO_REST_H
#define NEO_IO_REST_H

#include <neo/loop.h>

struct rest {
    struct neo_timer timer;
    struct neo_loop *loop;
    neo_nsec looked; /* CPU time of the process at the last look, */
    neo_nsec gave;   /* and when it last gave back; 0: never */
};

/* Is this the moment, when the process has used `cpu` in all and `span` went by since the last
 * look? */
bool rest_is_due(struct rest *r, neo_nsec cpu, neo_nsec span);

/* Looks every now and then from here on, until rest_stop(). Borrows `loop`. */
void rest_start(struct rest *r, struct neo_loop *loop);
void rest_stop(struct rest *r);

/* Gives back at once. */
void rest_give_back(void);

#endif
