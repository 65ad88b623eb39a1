/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `neo check`: one line per check, in the order in which things depend on each other;
 * where one fails, the reason and the next command.
 */
#include "cli/cli.h"

#include <neo/ca/v1/ca.neo.h>
#include <neo/cert.h>
#include <neo/loop.h>
#include <neo/policy/v1/policy.neo.h>
#include <neo/registry/v1/registry.neo.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* How the hash of a policy without a document begins: SHA-256 of nothing. */
#define EMPTY_POLICY "e3b0c44298fc1c14"

enum outcome { GOOD, WARNING, BAD, SKIPPED };

struct checker {
    uint64_t policy_number; /* that the registry hands out */
    struct neo_json_writer json;
    struct neo_buffer out;
    unsigned bad;
    unsigned warnings;
    struct neo_mesh *mesh;
    struct neo_arena arena;
};

static const struct neo_call_options patience = {.timeout = 3 * NEO_NSEC_PER_SEC};

static void put_json(struct checker *c, const char *what, enum outcome outcome, const char *why,
                     const char *next)
{
    static const char *const words[] = {"success", "warning", "error", "skipped"};

    neo_json_open_object(&c->json);
    neo_json_put_key(&c->json, "check");
    neo_json_put_text(&c->json, what);
    neo_json_put_key(&c->json, "result");
    neo_json_put_text(&c->json, words[outcome]);
    neo_json_put_key(&c->json, "why");
    neo_json_put_text(&c->json, why);
    neo_json_put_key(&c->json, "next");
    neo_json_put_text(&c->json, next);
    neo_json_close_object(&c->json);
}

/* `next` is the command that helps; "" when all is well. */
static void say(struct checker *c, enum outcome outcome, const char *what, const char *why,
                const char *next)
{
    static const char *const marks[] = {"√", "‼", "×", "-"};
    static const enum ink inks[] = {INK_GREEN, INK_YELLOW, INK_RED, INK_DIM};

    c->bad += outcome == BAD;
    c->warnings += outcome == WARNING;
    if (cli.json) {
        put_json(c, what, outcome, why, next);
        return;
    }
    (void)printf("%s%s%s %s", ink(inks[outcome]), marks[outcome], ink(INK_NONE), what);
    if (outcome == GOOD && why[0] != '\0')
        (void)printf(" %s(%s)%s", ink(INK_DIM), why, ink(INK_NONE));
    (void)printf("\n");
    if (outcome != GOOD && why[0] != '\0')
        (void)printf("    %s\n", why);
    if (outcome != GOOD && next[0] != '\0')
        (void)printf("    next: %s\n", next);
}

NEO_PRINTF(5, 6)
static void sayf(struct checker *c, enum outcome outcome, const char *what, const char *next,
                 const char *format, ...)
{
    char why[400];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    say(c, outcome, what, why, next);
}

/* --- on this machine -------------------------------------------------------------------------- */

static bool check_folder(struct checker *c)
{
    struct neo_error err;
    struct stat st;

    if (stat(cli.dir, &st) != 0) {
        sayf(c, BAD, "the folder of the control plane exists", "neo up --detach",
             "there is no '%s'", cli.dir);
        return false;
    }
    if (dir_enter(&err) != NEO_OK) {
        say(c, BAD, "the folder is open to you", err.message, "ask as its owner");
        return false;
    }
    if ((st.st_mode & 077) != 0) {
        sayf(c, BAD, "only its owner may enter the folder", "chmod 700 the folder",
             "'%s' has mode %03o and holds keys", cli.dir, st.st_mode & 0777u);
        return false;
    }
    say(c, GOOD, "the folder of the control plane is private", cli.dir, "");
    return true;
}

static bool check_process(struct checker *c, const char *what, const char *name)
{
    int pid;

    if (!process_alive(name, &pid)) {
        sayf(c, BAD, what, "neo up --detach", "no process; its last words are in %s/log/%s.log",
             cli.dir, name);
        return false;
    }
    sayf(c, GOOD, what, "", "pid %d, %.1f MB", pid, (double)process_memory(pid) / 1024);
    return true;
}

/* --- over the wire ---------------------------------------------------------------------------- */

