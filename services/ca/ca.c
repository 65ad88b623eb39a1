/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CA as a gRPC service. It is its own first customer: its server certificate
 * comes from its own signer and is renewed like any other. Its policy is built in:
 * nobody's mistake in a file can lock the mesh out of its certificates.
 */
#include "ca/ca_internal.h"

#include <neo/cert.h>
#include <neo/encoding.h>
#include <neo/memory.h>
#include <neo/mesh.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

enum { LEAF_LIFE_DEFAULT = 24 * 3600, BACKDATE = 30 };

static const char system_policy[] =
    "service: \"anonymous\"\n"
    "allowed_calls:\n"
    "  - target_service: \"neo-ca\"\n"
    "    operations: [\"neo.ca.v1.CertificateAuthority/Sign\","
    " \"neo.ca.v1.CertificateAuthority/Challenge\"]\n"
    "---\n"
    "service: \"*\"\n"
    "allowed_calls:\n"
    "  - target_service: \"neo-ca\"\n"
    "    operations: [\"neo.ca.v1.CertificateAuthority/Renew\","
    " \"neo.ca.v1.CertificateAuthority/Challenge\","
    " \"neo.ca.v1.CertificateAuthority/WatchTrust\"]\n"
    "---\n"
    "service: \"neo-operator\"\n"
    "allowed_calls:\n"
    "  - target_service: \"neo-ca\"\n"
    "    operations: [\"neo.ca.v1.Administration/CreateToken\","
    " \"neo.ca.v1.Administration/Revoke\", \"neo.ca.v1.Administration/ListCertificates\","
    " \"neo.ca.v1.Administration/GetStatus\", \"neo.ca.v1.Administration/GetCrl\"]\n";

/* --- handlers; all of them but WatchTrust block ----------------------------------------------- */

void ca_answer(struct ca *ca, struct neo_call *call, enum neo_code code,
               const struct neo_error *err, const void *response)
{
    if (code == NEO_OK)
        neo_call_reply(call, response);
    else
        (void)ca_fail(ca, call, code, (struct neo_bytes){0}, err->message);
    svc_gate_leave(&ca->gate);
}

bool ca_begin(struct ca *ca, struct neo_call *call)
{
    if (svc_gate_enter(&ca->gate))
        return true;
    neo_call_fail(call, NEO_UNAVAILABLE, "the CA is going down");
    return false;
}

static void watch_trust(struct neo_call *call, const struct neo_ca_v1_WatchTrustRequest *request,
                        void *self)
{
    struct ca *ca = self;

    told_follow(&ca->told, call, request->have_epoch);
}

static void create_token(struct neo_call *call, const struct neo_ca_v1_CreateTokenRequest *request,
                         void *self)
{
    struct ca *ca = self;
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    struct neo_ca_v1_CreateTokenResponse response = {0};
    struct neo_error err = {0};
    char *service = neo_arena_string(neo_call_arena(call), request->service);
    char detail[120];

    if (!ca_begin(ca, call))
        return;
    enum neo_code code = service == NULL ? NEO_RESOURCE_EXHAUSTED
                                         : ca_join_string(ca, service, request->ttl_seconds, &join,
                                                          &response.expires_at, &err);
    if (code == NEO_OK) {
        (void)snprintf(detail, sizeof(detail), "join token for %s", service);
        code = ca_record(ca, call, detail, &err);
    }
    response.join_string = neo_buffer_bytes(&join);
    neo_log_info(ca->log, "ca.token", NEO_BYTES("service", request->service),
                 NEO_STR("code", neo_code_name(code)), NEO_STR("why", err.message));
    ca_answer(ca, call, code, &err, &response);
}

static void warn_if_untold(struct ca *ca)
{
    struct neo_error why;

    if (authority_can_tell(&ca->authority, &why) != NEO_OK)
        neo_log_error(ca->log, "ca.trust_too_large", NEO_STR("why", why.message));
}

/* The server itself must stop trusting what is revoked, before anyone is told. */
static enum neo_code tell_everybody(struct ca *ca, struct neo_error *err)
{
    struct neo_epoch change = {0};

    (void)pthread_mutex_lock(&ca->telling);
    enum neo_code code = told_refresh(&ca->told, &ca->authority, &change.trust, err);
    if (code == NEO_OK) {
        neo_server_update(ca->server, &change);
        told_everybody(&ca->told);
    }
    (void)pthread_mutex_unlock(&ca->telling);
    neo_trust_unref(change.trust);
    if (code != NEO_OK)
        neo_log_error(ca->log, "ca.trust_not_made", NEO_STR("why", err->message));
    else
        warn_if_untold(ca);
    return code;
}

