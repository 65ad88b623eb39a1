/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/authority.h"

#include <neo/cert.h>
#include <neo/encoding.h>
#include <neo/loop.h>

#include <stdio.h>

enum { BACKDATE = 30, REQUEST_ID_MAX = 64 };

const char *const authority_schema[] = {
    "CREATE TABLE tokens (hash BLOB PRIMARY KEY, service TEXT NOT NULL, expires INTEGER NOT NULL,"
    "  request_id TEXT) WITHOUT ROWID;"
    "CREATE TABLE certificates (serial BLOB PRIMARY KEY, service TEXT NOT NULL,"
    "  request_id TEXT NOT NULL, spki_hash BLOB NOT NULL, not_before INTEGER NOT NULL,"
    "  not_after INTEGER NOT NULL, credential TEXT NOT NULL, der BLOB,"
    "  revoked INTEGER NOT NULL DEFAULT 0, UNIQUE (service, request_id)) WITHOUT ROWID;"
    "CREATE INDEX certificates_by_key ON certificates (spki_hash);"
    "CREATE INDEX certificates_by_service ON certificates (service, not_after);"
    "CREATE TABLE revocations (id INTEGER PRIMARY KEY, issuer_key_id BLOB, serial BLOB,"
    "  service TEXT, issued_before INTEGER, at INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE TABLE epoch (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);"
    "INSERT INTO epoch VALUES (1, 1);",
    "ALTER TABLE certificates ADD COLUMN parent BLOB;"
    "CREATE INDEX certificates_by_parent ON certificates (parent);",
    /* The first certificate of each lineage; of the first itself, too. */
    "ALTER TABLE certificates ADD COLUMN line BLOB;"
    "WITH RECURSIVE l (serial, line) AS ("
    "  SELECT serial, serial FROM certificates WHERE parent IS NULL UNION ALL"
    "  SELECT c.serial, l.line FROM certificates c JOIN l ON c.parent = l.serial)"
    " UPDATE certificates SET line = l.line FROM l WHERE l.serial = certificates.serial;"
    "UPDATE certificates SET line = serial WHERE line IS NULL;"
    "CREATE INDEX certificates_by_line ON certificates (line, not_after);"
    "CREATE INDEX revocations_by_service ON revocations (service, issued_before);"
    "CREATE INDEX revocations_by_serial ON revocations (serial);",
    /* When a certificate was given: its end may be that of a measurement. NULL: before this. */
    "ALTER TABLE certificates ADD COLUMN given INTEGER;"
    "ALTER TABLE tokens ADD COLUMN voided INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX tokens_by_service ON tokens (service);",
    NULL,
};

static int64_t wall_seconds(void)
{
    return neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
}

enum neo_code authority_open(struct authority *a, const char *path, struct neo_error *err)
{
    (void)pthread_mutex_init(&a->lock, NULL);
    for (size_t i = 0; i < AUTHORITY_RENEWAL_LIMITS; i++) {
        neo_ratelimit_init(&a->renewals[i], AUTHORITY_RENEWALS_PER_SECOND,
                           AUTHORITY_RENEWALS_BURST);
        neo_ratelimit_init(&a->tries[i], AUTHORITY_TRIES_PER_SECOND, AUTHORITY_TRIES_BURST);
    }
    return neo_store_open(path, authority_schema, &a->store, err);
}

void authority_close(struct authority *a)
{
    neo_store_close(a->store);
    neo_buffer_fini(&a->told.trust);
    neo_buffer_fini(&a->told.signature);
    neo_buffer_fini(&a->told.issuer);
    (void)pthread_mutex_destroy(&a->lock);
}

#define VALUES(...)                                                                                \
    (const struct neo_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct neo_value[]){__VA_ARGS__}) / sizeof(struct neo_value)

/* --- signing: what was decided, before anything is signed ------------------------------------- */

struct decision {
    uint8_t serial[16];
    char service[SIGNER_NAME_MAX];
    int64_t not_before;
    int64_t not_after;
};

/* The same request came before: the same decision. NOT_FOUND: it did not. */
static enum neo_code find_decision(struct authority *a, const char *service,
                                   const struct authority_request *r,
                                   const uint8_t spki_hash[static NEO_SHA256_LEN],
                                   struct decision *ret, struct neo_error *err)
{
    struct neo_row *row;
    bool found = false, same_key = false, revoked = false;

