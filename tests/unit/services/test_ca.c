/* SPDX-License-Identifier: Apache-2.0 */
/* How the CA begins, when something is in its way. */
#include "../scratch.h"

#include "ca/authority.h"
#include "ca/ca.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_second_ca_starts_no_signer_where_one_runs),
    };
    return cmocka_run_group_tests_name("services/ca", tests, NULL, NULL);
}
