/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/vouch.h"

#include <neo/digest.h>
#include <neo/memory.h>

#include <pthread.h>
#include <stdatomic.h>

enum { CLOCK_TOLERANCE = 5 /* seconds: less is how clocks are kept right */ };

struct attest_vouch {
    _Atomic unsigned refs;
    uint8_t key_sha256[NEO_SHA256_LEN];
    uint8_t evidence_sha256[NEO_SHA256_LEN];
    struct neo_appraisal appraisal;
    uint8_t measurement[VOUCH_MEASUREMENT_MAX];
    uint8_t key[SESSION_KEY_P256_LEN];
    size_t key_len;
    uint64_t rules;
    struct neo_cert *leaf;
    int64_t clock; /* the wall's seconds when the monotonic clock was 0 */
    neo_nsec since;
    neo_nsec until;
    size_t identity_len;
    uint8_t identity[];
};

bool vouch_takes_key(struct neo_bytes spki)
{
    return spki.len == SESSION_KEY_P256_LEN || spki.len == SESSION_KEY_ED25519_LEN;
}

static int64_t clock_of(int64_t wall, neo_nsec now)
{
    return wall - (int64_t)(now / NEO_NSEC_PER_SEC);
}

struct attest_vouch *vouch_new(const struct vouch_facts *facts)
{
    const struct neo_appraisal *a = facts->appraisal;

    if (!vouch_takes_key(facts->key) || a->measurement.len > VOUCH_MEASUREMENT_MAX)
        return NULL;
    struct attest_vouch *v = neo_alloc(sizeof(*v) + facts->identity.len);
    if (v == NULL)
        return NULL;
    atomic_init(&v->refs, 1);
    v->appraisal = *a;
    v->appraisal.checks = NULL;
    v->appraisal.n_checks = 0;
    if (a->measurement.len > 0)
        memcpy(v->measurement, a->measurement.at, a->measurement.len);
    v->appraisal.measurement = neo_bytes(v->measurement, a->measurement.len);
    memcpy(v->evidence_sha256, facts->evidence_sha256, sizeof(v->evidence_sha256));
    memcpy(v->key, facts->key.at, facts->key.len);
    v->key_len = facts->key.len;
    neo_sha256(facts->key, v->key_sha256);
    v->rules = facts->rules;
    v->leaf = facts->leaf == NULL ? NULL : neo_cert_ref(facts->leaf);
    v->clock = clock_of(facts->wall, facts->since);
    v->since = facts->since;
    v->until = facts->until;
    v->identity_len = facts->identity.len;
    memcpy(v->identity, facts->identity.at, facts->identity.len);
    return v;
}

struct attest_vouch *vouch_ref(struct attest_vouch *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void vouch_unref(struct attest_vouch *v)
{
    if (v == NULL || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    neo_cert_unref(v->leaf);
    neo_free(v);
}

struct neo_bytes vouch_key(const struct attest_vouch *v)
{
    return neo_bytes(v->key, v->key_len);
}

const uint8_t *vouch_key_sha256(const struct attest_vouch *v)
{
    return v->key_sha256;
}

const uint8_t *vouch_evidence_sha256(const struct attest_vouch *v)
{
    return v->evidence_sha256;
}

neo_nsec vouch_until(const struct attest_vouch *v)
{
    return v->until;
}

const struct neo_appraisal *vouch_appraisal(const struct attest_vouch *v)
{
    return &v->appraisal;
}

/* --- the table -------------------------------------------------------------------------------- */

struct vouch_table {
    pthread_mutex_t lock;
    struct attest_vouch *at[VOUCHES_MAX]; /* oldest first */
    size_t n;
};

struct vouch_table *vouch_table_new(void)
{
    struct vouch_table *t = neo_alloc(sizeof(*t));

    if (t != NULL)
        (void)pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void drop(struct vouch_table *t, size_t i)
{
    vouch_unref(t->at[i]);
    t->n--;
    memmove(&t->at[i], &t->at[i + 1], (t->n - i) * sizeof(t->at[0]));
}

void vouch_table_free(struct vouch_table *t)
{
    if (t == NULL)
        return;
    while (t->n > 0)
        drop(t, t->n - 1);
    (void)pthread_mutex_destroy(&t->lock);
    neo_free(t);
}

static bool is_of(const struct attest_vouch *v, struct neo_bytes identity)
{
    return neo_bytes_equal(neo_bytes(v->identity, v->identity_len), identity);
}

/* The place of what must go for `v`; n: nothing. */
static size_t find_loser(const struct vouch_table *t, const struct attest_vouch *v)
{
    struct neo_bytes identity = neo_bytes(v->identity, v->identity_len);
    size_t oldest = t->n;
    size_t of_one = 0;

    for (size_t i = 0; i < t->n; i++) {
        if (!is_of(t->at[i], identity))
            continue;
        if (memcmp(t->at[i]->key_sha256, v->key_sha256, sizeof(v->key_sha256)) == 0)
            return i;
        of_one++;
        if (oldest == t->n)
            oldest = i;
    }
    if (of_one >= VOUCHES_OF_ONE)
        return oldest;
    return t->n < VOUCHES_MAX ? t->n : 0;
}

void vouch_put(struct vouch_table *t, struct attest_vouch *v)
{
    (void)pthread_mutex_lock(&t->lock);
    size_t loser = find_loser(t, v);
    if (loser < t->n)
        drop(t, loser);
    t->at[t->n++] = vouch_ref(v);
    (void)pthread_mutex_unlock(&t->lock);
}

static bool holds(const struct attest_vouch *v, const struct vouch_moment *at)
{
    int64_t step = clock_of(at->wall, at->now) - v->clock;

    return v->rules == at->rules && at->now < v->until && step <= CLOCK_TOLERANCE &&
           step >= -CLOCK_TOLERANCE && (v->leaf == NULL || neo_trust_stands(at->trust, v->leaf));
}

size_t vouch_find(struct vouch_table *t, struct neo_bytes identity, const struct vouch_moment *at,
                  struct attest_vouch *ret[static VOUCHES_OF_ONE])
{
    size_t n = 0;

    (void)pthread_mutex_lock(&t->lock);
    for (size_t i = t->n; i-- > 0 && n < VOUCHES_OF_ONE;) {
        struct attest_vouch *v = t->at[i];
        if (!is_of(v, identity))
            continue;
        if (!holds(v, at))
            drop(t, i);
        else if (at->now - v->since < (v->until - v->since) / 2)
            ret[n++] = vouch_ref(v);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return n;
}
