/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/vouch.h - session keys that evidence has spoken for (`mode: delegated`).
 *
 * Accepted evidence may name a key that was made in the attester's memory. For as
 * long as that verdict holds, a signature by the key proves on another connection of
 * the same identity what the evidence proved on the first. It never holds longer.
 *
 * A vouch ends early when the rules or roots by which it was judged are replaced,
 * when the certificate of the connection that it came on is no longer trusted, and
 * when the wall clock was set: then nobody knows what its certificates' times mean.
 *
 * Threads   A vouch is immutable and reference counted; a table is locked inside.
 */
#ifndef NEO_ATTEST_VOUCH_H
#define NEO_ATTEST_VOUCH_H

#include <neo/attest.h>
#include <neo/cert.h>

enum {
    VOUCHES_MAX = 512,           /* of a table */
    VOUCHES_OF_ONE = 32,         /* of one identity: the newest */
    VOUCH_MEASUREMENT_MAX = 128, /* longer than that of any family */
    SESSION_KEY_P256_LEN = 91,   /* of a SubjectPublicKeyInfo */
    SESSION_KEY_ED25519_LEN = 44,
};

struct attest_vouch;

/* What is put down. Everything is copied or referenced. */
struct vouch_facts {
    struct neo_bytes identity; /* URI */
    struct neo_bytes key;      /* SubjectPublicKeyInfo */
    const struct neo_appraisal *appraisal;
    uint8_t evidence_sha256[32]; /* of the bytes that came */
    uint64_t rules;              /* number of the policies and roots that judged */
    struct neo_cert *leaf;       /* of the connection it came on; NULL: do not ask */
    int64_t wall;
    neo_nsec since; /* when the evidence came */
    neo_nsec until;
};

/* Is it a key of a kind that may be vouched for? */
bool vouch_takes_key(struct neo_bytes spki);
/* NULL when out of memory. */
struct attest_vouch *vouch_new(const struct vouch_facts *facts);
struct attest_vouch *vouch_ref(struct attest_vouch *v);
void vouch_unref(struct attest_vouch *v);

struct neo_bytes vouch_key(const struct attest_vouch *v);
const uint8_t *vouch_key_sha256(const struct attest_vouch *v);
const uint8_t *vouch_evidence_sha256(const struct attest_vouch *v);
neo_nsec vouch_until(const struct attest_vouch *v);
/* As it was, without its checks; lives as long as the vouch. */
const struct neo_appraisal *vouch_appraisal(const struct attest_vouch *v);

/* --- the table -------------------------------------------------------------------------------- */

struct vouch_table;
struct vouch_table *vouch_table_new(void); /* NULL when out of memory */
void vouch_table_free(struct vouch_table *t);

/* When somebody asks, and by what. */
struct vouch_moment {
    uint64_t rules;
    const struct neo_trust *trust;
    int64_t wall;
    neo_nsec now;
};

/* Referenced. Replaces the one of the same key, the oldest of its identity or the oldest of all. */
void vouch_put(struct vouch_table *t, struct attest_vouch *v);
/*
 * What may be relied on for `identity`, referenced; returns how many. Not what is in the second
 * half of its life: who proves itself again then does so with evidence.
 */
size_t vouch_find(struct vouch_table *t, struct neo_bytes identity, const struct vouch_moment *at,
                  struct attest_vouch *ret[static VOUCHES_OF_ONE]);

#endif
