/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `neo why <decision-id>`: finds the record of a decision in the audit trails of this
 * machine and says it in words: who, what, which rule, the nearest rule, what to do.
 */
#include "cli/cli.h"

#include <neo/audit.h>
#include <neo/store.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

enum { AUDIT_MAX = 256 << 20 };

struct record {
    struct neo_bytes caller, target, method, decision, stage, reason, detail, rule, nearest, trace,
        policy, time;
};

struct key {
    const char *name;
    size_t offset;
};

#define TEXT(n, m)                                                                                 \
    {                                                                                              \
        n, offsetof(struct record, m)                                                              \
    }
static const struct key keys[] = {
    TEXT("caller", caller), TEXT("target", target), TEXT("method", method),
    TEXT("stage", stage),   TEXT("reason", reason), TEXT("decision", decision),
    TEXT("detail", detail), TEXT("rule", rule),     TEXT("nearest", nearest),
    TEXT("trace", trace),   TEXT("policy", policy), TEXT("ts", time),
};

static enum neo_code read_record(struct neo_bytes line, struct neo_arena *arena, struct record *ret,
                                 struct neo_error *err)
{
    struct neo_json r;
    struct neo_bytes key;

    neo_json_init(&r, line, "audit record", arena);
    if (neo_json_enter_object(&r))
        while (neo_json_key(&r, &key)) {
            const struct key *known = NULL;
            for (size_t i = 0; i < NEO_COUNT(keys); i++)
                if (neo_bytes_is(key, keys[i].name))
                    known = &keys[i];
            void *at = known == NULL ? NULL : (char *)ret + known->offset;
            if (at == NULL || neo_json_peek(&r) != NEO_JSON_STRING)
                (void)neo_json_skip(&r);
            else
                (void)neo_json_string(&r, at);
        }
    return neo_json_finish(&r, err);
}

/* The folder itself and each folder in it may hold an audit.jsonl. */
static struct neo_bytes search_file(const char *path, const char *id, struct neo_buffer *text)
{
    neo_buffer_clear(text);
    if (neo_file_read(path, AUDIT_MAX, text, NULL) != NEO_OK)
        return (struct neo_bytes){0};
    return neo_audit_find(neo_buffer_bytes(text), id);
}

static struct neo_bytes search_folder(const char *folder, const char *id, struct neo_buffer *text,
                                      unsigned depth, char *found, size_t found_len)
{
    struct neo_bytes line = {0};
    char path[PATH_LEN];
    DIR *dir = opendir(folder);

    if (dir == NULL)
        return line;
    for (struct dirent *d; line.len == 0 && (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] == '.' ||
            snprintf(path, sizeof(path), "%s/%s", folder, d->d_name) >= (int)sizeof(path))
            continue;
        size_t len = strlen(d->d_name);
        if (len > 6 && strcmp(d->d_name + len - 6, ".jsonl") == 0) {
            line = search_file(path, id, text);
            if (line.len > 0)
                (void)snprintf(found, found_len, "%s", path);
        } else if (depth > 0 && d->d_type == DT_DIR) {
            line = search_folder(path, id, text, depth - 1, found, found_len);
        }
    }
    (void)closedir(dir);
    return line;
}

/* The number under which the registry of this folder handed it out; 0: it knows none. */
static uint64_t number_of(struct neo_bytes hash)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char path[PATH_LEN], known[80];
    uint64_t number = 0, found = 0;
    int64_t at = 0;
    int used = 0;

    dir_path(path, "registry/policy-numbers.txt");
    if (neo_file_read(path, 1 << 20, &text, NULL) != NEO_OK || !neo_buffer_append_byte(&text, '\0'))
        return 0;
    for (const char *line = (const char *)text.at;
         sscanf(line, "%" SCNu64 " %79s %" SCNd64 "\n%n", &number, known, &at, &used) == 3;
         line += used)
        if (neo_bytes_is(hash, known))
            found = number;
    return found;
}

static void print_policy(const struct record *r)
{
    uint64_t number = number_of(r->policy);

    (void)printf("  policy   %.*s", NEO_FMT(r->policy));
    if (number > 0)
        (void)printf(" (number %" PRIu64 ")", number);
    (void)printf("\n");
}

/* The policy has nothing to say of this call. */
static bool is_default_deny(const struct record *r)
{
    return r->rule.len == 0 && neo_bytes_is(r->stage, "authorise") &&
           (neo_bytes_is(r->reason, "POLICY_DENIED") || neo_bytes_is(r->reason, "POLICY_CHANGED"));
}

