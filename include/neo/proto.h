/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/proto.h - protobuf messages as C structs, driven by tables.
 *
 * protoc-gen-neo writes for every message a struct and a const table; one table
 * serves the wire, JSON, reflection, the gateway, `neo call` and field classes.
 *
 * In a message struct
 *   scalars and enums     are themselves (int32_t, uint64_t, bool, double, ...)
 *   string, bytes         struct neo_bytes (a string is checked UTF-8)
 *   message, group        a pointer; NULL is absent
 *   repeated T            struct { T *at; size_t len; }; messages are held by pointer: T **at
 *   map<K, V>             repeated of a generated entry struct {key, value}
 *   explicit presence     bool has_<name>, for proto3 `optional` scalars, strings, bytes and enums
 *   oneof                 an int32_t <oneof>_case that holds the number of the set field (0: none);
 *                         the members are separate fields of the struct
 *   what else came        struct neo_bytes neo_unknown, last: extensions, fields of a newer schema,
 *                         unknown values of closed enums, as on the wire; written back
 *
 * A zeroed struct is the empty message. A decoded one lives in the arena it was decoded into and
 * borrows strings and bytes from the input, which must live as long, unless it is copied:
 * neo/message.h.
 *
 * Limits    depth 100; size and memory by the arena's budget. No recursion on
 *           input: nesting is a counter, not the C stack. Unknown fields are
 *           kept as bytes, never descended into.
 */
#ifndef NEO_PROTO_H
#define NEO_PROTO_H

#include <neo/arena.h>
#include <neo/buffer.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEO_PROTO_DEPTH_MAX = 100 };

/* Numbers of FieldDescriptorProto.Type. */
enum neo_field_kind {
    NEO_KIND_DOUBLE = 1,
    NEO_KIND_FLOAT = 2,
    NEO_KIND_INT64 = 3,
    NEO_KIND_UINT64 = 4,
    NEO_KIND_INT32 = 5,
    NEO_KIND_FIXED64 = 6,
    NEO_KIND_FIXED32 = 7,
    NEO_KIND_BOOL = 8,
    NEO_KIND_STRING = 9,
    NEO_KIND_MESSAGE = 11,
    NEO_KIND_BYTES = 12,
    NEO_KIND_UINT32 = 13,
    NEO_KIND_ENUM = 14,
    NEO_KIND_SFIXED32 = 15,
    NEO_KIND_SFIXED64 = 16,
    NEO_KIND_SINT32 = 17,
    NEO_KIND_SINT64 = 18,
};

enum neo_field_flag {
    NEO_FIELD_REPEATED = 1,
    NEO_FIELD_PACKED = 2,    /* written packed; both forms are read */
    NEO_FIELD_PRESENCE = 4,  /* `presence` is the offset of its bool has_<name> */
    NEO_FIELD_ONEOF = 8,     /* `presence` is the offset of its oneof's int32_t case */
    NEO_FIELD_MAP = 16,      /* repeated message whose table is an entry: fields 1 and 2 */
    NEO_FIELD_GROUP = 32,    /* a message between two tags, not behind its length */
    NEO_FIELD_REQUIRED = 64, /* of proto2: a message without it is refused, both ways */
};

enum neo_message_trait {
    NEO_MESSAGE_UNKNOWN = 1,   /* `unknown` is the offset of its struct neo_bytes neo_unknown */
    NEO_MESSAGE_REQUIRED = 2,  /* a field of its own is required */
    NEO_MESSAGE_SENSITIVE = 4, /* it or a message below it has a TEE_ONLY field, or holds an Any */
};

/* neo.v1.sensitivity */
enum neo_sensitivity {
    NEO_SENSITIVITY_UNSPECIFIED,
    NEO_SENSITIVITY_PUBLIC,
    NEO_SENSITIVITY_INTERNAL,
    NEO_SENSITIVITY_TEE_ONLY,
};

struct neo_message_info;
struct neo_enum_info;

struct neo_field_info {
    uint32_t number;
    uint8_t kind;        /* enum neo_field_kind */
    uint8_t flags;       /* enum neo_field_flag */
    uint8_t sensitivity; /* enum neo_sensitivity */
    uint16_t offset;
    uint16_t presence;
    const char *name;
    const char *json_name;
    union {
        const struct neo_message_info *message;  /* NEO_KIND_MESSAGE */
        const struct neo_enum_info *enumeration; /* NEO_KIND_ENUM */
    };
};

struct neo_message_info {
    const char *full_name;
    uint32_t size; /* of the struct */
    uint32_t n_fields;
    const struct neo_field_info *fields; /* ascending by number */
    const struct neo_file_info *file;
    uint32_t dense;   /* fields[i].number == i + 1 for i < dense */
    uint16_t unknown; /* with NEO_MESSAGE_UNKNOWN */
    uint16_t traits;  /* enum neo_message_trait */
};

struct neo_enum_value {
    int32_t number;
    const char *name;
};

struct neo_enum_info {
    const char *full_name;
    uint32_t n_values;
    const struct neo_enum_value *values; /* in declaration order: the first name of a number wins */
    const int32_t *closed; /* ascending: no other numbers are values. NULL: any number is */
    uint32_t n_closed;
};

struct neo_extension_info; /* neo/extension.h */
struct neo_method;

struct neo_service_info {
    const char *full_name;
    uint32_t n_methods;
    const struct neo_method *methods;
    const struct neo_file_info *file;
};

