/* SPDX-License-Identifier: Apache-2.0 */
/* What the signer signs, and what not, whoever asks: its rules, with the time as an argument. */
#include "../scratch.h"

#include "ca/keeper.h"

#include <neo/memory.h>

#include <fcntl.h>
#include <sys/stat.h>

#define NOW INT64_C(1800000000)

enum { HOUR = 3600, DAY = 86400 };

static struct keeper keeper;
static int64_t now;
static struct neo_error err;

static char folder[128];

static int begin(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    (void)snprintf(folder, sizeof(folder), "%s", scratch("signer"));
    now = NOW;
    return keeper_open(&keeper, folder, "neo.test", false, now, &err) == NEO_OK ? 0 : -1;
}

static int end(void **state)
{
    keeper_close(&keeper);
    return scratch_teardown(state);
}

static void restart(void)
{
    keeper_close(&keeper);
    assert_int_equal(keeper_open(&keeper, folder, "neo.test", false, now, &err), NEO_OK);
}

/* --- asking ----------------------------------------------------------------------------------- */

static enum neo_code ask(const struct signer_request *r, struct neo_bytes body,
                         struct neo_buffer *out)
{
    static neo_nsec mono = NEO_NSEC_PER_SEC;

    mono += NEO_NSEC_PER_SEC; /* never too fast */
    return keeper_answer(&keeper, r, body, now, mono, out, &err);
}

static struct neo_bytes part(const struct neo_buffer *out, unsigned which)
{
    struct neo_bytes rest = neo_buffer_bytes(out);
    uint32_t len = 0;

    for (unsigned i = 0; i <= which; i++) {
        rest = neo_bytes_from(rest, i == 0 ? 0 : len);
        assert_true(rest.len >= sizeof(len));
        memcpy(&len, rest.at, sizeof(len));
        rest = neo_bytes_from(rest, sizeof(len));
        assert_true(rest.len >= len);
    }
    return neo_bytes(rest.at, len);
}

static struct signer_request leaf_request(const char *service, uint8_t serial)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    struct signer_request r = {
        .op = SIGNER_LEAF, .not_before = now - 30, .not_after = now + 24 * HOUR};

    assert_int_equal(neo_key_generate(NEO_KEY_P256, &key, NULL), NEO_OK);
    assert_int_equal(neo_key_spki(key, &spki, NULL), NEO_OK);
    memcpy(r.spki, spki.at, spki.len);
    r.spki_len = (uint32_t)spki.len;
    memset(r.serial, serial, sizeof(r.serial));
    (void)snprintf(r.service, sizeof(r.service), "%s", service);
    return r;
}

/* A leaf for `service`; its issuer's key id is kept. */
static struct neo_cert *sign_leaf(const char *service, uint8_t serial)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct signer_request r = leaf_request(service, serial);
    struct neo_cert *leaf;

    if (ask(&r, (struct neo_bytes){0}, &out) != NEO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(neo_cert_from_der(part(&out, 0), "leaf", &leaf, NULL), NEO_OK);
    return leaf;
}

static enum neo_code refused(const struct signer_request *r)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    return ask(r, (struct neo_bytes){0}, &out);
}

/* --- trusts ----------------------------------------------------------------------------------- */

enum { REVOCATIONS = 8 };

struct draft {
    struct neo_ca_v1_Trust body;
    struct neo_ca_v1_TrustDomain domain;
    struct neo_ca_v1_TrustDomain *domains[2];
    struct neo_bytes roots[2];
    struct neo_ca_v1_Revocation each[REVOCATIONS];
    struct neo_ca_v1_Revocation *list[REVOCATIONS];
};

/* A good one. */
static void draft(struct draft *d, uint64_t epoch)
{
    *d = (struct draft){.body = {.epoch = epoch, .signed_at = now}};
    d->roots[0] = neo_cert_facts(keeper.root)->der;
    d->domain.name = NEO_LIT("neo.test");
    d->domain.roots.at = d->roots;
    d->domain.roots.len = 1;
    d->domains[0] = d->domains[1] = &d->domain;
    d->body.domains.at = d->domains;
    d->body.domains.len = 1;
    d->body.revocations.at = d->list;
}

