/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first certificate, bought with a join token, and every next one, asked for
 * with the present.
 *
 * A request is repeated with the same id, key and CSR until it is answered, so a CA
 * that died after signing answers with what it signed, and never signs twice.
 * Renewal comes at a random point between 40 and 50 % of the life, so at least half
 * of it is always left for a CA that is down.
 */
#include "mesh/mesh.h"

#include "rpc/target.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <stdio.h>

#define JOIN_PATIENCE (10 * NEO_NSEC_PER_SEC)
#define CALL_TIMEOUT  (5 * NEO_NSEC_PER_SEC)
#define RETRY_BASE    (500 * NEO_NSEC_PER_MSEC)
#define RETRY_MAX     (300 * NEO_NSEC_PER_SEC)

/* --- requests --------------------------------------------------------------------------------- */

static enum neo_code make_request(struct neo_mesh *mesh, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer id = {0};
    uint8_t random[16];

    if (mesh->identity.next != NULL)
        return NEO_OK; /* the one before was not answered: the same again */
    NEO_TRY(neo_key_generate(NEO_KEY_P256, &mesh->identity.next, err));
    neo_buffer_clear(&mesh->identity.csr);
    NEO_TRY(neo_csr_create(mesh->identity.next, mesh->service, &mesh->identity.csr, err));
    neo_random(random, sizeof(random));
    if (!neo_hex_encode(&id, neo_bytes(random, sizeof(random))))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory asking for a certificate");
    (void)snprintf(mesh->identity.request_id, sizeof(mesh->identity.request_id), "%.*s",
                   (int)id.len, (const char *)id.at);
    return NEO_OK;
}

void identity_forget_request(struct neo_mesh *mesh)
{
    neo_key_unref(mesh->identity.next);
    mesh->identity.next = NULL;
    neo_buffer_clear(&mesh->identity.csr);
}

/* --- rotation --------------------------------------------------------------------------------- */

static int64_t wall_seconds(void)
{
    return neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
}

static void arm_renewal(struct neo_mesh *mesh, const struct neo_identity *identity)
{
    const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(identity));
    int64_t life = (f->not_after - f->not_before) * (int64_t)NEO_NSEC_PER_SEC;
    int64_t age = neo_wall_nsec() - f->not_before * (int64_t)NEO_NSEC_PER_SEC;
    uint32_t random;

    neo_random(&random, sizeof(random));
    int64_t tenth = life / 10;
    int64_t due = tenth * 4 + (int64_t)((double)tenth * (random / 4294967296.0));
    neo_nsec wait = due > age ? (neo_nsec)(due - age) : 0;
    neo_loop_arm(mesh->loop, &mesh->identity.timer, neo_loop_now(mesh->loop) + wait);
}

void identity_retry(struct neo_mesh *mesh)
{
    struct neo_epoch now = mesh_epoch(mesh);
    neo_nsec max = RETRY_MAX;

    if (now.identity != NULL) {
        const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(now.identity));
        neo_nsec share = (neo_nsec)(f->not_after - f->not_before) * NEO_NSEC_PER_SEC / 20;
        if (share < max)
            max = share; /* short lives, short waits */
    }
    mesh_epoch_release(&now);
    neo_nsec wait =
        50 * NEO_NSEC_PER_MSEC + mesh_backoff(mesh->identity.failures++, RETRY_BASE, max);
    neo_loop_arm(mesh->loop, &mesh->identity.timer, neo_loop_now(mesh->loop) + wait);
}

static void due(struct neo_timer *timer)
{
    identity_ask(neo_owner(timer, struct neo_mesh, identity.timer));
}

/* --- the state folder ------------------------------------------------------------------------- */

