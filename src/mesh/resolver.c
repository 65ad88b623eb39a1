/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the instances of a service are: the registry's stream, and what it last
 * said when there is no stream.
 *
 * An answer without any instance never replaces one that had some: an empty
 * registry is more often a registry that forgot than a service that is gone, and a
 * caller that tries a dead address learns so in a millisecond.
 *
 * What is on disk serves at once, but it is only remembered: services move, and a call
 * must not fail at an address of yesterday while the registry is about to name today's.
 * So channels are told it as such until the registry names an instance, or has not done so for
 * PATIENCE; then what is remembered must do.
 */
#include "mesh/mesh.h"

#include <neo/memory.h>

#include <stdio.h>

enum { MAX_ENDPOINTS = 256, FILE_NAME_LEN = 96 };

#define PATIENCE (3 * NEO_NSEC_PER_SEC)

struct known_instance {
    char id[80];
    char address[128];
};

/* One service that somebody asked about. Lives until the mesh ends. */
struct known_service {
    struct list link;
    struct mesh_resolver *resolver;
    char name[MESH_LABEL_LEN];
    struct list watchers; /* under the resolver's lock, as are the next three */
    struct known_instance *instances;
    size_t n;
    bool remembered; /* they are from disk, and the registry may still name others */
    /* the control loop only */
    struct follow follow;
    struct neo_job begin;
    struct neo_timer patience;
    uint64_t revision;
};

struct watcher {
    struct list link; /* under the resolver's lock */
    struct known_service *service;
    struct neo_loop *loop;
    struct neo_resolver_sink *sink;
    bool over;      /* the watcher's loop only */
    unsigned posts; /* under the lock: deliveries on their way */
};

struct delivery {
    struct neo_job job;
    struct watcher *watcher;
    bool remembered;
    size_t n;
    struct known_instance instances[];
};

/* --- to the watchers -------------------------------------------------------------------------- */

static void deliver(struct neo_job *job)
{
    struct delivery *d = neo_owner(job, struct delivery, job);
    struct watcher *w = d->watcher;
    struct mesh_resolver *r = w->service->resolver;
    struct neo_endpoint endpoints[MAX_ENDPOINTS];

    for (size_t i = 0; i < d->n; i++)
        endpoints[i] = (struct neo_endpoint){.address = neo_text(d->instances[i].address),
                                             .id = neo_text(d->instances[i].id)};
    if (!w->over && d->remembered)
        w->sink->remembered(w->sink, endpoints, d->n);
    else if (!w->over)
        w->sink->resolved(w->sink, endpoints, d->n);
    (void)pthread_mutex_lock(&r->lock);
    bool last = --w->posts == 0 && w->over;
    (void)pthread_mutex_unlock(&r->lock);
    neo_free(d);
    if (last)
        neo_free(w);
}

static void post(struct watcher *w)
{
    struct known_service *s = w->service;
    struct delivery *d = neo_alloc(sizeof(*d) + s->n * sizeof(d->instances[0]));

    if (d == NULL)
        return; /* the next change brings it */
    d->job.run = deliver;
    d->watcher = w;
    d->remembered = s->remembered;
    d->n = s->n;
    if (s->n > 0)
        memcpy(d->instances, s->instances, s->n * sizeof(d->instances[0]));
    w->posts++;
    neo_loop_post(w->loop, &d->job);
}

/* The resolver's lock is held. */
static void tell(struct known_service *s, bool remembered)
{
    s->remembered = remembered;
    list_each (node, &s->watchers)
        post(neo_owner(node, struct watcher, link));
}

/* Takes `instances`. */
static void replace(struct known_service *s, struct known_instance *instances, size_t n,
                    bool remembered)
{
    struct mesh_resolver *r = s->resolver;

    (void)pthread_mutex_lock(&r->lock);
    if (n == 0 && s->n > 0) {
        (void)pthread_mutex_unlock(&r->lock);
        neo_free(instances);
        neo_log_warn(&r->mesh->log, "mesh.no_instances", NEO_STR("service", s->name),
                     NEO_U64("kept", s->n));
        return;
    }
    neo_free(s->instances);
    s->instances = instances;
    s->n = n;
    tell(s, remembered);
    (void)pthread_mutex_unlock(&r->lock);
}