static struct neo_ca_v1_Revocation *add(struct draft *d)
{
    size_t n = d->body.revocations.len++;

    d->list[n] = &d->each[n];
    d->each[n].at = now;
    d->each[n].reason = NEO_LIT("test");
    return d->list[n];
}

static void add_serial(struct draft *d, const char *serial)
{
    struct neo_ca_v1_Revocation *r = add(d);

    r->serial = neo_text(serial);
    r->issuer_key_id = neo_cert_facts(issuers_present(&keeper)->cert)->subject_key_id;
}

static void add_service(struct draft *d, const char *service)
{
    struct neo_ca_v1_Revocation *r = add(d);

    r->service = neo_text(service);
    r->issued_before = now + 1;
}

static enum neo_code sign(const struct draft *d)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct signer_request r = {.op = SIGNER_TRUST};

    assert_int_equal(neo_ca_v1_Trust_encode(&d->body, &wire, NULL), NEO_OK);
    enum neo_code code = ask(&r, neo_buffer_bytes(&wire), &out);
    if (code != NEO_OK)
        assert_int_equal(out.len, 0);
    return code;
}

/* --- promises: trusts ------------------------------------------------------------------------- */

TEST(what_is_no_trust_is_not_signed_as_one)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct signer_request r = {.op = SIGNER_TRUST};

    assert_int_not_equal(ask(&r, NEO_LIT("\xff\xff\xff not a trust"), &out), NEO_OK);
    assert_int_not_equal(ask(&r, (struct neo_bytes){0}, &out), NEO_OK);
    assert_int_equal(out.len, 0);
}

TEST(a_trust_in_another_root_or_domain_is_not_signed)
{
    struct draft d;
    uint8_t other[2000];
    struct neo_bytes root = neo_cert_facts(keeper.root)->der;

    memcpy(other, root.at, root.len);
    other[root.len - 1] ^= 1;
    draft(&d, 5);
    d.roots[0] = neo_bytes(other, root.len);
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    draft(&d, 5);
    d.roots[1] = neo_bytes(other, root.len);
    d.domain.roots.len = 2;
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    draft(&d, 5);
    d.domain.roots.len = 0;
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    draft(&d, 5);
    d.domain.name = NEO_LIT("other.test");
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    draft(&d, 5);
    d.body.domains.len = 2;
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    draft(&d, 5);
    assert_int_equal(sign(&d), NEO_OK);
}

TEST(numbers_never_fall_not_even_over_a_restart)
{
    struct draft d;

    draft(&d, 0);
    assert_int_not_equal(sign(&d), NEO_OK);
    draft(&d, 7);
    assert_int_equal(sign(&d), NEO_OK);
    draft(&d, 6);
    assert_int_equal(sign(&d), NEO_FAILED_PRECONDITION);
    restart();
    draft(&d, 6);
    assert_int_equal(sign(&d), NEO_FAILED_PRECONDITION);
    draft(&d, UINT64_MAX); /* would be the last one ever */
    assert_int_equal(sign(&d), NEO_INVALID_ARGUMENT);
    draft(&d, 7);
    assert_int_equal(sign(&d), NEO_OK); /* the same again */
    draft(&d, 8);
    assert_int_equal(sign(&d), NEO_OK);
}

TEST(a_revocation_is_not_taken_back_while_it_matters)
{
    struct draft d;

    draft(&d, 2);
    add_serial(&d, "1234567890123456");
    add_service(&d, "gas-bank-service");
    assert_int_equal(sign(&d), NEO_OK);
    draft(&d, 3);
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    add_serial(&d, "1234567890123456");
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED); /* the service's is gone */
    restart();
    draft(&d, 3);
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    now += KEEPER_REVOCATION_TOLD - 1;
    draft(&d, 4);
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    now += 1; /* no leaf from before lives */
    draft(&d, 4);
    assert_int_equal(sign(&d), NEO_OK);
}

