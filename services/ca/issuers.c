/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the CA: one root, and issuers that follow each other. */
#include "ca/keeper.h"

#include <neo/store.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { BACKDATE = 60, GRACE = 3600 };

/* --- files ------------------------------------------------------------------------------------ */

static enum neo_code save_key(const struct keeper *k, const char *name, const struct neo_key *key,
                              struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};
    char path[1024];

    keeper_path(k, name, path);
    NEO_TRY(neo_key_to_pem(key, &pem, err));
    return neo_file_replace(path, neo_buffer_bytes(&pem), 0600, err);
}

static enum neo_code load_key(const struct keeper *k, const char *name, struct neo_key **ret,
                              struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};
    char path[1024];

    keeper_path(k, name, path);
    NEO_TRY(neo_file_read(path, 16384, &pem, err));
    return neo_key_from_pem(neo_buffer_bytes(&pem), path, ret, err);
}

static enum neo_code save_cert(const struct keeper *k, const char *name,
                               const struct neo_cert *cert, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};
    char path[1024];

    keeper_path(k, name, path);
    if (!neo_cert_to_pem(cert, &pem))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory writing '%s'", path);
    return neo_file_replace(path, neo_buffer_bytes(&pem), 0644, err);
}

static enum neo_code load_cert(const struct keeper *k, const char *name, struct neo_cert **ret,
                               struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};
    char path[1024];

    keeper_path(k, name, path);
    NEO_TRY(neo_file_read(path, 65536, &pem, err));
    return neo_cert_from_pem(neo_buffer_bytes(&pem), path, ret, err);
}

/* issuer.pem and issuer.key are what the first was called before there were successors. */
static void name_of(size_t number, const char *suffix, char name[static 32])
{
    if (number == 0)
        (void)snprintf(name, 32, "issuer.%s", suffix);
    else
        (void)snprintf(name, 32, "issuer-%zu.%s", number, suffix);
}

/* --- making ----------------------------------------------------------------------------------- */

static enum neo_code issue(const struct keeper *k, const struct neo_key *subject_key,
                           const char *name, int64_t now, int64_t life, int path_length,
                           const struct neo_cert *issuer, const struct neo_key *issuer_key,
                           struct neo_cert **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
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
    NEO_TRY(neo_cert_issue(&t, issuer, issuer_key, &der, err));
    return neo_cert_from_der(neo_buffer_bytes(&der), name, ret, err);
}

/* The certificate is written last: an issuer without one never was. */
static enum neo_code make_issuer(struct keeper *k, const struct neo_key *root_key, int64_t now,
                                 struct neo_error *err)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *key = NULL;
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = NULL;
    char name[32];

    if (k->n_issuers == KEEPER_ISSUERS_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "more than %d issuing certificates in '%s'",
                        KEEPER_ISSUERS_MAX, k->dir);
    int64_t life = neo_cert_facts(k->root)->not_after - now;
    if (life > KEEPER_ISSUER_LIFE)
        life = KEEPER_ISSUER_LIFE;
    NEO_TRY(neo_key_generate(NEO_KEY_P256, &key, err));
    NEO_TRY(issue(k, key, "issuing CA", now, life, 0, k->root, root_key, &cert, err));
    name_of(k->n_issuers, "key", name);
    NEO_TRY(save_key(k, name, key, err));
    name_of(k->n_issuers, "pem", name);
    NEO_TRY(save_cert(k, name, cert, err));
    k->issuers[k->n_issuers++] = (struct issuer){.cert = cert, .key = key};
    cert = NULL;
    key = NULL;
    return NEO_OK;
}

/* root.pem is written last: without it there never was a CA here. */
static enum neo_code make_all(struct keeper *k, int64_t now, struct neo_error *err)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *root_key = NULL;

    NEO_TRY(neo_key_generate(NEO_KEY_P256, &root_key, err));
    NEO_TRY(issue(k, root_key, "root", now, KEEPER_ROOT_LIFE, 1, NULL, root_key, &k->root, err));
    NEO_TRY(save_key(k, "root.key", root_key, err));
    NEO_TRY(make_issuer(k, root_key, now, err));
    return save_cert(k, "root.pem", k->root, err);
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum neo_code load_issuer(struct keeper *k, struct neo_error *err)
{
    struct issuer issuer = {.key = NULL};
    char name[32];

    name_of(k->n_issuers, "pem", name);
    NEO_TRY(load_cert(k, name, &issuer.cert, err));
    name_of(k->n_issuers, "key", name);
    enum neo_code code = load_key(k, name, &issuer.key, err);
    if (code != NEO_OK && code != NEO_NOT_FOUND) { /* one that has done its work has no key */
        neo_cert_unref(issuer.cert);
        return code;
    }
    k->issuers[k->n_issuers++] = issuer;
    return NEO_OK;
}

enum neo_code issuers_open(struct keeper *k, int64_t now, struct neo_error *err)
{
    enum neo_code code = load_cert(k, "root.pem", &k->root, err);

    if (code == NEO_NOT_FOUND)
        return make_all(k, now, err);
    if (code != NEO_OK)
        return code;
    do
        code = k->n_issuers == KEEPER_ISSUERS_MAX ? NEO_NOT_FOUND : load_issuer(k, err);
    while (code == NEO_OK);
    if (code != NEO_NOT_FOUND)
        return code;
    if (k->n_issuers == 0 || issuers_present(k)->key == NULL)
        return neo_fail(err, NEO_DATA_LOSS,
                        "the signer's folder '%s' lacks the key of its issuing certificate; "
                        "restore it from a copy",
                        k->dir);
    return NEO_OK;
}

const struct issuer *issuers_present(const struct keeper *k)
{
    return &k->issuers[k->n_issuers - 1];
}

const struct issuer *issuers_find(const struct keeper *k, struct neo_bytes key_id)
{
    for (size_t i = k->n_issuers; i > 0; i--)
        if (neo_bytes_equal(neo_cert_facts(k->issuers[i - 1].cert)->subject_key_id, key_id))
            return &k->issuers[i - 1];
    return NULL;
}

/* --- the next one ----------------------------------------------------------------------------- */

static void forget_key(struct keeper *k, size_t number)
{
    char name[32], path[1024];

    name_of(number, "key", name);
    keeper_path(k, name, path);
    if (unlink(path) != 0 && errno != ENOENT)
        return; /* at the next turn */
    neo_key_unref(k->issuers[number].key);
    k->issuers[number].key = NULL;
}

enum neo_code issuers_renew(struct keeper *k, int64_t now, struct neo_error *err)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *root_key = NULL;
    const struct neo_cert_facts *f = neo_cert_facts(issuers_present(k)->cert);

    for (size_t i = 0; i + 1 < k->n_issuers; i++) {
        int64_t since = neo_cert_facts(k->issuers[i + 1].cert)->not_before;
        if (k->issuers[i].key != NULL && now > since + KEEPER_LEAF_LIFE_MAX + GRACE)
            forget_key(k, i);
    }
    if (now < f->not_before + (f->not_after - f->not_before) / 3 * 2 ||
        f->not_after >= neo_cert_facts(k->root)->not_after)
        return NEO_OK;
    NEO_TRY(load_key(k, "root.key", &root_key, err));
    return make_issuer(k, root_key, now, err);
}
