/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence for a certificate, where the CA asks for it: a challenge first, evidence over
 * it and the request's key, then the request. The attester may block and works on the
 * pool; a mesh that ends meanwhile waits for it with its control loop.
 */
#include "mesh/mesh.h"

#include <neo/enrol.h>
#include <neo/key.h>
#include <neo/memory.h>

#define CALL_TIMEOUT (5 * NEO_NSEC_PER_SEC)

static void forget(struct neo_mesh *mesh)
{
    neo_buffer_clear(&mesh->enrol.body);
    neo_buffer_clear(&mesh->enrol.certificates);
    mesh->enrol.asked = false;
}

static enum neo_code bind(struct neo_mesh *mesh, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};

    NEO_TRY(neo_key_spki(mesh->identity.next, &spki, err));
    const struct neo_enrolment enrolment = {
        .evidence_type = neo_text(neo_evidence_kind_text(mesh->attester->kind)),
        .nonce = neo_bytes(mesh->enrol.nonce, sizeof(mesh->enrol.nonce)),
        .spki = neo_buffer_bytes(&spki),
        .trust_domain = neo_text(mesh->enrol.trust_domain),
        .service = neo_text(mesh->service),
    };
    return neo_enrol_binder(&enrolment, mesh->enrol.binder, err);
}

static struct neo_mesh *mesh_of(struct neo_job *job)
{
    return neo_owner(neo_owner(job, struct neo_task, job), struct neo_mesh, enrol.quote);
}

static void quote(struct neo_job *job)
{
    struct neo_mesh *mesh = mesh_of(job);

    if (mesh->attester->attest(mesh->attester, mesh->enrol.binder, &mesh->enrol.body,
                               &mesh->enrol.certificates, NULL) != NEO_OK)
        neo_buffer_clear(&mesh->enrol.body); /* the CA will say what that costs us */
}

static void quoted(struct neo_job *job)
{
    struct neo_mesh *mesh = mesh_of(job);

    mesh->enrol.quoting = false;
    if (!mesh->identity.stopped)
        identity_submit(mesh);
}

/* Its sizes were checked when it came; kept, because the evidence is made behind it. */
static void heard(struct neo_client_call *call, const void *response, void *self)
{
    const struct neo_ca_v1_ChallengeResponse *r = response;
    struct neo_mesh *mesh = self;

    (void)call;
    if (!r->required || r->nonce.len != sizeof(mesh->enrol.nonce) ||
        r->trust_domain.len >= sizeof(mesh->enrol.trust_domain))
        return;
    memcpy(mesh->enrol.nonce, r->nonce.at, r->nonce.len);
    memcpy(mesh->enrol.trust_domain, r->trust_domain.at, r->trust_domain.len);
    mesh->enrol.trust_domain[r->trust_domain.len] = '\0';
    mesh->enrol.asked = true;
}

static void over(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct neo_mesh *mesh = self;
    struct neo_error err;

    (void)call;
    mesh->identity.call = NULL;
    if (mesh->identity.stopped)
        return;
    if (status->code != NEO_OK && status->code != NEO_UNIMPLEMENTED) {
        identity_failed(mesh, status);
        return;
    }
    if (!mesh->enrol.asked || bind(mesh, &err) != NEO_OK) {
        identity_submit(mesh);
        return;
    }
    mesh->enrol.quoting = true;
    mesh->enrol.quote = (struct neo_task){.work = quote, .done = quoted};
    neo_loop_offload(mesh->loop, &mesh->enrol.quote);
}

void mesh_enrol_begin(struct neo_mesh *mesh)
{
    static const struct neo_client_events events = {.message = heard, .done = over};
    const struct neo_call_options options = {.timeout = CALL_TIMEOUT, .wait_for_ready = true};
    const struct neo_ca_v1_ChallengeRequest request = {.service = neo_text(mesh->service)};

    forget(mesh);
    if (mesh->attester == NULL || neo_ca_v1_CertificateAuthority_Challenge_start(
                                      mesh->has_join ? mesh->joining : mesh->ca, &options, &request,
                                      &events, mesh, &mesh->identity.call, NULL) != NEO_OK)
        identity_submit(mesh);
}

struct neo_ca_v1_Evidence *mesh_enrol_evidence(struct neo_mesh *mesh,
                                               struct neo_ca_v1_Evidence *ret)
{
    if (!mesh->enrol.asked || mesh->enrol.body.len == 0)
        return NULL;
    *ret = (struct neo_ca_v1_Evidence){
        .nonce = neo_bytes(mesh->enrol.nonce, sizeof(mesh->enrol.nonce)),
        .type = neo_text(neo_evidence_kind_text(mesh->attester->kind)),
        .evidence = neo_buffer_bytes(&mesh->enrol.body),
        .certificates = neo_buffer_bytes(&mesh->enrol.certificates),
    };
    return ret;
}

void mesh_enrol_fini(struct neo_mesh *mesh)
{
    neo_buffer_fini(&mesh->enrol.body);
    neo_buffer_fini(&mesh->enrol.certificates);
}
