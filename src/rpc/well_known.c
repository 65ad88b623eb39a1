/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of google.protobuf, as structs. It is here, and not with the codec, because the
 * generator of those structs is made of the codec.
 */
#include <neo/well_known.h>

#include "codec/proto_wkt.h"

#include <google/protobuf/any.neo.h>
#include <google/protobuf/duration.neo.h>
#include <google/protobuf/timestamp.neo.h>

#define TYPE_PREFIX "type.googleapis.com/"

/* --- Any -------------------------------------------------------------------------------------- */

enum neo_code neo_any_pack(const struct neo_message_info *info, const void *message,
                           struct google_protobuf_Any *ret, struct neo_arena *arena,
                           struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};

    NEO_TRY(neo_proto_encode(info, message, &wire, err));
    const char *type_url = neo_arena_printf(arena, TYPE_PREFIX "%s", info->full_name);
    struct neo_bytes value = neo_arena_copy(arena, neo_buffer_bytes(&wire));
    if (type_url == NULL || value.len != wire.len)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "cannot pack %s into an Any: the memory budget is spent", info->full_name);
    *ret = (struct google_protobuf_Any){.type_url = neo_text(type_url), .value = value};
    return NEO_OK;
}

bool neo_any_is(const struct google_protobuf_Any *any, const struct neo_message_info *info)
{
    struct neo_bytes name;

    return proto_wkt_type_name(any->type_url, &name) && neo_bytes_is(name, info->full_name);
}

enum neo_code neo_any_unpack(const struct google_protobuf_Any *any,
                             const struct neo_message_info *info, void *ret,
                             struct neo_arena *arena, struct neo_error *err)
{
    if (!neo_any_is(any, info))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the Any holds '%.*s', not %s",
                        NEO_FMT(any->type_url), info->full_name);
    memset(ret, 0, info->size);
    return neo_proto_decode(info, any->value, ret, arena, err);
}

/* --- time ------------------------------------------------------------------------------------- */

#define NANOS_PER_SEC INT64_C(1000000000)

void neo_timestamp_set(struct google_protobuf_Timestamp *ret, int64_t wall)
{
    int64_t nanos = wall % NANOS_PER_SEC;
    int64_t seconds = wall / NANOS_PER_SEC;

    if (nanos < 0) { /* they count forward, also before 1970 */
        nanos += NANOS_PER_SEC;
        seconds--;
    }
    *ret = (struct google_protobuf_Timestamp){.seconds = seconds, .nanos = (int32_t)nanos};
}

enum neo_code neo_timestamp_get(const struct google_protobuf_Timestamp *timestamp,
                                int64_t *ret_wall, struct neo_error *err)
{
    int64_t seconds = timestamp->seconds;
    int64_t nanos = timestamp->nanos;
    int64_t wall;

    if (!proto_wkt_is_timestamp(seconds, timestamp->nanos))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "no timestamp of the years 1 to 9999: %lld s and %lld ns",
                        (long long)seconds, (long long)nanos);
    if (seconds < 0) { /* towards zero, as the earliest that fits does not in whole seconds */
        seconds++;
        nanos -= NANOS_PER_SEC;
    }
    if (__builtin_mul_overflow(seconds, NANOS_PER_SEC, &wall) ||
        __builtin_add_overflow(wall, nanos, &wall))
        return neo_fail(err, NEO_OUT_OF_RANGE,
                        "a timestamp beyond 64 bits of nanoseconds: %lld s since 1970",
                        (long long)timestamp->seconds);
    *ret_wall = wall;
    return NEO_OK;
}

void neo_duration_set(struct google_protobuf_Duration *ret, neo_nsec duration)
{
    *ret = (struct google_protobuf_Duration){
        .seconds = (int64_t)(duration / NEO_NSEC_PER_SEC),
        .nanos = (int32_t)(duration % NEO_NSEC_PER_SEC),
    };
}

enum neo_code neo_duration_get(const struct google_protobuf_Duration *duration, neo_nsec *ret,
                               struct neo_error *err)
{
    int64_t seconds = duration->seconds;
    int32_t nanos = duration->nanos;
    neo_nsec whole;

    if (!proto_wkt_is_duration(seconds, nanos))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "no duration: %lld s and %d ns",
                        (long long)seconds, nanos);
    if (seconds < 0 || nanos < 0 ||
        __builtin_mul_overflow((neo_nsec)seconds, NEO_NSEC_PER_SEC, &whole) ||
        __builtin_add_overflow(whole, (neo_nsec)nanos, &whole))
        return neo_fail(err, NEO_OUT_OF_RANGE,
                        "a duration that is negative or beyond 64 bits of nanoseconds: %lld s "
                        "and %d ns",
                        (long long)seconds, nanos);
    *ret = whole;
    return NEO_OK;
}