/* Its successor is made at two thirds of its life; when that fails there is a third to find out. */
static void check_issuer(struct checker *c, const struct neo_ca_v1_GetStatusResponse *r)
{
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    bool late = now > r->issuer_successor_at + 86400;
    char ends[64], next[64];

    if (!r->signer_alive)
        return;
    format_when(r->issuer_not_after, ends, sizeof(ends));
    format_when(r->issuer_successor_at, next, sizeof(next));
    sayf(c, late ? WARNING : GOOD, "the issuing certificate lives, and gets its successor in time",
         late ? "see the CA's log for why none could be made" : "", "ends %s; successor %s", ends,
         next);
}

static void check_ca(struct checker *c)
{
    struct neo_ca_v1_GetStatusRequest request = {0};
    struct neo_ca_v1_GetStatusResponse r;
    struct neo_status status = {0};
    struct neo_channel *channel;
    struct neo_error err;

    if (client_channel(c->mesh, "neo-ca", &channel, &err) != NEO_OK) {
        say(c, BAD, "the CA answers", err.message, "neo down && neo up --detach");
        return;
    }
    enum neo_code code =
        neo_ca_v1_Administration_GetStatus(channel, &patience, &request, &r, &c->arena, &status);
    neo_mesh_channel_free(c->mesh, channel);
    if (code != NEO_OK) {
        sayf(c, BAD, "the CA answers over mutual TLS", "see its log, then: neo down && neo up",
             "%s: %.*s", neo_code_name(code), NEO_FMT(status.message));
        return;
    }
    sayf(c, GOOD, "the CA answers over mutual TLS", "", "%" PRIu64 " issued, %" PRIu64 " revoked",
         r.issued, r.revoked);
    say(c, r.signer_alive ? GOOD : BAD, "its signer is alive in a process of its own", "",
        r.signer_alive ? "" : "neo down && neo up --detach: nothing signed is lost");
    check_issuer(c, &r);
}

static void check_policy(struct checker *c, struct neo_channel *channel)
{
    struct neo_policy_v1_GetStatusRequest request = {0};
    struct neo_policy_v1_GetStatusResponse r;
    struct neo_status status = {0};

    enum neo_code code =
        neo_policy_v1_PolicyFeed_GetStatus(channel, &patience, &request, &r, &c->arena, &status);
    if (code != NEO_OK) {
        sayf(c, BAD, "policy is in force", "neo policy check <path>", "%s: %.*s",
             neo_code_name(code), NEO_FMT(status.message));
        return;
    }
    sayf(c, GOOD, "policy is in force", "", "number %" PRIu64 ", hash %.*s", r.number,
         NEO_FMT(r.hash));
    c->policy_number = r.number;
    if (r.last_error.len > 0)
        sayf(c, BAD, "the files on disk are what is in force", "mend it; then: neo check",
             "they do not load, the last good ones stay: %.*s", NEO_FMT(r.last_error));
    else
        say(c, GOOD, "the files on disk are what is in force", "", "");
    if (neo_bytes_starts(r.hash, NEO_LIT(EMPTY_POLICY)))
        say(c, WARNING, "the policy has rules", "it is empty: services may call nobody",
            "put a .yaml file where `neo up --policy PATH` looks; neo up --help");
}

static void check_instances(struct checker *c, struct neo_channel *channel)
{
    struct neo_registry_v1_ListRequest request = {0};
    struct neo_registry_v1_ListResponse r;
    struct neo_status status = {0};
    unsigned sick = 0, behind = 0, mute = 0;

    enum neo_code code =
        neo_registry_v1_Registry_List(channel, &patience, &request, &r, &c->arena, &status);
    if (code != NEO_OK) {
        sayf(c, BAD, "the registry lists instances", "see its log", "%s: %.*s", neo_code_name(code),
             NEO_FMT(status.message));
        return;
    }
    for (size_t i = 0; i < r.instances.len; i++) {
        sick += r.instances.at[i]->health != neo_registry_v1_HEALTH_SERVING;
        behind += r.instances.at[i]->policy_number != c->policy_number;
        mute += r.instances.at[i]->audit_failing;
    }
    sayf(c, sick == 0 ? GOOD : WARNING, "registered instances are healthy",
         sick == 0 ? "" : "neo registry list", "%zu instances, %u not serving", r.instances.len,
         sick);
    if (mute > 0)
        sayf(c, BAD, "services write their audit trails",
             "neo registry list; free space, or restart after repair: docs/AUDIT.md",
             "%u of %zu instances cannot: their disk is full, or failed", mute, r.instances.len);
    if (r.instances.len > 0)
        sayf(c, behind == 0 ? GOOD : WARNING, "all instances live by this policy",
             behind == 0 ? "" : "neo check, in a few seconds; then look at their logs",
             behind == 0 ? "number %" PRIu64 : "number %" PRIu64 "; %u of %zu have another",
             c->policy_number, behind, r.instances.len);
}

