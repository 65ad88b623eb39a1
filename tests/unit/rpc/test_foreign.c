/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate of somebody else's CA: what handlers see of it, and when they see nothing.
 */
#include "../unit.h"

#include "support/echo.h"

#include <neo/insecure.h>
#include <neo/interceptor.h>
#include <neo/log.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAMES "DNS:a.partner.test,URI:https://partner.test/a,DNS:*.partner.test,URI:urn:b"

static struct echo_world world;
static struct pki *partner; /* the callers' CA */

struct seen {
    _Atomic unsigned calls;
    bool any;
    bool anonymous;
    char dns[2][64];
    char uri[2][64];
    size_t n_dns;
    size_t n_uris;
    uint8_t sha256[NEO_SHA256_LEN];
    struct neo_call *kept;
    struct neo_call *unasked; /* kept, and nobody has asked it */
};

static struct seen seen;

static int set_up(void **state __attribute__((unused)))
{
    echo_world_init(&world);
    partner = pki_new("partner.test");
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    pki_free(partner);
    echo_world_fini(&world);
    return 0;
}

/* --- the server --------------------------------------------------------------------------- */

static void look(struct neo_call *call)
{
    const struct neo_cert *cert = neo_call_foreign_certificate(call);

    seen.any = cert != NULL;
    seen.anonymous = neo_bytes_is(neo_call_context(call)->caller, "anonymous") &&
                     neo_call_context(call)->caller_uri.len == 0;
    if (cert == NULL)
        return;
    const struct neo_cert_facts *f = neo_cert_facts(cert);
    seen.n_dns = f->dns_names;
    for (size_t i = 0; i < 2; i++) {
        const char *uri = neo_cert_uri(cert, i);
        (void)snprintf(seen.dns[i], sizeof(seen.dns[i]), "%s",
                       i < f->dns_names ? f->dns_name[i] : "");
        (void)snprintf(seen.uri[i], sizeof(seen.uri[i]), "%s", uri != NULL ? uri : "");
    }
    seen.n_uris = 0;
    while (neo_cert_uri(cert, seen.n_uris) != NULL)
        seen.n_uris++;
    neo_sha256(f->der, seen.sha256);
}

static void say(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    (void)self;
    if (neo_bytes_is(request->text, "keep unasked"))
        seen.unasked = neo_call_ref(call);
    else
        look(call);
    if (neo_bytes_is(request->text, "keep"))
        seen.kept = neo_call_ref(call);
    seen.calls++;
    neo_test_v1_Speech_Say_reply(call, request);
}

static struct neo_policy *policy_for_anonymous(void)
{
    const struct neo_document document = {
        NEO_LIT("policy.yaml"),
        NEO_LIT("service: anonymous\nallowed_calls:\n"
                "  - {target_service: echo-service, operations: [\"*\"]}\n")};
    struct neo_policy *policy;

    assert_int_equal(neo_policy_compile(&document, 1, &policy, NULL), NEO_OK);
    return policy;
}

static struct neo_server *start(const struct neo_server_options *options,
                                struct neo_interceptor *interceptor, bool blocks)
{
    static const struct neo_test_v1_Speech_handlers handlers = {.Say = say, .Do = say};
    struct neo_server_options o = *options;
    struct neo_server *server;
    struct neo_error err = {0};

