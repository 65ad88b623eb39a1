/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of docs/POLICY.md are what the program takes. */
#include "policies.h"

#include <neo/limits.h>

#include <stdio.h>
#include <stdlib.h>

static struct neo_buffer read_manual(void)
{
    const char *root = getenv("NEO_SOURCE_DIR");
    struct neo_buffer text = {0};
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/docs/POLICY.md", root == NULL ? "." : root);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (int byte; (byte = fgetc(file)) != EOF;)
        neo_buffer_append_byte(&text, (uint8_t)byte);
    (void)fclose(file);
    neo_buffer_append_byte(&text, 0);
    return text;
}

TEST(every_example_of_the_manual_loads)
{
    struct neo_buffer manual = read_manual();
    const char *at = (const char *)manual.at;
    unsigned examples = 0;

    while ((at = strstr(at, "```yaml\n")) != NULL) {
        const char *begin = at + strlen("```yaml\n");
        const char *end = strstr(begin, "```");
        assert_non_null(end);
        struct neo_document d = {NEO_LIT("POLICY.md"), neo_bytes(begin, (size_t)(end - begin))};
        struct neo_policy *policy = NULL;
        struct neo_limits *limits = NULL;
        struct neo_error err = {0};
        if (neo_policy_compile(&d, 1, &policy, &err) != NEO_OK ||
            neo_limits_compile(&d, 1, &limits, &err) != NEO_OK)
            fail_msg("%s\n%.*s", err.message, NEO_FMT(d.text));
        neo_policy_unref(policy);
        neo_limits_unref(limits);
        examples++;
        at = end + 3;
    }
    neo_buffer_fini(&manual);
    assert_int_equal(examples, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_of_the_manual_loads),
    };
    return cmocka_run_group_tests_name("policy/manual", tests, NULL, NULL);
}
