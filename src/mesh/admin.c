/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administration port: read only, loopback unless told otherwise, plain
 * HTTP/1.0 because a person's curl and Prometheus speak it.
 *
 *   GET /metrics   Prometheus text
 *   GET /livez     200 while the process turns
 *   GET /readyz    200 while calls are served
 *   GET /status    JSON: identity, epoch, policy, server
 *
 * A request is one line of at most 1 KiB that arrives within 5 s; everything else
 * is refused. At most 16 connections at a time; one request each.
 */
#include "mesh/mesh.h"

#include "io/net.h"

#include <neo/json.h>
#include <neo/memory.h>

#include <stdio.h>

enum { MAX_CONNECTIONS = 16, REQUEST_MAX = 4096, PATIENCE_SECONDS = 5 };

struct mesh_admin {
    struct neo_mesh *mesh;
    struct net_watch watch;
    struct net_address address;
    struct list connections;
    size_t n;
};

struct visitor {
    struct list link;
    struct mesh_admin *admin;
    struct net_watch watch;
    struct neo_timer patience;
    char request[REQUEST_MAX];
    size_t len;
    struct neo_buffer answer;
    size_t sent;
    bool answering;
};

static void dismiss(struct visitor *v)
{
    struct mesh_admin *admin = v->admin;
    struct neo_loop *loop = admin->mesh->loop;

    net_unwatch(loop, &v->watch);
    net_close(loop, v->watch.fd);
    neo_loop_disarm(loop, &v->patience);
    list_remove(&v->link);
    admin->n--;
    neo_buffer_fini(&v->answer);
    neo_free(v);
}

static void patience_ended(struct neo_timer *timer)
{
    dismiss(neo_owner(timer, struct visitor, patience));
}

/* --- pages ------------------------------------------------------------------------------------ */

static bool is_ready(struct neo_mesh *mesh)
{
    struct neo_epoch now = mesh_epoch(mesh);
    bool ready = now.identity != NULL && now.policy != NULL &&
                 neo_cert_facts(neo_identity_leaf(now.identity))->not_after >
                     neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;

    mesh_epoch_release(&now);
    return ready;
}

static void put_identity(struct neo_json_writer *w, const struct neo_epoch *now)
{
    const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(now->identity));

    neo_json_put_key(w, "identity");
    neo_json_put_string(w, f->uri);
    neo_json_put_key(w, "not_after");
    neo_json_put_i64(w, f->not_after);
    neo_json_put_key(w, "trust_epoch");
    neo_json_put_u64(w, neo_trust_epoch(now->trust));
    neo_json_put_key(w, "policy");
    neo_json_put_text(w, neo_policy_version(now->policy));
}

static void put_server(struct neo_json_writer *w, struct neo_server *server)
{
    struct neo_server_stats s = neo_server_stats(server);

    neo_json_put_key(w, "address");
    neo_json_put_text(w, neo_server_address(server));
    neo_json_put_key(w, "connections");
    neo_json_put_u64(w, s.connections);
    neo_json_put_key(w, "calls_in_flight");
    neo_json_put_u64(w, s.calls);
    neo_json_put_key(w, "calls_started");
    neo_json_put_u64(w, s.started);
    neo_json_put_key(w, "denied");
    neo_json_put_u64(w, s.denied);
}

static void print_status(struct neo_mesh *mesh, struct neo_buffer *out)
{
    struct neo_epoch now = mesh_epoch(mesh);
    struct neo_json_writer w = {.out = out, .pretty = true};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "service");
    neo_json_put_text(&w, mesh->service);
    neo_json_put_key(&w, "instance");
    neo_json_put_text(&w, mesh->instance);
    neo_json_put_key(&w, "development");
    neo_json_put_bool(&w, mesh->development);
    if (now.identity != NULL && now.trust != NULL && now.policy != NULL)
        put_identity(&w, &now);
    if (mesh->users.server != NULL)
        put_server(&w, mesh->users.server);
    neo_json_close_object(&w);
    (void)neo_buffer_append_byte(out, '\n');
    mesh_epoch_release(&now);
}

static const char *make_page(struct neo_mesh *mesh, struct neo_bytes path, struct neo_buffer *body,
                             const char **ret_type)
{
    *ret_type = "text/plain; charset=utf-8";
    if (neo_bytes_is(path, "/metrics")) {
        *ret_type = "text/plain; version=0.0.4; charset=utf-8";
        return neo_metrics_print(mesh->metrics, body) ? "200 OK" : "500 Internal Server Error";
    }
    if (neo_bytes_is(path, "/livez"))
        return neo_buffer_append_text(body, "ok\n") ? "200 OK" : "500 Internal Server Error";
    if (neo_bytes_is(path, "/readyz")) {
        bool ready = is_ready(mesh);
        (void)neo_buffer_append_text(body, ready ? "ok\n" : "no valid certificate or policy\n");
        return ready ? "200 OK" : "503 Service Unavailable";
    }
    if (neo_bytes_is(path, "/status")) {
        *ret_type = "application/json";
        print_status(mesh, body);
        return "200 OK";
    }
    (void)neo_buffer_append_text(body, "there are: /metrics /livez /readyz /status\n");
    return "404 Not Found";
}

