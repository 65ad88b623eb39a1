/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest show <file>`: what a piece of evidence says of itself. */
#include "cli/attest.h"

#include <neo/encoding.h>
#include <neo/evidence.h>

#include <stdio.h>

static void put_fact(struct neo_json_writer *w, const struct neo_evidence_fact *f)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    neo_json_put_key(w, f->name);
    if (!f->is_text)
        (void)neo_hex_encode(&hex, f->value);
    neo_json_put_string(w, f->is_text ? f->value : neo_buffer_bytes(&hex));
}

static void print_fact(const struct neo_evidence_fact *f)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    struct neo_bytes text = f->value;

    if (!f->is_text) {
        (void)neo_hex_encode(&hex, f->value);
        text = neo_buffer_bytes(&hex);
    }
    (void)printf("  %-18s %.*s\n", f->name, (int)text.len, (const char *)text.at);
}

static void show_facts(const struct neo_evidence *e, const struct neo_evidence_facts *facts)
{
    if (!cli.json) {
        (void)printf("%s%s%s, evidence of %s; nothing below is verified\n", ink(INK_BOLD),
                     neo_evidence_kind_text(e->kind), ink(INK_NONE), facts->tee);
        for (size_t i = 0; i < facts->n; i++)
            print_fact(&facts->at[i]);
        return;
    }
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};
    neo_json_open_object(&w);
    neo_json_put_key(&w, "kind");
    neo_json_put_text(&w, neo_evidence_kind_text(e->kind));
    neo_json_put_key(&w, "tee");
    neo_json_put_text(&w, facts->tee);
    neo_json_put_key(&w, "verified");
    neo_json_put_bool(&w, false);
    neo_json_put_key(&w, "facts");
    neo_json_open_object(&w);
    for (size_t i = 0; i < facts->n; i++)
        put_fact(&w, &facts->at[i]);
    neo_json_close_object(&w);
    neo_json_close_object(&w);
    print_json(&out);
}

static int show(const struct attest_source *a, const char *path)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_evidence_facts facts;
    struct neo_evidence e;
    struct neo_error err;

    neo_arena_init(&arena, ATTEST_ARENA);
    if (attest_read_evidence(&arena, a, path, &e, &err) != NEO_OK ||
        neo_evidence_describe(&e, &arena, &facts, &err) != NEO_OK) {
        (void)fail(&err);
        return EXIT_FAILED;
    }
    show_facts(&e, &facts);
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct attest_source a = {.kind = NULL};
    const struct arg args[] = {
        {"--kind", ARG_TEXT, &a.kind, "KIND", "snp-report, tdx-quote, ... [by its form]"},
        ATTEST_PART_ARG(a),
    };
    const char *rest[2];
    int status;

    int n = args_parse(&attest_show, argc, argv, args, NEO_COUNT(args), rest, 1, &status);
    if (n < 0)
        return status;
    if (n != 1)
        return fail_usage("say which file: neo attest show <file>");
    return show(&a, rest[0]);
}

const struct command attest_show = {
    .name = "attest show",
    .run = run,
    .summary = "what a piece of evidence says of itself; nothing is verified",
    .usage = "attest show <file> [--kind KIND]",
    .examples = "  neo attest show report.bin\n",
};