    o.name = "echo-service";
    o.runtime = world.runtime;
    if (neo_server_new(&o, &server, &err) != NEO_OK ||
        neo_test_v1_Speech_add(server, &handlers, NULL, &err) != NEO_OK ||
        (blocks && neo_server_set_blocking(server, "/neo.test.v1.Speech/Say", &err) != NEO_OK) ||
        (interceptor != NULL && neo_server_intercept(server, interceptor, &err) != NEO_OK) ||
        neo_server_listen(server, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
    memset(&seen, 0, sizeof(seen));
    return server;
}

struct how {
    bool asks_none; /* no caller_root_pem */
    bool blocks;
    struct neo_interceptor *interceptor;
    const struct neo_log *log;
};

/* TLS, with callers under the partner's root. */
static struct neo_server *serve(const struct how *how)
{
    const struct pki_cert *cert = pki_make(world.pki, pki_issuer(world.pki), "echo-service",
                                           &(struct pki_options){.dns = "localhost"});
    struct neo_buffer chain = {0}, key = {0}, root = {0};

    pki_pem_chain(cert, &chain);
    pki_pem_key(cert, &key);
    pki_pem_root(partner, &root);
    struct neo_insecure_server insecure = {.mode = NEO_INSECURE_ANONYMOUS_CALLERS,
                                           .certificate_pem = neo_buffer_bytes(&chain),
                                           .key_pem = neo_buffer_bytes(&key)};
    if (!how->asks_none)
        insecure.caller_root_pem = neo_buffer_bytes(&root);
    struct neo_policy *policy = policy_for_anonymous();
    struct neo_server *server = start(&(struct neo_server_options){.epoch = {.policy = policy},
                                                                   .log = how->log,
                                                                   .insecure = &insecure},
                                      how->interceptor, how->blocks);
    neo_policy_unref(policy);
    neo_buffer_fini(&chain);
    neo_buffer_fini(&key);
    neo_buffer_fini(&root);
    return server;
}

/* --- the caller --------------------------------------------------------------------------- */

/* `own` NULL: it shows none. */
static struct neo_channel *dial(struct neo_server *server, const struct pki_cert *own)
{
    struct neo_buffer chain = {0}, key = {0}, root = {0};
    struct neo_channel *channel;
    char target[200];

    pki_pem_root(world.pki, &root);
    if (own != NULL) {
        pki_pem_chain(own, &chain);
        pki_pem_key(own, &key);
    }
    const struct neo_insecure_channel insecure = {.mode = NEO_INSECURE_ANONYMOUS_CALLERS,
                                                  .server_name = "localhost",
                                                  .root_pem = neo_buffer_bytes(&root),
                                                  .certificate_pem = neo_buffer_bytes(&chain),
                                                  .key_pem = neo_buffer_bytes(&key)};
    const struct neo_channel_options o = {.loop = neo_runtime_loop(world.runtime, 0),
                                          .insecure = &insecure};
    echo_target(target, sizeof(target), &server, 1);
    assert_int_equal(neo_channel_open(target, &o, &channel, NULL), NEO_OK);
    neo_buffer_fini(&chain);
    neo_buffer_fini(&key);
    neo_buffer_fini(&root);
    return channel;
}

static enum neo_code say_to(struct neo_channel *channel, const char *text)
{
    struct neo_test_v1_Words request = {.text = neo_text(text)}, reply;
    struct neo_arena arena = NEO_ARENA(1 << 20);
    enum neo_code code = neo_test_v1_Speech_Say(channel, NULL, &request, &reply, &arena, NULL);

    neo_arena_fini(&arena);
    return code;
}

static const struct pki_cert *of(struct pki *ca, const char *san)
{
    return pki_make(ca, pki_issuer(ca), "client", &(struct pki_options){.san = san});
}

/* One call over a connection of its own. */
static enum neo_code call_once(struct neo_server *server, const struct pki_cert *own)
{
    struct neo_channel *channel = dial(server, own);
    enum neo_code code = say_to(channel, "hello");

    neo_channel_free(channel);
    return code;
}

static void wait_until_alone(struct neo_server *server)
{
    while (neo_server_stats(server).connections != 0)
        ;
}

/* --- what no handler sees ------------------------------------------------------------------- */

TEST(a_certificate_that_is_not_under_the_callers_root_reaches_no_handler)
{
    struct neo_server *server = serve(&(struct how){0});

    assert_int_not_equal(call_once(server, of(world.pki, NAMES)), NEO_OK);
    assert_int_not_equal(call_once(server, NULL), NEO_OK);
    assert_int_equal(seen.calls, 0);
    assert_int_equal(neo_server_stats(server).started, 0);
    neo_server_free(server);
}

TEST(where_no_certificate_is_asked_for_there_is_none)
{
    struct neo_server *server = serve(&(struct how){.asks_none = true});

    assert_int_equal(call_once(server, of(partner, NAMES)), NEO_OK);
    assert_true(seen.calls == 1 && !seen.any && seen.anonymous);
    assert_int_equal(call_once(server, NULL), NEO_OK);
    assert_true(seen.calls == 2 && !seen.any);
    neo_server_free(server);
}

TEST(cleartext_has_no_certificate)
{
    static const struct neo_insecure_server clear = {.mode = NEO_INSECURE_CLEARTEXT};
    static const struct neo_insecure_channel to_clear = {.mode = NEO_INSECURE_CLEARTEXT,
                                                         .server_name = "localhost"};
    struct neo_policy *policy = policy_for_anonymous();
    struct neo_server *server = start(
        &(struct neo_server_options){.epoch = {.policy = policy}, .insecure = &clear}, NULL, false);
    const struct neo_channel_options o = {.loop = neo_runtime_loop(world.runtime, 0),
                                          .insecure = &to_clear};
    struct neo_channel *channel;
    char target[200];

    echo_target(target, sizeof(target), &server, 1);
    assert_int_equal(neo_channel_open(target, &o, &channel, NULL), NEO_OK);
    assert_int_equal(say_to(channel, "hello"), NEO_OK);
    assert_true(seen.calls == 1 && !seen.any);
    neo_channel_free(channel);
    neo_server_free(server);
    neo_policy_unref(policy);
}

TEST(what_mutual_tls_has_proven_is_not_foreign)
{
    struct neo_server *server =
        start(&(struct neo_server_options){.epoch = world.epoch}, NULL, false);
    char target[200];

    echo_target(target, sizeof(target), &server, 1);
    struct neo_channel *channel = echo_channel(&world, "caller-service", target, NULL);
    assert_int_equal(say_to(channel, "hello"), NEO_OK);
    assert_true(seen.calls == 1 && !seen.any && !seen.anonymous);
    neo_channel_free(channel);
    neo_server_free(server);
}

TEST(a_certificate_with_a_malformed_name_is_withheld_whole_and_the_log_says_why)
{
    static const struct {
        const char *san;
        const char *why;
    } bad[] = {
        /* "ok" and then "a" NUL "b" as DNS names; as URI; as a mail address */
        {"DER:30:09:82:02:6f:6b:82:03:61:00:62", "unprintable"},
        {"DER:30:09:82:02:6f:6b:86:03:61:00:62", "unprintable"},
        {"DER:30:09:82:02:6f:6b:81:03:61:00:62", "unprintable"},
        {"DER:30:09:82:02:6f:6b:82:03:61:c3:a9", "unprintable"},
        {"DER:30:06:82:02:6f:6b:82:00", "unprintable"}, /* an empty one */
    };
    char said[4096];
    int ends[2];

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        assert_int_equal(pipe(ends), 0);
        const struct neo_log log = {
            .fd = ends[1], .level = NEO_LOG_WARN, .wall_nsec = neo_wall_nsec};
        struct neo_server *server = serve(&(struct how){.log = &log});
        struct neo_channel *channel = dial(server, of(partner, bad[i].san));
        assert_int_equal(say_to(channel, "hello"), NEO_OK);
        assert_int_equal(say_to(channel, "hello"), NEO_OK);
        assert_true(seen.calls == 2 && !seen.any);
        neo_channel_free(channel);
        neo_server_free(server);
        assert_int_equal(close(ends[1]), 0);
        ssize_t len = read(ends[0], said, sizeof(said) - 1);
        said[len < 0 ? 0 : len] = '\0';
        assert_int_equal(close(ends[0]), 0);
        const char *line = strstr(said, "\"event\":\"connection.foreign_certificate\"");
        assert_non_null(line);
        assert_non_null(strstr(said, bad[i].why));
        assert_null(strstr(strchr(line, '\n'), "foreign_certificate")); /* once a connection */
    }
}

TEST(a_certificate_with_too_many_names_is_withheld)
{
    struct neo_buffer san = {0};
    struct neo_server *server = serve(&(struct how){0});

    for (int i = 0; i < 65; i++)
        assert_true(neo_buffer_printf(&san, "%sDNS:h%d", i == 0 ? "" : ",", i));
    assert_true(neo_buffer_append(&san, neo_bytes("", 1)));
    assert_int_equal(call_once(server, of(partner, (const char *)san.at)), NEO_OK);
    assert_true(seen.calls == 1 && !seen.any);
    neo_server_free(server);
    neo_buffer_fini(&san);
}

/* --- what they see ---------------------------------------------------------------------------- */

static void assert_seen(const struct pki_cert *cert)
{
    uint8_t sha256[NEO_SHA256_LEN];

    neo_sha256(pki_der(cert), sha256);
    assert_true(seen.any && seen.anonymous);
    assert_int_equal(seen.n_dns, 2);
    assert_int_equal(seen.n_uris, 2);
    assert_string_equal(seen.dns[0], "a.partner.test");
    assert_string_equal(seen.dns[1], "*.partner.test");
    assert_string_equal(seen.uri[0], "https://partner.test/a");
    assert_string_equal(seen.uri[1], "urn:b");
    assert_memory_equal(seen.sha256, sha256, sizeof(sha256));
}

TEST(a_handler_sees_the_certificate_and_the_caller_stays_anonymous)
{
    const struct pki_options rsa = {.key = "RSA-2048", .san = NAMES};
    const struct pki_cert *certs[] = {of(partner, NAMES),
                                      pki_make(partner, pki_issuer(partner), "client", &rsa)};
    struct neo_server *server = serve(&(struct how){0});

    for (size_t i = 0; i < NEO_COUNT(certs); i++) {
        assert_int_equal(call_once(server, certs[i]), NEO_OK);
        assert_seen(certs[i]);
    }
    assert_int_equal(call_once(server, of(partner, "")),
                     NEO_OK); /* no names, and still it is one */
    assert_true(seen.any && seen.n_dns == 0 && seen.n_uris == 0);
    neo_server_free(server);
}

TEST(a_handler_that_blocks_sees_it_on_its_thread)
{
    const struct pki_cert *cert = of(partner, NAMES);
    struct neo_server *server = serve(&(struct how){.blocks = true});

    assert_int_equal(call_once(server, cert), NEO_OK);
    assert_seen(cert);
    neo_server_free(server);
}

static enum neo_code let_in_partners(struct neo_interceptor *self, struct neo_call *call,
                                     void **state, struct neo_status *refusal)
{
    const struct neo_cert *cert = neo_call_foreign_certificate(call);
    const char *uri = cert != NULL ? neo_cert_uri(cert, 0) : NULL;

    (void)self;
    (void)state;
    if (uri != NULL && strcmp(uri, "https://partner.test/a") == 0)
        return NEO_OK;
    *refusal = neo_status_of(NEO_PERMISSION_DENIED, "partners only");
    return refusal->code;
}

TEST(an_interceptor_can_let_in_by_it)
{
    static struct neo_interceptor partners = {.name = "partners", .begin = let_in_partners};
    struct neo_server *server = serve(&(struct how){.interceptor = &partners});

    assert_int_equal(call_once(server, of(partner, "URI:https://partner.test/b")),
                     NEO_PERMISSION_DENIED);
    assert_int_equal(call_once(server, of(partner, "DNS:https")), NEO_PERMISSION_DENIED);
    assert_int_equal(seen.calls, 0);
    assert_int_equal(call_once(server, of(partner, NAMES)), NEO_OK);
    assert_int_equal(seen.calls, 1);
    neo_server_free(server);
}

static void look_later(struct neo_job *job)
{
    (void)job;
    look(seen.unasked);
    seen.calls++;
}

TEST(a_call_that_is_kept_beyond_its_connection_still_has_what_it_was_asked_for)
{
    const struct pki_cert *cert = of(partner, NAMES);
    struct neo_server *server = serve(&(struct how){0});
    struct neo_channel *channel = dial(server, cert);
    struct neo_job job = {.run = look_later};

    assert_int_equal(say_to(channel, "keep unasked"), NEO_OK);
    assert_int_equal(say_to(channel, "keep"), NEO_OK);
    neo_channel_free(channel);
    wait_until_alone(server);
    memset(seen.dns, 0, sizeof(seen.dns));
    look(seen.kept);
    assert_seen(cert);
    neo_call_run(seen.unasked, &job);
    while (seen.calls != 3)
        ;
    assert_false(seen.any);
    neo_call_unref(seen.kept);
    neo_call_unref(seen.unasked);
    neo_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_is_not_under_the_callers_root_reaches_no_handler),
        cmocka_unit_test(where_no_certificate_is_asked_for_there_is_none),
        cmocka_unit_test(cleartext_has_no_certificate),
        cmocka_unit_test(what_mutual_tls_has_proven_is_not_foreign),
        cmocka_unit_test(
            a_certificate_with_a_malformed_name_is_withheld_whole_and_the_log_says_why),
        cmocka_unit_test(a_certificate_with_too_many_names_is_withheld),
        cmocka_unit_test(a_handler_sees_the_certificate_and_the_caller_stays_anonymous),
        cmocka_unit_test(a_handler_that_blocks_sees_it_on_its_thread),
        cmocka_unit_test(an_interceptor_can_let_in_by_it),
        cmocka_unit_test(a_call_that_is_kept_beyond_its_connection_still_has_what_it_was_asked_for),
    };
    return cmocka_run_group_tests_name("rpc/foreign", tests, set_up, tear_down);
}
