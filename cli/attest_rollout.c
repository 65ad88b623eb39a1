/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `neo attest rollout`: which measurements of a service count, from candidate to revoked.
 *
 * It keeps one file among the policies, which the registry hands out like every other; who may
 * write there decides. What a step needs is asked of the registry.
 */
#include "cli/attest.h"

#include <neo/policy/v1/policy.neo.h>
#include <neo/registry/v1/registry.neo.h>
#include <neo/rollout.h>
#include <neo/store.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ARENA = 32 << 20, FILE_MAX = 1 << 20, REST = 3 };

struct rollout_args {
    struct neo_arena *arena;
    const char *path; /* the file */
    bool is_there;    /* and was read */
    const char *at;
    bool last;                /* also the only one that is active may go */
    struct neo_rollout *list; /* of ARENA; room for one more */
    size_t n;
};

static void unlock(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* --- the file --------------------------------------------------------------------------------- */

static enum neo_code read_file(struct rollout_args *a, struct neo_error *err)
{
    struct neo_document document = {.name = neo_text(a->path)};
    struct neo_rollout *read = NULL;

    a->list = neo_arena_calloc(a->arena, NEO_ROLLOUTS_MAX + 1, sizeof(*a->list));
    if (a->list == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    if (access(a->path, F_OK) != 0 && errno == ENOENT)
        return NEO_OK;
    a->is_there = true;
    NEO_TRY(attest_read_file(a->arena, a->path, FILE_MAX, &document.text, err));
    NEO_TRY(neo_rollouts_read(&document, a->arena, &read, &a->n, err));
    if (read == NULL)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "'%s' is no document of measurement_rollouts; give another --file",
                        a->path);
    memcpy(a->list, read, a->n * sizeof(*read));
    return NEO_OK;
}

static enum neo_code write_file(const struct rollout_args *a, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    if (!neo_rollouts_write(a->list, a->n, &out))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    return neo_file_replace(a->path, neo_buffer_bytes(&out), 0644, err);
}

/* Two people at once would lose one's step: a lock beside the file, which stays. */
static int lock_file(const struct rollout_args *a, struct neo_error *err)
{
    char path[PATH_LEN];
    const char *slash = strrchr(a->path, '/');
    int folder = slash == NULL ? 0 : (int)(slash - a->path) + 1;

    (void)snprintf(path, sizeof(path), "%.*s.", folder, a->path);
    if (access(path, F_OK) != 0) {
        (void)neo_fail(
            err, NEO_NOT_FOUND,
            "there is no folder '%.*s' here; go where the registry's policies are, or name "
            "the document among them with --file",
            folder, a->path);
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%.*s.rollouts.lock", folder, a->path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        (void)neo_fail_errno(err, "cannot lock '%s'", path);
        unlock(&fd);
        return -1;
    }
    return fd;
}

/* --- what is seen ----------------------------------------------------------------------------- */

static struct neo_rollout_seen look(const struct neo_registry_v1_ListResponse *r,
                                    const struct neo_rollout *rollout)
{
    struct neo_rollout_seen seen = {0};

    for (size_t i = 0; i < r->instances.len; i++) {
        const struct neo_registry_v1_Instance *in = r->instances.at[i];
        seen.instances += neo_bytes_is(in->service, rollout->service) &&
                          neo_bytes_is(in->measurement, rollout->measurement);
        for (size_t k = 0; k < in->live.len; k++) {
            const struct neo_registry_v1_Live *l = in->live.at[k];
            if (neo_bytes_is(l->service, rollout->service) &&
                neo_bytes_is(l->measurement, rollout->measurement))
                seen.channels += l->connections;
        }
    }
    return seen;
}

/* --- showing ---------------------------------------------------------------------------------- */

static const char *date(int64_t at, char text[static 32])
{
    time_t seconds = (time_t)at;
    struct tm tm;

    if (at == 0 || gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(text, 32, "-");
    return text;
}

static void put_text(struct neo_json_writer *w, const char *key, const char *text)
{
    neo_json_put_key(w, key);
    neo_json_put_text(w, text);
}

static void put_number(struct neo_json_writer *w, const char *key, int64_t value)
{
    neo_json_put_key(w, key);
    neo_json_put_i64(w, value);
}

static void put_rollout(struct neo_json_writer *w, const struct neo_rollout *r,
                        const struct neo_rollout_seen *seen)
{
    neo_json_open_object(w);
    put_text(w, "service", r->service);
    put_text(w, "measurement", r->measurement);
    put_text(w, "state", neo_rollout_state_text(r->state));
    put_number(w, "since", r->since);
    put_number(w, "proven", r->proven);
    put_number(w, "not_before", r->not_before);
    put_number(w, "not_after", r->not_after);
    put_number(w, "instances", (int64_t)seen->instances);
    put_number(w, "connections", (int64_t)seen->channels);
    neo_json_close_object(w);
}

static void print_json_list(const struct rollout_args *a,
                            const struct neo_registry_v1_ListResponse *r)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "rollouts");
    neo_json_open_array(&w);
    for (size_t i = 0; i < a->n; i++) {
        struct neo_rollout_seen seen = look(r, &a->list[i]);
        put_rollout(&w, &a->list[i], &seen);
    }
    neo_json_close_array(&w);
    neo_json_close_object(&w);
    print_json(&out);
}

