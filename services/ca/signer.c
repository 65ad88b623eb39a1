/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer process. Everything it will ever do is in answer(): three operations
 * on requests of one size. Keys are made on the first start and never leave its
 * folder; a leaf lives at most 48 h, for a name of the service grammar, and at most
 * 50 a second.
 */
#include "ca/signer.h"

#include "ca/journal.h"

#include <neo/cert.h>
#include <neo/loop.h>
#include <neo/mesh.h>
#include <neo/ratelimit.h>
#include <neo/store.h>

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LEAF_LIFE_MAX = 48 * 3600,
    ROOT_LIFE = 10 * 365 * 86400,
    ISSUER_LIFE = 90 * 86400,
    BACKDATE = 60,
    SIGNATURES_PER_SECOND = 50,
    SIGNATURES_BURST = 200,
};

struct keeper {
    const char *dir;
    const char *trust_domain;
    bool development;
    struct neo_key *issuer_key;
    struct neo_cert *issuer;
    struct neo_cert *root;
    struct journal journal;
    struct neo_ratelimit limit;
};

/* --- keys ------------------------------------------------------------------------------------- */

static void path_of(const struct keeper *k, const char *name, char path[static 1024])
{
    (void)snprintf(path, 1024, "%s/%s", k->dir, name);
}

static enum neo_code save_key(const struct keeper *k, const char *name, const struct neo_key *key,
                              struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};
    char path[1024];

    path_of(k, name, path);
    NEO_TRY(neo_key_to_pem(key, &pem, err));
    return neo_file_replace(path, neo_buffer_bytes(&pem), 0600, err);
}

static enum neo_code load_key(const struct keeper *k, const char *name, struct neo_key **ret,
                              struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};
    char path[1024];

    path_of(k, name, path);
    NEO_TRY(neo_file_read(path, 16384, &pem, err));
    return neo_key_from_pem(neo_buffer_bytes(&pem), path, ret, err);
}

static enum neo_code save_cert(const struct keeper *k, const char *name, struct neo_bytes der,
                               struct neo_cert **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};
    char path[1024];

    path_of(k, name, path);
    NEO_TRY(neo_cert_from_der(der, path, ret, err));
    if (!neo_cert_to_pem(*ret, &pem))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory writing '%s'", path);
    return neo_file_replace(path, neo_buffer_bytes(&pem), 0644, err);
}

static enum neo_code load_cert(const struct keeper *k, const char *name, struct neo_cert **ret,
                               struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};
    char path[1024];

    path_of(k, name, path);
    NEO_TRY(neo_file_read(path, 65536, &pem, err));
    return neo_cert_from_pem(neo_buffer_bytes(&pem), path, ret, err);
}

static enum neo_code issue_ca(const struct keeper *k, const struct neo_key *subject_key,
                              const char *name, int64_t life, int path_length,
                              const struct neo_cert *issuer, const struct neo_key *issuer_key,
                              struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    char uri[300], common_name[300];

    NEO_TRY(neo_key_spki(subject_key, &spki, err));
    (void)snprintf(uri, sizeof(uri), "spiffe://%s", k->trust_domain);
    (void)snprintf(common_name, sizeof(common_name), "%s %s", k->trust_domain, name);
    struct neo_cert_template t = {
        .spki = neo_buffer_bytes(&spki),
        .uri = uri,
        .common_name = common_name,
        .not_before = now - BACKDATE,
        .not_after = now + life,
        .is_ca = true,
        .path_length = path_length,
    };
    neo_random(t.serial, sizeof(t.serial));
    return neo_cert_issue(&t, issuer, issuer_key, out, err);
}

static enum neo_code make_issuer(struct keeper *k, const struct neo_key *root_key,
                                 struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};

    NEO_TRY(neo_key_generate(NEO_KEY_P256, &k->issuer_key, err));
    NEO_TRY(issue_ca(k, k->issuer_key, "issuing CA", ISSUER_LIFE, 0, k->root, root_key, &der, err));
    NEO_TRY(save_key(k, "issuer.key", k->issuer_key, err));
    return save_cert(k, "issuer.pem", neo_buffer_bytes(&der), &k->issuer, err);
}

static enum neo_code make_keys(struct keeper *k, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *root_key = NULL;

    NEO_TRY(neo_key_generate(NEO_KEY_P256, &root_key, err));
    NEO_TRY(issue_ca(k, root_key, "root", ROOT_LIFE, 1, NULL, root_key, &der, err));
    NEO_TRY(save_key(k, "root.key", root_key, err));
    NEO_TRY(neo_cert_from_der(neo_buffer_bytes(&der), "new root", &k->root, err));
    NEO_TRY(make_issuer(k, root_key, err));
    neo_cert_unref(k->root);
    k->root = NULL;
    return save_cert(k, "root.pem", neo_buffer_bytes(&der), &k->root, err);
}

static enum neo_code open_keys(struct keeper *k, struct neo_error *err)
{
    enum neo_code code = load_cert(k, "root.pem", &k->root, err);

    /* root.pem is written last: without it there never was a CA here. */
    if (code == NEO_NOT_FOUND)
        return make_keys(k, err);
    if (code != NEO_OK)
        return code;
    NEO_TRY(load_cert(k, "issuer.pem", &k->issuer, err));
    return load_key(k, "issuer.key", &k->issuer_key, err);
}

/* --- operations ------------------------------------------------------------------------------- */

static enum neo_code describe(struct keeper *k, struct neo_buffer *out)
{
    struct neo_bytes root = neo_cert_facts(k->root)->der;
    struct neo_bytes issuer = neo_cert_facts(k->issuer)->der;
    uint32_t len = (uint32_t)root.len;

