/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/pool.h - tables made at run time: what the parts of it share.
 */
#ifndef NEO_CODEC_POOL_H
#define NEO_CODEC_POOL_H

#include "base/map.h"

#include <neo/descriptor.h>

struct pool_file {
    struct neo_file_info info;
    const struct neo_descriptor_file *descriptor;
    struct neo_descriptor_features features;
    struct pool_type *extensions; /* their holders, through `next` */
    size_t n_extensions;
    size_t n_types; /* messages and enums, nested ones included */
};

/* A message or an enum: one of the two infos is in use. */
struct pool_type {
    struct neo_message_info message;
    struct neo_enum_info enumeration;
    const struct neo_descriptor_message *descriptor; /* NULL for an enum */
    const struct pool_file *file;
    struct neo_descriptor_features features;
    struct neo_bytes extendee; /* of an extension, whose holder this is; else empty */
    struct pool_type *next;    /* of the same file, in order of declaration */
};

struct neo_descriptors {
    struct neo_arena arena; /* everything but the maps */
    struct map files;       /* by name: struct pool_file */
    struct map types;       /* by full name: struct pool_type */
    struct map services;    /* by full name: struct neo_service_info */
};

/* Fills the table of a message, whose types are all known by now. */
NEO_MUST_CHECK enum neo_code pool_link_message(struct neo_descriptors *pool, struct pool_type *type,
                                               struct neo_error *err);
/* By name with a leading dot, as descriptors have it. */
struct pool_type *pool_find_type(const struct neo_descriptors *pool, struct neo_bytes name);

enum neo_code pool_out_of_memory(struct neo_error *err);

#endif
