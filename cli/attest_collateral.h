/* SPDX-License-Identifier: Apache-2.0 */
/* cli/attest_collateral.h - what the words of `neo attest collateral` share. */
#ifndef NEO_CLI_ATTEST_COLLATERAL_H
#define NEO_CLI_ATTEST_COLLATERAL_H

#include "cli/attest.h"

#include <neo/collateral_store.h>

struct collateral_args {
    struct attest_source from; /* simulated_root, development; certificates, kind of --for */
    const char *store;         /* --store DIR; NULL: <dir>/collateral */
    const char *at;            /* --at TIME; NULL: now */
    const char *fetch_command; /* words, split at blanks */
    const char *url;           /* --source URL */
    struct arg_list evidence;  /* --for FILE */
    bool force;
    bool all;
};

/* What happened, for people or as JSON: begin, one line for each item, end. */
struct tally {
    struct neo_buffer json;
    struct neo_json_writer writer;
    size_t refused;
    size_t files; /* looked into */
};
void tally_begin(struct tally *t);
void tally_item(void *tally, const struct neo_collateral_item *item,
                enum neo_collateral_outcome outcome, const char *why);
/* A whole file, or request, of which nothing came. */
void tally_failed(struct tally *t, const char *what, const char *why);
void tally_end(struct tally *t);

/* Gives `*ret`: neo_collateral_store_close(). */
NEO_MUST_CHECK enum neo_code collateral_open(struct neo_arena *arena,
                                             const struct collateral_args *a, const char *dir,
                                             bool make, struct neo_collateral_store **ret,
                                             struct neo_error *err);

/* attest_refresh.c; `requests`: instead of what is due. */
int collateral_refresh(struct neo_arena *arena, const struct collateral_args *a,
                       const char *const *requests, size_t n);

#endif
