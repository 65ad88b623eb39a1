/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revoking. A serial takes with it what was renewed from it, whoever asked for that: a
 * stolen key renews like its owner's. The owner joins again. A service takes with it its
 * join tokens that nobody has used: they may be where its key was.
 */
#include "ca/authority.h"

#include <neo/cert.h>
#include <neo/encoding.h>
#include <neo/loop.h>

enum { MEMORY_MAX = 64 << 20 };

static int64_t wall_seconds(void)
{
    return neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
}

#define VALUES(...)                                                                                \
    (const struct neo_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct neo_value[]){__VA_ARGS__}) / sizeof(struct neo_value)

/* --- one serial and its descendants ----------------------------------------------------------- */

struct heir {
    struct heir *next;
    struct neo_bytes serial;
    struct neo_bytes issuer_key_id; /* empty: never signed */
};

#define LINE                                                                                       \
    "WITH RECURSIVE line (serial) AS (VALUES (?1) UNION SELECT c.serial FROM certificates c "      \
    "JOIN line ON c.parent = line.serial) "

/* Those that anybody may show; one more than are told. */
static const char heirs_alive[] =
    LINE "SELECT c.serial, c.der FROM certificates c JOIN line ON c.serial = line.serial "
         "WHERE c.revoked = 0 AND c.not_after > ?2 LIMIT ?3";

/* The dead, too: their keys and requests give no new ones. */
static const char revoke_line[] =
    LINE "UPDATE certificates SET revoked = 1 WHERE revoked = 0 AND serial IN "
         "(SELECT serial FROM line)";

/* Each was signed by the issuer of its time. */
static bool read_heir(const struct neo_row *row, struct neo_arena *arena, struct heir **all)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = NULL;
    struct heir *h = neo_arena_calloc(arena, 1, sizeof(*h));

    if (h == NULL)
        return false;
    h->serial = neo_arena_copy(arena, neo_row_bytes(row, 0));
    if (!neo_row_is_null(row, 1)) {
        if (neo_cert_from_der(neo_row_bytes(row, 1), "kept certificate", &cert, NULL) != NEO_OK)
            return false;
        h->issuer_key_id = neo_arena_copy(arena, neo_cert_facts(cert)->issuer_key_id);
    }
    h->next = *all;
    *all = h;
    return !neo_arena_failed(arena);
}

static enum neo_code find_heirs(struct authority *a, struct neo_bytes serial, int64_t now,
                                struct neo_arena *arena, struct heir **ret, int64_t *ret_n,
                                struct neo_error *err)
{
    struct neo_row *row;
    bool good = true;

    NEO_TRY(neo_store_query(
        a->store, heirs_alive,
        VALUES(neo_value_bytes(serial), neo_value_i64(now), neo_value_i64(AUTHORITY_HEIRS_MAX + 1)),
        &row, err));
    for (; good && neo_row_next(row); ++*ret_n)
        good = read_heir(row, arena, ret);
    NEO_TRY(neo_row_done(row, err));
    return good ? NEO_OK
                : neo_fail(err, NEO_INTERNAL, "cannot read the certificates to be revoked");
}

static enum neo_code tell_heir(struct authority *a, const struct heir *h, struct neo_bytes reason,
                               int64_t now, struct neo_error *err)
{
    if (h->issuer_key_id.len == 0)
        return NEO_OK; /* never signed */
    return neo_store_run(a->store,
                         "INSERT INTO revocations (issuer_key_id, serial, at, reason) VALUES "
                         "(?1, ?2, ?3, ?4)",
                         VALUES(neo_value_bytes(h->issuer_key_id), neo_value_bytes(h->serial),
                                neo_value_i64(now), neo_value_text(reason)),
                         NULL, err);
}

static enum neo_code service_of(struct authority *a, struct neo_bytes serial, struct neo_bytes hex,
                                struct neo_arena *arena, struct neo_bytes *ret,
                                struct neo_error *err)
{
    struct neo_row *row;

