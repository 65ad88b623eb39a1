/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane and those who live by it, in simulated time: what a service holds on to
 * when answers are lost, files are older than others, tokens are somebody else's, keys are
 * stolen, and the CA's own certificate comes to its end.
 */
#include "unit/scratch.h"

#include "support/plane.h"
#include "support/sim.h"

#include "ca/authority.h"

#include <neo/encoding.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <stdio.h>
#include <sys/stat.h>

#define SEC  NEO_NSEC_PER_SEC
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)

static const char policy[] = "service: \"a-service\"\n"
                             "allowed_calls:\n"
                             "  - {target_service: \"b-service\", operations: [\"*\"]}\n";

static struct plane plane;

static int begin(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    sim_new(5);
    sim_group("service", "10.0.0.9");
    sim_group("ca", PLANE_CA);
    plane_start(&plane, scratch_folder, 24 * 3600);
    return 0;
}

static int end(void **state)
{
    plane_stop(&plane);
    sim_free();
    return scratch_teardown(state);
}

/* --- the operator ----------------------------------------------------------------------------- */

struct revoking {
    struct neo_mesh *operator;
    struct neo_ca_v1_RevokeRequest request;
    bool over;
    enum neo_code code;
    uint32_t certificates;
    char message[300];
};

static void revoke_heard(struct neo_client_call *call, const void *response, void *self)
{
    struct revoking *r = self;

    (void)call;
    r->certificates = ((const struct neo_ca_v1_RevokeResponse *)response)->certificates;
}

static void revoke_over(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct revoking *r = self;

    (void)call;
    r->over = true;
    r->code = status->code;
    (void)snprintf(r->message, sizeof(r->message), "%.*s", NEO_FMT(status->message));
}

static void revoke_begin(void *self)
{
    static const struct neo_client_events events = {.message = revoke_heard, .done = revoke_over};
    struct revoking *r = self;
    struct neo_call_options options = {.timeout = 10 * SEC, .wait_for_ready = true};
    struct neo_client_call *call;

    assert_int_equal(neo_ca_v1_Administration_Revoke_start(r->operator->ca, &options, &r->request,
                                                           &events, r, &call, NULL),
                     NEO_OK);
}

static bool revoke_is_over(void *self)
{
    return ((struct revoking *)self)->over;
}

static struct revoking do_revoke(struct neo_mesh *operator, const char * serial,
                                 const char *service)
{
    struct revoking r = {.operator= operator, .request = {.what_case = serial != NULL ? 1 : 2} };

    r.request.serial = neo_text(serial == NULL ? "" : serial);
    r.request.service = neo_text(service == NULL ? "" : service);
    neo_runtime_call(operator->control, 0, revoke_begin, &r);
    assert_true(sim_wait(revoke_is_over, &r, 20 * SEC));
    return r;
}

/* Something to revoke, revoked: the next number of the trust. */
static void revoke_another(struct neo_mesh *operator)
{
    static unsigned n;
    char name[32];

    (void)snprintf(name, sizeof(name), "victim-%u", n++);
    neo_mesh_free(plane_service(&plane, "10.0.0.7", name));
    struct revoking r = do_revoke(operator, NULL, name);
    if (r.code != NEO_OK)
        fail_msg("%s", r.message);
    sim_run_for(SEC);
}

/* --- looking at a mesh ------------------------------------------------------------------------ */

static void serial_of(struct neo_mesh *mesh, char hex[static 64])
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_epoch e = mesh_epoch(mesh);

    assert_true(neo_hex_encode(&text, neo_cert_facts(neo_identity_leaf(e.identity))->serial));
    (void)snprintf(hex, 64, "%.*s", NEO_FMT(neo_buffer_bytes(&text)));
    mesh_epoch_release(&e);
}

