/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - refuses what the generator does not support, and names that would collide in C.
 */
#ifndef NEO_CODEGEN_CHECK_H
#define NEO_CODEGEN_CHECK_H

#include "model.h"

/* What is in the file's name can stand in an #include and in a comment. */
NEO_MUST_CHECK enum neo_code check_file_name(struct neo_bytes name, struct neo_error *err);
/* No two files have the same name in C: a program may hold what is made of both. */
NEO_MUST_CHECK enum neo_code check_files(const struct model *m, struct neo_error *err);
NEO_MUST_CHECK enum neo_code check_field(const struct model_type *type,
                                         const struct neo_descriptor_field *field,
                                         struct neo_error *err);
/* No two members of the struct have the same name. */
NEO_MUST_CHECK enum neo_code check_members(const struct model *m, const struct model_type *type,
                                           struct neo_error *err);
/* No two things a file declares have the same name. */
NEO_MUST_CHECK enum neo_code check_symbols(const struct model *m, const struct model_file *file,
                                           struct neo_error *err);

#endif
