/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `neo up`: the control plane on this machine, in one folder; `neo down` ends it.
 *
 *   <dir>/ca/ registry/     state of the two; ca/signer/ holds the keys
 *   <dir>/join/             the first join strings, mode 0600
 *   <dir>/run/              pids and addresses
 *   <dir>/up.options        what it was started with
 *   <dir>/log/              their logs
 *   <dir>/simulator/        development: the pretended vendor of TEEs
 */
#include "cli/up.h"

#include <neo/attest.h>
#include <neo/loop.h>
#include <neo/store.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_SECONDS = 15, STOP_SECONDS = 12 };

/* Who runs before `up` came, and who runs now. */
struct plane {
    int ca_pid, registry_pid;
    bool ca_lived, registry_lived;
    char ca[128], registry[128];
};

/* What lies there already must be ours before anything in it is believed. */
static enum neo_code make_folders(struct neo_error *err)
{
    static const char *const names[] = {DIR_FOLDERS};
    char path[PATH_LEN];

    if (mkdir(cli.dir, 0700) != 0 && errno != EEXIST)
        return neo_fail_errno(err, "cannot make '%s'", cli.dir);
    NEO_TRY(dir_enter(err));
    for (size_t i = 0; i < NEO_COUNT(names); i++) {
        dir_path(path, "%s", names[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return neo_fail_errno(err, "cannot make '%s'", path);
    }
    return NEO_OK;
}

static enum neo_code write_pid(const char *name, int pid, struct neo_error *err)
{
    char path[PATH_LEN], line[32];

    dir_path(path, "run/%s.pid", name);
    (void)snprintf(line, sizeof(line), "%d\n", pid);
    return neo_file_replace(path, neo_text(line), 0644, err);
}

/* The last line of a log that is an error, for the person who waits. */
static void last_words(const char *log, char *text, size_t len)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = {0};

    (void)snprintf(text, len, "see %s", log);
    if (neo_file_read(log, 1 << 20, &all, NULL) != NEO_OK || !neo_buffer_append_byte(&all, '\0'))
        return;
    const char *found = NULL;
    for (const char *at = (const char *)all.at; (at = strstr(at, "error: ")) != NULL; at++)
        found = at + 7;
    if (found != NULL)
        (void)snprintf(text, len, "%.*s", (int)strcspn(found, "\n"), found);
}

/* Waits until the file that a process writes when it is ready appears. */
static enum neo_code await(const char *name, int pid, char *address, size_t len,
                           struct neo_error *err)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    char path[PATH_LEN], log[PATH_LEN], why[PATH_LEN + 16];
    bool ended = false;

    dir_path(path, "run/%s.address", name);
    dir_path(log, "log/%s.log", name);
    for (int i = 0; i < START_SECONDS * 100 && !ended; i++) {
        if (dir_line(path, address, len, NULL) == NEO_OK)
            return NEO_OK;
        (void)nanosleep(&pause, NULL);
        ended = waitpid(pid, NULL, WNOHANG) != 0; /* a child of ours, whatever it is called yet */
    }
    last_words(log, why, sizeof(why));
    if (!ended)
        process_stop(name, 1);
    return neo_fail(err, NEO_UNAVAILABLE, "%s did not start: %s", name, why);
}

static enum neo_code launch(const char *name, const char *const *argv, char *address, size_t len,
                            int *ret_pid, struct neo_error *err)
{
    char log[PATH_LEN], path[PATH_LEN];

    dir_path(path, "run/%s.address", name);
    (void)unlink(path);
    dir_path(log, "log/%s.log", name);
    dir_path(path, "log/%s.log.before", name);
    (void)rename(log, path); /* its last words, where it died */
    int pid = process_start(argv, log, err);
    if (pid < 0)
        return err->code;
    *ret_pid = pid;
    NEO_TRY(write_pid(name, pid, err));
    return await(name, pid, address, len, err);
}

