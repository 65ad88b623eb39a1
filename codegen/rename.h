/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename.h - names of C that the user chose: --neo_opt=name=pkg.Service.Method=pkg_Service_Other.
 *
 * For .proto files that are not theirs to change, where two elements would have one name in C.
 */
#ifndef NEO_CODEGEN_RENAME_H
#define NEO_CODEGEN_RENAME_H

#include <neo/arena.h>
#include <neo/error.h>

struct rename {
    struct neo_bytes element; /* "pkg.Service.Method" */
    const char *name;
    bool is_used;
};

struct renames {
    struct rename *at;
    size_t len;
};

/* The plugin's parameter. INVALID_ARGUMENT: it holds something else, or what is no name in C. */
NEO_MUST_CHECK enum neo_code rename_read(struct neo_bytes parameter, struct neo_arena *arena,
                                         struct renames *ret, struct neo_error *err);
/* The name that was chosen for an element; NULL: none. */
const char *rename_find(const struct renames *renames, const char *element);
/* INVALID_ARGUMENT: a name was given to what there is not. */
NEO_MUST_CHECK enum neo_code rename_check(const struct renames *renames, struct neo_error *err);

#endif