/* A trust that tells of a whole service instead of one certificate after the other. */
TEST(a_serial_is_replaced_only_by_its_own_service_and_for_at_least_as_long)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = sign_leaf("a-service", 0x41);
    struct draft d;

    draft(&d, 2);
    add(&d)->serial = neo_cert_facts(leaf)->serial;
    d.each[0].issuer_key_id = neo_cert_facts(leaf)->issuer_key_id;
    add_serial(&d, "1234567890123456"); /* of which the journal knows nothing */
    assert_int_equal(sign(&d), NEO_OK);
    now += HOUR;
    draft(&d, 3);
    add_serial(&d, "1234567890123456");
    add_service(&d, "b-service"); /* another one */
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    d.each[1].service = NEO_LIT("a-service");
    d.each[1].issued_before = neo_cert_facts(leaf)->not_before; /* not what began then */
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    d.each[1].issued_before = neo_cert_facts(leaf)->not_before + 1;
    d.each[1].at = now - HOUR - 1; /* it would end first, and the certificate would be good again */
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    d.each[1].at = now - HOUR;
    assert_int_equal(sign(&d), NEO_OK);
    draft(&d, 4); /* and that is not taken back, nor is what no journal knows */
    add_serial(&d, "1234567890123456");
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    draft(&d, 4);
    add_service(&d, "a-service");
    d.each[0].issued_before = neo_cert_facts(leaf)->not_before + 1;
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
}

TEST(new_revocations_under_an_old_number_are_not_signed)
{
    struct draft d;

    draft(&d, 2);
    assert_int_equal(sign(&d), NEO_OK);
    add_service(&d, "gas-bank-service"); /* nobody who has number 2 would hear of it */
    assert_int_equal(sign(&d), NEO_PERMISSION_DENIED);
    d.body.epoch = 3;
    assert_int_equal(sign(&d), NEO_OK);
}

TEST(what_is_to_come_cannot_be_revoked_nor_what_others_issue)
{
    struct draft d;

    draft(&d, 2);
    add_service(&d, "gas-bank-service");
    d.each[0].issued_before = now + DAY;
    assert_int_equal(sign(&d), NEO_INVALID_ARGUMENT);
    draft(&d, 2);
    add_service(&d, "Not A Service");
    assert_int_equal(sign(&d), NEO_INVALID_ARGUMENT);
    draft(&d, 2);
    add_service(&d, "gas-bank-service");
    d.each[0].at = now + DAY; /* could never be taken off the list */
    assert_int_equal(sign(&d), NEO_INVALID_ARGUMENT);
    draft(&d, 2);
    add_serial(&d, "1234567890123456");
    d.each[0].issuer_key_id = NEO_LIT("somebody else's");
    assert_int_equal(sign(&d), NEO_INVALID_ARGUMENT);
    draft(&d, 2);
    (void)add(&d);
    assert_int_equal(sign(&d), NEO_INVALID_ARGUMENT);
}

TEST(a_trust_of_another_time_is_not_signed)
{
    struct draft d;

    draft(&d, 2);
    d.body.signed_at = now - HOUR;
    assert_int_equal(sign(&d), NEO_FAILED_PRECONDITION);
    d.body.signed_at = now + HOUR;
    assert_int_equal(sign(&d), NEO_FAILED_PRECONDITION);
}

/* --- promises: leaves ------------------------------------------------------------------------- */

TEST(names_outside_the_grammar_or_of_the_control_plane_are_not_signed)
{
    static const char *const bad[] = {"",     "Upper",         "a/b",      "a b",
                                      "neo-", "neo-ca-signer", "neo-admin"};
    struct signer_request r = leaf_request("x", 1);

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        (void)snprintf(r.service, sizeof(r.service), "%s", bad[i]);
        assert_int_not_equal(refused(&r), NEO_OK);
    }
    memset(r.service, 'a', sizeof(r.service)); /* not terminated */
    assert_int_not_equal(refused(&r), NEO_OK);
    neo_cert_unref(sign_leaf("neo-registry", 2));
    neo_cert_unref(sign_leaf("neon", 3));
}