static void print_table(const struct rollout_args *a, const struct neo_registry_v1_ListResponse *r)
{
    struct table t;

    table_begin(&t, 7,
                (const char *const[]){"SERVICE", "MEASUREMENT", "STATE", "SINCE", "NOT AFTER",
                                      "INSTANCES", "CONNECTIONS"});
    for (size_t i = 0; i < a->n; i++) {
        const struct neo_rollout *ro = &a->list[i];
        struct neo_rollout_seen seen = look(r, ro);
        char since[32], until[32];
        table_cell(&t, ro->service);
        table_cellf(&t, "%.16s..", ro->measurement);
        table_cell(&t, neo_rollout_state_text(ro->state));
        table_cell(&t, date(ro->since, since));
        table_cell(&t, date(ro->not_after, until));
        table_cellf(&t, "%llu", (unsigned long long)seen.instances);
        table_cellf(&t, "%llu", (unsigned long long)seen.channels);
    }
    table_end(&t);
}

static int list(struct rollout_args *a)
{
    struct neo_registry_v1_ListResponse r = {0};
    struct neo_error err;

    if (read_file(a, &err) != NEO_OK)
        return fail(&err);
    if (!a->is_there)
        (void)fprintf(stderr, "'%s' is not there: no service is rolled out\n", a->path);
    else if (client_instances(a->arena, &r, &err) != NEO_OK) {
        r = (struct neo_registry_v1_ListResponse){0};
        (void)fprintf(stderr, "warning: %s; what runs is not known\n", err.message);
    }
    if (cli.json)
        print_json_list(a, &r);
    else
        print_table(a, &r);
    return EXIT_OK;
}

/* --- steps ------------------------------------------------------------------------------------ */

static struct neo_rollout *find(const struct rollout_args *a, const char *service,
                                const char *measurement)
{
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->list[i].service, service) == 0 &&
            strcmp(a->list[i].measurement, measurement) == 0)
            return &a->list[i];
    }
    return NULL;
}

static int tell(const struct neo_rollout *r)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};
    const struct neo_rollout_seen seen = {0};

    if (cli.json) {
        put_rollout(&w, r, &seen);
        print_json(&out);
    } else {
        (void)printf("%s %.16s.. is %s now\n", r->service, r->measurement,
                     neo_rollout_state_text(r->state));
    }
    return EXIT_OK;
}

/* A step, from what was asked to what became of it. */
struct step {
    const char *word;
    const char *service;
    const char *measurement;
    int64_t now;
    int64_t at;             /* --at; 0: none */
    struct neo_rollout was; /* .measurement "": there was none */
    struct neo_rollout *is; /* in the list; NULL: nothing was changed */
    bool is_alone;          /* the registry did not answer when it was asked what it sees */
    bool needs_registry;    /* nothing is done that it does not record */
};

static enum neo_code already(const struct step *s, enum neo_rollout_state state,
                             struct neo_error *err)
{
    return neo_fail(err, NEO_ALREADY_EXISTS, "%s has this measurement already: it is %s",
                    s->service, neo_rollout_state_text(state));
}

static enum neo_code add(struct rollout_args *a, struct step *s, struct neo_error *err)
{
    if (s->was.measurement[0] != '\0')
        return already(s, s->was.state, err);
    if (a->n == NEO_ROLLOUTS_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "more than %d measurements in '%s'; take out what is revoked",
                        NEO_ROLLOUTS_MAX, a->path);
    NEO_TRY(neo_rollout_begin(s->service, s->measurement, s->now, &a->list[a->n], err));
    s->is = &a->list[a->n++];
    return NEO_OK;
}

static bool is_listed(const struct rollout_args *a, const struct neo_registry_v1_Instance *in)
{
    for (size_t i = 0; i < a->n; i++) {
        if (neo_bytes_is(in->service, a->list[i].service) &&
            neo_bytes_is(in->measurement, a->list[i].measurement))
            return true;
    }
    return false;
}

/*
 * Once a service is in the document, what it does not list there is refused: what runs now must not
 * be cut off by the first step.
 */
