/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <grpc/health/v1/health.neo.h>
#include <grpc/reflection/v1/reflection.neo.h>
#include <neo/test/v1/all.neo.h>

static struct rpc_client client;
static struct neo_arena arena;

static int begin_builtin(void **state)
{
    neo_arena_init(&arena, 1 << 20);
    return begin(state);
}

static int end_builtin(void **state)
{
    neo_arena_fini(&arena);
    return end(state);
}

static void start_path(struct rpc_call *call, struct rpc_client *from, const char *path)
{
    assert_true(rpc_call_start(call, from, &(struct rpc_request){.path = path}));
}

static void ask(struct rpc_call *call, struct rpc_client *from, const char *method,
                const char *service)
{
    const struct grpc_health_v1_HealthCheckRequest request = {.service = neo_text(service)};
    struct neo_buffer out = {0};
    char path[64];

    (void)snprintf(path, sizeof(path), "/grpc.health.v1.Health/%s", method);
    assert_int_equal(grpc_health_v1_HealthCheckRequest_encode(&request, &out, NULL), NEO_OK);
    start_path(call, from, path);
    rpc_call_send(call, neo_buffer_bytes(&out));
    rpc_call_end(call);
    neo_buffer_fini(&out);
}

static int32_t status_in(const struct rpc_call *call, size_t i)
{
    struct grpc_health_v1_HealthCheckResponse response;

    assert_true(call->n_messages > i);
    assert_int_equal(
        grpc_health_v1_HealthCheckResponse_decode(call->messages[i], &response, &arena, NULL),
        NEO_OK);
    return response.status;
}

static int32_t health_of(const char *service)
{
    struct rpc_call call;

    ask(&call, &client, "Check", service);
    wait_for(call.closed);
    int32_t status = call.status.code == NEO_OK ? status_in(&call, 0) : -1;
    rpc_call_fini(&call);
    return status;
}

/* --- who may ----------------------------------------------------------------------------- */

TEST(health_is_open_to_every_proven_caller)
{
    struct rpc_call call;

    serve();
    connect_ready(&client, world.stranger);
    ask(&call, &client, "Check", "");
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    rpc_call_fini(&call);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_PERMISSION_DENIED);
}

