/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More evidence at the CA than it judges: two pieces at once, 64 wait, the next are told so, and
 * whoever needs no judgement does not notice. The CA as it is, over TLS; judges that do not come
 * to an end are those that ask for collateral which nobody has.
 */
#include "../scratch.h"

#include "ca/ca.h"
#include "ca/signer.h"
#include "rpc/target.h"

#include <neo/ca/v1/ca.neo.h>
#include <neo/cert.h>
#include <neo/channel.h>
#include <neo/enrol.h>
#include <neo/loop.h>
#include <neo/memory.h>
#include <neo/mesh.h>
#include <neo/runtime.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define C0DE "c0dec0dec0dec0dec0dec0de"

enum { AT_ONCE = 2, WAITING = 64, TOO_MANY = 5, CROWD = AT_ONCE + WAITING + TOO_MANY };

static struct neo_error err;
static struct neo_runtime *server_runtime, *client_runtime;
static struct neo_buffer bundle, root;
static struct neo_attest_policies *policies;
static struct neo_attest_trust *trust;
static struct neo_attester *attester;
static struct neo_channel *channel;
static struct ca *ca;
static pthread_t signer;
static int signer_in, signer_out;
static char folder[120], signer_folder[120];

static const char rules[] = "attestation_policies:\n"
                            "  key-service:\n"
                            "    require: simulator\n"
                            "    enrol: attested\n"
                            "    any_of:\n"
                            "      - tee: sev-snp\n"
                            "        measurement: [\"" C0DE C0DE C0DE C0DE "\"]\n";

/* --- judges that can be held ------------------------------------------------------------------ */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held;
    unsigned judging; /* now */
    unsigned most;
    unsigned refused, ended; /* of the crowd */
} scene = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Asked by a judge, in its lane of the pool. */
static void hold_judge(void *self, const struct neo_evidence *evidence)
{
    (void)self;
    (void)evidence;
    (void)pthread_mutex_lock(&scene.lock);
    if (++scene.judging > scene.most)
        scene.most = scene.judging;
    (void)pthread_cond_broadcast(&scene.changed);
    while (scene.held)
        (void)pthread_cond_wait(&scene.changed, &scene.lock);
    scene.judging--;
    (void)pthread_mutex_unlock(&scene.lock);
}

static void hold(bool held)
{
    (void)pthread_mutex_lock(&scene.lock);
    scene.held = held;
    (void)pthread_cond_broadcast(&scene.changed);
    (void)pthread_mutex_unlock(&scene.lock);
}

/* --- the CA ----------------------------------------------------------------------------------- */

static void *serve_signer(void *self)
{
    (void)self;
    (void)signer_serve(signer_in, signer_out, signer_folder, "neo.test", true);
    (void)close(signer_in);
    (void)close(signer_out);
    return NULL;
}

static enum neo_code record(void *self, const struct neo_audit_record *r, struct neo_error *e)
{
    (void)self;
    (void)r;
    (void)e;
    return NEO_OK;
}

