/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `neo attest show | verify <file>`: what a piece of evidence says of itself, and what is to be
 * said of it under a policy, check by check.
 */
#include "cli/cli.h"

#include <neo/encoding.h>
#include <neo/evidence.h>
#include <neo/loop.h>
#include <neo/store.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { EVIDENCE_MAX = 64 << 10, FILE_LEN_MAX = 4 << 20, FILES_MAX = 256, ARENA = 64 << 20 };

struct attest_args {
    const char *kind;
    const char *service;
    const char *certificates;
    const char *binder;
    const char *at;
    const char *simulated_root;
    bool own_binder;
    bool development;
    struct arg_list policies;
    struct arg_list collateral;
};

static enum neo_code read_into(struct neo_arena *arena, const char *path, size_t max,
                               struct neo_bytes *ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    NEO_TRY(neo_file_read(path, max, &text, err));
    *ret = neo_arena_copy(arena, neo_buffer_bytes(&text));
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for '%s'", path);
    return NEO_OK;
}

static enum neo_code read_evidence(struct neo_arena *arena, const struct attest_args *a,
                                   const char *path, struct neo_evidence *ret,
                                   struct neo_error *err)
{
    struct neo_evidence e = {.kind = NEO_EVIDENCE_UNKNOWN};

    NEO_TRY(read_into(arena, path, EVIDENCE_MAX, &e.body, err));
    if (a->certificates != NULL)
        NEO_TRY(read_into(arena, a->certificates, FILE_LEN_MAX, &e.certificates, err));
    e.kind =
        a->kind != NULL ? neo_evidence_kind_parse(neo_text(a->kind)) : neo_evidence_guess(e.body);
    if (a->kind != NULL && e.kind == NEO_EVIDENCE_UNKNOWN)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--kind %s: write snp-report, tdx-quote, sgx-quote, nitro-doc, "
                        "cca-token or tpm-quote, or the same with sim- before it",
                        a->kind);
    if (e.kind == NEO_EVIDENCE_UNKNOWN)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "'%s' is no evidence of a form that is known; --kind KIND says what is "
                        "wrong with it",
                        path);
    *ret = e;
    return NEO_OK;
}

/* --- show ------------------------------------------------------------------------------------- */

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

static int show(const struct attest_args *a, const char *path)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_evidence_facts facts;
    struct neo_evidence e;
    struct neo_error err;

    neo_arena_init(&arena, ARENA);
    if (read_evidence(&arena, a, path, &e, &err) != NEO_OK ||
        neo_evidence_describe(&e, &arena, &facts, &err) != NEO_OK) {
        (void)fail(&err);
        return EXIT_FAILED;
    }
    show_facts(&e, &facts);
    return EXIT_OK;
}

/* --- verify ----------------------------------------------------------------------------------- */

struct files {
    struct neo_bytes at[FILES_MAX];
    size_t n;
};

static enum neo_code add_file(struct neo_arena *arena, struct files *files, const char *path,
                              struct neo_error *err)
{
    if (files->n == FILES_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "more than %d files of collateral", FILES_MAX);
    NEO_TRY(read_into(arena, path, FILE_LEN_MAX, &files->at[files->n], err));
    files->n++;
    return NEO_OK;
}

/* A file, or every file of a folder. */
static enum neo_code add_collateral(struct neo_arena *arena, struct files *files, const char *path,
                                    struct neo_error *err)
{
    enum neo_code code = NEO_OK;
    char full[PATH_LEN];
    struct stat st;

    if (stat(path, &st) != 0)
        return neo_fail_errno(err, "cannot look at '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return add_file(arena, files, path, err);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return neo_fail_errno(err, "cannot open '%s'", path);
    for (struct dirent *d; code == NEO_OK && (d = readdir(dir)) != NULL;) {
        (void)snprintf(full, sizeof(full), "%s/%s", path, d->d_name);
        if (d->d_name[0] != '.' && stat(full, &st) == 0 && S_ISREG(st.st_mode))
            code = add_file(arena, files, full, err);
    }
    (void)closedir(dir);
    return code;
}

static enum neo_code read_trust(struct neo_arena *arena, const struct attest_args *a,
                                struct neo_attest_trust **ret, struct neo_error *err)
{
    struct files *files = neo_arena_calloc(arena, 1, sizeof(*files));
    struct neo_attest_trust_options options = {.development = a->development};

    if (files == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < a->collateral.n; i++)
        NEO_TRY(add_collateral(arena, files, a->collateral.at[i], err));
    if (a->simulated_root != NULL)
        NEO_TRY(read_into(arena, a->simulated_root, FILE_LEN_MAX, &options.simulated_root, err));
    options.collateral = files->at;
    options.n_collateral = files->n;
    return neo_attest_trust_new(&options, ret, err);
}

static enum neo_code read_policies(struct neo_arena *arena, const struct attest_args *a,
                                   struct neo_attest_policies **ret, struct neo_error *err)
{
    struct neo_document documents[ARG_LIST_MAX];