/* An option that may come several times. */
static void add_list(const char **argv, size_t *n, const char *option, const struct arg_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        argv[(*n)++] = option;
        argv[(*n)++] = list->at[i];
    }
}

static enum neo_code start_ca(const struct up *up, struct plane *plane, struct neo_error *err)
{
    char state[PATH_LEN], registry_file[PATH_LEN], address_file[PATH_LEN];
    char registry_join[PATH_LEN + 32], operator_join[PATH_LEN + 32], join[PATH_LEN], life[16];
    char root[PATH_LEN];

    dir_path(state, "ca");
    dir_path(registry_file, "run/registry.address");
    dir_path(address_file, "run/ca.address");
    dir_path(join, "join/neo-registry");
    (void)snprintf(registry_join, sizeof(registry_join), "neo-registry=%s", join);
    dir_path(join, "join/" OPERATOR);
    (void)snprintf(operator_join, sizeof(operator_join), OPERATOR "=%s", join);
    (void)snprintf(life, sizeof(life), "%u", up->leaf_life);
    size_t n = 0;
    /* An option and its value share a line. */
    /* clang-format off */
    const char *const fixed[] = {
        "neo", "serve", "ca",
        "--state", state,
        "--trust-domain", up->trust_domain,
        "--listen", up->ca_listen,
        "--registry-file", registry_file,
        "--address-file", address_file,
        "--first", registry_join,
        "--first", operator_join,
        "--leaf-life", up->leaf_life == 0 ? "86400" : life};
    /* clang-format on */
    const char *argv[NEO_COUNT(fixed) + 4 + 4 * ARG_LIST_MAX];

    for (; n < NEO_COUNT(fixed); n++)
        argv[n] = fixed[n];
    add_list(argv, &n, "--attestation", &up->attestation);
    add_list(argv, &n, "--collateral", &up->collateral);
    if (up->development)
        argv[n++] = "--insecure-dev";
    if (up->development && up->attestation.n > 0) {
        dir_path(root, "simulator/root.der");
        argv[n++] = "--simulated-root";
        argv[n++] = root;
    }
    argv[n] = NULL;
    return launch("ca", argv, plane->ca, sizeof(plane->ca), &plane->ca_pid, err);
}

static enum neo_code start_registry(const struct up *up, struct plane *plane, struct neo_error *err)
{
    char state[PATH_LEN], join[PATH_LEN], address_file[PATH_LEN], root[PATH_LEN];
    const char *argv[24 + 2 * ARG_LIST_MAX] = {"neo", "serve", "registry"};
    size_t n = 3;

    dir_path(state, "registry");
    dir_path(join, "join/neo-registry");
    dir_path(address_file, "run/registry.address");
    dir_path(root, "simulator/root.der");
    const char *const fixed[] = {
        "--state",        state,       "--join-file", join, "--listen", up->registry_listen,
        "--address-file", address_file};
    for (size_t i = 0; i < NEO_COUNT(fixed); i++)
        argv[n++] = fixed[i];
    add_list(argv, &n, "--policy", &up->policies);
    if (up->development) {
        argv[n++] = "--insecure-dev";
        argv[n++] = "--simulated-root";
        argv[n++] = root;
    }
    argv[n] = NULL;
    if (plane->ca_lived) /* a CA that starts wrote it already */
        NEO_TRY(client_wish("neo-registry", err));
    enum neo_code code = launch("registry", argv, plane->registry, sizeof(plane->registry),
                                &plane->registry_pid, err);
    (void)unlink(join);
    return code;
}

