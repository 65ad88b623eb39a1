/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends in a certificate. What can be refused cheaply is refused first, in the handler.
 * Evidence is then judged in a lane of the pool, which is narrow and has an end, and nobody holds
 * the authority's lock meanwhile; revocations and other certificates go on. At last the authority
 * decides, and looks again at all that may have changed.
 */
#include "ca/ca_internal.h"

#include <neo/cert.h>
#include <neo/encoding.h>
#include <neo/memory.h>

#include <stdio.h>

/* As services judge. What waits is worked off in a tenth of a second, before callers give up. */
static struct neo_lane judging = {.width = 2, .length = 64};

/* A request for a certificate, until it is answered. */
struct issue {
    struct ca *ca;
    struct neo_call *call; /* its arena holds what the request points to */
    struct authority_request request;
    struct authority_case is;
    const struct neo_ca_v1_Evidence *evidence;
    struct neo_ca_v1_SignResponse response;
    struct neo_error err;
    struct enrol_verdict proven;
    struct neo_job to_worker;
    struct neo_task judge;
};

/* What was signed, for the record: serial and service. */
static enum neo_code record_signing(struct ca *ca, const struct neo_call *call,
                                    const struct neo_ca_v1_SignResponse *response, const char *note,
                                    struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = NULL;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    char detail[200 + ENROL_NOTE_LEN];

    NEO_TRY(neo_cert_from_der(response->chain.at[0], "leaf", &leaf, err));
    if (!neo_hex_encode(&hex, neo_cert_facts(leaf)->serial))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory recording");
    (void)snprintf(detail, sizeof(detail), "certificate %.*s for %.*s%s",
                   NEO_FMT(neo_buffer_bytes(&hex)), NEO_FMT(response->service), note);
    return ca_record(ca, call, detail, err);
}

static void issue_free(struct issue *i)
{
    authority_case_fini(&i->is);
    neo_call_unref(i->call);
    neo_free(i);
}

static void note(const struct issue *i, enum neo_code code)
{
    neo_log_info(i->ca->log, i->request.token.len > 0 ? "ca.sign" : "ca.renew",
                 NEO_BYTES("service", code == NEO_OK ? i->response.service : i->request.service),
                 NEO_STR("code", neo_code_name(code)), NEO_STR("why", i->err.message));
}

/* The call has its answer; the gate is left last, by who frees `i`. */
static void conclude(struct issue *i, enum neo_code code)
{
    struct neo_bytes service =
        i->is.service[0] != '\0' ? neo_text(i->is.service) : i->request.service;

    if (code == NEO_OK) {
        note(i, code);
        neo_call_reply(i->call, &i->response);
    } else if (ca_fail(i->ca, i->call, code, service, i->err.message)) {
        note(i, code); /* the log's disk is no larger than the trail's */
    }
}

static void leave(struct issue *i)
{
    struct gate *gate = &i->ca->gate;

    issue_free(i);
    svc_gate_leave(gate);
}

static enum neo_code decide(struct issue *i)
{
    NEO_TRY(authority_sign(&i->ca->authority, &i->request, &i->is, neo_call_arena(i->call),
                           &i->response, &i->err));
    return record_signing(i->ca, i->call, &i->response, i->proven.note, &i->err);
}

/* --- evidence --------------------------------------------------------------------------------- */

static struct issue *issue_of(struct neo_job *job)
{
    return neo_owner(neo_owner(job, struct neo_task, job), struct issue, judge);
}

static void judge_there(struct neo_job *job)
{
    struct issue *i = issue_of(job);
    const struct enrol_request r = {neo_text(i->is.service), neo_buffer_bytes(&i->is.spki),
                                    i->evidence};
    enum neo_code code = NEO_CANCELLED;

    if (!neo_call_is_cancelled(i->call)) /* else nobody waits for it, and it stays undecided */
        code = enrol_judge(&i->ca->enrol, &r, neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC,
                           &i->proven, &i->err);
    i->is.until = i->proven.until;
    conclude(i, code == NEO_OK ? decide(i) : code);
}

static void judged(struct neo_job *job)
{
    leave(issue_of(job));
}

static void wait_for_judgement(struct neo_job *job)
{
    struct issue *i = neo_owner(job, struct issue, to_worker);

    i->judge = (struct neo_task){.work = judge_there, .done = judged};
    if (neo_loop_offload_in(neo_call_loop(i->call), &judging, &i->judge))
        return;
    conclude(i, neo_fail(&i->err, NEO_RESOURCE_EXHAUSTED,
                         "the CA has too much evidence to judge already; try again"));
    leave(i);
}

/* --- the handlers ----------------------------------------------------------------------------- */

void issue_challenge(struct neo_call *call, const struct neo_ca_v1_ChallengeRequest *request,
                     void *self)
{
    struct ca *ca = self;
    uint8_t nonce[NEO_ENROL_NONCE_LEN];
    struct neo_ca_v1_ChallengeResponse response = {
        .required = enrol_takes(&ca->enrol, request->service),
        .trust_domain = neo_text(ca->trust_domain),
    };

    enrol_challenge(&ca->enrol, request->service, neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC,
                    nonce);
    response.nonce = neo_bytes(nonce, response.required ? sizeof(nonce) : 0);
    neo_ca_v1_CertificateAuthority_Challenge_reply(call, &response);
}

static void issue_for(struct ca *ca, struct neo_call *call, const struct authority_request *asked,
                      const struct neo_ca_v1_Evidence *evidence)
{
    struct issue *i = neo_alloc(sizeof(*i));

    if (i == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory signing");
        return;
    }
    if (!ca_begin(ca, call)) {
        neo_free(i);
        return;
    }
    *i = (struct issue){
        .ca = ca, .call = neo_call_ref(call), .request = *asked, .evidence = evidence};
    enum neo_code code = authority_consider(&ca->authority, &i->request, &i->is, &i->err);
    if (code == NEO_OK && enrol_takes(&ca->enrol, neo_text(i->is.service))) {
        i->to_worker.run = wait_for_judgement;
        neo_call_run(call, &i->to_worker);
        return;
    }
    conclude(i, code == NEO_OK ? decide(i) : code);
    leave(i);
}

void issue_sign(struct neo_call *call, const struct neo_ca_v1_SignRequest *request, void *self)
{
    struct authority_request r = {.csr = request->csr,
                                  .request_id = request->request_id,
                                  .token = request->token,
                                  .service = request->service};

    if (request->token.len == 0)
        (void)ca_fail(self, call, NEO_UNAUTHENTICATED, request->service,
                      "a first certificate needs a join token");
    else
        issue_for(self, call, &r, request->evidence);
}

void issue_renew(struct neo_call *call, const struct neo_ca_v1_RenewRequest *request, void *self)
{
    struct authority_request r = {.csr = request->csr,
                                  .request_id = request->request_id,
                                  .service = neo_call_context(call)->caller,
                                  .parent = neo_call_context(call)->caller_serial};

    issue_for(self, call, &r, request->evidence);
}
