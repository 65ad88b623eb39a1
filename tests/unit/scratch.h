/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch.h - a folder of its own for each test, gone afterwards.
 *
 * Use scratch_setup and scratch_teardown as the test's fixtures.
 */
#ifndef NEO_TESTS_SCRATCH_H
#define NEO_TESTS_SCRATCH_H

#include "unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_folder[64];

static inline int scratch_setup(void **state)
{
    (void)state;
    (void)snprintf(scratch_folder, sizeof(scratch_folder), "/tmp/neo-test-XXXXXX");
    return mkdtemp(scratch_folder) == NULL ? -1 : 0;
}

static inline int scratch_remove(const char *path, const struct stat *status, int kind,
                                 struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline int scratch_teardown(void **state)
{
    (void)state;
    return nftw(scratch_folder, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of `name` in the folder; a few may be in use at once. */
static inline const char *scratch(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", scratch_folder, name);
    return path;
}

static inline unsigned scratch_mode(const char *name)
{
    struct stat status;

    assert_int_equal(stat(scratch(name), &status), 0);
    return (unsigned)status.st_mode & 07777u;
}

static inline int scratch_exists(const char *name)
{
    return access(scratch(name), F_OK) == 0;
}

#define scratch_test(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

#endif
