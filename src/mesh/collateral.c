/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service's collateral: read at the start, read anew when a file of its folder has changed, and
 * refreshed by a fetcher, one request at a time, on a thread of the pool. A call waits for none of
 * it: what is in force is an epoch like any other, and a new one has live connections proven
 * anew without ending them.
 */
#include "mesh/mesh.h"

#include <neo/collateral_store.h>
#include <neo/loop.h>
#include <neo/memory.h>

#include <stdio.h>
#include <sys/stat.h>

#define LOOK_EVERY   (3 * NEO_NSEC_PER_SEC)
#define LOOK_RARELY  (60 * NEO_NSEC_PER_SEC) /* where there is no folder */
#define RETRY_BASE   (60 * NEO_NSEC_PER_SEC)
#define RETRY_MAX    (6 * 3600 * NEO_NSEC_PER_SEC)
#define REMIND_EVERY (6 * 3600)

enum { WORDS_MAX = 32, RETRIES_MAX = 128, MISSING_MAX = 16, LOOKS_BEFORE_REFRESH = 2 };

/* A request that failed, and when it may be made again. */
struct retry {
    char request[NEO_COLLATERAL_REQUEST_LEN];
    unsigned failures;
    neo_nsec again;
};

struct mesh_collateral {
    struct neo_mesh *mesh;
    char *dir;
    char *words_text;
    const char *words[WORDS_MAX + 1]; /* of the fetch command; [0] NULL: there is none */

    pthread_mutex_t lock; /* the next two; held while a trust is made of them and published */
    struct neo_collateral_store *store; /* NULL: no folder */
    struct neo_buffer simulated_root;   /* of the last snapshot */

    struct {
        pthread_mutex_t lock;
        char at[MISSING_MAX][NEO_COLLATERAL_REQUEST_LEN];
        size_t n;
    } missing; /* any thread, under its lock */

    /* the control loop only */
    struct neo_timer timer;
    uint8_t looked[32]; /* the folder's fingerprint at the last look */
    uint8_t loaded[32]; /* and of what is in force */
    int64_t reminded;
    unsigned looks;
    struct retry retries[RETRIES_MAX];
    size_t n_retries;
    bool stopped;

    /* one fetch: the loop's, then the pool's, then the loop's again */
    struct neo_task task;
    struct neo_lane lane;
    bool is_fetching;
    _Atomic bool cancelled;
    char request[NEO_COLLATERAL_REQUEST_LEN];
    int64_t now;
    struct neo_buffer root; /* of simulated evidence, then */
    enum neo_code code;
    struct neo_error error;

    struct neo_counter *items;
    struct neo_counter *stale_in;
    struct neo_counter *fetched;
    struct neo_counter *failed;
};

static int64_t wall_seconds(void)
{
    return neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
}

/* --- what is missing -------------------------------------------------------------------------- */

static void note_missing(void *self, const char *request)
{
    struct mesh_collateral *c = self;

    for (size_t i = 0; i < c->missing.n; i++)
        if (strcmp(c->missing.at[i], request) == 0)
            return;
    if (c->missing.n < MISSING_MAX)
        (void)snprintf(c->missing.at[c->missing.n++], NEO_COLLATERAL_REQUEST_LEN, "%s", request);
}

static void on_missing(void *self, const struct neo_evidence *evidence)
{
    struct mesh_collateral *c = self;

    (void)pthread_mutex_lock(&c->missing.lock);
    if (c->missing.n < MISSING_MAX)
        neo_collateral_wanted(evidence, note_missing, c);
    (void)pthread_mutex_unlock(&c->missing.lock);
}

static bool is_there(const struct neo_collateral_store *store, const char *request)
{
    for (size_t i = 0; store != NULL && i < neo_collateral_store_count(store); i++) {
        const struct neo_collateral_item *item = neo_collateral_store_at(store, i)->item;
        if (item->request != NULL && strcmp(item->request, request) == 0)
            return true;
    }
    return false;
}

