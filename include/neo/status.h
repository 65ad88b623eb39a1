/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/status.h - how a call ended: a code, a text for people, and typed details.
 *
 * On the wire: grpc-status, grpc-message, grpc-status-details-bin with one
 * google.rpc.Status that holds exactly one ErrorInfo {reason, domain "neo"} and, as
 * fits, RetryInfo, QuotaFailure, BadRequest, ResourceInfo and
 * neo.errors.v1.AuthorizationError. Reasons are the closed list of docs/ERRORS.md.
 *
 * All parts borrow; a status given to a callback lives as long as the call.
 */
#ifndef NEO_STATUS_H
#define NEO_STATUS_H

#include <neo/arena.h>
#include <neo/buffer.h>
#include <neo/error.h>
#include <neo/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_pair {
    struct neo_bytes key;
    struct neo_bytes value;
};

struct neo_status {
    enum neo_code code;
    struct neo_bytes message;
    struct neo_bytes reason;      /* "RATE_LIMITED"; empty: none was given */
    struct neo_bytes decision_id; /* "d-..."; empty: none */
    neo_nsec retry_after;         /* RetryInfo; 0: none */
    struct neo_bytes bucket;      /* QuotaFailure's subject; empty: none */
    struct neo_bytes service;     /* AuthorizationError */
    struct neo_bytes required_permission;
    struct neo_bytes resource;
    const struct neo_pair *metadata; /* of ErrorInfo, further to the above */
    size_t n_metadata;
    bool processed; /* false: the server refused before the handler ran; safe to retry */
    /* A serialized google.rpc.Status with details of whatever types. When sending: goes out as it
       is, instead of the details above; its code must be `code`. Received: as it came; empty when
       there was none, or a malformed one. */
    struct neo_bytes details;
    struct neo_bytes more_details; /* of other types, beside those above: see neo/details.h */
};

/* A status without details. */
static inline struct neo_status neo_status_of(enum neo_code code, const char *message)
{
    struct neo_status status;

    (void)memset(&status, 0, sizeof(status));
    status.code = code;
    status.message = neo_text(message);
    status.processed = true;
    return status;
}

/* Serialized google.rpc.Status and back. False: out of memory. What is decoded lies on `arena`;
   INVALID_ARGUMENT: malformed. */
bool neo_status_encode(const struct neo_status *status, struct neo_buffer *out);
NEO_MUST_CHECK enum neo_code neo_status_decode(struct neo_bytes wire, struct neo_arena *arena,
                                               struct neo_status *ret, struct neo_error *err);
/* The seed's JSON shape: {"error": {"code": ..., "message": ..., "details": [...]}} */
bool neo_status_json(const struct neo_status *status, bool pretty, struct neo_buffer *out);

#ifdef __cplusplus
}
#endif

#endif
