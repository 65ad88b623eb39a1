/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest collateral import|list|refresh|export`: what evidence is judged against, kept. */
#include "cli/attest_collateral.h"

#include <neo/loop.h>
#include <neo/store.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REST_MAX = 64 };

/* --- telling what happened -------------------------------------------------------------------- */

void tally_begin(struct tally *t)
{
    *t = (struct tally){.refused = 0};
    t->writer = (struct neo_json_writer){.out = &t->json, .pretty = true};
    neo_json_open_object(&t->writer);
    neo_json_put_key(&t->writer, "items");
    neo_json_open_array(&t->writer);
}

static void put_text(struct neo_json_writer *w, const char *key, const char *text)
{
    if (text == NULL)
        return;
    neo_json_put_key(w, key);
    neo_json_put_text(w, text);
}

static void tell(struct tally *t, const char *outcome, const char *name, const char *subject,
                 const char *why, bool bad)
{
    neo_json_open_object(&t->writer);
    put_text(&t->writer, "outcome", outcome);
    put_text(&t->writer, "name", name);
    put_text(&t->writer, "subject", subject);
    put_text(&t->writer, "why", why);
    neo_json_close_object(&t->writer);
    if (cli.json)
        return;
    (void)printf("%s%-9s%s %s%s%s%s%s%s\n", ink(bad ? INK_RED : INK_GREEN), outcome, ink(INK_NONE),
                 name, subject == NULL ? "" : "  (", subject == NULL ? "" : subject,
                 subject == NULL ? "" : ")", why == NULL ? "" : ": ", why == NULL ? "" : why);
}

void tally_item(void *tally, const struct neo_collateral_item *item,
                enum neo_collateral_outcome outcome, const char *why)
{
    struct tally *t = tally;
    bool bad = outcome == NEO_COLLATERAL_REFUSED || outcome == NEO_COLLATERAL_OLDER;

    tell(t, neo_collateral_outcome_text(outcome), item->name, item->subject, why, bad);
    t->refused += bad;
}

/* What `why` says behind the name that it begins with: "tcb.json:1:14: ..." of "in/tcb.json". */
static const char *behind_name(const char *what, const char *why)
{
    const char *slash = strrchr(what, '/'), *name = slash == NULL ? what : slash + 1;
    size_t len = strlen(name);

    if (strncmp(why, name, len) != 0 || why[len] != ':')
        return why;
    return why[len + 1] == ' ' ? why + len + 2 : why + len + 1;
}

void tally_failed(struct tally *t, const char *what, const char *why)
{
    const char *rest = behind_name(what, why);

    if (!cli.json && rest == why && strstr(why, what) != NULL) /* its sentence has the name */
        tell(t, "failed", why, NULL, NULL, true);
    else
        tell(t, "failed", what, NULL, rest, true);
    t->refused++;
}

void tally_end(struct tally *t)
{
    neo_json_close_array(&t->writer);
    neo_json_close_object(&t->writer);
    if (cli.json)
        print_json(&t->json);
    neo_buffer_fini(&t->json);
}

/* --- the store -------------------------------------------------------------------------------- */

enum neo_code collateral_open(struct neo_arena *arena, const struct collateral_args *a,
                              const char *dir, bool make, struct neo_collateral_store **ret,
                              struct neo_error *err)
{
    struct neo_collateral_store_options options = {.development = a->from.development,
                                                   .make = make};
    char path[PATH_LEN];

    dir_path(path, "collateral");
    if (make && dir == NULL && a->store == NULL && mkdir(cli.dir, 0700) != 0 && errno != EEXIST)
        return neo_fail_errno(err, "cannot make the folder '%s'", cli.dir);
    options.dir = dir != NULL ? dir : a->store != NULL ? a->store : path;
    if (!make && access(options.dir, F_OK) != 0 && errno == ENOENT)
        return neo_fail(err, NEO_NOT_FOUND,
                        "there is no collateral in '%s' yet; next: neo attest collateral import "
                        "<file>..., or name another folder with --store",
                        options.dir);
    if (a->from.simulated_root != NULL)
        NEO_TRY(attest_read_file(arena, a->from.simulated_root, ATTEST_FILE_MAX,
                                 &options.simulated_root, err));
    return neo_collateral_store_open(&options, ret, err);
}

static void warn_of_problems(const struct neo_collateral_store *store)
{
    for (size_t i = 0; i < neo_collateral_store_problems(store); i++)
        (void)fprintf(stderr, "%swarning:%s skipped %s\n", ink(INK_YELLOW), ink(INK_NONE),
                      neo_collateral_store_problem(store, i));
}

/* --- import ----------------------------------------------------------------------------------- */

static void add_file(struct neo_collateral *set, const char *path, struct tally *t)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    const char *slash = strrchr(path, '/');
    struct neo_error err;

    t->files++;
    if (neo_file_read(path, NEO_COLLATERAL_FILE_MAX, &text, &err) != NEO_OK ||
        neo_collateral_add(set, neo_buffer_bytes(&text), slash == NULL ? path : slash + 1, &err) !=
            NEO_OK)
        tally_failed(t, path, err.message);
}

static void add_path(struct neo_collateral *set, const char *path, struct tally *t)
{
    char full[PATH_LEN];
    struct stat st;
    DIR *dir;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        add_file(set, path, t);
        return;
    }
    dir = opendir(path);
    if (dir == NULL) {
        tally_failed(t, path, "cannot open the folder");
        return;
    }
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        int len = snprintf(full, sizeof(full), "%s/%s", path, d->d_name);
        bool is_ours = strcmp(d->d_name, "index.json") == 0 || strcmp(d->d_name, "wanted.txt") == 0;
        if (len <= 0 || len >= PATH_LEN || d->d_name[0] == '.' || is_ours || stat(full, &st) != 0)
            continue;
        if (S_ISREG(st.st_mode))
            add_file(set, full, t);
        else if (S_ISDIR(st.st_mode))
            tell(t, "skipped", full, NULL, "a folder in a folder; name it itself", false);
    }
    (void)closedir(dir);
}

static enum neo_code read_set(struct neo_arena *arena, const struct collateral_args *a,
                              struct neo_collateral **ret, struct neo_error *err)
{
    struct neo_collateral_options options = {.development = a->from.development};

    if (a->from.simulated_root != NULL)
        NEO_TRY(attest_read_file(arena, a->from.simulated_root, ATTEST_FILE_MAX,
                                 &options.simulated_root, err));
    return neo_collateral_new(&options, ret, err);
}

static int import(struct neo_arena *arena, const struct collateral_args *a,
                  const char *const *paths, size_t n)
{
    struct neo_collateral_put how = {.force = a->force, .each = tally_item};
    struct neo_collateral_store *store;
    struct neo_collateral *set;
    struct neo_error err;
    struct tally t;

    if (n == 0)
        return fail_usage("say what: neo attest collateral import <file or folder>...");
    if (attest_read_time(a->at, &how.now, &err) != NEO_OK ||
        collateral_open(arena, a, NULL, true, &store, &err) != NEO_OK)
        return fail(&err);
    if (read_set(arena, a, &set, &err) != NEO_OK) {
        neo_collateral_store_close(store);
        return fail(&err);
    }
    tally_begin(&t);
    for (size_t i = 0; i < n; i++) {
        size_t before = t.files;
        add_path(set, paths[i], &t);
        if (t.files == before)
            tally_failed(&t, paths[i], "there is no file in it");
    }
    how.source = n == 1 ? paths[0] : "import";
    how.self = &t;
    enum neo_code code = neo_collateral_store_put(store, set, &how, &err);
    warn_of_problems(store);
    tally_end(&t);
    neo_collateral_free(set);
    neo_collateral_store_close(store);
    if (code != NEO_OK)
        return fail(&err);
    return t.refused > 0 ? EXIT_FAILED : EXIT_OK;
}

/* --- export ----------------------------------------------------------------------------------- */

static int export(struct neo_arena *arena, const struct collateral_args *a, const char *to)
{
    struct neo_collateral_put how = {.source = "export", .each = tally_item};
    struct neo_collateral_store *store = NULL, *target = NULL;
    struct neo_collateral *set = NULL;
    struct neo_error err;
    struct tally t;

    if (attest_read_time(a->at, &how.now, &err) != NEO_OK ||
        collateral_open(arena, a, NULL, false, &store, &err) != NEO_OK)
        return fail(&err);
    enum neo_code code = collateral_open(arena, a, to, true, &target, &err);
    if (code == NEO_OK)
        code = read_set(arena, a, &set, &err);
    for (size_t i = 0; code == NEO_OK && i < neo_collateral_store_count(store); i++)
        code =
            neo_collateral_add(set, neo_collateral_store_at(store, i)->item->bytes, "export", &err);
    tally_begin(&t);
    how.self = &t;
    if (code == NEO_OK)
        code = neo_collateral_store_put(target, set, &how, &err);
    warn_of_problems(store);
    tally_end(&t);
    neo_collateral_free(set);
    neo_collateral_store_close(target);
    neo_collateral_store_close(store);
    if (code != NEO_OK)
        return fail(&err);
    return t.refused > 0 ? EXIT_FAILED : EXIT_OK;
}

/* --- list ------------------------------------------------------------------------------------- */

static const char *state_of(const struct neo_collateral_item *item, int64_t now)
{
    switch (neo_collateral_freshness(item, now)) {
    case NEO_FRESH:
        return "fresh";
    case NEO_STALE_SOON:
        return item->is_dated ? "stale soon" : "ends soon";
    case NEO_STALE:
        break;
    }
    return item->is_dated ? "stale" : "expired";
}

static const char *standing_of(const struct neo_collateral_item *item)
{
    if (item->standing != NEO_COLLATERAL_VERIFIED)
        return "unproven";
    return item->simulated ? "SIMULATED" : "verified";
}

static const char *date(int64_t at, char text[static 32])
{
    time_t seconds = (time_t)at;
    struct tm tm;

    if (at == 0 || gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, 32, "%Y-%m-%d %H:%M", &tm) == 0)
        (void)snprintf(text, 32, "-");
    return text;
}

static void list_table(const struct neo_collateral_store *store, int64_t now)
{
    struct table t;

    table_begin(&t, 8,
                (const char *const[]){"KIND", "FOR", "ISSUED", "UNTIL", "STATE", "PROOF", "SIZE",
                                      "SOURCE"});
    for (size_t i = 0; i < neo_collateral_store_count(store); i++) {
        const struct neo_collateral_held *held = neo_collateral_store_at(store, i);
        const struct neo_collateral_item *item = held->item;
        char issued[32], until[32];
        table_cell(&t, neo_collateral_kind_text(item->kind));
        table_cell(&t, item->subject);
        table_cell(&t, date(item->issued, issued));
        table_cell(&t, date(item->until, until));
        table_cell(&t, state_of(item, now));
        table_cell(&t, standing_of(item));
        table_cellf(&t, "%zu", item->bytes.len);
        table_cell(&t, held->source);
    }
    table_end(&t);
}

static void put_number(struct neo_json_writer *w, const char *key, int64_t value)
{
    neo_json_put_key(w, key);
    neo_json_put_i64(w, value);
}

static void put_held(struct neo_json_writer *w, const struct neo_collateral_held *held, int64_t now)
{
    const struct neo_collateral_item *item = held->item;

    neo_json_open_object(w);
    put_text(w, "name", item->name);
    put_text(w, "kind", neo_collateral_kind_text(item->kind));
    put_text(w, "subject", item->subject);
    put_number(w, "issued", item->issued);
    put_number(w, "until", item->until);
    put_text(w, "state", state_of(item, now));
    put_text(w, "proof", standing_of(item));
    put_number(w, "number", (int64_t)item->number);
    put_number(w, "size", (int64_t)item->bytes.len);
    put_text(w, "source", held->source);
    put_number(w, "stored", held->stored_at);
    put_number(w, "checked", held->checked_at);
    put_text(w, "request", item->request);
    neo_json_close_object(w);
}

static void put_wanted(void *self, const char *request, int64_t due_at)
{
    if (due_at == 0)
        neo_json_put_text(self, request);
}

static void list_json(const struct neo_collateral_store *store, int64_t now)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "items");
    neo_json_open_array(&w);
    for (size_t i = 0; i < neo_collateral_store_count(store); i++)
        put_held(&w, neo_collateral_store_at(store, i), now);
    neo_json_close_array(&w);
    neo_json_put_key(&w, "missing");
    neo_json_open_array(&w);
    neo_collateral_store_due(store, now, put_wanted, &w);
    neo_json_close_array(&w);
    neo_json_put_key(&w, "problems");
    neo_json_open_array(&w);
    for (size_t i = 0; i < neo_collateral_store_problems(store); i++)
        neo_json_put_text(&w, neo_collateral_store_problem(store, i));
    neo_json_close_array(&w);
    neo_json_close_object(&w);
    print_json(&out);
}

static void say_wanted(void *self, const char *request, int64_t due_at)
{
    (void)self;
    if (due_at == 0)
        (void)printf("missing: %s\n", request);
}

static int list(struct neo_arena *arena, const struct collateral_args *a)
{
    struct neo_collateral_store *store;
    struct neo_error err;
    int64_t now;

    if (attest_read_time(a->at, &now, &err) != NEO_OK ||
        collateral_open(arena, a, NULL, false, &store, &err) != NEO_OK)
        return fail(&err);
    if (cli.json) {
        list_json(store, now);
    } else {
        list_table(store, now);
        neo_collateral_store_due(store, now, say_wanted, NULL);
        warn_of_problems(store);
    }
    bool whole = neo_collateral_store_problems(store) == 0;
    neo_collateral_store_close(store);
    return whole ? EXIT_OK : EXIT_FAILED;
}

/* --- the word --------------------------------------------------------------------------------- */

static int dispatch(struct neo_arena *arena, const struct collateral_args *a, const char **rest,
                    size_t n)
{
    if (strcmp(rest[0], "import") == 0)
        return import(arena, a, rest + 1, n - 1);
    if (strcmp(rest[0], "refresh") == 0)
        return collateral_refresh(arena, a, rest + 1, n - 1);
    if (strcmp(rest[0], "list") == 0 && n == 1)
        return list(arena, a);
    if (strcmp(rest[0], "export") == 0 && n == 2)
        return export(arena, a, rest[1]);
    return fail_usage("say what: neo attest collateral import <path>... | list | refresh "
                      "[<request>...] | export <folder>");
}

static int run(int argc, char **argv)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct collateral_args a = {.store = NULL};
    const struct arg args[] = {
        {"--store", ARG_TEXT, &a.store, "DIR", "the folder of collateral [<dir>/collateral]"},
        {"--force", ARG_FLAG, &a.force, NULL, "import: an older edition replaces a newer"},
        {"--fetch-command", ARG_TEXT, &a.fetch_command, "CMD",
         "refresh: program and its words, run without a shell"},
        {"--source", ARG_TEXT, &a.url, "URL", "refresh: a cache that answers like the makers"},
        {"--for", ARG_LIST, &a.evidence, "FILE", "refresh: also what this evidence needs"},
        {"--all", ARG_FLAG, &a.all, NULL, "refresh: also what is not due"},
        {"--kind", ARG_TEXT, &a.from.kind, "KIND", "of --for [by its form]"},
        {"--at", ARG_TEXT, &a.at, "TIME", "as of then [now]"},
        {"--simulated-root", ARG_TEXT, &a.from.simulated_root, "FILE", "DER; with --insecure-dev"},
        {"--insecure-dev", ARG_FLAG, &a.from.development, NULL, "accept simulated roots"},
    };
    const char *rest[REST_MAX];
    int status;

    int n =
        args_parse(&attest_collateral, argc, argv, args, NEO_COUNT(args), rest, REST_MAX, &status);
    if (n < 0)
        return status;
    if (n == 0)
        return fail_usage("say what: neo attest collateral import | list | refresh | export");
    neo_arena_init(&arena, ATTEST_ARENA);
    return dispatch(&arena, &a, rest, (size_t)n);
}

const struct command attest_collateral = {
    .name = "attest collateral",
    .run = run,
    .summary = "keep what evidence is judged against: import, list, refresh, export",
    .usage = "attest collateral import <path>... | list | refresh [<request>...] | export <folder>",
    .examples = "  neo attest collateral import tcb_info.json tcb_signing_chain.pem ask_ark.pem\n"
                "  neo attest collateral list\n"
                "  neo attest collateral refresh --for quote.dat\n"
                "  neo attest collateral refresh --source http://cache.internal:8081\n"
                "  neo attest collateral export /media/stick/collateral\n",
};