/* Whether the mesh would accept a peer that shows its own present certificate. */
static bool is_trusted_by(struct neo_mesh *judge, struct neo_mesh *mesh)
{
    struct neo_epoch theirs = mesh_epoch(mesh), ours = mesh_epoch(judge);
    struct neo_bytes chain[4];
    struct neo_cert *leaf = NULL;
    size_t n = neo_identity_chain_length(theirs.identity);

    for (size_t i = 0; i < n; i++)
        chain[i] = neo_cert_facts(neo_identity_chain(theirs.identity, i))->der;
    bool trusted = neo_trust_verify(ours.trust, chain, n, neo_wall_nsec() / (int64_t)SEC, &leaf,
                                    NULL) == NEO_OK;
    neo_cert_unref(leaf);
    mesh_epoch_release(&theirs);
    mesh_epoch_release(&ours);
    return trusted;
}

static uint64_t trust_epoch(struct neo_mesh *mesh)
{
    struct neo_epoch e = mesh_epoch(mesh);
    uint64_t number = neo_trust_epoch(e.trust);

    mesh_epoch_release(&e);
    return number;
}

struct renewal {
    struct neo_mesh *mesh;
    char before[64];
};

static bool has_renewed(void *self)
{
    struct renewal *r = self;
    char serial[64];

    serial_of(r->mesh, serial);
    return strcmp(serial, r->before) != 0;
}

static bool wait_renewed(struct neo_mesh *mesh, neo_nsec within)
{
    struct renewal r = {.mesh = mesh};

    serial_of(mesh, r.before);
    return sim_wait(has_renewed, &r, within);
}

/* --- promises: renewal ------------------------------------------------------------------------ */

static bool is_asking(void *self)
{
    return ((struct neo_mesh *)self)->identity.call != NULL;
}

static void cancel_renewal(void *self)
{
    neo_client_call_cancel(((struct neo_mesh *)self)->identity.call);
}

TEST(a_renewal_that_ends_as_cancelled_is_asked_again)
{
    struct neo_mesh *mesh = plane_service(&plane, "10.0.0.9", "neo-registry");
    struct renewal r = {.mesh = mesh};

    serial_of(mesh, r.before);
    sim_slow("service", "ca", 50 * NEO_NSEC_PER_MSEC); /* so that it is under way for a while */
    assert_true(sim_wait(is_asking, mesh, 13 * HOUR));
    neo_runtime_call(mesh->control, 0, cancel_renewal, mesh);
    assert_false(has_renewed(&r));
    assert_true(sim_wait(has_renewed, &r, 10 * MIN));
    neo_mesh_free(mesh);
}

TEST(without_a_ca_a_renewal_is_tried_until_there_is_one)
{
    struct neo_mesh *mesh = plane_service(&plane, "10.0.0.9", "neo-registry");

    sim_run_for(8 * HOUR);
    sim_partition("service", "ca");
    assert_false(wait_renewed(mesh, 12 * HOUR));
    sim_heal(NULL, NULL);
    assert_true(wait_renewed(mesh, HOUR));
    neo_mesh_free(mesh);
}

/* --- promises: trust -------------------------------------------------------------------------- */

static void read_state(const char *name, struct neo_buffer *out)
{
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/neo-registry/%s", scratch_folder, name);
    assert_int_equal(neo_file_read(path, 1 << 20, out, NULL), NEO_OK);
}

static void write_state(const char *name, const struct neo_buffer *bytes)
{
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/neo-registry/%s", scratch_folder, name);
    assert_int_equal(neo_file_replace(path, neo_buffer_bytes(bytes), 0600, NULL), NEO_OK);
}

/* Comes back with no CA to ask; the number of its trust. */
static uint64_t come_back_alone(void)
{
    struct neo_mesh *mesh;
    struct neo_error err;

    if (plane_join(&plane, "10.0.0.9", "neo-registry", NULL, &mesh, &err) != NEO_OK)
        fail_msg("%s", err.message);
    uint64_t epoch = trust_epoch(mesh);
    neo_mesh_free(mesh);
    return epoch;
}

