/* SPDX-License-Identifier: Apache-2.0 */
/* What the CA's front decides and remembers, with a real signer at the other end of its pipes. */
#include "../scratch.h"

#include "ca/authority.h"
#include "common/gate.h"

#include <neo/cert.h>
#include <neo/encoding.h>
#include <neo/loop.h>
#include <neo/memory.h>
#include <neo/mesh.h>

#include <fcntl.h>
#include <pthread.h>

static struct signer signer;
static struct authority authority;
static struct neo_arena arena;
static struct neo_error err;
static pthread_t thread;
static int signer_in, signer_out;
static char signer_folder[128], database[128], backup[128];
static unsigned requests;

static void *serve(void *self)
{
    (void)self;
    (void)signer_serve(signer_in, signer_out, signer_folder, "neo.test", false);
    (void)close(signer_in);
    (void)close(signer_out);
    return NULL;
}

static void start(void)
{
    int ask[2], answer[2];

    assert_int_equal(pipe2(ask, O_CLOEXEC), 0);
    assert_int_equal(pipe2(answer, O_CLOEXEC), 0);
    signer_in = ask[0];
    signer_out = answer[1];
    assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
    if (signer_attach(&signer, ask[1], answer[0], &err) != NEO_OK)
        fail_msg("%s", err.message);
    authority = (struct authority){.signer = &signer,
                                   .trust_domain = "neo.test",
                                   .leaf_life = 3600,
                                   .registry_file = "/nonexistent",
                                   .address = "127.0.0.1:1"};
    if (authority_open(&authority, database, &err) != NEO_OK ||
        authority_recover(&authority, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static void stop(void)
{
    authority_close(&authority);
    signer_stop(&signer);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static int begin(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    (void)snprintf(signer_folder, sizeof(signer_folder), "%s", scratch("signer"));
    (void)snprintf(database, sizeof(database), "%s", scratch("ca.db"));
    (void)snprintf(backup, sizeof(backup), "%s", scratch("copy.db"));
    neo_arena_init(&arena, 64 << 20);
    start();
    return 0;
}

static int end(void **state)
{
    stop();
    neo_arena_fini(&arena);
    return scratch_teardown(state);
}

/* --- asking ----------------------------------------------------------------------------------- */

struct held {
    enum neo_code code;
    struct neo_bytes serial;
    int64_t not_before;
    char hex[64];
};

static enum neo_code decide(const struct authority_request *r,
                            struct neo_ca_v1_SignResponse *response)
{
    NEO_CLEANUP(authority_case_fini) struct authority_case c = {.service = ""};
    enum neo_code code = authority_consider(&authority, r, &c, &err);

    return code != NEO_OK ? code : authority_sign(&authority, r, &c, &arena, response, &err);
}

static struct held ask(struct neo_bytes token, const char *service, struct neo_bytes parent)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer csr = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    struct neo_ca_v1_SignResponse response = {0};
    struct held held = {.code = NEO_OK};
    struct neo_cert *leaf;
    char id[32];

    assert_int_equal(neo_key_generate(NEO_KEY_P256, &key, NULL), NEO_OK);
    assert_int_equal(neo_csr_create(key, service, &csr, NULL), NEO_OK);
    (void)snprintf(id, sizeof(id), "request-%u", requests++);
    const struct authority_request r = {.csr = neo_buffer_bytes(&csr),
                                        .request_id = neo_text(id),
                                        .token = token,
                                        .service = neo_text(service),
                                        .parent = parent};
    held.code = decide(&r, &response);
    if (held.code != NEO_OK)
        return held;
    assert_int_equal(neo_cert_from_der(response.chain.at[0], "leaf", &leaf, NULL), NEO_OK);
    held.serial = neo_arena_copy(&arena, neo_cert_facts(leaf)->serial);
    held.not_before = neo_cert_facts(leaf)->not_before;
    assert_true(neo_hex_encode(&hex, held.serial));
    (void)snprintf(held.hex, sizeof(held.hex), "%.*s", NEO_FMT(neo_buffer_bytes(&hex)));
    neo_cert_unref(leaf);
    return held;
}

static struct held join(const char *service)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    int64_t expires;

    assert_int_equal(authority_token(&authority, service, 0, &token, &expires, &err), NEO_OK);
    struct held held = ask(neo_buffer_bytes(&token), service, (struct neo_bytes){0});
    if (held.code != NEO_OK)
        fail_msg("%s", err.message);
    return held;
}

static struct held renew(const char *service, const struct held *from)
{
    return ask((struct neo_bytes){0}, service, from->serial);
}

static unsigned do_revoke(const char *serial)
{
    const struct neo_ca_v1_RevokeRequest r = {.what_case = 1, .serial = neo_text(serial)};
    struct neo_ca_v1_RevokeResponse response = {0};

    if (authority_revoke(&authority, &r, &response, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return response.certificates;
}

static enum neo_code revoke_service(const char *service, const char *reason)
{
    const struct neo_ca_v1_RevokeRequest r = {
        .what_case = 2, .service = neo_text(service), .reason = neo_text(reason)};
    struct neo_ca_v1_RevokeResponse response = {0};

    return authority_revoke(&authority, &r, &response, &err);
}

/* The trust that is told now; its size in all that goes with it. */
static size_t told_now(struct neo_ca_v1_Trust *body)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_ca_v1_SignedTrust told = {0};
    uint64_t epoch;

    *body = (struct neo_ca_v1_Trust){0};
    if (authority_trust(&authority, &arena, &told, &epoch, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(neo_ca_v1_Trust_decode(told.trust, body, &arena, NULL), NEO_OK);
    assert_int_equal(neo_ca_v1_SignedTrust_encode(&told, &wire, NULL), NEO_OK);
    return wire.len;
}

/* The serials in it. */
static bool is_told(const struct held *held)
{
    struct neo_ca_v1_Trust body;

    (void)told_now(&body);
    for (size_t i = 0; i < body.revocations.len; i++)
        if (neo_bytes_equal(body.revocations.at[i]->serial, held->serial))
            return true;
    return false;
}

static int64_t count(const char *sql)
{
    struct neo_row *row;

    assert_int_equal(neo_store_query(authority.store, sql, NULL, 0, &row, &err), NEO_OK);
    assert_true(neo_row_next(row));
    int64_t n = neo_row_i64(row, 0);
    assert_int_equal(neo_row_done(row, &err), NEO_OK);
    return n;
}

static void run(const char *sql)
{
    if (neo_store_run(authority.store, sql, NULL, 0, NULL, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

/* --- promises: what changes while evidence is judged ------------------------------------------ */

/* A request that was considered, and whose evidence is with the judges now. */
struct pending {
    struct neo_buffer csr;
    struct authority_request request;
    struct authority_case is;
};

static void consider(struct pending *p, struct neo_bytes token, struct neo_bytes parent,
                     const char *id)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;

    *p = (struct pending){.is = {.service = ""}};
    assert_int_equal(neo_key_generate(NEO_KEY_P256, &key, NULL), NEO_OK);
    assert_int_equal(neo_csr_create(key, "a-service", &p->csr, NULL), NEO_OK);
    p->request = (struct authority_request){.csr = neo_buffer_bytes(&p->csr),
                                            .request_id = neo_text(id),
                                            .token = token,
                                            .service = NEO_LIT("a-service"),
                                            .parent = parent};
    if (authority_consider(&authority, &p->request, &p->is, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_string_equal(p->is.service, "a-service");
}

static enum neo_code conclude(struct pending *p)
{
    struct neo_ca_v1_SignResponse response = {0};
    enum neo_code code = authority_sign(&authority, &p->request, &p->is, &arena, &response, &err);

    authority_case_fini(&p->is);
    neo_buffer_fini(&p->csr);
    return code;
}

TEST(what_is_revoked_while_its_evidence_is_judged_is_not_renewed)
{
    struct held first = join("a-service"), other = join("a-service");
    struct pending revoked, good;

    consider(&revoked, (struct neo_bytes){0}, first.serial, "one");
    consider(&good, (struct neo_bytes){0}, other.serial, "two");
    assert_int_equal(do_revoke(first.hex), 1); /* nobody holds the lock meanwhile */
    assert_int_equal(conclude(&revoked), NEO_PERMISSION_DENIED);
    assert_non_null(strstr(err.message, "is revoked"));
    assert_int_equal(conclude(&good), NEO_OK);
}

TEST(a_token_that_was_spent_while_evidence_is_judged_gives_no_second_certificate)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    struct pending first, second;
    int64_t expires;

    assert_int_equal(authority_token(&authority, "a-service", 0, &token, &expires, &err), NEO_OK);
    consider(&first, neo_buffer_bytes(&token), (struct neo_bytes){0}, "one");
    consider(&second, neo_buffer_bytes(&token), (struct neo_bytes){0}, "two");
    assert_int_equal(conclude(&second), NEO_OK);
    assert_int_equal(conclude(&first), NEO_UNAUTHENTICATED);
}

TEST(a_token_that_was_only_considered_is_not_spent)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    struct pending p;
    int64_t expires;

    assert_int_equal(authority_token(&authority, "a-service", 0, &token, &expires, &err), NEO_OK);
    consider(&p, neo_buffer_bytes(&token), (struct neo_bytes){0}, "one"); /* evidence refused */
    authority_case_fini(&p.is);
    neo_buffer_fini(&p.csr);
    assert_int_equal(ask(neo_buffer_bytes(&token), "a-service", (struct neo_bytes){0}).code,
                     NEO_OK);
}

/* --- promises: what ends with a measurement ----------------------------------------------------
 */

static int64_t now_seconds(void)
{
    return neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
}

static int64_t end_of_newest(void)
{
    return count("SELECT not_after FROM certificates WHERE der IS NOT NULL ORDER BY given DESC, "
                 "not_after LIMIT 1");
}

TEST(a_certificate_for_what_ends_by_its_rollout_ends_with_it_and_so_does_its_renewal)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    int64_t until = now_seconds() + 1800, expires;
    struct pending p;

    assert_int_equal(authority_token(&authority, "a-service", 0, &token, &expires, &err), NEO_OK);
    consider(&p, neo_buffer_bytes(&token), (struct neo_bytes){0}, "one");
    p.is.until = until;
    assert_int_equal(conclude(&p), NEO_OK);
    assert_int_equal(end_of_newest(), until);

    struct held first = join("a-service");
    consider(&p, (struct neo_bytes){0}, first.serial, "two");
    p.is.until = until;
    assert_int_equal(conclude(&p), NEO_OK);
    assert_int_equal(count("SELECT count(*) FROM certificates WHERE parent IS NOT NULL AND "
                           "not_after <> (SELECT min(not_after) FROM certificates)"),
                     0);
    /* A date behind its life changes nothing. */
    consider(&p, (struct neo_bytes){0}, first.serial, "three");
    p.is.until = now_seconds() + 2 * 3600;
    assert_int_equal(conclude(&p), NEO_OK);
    assert_true(count("SELECT max(not_after) FROM certificates WHERE parent IS NOT NULL") <=
                now_seconds() + 3600);
}

TEST(what_ends_before_a_useful_life_gets_none_and_keeps_its_token)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    static const int64_t left[] = {AUTHORITY_LEAST_LIFE - 1, 1, 0, -5};
    struct pending p;
    int64_t expires;

    assert_int_equal(authority_token(&authority, "a-service", 0, &token, &expires, &err), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(left); i++) {
        consider(&p, neo_buffer_bytes(&token), (struct neo_bytes){0}, "one");
        p.is.until = now_seconds() + left[i];
        assert_int_equal(conclude(&p), NEO_FAILED_PRECONDITION);
        assert_non_null(strstr(err.message, "by its rollout"));
        assert_non_null(strstr(err.message, "neo attest rollout list"));
    }
    assert_int_equal(count("SELECT count(*) FROM certificates"), 0);
    consider(&p, neo_buffer_bytes(&token), (struct neo_bytes){0}, "one");
    p.is.until = now_seconds() + AUTHORITY_LEAST_LIFE + 5;
    assert_int_equal(conclude(&p), NEO_OK);
}

/* Its answer was lost, and meanwhile the rollout got a date. */
TEST(a_request_that_was_decided_before_there_was_a_date_is_decided_anew)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    int64_t until = now_seconds() + 1800, expires;
    struct neo_ca_v1_SignResponse response = {0};
    struct pending p;

    assert_int_equal(authority_token(&authority, "a-service", 0, &token, &expires, &err), NEO_OK);
    consider(&p, neo_buffer_bytes(&token), (struct neo_bytes){0}, "one");
    assert_int_equal(authority_sign(&authority, &p.request, &p.is, &arena, &response, &err),
                     NEO_OK);
    p.is.until = until;
    if (conclude(&p) != NEO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(count("SELECT not_after FROM certificates WHERE request_id = 'one'"), until);
    assert_int_equal(count("SELECT count(*) FROM certificates WHERE der IS NOT NULL"), 2);
}

/* Both have its key, so whoever revokes the first means the second. */
TEST(what_was_decided_anew_is_revoked_with_what_it_replaces)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    struct held first = join("a-service");
    static struct neo_ca_v1_SignResponse responses[2];
    struct neo_cert *before;
    struct pending p;

    consider(&p, (struct neo_bytes){0}, first.serial, "one");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(authority_sign(&authority, &p.request, &p.is, &arena, &responses[i], &err),
                         NEO_OK);
        p.is.until = now_seconds() + 1800;
    }
    authority_case_fini(&p.is);
    neo_buffer_fini(&p.csr);
    assert_int_equal(neo_cert_from_der(responses[0].chain.at[0], "before", &before, NULL), NEO_OK);
    assert_true(neo_hex_encode(&hex, neo_cert_facts(before)->serial));
    neo_cert_unref(before);
    assert_true(neo_buffer_append_byte(&hex, '\0'));
    assert_int_equal(do_revoke((const char *)hex.at), 2);
    assert_int_equal(count("SELECT count(*) FROM certificates WHERE revoked = 0"), 1);
    assert_int_equal(renew("a-service", &first).code, NEO_OK); /* whose heirs they were */
    assert_int_equal(do_revoke(first.hex), 2);
}

/* Of short lives, too: they are counted by when they were given. */
TEST(renewals_that_end_early_are_counted_in_the_pace)
{
    struct held first = join("a-service");
    int64_t until = now_seconds() + AUTHORITY_LEAST_LIFE + 60;
    enum neo_code code = NEO_OK;
    unsigned good = 0;
    char id[32];

    while (code == NEO_OK && good <= AUTHORITY_LINE_RENEWALS) {
        NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer csr = {0};
        NEO_CLEANUP(authority_case_fini) struct authority_case c = {.service = ""};
        struct neo_ca_v1_SignResponse response = {0};
        assert_int_equal(neo_key_generate(NEO_KEY_P256, &key, NULL), NEO_OK);
        assert_int_equal(neo_csr_create(key, "a-service", &csr, NULL), NEO_OK);
        (void)snprintf(id, sizeof(id), "early-%u", good);
        const struct authority_request r = {.csr = neo_buffer_bytes(&csr),
                                            .request_id = neo_text(id),
                                            .service = NEO_LIT("a-service"),
                                            .parent = first.serial};
        code = authority_consider(&authority, &r, &c, &err);
        c.until = until;
        if (code == NEO_OK)
            code = authority_sign(&authority, &r, &c, &arena, &response, &err);
        good += code == NEO_OK;
    }
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(good, AUTHORITY_LINE_RENEWALS);
}

/* --- promises: revoking ----------------------------------------------------------------------- */

TEST(revoking_a_serial_revokes_what_was_renewed_from_it_and_nothing_else)
{
    struct held first = join("a-service"), stranger = join("a-service");
    struct held owner = renew("a-service", &first), thief = renew("a-service", &first);
    struct held owner_next = renew("a-service", &owner), thief_next = renew("a-service", &thief);

    assert_int_equal(owner_next.code, NEO_OK);
    assert_int_equal(do_revoke(thief.hex), 2);
    assert_true(is_told(&thief) && is_told(&thief_next));
    assert_false(is_told(&first) || is_told(&owner) || is_told(&owner_next));
    assert_int_equal(renew("a-service", &thief_next).code, NEO_PERMISSION_DENIED);
    assert_int_equal(renew("a-service", &owner_next).code, NEO_OK);

    assert_int_equal(do_revoke(first.hex),
                     4); /* itself, the owner's two, and the one of just now */
    assert_true(is_told(&first) && is_told(&owner) && is_told(&owner_next));
    assert_false(is_told(&stranger));
    assert_int_equal(renew("a-service", &owner_next).code, NEO_PERMISSION_DENIED);
    assert_int_equal(renew("a-service", &stranger).code, NEO_OK);
}

/* By its service, as peers and the signer read it. */
static bool is_covered(const struct held *held, const char *service)
{
    struct neo_ca_v1_Trust body;

    (void)told_now(&body);
    for (size_t i = 0; i < body.revocations.len; i++)
        if (neo_bytes_is(body.revocations.at[i]->service, service) &&
            held->not_before < body.revocations.at[i]->issued_before)
            return true;
    return false;
}

TEST(who_joins_right_after_a_revocation_of_its_service_is_not_revoked_by_it)
{
    struct held first = join("a-service"), thief = renew("a-service", &first);

    assert_int_equal(revoke_service("a-service", ""), NEO_OK);
    assert_true(is_covered(&first, "a-service") && is_covered(&thief, "a-service"));
    struct held again = join("a-service");
    assert_false(is_covered(&again, "a-service"));
    assert_true(again.not_before <= neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC);
    assert_int_equal(renew("a-service", &again).code, NEO_OK); /* the signer looks, too */
    assert_int_equal(renew("a-service", &thief).code, NEO_PERMISSION_DENIED);
    assert_int_equal(renew("a-service", &first).code, NEO_PERMISSION_DENIED);
}

/* What began in the second of the last revocation is no later than the next one. */
TEST(a_second_revocation_covers_all_that_joined_after_the_first)
{
    (void)join("a-service");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(revoke_service("a-service", ""), NEO_OK);
        struct held joined = join("a-service"), renewed = renew("a-service", &joined);
        assert_int_equal(renewed.code, NEO_OK);
        assert_false(is_covered(&joined, "a-service") || is_covered(&renewed, "a-service"));
        assert_int_equal(revoke_service("a-service", ""), NEO_OK);
        assert_true(is_covered(&joined, "a-service") && is_covered(&renewed, "a-service"));
        assert_int_equal(renew("a-service", &renewed).code, NEO_PERMISSION_DENIED);
        (void)join("a-service");
    }
}

/* What came about before there was a pace, or by a database that others changed. */
static void add_heirs(const struct held *first, const char *service, unsigned n)
{
    char sql[1000];

    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO certificates (serial, service, request_id, spki_hash, not_before, "
                   "not_after, credential, der, parent, line) WITH RECURSIVE n(i) AS (SELECT 1 "
                   "UNION ALL SELECT i + 1 FROM n WHERE i < %u) SELECT randomblob(16), '%s', "
                   "hex(randomblob(16)), randomblob(32), unixepoch() - 30, unixepoch() + 3000, "
                   "'renewal', (SELECT der FROM certificates WHERE serial = x'%s'), x'%s', x'%s' "
                   "FROM n",
                   n, service, first->hex, first->hex, first->hex);
    run(sql);
}

TEST(what_has_more_heirs_than_can_be_told_is_not_revoked_by_half)
{
    struct held first = join("a-service"), other = join("b-service");
    const struct neo_ca_v1_RevokeRequest r = {.what_case = 1, .serial = neo_text(first.hex)};
    struct neo_ca_v1_RevokeResponse response = {0};
    struct neo_ca_v1_Trust body;

    add_heirs(&first, "a-service", AUTHORITY_HEIRS_MAX);
    assert_int_equal(authority_revoke(&authority, &r, &response, &err), NEO_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(err.message, "neo ca revoke a-service"));
    assert_int_equal(count("SELECT count(*) FROM certificates WHERE revoked <> 0"), 0);
    assert_int_equal(count("SELECT count(*) FROM revocations"), 0);
    assert_int_equal(renew("b-service", &other).code, NEO_OK);

    assert_int_equal(revoke_service("a-service", ""), NEO_OK); /* as it said */
    (void)told_now(&body);
    assert_int_equal(body.revocations.len, 1);
    assert_int_equal(renew("a-service", &first).code, NEO_PERMISSION_DENIED);
    assert_int_equal(renew("b-service", &other).code, NEO_OK);
}

TEST(a_trust_larger_than_can_be_told_is_refused_before_anything_is_revoked)
{
    static char reason[AUTHORITY_REASON_MAX + 1];
    struct neo_ca_v1_RevokeRequest r = {.what_case = 1};
    struct neo_ca_v1_RevokeResponse response = {0};
    struct held first, other = join("other-service");
    struct neo_ca_v1_Trust body;
    char service[32];
    int64_t before = 0;
    unsigned i = 0;
    enum neo_code code;

    memset(reason, 'r', AUTHORITY_REASON_MAX);
    r.reason = neo_text(reason);
    run("INSERT INTO revocations (service, issued_before, at, reason) WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8500) SELECT 'filler', i, unixepoch(), "
        "hex(zeroblob(100)) FROM n");
    do {
        (void)snprintf(service, sizeof(service), "service-%u", i);
        first = join(service);
        add_heirs(&first, service, AUTHORITY_HEIRS_MAX - 1);
        r.serial = neo_text(first.hex);
        before = count("SELECT count(*) FROM revocations");
        code = authority_revoke(&authority, &r, &response, &err);
    } while (code == NEO_OK && ++i < 20);
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(err.message, service));
    assert_true(i > 0);
    assert_int_equal(count("SELECT count(*) FROM revocations"), before);
    assert_int_equal(renew(service, &first).code, NEO_OK);
    assert_int_equal(revoke_service(service, reason), NEO_OK); /* there is room for that */
    assert_int_equal(renew(service, &first).code, NEO_PERMISSION_DENIED);

    /* With the answer's certificates in one message. */
    assert_in_range(told_now(&body), 1, NEO_CONTROL_MESSAGE_MAX - (64 << 10));
    assert_int_equal(body.revocations.len, before + 1);
    stop();
    start();
    assert_int_equal(renew("other-service", &other).code, NEO_OK);
}

static struct neo_ca_v1_RevokeResponse revoke_all_of(const char *service)
{
    const struct neo_ca_v1_RevokeRequest r = {.what_case = 2, .service = neo_text(service)};
    struct neo_ca_v1_RevokeResponse response = {0};

    if (authority_revoke(&authority, &r, &response, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return response;
}

static struct neo_buffer token_for(const char *service)
{
    struct neo_buffer token = {0};
    int64_t expires;

    assert_int_equal(authority_token(&authority, service, 3600, &token, &expires, &err), NEO_OK);
    return token;
}

TEST(tokens_that_were_not_used_are_void_when_their_service_is_revoked)
{
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer one = token_for("a-service"), two = token_for("a-service"),
                      other = token_for("b-service");
    const struct neo_ca_v1_RevokeRequest again = {.what_case = 2, .service = NEO_LIT("a-service")};
    struct neo_ca_v1_RevokeResponse response = {0};
    struct pending judged;

    (void)join("a-service");
    consider(&judged, neo_buffer_bytes(&two), (struct neo_bytes){0}, "judged");
    response = revoke_all_of("a-service");
    assert_int_equal(response.certificates, 1);
    assert_int_equal(response.tokens, 2);
    assert_int_equal(ask(neo_buffer_bytes(&one), "a-service", (struct neo_bytes){0}).code,
                     NEO_UNAUTHENTICATED);
    assert_non_null(strstr(err.message, "is void: 'a-service' was revoked"));
    assert_non_null(strstr(err.message, "neo token create a-service"));
    assert_int_equal(conclude(&judged), NEO_UNAUTHENTICATED); /* evidence was with the judges */
    assert_int_equal(ask(neo_buffer_bytes(&other), "b-service", (struct neo_bytes){0}).code,
                     NEO_OK);
    (void)join("a-service"); /* a token of after it is good */

    /* With nothing but a token there is something to revoke; with nothing at all there is not. */
    (void)revoke_all_of("a-service");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer last = token_for("a-service");
    response = revoke_all_of("a-service");
    assert_int_equal(response.certificates, 0);
    assert_int_equal(response.tokens, 1);
    assert_int_equal(ask(neo_buffer_bytes(&last), "a-service", (struct neo_bytes){0}).code,
                     NEO_UNAUTHENTICATED);
    assert_int_equal(authority_revoke(&authority, &again, &response, &err), NEO_NOT_FOUND);
    assert_non_null(strstr(err.message, "no join token"));
}

TEST(a_revocation_that_cannot_be_told_voids_no_token)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_for("a-service");

    assert_true(token.len > 0);
    (void)join("a-service");
    run("INSERT INTO revocations (service, issued_before, at, reason) WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000) SELECT 'filler', i, unixepoch(), "
        "hex(zeroblob(100)) FROM n");
    assert_int_equal(revoke_service("a-service", ""), NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(count("SELECT count(*) FROM certificates WHERE revoked <> 0"), 0);
    assert_int_equal(count("SELECT count(*) FROM tokens WHERE voided <> 0"), 0);
}

TEST(a_token_that_comes_back_with_an_older_copy_is_void)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_for("a-service");
    struct neo_ca_v1_Trust body;

    (void)join("a-service");
    assert_int_equal(neo_store_backup(authority.store, backup, &err), NEO_OK);
    assert_int_equal(revoke_service("a-service", ""), NEO_OK);
    (void)told_now(&body);
    stop();
    assert_int_equal(rename(backup, database), 0);
    start();
    assert_int_equal(ask(neo_buffer_bytes(&token), "a-service", (struct neo_bytes){0}).code,
                     NEO_UNAUTHENTICATED);
    assert_non_null(strstr(err.message, "is void"));
}

/* Of what is told, none by a serial: how many revoke what "a-service" was given until `last`? */
static size_t covering(const struct neo_ca_v1_Trust *body, int64_t last)
{
    size_t n = 0;

    for (size_t i = 0; i < body->revocations.len; i++) {
        const struct neo_ca_v1_Revocation *r = body->revocations.at[i];
        assert_int_equal(r->serial.len, 0);
        n += neo_bytes_is(r->service, "a-service") && r->issued_before > last;
    }
    return n;
}

/* From before there was a limit, say. */
TEST(a_file_with_more_than_can_be_told_names_what_to_revoke_and_is_mended_by_it)
{
    enum { JOINS = 20, FILLER = 150 };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = token_for("b-service");
    struct neo_ca_v1_Trust body;
    int64_t last = 0;
    char sql[400];
    size_t size;

    for (unsigned i = 0; i < JOINS; i++) {
        struct held held = join("a-service");
        last = held.not_before;
        const struct neo_ca_v1_RevokeRequest r = {.what_case = 1,
                                                  .serial = neo_text(held.hex),
                                                  .reason = NEO_LIT("somebody has copied its key, "
                                                                    "and each of the others, too")};
        struct neo_ca_v1_RevokeResponse response = {0};
        assert_int_equal(authority_revoke(&authority, &r, &response, &err), NEO_OK);
    }
    assert_int_equal(authority_can_tell(&authority, &err), NEO_OK);
    /* Others' revocations up to the limit, and ours are what is too much. */
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO revocations (service, issued_before, at, reason) WITH RECURSIVE "
                   "n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT "
                   "'filler', 1000000000 + i, unixepoch(), printf('%%-%uc', 'x') FROM n",
                   FILLER - 50);
    run(sql);
    assert_int_equal(authority_trust_size(&authority, &size, &err), NEO_OK);
    (void)snprintf(sql, sizeof(sql),
                   "DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE service "
                   "= 'filler' LIMIT %zu)",
                   (size - NEO_TRUST_MAX) / (size / 30000) - 2);
    run(sql);
    run("UPDATE epoch SET number = number + 1");
    assert_int_equal(authority_trust_size(&authority, &size, &err), NEO_OK);
    assert_in_range(size, NEO_TRUST_MAX + 1, NEO_TRUST_MAX + 1024);

    stop();
    start();
    (void)told_now(&body); /* the CA itself knows all of it */
    assert_int_equal(authority_can_tell(&authority, &err), NEO_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(err.message, "neo ca revoke a-service, of which 20 are told singly"));
    assert_int_equal(ask(neo_buffer_bytes(&token), "b-service", (struct neo_bytes){0}).code,
                     NEO_RESOURCE_EXHAUSTED); /* its answer could not be read */
    assert_non_null(strstr(err.message, "neo ca revoke a-service"));

    /* Nothing of it is alive: a token is something to revoke. */
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spare = token_for("a-service");
    assert_true(spare.len > 0);
    assert_int_equal(revoke_service("a-service", ""), NEO_OK);
    (void)told_now(&body);
    assert_int_equal(authority_can_tell(&authority, &err), NEO_OK);
    assert_int_equal(covering(&body, last), 1);
    (void)join("b-service");
}

TEST(what_this_ca_has_no_record_of_is_not_renewed)
{
    struct held first = join("a-service");
    uint8_t other[16] = {0x41};

    assert_int_equal(ask((struct neo_bytes){0}, "a-service", neo_bytes(other, sizeof(other))).code,
                     NEO_FAILED_PRECONDITION);
    assert_int_equal(renew("b-service", &first).code, NEO_FAILED_PRECONDITION);
}

TEST(more_live_revocations_than_can_be_told_are_an_error_and_not_left_out)
{
    struct neo_ca_v1_SignedTrust told = {0};
    uint64_t epoch;

    assert_int_equal(
        neo_store_run(authority.store,
                      "INSERT INTO revocations (service, issued_before, at, reason) "
                      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                      "100001) SELECT 'a-service', i, unixepoch(), 'test' FROM n",
                      NULL, 0, NULL, &err),
        NEO_OK);
    assert_int_equal(authority_trust(&authority, &arena, &told, &epoch, &err),
                     NEO_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(err.message, "live revocations"));
}

TEST(a_database_from_an_older_copy_forgets_no_revocation)
{
    struct held first = join("a-service");

    assert_int_equal(neo_store_backup(authority.store, backup, &err), NEO_OK);
    assert_int_equal(do_revoke(first.hex), 1);
    assert_true(is_told(&first));
    stop();
    assert_int_equal(rename(backup, database), 0);
    start();
    assert_true(is_told(&first)); /* the signer remembered */
    assert_int_equal(renew("a-service", &first).code, NEO_PERMISSION_DENIED);
}

/* --- promises: limits ------------------------------------------------------------------------- */

TEST(a_service_that_renews_without_end_leaves_room_for_the_others)
{
    struct held flood[40], other = join("other-service");
    unsigned good = 0;
    enum neo_code code;

    for (size_t i = 0; i < NEO_COUNT(flood); i++)
        flood[i] = join("flood-service"); /* instances, each within its own pace */
    neo_nsec begun = neo_mono_nsec();
    while ((code = renew("flood-service", &flood[good % NEO_COUNT(flood)]).code) == NEO_OK &&
           good < 1000)
        good++;
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(err.message, "times a second"));
    uint64_t seconds = (neo_mono_nsec() - begun) / NEO_NSEC_PER_SEC + 1; /* however slow we are */
    assert_in_range(good, AUTHORITY_RENEWALS_BURST,
                    AUTHORITY_RENEWALS_BURST + AUTHORITY_RENEWALS_PER_SECOND * seconds);
    assert_int_equal(renew("other-service", &other).code, NEO_OK);
}