static void remember_missing(struct mesh_collateral *c)
{
    char copies[MISSING_MAX][NEO_COLLATERAL_REQUEST_LEN];
    const char *requests[MISSING_MAX];
    struct neo_error err;
    size_t n = 0;

    (void)pthread_mutex_lock(&c->missing.lock);
    for (size_t i = 0; i < c->missing.n; i++) {
        if (is_there(c->store, c->missing.at[i]))
            continue;
        memcpy(copies[n], c->missing.at[i], sizeof(copies[n]));
        requests[n] = copies[n];
        n++;
    }
    c->missing.n = 0;
    (void)pthread_mutex_unlock(&c->missing.lock);
    for (size_t i = 0; i < n; i++)
        neo_log_warn(&c->mesh->log, "collateral.missing", NEO_STR("request", requests[i]),
                     NEO_STR("next", "neo attest collateral refresh"));
    if (n > 0 && c->store != NULL &&
        neo_collateral_store_want(c->store, requests, n, &err) != NEO_OK)
        neo_log_warn(&c->mesh->log, "collateral.not_noted", NEO_STR("why", err.message));
}

/* --- loading ---------------------------------------------------------------------------------- */

static enum neo_code make_trust(struct mesh_collateral *c, struct neo_attest_trust **ret,
                                struct neo_error *err)
{
    struct neo_mesh *mesh = c->mesh;
    struct neo_attest_trust_options options = {
        .simulated_root =
            mesh->development ? neo_buffer_bytes(&c->simulated_root) : (struct neo_bytes){0},
        .development = mesh->development,
        .missing = on_missing,
        .missing_self = c,
    };

    if (c->store != NULL)
        options.collateral = neo_collateral_store_bytes(c->store, &options.n_collateral);
    return neo_attest_trust_new(&options, ret, err);
}

static void measure(struct mesh_collateral *c, int64_t now)
{
    int64_t soonest = INT64_MAX;
    size_t n = c->store == NULL ? 0 : neo_collateral_store_count(c->store);

    for (size_t i = 0; i < n; i++) {
        const struct neo_collateral_item *item = neo_collateral_store_at(c->store, i)->item;
        if (item->is_dated && item->until - now < soonest)
            soonest = item->until - now;
    }
    neo_gauge_set(c->items, (int64_t)n);
    neo_gauge_set(c->stale_in, soonest == INT64_MAX ? 0 : soonest);
}

/* Ahead of it, and again every six hours: nobody should learn of it from refused calls. */
static void remind(struct mesh_collateral *c, int64_t now)
{
    if (now - c->reminded < REMIND_EVERY)
        return;
    c->reminded = now;
    for (size_t i = 0; c->store != NULL && i < neo_collateral_store_count(c->store); i++) {
        const struct neo_collateral_item *item = neo_collateral_store_at(c->store, i)->item;
        enum neo_freshness freshness = neo_collateral_freshness(item, now);
        if (freshness != NEO_FRESH)
            neo_log_warn(&c->mesh->log,
                         freshness == NEO_STALE ? "collateral.stale" : "collateral.stale_soon",
                         NEO_STR("item", item->name), NEO_I64("in_s", item->until - now),
                         NEO_STR("next", "neo attest collateral refresh, or import a newer one"));
    }
}

static void report(const struct mesh_collateral *c)
{
    const struct neo_log *log = &c->mesh->log;

    for (size_t i = 0; i < neo_collateral_store_problems(c->store); i++)
        neo_log_error(log, "collateral.skipped",
                      NEO_STR("why", neo_collateral_store_problem(c->store, i)));
    neo_log_info(log, "collateral.loaded", NEO_STR("folder", c->dir),
                 NEO_U64("items", neo_collateral_store_count(c->store)),
                 NEO_U64("skipped", neo_collateral_store_problems(c->store)));
}

