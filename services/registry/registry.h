/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry/registry.h - where instances are, and what policy is in force: `neo serve registry`.
 */
#ifndef NEO_REGISTRY_REGISTRY_H
#define NEO_REGISTRY_REGISTRY_H

#include <neo/mesh.h>

struct registry_options {
    struct neo_mesh *mesh;        /* joined as neo-registry, with own_policy; borrowed */
    const char *dir;              /* state: registry.db */
    const char *const *documents; /* YAML files or folders of them; NULL-terminated */
    const char *simulated_root;   /* development: file (DER) of the simulator's root; or NULL */
};

struct registry;

/*
 * Opens the store, loads the documents (they must load now; later changes that do not load are
 * reported and ignored), serves Registry and PolicyFeed. Gives `*ret`: registry_stop().
 */
NEO_MUST_CHECK enum neo_code registry_start(const struct registry_options *options,
                                            struct registry **ret, struct neo_error *err);
/* Something of it is on the pool, which registry_stop() would wait for. For simulated time, where
 * nobody else makes that go on. */
bool registry_is_busy(struct registry *registry);
void registry_stop(struct registry *registry);

#endif
