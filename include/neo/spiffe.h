/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/spiffe.h - the one form of identity: spiffe://<trust-domain>/<service>.
 *
 * Strict, and never normalised: upper case, '%', an empty segment, a second
 * path segment, a trailing slash, a port, a query, a NUL or more than 2048 bytes
 * is refused. Two identities are the same when their bytes are.
 * Standard: SPIFFE-ID, narrowed to one path segment of [a-z0-9-]{1,63} and a
 * trust domain of [a-z0-9.-]{1,255}.
 */
#ifndef NEO_SPIFFE_H
#define NEO_SPIFFE_H

#include <neo/bytes.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Both parts borrow the parsed text. `service` is empty for a trust domain's own id. */
struct neo_spiffe_id {
    struct neo_bytes trust_domain;
    struct neo_bytes service;
};

/* Strict: "spiffe://domain/service" or "spiffe://domain". INVALID_ARGUMENT otherwise. */
NEO_MUST_CHECK enum neo_code neo_spiffe_parse(struct neo_bytes uri, struct neo_spiffe_id *ret,
                                              struct neo_error *err);
/* Whether it may be the name of a service, or of a trust domain. */
bool neo_is_service_name(struct neo_bytes name);
bool neo_is_trust_domain(struct neo_bytes name);

#ifdef __cplusplus
}
#endif

#endif
