/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates that take evidence, in a whole control plane in simulated time: who
 * proves what it runs gets one, and another in time; who does not, gets none, and its
 * token stays good.
 */
#include "unit/scratch.h"

#include "support/plane.h"
#include "support/sim.h"

#include "ca/enrol.h"

#include <neo/memory.h>
#include <neo/store.h>

#include <stdio.h>

#define SEC  NEO_NSEC_PER_SEC
#define WALL INT64_C(1767225600) /* where its world begins */
#define GOOD                                                                                       \
    "c0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0de"                                             \
    "c0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0de"
#define OTHER                                                                                      \
    "bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0"                                             \
    "bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0"

static const char rules[] = "attestation_policies:\n"
                            "  key-service:\n"
                            "    require: simulator\n"
                            "    enrol: attested\n"
                            "    any_of:\n"
                            "      - tee: sev-snp\n"
                            "        measurement: [" GOOD "]\n";

static struct plane plane;
static struct neo_buffer bundle, root;
static struct neo_attest_policies *policies;
static struct neo_attest_trust *trust;
static char bundle_file[200];

static int make_machine(void **state)
{
    const struct neo_document document = {NEO_LIT("attest.yaml"), NEO_LIT(rules)};
    struct neo_error err;

    (void)state;
    if (neo_sim_snp_init(&bundle, &root, WALL, NULL) != NEO_OK)
        return -1;
    const struct neo_attest_trust_options options = {
        .simulated_root = neo_buffer_bytes(&root),
        .development = true,
    };
    assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_OK);
    if (neo_attest_policies_compile(&document, 1, true, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return 0;
}

static int break_machine(void **state)
{
    (void)state;
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    neo_buffer_fini_secret(&bundle);
    neo_buffer_fini(&root);
    return 0;
}

/* A plane whose CA knows the rules: begun without, for it has no place for them there. */
static int begin(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    sim_new(7);
    (void)snprintf(bundle_file, sizeof(bundle_file), "%s/machine.pem", scratch_folder);
    assert_int_equal(neo_file_replace(bundle_file, neo_buffer_bytes(&bundle), 0600, NULL), NEO_OK);
    plane_start(&plane, scratch_folder, 600);
    plane_stop_ca(&plane);
    plane.attest_policies = policies;
    plane.attest_trust = trust;
    plane_start_ca(&plane);
    return 0;
}

static int end(void **state)
{
    plane_stop(&plane);
    sim_free();
    return scratch_teardown(state);
}

static enum neo_code join(const char *service, const char *measurement, const char *token,
                          struct neo_mesh **ret, struct neo_error *err)
{
    plane.simulated_tee = measurement == NULL ? NULL : bundle_file;
    plane.measurement = measurement;
    return plane_join(&plane, "10.0.0.9", service, token, ret, err);
}

static struct neo_buffer token_for(const char *service)
{
    struct neo_buffer join = {0};
    int64_t expires;

    assert_int_equal(ca_join_string(plane.ca, service, 0, &join, &expires, NULL), NEO_OK);
    assert_true(neo_buffer_append_byte(&join, '\0'));
    return join;
}

TEST(who_does_not_prove_itself_gets_no_certificate_and_keeps_its_token)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_for("key-service");
    struct neo_mesh *mesh;
    struct neo_error err;

    assert_int_equal(join("key-service", NULL, (const char *)token.at, &mesh, &err),
                     NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "takes evidence of what it runs"));
    assert_int_equal(join("key-service", OTHER, (const char *)token.at, &mesh, &err),
                     NEO_PERMISSION_DENIED);
    assert_non_null(strstr(err.message, "was not accepted: measurement"));
    /* Both are on record, and gave nothing. */
    assert_int_equal(plane.denials, 2);
    assert_non_null(strstr(plane.last_denial, "for 'key-service': the evidence of 'key-service'"));
    assert_int_equal(plane.records, 0);
    assert_int_equal(join("key-service", GOOD, (const char *)token.at, &mesh, &err), NEO_OK);
    assert_non_null(strstr(plane.last_record, "for key-service, sev-snp evidence "));
    assert_non_null(strstr(plane.last_record, "(simulated)"));
    neo_mesh_free(mesh);
}

TEST(another_service_needs_none)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_for("a-service");
    struct neo_mesh *mesh;
    struct neo_error err;

    assert_int_equal(join("a-service", NULL, (const char *)token.at, &mesh, &err), NEO_OK);
    assert_null(strstr(plane.last_record, "evidence"));
    neo_mesh_free(mesh);
}