    (void)neo_buffer_append(out, neo_bytes(&len, sizeof(len)));
    (void)neo_buffer_append(out, root);
    (void)neo_buffer_append(out, issuer);
    return NEO_OK;
}

/* The front's word is not enough: the same rules again. */
static enum neo_code check_leaf(const struct keeper *k, const struct signer_request *r,
                                struct neo_error *err)
{
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;

    if (memchr(r->service, '\0', sizeof(r->service)) == NULL ||
        !neo_is_service_name(neo_text(r->service)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "not a service name");
    if (r->spki_len == 0 || r->spki_len > sizeof(r->spki))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "no public key");
    if (r->not_after - r->not_before > LEAF_LIFE_MAX + BACKDATE || r->not_after <= r->not_before)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a leaf lives at most 48 h");
    if (r->not_before > now + BACKDATE || r->not_before < now - 24 * 3600)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "the front's clock is not the signer's");
    if (neo_bytes_equal(neo_bytes(r->spki, r->spki_len), neo_cert_facts(k->issuer)->spki) ||
        neo_bytes_equal(neo_bytes(r->spki, r->spki_len), neo_cert_facts(k->root)->spki))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the CA's own key is no subject");
    return NEO_OK;
}

static enum neo_code sign_leaf(struct keeper *k, const struct signer_request *r,
                               struct neo_buffer *out, struct neo_error *err)
{
    char uri[400], domain_name[400];
    const char *names[4] = {r->service, domain_name, k->development ? "localhost" : NULL, NULL};

    if (journal_find(&k->journal, r->serial, out))
        return NEO_OK; /* signed before: the same certificate */
    NEO_TRY(check_leaf(k, r, err));
    if (neo_ratelimit_take(&k->limit, neo_mono_nsec()) != 0)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the signer signs at most %d a second",
                        SIGNATURES_PER_SECOND);
    (void)snprintf(uri, sizeof(uri), "spiffe://%s/%s", k->trust_domain, r->service);
    (void)snprintf(domain_name, sizeof(domain_name), "%s.%s", r->service, k->trust_domain);
    struct neo_cert_template t = {
        .spki = neo_bytes(r->spki, r->spki_len),
        .uri = uri,
        .common_name = r->service,
        .dns_names = names,
        .not_before = r->not_before,
        .not_after = r->not_after,
    };
    memcpy(t.serial, r->serial, sizeof(t.serial));
    NEO_TRY(neo_cert_issue(&t, k->issuer, k->issuer_key, out, err));
    return journal_append(&k->journal, r->serial, neo_buffer_bytes(out), err);
}

static enum neo_code sign_trust(struct keeper *k, const struct signer_request *r,
                                struct neo_buffer *out, struct neo_error *err)
{
    uint8_t message[sizeof(NEO_TRUST_LABEL) + NEO_SHA256_LEN] = NEO_TRUST_LABEL;

    memcpy(message + sizeof(NEO_TRUST_LABEL), r->digest, sizeof(r->digest));
    return neo_key_sign(k->issuer_key, neo_bytes(message, sizeof(message)), out, err);
}

static void answer(struct keeper *k, const struct signer_request *r, struct signer_answer *a)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {.limit = SIGNER_ANSWER_MAX};
    struct neo_error err = {.message = "unknown operation"};
    enum neo_code code = NEO_UNIMPLEMENTED;

    if (r->op == SIGNER_DESCRIBE)
        code = describe(k, &out);
    else if (r->op == SIGNER_LEAF)
        code = sign_leaf(k, r, &out, &err);
    else if (r->op == SIGNER_TRUST)
        code = sign_trust(k, r, &out, &err);
    struct neo_bytes bytes = code == NEO_OK ? neo_buffer_bytes(&out) : neo_text(err.message);
    *a = (struct signer_answer){.code = code, .len = (uint32_t)bytes.len};
    if (bytes.len > 0)
        memcpy(a->bytes, bytes.at, bytes.len);
}

/* --- the process ------------------------------------------------------------------------------ */

static void harden(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "neo-ca-signer");
}

static bool read_whole(int fd, void *at, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, (uint8_t *)at + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool write_whole(int fd, const void *at, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const uint8_t *)at + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static void serve(struct keeper *k, int in, int out)
{
    struct signer_request request;
    struct signer_answer *a = &(struct signer_answer){0};

    while (read_whole(in, &request, sizeof(request))) {
        answer(k, &request, a);
        if (!write_whole(out, a, offsetof(struct signer_answer, bytes) + a->len))
            return;
    }
}

int signer_main(int in, int out, const char *dir, const char *trust_domain, bool development)
{
    struct keeper k = {.dir = dir, .trust_domain = trust_domain, .development = development};
    struct neo_error err = {0};
    char path[1024];

    harden();
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        (void)fprintf(stderr, "error: cannot make the signer's folder '%s'\n", dir);
        return 1;
    }
    path_of(&k, "journal", path);
    neo_ratelimit_init(&k.limit, SIGNATURES_PER_SECOND, SIGNATURES_BURST);
    if (open_keys(&k, &err) != NEO_OK || journal_open(&k.journal, path, &err) != NEO_OK) {
        (void)fprintf(stderr, "error: signer: %s\n", err.message);
        return 1;
    }
    serve(&k, in, out);
    journal_close(&k.journal);
    neo_key_unref(k.issuer_key);
    neo_cert_unref(k.issuer);
    neo_cert_unref(k.root);
    return 0;
}
