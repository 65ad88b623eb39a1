/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust comes in numbered epochs signed by the issuing CA. It comes over mutual
 * TLS from the CA, and is checked all the same: the copy on disk is read again
 * when there is no CA to ask. An older epoch than the present one is refused.
 */
#include "mesh/mesh.h"

static void fill_domain(const struct neo_ca_v1_TrustDomain *from, struct neo_trust_domain *to)
{
    to->name = from->name;
    to->roots = from->roots.at;
    to->n_roots = from->roots.len;
}

static enum neo_code make(const struct neo_ca_v1_Trust *body, struct neo_arena *arena,
                          struct neo_trust **ret, struct neo_error *err)
{
    struct neo_trust_domain *domains =
        neo_arena_calloc(arena, body->domains.len + 1, sizeof(*domains));
    struct neo_revocation *revoked =
        neo_arena_calloc(arena, body->revocations.len + 1, sizeof(*revoked));

    if (domains == NULL || revoked == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the trust");
    for (size_t i = 0; i < body->domains.len; i++)
        fill_domain(body->domains.at[i], &domains[i]);
    for (size_t i = 0; i < body->revocations.len; i++) {
        const struct neo_ca_v1_Revocation *r = body->revocations.at[i];
        revoked[i] = (struct neo_revocation){
            .issuer_key_id = r->issuer_key_id,
            .serial = r->serial,
            .service = r->service,
            .issued_before = r->issued_before,
        };
    }
    return neo_trust_new(&(struct neo_trust_options){.domains = domains,
                                                     .n_domains = body->domains.len,
                                                     .revocations = revoked,
                                                     .n_revocations = body->revocations.len,
                                                     .epoch = body->epoch},
                         ret, err);
}

/*
 * What is signed is a label and a digest, so that nothing the CA is asked to sign as a trust can
 * ever be a certificate.
 */
static enum neo_code check_signature(const struct neo_ca_v1_SignedTrust *t,
                                     const struct neo_cert *root, struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *issuer = NULL;
    uint8_t message[sizeof(NEO_TRUST_LABEL) + NEO_SHA256_LEN] = NEO_TRUST_LABEL;

    /* Not ours, it may be: issuers follow each other, and the root vouches for each. */
    NEO_TRY(neo_cert_from_der(t->issuer, "issuer of the trust", &issuer, err));
    NEO_TRY(neo_cert_check_issuing(issuer, root, neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC, err));
    neo_sha256(t->trust, message + sizeof(NEO_TRUST_LABEL));
    return neo_spki_verify(neo_cert_facts(issuer)->spki, neo_bytes(message, sizeof(message)),
                           t->signature, err);
}

enum neo_code trust_open(const struct neo_ca_v1_SignedTrust *signed_trust,
                         const struct neo_identity *identity, struct neo_trust **ret,
                         struct neo_error *err)
{
    size_t n = neo_identity_chain_length(identity);
    struct neo_ca_v1_Trust body = {0};
    struct neo_arena arena;

    NEO_TRY(check_signature(signed_trust, neo_identity_chain(identity, n - 1), err));
    neo_arena_init(&arena, 64 << 20);
    enum neo_code code = neo_ca_v1_Trust_decode(signed_trust->trust, &body, &arena, err);
    if (code == NEO_OK)
        code = make(&body, &arena, ret, err);
    neo_arena_fini(&arena);
    return code;
}

static void ask(struct follow *f, void *request)
{
    struct neo_ca_v1_WatchTrustRequest *r = request;

    r->have_epoch = f->mesh->trust.epoch;
}

static void heard(struct follow *f, const void *response)
{
    const struct neo_ca_v1_SignedTrust *signed_trust = response;
    struct neo_mesh *mesh = f->mesh;
    struct neo_epoch now = mesh_epoch(mesh);
    struct neo_epoch change = {0};
    struct neo_error err;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer copy = {0};

    enum neo_code code = trust_open(signed_trust, now.identity, &change.trust, &err);
    mesh_epoch_release(&now);
    if (code != NEO_OK) {
        neo_log_error(&mesh->log, "mesh.trust_refused", NEO_STR("why", err.message));
        return;
    }
    if (neo_trust_epoch(change.trust) <= mesh->trust.epoch) {
        neo_trust_unref(change.trust); /* a rollback, or what we have */
        return;
    }
    mesh->trust.epoch = neo_trust_epoch(change.trust);
    neo_log_info(&mesh->log, "mesh.trust", NEO_U64("epoch", mesh->trust.epoch));
    if (neo_ca_v1_SignedTrust_encode(signed_trust, &copy, &err) == NEO_OK)
        state_save(mesh, "trust.bin", neo_buffer_bytes(&copy), 0600);
    mesh_publish(mesh, &change);
}

void trust_follow(struct neo_mesh *mesh)
{
    mesh->trust.follow = (struct follow){
        .mesh = mesh,
        .name = "trust",
        .channel = mesh->ca,
        .method = &neo_ca_v1_CertificateAuthority_methods
                      [neo_ca_v1_CertificateAuthority_WatchTrust_INDEX],
        .ask = ask,
        .heard = heard,
    };
    follow_start(&mesh->trust.follow);
}
