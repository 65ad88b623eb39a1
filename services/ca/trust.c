/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation, and the trust that everybody is told: numbered, whole, signed. */
#include "ca/authority.h"

#include <neo/cert.h>
#include <neo/encoding.h>
#include <neo/loop.h>

#include <stdio.h>

enum { REVOCATIONS_MAX = 100000, LIST_MAX = 10000 };

static int64_t wall_seconds(void)
{
    return neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
}

#define VALUES(...)                                                                                \
    (const struct neo_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct neo_value[]){__VA_ARGS__}) / sizeof(struct neo_value)

static enum neo_code query_i64(struct authority *a, const char *sql, int64_t *ret,
                               struct neo_error *err)
{
    struct neo_row *row;

    *ret = 0;
    NEO_TRY(neo_store_query(a->store, sql, NULL, 0, &row, err));
    if (neo_row_next(row))
        *ret = neo_row_i64(row, 0);
    return neo_row_done(row, err);
}

/* --- revoking --------------------------------------------------------------------------------- */

static enum neo_code issuer_key_id(struct authority *a, struct neo_arena *arena,
                                   struct neo_bytes *ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *issuer = NULL;

    NEO_TRY(neo_cert_from_der(neo_buffer_bytes(&a->signer->issuer), "issuing CA", &issuer, err));
    *ret = neo_arena_copy(arena, neo_cert_facts(issuer)->subject_key_id);
    return NEO_OK;
}

static enum neo_code revoke_serial(struct authority *a, struct neo_bytes hex,
                                   struct neo_bytes reason, int64_t *ret_changed,
                                   struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer serial = {.limit = 32};
    struct neo_bytes key_id;
    struct neo_arena arena;

    if (neo_hex_decode(hex, &serial, NULL) != NEO_OK || serial.len == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.*s' is no serial number in hex",
                        NEO_FMT(hex));
    NEO_TRY(neo_store_run(a->store, "UPDATE certificates SET revoked = 1 WHERE serial = ?1",
                          VALUES(neo_value_bytes(neo_buffer_bytes(&serial))), ret_changed, err));
    if (*ret_changed == 0)
        return neo_fail(err, NEO_NOT_FOUND, "no certificate has the serial %.*s", NEO_FMT(hex));
    neo_arena_init(&arena, 65536);
    enum neo_code code = issuer_key_id(a, &arena, &key_id, err);
    if (code == NEO_OK)
        code = neo_store_run(a->store,
                             "INSERT INTO revocations (issuer_key_id, serial, at, reason) VALUES "
                             "(?1, ?2, ?3, ?4)",
                             VALUES(neo_value_bytes(key_id),
                                    neo_value_bytes(neo_buffer_bytes(&serial)),
                                    neo_value_i64(wall_seconds()), neo_value_text(reason)),
                             NULL, err);
    neo_arena_fini(&arena);
    return code;
}

static enum neo_code revoke_service(struct authority *a, struct neo_bytes service,
                                    struct neo_bytes reason, int64_t *ret_changed,
                                    struct neo_error *err)
{
    int64_t now = wall_seconds();

    if (!neo_is_service_name(service))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.*s' is no service name", NEO_FMT(service));
    NEO_TRY(neo_store_run(a->store,
                          "UPDATE certificates SET revoked = 1 WHERE service = ?1 AND revoked = 0 "
                          "AND not_after > ?2",
                          VALUES(neo_value_text(service), neo_value_i64(now)), ret_changed, err));
    if (*ret_changed == 0)
        return neo_fail(err, NEO_NOT_FOUND, "no valid certificate of '%.*s' is known",
                        NEO_FMT(service));
    return neo_store_run(a->store,
                         "INSERT INTO revocations (service, issued_before, at, reason) VALUES "
                         "(?1, ?2, ?3, ?4)",
                         VALUES(neo_value_text(service), neo_value_i64(now + 1), neo_value_i64(now),
                                neo_value_text(reason)),
                         NULL, err);
}

static enum neo_code revoke_locked(struct authority *a, const struct neo_ca_v1_RevokeRequest *r,
                                   int64_t *ret_changed, struct neo_error *err)
{
    struct neo_bytes reason = r->reason.len > 0 ? r->reason : NEO_LIT("unspecified");
    enum neo_code code;

    NEO_TRY(neo_store_begin(a->store, err));
    if (r->what_case == 1)
        code = revoke_serial(a, r->serial, reason, ret_changed, err);
    else if (r->what_case == 2)
        code = revoke_service(a, r->service, reason, ret_changed, err);
    else
        code = neo_fail(err, NEO_INVALID_ARGUMENT, "say what to revoke: a serial or a service");
    if (code == NEO_OK)
        code = neo_store_run(a->store, "UPDATE epoch SET number = number + 1", NULL, 0, NULL, err);
    if (code == NEO_OK)
        code = neo_store_commit(a->store, err);
    if (code != NEO_OK)
        neo_store_rollback(a->store);
    return code;
}