    NEO_TRY(neo_store_query(
        a->store,
        "SELECT serial, spki_hash, not_before, not_after, revoked FROM certificates "
        "WHERE service = ?1 AND request_id = ?2",
        VALUES(neo_value_text(neo_text(service)), neo_value_text(r->request_id)), &row, err));
    if (neo_row_next(row)) {
        struct neo_bytes serial = neo_row_bytes(row, 0);
        found = serial.len == sizeof(ret->serial);
        same_key = neo_bytes_equal(neo_row_bytes(row, 1), neo_bytes(spki_hash, NEO_SHA256_LEN));
        if (found)
            memcpy(ret->serial, serial.at, serial.len);
        ret->not_before = neo_row_i64(row, 2);
        ret->not_after = neo_row_i64(row, 3);
        revoked = neo_row_i64(row, 4) != 0;
    }
    NEO_TRY(neo_row_done(row, err));
    if (revoked)
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "the certificate of this request is revoked; join again");
    if (found && !same_key)
        return neo_fail(err, NEO_ABORTED,
                        "this request id was used with another key; use a new id");
    return found ? NEO_OK : NEO_NOT_FOUND;
}

/* What is renewed at the pace of AUTHORITY_LINE_RENEWALS is never older than this, in seconds. */
static int64_t line_pace(const struct authority *a)
{
    int64_t pace = a->leaf_life / AUTHORITY_LINE_PACES;

    return pace > 0 ? pace : 1;
}

/*
 * All heirs of a certificate are told one by one when it is revoked, and a stolen key renews until
 * somebody notices: so there is an end to the heirs that are alive. Counted where it cannot be
 * forgotten, and by when each was given: not_before may be a revocation's, not_after a
 * measurement's.
 */
static const char parent_now[] =
    "SELECT c.revoked, (SELECT count(*) FROM certificates s WHERE s.line = c.line AND "
    "s.parent IS NOT NULL AND s.revoked = 0 AND s.not_after > ?3 AND "
    "coalesce(s.given, s.not_after - ?4) > ?3) "
    "FROM certificates c WHERE c.serial = ?1 AND c.service = ?2";

static enum neo_code check_pace(const struct authority *a, const struct authority_request *r,
                                int64_t recent, struct neo_error *err)
{
    if (recent < AUTHORITY_LINE_RENEWALS)
        return NEO_OK;
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                    "%d renewals in %lld s go back to one join of '%.*s'; try again later, and if "
                    "its owner asked for less, the key is stolen: neo ca revoke %.*s",
                    AUTHORITY_LINE_RENEWALS, (long long)line_pace(a), NEO_FMT(r->service),
                    NEO_FMT(r->service));
}

/* The certificate that is renewed, as we know it; under the same lock as a revocation. */
static enum neo_code check_parent(struct authority *a, const struct authority_request *r,
                                  struct neo_error *err)
{
    int64_t since = wall_seconds() - line_pace(a), recent = 0;
    bool found = false, revoked = false;
    struct neo_row *row;

    NEO_TRY(neo_store_query(a->store, parent_now,
                            VALUES(neo_value_bytes(r->parent), neo_value_text(r->service),
                                   neo_value_i64(since), neo_value_i64(a->leaf_life)),
                            &row, err));
    if (neo_row_next(row)) {
        found = true;
        revoked = neo_row_i64(row, 0) != 0;
        recent = neo_row_i64(row, 1);
    }
    NEO_TRY(neo_row_done(row, err));
    if (!found)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "this CA has no record of the certificate to be renewed (was it restored "
                        "from an older copy?); join again: neo token create %.*s",
                        NEO_FMT(r->service));
    return revoked ? neo_fail(err, NEO_PERMISSION_DENIED,
                              "the certificate to be renewed is revoked; join again")
                   : check_pace(a, r, recent, err);
}

static size_t limit_of(struct neo_bytes what)
{
    uint8_t hash[NEO_SHA256_LEN];
    uint16_t which;

    neo_sha256(what, hash);
    memcpy(&which, hash, sizeof(which));
    return which % AUTHORITY_RENEWAL_LIMITS;
}

/* Evidence is dear to judge, so who asks again for the same pays again. */
static enum neo_code limit(struct authority *a, const struct authority_request *r,
                           struct neo_error *err)
{
    neo_nsec now = neo_mono_nsec();

