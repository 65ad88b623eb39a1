/* SPDX-License-Identifier: Apache-2.0 */
/* cli/serve_rules.h - what `neo serve ca` judges evidence by: files, read anew when they change. */
#ifndef NEO_CLI_SERVE_RULES_H
#define NEO_CLI_SERVE_RULES_H

#include "cli/cli.h"

#include <neo/attest.h>
#include <neo/digest.h>

struct serve_rules {
    struct arg_list attestation; /* files: policies, rollouts */
    struct arg_list collateral;  /* files, and folders as `neo attest collateral` keeps them */
    const char *simulated_root;  /* a file, or NULL */
    bool development;
    uint8_t read[NEO_SHA256_LEN]; /* of what all of it said last */
};

/* A ca_rules_fn; the first time it always gives both. */
NEO_MUST_CHECK enum neo_code serve_rules_read(void *rules, struct neo_attest_policies **ret,
                                              struct neo_attest_trust **ret_trust,
                                              struct neo_error *err);

#endif
