/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a worker one caller may have: calls that run, and bytes that are held for them. */
#include "../unit.h"

#include "rpc/holding.h"
#include "rpc/share.h"

#include <neo/memory.h>

enum { KIB = 1024, LEAST = 512 * KIB };

static struct worker worker;
static struct neo_server server;

static void begin(size_t largest_request)
{
    memset(&worker, 0, sizeof(worker));
    memset(&server, 0, sizeof(server));
    worker.server = &server;
    worker.admission.limit = 1000;
    server.largest_request = largest_request;
}

static void end(void)
{
    assert_int_equal(worker.shares.used, 0);
    map_fini(&worker.shares);
    assert_int_equal(server.shared.identities.used, 0);
    map_fini(&server.shared.identities);
}

/* --- calls ------------------------------------------------------------------------------------ */

TEST(a_caller_may_run_three_quarters_and_not_one_call_more)
{
    begin(1);
    struct caller_share *s = share_enter(&worker, NEO_LIT("a-service"));

    s->running = 749;
    assert_false(share_is_spent(&worker, s));
    s->running = 750;
    assert_true(share_is_spent(&worker, s));
    share_leave(&worker, s);
    end();
}

TEST(all_connections_of_a_caller_have_one_share_and_other_callers_have_theirs)
{
    begin(1);
    struct caller_share *s = share_enter(&worker, NEO_LIT("a-service"));
    struct caller_share *other = share_enter(&worker, NEO_LIT("b-service"));

    assert_ptr_equal(share_enter(&worker, NEO_LIT("a-service")), s);
    assert_ptr_not_equal(other, s);
    s->running = 1000;
    assert_true(share_is_spent(&worker, s));
    assert_false(share_is_spent(&worker, other));
    share_leave(&worker, s);
    assert_ptr_equal(share_enter(&worker, NEO_LIT("a-service")), s); /* one is still there */
    share_leave(&worker, s);
    share_leave(&worker, s);
    share_leave(&worker, other);
    end();
}

TEST(a_caller_that_comes_back_begins_with_nothing)
{
    begin(1);
    struct caller_share *s = share_enter(&worker, NEO_LIT("a-service"));

    s->running = 1000;
    share_leave(&worker, s);
    s = share_enter(&worker, NEO_LIT("a-service"));
    assert_false(share_is_spent(&worker, s));
    share_leave(&worker, s);
    share_leave(&worker, NULL); /* a peer that never had one */
    end();
}

TEST(few_places_are_not_divided)
{
    begin(1);
    struct caller_share *s = share_enter(&worker, NEO_LIT("a-service"));

    s->running = 64;
    worker.admission.limit = 63;
    assert_false(share_is_spent(&worker, s));
    worker.admission.limit = 64;
    assert_true(share_is_spent(&worker, s));
    share_leave(&worker, s);
    end();
}