/* Under `lock`. A folder that is not there any more leaves what was read of it in force. */
static enum neo_code load(struct mesh_collateral *c, struct neo_error *err)
{
    const struct neo_collateral_store_options options = {
        .dir = c->dir,
        .make = c->words[0] != NULL,
        .simulated_root =
            c->mesh->development ? neo_buffer_bytes(&c->simulated_root) : (struct neo_bytes){0},
        .development = c->mesh->development,
    };
    struct neo_collateral_store *fresh;

    NEO_TRY(neo_collateral_store_open(&options, &fresh, err));
    neo_collateral_store_close(c->store);
    c->store = fresh;
    c->reminded = 0;
    report(c);
    return NEO_OK;
}

/* Both threads that publish trusts do it one after the other, each made of what is newest. */
void collateral_lock(struct neo_mesh *mesh)
{
    (void)pthread_mutex_lock(&mesh->collateral->lock);
}

void collateral_unlock(struct neo_mesh *mesh)
{
    (void)pthread_mutex_unlock(&mesh->collateral->lock);
}

enum neo_code collateral_trust(struct neo_mesh *mesh, struct neo_bytes simulated_root,
                               struct neo_attest_trust **ret, struct neo_error *err)
{
    struct mesh_collateral *c = mesh->collateral;
    bool is_new = !neo_bytes_equal(neo_buffer_bytes(&c->simulated_root), simulated_root);

    neo_buffer_clear(&c->simulated_root);
    if (!neo_buffer_append(&c->simulated_root, simulated_root))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the simulated root");
    if (is_new && mesh->development && c->store != NULL) /* other items may be vouched for now */
        NEO_TRY(load(c, err));
    return make_trust(c, ret, err);
}

static void reload(struct mesh_collateral *c)
{
    struct neo_epoch change = {0};
    struct neo_error err;

    (void)pthread_mutex_lock(&c->lock);
    enum neo_code code = load(c, &err);
    if (code == NEO_OK)
        code = make_trust(c, &change.attest_trust, &err);
    if (code == NEO_OK)
        mesh_publish(c->mesh, &change);
    else
        neo_log_error(&c->mesh->log, "collateral.not_loaded", NEO_STR("why", err.message));
    (void)pthread_mutex_unlock(&c->lock);
}

/* --- refreshing ------------------------------------------------------------------------------- */

static struct retry *find_retry(struct mesh_collateral *c, const char *request)
{
    for (size_t i = 0; i < c->n_retries; i++)
        if (strcmp(c->retries[i].request, request) == 0)
            return &c->retries[i];
    return NULL;
}

static void note_failure(struct mesh_collateral *c)
{
    struct retry *r = find_retry(c, c->request);

    if (r == NULL && c->n_retries < RETRIES_MAX)
        r = &c->retries[c->n_retries++];
    else if (r == NULL) /* that many fail: the oldest gives its place */
        r = &c->retries[neo_loop_now(c->mesh->loop) % RETRIES_MAX];
    if (strcmp(r->request, c->request) != 0)
        *r = (struct retry){.failures = 0};
    (void)snprintf(r->request, sizeof(r->request), "%s", c->request);
    neo_nsec wait = RETRY_BASE / 2 + mesh_backoff(r->failures++, RETRY_BASE, RETRY_MAX);
    r->again = neo_loop_now(c->mesh->loop) + wait;
    neo_counter_add(c->failed, 1);
    neo_log_warn(&c->mesh->log, "collateral.refresh_failed", NEO_STR("request", c->request),
                 NEO_STR("why", c->error.message), NEO_U64("failures", r->failures),
                 NEO_U64("again_in_s", wait / NEO_NSEC_PER_SEC));
}