TEST(a_renewal_needs_a_living_certificate_of_that_service)
{
    neo_cert_unref(sign_leaf("a-service", 0x41));
    struct signer_request r = leaf_request("a-service", 0x42);

    memset(r.parent, 0x43, sizeof(r.parent)); /* never signed */
    assert_int_equal(refused(&r), NEO_FAILED_PRECONDITION);
    memset(r.parent, 0x41, sizeof(r.parent));
    struct signer_request other = r;
    (void)snprintf(other.service, sizeof(other.service), "b-service");
    assert_int_equal(refused(&other), NEO_PERMISSION_DENIED);
    assert_int_equal(refused(&r), NEO_OK);

    now += 24 * HOUR;
    struct signer_request late = leaf_request("a-service", 0x44);
    memset(late.parent, 0x41, sizeof(late.parent));
    assert_int_equal(refused(&late), NEO_FAILED_PRECONDITION);
}

TEST(nothing_is_renewed_from_what_its_last_trust_revokes)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = sign_leaf("a-service", 0x41);
    struct signer_request r = leaf_request("a-service", 0x42);
    struct draft d;

    memset(r.parent, 0x41, sizeof(r.parent));
    draft(&d, 2);
    add(&d)->serial = neo_cert_facts(leaf)->serial;
    d.each[0].issuer_key_id = neo_cert_facts(leaf)->issuer_key_id;
    assert_int_equal(sign(&d), NEO_OK);
    assert_int_equal(refused(&r), NEO_PERMISSION_DENIED);
    restart();
    assert_int_equal(refused(&r), NEO_PERMISSION_DENIED);

    neo_cert_unref(sign_leaf("b-service", 0x51));
    struct signer_request b = leaf_request("b-service", 0x52);
    memset(b.parent, 0x51, sizeof(b.parent));
    now += 1;
    struct draft next;
    draft(&next, 3);
    add_service(&next, "b-service");
    *add(&next) = d.each[0];
    assert_int_equal(sign(&next), NEO_OK);
    assert_int_equal(refused(&b), NEO_PERMISSION_DENIED);
}

/* --- promises: successors --------------------------------------------------------------------- */

static bool key_exists(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "signer/%s", name);
    return scratch_exists(path);
}

TEST(in_two_hundred_days_issuers_follow_each_other_and_each_leaf_is_good_to_its_end)
{
    struct neo_bytes root = neo_cert_facts(keeper.root)->der;
    struct neo_trust_domain domain = {.name = NEO_LIT("neo.test"), .roots = &root, .n_roots = 1};
    struct neo_trust *trust; /* made on the first day, and never told of a new issuer */
    uint8_t previous[40] = {0};
    unsigned changes = 0;

    assert_int_equal(neo_trust_new(&(struct neo_trust_options){.domains = &domain, .n_domains = 1},
                                   &trust, NULL),
                     NEO_OK);
    for (unsigned half_day = 0; half_day < 400; half_day++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
        struct signer_request r = leaf_request("a-service", 0x41);
        memcpy(r.serial, &half_day, sizeof(half_day));
        if (ask(&r, (struct neo_bytes){0}, &out) != NEO_OK)
            fail_msg("half day %u: %s", half_day, err.message);
        struct neo_bytes chain[] = {part(&out, 0), part(&out, 1)};
        const int64_t instants[] = {now, now + 12 * HOUR, now + 24 * HOUR - 1};
        for (size_t i = 0; i < NEO_COUNT(instants); i++) {
            struct neo_cert *leaf;
            if (neo_trust_verify(trust, chain, 2, instants[i], &leaf, &err) != NEO_OK)
                fail_msg("half day %u: %s", half_day, err.message);
            struct neo_bytes id = neo_cert_facts(leaf)->issuer_key_id;
            changes += memcmp(previous, id.at, id.len) != 0;
            memcpy(previous, id.at, id.len);
            neo_cert_unref(leaf);
        }
        if (half_day % 50 == 49)
            restart();
        now += 12 * HOUR;
    }
    assert_int_equal(changes, 4); /* the first, and after 60, 120 and 180 days */
    assert_int_equal(keeper.n_issuers, 4);
    assert_false(key_exists("issuer.key"));
    assert_false(key_exists("issuer-2.key"));
    assert_true(key_exists("issuer-3.key"));
    neo_trust_unref(trust);
}

