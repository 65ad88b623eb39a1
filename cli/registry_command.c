/* SPDX-License-Identifier: Apache-2.0 */
/* `neo registry list` and `neo status`: what is registered, and how it is. */
#include "cli/cli.h"

#include <neo/policy/v1/policy.neo.h>
#include <neo/registry/v1/registry.neo.h>

#include <inttypes.h>
#include <stdio.h>

static int print_list(const struct neo_registry_v1_ListResponse *r)
{
    struct table t;

    if (cli.json) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
        struct neo_error err;
        if (neo_proto_to_json(&neo_registry_v1_ListResponse_info, r,
                              NEO_JSON_PRETTY | NEO_JSON_PROTO_NAMES, &out, &err) != NEO_OK)
            return fail(&err);
        print_json(&out);
        return EXIT_OK;
    }
    table_begin(
        &t, 7,
        (const char *const[]){"SERVICE", "INSTANCE", "ADDRESS", "HEALTH", "TEE", "SINCE", "ADMIN"});
    for (size_t i = 0; i < r->instances.len; i++) {
        const struct neo_registry_v1_Instance *in = r->instances.at[i];
        char when[64];
        format_when(in->registered_at, when, sizeof(when));
        table_cellf(&t, "%.*s", NEO_FMT(in->service));
        table_cellf(&t, "%.*s", NEO_FMT(in->id));
        table_cellf(&t, "%.*s", NEO_FMT(in->addresses.at[0]));
        table_cell(&t, in->health == neo_registry_v1_HEALTH_SERVING ? "serving" : "NOT SERVING");
        table_cell(&t, in->simulated ? "SIMULATED" : in->attestable ? "says yes" : "-");
        table_cell(&t, when);
        table_cellf(&t, "%.*s", NEO_FMT(in->admin_address));
    }
    table_end(&t);
    return EXIT_OK;
}

static int advance(uint64_t beyond)
{
    struct neo_policy_v1_AdvanceRequest request = {.beyond = beyond};
    struct neo_policy_v1_AdvanceResponse r = {0};
    struct neo_call_options patience = {.timeout = 10 * NEO_NSEC_PER_SEC};
    struct neo_status status = {0};
    struct neo_channel *channel;
    struct neo_arena arena;
    struct neo_error err;
    struct neo_mesh *mesh;

    if (client_join(OPERATOR, &mesh, &err) != NEO_OK)
        return fail(&err);
    enum neo_code code = client_channel(mesh, "neo-registry", &channel, &err);
    if (code != NEO_OK) {
        neo_mesh_free(mesh);
        return fail(&err);
    }
    neo_arena_init(&arena, 1 << 20);
    code = neo_policy_v1_PolicyFeed_Advance(channel, &patience, &request, &r, &arena, &status);
    if (code != NEO_OK)
        (void)neo_fail(&err, code, "the registry does not go on: %s: %.*s", neo_code_name(code),
                       NEO_FMT(status.message));
    client_close(mesh, channel);
    neo_arena_fini(&arena);
    if (code != NEO_OK)
        return fail(&err);
    (void)printf(cli.json ? "{\"number\": %" PRIu64 "}\n"
                          : "the policy has number %" PRIu64 " now\n",
                 r.number);
    return EXIT_OK;
}

static int run_registry(int argc, char **argv)
{
    struct neo_registry_v1_ListResponse r = {0};
    uint32_t beyond = 0;
    const struct arg args[] = {
        {"--beyond", ARG_U32, &beyond, "N", "advance: the highest number that services have"},
    };
    struct neo_arena arena;
    struct neo_error err;
    const char *rest[1];
    int status;

    int n = args_parse(&command_registry, argc, argv, args, NEO_COUNT(args), rest, 1, &status);
    if (n < 0)
        return status;
    if (n == 1 && strcmp(rest[0], "advance") == 0)
        return advance(beyond);
    if (n != 1 || strcmp(rest[0], "list") != 0)
        return fail_usage("say what: neo registry list | advance");
    neo_arena_init(&arena, 16 << 20);
    status = client_instances(&arena, &r, &err) == NEO_OK ? print_list(&r) : fail(&err);
    neo_arena_fini(&arena);
    return status;
}

const struct command command_registry = {
    .name = "registry",
    .run = run_registry,
    .summary = "list the instances; go on after the registry was restored",
    .usage = "registry list | advance [--beyond N]",
    .examples = "  neo registry list\n  neo registry list -o json | jq '.instances[].id'\n"
                "  neo registry advance --beyond 17    services refuse what is older than 17\n",
};

/* --- status ----------------------------------------------------------------------------------- */