static void fetch_done(struct neo_job *job)
{
    struct mesh_collateral *c = neo_owner(job, struct mesh_collateral, task.job);
    struct retry *r = find_retry(c, c->request);

    c->is_fetching = false;
    if (c->stopped)
        return;
    if (c->code != NEO_OK) {
        note_failure(c);
        return;
    }
    if (r != NULL)
        *r = c->retries[--c->n_retries];
    neo_counter_add(c->fetched, 1);
    neo_log_info(&c->mesh->log, "collateral.refreshed", NEO_STR("request", c->request));
}

static bool is_cancelled(void *self)
{
    struct mesh_collateral *c = self;

    return c->cancelled;
}

/* On the pool: a store of its own, so that nobody waits for it. */
static void fetch(struct neo_job *job)
{
    struct mesh_collateral *c = neo_owner(job, struct mesh_collateral, task.job);
    const struct neo_collateral_store_options options = {
        .dir = c->dir,
        .make = true,
        .simulated_root = neo_buffer_bytes(&c->root),
        .development = c->mesh->development,
    };
    const struct neo_collateral_fetcher how = {
        .command = c->words, .is_cancelled = is_cancelled, .self = c};
    const struct neo_collateral_put put = {.source = c->request, .now = c->now};
    struct neo_collateral_store *store;

    c->code = neo_collateral_store_open(&options, &store, &c->error);
    if (c->code != NEO_OK)
        return;
    c->code = neo_collateral_store_fetch(store, &how, c->request, &put, &c->error);
    neo_collateral_store_close(store);
}

static void choose(void *self, const char *request, int64_t due_at)
{
    struct mesh_collateral *c = self;
    const struct retry *r = find_retry(c, request);

    if (c->request[0] != '\0' || due_at > c->now ||
        (r != NULL && r->again > neo_loop_now(c->mesh->loop)))
        return;
    (void)snprintf(c->request, sizeof(c->request), "%s", request);
}

static void refresh_one(struct mesh_collateral *c, int64_t now)
{
    if (c->words[0] == NULL || c->is_fetching || c->store == NULL ||
        c->looks < LOOKS_BEFORE_REFRESH)
        return;
    c->request[0] = '\0';
    c->now = now;
    neo_collateral_store_due(c->store, now, choose, c);
    if (c->request[0] == '\0')
        return;
    neo_buffer_clear(&c->root);
    if (c->mesh->development && !neo_buffer_append(&c->root, neo_buffer_bytes(&c->simulated_root)))
        return;
    c->task.work = fetch;
    c->task.done = fetch_done;
    c->is_fetching = neo_loop_offload_in(c->mesh->loop, &c->lane, &c->task);
}

/* --- the clock of it -------------------------------------------------------------------------- */

/* A folder that just changed may be about to change again: it is read when it has settled. */
static bool has_settled(struct mesh_collateral *c)
{
    uint8_t print[32];

    neo_collateral_fingerprint(c->dir, print);
    bool is_same = memcmp(print, c->looked, sizeof(print)) == 0;
    memcpy(c->looked, print, sizeof(print));
    bool is_new = print[0] != 0 && memcmp(print, c->loaded, sizeof(print)) != 0;
    if (is_new && is_same)
        memcpy(c->loaded, print, sizeof(print));
    return is_new && is_same;
}

static neo_nsec pause_of(const struct mesh_collateral *c)
{
    return c->looked[0] == 0 && c->words[0] == NULL ? LOOK_RARELY : LOOK_EVERY;
}

static void look(struct neo_timer *timer)
{
    struct mesh_collateral *c = neo_owner(timer, struct mesh_collateral, timer);
    int64_t now = wall_seconds();

    if (c->stopped)
        return;
    if (has_settled(c))
        reload(c);
    (void)pthread_mutex_lock(&c->lock);
    remember_missing(c);
    remind(c, now);
    measure(c, now);
    c->looks++;
    refresh_one(c, now);
    (void)pthread_mutex_unlock(&c->lock);
    neo_loop_arm(c->mesh->loop, &c->timer, neo_loop_now(c->mesh->loop) + pause_of(c));
}

