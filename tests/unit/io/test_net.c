/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of io/net.h; built against the kernel and against the twin. */
#include "end.h"

static char unix_address[64];
static char abstract_address[64];
static struct end client, server;
static struct door door;

static int begin(void **state)
{
    client = server = (struct end){0};
    door = (struct door){.ends = &server, .n_ends = 1};
    (void)snprintf(abstract_address, sizeof(abstract_address), "unix-abstract:neo-test-%d",
                   getpid());
    (void)snprintf(unix_address, sizeof(unix_address), "unix:/tmp/neo-test-%d.sock", getpid());
    return begin_test(state);
}

/* Turns until the client or the server says that it is enough. */
static void stop_when_both_ended(struct end *end)
{
    (void)end;
    if (client.ended && server.ended)
        neo_loop_stop(loop);
}

static void stop_when_broken(struct end *end)
{
    if (end->broken)
        neo_loop_stop(loop);
}

static void stop_when_ended(struct end *end)
{
    if (end->ended)
        neo_loop_stop(loop);
}

static void stop_when_told(struct end *end)
{
    if (end->in.len > 0)
        neo_loop_stop(loop);
}

static void stop_when_connected(struct end *end)
{
    if (!end->is_connecting)
        neo_loop_stop(loop);
}

static void stop_when_entered(struct door *at)
{
    if (at->n == at->n_ends)
        neo_loop_stop(loop);
}

/* A client and a server with a connection between them, and nothing said yet. */
static void meet(const char *address)
{
    door.entered = stop_when_entered;
    door_open(&door, loop, address, NET_ALONE);
    end_connect(&client, loop, door.address.text);
    run();
    client.changed = stop_when_connected;
    while (client.is_connecting)
        run();
    client.changed = NULL;
    door_close(&door);
    assert_false(client.broken);
}

static void part(void)
{
    end_close(&client);
    end_close(&server);
}

static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0", unix_address};

TEST(both_ends_hear_each_other_and_the_end)
{
    for (size_t i = 0; i < NEO_COUNT(addresses); i++) {
        meet(addresses[i]);
        client.changed = server.changed = stop_when_both_ended;
        client.says_bye = server.says_bye = true;
        end_send(&client, NEO_LIT("hello"));
        end_send(&server, NEO_LIT("good day"));
        run();
        assert_true(neo_bytes_is(neo_buffer_bytes(&server.in), "hello"));
        assert_true(neo_bytes_is(neo_buffer_bytes(&client.in), "good day"));
        part();
        door = (struct door){.ends = &server, .n_ends = 1};
    }
}

static void answer_after_the_end(struct end *end)
{
    if (end->ended && end->in.len == 4) {
        end->in.len = 0;
        end_send(end, NEO_LIT("answer"));
    }
}

TEST(whoever_has_said_the_end_can_still_hear)
{
    meet("127.0.0.1:0");
    client.says_bye = true;
    server.changed = answer_after_the_end;
    client.changed = stop_when_told;
    end_send(&client, NEO_LIT("call"));
    run();
    assert_true(neo_bytes_is(neo_buffer_bytes(&client.in), "answer"));
    assert_false(client.ended);
    part();
}

enum { LARGE = 16 * 1024 * 1024 };

static void hear_again(struct neo_timer *timer)
{
    (void)timer;
    assert_true(client.was_full);
    assert_true(client.out.len > 0);
    server.is_deaf = false;
    end_adjust(&server);
}

TEST(a_reader_that_does_not_read_stops_the_writer_and_no_byte_is_lost)
{
    struct neo_timer later = {.expired = hear_again};
    uint8_t *bytes = neo_alloc(LARGE);
    uint64_t seed = 5;

    for (size_t i = 0; i < LARGE; i += 8) {
        uint64_t r = unit_random(&seed, UINT64_MAX);
        memcpy(bytes + i, &r, 8);
    }
    for (size_t i = 0; i < NEO_COUNT(addresses); i++) {
        meet(addresses[i]);
        client.says_bye = server.is_deaf = true;
        end_adjust(&server);
        server.changed = stop_when_ended;
        end_send(&client, neo_bytes(bytes, LARGE));
        neo_loop_arm(loop, &later, neo_loop_now(loop) + 50 * MSEC);
        run();
        assert_int_equal(server.in.len, LARGE);
        assert_memory_equal(server.in.at, bytes, LARGE);
        part();
        door = (struct door){.ends = &server, .n_ends = 1};
    }
    neo_free(bytes);
}

