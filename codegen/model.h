/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - the .proto files as the generator sees them: checked, linked, with C names.
 *
 * Everything lives in the arena the model was built in. What we do not support is
 * refused here, with file and element, so that the emitters need not ask.
 */
#ifndef NEO_CODEGEN_MODEL_H
#define NEO_CODEGEN_MODEL_H

#include "plugin.h"
#include "rename.h"

#include <neo/descriptor.h>

/* Where an element stands in its file: how SourceCodeInfo finds its comments. */
struct model_path {
    const int32_t *at;
    size_t len;
};

struct model_field {
    const struct neo_descriptor_field *descriptor;
    const char *name; /* in C */
    const char *proto_name;
    const char *plain; /* as `name`, but a word of C as it is: in longer names, has_<plain> */
    const char *json_name;
    const char *presence;          /* the member that tells whether it is set; NULL: none */
    const char *oneof;             /* C name of its oneof; NULL: none */
    unsigned flags;                /* enum neo_field_flag */
    const struct model_type *type; /* of a message or enum field; else NULL */
    struct model_path path;
};

/* A message, an enum, or the holder of an extension: a message with that field alone. */
struct model_type {
    const char *full_name; /* "pkg.Outer.Inner" */
    const char *symbol;    /* "pkg_Outer_Inner" */
    const char *scope;     /* of an enum: what its values' names begin with, "pkg_Outer_" */
    const char *outer;     /* the same as the .proto has it: "pkg.Outer." */
    const struct neo_descriptor_message *message;  /* NULL for an enum */
    const struct neo_descriptor_enum *enumeration; /* NULL for a message */
    const struct model_file *file;
    struct model_path path;
    struct model_field *fields; /* in order of declaration */
    size_t n_fields;
    bool is_entry;             /* of a map */
    bool is_sensitive;         /* NEO_MESSAGE_SENSITIVE */
    struct neo_bytes extendee; /* of an extension, whose holder this is: ".pkg.Msg"; else empty */
    struct neo_descriptor_features features;
};

struct model_file {
    const struct neo_descriptor_file *descriptor;
    struct neo_bytes wire;
    const char *name;         /* "a/b.proto" */
    const char *stem;         /* "a/b" */
    const char *symbol;       /* "a_b" */
    const char *prefix;       /* of what it declares: "pkg_", or "" */
    const char *outer;        /* the same as the .proto has it: "pkg.", or "" */
    struct model_type *types; /* outer before inner */
    size_t n_types;
    const struct model_file **imports;
    size_t n_imports;
};

struct model {
    struct neo_arena *arena;
    struct renames renames;
    struct model_file *files;
    size_t n_files;
    const struct model_type **by_name; /* all types, sorted by full name */
    size_t n_types;
};

/* INVALID_ARGUMENT: the files hold what we do not support; the message is for protoc's user. */
NEO_MUST_CHECK enum neo_code model_build(const struct plugin_request *request,
                                         struct neo_arena *arena, struct model *ret,
                                         struct neo_error *err);

const struct model_file *model_file(const struct model *m, struct neo_bytes name);
/* By name with a leading dot, as descriptors have it; NULL when there is none. */
const struct model_type *model_type(const struct model *m, struct neo_bytes name);

/* The C name of value `i` of an enum. */
const char *model_value(const struct model *m, const struct model_type *type, size_t i);

/* "pkg_Svc" and "pkg_Svc_Method": what is of them begins so. */
const char *model_service(const struct model *m, const struct model_file *file, size_t service);
const char *model_method(const struct model *m, const struct model_file *file, size_t service,
                         size_t method);

static inline bool model_is_deprecated(const struct model_field *f)
{
    return f->descriptor->options != NULL && f->descriptor->options->deprecated;
}

/* Whether the struct keeps unknown fields: not an entry of a map, nor the holder of an extension.
 */
static inline bool model_keeps_unknown(const struct model_type *type)
{
    return !type->is_entry && type->extendee.len == 0;
}

/* What the holder of an extension extends; NULL: nothing that can be read, as message sets cannot.
 */
const struct model_type *model_extendee(const struct model *m, const struct model_type *type);

/* Whether field `i` is the first of its oneof. */
bool model_begins_oneof(const struct model_type *type, size_t i);

/* What the .proto says about an element; both may be empty. */
struct model_comment {
    struct neo_bytes leading;
    struct neo_bytes trailing;
};
struct model_comment model_comment(const struct model_file *file, struct model_path path);
/* The line an element begins in, from 1; 0: not known. */
unsigned model_line(const struct model_file *file, struct model_path path);
/* Steps of a path. */
enum { MODEL_FILE_SERVICE = 6, MODEL_SERVICE_METHOD = 2, MODEL_ENUM_VALUE = 2 };
/* `path` with two more steps. */
struct model_path model_path(struct neo_arena *arena, struct model_path path, int32_t number,
                             size_t index);

#endif
