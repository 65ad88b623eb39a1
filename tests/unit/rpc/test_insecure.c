/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers and channels in the modes that give security up: asked for by name or not
 * at all, and never without a policy.
 */
#include "../unit.h"

#include "h2/h2.h"
#include "support/echo.h"

#include <neo/insecure.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct neo_insecure_server cleartext = {.mode = NEO_INSECURE_CLEARTEXT};
static const struct neo_insecure_channel to_cleartext = {.mode = NEO_INSECURE_CLEARTEXT,
                                                         .server_name = "localhost"};

static struct echo_world world;

static int set_up(void **state __attribute__((unused)))
{
    echo_world_init(&world);
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    echo_world_fini(&world);
    return 0;
}

static struct neo_policy *policy_for(const char *caller)
{
    struct neo_buffer text = {0};
    struct neo_policy *policy;

    assert_true(neo_buffer_printf(&text,
                                  "service: \"%s\"\nallowed_calls:\n"
                                  "  - {target_service: \"echo-service\", operations: [\"*\"]}\n",
                                  caller));
    struct neo_document document = {NEO_LIT("policy.yaml"), neo_buffer_bytes(&text)};
    assert_int_equal(neo_policy_compile(&document, 1, &policy, NULL), NEO_OK);
    neo_buffer_fini(&text);
    return policy;
}

/* --- what is refused -------------------------------------------------------------------------- */