    if (r->token.len > 0)
        return neo_ratelimit_take(&a->tries[limit_of(r->token)], now) == 0
                   ? NEO_OK
                   : neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                              "this join token is shown more than %d times a second; it stays "
                              "good, try again later",
                              AUTHORITY_TRIES_PER_SECOND);
    return neo_ratelimit_take(&a->renewals[limit_of(r->service)], now) == 0
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "'%.*s' renews more than %d times a second",
                          NEO_FMT(r->service), AUTHORITY_RENEWALS_PER_SECOND);
}

static enum neo_code check_key(struct authority *a, const char *service,
                               const uint8_t spki_hash[static NEO_SHA256_LEN],
                               struct neo_error *err)
{
    struct neo_row *row;
    bool taken = false;

    NEO_TRY(neo_store_query(a->store,
                            "SELECT 1 FROM certificates WHERE spki_hash = ?1 AND "
                            "(service <> ?2 OR revoked <> 0) LIMIT 1",
                            VALUES(neo_value_bytes(neo_bytes(spki_hash, NEO_SHA256_LEN)),
                                   neo_value_text(neo_text(service))),
                            &row, err));
    taken = neo_row_next(row);
    NEO_TRY(neo_row_done(row, err));
    return taken ? neo_fail(err, NEO_INVALID_ARGUMENT,
                            "this key belongs to another identity or was revoked; make a new key")
                 : NEO_OK;
}

/* `before`: the certificate that the same request got, and that is put aside; NULL: none. */
static enum neo_code record_decision(struct authority *a, const struct authority_request *r,
                                     const struct decision *before, const struct decision *d,
                                     const uint8_t spki_hash[static NEO_SHA256_LEN],
                                     struct neo_error *err)
{
    struct neo_value parent = {.type = NEO_VALUE_NULL}; /* of a first certificate */

    if (before != NULL)
        parent = neo_value_bytes(neo_bytes(before->serial, sizeof(before->serial)));
    else if (r->token.len == 0)
        parent = neo_value_bytes(r->parent);
    if (r->token.len > 0)
        NEO_TRY(tokens_spend(a, r, err));
    return neo_store_run(
        a->store,
        "INSERT INTO certificates (serial, service, request_id, spki_hash, not_before, not_after, "
        "credential, parent, given, line) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
        "coalesce((SELECT line FROM certificates WHERE serial = ?8), ?1))",
        VALUES(neo_value_bytes(neo_bytes(d->serial, sizeof(d->serial))),
               neo_value_text(neo_text(d->service)), neo_value_text(r->request_id),
               neo_value_bytes(neo_bytes(spki_hash, NEO_SHA256_LEN)), neo_value_i64(d->not_before),
               neo_value_i64(d->not_after),
               neo_value_text(neo_text(r->token.len > 0 ? "token" : "renewal")), parent,
               neo_value_i64(wall_seconds())),
        NULL, err);
}

/*
 * Not beyond what was proven for it. What would end before anybody could renew it is not given: a
 * service that started with it would be cut off at once, and nobody would know why.
 */
static enum neo_code end_of_life(const struct authority *a, const struct authority_case *c,
                                 int64_t now, int64_t *ret, struct neo_error *err)
{
    int64_t least = a->leaf_life < AUTHORITY_LEAST_LIFE ? a->leaf_life : AUTHORITY_LEAST_LIFE;

    *ret = now + a->leaf_life;
    if (c->until == 0 || c->until >= *ret)
        return NEO_OK;
    if (c->until - now < least)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "what '%s' runs is not accepted any more in %lld s, by its rollout, and a "
                        "certificate for less than %lld s is not given; start it with a "
                        "measurement that is active (neo attest rollout list), or move the date",
                        c->service, (long long)(c->until > now ? c->until - now : 0),
                        (long long)least);
    *ret = c->until;
    return NEO_OK;
}

/*
 * A moment ago, for clocks that are behind; but never before the service was revoked last, which
 * would be revoked at birth. A revocation is after whatever was given until then (ca/revoke.c).
 */