/* The pretended vendor of TEEs: made once, marked as what it is. */
static enum neo_code make_simulator(struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer bundle = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer root = {0};
    char path[PATH_LEN];

    dir_path(path, "run/development");
    NEO_TRY(neo_file_replace(path, NEO_LIT("simulated evidence is accepted here\n"), 0644, err));
    dir_path(path, "simulator/root.der");
    if (access(path, F_OK) == 0)
        return NEO_OK;
    NEO_TRY(neo_sim_snp_init(&bundle, &root, neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC, err));
    char bundle_path[PATH_LEN];
    dir_path(bundle_path, "simulator/bundle.pem");
    NEO_TRY(neo_file_replace(bundle_path, neo_buffer_bytes(&bundle), 0600, err));
    return neo_file_replace(path, neo_buffer_bytes(&root), 0644, err);
}

/* --- what runs already ------------------------------------------------------------------------ */

static bool find_alive(const char *name, char *address, size_t len, int *ret_pid)
{
    char path[PATH_LEN];

    dir_path(path, "run/%s.address", name);
    return process_alive(name, ret_pid) && dir_line(path, address, len, NULL) == NEO_OK;
}

static enum neo_code keeps_its_options(const struct up *given, const struct up *before,
                                       const char *name, int pid, struct neo_error *err)
{
    const char *option = up_differs(given, before, name);

    if (option == NULL)
        return NEO_OK;
    return neo_fail(err, NEO_FAILED_PRECONDITION,
                    "%s (pid %d) runs already, with another %s: leave it out, or stop all with "
                    "`neo down` first",
                    name, pid, option);
}

/* One half alone, after the other died, stays as it is. */
static enum neo_code look_around(const struct up *given, const struct up *before,
                                 struct plane *plane, struct neo_error *err)
{
    plane->ca_lived = find_alive("ca", plane->ca, sizeof(plane->ca), &plane->ca_pid);
    plane->registry_lived =
        find_alive("registry", plane->registry, sizeof(plane->registry), &plane->registry_pid);
    if (plane->ca_lived && plane->registry_lived)
        return neo_fail(err, NEO_ALREADY_EXISTS,
                        "it is up already (CA pid %d) in '%s'; see: neo status, neo down",
                        plane->ca_pid, cli.dir);
    if (given->forget && (plane->ca_lived || plane->registry_lived))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "--forget: %s runs already; stop it with `neo down` first",
                        plane->ca_lived ? "the CA" : "the registry");
    if (plane->ca_lived)
        NEO_TRY(keeps_its_options(given, before, "ca", plane->ca_pid, err));
    if (plane->registry_lived)
        NEO_TRY(keeps_its_options(given, before, "registry", plane->registry_pid, err));
    return NEO_OK;
}

/* Whoever runs still knows the other by its address. */
static void keep_addresses(const struct plane *plane, const struct up *before, struct up *up)
{
    if (plane->registry_lived && before->ca_listen != NULL)
        up->ca_listen = before->ca_listen;
    if (plane->ca_lived && before->registry_listen != NULL)
        up->registry_listen = before->registry_listen;
}

/* --- what it says ----------------------------------------------------------------------------- */

