/* SPDX-License-Identifier: Apache-2.0 */
/* The trust that everybody is told: numbered, whole, signed; and looking in. */
#include "ca/authority.h"

#include "ca/keeper.h"

#include <neo/cert.h>
#include <neo/encoding.h>
#include <neo/loop.h>
#include <neo/mesh.h>

#include <stdio.h>

enum { REVOCATIONS_MAX = 100000, LIST_MAX = 10000, SIGNED_ANEW = 3600, MEMORY_MAX = 64 << 20 };

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

/* --- the trust -------------------------------------------------------------------------------- */

/*
 * For 48 h: no leaf that a revocation is about lives longer. The signer demands it (ca/keeper.h),
 * and goes by its own clock, a moment later.
 */
static const char live_revocations[] =
    "SELECT issuer_key_id, serial, service, issued_before, at, reason FROM revocations "
    "WHERE at > ?1 ORDER BY id";

/*
 * The same without serials that a revocation of their service covers, which is told as long as they
 * would have been. The signer knows that by its journal; where it does not, all are told.
 */
static const char needed_revocations[] =
    "SELECT issuer_key_id, serial, service, issued_before, at, reason FROM revocations o "
    "WHERE at > ?1 AND NOT (serial IS NOT NULL AND EXISTS (SELECT 1 FROM certificates c JOIN "
    "revocations r ON r.service = c.service WHERE c.serial = o.serial AND "
    "c.not_before < r.issued_before AND r.at >= o.at)) ORDER BY id";

static int64_t told_since(void)
{
    return wall_seconds() - KEEPER_REVOCATION_TOLD;
}

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

static enum neo_code read_revocations(struct authority *a, const char *which,
                                      struct neo_arena *arena, struct neo_ca_v1_Trust *body,
                                      struct neo_error *err)
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
    NEO_TRY(neo_store_query(a->store, which, VALUES(neo_value_i64(told_since())), &row, err));
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

/* All of these under the lock. */
static enum neo_code make_body(struct authority *a, const char *which, struct neo_arena *arena,
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
    NEO_TRY(query_i64(a, "SELECT number FROM epoch", &epoch, err));
    body->epoch = (uint64_t)epoch;
    return read_revocations(a, which, arena, body, err);
}

static enum neo_code encode(struct authority *a, const char *which, struct neo_arena *arena,
                            struct neo_ca_v1_Trust *body, struct neo_buffer *out,
                            struct neo_error *err)
{
    *body = (struct neo_ca_v1_Trust){.epoch = 0};
    NEO_TRY(make_body(a, which, arena, body, err));
    return neo_ca_v1_Trust_encode(body, out, err);
}

enum neo_code authority_trust_size(struct authority *a, size_t *ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
    struct neo_ca_v1_Trust body;

    neo_arena_init(&arena, MEMORY_MAX);
    NEO_TRY(encode(a, needed_revocations, &arena, &body, &wire, err));
    *ret = wire.len;
    return NEO_OK;
}

enum neo_code authority_trust_fits(struct authority *a, size_t reserve, struct neo_error *err)
{
    size_t size;

    NEO_TRY(authority_trust_size(a, &size, err));
    if (size <= NEO_TRUST_MAX - reserve)
        return NEO_OK;
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                    "the revocations of the last 48 h are %zu bytes, and %zu can be told", size,
                    NEO_TRUST_MAX - reserve);
}

/* Takes the contents of the three. */
static void tell(struct authority *a, struct neo_buffer *wire, struct neo_buffer *signature,
                 struct neo_buffer *issuer, const struct neo_ca_v1_Trust *body)
{
    neo_buffer_fini(&a->told.trust);
    neo_buffer_fini(&a->told.signature);
    neo_buffer_fini(&a->told.issuer);
    a->told.trust = *wire;
    a->told.signature = *signature;
    a->told.issuer = *issuer;
    *wire = *signature = *issuer = (struct neo_buffer){0};
    a->told.epoch = body->epoch;
    a->told.signed_at = body->signed_at;
}

static enum neo_code sign_anew(struct authority *a, struct neo_arena *arena, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer signature = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer issuer = {0};
    struct neo_ca_v1_Trust body;

    NEO_TRY(encode(a, needed_revocations, arena, &body, &wire, err));
    enum neo_code code = signer_trust(a->signer, neo_buffer_bytes(&wire), &signature, &issuer, err);
    if (code == NEO_PERMISSION_DENIED) { /* its journal does not say what is covered */
        neo_buffer_clear(&wire);
        NEO_TRY(encode(a, live_revocations, arena, &body, &wire, err));
        code = signer_trust(a->signer, neo_buffer_bytes(&wire), &signature, &issuer, err);
    }
    if (code == NEO_OK)
        tell(a, &wire, &signature, &issuer, &body);
    return code;
}