static enum neo_code begin_of_life(struct authority *a, const char *service, int64_t now,
                                   int64_t *ret, struct neo_error *err)
{
    int64_t begin = now - (a->leaf_life < 10 * BACKDATE ? 1 : BACKDATE), cutoff = 0;
    struct neo_row *row;

    NEO_TRY(neo_store_query(a->store,
                            "SELECT max(issued_before) FROM revocations WHERE service = ?1",
                            VALUES(neo_value_text(neo_text(service))), &row, err));
    if (neo_row_next(row) && !neo_row_is_null(row, 0))
        cutoff = neo_row_i64(row, 0);
    NEO_TRY(neo_row_done(row, err));
    if (cutoff > now + BACKDATE)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "'%s' was revoked %lld s ahead of the CA's clock, which was set back; try "
                        "again then, or set it right",
                        service, (long long)(cutoff - now));
    *ret = cutoff > begin ? cutoff : begin;
    return NEO_OK;
}

/*
 * It was decided for longer than is proven now, when there was no such date yet. Whatever was
 * signed then stays in the records, under an id that nobody asks with, and its successor is its
 * heir: the two have one key.
 */
static enum neo_code put_aside(struct authority *a, const struct decision *d, struct neo_error *err)
{
    return neo_store_run(a->store,
                         "UPDATE certificates SET request_id = 'before ' || hex(serial) "
                         "WHERE serial = ?1",
                         VALUES(neo_value_bytes(neo_bytes(d->serial, sizeof(d->serial)))), NULL,
                         err);
}

static enum neo_code decide_new(struct authority *a, const struct authority_request *r,
                                const struct authority_case *c, bool was_decided,
                                const uint8_t spki_hash[static NEO_SHA256_LEN], struct decision *d,
                                struct neo_error *err)
{
    const struct decision before = *d;
    int64_t now = wall_seconds();

    NEO_TRY(end_of_life(a, c, now, &d->not_after, err));
    neo_random(d->serial, sizeof(d->serial));
    d->serial[0] = (uint8_t)((d->serial[0] & 0x7f) | 0x40); /* positive, and always 16 bytes */
    NEO_TRY(begin_of_life(a, d->service, now, &d->not_before, err));
    NEO_TRY(neo_store_begin(a->store, err));
    enum neo_code code = was_decided ? put_aside(a, &before, err) : NEO_OK;
    if (code == NEO_OK)
        code = record_decision(a, r, was_decided ? &before : NULL, d, spki_hash, err);
    if (code == NEO_OK)
        code = neo_store_commit(a->store, err);
    if (code != NEO_OK)
        neo_store_rollback(a->store);
    return code;
}

/* What speaks against it. OK: it was decided before, so; NOT_FOUND: nothing, and it was not. */
static enum neo_code look(struct authority *a, const struct authority_request *r,
                          struct neo_bytes spki, uint8_t ret_spki_hash[static NEO_SHA256_LEN],
                          struct decision *d, struct neo_error *err)
{
    neo_sha256(spki, ret_spki_hash);
    if (r->token.len > 0)
        NEO_TRY(tokens_look(a, r, d->service, err));
    else
        (void)snprintf(d->service, sizeof(d->service), "%.*s", NEO_FMT(r->service));
    enum neo_code code = find_decision(a, d->service, r, ret_spki_hash, d, err);
    if (code != NEO_NOT_FOUND)
        return code;
    if (r->token.len == 0)
        NEO_TRY(check_parent(a, r, err));
    NEO_TRY(check_key(a, d->service, ret_spki_hash, err));
    return NEO_NOT_FOUND;
}

static enum neo_code decide(struct authority *a, const struct authority_request *r,
                            const struct authority_case *c, struct decision *d,
                            struct neo_error *err)
{
    uint8_t spki_hash[NEO_SHA256_LEN];
    enum neo_code code = look(a, r, neo_buffer_bytes(&c->spki), spki_hash, d, err);

    if (code == NEO_OK && c->until != 0 && d->not_after > c->until)
        return decide_new(a, r, c, true, spki_hash, d, err);
    return code == NEO_NOT_FOUND ? decide_new(a, r, c, false, spki_hash, d, err) : code;
}

static enum neo_code keep_certificate(struct authority *a, const struct decision *d,
                                      struct neo_bytes der, struct neo_error *err)
{
    return neo_store_run(
        a->store, "UPDATE certificates SET der = ?2 WHERE serial = ?1",
        VALUES(neo_value_bytes(neo_bytes(d->serial, sizeof(d->serial))), neo_value_bytes(der)),
        NULL, err);
}

