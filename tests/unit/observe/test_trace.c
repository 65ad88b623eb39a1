/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static bool parses(const char *text)
{
    struct neo_trace before = {.flags = 0x5a};
    struct neo_trace t = before;
    bool ok = neo_trace_parse(neo_text(text), &t);

    if (!ok)
        assert_memory_equal(&t, &before, sizeof(t));
    return ok;
}

TEST(a_wrong_traceparent_is_refused_and_leaves_the_result)
{
    static const char *const wrong[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", /* 00 has no more fields */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", /* no such version */
        "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", /* upper case */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
    };

    for (size_t i = 0; i < NEO_COUNT(wrong); i++)
        if (parses(wrong[i]))
            fail_msg("accepted '%s'", wrong[i]);
}

TEST(any_single_changed_byte_gives_another_trace_or_none)
{
    struct neo_trace original;

    assert_true(neo_trace_parse(neo_text(good), &original));
    for (size_t i = 0; i < sizeof(good) - 1; i++)
        for (unsigned c = 0; c < 256; c++) {
            char text[sizeof(good)];
            struct neo_trace t;

            memcpy(text, good, sizeof(good));
            text[i] = (char)c;
            if (text[i] == good[i] || !neo_trace_parse(neo_bytes(text, sizeof(good) - 1), &t))
                continue;
            /* Only the version and unknown flags are not kept. */
            if (i >= 3 && i < 53)
                assert_memory_not_equal(&t, &original, sizeof(t));
        }
}

TEST(every_cut_of_it_is_refused)
{
    struct neo_trace t;

    for (size_t len = 0; len < sizeof(good) - 1; len++) {
        char *exact = malloc(len + 1); /* so that a sanitizer sees a byte too far */
        memcpy(exact, good, len);
        assert_false(neo_trace_parse(neo_bytes(exact, len), &t));
        free(exact);
    }
}

TEST(what_was_parsed_is_formatted_the_same)
{
    struct neo_trace t;
    char text[NEO_TRACEPARENT_LEN + 1];

    assert_true(neo_trace_parse(neo_text(good), &t));
    assert_int_equal(t.flags, NEO_TRACE_SAMPLED);
    neo_trace_format(&t, text);
    assert_string_equal(text, good);
}

TEST(a_later_version_is_read_as_far_as_it_is_known)
{
    static const char later[] = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-what";
    struct neo_trace t;
    char text[NEO_TRACEPARENT_LEN + 1];

    assert_true(neo_trace_parse(neo_text(later), &t));
    neo_trace_format(&t, text);
    assert_string_equal(text, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03");
}

TEST(unknown_flags_are_dropped_and_the_random_flag_is_kept)
{
    static const char all[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff";
    struct neo_trace t;

    assert_true(neo_trace_parse(neo_text(all), &t));
    assert_int_equal(t.flags, NEO_TRACE_SAMPLED | NEO_TRACE_RANDOM);
}

TEST(a_new_trace_is_sampled_and_parses)
{
    struct neo_trace t = neo_trace_new();
    char text[NEO_TRACEPARENT_LEN + 1];

    assert_true(t.flags & NEO_TRACE_SAMPLED);
    neo_trace_format(&t, text);
    assert_true(parses(text));
}

TEST(a_child_is_the_same_trace_and_another_span)
{
    struct neo_trace parent = neo_trace_new();
    struct neo_trace child = neo_trace_child(&parent);

    assert_memory_equal(child.trace_id, parent.trace_id, sizeof(child.trace_id));
    assert_memory_not_equal(child.span_id, parent.span_id, sizeof(child.span_id));
    assert_int_equal(child.flags, parent.flags);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

TEST(ids_do_not_repeat)
{
    enum { N = 100000 };
    static uint8_t ids[3 * N][8];

    for (size_t i = 0; i < N; i++) {
        struct neo_trace t = neo_trace_new();
        memcpy(ids[3 * i], t.trace_id, 8);
        memcpy(ids[3 * i + 1], t.trace_id + 8, 8);
        memcpy(ids[3 * i + 2], t.span_id, 8);
    }
    qsort(ids, NEO_COUNT(ids), sizeof(ids[0]), compare_ids);
    for (size_t i = 1; i < NEO_COUNT(ids); i++)
        assert_memory_not_equal(ids[i - 1], ids[i], 8);
}

TEST(a_forked_child_does_not_repeat_its_parents_ids)
{
    struct neo_trace theirs;
    int pipes[2];

    (void)neo_trace_new();
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct neo_trace t = neo_trace_new();
        _exit(write(pipes[1], &t, sizeof(t)) == sizeof(t) ? 0 : 1);
    }
    struct neo_trace ours = neo_trace_new();
    assert_int_equal(read(pipes[0], &theirs, sizeof(theirs)), sizeof(theirs));
    assert_memory_not_equal(ours.trace_id, theirs.trace_id, sizeof(ours.trace_id));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_traceparent_is_refused_and_leaves_the_result),
        cmocka_unit_test(any_single_changed_byte_gives_another_trace_or_none),
        cmocka_unit_test(every_cut_of_it_is_refused),
        cmocka_unit_test(what_was_parsed_is_formatted_the_same),
        cmocka_unit_test(a_later_version_is_read_as_far_as_it_is_known),
        cmocka_unit_test(unknown_flags_are_dropped_and_the_random_flag_is_kept),
        cmocka_unit_test(a_new_trace_is_sampled_and_parses),
        cmocka_unit_test(a_child_is_the_same_trace_and_another_span),
        cmocka_unit_test(ids_do_not_repeat),
        cmocka_unit_test(a_forked_child_does_not_repeat_its_parents_ids),
    };
    return cmocka_run_group_tests_name("observe/trace", tests, NULL, NULL);
}
