/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keeper.h"

#include <neo/memory.h>
#include <neo/store.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKDATE = 60, SIGNATURES_PER_SECOND = 50, SIGNATURES_BURST = 200 };

void keeper_path(const struct keeper *k, const char *name, char path[static 1024])
{
    (void)snprintf(path, 1024, "%s/%s", k->dir, name);
}

enum neo_code keeper_put(struct neo_buffer *out, struct neo_bytes part, struct neo_error *err)
{
    uint32_t len = (uint32_t)part.len;

    (void)neo_buffer_append(out, neo_bytes(&len, sizeof(len)));
    return neo_buffer_append(out, part)
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory in the signer");
}

/* --- leaves ----------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t serial[static SIGNER_SERIAL_LEN])
{
    static const uint8_t zeros[SIGNER_SERIAL_LEN];

    return memcmp(serial, zeros, sizeof(zeros)) == 0;
}

/* What begins as the control plane's own names do is no name for anybody else. */
static bool is_reserved(const char *service)
{
    static const char *const own[] = {"neo-ca", "neo-registry", "neo-operator"};

    for (size_t i = 0; i < NEO_COUNT(own); i++)
        if (strcmp(service, own[i]) == 0)
            return false;
    return strncmp(service, "neo-", 4) == 0;
}

/* The certificate that is renewed: we made it, for this name, and it is good still. */
static enum neo_code check_parent(struct keeper *k, const struct signer_request *r, int64_t now,
                                  struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *parent = NULL;

    if (!journal_find(&k->journal, r->parent, &der))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "the certificate to be renewed was never signed here, or ended more than "
                        "%d days ago",
                        KEEPER_KEPT / 86400);
    NEO_TRY(neo_cert_from_der(neo_buffer_bytes(&der), "renewed certificate", &parent, err));
    const struct neo_cert_facts *f = neo_cert_facts(parent);
    if (!neo_bytes_is(f->id.service, r->service))
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "the certificate to be renewed is of another service");
    if (f->not_after <= now)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "the certificate to be renewed has ended");
    if (keeper_trust_revokes(k, parent))
        return neo_fail(err, NEO_PERMISSION_DENIED, "the certificate to be renewed is revoked");
    return NEO_OK;
}

/* The front's word is not enough: the same rules again. */
static enum neo_code check_leaf(struct keeper *k, const struct signer_request *r, int64_t now,
                                struct neo_error *err)
{
    struct neo_bytes spki = neo_bytes(r->spki, r->spki_len);

    if (memchr(r->service, '\0', sizeof(r->service)) == NULL ||
        !neo_is_service_name(neo_text(r->service)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "not a service name");
    if (is_reserved(r->service))
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "names that begin with \"neo-\" are the control plane's");
    if (r->spki_len == 0 || r->spki_len > sizeof(r->spki))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "no public key");
    if (r->not_after - r->not_before > KEEPER_LEAF_LIFE_MAX + BACKDATE ||
        r->not_after <= r->not_before)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a leaf lives at most 48 h");
    if (r->not_before > now + BACKDATE || r->not_before < now - 24 * 3600)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "the front's clock is not the signer's");
    if (neo_bytes_equal(spki, neo_cert_facts(k->root)->spki))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the CA's own key is no subject");
    for (size_t i = 0; i < k->n_issuers; i++)
        if (neo_bytes_equal(spki, neo_cert_facts(k->issuers[i].cert)->spki))
            return neo_fail(err, NEO_INVALID_ARGUMENT, "the CA's own key is no subject");
    return is_zero(r->parent) ? NEO_OK : check_parent(k, r, now, err);
}

static enum neo_code make_leaf(const struct keeper *k, const struct signer_request *r,
                               struct neo_buffer *der, struct neo_error *err)
{
    const struct issuer *issuer = issuers_present(k);
    char uri[400], domain_name[400];
    const char *names[4] = {r->service, domain_name, k->development ? "localhost" : NULL, NULL};

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
    return neo_cert_issue(&t, issuer->cert, issuer->key, der, err);
}

static enum neo_code put_leaf(const struct keeper *k, struct neo_bytes der, struct neo_buffer *out,
                              struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = NULL;

    NEO_TRY(neo_cert_from_der(der, "leaf", &leaf, err));
    const struct issuer *issuer = issuers_find(k, neo_cert_facts(leaf)->issuer_key_id);
    if (issuer == NULL)
        return neo_fail(err, NEO_DATA_LOSS, "the issuer of a journalled certificate is not here");
    NEO_TRY(keeper_put(out, der, err));
    return keeper_put(out, neo_cert_facts(issuer->cert)->der, err);
}

static enum neo_code sign_leaf(struct keeper *k, const struct signer_request *r, int64_t now,
                               neo_nsec mono, struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};

    if (journal_find(&k->journal, r->serial, &der)) /* signed before: the same certificate */
        return put_leaf(k, neo_buffer_bytes(&der), out, err);
    NEO_TRY(check_leaf(k, r, now, err));
    if (neo_ratelimit_take(&k->limit, mono) != 0)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the signer signs at most %d a second",
                        SIGNATURES_PER_SECOND);
    NEO_TRY(make_leaf(k, r, &der, err));
    NEO_TRY(journal_append(&k->journal, r->serial, neo_buffer_bytes(&der), err));
    return put_leaf(k, neo_buffer_bytes(&der), out, err);
}

/* --- what the journal need not keep ----------------------------------------------------------- */

