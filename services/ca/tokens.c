/* SPDX-License-Identifier: Apache-2.0 */
/* One-time tokens: made for a service, shown once, void when the service is revoked. */
#include "ca/authority.h"

#include <neo/digest.h>
#include <neo/encoding.h>
#include <neo/loop.h>

#include <stdio.h>

enum { TOKEN_LEN = 16, TTL_DEFAULT = 600, TTL_MAX = 3600 };

#define VALUES(...)                                                                                \
    (const struct neo_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct neo_value[]){__VA_ARGS__}) / sizeof(struct neo_value)

static int64_t wall_seconds(void)
{
    return neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
}

enum neo_code authority_token(struct authority *a, const char *service, int64_t ttl_seconds,
                              struct neo_buffer *out_token, int64_t *ret_expires,
                              struct neo_error *err)
{
    uint8_t random[TOKEN_LEN], hash[NEO_SHA256_LEN];
    int64_t ttl = ttl_seconds == 0 ? TTL_DEFAULT : ttl_seconds;

    if (!neo_is_service_name(neo_text(service)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.64s' is no service name; use [a-z0-9-]",
                        service);
    if (strcmp(service, "neo-ca") == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the CA makes its own certificate");
    if (ttl < 1 || ttl > TTL_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a token lives 1 to %d seconds", TTL_MAX);
    neo_random(random, sizeof(random));
    size_t start = out_token->len;
    if (!neo_hex_encode(out_token, neo_bytes(random, sizeof(random))))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making a token");
    neo_sha256(neo_bytes_from(neo_buffer_bytes(out_token), start), hash);
    int64_t expires = wall_seconds() + ttl;
    (void)pthread_mutex_lock(&a->lock);
    enum neo_code code =
        neo_store_run(a->store, "INSERT INTO tokens (hash, service, expires) VALUES (?1, ?2, ?3)",
                      VALUES(neo_value_bytes(neo_bytes(hash, sizeof(hash))),
                             neo_value_text(neo_text(service)), neo_value_i64(expires)),
                      NULL, err);
    (void)pthread_mutex_unlock(&a->lock);
    if (code == NEO_OK)
        *ret_expires = expires;
    return code;
}

/* --- showing one ------------------------------------------------------------------------------ */

struct token {
    char service[SIGNER_NAME_MAX];
    bool is_good; /* there is one, and it is neither used nor too old */
    bool is_void;
};

static enum neo_code find(struct authority *a, const struct authority_request *r, struct token *ret,
                          struct neo_error *err)
{
    uint8_t hash[NEO_SHA256_LEN];
    struct neo_row *row;

    neo_sha256(r->token, hash);
    *ret = (struct token){.service = ""};
    NEO_TRY(neo_store_query(
        a->store, "SELECT service, expires, request_id, voided FROM tokens WHERE hash = ?1",
        VALUES(neo_value_bytes(neo_bytes(hash, sizeof(hash)))), &row, err));
    if (neo_row_next(row)) {
        bool used =
            !neo_row_is_null(row, 2) && !neo_bytes_equal(neo_row_bytes(row, 2), r->request_id);
        struct neo_bytes service = neo_row_bytes(row, 0); /* one of ours, so it has room */
        if (service.len < sizeof(ret->service))
            memcpy(ret->service, service.at, service.len);
        ret->is_good = !used && neo_row_i64(row, 1) >= wall_seconds();
        ret->is_void = neo_row_i64(row, 3) != 0;
    }
    return neo_row_done(row, err);
}

enum neo_code tokens_look(struct authority *a, const struct authority_request *r,
                          char service[static SIGNER_NAME_MAX], struct neo_error *err)
{
    struct token token;

    NEO_TRY(find(a, r, &token, err));
    /* One text for all three: a guesser learns nothing. */
    if (!token.is_good)
        return neo_fail(err, NEO_UNAUTHENTICATED,
                        "the join token is unknown, used or too old; make a new one: neo token "
                        "create <service>");
    if (token.is_void)
        return neo_fail(err, NEO_UNAUTHENTICATED,
                        "the join token is void: '%s' was revoked after it was made; make a new "
                        "one: neo token create %s",
                        token.service, token.service);
    if (r->service.len > 0 && !neo_bytes_is(r->service, token.service))
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "the join token is for '%s', but this is '%.*s'; make one with: neo token "
                        "create %.*s",
                        token.service, NEO_FMT(r->service), NEO_FMT(r->service));
    memcpy(service, token.service, sizeof(token.service));
    return NEO_OK;
}

enum neo_code tokens_spend(struct authority *a, const struct authority_request *r,
                           struct neo_error *err)
{
    uint8_t hash[NEO_SHA256_LEN];
    int64_t changed = 0;

    neo_sha256(r->token, hash);
    NEO_TRY(neo_store_run(
        a->store,
        "UPDATE tokens SET request_id = ?2 WHERE hash = ?1 AND voided = 0 AND "
        "(request_id IS NULL OR request_id = ?2)",
        VALUES(neo_value_bytes(neo_bytes(hash, sizeof(hash))), neo_value_text(r->request_id)),
        &changed, err));
    if (changed != 1) /* another process on the same database was faster */
        return neo_fail(err, NEO_UNAUTHENTICATED, "the join token was used just now");
    return NEO_OK;
}

enum neo_code tokens_void(struct authority *a, struct neo_bytes service, int64_t *ret_n,
                          struct neo_error *err)
{
    return neo_store_run(a->store,
                         "UPDATE tokens SET voided = 1 WHERE service = ?1 AND voided = 0 AND "
                         "request_id IS NULL AND expires >= ?2",
                         VALUES(neo_value_text(service), neo_value_i64(wall_seconds())), ret_n,
                         err);
}
