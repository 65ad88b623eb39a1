/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/keeper.h - what the signer knows and decides, without its pipes.
 *
 * The keys are made on the first start and never leave its folder:
 *
 *   root.key, root.pem         ten years
 *   issuer-N.key, issuer-N.pem 90 days each; the next one is made when two thirds of the
 *                              last have passed. Peers trust the root, and each certificate
 *                              comes with its issuer's, so both are believed side by side;
 *                              a key is deleted when no leaf it signed can live any more
 *   journal                    every leaf (ca/journal.h), until 7 days after its end
 *   trust.last                 the trust it signed last
 *   lock                       held by the one signer that may touch any of it
 *
 * A leaf lives at most 48 h, for a name of the service grammar; names that begin with
 * "neo-" are the control plane's own three. A renewal names the certificate it renews,
 * which must be in the journal, for the same name, alive and not revoked.
 *
 * A trust is read before it is signed: our root alone for our domain, a number that never
 * falls, revocations by our issuers, and all that were in the last one and may still
 * matter. A revocation is told for 48 h: no leaf that it is about lives longer.
 *
 * Time is an argument: seconds since 1970, and the monotonic clock for the rate.
 */
#ifndef NEO_CA_KEEPER_H
#define NEO_CA_KEEPER_H

#include "ca/journal.h"
#include "ca/signer.h"

#include <neo/ca/v1/ca.neo.h>
#include <neo/cert.h>
#include <neo/ratelimit.h>

enum {
    KEEPER_LEAF_LIFE_MAX = 48 * 3600,
    KEEPER_ISSUER_LIFE = 90 * 86400,
    KEEPER_ROOT_LIFE = 10 * 365 * 86400,
    KEEPER_REVOCATION_TOLD = 48 * 3600, /* at least, after it was made */
    KEEPER_ISSUERS_MAX = 128,
    /* A journalled certificate, after its end: it is revoked no longer than 48 h, clocks err, and
     * who looks for what was signed without a reason needs days to begin. */
    KEEPER_KEPT = 7 * 86400,
    KEEPER_DROPPED_LEAST = 256, /* records, and as many as are kept: so each is copied once */
    KEEPER_CLOCK_TRIED = 3600,  /* nothing is dropped by a clock that was set since, or begun */
};

struct issuer {
    struct neo_cert *cert;
    struct neo_key *key; /* NULL: nothing it signed can be alive */
};

struct keeper {
    const char *dir;
    const char *trust_domain;
    bool development;
    struct neo_cert *root;
    struct issuer issuers[KEEPER_ISSUERS_MAX]; /* the last one signs */
    size_t n_issuers;
    int lock; /* of the folder, as long as this one is open; -1: not held */
    struct journal journal;
    struct neo_ratelimit limit;
    struct neo_arena last_memory; /* of `last` */
    struct neo_buffer last_wire;
    struct neo_ca_v1_Trust last; /* the trust signed last; epoch 0: none */
    struct neo_error trouble;    /* why the issuer's successor could not be made; code OK: none */
    struct {
        size_t n_ended; /* the oldest of the journal that may go */
        int64_t wall;   /* both clocks, since when they agree */
        neo_nsec mono;
        neo_nsec next; /* when to look again */
        struct neo_error trouble;
    } pruning;
};

/*
 * UNAVAILABLE: another signer has the folder, and nothing in it was touched. keeper_close() also
 * when it fails.
 */
NEO_MUST_CHECK enum neo_code keeper_open(struct keeper *k, const char *dir,
                                         const char *trust_domain, bool development, int64_t now,
                                         struct neo_error *err);
void keeper_close(struct keeper *k);

/* Does what is asked and appends the answer's parts to `out`. */
NEO_MUST_CHECK enum neo_code keeper_answer(struct keeper *k, const struct signer_request *r,
                                           struct neo_bytes body, int64_t now, neo_nsec mono,
                                           struct neo_buffer *out, struct neo_error *err);

/*
 * Drops from the journal what nobody can ask for any more, now and then, once both clocks have gone
 * alike for an hour: a machine that starts with a wrong time would drop what is alive. Why not is
 * in `pruning.trouble`.
 */
void keeper_prune(struct keeper *k, int64_t now, neo_nsec mono);

/* --- between its files ------------------------------------------------------------------------ */

/* issuers.c: opens the keys, or makes them. */
NEO_MUST_CHECK enum neo_code issuers_open(struct keeper *k, int64_t now, struct neo_error *err);
/* Makes the successor when it is time, and deletes the key that has done its work. */
NEO_MUST_CHECK enum neo_code issuers_renew(struct keeper *k, int64_t now, struct neo_error *err);
const struct issuer *issuers_present(const struct keeper *k);
/* By subject key identifier; NULL when it is none of ours. */
const struct issuer *issuers_find(const struct keeper *k, struct neo_bytes key_id);

/* keeper_trust.c */
NEO_MUST_CHECK enum neo_code keeper_trust_open(struct keeper *k, struct neo_error *err);
NEO_MUST_CHECK enum neo_code keeper_trust_sign(struct keeper *k, struct neo_bytes wire, int64_t now,
                                               struct neo_buffer *out, struct neo_error *err);
/* By the trust signed last. */
bool keeper_trust_revokes(const struct keeper *k, const struct neo_cert *leaf);
NEO_MUST_CHECK enum neo_code keeper_trust_crl(struct keeper *k, int64_t now, struct neo_buffer *out,
                                              struct neo_error *err);

/* A part of an answer. */
NEO_MUST_CHECK enum neo_code keeper_put(struct neo_buffer *out, struct neo_bytes part,
                                        struct neo_error *err);
void keeper_path(const struct keeper *k, const char *name, char path[static 1024]);

#endif