enum { CLOCKS_APART_MAX = 300, LOOKED_AT_ONCE = 1024 };

/* Have both clocks gone alike for long enough? A clock that is set begins it anew. */
static bool is_time_tried(struct keeper *k, int64_t now, neo_nsec mono)
{
    int64_t gone = (int64_t)((mono - k->pruning.mono) / NEO_NSEC_PER_SEC);
    int64_t apart = now - k->pruning.wall - gone;

    if (k->pruning.wall == 0 || apart > CLOCKS_APART_MAX || apart < -CLOCKS_APART_MAX) {
        k->pruning.wall = now;
        k->pruning.mono = mono;
        k->pruning.n_ended = 0; /* counted by that clock */
        return false;
    }
    return gone >= KEEPER_CLOCK_TRIED;
}

static bool has_ended(struct keeper *k, size_t number, int64_t now)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = NULL;

    return journal_at(&k->journal, number, &der) &&
           neo_cert_from_der(neo_buffer_bytes(&der), "leaf", &leaf, NULL) == NEO_OK &&
           neo_cert_facts(leaf)->not_after + KEEPER_KEPT < now;
}

void keeper_prune(struct keeper *k, int64_t now, neo_nsec mono)
{
    size_t *ended = &k->pruning.n_ended, looked = 0;

    if (!is_time_tried(k, now, mono) || mono < k->pruning.next)
        return;
    /* They are in the order of their signing, and none lives longer than 48 h. */
    while (*ended + 1 < k->journal.n && looked < LOOKED_AT_ONCE && has_ended(k, *ended, now)) {
        ++*ended;
        looked++;
    }
    if (looked == LOOKED_AT_ONCE)
        return; /* the rest with the next request: nobody waits for all of it */
    k->pruning.next = mono + 3600 * NEO_NSEC_PER_SEC;
    if (*ended < KEEPER_DROPPED_LEAST || *ended < k->journal.n - *ended)
        return;
    k->pruning.trouble.code = NEO_OK;
    if (journal_prune(&k->journal, *ended, &k->pruning.trouble) == NEO_OK)
        *ended = 0;
}

/* --- answers ---------------------------------------------------------------------------------- */

static enum neo_code describe(struct keeper *k, struct neo_buffer *out, struct neo_error *err)
{
    NEO_TRY(keeper_put(out, neo_cert_facts(k->root)->der, err));
    return keeper_put(out, neo_cert_facts(issuers_present(k)->cert)->der, err);
}

enum neo_code keeper_answer(struct keeper *k, const struct signer_request *r, struct neo_bytes body,
                            int64_t now, neo_nsec mono, struct neo_buffer *out,
                            struct neo_error *err)
{
    /* A third of the issuer's life is left for trying again: nothing else waits for it. */
    if (issuers_renew(k, now, &k->trouble) == NEO_OK)
        k->trouble.code = NEO_OK;
    keeper_prune(k, now, mono);
    switch (r->op) {
    case SIGNER_DESCRIBE:
        return describe(k, out, err);
    case SIGNER_LEAF:
        return sign_leaf(k, r, now, mono, out, err);
    case SIGNER_TRUST:
        return keeper_trust_sign(k, body, now, out, err);
    case SIGNER_LAST:
        return keeper_put(out, neo_buffer_bytes(&k->last_wire), err);
    case SIGNER_CRL:
        return keeper_trust_crl(k, now, out, err);
    default:
        return neo_fail(err, NEO_UNIMPLEMENTED, "unknown operation %u", r->op);
    }
}

/* What a signer that works writes looks to another like the end that a crash cut. */
static enum neo_code lock_folder(struct keeper *k, struct neo_error *err)
{
    char path[1024];

    keeper_path(k, "lock", path);
    k->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (k->lock < 0)
        return neo_fail_errno(err, "cannot open '%s'", path);
    if (flock(k->lock, LOCK_EX | LOCK_NB) == 0)
        return NEO_OK;
    return errno == EWOULDBLOCK
               ? neo_fail(err, NEO_UNAVAILABLE, "another signer works in '%s'", k->dir)
               : neo_fail_errno(err, "cannot lock '%s'", path);
}

enum neo_code keeper_open(struct keeper *k, const char *dir, const char *trust_domain,
                          bool development, int64_t now, struct neo_error *err)
{
    char path[1024];

    *k = (struct keeper){.dir = dir,
                         .trust_domain = trust_domain,
                         .development = development,
                         .lock = -1,
                         .journal.fd = -1};
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return neo_fail_errno(err, "cannot make the signer's folder '%s'", dir);
    NEO_TRY(lock_folder(k, err));
    neo_ratelimit_init(&k->limit, SIGNATURES_PER_SECOND, SIGNATURES_BURST);
    NEO_TRY(issuers_open(k, now, err));
    NEO_TRY(keeper_trust_open(k, err));
    keeper_path(k, "journal", path);
    return journal_open(&k->journal, path, err);
}

void keeper_close(struct keeper *k)
{
    if (k->journal.fd >= 0)
        journal_close(&k->journal);
    for (size_t i = 0; i < k->n_issuers; i++) {
        neo_key_unref(k->issuers[i].key);
        neo_cert_unref(k->issuers[i].cert);
    }
    neo_cert_unref(k->root);
    neo_buffer_fini(&k->last_wire);
    neo_arena_fini(&k->last_memory);
    if (k->lock >= 0)
        (void)close(k->lock);
}