TEST(comes_back_with_the_newer_of_the_two_trusts_on_disk)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer old_stream = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer new_stream = {0};
    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    struct neo_mesh *mesh = plane_service(&plane, "10.0.0.9", "neo-registry");

    revoke_another(operator);
    read_state("trust.bin", &old_stream);
    uint64_t first = trust_epoch(mesh);
    revoke_another(operator);
    read_state("trust.bin", &new_stream);
    assert_int_equal(trust_epoch(mesh), first + 1);
    assert_true(wait_renewed(mesh, 13 * HOUR)); /* joined.bin is of now */
    neo_mesh_free(mesh);
    neo_mesh_free(operator);
    plane_stop_ca(&plane);

    write_state("trust.bin", &old_stream); /* as when the stream had been away */
    assert_int_equal(come_back_alone(), first + 1);
    write_state("trust.bin", &new_stream);
    assert_int_equal(come_back_alone(), first + 1);
}

TEST(a_trust_of_the_stream_that_is_newer_than_the_answer_counts)
{
    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    struct neo_mesh *mesh = plane_service(&plane, "10.0.0.9", "neo-registry");
    uint64_t first = trust_epoch(mesh);

    revoke_another(operator);
    neo_mesh_free(operator);
    neo_mesh_free(mesh);
    plane_stop_ca(&plane);
    assert_int_equal(come_back_alone(), first + 1);
}

TEST(a_revocation_that_nobody_could_be_told_is_no_success)
{
    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    struct neo_mesh *mesh = plane_service(&plane, "10.0.0.9", "neo-registry");
    char signer[160], away[160];

    (void)snprintf(signer, sizeof(signer), "%s/ca/signer", scratch_folder);
    (void)snprintf(away, sizeof(away), "%s/ca/away", scratch_folder);
    assert_int_equal(rename(signer, away), 0); /* it cannot keep what it signs: it signs nothing */
    struct revoking r = do_revoke(operator, NULL, "neo-registry");
    assert_int_equal(r.code, NEO_UNAVAILABLE);
    assert_non_null(strstr(r.message, "nobody could be told"));
    assert_true(is_trusted_by(operator, mesh));
    assert_int_equal(rename(away, signer), 0);
    r = do_revoke(operator, NULL,
                  "neo-registry"); /* nothing valid is known any more: it is recorded */
    assert_int_equal(r.code, NEO_NOT_FOUND);
    plane_stop_ca(&plane);
    plane_start_ca(&plane);
    sim_run_for(MIN);
    assert_false(is_trusted_by(operator, mesh)); /* as was said: a restart tells */
    neo_mesh_free(operator);
    neo_mesh_free(mesh);
}

TEST(revoking_a_serial_reaches_what_a_thief_renewed_to)
{
    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    plane_start_registry(&plane, policy);
    struct neo_mesh *thief = plane_service(&plane, "10.0.0.3", "a-service");
    struct neo_mesh *other = plane_service(&plane, "10.0.0.4", "b-service");
    char stolen[64];

    serial_of(thief, stolen);
    plane_stop_registry(&plane); /* its timers would make these hours long */
    assert_true(wait_renewed(thief, 13 * HOUR));
    assert_true(wait_renewed(thief, 13 * HOUR));
    assert_true(is_trusted_by(other, thief));
    struct revoking r = do_revoke(operator, stolen, NULL);
    assert_int_equal(r.code, NEO_OK);
    assert_true(r.certificates >= 1);
    sim_run_for(SEC);
    assert_false(is_trusted_by(other, thief));
    assert_false(is_trusted_by(operator, thief));
    assert_true(is_trusted_by(operator, other));
    assert_false(wait_renewed(thief, 13 * HOUR));
    neo_mesh_free(thief);
    neo_mesh_free(other);
    neo_mesh_free(operator);
}

/* --- promises: joining ------------------------------------------------------------------------ */