static enum neo_code check_others(const struct rollout_args *a, const struct step *s,
                                  const struct neo_registry_v1_ListResponse *seen,
                                  struct neo_error *err)
{
    for (size_t i = 0; i < a->n; i++) {
        if (&a->list[i] != s->is && strcmp(a->list[i].service, s->service) == 0)
            return NEO_OK; /* it is in the document already */
    }
    for (size_t i = 0; i < seen->instances.len; i++) {
        const struct neo_registry_v1_Instance *in = seen->instances.at[i];
        if (!neo_bytes_is(in->service, s->service) || in->measurement.len == 0)
            continue;
        if (s->is->state == NEO_ROLLOUT_CANDIDATE || !is_listed(a, in))
            return neo_fail(err, NEO_FAILED_PRECONDITION,
                            "its instance %.*s would be refused from now on; first take in what "
                            "runs: neo attest rollout activate %s %.*s",
                            NEO_FMT(in->id), s->service, NEO_FMT(in->measurement));
    }
    return NEO_OK;
}

static enum neo_code add_candidate(struct rollout_args *a, struct step *s, struct neo_error *err)
{
    struct neo_registry_v1_ListResponse seen = {0};
    struct neo_error unseen;

    if (s->at != 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "--at belongs to activate and retire");
    NEO_TRY(add(a, s, err));
    if (client_instances(a->arena, &seen, &unseen) != NEO_OK) {
        (void)fprintf(stderr,
                      "warning: %s. What of %s runs now is not known, and who does this is on no "
                      "record; the registry records the change itself once it has it\n",
                      unseen.message, s->service);
        s->is_alone = true;
        return NEO_OK;
    }
    return check_others(a, s, &seen, err);
}

/* Once it is retiring it is never active again, so this may be a slip that cannot be mended. */
static enum neo_code check_last(const struct rollout_args *a, const struct step *s,
                                struct neo_error *err)
{
    for (size_t i = 0; i < a->n; i++) {
        if (&a->list[i] != s->is && a->list[i].state == NEO_ROLLOUT_ACTIVE &&
            strcmp(a->list[i].service, s->service) == 0)
            return NEO_OK;
    }
    if (a->last || s->is->state != NEO_ROLLOUT_ACTIVE)
        return NEO_OK;
    return neo_fail(err, NEO_FAILED_PRECONDITION,
                    "no other measurement of %s is active, and a retiring one is never active "
                    "again; activate the next one first, or say --last",
                    s->service);
}

static enum neo_code advance(struct rollout_args *a, struct step *s, enum neo_rollout_step step,
                             struct neo_error *err)
{
    struct neo_registry_v1_ListResponse seen_by = {0};
    struct neo_rollout_seen seen = {0};
    bool is_new = s->was.measurement[0] == '\0';

    s->needs_registry = step != NEO_ROLLOUT_REVOKE; /* which must work without anybody's help */
    if (is_new && step != NEO_ROLLOUT_ACTIVATE)
        return neo_fail(err, NEO_NOT_FOUND,
                        "%s has no such measurement in '%s'; see: neo attest rollout list",
                        s->service, a->path);
    if (is_new) /* what runs already is taken in without a gap */
        NEO_TRY(add(a, s, err));
    else
        s->is = find(a, s->service, s->measurement);
    if (step != NEO_ROLLOUT_REVOKE) {
        s->is_alone = client_instances(a->arena, &seen_by, err) != NEO_OK;
        if (s->is_alone)
            return err->code;
        seen = look(&seen_by, s->is);
    }
    if (step == NEO_ROLLOUT_RETIRE)
        NEO_TRY(check_last(a, s, err));
    NEO_TRY(neo_rollout_step(s->is, step, &seen, s->now, s->at, s->is, err));
    return is_new && step == NEO_ROLLOUT_ACTIVATE ? check_others(a, s, &seen_by, err) : NEO_OK;
}

/* INVALID_ARGUMENT and a NULL `s->is`: there is no such step. */
static enum neo_code take(struct rollout_args *a, struct step *s, struct neo_error *err)
{
    static const char *const words[] = {[NEO_ROLLOUT_ACTIVATE] = "activate",
                                        [NEO_ROLLOUT_RETIRE] = "retire",
                                        [NEO_ROLLOUT_REVOKE] = "revoke"};

    if (strcmp(s->word, "add") == 0)
        return add_candidate(a, s, err);
    for (size_t i = 0; i < NEO_COUNT(words); i++) {
        if (strcmp(s->word, words[i]) == 0)
            return advance(a, s, (enum neo_rollout_step)i, err);
    }
    return neo_fail(err, NEO_INVALID_ARGUMENT, "there is no 'rollout %s'", s->word);
}

static enum neo_code note(const struct step *s, const struct neo_error *refusal,
                          struct neo_error *err)
{
    char why[200] = "";
    struct neo_policy_v1_NoteRolloutRequest request = {
        .service = neo_text(s->service),
        .measurement = neo_text(s->measurement),
        .step = neo_text(s->word),
        .at = s->at,
    };

