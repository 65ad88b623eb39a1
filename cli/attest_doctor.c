/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest doctor`: what this machine can prove, what is missing, and the next command. */
#include "cli/attest_machine.h"

#include <stdio.h>

struct doctor_args {
    struct attest_machine machine;
    struct attest_source from; /* collateral to judge by */
    bool is_trying;
};

static const char *const states[] = {
    [NEO_ATTESTER_ABSENT] = "no", [NEO_ATTESTER_LACKING] = "not yet", [NEO_ATTESTER_READY] = "yes"};
static const char *const words[] = {[NEO_ATTESTER_ABSENT] = "absent",
                                    [NEO_ATTESTER_LACKING] = "lacking",
                                    [NEO_ATTESTER_READY] = "ready"};

/* --- for people ------------------------------------------------------------------------------- */

static void print_facts(const struct attest_facts *facts)
{
    (void)printf("%sthis machine%s\n", ink(INK_BOLD), ink(INK_NONE));
    for (size_t i = 0; i < facts->n; i++)
        (void)printf("  %-10s %s\n", facts->at[i].name, facts->at[i].text);
}

static void print_sources(const struct neo_attester_finding *found)
{
    static const enum ink inks[] = {[NEO_ATTESTER_ABSENT] = INK_DIM,
                                    [NEO_ATTESTER_LACKING] = INK_YELLOW,
                                    [NEO_ATTESTER_READY] = INK_GREEN};

    (void)printf("\n%s%-9s  %-12s  %-7s  %s%s\n", ink(INK_DIM), "TEE", "BY", "PROVES", "WHY",
                 ink(INK_NONE));
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++) {
        const struct neo_attester_finding *f = &found[i];
        (void)printf("%-9s  %-12s  %s%-7s%s  %s\n", f->tee, f->via, ink(inks[f->state]),
                     states[f->state], ink(INK_NONE), f->what);
        if (f->next[0] != '\0')
            (void)printf("%-34s→ %s\n", "", f->next);
    }
}

static const struct neo_attester_finding *chosen(const struct neo_attester_finding *found,
                                                 enum neo_attester_state state)
{
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++) {
        if (found[i].state == state)
            return &found[i];
    }
    return NULL;
}

static void print_verdict(const struct neo_attester_finding *found)
{
    const struct neo_attester_finding *ready = chosen(found, NEO_ATTESTER_READY);

    if (ready != NULL)
        (void)printf("\n%sproves %s%s, by %s; a service takes it by itself (--tee auto)\n",
                     ink(INK_GREEN), ready->tee, ink(INK_NONE), ready->via);
    else if (chosen(found, NEO_ATTESTER_LACKING) != NULL)
        (void)printf("\n%sproves nothing yet%s; the next step is behind the arrow\n",
                     ink(INK_YELLOW), ink(INK_NONE));
    else
        (void)printf("\n%sproves nothing%s; for development there is the simulator: neo up "
                     "--insecure-dev\n",
                     ink(INK_RED), ink(INK_NONE));
}

static void print_trial(const struct attest_trial *t)
{
    if (!t->made) {
        (void)printf("%sno evidence%s: %s\n", ink(INK_RED), ink(INK_NONE), t->err.message);
        return;
    }
    (void)printf("%s: %zu bytes and %zu of certificates in %.1f ms\n",
                 neo_evidence_kind_text(t->evidence.kind), t->evidence.body.len,
                 t->evidence.certificates.len,
                 (double)t->evidence.took / (double)NEO_NSEC_PER_MSEC);
    if (!t->judged) {
        (void)printf("%snot judged%s: %s\n", ink(INK_RED), ink(INK_NONE), t->err.message);
        return;
    }
    for (size_t i = 0; i < t->appraisal.n_checks; i++) {
        const struct neo_check *c = &t->appraisal.checks[i];
        if (c->result == NEO_CHECK_FAIL)
            (void)printf("  %s× %s%s %s\n", ink(INK_RED), c->name, ink(INK_NONE),
                         c->detail == NULL ? "" : c->detail);
    }
    (void)printf("judged by its own values: %s%s%s\n",
                 ink(t->appraisal.accepted ? INK_GREEN : INK_RED),
                 t->appraisal.accepted ? "accepted" : neo_attest_reason_text(t->appraisal.reason),
                 ink(INK_NONE));
    if (t->appraisal.reason == NEO_ATTEST_COLLATERAL ||
        t->appraisal.reason == NEO_ATTEST_COLLATERAL_STALE)
        (void)printf("give what the maker publishes about this platform: --collateral PATH\n");
}

/* --- for programs ----------------------------------------------------------------------------- */

static void put_text(struct neo_json_writer *w, const char *key, const char *text)
{
    neo_json_put_key(w, key);
    neo_json_put_text(w, text);
}

static void put_trial(struct neo_json_writer *w, const struct attest_trial *t)
{
    neo_json_put_key(w, "try");
    neo_json_open_object(w);
    neo_json_put_key(w, "made");
    neo_json_put_bool(w, t->made);
    if (t->made) {
        put_text(w, "kind", neo_evidence_kind_text(t->evidence.kind));
        put_text(w, "by", t->evidence.by.via);
        neo_json_put_key(w, "bytes");
        neo_json_put_u64(w, t->evidence.body.len);
    }
    if (t->judged) {
        neo_json_put_key(w, "accepted");
        neo_json_put_bool(w, t->appraisal.accepted);
        put_text(w, "reason", neo_attest_reason_text(t->appraisal.reason));
    } else {
        put_text(w, "error", t->err.message);
    }
    neo_json_close_object(w);
}

static void print_as_json(const struct attest_facts *facts,
                          const struct neo_attester_finding *found, const struct attest_trial *t)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "machine");
    neo_json_open_object(&w);
    for (size_t i = 0; i < facts->n; i++)
        put_text(&w, facts->at[i].name, facts->at[i].text);
    neo_json_close_object(&w);
    neo_json_put_key(&w, "sources");
    neo_json_open_array(&w);
    for (size_t i = 0; i < NEO_ATTESTER_SOURCES_N; i++) {
        neo_json_open_object(&w);
        put_text(&w, "tee", found[i].tee);
        put_text(&w, "via", found[i].via);
        put_text(&w, "state", words[found[i].state]);
        put_text(&w, "what", found[i].what);
        put_text(&w, "next", found[i].next);
        neo_json_close_object(&w);
    }
    neo_json_close_array(&w);
    if (t != NULL)
        put_trial(&w, t);
    neo_json_close_object(&w);
    print_json(&out);
}

/* --- the whole -------------------------------------------------------------------------------- */

static int doctor(const struct doctor_args *a)
{
    NEO_CLEANUP(attest_trial_fini) struct attest_trial trial = {.made = false};
    struct neo_attester_finding found[NEO_ATTESTER_SOURCES_N];
    struct neo_attester_options options;
    struct attest_facts facts;
    struct neo_error err;

    if (attest_machine_options(&a->machine, &options, &err) != NEO_OK)
        return fail(&err);
    attest_look(a->machine.root, &facts);
    neo_attester_survey(&options, found);
    if (a->is_trying)
        attest_try(&options, &a->from, &trial);
    if (cli.json) {
        print_as_json(&facts, found, a->is_trying ? &trial : NULL);
    } else {
        print_facts(&facts);
        print_sources(found);
        print_verdict(found);
        if (a->is_trying)
            print_trial(&trial);
    }
    if (a->is_trying)
        return trial.judged && trial.appraisal.accepted ? EXIT_OK : EXIT_FAILED;
    return chosen(found, NEO_ATTESTER_READY) != NULL ? EXIT_OK : EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct doctor_args a = {.is_trying = false};
    const struct arg args[] = {
        {"--try", ARG_FLAG, &a.is_trying, NULL, "make one piece of evidence and judge it"},
        {"--collateral", ARG_LIST, &a.from.collateral, "PATH", "with --try: what to judge it by"},
        ATTEST_MACHINE_ARGS(a.machine),
    };
    const char *rest[1];
    int status;

    int n = args_parse(&attest_doctor, argc, argv, args, NEO_COUNT(args), rest, 0, &status);
    return n < 0 ? status : doctor(&a);
}

const struct command attest_doctor = {
    .name = "attest doctor",
    .run = run,
    .summary = "what this machine can prove, what is missing, and the next command",
    .usage = "attest doctor [--try] [--tee TEE]",
    .examples = "  neo attest doctor\n"
                "  neo attest doctor --try --collateral amd/\n",
};