static void check_registry(struct checker *c)
{
    struct neo_channel *channel;
    struct neo_error err;

    if (client_channel(c->mesh, "neo-registry", &channel, &err) != NEO_OK) {
        say(c, BAD, "the registry answers", err.message, "neo down && neo up --detach");
        return;
    }
    check_policy(c, channel);
    check_instances(c, channel);
    neo_mesh_channel_free(c->mesh, channel);
}

/* CA and registry write here: without room there is no certificate, no token, no record. */
static void check_disk(struct checker *c)
{
    enum { LEAST_KIB = 1024, FEW_KIB = 64 * 1024 };
    struct statvfs st;

    if (statvfs(cli.dir, &st) != 0)
        return;
    uint64_t kib = (uint64_t)st.f_bavail * st.f_frsize / 1024;
    bool few = kib < FEW_KIB;
    sayf(c,
         kib < LEAST_KIB ? BAD
         : few           ? WARNING
                         : GOOD,
         "the disk of CA and registry has room", few ? "free space; both go on by themselves" : "",
         "%" PRIu64 " MiB free", kib / 1024);
}

static void check_all(struct checker *c)
{
    struct neo_error err;
    char path[PATH_LEN];
    struct stat st;

    if (!check_folder(c))
        return;
    check_disk(c);
    bool ca = check_process(c, "the CA runs", "ca");
    bool registry = check_process(c, "the registry runs", "registry");
    if (!ca || !registry) {
        say(c, SKIPPED, "what they answer", "both must run first", "");
        return;
    }
    if (client_join(OPERATOR, &c->mesh, &err) != NEO_OK) {
        say(c, BAD, "the operator has an identity", err.message, "neo down && neo up --detach");
        return;
    }
    say(c, GOOD, "the operator has an identity, trust and policy", "", "");
    check_ca(c);
    check_registry(c);
    dir_path(path, "run/development");
    if (stat(path, &st) == 0)
        say(c, WARNING, "evidence comes from hardware",
            "DEVELOPMENT: simulated evidence is accepted here",
            "never in production: neo up "
            "without --insecure-dev, in a fresh folder");
    neo_mesh_free(c->mesh);
}

static int run(int argc, char **argv)
{
    struct checker c = {.bad = 0};
    const char *rest[1];
    int status;

    if (args_parse(&command_check, argc, argv, NULL, 0, rest, 0, &status) < 0)
        return status;
    c.json = (struct neo_json_writer){.out = &c.out, .pretty = true};
    neo_json_open_object(&c.json);
    neo_json_put_key(&c.json, "checks");
    neo_json_open_array(&c.json);
    neo_arena_init(&c.arena, 32 << 20);
    check_all(&c);
    neo_arena_fini(&c.arena);
    neo_json_close_array(&c.json);
    neo_json_put_key(&c.json, "success");
    neo_json_put_bool(&c.json, c.bad == 0);
    neo_json_close_object(&c.json);
    if (cli.json)
        print_json(&c.out);
    else if (c.bad == 0)
        (void)printf("\nall is well%s\n", c.warnings == 0 ? "" : ", with warnings");
    else
        (void)printf("\n%u check%s failed\n", c.bad, c.bad == 1 ? "" : "s");
    neo_buffer_fini(&c.out);
    return c.bad == 0 ? EXIT_OK : EXIT_FAILED;
}

const struct command command_check = {
    .name = "check",
    .run = run,
    .summary = "is all well? if not: why, and the next command",
    .usage = "check",
    .examples = "  neo check\n  neo check -o json\n",
};
