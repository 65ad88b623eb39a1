/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/collateral_store.h - the inside of a store of collateral. */
#ifndef NEO_MESH_COLLATERAL_STORE_H
#define NEO_MESH_COLLATERAL_STORE_H

#include <neo/buffer.h>
#include <neo/collateral_store.h>

enum { STORE_SOURCE_LEN = 201, STORE_PATH_LEN = 1024 };

/* What index.json knows of a name. */
struct index_entry {
    char name[NEO_COLLATERAL_NAME_LEN];
    char source[STORE_SOURCE_LEN];
    int64_t stored_at;
    int64_t checked_at;
};

struct neo_collateral_store {
    char *dir;
    struct neo_buffer simulated_root;
    bool development;

    /* what was read; anew with each load */
    struct neo_arena arena;
    struct neo_collateral *set;
    struct neo_collateral_held *held;
    struct neo_bytes *bytes; /* of the same */
    size_t n;
    char **problems;
    size_t n_problems;
    char **wanted;
    size_t n_wanted;
};

/* `path` is <dir>/<name>. */
NEO_MUST_CHECK enum neo_code store_path(const struct neo_collateral_store *store, const char *name,
                                        char path[static STORE_PATH_LEN], struct neo_error *err);
/* One process writes at a time: the descriptor to close, or -1. */
int store_lock(const struct neo_collateral_store *store, struct neo_error *err);
void store_unlock(const int *fd);

/* --- collateral_index.c ----------------------------------------------------------------------- */

/* What cannot be read of it is as if it were not there. Lives in `arena`. */
struct index_entry *store_read_index(const struct neo_collateral_store *store,
                                     struct neo_arena *arena, size_t *ret_n);
/* What is held, as it is held. */
NEO_MUST_CHECK enum neo_code store_write_index(const struct neo_collateral_store *store,
                                               struct neo_error *err);
void store_read_wanted(struct neo_collateral_store *store);
NEO_MUST_CHECK enum neo_code store_write_wanted(struct neo_collateral_store *store,
                                                struct neo_error *err);

/* --- collateral_fetch.c ----------------------------------------------------------------------- */

NEO_MUST_CHECK enum neo_code fetch_run(const struct neo_collateral_fetcher *how,
                                       const char *request, const char *headers_path,
                                       struct neo_buffer *out, struct neo_error *err);

#endif