enum neo_code authority_revoke(struct authority *a, const struct neo_ca_v1_RevokeRequest *r,
                               struct neo_ca_v1_RevokeResponse *response, struct neo_error *err)
{
    int64_t changed = 0, epoch = 0;

    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = revoke_locked(a, r, &changed, err);
    if (code == NEO_OK)
        code = query_i64(a, "SELECT number FROM epoch", &epoch, err);
    (void)pthread_mutex_unlock(&a->lock);
    if (code != NEO_OK)
        return code;
    response->certificates = (uint32_t)changed;
    response->epoch = (uint64_t)epoch;
    return NEO_OK;
}

/* --- the trust -------------------------------------------------------------------------------- */

/* What has expired by itself need not be told any more. */
static const char live_revocations[] =
    "SELECT r.issuer_key_id, r.serial, r.service, r.issued_before, r.at, r.reason "
    "FROM revocations r LEFT JOIN certificates c ON c.serial = r.serial "
    "WHERE r.serial IS NULL AND r.at > ?1 - 172800 OR c.not_after > ?1 ORDER BY r.id";

static struct neo_ca_v1_Revocation *read_revocation(const struct neo_row *row,
                                                    struct neo_arena *arena)
{
    struct neo_ca_v1_Revocation *r = neo_arena_calloc(arena, 1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->issuer_key_id = neo_arena_copy(arena, neo_row_bytes(row, 0));
    r->serial = neo_arena_copy(arena, neo_row_bytes(row, 1));
    r->service = neo_arena_copy(arena, neo_row_bytes(row, 2));
    r->issued_before = neo_row_i64(row, 3);
    r->at = neo_row_i64(row, 4);
    r->reason = neo_arena_copy(arena, neo_row_bytes(row, 5));
    return r;
}

static enum neo_code read_revocations(struct authority *a, struct neo_arena *arena,
                                      struct neo_ca_v1_Trust *body, struct neo_error *err)
{
    struct neo_row *row;
    int64_t count = 0;

    NEO_TRY(query_i64(a, "SELECT count(*) FROM revocations", &count, err));
    if (count > REVOCATIONS_MAX)
        count = REVOCATIONS_MAX;
    body->revocations.at =
        neo_arena_calloc(arena, (size_t)count + 1, sizeof(*body->revocations.at));
    if (body->revocations.at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading revocations");
    NEO_TRY(neo_store_query(a->store, live_revocations, VALUES(neo_value_i64(wall_seconds())), &row,
                            err));
    bool more;
    while ((more = neo_row_next(row)) && body->revocations.len < (size_t)count) {
        struct neo_ca_v1_Revocation *r = read_revocation(row, arena);
        if (r == NULL)
            break;
        body->revocations.at[body->revocations.len++] = r;
    }
    NEO_TRY(neo_row_done(row, err));
    if (more && !neo_arena_failed(arena)) /* to leave some out would be to trust them */
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "more than %d live revocations; revoke whole services instead",
                        REVOCATIONS_MAX);
    return neo_arena_failed(arena)
               ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading revocations")
               : NEO_OK;
}

static enum neo_code make_body(struct authority *a, struct neo_arena *arena,
                               struct neo_ca_v1_Trust *body, struct neo_error *err)
{
    struct neo_ca_v1_TrustDomain *domain = neo_arena_calloc(arena, 1, sizeof(*domain));
    struct neo_ca_v1_TrustDomain **domains = neo_arena_calloc(arena, 1, sizeof(*domains));
    struct neo_bytes *roots = neo_arena_calloc(arena, 1, sizeof(*roots));
    int64_t epoch = 0;

