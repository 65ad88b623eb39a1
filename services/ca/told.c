/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/told.h"

#include <inttypes.h>
#include <stdio.h>

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

/* Two revocations at once: the later one stays. Takes the contents of `wire`. */
static void keep(struct told *t, struct neo_buffer *wire, uint64_t epoch)
{
    struct neo_buffer old = *wire;

    (void)pthread_mutex_lock(&t->lock);
    if (epoch >= t->epoch) {
        old = t->signed_trust;
        t->signed_trust = *wire;
        t->epoch = epoch;
    }
    (void)pthread_mutex_unlock(&t->lock);
    neo_buffer_fini(&old);
}

enum neo_code told_refresh(struct told *t, struct authority *a, struct neo_trust **ret,
                           struct neo_error *err)
{
    struct neo_ca_v1_SignedTrust signed_trust = {0};
    struct neo_buffer wire = {0};
    struct neo_arena arena;
    uint64_t epoch = 0;

    neo_arena_init(&arena, 64 << 20);
    enum neo_code code = authority_trust(a, &arena, &signed_trust, &epoch, err);
    if (code == NEO_OK)
        code = neo_ca_v1_SignedTrust_encode(&signed_trust, &wire, err);
    if (code == NEO_OK)
        code = as_trust(&signed_trust, &arena, ret, err);
    neo_arena_fini(&arena);
    if (code == NEO_OK && authority_can_tell(a, NULL) == NEO_OK)
        keep(t, &wire, epoch);
    else /* or nobody could take it: who follows keeps what it has */
        neo_buffer_fini(&wire);
    return code;
}

/* `key` is the epoch the caller had when it came. */
static enum neo_flow send_newest(struct neo_call *call, const char *key, void *self)
{
    struct told *t = self;
    struct neo_ca_v1_SignedTrust message = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_arena arena;
    enum neo_flow flow = NEO_FLOW_MORE;
    uint64_t have = 0;

    (void)sscanf(key, "%" SCNu64, &have);
    (void)pthread_mutex_lock(&t->lock);
    uint64_t epoch = t->epoch;
    (void)neo_buffer_append(&wire, neo_buffer_bytes(&t->signed_trust));
    (void)pthread_mutex_unlock(&t->lock);
    if (epoch <= have)
        return flow;
    neo_arena_init(&arena, 64 << 20);
    if (neo_ca_v1_SignedTrust_decode(neo_buffer_bytes(&wire), &message, &arena, NULL) == NEO_OK)
        flow = neo_ca_v1_CertificateAuthority_WatchTrust_send(call, &message);
    neo_arena_fini(&arena);
    return flow;
}

void told_init(struct told *t)
{
    *t = (struct told){.epoch = 0};
    (void)pthread_mutex_init(&t->lock, NULL);
    watchers_init(&t->watchers, send_newest, t);
}

void told_fini(struct told *t)
{
    neo_buffer_fini(&t->signed_trust);
    watchers_fini(&t->watchers);
    (void)pthread_mutex_destroy(&t->lock);
}

void told_follow(struct told *t, struct neo_call *call, uint64_t have_epoch)
{
    char key[24];

    (void)snprintf(key, sizeof(key), "%" PRIu64, have_epoch);
    watchers_add(&t->watchers, call, neo_text(key));
}

void told_everybody(struct told *t)
{
    watchers_tell(&t->watchers);
}
