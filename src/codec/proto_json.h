/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/proto_json.h - what the parts of the ProtoJSON reader share.
 */
#ifndef NEO_CODEC_PROTO_JSON_H
#define NEO_CODEC_PROTO_JSON_H

#include "codec/json_read.h"
#include "codec/proto_wkt.h"

enum { PROTO_JSON_FIRST = 1, PROTO_JSON_SECOND = 2 };

enum proto_json_read {
    PROTO_JSON_FAILED, /* the reader says why */
    PROTO_JSON_DONE,
    PROTO_JSON_UNKNOWN, /* the name of an enum value we do not know, which is to be ignored */
};

/* The next JSON value as a scalar, string, bytes or enum, into the slot. */
enum proto_json_read proto_json_scalar(struct neo_json *r, const struct neo_field_info *field,
                                       unsigned flags, void *slot);
/* A map's key, which is a string in JSON. */
bool proto_json_map_key(struct neo_json *r, const struct neo_field_info *key, struct neo_bytes text,
                        void *slot);

/* Timestamp, Duration and FieldMask, which are strings in JSON. */
bool proto_json_timestamp(struct neo_json *r, const struct neo_message_info *info, void *message);
bool proto_json_duration(struct neo_json *r, const struct neo_message_info *info, void *message);
bool proto_json_field_mask(struct neo_json *r, const struct neo_message_info *info, void *message);

#endif