static void assert_no_server(struct neo_server_options o, enum neo_code code, const char *reason)
{
    struct neo_server *server;
    struct neo_error err;

    o.name = "echo-service";
    o.runtime = world.runtime;
    assert_int_equal(neo_server_new(&o, &server, &err), code);
    if (strstr(err.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

TEST(a_server_without_identity_is_refused_unless_insecurity_is_asked_for_by_name)
{
    static const struct neo_insecure_server nothing = {.mode = NEO_INSECURE_NOTHING};
    struct neo_epoch epoch = {.policy = world.epoch.policy};

    assert_no_server((struct neo_server_options){.epoch = epoch}, NEO_FAILED_PRECONDITION,
                     "identity");
    assert_no_server((struct neo_server_options){.epoch = epoch, .allow_anonymous = true},
                     NEO_FAILED_PRECONDITION, "identity");
    assert_no_server((struct neo_server_options){.epoch = epoch, .insecure = &nothing},
                     NEO_INVALID_ARGUMENT, "no mode 0");
}

/* --- what is said at the start ---------------------------------------------------------------- */

/* What a server with this certificate logs while it is made; proven: by mutual TLS. */
static void begin(const struct pki_options *options, bool proven, char said[static 4096])
{
    const struct pki_cert *cert =
        pki_make(world.pki, pki_issuer(world.pki), "echo-service", options);
    struct neo_buffer chain = {0}, key = {0};
    struct neo_server *server;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pki_pem_chain(cert, &chain);
    pki_pem_key(cert, &key);
    const struct neo_log log = {.fd = ends[1], .level = NEO_LOG_WARN, .wall_nsec = neo_wall_nsec};
    const struct neo_insecure_server shown = {.mode = NEO_INSECURE_ANONYMOUS_CALLERS,
                                              .certificate_pem = neo_buffer_bytes(&chain),
                                              .key_pem = neo_buffer_bytes(&key)};
    struct neo_server_options o = {.name = "echo-service",
                                   .runtime = world.runtime,
                                   .log = &log,
                                   .insecure = proven ? NULL : &shown,
                                   .epoch = {.policy = world.epoch.policy}};
    if (proven) {
        o.epoch = world.epoch;
        o.epoch.identity = pki_identity_of(cert, false);
    }
    assert_int_equal(neo_server_new(&o, &server, NULL), NEO_OK);
    neo_server_free(server);
    if (proven)
        neo_identity_unref(o.epoch.identity);
    assert_int_equal(close(ends[1]), 0);
    ssize_t len = read(ends[0], said, 4095);
    said[len < 0 ? 0 : len] = '\0';
    assert_int_equal(close(ends[0]), 0);
    neo_buffer_fini(&chain);
    neo_buffer_fini(&key);
}

TEST(a_certificate_that_nobody_will_accept_is_named_in_the_log_at_the_start)
{
    const struct pki_options ended = {.dns = "localhost", .not_after = PKI_FROM + 86400};
    const struct pki_options early = {.dns = "localhost", .not_before = PKI_UNTIL - 86400};
    char said[4096];

    begin(&ended, true, said);
    assert_non_null(strstr(said, "\"event\":\"server.certificate\""));
    assert_non_null(strstr(said, "it has ended"));
    begin(&ended, false, said);
    assert_non_null(strstr(said, "it has ended"));
    begin(&early, true, said);
    assert_non_null(strstr(said, "it is not valid yet"));
    begin(NULL, false, said);
    assert_non_null(strstr(said, "it has no DNS name"));
    begin(NULL, true, said); /* callers with mutual TLS look at the URI */
    assert_string_equal(said, "");
    begin(&(struct pki_options){.dns = "localhost"}, false, said);
    assert_string_equal(said, "");
}

TEST(an_insecure_server_needs_a_policy_all_the_same)
{
    assert_no_server((struct neo_server_options){.insecure = &cleartext}, NEO_FAILED_PRECONDITION,
                     "policy");
}

TEST(an_insecure_server_takes_no_identity)
{
    assert_no_server((struct neo_server_options){.epoch = world.epoch, .insecure = &cleartext},
                     NEO_INVALID_ARGUMENT, "no identity");
}

static void assert_no_channel(struct neo_channel_options o, const char *reason)
{
    struct neo_channel *channel;
    struct neo_error err;

    o.loop = neo_runtime_loop(world.runtime, 0);
    assert_int_equal(neo_channel_open("ipv4:127.0.0.1:1", &o, &channel, &err),
                     NEO_INVALID_ARGUMENT);
    if (strstr(err.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

TEST(a_channel_is_insecure_by_name_only_and_then_has_nothing_to_prove)
{
    static const struct neo_insecure_channel nothing = {.server_name = "localhost"};
    static const struct neo_insecure_channel nameless = {.mode = NEO_INSECURE_CLEARTEXT};
    static const struct neo_insecure_channel rootless = {.mode = NEO_INSECURE_ANONYMOUS_CALLERS,
                                                         .server_name = "localhost"};

    assert_no_channel((struct neo_channel_options){0}, "needs a trust");
    assert_no_channel((struct neo_channel_options){.insecure = &nothing}, "no mode 0");
    assert_no_channel((struct neo_channel_options){.insecure = &nameless}, "server_name");
    assert_no_channel((struct neo_channel_options){.insecure = &rootless}, "certificates to trust");
    assert_no_channel(
        (struct neo_channel_options){.insecure = &to_cleartext, .epoch.trust = world.epoch.trust},
        "nobody would prove them");
    assert_no_channel(
        (struct neo_channel_options){.insecure = &to_cleartext, .service = "echo-service"},
        "nobody would prove them");
}

/* --- calls ------------------------------------------------------------------------------------ */

static struct neo_server *serve(struct neo_policy *policy)
{
    struct neo_server_options o = {.name = "echo-service",
                                   .runtime = world.runtime,
                                   .epoch = {.policy = policy},
                                   .insecure = &cleartext};

    return echo_server_with(&world, &o, "127.0.0.1:0");
}

static struct neo_channel *dial(struct neo_server *server,
                                const struct neo_insecure_channel *insecure)
{
    struct neo_channel_options o = {.loop = neo_runtime_loop(world.runtime, 0),
                                    .insecure = insecure};
    struct neo_channel *channel;
    char target[200];

    echo_target(target, sizeof(target), &server, 1);
    assert_int_equal(neo_channel_open(target, &o, &channel, NULL), NEO_OK);
    return channel;
}

static enum neo_code say(struct neo_channel *channel)
{
    struct neo_test_v1_Words request = {.text = NEO_LIT("hello")}, reply;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    enum neo_code code = neo_test_v1_Speech_Say(channel, NULL, &request, &reply, &arena, NULL);
    if (code == NEO_OK)
        assert_true(neo_bytes_is(reply.text, "hello"));
    neo_arena_fini(&arena);
    return code;
}

TEST(a_cleartext_caller_is_anonymous_and_denied_by_default)
{
    static const char *const callers[] = {"caller-service", "*", "anonymous"};

    for (size_t i = 0; i < NEO_COUNT(callers); i++) {
        struct neo_policy *policy = policy_for(callers[i]);
        struct neo_server *server = serve(policy);
        struct neo_channel *channel = dial(server, &to_cleartext);
        assert_int_equal(say(channel), i == 2 ? NEO_OK : NEO_PERMISSION_DENIED);
        neo_channel_free(channel);
        neo_server_free(server);
        neo_policy_unref(policy);
    }
}

TEST(an_update_cannot_give_an_insecure_server_an_identity)
{
    struct neo_policy *policy = policy_for("anonymous");
    struct neo_policy *none = policy_for("caller-service");
    struct neo_server *server = serve(policy);
    struct neo_channel *channel = dial(server, &to_cleartext);
    struct neo_epoch change = {.identity = world.epoch.identity, .policy = none};

    assert_int_equal(say(channel), NEO_OK);
    neo_server_update(server, &change); /* refused whole: the policy stays, too */
    assert_int_equal(say(channel), NEO_OK);
    change.identity = NULL;
    neo_server_update(server, &change);
    while (say(channel) == NEO_OK)
        ;
    neo_channel_free(channel);
    neo_server_free(server);
    neo_policy_unref(none);
    neo_policy_unref(policy);
}

TEST(a_server_with_tls_does_not_hear_cleartext_nor_the_reverse)
{
    struct neo_policy *policy = policy_for("anonymous");
    struct neo_server *proven = echo_server(
        &world, &(struct neo_server_options){.allow_anonymous = true, .epoch.policy = policy});
    struct neo_server *clear = serve(policy);
    struct neo_channel *to_proven = dial(proven, &to_cleartext);
    char target[200];

    echo_target(target, sizeof(target), &clear, 1);
    struct neo_channel *to_clear = echo_channel(&world, "caller-service", target, NULL);
    assert_int_equal(say(to_proven), NEO_UNAVAILABLE);
    assert_int_equal(say(to_clear), NEO_UNAVAILABLE);
    assert_int_equal(neo_server_stats(proven).started, 0);
    assert_int_equal(neo_server_stats(clear).started, 0);
    neo_channel_free(to_clear);
    neo_channel_free(to_proven);
    neo_server_free(clear);
    neo_server_free(proven);
    neo_policy_unref(policy);
}

/* --- why there is no connection --------------------------------------------------------------- */

static void assert_told(struct neo_channel *channel, bool wait, enum neo_code code,
                        const char *address, const char *what)
{
    const struct neo_call_options options = {.timeout = wait ? 300 * NEO_NSEC_PER_MSEC : 0,
                                             .wait_for_ready = wait};
    struct neo_test_v1_Words request = {.text = NEO_LIT("hello")}, reply;
    struct neo_arena arena = NEO_ARENA(1 << 20);
    struct neo_status status;
    char text[512];

    assert_int_equal(neo_test_v1_Speech_Say(channel, &options, &request, &reply, &arena, &status),
                     code);
    (void)snprintf(text, sizeof(text), "%.*s", NEO_FMT_ALL(status.message));
    if (strstr(text, what) == NULL || strstr(text, address) == NULL)
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", text, address, what);
    neo_arena_fini(&arena);
}

TEST(whoever_gets_no_connection_is_told_where_what_happened_and_what_to_do)
{
    struct neo_policy *policy = policy_for("anonymous");
    struct neo_server *proven = echo_server(
        &world, &(struct neo_server_options){.allow_anonymous = true, .epoch.policy = policy});
    struct neo_server *clear = serve(policy), *gone = serve(policy);
    struct neo_channel *to_proven = dial(proven, &to_cleartext);
    struct neo_channel *to_gone = dial(gone, &to_cleartext);
    char target[200], address[3][200];
    struct neo_server *servers[] = {proven, clear, gone};

    for (size_t i = 0; i < 3; i++) {
        echo_target(target, sizeof(target), &servers[i], 1);
        (void)snprintf(address[i], sizeof(address[i]), "%s", strchr(target, ':') + 1);
    }
    echo_target(target, sizeof(target), &clear, 1);
    struct neo_channel *to_clear = echo_channel(&world, "caller-service", target, NULL);
    neo_server_free(gone);

    assert_told(to_proven, false, NEO_UNAVAILABLE, address[0], "it may expect TLS");
    assert_told(to_clear, false, NEO_UNAVAILABLE, address[1], "no TLS; it may speak cleartext");
    assert_told(to_gone, false, NEO_UNAVAILABLE, address[2],
                "Connection refused; is the server running there?");
    assert_told(to_gone, true, NEO_DEADLINE_EXCEEDED, address[2],
                "the deadline has passed while the call waited for a connection; the last error: "
                "cannot connect to ");
    neo_channel_free(to_gone);
    neo_channel_free(to_clear);
    neo_channel_free(to_proven);
    neo_server_free(clear);
    neo_server_free(proven);
    neo_policy_unref(policy);
}

/* --- the scheme ------------------------------------------------------------------------------- */

static void count_headers(struct h2 *h2, struct h2_stream *s, bool end_stream)
{
    (void)s;
    (void)end_stream;
    ++*(unsigned *)h2_owner(h2);
}

static void ignore(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    (void)h2;
    (void)s;
    (void)h2_error;
}

/* How many requests of a client with the one kind of scheme a server with the other hears. */
static unsigned heard(bool client_clear, bool server_clear)
{
    static const struct h2_events events = {.headers = count_headers, .closed = ignore};
    static const struct h2_events deaf = {.closed = ignore};
    const struct h2_header headers[] = {{NEO_LIT("content-type"), NEO_LIT("application/grpc")},
                                        {NEO_LIT("te"), NEO_LIT("trailers")}};
    struct neo_buffer wire = {0};
    struct h2_stream *stream;
    struct h2 *client, *server;
    unsigned n = 0;

    assert_int_equal(
        h2_new(&(struct h2_options){.events = &deaf, .cleartext = client_clear}, 1, &client, NULL),
        NEO_OK);
    assert_int_equal(h2_new(&(struct h2_options){.server = true,
                                                 .events = &events,
                                                 .owner = &n,
                                                 .cleartext = server_clear},
                            1, &server, NULL),
                     NEO_OK);
    assert_int_equal(h2_request(client, NEO_LIT("/a.B/C"), NEO_LIT("localhost"), headers, 2, NULL,
                                &stream, NULL),
                     NEO_OK);
    assert_int_equal(h2_pull(client, 1 << 16, 1, &wire, NULL), NEO_OK);
    assert_int_equal(h2_feed(server, neo_buffer_bytes(&wire), 1, NULL), NEO_OK);
    neo_buffer_fini(&wire);
    h2_free(client);
    h2_free(server);
    return n;
}

TEST(http_is_the_scheme_of_cleartext_and_of_nothing_else)
{
    assert_int_equal(heard(true, false), 0);
    assert_int_equal(heard(false, true), 0);
    assert_int_equal(heard(true, true), 1);
    assert_int_equal(heard(false, false), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_nobody_will_accept_is_named_in_the_log_at_the_start),
        cmocka_unit_test(
            a_server_without_identity_is_refused_unless_insecurity_is_asked_for_by_name),
        cmocka_unit_test(an_insecure_server_needs_a_policy_all_the_same),
        cmocka_unit_test(an_insecure_server_takes_no_identity),
        cmocka_unit_test(a_channel_is_insecure_by_name_only_and_then_has_nothing_to_prove),
        cmocka_unit_test(a_cleartext_caller_is_anonymous_and_denied_by_default),
        cmocka_unit_test(an_update_cannot_give_an_insecure_server_an_identity),
        cmocka_unit_test(a_server_with_tls_does_not_hear_cleartext_nor_the_reverse),
        cmocka_unit_test(whoever_gets_no_connection_is_told_where_what_happened_and_what_to_do),
        cmocka_unit_test(http_is_the_scheme_of_cleartext_and_of_nothing_else),
    };
    return cmocka_run_group_tests_name("rpc/insecure", tests, set_up, tear_down);
}