static bool is_renewed(void *self)
{
    return plane.records >= *(const unsigned *)self;
}

TEST(a_renewal_takes_evidence_anew)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_for("key-service");
    char first[sizeof(plane.last_record)];
    struct neo_mesh *mesh;
    struct neo_error err;

    assert_int_equal(join("key-service", GOOD, (const char *)token.at, &mesh, &err), NEO_OK);
    (void)snprintf(first, sizeof(first), "%s", strstr(plane.last_record, "evidence"));
    unsigned next = plane.records + 1;
    assert_true(sim_wait(is_renewed, &next, 400 * SEC));
    const char *second = strstr(plane.last_record, "evidence");
    assert_non_null(second);
    assert_string_not_equal(first, second); /* over another nonce and another key */
    neo_mesh_free(mesh);
}

/* --- a rollout that ends ---------------------------------------------------------------------- */

/* The world begins at 00:00:00; this is 20 min later, and a certificate's life is 10 min. */
static const char rollouts[] = "measurement_rollouts:\n"
                               "  key-service:\n"
                               "    - measurement: \"" GOOD "\"\n"
                               "      state: retiring\n"
                               "      since: \"2025-12-01T00:00:00Z\"\n"
                               "      not_after: \"2026-01-01T00:20:00Z\"\n";
#define ROLLOUT_END (WALL + 20 * 60)

static const char candidates[] = "measurement_rollouts:\n"
                                 "  key-service:\n"
                                 "    - measurement: \"" GOOD "\"\n"
                                 "      state: candidate\n"
                                 "      since: \"2025-12-01T00:00:00Z\"\n";

static struct neo_attest_policies *with(const char *document)
{
    const struct neo_document documents[] = {{NEO_LIT("attest.yaml"), NEO_LIT(rules)},
                                             {NEO_LIT("rollouts.yaml"), neo_text(document)}};
    struct neo_attest_policies *ret = NULL;
    struct neo_error err;

    if (neo_attest_policies_compile(documents, 2, true, &ret, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return ret;
}

static int64_t end_of(struct neo_mesh *mesh)
{
    struct neo_epoch epoch = mesh_epoch(mesh);
    int64_t end = neo_cert_facts(neo_identity_leaf(epoch.identity))->not_after;

    mesh_epoch_release(&epoch);
    return end;
}

static int64_t now_seconds(void)
{
    return neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
}

static bool is_over(void *self)
{
    (void)self;
    return now_seconds() >= ROLLOUT_END;
}

TEST(a_certificate_ends_with_the_measurement_that_was_proven_for_it_and_so_do_renewals)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0}, late = {0};
    struct neo_attest_policies *ending = with(rollouts);
    struct neo_mesh *mesh;
    struct neo_error err;

    plane_stop_ca(&plane);
    plane.attest_policies = ending;
    plane_start_ca(&plane);
    token = token_for("key-service");
    assert_int_equal(join("key-service", GOOD, (const char *)token.at, &mesh, &err), NEO_OK);
    assert_true(end_of(mesh) <= now_seconds() + 600 && end_of(mesh) < ROLLOUT_END);
    while (now_seconds() < ROLLOUT_END - 10) { /* renewals, until there are no more */
        assert_true(end_of(mesh) <= ROLLOUT_END);
        sim_run_for(10 * SEC);
    }
    assert_int_equal(end_of(mesh), ROLLOUT_END);
    late = token_for("key-service");
    unsigned before = plane.records;
    neo_mesh_free(mesh);
    mesh = NULL;
    /* Another instance of it, seconds before the end: not a certificate that nobody can use. */
    char identity[200];
    (void)snprintf(identity, sizeof(identity), "%s/key-service/identity.pem", plane.folder);
    assert_int_equal(remove(identity), 0);
    assert_int_equal(join("key-service", GOOD, (const char *)late.at, &mesh, &err),
                     NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "not accepted any more in "));
    assert_int_equal(plane.records, before);
    assert_true(sim_wait(is_over, NULL, 60 * SEC));
    assert_int_equal(join("key-service", GOOD, (const char *)late.at, &mesh, &err),
                     NEO_PERMISSION_DENIED); /* and by then its evidence is refused */
    neo_attest_policies_unref(ending);
}