static void print_up(const struct up *up, const struct plane *plane, neo_nsec took)
{
    const char *ca = plane->ca, *registry = plane->registry;
    char options[2048];

    up_print(up, options, sizeof(options));
    if (cli.json) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
        struct neo_json_writer w = {.out = &out, .pretty = true};
        neo_json_open_object(&w);
        neo_json_put_key(&w, "ca");
        neo_json_put_text(&w, ca);
        neo_json_put_key(&w, "registry");
        neo_json_put_text(&w, registry);
        neo_json_put_key(&w, "trust_domain");
        neo_json_put_text(&w, up->trust_domain);
        neo_json_put_key(&w, "options");
        neo_json_put_text(&w, options);
        neo_json_put_key(&w, "as_before");
        neo_json_put_bool(&w, up->recalled);
        neo_json_put_key(&w, "took_ms");
        neo_json_put_u64(&w, took / NEO_NSEC_PER_MSEC);
        neo_json_close_object(&w);
        print_json(&out);
        return;
    }
    (void)printf("%strust domain %s is up%s in '%s' after %llu ms%s\n\n", ink(INK_BOLD),
                 up->trust_domain, ink(INK_NONE), cli.dir,
                 (unsigned long long)(took / NEO_NSEC_PER_MSEC),
                 up->development ? ", DEVELOPMENT: simulated evidence is accepted" : "");
    if (up->recalled)
        (void)printf("options as before: %s\n  (give others, or forget them: neo down && neo up "
                     "--forget)\n\n",
                     options);
    if (plane->ca_lived || plane->registry_lived)
        (void)printf("the %s ran already, and runs on\n\n", plane->ca_lived ? "CA" : "registry");
    struct table t;
    table_begin(&t, 4, (const char *const[]){"WHAT", "ADDRESS", "PID", "LOG"});
    table_cell(&t, "CA (its signer is a process of its own)");
    table_cell(&t, ca);
    table_cellf(&t, "%d", plane->ca_pid);
    table_cellf(&t, "%s/log/ca.log", cli.dir);
    table_cell(&t, "registry, policy feed");
    table_cell(&t, registry);
    table_cellf(&t, "%d", plane->registry_pid);
    table_cellf(&t, "%s/log/registry.log", cli.dir);
    table_end(&t);
    (void)printf("\nnext:\n  neo token create my-service     one string that lets my-service join\n"
                 "  neo check                       is all well?\n  neo down\n");
}

static void stop_one(const char *name)
{
    char path[PATH_LEN];

    process_stop(name, STOP_SECONDS);
    dir_path(path, "run/%s.pid", name);
    (void)unlink(path);
    dir_path(path, "run/%s.address", name);
    (void)unlink(path);
}

static void stop_all(void)
{
    stop_one("registry");
    stop_one("ca");
}

/* An identity knows its CA by address, and may live for a day yet: the registry's as the
 * operator's. */
static void forget_moved_ca(const struct plane *plane, const struct up *before)
{
    char path[PATH_LEN];

    if (before->ca_listen == NULL || strcmp(plane->ca, before->ca_listen) == 0)
        return;
    dir_path(path, "registry/identity.pem");
    (void)unlink(path);
}

static void forget_moved(const struct plane *plane, const struct up *before)
{
    char path[PATH_LEN];

    if (before->ca_listen == NULL || before->registry_listen == NULL ||
        (strcmp(plane->ca, before->ca_listen) == 0 &&
         strcmp(plane->registry, before->registry_listen) == 0))
        return;
    dir_path(path, "as/" OPERATOR "/identity.pem");
    (void)unlink(path);
}

/* Each is needed once, or not at all when there is an identity from before. */
static void forget_joins(void)
{
    char path[PATH_LEN];

    dir_path(path, "join/" OPERATOR);
    (void)unlink(path);
    dir_path(path, "join/neo-registry");
    (void)unlink(path);
}

static enum neo_code start_missing(const struct up *up, const struct up *before,
                                   struct plane *plane, struct neo_error *err)
{
    struct neo_mesh *mesh;

    char development[PATH_LEN];

    dir_path(development, "run/development");
    if (up->development)
        NEO_TRY(make_simulator(err));
    else
        (void)unlink(development);
    if (!plane->ca_lived)
        NEO_TRY(start_ca(up, plane, err));
    if (!plane->registry_lived) {
        forget_moved_ca(plane, before);
        NEO_TRY(start_registry(up, plane, err));
    }
    forget_moved(plane, before);
    NEO_TRY(client_join(OPERATOR, &mesh, err)); /* proves that both work; makes the operator */
    neo_mesh_free(mesh);
    return NEO_OK;
}

