/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest verify <file>`: what is to be said of evidence under a policy, check by check. */
#include "cli/attest.h"

#include <neo/encoding.h>
#include <neo/evidence.h>

#include <stdio.h>

struct verify_args {
    struct attest_source from;
    const char *service;
    const char *binder;
    const char *bound;
    const char *at;
    bool own_binder;
};

/* What the evidence must be bound to: said by the caller, never guessed. */
static enum neo_code read_bound(struct neo_arena *arena, const struct verify_args *a,
                                const struct neo_evidence *e, struct neo_bytes *ret,
                                struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_evidence_facts facts = {0};
    const char *hex = a->binder != NULL ? a->binder : a->bound;

    *ret = (struct neo_bytes){0};
    if (a->own_binder) { /* what does not read as a whole is refused for that, and not here */
        if (neo_evidence_describe(e, arena, &facts, NULL) == NEO_OK)
            *ret = facts.binder;
        return NEO_OK;
    }
    if (neo_hex_decode(neo_text(hex), &raw, NULL) != NEO_OK)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: write hex digits", hex);
    if (a->binder != NULL && raw.len != NEO_BINDER_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "--binder must be 64 bytes, 128 hex digits");
    *ret = neo_arena_copy(arena, neo_buffer_bytes(&raw));
    return NEO_OK;
}

static void print_check(const struct neo_check *c)
{
    static const char *const marks[] = {
        [NEO_CHECK_PASS] = "√", [NEO_CHECK_FAIL] = "×", [NEO_CHECK_NOT_APPLICABLE] = "·"};
    static const enum ink inks[] = {[NEO_CHECK_PASS] = INK_GREEN,
                                    [NEO_CHECK_FAIL] = INK_RED,
                                    [NEO_CHECK_NOT_APPLICABLE] = INK_DIM};

    (void)printf("  %s%s %-26s%s %s\n", ink(inks[c->result]), marks[c->result], c->name,
                 ink(INK_NONE), c->detail == NULL ? "" : c->detail);
}

static const char *verdict_of(const struct neo_appraisal *a)
{
    if (a->accepted)
        return "accepted";
    if (a->reason == NEO_ATTEST_COLLATERAL)
        return "collateral unavailable";
    return a->reason == NEO_ATTEST_COLLATERAL_STALE ? "collateral stale" : "refused";
}

static void print_verdict(const struct neo_appraisal *a)
{
    (void)printf("%s%s%s%s", ink(a->accepted ? INK_GREEN : INK_RED), verdict_of(a), ink(INK_NONE),
                 a->simulated ? ", SIMULATED" : "");
    if (!a->accepted)
        (void)printf(" (%s)", neo_attest_reason_text(a->reason));
    (void)printf("\n");
}

/* A refusal comes first: what follows from it, check by check, may be two pages. */
static void print_text(const struct neo_appraisal *a)
{
    if (!a->accepted)
        print_verdict(a);
    for (size_t i = 0; i < a->n_checks; i++)
        print_check(&a->checks[i]);
    if (a->accepted)
        print_verdict(a);
}

static int report(const struct verify_args *args, const struct neo_appraisal *a)
{
    if (cli.json) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
        (void)neo_appraisal_json(a, &out);
        print_json(&out);
    } else {
        print_text(a);
    }
    if (args->own_binder)
        (void)fprintf(stderr, "note: bound to what it says itself: this shows that it is genuine, "
                              "and nothing about who sends it\n");
    return a->accepted ? EXIT_OK : EXIT_FAILED;
}

/* Our own protocol's binder, or what another one put there. */
static enum neo_code judge(struct neo_arena *arena, const struct verify_args *a,
                           const struct neo_evidence_question *q, struct neo_appraisal *ret,
                           struct neo_error *err)
{
    if (a->binder == NULL)
        return neo_evidence_appraise(q, arena, ret, err);
    return neo_attest_appraise(q->trust, q->policies, q->service, q->evidence, q->bound.at, q->now,
                               arena, ret, err);
}

static enum neo_code appraise(struct neo_arena *arena, const struct verify_args *a,
                              const char *path, struct neo_appraisal *ret, struct neo_error *err)
{
    struct neo_attest_policies *policies = NULL;
    struct neo_attest_trust *trust = NULL;
    struct neo_evidence e;
    struct neo_evidence_question q = {.service = neo_text(a->service), .evidence = &e};

    NEO_TRY(attest_read_time(a->at, &q.now, err));
    NEO_TRY(attest_read_evidence(arena, &a->from, path, &e, err));
    NEO_TRY(read_bound(arena, a, &e, &q.bound, err));
    enum neo_code code = attest_read_policies(arena, &a->from, &policies, err);
    if (code == NEO_OK)
        code = attest_read_trust(arena, &a->from, &trust, err);
    q.policies = policies;
    q.trust = trust;
    if (code == NEO_OK)
        code = judge(arena, a, &q, ret, err);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    return code;
}

static int verify(const struct verify_args *a, const char *path)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_appraisal appraisal;
    struct neo_error err;

    if (a->from.policies.n == 0 || a->service == NULL)
        return fail_usage("say by which rules: --policy FILE --service NAME");
    if ((a->binder != NULL) + (a->bound != NULL) + a->own_binder > 1)
        return fail_usage("--binder HEX, --bound HEX, --own-binder: only one of them");
    if (a->binder == NULL && a->bound == NULL && !a->own_binder)
        return fail_usage(
            "say what it must be bound to: --binder HEX, --bound HEX for what another "
            "protocol put there, or --own-binder to look at evidence on its own");
    neo_arena_init(&arena, ATTEST_ARENA);
    if (appraise(&arena, a, path, &appraisal, &err) != NEO_OK) {
        (void)fail(&err);
        return EXIT_FAILED;
    }
    return report(a, &appraisal);
}

static int run(int argc, char **argv)
{
    struct verify_args a = {.service = NULL};
    const struct arg args[] = {
        {"--policy", ARG_LIST, &a.from.policies, "FILE", "attestation_policies"},
        {"--service", ARG_TEXT, &a.service, "NAME", "whose evidence it is"},
        {"--binder", ARG_TEXT, &a.binder, "HEX", "the 64 bytes it must be bound to"},
        {"--bound", ARG_TEXT, &a.bound, "HEX", "instead: what stands there, as other tools do it"},
        {"--own-binder", ARG_FLAG, &a.own_binder, NULL, "instead: whatever it says itself"},
        ATTEST_JUDGE_ARGS(a.from),
        {"--at", ARG_TEXT, &a.at, "TIME", "as of then [now]"},
    };
    const char *rest[2];
    int status;

    int n = args_parse(&attest_verify, argc, argv, args, NEO_COUNT(args), rest, 1, &status);
    if (n < 0)
        return status;
    if (n != 1)
        return fail_usage("say which file: neo attest verify <file>");
    return verify(&a, rest[0]);
}

const struct command attest_verify = {
    .name = "attest verify",
    .run = run,
    .summary = "judge evidence under a policy as a service would, check by check",
    .usage = "attest verify <file> --policy FILE --service NAME --binder HEX",
    .examples =
        "  neo attest verify quote.dat --policy attest.yaml --service key-service \\\n"
        "      --collateral intel/ --own-binder\n"
        "  neo attest verify hcl_report.bin --part quote=quote.bin --part signature=sig.bin \\\n"
        "      --part pcrs=pcrs.bin --certificates vcek.der --policy attest.yaml --service a \\\n"
        "      --bound 6368616c6c656e6765\n",
};
