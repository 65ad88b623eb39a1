/* SPDX-License-Identifier: Apache-2.0 */
/* `neo audit verify <file>`: is the trail what was written? Format: docs/AUDIT.md. */
#include "cli/cli.h"

#include <neo/audit.h>
#include <neo/store.h>

#include <inttypes.h>
#include <stdio.h>

#define TRAIL_MAX ((size_t)4 << 30)
enum { KEY_MAX = 4096 };

struct trail {
    const char *path;
    struct neo_buffer text;
    struct neo_buffer key; /* empty: only the chain is checked */
    struct neo_audit_chain chain;
};

static enum neo_code check(struct trail *t, const char *key, struct neo_error *err)
{
    NEO_TRY(neo_file_read(t->path, TRAIL_MAX, &t->text, err));
    if (key != NULL && neo_file_read(key, KEY_MAX, &t->key, err) != NEO_OK)
        return neo_fail(err, NEO_NOT_FOUND,
                        "cannot read the public key '%s': name it with --key, or check no "
                        "signatures with --chain-only",
                        key);
    return neo_audit_verify(neo_buffer_bytes(&t->text), neo_buffer_bytes(&t->key), &t->chain, err);
}

static void print_trail_json(const struct trail *t)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "file");
    neo_json_put_text(&w, t->path);
    neo_json_put_key(&w, "lines");
    neo_json_put_u64(&w, t->chain.sequence);
    neo_json_put_key(&w, "last_checkpoint");
    neo_json_put_u64(&w, t->chain.checkpoint);
    neo_json_put_key(&w, "signatures_checked");
    neo_json_put_bool(&w, t->key.len > 0);
    neo_json_close_object(&w);
    print_json(&out);
}

static void print_trail(const struct trail *t)
{
    uint64_t behind = t->chain.sequence - t->chain.checkpoint;

    (void)printf("%s%s%s  %" PRIu64 " lines, nothing changed, missing or moved\n", ink(INK_GREEN),
                 t->path, ink(INK_NONE), t->chain.sequence);
    if (t->key.len == 0)
        (void)printf(
            "  signatures were not checked: who has the file could have written all anew\n");
    else if (behind > 0)
        (void)printf("  the last %" PRIu64 " lines are chained and not yet signed\n", behind);
}

static int verify(const char *path, const char *key, bool chain_only)
{
    struct trail t = {.path = path};
    struct neo_error err;
    char beside[PATH_LEN];
    int status = EXIT_OK;

    (void)snprintf(beside, sizeof(beside), "%s.pub", path);
    if (key == NULL && !chain_only)
        key = beside;
    if (check(&t, key, &err) != NEO_OK)
        status = fail(&err);
    else if (cli.json)
        print_trail_json(&t);
    else
        print_trail(&t);
    neo_buffer_fini(&t.text);
    neo_buffer_fini(&t.key);
    return status;
}

static int run(int argc, char **argv)
{
    const char *key = NULL;
    bool chain_only = false;
    const struct arg args[] = {
        {"--key", ARG_TEXT, &key, "FILE", "public key of the trail, DER [<file>.pub]"},
        {"--chain-only", ARG_FLAG, &chain_only, NULL, "do not check signatures"},
    };
    const char *rest[2];
    int status;

    int n = args_parse(&command_audit, argc, argv, args, NEO_COUNT(args), rest, 2, &status);
    if (n < 0)
        return status;
    if (n != 2 || strcmp(rest[0], "verify") != 0)
        return fail_usage("say which: neo audit verify <file>");
    return verify(rest[1], key, chain_only);
}

const struct command command_audit = {
    .name = "audit",
    .run = run,
    .summary = "check that an audit trail is what was written",
    .usage = "audit verify <file> [--key FILE]",
    .examples = "  neo audit verify /var/lib/function-service/audit.jsonl --key kept/audit.pub\n",
};
