/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An identity for the person at the keyboard. The operator's is for whoever owns the
 * folder, who may ask its CA for one at any time; any other service's (`neo call --as`)
 * is bought by the operator with a token.
 */
#include "cli/first.h"

#include <neo/ca/v1/ca.neo.h>
#include <neo/memory.h>
#include <neo/registry/v1/registry.neo.h>
#include <neo/store.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static enum neo_code make_folders(const char *service, char state[static PATH_LEN],
                                  struct neo_error *err)
{
    NEO_TRY(dir_enter(err));
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

/* --- the operator's, and the registry's --------------------------------------------------- */

enum { WISH_TICK_MS = 10, WISH_ASK_MS = 250, WISH_MS = 5000 };

static bool file_is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

enum neo_code client_wish(const char *service, struct neo_error *err)
{
    const struct timespec tick = {.tv_nsec = WISH_TICK_MS * 1000000};
    char path[PATH_LEN], wanted[PATH_LEN];
    int pid;

    dir_path(path, "join/%s", service);
    dir_path(wanted, "join/%s.wanted", service);
    if (!process_alive("ca", &pid))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "no CA of '%s' runs that run/ca.pid there names. Where `neo up` started "
                        "it: neo up --detach. Where a unit does: start that, with --pid-file "
                        "%s/run/ca.pid",
                        cli.dir, cli.dir);
    (void)unlink(path); /* an old one is no good */
    for (unsigned waited = 0; waited < WISH_MS; waited += WISH_TICK_MS) {
        if (file_is_there(path))
            return NEO_OK;
        if (waited % WISH_ASK_MS == 0) {
            NEO_TRY(neo_file_replace(wanted, NEO_LIT("\n"), 0600, err));
            if (kill(pid, FIRST_SIGNAL) != 0)
                return neo_fail_errno(err, "cannot ask the CA (pid %d)", pid);
        }
        (void)nanosleep(&tick, NULL);
    }
    (void)unlink(wanted);
    return neo_fail(err, NEO_UNAVAILABLE,
                    "the CA (pid %d) gave no join string for %s; see %s/log/ca.log", pid, service,
                    cli.dir);
}

/* Two commands at a time may each want one: a file is whose who could rename it. */
static enum neo_code claim(const char *service, struct neo_buffer *out, struct neo_error *err)
{
    char path[PATH_LEN], mine[PATH_LEN], line[1024];

    dir_path(path, "join/%s", service);
    dir_path(mine, "join/%s.%d", service, (int)getpid());
    if (rename(path, mine) != 0)
        return neo_fail_errno(err, "cannot take '%s'", path);
    enum neo_code code = dir_line(mine, line, sizeof(line), err);
    (void)unlink(mine);
    NEO_TRY(code);
    bool copied = neo_buffer_append(out, neo_bytes(line, strlen(line) + 1));
    neo_zeroise(line, sizeof(line));
    return copied ? NEO_OK : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
}

/* From the CA that runs here; else what one that was started by hand has left. */
static enum neo_code operator_join(struct neo_buffer *out, struct neo_error *err)
{
    enum { TRIES = 5 };
    int pid;

    if (!process_alive("ca", &pid) && claim(OPERATOR, out, NULL) == NEO_OK)
        return NEO_OK;
    enum neo_code code = NEO_OK;
    for (int i = 0; i < TRIES; i++) {
        NEO_TRY(client_wish(OPERATOR, err));
        code = claim(OPERATOR, out, err);
        if (code == NEO_OK)
            break;
    }
    return code;
}

static enum neo_code first_join(const char *service, struct neo_buffer *out, struct neo_error *err)
{
    return strcmp(service, OPERATOR) == 0 ? operator_join(out, err) : buy_token(service, out, err);
}

/*
 * True: `state` holds an identity, and it served, or what failed has nothing to do with it. The
 * operator's that was revoked is made anew: who may ask for another owns the CA.
 */
static bool came_back(const char *service, const char *state, struct neo_mesh **ret,
                      enum neo_code *ret_code, struct neo_error *err)
{
    char path[PATH_LEN];

    dir_path(path, "as/%s/identity.pem", service);
    if (!file_is_there(path))
        return false;
    *ret_code = join_with(service, state, NULL, ret, err);
    if (*ret_code == NEO_UNAVAILABLE)
        return true;
    if (*ret_code != NEO_OK)
        return false;
    if (strcmp(service, OPERATOR) != 0 || !neo_mesh_is_refused(*ret))
        return true;
    neo_mesh_free(*ret);
    (void)unlink(path);
    return false;
}

enum neo_code client_join(const char *service, struct neo_mesh **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    char state[PATH_LEN];
    enum neo_code code;

    NEO_TRY(make_folders(service, state, err));
    if (came_back(service, state, ret, &code, err))
        return code;
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
