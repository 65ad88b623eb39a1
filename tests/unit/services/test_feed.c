/* SPDX-License-Identifier: Apache-2.0 */
/* What the registry does not hand out. Of what it does: tests/scenario/test_plane.c. */
#include "../scratch.h"

#include "registry/feed.h"

#include <neo/encoding.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <stdio.h>

static struct policy_feed feed;
static struct neo_error err;

/* A policy of `size` bytes, most of them remarks. */
static void write_policy(const char *name, size_t size)
{
    static const char policy[] = "service: \"a-service\"\nallowed_calls:\n"
                                 "  - target_service: \"b-service\"\n    operations: [\"*\"]\n#";
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    assert_true(neo_buffer_append(&text, neo_text(policy)));
    while (text.len < size)
        assert_true(neo_buffer_append(&text, NEO_LIT("x")));
    assert_int_equal(neo_file_replace(scratch(name), neo_buffer_bytes(&text), 0600, &err), NEO_OK);
}

/* Nobody who follows could take it: without the refusal it would be in force here alone. */
TEST(more_policy_than_followers_take_is_refused_with_its_largest_file)
{
    char folder[256];
    const char *paths[] = {folder, NULL};
    struct neo_policy_v1_GetStatusResponse status = {0};
    struct neo_arena arena;

    (void)snprintf(folder, sizeof(folder), "%s", scratch_folder);
    write_policy("a.yaml", 1000000);
    write_policy("b.yaml", 1048000);
    write_policy("c.yaml", 1000000);
    write_policy("d.yaml", 1000000);
    write_policy("e.yaml", 200000);
    policy_feed_init(&feed, NULL, NULL, folder, paths); /* no mesh: nothing may come into force */
    assert_int_equal(policy_feed_poll(&feed, &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "/b.yaml', has 1048000"));
    assert_non_null(strstr(err.message, "4194304"));

    neo_arena_init(&arena, 1 << 20);
    policy_feed_status(&feed, &arena, &status); /* neo policy status, neo check */
    assert_true(status.last_error.len > 0 && status.failed_at > 0);
    assert_int_equal(status.number, 0);
    assert_int_equal(feed.shared.snapshot.len, 0);
    neo_arena_fini(&arena);
    policy_feed_fini(&feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            more_policy_than_followers_take_is_refused_with_its_largest_file, scratch_setup,
            scratch_teardown),
    };
    return cmocka_run_group_tests_name("services/feed", tests, NULL, NULL);
}
