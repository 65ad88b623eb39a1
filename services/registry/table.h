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

struct table {
    pthread_mutex_t lock;
    struct neo_store *store;
    struct entry *first;
    size_t n;
    uint64_t revision;
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
bool table_heartbeat(struct table *t, struct neo_bytes caller, struct neo_bytes lease,
                     int32_t health, neo_nsec now, bool *ret_changed);
NEO_MUST_CHECK enum neo_code table_deregister(struct table *t, struct neo_bytes caller,
                                              struct neo_bytes lease, struct neo_error *err);
/* Removes what was not heard of; how many. */
size_t table_expire(struct table *t, neo_nsec now);

/* The instances of a service (empty: all), decoded in `arena`; a missing filter member is empty. */
NEO_MUST_CHECK enum neo_code table_find(struct table *t,
                                        const struct neo_registry_v1_DiscoverRequest *filter,
                                        struct neo_arena *arena,
                                        struct neo_registry_v1_DiscoverResponse *ret,
                                        struct neo_error *err);

#endif