static void make_judges(void)
{
    const struct neo_document document = {NEO_LIT("attest.yaml"), NEO_LIT(rules)};
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    uint8_t measurement[48];

    for (size_t i = 0; i < sizeof(measurement); i++)
        measurement[i] = i % 2 == 0 ? 0xc0 : 0xde;
    assert_int_equal(neo_sim_snp_init(&bundle, &root, now - 3600, &err), NEO_OK);
    const struct neo_attest_trust_options options = {
        .simulated_root = neo_buffer_bytes(&root), .development = true, .missing = hold_judge};
    assert_int_equal(neo_attest_trust_new(&options, &trust, &err), NEO_OK);
    if (neo_attest_policies_compile(&document, 1, true, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(
        neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &attester, &err),
        NEO_OK);
}

static void start_ca(void)
{
    static struct neo_log log = {.fd = 2, .level = NEO_LOG_OFF, .wall_nsec = neo_wall_nsec};
    int ask[2], answer[2];

    assert_int_equal(pipe2(ask, O_CLOEXEC), 0);
    assert_int_equal(pipe2(answer, O_CLOEXEC), 0);
    signer_in = ask[0];
    signer_out = answer[1];
    assert_int_equal(pthread_create(&signer, NULL, serve_signer, NULL), 0);
    assert_int_equal(neo_runtime_new(1, &server_runtime, &err), NEO_OK);
    const struct ca_options options = {
        .dir = folder,
        .trust_domain = "neo.test",
        .listen = "127.0.0.1:0",
        .registry_file = "/nonexistent",
        .development = true,
        .log = &log,
        .has_signer = true,
        .signer_ask = ask[1],
        .signer_answer = answer[0],
        .record = record,
        .attest_policies = policies,
        .attest_trust = trust,
    };
    if (ca_start(&options, server_runtime, &ca, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

/* As who joins: it knows nothing but the join string. */
static struct neo_join join_for(const char *service)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_join join;
    int64_t expires;

    assert_int_equal(ca_join_string(ca, service, 0, &text, &expires, &err), NEO_OK);
    assert_true(neo_buffer_append_byte(&text, '\0'));
    assert_int_equal(neo_join_parse((const char *)text.at, &join, &err), NEO_OK);
    return join;
}

static void open_channel(void)
{
    struct neo_join join = join_for("a-service");
    struct neo_trust_options known = {.root_fingerprint = join.root_sha256};
    char target[160];

    assert_int_equal(neo_runtime_new(1, &client_runtime, &err), NEO_OK);
    struct neo_channel_options options = {.loop = neo_runtime_loop(client_runtime, 0),
                                          .join_service = "neo-ca",
                                          .max_message = NEO_CONTROL_MESSAGE_MAX};
    assert_int_equal(neo_trust_new(&known, &options.epoch.trust, &err), NEO_OK);
    target_of_address(join.address, target, sizeof(target));
    if (neo_channel_open(target, &options, &channel, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_trust_unref(options.epoch.trust);
}

static int begin(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    (void)snprintf(folder, sizeof(folder), "%s", scratch("ca"));
    (void)snprintf(signer_folder, sizeof(signer_folder), "%s", scratch("ca/signer"));
    assert_int_equal(mkdir(folder, 0700), 0);
    make_judges();
    start_ca();
    open_channel();
    return 0;
}

static int end(void **state)
{
    hold(false); /* also when it failed */
    neo_channel_free(channel);
    neo_runtime_free(client_runtime);
    ca_stop(ca);
    neo_runtime_free(server_runtime);
    assert_int_equal(pthread_join(signer, NULL), 0);
    attester->free(attester);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
    neo_buffer_fini_secret(&bundle);
    neo_buffer_fini(&root);
    return scratch_teardown(state);
}

/* --- asking for a certificate ----------------------------------------------------------------- */

struct applicant {
    pthread_t thread;
    const char *service;
    struct neo_join join;
    char id[32];
    struct neo_buffer csr;
    struct neo_ca_v1_Evidence evidence;
    struct neo_buffer body, certificates;
    enum neo_code code;
    char why[300];
};

static const struct neo_call_options patience = {.timeout = 120 * NEO_NSEC_PER_SEC,
                                                 .wait_for_ready = true};

static void prove(struct applicant *a, struct neo_bytes spki, struct neo_bytes nonce)
{
    const struct neo_enrolment enrolment = {NEO_LIT("sim-snp-report"), nonce, spki,
                                            NEO_LIT("neo.test"), neo_text(a->service)};
    uint8_t binder[NEO_BINDER_LEN];

    assert_int_equal(neo_enrol_binder(&enrolment, binder, &err), NEO_OK);
    assert_int_equal(attester->attest(attester, binder, &a->body, &a->certificates, &err), NEO_OK);
    a->evidence = (struct neo_ca_v1_Evidence){
        .nonce = nonce,
        .type = enrolment.evidence_type,
        .evidence = neo_buffer_bytes(&a->body),
        .certificates = neo_buffer_bytes(&a->certificates),
    };
}

/* With a key, a request and a token of its own; `nonce` empty: no evidence. */
static void prepare(struct applicant *a, const char *service, unsigned number,
                    struct neo_bytes nonce)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};

    *a = (struct applicant){.service = service, .join = join_for(service)};
    (void)snprintf(a->id, sizeof(a->id), "%s-%u", service, number);
    assert_int_equal(neo_key_generate(NEO_KEY_P256, &key, &err), NEO_OK);
    assert_int_equal(neo_key_spki(key, &spki, &err), NEO_OK);
    assert_int_equal(neo_csr_create(key, service, &a->csr, &err), NEO_OK);
    if (nonce.len > 0)
        prove(a, neo_buffer_bytes(&spki), nonce);
}

static void apply(struct applicant *a)
{
    const struct neo_ca_v1_SignRequest request = {
        .csr = neo_buffer_bytes(&a->csr),
        .token = neo_text(a->join.token),
        .request_id = neo_text(a->id),
        .service = neo_text(a->service),
        .evidence = a->body.len > 0 ? &a->evidence : NULL,
    };
    struct neo_ca_v1_SignResponse response = {0};
    struct neo_status status = {0};
    struct neo_arena arena;

    neo_arena_init(&arena, 16 << 20);
    a->code = neo_ca_v1_CertificateAuthority_Sign(channel, &patience, &request, &response, &arena,
                                                  &status);
    (void)snprintf(a->why, sizeof(a->why), "%.*s", NEO_FMT(status.message));
    neo_arena_fini(&arena);
}

static void release(struct applicant *a)
{
    neo_buffer_fini(&a->csr);
    neo_buffer_fini(&a->body);
    neo_buffer_fini(&a->certificates);
}

static void *apply_in_crowd(void *self)
{
    struct applicant *a = self;

    apply(a);
    (void)pthread_mutex_lock(&scene.lock);
    scene.ended++;
    scene.refused += a->code == NEO_RESOURCE_EXHAUSTED;
    (void)pthread_cond_broadcast(&scene.changed);
    (void)pthread_mutex_unlock(&scene.lock);
    return NULL;
}

static struct neo_bytes challenge(struct neo_arena *arena)
{
    const struct neo_ca_v1_ChallengeRequest request = {.service = NEO_LIT("key-service")};
    struct neo_ca_v1_ChallengeResponse response = {0};
    struct neo_status status = {0};

    if (neo_ca_v1_CertificateAuthority_Challenge(channel, &patience, &request, &response, arena,
                                                 &status) != NEO_OK)
        fail_msg("%.*s", NEO_FMT(status.message));
    assert_true(response.required);
    return response.nonce;
}

/* Until so many of the crowd were answered, and as many judges as there are hold a piece. */
static void wait_answered(unsigned ended)
{
    struct timespec until;
    int code = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    (void)pthread_mutex_lock(&scene.lock);
    while (code == 0 && (scene.ended < ended || (scene.held && scene.judging < AT_ONCE)))
        code = pthread_cond_timedwait(&scene.changed, &scene.lock, &until);
    unsigned answered = scene.ended, judging = scene.judging;
    (void)pthread_mutex_unlock(&scene.lock);
    if (code != 0)
        fail_msg("%u of %u were answered, %u are judged", answered, ended, judging);
}

static struct applicant crowd[CROWD];

TEST(evidence_beyond_what_is_judged_is_refused_and_nobody_else_waits)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
    struct applicant other, late;
    unsigned judged = 0;

    neo_arena_init(&arena, 1 << 20);
    struct neo_bytes nonce = challenge(&arena);
    for (unsigned i = 0; i < CROWD; i++) {
        prepare(&crowd[i], "key-service", i, nonce);
        crowd[i].evidence.certificates.len = 0; /* the chip's is missing: a judge asks for it */
    }
    hold(true);
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, apply_in_crowd, &crowd[i]), 0);
    wait_answered(TOO_MANY);
    /* The lane is full: certificates that take no evidence, and challenges, are given at once. */
    prepare(&other, "a-service", 0, (struct neo_bytes){0});
    apply(&other);
    assert_int_equal(other.code, NEO_OK);
    nonce = challenge(&arena);
    assert_int_equal(scene.ended, TOO_MANY);
    assert_int_equal(scene.refused, TOO_MANY);
    hold(false);
    wait_answered(CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(crowd[i].thread, NULL), 0);
        if (crowd[i].code == NEO_RESOURCE_EXHAUSTED) {
            assert_non_null(strstr(crowd[i].why, "too much evidence to judge already; try again"));
        } else {
            assert_int_equal(crowd[i].code, NEO_PERMISSION_DENIED);
            assert_non_null(strstr(crowd[i].why, "was not accepted: collateral"));
            judged++;
        }
    }
    assert_int_equal(judged, AT_ONCE + WAITING);
    assert_int_equal(scene.most, AT_ONCE);
    /* Who was refused tries again with the same token, and this time with its certificates. */
    unsigned refused = 0;
    while (crowd[refused].code != NEO_RESOURCE_EXHAUSTED)
        refused++;
    prepare(&late, "key-service", CROWD, nonce);
    late.join = crowd[refused].join;
    apply(&late);
    if (late.code != NEO_OK)
        fail_msg("%s", late.why);
    release(&late);
    release(&other);
    for (unsigned i = 0; i < CROWD; i++)
        release(&crowd[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            evidence_beyond_what_is_judged_is_refused_and_nobody_else_waits, begin, end),
    };
    return cmocka_run_group_tests_name("services/judging", tests, NULL, NULL);
}
