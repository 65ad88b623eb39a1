/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh/mesh.h - the parts of a mesh, for the files that make one.
 *
 *   mesh.c       the epoch all parts publish into; servers and channels that live by it
 *   start.c      the command line of a service; running until told to stop
 *   identity.c   the first certificate and every next one
 *   enrol.c      the evidence that it may take
 *   rejoin.c     when the CA does not take it any more
 *   trust.c      whom to trust, what is revoked: the CA's stream
 *   feed.c       policy, limits, reference values: the registry's stream
 *   follow.c     a server stream that is kept up for ever
 *   resolver.c   where instances are, from the registry or from the last answer
 *   register.c   this instance in the registry
 *   collateral.c what evidence is judged against: a folder, watched and refreshed
 *   admin.c      the administration port
 *   state.c      the state folder
 *   attester_mesh.c  what this service proves itself with (attester.h: how)
 *
 * Everything below runs on the control loop, a thread of its own, so that slow files and a slow
 * control plane never hold up a call. What other threads need is behind a lock, named as such.
 */
#ifndef NEO_MESH_MESH_H
#define NEO_MESH_MESH_H

#include <neo/audit_file.h>
#include <neo/census.h>
#include <neo/mesh.h>

#include <neo/ca/v1/ca.neo.h>
#include <neo/policy/v1/policy.neo.h>
#include <neo/registry/v1/registry.neo.h>

#include "base/list.h"

#include <pthread.h>
#include <stdatomic.h>

#define MESH_CA       "neo-ca"
#define MESH_REGISTRY "neo-registry"

/* --- follow.c: a server stream, started again whenever it ends -------------------------------- */

struct follow {
    struct neo_mesh *mesh;
    const char *name; /* for the log */
    struct neo_channel *channel;
    const struct neo_method *method;
    /* Fills a request (cleared struct of the method's request type). */
    void (*ask)(struct follow *f, void *request);
    void (*heard)(struct follow *f, const void *response);
    /* private */
    struct neo_client_call *call;
    struct neo_timer again;
    unsigned failures;
    bool stopped;
    bool quiet; /* the last failure was already logged */
};
void follow_start(struct follow *f);
void follow_stop(struct follow *f);

/* --- resolver.c ------------------------------------------------------------------------------- */

struct mesh_resolver {
    struct neo_resolver face;
    struct neo_mesh *mesh;
    pthread_mutex_t lock;
    struct list services; /* of struct known_service; any thread, under `lock` */
};

/* --- the mesh --------------------------------------------------------------------------------- */

enum { MESH_LABEL_LEN = 64 };

struct neo_mesh {
    /* fixed after neo_mesh_join() */
    char *service;
    char *state_dir;
    char *listen;
    char *admin_listen;
    char *service_config;
    char instance[MESH_LABEL_LEN];
    char version[MESH_LABEL_LEN];
    bool development;
    bool own_policy; /* the registry */
    bool simulated;  /* what `attester` proves is made up: development */
    struct neo_log log;
    struct neo_runtime *control;
    struct neo_runtime *runtime;
    struct neo_loop *loop; /* of control */
    struct neo_metrics *metrics;
    struct neo_attester *attester;
    struct neo_audit_file *audit;
    struct mesh_resolver resolver;