static enum neo_code bring_up(struct up *up, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct plane plane = {.ca_pid = 0};
    neo_nsec start = neo_mono_nsec();
    const struct up given = *up;
    struct up before;

    NEO_TRY(make_folders(err));
    NEO_TRY(up_recall(up, &before, &text, err));
    NEO_TRY(look_around(&given, &before, &plane, err));
    keep_addresses(&plane, &before, up);
    enum neo_code code = start_missing(up, &before, &plane, err);
    forget_joins();
    if (code == NEO_OK)
        code = up_remember(up, plane.ca, plane.registry, err);
    if (code != NEO_OK) { /* what ran before is none of ours to stop */
        if (!plane.registry_lived)
            stop_one("registry");
        if (!plane.ca_lived)
            stop_one("ca");
        return code;
    }
    print_up(up, &plane, neo_mono_nsec() - start);
    return NEO_OK;
}

/* In the foreground until told to stop. */
static void wait_for_end(void)
{
    sigset_t set;
    int got;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)printf("\nCtrl-C ends it.\n");
    (void)fflush(stdout);
    (void)sigwait(&set, &got);
    stop_all();
}

static int run_up(int argc, char **argv)
{
    struct up up = {.detach = false};
    const struct arg args[] = {
        {"--policy", ARG_LIST, &up.policies, "PATH", "policy, limits: a YAML file or folder"},
        {"--attestation", ARG_LIST, &up.attestation, "FILE",
         "for the CA: whose certificates take evidence (enrol: attested)"},
        {"--collateral", ARG_LIST, &up.collateral, "PATH", "for the CA, to judge it with"},
        {"--detach", ARG_FLAG, &up.detach, NULL, "return when it is up"},
        {"--insecure-dev", ARG_FLAG, &up.development, NULL, "accept simulated evidence"},
        {"--no-insecure-dev", ARG_FLAG, &up.no_development, NULL,
         "where it was so before: no more"},
        {"--trust-domain", ARG_TEXT, &up.trust_domain, "NAME", "[neo.local]"},
        {"--ca", ARG_TEXT, &up.ca_listen, "ADDR", "[127.0.0.1:8441]"},
        {"--registry", ARG_TEXT, &up.registry_listen, "ADDR", "[127.0.0.1:8442]"},
        {"--leaf-life", ARG_U32, &up.leaf_life, "SECONDS", "life of a certificate [86400]"},
        {"--forget", ARG_FLAG, &up.forget, NULL, "do not take the options of the last time"},
    };
    struct neo_error err;
    const char *rest[1];
    int status;

    if (args_parse(&command_up, argc, argv, args, NEO_COUNT(args), rest, 0, &status) < 0)
        return status;
    if (up.leaf_life != 0 && !is_leaf_life(up.leaf_life))
        return fail_usage("--leaf-life %u: " LEAF_LIFE_RANGE, up.leaf_life);
    if (up.development && up.no_development)
        return fail_usage("--insecure-dev or --no-insecure-dev: one of them");
    if (bring_up(&up, &err) != NEO_OK)
        return fail(&err);
    (void)fflush(stdout);
    if (!up.detach)
        wait_for_end();
    return EXIT_OK;
}

const struct command command_up = {
    .name = "up",
    .run = run_up,
    .summary = "start CA, registry and policy feed on this machine",
    .usage = "up [--policy PATH]... [--detach] [options]",
    .examples = "  neo up --detach --policy policies/\n"
                "  neo up --detach                     with the options of the last time\n"
                "  neo up --insecure-dev --leaf-life 60\n",
};

static int run_down(int argc, char **argv)
{
    struct neo_error err;
    const char *rest[1];
    int status, pid;

    if (args_parse(&command_down, argc, argv, NULL, 0, rest, 0, &status) < 0)
        return status;
    if (dir_enter(&err) == NEO_PERMISSION_DENIED)
        return fail(&err);
    bool was_up = process_alive("ca", &pid) || process_alive("registry", &pid);
    stop_all();
    if (!cli.json)
        (void)printf(was_up ? "down\n" : "nothing was up in '%s'\n", cli.dir);
    return EXIT_OK;
}

const struct command command_down = {
    .name = "down",
    .run = run_down,
    .summary = "stop what `neo up` started; state stays",
    .usage = "down",
    .examples = "  neo down\n",
};
