/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of docs/ATTESTATION.md are what the program takes. */
#include "../unit.h"

#include <neo/attest.h>

#include <stdio.h>
#include <stdlib.h>

enum { MANUAL_MAX = 64 << 10 };

static size_t read_manual(char *text, size_t max)
{
    const char *root = getenv("NEO_SOURCE_DIR");
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/docs/ATTESTATION.md", root == NULL ? "." : root);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(text, 1, max - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    return len;
}

TEST(every_example_loads_and_only_the_simulators_needs_development)
{
    static const char begins[] = "```yaml\n";
    static char text[MANUAL_MAX];
    unsigned examples = 0, simulated = 0;

    assert_true(read_manual(text, sizeof(text)) < sizeof(text) - 1);
    for (char *at = strstr(text, begins); at != NULL; at = strstr(at, begins)) {
        char *end = strstr(at + strlen(begins), "```");
        assert_non_null(end);
        const struct neo_document document = {
            NEO_LIT("ATTESTATION.md"),
            neo_bytes(at + strlen(begins), (size_t)(end - at) - strlen(begins)),
        };
        struct neo_attest_policies *policies;
        struct neo_error err;
        if (neo_attest_policies_compile(&document, 1, true, &policies, &err) != NEO_OK)
            fail_msg("%s", err.message);
        neo_attest_policies_unref(policies);
        if (neo_attest_policies_compile(&document, 1, false, &policies, &err) == NEO_OK)
            neo_attest_policies_unref(policies);
        else
            simulated++;
        examples++;
        at = end + 3;
    }
    assert_true(examples >= 10); /* more may come, none may go */
    assert_int_equal(simulated, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_loads_and_only_the_simulators_needs_development),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