static void print_fix(const struct record *r)
{
    const uint8_t *slash = r->caller.len == 0 ? NULL : memrchr(r->caller.at, '/', r->caller.len);
    size_t start = slash == NULL ? 0 : (size_t)(slash - r->caller.at) + 1;

    /* Policies go by the service's name, the last part of its identity. */
    if (is_default_deny(r))
        (void)printf("\nto allow it, have in the policy:\n  service: \"%.*s\"\n"
                     "  allowed_calls:\n    - target_service: \"%.*s\"\n      operations: "
                     "[\"%.*s\"]\n",
                     NEO_FMT(neo_bytes_from(r->caller, start)), NEO_FMT(r->target),
                     NEO_FMT(r->method));
}

static void print_record(const char *id, const struct record *r, const char *file)
{
    bool allowed = neo_bytes_is(r->decision, "allow");

    (void)printf("%s%s%s  %s%.*s%s  at %.*s\n", ink(INK_BOLD), id, ink(INK_NONE),
                 ink(allowed ? INK_GREEN : INK_RED), NEO_FMT(r->decision), ink(INK_NONE),
                 NEO_FMT(r->time));
    (void)printf("  who      %.*s\n  what     %.*s of %.*s\n", NEO_FMT(r->caller),
                 NEO_FMT(r->method), NEO_FMT(r->target));
    (void)printf("  stage    %.*s\n  reason   %.*s\n", NEO_FMT(r->stage), NEO_FMT(r->reason));
    if (r->detail.len > 0)
        (void)printf("  detail   %.*s\n", NEO_FMT(r->detail));
    if (r->rule.len > 0)
        (void)printf("  rule     %.*s\n", NEO_FMT(r->rule));
    else if (is_default_deny(r))
        (void)printf("  rule     none allows it (default deny)\n");
    if (r->nearest.len > 0)
        (void)printf("  nearest  %.*s\n", NEO_FMT(r->nearest));
    if (r->trace.len > 0)
        (void)printf("  trace    %.*s\n", NEO_FMT(r->trace));
    print_policy(r);
    (void)printf("  record   %s\n", file);
    if (!allowed)
        print_fix(r);
}

static int show(const char *id, struct arg_list *audits)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_bytes line = {0};
    struct record r = {.rule = {0}};
    char found[PATH_LEN] = "";
    struct neo_arena arena;
    struct neo_error err;

    for (size_t i = 0; line.len == 0 && i < audits->n; i++) {
        line = search_file(audits->at[i], id, &text);
        if (line.len == 0)
            line = search_folder(audits->at[i], id, &text, strcmp(audits->at[i], ".") == 0 ? 1 : 2,
                                 found, sizeof(found));
        else
            (void)snprintf(found, sizeof(found), "%s", audits->at[i]);
    }
    if (line.len == 0) {
        (void)neo_fail(&err, NEO_NOT_FOUND,
                       "no audit trail here knows %s; name the state folder of the service that "
                       "refused with --audit DIR",
                       id);
        return fail(&err);
    }
    if (cli.json) {
        (void)printf("%.*s\n", (int)line.len, (const char *)line.at);
        return EXIT_OK;
    }
    neo_arena_init(&arena, 1 << 20);
    int status = EXIT_OK;
    if (read_record(line, &arena, &r, &err) == NEO_OK)
        print_record(id, &r, found);
    else
        status = fail(&err);
    neo_arena_fini(&arena);
    return status;
}

static int run(int argc, char **argv)
{
    struct arg_list audits = {.n = 0};
    const struct arg args[] = {
        {"--audit", ARG_LIST, &audits, "PATH",
         "audit file or state folder [the --dir folder, and this one]"},
    };
    const char *rest[1];
    int status;

    int n = args_parse(&command_why, argc, argv, args, NEO_COUNT(args), rest, 1, &status);
    if (n < 0)
        return status;
    if (n != 1 || strncmp(rest[0], "d-", 2) != 0)
        return fail_usage("say which decision: neo why d-0123456789abcdef (it is in the error)");
    if (audits.n == 0) {
        audits.at[audits.n++] = cli.dir;
        audits.at[audits.n++] = ".";
    }
    return show(rest[0], &audits);
}

const struct command command_why = {
    .name = "why",
    .run = run,
    .summary = "why a call was refused: rule, file and line, what to do",
    .usage = "why <decision-id> [--audit PATH]...",
    .examples = "  neo why d-7f3a0c1e22b94d10\n  neo why d-7f3a0c1e22b94d10 --audit "
                "/var/lib/function\n",
};
