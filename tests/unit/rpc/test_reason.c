/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/attest.h>
#include <neo/buffer.h>
#include <neo/reason.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct neo_buffer text;

static void read_source(const char *name)
{
    char path[512];
    char piece[4096];
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", getenv("NEO_SOURCE_DIR"), name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot read %s", path);
    neo_buffer_clear(&text);
    while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
        neo_buffer_append(&text, neo_bytes(piece, n));
    neo_buffer_append_byte(&text, '\0');
    (void)fclose(file);
}

static bool has_row(const char *word, const char *code)
{
    char row[128];

    (void)snprintf(row, sizeof(row), "| `%s` | %s", word, code);
    return strstr((const char *)text.at, row) != NULL;
}

TEST(each_reason_has_its_row_in_the_documentation)
{
    read_source("docs/ERRORS.md");
    for (int i = NEO_REASON_NONE + 1; i < NEO_REASON_COUNT; i++) {
        enum neo_reason reason = (enum neo_reason)i;
        const char *code = reason == NEO_REASON_APPLICATION
                               ? "the handler's"
                               : neo_code_name(neo_reason_code(reason));
        if (!has_row(neo_reason_name(reason), code))
            fail_msg("docs/ERRORS.md has no row for %s %s", neo_reason_name(reason), code);
    }
}

TEST(each_row_of_the_documentation_is_a_reason)
{
    size_t rows = 0;

    read_source("docs/ERRORS.md");
    for (const char *at = (const char *)text.at; (at = strstr(at, "\n| `")) != NULL; at++)
        rows += at[4] >= 'A' && at[4] <= 'Z';
    assert_int_equal(rows, NEO_REASON_COUNT - 1);
}

TEST(each_word_for_refused_evidence_has_its_row)
{
    static const char *const words[] = {
#define X(name, word) word,
        NEO_ATTEST_REASONS(X)
#undef X
    };

    read_source("docs/ERRORS.md");
    for (size_t i = 0; i < NEO_COUNT(words); i++)
        if (!has_row(words[i], ""))
            fail_msg("docs/ERRORS.md has no row for \"%s\"", words[i]);
}

static bool is_reason(struct neo_bytes word)
{
    for (int i = NEO_REASON_NONE + 1; i < NEO_REASON_COUNT; i++)
        if (neo_bytes_is(word, neo_reason_name((enum neo_reason)i)))
            return true;
    return false;
}

/* `reason = NEO_LIT("X")` with an X that is in no list is a typing error nobody would notice. */
TEST(no_file_says_a_reason_that_is_not_on_the_list)
{
    static const char mark[] = "reason = NEO_LIT(\"";
    char folder[512];
    size_t seen = 0;

    (void)snprintf(folder, sizeof(folder), "%s/src/rpc", getenv("NEO_SOURCE_DIR"));
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char name[300];
        size_t len = strlen(e->d_name);
        if (len < 3 || strcmp(e->d_name + len - 2, ".c") != 0)
            continue;
        (void)snprintf(name, sizeof(name), "src/rpc/%s", e->d_name);
        read_source(name);
        for (const char *at = (const char *)text.at; (at = strstr(at, mark)) != NULL; seen++) {
            at += sizeof(mark) - 1;
            struct neo_bytes word = neo_bytes(at, strcspn(at, "\""));
            if (!is_reason(word))
                fail_msg("%s says \"%.*s\"", name, NEO_FMT(word));
        }
    }
    (void)closedir(dir);
    assert_true(seen > 0);
}

TEST(names_and_texts_fit_the_wire)
{
    for (int i = NEO_REASON_NONE + 1; i < NEO_REASON_COUNT; i++) {
        const char *name = neo_reason_name((enum neo_reason)i);
        assert_in_range(strlen(name), 3, 63); /* AIP-193 */
        assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(name));
        assert_true(neo_reason_text((enum neo_reason)i)[0] != '\0');
        assert_int_not_equal(neo_reason_code((enum neo_reason)i), NEO_OK);
    }
}

static int forget(void **state)
{
    (void)state;
    neo_buffer_fini(&text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_has_its_row_in_the_documentation),
        cmocka_unit_test(each_row_of_the_documentation_is_a_reason),
        cmocka_unit_test(each_word_for_refused_evidence_has_its_row),
        cmocka_unit_test(no_file_says_a_reason_that_is_not_on_the_list),
        cmocka_unit_test(names_and_texts_fit_the_wire),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
