/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attestation policies of the CA while it runs, and the collateral: whoever keeps them is asked
 * now and then whether there are others. Those that cannot be read change nothing, and are told
 * once. Policies come into force also where the collateral cannot be read: they may ask for more.
 */
#include "ca/ca_internal.h"

#include <neo/encoding.h>
#include <neo/enrol.h>

#include <stdio.h>

#define PERIOD (1 * NEO_NSEC_PER_SEC) /* as the registry */

static struct ca *ca_of(struct neo_job *job)
{
    return neo_owner(neo_owner(job, struct neo_task, job), struct ca, rules.reading);
}

static void complain(struct ca *ca, const struct neo_error *err, const char *in_force)
{
    if (strcmp(ca->rules.said, err->message) == 0)
        return;
    (void)snprintf(ca->rules.said, sizeof(ca->rules.said), "%s", err->message);
    neo_log_error(ca->log, "ca.attestation_refused", NEO_STR("why", err->message),
                  NEO_STR("in_force", in_force));
}

/* A change that is on no record is in force all the same: it may ask for more. */
static void record(struct ca *ca, const char *detail)
{
    struct neo_error why;

    if (ca_record_own(ca, detail, &why) != NEO_OK)
        neo_log_error(ca->log, "ca.attestation_unrecorded", NEO_STR("what", detail),
                      NEO_STR("why", why.message));
}

struct telling {
    struct ca *ca;
    struct neo_bytes sha256; /* hex */
};

static void tell_lost(void *self, struct neo_bytes service, const char *what)
{
    const struct telling *t = self;
    char detail[240];

    (void)snprintf(detail, sizeof(detail),
                   "%.*s has no '%s' any more, by attestation of sha256 %.*s", NEO_FMT(service),
                   what, NEO_FMT(t->sha256));
    neo_log_warn(t->ca->log, "ca.attestation_lost", NEO_BYTES("service", service),
                 NEO_STR("what", what));
    record(t->ca, detail);
}

/* Whoever may write the files decides for whom the CA asks nothing; that is not to go unseen. */
static void tell(struct ca *ca, const struct ca_reading *r)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    char detail[120];

    if (!neo_hex_encode(&hex, neo_bytes(r->sha256, sizeof(r->sha256))))
        return;
    struct telling t = {ca, neo_buffer_bytes(&hex)};
    if (memcmp(r->sha256, ca->rules.sha256, sizeof(r->sha256)) != 0) {
        memcpy(ca->rules.sha256, r->sha256, sizeof(r->sha256));
        (void)snprintf(detail, sizeof(detail), "attestation of sha256 %.*s", NEO_FMT(t.sha256));
        record(ca, detail);
        enrol_compare(&ca->enrol, r->policies, tell_lost, &t);
    } else if (r->trust == NULL) {
        return; /* tried again for its collateral */
    }
    neo_log_info(ca->log, "ca.attestation", NEO_STR("read", "anew"), NEO_BYTES("sha256", t.sha256));
}

static void read_them(struct neo_job *job)
{
    struct ca *ca = ca_of(job);
    struct ca_reading r = {.policies = NULL};
    struct neo_error err;

    if (ca->rules.read(ca->rules.self, &r, &err) != NEO_OK) {
        complain(ca, &err, "what was read before");
        return;
    }
    if (r.policies == NULL)
        return;
    tell(ca, &r);
    if (r.trust == NULL)
        complain(ca, &r.no_trust, "the policies of now, with the collateral that was read before");
    else
        ca->rules.said[0] = '\0';
    enrol_update(&ca->enrol, r.policies, r.trust);
    neo_attest_policies_unref(r.policies);
    neo_attest_trust_unref(r.trust);
}

static void arm(struct ca *ca)
{
    struct neo_loop *loop = neo_runtime_loop(ca->runtime, 0);

    neo_loop_arm(loop, &ca->rules.timer, neo_loop_now(loop) + PERIOD);
}

static void were_read(struct neo_job *job)
{
    struct ca *ca = ca_of(job);

    if (!ca->ending)
        arm(ca);
    svc_gate_leave(&ca->gate);
}

static void due(struct neo_timer *timer)
{
    struct ca *ca = neo_owner(timer, struct ca, rules.timer);

    if (!svc_gate_enter(&ca->gate))
        return;
    ca->rules.reading = (struct neo_task){.work = read_them, .done = were_read};
    neo_loop_offload(neo_runtime_loop(ca->runtime, 0), &ca->rules.reading);
}

void rules_begin(struct ca *ca)
{
    if (ca->rules.read == NULL)
        return;
    ca->rules.timer.expired = due;
    arm(ca);
}

void rules_end(struct ca *ca)
{
    neo_loop_disarm(neo_runtime_loop(ca->runtime, 0), &ca->rules.timer);
}