    for (size_t i = 0; i < a->policies.n; i++) {
        documents[i].name = neo_text(a->policies.at[i]);
        NEO_TRY(read_into(arena, a->policies.at[i], FILE_LEN_MAX, &documents[i].text, err));
    }
    return neo_attest_policies_compile(documents, a->policies.n, a->development, ret, err);
}

/* What the evidence must be bound to: said by the caller, never guessed. */
static enum neo_code read_binder(struct neo_arena *arena, const struct attest_args *a,
                                 const struct neo_evidence *e, uint8_t ret[static NEO_BINDER_LEN],
                                 struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_evidence_facts facts = {0};

    memset(ret, 0, NEO_BINDER_LEN);
    if (a->own_binder) {
        NEO_TRY(neo_evidence_describe(e, arena, &facts, err));
        memcpy(ret, facts.binder.at,
               facts.binder.len < NEO_BINDER_LEN ? facts.binder.len : NEO_BINDER_LEN);
        return NEO_OK;
    }
    if (neo_hex_decode(neo_text(a->binder), &raw, NULL) != NEO_OK || raw.len != NEO_BINDER_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "--binder must be 64 bytes, 128 hex digits");
    memcpy(ret, raw.at, NEO_BINDER_LEN);
    return NEO_OK;
}

/* Seconds since 1970, or 2025-06-19T12:00:00Z. */
static enum neo_code read_time(const char *text, int64_t *ret, struct neo_error *err)
{
    struct tm tm = {0};
    char *end;

    *ret = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    if (text == NULL)
        return NEO_OK;
    long long seconds = strtoll(text, &end, 10);
    if (*text != '\0' && *end == '\0') {
        *ret = seconds;
        return NEO_OK;
    }
    end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (end == NULL || *end != '\0')
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--at %s: write 2025-06-19T12:00:00Z, or seconds since 1970", text);
    *ret = timegm(&tm);
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

static int report(const struct attest_args *args, const struct neo_appraisal *a)
{
    if (cli.json) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
        (void)neo_appraisal_json(a, &out);
        print_json(&out);
    } else {
        for (size_t i = 0; i < a->n_checks; i++)
            print_check(&a->checks[i]);
        (void)printf("%s%s%s%s", ink(a->accepted ? INK_GREEN : INK_RED), verdict_of(a),
                     ink(INK_NONE), a->simulated ? ", SIMULATED" : "");
        if (!a->accepted)
            (void)printf(" (%s)", neo_attest_reason_text(a->reason));
        (void)printf("\n");
    }
    if (args->own_binder)
        (void)fprintf(stderr, "note: bound to what it says itself: this shows that it is genuine, "
                              "and nothing about who sends it\n");
    return a->accepted ? EXIT_OK : EXIT_FAILED;
}

static enum neo_code appraise(struct neo_arena *arena, const struct attest_args *a,
                              const char *path, struct neo_appraisal *ret, struct neo_error *err)
{
    struct neo_attest_policies *policies = NULL;
    struct neo_attest_trust *trust = NULL;
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_evidence e;
    int64_t now;

    NEO_TRY(read_time(a->at, &now, err));
    NEO_TRY(read_evidence(arena, a, path, &e, err));
    NEO_TRY(read_binder(arena, a, &e, binder, err));
    enum neo_code code = read_policies(arena, a, &policies, err);
    if (code == NEO_OK)
        code = read_trust(arena, a, &trust, err);
    if (code == NEO_OK)
        code = neo_attest_appraise(trust, policies, neo_text(a->service), &e, binder, now, arena,
                                   ret, err);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    return code;
}

static int verify(const struct attest_args *a, const char *path)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_appraisal appraisal;
    struct neo_error err;

    if (a->policies.n == 0 || a->service == NULL)
        return fail_usage("say by which rules: --policy FILE --service NAME");
    if ((a->binder != NULL) == a->own_binder)
        return fail_usage("say what it must be bound to: --binder HEX, or --own-binder to look at "
                          "evidence on its own");
    neo_arena_init(&arena, ARENA);
    if (appraise(&arena, a, path, &appraisal, &err) != NEO_OK) {
        (void)fail(&err);
        return EXIT_FAILED;
    }
    return report(a, &appraisal);
}

static int run(int argc, char **argv)
{
    struct attest_args a = {.kind = NULL};
    const struct arg args[] = {
        {"--kind", ARG_TEXT, &a.kind, "KIND", "snp-report, tdx-quote, ... [by its form]"},
        {"--policy", ARG_LIST, &a.policies, "FILE", "verify: attestation_policies"},
        {"--service", ARG_TEXT, &a.service, "NAME", "verify: whose evidence it is"},
        {"--binder", ARG_TEXT, &a.binder, "HEX", "verify: the 64 bytes it must be bound to"},
        {"--own-binder", ARG_FLAG, &a.own_binder, NULL, "verify: whatever it says itself"},
        {"--collateral", ARG_LIST, &a.collateral, "PATH",
         "verify: file or folder of certificates, lists, documents"},
        {"--certificates", ARG_TEXT, &a.certificates, "FILE", "what came with the evidence"},
        {"--at", ARG_TEXT, &a.at, "TIME", "verify: as of then [now]"},
        {"--simulated-root", ARG_TEXT, &a.simulated_root, "FILE", "DER; with --insecure-dev"},
        {"--insecure-dev", ARG_FLAG, &a.development, NULL, "accept simulated evidence"},
    };
    const char *rest[3];
    int status;

    int n = args_parse(&command_attest, argc, argv, args, NEO_COUNT(args), rest, 2, &status);
    if (n < 0)
        return status;
    if (n == 2 && strcmp(rest[0], "show") == 0)
        return show(&a, rest[1]);
    if (n == 2 && strcmp(rest[0], "verify") == 0)
        return verify(&a, rest[1]);
    return fail_usage("say what: neo attest show|verify <file>");
}

const struct command command_attest = {
    .name = "attest",
    .run = run,
    .summary = "look into evidence, and judge it under a policy",
    .usage = "attest show <file> | verify <file> --policy FILE --service NAME --binder HEX",
    .examples = "  neo attest show report.bin\n"
                "  neo attest verify quote.dat --policy attest.yaml --service key-service \\\n"
                "      --collateral intel/ --own-binder\n",
};