/* Those who must stop trusting come first, the record after them, the answer last. */
static enum neo_code revoke_and_tell(struct ca *ca, struct neo_call *call,
                                     const struct neo_ca_v1_RevokeRequest *request,
                                     struct neo_ca_v1_RevokeResponse *response,
                                     struct neo_error *err)
{
    struct neo_error untold;
    bool by_serial = request->what_case == 1;
    char detail[200];

    NEO_TRY(authority_revoke(&ca->authority, request, response, err));
    if (tell_everybody(ca, &untold) != NEO_OK)
        return neo_fail(err, NEO_UNAVAILABLE,
                        "the revocation is recorded, but nobody could be told: %.120s. Restart "
                        "the CA: it tells everybody when it starts",
                        untold.message);
    (void)snprintf(detail, sizeof(detail), "revoked %s %.*s: %u certificates, %u join tokens",
                   by_serial ? "serial" : "service",
                   NEO_FMT(by_serial ? request->serial : request->service), response->certificates,
                   response->tokens);
    return ca_record(ca, call, detail, err);
}

static void revoke(struct neo_call *call, const struct neo_ca_v1_RevokeRequest *request, void *self)
{
    struct ca *ca = self;
    struct neo_ca_v1_RevokeResponse response = {0};
    struct neo_error err = {0};

    if (!ca_begin(ca, call))
        return;
    enum neo_code code = revoke_and_tell(ca, call, request, &response, &err);
    neo_log_warn(ca->log, "ca.revoke", NEO_BYTES("serial", request->serial),
                 NEO_BYTES("service", request->service), NEO_BYTES("reason", request->reason),
                 NEO_STR("code", neo_code_name(code)), NEO_U64("epoch", response.epoch));
    ca_answer(ca, call, code, &err, &response);
}

static void list_certificates(struct neo_call *call,
                              const struct neo_ca_v1_ListCertificatesRequest *request, void *self)
{
    struct ca *ca = self;
    struct neo_ca_v1_ListCertificatesResponse response = {0};
    struct neo_arena *arena = neo_call_arena(call);
    struct neo_error err = {.message = "out of memory"};
    char *service = neo_arena_string(arena, request->service);

    if (!ca_begin(ca, call))
        return;
    enum neo_code code = service == NULL
                             ? NEO_RESOURCE_EXHAUSTED
                             : authority_list(&ca->authority, service, request->include_expired,
                                              arena, &response, &err);
    ca_answer(ca, call, code, &err, &response);
}

static void get_status(struct neo_call *call, const struct neo_ca_v1_GetStatusRequest *request,
                       void *self)
{
    struct ca *ca = self;
    struct neo_ca_v1_GetStatusResponse response = {0};
    struct neo_error err = {0};

    (void)request;
    if (!ca_begin(ca, call))
        return;
    enum neo_code code = authority_status(&ca->authority, neo_call_arena(call), &response, &err);
    ca_answer(ca, call, code, &err, &response);
}

static void get_crl(struct neo_call *call, const struct neo_ca_v1_GetCrlRequest *request,
                    void *self)
{
    struct ca *ca = self;
    struct neo_ca_v1_GetCrlResponse response = {0};
    struct neo_error err = {0};

    (void)request;
    if (!ca_begin(ca, call))
        return;
    enum neo_code code = authority_crl(&ca->authority, neo_call_arena(call), &response, &err);
    ca_answer(ca, call, code, &err, &response);
}

static const struct neo_ca_v1_CertificateAuthority_handlers authority_handlers = {
    .Sign = issue_sign,
    .Challenge = issue_challenge,
    .Renew = issue_renew,
    .WatchTrust = watch_trust,
};

static const struct neo_ca_v1_Administration_handlers administration_handlers = {
    .CreateToken = create_token,
    .Revoke = revoke,
    .ListCertificates = list_certificates,
    .GetStatus = get_status,
    .GetCrl = get_crl,
};

/* --- its own certificate ---------------------------------------------------------------------- */

static enum neo_code make_identity(struct ca *ca, struct neo_identity **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer issuer = {0};
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    uint8_t serial[16];

    NEO_TRY(neo_key_generate(NEO_KEY_P256, &key, err));
    NEO_TRY(neo_key_spki(key, &spki, err));
    neo_random(serial, sizeof(serial));
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
    int64_t life = ca->authority.leaf_life;
    const struct signer_leaf leaf = {
        .spki = neo_buffer_bytes(&spki),
        .service = CA_SERVICE,
        .serial = serial,
        .not_before = now - (life < 10 * BACKDATE ? 1 : BACKDATE),
        .not_after = now + life,
    };
    NEO_TRY(signer_leaf(&ca->signer, &leaf, &der, &issuer, err));
    struct neo_bytes chain[] = {neo_buffer_bytes(&der), neo_buffer_bytes(&issuer),
                                neo_buffer_bytes(&ca->signer.root)};
    return neo_identity_new(key, chain, NEO_COUNT(chain), ret, err);
}