/* --- from the registry ------------------------------------------------------------------------ */

static bool is_removed(const struct neo_registry_v1_WatchResponse *m, const char *id)
{
    for (size_t i = 0; i < m->removed_ids.len; i++)
        if (neo_bytes_is(m->removed_ids.at[i], id))
            return true;
    for (size_t i = 0; i < m->instances.len; i++)
        if (neo_bytes_is(m->instances.at[i]->id, id))
            return true; /* comes again, newer */
    return false;
}

static void add(struct known_instance *all, size_t *n, const struct neo_registry_v1_Instance *i)
{
    if (i->addresses.len == 0 || i->health == neo_registry_v1_HEALTH_NOT_SERVING ||
        *n == MAX_ENDPOINTS)
        return;
    (void)snprintf(all[*n].id, sizeof(all[*n].id), "%.*s", NEO_FMT(i->id));
    (void)snprintf(all[*n].address, sizeof(all[*n].address), "%.*s", NEO_FMT(i->addresses.at[0]));
    (*n)++;
}

static void file_of(const struct known_service *s, char name[static FILE_NAME_LEN])
{
    (void)snprintf(name, FILE_NAME_LEN, "instances-%s.txt", s->name);
}

static void save(const struct known_service *s)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char name[FILE_NAME_LEN];

    for (size_t i = 0; i < s->n; i++)
        (void)neo_buffer_printf(&text, "%s %s\n", s->instances[i].id, s->instances[i].address);
    file_of(s, name);
    state_save(s->resolver->mesh, name, neo_buffer_bytes(&text), 0600);
}

static void heard(struct follow *f, const void *response)
{
    const struct neo_registry_v1_WatchResponse *m = response;
    struct known_service *s = neo_owner(f, struct known_service, follow);
    struct known_instance *all = neo_alloc_array(MAX_ENDPOINTS, sizeof(*all));
    size_t n = 0;

    if (all == NULL)
        return;
    if (!m->snapshot) /* only this loop writes s->instances, so reading needs no lock */
        for (size_t i = 0; i < s->n; i++)
            if (!is_removed(m, s->instances[i].id))
                all[n++] = s->instances[i];
    for (size_t i = 0; i < m->instances.len; i++)
        add(all, &n, m->instances.at[i]);
    s->revision = m->revision;
    if (n > 0)
        neo_loop_disarm(f->mesh->loop, &s->patience);
    replace(s, all, n, false);
    save(s);
}

static void ask(struct follow *f, void *request)
{
    struct neo_registry_v1_WatchRequest *r = request;

    /* Always the whole: what we have may be from disk. */
    r->service = neo_text(neo_owner(f, struct known_service, follow)->name);
}

static void connect_service(struct known_service *s)
{
    struct neo_mesh *mesh = s->resolver->mesh;

    if (mesh->registry == NULL || s->follow.mesh != NULL)
        return;
    s->follow = (struct follow){
        .mesh = mesh,
        .name = "instances",
        .channel = mesh->registry,
        .method = &neo_registry_v1_Registry_methods[neo_registry_v1_Registry_Watch_INDEX],
        .ask = ask,
        .heard = heard,
    };
    follow_start(&s->follow);
}

/* --- what was said last time ------------------------------------------------------------------ */

static void load(struct known_service *s)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct known_instance *all;
    char name[FILE_NAME_LEN];
    size_t n = 0;

    file_of(s, name);
    if (state_load(s->resolver->mesh, name, &text, NULL) != NEO_OK ||
        !neo_buffer_append_byte(&text, '\0'))
        return;
    all = neo_alloc_array(MAX_ENDPOINTS, sizeof(*all));
    if (all == NULL)
        return;
    for (const char *at = (const char *)text.at; n < MAX_ENDPOINTS; n++) {
        int used = 0;
        if (sscanf(at, "%79s %127s\n%n", all[n].id, all[n].address, &used) != 2 || used == 0)
            break;
        at += used;
    }
    if (n == 0) {
        neo_free(all);
        return;
    }
    replace(s, all, n, true);
    neo_loop_arm(s->resolver->mesh->loop, &s->patience,
                 neo_loop_now(s->resolver->mesh->loop) + PATIENCE);
}

