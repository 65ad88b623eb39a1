/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/collateral_store.h - a folder of collateral, and getting what is due.
 *
 * Each item is a file of its own, to the byte as its maker signed it, and named by what it is
 * (neo_collateral_item.name). Files that somebody puts there are read as well, by their contents.
 * index.json says when an item was stored, when it was last asked for, and where it came from; it
 * can be lost. What cannot be read, or is not what it says, is named and left alone.
 *
 * A file is replaced in one step that survives power loss; several processes may use one folder.
 *
 *     NEO_TRY(neo_collateral_store_open(&options, &store, err));
 *     NEO_TRY(neo_collateral_store_put(store, set, &how, err));
 *     neo_collateral_store_close(store);
 *
 * Threads   A store belongs to one thread at a time. Everything here waits for the disk.
 */
#ifndef NEO_COLLATERAL_STORE_H
#define NEO_COLLATERAL_STORE_H

#include <neo/collateral.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_collateral_store;

struct neo_collateral_store_options {
    const char *dir; /* made with mode 0700 when `make`, else it must be there */
    bool make;
    struct neo_bytes simulated_root; /* as in neo_attest_trust_options */
    bool development;
};

/*
 * Reads the folder. FAILED_PRECONDITION: others may write to it; NOT_FOUND: it is not there. Gives
 * `*ret`: neo_collateral_store_close().
 */
NEO_MUST_CHECK enum neo_code neo_collateral_store_open(
    const struct neo_collateral_store_options *options, struct neo_collateral_store **ret,
    struct neo_error *err);
void neo_collateral_store_close(struct neo_collateral_store *store);
/* Reads it anew. What was given before is gone. */
NEO_MUST_CHECK enum neo_code neo_collateral_store_reload(struct neo_collateral_store *store,
                                                         struct neo_error *err);

enum { NEO_COLLATERAL_HELD_MAX = 1024, NEO_COLLATERAL_WANTED_MAX = 64 };

/* One item of the store, the newest of its name. Valid until the store is changed or read anew. */
struct neo_collateral_held {
    const struct neo_collateral_item *item;
    const char *file;   /* its name in the folder */
    const char *source; /* where it came from */
    int64_t stored_at;  /* seconds since 1970 */
    int64_t checked_at; /* when it was last asked for, successfully */
};
size_t neo_collateral_store_count(const struct neo_collateral_store *store);
const struct neo_collateral_held *neo_collateral_store_at(const struct neo_collateral_store *store,
                                                          size_t i);
/* "file: why it counts for nothing". */
size_t neo_collateral_store_problems(const struct neo_collateral_store *store);
const char *neo_collateral_store_problem(const struct neo_collateral_store *store, size_t i);

/* For neo_attest_trust_options.collateral: the bytes of all, in an array of the store's. */
const struct neo_bytes *neo_collateral_store_bytes(const struct neo_collateral_store *store,
                                                   size_t *ret_n);

/* Changes whenever a file of the folder does; all zero when there is no folder, and else
   its first byte is not zero. */
void neo_collateral_fingerprint(const char *dir, uint8_t ret[NEO_AT_LEAST(32)]);

/* --- putting ---------------------------------------------------------------------------------- */

enum neo_collateral_outcome {
    NEO_COLLATERAL_ADDED,
    NEO_COLLATERAL_REPLACED, /* an older one */
    NEO_COLLATERAL_SAME,     /* is there already */
    NEO_COLLATERAL_OLDER,    /* than the one that is there, which stays */
    NEO_COLLATERAL_REFUSED,  /* see `why` */
};
const char *neo_collateral_outcome_text(enum neo_collateral_outcome outcome);

/* `why`: one sentence, or NULL. */
typedef void neo_collateral_put_fn(void *self, const struct neo_collateral_item *item,
                                   enum neo_collateral_outcome outcome, const char *why);
struct neo_collateral_put {
    const char *source;          /* a file, a request: at most 200 bytes are kept */
    int64_t now;                 /* seconds since 1970 */
    bool force;                  /* an older one replaces a newer one, too */
    bool only_verified;          /* what nobody here vouches for is refused */
    neo_collateral_put_fn *each; /* NULL: nobody listens */
    void *self;
};
/*
 * Puts the items of `set` there, each judged together with what is there already. What is WRONG
 * never comes in. RESOURCE_EXHAUSTED: the store is full. What `each` was told is done, also when it
 * fails later.
 */
NEO_MUST_CHECK enum neo_code neo_collateral_store_put(struct neo_collateral_store *store,
                                                      const struct neo_collateral *set,
                                                      const struct neo_collateral_put *how,
                                                      struct neo_error *err);

/* --- what is missing -------------------------------------------------------------------------- */

/* Remembers requests (at most 64, the oldest give way) until they are answered. */
NEO_MUST_CHECK enum neo_code neo_collateral_store_want(struct neo_collateral_store *store,
                                                       const char *const *requests, size_t n,
                                                       struct neo_error *err);
/*
 * Every request there is reason to make: what was wanted and is not there, and what is there and
 * will have newer editions. `due_at`: when (seconds since 1970; 0: it is missing).
 */
typedef void neo_collateral_due_fn(void *self, const char *request, int64_t due_at);
void neo_collateral_store_due(const struct neo_collateral_store *store, int64_t now,
                              neo_collateral_due_fn *each, void *self);

/* --- getting it ------------------------------------------------------------------------------- */

/*
 * A program that answers requests: run without a shell as `command... word...`, with nothing of
 * our environment but PATH, proxies' names and the certificates' places, no open files, no new
 * privileges, and a limit on time and size. It writes the body to stdout, headers (curl -D) to the
 * file $NEO_FETCH_HEADERS, and complaints to stderr; its exit status is 0 on success.
 */
struct neo_collateral_fetcher {
    const char *const *command;       /* NULL-terminated; [0] is a path, or found in PATH */
    unsigned timeout_seconds;         /* 0: 30 */
    bool (*is_cancelled)(void *self); /* asked five times a second; NULL: nobody cancels */
    void *self;
};
/*
 * Asks for `request`, verifies the answer and stores it. OK: it was answered, be it with what is
 * there already. Anything else leaves everything as it is.
 */
NEO_MUST_CHECK enum neo_code neo_collateral_store_fetch(struct neo_collateral_store *store,
                                                        const struct neo_collateral_fetcher *how,
                                                        const char *request,
                                                        const struct neo_collateral_put *put,
                                                        struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
