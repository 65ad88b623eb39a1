/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry/feed.h - the documents of policy: read, tried, and handed out.
 *
 * Files (or all *.yaml of a folder) are looked at once a second. A set that compiles, tests
 * included, replaces the one before in one step, here and everywhere; a set that does not
 * is reported and changes nothing.
 *
 * Each published set has a number that grows; who follows refuses to go back. It is kept in
 * the registry's database; policy-numbers.txt beside it tells people, and `neo why`, which
 * number had which hash.
 *
 * Threads   Safe to share. poll() and advance() wait for the disk.
 */
#ifndef NEO_REGISTRY_FEED_H
#define NEO_REGISTRY_FEED_H

#include "common/watchers.h"
#include "registry/rollouts.h"

#include <neo/mesh.h>
#include <neo/policy/v1/policy.neo.h>

struct table;

struct policy_feed {
    struct neo_mesh *mesh;
    struct table *table;     /* keeps the number */
    pthread_mutex_t polling; /* one after the other */
    char numbers[1100];      /* the file that says which number had which hash */
    const char *const *paths;
    struct watchers watchers;
    uint8_t seen[NEO_SHA256_LEN];     /* digest of what was last tried; under `polling` */
    uint8_t in_force[NEO_SHA256_LEN]; /* digest of what was last published; the same */
    struct rollout_memory rollouts;   /* of what was last published; the same */
    struct neo_buffer simulated_root;
    struct {
        pthread_mutex_t lock;
        struct neo_buffer snapshot; /* serialized Snapshot */
        char version[80];
        char hash[80];
        uint64_t number;
        char error[300];
        int64_t loaded_at;
        int64_t failed_at;
    } shared; /* any thread, under `lock` */
};

void policy_feed_init(struct policy_feed *f, struct neo_mesh *mesh, struct table *table,
                      const char *dir, const char *const *paths);
void policy_feed_fini(struct policy_feed *f);
/* Reads the files; OK also when nothing changed. An error: the set in force stays. */
NEO_MUST_CHECK enum neo_code policy_feed_poll(struct policy_feed *f, struct neo_error *err);
/* Publishes what is in force once more, under a number beyond `beyond` and its own. */
NEO_MUST_CHECK enum neo_code policy_feed_advance(struct policy_feed *f, uint64_t beyond,
                                                 uint64_t *ret_number, struct neo_error *err);
void policy_feed_follow(struct policy_feed *f, struct neo_call *call);
void policy_feed_status(struct policy_feed *f, struct neo_arena *arena,
                        struct neo_policy_v1_GetStatusResponse *ret);

#endif