    /* where the control plane is; known once joined */
    char trust_domain[256];
    char ca_address[128];
    char registry_address[128];

    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct neo_epoch epoch;
        bool failed;
        struct neo_error error;
    } shared; /* any thread, under `lock` */

    struct {
        pthread_mutex_t lock; /* also held while they are told of a new epoch */
        struct list channels; /* of struct mesh_channel */
        struct neo_server *server;
    } users;

    /* the control loop only */
    struct neo_join join;
    bool has_join;
    struct neo_job begin;
    struct neo_channel *joining;
    struct neo_channel *ca;
    struct neo_channel *registry;
    struct {
        struct neo_key *next; /* of the request that is under way */
        struct neo_buffer csr;
        char request_id[33];
        struct neo_client_call *call;
        struct neo_timer timer;
        unsigned failures;
        neo_nsec give_up; /* joining only */
        bool stopped;
    } identity;
    struct {
        struct neo_join spare; /* the join string of this start, not needed yet */
        bool has_spare;
        bool under_way; /* `join` is it, and a certificate is asked for with it */
        unsigned waits; /* since nobody answered */
        struct neo_timer timer;
        atomic_bool refused; /* any thread: the CA does not take our certificate */
    } rejoin;
    struct { /* evidence for the request above, where the CA asks for it */
        bool asked;
        bool quoting; /* the pool has the buffers */
        uint8_t nonce[32];
        char trust_domain[256];
        uint8_t binder[NEO_BINDER_LEN];
        struct neo_task quote;
        struct neo_buffer body, certificates;
    } enrol;
    struct {
        struct follow follow;
        uint64_t epoch;
    } trust;
    struct {
        struct follow follow;
        char version[80];
        uint64_t number; /* the highest ever adopted, in this process or before */
        char number_version[80];
        struct neo_timer patience; /* then the last snapshot on disk must do */
        bool have;
    } feed;
    struct {
        struct neo_client_call *call;
        struct neo_client_call *beat;
        struct neo_timer timer;
        char lease[80];
        neo_nsec interval;
        bool wanted;
        unsigned failures;
    } lease;
    struct mesh_admin *admin;
    struct neo_census *census;          /* of its server's and its channels' connections */
    struct mesh_collateral *collateral; /* of its own locks */
};

struct mesh_channel {
    struct list link;
    struct neo_channel *channel;
};

/*
 * neo_mesh_join() in its steps: begin, wait until it is settled, finish, which frees `mesh` when it
 * fails. Simulated time is waited for by whoever runs it.
 */
NEO_MUST_CHECK enum neo_code mesh_begin(const struct neo_mesh_options *options,
                                        struct neo_mesh **ret, struct neo_error *err);
bool mesh_is_settled(struct neo_mesh *mesh);
NEO_MUST_CHECK enum neo_code mesh_finish(struct neo_mesh *mesh, struct neo_error *err);

/* Merges what is not NULL, tells servers and channels. Takes over the references in `change`. */
void mesh_publish(struct neo_mesh *mesh, struct neo_epoch *change);
/* References of the present epoch; release with mesh_epoch_release(). Any thread. */
struct neo_epoch mesh_epoch(struct neo_mesh *mesh);
void mesh_epoch_release(struct neo_epoch *epoch);
/* Joining cannot succeed any more. */
void mesh_give_up(struct neo_mesh *mesh, const struct neo_error *err);
/* Identity and trust are there: opens the channels to CA and registry and follows them. */
void mesh_has_identity(struct neo_mesh *mesh);

/* --- identity.c ------------------------------------------------------------------------------- */

/* From the state folder, else with the join token. */
void identity_begin(struct neo_mesh *mesh);
void identity_stop(struct neo_mesh *mesh);
/* Asks for the certificate, with what enrol.c has made. */
void identity_submit(struct neo_mesh *mesh);
/* What came before that did not work. */
void identity_failed(struct neo_mesh *mesh, const struct neo_status *status);
/* For rejoin.c: the request that is under way, and its steps. */
void identity_forget_request(struct neo_mesh *mesh);
NEO_MUST_CHECK enum neo_code identity_open_joining(struct neo_mesh *mesh, struct neo_error *err);
void identity_ask(struct neo_mesh *mesh);
void identity_retry(struct neo_mesh *mesh);

/* --- rejoin.c --------------------------------------------------------------------------------- */

/* We came back without the join string; it may be needed yet. */
void rejoin_keep(struct neo_mesh *mesh);
/* For the channel to the CA: it refuses our certificate. `self`: the mesh. */
void rejoin_refused(void *self, const char *why);
/* What was begun then has ended. */
void rejoin_done(struct neo_mesh *mesh);
void rejoin_failed(struct neo_mesh *mesh, const struct neo_error *err);
/* Nobody answers: the same request once more, later. It may have been answered, and unheard. */
void rejoin_wait(struct neo_mesh *mesh, const struct neo_status *status);
void rejoin_stop(struct neo_mesh *mesh);

