/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/mesh.h - a service's place among the others: identity, neighbours, policy.
 *
 * Joining takes one string. From then on the mesh keeps the certificate fresh
 * (renewed with a new key at 40 to 50 % of its life), follows trust, revocation,
 * policy, limits and reference values, finds other services, registers this one,
 * writes the audit trail and serves the administration port. All it learned is kept in
 * the state folder: when CA and registry are away, the service goes on with it,
 * restarts included.
 *
 *     static void greet(struct neo_call *call, const struct hello_GreetRequest *r, void *self);
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct hello_Greeter_handlers handlers = {.Greet = greet};
 *         struct neo_mesh *mesh;
 *         struct neo_error err;
 *
 *         if (neo_mesh_start(argc, argv, "hello-service", &mesh, &err) != NEO_OK ||
 *             neo_mesh_serve(mesh, &hello_Greeter_info, &handlers, NULL, &err) != NEO_OK ||
 *             neo_mesh_run(mesh, &err) != NEO_OK)
 *             return neo_mesh_failed(&err);
 *         return 0;
 *     }
 *
 * Threads   Setup from the main thread; neo_mesh_channel() from any thread but a worker's.
 */
#ifndef NEO_MESH_H
#define NEO_MESH_H

#include <neo/channel.h>
#include <neo/server.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_mesh;

struct neo_mesh_options {
    const char *service;        /* our name: the join token must be for it */
    const char *join;           /* "neojoin1..."; NULL: the identity in state_dir must still do */
    const char *state_dir;      /* made with mode 0700 when absent */
    const char *listen;         /* NULL: "127.0.0.1:0" */
    const char *admin;          /* administration and metrics; NULL: "127.0.0.1:0"; "": none */
    const char *instance;       /* id in the registry; NULL: a random one */
    const char *version;        /* NULL: "0.0.0" */
    const char *audit_file;     /* NULL: <state_dir>/audit.jsonl; "": none (it serves nothing) */
    unsigned workers;           /* 0: one per core */
    bool development;           /* accepts simulated evidence; `--insecure-dev` */
    const char *simulated_tee;  /* development: file of the simulator's bundle: we prove with it */
    const char *measurement;    /* development: 96 hex digits, what the pretended machine runs */
    const char *service_config; /* default of channels; NULL: neo/channel.h's */
    bool own_policy;            /* the registry: policy comes from neo_mesh_set_documents() */
    enum neo_log_level log_level; /* default NEO_LOG_INFO when made by neo_mesh_start() */
    const char
        *tee;           /* what we prove ourselves with, neo/attester.h: NULL or "auto": what this
                           machine has, if anything; "none"; or "sev-snp", ...: joining fails without */
    const char *tpm;    /* the TPM: a device, or a TCTI of tpm2-tss; NULL: /dev/tpmrm0 */
    const char *tpm_ak; /* its key: "0x81010002"; NULL: a primary one */
    /* neo/collateral_store.h; NULL: <state_dir>/collateral, when it is there */
    const char *collateral;
    const char *collateral_fetch; /* program and its words that gets what is due; NULL: nobody */
};

/*
 * Joins (or comes back) and returns when there is an identity, a trust and a policy. Blocks, at
 * most about 10 s. `join` is used when the state folder holds no identity, or one that has ended;
 * and when the CA, proven to be it, refuses that one, which is then replaced. Gives `*ret`:
 * neo_mesh_free().
 */
NEO_MUST_CHECK enum neo_code neo_mesh_join(const struct neo_mesh_options *options,
                                           struct neo_mesh **ret, struct neo_error *err);
/*
 * The same from a command line: --join STRING | --join-file FILE, --state DIR, --listen ADDR,
 * --admin ADDR, --instance ID, --insecure-dev, --simulated-tee FILE, --measurement HEX,
 * --log-level L, --audit FILE, --collateral DIR, --collateral-fetch CMD, --tee TEE, --tpm TPM,
 * --tpm-ak HANDLE, --help. --help prints and is CANCELLED, for which neo_mesh_failed() gives 0;
 * wrong use is INVALID_ARGUMENT.
 */
NEO_MUST_CHECK enum neo_code neo_mesh_start(int argc, char **argv, const char *service,
                                            struct neo_mesh **ret, struct neo_error *err);
/* Prints "name: message" to stderr and returns the exit status for it. */
int neo_mesh_failed(const struct neo_error *err);
/* With its server and the channels that are left. NULL is allowed. Not from a worker. */
void neo_mesh_free(struct neo_mesh *mesh);

