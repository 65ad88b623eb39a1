/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `neo serve ca | registry`: one process each. The CA's signer is `neo serve ca-signer`,
 * which only the CA starts.
 */
#include "cli/first.h"
#include "cli/serve_rules.h"

#include "ca/ca.h"
#include "ca/signer.h"
#include "registry/registry.h"

#include <neo/store.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Whoever waits for this file may connect at once. */
static enum neo_code announce(const char *path, const char *address, struct neo_error *err)
{
    char line[160];

    if (path == NULL)
        return NEO_OK;
    (void)snprintf(line, sizeof(line), "%s\n", address);
    return neo_file_replace(path, neo_text(line), 0644, err);
}

/* For who asks with a signal (cli/first.h). It stays: whoever reads it looks what the pid is. */
static enum neo_code write_pid(const char *path, struct neo_error *err)
{
    char line[32];

    if (path == NULL)
        return NEO_OK;
    (void)snprintf(line, sizeof(line), "%d\n", (int)getpid());
    return neo_file_replace(path, neo_text(line), 0644, err);
}

/* --- ca --------------------------------------------------------------------------------------- */

struct ca_args {
    struct ca_options options;
    const char *address_file;
    const char *pid_file;
    const char *log_level;
    struct arg_list first;
    struct serve_rules rules; /* which certificates take evidence, and whose roots count for it */
    uint32_t leaf_life;
};

static enum neo_code run_ca(struct ca_args *a, struct neo_log *log, struct neo_error *err)
{
    struct first first = {.pairs = &a->first, .log = log};
    struct ca_reading rules = {.policies = NULL};
    struct neo_runtime *runtime;
    struct ca *ca = NULL;

    a->options.log = log;
    a->rules.development = a->options.development;
    if (a->rules.attestation.n > 0) {
        a->options.read_rules = serve_rules_read;
        a->options.rules_self = &a->rules;
        NEO_TRY(serve_rules_read(&a->rules, &rules, err));
        a->options.attest_policies = rules.policies;
        a->options.attest_trust = rules.trust;
    }
    first_block();
    NEO_TRY(neo_runtime_new(1, &runtime, err));
    enum neo_code code = ca_start(&a->options, runtime, &ca, err);
    first.ca = ca;
    if (code == NEO_OK)
        code = write_pid(a->pid_file, err);
    if (code == NEO_OK)
        code = first_begin(&first, err);
    if (code == NEO_OK)
        code = announce(a->address_file, ca_address(ca), err);
    if (code == NEO_OK) {
        neo_log_info(log, "service.ready", NEO_STR("address", ca_address(ca)));
        neo_runtime_wait(runtime);
        neo_log_info(log, "service.stopping", NEO_STR("why", "told to"));
    }
    first_end(&first);
    ca_stop(ca);
    neo_runtime_free(runtime);
    neo_attest_policies_unref(a->options.attest_policies);
    neo_attest_trust_unref(a->options.attest_trust);
    return code;
}

static int serve_ca(int argc, char **argv)
{
    struct ca_args a = {.options = {.program = "/proc/self/exe",
                                    .trust_domain = "neo.local",
                                    .listen = "127.0.0.1:8441",
                                    .registry_file = "registry.address"},
                        .log_level = "info"};
    const struct arg args[] = {
        {"--state", ARG_TEXT, &a.options.dir, "DIR", "state folder (required)"},
        {"--trust-domain", ARG_TEXT, &a.options.trust_domain, "NAME", "[neo.local]"},
        {"--listen", ARG_TEXT, &a.options.listen, "ADDR", "[127.0.0.1:8441]"},
        {"--advertise", ARG_TEXT, &a.options.advertise, "ADDR", "what join strings name"},
        {"--registry-file", ARG_TEXT, &a.options.registry_file, "FILE", "the registry's address"},
        {"--address-file", ARG_TEXT, &a.address_file, "FILE", "written when ready"},
        {"--pid-file", ARG_TEXT, &a.pid_file, "FILE",
         "its pid: run/ca.pid of the operator's folder"},
        {"--first", ARG_LIST, &a.first, "NAME=FILE",
         "join string for NAME to FILE, now and when asked"},
        {"--attestation", ARG_LIST, &a.rules.attestation, "FILE",
         "who proves itself for a certificate (enrol: attested), and rollouts; read anew when "
         "changed"},
        {"--collateral", ARG_LIST, &a.rules.collateral, "PATH",
         "for it: files, or a folder of collateral"},
        {"--simulated-root", ARG_TEXT, &a.rules.simulated_root, "FILE", "with --insecure-dev"},
        {"--leaf-life", ARG_U32, &a.leaf_life, "SECONDS", "life of a certificate [86400]"},
        {"--insecure-dev", ARG_FLAG, &a.options.development, NULL, "localhost in certificates"},
        {"--log-level", ARG_TEXT, &a.log_level, "LEVEL", "[info]"},
    };
    struct neo_log log = {.fd = STDERR_FILENO, .service = "neo-ca", .wall_nsec = neo_wall_nsec};
    struct neo_error err;
    const char *rest[1];
    int status;

    if (args_parse(&command_serve, argc, argv, args, NEO_COUNT(args), rest, 0, &status) < 0)
        return status;
    if (a.options.dir == NULL)
        return fail_usage("give a state folder: neo serve ca --state DIR");
    if (!neo_log_level_parse(a.log_level, &log.level))
        return fail_usage("--log-level %s: there are debug, info, warn, error, off", a.log_level);
    if (a.leaf_life != 0 && !is_leaf_life(a.leaf_life))
        return fail_usage("--leaf-life %u: " LEAF_LIFE_RANGE, a.leaf_life);
    a.options.leaf_life = a.leaf_life;
    return run_ca(&a, &log, &err) == NEO_OK ? EXIT_OK : fail(&err);
}