/* "GET /path HTTP/1.x": the path; the empty run otherwise. */
static struct neo_bytes path_of(const struct visitor *v)
{
    const char *end = memchr(v->request, '\r', v->len);
    const char *at = v->request + 4;
    const char *space;

    if (end == NULL || v->len < 5 || memcmp(v->request, "GET /", 5) != 0)
        return (struct neo_bytes){0};
    space = memchr(at, ' ', (size_t)(end - at));
    if (space == NULL)
        return (struct neo_bytes){0};
    return neo_bytes(at, (size_t)(space - at));
}

static void answer(struct visitor *v)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    const char *type = "text/plain; charset=utf-8";
    const char *status = "400 Bad Request";
    struct neo_bytes path = path_of(v);

    if (path.len > 0)
        status = make_page(v->admin->mesh, path, &body, &type);
    (void)neo_buffer_printf(&v->answer,
                            "HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                            "Connection: close\r\n\r\n",
                            status, type, body.len);
    (void)neo_buffer_append(&v->answer, neo_buffer_bytes(&body));
    v->answering = true;
}

/* --- the wire --------------------------------------------------------------------------------- */

static bool is_whole(const struct visitor *v)
{
    return memmem(v->request, v->len, "\r\n\r\n", 4) != NULL;
}

/* False: the visitor is gone. */
static bool receive(struct visitor *v)
{
    struct neo_loop *loop = v->admin->mesh->loop;
    size_t len;

    while (!v->answering) {
        enum net_result r = net_read(loop, v->watch.fd, v->request + v->len,
                                     sizeof(v->request) - v->len, &len, NULL);
        if (r == NET_AGAIN)
            return true;
        if (r != NET_OK) {
            dismiss(v);
            return false;
        }
        v->len += len;
        if (is_whole(v) || v->len == sizeof(v->request))
            answer(v);
    }
    return true;
}

static void transmit(struct visitor *v)
{
    struct neo_loop *loop = v->admin->mesh->loop;
    size_t len;

    while (v->sent < v->answer.len) {
        enum net_result r = net_write(
            loop, v->watch.fd, neo_bytes_from(neo_buffer_bytes(&v->answer), v->sent), &len, NULL);
        if (r == NET_AGAIN) {
            if (net_watch(loop, &v->watch, NET_WRITE, NULL) != NEO_OK)
                dismiss(v);
            return;
        }
        if (r != NET_OK)
            break;
        v->sent += len;
    }
    dismiss(v);
}

static void visitor_ready(struct net_watch *watch, unsigned events)
{
    struct visitor *v = neo_owner(watch, struct visitor, watch);

    (void)events;
    if (!v->answering && !receive(v))
        return;
    if (v->answering)
        transmit(v);
}

static void welcome(struct mesh_admin *admin, int fd)
{
    struct neo_loop *loop = admin->mesh->loop;
    struct visitor *v = admin->n < MAX_CONNECTIONS ? neo_alloc(sizeof(*v)) : NULL;

    if (v == NULL) {
        net_close(loop, fd);
        return;
    }
    v->admin = admin;
    v->watch = (struct net_watch){.ready = visitor_ready, .fd = fd};
    v->patience.expired = patience_ended;
    list_push_back(&admin->connections, &v->link);
    admin->n++;
    neo_loop_arm(loop, &v->patience, neo_loop_now(loop) + PATIENCE_SECONDS * NEO_NSEC_PER_SEC);
    if (net_watch(loop, &v->watch, NET_READ, NULL) != NEO_OK)
        dismiss(v);
}

static void listener_ready(struct net_watch *watch, unsigned events)
{
    struct mesh_admin *admin = neo_owner(watch, struct mesh_admin, watch);
    int fd;

    (void)events;
    while (net_accept(admin->mesh->loop, admin->watch.fd, &fd, NULL) == NET_OK)
        welcome(admin, fd);
}

enum neo_code admin_start(struct neo_mesh *mesh, struct neo_error *err)
{
    struct mesh_admin *admin = neo_alloc(sizeof(*admin));
    int fd;

    if (admin == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening the admin port");
    admin->mesh = mesh;
    list_init(&admin->connections);
    enum neo_code code = net_listen(mesh->loop, mesh->admin_listen, NET_ALONE, &fd, err);
    if (code != NEO_OK) {
        neo_free(admin);
        return code;
    }
    admin->watch = (struct net_watch){.ready = listener_ready, .fd = fd};
    code = net_local_address(mesh->loop, fd, &admin->address, err);
    if (code == NEO_OK)
        code = net_watch(mesh->loop, &admin->watch, NET_READ, err);
    if (code != NEO_OK) {
        net_close(mesh->loop, fd);
        neo_free(admin);
        return code;
    }
    mesh->admin = admin;
    return NEO_OK;
}

const char *admin_address(const struct neo_mesh *mesh)
{
    return mesh->admin == NULL ? "" : mesh->admin->address.text;
}

void admin_stop(struct neo_mesh *mesh)
{
    struct mesh_admin *admin = mesh->admin;

    if (admin == NULL)
        return;
    list_each (node, &admin->connections)
        dismiss(neo_owner(node, struct visitor, link));
    net_unwatch(mesh->loop, &admin->watch);
    net_close(mesh->loop, admin->watch.fd);
    neo_free(admin);
    mesh->admin = NULL;
}
