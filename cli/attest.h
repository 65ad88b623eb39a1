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
    X(explain)                                                                                     \
    X(policy)                                                                                      \
    X(show)                                                                                        \
    X(verify)
#define X(name) extern const struct command attest_##name;
ATTEST_WORDS(X)
#undef X

/* Of `attest policy`. */
extern const struct command attest_policy_import;

enum { ATTEST_FILE_MAX = 4 << 20, ATTEST_ARENA = 64 << 20 };

/* Options that several words take. */
struct attest_source {
    const char *kind;           /* --kind; NULL: by its form */
    const char *certificates;   /* --certificates FILE; NULL: none */
    const char *simulated_root; /* --simulated-root FILE; NULL: none */
    bool development;           /* --insecure-dev */
    struct arg_list policies;   /* --policy FILE */
    struct arg_list collateral; /* --collateral PATH: a file, or each file of a folder */
    struct arg_list parts;      /* --part NAME=FILE, beside the file itself */
};
#define ATTEST_PART_ARG(source)                                                                    \
    {                                                                                              \
        "--part", ARG_LIST, &(source).parts, "NAME=FILE",                                          \
            "quote, signature, key, pcrs, log, tdquote, hcl"                                       \
    }

/* The options of whoever judges with what was read. */
#define ATTEST_JUDGE_ARGS(from)                                                                    \
    {"--collateral", ARG_LIST, &(from).collateral, "PATH",                                         \
     "file or folder of certificates, lists, documents"},                                          \
        {"--certificates", ARG_TEXT, &(from).certificates, "FILE", "what came with the evidence"}, \
        {"--kind", ARG_TEXT, &(from).kind, "KIND", "snp-report, tdx-quote, ... [by its form]"},    \
        ATTEST_PART_ARG(from),                                                                     \
        {"--simulated-root", ARG_TEXT, &(from).simulated_root, "FILE",                             \
         "DER; with --insecure-dev"},                                                              \
    {                                                                                              \
        "--insecure-dev", ARG_FLAG, &(from).development, NULL, "accept simulated evidence"         \
    }

/* What they read lives in `arena`. */
NEO_MUST_CHECK enum neo_code attest_read_file(struct neo_arena *arena, const char *path, size_t max,
                                              struct neo_bytes *ret, struct neo_error *err);
/* Bytes; or text that stands for them: hex, base64 or PEM. */
struct neo_bytes attest_plain(struct neo_arena *arena, struct neo_bytes text);
/* In any of the forms in which people have it; docs/ATTESTATION.md, "By hand". */
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

/* Of `attest rollout`: says so when no policy beside the document `path` knows what was added. */
struct neo_rollout;
void attest_rollout_warn(struct neo_arena *arena, const char *path,
                         const struct neo_rollout *rollout);
/*
 * Of `attest rollout`: has the registry put a step into its audit trail, with who we are. OK: it is
 * on its disk.
 */
struct neo_policy_v1_NoteRolloutRequest;
NEO_MUST_CHECK enum neo_code attest_rollout_note(struct neo_policy_v1_NoteRolloutRequest *step,
                                                 struct neo_error *err);

#endif