static enum neo_code save_identity(struct neo_mesh *mesh, const struct neo_identity *identity,
                                   const struct neo_ca_v1_SignResponse *r, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer key = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer answer = {0};

    NEO_TRY(neo_key_to_pem(neo_identity_key(identity), &key, err));
    for (size_t i = 0; i < neo_identity_chain_length(identity); i++)
        (void)neo_cert_to_pem(neo_identity_chain(identity, i), &chain);
    /* One file for both, so that key and certificate can never be of two minds. */
    if (!neo_buffer_append(&chain, neo_buffer_bytes(&key)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory saving the identity");
    state_save(mesh, "identity.pem", neo_buffer_bytes(&chain), 0600);
    neo_zeroise(chain.at, chain.len);
    NEO_TRY(neo_ca_v1_SignResponse_encode(r, &answer, err));
    state_save(mesh, "joined.bin", neo_buffer_bytes(&answer), 0600);
    return NEO_OK;
}

/* The join string names another CA than the one this folder's identity is from. */
static bool is_foreign(const struct neo_mesh *mesh, const struct neo_identity *identity)
{
    uint8_t digest[NEO_SHA256_LEN];
    size_t n = neo_identity_chain_length(identity);

    if (!mesh->has_join)
        return false;
    neo_sha256(neo_cert_facts(neo_identity_chain(identity, n - 1))->der, digest);
    return memcmp(digest, mesh->join.root_sha256, sizeof(digest)) != 0;
}

static enum neo_code load_identity(struct neo_mesh *mesh, struct neo_identity **ret,
                                   struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};
    struct neo_identity *identity;

    NEO_TRY(state_load(mesh, "identity.pem", &pem, err));
    NEO_TRY(neo_identity_from_pem(neo_buffer_bytes(&pem), neo_buffer_bytes(&pem), "identity.pem",
                                  &identity, err));
    const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(identity));
    enum neo_code code = NEO_OK;
    if (!neo_bytes_is(f->id.service, mesh->service))
        code =
            neo_fail(err, NEO_FAILED_PRECONDITION,
                     "the state folder '%s' belongs to '%.*s', not to '%s'; give another --state",
                     mesh->state_dir, NEO_FMT(f->id.service), mesh->service);
    else if (is_foreign(mesh, identity))
        code = neo_fail(err, NEO_NOT_FOUND, "the state folder '%s' belongs to another CA",
                        mesh->state_dir);
    else if (f->not_after <= wall_seconds())
        code = neo_fail(err, NEO_UNAUTHENTICATED,
                        "the certificate in '%s' has ended; join again: neo token create %s",
                        mesh->state_dir, mesh->service);
    if (code != NEO_OK) {
        neo_identity_unref(identity);
        return code;
    }
    *ret = identity;
    return NEO_OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void learn_addresses(struct neo_mesh *mesh, const struct neo_ca_v1_SignResponse *r)
{
    (void)snprintf(mesh->trust_domain, sizeof(mesh->trust_domain), "%.*s",
                   NEO_FMT(r->trust_domain));
    (void)snprintf(mesh->registry_address, sizeof(mesh->registry_address), "%.*s",
                   NEO_FMT(r->registry_address));
    if (r->ca_address.len > 0)
        (void)snprintf(mesh->ca_address, sizeof(mesh->ca_address), "%.*s", NEO_FMT(r->ca_address));
}

/* The chain must be for our key and our name, and end in the root that the join string named. */
static enum neo_code check_answer(struct neo_mesh *mesh, const struct neo_ca_v1_SignResponse *r,
                                  struct neo_epoch *change, struct neo_error *err)
{
    uint8_t digest[NEO_SHA256_LEN];

    if (r->chain.len < 3 || r->trust == NULL)
        return neo_fail(err, NEO_INTERNAL, "the CA's answer lacks its chain or its trust");
    if (mesh->has_join) {
        neo_sha256(r->chain.at[r->chain.len - 1], digest);
        if (memcmp(digest, mesh->join.root_sha256, sizeof(digest)) != 0)
            return neo_fail(err, NEO_UNAUTHENTICATED,
                            "the CA's root is not the one the join string names");
    }
    NEO_TRY(
        neo_identity_new(mesh->identity.next, r->chain.at, r->chain.len, &change->identity, err));
    const struct neo_cert *leaf = neo_identity_leaf(change->identity);
    NEO_TRY(neo_cert_check_leaf(leaf, err));
    if (!neo_bytes_is(neo_cert_facts(leaf)->id.service, mesh->service))
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "the join token is for '%.*s', but this is '%s'; make one with: neo token "
                        "create %s",
                        NEO_FMT(neo_cert_facts(leaf)->id.service), mesh->service, mesh->service);
    return trust_open(r->trust, change->identity, &change->trust, err);
}

/* Without it there is nothing to go on with; unless we go on with the identity that we had. */
static void join_ends(struct neo_mesh *mesh, const struct neo_error *err)
{
    if (mesh->rejoin.under_way)
        rejoin_failed(mesh, err);
    else
        mesh_give_up(mesh, err);
}