TEST(a_token_shown_by_another_service_than_its_own_stays_good)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    struct neo_mesh *mesh;
    struct neo_error err;
    int64_t expires;

    assert_int_equal(ca_join_string(plane.ca, "neo-registry", 0, &join, &expires, &err), NEO_OK);
    assert_true(neo_buffer_append_byte(&join, '\0'));
    assert_int_not_equal(
        plane_join(&plane, "10.0.0.9", "a-service", (const char *)join.at, &mesh, &err), NEO_OK);
    assert_non_null(strstr(err.message, "neo token create a-service"));
    if (plane_join(&plane, "10.0.0.9", "neo-registry", (const char *)join.at, &mesh, &err) !=
        NEO_OK)
        fail_msg("%s", err.message);
    neo_mesh_free(mesh);
    assert_int_not_equal(
        plane_join(&plane, "10.0.0.7", "neo-operator", (const char *)join.at, &mesh, &err), NEO_OK);
}

/* --- promises: joining again ------------------------------------------------------------------ */

static struct neo_buffer token_for(const char *service)
{
    struct neo_buffer join = {0};
    int64_t expires;

    assert_int_equal(ca_join_string(plane.ca, service, 0, &join, &expires, NULL), NEO_OK);
    assert_true(neo_buffer_append_byte(&join, '\0'));
    return join;
}

static bool is_refused(void *self)
{
    return neo_mesh_is_refused(self);
}

static struct neo_mesh *come_back_with(const char *join)
{
    struct neo_mesh *mesh = NULL;
    struct neo_error err;

    if (plane_join(&plane, "10.0.0.9", "neo-registry", join, &mesh, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return mesh;
}

TEST(who_was_revoked_joins_again_with_a_new_join_string_alone)
{
    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer first = token_for("neo-registry");
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer next = {0};
    struct neo_mesh *mesh = come_back_with((const char *)first.at);
    char revoked[64], now[64];

    serial_of(mesh, revoked);
    assert_false(neo_mesh_is_refused(mesh));
    assert_int_equal(do_revoke(operator, NULL, "neo-registry").code, NEO_OK);
    assert_true(sim_wait(is_refused, mesh, MIN)); /* one that runs is told, and stays as it is */
    neo_mesh_free(mesh);

    mesh = come_back_with(NULL);
    assert_true(sim_wait(is_refused, mesh, MIN));
    assert_false(wait_renewed(mesh, 10 * MIN));
    neo_mesh_free(mesh);

    unsigned denials = plane.denials;
    mesh = come_back_with((const char *)first.at); /* spent: it is tried, and is no good */
    assert_true(sim_wait(is_refused, mesh, MIN));
    sim_run_for(10 * SEC);
    assert_true(plane.denials > denials);
    serial_of(mesh, now);
    assert_string_equal(now, revoked);
    neo_mesh_free(mesh);

    next = token_for("neo-registry");
    mesh = come_back_with((const char *)next.at);
    struct renewal r = {.mesh = mesh};
    (void)snprintf(r.before, sizeof(r.before), "%s", revoked);
    assert_true(sim_wait(has_renewed, &r, MIN));
    sim_run_for(MIN);
    assert_false(neo_mesh_is_refused(mesh));
    assert_true(is_trusted_by(operator, mesh));
    assert_true(wait_renewed(mesh, 13 * HOUR)); /* and goes on as everybody does */
    neo_mesh_free(mesh);
    neo_mesh_free(operator);
}

TEST(who_was_revoked_joins_again_when_the_network_is_back)
{
    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer first = token_for("neo-registry");
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer next = {0};
    struct neo_mesh *mesh = come_back_with((const char *)first.at);
    struct renewal r = {0};

    serial_of(mesh, r.before);
    neo_mesh_free(mesh);
    assert_int_equal(do_revoke(operator, NULL, "neo-registry").code, NEO_OK);
    next = token_for("neo-registry");
    mesh = r.mesh = come_back_with((const char *)next.at);
    assert_true(sim_wait(is_refused, mesh, MIN));
    sim_partition("service", "ca");
    assert_false(sim_wait(has_renewed, &r, 5 * MIN)); /* patience, and timeouts, several times */
    assert_int_equal(plane.denials, 0);
    sim_heal(NULL, NULL);
    assert_true(sim_wait(has_renewed, &r, 3 * MIN));
    assert_true(is_trusted_by(operator, mesh));
    assert_false(neo_mesh_is_refused(mesh));
    neo_mesh_free(mesh);
    neo_mesh_free(operator);
}

TEST(a_join_string_is_not_spent_by_who_is_not_refused)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer first = token_for("neo-registry");
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer next = token_for("neo-registry");
    struct neo_mesh *mesh = come_back_with((const char *)first.at);
    unsigned records;

    neo_mesh_free(mesh);
    records = plane.records;
    mesh = come_back_with((const char *)next.at);
    sim_partition("service", "ca"); /* nobody to ask is no refusal */
    sim_run_for(MIN);
    sim_heal(NULL, NULL);
    sim_run_for(MIN);
    assert_false(neo_mesh_is_refused(mesh));
    assert_int_equal(plane.records, records);
    neo_mesh_free(mesh);
}

static bool was_refused(void *self)
{
    return ((struct neo_mesh *)self)->identity.failures > 0 || mesh_is_settled(self);
}

TEST(a_certificate_that_cannot_be_recorded_is_not_given_and_its_token_not_lost)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    char folder[160];
    struct neo_mesh *mesh;
    struct neo_error err;
    int64_t expires;

