/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rests on a measurement ends with it: at its rollout's date, and at once when it is revoked.
 */
#include "attested_scene.h"

/* --- promises: rollouts ----------------------------------------------------------------------- */

static neo_nsec world_began(void)
{
    return neo_mono_nsec() - (neo_nsec)(neo_wall_nsec() - WALL * (int64_t)SEC);
}

/* It was proven 30 s before the date, by a policy that lets evidence live for 60. */
TEST(a_connection_ends_with_the_date_of_what_it_proved_to_run)
{
    struct neo_attest_policies *dated = rolled_out("", NEO_ROLLOUT_RETIRING, 30);
    neo_nsec began = world_began();

    open_channel(dated);
    struct call *stream = listen();
    assert_true(sim_wait(has_message, stream, 5 * SEC));
    assert_int_not_equal(wait_over(stream), NEO_OK);
    assert_in_range(stream->ended - began, 28 * SEC, 30 * SEC);
    unsigned handled = s.world.handled;
    sim_run_until(began + 31 * SEC);
    assert_int_not_equal(wait_over(say(false)), NEO_OK);
    assert_int_equal(s.world.handled, handled);
    neo_attest_policies_unref(dated);
}

/* What the evidence vouched for is used on the second connection, and no longer than that. */
TEST(a_session_key_ends_with_the_date_of_what_it_was_named_by)
{
    struct neo_attest_policies *dated =
        rolled_out("    mode: delegated\n", NEO_ROLLOUT_RETIRING, 30);
    neo_nsec began = world_began();

    open_channel(dated);
    assert_int_equal(wait_over(say(true)), NEO_OK);
    sim_run_until(began + 5 * SEC);
    assert_int_equal(sim_reset("*", "*"), 1);
    struct call *stream = listen();
    assert_true(sim_wait(has_message, stream, 8 * SEC));
    assert_int_equal(attester.proofs, 1);
    assert_int_not_equal(wait_over(stream), NEO_OK);
    assert_in_range(stream->ended - began, 28 * SEC, 30 * SEC);
    sim_run_until(began + 31 * SEC);
    assert_int_not_equal(wait_over(say(false)), NEO_OK);
    neo_attest_policies_unref(dated);
}

TEST(what_is_revoked_is_left_at_once_streams_and_all)
{
    struct neo_attest_policies *active = rolled_out("", NEO_ROLLOUT_ACTIVE, 0);
    struct neo_attest_policies *revoked = rolled_out("", NEO_ROLLOUT_REVOKED, 0);

    open_channel(active);
    struct call *stream = listen();
    assert_true(sim_wait(has_message, stream, 5 * SEC));
    sim_run_for(2 * SEC);
    neo_nsec at = neo_mono_nsec();
    neo_channel_update(s.channel, &(struct neo_epoch){.attest_policies = revoked});
    assert_int_not_equal(wait_over(stream), NEO_OK);
    assert_in_range(stream->ended - at, 0, 50 * MSEC);
    neo_attest_policies_unref(active);
    neo_attest_policies_unref(revoked);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_connection_ends_with_the_date_of_what_it_proved_to_run),
        PROMISE(a_session_key_ends_with_the_date_of_what_it_was_named_by),
        PROMISE(what_is_revoked_is_left_at_once_streams_and_all),
    };

    return cmocka_run_group_tests_name("scenario/rollout_life", tests, make_machine, break_machine);
}
