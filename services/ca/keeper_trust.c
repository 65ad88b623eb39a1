/* SPDX-License-Identifier: Apache-2.0 */
/* The trust as the signer reads it: what may be in one, and what must be. */
#include "ca/keeper.h"

#include <neo/memory.h>
#include <neo/mesh.h>
#include <neo/store.h>

#include <inttypes.h>
#include <stdlib.h>

enum {
    MEMORY_MAX = 96 << 20,
    CLOCK_SLACK = 300,
    EPOCH_STEP_MAX = 1000000, /* a number near the end of all numbers would be the last ever */
    CRL_LIFE = 86400,
};

typedef struct neo_ca_v1_Revocation revocation;

/* --- the last one ----------------------------------------------------------------------------- */

static enum neo_code decode(struct neo_bytes wire, struct neo_arena *arena,
                            struct neo_ca_v1_Trust *ret, struct neo_error *err)
{
    neo_arena_init(arena, MEMORY_MAX);
    enum neo_code code = neo_ca_v1_Trust_decode(wire, ret, arena, err);
    if (code != NEO_OK)
        neo_arena_fini(arena);
    return code;
}

/* Takes the contents of `wire` and `arena`. */
static void remember(struct keeper *k, struct neo_buffer *wire, struct neo_arena *arena,
                     const struct neo_ca_v1_Trust *trust)
{
    neo_buffer_fini(&k->last_wire);
    neo_arena_fini(&k->last_memory);
    k->last_wire = *wire;
    k->last_memory = *arena;
    k->last = *trust;
    *wire = (struct neo_buffer){0};
}

enum neo_code keeper_trust_open(struct keeper *k, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_ca_v1_Trust trust = {0};
    struct neo_arena arena;
    char path[1024];

    keeper_path(k, "trust.last", path);
    enum neo_code code = neo_file_read(path, SIGNER_BODY_MAX, &wire, err);
    if (code == NEO_NOT_FOUND)
        return NEO_OK;
    if (code != NEO_OK)
        return code;
    if (decode(neo_buffer_bytes(&wire), &arena, &trust, err) != NEO_OK)
        return neo_fail(err, NEO_DATA_LOSS, "'%s' is damaged; restore it from a copy", path);
    remember(k, &wire, &arena, &trust);
    return NEO_OK;
}

/* --- comparing -------------------------------------------------------------------------------- */

static int compare_bytes(struct neo_bytes a, struct neo_bytes b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.at, b.at, a.len);
}

/* By what it revokes; when and why do not matter. */
static int compare(const void *left, const void *right)
{
    const revocation *a = *(revocation *const *)left, *b = *(revocation *const *)right;
    int order = compare_bytes(a->serial, b->serial);

    if (order == 0)
        order = compare_bytes(a->service, b->service);
    if (order == 0)
        order = compare_bytes(a->issuer_key_id, b->issuer_key_id);
    if (order == 0 && a->issued_before != b->issued_before)
        order = a->issued_before < b->issued_before ? -1 : 1;
    return order;
}

static revocation **sorted(const struct neo_ca_v1_Trust *trust)
{
    size_t n = trust->revocations.len;
    revocation **all = neo_alloc_array(n + 1, sizeof(revocation *));

    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = trust->revocations.at[i];
    if (all != NULL)
        qsort(all, n, sizeof(revocation *), compare);
    return all;
}

static void free_sorted(revocation ***all)
{
    neo_free(*all);
}

static bool covers(const revocation *r, const struct neo_cert_facts *leaf)
{
    if (r->serial.len > 0)
        return neo_bytes_equal(r->serial, leaf->serial) &&
               neo_bytes_equal(r->issuer_key_id, leaf->issuer_key_id);
    return neo_bytes_equal(r->service, leaf->id.service) && leaf->not_before < r->issued_before;
}

/*
 * Instead of a serial the trust may revoke all of its service, for at least as long. The journal
 * says whose it was; of what is not in it nothing is believed.
 */
static bool is_replaced(struct keeper *k, const revocation *old, const struct neo_ca_v1_Trust *next)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = NULL;

    if (old->serial.len != SIGNER_SERIAL_LEN || !journal_find(&k->journal, old->serial.at, &der) ||
        neo_cert_from_der(neo_buffer_bytes(&der), "leaf", &leaf, NULL) != NEO_OK ||
        !covers(old, neo_cert_facts(leaf)))
        return false;
    for (size_t i = 0; i < next->revocations.len; i++) {
        const revocation *r = next->revocations.at[i];
        if (r->serial.len == 0 && r->at >= old->at && covers(r, neo_cert_facts(leaf)))
            return true;
    }
    return false;
}

