/* SPDX-License-Identifier: Apache-2.0 */
/* The server and channels of a mesh: told of every epoch, and refused where they would hang. */
#include "../unit.h"

#include "support/echo.h"

#include "mesh/mesh.h"
#include "rpc/server.h"

#include <neo/memory.h>

#include <sched.h>
#include <string.h>

/* A mesh that has joined, without a control plane. */
static struct neo_mesh *mesh;
static struct echo_world world;

static struct neo_trust *trust_number(uint64_t epoch)
{
    struct neo_bytes root = pki_der(pki_root(world.pki));
    struct neo_trust_domain domain = {.name = NEO_LIT("neo.test"), .roots = &root, .n_roots = 1};
    struct neo_trust *trust;

    assert_int_equal(
        neo_trust_new(
            &(struct neo_trust_options){.domains = &domain, .n_domains = 1, .epoch = epoch}, &trust,
            NULL),
        NEO_OK);
    return trust;
}

static int begin(void **state)
{
    (void)state;
    echo_world_init(&world);
    mesh = neo_alloc(sizeof(*mesh));
    *mesh = (struct neo_mesh){.service = neo_string_dup("echo-service"),
                              .state_dir = neo_string_dup("."),
                              .listen = neo_string_dup("127.0.0.1:0"),
                              .admin_listen = neo_string_dup(""),
                              .trust_domain = "neo.test",
                              .ca_address = "127.0.0.1:1"};
    (void)pthread_mutex_init(&mesh->shared.lock, NULL);
    (void)pthread_cond_init(&mesh->shared.changed, NULL);
    (void)pthread_mutex_init(&mesh->users.lock, NULL);
    list_init(&mesh->users.channels);
    resolver_init(mesh);
    assert_int_equal(neo_runtime_new(1, &mesh->control, NULL), NEO_OK);
    assert_int_equal(neo_runtime_new(1, &mesh->runtime, NULL), NEO_OK);
    mesh->loop = neo_runtime_loop(mesh->control, 0);
    struct neo_epoch first = {.identity = neo_identity_ref(world.epoch.identity),
                              .trust = trust_number(1),
                              .policy = neo_policy_ref(world.epoch.policy)};
    mesh_publish(mesh, &first);
    return 0;
}

static int end(void **state)
{
    (void)state;
    neo_mesh_free(mesh);
    echo_world_fini(&world);
    return 0;
}

/* --- an epoch that comes while the server is made -----------------------------------------------
 */

enum { ROUNDS = 200 };

static struct {
    struct neo_job job; /* on the control loop, where epochs come from */
    neo_nsec at;
    uint64_t number;
    _Atomic bool published;
} coming;

static void publish(struct neo_job *job)
{
    struct neo_epoch change = {.trust = trust_number(coming.number)};

    (void)job;
    while (neo_mono_nsec() < coming.at)
        ;
    mesh_publish(mesh, &change);
    coming.published = true;
}

static uint64_t trust_of_server(void)
{
    struct neo_server *server = neo_mesh_server(mesh);

    (void)pthread_mutex_lock(&server->shared.lock);
    uint64_t number = neo_trust_epoch(server->shared.epoch->is.trust);
    (void)pthread_mutex_unlock(&server->shared.lock);
    return number;
}

/* At another moment in each round: some are before, some in the middle, some behind. */
TEST(a_trust_that_comes_while_the_server_is_made_reaches_it)
{
    static const struct neo_test_v1_Speech_handlers handlers = {.Say = NULL};
    struct neo_error err;
    neo_nsec takes = 0;

    coming.job.run = publish;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        neo_nsec begun = neo_mono_nsec();
        coming.published = false;
        coming.number = i + 2;
        coming.at = begun + takes * 2 * i / ROUNDS;
        neo_loop_post(mesh->loop, &coming.job);
        if (neo_mesh_serve(mesh, &neo_test_v1_Speech_info, &handlers, NULL, &err) != NEO_OK)
            fail_msg("%s", err.message);
        takes = (takes * i + neo_mono_nsec() - begun) / (i + 1);
        while (!coming.published)
            (void)sched_yield();
        assert_int_equal(trust_of_server(), i + 2);
        neo_server_free(mesh->users.server);
        mesh->users.server = NULL;
    }
}

/* --- channels --------------------------------------------------------------------------------- */

struct opening {
    enum neo_code code;
    struct neo_error err;
};

static void open_there(void *self)
{
    struct opening *o = self;
    struct neo_channel *channel = NULL;

    o->code = neo_mesh_channel(mesh, "other-service", 0, &channel, &o->err);
}

TEST(opening_a_channel_on_a_worker_is_refused_and_does_not_hang)
{
    struct opening o;
    struct neo_channel *channel;

    neo_runtime_call(mesh->runtime, 0, open_there, &o);
    assert_int_equal(o.code, NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(o.err.message, "neo_mesh_channel()"));
    neo_runtime_call(mesh->control, 0, open_there, &o);
    assert_int_equal(o.code, NEO_FAILED_PRECONDITION);
    assert_int_equal(neo_mesh_channel(mesh, "neo-ca", 0, &channel, &o.err), NEO_OK);
    neo_mesh_channel_free(mesh, channel);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_trust_that_comes_while_the_server_is_made_reaches_it),
        PROMISE(opening_a_channel_on_a_worker_is_refused_and_does_not_hang),
    };
    return cmocka_run_group_tests_name("mesh/users", tests, NULL, NULL);
}
