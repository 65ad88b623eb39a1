/* SPDX-License-Identifier: Apache-2.0 */
/* How the CA begins, when something is in its way, and what of its refusals is on record. */
#include "../scratch.h"

#include "ca/ca_internal.h"

#include <neo/loop.h>
#include <neo/store.h>

static struct neo_error err;
static struct neo_log quiet = {.fd = 2, .level = NEO_LOG_OFF, .wall_nsec = neo_wall_nsec};

/* In the signer's place: a program that shows that it was started, and ends. */
static const char *make_signer(void)
{
    static char program[160];
    char text[400];

    (void)snprintf(program, sizeof(program), "%s/signer.sh", scratch_folder);
    (void)snprintf(text, sizeof(text), "#!/bin/sh\n: > '%s/started'\n", scratch_folder);
    assert_int_equal(neo_file_replace(program, neo_text(text), 0700, NULL), NEO_OK);
    return program;
}

static enum neo_code start(void)
{
    char registry_file[160];
    struct neo_runtime *runtime;
    struct ca *ca = NULL;
    const struct ca_options options = {.program = make_signer(),
                                       .dir = scratch_folder,
                                       .trust_domain = "neo.test",
                                       .listen = "127.0.0.1:0",
                                       .registry_file = registry_file,
                                       .log = &quiet};

    (void)snprintf(registry_file, sizeof(registry_file), "%s/registry", scratch_folder);
    assert_int_equal(neo_runtime_new(1, &runtime, NULL), NEO_OK);
    enum neo_code code = ca_start(&options, runtime, &ca, &err);
    assert_null(ca);
    neo_runtime_free(runtime);
    return code;
}

TEST(a_second_ca_starts_no_signer_where_one_runs)
{
    struct neo_store *first;

    assert_int_equal(neo_store_open(scratch("ca.db"), authority_schema, &first, NULL), NEO_OK);
    assert_int_not_equal(start(), NEO_OK);
    assert_non_null(strstr(err.message, "ca.db"));
    assert_false(scratch_exists("started"));
    neo_store_close(first);
    assert_int_not_equal(start(), NEO_OK); /* where none does it is started, and is none */
    assert_true(scratch_exists("started"));
}

/* --- refusals --------------------------------------------------------------------------------- */

static struct refusals refusals;
#define ANONYMOUS NEO_LIT("anonymous")
static uint64_t unrecorded;

static unsigned knock(unsigned times, neo_nsec now)
{
    unsigned recorded = 0;

    for (unsigned i = 0; i < times; i++) {
        recorded += refusals_take(&refusals, ANONYMOUS, now, &unrecorded);
        assert_int_equal(unrecorded, 0);
    }
    return recorded;
}

TEST(who_has_no_certificate_cannot_fill_the_disk_with_refusals)
{
    neo_nsec now = 100 * NEO_NSEC_PER_SEC;

    refusals_init(&refusals);
    assert_int_equal(knock(12000, now), REFUSALS_BURST);
    now += NEO_NSEC_PER_SEC / REFUSALS_PER_SECOND;
    assert_true(refusals_take(&refusals, ANONYMOUS, now, &unrecorded));
    assert_int_equal(unrecorded, 12000 - REFUSALS_BURST); /* none goes uncounted */
    assert_int_equal(knock(100, now), 0);
}

TEST(refusals_of_others_are_on_record_while_somebody_knocks)
{
    neo_nsec now = 100 * NEO_NSEC_PER_SEC;

    refusals_init(&refusals);
    (void)knock(1000, now);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(
            refusals_take(&refusals, NEO_LIT("spiffe://neo.test/a-service"), now, &unrecorded));
    assert_int_equal(unrecorded, 0); /* told with the next of those it is about */
}

/* In audit.jsonl's place. */
static char trail[4][160];
static unsigned lines;

static enum neo_code note(void *self, const struct neo_audit_record *r, struct neo_error *e)
{
    (void)self;
    (void)e;
    if (lines < NEO_COUNT(trail))
        (void)snprintf(trail[lines], sizeof(trail[0]), "%s %s", r->decision, r->detail);
    lines++;
    return NEO_OK;
}

TEST(what_the_policy_refuses_is_counted_with_the_rest_and_told_at_the_end)
{
    static struct ca ca;
    const struct neo_audit_record r = {
        .caller = ANONYMOUS, .decision = "deny", .detail = "no rule"};

    ca.record = note;
    ca_record_begin(&ca);
    for (unsigned i = 0; i < 1000; i++)
        ca.sink.record(&ca.sink, &r);
    assert_in_range(lines, REFUSALS_BURST, REFUSALS_BURST + 20); /* a clock goes on beside it */
    assert_string_equal(trail[0], "deny no rule");
    lines = 0;
    ca_record_end(&ca);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(trail[0], " more refusals of callers without a certificate"));
    ca_record_end(&ca);
    assert_int_equal(lines, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_no_certificate_cannot_fill_the_disk_with_refusals),
        cmocka_unit_test(refusals_of_others_are_on_record_while_somebody_knocks),
        cmocka_unit_test(what_the_policy_refuses_is_counted_with_the_rest_and_told_at_the_end),
        scratch_test(a_second_ca_starts_no_signer_where_one_runs),
    };
    return cmocka_run_group_tests_name("services/ca", tests, NULL, NULL);
}
