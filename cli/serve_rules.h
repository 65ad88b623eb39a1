/* SPDX-License-Identifier: Apache-2.0 */
/* cli/serve_rules.h - what `neo serve ca` judges evidence by: files, read anew when they change. */
#ifndef NEO_CLI_SERVE_RULES_H
#define NEO_CLI_SERVE_RULES_H

#include "ca/ca.h"
#include "cli/cli.h"

#include <neo/attest.h>
#include <neo/digest.h>

struct serve_rules {
    struct arg_list attestation; /* files: policies, rollouts */
    struct arg_list collateral;  /* files, and folders as `neo attest collateral` keeps them */
    const char *simulated_root;  /* a file, or NULL */
    bool development;
    bool begun;                   /* it was read once */
    uint8_t seen[NEO_SHA256_LEN]; /* of what all of it said at the last look */
    uint8_t read[NEO_SHA256_LEN]; /* of what was read last */
};

/*
 * A ca_rules_fn. The first time it gives both, or fails. Later it takes what two looks, one after
 * the other, found the same: a file that is half written may well say something, and less.
 */
NEO_MUST_CHECK enum neo_code serve_rules_read(void *rules, struct ca_reading *ret,
                                              struct neo_error *err);

#endif
