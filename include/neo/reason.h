/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/reason.h - why a call failed: the closed list of ErrorInfo.reason.
 *
 * One row per reason: its name on the wire, the code it comes with, and the fixed
 * text that a peer may read. Everything more (who, which rule, which file) goes to
 * the log and the audit trail, under the decision id. docs/ERRORS.md says for each
 * what to do about it; a test holds the two lists together.
 */
#ifndef NEO_REASON_H
#define NEO_REASON_H

#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
#define NEO_REASONS(X)                                                                             \
    /* who is calling */                                                                           \
    X(CERTIFICATE_REVOKED,   UNAUTHENTICATED,     "the caller's certificate is no longer trusted") \
    X(CERTIFICATE_EXPIRED,   UNAUTHENTICATED,     "the caller's certificate has expired")          \
    /* may it */                                                                                   \
    X(POLICY_DENIED,         PERMISSION_DENIED,   "the policy does not allow this call")           \
    X(POLICY_CHANGED,        PERMISSION_DENIED,   "the policy no longer allows this call")         \
    X(ATTESTATION_REQUIRED,  FAILED_PRECONDITION, "this connection must be attested first")        \
    X(ATTESTATION_REFUSED,   PERMISSION_DENIED,   "the evidence was not accepted")                 \
    X(ATTESTATION_EXPIRED,   UNAVAILABLE,         "the attestation of this connection has ended")  \
    X(AUTHORITY_UNKNOWN,     PERMISSION_DENIED,   "the call is addressed to another service")       \
    /* is there room */                                                                            \
    X(RATE_LIMITED,          RESOURCE_EXHAUSTED,  "a rate limit is reached")                       \
    X(OVERLOADED,            RESOURCE_EXHAUSTED,  "the server is overloaded")                      \
    X(DRAINING,              UNAVAILABLE,         "the server is shutting down")                   \
    /* is it a call at all */                                                                      \
    X(METHOD_UNKNOWN,        UNIMPLEMENTED,       "there is no such method here")                  \
    X(METHOD_UNIMPLEMENTED,  UNIMPLEMENTED,       "the method is not implemented")                 \
    X(REQUEST_MALFORMED,     INVALID_ARGUMENT,    "the request is malformed")                      \
    X(MESSAGE_COUNT,         UNIMPLEMENTED,       "the request has the wrong number of messages")  \
    X(MESSAGE_TOO_LARGE,     RESOURCE_EXHAUSTED,  "a message is too large")                        \
    X(MESSAGE_BROKEN,        INTERNAL,            "a message has bad flags, or ends too early")    \
    X(COMPRESSION_UNKNOWN,   UNIMPLEMENTED,       "this compression is not taken here")            \
    /* how it ended */                                                                             \
    X(DEADLINE_PASSED,       DEADLINE_EXCEEDED,   "the deadline has passed")                       \
    X(CALL_CANCELLED,        CANCELLED,           "the call was cancelled")                        \
    X(CALL_STALLED,          DEADLINE_EXCEEDED,   "the peer stopped sending or receiving")         \
    X(APPLICATION,           UNKNOWN,             "the handler refused the call")                  \
    X(HANDLER_BROKEN,        INTERNAL,            "the handler failed")                            \
    X(OUT_OF_MEMORY,         RESOURCE_EXHAUSTED,  "the call's memory is spent")                    \
    /* the calling side alone */                                                                   \
    X(NO_ENDPOINT,           UNAVAILABLE,         "no instance of the service is known")           \
    X(CONNECT_FAILED,        UNAVAILABLE,         "no instance of the service can be reached")     \
    X(CIRCUIT_OPEN,          UNAVAILABLE,         "the circuit to the service is open")            \
    X(CHANNEL_FULL,          RESOURCE_EXHAUSTED,  "too many calls wait in the channel")
/* clang-format on */

enum neo_reason {
    NEO_REASON_NONE,
#define X(name, code, text) NEO_REASON_##name,
    NEO_REASONS(X)
#undef X
        NEO_REASON_COUNT,
};

/* "RATE_LIMITED", "" for NONE; a sentence for people; the code that a refusal with it has. Static.
   Any thread. */
const char *neo_reason_name(enum neo_reason reason);
const char *neo_reason_text(enum neo_reason reason);
enum neo_code neo_reason_code(enum neo_reason reason);

#ifdef __cplusplus
}
#endif

#endif