/* A thief with the owner's key, and nobody notices for long. */
TEST(a_stolen_key_that_renews_without_end_has_heirs_that_can_be_told)
{
    enum { PACES = 4 };
    struct held first = join("a-service"), stranger = join("a-service"), last = first, next;
    char sql[100];
    unsigned good = 0;

    (void)snprintf(sql, sizeof(sql),
                   "UPDATE certificates SET not_after = not_after - %d, given = given - %d",
                   3600 / AUTHORITY_LINE_PACES, 3600 / AUTHORITY_LINE_PACES);
    for (unsigned pace = 1; pace <= PACES; pace++) {
        for (size_t i = 0; i < AUTHORITY_RENEWAL_LIMITS; i++) /* it does not hurry */
            neo_ratelimit_init(&authority.renewals[i], 1000, 1000);
        while ((next = renew("a-service", &last)).code == NEO_OK && good < 1000) {
            last = next;
            good++;
        }
        assert_int_equal(next.code, NEO_RESOURCE_EXHAUSTED);
        assert_non_null(strstr(err.message, "neo ca revoke a-service"));
        assert_int_equal(good, pace * AUTHORITY_LINE_RENEWALS);
        assert_int_equal(renew("a-service", &stranger).code, NEO_OK);
        run(sql); /* a 24th of its life later */
    }
    stop(); /* nor is the pace forgotten */
    start();
    assert_int_equal(renew("a-service", &last).code, NEO_OK);
    assert_int_equal(do_revoke(first.hex), 1 + PACES * AUTHORITY_LINE_RENEWALS + 1);
    assert_true(is_told(&last));
    assert_int_equal(renew("a-service", &last).code, NEO_PERMISSION_DENIED);
    assert_int_equal(renew("a-service", &stranger).code, NEO_OK);
    assert_true((AUTHORITY_LINE_PACES + 1) * AUTHORITY_LINE_RENEWALS < AUTHORITY_HEIRS_MAX);
}

