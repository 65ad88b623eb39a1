/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services that have moved since a caller last heard of them, in simulated time: what is
 * remembered serves while the registry is away, and fails nobody while it is about to answer.
 */
#include "unit/scratch.h"

#include "support/plane.h"
#include "support/sim.h"

#include <neo/memory.h>
#include <neo/store.h>

#include <neo/test/v1/words.neo.h>

#include <stdio.h>

#define SEC NEO_NSEC_PER_SEC

#define CALLER  "10.0.0.3"
#define SERVICE "10.0.0.4"

static const char policy[] = "service: \"a-service\"\n"
                             "allowed_calls:\n"
                             "  - {target_service: \"b-service\", operations: [\"*\"]}\n";

static struct plane plane;

static int begin(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    sim_new(5);
    sim_group("caller", CALLER);
    sim_group("registry", PLANE_REGISTRY);
    plane_start(&plane, scratch_folder, 24 * 3600);
    plane_start_registry(&plane, policy);
    return 0;
}

static int end(void **state)
{
    plane_stop(&plane);
    sim_free();
    return scratch_teardown(state);
}

/* --- b-service -------------------------------------------------------------------------------- */

static void say(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    (void)self;
    neo_test_v1_Speech_Say_reply(call, request);
}

static bool is_registered(void *self)
{
    return ((struct neo_mesh *)self)->lease.lease[0] != '\0';
}

static struct neo_mesh *serve_at(const char *address)
{
    static const struct neo_test_v1_Speech_handlers handlers = {.Say = say};
    char identity[160];
    struct neo_mesh *mesh;
    struct neo_error err;

