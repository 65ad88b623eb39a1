/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/log.h>

#include <unistd.h>

static int64_t fixed_clock(void)
{
    return INT64_C(1700000000123456789);
}

/* Emits into a pipe and returns the line, terminated. */
#define LINE(log, line, ...)                                                                       \
    do {                                                                                           \
        int ends[2];                                                                               \
        assert_int_equal(pipe(ends), 0);                                                           \
        (log)->fd = ends[1];                                                                       \
        neo_log_info((log), __VA_ARGS__);                                                          \
        close(ends[1]);                                                                            \
        ssize_t got = read(ends[0], (line), sizeof(line) - 1);                                     \
        (line)[got > 0 ? got : 0] = '\0';                                                          \
        close(ends[0]);                                                                            \
    } while (0)

TEST(a_line_is_json_with_typed_fields)
{
    struct neo_log log = {.wall_nsec = fixed_clock, .service = "s"};
    char line[8192];

    LINE(&log, line, "a.b", NEO_STR("t", "x"), NEO_U64("n", 7), NEO_I64("i", -1),
         NEO_BOOL("f", true));
    assert_string_equal(line, "{\"ts\":\"2023-11-14T22:13:20.123456Z\",\"level\":\"info\","
                              "\"service\":\"s\",\"event\":\"a.b\",\"t\":\"x\",\"n\":7,\"i\":-1,"
                              "\"f\":true}\n");
}

TEST(a_peer_cannot_write_a_line_of_its_own)
{
    struct neo_log log = {.wall_nsec = fixed_clock};
    char line[8192];

    LINE(&log, line, "x", NEO_BYTES("p", NEO_LIT("a\n{\"event\":\"fake\"}\x1b[2J\x00\xe2\x80\xae")));
    assert_null(strchr(line, 0x1b));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_non_null(strstr(line, "a\\u000a{\\\"event\\\":\\\"fake\\\"}\\u001b[2J\\u0000\\u00e2"));
}

TEST(a_line_too_long_loses_whole_fields)
{
    char big[300] = {0};
    struct neo_log log = {.wall_nsec = fixed_clock};
    char line[8192];

    memset(big, 1, sizeof(big) - 1);
    LINE(&log, line, "x", NEO_STR("a", big), NEO_STR("b", big), NEO_STR("c", big));
    assert_non_null(strstr(line, "\"b\":"));
    assert_null(strstr(line, "\"c\":"));
    assert_string_equal(line + strlen(line) - 3, "\"}\n");
}

TEST(below_its_level_nothing_is_evaluated)
{
    struct neo_log log = {.level = NEO_LOG_WARN, .fd = -1};
    int evaluated = 0;

    neo_log_info(&log, "x", NEO_U64("n", (uint64_t)++evaluated));
    neo_log_info((struct neo_log *)NULL, "x", NEO_U64("n", (uint64_t)++evaluated));
    assert_int_equal(evaluated, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_json_with_typed_fields),
        cmocka_unit_test(a_peer_cannot_write_a_line_of_its_own),
        cmocka_unit_test(a_line_too_long_loses_whole_fields),
        cmocka_unit_test(below_its_level_nothing_is_evaluated),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