    if (s->was.measurement[0] != '\0')
        request.from = neo_text(neo_rollout_state_text(s->was.state));
    if (refusal == NULL)
        request.to = neo_text(neo_rollout_state_text(s->is->state));
    else
        (void)snprintf(why, sizeof(why), "%.199s", refusal->message);
    request.refusal = neo_text(why);
    return attest_rollout_note(&request, err);
}

/* What was mistyped is no step. Whoever is refused one is on record, too, if that can be. */
static int refused(const struct step *s, const struct neo_error *err)
{
    struct neo_error untold;

    if (!s->is_alone && err->code != NEO_INVALID_ARGUMENT && err->code != NEO_UNAVAILABLE &&
        note(s, err, &untold) != NEO_OK)
        (void)fprintf(stderr, "warning: the refusal is on no record: %s\n", untold.message);
    return fail(err);
}

/* The record first: what cannot be recorded is not done, but for what must work at any time. */
static enum neo_code record(const struct step *s, struct neo_error *err)
{
    struct neo_error why;

    if (s->is_alone || note(s, NULL, &why) == NEO_OK)
        return NEO_OK;
    if (s->needs_registry)
        return neo_fail(err, NEO_UNAVAILABLE, "nothing was changed, for it is on no record: %.300s",
                        why.message);
    (void)fprintf(stderr,
                  "warning: who did it is on no record: %s. The registry records the change itself "
                  "once it has it\n",
                  why.message);
    return NEO_OK;
}

static int step(struct rollout_args *a, const char *word, const char *service,
                const char *measurement)
{
    struct step s = {.word = word, .service = service, .measurement = measurement};
    struct neo_rollout well_formed;
    struct neo_error err;

    if (attest_read_time(NULL, &s.now, &err) != NEO_OK ||
        (a->at != NULL && attest_read_time(a->at, &s.at, &err) != NEO_OK) ||
        neo_rollout_begin(service, measurement, s.now, &well_formed, &err) != NEO_OK)
        return fail(&err);
    NEO_CLEANUP(unlock) int lock = lock_file(a, &err);
    if (lock < 0 || read_file(a, &err) != NEO_OK)
        return fail(&err);
    const struct neo_rollout *was = find(a, service, measurement);
    if (was != NULL)
        s.was = *was;
    if (take(a, &s, &err) != NEO_OK)
        return refused(&s, &err);
    if (record(&s, &err) != NEO_OK)
        return fail(&err);
    if (write_file(a, &err) != NEO_OK)
        return refused(&s, &err);
    if (was == NULL) /* nobody asked yet whether anything knows it */
        attest_rollout_warn(a->arena, a->path, s.is);
    return tell(s.is);
}

static bool is_word(const char *word)
{
    static const char *const words[] = {"add", "activate", "retire", "revoke"};

    for (size_t i = 0; i < NEO_COUNT(words); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static int run(int argc, char **argv)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct rollout_args a = {.arena = &arena, .path = "policies/rollouts.yaml"};
    const struct arg args[] = {
        {"--file", ARG_TEXT, &a.path, "FILE",
         "among the registry's policies [policies/rollouts.yaml]"},
        {"--at", ARG_TEXT, &a.at, "TIME", "activate: accepted from then; retire: until then"},
        {"--last", ARG_FLAG, &a.last, NULL, "retire: also the only one that is active"},
    };
    const char *rest[REST];
    int status;

    int n = args_parse(&attest_rollout, argc, argv, args, NEO_COUNT(args), rest, REST, &status);
    if (n < 0)
        return status;
    neo_arena_init(&arena, ARENA);
    if (n == 1 && strcmp(rest[0], "list") == 0)
        return list(&a);
    if (n > 0 && strcmp(rest[0], "list") == 0)
        return fail_usage("'rollout list' takes nothing behind it; it shows all services");
    if (n > 0 && !is_word(rest[0]))
        return fail_usage("there is no 'rollout %s'; see: neo attest rollout --help", rest[0]);
    if (n != REST)
        return fail_usage("say what: neo attest rollout list | "
                          "add|activate|retire|revoke <service> <measurement>");
    return step(&a, rest[0], rest[1], rest[2]);
}

const struct command attest_rollout = {
    .name = "attest rollout",
    .run = run,
    .summary = "measurements of a service: candidate, active, retiring, revoked",
    .usage = "attest rollout list | add|activate|retire|revoke <service> <measurement>",
    .examples = "  neo attest rollout add function-service $(cat new.digest)\n"
                "  neo attest rollout activate function-service $(cat new.digest)\n"
                "  neo attest rollout retire function-service $(cat old.digest) "
                "--at 2026-12-24T00:00:00Z\n",
};