void collateral_begin(struct neo_mesh *mesh)
{
    struct mesh_collateral *c = mesh->collateral;

    c->timer.expired = look;
    neo_loop_arm(mesh->loop, &c->timer, neo_loop_now(mesh->loop) + LOOK_EVERY);
}

void collateral_stop(struct neo_mesh *mesh)
{
    struct mesh_collateral *c = mesh->collateral;

    if (c == NULL)
        return;
    c->stopped = true;
    c->cancelled = true;
    neo_loop_disarm(mesh->loop, &c->timer);
}

/* --- setting up ------------------------------------------------------------------------------- */

static enum neo_code split_words(struct mesh_collateral *c, const char *text, struct neo_error *err)
{
    char *save = NULL;
    size_t n = 0;

    c->words_text = neo_string_dup(text);
    for (char *word = c->words_text == NULL ? NULL : strtok_r(c->words_text, " ", &save);
         word != NULL && n < WORDS_MAX; word = strtok_r(NULL, " ", &save))
        c->words[n++] = word;
    if (n == 0 || n == WORDS_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--collateral-fetch '%s': write a program and its words, at most %d", text,
                        WORDS_MAX - 1);
    return NEO_OK;
}

static void set_metrics(struct mesh_collateral *c)
{
    struct neo_metrics *m = c->mesh->metrics;

    c->items = neo_counter(neo_metrics_family(m, "neo_collateral_items",
                                              "Pieces of collateral in force.", NEO_GAUGE, NULL),
                           NULL);
    c->stale_in =
        neo_counter(neo_metrics_family(m, "neo_collateral_stale_in_seconds",
                                       "Until the first list or document is out of date; below 0: "
                                       "it is.",
                                       NEO_GAUGE, NULL),
                    NULL);
    c->fetched = neo_counter(neo_metrics_family(m, "neo_collateral_refreshes_total",
                                                "Requests that were answered.", NEO_COUNTER, NULL),
                             NULL);
    c->failed = neo_counter(neo_metrics_family(m, "neo_collateral_refresh_failures_total",
                                               "Requests that were not.", NEO_COUNTER, NULL),
                            NULL);
}

enum neo_code collateral_new(struct neo_mesh *mesh, const struct neo_mesh_options *o,
                             struct neo_error *err)
{
    struct mesh_collateral *c = neo_alloc(sizeof(*c));
    char path[1024];
    struct stat st;

    if (c == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory joining");
    mesh->collateral = c;
    c->mesh = mesh;
    c->lane = (struct neo_lane){.width = 1, .length = 1};
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_mutex_init(&c->missing.lock, NULL);
    set_metrics(c);
    (void)snprintf(path, sizeof(path), "%s/collateral", mesh->state_dir);
    c->dir = neo_string_dup(o->collateral == NULL ? path : o->collateral);
    if (c->dir == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory joining");
    if (o->collateral_fetch != NULL)
        NEO_TRY(split_words(c, o->collateral_fetch, err));
    if (o->collateral == NULL && c->words[0] == NULL && stat(c->dir, &st) != 0)
        return NEO_OK; /* there may be one later */
    neo_collateral_fingerprint(c->dir, c->loaded);
    memcpy(c->looked, c->loaded, sizeof(c->loaded));
    return load(c, err);
}

void collateral_free(struct neo_mesh *mesh)
{
    struct mesh_collateral *c = mesh->collateral;

    if (c == NULL)
        return;
    neo_collateral_store_close(c->store);
    neo_buffer_fini(&c->simulated_root);
    neo_buffer_fini(&c->root);
    (void)pthread_mutex_destroy(&c->lock);
    (void)pthread_mutex_destroy(&c->missing.lock);
    neo_free(c->words_text);
    neo_free(c->dir);
    neo_free(c);
    mesh->collateral = NULL;
}