    if (domain == NULL || domains == NULL || roots == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making the trust");
    roots[0] = neo_buffer_bytes(&a->signer->root);
    domain->name = neo_text(a->trust_domain);
    domain->roots.at = roots;
    domain->roots.len = 1;
    domains[0] = domain;
    body->domains.at = domains;
    body->domains.len = 1;
    body->signed_at = wall_seconds();
    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = query_i64(a, "SELECT number FROM epoch", &epoch, err);
    if (code == NEO_OK)
        code = read_revocations(a, arena, body, err);
    (void)pthread_mutex_unlock(&a->lock);
    body->epoch = (uint64_t)epoch;
    return code;
}

enum neo_code authority_trust(struct authority *a, struct neo_arena *arena,
                              struct neo_ca_v1_SignedTrust *ret, uint64_t *ret_epoch,
                              struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer signature = {0};
    struct neo_ca_v1_Trust body = {0};

    NEO_TRY(make_body(a, arena, &body, err));
    NEO_TRY(neo_ca_v1_Trust_encode(&body, &wire, err));
    NEO_TRY(signer_trust(a->signer, neo_buffer_bytes(&wire), &signature, err));
    ret->trust = neo_arena_copy(arena, neo_buffer_bytes(&wire));
    ret->signature = neo_arena_copy(arena, neo_buffer_bytes(&signature));
    ret->issuer = neo_buffer_bytes(&a->signer->issuer);
    *ret_epoch = body.epoch;
    return neo_arena_failed(arena)
               ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making the trust")
               : NEO_OK;
}

/* --- looking in ------------------------------------------------------------------------------- */

static struct neo_ca_v1_Certificate *read_certificate(const struct neo_row *row,
                                                      struct neo_arena *arena)
{
    struct neo_ca_v1_Certificate *c = neo_arena_calloc(arena, 1, sizeof(*c));
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    if (c == NULL || !neo_hex_encode(&hex, neo_row_bytes(row, 0)))
        return NULL;
    c->serial = neo_arena_copy(arena, neo_buffer_bytes(&hex));
    c->service = neo_arena_copy(arena, neo_row_bytes(row, 1));
    c->not_before = neo_row_i64(row, 2);
    c->not_after = neo_row_i64(row, 3);
    c->revoked = neo_row_i64(row, 4) != 0;
    c->credential = neo_arena_copy(arena, neo_row_bytes(row, 5));
    return c;
}

static enum neo_code list_locked(struct authority *a, const char *service, bool include_expired,
                                 struct neo_arena *arena,
                                 struct neo_ca_v1_ListCertificatesResponse *response,
                                 struct neo_error *err)
{
    struct neo_row *row;

    NEO_TRY(neo_store_query(a->store,
                            "SELECT serial, service, not_before, not_after, revoked, credential "
                            "FROM certificates WHERE der IS NOT NULL AND (?1 = '' OR service = ?1) "
                            "AND not_after > ?2 ORDER BY service, not_before LIMIT 10000",
                            VALUES(neo_value_text(neo_text(service)),
                                   neo_value_i64(include_expired ? 0 : wall_seconds())),
                            &row, err));
    while (neo_row_next(row)) {
        struct neo_ca_v1_Certificate *c = read_certificate(row, arena);
        if (c == NULL || response->certificates.len == LIST_MAX)
            break;
        response->certificates.at[response->certificates.len++] = c;
    }
    return neo_row_done(row, err);
}

enum neo_code authority_list(struct authority *a, const char *service, bool include_expired,
                             struct neo_arena *arena,
                             struct neo_ca_v1_ListCertificatesResponse *response,
                             struct neo_error *err)
{
    response->certificates.at =
        neo_arena_calloc(arena, LIST_MAX, sizeof(*response->certificates.at));
    if (response->certificates.at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory listing certificates");
    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = list_locked(a, service, include_expired, arena, response, err);
    (void)pthread_mutex_unlock(&a->lock);
    return code;
}

static enum neo_code not_after_of(struct neo_bytes der, int64_t *ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = NULL;

    NEO_TRY(neo_cert_from_der(der, "CA certificate", &cert, err));
    *ret = neo_cert_facts(cert)->not_after;
    return NEO_OK;
}

enum neo_code authority_status(struct authority *a, struct neo_arena *arena,
                               struct neo_ca_v1_GetStatusResponse *response, struct neo_error *err)
{
    int64_t epoch = 0, issued = 0, revoked = 0;

    (void)arena;
    NEO_TRY(not_after_of(neo_buffer_bytes(&a->signer->root), &response->root_not_after, err));
    NEO_TRY(not_after_of(neo_buffer_bytes(&a->signer->issuer), &response->issuer_not_after, err));
    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = query_i64(a, "SELECT number FROM epoch", &epoch, err);
    if (code == NEO_OK)
        code =
            query_i64(a, "SELECT count(*) FROM certificates WHERE der IS NOT NULL", &issued, err);
    if (code == NEO_OK)
        code = query_i64(a, "SELECT count(*) FROM certificates WHERE revoked <> 0", &revoked, err);
    (void)pthread_mutex_unlock(&a->lock);
    response->trust_domain = neo_text(a->trust_domain);
    response->trust_epoch = (uint64_t)epoch;
    response->issued = (uint64_t)issued;
    response->revoked = (uint64_t)revoked;
    response->signer_alive = signer_is_alive(a->signer);
    return code;
}
