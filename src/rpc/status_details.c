/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A serialized google.rpc.Status may be continued by writing more of its `details` behind
 * it, so what was added is kept as such a piece: a Status with nothing but details.
 */
#include <neo/details.h>

#include <neo/well_known.h>

#include <google/rpc/error_details.neo.h>
#include <google/rpc/status.neo.h>

/* In base64 no connection brings more, whatever its peer takes. */
enum { DETAILS_MOST = 44 * 1024 };

/* The value of the detail of that type; NULL when there is none. */
static bool find(struct neo_bytes wire, const struct neo_message_info *info,
                 struct neo_arena *arena, struct neo_bytes *ret)
{
    struct google_rpc_Status s;

    if (wire.len == 0 || google_rpc_Status_decode(wire, &s, arena, NULL) != NEO_OK)
        return false;
    for (size_t i = 0; i < s.details.len; i++)
        if (neo_any_is(s.details.at[i], info)) {
            *ret = s.details.at[i]->value;
            return true;
        }
    return false;
}

bool neo_status_detail(const struct neo_status *status, const struct neo_message_info *info,
                       struct neo_arena *arena, void *ret_message)
{
    struct neo_bytes value;

    if (!find(status->details, info, arena, &value) &&
        !find(status->more_details, info, arena, &value))
        return false;
    memset(ret_message, 0, info->size);
    return neo_proto_decode(info, value, ret_message, arena, NULL) == NEO_OK;
}

/* Those that the fields of a status become. */
static bool is_our_own(const struct neo_message_info *info)
{
    static const struct neo_message_info *const own[] = {
        &google_rpc_ErrorInfo_info, &google_rpc_RetryInfo_info, &google_rpc_QuotaFailure_info};

    for (size_t i = 0; i < NEO_COUNT(own); i++)
        if (info == own[i])
            return true;
    return strcmp(info->full_name, "neo.errors.v1.AuthorizationError") == 0;
}

/* Appends to what there is, which moves. */
static bool append(struct neo_status *status, struct neo_arena *arena,
                   const struct google_rpc_Status *piece)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};

    if (!neo_buffer_append(&wire, status->more_details) ||
        google_rpc_Status_encode(piece, &wire, NULL) != NEO_OK || wire.len > DETAILS_MOST)
        return false;
    struct neo_bytes copy = neo_arena_copy(arena, neo_buffer_bytes(&wire));
    if (copy.len != wire.len)
        return false;
    status->more_details = copy;
    return true;
}

bool neo_status_add_detail(struct neo_status *status, struct neo_arena *arena,
                           const struct neo_message_info *info, const void *message)
{
    struct google_protobuf_Any any;
    struct google_protobuf_Any *details[] = {&any};
    const struct google_rpc_Status piece = {.details = {.at = details, .len = 1}};
    struct neo_bytes there;

    if (is_our_own(info) || status->details.len > 0 ||
        find(status->more_details, info, arena, &there) ||
        neo_proto_check_open(info, message, NULL) != NEO_OK || /* whoever calls hears it */
        neo_any_pack(info, message, &any, arena, NULL) != NEO_OK)
        return false;
    return append(status, arena, &piece);
}

bool neo_status_add_violations(struct neo_status *status, struct neo_arena *arena,
                               const struct neo_pair *violations, size_t n)
{
    struct google_rpc_BadRequest_FieldViolation *each = neo_arena_calloc(arena, n, sizeof(*each));
    struct google_rpc_BadRequest_FieldViolation **at = neo_arena_calloc(arena, n, sizeof(*at));
    const struct google_rpc_BadRequest bad = {.field_violations = {.at = at, .len = n}};

    if (n == 0 || each == NULL || at == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        each[i].field = violations[i].key;
        each[i].description = violations[i].value;
        at[i] = &each[i];
    }
    return neo_status_add_detail(status, arena, &google_rpc_BadRequest_info, &bad);
}
