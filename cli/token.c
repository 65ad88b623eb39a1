/* SPDX-License-Identifier: Apache-2.0 */
/* `neo token create`, and `neo ca status | list | revoke`: the operator speaks to the CA. */
#include "cli/cli.h"

#include <neo/ca/v1/ca.neo.h>
#include <neo/store.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The operator's channel to the CA, and an arena for one answer. */
struct ca_session {
    struct neo_mesh *mesh;
    struct neo_channel *channel;
    struct neo_arena arena;
    struct neo_status status;
};

static const struct neo_call_options patience = {.timeout = 5 * NEO_NSEC_PER_SEC};

static enum neo_code session_open(struct ca_session *s, struct neo_error *err)
{
    *s = (struct ca_session){.mesh = NULL};
    NEO_TRY(client_join(OPERATOR, &s->mesh, err));
    enum neo_code code = client_channel(s->mesh, "neo-ca", &s->channel, err);
    if (code != NEO_OK) {
        neo_mesh_free(s->mesh);
        return code;
    }
    neo_arena_init(&s->arena, 16 << 20);
    return NEO_OK;
}

static void session_close(struct ca_session *s)
{
    neo_arena_fini(&s->arena);
    client_close(s->mesh, s->channel);
}

static int refused(const struct ca_session *s, enum neo_code code)
{
    struct neo_error err;

    if (code == NEO_UNAVAILABLE)
        (void)neo_fail(&err, code, "the CA does not answer: %.*s; is it up? see: neo status",
                       NEO_FMT(s->status.message));
    else
        (void)neo_fail(&err, code, "the CA refused: %s: %.*s", neo_code_name(code),
                       NEO_FMT(s->status.message));
    return fail(&err);
}

/* --- token create ----------------------------------------------------------------------------- */

enum { TTL_MOST = 3600 };

/* Nobody else may read it: whoever does may be the service. */
static int keep_token(const struct neo_ca_v1_CreateTokenResponse *r, const char *service,
                      const char *file)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer line = {0};
    struct neo_error err;
    char when[64];

    if (!neo_buffer_append(&line, r->join_string) || !neo_buffer_append_byte(&line, '\n'))
        (void)neo_fail(&err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    else if (neo_file_replace(file, neo_buffer_bytes(&line), 0600, &err) == NEO_OK) {
        format_when(r->expires_at, when, sizeof(when));
        (void)fprintf(stderr, "%s lets one %s join; ends %s\n", file, service, when);
        return EXIT_OK;
    }
    return fail(&err);
}

static int print_token(const struct neo_ca_v1_CreateTokenResponse *r, const char *service)
{
    char when[64];

    if (cli.json) {
        NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer out = {0};
        struct neo_error err;
        if (neo_proto_to_json(&neo_ca_v1_CreateTokenResponse_info, r,
                              NEO_JSON_PRETTY | NEO_JSON_PROTO_NAMES, &out, &err) != NEO_OK)
            return fail(&err);
        print_json(&out);
        return EXIT_OK;
    }
    (void)printf("%.*s\n", (int)r->join_string.len, (const char *)r->join_string.at);
    format_when(r->expires_at, when, sizeof(when));
    (void)fprintf(stderr, "lets one %s join; ends %s\n", service, when);
    return EXIT_OK;
}

static int create(const char *service, uint32_t ttl, const char *file)
{
    struct neo_ca_v1_CreateTokenRequest request = {.service = neo_text(service),
                                                   .ttl_seconds = ttl};
    struct neo_ca_v1_CreateTokenResponse response;
    struct ca_session s;
    struct neo_error err;

    if (session_open(&s, &err) != NEO_OK)
        return fail(&err);
    enum neo_code code = neo_ca_v1_Administration_CreateToken(s.channel, &patience, &request,
                                                              &response, &s.arena, &s.status);
    int status;
    if (code != NEO_OK)
        status = refused(&s, code);
    else
        status =
            file != NULL ? keep_token(&response, service, file) : print_token(&response, service);
    session_close(&s);
    return status;
}

static bool read_ttl(const char *text, uint32_t *ret)
{
    size_t len = strlen(text);

    if (len == 0 || len > 4 || strspn(text, "0123456789") != len)
        return false;
    *ret = (uint32_t)strtoul(text, NULL, 10);
    return *ret >= 1 && *ret <= TTL_MOST;
}