/* One .proto file, as reflection serves it. */
struct neo_file_info {
    const char *name;                               /* "neo/ca/v1/ca.proto" */
    struct neo_bytes descriptor;                    /* serialized FileDescriptorProto */
    const struct neo_file_info *const *imports;     /* NULL-terminated */
    const struct neo_message_info *const *messages; /* all, nested included; NULL-terminated */
    const struct neo_service_info *const *services; /* NULL-terminated */
    const struct neo_extension_info *extensions;    /* declared here; not those of options */
    size_t n_extensions;
    const char *tables; /* neo_proto_tables_2, of the library that the tables were made for */
};

/*
 * The layout of the structs above. Generated code refers to it by name: code of another layout does
 * not compile, link or load, rather than being misread.
 */
#define NEO_PROTO_TABLES 2
extern const char neo_proto_tables_2;

enum neo_method_kind {
    NEO_UNARY = 0,
    NEO_CLIENT_STREAM = 1, /* bit 0: the client streams */
    NEO_SERVER_STREAM = 2, /* bit 1: the server streams */
    NEO_BIDI_STREAM = 3,
};

struct neo_method {
    const char *path;    /* "/package.Service/Method" */
    const char *service; /* "package.Service" */
    const char *name;    /* "Method" */
    enum neo_method_kind kind;
    const struct neo_message_info *request;
    const struct neo_message_info *response;
    bool idempotent;        /* idempotency_level IDEMPOTENT or NO_SIDE_EFFECTS: safe to retry */
    bool fresh_attestation; /* neo.v1.fresh_attestation: its server proves itself for each call */
};

/*
 * Decodes `wire` into `message`, a zeroed struct of info->size bytes. Borrows `wire` for as long as
 * the message is used. INVALID_ARGUMENT for a malformed message, RESOURCE_EXHAUSTED for one beyond
 * the limits. On failure the contents of `message` mean nothing.
 */
NEO_MUST_CHECK enum neo_code neo_proto_decode(const struct neo_message_info *info,
                                              struct neo_bytes wire, void *message,
                                              struct neo_arena *arena, struct neo_error *err);

/* The exact encoded size. INVALID_ARGUMENT: nested deeper than the limit. */
NEO_MUST_CHECK enum neo_code neo_proto_size(const struct neo_message_info *info,
                                            const void *message, size_t *ret,
                                            struct neo_error *err);

/* Appends; the same message always gives the same bytes (fields ascending, maps in array order). */
NEO_MUST_CHECK enum neo_code neo_proto_encode(const struct neo_message_info *info,
                                              const void *message, struct neo_buffer *out,
                                              struct neo_error *err);

/*
 * Whether the message may go to a peer that is not attested: FAILED_PRECONDITION, with the field's
 * name, when a field of class TEE_ONLY is set in it or anywhere below it. What cannot be looked
 * into is refused too: an Any whose type no imported file declares, and unknown fields beside
 * fields with classes. Costs one comparison where the table has none. Channels and servers ask it
 * for every message towards a peer that is not attested; the encoder itself does not know whom it
 * writes for.
 */
NEO_MUST_CHECK enum neo_code neo_proto_check_open(const struct neo_message_info *info,
                                                  const void *message, struct neo_error *err);

enum neo_json_flags {
    NEO_JSON_PRETTY = 1,
    NEO_JSON_DEFAULTS = 2,    /* print fields without presence even when they are empty */
    NEO_JSON_PROTO_NAMES = 4, /* snake_case as in the .proto */
    NEO_JSON_IGNORE_UNKNOWN = 8,
    NEO_JSON_REDACT = 16, /* TEE_ONLY fields print as "[redacted]": for logs */
};

/* ProtoJSON. Appends. */
NEO_MUST_CHECK enum neo_code neo_proto_to_json(const struct neo_message_info *info,
                                               const void *message, unsigned flags,
                                               struct neo_buffer *out, struct neo_error *err);
/*
 * Strict: unknown and duplicate keys are refused; the message names line, column and field path.
 * Everything is copied into the arena.
 */
NEO_MUST_CHECK enum neo_code neo_proto_from_json(const struct neo_message_info *info,
                                                 struct neo_bytes json, unsigned flags,
                                                 void *message, struct neo_arena *arena,
                                                 struct neo_error *err);

/*
 * Tables made at run time from a serialized FileDescriptorSet, or from descriptors fetched by
 * reflection: what `neo call` uses. Gives `*ret`: neo_descriptors_free(). Lookups give tables that
 * live as long as the pool. INVALID_ARGUMENT: what cannot be, and an extension of class TEE_ONLY,
 * whose value nobody would see among what is unknown.
 */
struct neo_descriptors;
NEO_MUST_CHECK enum neo_code neo_descriptors_new(const struct neo_bytes *files, size_t n_files,
                                                 struct neo_descriptors **ret,
                                                 struct neo_error *err);
/* A FileDescriptorSet (protoc --include_imports --descriptor_set_out). */
NEO_MUST_CHECK enum neo_code neo_descriptors_from_set(struct neo_bytes set,
                                                      struct neo_descriptors **ret,
                                                      struct neo_error *err);
void neo_descriptors_free(struct neo_descriptors *pool);
const struct neo_service_info *neo_descriptors_service(const struct neo_descriptors *pool,
                                                       struct neo_bytes full_name);
const struct neo_message_info *neo_descriptors_message(const struct neo_descriptors *pool,
                                                       struct neo_bytes full_name);

#ifdef __cplusplus
}
#endif

#endif
