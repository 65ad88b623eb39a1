/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry/feed.h - the documents of policy: read, tried, and handed out.
 *
 * Files (or all *.yaml of a folder) are looked at once a second. A set that compiles, tests
 * included, replaces the one before in one step, here and everywhere; a set that does not
 * is reported and changes nothing.
 *
 * Threads   poll() from one thread at a time; the rest is safe to share.
 */
#ifndef NEO_REGISTRY_FEED_H
#define NEO_REGISTRY_FEED_H

#include "common/watchers.h"

#include <neo/mesh.h>
#include <neo/policy/v1/policy.neo.h>

struct policy_feed {
    struct neo_mesh *mesh;
    const char *const *paths;
    struct watchers watchers;
    uint8_t seen[NEO_SHA256_LEN]; /* digest of what was last tried; the polling thread only */
    struct neo_buffer simulated_root;
    struct {
        pthread_mutex_t lock;
        struct neo_buffer snapshot; /* serialized Snapshot */
        char version[80];
        char error[300];
        int64_t loaded_at;
        int64_t failed_at;
    } shared; /* any thread, under `lock` */
};

void policy_feed_init(struct policy_feed *f, struct neo_mesh *mesh, const char *const *paths);
void policy_feed_fini(struct policy_feed *f);
/* Reads the files; OK also when nothing changed. An error: the set in force stays. */
NEO_MUST_CHECK enum neo_code policy_feed_poll(struct policy_feed *f, struct neo_error *err);
void policy_feed_follow(struct policy_feed *f, struct neo_call *call);
void policy_feed_status(struct policy_feed *f, struct neo_arena *arena,
                        struct neo_policy_v1_GetStatusResponse *ret);

#endif