/* Judging is behind it, so also who asks again for what it has got already pays. */
TEST(a_token_that_is_shown_without_end_leaves_room_for_the_others)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    neo_nsec begun = neo_mono_nsec();
    struct pending p;
    unsigned good = 1;
    int64_t expires;
    enum neo_code code;

    assert_int_equal(authority_token(&authority, "a-service", 0, &token, &expires, &err), NEO_OK);
    consider(&p, neo_buffer_bytes(&token), (struct neo_bytes){0}, "one");
    do {
        NEO_CLEANUP(authority_case_fini) struct authority_case again = {.service = ""};
        code = authority_consider(&authority, &p.request, &again, &err);
    } while (code == NEO_OK && ++good < 1000);
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    uint64_t seconds = (neo_mono_nsec() - begun) / NEO_NSEC_PER_SEC + 1;
    assert_in_range(good, AUTHORITY_TRIES_BURST,
                    AUTHORITY_TRIES_BURST + AUTHORITY_TRIES_PER_SECOND * seconds);
    assert_int_equal(conclude(&p), NEO_OK); /* what was considered before is not lost */
    (void)join("a-service");
}

TEST(a_token_shown_by_another_service_is_not_spent)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    int64_t expires;

    assert_int_equal(authority_token(&authority, "a-service", 0, &token, &expires, &err), NEO_OK);
    assert_int_equal(ask(neo_buffer_bytes(&token), "b-service", (struct neo_bytes){0}).code,
                     NEO_PERMISSION_DENIED);
    assert_int_equal(ask(neo_buffer_bytes(&token), "a-service", (struct neo_bytes){0}).code,
                     NEO_OK);
    assert_int_equal(ask(neo_buffer_bytes(&token), "a-service", (struct neo_bytes){0}).code,
                     NEO_UNAUTHENTICATED);
}