    assert_int_equal(ca_join_string(plane.ca, "neo-registry", 0, &join, &expires, &err), NEO_OK);
    assert_true(neo_buffer_append_byte(&join, '\0'));
    (void)snprintf(folder, sizeof(folder), "%s/neo-registry", scratch_folder);
    const struct neo_mesh_options options = {.service = "neo-registry",
                                             .state_dir = folder,
                                             .join = (const char *)join.at,
                                             .admin = "",
                                             .audit_file = "",
                                             .workers = 1,
                                             .own_policy = true,
                                             .log_level = NEO_LOG_OFF};
    plane.no_records = true;
    sim_host("10.0.0.9");
    assert_int_equal(mesh_begin(&options, &mesh, &err), NEO_OK);
    assert_false(sim_wait(was_refused, mesh, 5 * SEC));
    assert_int_equal(plane.records, 0);
    plane.no_records = false;
    assert_true(sim_wait(was_refused, mesh, 5 * SEC)); /* it asked again, with the same request */
    assert_int_equal(mesh_finish(mesh, &err), NEO_OK);
    assert_true(plane.records >= 1);
    assert_non_null(strstr(plane.last_record, "certificate"));
    neo_mesh_free(mesh);
}

/* --- promises: the policy ----------------------------------------------------------------------
 */

static const char other_policy[] = "service: \"a-service\"\n"
                                   "allowed_calls:\n"
                                   "  - {target_service: \"b-service\", operations: [\"Say\"]}\n";

struct numbered {
    struct neo_mesh *mesh;
    uint64_t number;
};

static bool has_number(void *self)
{
    const struct numbered *n = self;

    return n->mesh->feed.number == n->number;
}

static bool wait_number(struct neo_mesh *mesh, uint64_t number)
{
    struct numbered n = {.mesh = mesh, .number = number};

    return sim_wait(has_number, &n, 30 * SEC);
}

static void copy_file(const char *from, const char *to)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bytes = {0};
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/neo-registry/%s", scratch_folder, from);
    assert_int_equal(neo_file_read(path, 1 << 24, &bytes, NULL), NEO_OK);
    (void)snprintf(path, sizeof(path), "%s/neo-registry/%s", scratch_folder, to);
    assert_int_equal(neo_file_replace(path, neo_buffer_bytes(&bytes), 0600, NULL), NEO_OK);
}

struct advancing {
    struct neo_mesh *operator;
    struct neo_policy_v1_AdvanceRequest request;
    struct revoking answer; /* its `over` and `code` */
};