/* Serves `info`; call it for each service before neo_mesh_run(). See neo_server_add(). */
NEO_MUST_CHECK enum neo_code neo_mesh_serve(struct neo_mesh *mesh,
                                            const struct neo_service_info *info,
                                            const void *handlers, void *self,
                                            struct neo_error *err);
/* Listens and registers; returns at once. */
NEO_MUST_CHECK enum neo_code neo_mesh_listen(struct neo_mesh *mesh, struct neo_error *err);
/*
 * As above unless done, then blocks until SIGTERM or SIGINT; deregisters and drains. When it
 * returns OK it has taken `mesh` and freed it; on failure it is still the caller's.
 */
NEO_MUST_CHECK enum neo_code neo_mesh_run(struct neo_mesh *mesh, struct neo_error *err);

/*
 * A channel to another service, on the given worker's loop (0 is fine). The mesh keeps its
 * identity, trust and reference values fresh. Those to one service on one worker share their
 * connections (neo/channel.h). FAILED_PRECONDITION on a worker (in a handler that
 * does not block, in a callback): it would wait for itself. Gives `*ret`: neo_mesh_channel_free(),
 * which is not for workers either.
 */
NEO_MUST_CHECK enum neo_code neo_mesh_channel(struct neo_mesh *mesh, const char *service,
                                              unsigned worker, struct neo_channel **ret,
                                              struct neo_error *err);
void neo_mesh_channel_free(struct neo_mesh *mesh, struct neo_channel *channel);

/* What it is made of: the mesh's, for as long as it lives. The server is NULL before
 * neo_mesh_serve(). */
struct neo_server *neo_mesh_server(struct neo_mesh *mesh);
struct neo_runtime *neo_mesh_runtime(struct neo_mesh *mesh);
struct neo_metrics *neo_mesh_metrics(struct neo_mesh *mesh);
const struct neo_log *neo_mesh_log(const struct neo_mesh *mesh);
/*
 * Puts a record of our own into the audit trail and returns when it is on the disk: for what must
 * not happen unrecorded. FAILED_PRECONDITION: we keep no trail. Blocks; any thread.
 */
NEO_MUST_CHECK enum neo_code neo_mesh_record(struct neo_mesh *mesh,
                                             const struct neo_audit_record *record,
                                             struct neo_error *err);
/*
 * The CA, proven to be it, does not take our certificate: it was revoked, or the CA is another one
 * by now. Said in the log, too, with what to do. Any thread.
 */
bool neo_mesh_is_refused(const struct neo_mesh *mesh);
/* Our name in the registry; the folder that --state named. The mesh's, for as long as it lives. */
const char *neo_mesh_instance(const struct neo_mesh *mesh);
const char *neo_mesh_state_dir(const struct neo_mesh *mesh);
/* "127.0.0.1:43121"; NULL before neo_mesh_listen(). */
const char *neo_mesh_address(const struct neo_mesh *mesh);

/*
 * The registry alone: what it hands out to others it also lives by. Compiles all of the documents
 * or changes nothing. See neo_mesh_options.own_policy.
 */
NEO_MUST_CHECK enum neo_code neo_mesh_set_documents(struct neo_mesh *mesh,
                                                    const struct neo_document *documents, size_t n,
                                                    struct neo_bytes simulated_root,
                                                    struct neo_error *err);

/* A trust is signed as this label (its NUL included) and the SHA-256 of its bytes. */
#define NEO_TRUST_LABEL "neo-trust-v1"

/*
 * The most that CA and registry hand out, serialized, in bytes. Members of a mesh take messages of
 * NEO_CONTROL_MESSAGE_MAX from both: a trust with signature and certificates, or a set of policies.
 * What is larger is refused where it begins: a revocation, or a change of the policy files.
 */
enum {
    NEO_TRUST_MAX = 3 << 20,
    NEO_POLICY_SET_MAX = 4 << 20,
    NEO_CONTROL_MESSAGE_MAX = NEO_POLICY_SET_MAX,
};

/* --- the join string -------------------------------------------------------------------------- */

/* neojoin1 + base64url of {address, SHA-256 of the root, token}: one string to paste. */
struct neo_join {
    char address[128];
    uint8_t root_sha256[32];
    char token[64]; /* as text; zeroise after use */
};
/* INVALID_ARGUMENT: no join string. False: out of memory, or `out` is full. */
NEO_MUST_CHECK enum neo_code neo_join_parse(const char *text, struct neo_join *ret,
                                            struct neo_error *err);
bool neo_join_format(const struct neo_join *join, struct neo_buffer *out);

#ifdef __cplusplus
}
#endif

#endif