TEST(nobody_gets_a_token_for_the_ca_itself)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer token = {0};
    int64_t expires;

    assert_int_equal(authority_token(&authority, "neo-ca", 0, &token, &expires, &err),
                     NEO_INVALID_ARGUMENT);
}

/* --- promises: the end ------------------------------------------------------------------------ */

static struct gate gate;
static _Atomic bool closed;

static void *close_gate(void *self)
{
    (void)self;
    svc_gate_close(&gate);
    closed = true;
    return NULL;
}

TEST(the_end_waits_for_who_is_inside_and_lets_nobody_in)
{
    pthread_t closing;

    svc_gate_init(&gate);
    assert_true(svc_gate_enter(&gate));
    assert_true(svc_gate_enter(&gate));
    assert_int_equal(pthread_create(&closing, NULL, close_gate, NULL), 0);
    while (svc_gate_enter(&gate)) /* until it is closing */
        svc_gate_leave(&gate);
    svc_gate_leave(&gate);
    assert_false(closed);
    svc_gate_leave(&gate);
    assert_int_equal(pthread_join(closing, NULL), 0);
    assert_true(closed);
    assert_false(svc_gate_enter(&gate));
    svc_gate_fini(&gate);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(what_is_revoked_while_its_evidence_is_judged_is_not_renewed),
        PROMISE(a_token_that_was_spent_while_evidence_is_judged_gives_no_second_certificate),
        PROMISE(a_token_that_was_only_considered_is_not_spent),
        PROMISE(a_certificate_for_what_ends_by_its_rollout_ends_with_it_and_so_does_its_renewal),
        PROMISE(what_ends_before_a_useful_life_gets_none_and_keeps_its_token),
        PROMISE(a_request_that_was_decided_before_there_was_a_date_is_decided_anew),
        PROMISE(what_was_decided_anew_is_revoked_with_what_it_replaces),
        PROMISE(renewals_that_end_early_are_counted_in_the_pace),
        PROMISE(tokens_that_were_not_used_are_void_when_their_service_is_revoked),
        PROMISE(a_revocation_that_cannot_be_told_voids_no_token),
        PROMISE(a_token_that_comes_back_with_an_older_copy_is_void),
        PROMISE(a_token_that_is_shown_without_end_leaves_room_for_the_others),
        PROMISE(revoking_a_serial_revokes_what_was_renewed_from_it_and_nothing_else),
        PROMISE(who_joins_right_after_a_revocation_of_its_service_is_not_revoked_by_it),
        PROMISE(a_second_revocation_covers_all_that_joined_after_the_first),
        PROMISE(what_has_more_heirs_than_can_be_told_is_not_revoked_by_half),
        PROMISE(a_trust_larger_than_can_be_told_is_refused_before_anything_is_revoked),
        PROMISE(a_stolen_key_that_renews_without_end_has_heirs_that_can_be_told),
        PROMISE(a_file_with_more_than_can_be_told_names_what_to_revoke_and_is_mended_by_it),
        PROMISE(what_this_ca_has_no_record_of_is_not_renewed),
        PROMISE(more_live_revocations_than_can_be_told_are_an_error_and_not_left_out),
        PROMISE(a_database_from_an_older_copy_forgets_no_revocation),
        PROMISE(a_service_that_renews_without_end_leaves_room_for_the_others),
        PROMISE(a_token_shown_by_another_service_is_not_spent),
        PROMISE(nobody_gets_a_token_for_the_ca_itself),
        cmocka_unit_test(the_end_waits_for_who_is_inside_and_lets_nobody_in),
    };
    return cmocka_run_group_tests_name("services/authority", tests, NULL, NULL);
}
