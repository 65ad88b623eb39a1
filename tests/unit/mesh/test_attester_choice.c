/* SPDX-License-Identifier: Apache-2.0 */
/* What a service takes to prove itself with, by its options. */
#include "../scratch.h"

#include "mesh/mesh.h"

static struct neo_mesh mesh;

static int begin(void **state)
{
    mesh = (struct neo_mesh){.log = {.fd = 2, .level = NEO_LOG_OFF}};
    return scratch_setup(state);
}

static void expect_refusal(const struct neo_mesh_options *options, enum neo_code code,
                           const char *text)
{
    struct neo_error err;

    assert_int_equal(mesh_make_attester(&mesh, options, &err), code);
    assert_null(mesh.attester);
    if (strstr(err.message, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

TEST(a_named_tee_that_is_not_there_is_a_failure_with_the_next_step)
{
    expect_refusal(&(struct neo_mesh_options){.tee = "tpm", .tpm = "/nowhere/tpmrm0"},
                   NEO_NOT_FOUND,
                   "--tee tpm: tpm is not to be had here: there is no /nowhere/tpmrm0");
    expect_refusal(&(struct neo_mesh_options){.tee = "tpm", .tpm = "/nowhere/tpmrm0"},
                   NEO_NOT_FOUND, "neo attest doctor");
    expect_refusal(&(struct neo_mesh_options){.tee = "enigma"}, NEO_INVALID_ARGUMENT,
                   "there are: auto, sev-snp");
}

TEST(handles_that_are_no_numbers_are_refused)
{
    static const char *const handles[] = {"", "key", "0x8100000g", "0x181000002"};

    for (size_t i = 0; i < NEO_COUNT(handles); i++)
        expect_refusal(&(struct neo_mesh_options){.tee = "tpm", .tpm_ak = handles[i]},
                       NEO_INVALID_ARGUMENT, "0x81010002");
}

TEST(a_pretended_machine_needs_the_development_flag_and_no_other_beside_it)
{
    struct neo_mesh_options o = {.simulated_tee = scratch("sim.pem"), .tee = "sev-snp"};

    expect_refusal(&o, NEO_FAILED_PRECONDITION, "--insecure-dev");
    o.development = true;
    expect_refusal(&o, NEO_INVALID_ARGUMENT, "choose one");
    o.tee = "none";
    expect_refusal(&o, NEO_INVALID_ARGUMENT, "choose one");
    o.tee = "auto";
    expect_refusal(&o, NEO_NOT_FOUND, "sim.pem");
}

TEST(a_measurement_is_said_by_pretended_machines_alone)
{
    struct neo_mesh_options o = {.measurement = "aa", .development = true};

    expect_refusal(&o, NEO_INVALID_ARGUMENT, "give --simulated-tee FILE");
    o.tee = "none";
    expect_refusal(&o, NEO_INVALID_ARGUMENT, "give --simulated-tee FILE");
}

TEST(nothing_is_taken_where_none_is_asked_for)
{
    const struct neo_mesh_options o = {.tee = "none"};

    assert_int_equal(mesh_make_attester(&mesh, &o, NULL), NEO_OK);
    assert_null(mesh.attester);
}

/* Whatever this machine is: the service starts, and what was taken is whole. */
TEST(a_machine_without_a_tee_is_no_failure_unless_one_was_named)
{
    const struct neo_mesh_options o = {.tpm = "/nowhere/tpmrm0"};

    assert_int_equal(mesh_make_attester(&mesh, &o, NULL), NEO_OK);
    if (mesh.attester == NULL)
        return;
    assert_false(mesh.attester->is_fast);
    mesh.attester->free(mesh.attester);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_named_tee_that_is_not_there_is_a_failure_with_the_next_step),
        test(handles_that_are_no_numbers_are_refused),
        test(a_pretended_machine_needs_the_development_flag_and_no_other_beside_it),
        test(a_measurement_is_said_by_pretended_machines_alone),
        test(nothing_is_taken_where_none_is_asked_for),
        test(a_machine_without_a_tee_is_no_failure_unless_one_was_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
