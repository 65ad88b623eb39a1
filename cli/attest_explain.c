/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest explain <file>`: a piece of evidence as a tree, and how far it is from each row. */
#include "cli/attest.h"

#include <neo/attest_policy.h>

#include <stdio.h>

struct explain_args {
    struct attest_source from;
    const char *service;
    const char *at;
};

struct explained {
    const struct neo_explain_node *nodes;
    size_t n_nodes;
    bool is_judged;
    struct neo_appraisal appraisal;
    const struct neo_attest_comparison *rows;
    size_t n_rows;
};

/* --- for people ------------------------------------------------------------------------------- */

static void print_node(const struct neo_explain_node *node)
{
    int indent = 2 * (int)node->depth;

    (void)printf("%*s%s%-*s%s %.*s\n", indent, "", ink(node->depth < 2 ? INK_BOLD : INK_DIM),
                 26 - indent, node->name, ink(INK_NONE), (int)node->value.len,
                 node->value.len == 0 ? "" : (const char *)node->value.at);
}

static void print_claims(const struct neo_attest_comparison *row)
{
    if (row->n_claims > 0)
        (void)printf("    what would be compared, were it proven; these are the evidence's own "
                     "words:\n");
    for (size_t i = 0; i < row->n_claims; i++) {
        const struct neo_attest_claim *c = &row->claims[i];
        (void)printf("    %s%s%s %-24s says: %.*s\n", ink(c->same ? INK_DIM : INK_RED),
                     c->same ? "=" : "≠", ink(INK_NONE), c->check, (int)c->claimed.len,
                     (const char *)c->claimed.at);
        if (!c->same)
            (void)printf("      %-24s want: %.*s\n", "", (int)c->wanted.len,
                         (const char *)c->wanted.at);
    }
}

static const char *standing_of(const struct neo_attest_comparison *row)
{
    if (row->accepted)
        return "holds";
    return row->n_claims > 0 ? "not judged, for the evidence is not proven" : "does not hold";
}

static void print_row(const struct neo_attest_comparison *row, bool is_nearest)
{
    (void)printf("  row %zu, %s:%u: %s%s\n", row->row + 1, row->place.file, row->place.line,
                 standing_of(row), is_nearest && !row->accepted ? ", and is the nearest" : "");
    for (size_t i = 0; i < row->n; i++) {
        const struct neo_attest_difference *d = &row->at[i];
        (void)printf("    %s×%s %-24s have: %s\n", ink(INK_RED), ink(INK_NONE), d->check,
                     d->found == NULL ? "" : d->found);
        if (d->wanted.len > 0)
            (void)printf("      %-24s want: %.*s\n", "", (int)d->wanted.len,
                         (const char *)d->wanted.at);
    }
    print_claims(row);
}

static void print_all(const struct explained *e)
{
    for (size_t i = 0; i < e->n_nodes; i++)
        print_node(&e->nodes[i]);
    if (!e->is_judged)
        return;
    (void)printf("%sverdict%s %s", ink(INK_BOLD), ink(INK_NONE),
                 e->appraisal.accepted ? "accepted" : "refused");
    (void)printf(e->appraisal.accepted ? "\n" : " (%s)\n",
                 neo_attest_reason_text(e->appraisal.reason));
    for (size_t i = 0; i < e->n_rows; i++)
        print_row(&e->rows[i], i == 0);
    if (e->n_rows == 0)
        (void)printf("  no row of the service is of tee %s\n", e->appraisal.tee);
}

/* --- for machines ----------------------------------------------------------------------------- */

/* Objects within objects, by depth: {"name", "value", "children"}. */
static void put_nodes(struct neo_json_writer *w, const struct explained *e)
{
    unsigned open = 0;

    for (size_t i = 0; i < e->n_nodes; i++) {
        const struct neo_explain_node *node = &e->nodes[i];
        for (; open > node->depth; open--) {
            neo_json_close_array(w);
            neo_json_close_object(w);
        }
        neo_json_open_object(w);
        neo_json_put_key(w, "name");
        neo_json_put_text(w, node->name);
        neo_json_put_key(w, "value");
        neo_json_put_string(w, node->value);
        bool has_children = i + 1 < e->n_nodes && e->nodes[i + 1].depth > node->depth;
        if (!has_children) {
            neo_json_close_object(w);
            continue;
        }
        neo_json_put_key(w, "children");
        neo_json_open_array(w);
        open++;
    }
    for (; open > 0; open--) {
        neo_json_close_array(w);
        neo_json_close_object(w);
    }
}

static void put_claim(struct neo_json_writer *w, const struct neo_attest_claim *claim)
{
    neo_json_open_object(w);
    neo_json_put_key(w, "check");
    neo_json_put_text(w, claim->check);
    neo_json_put_key(w, "says");
    neo_json_put_string(w, claim->claimed);
    neo_json_put_key(w, "want");
    neo_json_put_string(w, claim->wanted);
    neo_json_put_key(w, "same");
    neo_json_put_bool(w, claim->same);
    neo_json_close_object(w);
}

static void put_row(struct neo_json_writer *w, const struct neo_attest_comparison *row)
{
    neo_json_open_object(w);
    neo_json_put_key(w, "row");
    neo_json_put_u64(w, row->row + 1);
    neo_json_put_key(w, "line");
    neo_json_put_u64(w, row->place.line);
    neo_json_put_key(w, "accepted");
    neo_json_put_bool(w, row->accepted);
    neo_json_put_key(w, "differences");
    neo_json_open_array(w);
    for (size_t i = 0; i < row->n; i++) {
        neo_json_open_object(w);
        neo_json_put_key(w, "check");
        neo_json_put_text(w, row->at[i].check);
        neo_json_put_key(w, "have");
        neo_json_put_text(w, row->at[i].found == NULL ? "" : row->at[i].found);
        neo_json_put_key(w, "want");
        neo_json_put_string(w, row->at[i].wanted);
        neo_json_close_object(w);
    }
    neo_json_close_array(w);
    neo_json_put_key(w, "not_proven");
    neo_json_open_array(w);
    for (size_t i = 0; i < row->n_claims; i++)
        put_claim(w, &row->claims[i]);
    neo_json_close_array(w);
    neo_json_close_object(w);
}

static void print_all_json(const struct explained *e)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "tree");
    put_nodes(&w, e);
    if (e->is_judged) {
        neo_json_put_key(&w, "accepted");
        neo_json_put_bool(&w, e->appraisal.accepted);
        neo_json_put_key(&w, "reason");
        neo_json_put_text(&w, neo_attest_reason_text(e->appraisal.reason));
        neo_json_put_key(&w, "rows");
        neo_json_open_array(&w);
        for (size_t i = 0; i < e->n_rows; i++)
            put_row(&w, &e->rows[i]);
        neo_json_close_array(&w);
    }
    neo_json_close_object(&w);
    print_json(&out);
}

/* --- the word --------------------------------------------------------------------------------- */

/* Judged as a recording: whatever it is bound to is taken for granted. */
static enum neo_code judge(struct neo_arena *arena, const struct neo_evidence_question *q,
                           struct explained *ret, struct neo_error *err)
{
    NEO_TRY(neo_evidence_appraise(q, arena, &ret->appraisal, err));
    NEO_TRY(neo_evidence_compare(q, arena, &ret->rows, &ret->n_rows, err));
    ret->is_judged = true;
    return NEO_OK;
}

static enum neo_code look(struct neo_arena *arena, const struct explain_args *a, const char *path,
                          struct neo_attest_policies **policies, struct neo_attest_trust **trust,
                          struct explained *ret, struct neo_error *err)
{
    struct neo_evidence_facts facts;
    struct neo_evidence e;
    struct neo_evidence_question q = {.evidence = &e};

    NEO_TRY(attest_read_time(a->at, &q.now, err));
    NEO_TRY(attest_read_evidence(arena, &a->from, path, &e, err));
    NEO_TRY(neo_evidence_explain(&e, arena, &ret->nodes, &ret->n_nodes, err));
    if (a->from.policies.n == 0)
        return NEO_OK;
    NEO_TRY(neo_evidence_describe(&e, arena, &facts, err));
    NEO_TRY(attest_read_policies(arena, &a->from, policies, err));
    NEO_TRY(attest_read_trust(arena, &a->from, trust, err));
    q.service = neo_text(a->service);
    q.policies = *policies;
    q.trust = *trust;
    q.bound = facts.binder;
    return judge(arena, &q, ret, err);
}

static int explain(const struct explain_args *a, const char *path)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_attest_policies *policies = NULL;
    struct neo_attest_trust *trust = NULL;
    struct explained e = {.nodes = NULL};
    struct neo_error err;

    neo_arena_init(&arena, ATTEST_ARENA);
    enum neo_code code = look(&arena, a, path, &policies, &trust, &e, &err);
    if (code != NEO_OK)
        (void)fail(&err);
    else if (cli.json)
        print_all_json(&e);
    else
        print_all(&e);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    return code == NEO_OK ? EXIT_OK : EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct explain_args a = {.service = NULL};
    const struct arg args[] = {
        {"--policy", ARG_LIST, &a.from.policies, "FILE", "attestation_policies to compare it with"},
        {"--service", ARG_TEXT, &a.service, "NAME", "whose rows"},
        ATTEST_JUDGE_ARGS(a.from),
        {"--at", ARG_TEXT, &a.at, "TIME", "as of then [now]"},
    };
    const char *rest[2];
    int status;

    int n = args_parse(&attest_explain, argc, argv, args, NEO_COUNT(args), rest, 1, &status);
    if (n < 0)
        return status;
    if (n != 1)
        return fail_usage("say which file: neo attest explain <file>");
    if ((a.from.policies.n > 0) != (a.service != NULL))
        return fail_usage("--policy FILE and --service NAME belong together");
    return explain(&a, rest[0]);
}

const struct command attest_explain = {
    .name = "attest explain",
    .run = run,
    .summary = "a piece of evidence as a tree, and where it parts from each row of a policy",
    .usage = "attest explain <file> [--policy FILE --service NAME]",
    .examples =
        "  neo attest explain report.bin --certificates auxblob.bin\n"
        "  neo attest explain quote.dat --policy attest.yaml --service a --collateral intel/\n",
};
