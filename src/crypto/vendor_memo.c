/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/vendor_memo.h"

#include "crypto/vendor_internal.h"

#include <neo/memory.h>

#include <assert.h>
#include <pthread.h>

/* A fact is at home in one of WAYS places that follow each other. */
enum { FACTS = 1024, CERTS = 256, WAYS = 4, PARTS_MAX = 16 };

struct fact {
    struct vendor_memo_key key;
    int64_t not_before;
    int64_t not_after; /* not above not_before: an empty place */
};

struct vendor_memo {
    pthread_mutex_t lock;
    struct fact facts[FACTS];
    struct vendor_cert *certs[CERTS];
};

struct vendor_memo *vendor_memo_new(void)
{
    struct vendor_memo *memo = neo_alloc(sizeof(*memo));

    if (memo == NULL)
        return NULL;
    (void)pthread_mutex_init(&memo->lock, NULL);
    return memo;
}

void vendor_memo_free(struct vendor_memo *memo)
{
    if (memo == NULL)
        return;
    for (size_t i = 0; i < CERTS; i++)
        vendor_cert_unref(memo->certs[i]);
    (void)pthread_mutex_destroy(&memo->lock);
    neo_free(memo);
}

/* A digest of digests: each part is hashed first, so none can run into the next. */
struct vendor_memo_key vendor_memo_key(const char *kind, const struct neo_bytes *parts, size_t n)
{
    uint8_t digests[(PARTS_MAX + 1) * NEO_SHA256_LEN];
    struct vendor_memo_key key = {.sha256 = {0}};

    assert(n <= PARTS_MAX);
    neo_sha256(neo_text(kind), digests);
    for (size_t i = 0; i < n; i++)
        neo_sha256(parts[i], digests + (i + 1) * NEO_SHA256_LEN);
    neo_sha256(neo_bytes(digests, (n + 1) * NEO_SHA256_LEN), key.sha256);
    return key;
}

static size_t home_of(const uint8_t *sha256, size_t n)
{
    return ((size_t)sha256[0] << 8 | sha256[1]) * WAYS % n;
}

static struct fact *find_fact(struct vendor_memo *memo, const struct vendor_memo_key *key)
{
    struct fact *home = &memo->facts[home_of(key->sha256, FACTS)];

    for (size_t i = 0; i < WAYS; i++) {
        if (memcmp(&home[i].key, key, sizeof(*key)) == 0)
            return &home[i];
    }
    return NULL;
}

bool vendor_memo_knows(struct vendor_memo *memo, const struct vendor_memo_key *key, int64_t now)
{
    if (memo == NULL)
        return false;
    (void)pthread_mutex_lock(&memo->lock);
    const struct fact *fact = find_fact(memo, key);
    bool knows = fact != NULL && fact->not_before <= now && now < fact->not_after;
    (void)pthread_mutex_unlock(&memo->lock);
    return knows;
}

void vendor_memo_keep(struct vendor_memo *memo, const struct vendor_memo_key *key,
                      int64_t not_before, int64_t not_after)
{
    if (memo == NULL)
        return;
    (void)pthread_mutex_lock(&memo->lock);
    struct fact *fact = find_fact(memo, key);
    if (fact == NULL) { /* the oldest of its home goes */
        fact = &memo->facts[home_of(key->sha256, FACTS)];
        memmove(fact + 1, fact, (WAYS - 1) * sizeof(*fact));
    }
    *fact = (struct fact){*key, not_before, not_after};
    (void)pthread_mutex_unlock(&memo->lock);
}

struct vendor_cert *vendor_memo_cert(struct vendor_memo *memo, struct neo_bytes der)
{
    struct vendor_cert *cert = NULL;
    uint8_t sha256[NEO_SHA256_LEN];

    if (memo == NULL)
        return NULL;
    neo_sha256(der, sha256);
    (void)pthread_mutex_lock(&memo->lock);
    struct vendor_cert **home = &memo->certs[home_of(sha256, CERTS)];
    for (size_t i = 0; i < WAYS && cert == NULL; i++) {
        if (home[i] != NULL && neo_bytes_equal(home[i]->facts.der, der))
            cert = vendor_cert_ref(home[i]);
    }
    (void)pthread_mutex_unlock(&memo->lock);
    return cert;
}

void vendor_memo_keep_cert(struct vendor_memo *memo, struct vendor_cert *cert)
{
    struct vendor_cert *old = NULL;

    if (memo == NULL)
        return;
    (void)pthread_mutex_lock(&memo->lock);
    struct vendor_cert **home = &memo->certs[home_of(cert->facts.sha256, CERTS)];
    bool is_kept = false;
    for (size_t i = 0; i < WAYS; i++)
        is_kept = is_kept || home[i] == cert;
    if (!is_kept) {
        old = home[WAYS - 1];
        memmove(home + 1, home, (WAYS - 1) * sizeof(struct vendor_cert *));
        home[0] = vendor_cert_ref(cert);
    }
    (void)pthread_mutex_unlock(&memo->lock);
    if (!is_kept)
        vendor_cert_unref(old);
}