/* Nothing that may still matter is forgotten, and what is new has a new number. */
static enum neo_code check_succession(struct keeper *k, const struct neo_ca_v1_Trust *next,
                                      int64_t now, struct neo_error *err)
{
    NEO_CLEANUP(free_sorted) revocation **old = sorted(&k->last);
    NEO_CLEANUP(free_sorted) revocation **new = sorted(next);
    size_t i = 0, j = 0, added = 0;

    if (old == NULL || new == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the trust");
    while (i < k->last.revocations.len || j < next->revocations.len) {
        int order = i == k->last.revocations.len ? 1
                    : j == next->revocations.len ? -1
                                                 : compare(&old[i], &new[j]);
        if (order < 0 && old[i]->at + KEEPER_REVOCATION_TOLD > now && !is_replaced(k, old[i], next))
            return neo_fail(err, NEO_PERMISSION_DENIED,
                            "the trust takes back a revocation of the one before");
        added += order > 0;
        i += order <= 0;
        j += order >= 0;
    }
    if (added > 0 && next->epoch == k->last.epoch)
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "another trust under the number of the one before, %" PRIu64, next->epoch);
    return NEO_OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum neo_code check_domain(const struct keeper *k, const struct neo_ca_v1_Trust *t,
                                  struct neo_error *err)
{
    if (t->domains.len != 1 || !neo_bytes_is(t->domains.at[0]->name, k->trust_domain))
        return neo_fail(err, NEO_PERMISSION_DENIED, "the trust is not about %.100s alone",
                        k->trust_domain);
    if (t->domains.at[0]->roots.len != 1 ||
        !neo_bytes_equal(t->domains.at[0]->roots.at[0], neo_cert_facts(k->root)->der))
        return neo_fail(err, NEO_PERMISSION_DENIED, "the trust names another root than ours");
    return NEO_OK;
}

static enum neo_code check_revocation(const struct keeper *k, const revocation *r, int64_t now,
                                      struct neo_error *err)
{
    bool by_serial = r->serial.len > 0;

    if (r->at > now + CLOCK_SLACK || r->issued_before > now + CLOCK_SLACK)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a revocation of what is to come");
    if (by_serial &&
        (r->serial.len > 20 || r->service.len > 0 || issuers_find(k, r->issuer_key_id) == NULL))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a revoked serial that is not our issuers'");
    if (!by_serial && !neo_is_service_name(r->service))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a revocation of neither serial nor service");
    return NEO_OK;
}

static enum neo_code check_trust(struct keeper *k, const struct neo_ca_v1_Trust *t, int64_t now,
                                 struct neo_error *err)
{
    NEO_TRY(check_domain(k, t, err));
    if (t->epoch == 0 || t->epoch < k->last.epoch)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "trust number %" PRIu64 " after number %" PRIu64, t->epoch, k->last.epoch);
    if (k->last.epoch != 0 && t->epoch - k->last.epoch > EPOCH_STEP_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "trust number %" PRIu64 " is too far from the last, %" PRIu64, t->epoch,
                        k->last.epoch);
    if (t->signed_at > now + CLOCK_SLACK || t->signed_at < now - CLOCK_SLACK)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "the front's clock is not the signer's");
    for (size_t i = 0; i < t->revocations.len; i++)
        NEO_TRY(check_revocation(k, t->revocations.at[i], now, err));
    return check_succession(k, t, now, err);
}

static enum neo_code save(const struct keeper *k, struct neo_bytes wire, struct neo_error *err)
{
    char path[1024];

    keeper_path(k, "trust.last", path);
    return neo_file_replace(path, wire, 0600, err);
}

static enum neo_code sign(const struct keeper *k, struct neo_bytes wire, struct neo_buffer *out,
                          struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer signature = {0};
    uint8_t message[sizeof(NEO_TRUST_LABEL) + NEO_SHA256_LEN] = NEO_TRUST_LABEL;
    const struct issuer *issuer = issuers_present(k);

    neo_sha256(wire, message + sizeof(NEO_TRUST_LABEL));
    NEO_TRY(neo_key_sign(issuer->key, neo_bytes(message, sizeof(message)), &signature, err));
    NEO_TRY(keeper_put(out, neo_buffer_bytes(&signature), err));
    return keeper_put(out, neo_cert_facts(issuer->cert)->der, err);
}

