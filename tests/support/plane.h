/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/plane.h - a whole control plane in simulated time: the CA with its signer, the
 * registry, and services that join. Needs sim.h's world; real TLS, real files in a folder.
 *
 * The signer runs on a thread of its own, as it does in its process: it is asked, and
 * waited for, over its two pipes.
 */
#ifndef NEO_TESTS_SUPPORT_PLANE_H
#define NEO_TESTS_SUPPORT_PLANE_H

#include "mesh/mesh.h"

#include "ca/ca.h"
#include "registry/registry.h"

#define PLANE_CA       "10.0.0.1"
#define PLANE_REGISTRY "10.0.0.2"

struct plane {
    char folder[100];
    int64_t leaf_life;
    pthread_t signer;
    int signer_in, signer_out; /* its ends */
    bool has_signer;
    struct neo_runtime *runtime; /* the CA's */
    struct ca *ca;
    struct neo_mesh *registry_mesh;
    struct registry *registry;
    char policy[160];
    const char *documents[3];
    const char *more_policies; /* a folder; before plane_start_registry(); NULL: none */
    struct neo_log log;
    unsigned records; /* that the CA made */
    bool no_records;  /* its disk is full */
    char last_record[300];
    unsigned denials;                            /* of what the CA refused */
    char last_denial[400];                       /* its id, and why */
    struct neo_attest_policies *attest_policies; /* of the CA; set before plane_start_ca() */
    struct neo_attest_trust *attest_trust;
    ca_rules_fn *read_rules; /* the same; NULL: none */
    void *rules_self;
    const char *simulated_tee, *measurement; /* of services that join; NULL: none */
};

/* `folder` is there and empty. The CA alone; it allows nobody anything yet. */
void plane_start(struct plane *p, const char *folder, int64_t leaf_life);
void plane_start_registry(struct plane *p, const char *policy);
void plane_stop_registry(struct plane *p);
void plane_stop_ca(struct plane *p);
void plane_start_ca(struct plane *p);
void plane_stop(struct plane *p);
/* On the machine `host`, with the state of its last time, if there was one. */
enum neo_code plane_join(struct plane *p, const char *host, const char *service, const char *join,
                         struct neo_mesh **ret, struct neo_error *err);
/* The same with a fresh token; ends the test when it fails. */
struct neo_mesh *plane_service(struct plane *p, const char *host, const char *service);

#endif