TEST(the_key_before_is_kept_while_leaves_of_it_can_live)
{
    now += 61 * DAY;
    neo_cert_unref(sign_leaf("a-service", 1));
    assert_int_equal(keeper.n_issuers, 2);
    now += 2 * DAY;
    neo_cert_unref(sign_leaf("a-service", 2));
    assert_true(key_exists("issuer.key"));
    now += 2 * HOUR;
    neo_cert_unref(sign_leaf("a-service", 3));
    assert_false(key_exists("issuer.key"));
}

TEST(a_leaf_signed_before_the_change_is_given_again_with_its_own_issuer)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer before = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer after = {0};
    struct signer_request r;

    now += 60 * DAY - 2 * HOUR;
    r = leaf_request("a-service", 9);
    assert_int_equal(ask(&r, (struct neo_bytes){0}, &before), NEO_OK);
    now += 4 * HOUR;
    assert_int_equal(ask(&r, (struct neo_bytes){0}, &after), NEO_OK);
    assert_int_equal(keeper.n_issuers, 2);
    assert_true(neo_bytes_equal(neo_buffer_bytes(&before), neo_buffer_bytes(&after)));
}

TEST(a_successor_that_cannot_be_made_holds_nothing_up)
{
    now += 61 * DAY;
    assert_int_equal(rename(scratch("signer/root.key"), scratch("elsewhere")), 0);
    neo_cert_unref(sign_leaf("a-service", 1));
    assert_int_equal(keeper.n_issuers, 1);
    assert_int_not_equal(keeper.trouble.code, NEO_OK);
    assert_int_equal(rename(scratch("elsewhere"), scratch("signer/root.key")), 0);
    neo_cert_unref(sign_leaf("a-service", 2));
    assert_int_equal(keeper.n_issuers, 2);
    assert_int_equal(keeper.trouble.code, NEO_OK);
}

/* --- promises: what the journal need not keep ----------------------------------------------------
 */

enum { OLD = 300, NEW = 5, FEW = 200 };

static neo_nsec ticks = 5 * (neo_nsec)365 * DAY * NEO_NSEC_PER_SEC;

/* Both clocks. */
static void pass(int64_t seconds)
{
    now += seconds;
    ticks += (neo_nsec)seconds * NEO_NSEC_PER_SEC;
}

static struct signer_request numbered(uint32_t number, const struct signer_request *like)
{
    struct signer_request r = *like;

    r.not_before = now - 30;
    r.not_after = now + 24 * HOUR;
    memset(r.serial, 0x55, sizeof(r.serial));
    memcpy(r.serial + 1, &number, sizeof(number));
    return r;
}

static enum neo_code answer(const struct signer_request *r)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    return keeper_answer(&keeper, r, (struct neo_bytes){0}, now, ticks, &out, &err);
}

static void sign_many(uint32_t first, uint32_t n, const struct signer_request *like)
{
    for (uint32_t i = first; i < first + n; i++) {
        struct signer_request r = numbered(i, like);
        pass(1);
        if (answer(&r) != NEO_OK)
            fail_msg("%s", err.message);
    }
}

static enum neo_code renew_number(uint32_t number, uint32_t next, const struct signer_request *like)
{
    struct signer_request parent = numbered(number, like), r = numbered(next, like);

    memcpy(r.parent, parent.serial, sizeof(r.parent));
    return answer(&r);
}

static void look(void)
{
    const struct signer_request r = {.op = SIGNER_DESCRIBE};

    assert_int_equal(answer(&r), NEO_OK);
}