static int run_token(int argc, char **argv)
{
    const char *ttl_text = NULL, *file = NULL;
    uint32_t ttl = 0;
    const struct arg args[] = {
        {"--ttl", ARG_TEXT, &ttl_text, "SECONDS", "how long it may be used, 1 to 3600 [600]"},
        {"--out", ARG_TEXT, &file, "FILE", "into FILE, which only you may read, not to stdout"},
    };
    const char *rest[2];
    int status;

    int n = args_parse(&command_token, argc, argv, args, NEO_COUNT(args), rest, 2, &status);
    if (n < 0)
        return status;
    if (n != 2 || strcmp(rest[0], "create") != 0)
        return fail_usage("say for whom: neo token create <service>");
    if (ttl_text != NULL && !read_ttl(ttl_text, &ttl))
        return fail_usage("--ttl %s: 1 to %d seconds", ttl_text, TTL_MOST);
    return create(rest[1], ttl, file);
}

const struct command command_token = {
    .name = "token",
    .run = run_token,
    .summary = "make a one-time string that lets a service join",
    .usage = "token create <service> [--ttl SECONDS] [--out FILE]",
    .examples = "  neo token create function-service --out join\n"
                "  function-service --state /var/lib/function --join-file join\n",
};

/* --- ca --------------------------------------------------------------------------------------- */

static int print_proto(const struct neo_message_info *info, const void *message)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_error err;

    if (neo_proto_to_json(info, message, NEO_JSON_PRETTY | NEO_JSON_PROTO_NAMES | NEO_JSON_DEFAULTS,
                          &out, &err) != NEO_OK)
        return fail(&err);
    print_json(&out);
    return EXIT_OK;
}

static int ca_status(struct ca_session *s)
{
    struct neo_ca_v1_GetStatusRequest request = {0};
    struct neo_ca_v1_GetStatusResponse r;
    char root[64], issuer[64], next[64];

    enum neo_code code = neo_ca_v1_Administration_GetStatus(s->channel, &patience, &request, &r,
                                                            &s->arena, &s->status);
    if (code != NEO_OK)
        return refused(s, code);
    if (cli.json)
        return print_proto(&neo_ca_v1_GetStatusResponse_info, &r);
    format_when(r.root_not_after, root, sizeof(root));
    format_when(r.issuer_not_after, issuer, sizeof(issuer));
    format_when(r.issuer_successor_at, next, sizeof(next));
    (void)printf("trust domain   %.*s\ntrust epoch    %" PRIu64 "\nroot ends      %s\n"
                 "issuer ends    %s; its successor is made %s\nissued         %" PRIu64
                 "\nrevoked        %" PRIu64 "\nsigner         %s\n",
                 NEO_FMT(r.trust_domain), r.trust_epoch, root, issuer, next, r.issued, r.revoked,
                 r.signer_alive ? "alive" : "GONE");
    return EXIT_OK;
}

static int ca_list(struct ca_session *s, const char *service)
{
    struct neo_ca_v1_ListCertificatesRequest request = {.service = neo_text(service)};
    struct neo_ca_v1_ListCertificatesResponse r;
    struct table t;

    enum neo_code code = neo_ca_v1_Administration_ListCertificates(s->channel, &patience, &request,
                                                                   &r, &s->arena, &s->status);
    if (code != NEO_OK)
        return refused(s, code);
    if (service[0] != '\0' && r.certificates.len == 0) {
        struct neo_error err;
        (void)neo_fail(&err, NEO_NOT_FOUND, "no certificate of '%s' is valid now", service);
        return fail(&err);
    }
    if (cli.json)
        return print_proto(&neo_ca_v1_ListCertificatesResponse_info, &r);
    table_begin(&t, 5, (const char *const[]){"SERIAL", "SERVICE", "ENDS", "BY", "STATE"});
    for (size_t i = 0; i < r.certificates.len; i++) {
        const struct neo_ca_v1_Certificate *c = r.certificates.at[i];
        char when[64];
        format_when(c->not_after, when, sizeof(when));
        table_cellf(&t, "%.*s", NEO_FMT(c->serial));
        table_cellf(&t, "%.*s", NEO_FMT(c->service));
        table_cell(&t, when);
        table_cellf(&t, "%.*s", NEO_FMT(c->credential));
        table_cell(&t, c->revoked ? "REVOKED" : "valid");
    }
    table_end(&t);
    return EXIT_OK;
}

