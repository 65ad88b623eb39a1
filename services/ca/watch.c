/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each watcher is a call that stays open. A change posts one job to each call's
 * worker; a job that is already on its way brings the newest trust anyway, so a
 * watcher never has more than one.
 */
#include "ca/watch.h"

#include <neo/memory.h>

struct ca_watcher {
    struct ca_watcher *next; /* this and `posted` under the lock */
    bool posted;
    struct ca_watchers *all;
    struct neo_call *call; /* referenced */
    struct neo_job job;
    uint64_t have; /* the call's worker only */
    bool over;
};

void watchers_init(struct ca_watchers *w)
{
    *w = (struct ca_watchers){.first = NULL};
    (void)pthread_mutex_init(&w->lock, NULL);
}

void watchers_fini(struct ca_watchers *w)
{
    neo_buffer_fini(&w->signed_trust);
    (void)pthread_mutex_destroy(&w->lock);
}

static enum neo_code as_trust(const struct neo_ca_v1_SignedTrust *signed_trust,
                              struct neo_arena *arena, struct neo_trust **ret,
                              struct neo_error *err)
{
    struct neo_ca_v1_Trust body = {0};

    NEO_TRY(neo_ca_v1_Trust_decode(signed_trust->trust, &body, arena, err));
    size_t n = body.revocations.len;
    struct neo_revocation *revoked = neo_arena_calloc(arena, n + 1, sizeof(*revoked));
    if (revoked == NULL || body.domains.len != 1)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the trust");
    for (size_t i = 0; i < n; i++)
        revoked[i] = (struct neo_revocation){
            .issuer_key_id = body.revocations.at[i]->issuer_key_id,
            .serial = body.revocations.at[i]->serial,
            .service = body.revocations.at[i]->service,
            .issued_before = body.revocations.at[i]->issued_before,
        };
    struct neo_trust_domain domain = {
        .name = body.domains.at[0]->name,
        .roots = body.domains.at[0]->roots.at,
        .n_roots = body.domains.at[0]->roots.len,
    };
    return neo_trust_new(&(struct neo_trust_options){.domains = &domain,
                                                     .n_domains = 1,
                                                     .revocations = revoked,
                                                     .n_revocations = n,
                                                     .epoch = body.epoch},
                         ret, err);
}

enum neo_code watchers_refresh(struct ca_watchers *w, struct authority *a, struct neo_trust **ret,
                               struct neo_error *err)
{
    struct neo_ca_v1_SignedTrust signed_trust = {0};
    struct neo_arena arena;
    struct neo_buffer wire = {0};
    uint64_t epoch = 0;

    neo_arena_init(&arena, 64 << 20);
    enum neo_code code = authority_trust(a, &arena, &signed_trust, &epoch, err);
    if (code == NEO_OK)
        code = neo_ca_v1_SignedTrust_encode(&signed_trust, &wire, err);
    if (code == NEO_OK)
        code = as_trust(&signed_trust, &arena, ret, err);
    neo_arena_fini(&arena);
    if (code != NEO_OK) {
        neo_buffer_fini(&wire);
        return code;
    }
    (void)pthread_mutex_lock(&w->lock);
    if (epoch >= w->epoch) { /* two revocations at once: the later one stays */
        neo_buffer_fini(&w->signed_trust);
        w->signed_trust = wire;
        wire = (struct neo_buffer){0};
        w->epoch = epoch;
    }
    (void)pthread_mutex_unlock(&w->lock);
    neo_buffer_fini(&wire);
    return NEO_OK;
}

/* On the call's worker. */
static void send_newest(struct ca_watcher *watcher)
{
    struct ca_watchers *w = watcher->all;
    struct neo_ca_v1_SignedTrust message = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_arena arena;
    uint64_t epoch;

    (void)pthread_mutex_lock(&w->lock);
    watcher->posted = false;
    epoch = w->epoch;
    (void)neo_buffer_append(&wire, neo_buffer_bytes(&w->signed_trust));
    (void)pthread_mutex_unlock(&w->lock);
    if (watcher->over || epoch <= watcher->have)
        return;
    neo_arena_init(&arena, 64 << 20);
    if (neo_ca_v1_SignedTrust_decode(neo_buffer_bytes(&wire), &message, &arena, NULL) == NEO_OK &&
        neo_ca_v1_CertificateAuthority_WatchTrust_send(watcher->call, &message) != NEO_FLOW_GONE)
        watcher->have = epoch;
    neo_arena_fini(&arena);
}

static void release(struct ca_watcher *watcher)
{
    neo_call_unref(watcher->call);
    neo_free(watcher);
}

static void deliver(struct neo_job *job)
{
    struct ca_watcher *watcher = neo_owner(job, struct ca_watcher, job);

    send_newest(watcher);
    if (watcher->over)
        release(watcher);
}

static void forget(struct ca_watcher *watcher)
{
    struct ca_watchers *w = watcher->all;

    (void)pthread_mutex_lock(&w->lock);
    for (struct ca_watcher **at = &w->first; *at != NULL; at = &(*at)->next)
        if (*at == watcher) {
            *at = watcher->next;
            break;
        }
    bool posted = watcher->posted;
    (void)pthread_mutex_unlock(&w->lock);
    watcher->over = true;
    if (!posted)
        release(watcher); /* else its job does */
}

static void done(struct neo_call *call, const struct neo_status *status, void *state)
{
    (void)call;
    (void)status;
    forget(state);
}

static const struct neo_stream_events events = {.done = done};

void watchers_add(struct ca_watchers *w, struct neo_call *call, uint64_t have_epoch)
{
    struct ca_watcher *watcher = neo_alloc(sizeof(*watcher));

    if (watcher == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *watcher = (struct ca_watcher){
        .all = w, .call = neo_call_ref(call), .job = {.run = deliver}, .have = have_epoch};
    (void)pthread_mutex_lock(&w->lock);
    watcher->next = w->first;
    w->first = watcher;
    (void)pthread_mutex_unlock(&w->lock);
    neo_call_on_stream(call, &events, watcher);
    send_newest(watcher);
}

void watchers_tell(struct ca_watchers *w)
{
    (void)pthread_mutex_lock(&w->lock);
    for (struct ca_watcher *watcher = w->first; watcher != NULL; watcher = watcher->next)
        if (!watcher->posted) {
            watcher->posted = true;
            neo_call_run(watcher->call, &watcher->job);
        }
    (void)pthread_mutex_unlock(&w->lock);
}