static void advance_begin(void *self)
{
    static const struct neo_client_events events = {.message = revoke_heard, .done = revoke_over};
    struct advancing *a = self;
    struct neo_call_options options = {.timeout = 10 * SEC, .wait_for_ready = true};
    struct neo_client_call *call;

    assert_int_equal(neo_policy_v1_PolicyFeed_Advance_start(a->operator->registry, &options,
                                                            &a->request, &events, &a->answer, &call,
                                                            NULL),
                     NEO_OK);
}

TEST(a_registry_that_was_set_back_is_not_followed_until_an_operator_says_so)
{
    plane_start_registry(&plane, policy);
    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    struct neo_mesh *mesh = plane_service(&plane, "10.0.0.3", "a-service");
    assert_true(wait_number(mesh, 1));
    plane_stop_registry(&plane);
    copy_file("registry.db", "backup");
    plane_start_registry(&plane, other_policy);
    assert_true(wait_number(mesh, 2));
    plane_stop_registry(&plane);
    copy_file("backup", "registry.db"); /* restored: the number and the documents of before */
    plane_start_registry(&plane, policy);
    assert_false(wait_number(mesh, 1));
    assert_int_equal(mesh->feed.number, 2);

    struct advancing a = {.operator= operator, .request = {.beyond = 2} };
    neo_runtime_call(operator->control, 0, advance_begin, &a);
    assert_true(sim_wait(revoke_is_over, &a.answer, 20 * SEC));
    assert_int_equal(a.answer.code, NEO_OK);
    assert_true(wait_number(mesh, 3));
    neo_mesh_free(mesh);

    plane_stop_registry(&plane); /* and what came back from disk remembers, too */
    copy_file("backup", "registry.db");
    plane_start_registry(&plane, other_policy);
    mesh = plane_service(&plane, "10.0.0.3", "a-service");
    assert_int_equal(mesh->feed.number, 3);
    assert_false(wait_number(mesh, 2));
    neo_mesh_free(mesh);
    neo_mesh_free(operator);
}

/* --- promises: what is as large as it may be ----------------------------------------------------
 */

/* While the CA is down: revocations of nobody's, of so many bytes in the trust. */
static void fill_database(size_t bytes)
{
    enum { EACH = 137 }; /* one, as it is told: reason, name, two times, and their tags */
    struct neo_store *store;
    struct neo_error err;
    char path[160], sql[500];

    (void)snprintf(path, sizeof(path), "%s/ca/ca.db", scratch_folder);
    if (neo_store_open(path, authority_schema, &store, &err) != NEO_OK)
        fail_msg("%s", err.message);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO revocations (service, issued_before, at, reason) WITH RECURSIVE "
                   "n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %zu) SELECT "
                   "'filler-1', 1000000000 + i, %lld, hex(zeroblob(55)) FROM n",
                   bytes / EACH, (long long)(neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC));
    if (neo_store_run(store, sql, NULL, 0, NULL, &err) != NEO_OK ||
        neo_store_run(store, "UPDATE epoch SET number = number + 1", NULL, 0, NULL, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_store_close(store);
}

static size_t size_of_trust(const char *service)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer file = {0};
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/%s/trust.bin", scratch_folder, service);
    return neo_file_read(path, 8 << 20, &file, NULL) == NEO_OK ? file.len : 0;
}

static bool has_epoch(void *self)
{
    const struct numbered *n = self;

    return n->mesh->trust.epoch >= n->number;
}

