/* SPDX-License-Identifier: Apache-2.0 */
/* The server and channels of a mesh: told of every epoch, and refused where they would hang. */
#include "../unit.h"

#include "support/echo.h"

#include "mesh/mesh.h"
#include "rpc/server.h"

#include <neo/memory.h>

#include <sched.h>
#include <string.h>
#include <time.h>

/* A mesh that has joined, without a control plane. */
static struct neo_mesh *mesh;
static struct echo_world world;
static struct neo_trust *newer;

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
    mesh->metrics = neo_metrics_new();
    assert_non_null(mesh->metrics);
    mesh->loop = neo_runtime_loop(mesh->control, 0);
    struct neo_epoch first = {.identity = neo_identity_ref(world.epoch.identity),
                              .trust = trust_number(1),
                              .policy = neo_policy_ref(world.epoch.policy)};
    mesh_publish(mesh, &first);
    newer = trust_number(2);
    return 0;
}

static int end(void **state)
{
    (void)state;
    neo_mesh_free(mesh);
    neo_trust_unref(newer);
    echo_world_fini(&world);
    return 0;
}

/* --- an epoch that comes while the server is made -----------------------------------------------
 */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool published;
    struct neo_job at_work;    /* on the worker, while neo_server_new() waits for it */
    struct neo_job at_control; /* where epochs come from */
} meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void publish(struct neo_job *job)
{
    struct neo_epoch change = {.trust = neo_trust_ref(newer)};

    (void)job;
    mesh_publish(mesh, &change);
    (void)pthread_mutex_lock(&meeting.lock);
    meeting.published = true;
    (void)pthread_cond_broadcast(&meeting.changed);
    (void)pthread_mutex_unlock(&meeting.lock);
}

/* The server that is being made has registered its metrics: the epoch it begins with is chosen. */
static bool is_being_made(void)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    assert_true(neo_metrics_print(mesh->metrics, &text));
    return memmem(text.at, text.len, "neo_rpc_server", 14) != NULL;
}

/* Lets the epoch come then. It must wait until the server is known, so nothing is waited for long.
 */
static void let_it_come(struct neo_job *job)
{
    struct timespec until;

    (void)job;
    while (!is_being_made())
        (void)sched_yield();
    meeting.at_control.run = publish;
    neo_loop_post(mesh->loop, &meeting.at_control);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 300000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&meeting.lock);
    while (!meeting.published &&
           pthread_cond_timedwait(&meeting.changed, &meeting.lock, &until) == 0)
        ;
    (void)pthread_mutex_unlock(&meeting.lock);
}

TEST(a_trust_that_comes_while_the_server_is_made_reaches_it)
{
    static const struct neo_test_v1_Speech_handlers handlers = {.Say = NULL};
    struct neo_error err;

    meeting.at_work.run = let_it_come;
    neo_loop_post(neo_runtime_loop(mesh->runtime, 0), &meeting.at_work);
    if (neo_mesh_serve(mesh, &neo_test_v1_Speech_info, &handlers, NULL, &err) != NEO_OK)
        fail_msg("%s", err.message);
    (void)pthread_mutex_lock(&meeting.lock);
    while (!meeting.published)
        (void)pthread_cond_wait(&meeting.changed, &meeting.lock);
    (void)pthread_mutex_unlock(&meeting.lock);
    struct neo_server *server = neo_mesh_server(mesh);
    (void)pthread_mutex_lock(&server->shared.lock);
    uint64_t number = neo_trust_epoch(server->shared.epoch->is.trust);
    (void)pthread_mutex_unlock(&server->shared.lock);
    assert_int_equal(number, 2);
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
