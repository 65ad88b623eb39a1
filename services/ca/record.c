/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CA's audit trail: what it gave or took, on the disk before it is answered, and what it
 * refused, without waiting: whoever may ask for nothing must not make a disk work, nor fill it.
 */
#include "ca/ca_internal.h"

#include <neo/loop.h>
#include <neo/reason.h>

#include <stdio.h>

enum neo_code ca_record_in_file(void *self, const struct neo_audit_record *record,
                                struct neo_error *err)
{
    struct ca *ca = self;

    return neo_audit_file_append_durable(ca->audit, record, err);
}

static struct neo_audit_record record_of(const struct neo_call *call, const char *detail)
{
    const struct neo_context *context = neo_call_context(call);

    return (struct neo_audit_record){
        .id = neo_decision_id_new(),
        .wall_nsec = neo_wall_nsec(),
        .caller = context->caller_uri.len > 0 ? context->caller_uri : context->caller,
        .target = NEO_LIT(CA_SERVICE),
        .method = neo_bytes_from(neo_text(neo_call_method(call)->path), 1),
        .decision = "allow",
        .stage = "issue",
        .reason = "",
        .detail = detail,
    };
}

/* --- refusals --------------------------------------------------------------------------------- */

void refusals_init(struct refusals *r)
{
    neo_ratelimit_init(&r->bucket, REFUSALS_PER_SECOND, REFUSALS_BURST);
    atomic_init(&r->unrecorded, 0);
}

bool refusals_take(struct refusals *r, struct neo_bytes caller, neo_nsec now, uint64_t *ret_n)
{
    *ret_n = 0;
    if (!neo_bytes_is(caller, "anonymous"))
        return true;
    if (neo_ratelimit_take(&r->bucket, now) != 0) {
        atomic_fetch_add_explicit(&r->unrecorded, 1, memory_order_relaxed);
        return false;
    }
    *ret_n = atomic_exchange_explicit(&r->unrecorded, 0, memory_order_relaxed);
    return true;
}

static void write_refusal(struct ca *ca, const struct neo_audit_record *r)
{
    if (ca->audit != NULL)
        (void)neo_audit_file_append(ca->audit, r, NULL); /* what is not taken is counted */
    else
        (void)ca->record(ca->record_self, r, NULL);
}

static void write_unrecorded(struct ca *ca, uint64_t n)
{
    char detail[120];
    const struct neo_audit_record r = {
        .id = neo_decision_id_new(),
        .wall_nsec = neo_wall_nsec(),
        .caller = NEO_LIT("anonymous"),
        .target = NEO_LIT(CA_SERVICE),
        .method = NEO_LIT(""),
        .decision = "deny",
        .stage = "issue",
        .reason = neo_reason_name(NEO_REASON_RATE_LIMITED),
        .detail = detail,
    };

    if (n == 0)
        return;
    (void)snprintf(detail, sizeof(detail),
                   "%llu more refusals of callers without a certificate are not on record",
                   (unsigned long long)n);
    write_refusal(ca, &r);
}

static bool record_refusal(struct ca *ca, const struct neo_audit_record *r)
{
    uint64_t unrecorded;

    if (!refusals_take(&ca->refusals, r->caller, neo_mono_nsec(), &unrecorded))
        return false;
    write_unrecorded(ca, unrecorded);
    write_refusal(ca, r);
    return true;
}

static void sink_record(struct neo_audit_sink *self, const struct neo_audit_record *r)
{
    (void)record_refusal(neo_owner(self, struct ca, sink), r);
}

void ca_record_begin(struct ca *ca)
{
    refusals_init(&ca->refusals);
    ca->sink = (struct neo_audit_sink){.record = sink_record};
}

void ca_record_end(struct ca *ca)
{
    if (ca->record != NULL)
        write_unrecorded(
            ca, atomic_exchange_explicit(&ca->refusals.unrecorded, 0, memory_order_relaxed));
}

/* --- what it gave or took --------------------------------------------------------------------- */

static enum neo_code write_durably(struct ca *ca, const struct neo_audit_record *r,
                                   struct neo_error *err)
{
    struct neo_error why;

    if (ca->record(ca->record_self, r, &why) == NEO_OK)
        return NEO_OK;
    return neo_fail(err, NEO_UNAVAILABLE, "the CA's record of it cannot be written: %.120s",
                    why.message);
}

/* A certificate that no record tells of does not leave here. Asked again, a request gives the same
 * certificate. */
enum neo_code ca_record(struct ca *ca, const struct neo_call *call, const char *detail,
                        struct neo_error *err)
{
    struct neo_audit_record r = record_of(call, detail);

    return write_durably(ca, &r, err);
}

enum neo_code ca_record_own(struct ca *ca, const char *detail, struct neo_error *err)
{
    const struct neo_audit_record r = {
        .id = neo_decision_id_new(),
        .wall_nsec = neo_wall_nsec(),
        .caller = NEO_LIT(CA_SERVICE),
        .target = NEO_LIT(CA_SERVICE),
        .method = NEO_LIT(""),
        .decision = "allow",
        .stage = "issue",
        .reason = "",
        .detail = detail,
    };

    return write_durably(ca, &r, err);
}

/* What could not be done is no decision. */
static bool is_refusal(enum neo_code code)
{
    return code != NEO_OK && code != NEO_UNAVAILABLE && code != NEO_INTERNAL &&
           code != NEO_CANCELLED && code != NEO_DEADLINE_EXCEEDED && code != NEO_DATA_LOSS;
}

bool ca_fail(struct ca *ca, struct neo_call *call, enum neo_code code, struct neo_bytes service,
             const char *why)
{
    struct neo_status status = neo_status_of(code, why);
    char detail[sizeof(((struct neo_error *)0)->message) + 100];

    (void)snprintf(detail, sizeof(detail), "for '%.*s': %s",
                   (int)(service.len < 64 ? service.len : 64), (const char *)service.at, why);
    struct neo_audit_record r = record_of(call, service.len > 0 ? detail : why);
    r.decision = "deny";
    r.reason = neo_reason_name(NEO_REASON_APPLICATION);
    bool is_told = !is_refusal(code) || record_refusal(ca, &r);
    if (is_refusal(code) && is_told)
        status.decision_id = neo_text(r.id.text);
    neo_call_finish(call, &status);
    return is_told;
}
