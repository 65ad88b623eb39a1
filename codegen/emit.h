/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emit.h - from the model to C.
 *
 * Emitters append to a buffer and never fail on the way: a buffer that is out of
 * memory says so at the end.
 */
#ifndef NEO_CODEGEN_EMIT_H
#define NEO_CODEGEN_EMIT_H

#include "model.h"

struct emit {
    struct neo_buffer *out;
    const struct model *model;
    const struct model_file *file;
};

/* <stem>.neo.h and <stem>.neo.c. */
void emit_header(const struct emit *e);
void emit_source(const struct emit *e);

/* For each field of a message with a default of its own: a function that applies it. */
void emit_defaults(const struct emit *e, const struct model_type *type);

/* The parts of a header that belong to services: stubs and skeletons. */
void emit_service_header(const struct emit *e, size_t index);
/* Tables of a service. */
void emit_service_source(const struct emit *e, size_t index);

NEO_PRINTF(2, 3) void emit(const struct emit *e, const char *format, ...);
/* The first line of an output: what it was made of. */
void emit_origin(const struct emit *e);
/* A comment of the .proto before the element it is about; nothing when there is none. */
void emit_comment(const struct emit *e, const char *indent, struct neo_bytes text);
/* A comment behind its element, on the same line when it fits there; ends the line. */
void emit_trailing(const struct emit *e, const char *indent, struct neo_bytes text);

#endif
