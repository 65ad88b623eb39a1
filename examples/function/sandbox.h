/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function/sandbox.h - runs a user's Lua function so that it can do nothing but compute.
 *
 * A fresh Lua 5.4 state for each run, with string, table, math and utf8 and without
 * anything that reaches outside (io, os, require, load, dofile, collectgarbage,
 * string.dump, debug). Bounded: instructions, memory, output, log.
 */
#ifndef NEO_EXAMPLES_FUNCTION_SANDBOX_H
#define NEO_EXAMPLES_FUNCTION_SANDBOX_H

#include <neo/buffer.h>
#include <neo/error.h>

enum {
    SANDBOX_INSTRUCTIONS = 2000000,
    SANDBOX_MEMORY = 8 << 20,
    SANDBOX_OUTPUT = 64 << 10,
    SANDBOX_LOG_LINES = 64,
    SANDBOX_LOG_LINE = 256,
};

typedef void sandbox_log_fn(void *self, struct neo_bytes text);

struct sandbox_result {
    struct neo_buffer output; /* release it */
    uint64_t instructions;    /* rounded up to the next thousand */
    uint64_t memory;          /* at its highest */
};

/* Checks that `source` compiles. INVALID_ARGUMENT with Lua's own words. */
NEO_MUST_CHECK enum neo_code sandbox_check(struct neo_bytes source, struct neo_error *err);
/*
 * Runs it with `input` as the global `input`; what it returns is the output. RESOURCE_EXHAUSTED: it
 * passed a limit; ABORTED: it failed, with its words.
 */
NEO_MUST_CHECK enum neo_code sandbox_run(struct neo_bytes source, struct neo_bytes input,
                                         sandbox_log_fn *log, void *self,
                                         struct sandbox_result *ret, struct neo_error *err);

#endif
