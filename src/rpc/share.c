/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one caller has of a worker: all its connections together may fill three
 * quarters of the room for running calls, so that others find some. Without this a
 * single peer with calls that never end would shut everybody out.
 */
#include "rpc/share.h"

#include <neo/memory.h>

enum { WORTH_SHARING = 64 /* fewer places than that are not divided */ };

struct caller_share *share_enter(struct worker *w, struct neo_bytes name)
{
    struct caller_share *s = map_get(&w->shares, name);

    if (s == NULL) {
        s = neo_alloc(sizeof(*s) + name.len);
        if (s == NULL)
            return NULL;
        memcpy(s->name, name.at, name.len);
        s->len = name.len;
        if (!map_put(&w->shares, neo_bytes(s->name, s->len), s)) {
            neo_free(s);
            return NULL;
        }
    }
    s->peers++;
    return s;
}

void share_leave(struct worker *w, struct caller_share *s)
{
    if (s == NULL || --s->peers > 0)
        return;
    (void)map_remove(&w->shares, neo_bytes(s->name, s->len));
    neo_free(s);
}

bool share_is_spent(const struct worker *w, const struct caller_share *s)
{
    uint64_t limit = w->admission.limit;

    return limit >= WORTH_SHARING && s->running >= limit - limit / 4;
}