/* In one step with the decision, or later again for the same one. */
static enum neo_code sign_decision(struct authority *a, const struct authority_request *r,
                                   struct neo_bytes spki, const struct decision *d,
                                   struct neo_buffer *der, struct neo_buffer *issuer,
                                   struct neo_error *err)
{
    const struct signer_leaf leaf = {
        .spki = spki,
        .service = d->service,
        .serial = d->serial,
        .parent = r->token.len > 0 ? NULL : r->parent.at,
        .not_before = d->not_before,
        .not_after = d->not_after,
    };

    NEO_TRY(signer_leaf(a->signer, &leaf, der, issuer, err));
    return keep_certificate(a, d, neo_buffer_bytes(der), err);
}

static enum neo_code check_request(const struct authority_request *r, struct neo_buffer *out_spki,
                                   struct neo_error *err)
{
    if (r->request_id.len == 0 || r->request_id.len > REQUEST_ID_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a request id has 1 to %d bytes",
                        REQUEST_ID_MAX);
    if (r->token.len == 0 && r->service.len == 0)
        return neo_fail(err, NEO_UNAUTHENTICATED, "a first certificate needs a join token");
    if (r->token.len == 0 && r->parent.len != SIGNER_SERIAL_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the certificate to be renewed is none of this CA's");
    return neo_csr_check(r->csr, out_spki, err);
}

/* Empty while there is no registry: the first to join is the registry itself. */
static struct neo_bytes registry_address(const struct authority *a, struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer line = {0};

    if (neo_file_read(a->registry_file, 256, &line, NULL) != NEO_OK)
        return (struct neo_bytes){0};
    while (line.len > 0 && line.at[line.len - 1] == '\n')
        line.len--;
    return neo_arena_copy(arena, neo_buffer_bytes(&line));
}

static enum neo_code fill_response(struct authority *a, struct neo_bytes leaf,
                                   struct neo_bytes issuer, const struct decision *d,
                                   struct neo_arena *arena, struct neo_ca_v1_SignResponse *response,
                                   struct neo_error *err)
{
    struct neo_bytes *chain = neo_arena_calloc(arena, 3, sizeof(*chain));
    uint64_t epoch;

    response->trust = neo_arena_calloc(arena, 1, sizeof(*response->trust));
    if (chain == NULL || response->trust == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory answering");
    chain[0] = neo_arena_copy(arena, leaf);
    chain[1] = neo_arena_copy(arena, issuer);
    chain[2] = neo_buffer_bytes(&a->signer->root);
    response->chain.at = chain;
    response->chain.len = 3;
    response->trust_domain = neo_text(a->trust_domain);
    response->service = neo_arena_copy(arena, neo_text(d->service));
    response->registry_address = registry_address(a, arena);
    response->ca_address = neo_text(a->address);
    NEO_TRY(authority_trust(a, arena, response->trust, &epoch, err));
    return authority_can_tell(a, err);
}

void authority_case_fini(struct authority_case *c)
{
    neo_buffer_fini(&c->spki);
}

enum neo_code authority_consider(struct authority *a, const struct authority_request *r,
                                 struct authority_case *c, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    uint8_t spki_hash[NEO_SHA256_LEN];
    struct decision d = {.not_before = 0};

    NEO_TRY(check_request(r, &spki, err));
    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = look(a, r, neo_buffer_bytes(&spki), spki_hash, &d, err);
    (void)pthread_mutex_unlock(&a->lock);
    if (code != NEO_OK && code != NEO_NOT_FOUND)
        return code;
    NEO_TRY(limit(a, r, err));
    memcpy(c->service, d.service, sizeof(c->service));
    c->spki = spki;
    spki = (struct neo_buffer){0};
    return NEO_OK;
}

enum neo_code authority_sign(struct authority *a, const struct authority_request *r,
                             const struct authority_case *c, struct neo_arena *arena,
                             struct neo_ca_v1_SignResponse *response, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer issuer = {0};
    struct decision d = {.not_before = 0};

    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = decide(a, r, c, &d, err);
    if (code == NEO_OK)
        code = sign_decision(a, r, neo_buffer_bytes(&c->spki), &d, &der, &issuer, err);
    (void)pthread_mutex_unlock(&a->lock);
    if (code != NEO_OK)
        return code;
    return fill_response(a, neo_buffer_bytes(&der), neo_buffer_bytes(&issuer), &d, arena, response,
                         err);
}
