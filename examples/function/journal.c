/* SPDX-License-Identifier: Apache-2.0 */
#include "function/journal.h"

#include <neo/loop.h>

#include <stdio.h>

void journal_init(struct journal *j)
{
    (void)pthread_mutex_init(&j->lock, NULL);
    j->last = 0;
}

void journal_add(struct journal *j, const char *function_id, const char *execution_id,
                 struct neo_bytes text)
{
    (void)pthread_mutex_lock(&j->lock);
    struct journal_entry *e = &j->entries[++j->last % JOURNAL_ENTRIES];
    e->sequence = j->last;
    e->at = neo_wall_nsec();
    (void)snprintf(e->function_id, sizeof(e->function_id), "%s", function_id);
    (void)snprintf(e->execution_id, sizeof(e->execution_id), "%s", execution_id);
    e->len = text.len < sizeof(e->text) ? text.len : sizeof(e->text);
    memcpy(e->text, text.at, e->len);
    (void)pthread_mutex_unlock(&j->lock);
}

bool journal_next(struct journal *j, const char *function_id, uint64_t *at,
                  struct journal_entry *ret, uint64_t *ret_lost)
{
    bool found = false;

    *ret_lost = 0;
    (void)pthread_mutex_lock(&j->lock);
    uint64_t oldest = j->last >= JOURNAL_ENTRIES ? j->last - JOURNAL_ENTRIES + 1 : 1;
    if (*at + 1 < oldest && *at > 0)
        *ret_lost = oldest - *at - 1;
    if (*at + 1 < oldest)
        *at = oldest - 1;
    while (!found && *at < j->last) {
        const struct journal_entry *e = &j->entries[++*at % JOURNAL_ENTRIES];
        if (strcmp(e->function_id, function_id) == 0) {
            *ret = *e;
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&j->lock);
    return found;
}