static int serve_signer(int argc, char **argv)
{
    const char *dir = NULL, *trust_domain = NULL;
    bool development = false;
    uint32_t in = 0, out = 0;
    const struct arg args[] = {
        {"--in", ARG_U32, &in, "N", "descriptor of the CA's requests"},
        {"--out", ARG_U32, &out, "N", "descriptor of the answers"},
        {"--state", ARG_TEXT, &dir, "DIR", "the keys"},
        {"--trust-domain", ARG_TEXT, &trust_domain, "NAME", ""},
        {"--insecure-dev", ARG_FLAG, &development, NULL, ""},
    };
    const char *rest[1];
    int status;

    if (args_parse(&command_serve, argc, argv, args, NEO_COUNT(args), rest, 0, &status) < 0)
        return status;
    if (in < 3 || out < 3 || dir == NULL || trust_domain == NULL)
        return fail_usage("the signer is started by: neo serve ca");
    return signer_main((int)in, (int)out, dir, trust_domain, development);
}

/* --- registry --------------------------------------------------------------------------------- */

struct registry_args {
    struct neo_mesh_options mesh;
    const char *join_file;
    const char *address_file;
    const char *simulated_root;
    const char *log_level;
    struct arg_list policies;
};

static enum neo_code run_registry(struct registry_args *a, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    struct neo_mesh *mesh;
    struct registry *registry;

    if (a->join_file != NULL && access(a->join_file, F_OK) == 0) {
        NEO_TRY(neo_file_read(a->join_file, 4096, &join, err));
        (void)neo_buffer_append_byte(&join, '\0');
        a->mesh.join = (const char *)join.at;
    }
    NEO_TRY(neo_mesh_join(&a->mesh, &mesh, err));
    struct registry_options options = {
        .mesh = mesh,
        .dir = a->mesh.state_dir,
        .documents = a->policies.at,
        .simulated_root = a->simulated_root,
    };
    enum neo_code code = registry_start(&options, &registry, err);
    if (code != NEO_OK) {
        neo_mesh_free(mesh);
        return code;
    }
    code = announce(a->address_file, neo_mesh_address(mesh), err);
    if (code == NEO_OK) {
        neo_log_info(neo_mesh_log(mesh), "service.ready",
                     NEO_STR("address", neo_mesh_address(mesh)));
        neo_runtime_wait(neo_mesh_runtime(mesh));
    }
    registry_stop(registry);
    neo_mesh_free(mesh);
    return code;
}

static int serve_registry(int argc, char **argv)
{
    struct registry_args a = {.mesh = {.service = "neo-registry",
                                       .listen = "127.0.0.1:8442",
                                       .instance = "neo-registry",
                                       .workers = 1,
                                       .own_policy = true},
                              .log_level = "info"};
    const struct arg args[] = {
        {"--state", ARG_TEXT, &a.mesh.state_dir, "DIR", "state folder (required)"},
        {"--join-file", ARG_TEXT, &a.join_file, "FILE", "join string; needed once"},
        {"--listen", ARG_TEXT, &a.mesh.listen, "ADDR", "[127.0.0.1:8442]"},
        {"--admin", ARG_TEXT, &a.mesh.admin, "ADDR", "administration and metrics"},
        {"--address-file", ARG_TEXT, &a.address_file, "FILE", "written when ready"},
        {"--policy", ARG_LIST, &a.policies, "PATH", "a YAML file or a folder of them"},
        {"--simulated-root", ARG_TEXT, &a.simulated_root, "FILE", "development: simulator's root"},
        {"--insecure-dev", ARG_FLAG, &a.mesh.development, NULL, "development"},
        {"--log-level", ARG_TEXT, &a.log_level, "LEVEL", "[info]"},
    };
    struct neo_error err;
    const char *rest[1];
    int status;

    if (args_parse(&command_serve, argc, argv, args, NEO_COUNT(args), rest, 0, &status) < 0)
        return status;
    if (a.mesh.state_dir == NULL)
        return fail_usage("give a state folder: neo serve registry --state DIR");
    if (!neo_log_level_parse(a.log_level, &a.mesh.log_level))
        return fail_usage("--log-level %s: there are debug, info, warn, error, off", a.log_level);
    return run_registry(&a, &err) == NEO_OK ? EXIT_OK : fail(&err);
}

static int run(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "ca") == 0)
        return serve_ca(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "ca-signer") == 0)
        return serve_signer(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "registry") == 0)
        return serve_registry(argc - 1, argv + 1);
    const char *rest[1];
    int status = EXIT_USAGE;
    if (args_parse(&command_serve, argc, argv, NULL, 0, rest, 1, &status) < 0)
        return status;
    return fail_usage("say what to serve: neo serve ca | registry");
}

const struct command command_serve = {
    .name = "serve",
    .run = run,
    .summary = "run one service of the control plane",
    .usage = "serve ca|registry --state DIR [options]",
    .examples = "  neo serve ca --state /var/lib/neo/ca --first neo-registry=/run/neo/join\n"
                "  neo serve registry --state /var/lib/neo/registry --join-file /run/neo/join "
                "--policy /etc/neo\n",
};
