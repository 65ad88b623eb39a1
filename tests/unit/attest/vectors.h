/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors.h - recorded evidence of real machines, which is not part of this repository.
 *
 * It is looked for in $NEO_VECTORS, then in $NEO_SOURCE_DIR/../shared/vectors. A
 * test that needs it says "skipped: no vectors" when it is not there.
 */
#ifndef NEO_TESTS_ATTEST_VECTORS_H
#define NEO_TESTS_ATTEST_VECTORS_H

#include "../unit.h"

#include <neo/buffer.h>

#include <stdio.h>
#include <stdlib.h>

static inline FILE *vectors_open(const char *name)
{
    const char *folder = getenv("NEO_VECTORS");
    const char *source = getenv("NEO_SOURCE_DIR");
    char path[512];

    if (folder != NULL)
        (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    else
        (void)snprintf(path, sizeof(path), "%s/../shared/vectors/%s", source == NULL ? "." : source,
                       name);
    return fopen(path, "rb");
}

static inline bool vectors_exist(void)
{
    FILE *file = vectors_open("EXPECTED.json");

    if (file == NULL) {
        printf("skipped: no vectors\n");
        return false;
    }
    (void)fclose(file);
    return true;
}

/* The whole file; neo_buffer_fini(). */
static inline struct neo_buffer vectors_read(const char *name)
{
    struct neo_buffer all = {0};
    FILE *file = vectors_open(name);
    uint8_t block[4096];
    size_t n;

    assert_non_null(file);
    while ((n = fread(block, 1, sizeof(block), file)) > 0)
        assert_true(neo_buffer_append(&all, neo_bytes(block, n)));
    (void)fclose(file);
    return all;
}

#endif