/* --- enrol.c ---------------------------------------------------------------------------------- */

/* Ends in one of the two above. */
void mesh_enrol_begin(struct neo_mesh *mesh);
/* NULL: none. */
struct neo_ca_v1_Evidence *mesh_enrol_evidence(struct neo_mesh *mesh,
                                               struct neo_ca_v1_Evidence *ret);
void mesh_enrol_fini(struct neo_mesh *mesh);

/* --- trust.c ---------------------------------------------------------------------------------- */

/* Checks the signature up to the root that `identity` comes from. Gives `*ret`. */
NEO_MUST_CHECK enum neo_code trust_open(const struct neo_ca_v1_SignedTrust *signed_trust,
                                        const struct neo_identity *identity, struct neo_trust **ret,
                                        struct neo_error *err);
void trust_follow(struct neo_mesh *mesh);

/* --- collateral.c ----------------------------------------------------------------------------- */

NEO_MUST_CHECK enum neo_code collateral_new(struct neo_mesh *mesh, const struct neo_mesh_options *o,
                                            struct neo_error *err);
void collateral_free(struct neo_mesh *mesh);
/* On the control loop: watches the folder, refreshes. */
void collateral_begin(struct neo_mesh *mesh);
void collateral_stop(struct neo_mesh *mesh);
/* Held while a trust is made and published: the one that is made last is the one in force. */
void collateral_lock(struct neo_mesh *mesh);
void collateral_unlock(struct neo_mesh *mesh);
NEO_MUST_CHECK enum neo_code collateral_trust(struct neo_mesh *mesh,
                                              struct neo_bytes simulated_root,
                                              struct neo_attest_trust **ret, struct neo_error *err);

/* --- feed.c ----------------------------------------------------------------------------------- */

void feed_follow(struct neo_mesh *mesh);
void feed_stop(struct neo_mesh *mesh);

/* --- resolver.c ------------------------------------------------------------------------------- */

void resolver_init(struct neo_mesh *mesh);
/* The channel to the registry is there: begin to follow what was asked for. */
void resolver_connected(struct neo_mesh *mesh);
void resolver_stop(struct neo_mesh *mesh);
void resolver_fini(struct neo_mesh *mesh);

/* --- register.c ------------------------------------------------------------------------------- */

void lease_begin(struct neo_mesh *mesh);
/* Tells the registry which policy is in force, now and not with the next heartbeat. */
void lease_tell(struct neo_mesh *mesh);
void lease_stop(struct neo_mesh *mesh);

/* --- admin.c ---------------------------------------------------------------------------------- */

NEO_MUST_CHECK enum neo_code admin_start(struct neo_mesh *mesh, struct neo_error *err);
const char *admin_address(const struct neo_mesh *mesh);
void admin_stop(struct neo_mesh *mesh);

/* --- attester_mesh.c -------------------------------------------------------------------------- */

/* Sets `mesh->attester`, or leaves it at NULL where there is nothing and nothing was named. */
NEO_MUST_CHECK enum neo_code mesh_make_attester(struct neo_mesh *mesh,
                                                const struct neo_mesh_options *o,
                                                struct neo_error *err);

/* --- state.c ---------------------------------------------------------------------------------- */

NEO_MUST_CHECK enum neo_code state_prepare(const char *dir, struct neo_error *err);
/* NOT_FOUND when there is none. */
NEO_MUST_CHECK enum neo_code state_load(const struct neo_mesh *mesh, const char *name,
                                        struct neo_buffer *out, struct neo_error *err);
/* Logs a failure: the service goes on without. */
void state_save(const struct neo_mesh *mesh, const char *name, struct neo_bytes bytes,
                unsigned mode);

/* Full jitter: U(0, min(base x 2^failures, max)). */
neo_nsec mesh_backoff(unsigned failures, neo_nsec base, neo_nsec max);

#endif
