/* SPDX-License-Identifier: Apache-2.0 */
/* `neo cert inspect <file|->`: certificates for people, and what our profile says of them. */
#include "cli/cli.h"

#include <neo/cert.h>
#include <neo/encoding.h>
#include <neo/loop.h>
#include <neo/store.h>

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 20 };

static enum neo_code read_stdin(struct neo_buffer *out, struct neo_error *err)
{
    for (;;) {
        uint8_t *at = out->len > INPUT_MAX ? NULL : neo_buffer_reserve(out, 4096);
        if (at == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "stdin holds more than 1 MiB");
        ssize_t n = read(STDIN_FILENO, at, 4096);
        if (n < 0)
            return neo_fail_errno(err, "cannot read stdin");
        if (n == 0)
            return NEO_OK;
        out->len += (size_t)n;
    }
}

static void format_time(int64_t seconds, char *text, size_t len)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(text, len, "%FT%TZ", &tm) == 0)
        (void)snprintf(text, len, "?");
}

static void print_text(const struct neo_cert *cert)
{
    const struct neo_cert_facts *f = neo_cert_facts(cert);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    char from[32], until[32], when[64];
    struct neo_error err;

    (void)neo_hex_encode(&hex, f->serial);
    format_time(f->not_before, from, sizeof(from));
    format_time(f->not_after, until, sizeof(until));
    format_when(f->not_after, when, sizeof(when));
    bool expired = f->not_after <= neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    (void)printf("%s%s certificate%s (%s)\n", ink(INK_BOLD), f->is_ca ? "CA" : "Service",
                 ink(INK_NONE), f->key_kind);
    (void)printf("  identity  %.*s\n", NEO_FMT(f->uri.len > 0 ? f->uri : NEO_LIT("none")));
    (void)printf("  subject   %s\n  issuer    %s\n  serial    %.*s\n", f->subject, f->issuer,
                 NEO_FMT(neo_buffer_bytes(&hex)));
    (void)printf("  valid     %s\n  to        %s%s (%s)%s\n", from, expired ? ink(INK_RED) : "",
                 until, when, expired ? ink(INK_NONE) : "");
    for (size_t i = 0; i < f->dns_names; i++)
        (void)printf("  dns       %s\n", f->dns_name[i]);
    if (f->is_ca)
        return;
    if (neo_cert_check_leaf(cert, &err) == NEO_OK)
        (void)printf("  profile   %sfits%s\n", ink(INK_GREEN), ink(INK_NONE));
    else
        (void)printf("  profile   %sdoes not fit%s: %s\n", ink(INK_RED), ink(INK_NONE),
                     err.message);
}

static void put_json(struct neo_json_writer *w, const struct neo_cert *cert)
{
    const struct neo_cert_facts *f = neo_cert_facts(cert);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    struct neo_error err = {.message = ""};
    bool fits = f->is_ca || neo_cert_check_leaf(cert, &err) == NEO_OK;

    (void)neo_hex_encode(&hex, f->serial);
    neo_json_open_object(w);
    neo_json_put_key(w, "identity");
    neo_json_put_string(w, f->uri);
    neo_json_put_key(w, "subject");
    neo_json_put_text(w, f->subject);
    neo_json_put_key(w, "issuer");
    neo_json_put_text(w, f->issuer);
    neo_json_put_key(w, "serial");
    neo_json_put_string(w, neo_buffer_bytes(&hex));
    neo_json_put_key(w, "not_before");
    neo_json_put_i64(w, f->not_before);
    neo_json_put_key(w, "not_after");
    neo_json_put_i64(w, f->not_after);
    neo_json_put_key(w, "key");
    neo_json_put_text(w, f->key_kind);
    neo_json_put_key(w, "is_ca");
    neo_json_put_bool(w, f->is_ca);
    neo_json_put_key(w, "fits_profile");
    neo_json_put_bool(w, fits);
    neo_json_put_key(w, "why_not");
    neo_json_put_text(w, err.message);
    neo_json_close_object(w);
}

static const char begin[] = "-----BEGIN CERTIFICATE-----";

/* Each certificate of a PEM text, or the one of a DER file. */
static int show_all(struct neo_bytes text, const char *what)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};
    struct neo_error err;
    size_t shown = 0;

    neo_json_open_array(&w);
    const uint8_t *at = memmem(text.at, text.len, begin, sizeof(begin) - 1);
    bool is_pem = at != NULL;
    do {
        NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = NULL;
        struct neo_bytes rest = text;
        if (is_pem)
            rest = neo_bytes(at, (size_t)(text.at + text.len - at));
        enum neo_code code = is_pem ? neo_cert_from_pem(rest, what, &cert, &err)
                                    : neo_cert_from_der(rest, what, &cert, &err);
        if (code != NEO_OK && !is_pem)
            (void)neo_fail(&err, code, "%s holds no certificate, neither PEM nor DER", what);
        if (code != NEO_OK)
            return fail(&err);
        if (cli.json)
            put_json(&w, cert);
        else
            print_text(cert);
        shown++;
        if (is_pem)
            at = memmem(at + 1, rest.len - 1, begin, sizeof(begin) - 1);
    } while (is_pem && at != NULL && shown < 16);
    neo_json_close_array(&w);
    if (cli.json)
        print_json(&out);
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer input = {0};
    struct neo_error err;
    const char *rest[2];
    int status;

    int n = args_parse(&command_cert, argc, argv, NULL, 0, rest, 2, &status);
    if (n < 0)
        return status;
    if (n != 2 || strcmp(rest[0], "inspect") != 0)
        return fail_usage("say which: neo cert inspect <file|->");
    enum neo_code code = strcmp(rest[1], "-") == 0
                             ? read_stdin(&input, &err)
                             : neo_file_read(rest[1], INPUT_MAX, &input, &err);
    if (code != NEO_OK)
        return fail(&err);
    return show_all(neo_buffer_bytes(&input), rest[1]);
}

const struct command command_cert = {
    .name = "cert",
    .run = run,
    .summary = "show a certificate, and whether it fits the profile",
    .usage = "cert inspect <file|->",
    .examples = "  neo cert inspect .neo/as/neo-operator/identity.pem\n"
                "  openssl s_client -connect 127.0.0.1:8441 </dev/null 2>/dev/null | neo cert "
                "inspect -\n",
};