TEST(a_rule_may_deny_health)
{
    struct neo_policy *policy =
        compile_policy("service: \"stranger-service\"\n"
                       "denied_calls:\n"
                       "  - target_service: \"echo-service\"\n"
                       "    operations: [\"grpc.health.v1.Health/Check\"]\n");
    struct rpc_call call;

    world.options.epoch.policy = policy;
    serve();
    connect_ready(&client, world.stranger);
    ask(&call, &client, "Check", "");
    wait_for(call.closed);
    assert_reason(&call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
    rpc_call_fini(&call);
    neo_policy_unref(policy);
}

TEST(health_and_reflection_are_open_beside_a_rule_for_a_service_until_one_denies_them)
{
    static const char *const denials[] = {
        "", "denied_calls:\n"
            "  - target_service: \"echo-service\"\n"
            "    operations: [\"grpc.health.v1.Health/*\",\n"
            "      \"grpc.reflection.v1.ServerReflection/*\",\n"
            "      \"grpc.reflection.v1alpha.ServerReflection/*\"]\n"};
    static const char *const paths[] = {
        "/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
    struct neo_policy *policies[NEO_COUNT(denials)];
    char rules[512];

    for (size_t i = 0; i < NEO_COUNT(denials); i++) {
        (void)snprintf(rules, sizeof(rules),
                       "service: \"caller-service\"\n"
                       "allowed_calls:\n"
                       "  - target_service: \"echo-service\"\n"
                       "    operations: [\"neo.test.v1.Echoes/*\"]\n%s",
                       denials[i]);
        policies[i] = compile_policy(rules);
    }
    world.options.epoch.policy = policies[0];
    serve();
    for (size_t i = 0; i < NEO_COUNT(denials); i++) {
        if (i > 0)
            neo_server_update(world.server, &(struct neo_epoch){.policy = policies[i]});
        connect_ready(&client, world.caller);
        assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
        for (size_t p = 0; p < NEO_COUNT(paths); p++) {
            struct rpc_call call;
            start_path(&call, &client, paths[p]);
            if (p == 0)
                rpc_call_send(&call, (struct neo_bytes){0});
            rpc_call_end(&call);
            wait_for(call.closed);
            if (i == 0)
                assert_int_equal(call.status.code, NEO_OK);
            else
                assert_reason(&call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
            rpc_call_fini(&call);
        }
        rpc_client_close(&client);
        neo_policy_unref(policies[i]);
    }
}

TEST(health_is_closed_to_the_anonymous)
{
    struct rpc_call call;

    world.options.allow_anonymous = true;
    serve();
    connect_ready(&client, NULL);
    ask(&call, &client, "Check", "");
    wait_for(call.closed);
    assert_reason(&call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
    rpc_call_fini(&call);
}

TEST(a_new_policy_that_says_nothing_of_health_leaves_watchers_alone)
{
    struct neo_policy *policy = compile_policy(open_policy);
    struct rpc_call watch;

    serve();
    connect_ready(&client, world.stranger);
    ask(&watch, &client, "Watch", "");
    wait_for(watch.n_messages == 1);
    neo_server_update(world.server, &(struct neo_epoch){.policy = policy});
    run_for(50 * MSEC);
    assert_false(watch.closed);
    neo_policy_unref(policy);
    disconnect(&client);
    rpc_call_fini(&watch);
}

/* --- health ------------------------------------------------------------------------------ */

TEST(health_knows_the_server_and_each_service)
{
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(health_of(""), grpc_health_v1_HealthCheckResponse_SERVING);
    assert_int_equal(health_of("neo.test.v1.Echoes"), grpc_health_v1_HealthCheckResponse_SERVING);
    ask(&call, &client, "Check", "no.such.Service");
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_NOT_FOUND);
    rpc_call_fini(&call);

    neo_server_set_serving(world.server, "neo.test.v1.Echoes", false);
    assert_int_equal(health_of("neo.test.v1.Echoes"),
                     grpc_health_v1_HealthCheckResponse_NOT_SERVING);
    assert_int_equal(health_of(""), grpc_health_v1_HealthCheckResponse_SERVING);
}

TEST(a_watcher_hears_each_change_and_no_more)
{
    struct rpc_call call, unknown;

    serve();
    connect_ready(&client, world.caller);
    ask(&call, &client, "Watch", "neo.test.v1.Echoes");
    ask(&unknown, &client, "Watch", "no.such.Service");
    wait_for(call.n_messages == 1 && unknown.n_messages == 1);
    assert_int_equal(status_in(&call, 0), grpc_health_v1_HealthCheckResponse_SERVING);
    assert_int_equal(status_in(&unknown, 0), grpc_health_v1_HealthCheckResponse_SERVICE_UNKNOWN);
    neo_server_set_serving(world.server, "neo.test.v1.Echoes", false);
    wait_for(call.n_messages == 2);
    assert_int_equal(status_in(&call, 1), grpc_health_v1_HealthCheckResponse_NOT_SERVING);
    neo_server_set_serving(world.server, "neo.test.v1.Echoes", false);
    neo_server_set_serving(world.server, "neo.test.v1.Echoes", true);
    wait_for(call.n_messages == 3);
    assert_int_equal(unknown.n_messages, 1);
    assert_false(call.ended || unknown.ended);
    disconnect(&client);
    rpc_call_fini(&call);
    rpc_call_fini(&unknown);
}

TEST(health_lists_all_services)
{
    struct grpc_health_v1_HealthListResponse list;
    struct rpc_call call;
    bool found = false;

    serve();
    connect_ready(&client, world.caller);
    start_path(&call, &client, "/grpc.health.v1.Health/List");
    rpc_call_send(&call, (struct neo_bytes){0});
    rpc_call_end(&call);
    wait_for(call.closed);
    assert_int_equal(
        grpc_health_v1_HealthListResponse_decode(call.messages[0], &list, &arena, NULL), NEO_OK);
    for (size_t i = 0; i < list.statuses.len; i++)
        found = found || neo_bytes_is(list.statuses.at[i].key, "neo.test.v1.Echoes");
    assert_true(found);
    assert_int_equal(list.statuses.len, 6);
    rpc_call_fini(&call);
}

/* --- reflection -------------------------------------------------------------------------- */

static struct grpc_reflection_v1_ServerReflectionResponse reflect(
    const char *version, const struct grpc_reflection_v1_ServerReflectionRequest *request)
{
    struct grpc_reflection_v1_ServerReflectionResponse response;
    struct neo_buffer out = {0};
    struct rpc_call call;
    char path[96];

    (void)snprintf(path, sizeof(path), "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo",
                   version);
    assert_int_equal(grpc_reflection_v1_ServerReflectionRequest_encode(request, &out, NULL),
                     NEO_OK);
    start_path(&call, &client, path);
    rpc_call_send(&call, neo_buffer_bytes(&out));
    rpc_call_end(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(call.n_messages, 1);
    struct neo_bytes kept = neo_arena_copy(&arena, call.messages[0]);
    assert_int_equal(
        grpc_reflection_v1_ServerReflectionResponse_decode(kept, &response, &arena, NULL), NEO_OK);
    rpc_call_fini(&call);
    neo_buffer_fini(&out);
    return response;
}

#define FIELD(name)  grpc_reflection_v1_ServerReflectionRequest_##name##_FIELD
#define ANSWER(name) grpc_reflection_v1_ServerReflectionResponse_##name##_FIELD

TEST(reflection_lists_services_in_both_versions)
{
    static const char *const versions[] = {"v1", "v1alpha"};

    serve();
    connect_ready(&client, world.caller);
    for (size_t v = 0; v < NEO_COUNT(versions); v++) {
        struct grpc_reflection_v1_ServerReflectionResponse r =
            reflect(versions[v], &(struct grpc_reflection_v1_ServerReflectionRequest){
                                     .message_request_case = FIELD(list_services),
                                     .list_services = NEO_LIT("*"),
                                 });
        bool found = false;
        assert_int_equal(r.message_response_case, ANSWER(list_services_response));
        for (size_t i = 0; i < r.list_services_response->service.len; i++)
            found = found || neo_bytes_is(r.list_services_response->service.at[i]->name,
                                          "neo.test.v1.Echoes");
        assert_true(found);
    }
}

/* The descriptor that comes back makes working tables of the same service. */
TEST(reflection_gives_descriptors_that_work)
{
    static const char *const symbols[] = {"neo.test.v1.Echoes", "neo.test.v1.Echoes.Say",
                                          "neo.test.v1.Echo", "neo.test.v1.Echo.text"};

    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(symbols); i++) {
        struct grpc_reflection_v1_ServerReflectionResponse r =
            reflect("v1", &(struct grpc_reflection_v1_ServerReflectionRequest){
                              .message_request_case = FIELD(file_containing_symbol),
                              .file_containing_symbol = neo_text(symbols[i]),
                          });
        struct neo_descriptors *pool;
        assert_int_equal(r.message_response_case, ANSWER(file_descriptor_response));
        assert_int_equal(neo_descriptors_new(r.file_descriptor_response->file_descriptor_proto.at,
                                             r.file_descriptor_response->file_descriptor_proto.len,
                                             &pool, NULL),
                         NEO_OK);
        assert_non_null(neo_descriptors_service(pool, NEO_LIT("neo.test.v1.Echoes")));
        neo_descriptors_free(pool);
    }
}

TEST(reflection_gives_what_a_file_imports_too)
{
    struct grpc_reflection_v1_ServerReflectionResponse r;

    serve();
    connect_ready(&client, world.caller);
    r = reflect("v1", &(struct grpc_reflection_v1_ServerReflectionRequest){
                          .message_request_case = FIELD(file_by_filename),
                          .file_by_filename = NEO_LIT("neo/attest/v1/attest.proto"),
                      });
    assert_int_equal(r.message_response_case, ANSWER(file_descriptor_response));
    assert_int_equal(r.file_descriptor_response->file_descriptor_proto.len, 2);
}

TEST(reflection_says_what_it_does_not_know)
{
    static struct grpc_reflection_v1_ExtensionRequest extension = {
        .containing_type = {(const uint8_t *)"neo.test.v1.Echo", 16}, .extension_number = 1};
    static const struct grpc_reflection_v1_ServerReflectionRequest unknown[] = {
        {.message_request_case = FIELD(file_by_filename),
         .file_by_filename = {(const uint8_t *)"x", 1}},
        {.message_request_case = FIELD(file_containing_symbol),
         .file_containing_symbol = {(const uint8_t *)"x", 1}},
        {.message_request_case = FIELD(all_extension_numbers_of_type),
         .all_extension_numbers_of_type = {(const uint8_t *)"x", 1}},
        {.message_request_case = FIELD(file_containing_extension),
         .file_containing_extension = &extension},
        {.message_request_case = 0},
    };

    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(unknown); i++) {
        struct grpc_reflection_v1_ServerReflectionResponse r = reflect("v1", &unknown[i]);
        assert_int_equal(r.message_response_case, ANSWER(error_response));
        assert_int_equal(r.error_response->error_code, i == 4 ? 3 : 5);
    }
}

static void add_everything(void)
{
    static const struct neo_test_v1_Everything_handlers none;

    assert_int_equal(neo_test_v1_Everything_add(world.server, &none, NULL, NULL), NEO_OK);
}

static struct grpc_reflection_v1_ServerReflectionResponse numbers_of(const char *type)
{
    return reflect("v1", &(struct grpc_reflection_v1_ServerReflectionRequest){
                             .message_request_case = FIELD(all_extension_numbers_of_type),
                             .all_extension_numbers_of_type = neo_text(type),
                         });
}

/* Which the last service before listening brought, in a file that it imports. */
TEST(reflection_knows_extensions)
{
    struct grpc_reflection_v1_ExtensionRequest extension = {
        .containing_type = NEO_LIT("google.protobuf.FieldOptions"), .extension_number = 50800};
    struct grpc_reflection_v1_ServerReflectionResponse r;

    world.prepare = add_everything;
    serve();
    connect_ready(&client, world.caller);
    r = numbers_of("google.protobuf.FieldOptions");
    assert_int_equal(r.message_response_case, ANSWER(all_extension_numbers_response));
    assert_true(neo_bytes_is(r.all_extension_numbers_response->base_type_name,
                             "google.protobuf.FieldOptions"));
    assert_int_equal(r.all_extension_numbers_response->extension_number.len, 1);
    assert_int_equal(r.all_extension_numbers_response->extension_number.at[0], 50800);
    r = numbers_of("neo.test.v1.Echo"); /* which is there, and extended by nobody */
    assert_int_equal(r.message_response_case, ANSWER(all_extension_numbers_response));
    assert_int_equal(r.all_extension_numbers_response->extension_number.len, 0);
    r = reflect("v1alpha", &(struct grpc_reflection_v1_ServerReflectionRequest){
                               .message_request_case = FIELD(file_containing_extension),
                               .file_containing_extension = &extension,
                           });
    assert_int_equal(r.message_response_case, ANSWER(file_descriptor_response));
    assert_true(neo_bytes_starts(r.file_descriptor_response->file_descriptor_proto.at[0],
                                 NEO_LIT("\x0a\x14neo/v1/options.proto")));
}

TEST(reflection_finds_the_values_of_an_enum_by_both_of_their_names)
{
    static const char *const names[] = {"neo.test.v1.RED", "neo.test.v1.Color.RED"};

    world.prepare = add_everything;
    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(names); i++) {
        struct grpc_reflection_v1_ServerReflectionResponse r =
            reflect("v1", &(struct grpc_reflection_v1_ServerReflectionRequest){
                              .message_request_case = FIELD(file_containing_symbol),
                              .file_containing_symbol = neo_text(names[i]),
                          });
        assert_int_equal(r.message_response_case, ANSWER(file_descriptor_response));
        assert_true(neo_bytes_starts(r.file_descriptor_response->file_descriptor_proto.at[0],
                                     NEO_LIT("\x0a\x15neo/test/v1/all.proto")));
    }
}

#define BUILTIN(name) cmocka_unit_test_setup_teardown(name, begin_builtin, end_builtin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUILTIN(health_is_open_to_every_proven_caller),
        BUILTIN(a_rule_may_deny_health),
        BUILTIN(health_and_reflection_are_open_beside_a_rule_for_a_service_until_one_denies_them),
        BUILTIN(health_is_closed_to_the_anonymous),
        BUILTIN(a_new_policy_that_says_nothing_of_health_leaves_watchers_alone),
        BUILTIN(health_knows_the_server_and_each_service),
        BUILTIN(a_watcher_hears_each_change_and_no_more),
        BUILTIN(health_lists_all_services),
        BUILTIN(reflection_lists_services_in_both_versions),
        BUILTIN(reflection_gives_descriptors_that_work),
        BUILTIN(reflection_gives_what_a_file_imports_too),
        BUILTIN(reflection_says_what_it_does_not_know),
        BUILTIN(reflection_knows_extensions),
        BUILTIN(reflection_finds_the_values_of_an_enum_by_both_of_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