TEST(a_connection_that_nobody_takes_is_refused)
{
    door_open(&door, loop, "127.0.0.1:0", NET_ALONE);
    door_close(&door);
    client.changed = stop_when_broken;
    end_connect(&client, loop, door.address.text);
    if (!client.broken)
        run();
    assert_int_equal(client.err.code, NEO_UNAVAILABLE);
    assert_non_null(strstr(client.err.message, "refused"));
    end_close(&client);
}

TEST(a_path_where_nobody_listens_is_refused_at_once)
{
    end_connect(&client, loop, "unix:/tmp/neo-nobody-listens-here.sock");
    assert_true(client.broken);
    assert_int_equal(client.err.code, NEO_UNAVAILABLE);
}

TEST(an_address_that_is_none_is_refused_at_once)
{
    int fd = 4711;

    assert_int_equal(net_connect(loop, "localhost:80", &fd, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(net_connect(loop, "127.0.0.1:0", &fd, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(net_listen(loop, "here", NET_ALONE, &fd, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(net_listen(loop, "192.0.2.1:0", NET_ALONE, &fd, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(fd, 4711);
}

TEST(bytes_left_unread_at_a_close_are_told_as_a_reset)
{
    static const char *const tell[] = {"127.0.0.1:0", unix_address};

    for (size_t i = 0; i < NEO_COUNT(tell); i++) {
        meet(tell[i]);
        server.is_deaf = true;
        end_adjust(&server);
        end_send(&client, NEO_LIT("never read"));
        run_for(5 * MSEC);
        end_close(&server);
        client.changed = stop_when_broken;
        end_adjust(&client);
        run();
        assert_int_equal(client.err.code, NEO_UNAVAILABLE);
        assert_non_null(strstr(client.err.message, "reset"));
        part();
        door = (struct door){.ends = &server, .n_ends = 1};
    }
}

TEST(writing_to_a_peer_that_has_gone_fails_and_raises_nothing)
{
    static const char *const tell[] = {"127.0.0.1:0", unix_address};

    for (size_t i = 0; i < NEO_COUNT(tell); i++) {
        struct neo_error err = {0};
        size_t len;
        meet(tell[i]);
        end_close(&server);
        net_unwatch(loop, &client.watch);
        enum net_result result = NET_OK;
        for (int tries = 0; result != NET_ERROR && tries < 10; tries++) {
            run_for(2 * MSEC);
            result = net_write(loop, client.watch.fd, NEO_LIT("hello?"), &len, &err);
        }
        assert_int_equal(result, NET_ERROR);
        assert_int_equal(err.code, NEO_UNAVAILABLE);
        part();
        door = (struct door){.ends = &server, .n_ends = 1};
    }
}

TEST(nothing_to_read_is_no_failure)
{
    uint8_t byte;
    size_t len = 4711;

    meet("127.0.0.1:0");
    assert_int_equal(net_read(loop, client.watch.fd, &byte, 1, &len, NULL), NET_AGAIN);
    assert_int_equal(len, 4711);
    part();
}

/* An owner that is freed in its own callback, with another that was ready in the same turn. */
struct owner {
    struct net_watch watch;
    struct owner **other;
    struct owner **self;
};

static unsigned calls;

static void free_both(struct net_watch *watch, unsigned events)
{
    struct owner *owner = neo_owner(watch, struct owner, watch);
    struct owner *other = *owner->other;

    (void)events;
    calls++;
    net_unwatch(loop, &other->watch);
    net_unwatch(loop, &owner->watch);
    *owner->other = *owner->self = NULL;
    neo_free(other);
    neo_free(owner);
    neo_loop_stop(loop);
}

TEST(unwatching_is_immediate_and_owners_may_be_freed_at_once)
{
    struct owner *owners[2];

    for (int round = 0; round < 3; round++) {
        calls = 0;
        meet("127.0.0.1:0");
        net_unwatch(loop, &client.watch);
        net_unwatch(loop, &server.watch);
        for (int i = 0; i < 2; i++) {
            owners[i] = neo_alloc(sizeof(*owners[i]));
            *owners[i] = (struct owner){
                .watch = {.ready = free_both, .fd = i == 0 ? client.watch.fd : server.watch.fd},
                .other = &owners[1 - i],
                .self = &owners[i]};
            assert_int_equal(net_watch(loop, &owners[i]->watch, NET_WRITE, NULL), NEO_OK);
        }
        run();
        run_for(2 * MSEC);
        assert_int_equal(calls, 1);
        part();
        door = (struct door){.ends = &server, .n_ends = 1};
    }
}

static unsigned seen;

static void see_and_stop(struct net_watch *watch, unsigned events)
{
    (void)watch;
    calls++;
    seen |= events;
    if (calls == 3)
        neo_loop_stop(loop);
}

TEST(what_still_holds_is_reported_again_and_only_what_is_wanted)
{
    struct net_watch watch = {.ready = see_and_stop};

    meet("127.0.0.1:0");
    end_send(&server, NEO_LIT("x"));
    run_for(2 * MSEC);
    net_unwatch(loop, &client.watch);
    watch.fd = client.watch.fd;

    calls = seen = 0;
    assert_int_equal(net_watch(loop, &watch, NET_WRITE, NULL), NEO_OK);
    run();
    assert_int_equal(seen, NET_WRITE);
    calls = seen = 0;
    assert_int_equal(net_watch(loop, &watch, NET_READ, NULL), NEO_OK);
    run_for(5 * MSEC); /* the byte was read by the end itself: nothing is there */
    assert_int_equal(calls, 0);
    assert_int_equal(net_watch(loop, &watch, 0, NULL), NEO_OK);
    run_for(2 * MSEC);
    assert_int_equal(calls, 0);
    part();
}

TEST(a_socket_has_one_watch)
{
    struct net_watch second = {.ready = see_and_stop};

    meet("127.0.0.1:0");
    second.fd = client.watch.fd;
    assert_int_equal(net_watch(loop, &second, NET_READ, NULL), NEO_ALREADY_EXISTS);
    assert_null(second.slot);
    net_unwatch(loop, &second); /* not watched: nothing happens */
    part();
}

TEST(a_descriptor_used_again_brings_no_news_of_the_old_socket)
{
    for (int round = 0; round < 20; round++) {
        meet("127.0.0.1:0");
        client.says_bye = true;
        end_send(&client, NEO_LIT("old"));
        server.changed = stop_when_told;
        run();
        assert_int_equal(server.in.len, 3);
        part();
        door = (struct door){.ends = &server, .n_ends = 1};
    }
}

TEST(both_ends_know_both_addresses)
{
    struct net_address local, peer;

    for (size_t i = 0; i < 2; i++) {
        meet(addresses[i]);
        assert_int_equal(net_peer_address(loop, client.watch.fd, &peer, NULL), NEO_OK);
        assert_string_equal(peer.text, door.address.text);
        assert_int_equal(net_local_address(loop, server.watch.fd, &local, NULL), NEO_OK);
        assert_string_equal(local.text, door.address.text);
        assert_int_equal(net_local_address(loop, client.watch.fd, &local, NULL), NEO_OK);
        assert_int_equal(net_peer_address(loop, server.watch.fd, &peer, NULL), NEO_OK);
        assert_string_equal(local.text, peer.text);
        assert_string_not_equal(local.text, door.address.text);
        part();
        door = (struct door){.ends = &server, .n_ends = 1};
    }
    meet(unix_address);
    assert_int_equal(net_peer_address(loop, client.watch.fd, &peer, NULL), NEO_OK);
    assert_string_equal(peer.text, unix_address);
    assert_int_equal(net_peer_address(loop, server.watch.fd, &peer, NULL), NEO_OK);
    assert_string_equal(peer.text, "unix:");
    part();
    door = (struct door){.ends = &server, .n_ends = 1};
    meet(abstract_address);
    assert_int_equal(net_peer_address(loop, client.watch.fd, &peer, NULL), NEO_OK);
    assert_string_equal(peer.text, abstract_address);
    part();
}

TEST(an_address_has_one_listener_unless_all_share_it)
{
    struct neo_error err = {0};
    struct net_address address;
    int first, second;

    assert_int_equal(net_listen(loop, "127.0.0.1:0", NET_ALONE, &first, NULL), NEO_OK);
    assert_int_equal(net_local_address(loop, first, &address, NULL), NEO_OK);
    assert_int_equal(net_listen(loop, address.text, NET_ALONE, &second, &err), NEO_ALREADY_EXISTS);
    assert_non_null(strstr(err.message, address.text));
    assert_int_equal(net_listen(loop, address.text, NET_JOIN, &second, NULL), NEO_ALREADY_EXISTS);
    net_close(loop, first);

    assert_int_equal(net_listen(loop, unix_address, NET_ALONE, &first, NULL), NEO_OK);
    assert_int_equal(net_listen(loop, unix_address, NET_ALONE, &second, NULL), NEO_ALREADY_EXISTS);
    assert_int_equal(net_listen(loop, unix_address, NET_JOIN, &second, NULL), NEO_ALREADY_EXISTS);
    net_close(loop, first);
    assert_int_equal(net_listen(loop, unix_address, NET_ALONE, &first, NULL), NEO_OK);
    net_close(loop, first);

    assert_int_equal(net_listen(loop, abstract_address, NET_ALONE, &first, NULL), NEO_OK);
    assert_int_equal(net_listen(loop, abstract_address, NET_ALONE, &second, NULL),
                     NEO_ALREADY_EXISTS);
    net_close(loop, first);
    assert_int_equal(net_listen(loop, abstract_address, NET_ALONE, &first, NULL), NEO_OK);
    net_close(loop, first);
}

/* To the kernel a second process of the same user is like a second listener of this one. */
TEST(an_address_that_workers_share_is_shared_with_nobody_else)
{
    const char *const wanted[] = {"127.0.0.1:0", unix_address};

    for (size_t i = 0; i < NEO_COUNT(wanted); i++) {
        struct net_address address;
        int first, worker, other;

        assert_int_equal(net_listen(loop, wanted[i], NET_FIRST, &first, NULL), NEO_OK);
        assert_int_equal(net_local_address(loop, first, &address, NULL), NEO_OK);
        assert_int_equal(net_listen(loop, address.text, NET_FIRST, &other, NULL),
                         NEO_ALREADY_EXISTS);
        assert_int_equal(net_listen(loop, address.text, NET_JOIN, &worker, NULL), NEO_OK);
        assert_int_equal(net_listen(loop, address.text, NET_FIRST, &other, NULL),
                         NEO_ALREADY_EXISTS);
        assert_int_equal(net_listen(loop, address.text, NET_ALONE, &other, NULL),
                         NEO_ALREADY_EXISTS);
        net_close(loop, first);
        assert_int_equal(net_listen(loop, address.text, NET_FIRST, &other, NULL),
                         NEO_ALREADY_EXISTS);
        net_close(loop, worker);
        assert_int_equal(net_listen(loop, address.text, NET_FIRST, &other, NULL), NEO_OK);
        net_close(loop, other);
    }
}

enum { CLIENTS = 40 };

static size_t entered;

static void count_entered(struct door *at)
{
    (void)at;
    entered++;
}

TEST(listeners_that_share_an_address_serve_every_connection_between_them)
{
    static struct end clients[CLIENTS], left[CLIENTS], right[CLIENTS];
    const char *const shared[] = {"127.0.0.1:0", unix_address};

    for (size_t i = 0; i < NEO_COUNT(shared); i++) {
        struct door a = {.ends = left, .n_ends = CLIENTS, .entered = count_entered};
        struct door b = {.ends = right, .n_ends = CLIENTS, .entered = count_entered};
        door_open(&a, loop, shared[i], NET_FIRST);
        door_open(&b, loop, a.address.text, NET_JOIN);
        assert_string_equal(a.address.text, b.address.text);
        for (int c = 0; c < CLIENTS; c++)
            end_connect(&clients[c], loop, a.address.text);
        run_for(50 * MSEC);
        assert_int_equal(a.n + b.n, CLIENTS);
        if (i == 0) /* a path has one queue, and the first to come takes all */
            assert_true(a.n > 0 && b.n > 0);
        door_close(&a);
        door_close(&b);
        for (int c = 0; c < CLIENTS; c++) {
            assert_false(clients[c].broken);
            end_close(&clients[c]);
            end_close(&left[c]);
            end_close(&right[c]);
        }
    }
}

TEST(running_out_of_descriptors_neither_spins_nor_loses_a_connection)
{
    door_open(&door, loop, "127.0.0.1:0", NET_ALONE);
    end_connect(&client, loop, door.address.text);
    forbid_descriptors();
    run_for(250 * MSEC);
    assert_int_equal(door.n, 0);
    assert_in_range(door.calls, 1, 4);
    assert_int_equal(net_accept_pauses(loop), door.calls);

    allow_descriptors();
    door.entered = stop_when_entered;
    neo_nsec before = neo_loop_now(loop);
    run();
    assert_true(neo_loop_now(loop) - before < SEC);
    assert_int_equal(door.n, 1);
    door_close(&door);
    part();
}

TEST(a_paused_listener_may_be_closed)
{
    door_open(&door, loop, "127.0.0.1:0", NET_ALONE);
    end_connect(&client, loop, door.address.text);
    forbid_descriptors();
    run_for(20 * MSEC);
    assert_int_equal(net_accept_pauses(loop), 1);
    door_close(&door);
    allow_descriptors();
    end_close(&client);
}

TEST(without_descriptors_connecting_and_listening_say_so)
{
    int fd = 4711;

    forbid_descriptors();
    assert_int_equal(net_connect(loop, "127.0.0.1:1", &fd, NULL), NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(net_listen(loop, "127.0.0.1:0", NET_ALONE, &fd, NULL), NEO_RESOURCE_EXHAUSTED);
    allow_descriptors();
    assert_int_equal(fd, 4711);
}

TEST(a_closed_listener_turns_away_whoever_waits)
{
    int listener;
    struct net_address address;

    assert_int_equal(net_listen(loop, "127.0.0.1:0", NET_ALONE, &listener, NULL), NEO_OK);
    assert_int_equal(net_local_address(loop, listener, &address, NULL), NEO_OK);
    end_connect(&client, loop, address.text);
    run_for(5 * MSEC);
    assert_false(client.broken);
    client.changed = stop_when_broken;
    net_close(loop, listener);
    run();
    assert_true(client.broken);
    end_close(&client);
}

TEST(a_reader_that_sleeps_for_more_than_five_seconds_loses_its_connection)
{
    uint8_t *bytes = neo_alloc(LARGE);

    meet("127.0.0.1:0");
    server.is_deaf = true;
    end_adjust(&server);
    client.changed = stop_when_broken;
    neo_nsec before = neo_loop_now(loop);
    end_send(&client, neo_bytes(bytes, LARGE));
    run();
    assert_true(client.was_full);
    assert_in_range(neo_loop_now(loop) - before, 4900 * MSEC, 7 * SEC);
    assert_int_equal(client.err.code, NEO_UNAVAILABLE);
    assert_non_null(strstr(client.err.message, "timed out"));
    part();
    neo_free(bytes);
}

/* Names. */

struct answer {
    enum neo_code code;
    size_t n;
    struct net_address first;
};

static unsigned answers;

static void on_answer(void *self, enum neo_code code, const struct net_address *found, size_t n)
{
    struct answer *answer = self;

    answer->code = code;
    answer->n = n;
    if (n > 0)
        answer->first = found[0];
    for (size_t i = 0; i < n; i++)
        if (strcmp(found[i].text, "127.0.0.1:8441") == 0)
            answer->first = found[i];
    answers++;
    neo_loop_stop(loop);
}

TEST(a_name_becomes_addresses_with_the_port)
{
    struct answer answer = {0};
    struct net_lookup *lookup;

    assert_int_equal(net_resolve(loop, "localhost", 8441, on_answer, &answer, &lookup, NULL),
                     NEO_OK);
    run();
    assert_int_equal(answer.code, NEO_OK);
    assert_in_range(answer.n, 1, 64);
    assert_string_equal(answer.first.text, "127.0.0.1:8441");
}

TEST(a_numeric_host_stands_for_itself)
{
    struct answer answer = {0};
    struct net_lookup *lookup;

    assert_int_equal(net_resolve(loop, "::1", 1, on_answer, &answer, &lookup, NULL), NEO_OK);
    run();
    assert_int_equal(answer.n, 1);
    assert_string_equal(answer.first.text, "[::1]:1");
}

TEST(a_cancelled_lookup_says_nothing_more)
{
    struct answer answer = {0};
    struct net_lookup *lookup;

    answers = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(net_resolve(loop, "localhost", 1, on_answer, &answer, &lookup, NULL),
                         NEO_OK);
        if (i % 2 == 0)
            run_for(200000);
        if (answers == 0)
            net_lookup_cancel(lookup);
        answers = 0;
    }
    run_for(20 * MSEC);
    assert_int_equal(answers, 0);
}

TEST(what_is_no_name_is_not_looked_up)
{
    struct net_lookup *lookup = NULL;

    assert_int_equal(net_resolve(loop, "127.1", 1, on_answer, NULL, &lookup, NULL),
                     NEO_INVALID_ARGUMENT);
    assert_null(lookup);
}

TEST(a_loop_that_is_freed_waits_for_its_lookups)
{
    struct neo_loop *kept = loop;
    struct net_lookup *lookup;

    assert_int_equal(neo_loop_new(&loop, NULL), NEO_OK);
    assert_int_equal(net_resolve(loop, "localhost", 1, on_answer, NULL, &lookup, NULL), NEO_OK);
    net_lookup_cancel(lookup);
    neo_loop_free(loop);
    loop = kept;
}

TEST(running_out_of_memory_is_reported_and_leaves_nothing)
{
    struct net_watch watch = {.ready = see_and_stop};
    struct net_lookup *lookup;
    int fd;

    meet("127.0.0.1:0");
    net_unwatch(loop, &client.watch);
    /* A slot that was used before would be used again: take those first. */
    run_for(MSEC);
    watch.fd = client.watch.fd;
    neo_memory_fail_at(1);
    assert_int_equal(net_resolve(loop, "localhost", 1, on_answer, NULL, &lookup, NULL),
                     NEO_RESOURCE_EXHAUSTED);
#ifndef NEO_SIM /* the twin's listeners belong to its kernel */
    assert_int_equal(net_listen(loop, unix_address, NET_ALONE, &fd, NULL), NEO_RESOURCE_EXHAUSTED);
#endif
    enum neo_code code = NEO_OK;
    struct net_watch more[8];
    for (size_t i = 0; i < NEO_COUNT(more) && code == NEO_OK; i++) {
        more[i] = watch;
        code = net_watch(loop, &more[i], NET_READ, NULL);
        if (code == NEO_OK)
            net_unwatch(loop, &more[i]); /* its slot is free only after the next turn */
    }
    neo_memory_fail_at(0);
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    (void)fd;
    part();
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(both_ends_hear_each_other_and_the_end),
        test(whoever_has_said_the_end_can_still_hear),
        test(a_reader_that_does_not_read_stops_the_writer_and_no_byte_is_lost),
        test(a_connection_that_nobody_takes_is_refused),
        test(a_path_where_nobody_listens_is_refused_at_once),
        test(an_address_that_is_none_is_refused_at_once),
        test(bytes_left_unread_at_a_close_are_told_as_a_reset),
        test(writing_to_a_peer_that_has_gone_fails_and_raises_nothing),
        test(nothing_to_read_is_no_failure),
        test(unwatching_is_immediate_and_owners_may_be_freed_at_once),
        test(what_still_holds_is_reported_again_and_only_what_is_wanted),
        test(a_socket_has_one_watch),
        test(a_descriptor_used_again_brings_no_news_of_the_old_socket),
        test(both_ends_know_both_addresses),
        test(an_address_has_one_listener_unless_all_share_it),
        test(an_address_that_workers_share_is_shared_with_nobody_else),
        test(listeners_that_share_an_address_serve_every_connection_between_them),
        test(running_out_of_descriptors_neither_spins_nor_loses_a_connection),
        test(a_paused_listener_may_be_closed),
        test(without_descriptors_connecting_and_listening_say_so),
        test(a_closed_listener_turns_away_whoever_waits),
        test(a_reader_that_sleeps_for_more_than_five_seconds_loses_its_connection),
        test(a_name_becomes_addresses_with_the_port),
        test(a_numeric_host_stands_for_itself),
        test(a_cancelled_lookup_says_nothing_more),
        test(what_is_no_name_is_not_looked_up),
        test(a_loop_that_is_freed_waits_for_its_lookups),
        test(running_out_of_memory_is_reported_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("io/net", tests, NULL, NULL);
}
