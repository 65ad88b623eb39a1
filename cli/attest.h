/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/attest.h - what the words of `neo attest` share: their table, and how they read files.
 */
#ifndef NEO_CLI_ATTEST_H
#define NEO_CLI_ATTEST_H

#include "cli/cli.h"

#include <neo/attest.h>

/* Each in a file of its own, cli/attest_<word>.c. */
#define ATTEST_WORDS(X)                                                                            \
    X(collateral)                                                                                  \
    X(rollout)                                                                                     \
    X(collect)                                                                                     \
    X(doctor)                                                                                      \
    X(show)                                                                                        \
    X(verify)
#define X(name) extern const struct command attest_##name;
ATTEST_WORDS(X)
#undef X

enum { ATTEST_FILE_MAX = 4 << 20, ATTEST_ARENA = 64 << 20 };

/* Options that several words take. */
struct attest_source {
    const char *kind;           /* --kind; NULL: by its form */
    const char *certificates;   /* --certificates FILE; NULL: none */
    const char *simulated_root; /* --simulated-root FILE; NULL: none */
    bool development;           /* --insecure-dev */
    struct arg_list policies;   /* --policy FILE */
    struct arg_list collateral; /* --collateral PATH: a file, or each file of a folder */
};

/* What they read lives in `arena`. */
NEO_MUST_CHECK enum neo_code attest_read_file(struct neo_arena *arena, const char *path, size_t max,
                                              struct neo_bytes *ret, struct neo_error *err);
NEO_MUST_CHECK enum neo_code attest_read_evidence(struct neo_arena *arena,
                                                  const struct attest_source *from,
                                                  const char *path, struct neo_evidence *ret,
                                                  struct neo_error *err);
/* Gives `*ret`: neo_attest_trust_unref(). */
NEO_MUST_CHECK enum neo_code attest_read_trust(struct neo_arena *arena,
                                               const struct attest_source *from,
                                               struct neo_attest_trust **ret,
                                               struct neo_error *err);
/* Gives `*ret`: neo_attest_policies_unref(). */
NEO_MUST_CHECK enum neo_code attest_read_policies(struct neo_arena *arena,
                                                  const struct attest_source *from,
                                                  struct neo_attest_policies **ret,
                                                  struct neo_error *err);
/* 2025-06-19T12:00:00Z, or seconds since 1970; NULL: now. */
NEO_MUST_CHECK enum neo_code attest_read_time(const char *text, int64_t *ret,
                                              struct neo_error *err);

#endif
