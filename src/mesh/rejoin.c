/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the CA refuses the certificate that we came back with: revoked, most likely.
 *
 * It counts only when the CA had proven itself first (tls_is_refused()), so nobody on the way can
 * make a service throw its identity away. Then whoever runs the service is told what to do; and a
 * join string that it was started with, and has not needed, is used, as at a first start: over
 * the CA with the root that the string names, and none else. Without one nothing is tried. It is
 * given up only when the CA has said no: a network that is away costs nobody a token.
 */
#include "mesh/mesh.h"

#include "rpc/target.h"

#include <neo/memory.h>

#include <stdio.h>

#define REJOIN_PATIENCE (10 * NEO_NSEC_PER_SEC)
#define WAIT_BASE       NEO_NSEC_PER_SEC
#define WAIT_MAX        (60 * NEO_NSEC_PER_SEC)

static void forget_spare(struct neo_mesh *mesh)
{
    neo_zeroise(&mesh->rejoin.spare, sizeof(mesh->rejoin.spare));
    mesh->rejoin.has_spare = false;
}

void rejoin_keep(struct neo_mesh *mesh)
{
    if (!mesh->has_join)
        return;
    mesh->rejoin.spare = mesh->join;
    mesh->rejoin.has_spare = true;
}

static void end(struct neo_mesh *mesh)
{
    mesh->rejoin.under_way = false;
    mesh->has_join = false;
    neo_zeroise(&mesh->join, sizeof(mesh->join));
    /* Not here, in a callback of one of its calls. */
    neo_loop_arm(mesh->loop, &mesh->rejoin.timer, neo_loop_now(mesh->loop));
}

void rejoin_done(struct neo_mesh *mesh)
{
    atomic_store(&mesh->rejoin.refused, false);
    neo_log_info(&mesh->log, "mesh.joined_again", NEO_STR("service", mesh->service));
    end(mesh);
}

void rejoin_failed(struct neo_mesh *mesh, const struct neo_error *err)
{
    neo_log_warn(&mesh->log, "mesh.not_joined_again", NEO_STR("why", err->message));
    identity_forget_request(mesh);
    end(mesh);
    identity_retry(mesh);
}

void rejoin_wait(struct neo_mesh *mesh, const struct neo_status *status)
{
    if (mesh->rejoin.waits == 0)
        neo_log_warn(&mesh->log, "mesh.not_joined_again", NEO_BYTES("why", status->message),
                     NEO_STR("next", "asking on, with the same join string"));
    neo_nsec wait = WAIT_BASE + mesh_backoff(mesh->rejoin.waits++, WAIT_BASE, WAIT_MAX);
    neo_loop_arm(mesh->loop, &mesh->identity.timer, neo_loop_now(mesh->loop) + wait);
}

static void begin(struct neo_mesh *mesh)
{
    struct neo_error err;

    mesh->join = mesh->rejoin.spare;
    mesh->has_join = mesh->rejoin.under_way = true;
    mesh->rejoin.waits = 0;
    forget_spare(mesh);
    neo_loop_disarm(mesh->loop, &mesh->identity.timer);
    mesh->identity.give_up = neo_loop_now(mesh->loop) + REJOIN_PATIENCE;
    /* Another key: the CA may not know the old one any more, and whoever stole it does. */
    identity_forget_request(mesh);
    if (identity_open_joining(mesh, &err) == NEO_OK)
        identity_ask(mesh);
    else
        rejoin_failed(mesh, &err);
}

static void due(struct neo_timer *timer)
{
    struct neo_mesh *mesh = neo_owner(timer, struct neo_mesh, rejoin.timer);

    if (mesh->identity.stopped || mesh->rejoin.under_way)
        return;
    if (!mesh->rejoin.has_spare) {
        neo_channel_free(mesh->joining);
        mesh->joining = NULL;
        return;
    }
    neo_loop_disarm(mesh->loop, &mesh->identity.timer);
    if (mesh->identity.call != NULL) { /* a renewal that cannot come through: it ends first */
        neo_client_call_cancel(mesh->identity.call);
        neo_loop_arm(mesh->loop, timer, neo_loop_now(mesh->loop) + 10 * NEO_NSEC_PER_MSEC);
        return;
    }
    if (mesh->enrol.quoting) {
        neo_loop_arm(mesh->loop, timer, neo_loop_now(mesh->loop) + 100 * NEO_NSEC_PER_MSEC);
        return;
    }
    begin(mesh);
}

void rejoin_refused(void *self, const char *why)
{
    struct neo_mesh *mesh = self;

    if (!atomic_exchange(&mesh->rejoin.refused, true))
        neo_log_warn(&mesh->log, "mesh.certificate_refused", NEO_STR("why", why),
                     NEO_STR("next", mesh->rejoin.has_spare
                                         ? "joining again with the join string of this start"
                                         : "it is revoked; join again: neo token create SERVICE "
                                           "--out FILE, and start with --join-file FILE"));
    mesh->rejoin.timer.expired = due;
    if (mesh->rejoin.has_spare && !mesh->rejoin.under_way && !mesh->identity.stopped)
        neo_loop_arm(mesh->loop, &mesh->rejoin.timer, neo_loop_now(mesh->loop));
}

void rejoin_stop(struct neo_mesh *mesh)
{
    neo_loop_disarm(mesh->loop, &mesh->rejoin.timer);
    forget_spare(mesh);
}

bool neo_mesh_is_refused(const struct neo_mesh *mesh)
{
    return atomic_load(&mesh->rejoin.refused);
}