TEST(a_trust_as_large_as_can_be_told_reaches_who_is_there_who_joins_and_who_comes_back)
{
    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    struct neo_mesh *old = plane_service(&plane, "10.0.0.3", "old-service");
    struct neo_mesh *victim = plane_service(&plane, "10.0.0.4", "victim-service"), *new;
    struct numbered next = {.mesh = old, .number = old->trust.epoch + 1};
    struct neo_error err;

    plane_stop_ca(&plane);
    fill_database(NEO_TRUST_MAX - 2048);
    plane_start_ca(&plane);
    assert_true(sim_wait(has_epoch, &next, 5 * MIN));
    assert_in_range(size_of_trust("old-service"), NEO_TRUST_MAX - 65536, NEO_TRUST_MAX + 1024);
    next.mesh = operator;
    assert_true(sim_wait(has_epoch, &next, 5 * MIN));

    new = plane_service(&plane, "10.0.0.5", "new-service"); /* in the answer with its certificate */
    assert_true(new->trust.epoch >= next.number);
    assert_true(is_trusted_by(new, victim));
    struct revoking r = do_revoke(operator, NULL, "victim-service");
    if (r.code != NEO_OK)
        fail_msg("%s", r.message);
    sim_run_for(SEC);
    assert_false(is_trusted_by(old, victim));
    assert_false(is_trusted_by(new, victim));
    assert_true(is_trusted_by(new, old));

    plane_stop_ca(&plane); /* and from the disk, with nobody to ask */
    neo_mesh_free(old);
    assert_int_equal(plane_join(&plane, "10.0.0.3", "old-service", NULL, &old, &err), NEO_OK);
    assert_false(is_trusted_by(old, victim));
    assert_true(is_trusted_by(old, new));
    plane_start_ca(&plane);
    neo_mesh_free(old);
    neo_mesh_free(new);
    neo_mesh_free(victim);
    neo_mesh_free(operator);
}

/* A file that is mostly remarks, and says in the end what is allowed. */
static void write_large_policy(const char *folder, unsigned number, size_t size, const char *end)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char path[300];

    while (text.len + 64 + strlen(end) < size)
        (void)neo_buffer_append(
            &text, NEO_LIT("# one of very many lines that say why this is as it is here\n"));
    (void)neo_buffer_append(&text, neo_text(end));
    assert_false(text.failed);
    (void)snprintf(path, sizeof(path), "%s/%u.yaml", folder, number);
    assert_int_equal(neo_file_replace(path, neo_buffer_bytes(&text), 0600, NULL), NEO_OK);
}

static bool allows(const struct neo_policy *rules, const char *caller, const char *target)
{
    const struct neo_policy_question question = {.caller = neo_text(caller),
                                                 .target = neo_text(target),
                                                 .service = NEO_LIT("a.B"),
                                                 .method = NEO_LIT("C")};

    return neo_policy_decide(rules, &question).verdict == NEO_ALLOW;
}

TEST(a_set_of_policies_as_large_as_can_be_handed_out_reaches_everybody)
{
    enum { FILES = 5, EACH = (NEO_POLICY_SET_MAX - 65536) / FILES };
    char folder[160], end_of_file[200];

    (void)snprintf(folder, sizeof(folder), "%s/more", scratch_folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    plane_start_registry(&plane, policy);
    struct neo_mesh *mesh = plane_service(&plane, "10.0.0.3", "a-service");
    assert_true(wait_number(mesh, 1));
    plane_stop_registry(&plane); /* it reads them on the pool, which here is the same thread */
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(end_of_file, sizeof(end_of_file),
                       "service: \"caller-%u\"\nallowed_calls:\n"
                       "  - {target_service: \"a-service\", operations: [\"*\"]}\n",
                       i);
        write_large_policy(folder, i, EACH, end_of_file);
    }
    plane.more_policies = folder;
    plane_start_registry(&plane, policy);
    assert_true(wait_number(mesh, 2));
    struct neo_mesh *late = plane_service(&plane, "10.0.0.4", "b-service");
    assert_true(wait_number(late, 2));
    struct neo_epoch e = mesh_epoch(mesh), f = mesh_epoch(late);
    assert_string_equal(neo_policy_version(e.policy), neo_policy_version(f.policy));
    for (unsigned i = 0; i < FILES; i++) { /* each file counts */
        (void)snprintf(end_of_file, sizeof(end_of_file), "caller-%u", i);
        assert_true(allows(e.policy, end_of_file, "a-service"));
    }
    assert_false(allows(e.policy, "caller-5", "a-service"));
    mesh_epoch_release(&e);
    mesh_epoch_release(&f);
    neo_mesh_free(mesh);
    neo_mesh_free(late);
}

