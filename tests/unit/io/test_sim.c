/* SPDX-License-Identifier: Apache-2.0 */
/* What only the twin can do: machines, partitions, chance, months, and being strict. */
#include "end.h"

#include <neo/runtime.h>

#include <sys/wait.h>
#include <time.h>

#define DAY (86400 * SEC)

static struct neo_loop *near, *far; /* on 10.0.0.1 and 10.0.0.2 */
static struct end client, server;   /* near, far */
static struct door door;            /* far */

static void begin_with(uint64_t seed)
{
    sim_new(seed);
    sim_host("10.0.0.1");
    assert_int_equal(neo_loop_new(&near, NULL), NEO_OK);
    sim_host("10.0.0.2");
    assert_int_equal(neo_loop_new(&far, NULL), NEO_OK);
    sim_group("near", "10.0.0.1");
    sim_group("far", "10.0.0.2");
    client = server = (struct end){0};
    door = (struct door){.ends = &server, .n_ends = 1};
}

static int begin(void **state)
{
    (void)state;
    begin_with(1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    end_close(&client);
    end_close(&server);
    neo_loop_free(near);
    neo_loop_free(far);
    sim_free();
    return 0;
}

static void meet(void)
{
    door_open(&door, far, "10.0.0.2:8441", NET_ALONE);
    end_connect(&client, near, "10.0.0.2:8441");
    sim_run_for(100 * MSEC);
    door_close(&door);
    assert_int_equal(door.n, 1);
    assert_false(client.is_connecting || client.broken);
}

/* Time. */

TEST(time_passes_only_when_something_happens_and_then_to_the_nanosecond)
{
    neo_nsec before = neo_mono_nsec();

    sim_run_for(30 * DAY + 7);
    assert_int_equal(neo_mono_nsec() - before, 30 * DAY + 7);
}

struct heart {
    struct neo_timer timer;
    neo_nsec every;
    unsigned beats;
};

static void beat(struct neo_timer *timer)
{
    struct heart *heart = neo_owner(timer, struct heart, timer);

    heart->beats++;
    neo_loop_arm(near, timer, timer->at + heart->every);
}

TEST(a_month_of_heartbeats_is_a_moment)
{
    struct heart heart = {.timer = {.expired = beat}, .every = 10 * SEC};
    clock_t before = clock();

    neo_loop_arm(near, &heart.timer, neo_mono_nsec() + heart.every);
    sim_run_for(30 * DAY);
    assert_int_equal(heart.beats, 30 * 8640);
    neo_loop_disarm(near, &heart.timer);
    assert_true(clock() - before < 10 * CLOCKS_PER_SEC);
}

static neo_nsec expired_at;

static void note_instant(struct neo_timer *timer)
{
    (void)timer;
    expired_at = neo_mono_nsec();
}

TEST(a_jump_of_the_wall_clock_moves_no_timer)
{
    struct neo_timer timer = {.expired = note_instant};
    neo_nsec before = neo_mono_nsec();
    int64_t wall = neo_wall_nsec();

    neo_loop_arm(near, &timer, before + 10 * SEC);
    sim_run_for(SEC);
    sim_clock_jump(25 * 3600 * (int64_t)SEC);
    assert_int_equal(neo_wall_nsec() - wall, 25 * 3600 * SEC + SEC);
    sim_run_for(SEC);
    sim_clock_jump(-50 * 3600 * (int64_t)SEC);
    sim_run_for(20 * SEC);
    assert_int_equal(expired_at, before + 10 * SEC);
    sim_clock_set(5);
    assert_int_equal(neo_wall_nsec(), 5);
}

static bool is_ended(void *self)
{
    const struct end *e = self;

    return e->ended || e->broken;
}

static bool is_told(void *self)
{
    const struct end *e = self;

    return e->in.len > 0;
}

TEST(waiting_ends_when_it_holds_or_when_it_has_been_long_enough)
{
    meet();
    neo_nsec before = neo_mono_nsec();
    assert_false(sim_wait(is_told, &server, 50 * MSEC));
    assert_true(neo_mono_nsec() - before >= 50 * MSEC);
    end_send(&client, NEO_LIT("x"));
    assert_true(sim_wait(is_told, &server, 50 * MSEC));
    assert_true(neo_mono_nsec() - before < 51 * MSEC);
}

/* The network. */

TEST(what_is_sent_into_a_partition_arrives_after_it)
{
    meet();
    sim_partition("near", "far");
    end_send(&client, NEO_LIT("early"));
    sim_run_for(3 * SEC);
    assert_int_equal(server.in.len, 0);
    sim_heal("far", "near");
    assert_true(sim_wait(is_told, &server, 4 * SEC));
    assert_true(neo_bytes_is(neo_buffer_bytes(&server.in), "early"));
    sim_run_for(DAY);
    assert_false(client.broken || server.broken);
}

TEST(whoever_sends_into_a_long_partition_is_told_after_five_seconds_and_the_other_is_not)
{
    meet();
    sim_partition("near", "far");
    neo_nsec before = neo_mono_nsec();
    end_send(&client, NEO_LIT("lost"));
    assert_true(sim_wait(is_ended, &client, 10 * SEC));
    assert_in_range(neo_mono_nsec() - before, 5 * SEC, 5 * SEC + 10 * MSEC);
    assert_int_equal(client.err.code, NEO_UNAVAILABLE);
    sim_heal(NULL, NULL);
    sim_run_for(DAY);
    assert_false(server.broken || server.ended);
    end_send(&server, NEO_LIT("are you there?"));
    assert_true(sim_wait(is_ended, &server, SEC));
    assert_non_null(strstr(server.err.message, "reset"));
}

TEST(a_connection_that_says_nothing_outlives_a_partition)
{
    meet();
    sim_partition("near", "*");
    sim_run_for(DAY);
    sim_heal(NULL, NULL);
    end_send(&client, NEO_LIT("still here"));
    assert_true(sim_wait(is_told, &server, SEC));
}

TEST(a_cut_in_one_direction_lets_the_other_pass)
{
    meet();
    sim_cut("far", "near");
    end_send(&client, NEO_LIT("question"));
    assert_true(sim_wait(is_told, &server, SEC));
    end_send(&server, NEO_LIT("answer"));
    sim_run_for(2 * SEC);
    assert_int_equal(client.in.len, 0);
    sim_heal("near", "far");
    assert_true(sim_wait(is_told, &client, 2 * SEC));
}

TEST(a_group_may_be_one_port)
{
    sim_group("service", "10.0.0.2:8441 10.0.0.9:1");
    meet();
    sim_partition("service", "near");
    door.n = 0;
    door_open(&door, far, "10.0.0.2:8442", NET_ALONE);
    struct end other = {0};
    struct end *kept = door.ends;
    struct end others_server = {0};
    door.ends = &others_server;
    end_connect(&other, near, "10.0.0.2:8442");
    end_send(&client, NEO_LIT("held up"));
    end_send(&other, NEO_LIT("passes"));
    assert_true(sim_wait(is_told, &others_server, SEC));
    assert_int_equal(server.in.len, 0);
    door.ends = kept;
    door_close(&door);
    end_close(&other);
    end_close(&others_server);
}

TEST(a_connect_into_a_partition_is_tried_again)
{
    sim_partition("near", "far");
    door_open(&door, far, "10.0.0.2:8441", NET_ALONE);
    end_connect(&client, near, "10.0.0.2:8441");
    sim_run_for(10 * SEC);
    assert_true(client.is_connecting);
    sim_heal(NULL, NULL);
    sim_run_for(10 * SEC);
    assert_false(client.is_connecting || client.broken);
    door_close(&door);
}

TEST(a_connect_into_a_partition_fails_in_the_end)
{
    sim_partition("near", "far");
    end_connect(&client, near, "10.0.0.2:8441");
    sim_run_for(100 * SEC);
    assert_false(client.broken);
    sim_run_for(100 * SEC);
    assert_true(client.broken);
    assert_non_null(strstr(client.err.message, "timed out"));
}

TEST(a_machine_that_does_not_exist_cannot_be_reached)
{
    end_connect(&client, near, "10.9.9.9:1");
    assert_true(sim_wait(is_ended, &client, 4 * SEC));
    assert_non_null(strstr(client.err.message, "No route"));
}

TEST(each_machine_has_its_own_loopback)
{
    struct door ours = {.ends = &server, .n_ends = 1};
    struct door theirs = {.ends = &client, .n_ends = 1};
    struct end caller = {0};

    door_open(&ours, near, "127.0.0.1:9901", NET_ALONE);
    door_open(&theirs, far, "127.0.0.1:9901", NET_ALONE);
    end_connect(&caller, far, "127.0.0.1:9901");
    sim_run_for(MSEC);
    assert_int_equal(ours.n, 0);
    assert_int_equal(theirs.n, 1);
    door_close(&ours);
    door_close(&theirs);
    end_close(&caller);
}

TEST(a_machine_listens_on_its_own_addresses_only)
{
    int fd;

    assert_int_equal(net_listen(near, "10.0.0.2:80", NET_ALONE, &fd, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(net_listen(far, "0.0.0.0:80", NET_ALONE, &fd, NULL), NEO_OK);
    end_connect(&client, near, "10.0.0.2:80");
    sim_run_for(10 * MSEC);
    assert_false(client.is_connecting || client.broken);
    net_close(far, fd);
}

TEST(a_slow_link_is_slow_in_its_direction)
{
    meet();
    sim_slow("near", "far", 300 * MSEC);
    neo_nsec before = neo_mono_nsec();
    end_send(&client, NEO_LIT("x"));
    end_send(&server, NEO_LIT("y"));
    assert_true(sim_wait(is_told, &client, SEC));
    assert_true(neo_mono_nsec() - before < 2 * MSEC);
    assert_true(sim_wait(is_told, &server, SEC));
    assert_in_range(neo_mono_nsec() - before, 300 * MSEC, 301 * MSEC);
}

TEST(a_reset_reaches_both_ends_of_what_it_concerns)
{
    meet();
    assert_int_equal(sim_reset("near", "near"), 0);
    assert_int_equal(sim_reset("far", "near"), 1);
    sim_run_for(MSEC);
    assert_true(client.broken && server.broken);
    assert_non_null(strstr(client.err.message, "reset"));
}

TEST(refusals_may_come_by_chance)
{
    struct sim_network network = sim_network_default();

    network.refusals = 100;
    sim_network(&network);
    door_open(&door, far, "10.0.0.2:8441", NET_ALONE);
    end_connect(&client, near, "10.0.0.2:8441");
    assert_true(sim_wait(is_ended, &client, SEC));
    assert_int_equal(door.n, 0);
    door_close(&door);
}

TEST(a_loop_that_hangs_makes_no_turn_and_loses_nothing)
{
    meet();
    sim_hang(far, 3 * SEC);
    end_send(&client, NEO_LIT("patience"));
    sim_run_for(2 * SEC);
    assert_int_equal(server.in.len, 0);
    sim_run_for(2 * SEC);
    assert_int_equal(server.in.len, 8);
    assert_false(client.broken);
}

enum { LARGE = 300000 };

static struct sim_network bad_network(void)
{
    struct sim_network network = sim_network_default();

    network.buffer = 5000;
    network.partial_reads = network.partial_writes = network.delays = 30;
    network.delay_max = 20 * MSEC;
    return network;
}

TEST(on_a_bad_network_no_byte_is_lost_doubled_or_exchanged)
{
    static uint8_t bytes[LARGE];
    uint64_t random = 9;

    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)unit_random(&random, 256);
    for (uint64_t seed = 0; seed < 20; seed++) {
        end(NULL);
        begin_with(seed);
        struct sim_network network = bad_network();
        sim_network(&network);
        meet();
        client.says_bye = server.says_bye = true;
        end_send(&client, neo_bytes(bytes, LARGE));
        end_send(&server, neo_bytes(bytes, LARGE));
        assert_true(sim_wait(is_ended, &server, 60 * SEC) && sim_wait(is_ended, &client, 60 * SEC));
        assert_false(client.broken || server.broken);
        assert_int_equal(client.in.len, LARGE);
        assert_int_equal(server.in.len, LARGE);
        assert_memory_equal(client.in.at, bytes, LARGE);
        assert_memory_equal(server.in.at, bytes, LARGE);
    }
}

/* A client that calls again whenever its connection breaks, for a minute. */
static unsigned breaks;

static uint64_t live_through_a_minute(uint64_t seed)
{
    static uint8_t bytes[LARGE];
    struct sim_network network;

    begin_with(seed);
    network = bad_network();
    network.resets = network.refusals = 5;
    sim_network(&network);
    door_open(&door, far, "10.0.0.2:8441", NET_ALONE);
    breaks = 0;
    for (neo_nsec until = neo_mono_nsec() + 60 * SEC; neo_mono_nsec() < until;) {
        door.n = 0;
        end_connect(&client, near, "10.0.0.2:8441");
        end_send(&client, neo_bytes(bytes, LARGE));
        (void)sim_wait(is_ended, &client, 10 * SEC);
        breaks += client.broken;
        end_close(&client);
        (void)sim_wait(is_ended, &server, SEC);
        end_close(&server);
    }
    door_close(&door);
    uint64_t trace = sim_trace();
    end(NULL);
    return trace;
}

TEST(the_same_seed_gives_the_same_run_and_another_seed_another)
{
    end(NULL);
    uint64_t one = live_through_a_minute(1);
    assert_true(breaks > 10);
    assert_int_equal(live_through_a_minute(1), one);
    assert_int_equal(live_through_a_minute(1), one);
    assert_int_not_equal(live_through_a_minute(2), one);
    begin_with(1);
}

/* Names. */

struct answer {
    bool came;
    enum neo_code code;
    size_t n;
    struct net_address last;
};

static void on_answer(void *self, enum neo_code code, const struct net_address *found, size_t n)
{
    *(struct answer *)self = (struct answer){.came = true, .code = code, .n = n};
    if (n > 0)
        ((struct answer *)self)->last = found[n - 1];
}

static bool has_come(void *self)
{
    return ((struct answer *)self)->came;
}

static struct answer resolve(const char *host)
{
    struct answer answer = {0};
    struct net_lookup *lookup;

    assert_int_equal(net_resolve(near, host, 8441, on_answer, &answer, &lookup, NULL), NEO_OK);
    assert_true(sim_wait(has_come, &answer, SEC));
    return answer;
}

TEST(names_are_what_the_test_says_they_are)
{
    assert_int_equal(resolve("function-service").code, NEO_NOT_FOUND);
    sim_name("function-service", "10.0.0.1 10.0.0.2 fd00::7");
    struct answer answer = resolve("function-service");
    assert_int_equal(answer.n, 3);
    assert_string_equal(answer.last.text, "[fd00::7]:8441");
    sim_name("function-service", NULL);
    assert_int_equal(resolve("function-service").code, NEO_NOT_FOUND);
    sim_name_fails("function-service", NEO_UNAVAILABLE);
    assert_int_equal(resolve("function-service").code, NEO_UNAVAILABLE);
}

TEST(of_many_addresses_sixty_four_are_told)
{
    char many[100 * 16] = "";

    for (unsigned i = 0; i < 100; i++) {
        size_t used = strlen(many);
        (void)snprintf(many + used, sizeof(many) - used, "10.1.0.%u ", i);
    }
    sim_name("many", many);
    assert_int_equal(resolve("many").n, 64);
}

/* Strictness: each of these is a hang, a spin, a leak or a race in the real world. */

static void wait_for_nothing(void)
{
    neo_loop_run(near);
}

static void ignore(struct net_watch *watch, unsigned events)
{
    (void)watch;
    (void)events;
}

static void do_nothing_about_a_ready_socket(void)
{
    struct net_watch watch = {.ready = ignore};

    meet();
    net_unwatch(near, &client.watch);
    watch.fd = client.watch.fd;
    assert_int_equal(net_watch(near, &watch, NET_WRITE, NULL), NEO_OK);
    sim_run_for(SEC);
}

static void close_a_watched_socket(void)
{
    meet();
    net_close(near, client.watch.fd);
}

static struct neo_timer stray = {.expired = note_instant};

static void arm_on_far(struct neo_job *job)
{
    (void)job;
    neo_loop_arm(far, &stray, 0);
}

static void touch_another_loop(void)
{
    struct neo_job job = {.run = arm_on_far};

    neo_loop_post(near, &job);
    sim_run_for(SEC);
}

static void touch_a_loop_from_the_pool(void)
{
    struct neo_task task = {.work = arm_on_far, .done = arm_on_far};

    neo_loop_offload(far, &task);
    sim_run_for(SEC);
}

static void leave_a_timer_armed(void)
{
    neo_loop_arm(near, &stray, 0);
    neo_loop_free(near);
}

static void leave_a_socket_open(void)
{
    int fd;

    assert_int_equal(net_listen(near, "127.0.0.1:0", NET_ALONE, &fd, NULL), NEO_OK);
    neo_loop_free(near);
    neo_loop_free(far);
    sim_free();
}

static void use_a_closed_socket(void)
{
    size_t len;
    int fd;

    assert_int_equal(net_listen(near, "127.0.0.1:0", NET_ALONE, &fd, NULL), NEO_OK);
    net_close(near, fd);
    (void)!net_write(near, fd, NEO_LIT("x"), &len, NULL);
}

/* Everything that is said, of which the end is kept. */
static void read_tail(int fd, char said[], size_t size)
{
    size_t used = 0;

    for (;;) {
        ssize_t n = read(fd, said + used, size - 1 - used);
        if (n <= 0)
            return;
        used += (size_t)n;
        said[used] = '\0';
        if (used == size - 1) {
            used = size / 2;
            memmove(said, said + size - 1 - used, used);
        }
    }
}

static void assert_aborts(void (*offend)(void), const char *because)
{
    char said[2048] = "";
    int pipe_ends[2];
    int status = 0;

    (void)fflush(NULL);
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(pipe_ends[1], STDERR_FILENO);
        (void)close(pipe_ends[0]);
        (void)close(pipe_ends[1]);
        offend();
        _exit(0);
    }
    (void)close(pipe_ends[1]);
    read_tail(pipe_ends[0], said, sizeof(said));
    (void)close(pipe_ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(said, because) == NULL)
        fail_msg("expected \"%s\", got status %d and: %s", because, status, said);
}

TEST(what_would_hang_spin_leak_or_race_ends_with_a_sentence)
{
    assert_aborts(wait_for_nothing, "nothing will ever happen again");
    assert_aborts(do_nothing_about_a_ready_socket, "its owner does nothing");
    assert_aborts(close_a_watched_socket, "is closed while it is watched");
    assert_aborts(touch_another_loop, "on a thread that is not its own");
    assert_aborts(touch_a_loop_from_the_pool, "on a thread that is not its own");
    assert_aborts(leave_a_timer_armed, "a timer still armed");
    assert_aborts(leave_a_socket_open, "sockets were not closed");
    assert_aborts(use_a_closed_socket, "is not an open socket");
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(time_passes_only_when_something_happens_and_then_to_the_nanosecond),
        test(a_month_of_heartbeats_is_a_moment),
        test(a_jump_of_the_wall_clock_moves_no_timer),
        test(waiting_ends_when_it_holds_or_when_it_has_been_long_enough),
        test(what_is_sent_into_a_partition_arrives_after_it),
        test(whoever_sends_into_a_long_partition_is_told_after_five_seconds_and_the_other_is_not),
        test(a_connection_that_says_nothing_outlives_a_partition),
        test(a_cut_in_one_direction_lets_the_other_pass),
        test(a_group_may_be_one_port),
        test(a_connect_into_a_partition_is_tried_again),
        test(a_connect_into_a_partition_fails_in_the_end),
        test(a_machine_that_does_not_exist_cannot_be_reached),
        test(each_machine_has_its_own_loopback),
        test(a_machine_listens_on_its_own_addresses_only),
        test(a_slow_link_is_slow_in_its_direction),
        test(a_reset_reaches_both_ends_of_what_it_concerns),
        test(refusals_may_come_by_chance),
        test(a_loop_that_hangs_makes_no_turn_and_loses_nothing),
        test(on_a_bad_network_no_byte_is_lost_doubled_or_exchanged),
        test(the_same_seed_gives_the_same_run_and_another_seed_another),
        test(names_are_what_the_test_says_they_are),
        test(of_many_addresses_sixty_four_are_told),
        test(what_would_hang_spin_leak_or_race_ends_with_a_sentence),
    };
    return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
