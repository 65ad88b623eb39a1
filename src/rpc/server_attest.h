/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/server_attest.h - what all connections of a server share for attestation.
 *
 * Every exchange costs the caller a few bytes and us several signatures, or a turn of
 * the machine's one secure processor. So a proven caller, too, has only so many: of
 * one identity a bucket (two identities may share one), of all together another.
 * Besides: our session key, which never leaves this memory, and those of callers that
 * evidence has named.
 */
#ifndef NEO_RPC_SERVER_ATTEST_H
#define NEO_RPC_SERVER_ATTEST_H

#include "attest/vouch.h"

#include <neo/bytes.h>
#include <neo/error.h>
#include <neo/key.h>
#include <neo/ratelimit.h>

struct neo_server_options;

enum { SERVER_ATTEST_BUCKETS = 256 };

struct server_attest {
    struct neo_key *session_key; /* NULL: we prove nothing */
    struct vouch_table *vouches;
    struct neo_ratelimit quotes; /* ours, for all callers */
    struct neo_ratelimit exchanges[SERVER_ATTEST_BUCKETS];
};

/* NULL when out of memory, or without a session key. */
struct server_attest *server_attest_new(const struct neo_server_options *options);
void server_attest_free(struct server_attest *a);
/* Takes from the bucket of `identity`; how long to wait, or 0. Any thread. */
neo_nsec server_attest_begin(struct server_attest *a, struct neo_bytes identity, neo_nsec now);
/* From that of all. */
neo_nsec server_attest_quote(struct server_attest *a, neo_nsec now);

#endif
