/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An identity for the person at the keyboard. The operator's comes from `neo up`;
 * any other service's (`neo call --as`) is bought by the operator with a token.
 */
#include "cli/cli.h"

#include <neo/ca/v1/ca.neo.h>
#include <neo/memory.h>
#include <neo/registry/v1/registry.neo.h>
#include <neo/store.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum neo_code make_folders(const char *service, char state[static PATH_LEN],
                                  struct neo_error *err)
{
    if (access(cli.dir, F_OK) != 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "there is no '%s' here; start with: neo up --detach, or name its folder "
                        "with --dir",
                        cli.dir);
    dir_path(state, "as");
    if (mkdir(state, 0700) != 0 && errno != EEXIST)
        return neo_fail_errno(err, "cannot make '%s'", state);
    dir_path(state, "as/%s", service);
    return NEO_OK;
}

static enum neo_code join_with(const char *service, const char *state, const char *join,
                               struct neo_mesh **ret, struct neo_error *err)
{
    char development[PATH_LEN];

    dir_path(development, "run/development");
    struct neo_mesh_options options = {
        .service = service,
        .state_dir = state,
        .join = join,
        .workers = 1,
        .audit_file = "",
        .development = access(development, F_OK) == 0,
        .log_level = NEO_LOG_OFF,
    };
    return neo_mesh_join(&options, ret, err);
}

static enum neo_code buy_token(const char *service, struct neo_buffer *out, struct neo_error *err)
{
    struct neo_ca_v1_CreateTokenRequest request = {.service = neo_text(service)};
    struct neo_ca_v1_CreateTokenResponse response;
    struct neo_call_options options = {.timeout = 5 * NEO_NSEC_PER_SEC};
    struct neo_channel *channel;
    struct neo_mesh *mesh;
    struct neo_status status = {0};
    struct neo_arena arena;

    NEO_TRY(client_join(OPERATOR, &mesh, err));
    enum neo_code code = client_channel(mesh, "neo-ca", &channel, err);
    if (code != NEO_OK) {
        neo_mesh_free(mesh);
        return code;
    }
    neo_arena_init(&arena, 65536);
    code = neo_ca_v1_Administration_CreateToken(channel, &options, &request, &response, &arena,
                                                &status);
    if (code != NEO_OK)
        (void)neo_fail(err, code, "asking the CA for a token: %.*s", NEO_FMT(status.message));
    else if (!neo_buffer_append(out, response.join_string) || !neo_buffer_append_byte(out, '\0'))
        code = neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    neo_arena_fini(&arena);
    client_close(mesh, channel);
    return code;
}

/* The operator's join string lies in the folder until it was used. */
static enum neo_code first_join(const char *service, struct neo_buffer *out, struct neo_error *err)
{
    char path[PATH_LEN], line[1024];

    if (strcmp(service, OPERATOR) != 0)
        return buy_token(service, out, err);
    dir_path(path, "join/%s", OPERATOR);
    NEO_TRY(dir_line(path, line, sizeof(line), err));
    bool copied = neo_buffer_append(out, neo_bytes(line, strlen(line) + 1));
    neo_zeroise(line, sizeof(line));
    (void)unlink(path);
    return copied ? NEO_OK : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
}

enum neo_code client_join(const char *service, struct neo_mesh **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    char state[PATH_LEN];

    NEO_TRY(make_folders(service, state, err));
    if (access(state, F_OK) == 0 && join_with(service, state, NULL, ret, err) == NEO_OK)
        return NEO_OK;
    NEO_TRY(first_join(service, &join, err));
    return join_with(service, state, (const char *)join.at, ret, err);
}

enum neo_code client_channel(struct neo_mesh *mesh, const char *service, struct neo_channel **ret,
                             struct neo_error *err)
{
    return neo_mesh_channel(mesh, service, 0, ret, err);
}

void client_close(struct neo_mesh *mesh, struct neo_channel *channel)
{
    if (channel != NULL)
        neo_mesh_channel_free(mesh, channel);
    neo_mesh_free(mesh);
}

enum neo_code client_instances(struct neo_arena *arena, struct neo_registry_v1_ListResponse *ret,
                               struct neo_error *err)
{
    struct neo_registry_v1_ListRequest request = {0};
    struct neo_call_options patience = {.timeout = 5 * NEO_NSEC_PER_SEC};
    struct neo_channel *channel;
    struct neo_status status = {0};
    struct neo_mesh *mesh;

    NEO_TRY(client_join(OPERATOR, &mesh, err));
    enum neo_code code = client_channel(mesh, "neo-registry", &channel, err);
    if (code != NEO_OK) {
        neo_mesh_free(mesh);
        return code;
    }
    code = neo_registry_v1_Registry_List(channel, &patience, &request, ret, arena, &status);
    if (code != NEO_OK)
        (void)neo_fail(err, code, "the registry does not answer: %s: %.*s", neo_code_name(code),
                       NEO_FMT(status.message));
    client_close(mesh, channel);
    return code;
}