/* Whose certificates are told one by one more than anybody's. */
static const char most_told[] =
    "SELECT c.service, count(*) FROM revocations r JOIN certificates c ON c.serial = r.serial "
    "WHERE r.at > ?1 AND NOT EXISTS (SELECT 1 FROM revocations s WHERE s.service = c.service AND "
    "c.not_before < s.issued_before) GROUP BY c.service ORDER BY 2 DESC LIMIT 1";

static enum neo_code too_large(struct authority *a, struct neo_error *err)
{
    char next[300] = "wait until the oldest are 48 h old";
    struct neo_row *row;

    NEO_TRY(neo_store_query(a->store, most_told, VALUES(neo_value_i64(told_since())), &row, err));
    if (neo_row_next(row))
        (void)snprintf(next, sizeof(next), "neo ca revoke %.*s, of which %lld are told singly",
                       NEO_FMT(neo_row_bytes(row, 0)), (long long)neo_row_i64(row, 1));
    NEO_TRY(neo_row_done(row, err));
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                    "the revocations of the last 48 h are %zu bytes, %d can be told, so nobody "
                    "gets them, nor a certificate; next: %s",
                    a->told.trust.len, NEO_TRUST_MAX, next);
}

enum neo_code authority_can_tell(struct authority *a, struct neo_error *err)
{
    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = a->told.trust.len <= NEO_TRUST_MAX ? NEO_OK : too_large(a, err);
    (void)pthread_mutex_unlock(&a->lock);
    return code;
}

/* Signed anew when it changed, and now and then, so that it is by the present issuer. */
static enum neo_code keep_told(struct authority *a, struct neo_arena *arena, struct neo_error *err)
{
    int64_t epoch = 0, now = wall_seconds();

    NEO_TRY(query_i64(a, "SELECT number FROM epoch", &epoch, err));
    if (a->told.epoch == (uint64_t)epoch && a->told.signed_at + SIGNED_ANEW > now &&
        a->told.signed_at <= now)
        return NEO_OK;
    return sign_anew(a, arena, err);
}

enum neo_code authority_trust(struct authority *a, struct neo_arena *arena,
                              struct neo_ca_v1_SignedTrust *ret, uint64_t *ret_epoch,
                              struct neo_error *err)
{
    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = keep_told(a, arena, err);
    if (code == NEO_OK) {
        ret->trust = neo_arena_copy(arena, neo_buffer_bytes(&a->told.trust));
        ret->signature = neo_arena_copy(arena, neo_buffer_bytes(&a->told.signature));
        ret->issuer = neo_arena_copy(arena, neo_buffer_bytes(&a->told.issuer));
        *ret_epoch = a->told.epoch;
    }
    (void)pthread_mutex_unlock(&a->lock);
    if (code != NEO_OK)
        return code;
    return neo_arena_failed(arena)
               ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making the trust")
               : NEO_OK;
}

/* --- after a restart -------------------------------------------------------------------------- */

static enum neo_code put_back(struct authority *a, const struct neo_ca_v1_Revocation *r,
                              struct neo_error *err)
{
    struct neo_value none = {.type = NEO_VALUE_NULL};
    bool by_serial = r->serial.len > 0;
    struct neo_row *row;

    NEO_TRY(neo_store_query(a->store,
                            "SELECT 1 FROM revocations WHERE (serial = ?1 AND issuer_key_id = ?2) "
                            "OR (service = ?3 AND issued_before = ?4)",
                            VALUES(by_serial ? neo_value_bytes(r->serial) : none,
                                   by_serial ? neo_value_bytes(r->issuer_key_id) : none,
                                   by_serial ? none : neo_value_text(r->service),
                                   by_serial ? none : neo_value_i64(r->issued_before)),
                            &row, err));
    bool known = neo_row_next(row);
    NEO_TRY(neo_row_done(row, err));
    if (known)
        return NEO_OK;
    int64_t voided;
    if (!by_serial) /* they came back with the copy */
        NEO_TRY(tokens_void(a, r->service, &voided, err));
    return neo_store_run(
        a->store,
        "INSERT INTO revocations (issuer_key_id, serial, service, issued_before, at, reason) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        VALUES(by_serial ? neo_value_bytes(r->issuer_key_id) : none,
               by_serial ? neo_value_bytes(r->serial) : none,
               by_serial ? none : neo_value_text(r->service),
               by_serial ? none : neo_value_i64(r->issued_before), neo_value_i64(r->at),
               neo_value_text(r->reason)),
        NULL, err);
}