TEST(what_ended_long_ago_leaves_the_journal_and_what_is_alive_does_not)
{
    const struct signer_request like = leaf_request("a-service", 1);
    struct signer_request again = numbered(0, &like);

    sign_many(0, OLD, &like);
    pass(24 * HOUR + KEEPER_KEPT - OLD);
    look(); /* the first of them ended seven days ago, but for a moment */
    assert_int_equal(keeper.journal.n_dropped, 0);
    pass(HOUR);
    sign_many(OLD, NEW, &like);
    pass(HOUR);
    look();
    assert_int_equal(keeper.pruning.trouble.code, NEO_OK);
    assert_int_equal(keeper.journal.n_dropped, OLD - 1); /* one was the newest when it was done */
    assert_int_equal(keeper.journal.n, NEW + 1);
    /* Neither renewed nor given again, as before; what lives is. */
    assert_int_equal(renew_number(0, 1000, &like), NEO_FAILED_PRECONDITION);
    assert_int_equal(answer(&again), NEO_FAILED_PRECONDITION);
    assert_int_equal(renew_number(OLD, 1001, &like), NEO_OK);
    restart();
    assert_int_equal(keeper.journal.n_dropped, OLD - 1);
    assert_int_equal(renew_number(OLD, 1002, &like), NEO_OK);
}

TEST(a_clock_that_was_set_or_has_only_begun_drops_nothing)
{
    const struct signer_request like = leaf_request("a-service", 1);

    sign_many(0, OLD, &like);
    now += 30 * DAY; /* by hand, or in error: the other clock stood */
    for (unsigned minute = 0; minute < 59; minute++) {
        look();
        pass(60);
    }
    assert_int_equal(keeper.journal.n_dropped, 0);
    now -= 30 * DAY; /* set right in time */
    look();
    pass(2 * HOUR);
    look();
    assert_int_equal(keeper.journal.n_dropped, 0);
    assert_int_equal(renew_number(0, 1000, &like), NEO_OK);
    now += 30 * DAY;
    restart(); /* it begins with that time */
    look();
    pass(KEEPER_CLOCK_TRIED - 1);
    look();
    assert_int_equal(keeper.journal.n_dropped, 0);
    pass(1);
    look(); /* an hour later it is believed; the newest record stays */
    assert_int_equal(keeper.journal.n_dropped, OLD);
    assert_int_equal(keeper.journal.n, 1);
}

TEST(what_a_wrong_clock_counted_as_ended_is_counted_anew_by_the_right_one)
{
    const struct signer_request like = leaf_request("a-service", 1);

    sign_many(0, FEW, &like); /* too few to be dropped at once */
    now += 30 * DAY;
    look();
    pass(KEEPER_CLOCK_TRIED);
    look();
    assert_int_equal(keeper.pruning.n_ended, FEW - 1);
    now -= 30 * DAY;
    look();
    assert_int_equal(keeper.pruning.n_ended, 0);
    pass(2 * HOUR);
    look();
    assert_int_equal(keeper.pruning.n_ended, 0); /* they are alive */
}

TEST(a_journal_that_cannot_be_pruned_is_kept_and_holds_nothing_up)
{
    const struct signer_request like = leaf_request("a-service", 1);

    sign_many(0, OLD, &like);
    assert_int_equal(mkdir(scratch("signer/journal.next"), 0700), 0);
    pass(24 * HOUR + KEEPER_KEPT + HOUR);
    sign_many(OLD, NEW, &like);
    assert_int_equal(keeper.journal.n_dropped, 0);
    assert_int_not_equal(keeper.pruning.trouble.code, NEO_OK);
    assert_int_equal(rmdir(scratch("signer/journal.next")), 0);
    pass(HOUR);
    look();
    assert_int_equal(keeper.pruning.trouble.code, NEO_OK);
    assert_int_equal(keeper.journal.n_dropped, OLD);
}

/* --- promises: one signer -----------------------------------------------------------------------
 */