static bool is_hex(const char *text)
{
    size_t len = strlen(text);

    return len >= 16 && strspn(text, "0123456789abcdefABCDEF") == len;
}

static int ca_revoke(struct ca_session *s, const char *what, const char *reason)
{
    struct neo_ca_v1_RevokeRequest request = {.reason = neo_text(reason)};
    struct neo_ca_v1_RevokeResponse r;

    request.what_case = is_hex(what) ? 1 : 2;
    if (request.what_case == 1)
        request.serial = neo_text(what);
    else
        request.service = neo_text(what);
    enum neo_code code =
        neo_ca_v1_Administration_Revoke(s->channel, &patience, &request, &r, &s->arena, &s->status);
    if (code != NEO_OK)
        return refused(s, code);
    if (cli.json)
        return print_proto(&neo_ca_v1_RevokeResponse_info, &r);
    (void)printf("revoked %u certificate%s; everybody is told (epoch %" PRIu64 ")\n",
                 r.certificates, r.certificates == 1 ? "" : "s", r.epoch);
    if (request.what_case == 2)
        (void)printf("%u join token%s that nobody had used %s void now\n", r.tokens,
                     r.tokens == 1 ? "" : "s", r.tokens == 1 ? "is" : "are");
    else
        (void)printf(
            "join tokens of its service stay good; they end with: neo ca revoke <service>\n");
    return EXIT_OK;
}

/* DER, one CRL: `openssl crl -inform DER -in FILE -text` reads it. */
static int ca_crl(struct ca_session *s, bool previous)
{
    struct neo_ca_v1_GetCrlRequest request = {0};
    struct neo_ca_v1_GetCrlResponse r;

    enum neo_code code =
        neo_ca_v1_Administration_GetCrl(s->channel, &patience, &request, &r, &s->arena, &s->status);
    if (code != NEO_OK)
        return refused(s, code);
    if (cli.json)
        return print_proto(&neo_ca_v1_GetCrlResponse_info, &r);
    if (previous && r.crls.len < 2) {
        (void)fprintf(stderr, "error: no issuing certificate before the present one matters\n");
        return EXIT_FAILED;
    }
    struct neo_bytes der = r.crls.at[previous ? 1 : 0];
    return fwrite(der.at, 1, der.len, stdout) == der.len ? EXIT_OK : EXIT_FAILED;
}

static int run_ca(int argc, char **argv)
{
    const char *reason = "unspecified";
    bool previous = false;
    const struct arg args[] = {
        {"--reason", ARG_TEXT, &reason, "TEXT", "revoke: why"},
        {"--previous", ARG_FLAG, &previous, NULL, "crl: of the issuing certificate before"},
    };
    const char *rest[2] = {NULL, NULL};
    struct ca_session s;
    struct neo_error err;
    int status;

    int n = args_parse(&command_ca, argc, argv, args, NEO_COUNT(args), rest, 2, &status);
    if (n < 0)
        return status;
    bool is_status = n == 1 && strcmp(rest[0], "status") == 0;
    bool is_list = n >= 1 && strcmp(rest[0], "list") == 0;
    bool is_revoke = n == 2 && strcmp(rest[0], "revoke") == 0;
    bool is_crl = n == 1 && strcmp(rest[0], "crl") == 0;
    if (!is_status && !is_list && !is_revoke && !is_crl)
        return fail_usage(
            "say what: neo ca status | list [service] | revoke <serial|service> | crl");
    if (session_open(&s, &err) != NEO_OK)
        return fail(&err);
    if (is_status)
        status = ca_status(&s);
    else if (is_crl)
        status = ca_crl(&s, previous);
    else if (is_list)
        status = ca_list(&s, n == 2 ? rest[1] : "");
    else
        status = ca_revoke(&s, rest[1], reason);
    session_close(&s);
    return status;
}

const struct command command_ca = {
    .name = "ca",
    .run = run_ca,
    .summary = "look at the CA, list and revoke certificates (a service's unused join tokens, too)",
    .usage =
        "ca status | list [service] | revoke <serial|service> [--reason TEXT] | crl [--previous]",
    .examples = "  neo ca status\n  neo ca list function-service\n"
                "  neo ca revoke gas-bank-service --reason 'key leaked'\n"
                "  neo ca crl > neo.crl && openssl crl -inform DER -in neo.crl -text\n",
};