enum neo_code keeper_trust_sign(struct keeper *k, struct neo_bytes wire, int64_t now,
                                struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer copy = {0};
    struct neo_ca_v1_Trust trust = {0};
    struct neo_arena arena;

    if (!neo_buffer_append(&copy, wire)) /* what is decoded points into it */
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the trust");
    NEO_TRY(decode(neo_buffer_bytes(&copy), &arena, &trust, err));
    enum neo_code code = check_trust(k, &trust, now, err);
    if (code == NEO_OK) /* on disk before anybody sees it: the next one must not fall behind it */
        code = save(k, wire, err);
    if (code == NEO_OK)
        code = sign(k, wire, out, err);
    if (code != NEO_OK) {
        neo_arena_fini(&arena);
        return code;
    }
    remember(k, &copy, &arena, &trust);
    return NEO_OK;
}

/* --- asking ----------------------------------------------------------------------------------- */

bool keeper_trust_revokes(const struct keeper *k, const struct neo_cert *leaf)
{
    for (size_t i = 0; i < k->last.revocations.len; i++)
        if (covers(k->last.revocations.at[i], neo_cert_facts(leaf)))
            return true;
    return false;
}

/* --- for other people's software -------------------------------------------------------------- */

struct crl {
    struct neo_revoked *at;
    size_t n;
    size_t cap;
};

static bool add_revoked(struct crl *crl, struct neo_bytes serial, int64_t at)
{
    if (crl->n == crl->cap) {
        size_t cap = crl->cap == 0 ? 256 : crl->cap * 2;
        struct neo_revoked *grown = neo_realloc(crl->at, cap * sizeof(*grown));
        if (grown == NULL)
            return false;
        crl->at = grown;
        crl->cap = cap;
    }
    crl->at[crl->n++] = (struct neo_revoked){.serial = serial, .at = at};
    return true;
}

/* A CRL knows serials only: what a service's revocation covers is looked up in the journal. */
static bool add_covered(struct keeper *k, const struct issuer *issuer, size_t index, int64_t now,
                        struct crl *crl, bool *ret_older)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *leaf = NULL;
    struct neo_bytes serial = {k->journal.serials + index * SIGNER_SERIAL_LEN, SIGNER_SERIAL_LEN};

    if (!journal_find(&k->journal, serial.at, &der) ||
        neo_cert_from_der(neo_buffer_bytes(&der), "leaf", &leaf, NULL) != NEO_OK)
        return false;
    const struct neo_cert_facts *f = neo_cert_facts(leaf);
    *ret_older = f->not_before < now - KEEPER_LEAF_LIFE_MAX - 86400;
    if (f->not_after <= now ||
        !neo_bytes_equal(f->issuer_key_id, neo_cert_facts(issuer->cert)->subject_key_id))
        return true;
    for (size_t i = 0; i < k->last.revocations.len; i++)
        if (covers(k->last.revocations.at[i], f))
            return add_revoked(crl, serial, k->last.revocations.at[i]->at);
    return true;
}

static enum neo_code put_crl(struct keeper *k, const struct issuer *issuer, int64_t now,
                             struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    struct crl crl = {.n = 0};
    bool older = false, good = true;

    for (size_t i = k->journal.n; good && !older && i > 0; i--)
        good = add_covered(k, issuer, i - 1, now, &crl, &older);
    enum neo_code code = good ? neo_crl_issue(crl.at, crl.n, (uint64_t)now, now, now + CRL_LIFE,
                                              issuer->cert, issuer->key, &der, err)
                              : neo_fail(err, NEO_INTERNAL, "the journal cannot be read for a CRL");
    neo_free(crl.at);
    return code == NEO_OK ? keeper_put(out, neo_buffer_bytes(&der), err) : code;
}

enum neo_code keeper_trust_crl(struct keeper *k, int64_t now, struct neo_buffer *out,
                               struct neo_error *err)
{
    for (size_t i = k->n_issuers; i > 0 && i + 2 > k->n_issuers; i--)
        if (k->issuers[i - 1].key != NULL)
            NEO_TRY(put_crl(k, &k->issuers[i - 1], now, out, err));
    return NEO_OK;
}