static void row(struct table *t, const char *what, const char *instance, const char *address,
                int pid)
{
    table_cell(t, what);
    table_cell(t, instance);
    table_cell(t, address);
    table_cellf(t, "%d", pid);
    table_cellf(t, "%.1f MB", (double)process_memory(pid) / 1024);
}

static void control_row(struct table *t, const char *what, const char *name)
{
    char path[PATH_LEN], address[128];
    int pid;

    if (!process_alive(name, &pid)) {
        table_cell(t, what);
        table_cell(t, "-");
        table_cell(t, "DOWN");
        table_cell(t, "-");
        table_cell(t, "-");
        return;
    }
    dir_path(path, "run/%s.address", name);
    if (dir_line(path, address, sizeof(address), NULL) != NEO_OK)
        address[0] = '\0';
    row(t, what, name, address, pid);
}

static void json_process(struct neo_json_writer *w, const char *service, struct neo_bytes instance,
                         struct neo_bytes address, int pid)
{
    neo_json_open_object(w);
    neo_json_put_key(w, "service");
    neo_json_put_text(w, service);
    neo_json_put_key(w, "instance");
    neo_json_put_string(w, instance);
    neo_json_put_key(w, "address");
    neo_json_put_string(w, address);
    neo_json_put_key(w, "pid");
    neo_json_put_i64(w, pid);
    neo_json_put_key(w, "memory_kib");
    neo_json_put_i64(w, process_memory(pid));
    neo_json_close_object(w);
}

static void json_control(struct neo_json_writer *w, const char *service, const char *name)
{
    char path[PATH_LEN], address[128] = "";
    int pid;

    if (!process_alive(name, &pid))
        return;
    dir_path(path, "run/%s.address", name);
    if (dir_line(path, address, sizeof(address), NULL) != NEO_OK)
        return;
    json_process(w, service, neo_text(name), neo_text(address), pid);
}

static void print_status_json(const struct neo_registry_v1_ListResponse *r)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "processes");
    neo_json_open_array(&w);
    json_control(&w, "neo-ca", "ca");
    json_control(&w, "neo-registry", "registry");
    for (size_t i = 0; i < r->instances.len; i++) {
        char service[64];
        (void)snprintf(service, sizeof(service), "%.*s", NEO_FMT(r->instances.at[i]->service));
        json_process(&w, service, r->instances.at[i]->id, r->instances.at[i]->addresses.at[0],
                     (int)r->instances.at[i]->pid);
    }
    neo_json_close_array(&w);
    neo_json_close_object(&w);
    print_json(&out);
}

static void print_status(const struct neo_registry_v1_ListResponse *r)
{
    struct table t;

    table_begin(&t, 5, (const char *const[]){"WHAT", "INSTANCE", "ADDRESS", "PID", "MEMORY"});
    control_row(&t, "CA", "ca");
    control_row(&t, "registry", "registry");
    for (size_t i = 0; i < r->instances.len; i++) {
        const struct neo_registry_v1_Instance *in = r->instances.at[i];
        char service[64], id[80], address[128];
        (void)snprintf(service, sizeof(service), "%.*s", NEO_FMT(in->service));
        (void)snprintf(id, sizeof(id), "%.*s", NEO_FMT(in->id));
        (void)snprintf(address, sizeof(address), "%.*s", NEO_FMT(in->addresses.at[0]));
        row(&t, service, id, address, (int)in->pid);
    }
    table_end(&t);
}

static int run_status(int argc, char **argv)
{
    struct neo_registry_v1_ListResponse r = {0};
    struct neo_arena arena;
    struct neo_error err;
    const char *rest[1];
    int status, pid;

    if (args_parse(&command_status, argc, argv, NULL, 0, rest, 0, &status) < 0)
        return status;
    if (dir_enter(&err) != NEO_OK)
        return fail(&err);
    neo_arena_init(&arena, 16 << 20);
    bool ca_up = process_alive("ca", &pid);
    bool registry_up = process_alive("registry", &pid);
    status = registry_up && client_instances(&arena, &r, &err) != NEO_OK ? fail(&err) : EXIT_OK;
    if (cli.json)
        print_status_json(&r);
    else
        print_status(&r);
    neo_arena_fini(&arena);
    return ca_up && registry_up ? status : EXIT_FAILED;
}

const struct command command_status = {
    .name = "status",
    .run = run_status,
    .summary = "what runs, where, with how much memory",
    .usage = "status",
    .examples = "  neo status\n  neo status -o json\n"
                "  exit status 0: CA and registry run and the registry answers; else 1\n",
};