    (void)snprintf(identity, sizeof(identity), "%s/b-service/identity.pem", scratch_folder);
    if (access(identity, F_OK) != 0)
        mesh = plane_service(&plane, SERVICE, "b-service");
    else if (plane_join(&plane, SERVICE, "b-service", NULL, &mesh, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_free(mesh->listen);
    mesh->listen = neo_string_dup(address);
    if (neo_mesh_serve(mesh, &neo_test_v1_Speech_info, &handlers, NULL, &err) != NEO_OK ||
        neo_mesh_listen(mesh, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return mesh;
}

/* On a port that the kernel picks: another one each time. */
static struct neo_mesh *serve(void)
{
    return serve_at(SERVICE ":0");
}

static struct neo_mesh *serve_registered(void)
{
    struct neo_mesh *mesh = serve();

    assert_true(sim_wait(is_registered, mesh, 5 * SEC));
    return mesh;
}

static void leave(void *self)
{
    lease_stop(self);
}

/* As told to: the registry hears of it. */
static void stop(struct neo_mesh *mesh)
{
    neo_runtime_call(mesh->control, 0, leave, mesh);
    sim_run_for(SEC / 2);
    neo_mesh_free(mesh);
}

/* --- a-service -------------------------------------------------------------------------------- */

struct caller {
    struct neo_mesh *mesh;
    struct neo_channel *channel;
    bool over;
    enum neo_code code;
    char reason[40];
    neo_nsec from, took;
};

static void caller_start(struct caller *c)
{
    char identity[160];
    struct neo_error err;

    *c = (struct caller){.code = NEO_OK};
    (void)snprintf(identity, sizeof(identity), "%s/a-service/identity.pem", scratch_folder);
    if (access(identity, F_OK) != 0)
        c->mesh = plane_service(&plane, CALLER, "a-service");
    else if (plane_join(&plane, CALLER, "a-service", NULL, &c->mesh, &err) != NEO_OK)
        fail_msg("%s", err.message);
    if (neo_mesh_channel(c->mesh, "b-service", 0, &c->channel, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static void caller_end(struct caller *c)
{
    neo_mesh_channel_free(c->mesh, c->channel);
    neo_mesh_free(c->mesh);
}

static void heard(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

static void over(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct caller *c = self;

    (void)call;
    c->over = true;
    c->code = status->code;
    (void)snprintf(c->reason, sizeof(c->reason), "%.*s", NEO_FMT(status->reason));
}

static void say_begin(void *self)
{
    static const struct neo_client_events events = {.message = heard, .done = over};
    const struct neo_call_options options = {.timeout = 60 * SEC};
    const struct neo_test_v1_Words request = {.count = 1};
    struct caller *c = self;
    struct neo_client_call *call;

    assert_int_equal(
        neo_test_v1_Speech_Say_start(c->channel, &options, &request, &events, c, &call, NULL),
        NEO_OK);
}

static bool is_over(void *self)
{
    return ((struct caller *)self)->over;
}

/* One call that does not ask to wait for anything. */
static void call_start(struct caller *c)
{
    c->over = false;
    c->from = neo_mono_nsec();
    neo_runtime_call(c->mesh->runtime, 0, say_begin, c);
}

static enum neo_code call_end(struct caller *c)
{
    assert_true(sim_wait(is_over, c, 65 * SEC));
    c->took = neo_mono_nsec() - c->from;
    return c->code;
}

static enum neo_code call(struct caller *c)
{
    call_start(c);
    return call_end(c);
}

/* Called once, so that the caller knows where b-service is. */
static void acquaint(struct caller *c)
{
    caller_start(c);
    assert_int_equal(call(c), NEO_OK);
}

static size_t remembered(void)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char path[160];
    size_t lines = 0;

    (void)snprintf(path, sizeof(path), "%s/a-service/instances-b-service.txt", scratch_folder);
    assert_int_equal(neo_file_read(path, 1 << 16, &text, NULL), NEO_OK);
    for (size_t i = 0; i < text.len; i++)
        lines += text.at[i] == '\n';
    return lines;
}

/* --- promises --------------------------------------------------------------------------------- */

TEST(with_the_registry_away_a_remembered_address_that_refuses_fails_the_call_in_seconds)
{
    struct caller c;
    struct neo_mesh *b = serve_registered();

    acquaint(&c);
    caller_end(&c);
    neo_mesh_free(b);
    sim_partition("caller", "registry");
    caller_start(&c);
    assert_int_equal(call(&c), NEO_UNAVAILABLE);
    assert_string_equal(c.reason, "CONNECT_FAILED");
    assert_true(c.took < 4 * SEC);
    assert_int_equal(call(&c), NEO_UNAVAILABLE); /* the patience is of the start */
    assert_true(c.took < SEC);
    caller_end(&c);
}

TEST(with_the_registry_away_a_remembered_address_that_answers_serves_at_once)
{
    struct caller c;
    struct neo_mesh *b = serve_registered();

    acquaint(&c);
    caller_end(&c);
    sim_partition("caller", "registry");
    caller_start(&c);
    assert_int_equal(call(&c), NEO_OK);
    assert_true(c.took < SEC);
    caller_end(&c);
    neo_mesh_free(b);
}

TEST(the_first_call_after_a_service_has_moved_finds_it)
{
    struct caller c;
    struct neo_mesh *b = serve_registered();

    acquaint(&c);
    caller_end(&c);
    stop(b);
    b = serve_registered();
    sim_slow("caller", "registry", SEC / 4); /* so that the old address has long refused */
    caller_start(&c);
    assert_int_equal(call(&c), NEO_OK);
    caller_end(&c);
    assert_int_equal(remembered(), 1);
    neo_mesh_free(b);
}

TEST(a_service_that_is_listed_where_it_was_before_is_tried_again_at_once)
{
    struct caller c;
    struct neo_mesh *b = serve_at(SERVICE ":7000");

    assert_true(sim_wait(is_registered, b, 5 * SEC));
    acquaint(&c);
    caller_end(&c);
    neo_mesh_free(b); /* its lease goes on */
    sim_slow("caller", "registry", SEC / 4);
    caller_start(&c);
    call_start(&c);
    sim_run_for(SEC / 10);
    b = serve_at(SERVICE ":7000");
    assert_false(c.over);
    assert_int_equal(call_end(&c), NEO_OK);
    assert_true(c.took < SEC * 7 / 10); /* a backoff is 0.8 s at least */
    caller_end(&c);
    neo_mesh_free(b);
}

TEST(a_registry_that_lists_nobody_yet_is_given_time_to)
{
    struct caller c;
    struct neo_mesh *b = serve_registered();

    acquaint(&c);
    caller_end(&c);
    stop(b);
    caller_start(&c);
    sim_run_for(SEC); /* it said that there is nobody */
    b = serve();
    assert_int_equal(call(&c), NEO_OK);
    caller_end(&c);
    neo_mesh_free(b);
}

TEST(who_is_gone_is_not_kept_beside_who_came)
{
    struct caller c;
    struct neo_mesh *b = serve_registered();

    acquaint(&c);
    stop(b);
    sim_run_for(SEC);
    assert_int_equal(remembered(), 1); /* an empty answer replaces nothing */
    b = serve_registered();
    sim_run_for(SEC);
    assert_int_equal(remembered(), 1);
    assert_int_equal(call(&c), NEO_OK);
    caller_end(&c);
    neo_mesh_free(b);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(with_the_registry_away_a_remembered_address_that_refuses_fails_the_call_in_seconds),
        PROMISE(with_the_registry_away_a_remembered_address_that_answers_serves_at_once),
        PROMISE(the_first_call_after_a_service_has_moved_finds_it),
        PROMISE(a_service_that_is_listed_where_it_was_before_is_tried_again_at_once),
        PROMISE(a_registry_that_lists_nobody_yet_is_given_time_to),
        PROMISE(who_is_gone_is_not_kept_beside_who_came),
    };
    return cmocka_run_group_tests_name("scenario/moved", tests, NULL, NULL);
}
