/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one method of a server differs from the others.
 */
#include "rpc/method_gate.h"

#include <neo/memory.h>

#define MAX_WAIT (100 * NEO_NSEC_PER_MSEC)

static enum neo_code check(const struct method *m, const struct neo_method_options *o,
                           struct neo_error *err)
{
    bool streams_in = (m->info->kind & NEO_CLIENT_STREAM) != 0;

    if (m->builtin)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%s' is the server's own", m->info->path);
    if (o->blocking && streams_in)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "'%s' takes a stream: its messages come to callbacks, which cannot block",
                        m->info->path);
    if (o->max_concurrent == 0 && (o->max_waiting != 0 || o->max_wait != 0 || o->no_queue))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "calls of '%s' have nothing to wait for: max_concurrent is 0",
                        m->info->path);
    if (o->max_request > UINT32_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a message of '%s' cannot be larger than 4 GiB",
                        m->info->path);
    return NEO_OK;
}

static struct method_gate *new_gate(const struct neo_method_options *o)
{
    struct method_gate *g = neo_alloc(sizeof(*g));

    if (g == NULL)
        return NULL;
    g->limit = o->max_concurrent;
    g->max_waiting = o->max_waiting != 0 ? o->max_waiting : o->max_concurrent;
    if (o->no_queue)
        g->max_waiting = 0;
    g->max_wait = o->max_wait != 0 ? o->max_wait : MAX_WAIT;
    return g;
}

enum neo_code neo_server_set_method(struct neo_server *server, const char *path,
                                    const struct neo_method_options *options, struct neo_error *err)
{
    struct method *m = map_get(&server->methods, neo_text(path));
    struct method_gate *gate = NULL;

    if (m == NULL)
        return neo_fail(err, NEO_NOT_FOUND, "server '%s' has no method '%s'%s", server->name, path,
                        path[0] == '/' ? "" : ": write it as \"/package.Service/Method\"");
    if (server_is_listening(server))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "server '%s' listens already: say how '%s' differs before", server->name,
                        path);
    NEO_TRY(check(m, options, err));
    if (options->max_concurrent > 0 && (gate = new_gate(options)) == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for method '%s'", path);
    neo_free(m->gate);
    m->gate = gate;
    m->blocking = options->blocking;
    m->max_request = options->max_request;
    if (options->max_request > server->largest_request)
        server->largest_request = options->max_request;
    return NEO_OK;
}

enum neo_code neo_server_set_blocking(struct neo_server *server, const char *path,
                                      struct neo_error *err)
{
    return neo_server_set_method(server, path, &(struct neo_method_options){.blocking = true}, err);
}