static void arm_renewal(struct ca *ca)
{
    struct neo_loop *loop = neo_runtime_loop(ca->runtime, 0);

    neo_loop_arm(loop, &ca->renewal,
                 neo_loop_now(loop) +
                     (neo_nsec)ca->authority.leaf_life * NEO_NSEC_PER_SEC / 10 * 4);
}

static void renew_work(struct neo_job *job)
{
    struct ca *ca = neo_owner(neo_owner(job, struct neo_task, job), struct ca, renew);
    struct neo_epoch change = {0};
    struct neo_error err;

    if (make_identity(ca, &change.identity, &err) != NEO_OK) {
        neo_log_error(ca->log, "ca.own_renewal_failed", NEO_STR("why", err.message));
        return;
    }
    neo_server_update(ca->server, &change);
    neo_identity_unref(change.identity);
}

static void renew_done(struct neo_job *job)
{
    struct ca *ca = neo_owner(neo_owner(job, struct neo_task, job), struct ca, renew);

    if (!ca->ending)
        arm_renewal(ca);
    svc_gate_leave(&ca->gate);
}

static void renewal_due(struct neo_timer *timer)
{
    struct ca *ca = neo_owner(timer, struct ca, renewal);

    if (!svc_gate_enter(&ca->gate))
        return;
    ca->renew = (struct neo_task){.work = renew_work, .done = renew_done};
    neo_loop_offload(neo_runtime_loop(ca->runtime, 0), &ca->renew);
}

static void begin_renewals(void *self)
{
    struct ca *ca = self;

    ca->renewal.expired = renewal_due;
    arm_renewal(ca);
    rules_begin(ca);
}

/* --- starting --------------------------------------------------------------------------------- */

enum neo_code ca_join_string(struct ca *ca, const char *service, int64_t ttl_seconds,
                             struct neo_buffer *out, int64_t *ret_expires, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer token = {0};
    struct neo_join join = {0};

    NEO_TRY(authority_token(&ca->authority, service, ttl_seconds, &token, ret_expires, err));
    (void)snprintf(join.address, sizeof(join.address), "%s", ca->advertise);
    (void)snprintf(join.token, sizeof(join.token), "%.*s", NEO_FMT(neo_buffer_bytes(&token)));
    neo_sha256(neo_buffer_bytes(&ca->signer.root), join.root_sha256);
    bool made = neo_join_format(&join, out);
    neo_zeroise(&join, sizeof(join));
    return made ? NEO_OK : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making a token");
}

enum neo_code ca_first_string(struct ca *ca, const char *service, int64_t ttl_seconds,
                              struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    char detail[120];
    int64_t expires;

    NEO_TRY(ca_join_string(ca, service, ttl_seconds, &join, &expires, err));
    (void)snprintf(detail, sizeof(detail), "join token for %s, to a file of the CA's owner",
                   service);
    NEO_TRY(ca_record_own(ca, detail, err));
    return neo_buffer_append(out, neo_buffer_bytes(&join))
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory making a token");
}

static enum neo_code open_state(struct ca *ca, const struct ca_options *o, struct neo_error *err)
{
    char path[1024];

    if (mkdir(o->dir, 0700) != 0 && errno != EEXIST)
        return neo_fail_errno(err, "cannot make the CA's folder '%s'", o->dir);
    (void)snprintf(path, sizeof(path), "%s/ca.db", o->dir);
    NEO_TRY(authority_open(&ca->authority, path, err)); /* another CA's signer is left alone */
    (void)snprintf(path, sizeof(path), "%s/signer", o->dir);
    if (o->has_signer)
        NEO_TRY(signer_attach(&ca->signer, o->signer_ask, o->signer_answer, err));
    else
        NEO_TRY(signer_start(&ca->signer, o->program, path, o->trust_domain, o->development, err));
    ca->authority.signer = &ca->signer;
    ca->authority.trust_domain = ca->trust_domain;
    ca->authority.registry_file = ca->registry_file;
    ca->authority.leaf_life = o->leaf_life == 0 ? LEAF_LIFE_DEFAULT : o->leaf_life;
    NEO_TRY(authority_recover(&ca->authority, err));
    ca->record = o->record;
    ca->record_self = o->record_self;
    if (o->record != NULL)
        return NEO_OK;
    ca->record = ca_record_in_file;
    ca->record_self = ca;
    (void)snprintf(path, sizeof(path), "%s/audit.jsonl", o->dir);
    const struct neo_audit_file_options options = {
        .path = path, .metrics = ca->metrics, .log = ca->log};
    return neo_audit_file_open_with(&options, &ca->audit, err);
}