/* --- promises: the CA's own life -------------------------------------------------------------- */

static int64_t issuer_ends(struct neo_mesh *mesh)
{
    struct neo_epoch e = mesh_epoch(mesh);
    int64_t ends = neo_cert_facts(neo_identity_chain(e.identity, 1))->not_after;

    mesh_epoch_release(&e);
    return ends;
}

static void stop_stream(void *self)
{
    follow_stop(&((struct neo_mesh *)self)->trust.follow);
}

static void start_stream(void *self)
{
    trust_follow(self);
}

/* Renewals alone bring what there is to know; a stream is looked after every few seconds. */
TEST(in_two_hundred_days_a_service_outlives_three_issuers)
{
    struct neo_mesh *mesh = plane_service(&plane, "10.0.0.9", "neo-registry");
    int64_t last = issuer_ends(mesh);
    unsigned issuers = 1;

    neo_runtime_call(mesh->control, 0, stop_stream, mesh);
    for (unsigned day = 0; day < 200; day++) {
        if (day == 59 || day == 119) /* away while the issuers change */
            sim_partition("service", "ca");
        sim_run_for(10 * HOUR);
        sim_heal(NULL, NULL);
        sim_run_for(14 * HOUR);
        struct neo_epoch e = mesh_epoch(mesh);
        int64_t ends = neo_cert_facts(neo_identity_leaf(e.identity))->not_after;
        mesh_epoch_release(&e);
        if (ends <= neo_wall_nsec() / (int64_t)SEC)
            fail_msg("on day %u its certificate has ended", day);
        issuers += issuer_ends(mesh) != last;
        last = issuer_ends(mesh);
        if (day == 130) { /* a restart of the CA, on its third issuer */
            plane_stop_ca(&plane);
            plane_start_ca(&plane);
        }
    }
    assert_int_equal(issuers, 4);

    struct neo_mesh *operator= plane_service(&plane, "10.0.0.8", "neo-operator");
    uint64_t before = trust_epoch(mesh);
    neo_runtime_call(mesh->control, 0, start_stream, mesh);
    revoke_another(operator);
    sim_run_for(2 * SEC); /* a trust by the fourth issuer is believed, as one by the first was */
    assert_int_equal(trust_epoch(mesh), before + 1);
    neo_mesh_free(operator);
    neo_mesh_free(mesh);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_renewal_that_ends_as_cancelled_is_asked_again),
        PROMISE(without_a_ca_a_renewal_is_tried_until_there_is_one),
        PROMISE(comes_back_with_the_newer_of_the_two_trusts_on_disk),
        PROMISE(a_trust_of_the_stream_that_is_newer_than_the_answer_counts),
        PROMISE(a_revocation_that_nobody_could_be_told_is_no_success),
        PROMISE(revoking_a_serial_reaches_what_a_thief_renewed_to),
        PROMISE(who_was_revoked_joins_again_with_a_new_join_string_alone),
        PROMISE(who_was_revoked_joins_again_when_the_network_is_back),
        PROMISE(a_join_string_is_not_spent_by_who_is_not_refused),
        PROMISE(a_token_shown_by_another_service_than_its_own_stays_good),
        PROMISE(a_certificate_that_cannot_be_recorded_is_not_given_and_its_token_not_lost),
        PROMISE(a_registry_that_was_set_back_is_not_followed_until_an_operator_says_so),
        PROMISE(in_two_hundred_days_a_service_outlives_three_issuers),
        PROMISE(a_trust_as_large_as_can_be_told_reaches_who_is_there_who_joins_and_who_comes_back),
        PROMISE(a_set_of_policies_as_large_as_can_be_handed_out_reaches_everybody),
    };
    return cmocka_run_group_tests_name("scenario/plane", tests, NULL, NULL);
}
