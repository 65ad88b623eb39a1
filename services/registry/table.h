/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry/table.h - the instances and their leases: decided in memory, kept on disk.
 *
 * A change is on disk before it is acknowledged; a heartbeat is not a change. After
 * a restart every lease gets a full term to be heard of again, so a registry that
 * was away expires nobody. The revision only ever grows.
 *
 * Threads   Locked inside; register and deregister wait for the disk.
 */
#ifndef NEO_REGISTRY_TABLE_H
#define NEO_REGISTRY_TABLE_H

#include <neo/arena.h>
#include <neo/registry/v1/registry.neo.h>
#include <neo/store.h>
#include <neo/time.h>

#include <pthread.h>

enum { TABLE_PER_SERVICE_MAX = 100, TABLE_MAX = 10000 };

struct entry;

/*
 * The brake: when very many leases end at once it is the registry, or its network, that is away,
 * not all of them. In each window a fifth of the instances may end, or a few where there are few;
 * the others stay listed, and callers find out themselves who is gone.
 */
enum { TABLE_BRAKE_LEAST = 3, TABLE_BRAKE_PART = 5 };
#define TABLE_BRAKE_WINDOW (30 * NEO_NSEC_PER_SEC)

struct table {
    pthread_mutex_t lock;
    struct neo_store *store;
    struct entry *first;
    size_t n;
    uint64_t revision;
    struct {
        neo_nsec began; /* 0: not yet */
        size_t n;       /* instances then */
        size_t ended;
    } brake;
};

NEO_MUST_CHECK enum neo_code table_open(struct table *t, const char *path, neo_nsec now,
                                        struct neo_error *err);
void table_close(struct table *t);

/* `caller` must be the instance's service. Fills `response` in `arena`. */
NEO_MUST_CHECK enum neo_code table_register(struct table *t, struct neo_bytes caller,
                                            const struct neo_registry_v1_RegisterRequest *r,
                                            neo_nsec now, struct neo_arena *arena,
                                            struct neo_registry_v1_RegisterResponse *response,
                                            struct neo_error *err);
/* False: no such lease of this caller. `*ret_changed`: its health is another now. */
bool table_heartbeat(struct table *t, struct neo_bytes caller,
                     const struct neo_registry_v1_HeartbeatRequest *beat, neo_nsec now,
                     bool *ret_changed);
NEO_MUST_CHECK enum neo_code table_deregister(struct table *t, struct neo_bytes caller,
                                              struct neo_bytes lease, struct neo_error *err);
/* Removes what was not heard of; how many. `*ret_held`: how many more the brake holds. */
size_t table_expire(struct table *t, neo_nsec now, size_t *ret_held);

/*
 * The number of the set of policy documents with this digest: the one before when it is the same
 * set, else the next, which is on disk when it returns. `beyond`: a higher one than that.
 */
NEO_MUST_CHECK enum neo_code table_policy_number(struct table *t, const uint8_t digest[static 32],
                                                 uint64_t beyond, uint64_t *ret,
                                                 struct neo_error *err);

/* The instances of a service (empty: all), decoded in `arena`; a missing filter member is empty. */
NEO_MUST_CHECK enum neo_code table_find(struct table *t,
                                        const struct neo_registry_v1_DiscoverRequest *filter,
                                        struct neo_arena *arena,
                                        struct neo_registry_v1_DiscoverResponse *ret,
                                        struct neo_error *err);

#endif