TEST(a_second_signer_is_refused_and_touches_nothing)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = sign_leaf("a-service", 1);
    const char *journal = scratch("signer/journal");
    struct keeper second;
    struct stat before, after;
    int fd = open(journal, O_WRONLY | O_APPEND | O_CLOEXEC);

    assert_non_null(leaf);
    assert_int_equal(write(fd, "half", 4), 4); /* of a record, as the first is writing it */
    assert_int_equal(fstat(fd, &before), 0);
    assert_int_equal(keeper_open(&second, folder, "neo.test", false, now, &err), NEO_UNAVAILABLE);
    assert_non_null(strstr(err.message, "another signer"));
    keeper_close(&second);
    assert_int_equal(stat(journal, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(close(fd), 0);
    restart(); /* the lock ends with who held it; now it was a crash */
    assert_int_equal(stat(journal, &after), 0);
    assert_int_equal(after.st_size, before.st_size - 4);
}

/* --- promises: CRLs --------------------------------------------------------------------------- */

TEST(crls_hold_what_is_revoked_by_serial_and_by_service)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *a = sign_leaf("a-service", 0x41);
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *b = sign_leaf("b-service", 0x42);
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *c = sign_leaf("c-service", 0x43);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct signer_request r = {.op = SIGNER_CRL};
    struct draft d;

    draft(&d, 2);
    add(&d)->serial = neo_cert_facts(a)->serial;
    d.each[0].issuer_key_id = neo_cert_facts(a)->issuer_key_id;
    add_service(&d, "b-service");
    assert_int_equal(sign(&d), NEO_OK);
    assert_int_equal(ask(&r, (struct neo_bytes){0}, &out), NEO_OK);
    struct neo_bytes crl = part(&out, 0);
    assert_non_null(memmem(crl.at, crl.len, neo_cert_facts(a)->serial.at, 16));
    assert_non_null(memmem(crl.at, crl.len, neo_cert_facts(b)->serial.at, 16));
    assert_null(memmem(crl.at, crl.len, neo_cert_facts(c)->serial.at, 16));
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(what_is_no_trust_is_not_signed_as_one),
        PROMISE(a_trust_in_another_root_or_domain_is_not_signed),
        PROMISE(numbers_never_fall_not_even_over_a_restart),
        PROMISE(a_revocation_is_not_taken_back_while_it_matters),
        PROMISE(a_serial_is_replaced_only_by_its_own_service_and_for_at_least_as_long),
        PROMISE(new_revocations_under_an_old_number_are_not_signed),
        PROMISE(what_is_to_come_cannot_be_revoked_nor_what_others_issue),
        PROMISE(a_trust_of_another_time_is_not_signed),
        PROMISE(names_outside_the_grammar_or_of_the_control_plane_are_not_signed),
        PROMISE(a_renewal_needs_a_living_certificate_of_that_service),
        PROMISE(nothing_is_renewed_from_what_its_last_trust_revokes),
        PROMISE(in_two_hundred_days_issuers_follow_each_other_and_each_leaf_is_good_to_its_end),
        PROMISE(the_key_before_is_kept_while_leaves_of_it_can_live),
        PROMISE(a_leaf_signed_before_the_change_is_given_again_with_its_own_issuer),
        PROMISE(a_successor_that_cannot_be_made_holds_nothing_up),
        PROMISE(what_ended_long_ago_leaves_the_journal_and_what_is_alive_does_not),
        PROMISE(a_clock_that_was_set_or_has_only_begun_drops_nothing),
        PROMISE(what_a_wrong_clock_counted_as_ended_is_counted_anew_by_the_right_one),
        PROMISE(a_journal_that_cannot_be_pruned_is_kept_and_holds_nothing_up),
        PROMISE(a_second_signer_is_refused_and_touches_nothing),
        PROMISE(crls_hold_what_is_revoked_by_serial_and_by_service),
    };
    return cmocka_run_group_tests_name("services/keeper", tests, NULL, NULL);
}
