/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A month, a partition and a jumping clock, in virtual time: the real server, the
 * real channel, real TLS, on the simulated twin of the event loop.
 */
#include "../unit/unit.h"

#include "support/echo.h"
#include "support/sim.h"

#include <neo/memory.h>

#include <stdio.h>

#define SEC  NEO_NSEC_PER_SEC
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)

struct scene {
    struct echo_world world;
    struct neo_server *server;
    struct neo_channel *channel;
    unsigned calls, ok;
    enum neo_code last;
    unsigned pending;
};

static int64_t wall(void)
{
    return neo_wall_nsec() / (int64_t)SEC;
}

/* A certificate of 24 hours from now. */
static struct neo_identity *fresh(struct scene *s, const char *service)
{
    return pki_identity(s->world.pki, service,
                        &(struct pki_options){.not_before = wall() - 60,
                                              .not_after = wall() + 24 * 3600});
}

static void rotate(struct scene *s)
{
    struct neo_epoch server = {.identity = fresh(s, "echo-service")};
    struct neo_epoch caller = {.identity = fresh(s, "caller-service")};

    neo_server_update(s->server, &server);
    neo_channel_update(s->channel, &caller);
    neo_identity_unref(server.identity);
    neo_identity_unref(caller.identity);
}

static void setup(struct scene *s)
{
    struct neo_server_options server_options = {0};
    struct neo_channel_options channel_options;
    struct neo_error err;
    char target[200];

    *s = (struct scene){.calls = 0};
    sim_new(11);
    sim_host("10.0.0.1");
    echo_world_init(&s->world);
    server_options.epoch.identity = fresh(s, "echo-service");
    s->server = echo_server_at(&s->world, &server_options, "10.0.0.1:7000");
    neo_identity_unref(server_options.epoch.identity);
    echo_target(target, sizeof(target), &s->server, 1);

    sim_host("10.0.0.2");
    struct neo_runtime *client;
    assert_int_equal(neo_runtime_new(1, &client, &err), NEO_OK);
    s->world.client = client;
    struct neo_identity *identity = fresh(s, "caller-service");
    channel_options = (struct neo_channel_options){
        .loop = neo_runtime_loop(client, 0),
        .epoch = {.identity = identity, .trust = s->world.epoch.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
    };
    assert_int_equal(neo_channel_open(target, &channel_options, &s->channel, &err), NEO_OK);
    neo_identity_unref(identity);
}

static void teardown(struct scene *s)
{
    neo_channel_free(s->channel);
    neo_server_free(s->server);
    neo_runtime_free(s->world.client);
    echo_world_fini(&s->world);
    sim_free();
}

static void heard(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

static void over(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct scene *s = self;

    (void)call;
    s->last = status->code;
    s->ok += status->code == NEO_OK;
    s->pending--;
}

static void start_call(struct scene *s, neo_nsec timeout)
{
    static const struct neo_client_events events = {.message = heard, .done = over};
    struct neo_call_options options = {.timeout = timeout, .wait_for_ready = true};
    struct neo_test_v1_Words request = {.count = 1};
    struct neo_client_call *call;
    struct neo_error err;

    s->calls++;
    s->pending++;
    assert_int_equal(neo_test_v1_Speech_Say_start(s->channel, &options, &request, &events, s, &call,
                                                  &err),
                     NEO_OK);
}

static bool is_over(void *self)
{
    return ((struct scene *)self)->pending == 0;
}

/* One call to its end; its code. */
static enum neo_code call(struct scene *s, neo_nsec timeout)
{
    start_call(s, timeout);
    assert_true(sim_wait(is_over, s, timeout + 5 * SEC));
    return s->last;
}

TEST(thirty_days_of_rotation_cost_not_one_call)
{
    struct scene s;
    unsigned rotations = 0;

    setup(&s);
    for (unsigned minute = 0; minute < 30 * 24 * 60; minute += 10) {
        if (minute % 600 == 0) { /* ten hours: 40 % of the life */
            rotate(&s);
            rotations++;
        }
        assert_int_equal(call(&s, 5 * SEC), NEO_OK);
        sim_run_for(10 * MIN);
    }
    assert_int_equal(rotations, 72);
    assert_int_equal(s.calls, 4320);
    assert_int_equal(s.ok, 4320);
    teardown(&s);
}

TEST(without_rotation_an_expired_certificate_ends_it)
{
    struct scene s;

    setup(&s);
    assert_int_equal(call(&s, 5 * SEC), NEO_OK);
    sim_run_for(25 * HOUR);
    assert_int_not_equal(call(&s, 5 * SEC), NEO_OK);
    rotate(&s);
    assert_int_equal(call(&s, 150 * SEC), NEO_OK); /* after its backoff */
    teardown(&s);
}

TEST(in_a_partition_calls_end_at_their_deadline_and_afterwards_go_on)
{
    struct scene s;

    setup(&s);
    assert_int_equal(call(&s, 5 * SEC), NEO_OK);
    sim_group("server", "10.0.0.1");
    sim_group("client", "10.0.0.2");
    sim_partition("server", "client");
    for (int i = 0; i < 20; i++) {
        neo_nsec before = neo_mono_nsec();
        assert_int_not_equal(call(&s, 2 * SEC), NEO_OK);
        assert_true(neo_mono_nsec() - before <= 2 * SEC + SEC / 10);
    }
    sim_heal(NULL, NULL);
    assert_int_equal(call(&s, 150 * SEC), NEO_OK);
    assert_int_equal(call(&s, 5 * SEC), NEO_OK);
    teardown(&s);
}

TEST(a_clock_that_jumps_an_hour_either_way_changes_nothing)
{
    struct scene s;

    setup(&s);
    rotate(&s);
    sim_run_for(2 * HOUR);
    for (int i = 0; i < 10; i++) {
        sim_clock_jump(i % 2 == 0 ? (int64_t)HOUR : -(int64_t)HOUR);
        assert_int_equal(call(&s, 5 * SEC), NEO_OK);
        sim_run_for(5 * MIN);
    }
    teardown(&s);
}

TEST(a_clock_that_jumps_past_a_certificate_refuses_it_and_forgives_a_new_one)
{
    struct scene s;

    setup(&s);
    assert_int_equal(call(&s, 5 * SEC), NEO_OK);
    sim_group("server", "10.0.0.1");
    sim_group("client", "10.0.0.2");
    sim_clock_jump((int64_t)(25 * HOUR));
    sim_reset("server", "client");
    assert_int_not_equal(call(&s, 3 * SEC), NEO_OK);
    rotate(&s);
    assert_int_equal(call(&s, 150 * SEC), NEO_OK);
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thirty_days_of_rotation_cost_not_one_call),
        cmocka_unit_test(without_rotation_an_expired_certificate_ends_it),
        cmocka_unit_test(in_a_partition_calls_end_at_their_deadline_and_afterwards_go_on),
        cmocka_unit_test(a_clock_that_jumps_an_hour_either_way_changes_nothing),
        cmocka_unit_test(a_clock_that_jumps_past_a_certificate_refuses_it_and_forgives_a_new_one),
    };
    return cmocka_run_group_tests_name("scenario/mesh_life", tests, NULL, NULL);
}
