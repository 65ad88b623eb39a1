/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function/journal.h - what functions logged: the newest entries of each, in memory.
 *
 * Threads   Locked inside.
 */
#ifndef NEO_EXAMPLES_FUNCTION_JOURNAL_H
#define NEO_EXAMPLES_FUNCTION_JOURNAL_H

#include <neo/bytes.h>

#include <pthread.h>

enum { JOURNAL_ENTRIES = 512, JOURNAL_TEXT = 256, JOURNAL_ID = 40 };

struct journal_entry {
    uint64_t sequence; /* from 1, over all functions */
    int64_t at;
    char function_id[JOURNAL_ID];
    char execution_id[JOURNAL_ID];
    size_t len;
    char text[JOURNAL_TEXT];
};

struct journal {
    pthread_mutex_t lock;
    struct journal_entry
        entries[JOURNAL_ENTRIES]; /* a ring; sequence n is at n % JOURNAL_ENTRIES */
    uint64_t last;
};

void journal_init(struct journal *j);
void journal_add(struct journal *j, const char *function_id, const char *execution_id,
                 struct neo_bytes text);
/*
 * The next entry of `function_id` after *at, which moves to it; false: none. `*ret_lost` counts
 * those that had left the ring before.
 */
bool journal_next(struct journal *j, const char *function_id, uint64_t *at,
                  struct journal_entry *ret, uint64_t *ret_lost);

#endif