TEST(without_memory_there_is_no_share_and_nothing_is_left)
{
    begin(1);
    for (unsigned long n = 1; n <= 2; n++) {
        neo_memory_fail_at(n);
        assert_null(share_enter(&worker, NEO_LIT("a-service")));
        neo_memory_fail_at(0);
    }
    end();
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* A call that holds so much in its body, which is not there. */
struct held {
    struct neo_call call;
    struct neo_arena arena;
};

static void hold(struct held *h, struct peer *p, size_t bytes)
{
    memset(h, 0, sizeof(*h));
    neo_arena_init(&h->arena, 32 << 20);
    h->call.peer = p;
    h->call.worker = &worker;
    h->call.arena = &h->arena;
    h->call.body.len = bytes;
}

static void let_go(struct held *h)
{
    holding_end(&h->call);
    neo_arena_fini(&h->arena);
}

TEST(a_connection_holds_four_large_messages_and_not_a_byte_more)
{
    struct held call, one_more;

    begin(1000 * KIB);
    struct peer p = {.worker = &worker, .share = share_enter(&worker, NEO_LIT("a-service"))};
    hold(&call, &p, 4000 * KIB);
    assert_true(holding_note(&call.call));
    hold(&one_more, &p, 1);
    assert_false(holding_note(&one_more.call));
    let_go(&call);
    assert_true(holding_note(&one_more.call));
    let_go(&one_more);
    assert_int_equal(p.holding, 0);
    assert_int_equal(p.share->holding, 0);
    share_leave(&worker, p.share);
    end();
}

TEST(a_callers_connections_together_hold_eight)
{
    struct peer peers[3] = {{.worker = &worker}, {.worker = &worker}, {.worker = &worker}};
    struct held calls[3];

    begin(1000 * KIB);
    for (int i = 0; i < 3; i++) {
        peers[i].share = share_enter(&worker, NEO_LIT("a-service"));
        hold(&calls[i], &peers[i], i < 2 ? 4000 * KIB : 1);
        assert_int_equal(holding_note(&calls[i].call), i < 2);
    }
    peers[2].share->holding -= 1; /* the last moves to another caller */
    share_leave(&worker, peers[2].share);
    peers[2].share = share_enter(&worker, NEO_LIT("b-service"));
    peers[2].share->holding += 1;
    assert_true(holding_note(&calls[2].call));
    for (int i = 0; i < 3; i++) {
        let_go(&calls[i]);
        share_leave(&worker, peers[i].share);
    }
    end();
}

TEST(small_limits_still_let_half_a_megabyte_in)
{
    struct held call;

    begin(1);
    struct peer p = {.worker = &worker, .share = share_enter(&worker, NEO_LIT("a-service"))};
    hold(&call, &p, LEAST);
    assert_true(holding_note(&call.call));
    call.call.body.len++;
    assert_false(holding_note(&call.call));
    let_go(&call);
    share_leave(&worker, p.share);
    end();
}

TEST(the_blocks_of_the_arena_count_until_the_handler_has_it)
{
    struct held call;

    begin(1000 * KIB);
    struct peer p = {.worker = &worker, .share = share_enter(&worker, NEO_LIT("a-service"))};
    hold(&call, &p, 0);
    assert_non_null(neo_arena_alloc(&call.arena, 100 * KIB));
    assert_true(holding_note(&call.call));
    assert_in_range(p.holding, 100 * KIB, 101 * KIB);
    call.call.state = CALL_RUNNING; /* whose thread may be another */
    assert_non_null(neo_arena_alloc(&call.arena, 100 * KIB));
    assert_true(holding_note(&call.call));
    assert_in_range(p.holding, 100 * KIB, 101 * KIB);
    let_go(&call);
    share_leave(&worker, p.share);
    end();
}

TEST(a_message_may_become_eight_times_as_large_a_smaller_one_twelve_or_half_a_megabyte)
{
    struct held call;
    size_t room;

    begin(4096 * KIB);
    struct peer p = {.worker = &worker, .share = share_enter(&worker, NEO_LIT("a-service"))};
    hold(&call, &p, 4096 * KIB);
    assert_true(holding_note(&call.call));
    assert_true(holding_room(&call.call, 10, &room));
    assert_int_equal(room, LEAST);
    assert_true(holding_room(&call.call, 100 * KIB, &room));
    assert_int_equal(room, 12 * 100 * KIB);
    assert_true(holding_room(&call.call, 4096 * KIB, &room)); /* alone: beyond the connection's */
    assert_int_equal(room, 8 * 4096 * KIB);
    assert_true(holding_room(&call.call, SIZE_MAX / 2, &room));
    assert_true(room == SIZE_MAX);
    let_go(&call);
    share_leave(&worker, p.share);
    end();
}

TEST(beside_others_it_may_become_no_more_than_they_leave)
{
    struct held call, other;
    size_t room;

    begin(1000 * KIB);
    struct peer p = {.worker = &worker, .share = share_enter(&worker, NEO_LIT("a-service"))};
    hold(&other, &p, 3600 * KIB);
    assert_true(holding_note(&other.call));
    hold(&call, &p, 100 * KIB);
    assert_true(holding_note(&call.call));
    assert_false(holding_room(&call.call, 100 * KIB, &room));
    assert_int_equal(room, 300 * KIB);
    let_go(&other);
    assert_true(holding_room(&call.call, 100 * KIB, &room));
    assert_int_equal(room, 1200 * KIB);
    let_go(&call);
    share_leave(&worker, p.share);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_may_run_three_quarters_and_not_one_call_more),
        cmocka_unit_test(all_connections_of_a_caller_have_one_share_and_other_callers_have_theirs),
        cmocka_unit_test(a_caller_that_comes_back_begins_with_nothing),
        cmocka_unit_test(few_places_are_not_divided),
        cmocka_unit_test(without_memory_there_is_no_share_and_nothing_is_left),
        cmocka_unit_test(a_connection_holds_four_large_messages_and_not_a_byte_more),
        cmocka_unit_test(a_callers_connections_together_hold_eight),
        cmocka_unit_test(small_limits_still_let_half_a_megabyte_in),
        cmocka_unit_test(the_blocks_of_the_arena_count_until_the_handler_has_it),
        cmocka_unit_test(
            a_message_may_become_eight_times_as_large_a_smaller_one_twelve_or_half_a_megabyte),
        cmocka_unit_test(beside_others_it_may_become_no_more_than_they_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