/* It cannot become active before it has started, and it does not start without. */
TEST(a_candidate_gets_a_certificate_to_start_with)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    struct neo_attest_policies *candidate = with(candidates);
    struct neo_mesh *mesh;
    struct neo_error err;

    plane_stop_ca(&plane);
    plane.attest_policies = candidate;
    plane_start_ca(&plane);
    token = token_for("key-service");
    if (join("key-service", GOOD, (const char *)token.at, &mesh, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_mesh_free(mesh);
    neo_attest_policies_unref(candidate);
}

/* --- policies that change while the CA runs -----------------------------------------------------
 */

static struct {
    struct neo_attest_policies *next; /* given at the next reading; NULL: none */
    bool broken, no_trust;
    uint8_t given;
    unsigned readings;
} keeper;

static enum neo_code read_rules(void *self, struct ca_reading *ret, struct neo_error *err)
{
    (void)self;
    keeper.readings++;
    if (keeper.broken)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "attest.yaml:3: no such key");
    ret->policies = keeper.next;
    if (keeper.next != NULL && keeper.no_trust)
        (void)neo_fail(&ret->no_trust, NEO_NOT_FOUND, "collateral.crl is not there");
    else if (keeper.next != NULL)
        ret->trust = neo_attest_trust_ref(trust);
    ret->sha256[0] = 0xab;
    ret->sha256[1] = ++keeper.given;
    keeper.next = NULL;
    return NEO_OK;
}

TEST(a_date_that_is_set_while_the_ca_runs_counts_from_the_next_certificate_on)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    struct neo_mesh *mesh;
    struct neo_error err;

    plane_stop_ca(&plane);
    plane.read_rules = read_rules;
    plane_start_ca(&plane);
    token = token_for("key-service");
    assert_int_equal(join("key-service", GOOD, (const char *)token.at, &mesh, &err), NEO_OK);
    sim_run_for(60 * SEC);
    assert_in_range(keeper.readings, 40, 70);
    keeper.broken = true; /* somebody writes what cannot be read: it stays as it was */
    unsigned next = plane.records + 1;
    assert_true(sim_wait(is_renewed, &next, 300 * SEC));
    assert_non_null(strstr(plane.last_record, "evidence"));
    keeper.broken = false;
    keeper.next = with(rollouts);
    sim_run_for(10 * SEC);
    assert_null(keeper.next);
    while (now_seconds() < ROLLOUT_END - 10)
        sim_run_for(10 * SEC);
    assert_int_equal(end_of(mesh), ROLLOUT_END); /* without it there would be one that is later */
    next = plane.records;
    sim_run_for(1200 * SEC);
    assert_int_equal(plane.records, next); /* and none after the date */
    neo_mesh_free(mesh);
}

TEST(what_the_ca_asks_no_more_is_on_record_with_the_digest_that_says_so)
{
    static const char without[] = "attestation_policies:\n"
                                  "  other-service:\n"
                                  "    require: simulator\n"
                                  "    any_of:\n"
                                  "      - tee: sev-snp\n"
                                  "        measurement: [" GOOD "]\n";
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_text(without)};
    struct neo_error err;

    plane_stop_ca(&plane);
    plane.read_rules = read_rules;
    plane_start_ca(&plane);
    unsigned before = plane.records;
    keeper.next = with(rollouts); /* nothing is lost */
    sim_run_for(5 * SEC);
    assert_int_equal(plane.records, before + 1);
    assert_non_null(strstr(plane.last_record, "attestation of sha256 ab"));
    assert_int_equal(neo_attest_policies_compile(&document, 1, true, &keeper.next, &err), NEO_OK);
    sim_run_for(5 * SEC);
    assert_int_equal(plane.records, before + 4);
    assert_non_null(
        strstr(plane.last_record, "key-service has no 'measurement_rollouts' any more"));
    assert_non_null(strstr(plane.last_record, "sha256 ab"));
}