    NEO_TRY(neo_store_query(a->store, "SELECT service FROM certificates WHERE serial = ?1",
                            VALUES(neo_value_bytes(serial)), &row, err));
    bool known = neo_row_next(row);
    if (known)
        *ret = neo_arena_copy(arena, neo_row_bytes(row, 0));
    NEO_TRY(neo_row_done(row, err));
    return known ? NEO_OK
                 : neo_fail(err, NEO_NOT_FOUND, "no certificate has the serial %.*s", NEO_FMT(hex));
}

/* Nothing of it stays: the transaction is given up. */
static enum neo_code too_many(struct neo_bytes service, const char *why, struct neo_error *err)
{
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                    "nothing was revoked: %s; revoke all of the service: neo ca revoke %.*s", why,
                    NEO_FMT(service));
}

static enum neo_code revoke_line_of(struct authority *a, struct neo_bytes serial,
                                    struct neo_bytes service, struct neo_bytes reason,
                                    struct neo_arena *arena, int64_t *ret_changed,
                                    struct neo_error *err)
{
    int64_t now = wall_seconds(), n = 0;
    struct heir *heirs = NULL;
    struct neo_error why;

    NEO_TRY(find_heirs(a, serial, now, arena, &heirs, &n, err));
    if (n > AUTHORITY_HEIRS_MAX)
        return too_many(service, "more certificates were renewed from it than can be told singly",
                        err);
    for (const struct heir *h = heirs; h != NULL; h = h->next)
        NEO_TRY(tell_heir(a, h, reason, now, err));
    NEO_TRY(neo_store_run(a->store, revoke_line, VALUES(neo_value_bytes(serial)), NULL, err));
    enum neo_code code = authority_trust_fits(a, AUTHORITY_TRUST_RESERVE, &why);
    if (code == NEO_RESOURCE_EXHAUSTED)
        return too_many(service, why.message, err);
    if (code != NEO_OK)
        return neo_fail(err, code, "%s", why.message);
    *ret_changed = n;
    return NEO_OK;
}

static enum neo_code revoke_serial(struct authority *a, struct neo_bytes hex,
                                   struct neo_bytes reason, int64_t *ret_changed,
                                   struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer serial = {.limit = 32};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
    struct neo_bytes service = {0};

    neo_arena_init(&arena, MEMORY_MAX);
    if (neo_hex_decode(hex, &serial, NULL) != NEO_OK || serial.len == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.*s' is no serial number in hex",
                        NEO_FMT(hex));
    NEO_TRY(service_of(a, neo_buffer_bytes(&serial), hex, &arena, &service, err));
    return revoke_line_of(a, neo_buffer_bytes(&serial), service, reason, &arena, ret_changed, err);
}

/* --- a service -------------------------------------------------------------------------------- */

/*
 * Beyond the beginning of all that it has, and no later than it must be: who joins now begins at
 * it. So in one second a service may be revoked, join and be revoked again.
 */
static enum neo_code cutoff_of(struct authority *a, struct neo_bytes service, int64_t now,
                               int64_t *ret, struct neo_error *err)
{
    struct neo_row *row;

    *ret = now;
    NEO_TRY(neo_store_query(
        a->store, "SELECT max(not_before) FROM certificates WHERE service = ?1 AND not_after > ?2",
        VALUES(neo_value_text(service), neo_value_i64(now)), &row, err));
    if (neo_row_next(row) && !neo_row_is_null(row, 0) && neo_row_i64(row, 0) >= now)
        *ret = neo_row_i64(row, 0) + 1;
    return neo_row_done(row, err);
}

