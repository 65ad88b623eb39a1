/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attestation policies of the CA while it runs, and the collateral: whoever keeps them is asked
 * now and then whether there are others. Those that cannot be read change nothing, and are told
 * once.
 */
#include "ca/ca_internal.h"

#include <stdio.h>

#define PERIOD (1 * NEO_NSEC_PER_SEC) /* as the registry */

static struct ca *ca_of(struct neo_job *job)
{
    return neo_owner(neo_owner(job, struct neo_task, job), struct ca, rules.reading);
}

static void complain(struct ca *ca, const struct neo_error *err)
{
    if (strcmp(ca->rules.said, err->message) == 0)
        return;
    (void)snprintf(ca->rules.said, sizeof(ca->rules.said), "%s", err->message);
    neo_log_error(ca->log, "ca.attestation_refused", NEO_STR("why", err->message),
                  NEO_STR("in_force", "what was read before"));
}

static void read_them(struct neo_job *job)
{
    struct ca *ca = ca_of(job);
    struct neo_attest_policies *policies = NULL;
    struct neo_attest_trust *trust = NULL;
    struct neo_error err;

    if (ca->rules.read(ca->rules.self, &policies, &trust, &err) != NEO_OK) {
        complain(ca, &err);
        return;
    }
    if (policies == NULL)
        return;
    ca->rules.said[0] = '\0';
    enrol_update(&ca->enrol, policies, trust);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    neo_log_info(ca->log, "ca.attestation", NEO_STR("read", "anew"));
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