static void patience_ended(struct neo_timer *timer)
{
    struct known_service *s = neo_owner(timer, struct known_service, patience);
    struct mesh_resolver *r = s->resolver;

    neo_log_info(&r->mesh->log, "mesh.instances_from_disk", NEO_STR("service", s->name),
                 NEO_U64("instances", s->n));
    (void)pthread_mutex_lock(&r->lock);
    tell(s, false);
    (void)pthread_mutex_unlock(&r->lock);
}

static void begin(struct neo_job *job)
{
    struct known_service *s = neo_owner(job, struct known_service, begin);

    load(s);
    connect_service(s);
}

/* --- the face --------------------------------------------------------------------------------- */

static struct known_service *find(struct mesh_resolver *r, const char *name)
{
    list_each (node, &r->services) {
        struct known_service *s = neo_owner(node, struct known_service, link);
        if (strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

static struct known_service *know(struct mesh_resolver *r, const char *name)
{
    struct known_service *s = find(r, name);

    if (s != NULL)
        return s;
    s = neo_alloc(sizeof(*s));
    if (s == NULL)
        return NULL;
    s->resolver = r;
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    list_init(&s->watchers);
    list_push_back(&r->services, &s->link);
    s->begin.run = begin;
    s->patience.expired = patience_ended;
    neo_loop_post(r->mesh->loop, &s->begin);
    return s;
}

static void *watch(struct neo_resolver *face, const char *name, struct neo_loop *loop,
                   struct neo_resolver_sink *sink)
{
    struct mesh_resolver *r = neo_owner(face, struct mesh_resolver, face);
    struct watcher *w = neo_alloc(sizeof(*w));

    if (w == NULL)
        return NULL;
    (void)pthread_mutex_lock(&r->lock);
    struct known_service *s = know(r, name);
    if (s != NULL) {
        *w = (struct watcher){.service = s, .loop = loop, .sink = sink};
        list_push_back(&s->watchers, &w->link);
        if (s->n > 0)
            post(w);
    }
    (void)pthread_mutex_unlock(&r->lock);
    if (s == NULL) {
        neo_free(w);
        return NULL;
    }
    return w;
}

static void unwatch(struct neo_resolver *face, void *watch_)
{
    struct mesh_resolver *r = neo_owner(face, struct mesh_resolver, face);
    struct watcher *w = watch_;

    (void)pthread_mutex_lock(&r->lock);
    list_remove(&w->link);
    w->over = true;
    bool last = w->posts == 0;
    (void)pthread_mutex_unlock(&r->lock);
    if (last)
        neo_free(w);
}

void resolver_init(struct neo_mesh *mesh)
{
    struct mesh_resolver *r = &mesh->resolver;

    r->face = (struct neo_resolver){.watch = watch, .unwatch = unwatch};
    r->mesh = mesh;
    list_init(&r->services);
    (void)pthread_mutex_init(&r->lock, NULL);
}

void resolver_connected(struct neo_mesh *mesh)
{
    (void)pthread_mutex_lock(&mesh->resolver.lock);
    list_each (node, &mesh->resolver.services)
        connect_service(neo_owner(node, struct known_service, link));
    (void)pthread_mutex_unlock(&mesh->resolver.lock);
}

void resolver_stop(struct neo_mesh *mesh)
{
    list_each (node, &mesh->resolver.services) {
        struct known_service *s = neo_owner(node, struct known_service, link);
        neo_loop_disarm(mesh->loop, &s->patience);
        follow_stop(&s->follow);
    }
}

void resolver_fini(struct neo_mesh *mesh)
{
    list_each (node, &mesh->resolver.services) {
        struct known_service *s = neo_owner(node, struct known_service, link);
        neo_free(s->instances);
        neo_free(s);
    }
    (void)pthread_mutex_destroy(&mesh->resolver.lock);
}
