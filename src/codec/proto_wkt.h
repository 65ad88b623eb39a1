/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/proto_wkt.h - the messages of google.protobuf that have a JSON form of their own.
 */
#ifndef NEO_CODEC_PROTO_WKT_H
#define NEO_CODEC_PROTO_WKT_H

#include "codec/proto.h"

enum proto_wkt {
    WKT_NONE, /* an ordinary message */
    WKT_ANY,
    WKT_TIMESTAMP,
    WKT_DURATION,
    WKT_FIELD_MASK,
    WKT_STRUCT,
    WKT_VALUE,
    WKT_LIST,
    WKT_WRAPPER,
};

/*
 * By name and shape: tables may come from a stranger's descriptors, and one that calls itself
 * google.protobuf.Timestamp without being one is an ordinary message.
 */
enum proto_wkt proto_wkt_of(const struct neo_message_info *info);

/* Members of google.protobuf.Value. */
enum {
    WKT_VALUE_NULL = 1,
    WKT_VALUE_NUMBER = 2,
    WKT_VALUE_STRING = 3,
    WKT_VALUE_BOOL = 4,
    WKT_VALUE_STRUCT = 5,
    WKT_VALUE_LIST = 6,
};

/* Whether the field is a google.protobuf.NullValue, whose JSON is null. */
bool proto_wkt_is_null(const struct neo_field_info *field);

/* The type that a type URL names: what is behind its last '/'. False: there is none. */
bool proto_wkt_type_name(struct neo_bytes url, struct neo_bytes *ret);

/* The message named by a type URL, of the files that `file` reaches; NULL when there is none. */
const struct neo_message_info *proto_wkt_resolve(const struct neo_file_info *file,
                                                 struct neo_bytes url);

enum { WKT_TEXT_MAX = 40 };

/* Whether they are one, by the standard. */
bool proto_wkt_is_timestamp(int64_t seconds, int32_t nanos);
bool proto_wkt_is_duration(int64_t seconds, int32_t nanos);

/* RFC 3339 and "1.5s"; 0, 3, 6 or 9 digits of a fraction. The length; 0: out of range. */
size_t proto_wkt_print_timestamp(int64_t seconds, int32_t nanos, char ret[static WKT_TEXT_MAX]);
size_t proto_wkt_print_duration(int64_t seconds, int32_t nanos, char ret[static WKT_TEXT_MAX]);
/* False: malformed or out of range. */
bool proto_wkt_parse_timestamp(struct neo_bytes text, int64_t *ret_seconds, int32_t *ret_nanos);
bool proto_wkt_parse_duration(struct neo_bytes text, int64_t *ret_seconds, int32_t *ret_nanos);

/* A path of a field mask, appended: foo_bar.baz as fooBar.baz. False: it has no such form. */
bool proto_wkt_print_path(struct neo_bytes path, struct neo_buffer *out);
/* And back, into `ret`, which has room for twice its length. */
bool proto_wkt_parse_path(struct neo_bytes text, uint8_t *ret, size_t *ret_len);

#endif