static enum neo_code make_server(struct ca *ca, const struct ca_options *o, struct neo_error *err)
{
    struct neo_document document = {NEO_LIT("builtin/neo-ca.yaml"), neo_text(system_policy)};
    struct neo_server_options options = {
        .name = CA_SERVICE,
        .runtime = ca->runtime,
        .audit = ca->audit == NULL ? NULL : &ca->sink,
        .metrics = ca->metrics,
        .log = ca->log,
        .allow_anonymous =
            true, /* whoever joins has no certificate yet; policy lets it Sign only */
    };

    enum neo_code code = make_identity(ca, &options.epoch.identity, err);
    if (code == NEO_OK)
        code = told_refresh(&ca->told, &ca->authority, &options.epoch.trust, err);
    if (code == NEO_OK)
        code = neo_policy_compile(&document, 1, &options.epoch.policy, err);
    if (code == NEO_OK)
        code = neo_server_new(&options, &ca->server, err);
    neo_identity_unref(options.epoch.identity);
    neo_trust_unref(options.epoch.trust);
    neo_policy_unref(options.epoch.policy);
    if (code != NEO_OK)
        return code;
    NEO_TRY(neo_ca_v1_CertificateAuthority_add(ca->server, &authority_handlers, ca, err));
    NEO_TRY(neo_ca_v1_Administration_add(ca->server, &administration_handlers, ca, err));
    static const char *const blocking[] = {
        "/neo.ca.v1.CertificateAuthority/Sign",       "/neo.ca.v1.CertificateAuthority/Renew",
        "/neo.ca.v1.Administration/CreateToken",      "/neo.ca.v1.Administration/Revoke",
        "/neo.ca.v1.Administration/ListCertificates", "/neo.ca.v1.Administration/GetStatus",
        "/neo.ca.v1.Administration/GetCrl",
    };
    for (size_t i = 0; i < NEO_COUNT(blocking); i++)
        NEO_TRY(neo_server_set_blocking(ca->server, blocking[i], err));
    return neo_server_listen(ca->server, o->listen, err);
}

static enum neo_code fill(struct ca *ca, const struct ca_options *o, struct neo_error *err)
{
    ca->metrics = neo_metrics_new();
    ca->trust_domain = neo_string_dup(o->trust_domain);
    ca->registry_file = neo_string_dup(o->registry_file);
    if (ca->metrics == NULL || ca->trust_domain == NULL || ca->registry_file == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting the CA");
    enrol_init(&ca->enrol, o->attest_policies, o->attest_trust, ca->trust_domain);
    NEO_TRY(open_state(ca, o, err));
    NEO_TRY(make_server(ca, o, err));
    ca->advertise =
        neo_string_dup(o->advertise == NULL ? neo_server_address(ca->server) : o->advertise);
    if (ca->advertise == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting the CA");
    ca->authority.address = ca->advertise;
    warn_if_untold(ca);
    neo_runtime_call(ca->runtime, 0, begin_renewals, ca);
    return NEO_OK;
}

enum neo_code ca_start(const struct ca_options *options, struct neo_runtime *runtime,
                       struct ca **ret, struct neo_error *err)
{
    struct ca *ca = neo_alloc(sizeof(*ca));

    if (ca == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting the CA");
    ca->runtime = runtime;
    ca->log = options->log;
    ca->rules.read = options->read_rules;
    ca->rules.self = options->rules_self;
    ca->signer.ask = ca->signer.answer = ca->signer.pid = -1;
    told_init(&ca->told);
    ca_record_begin(ca);
    (void)pthread_mutex_init(&ca->telling, NULL);
    svc_gate_init(&ca->gate);
    enum neo_code code = fill(ca, options, err);
    if (code != NEO_OK) {
        ca_stop(ca);
        return code;
    }
    *ret = ca;
    return NEO_OK;
}

static void end_renewals(void *self)
{
    struct ca *ca = self;

    ca->ending = true;
    neo_loop_disarm(neo_runtime_loop(ca->runtime, 0), &ca->renewal);
    rules_end(ca);
}

void ca_stop(struct ca *ca)
{
    if (ca == NULL)
        return;
    neo_runtime_call(ca->runtime, 0, end_renewals, ca);
    svc_gate_close(&ca->gate); /* what the pool has of ours is done, and answered */
    neo_server_free(ca->server);
    told_fini(&ca->told);
    (void)pthread_mutex_destroy(&ca->telling);
    svc_gate_fini(&ca->gate);
    if (ca->authority.store != NULL)
        authority_close(&ca->authority);
    if (ca->signer.ask >= 0)
        signer_stop(&ca->signer);
    ca_record_end(ca);
    if (ca->audit != NULL)
        neo_audit_file_close(ca->audit);
    neo_metrics_free(ca->metrics);
    enrol_fini(&ca->enrol);
    neo_free(ca->trust_domain);
    neo_free(ca->registry_file);
    neo_free(ca->advertise);
    neo_free(ca);
}

const char *ca_address(const struct ca *ca)
{
    return ca->advertise;
}