static enum neo_code revoke_service(struct authority *a, struct neo_bytes service,
                                    struct neo_bytes reason, int64_t *ret_changed,
                                    int64_t *ret_tokens, struct neo_error *err)
{
    int64_t now = wall_seconds(), cutoff;
    size_t before = 0, after = 0;

    if (!neo_is_service_name(service))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.*s' is no service name", NEO_FMT(service));
    NEO_TRY(authority_trust_size(a, &before, err));
    NEO_TRY(neo_store_run(a->store,
                          "UPDATE certificates SET revoked = 1 WHERE service = ?1 AND revoked = 0 "
                          "AND not_after > ?2",
                          VALUES(neo_value_text(service), neo_value_i64(now)), ret_changed, err));
    NEO_TRY(tokens_void(a, service, ret_tokens, err));
    if (*ret_changed == 0 && *ret_tokens == 0)
        return neo_fail(err, NEO_NOT_FOUND,
                        "no valid certificate of '%.*s' is known, and no join token that was not "
                        "used",
                        NEO_FMT(service));
    NEO_TRY(cutoff_of(a, service, now, &cutoff, err));
    NEO_TRY(neo_store_run(a->store,
                          "INSERT INTO revocations (service, issued_before, at, reason) VALUES "
                          "(?1, ?2, ?3, ?4)",
                          VALUES(neo_value_text(service), neo_value_i64(cutoff), neo_value_i64(now),
                                 neo_value_text(reason)),
                          NULL, err));
    NEO_TRY(authority_trust_size(a, &after, err));
    return after < before ? NEO_OK : authority_trust_fits(a, 0, err); /* less is never too much */
}

/* --- both ------------------------------------------------------------------------------------- */

static enum neo_code revoke_what(struct authority *a, const struct neo_ca_v1_RevokeRequest *r,
                                 int64_t *ret_changed, int64_t *ret_tokens, struct neo_error *err)
{
    struct neo_bytes reason = r->reason.len > 0 ? r->reason : NEO_LIT("unspecified");

    if (r->what_case == 1)
        NEO_TRY(revoke_serial(a, r->serial, reason, ret_changed, err));
    else if (r->what_case == 2)
        NEO_TRY(revoke_service(a, r->service, reason, ret_changed, ret_tokens, err));
    else
        return neo_fail(err, NEO_INVALID_ARGUMENT, "say what to revoke: a serial or a service");
    return neo_store_run(a->store, "UPDATE epoch SET number = number + 1", NULL, 0, NULL, err);
}

static enum neo_code read_epoch(struct authority *a, uint64_t *ret, struct neo_error *err)
{
    struct neo_row *row;

    NEO_TRY(neo_store_query(a->store, "SELECT number FROM epoch", NULL, 0, &row, err));
    if (neo_row_next(row))
        *ret = (uint64_t)neo_row_i64(row, 0);
    return neo_row_done(row, err);
}

static enum neo_code revoke_locked(struct authority *a, const struct neo_ca_v1_RevokeRequest *r,
                                   int64_t *ret_changed, int64_t *ret_tokens, uint64_t *ret_epoch,
                                   struct neo_error *err)
{
    NEO_TRY(neo_store_begin(a->store, err));
    enum neo_code code = revoke_what(a, r, ret_changed, ret_tokens, err);
    if (code == NEO_OK)
        code = neo_store_commit(a->store, err);
    if (code != NEO_OK) {
        neo_store_rollback(a->store);
        return code;
    }
    return read_epoch(a, ret_epoch, err);
}

enum neo_code authority_revoke(struct authority *a, const struct neo_ca_v1_RevokeRequest *r,
                               struct neo_ca_v1_RevokeResponse *response, struct neo_error *err)
{
    int64_t changed = 0, tokens = 0;
    uint64_t epoch = 0;

    if (r->reason.len > AUTHORITY_REASON_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a reason has at most %d bytes",
                        AUTHORITY_REASON_MAX);
    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code = revoke_locked(a, r, &changed, &tokens, &epoch, err);
    (void)pthread_mutex_unlock(&a->lock);
    if (code != NEO_OK)
        return code;
    response->certificates = (uint32_t)changed;
    response->tokens = (uint32_t)tokens;
    response->epoch = epoch;
    return NEO_OK;
}