/* The root that the evidence is judged with is that of before. */
TEST(policies_that_ask_for_more_need_no_collateral_to_come_into_force)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    struct neo_mesh *mesh;
    struct neo_error err;

    plane_stop_ca(&plane);
    plane.read_rules = read_rules;
    plane.attest_policies = NULL; /* it asks nobody for anything */
    plane_start_ca(&plane);
    plane.attest_policies = policies;
    token = token_for("key-service");
    keeper.next = neo_attest_policies_ref(policies);
    keeper.no_trust = true;
    sim_run_for(5 * SEC);
    keeper.no_trust = false;
    assert_null(keeper.next);
    assert_int_not_equal(join("key-service", NULL, (const char *)token.at, &mesh, &err), NEO_OK);
    assert_int_not_equal(join("key-service", OTHER, (const char *)token.at, &mesh, &err), NEO_OK);
    if (join("key-service", GOOD, (const char *)token.at, &mesh, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_mesh_free(mesh);
}

/* --- the judgement alone ------------------------------------------------------------------ */

static struct enrol judge;
static const char spki[] = "a key", other_spki[] = "another key";

static struct neo_ca_v1_Evidence evidence_for(const uint8_t *nonce, const char *key,
                                              const char *service, struct neo_buffer *body,
                                              struct neo_buffer *certificates)
{
    struct neo_enrolment enrolment = {NEO_LIT("sim-snp-report"), neo_bytes(nonce, 32),
                                      neo_text(key), NEO_LIT("neo.test"), neo_text(service)};
    uint8_t binder[NEO_BINDER_LEN], measurement[48];
    struct neo_attester *attester;

    for (size_t i = 0; i < sizeof(measurement); i++)
        measurement[i] = i % 2 == 0 ? 0xc0 : 0xde;
    assert_int_equal(
        neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &attester, NULL),
        NEO_OK);
    assert_int_equal(neo_enrol_binder(&enrolment, binder, NULL), NEO_OK);
    assert_int_equal(attester->attest(attester, binder, body, certificates, NULL), NEO_OK);
    attester->free(attester);
    return (struct neo_ca_v1_Evidence){
        .nonce = enrolment.nonce,
        .type = enrolment.evidence_type,
        .evidence = neo_buffer_bytes(body),
        .certificates = neo_buffer_bytes(certificates),
    };
}

static enum neo_code ask(const struct neo_ca_v1_Evidence *evidence, const char *key,
                         const char *service, int64_t now)
{
    const struct enrol_request r = {neo_text(service), neo_text(key), evidence};
    struct enrol_verdict verdict;

    return enrol_judge(&judge, &r, now, &verdict, NULL);
}

TEST(evidence_is_for_one_key_one_name_one_challenge_and_a_minute)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    uint8_t nonce[NEO_ENROL_NONCE_LEN], of_another[NEO_ENROL_NONCE_LEN];
    const char *key = "key-service";

    enrol_init(&judge, policies, trust, "neo.test");
    enrol_challenge(&judge, NEO_LIT("key-service"), WALL, nonce);
    struct neo_ca_v1_Evidence e = evidence_for(nonce, spki, key, &body, &certificates);
    assert_int_equal(ask(&e, spki, key, WALL + 60), NEO_OK);
    assert_int_equal(ask(&e, spki, key, WALL + 61), NEO_PERMISSION_DENIED);
    assert_int_equal(ask(&e, spki, key, WALL - 1), NEO_PERMISSION_DENIED);
    assert_int_equal(ask(&e, other_spki, key, WALL), NEO_PERMISSION_DENIED);
    e.nonce.len = 31;
    assert_int_equal(ask(&e, spki, key, WALL), NEO_INVALID_ARGUMENT);
    /* A challenge of this CA, but not the one that was answered; and one of nobody. */
    enrol_challenge(&judge, NEO_LIT("key-service"), WALL, of_another);
    e.nonce = neo_bytes(of_another, sizeof(of_another));
    assert_int_equal(ask(&e, spki, key, WALL), NEO_PERMISSION_DENIED);
    enrol_challenge(&judge, NEO_LIT("a-service"), WALL, of_another);
    assert_int_equal(ask(&e, spki, key, WALL), NEO_PERMISSION_DENIED);
    assert_int_equal(ask(NULL, spki, key, WALL), NEO_FAILED_PRECONDITION);
    assert_int_equal(ask(NULL, spki, "a-service", WALL), NEO_OK);
    enrol_fini(&judge);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(who_does_not_prove_itself_gets_no_certificate_and_keeps_its_token),
        PROMISE(another_service_needs_none),
        PROMISE(a_renewal_takes_evidence_anew),
        PROMISE(a_certificate_ends_with_the_measurement_that_was_proven_for_it_and_so_do_renewals),
        PROMISE(a_candidate_gets_a_certificate_to_start_with),
        PROMISE(a_date_that_is_set_while_the_ca_runs_counts_from_the_next_certificate_on),
        PROMISE(what_the_ca_asks_no_more_is_on_record_with_the_digest_that_says_so),
        PROMISE(policies_that_ask_for_more_need_no_collateral_to_come_into_force),
        cmocka_unit_test(evidence_is_for_one_key_one_name_one_challenge_and_a_minute),
    };

    return cmocka_run_group_tests_name("scenario/enrol", tests, make_machine, break_machine);
}
