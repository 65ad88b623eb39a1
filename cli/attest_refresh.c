/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest collateral refresh`: gets what is due, or missing, or named. */
#include "cli/attest_collateral.h"

#include <stdio.h>
#include <unistd.h>

enum { WORDS_MAX = 32, PLAN_MAX = NEO_COLLATERAL_HELD_MAX };

/* "program word word": split at blanks; there is no shell and no quoting. */
static enum neo_code split(struct neo_arena *arena, const char *text, const char **words,
                           struct neo_error *err)
{
    char *at = neo_arena_string(arena, neo_text(text));
    size_t n = 0;

    for (char *save = NULL, *word = at == NULL ? NULL : strtok_r(at, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        if (n == WORDS_MAX)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "--fetch-command: more than %d words",
                            WORDS_MAX);
        words[n++] = word;
    }
    words[n] = NULL;
    return n > 0 ? NEO_OK : neo_fail(err, NEO_INVALID_ARGUMENT, "--fetch-command: empty");
}

/* <where this program is>/../share/neo/fetch-collateral */
static enum neo_code own_fetcher(struct neo_arena *arena, const char **ret, struct neo_error *err)
{
    char self[PATH_LEN];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (len <= 0)
        return neo_fail_errno(err, "cannot find where this program is");
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    *ret = neo_arena_printf(arena, "%s/../share/neo/fetch-collateral", self);
    if (*ret == NULL || access(*ret, X_OK) != 0)
        return neo_fail(err, NEO_NOT_FOUND,
                        "'%s' is not there; say --fetch-command CMD, or install it",
                        *ret == NULL ? "share/neo/fetch-collateral" : *ret);
    return NEO_OK;
}

static enum neo_code choose(struct neo_arena *arena, const struct collateral_args *a,
                            const char **words, struct neo_error *err)
{
    if (a->fetch_command != NULL && a->url != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "--fetch-command and --source: only one");
    if (a->fetch_command != NULL)
        return split(arena, a->fetch_command, words, err);
    NEO_TRY(own_fetcher(arena, &words[0], err));
    words[1] = a->url == NULL ? NULL : "--source";
    words[2] = a->url;
    words[3] = NULL;
    return NEO_OK;
}

/* --- what to ask for -------------------------------------------------------------------------- */

struct plan {
    struct neo_arena *arena;
    const char *at[PLAN_MAX];
    size_t n;
    int64_t now;
    bool all;
};

static void add(struct plan *plan, const char *request)
{
    for (size_t i = 0; i < plan->n; i++)
        if (strcmp(plan->at[i], request) == 0)
            return;
    /* The store is read anew with each answer: a copy outlives it. */
    char *copy = neo_arena_string(plan->arena, neo_text(request));
    if (plan->n < PLAN_MAX && copy != NULL)
        plan->at[plan->n++] = copy;
}

static void add_due(void *self, const char *request, int64_t due_at)
{
    struct plan *plan = self;

    if (plan->all || due_at <= plan->now)
        add(plan, request);
}

static void add_wanted(void *self, const char *request)
{
    add(self, request);
}

static enum neo_code make_plan(struct plan *plan, const struct collateral_args *a,
                               const struct neo_collateral_store *store,
                               const char *const *requests, size_t n, struct neo_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!neo_collateral_is_request(neo_text(requests[i])))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "'%s' is no request; write for example 'intel-tcb-tdx 90C06F000000'",
                            requests[i]);
        add(plan, requests[i]);
    }
    for (size_t i = 0; i < a->evidence.n; i++) {
        struct neo_evidence e;
        NEO_TRY(attest_read_evidence(plan->arena, &a->from, a->evidence.at[i], &e, err));
        neo_collateral_wanted(&e, add_wanted, plan);
    }
    if (n == 0 && a->evidence.n == 0)
        neo_collateral_store_due(store, plan->now, add_due, plan);
    return NEO_OK;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* What is out of date all the same was asked for within a day, or came with an import. */
static void say_nothing_is_due(const struct neo_collateral_store *store, int64_t now)
{
    size_t stale = 0;

    for (size_t i = 0; i < neo_collateral_store_count(store); i++) {
        const struct neo_collateral_item *item = neo_collateral_store_at(store, i)->item;
        stale += item->request != NULL && neo_collateral_freshness(item, now) == NEO_STALE;
    }
    (void)printf("nothing is due\n");
    if (stale > 0)
        (void)printf("%zu out of date, looked for or imported within a day; to ask now: "
                     "neo attest collateral refresh --all\n",
                     stale);
}

static int fetch_all(struct neo_collateral_store *store, const struct plan *plan,
                     const char *const *words)
{
    const struct neo_collateral_fetcher how = {.command = words};
    struct neo_collateral_put put = {.now = plan->now, .each = tally_item};
    size_t failed = 0;
    struct tally t;

    tally_begin(&t);
    put.self = &t;
    for (size_t i = 0; i < plan->n; i++) {
        struct neo_error err;
        put.source = plan->at[i];
        if (neo_collateral_store_fetch(store, &how, plan->at[i], &put, &err) == NEO_OK)
            continue;
        tally_failed(&t, plan->at[i], err.message);
        failed++;
    }
    tally_end(&t);
    if (!cli.json && plan->n == 0)
        say_nothing_is_due(store, plan->now);
    return failed > 0 ? EXIT_FAILED : EXIT_OK;
}

int collateral_refresh(struct neo_arena *arena, const struct collateral_args *a,
                       const char *const *requests, size_t n)
{
    struct plan *plan = neo_arena_calloc(arena, 1, sizeof(*plan));
    const char *words[WORDS_MAX + 1] = {NULL};
    struct neo_collateral_store *store;
    struct neo_error err;

    if (plan == NULL)
        return fail_usage("out of memory");
    plan->arena = arena;
    plan->all = a->all;
    if (choose(arena, a, words, &err) != NEO_OK ||
        attest_read_time(a->at, &plan->now, &err) != NEO_OK ||
        collateral_open(arena, a, NULL, true, &store, &err) != NEO_OK)
        return fail(&err);
    int status = make_plan(plan, a, store, requests, n, &err) == NEO_OK
                     ? fetch_all(store, plan, words)
                     : fail(&err);
    neo_collateral_store_close(store);
    return status;
}
