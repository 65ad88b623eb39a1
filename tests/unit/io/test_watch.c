/* SPDX-License-Identifier: Apache-2.0 */
/* What io/net.h promises of sockets that are ready in one turn; the twin calls them one by one. */
#include "io/loop.h" /* before the test's own loop */

#include "fixture.h"

#include <sys/socket.h>

enum { SOCKETS = WATCH_MANY + 9, FEW = 9 };

struct socket {
    struct net_watch watch;
    int other;       /* the far end */
    unsigned steps;  /* of warming since it was called last */
    unsigned called; /* how often */
};

static struct socket sockets[SOCKETS];
static size_t n_sockets;
static unsigned n_called;
static void (*at_first)(struct socket *s);

static void on_warm(struct net_watch *watch, unsigned step)
{
    struct socket *s = neo_owner(watch, struct socket, watch);

    assert_int_equal(step, s->steps);
    s->steps++;
}

static void on_ready(struct net_watch *watch, unsigned events)
{
    struct socket *s = neo_owner(watch, struct socket, watch);
    struct neo_error err;
    size_t len = 0;
    uint8_t byte;

    assert_int_equal(s->steps, n_sockets == FEW ? 0 : NET_WARM_STEPS);
    assert_int_equal(events & ~watch->want, 0);
    s->steps = 0;
    s->called++;
    if (events & NET_READ)
        assert_int_equal(net_read(loop, watch->fd, &byte, 1, &len, &err), NET_OK);
    if (n_called++ == 0 && at_first != NULL)
        at_first(s);
}

static int begin_with(void **state, size_t n)
{
    int result = begin_test(state);

    n_sockets = n;
    n_called = 0;
    at_first = NULL;
    for (size_t i = 0; i < n_sockets; i++) {
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        sockets[i] = (struct socket){.watch = {.ready = on_ready, .warm = on_warm, .fd = ends[0]},
                                     .other = ends[1]};
        assert_int_equal(net_watch(loop, &sockets[i].watch, NET_READ, NULL), NEO_OK);
        assert_int_equal(write(ends[1], "x", 1), 1);
    }
    return result;
}

static int begin(void **state)
{
    return begin_with(state, SOCKETS);
}

static int begin_few(void **state)
{
    return begin_with(state, FEW);
}

static int end(void **state)
{
    for (size_t i = 0; i < n_sockets; i++) {
        net_unwatch(loop, &sockets[i].watch);
        net_close(loop, sockets[i].watch.fd);
        (void)close(sockets[i].other);
    }
    return end_test(state);
}

/* Until a timer says that it is enough, which comes behind all that is ready. */
static void run_turns(void)
{
    struct neo_timer enough = {.expired = on_enough};

    neo_loop_arm(loop, &enough, neo_loop_now(loop) + 20 * MSEC);
    run();
}

static void end_all_others(struct socket *s)
{
    for (size_t i = 0; i < n_sockets; i++)
        if (&sockets[i] != s)
            net_unwatch(loop, &sockets[i].watch);
}

TEST(one_that_another_has_ended_is_not_called_any_more)
{
    at_first = end_all_others;
    run_turns();
    assert_int_equal(n_called, 1);
}

static void watch_again(struct socket *s)
{
    for (size_t i = 0; i < n_sockets; i++) {
        if (&sockets[i] == s)
            continue;
        net_unwatch(loop, &sockets[i].watch);
        sockets[i].steps = 0;
        assert_int_equal(net_watch(loop, &sockets[i].watch, NET_READ, NULL), NEO_OK);
    }
}

TEST(one_that_is_watched_anew_is_called_for_what_is_there_still)
{
    at_first = watch_again;
    run_turns();
    for (size_t i = 0; i < n_sockets; i++)
        assert_int_equal(sockets[i].called, 1);
}

static void read_no_more(struct socket *s)
{
    for (size_t i = 0; i < n_sockets; i++)
        if (&sockets[i] != s)
            assert_int_equal(net_watch(loop, &sockets[i].watch, NET_WRITE, NULL), NEO_OK);
}

static void stop_reading_at_first(struct socket *s)
{
    read_no_more(s);
    neo_loop_stop(loop);
}

/* on_ready() asserts that nothing is told but what is wanted. */
TEST(nothing_is_told_that_is_no_longer_wanted)
{
    at_first = stop_reading_at_first;
    run();
    assert_int_equal(n_called, 1);
}

TEST(all_are_called_once_and_warmed_before)
{
    run_turns();
    assert_int_equal(n_called, n_sockets);
    for (size_t i = 0; i < n_sockets; i++)
        assert_int_equal(sockets[i].called, 1);
}

/* on_ready() asserts that nobody was. */
TEST(the_few_are_not_warmed)
{
    run_turns();
    assert_int_equal(n_called, FEW);
}

static void note_turn(struct neo_job *job)
{
    (void)job;
    assert_int_equal(n_called, n_sockets);
    neo_loop_stop(loop);
}

TEST(all_are_called_before_the_jobs_of_their_turn)
{
    struct neo_job job = {.run = note_turn};

    neo_loop_post(loop, &job);
    run();
    assert_int_equal(n_called, n_sockets);
}

#define IN_LOOP(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_LOOP(one_that_another_has_ended_is_not_called_any_more),
        IN_LOOP(one_that_is_watched_anew_is_called_for_what_is_there_still),
        IN_LOOP(nothing_is_told_that_is_no_longer_wanted),
        IN_LOOP(all_are_called_once_and_warmed_before),
        IN_LOOP(all_are_called_before_the_jobs_of_their_turn),
        cmocka_unit_test_setup_teardown(the_few_are_not_warmed, begin_few, end),
    };

    return cmocka_run_group_tests_name("io/watch", tests, NULL, NULL);
}