static enum neo_code put_all_back(struct authority *a, const struct neo_ca_v1_Trust *last,
                                  struct neo_error *err)
{
    int64_t since = told_since();

    for (size_t i = 0; i < last->revocations.len; i++)
        if (last->revocations.at[i]->at > since)
            NEO_TRY(put_back(a, last->revocations.at[i], err));
    NEO_TRY(neo_store_run(a->store,
                          "UPDATE certificates SET revoked = 1 WHERE serial IN "
                          "(SELECT serial FROM revocations WHERE serial IS NOT NULL) OR EXISTS "
                          "(SELECT 1 FROM revocations r WHERE r.service = certificates.service AND "
                          "certificates.not_before < r.issued_before)",
                          NULL, 0, NULL, err));
    /* Beyond the signer's: what is put back, or pruned, is another trust. */
    return neo_store_run(a->store, "UPDATE epoch SET number = ?1 WHERE number < ?1",
                         VALUES(neo_value_i64((int64_t)last->epoch + 1)), NULL, err);
}

enum neo_code authority_recover(struct authority *a, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_ca_v1_Trust last = {0};
    struct neo_arena arena;
    int64_t epoch = 0;

    NEO_TRY(query_i64(a, "SELECT number FROM epoch", &epoch, err));
    NEO_TRY(signer_last(a->signer, &wire, err));
    neo_arena_init(&arena, 96 << 20);
    enum neo_code code = neo_ca_v1_Trust_decode(neo_buffer_bytes(&wire), &last, &arena, err);
    if (code == NEO_OK && last.epoch > (uint64_t)epoch) {
        code = neo_store_begin(a->store, err);
        if (code == NEO_OK)
            code = put_all_back(a, &last, err);
        if (code == NEO_OK)
            code = neo_store_commit(a->store, err);
        if (code != NEO_OK)
            neo_store_rollback(a->store);
    }
    neo_arena_fini(&arena);
    return code;
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

static enum neo_code life_of(struct neo_bytes der, int64_t *ret_from, int64_t *ret_until,
                             struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = NULL;

    NEO_TRY(neo_cert_from_der(der, "CA certificate", &cert, err));
    *ret_from = neo_cert_facts(cert)->not_before;
    *ret_until = neo_cert_facts(cert)->not_after;
    return NEO_OK;
}

static enum neo_code describe_issuer(struct authority *a,
                                     struct neo_ca_v1_GetStatusResponse *response,
                                     struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer issuer = {0};
    int64_t from, until;

    NEO_TRY(signer_issuer(a->signer, &issuer, err));
    NEO_TRY(life_of(neo_buffer_bytes(&issuer), &from, &until, err));
    response->issuer_not_after = until;
    response->issuer_successor_at = from + (until - from) / 3 * 2;
    return NEO_OK;
}

enum neo_code authority_status(struct authority *a, struct neo_arena *arena,
                               struct neo_ca_v1_GetStatusResponse *response, struct neo_error *err)
{
    int64_t epoch = 0, issued = 0, revoked = 0, from;

    (void)arena;
    NEO_TRY(life_of(neo_buffer_bytes(&a->signer->root), &from, &response->root_not_after, err));
    (void)describe_issuer(a, response, NULL); /* a dead signer is part of the answer */
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

enum neo_code authority_crl(struct authority *a, struct neo_arena *arena,
                            struct neo_ca_v1_GetCrlResponse *response, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer present = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer previous = {0};
    struct neo_bytes *both = neo_arena_calloc(arena, 2, sizeof(*both));

    if (both == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making the CRL");
    NEO_TRY(signer_crl(a->signer, &present, &previous, err));
    both[0] = neo_arena_copy(arena, neo_buffer_bytes(&present));
    both[1] = neo_arena_copy(arena, neo_buffer_bytes(&previous));
    response->crls.at = both;
    response->crls.len = previous.len > 0 ? 2 : 1;
    return neo_arena_failed(arena)
               ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making the CRL")
               : NEO_OK;
}