static void adopt(struct neo_mesh *mesh, const struct neo_ca_v1_SignResponse *r)
{
    struct neo_epoch change = {0};
    struct neo_error err;

    if (check_answer(mesh, r, &change, &err) != NEO_OK) {
        mesh_epoch_release(&change);
        if (mesh->has_join) {
            join_ends(mesh, &err);
            return;
        }
        neo_log_error(&mesh->log, "mesh.certificate_bad", NEO_STR("why", err.message));
        identity_forget_request(mesh);
        identity_retry(mesh);
        return;
    }
    identity_forget_request(mesh);
    mesh->identity.failures = 0;
    learn_addresses(mesh, r);
    if (save_identity(mesh, change.identity, r, &err) != NEO_OK)
        neo_log_error(&mesh->log, "mesh.identity_not_saved", NEO_STR("why", err.message));
    const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(change.identity));
    neo_log_info(&mesh->log, "mesh.certificate", NEO_BYTES("identity", f->uri),
                 NEO_I64("not_after", f->not_after));
    if (neo_trust_epoch(change.trust) > mesh->trust.epoch) {
        mesh->trust.epoch = neo_trust_epoch(change.trust);
    } else {
        neo_trust_unref(change.trust);
        change.trust = NULL;
    }
    arm_renewal(mesh, change.identity);
    mesh_publish(mesh, &change);
}

static void on_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    adopt(self, response);
}

static void joined(struct neo_mesh *mesh)
{
    if (mesh->rejoin.under_way) {
        rejoin_done(mesh);
        return;
    }
    mesh->has_join = false;
    neo_zeroise(&mesh->join, sizeof(mesh->join));
    mesh_has_identity(mesh);
}

static void join_failed(struct neo_mesh *mesh, const struct neo_status *status)
{
    bool may_pass = status->code == NEO_UNAVAILABLE || status->code == NEO_DEADLINE_EXCEEDED;
    struct neo_error err;

    if (may_pass && neo_loop_now(mesh->loop) < mesh->identity.give_up) {
        neo_loop_arm(mesh->loop, &mesh->identity.timer,
                     neo_loop_now(mesh->loop) + 300 * NEO_NSEC_PER_MSEC);
        return;
    }
    if (may_pass && mesh->rejoin.under_way) {
        rejoin_wait(mesh, status);
        return;
    }
    (void)neo_fail(&err, status->code, "joining through the CA at %s: %.*s", mesh->join.address,
                   NEO_FMT(status->message));
    join_ends(mesh, &err);
}

static bool has_ended(struct neo_mesh *mesh)
{
    struct neo_epoch now = mesh_epoch(mesh);
    bool ended = now.identity != NULL &&
                 neo_cert_facts(neo_identity_leaf(now.identity))->not_after <= wall_seconds();

    mesh_epoch_release(&now);
    return ended;
}

void identity_failed(struct neo_mesh *mesh, const struct neo_status *status)
{
    if (mesh->has_join) {
        join_failed(mesh, status);
        return;
    }
    struct neo_bytes why = has_ended(mesh) ? NEO_LIT("the certificate has ended, and only a new "
                                                     "join string helps: neo token create SERVICE "
                                                     "--out FILE, and start with --join-file FILE")
                                           : status->message;
    neo_log_warn(&mesh->log, "mesh.renewal_failed", NEO_STR("code", neo_code_name(status->code)),
                 NEO_BYTES("why", why), NEO_U64("failures", mesh->identity.failures));
    identity_retry(mesh);
}

static void on_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct neo_mesh *mesh = self;

    (void)call;
    mesh->identity.call = NULL;
    if (mesh->has_join) {
        /* What was adopted counts, however its call ended: the token is spent. */
        if (mesh->identity.next == NULL)
            joined(mesh);
        else if (status->code != NEO_OK)
            join_failed(mesh, status);
        return;
    }
    if (status->code != NEO_OK && !mesh->identity.stopped)
        identity_failed(mesh, status);
}

static const struct neo_client_events events = {.message = on_message, .done = on_done};

static void not_asked(struct neo_mesh *mesh, const struct neo_error *err)
{
    mesh->identity.call = NULL;
    if (mesh->has_join)
        join_ends(mesh, err);
    else
        identity_retry(mesh);
}

void identity_submit(struct neo_mesh *mesh)
{
    struct neo_call_options options = {.timeout = CALL_TIMEOUT, .wait_for_ready = true};
    struct neo_ca_v1_Evidence evidence;
    struct neo_error err;
    enum neo_code code;

    if (mesh->has_join) {
        struct neo_ca_v1_SignRequest request = {
            .csr = neo_buffer_bytes(&mesh->identity.csr),
            .token = neo_text(mesh->join.token),
            .request_id = neo_text(mesh->identity.request_id),
            .service = neo_text(mesh->service),
            .evidence = mesh_enrol_evidence(mesh, &evidence),
        };
        code = neo_ca_v1_CertificateAuthority_Sign_start(mesh->joining, &options, &request, &events,
                                                         mesh, &mesh->identity.call, &err);
    } else {
        struct neo_ca_v1_RenewRequest request = {
            .csr = neo_buffer_bytes(&mesh->identity.csr),
            .request_id = neo_text(mesh->identity.request_id),
            .evidence = mesh_enrol_evidence(mesh, &evidence),
        };
        code = neo_ca_v1_CertificateAuthority_Renew_start(mesh->ca, &options, &request, &events,
                                                          mesh, &mesh->identity.call, &err);
    }
    if (code != NEO_OK)
        not_asked(mesh, &err);
}

