/* SPDX-License-Identifier: Apache-2.0 */
/* attest/describe.h - how a family tells what a piece of its evidence says. */
#ifndef NEO_ATTEST_DESCRIBE_H
#define NEO_ATTEST_DESCRIBE_H

#include <neo/evidence.h>

enum { DESCRIBE_MAX = 192 };

/* Facts as they are found; what does not fit any more is left out. */
struct description {
    struct neo_arena *arena;
    struct neo_bytes binder;
    struct neo_evidence_fact at[DESCRIBE_MAX];
    size_t n;
};

/* Copies `value`. */
void describe_bytes(struct description *d, const char *name, const void *at, size_t len);
void describe_text(struct description *d, const char *name, struct neo_bytes text);
NEO_PRINTF(3, 4)
void describe_number(struct description *d, const char *name, const char *format, ...);

/* One of each family; see family.h. */
typedef enum neo_code describe_fn(const struct neo_evidence *evidence, struct description *d,
                                  struct neo_error *err);
describe_fn describe_snp, describe_intel, describe_nitro, describe_cca;

#endif