void identity_ask(struct neo_mesh *mesh)
{
    struct neo_error err;

    if (mesh->identity.call != NULL || mesh->enrol.quoting)
        return;
    if (make_request(mesh, &err) == NEO_OK)
        mesh_enrol_begin(mesh);
    else
        not_asked(mesh, &err);
}

/* --- the beginning ---------------------------------------------------------------------------- */

/* Either file may be the newer one: the stream writes trust.bin, each signing joined.bin. */
static void take_newer_trust(struct neo_mesh *mesh, struct neo_arena *arena,
                             struct neo_epoch *change)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer file = {0};
    struct neo_ca_v1_SignedTrust streamed = {0};
    struct neo_trust *trust;

    if (state_load(mesh, "trust.bin", &file, NULL) != NEO_OK ||
        neo_ca_v1_SignedTrust_decode(neo_buffer_bytes(&file), &streamed, arena, NULL) != NEO_OK ||
        trust_open(&streamed, change->identity, &trust, NULL) != NEO_OK)
        return;
    if (neo_trust_epoch(trust) > neo_trust_epoch(change->trust)) {
        neo_trust_unref(change->trust);
        change->trust = trust;
    } else {
        neo_trust_unref(trust);
    }
}

static enum neo_code come_back(struct neo_mesh *mesh, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer answer = {0};
    struct neo_ca_v1_SignResponse r = {0};
    struct neo_epoch change = {0};
    struct neo_arena arena;

    NEO_TRY(load_identity(mesh, &change.identity, err));
    neo_arena_init(&arena, 32 << 20);
    enum neo_code code = state_load(mesh, "joined.bin", &answer, err);
    if (code == NEO_OK)
        code = neo_ca_v1_SignResponse_decode(neo_buffer_bytes(&answer), &r, &arena, err);
    if (code == NEO_OK && r.trust == NULL)
        code = neo_fail(err, NEO_DATA_LOSS, "'%s/joined.bin' holds no trust; join again",
                        mesh->state_dir);
    if (code == NEO_OK) {
        learn_addresses(mesh, &r);
        code = trust_open(r.trust, change.identity, &change.trust, err);
    }
    if (code == NEO_OK)
        take_newer_trust(mesh, &arena, &change);
    neo_arena_fini(&arena);
    if (code != NEO_OK) {
        mesh_epoch_release(&change);
        return code;
    }
    mesh->trust.epoch = neo_trust_epoch(change.trust);
    arm_renewal(mesh, change.identity);
    mesh_publish(mesh, &change);
    return NEO_OK;
}

enum neo_code identity_open_joining(struct neo_mesh *mesh, struct neo_error *err)
{
    struct neo_trust_options trust = {.root_fingerprint = mesh->join.root_sha256};
    char target[160];
    struct neo_channel_options options = {.loop = mesh->loop,
                                          .join_service = MESH_CA,
                                          .log = &mesh->log,
                                          .max_message = NEO_CONTROL_MESSAGE_MAX};

    NEO_TRY(neo_trust_new(&trust, &options.epoch.trust, err));
    target_of_address(mesh->join.address, target, sizeof(target));
    enum neo_code code = neo_channel_open(target, &options, &mesh->joining, err);
    neo_trust_unref(options.epoch.trust);
    return code;
}

void identity_begin(struct neo_mesh *mesh)
{
    struct neo_error err;
    enum neo_code code;

    mesh->identity.timer.expired = due;
    code = come_back(mesh, &err);
    if (code == NEO_OK) {
        rejoin_keep(mesh);
        joined(mesh);
        return;
    }
    if (!mesh->has_join) {
        if (code == NEO_NOT_FOUND)
            (void)neo_fail(&err, NEO_FAILED_PRECONDITION,
                           "no identity in '%s' and no join string; get one with: neo token create "
                           "%s",
                           mesh->state_dir, mesh->service);
        mesh_give_up(mesh, &err);
        return;
    }
    mesh->identity.give_up = neo_loop_now(mesh->loop) + JOIN_PATIENCE;
    if (identity_open_joining(mesh, &err) != NEO_OK) {
        mesh_give_up(mesh, &err);
        return;
    }
    identity_ask(mesh);
}

void identity_stop(struct neo_mesh *mesh)
{
    mesh->identity.stopped = true;
    neo_loop_disarm(mesh->loop, &mesh->identity.timer);
    if (mesh->identity.call != NULL)
        neo_client_call_cancel(mesh->identity.call);
}
