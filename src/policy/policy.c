/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From documents to a policy that may be trusted to decide: read, index, put to
 * its own tests. Whatever fails on the way leaves nothing behind.
 */
#include <neo/policy.h>

#include <neo/digest.h>
#include <neo/encoding.h>
#include <neo/memory.h>

#include "policy/index.h"

#include <assert.h>
#include <stdlib.h>

/* What a file may cost in memory: "a," is an operation, and those are the smallest things. */
enum { BYTES_PER_BYTE = 256, BYTES_ANYWAY = 1 << 20, NOON = 12 * 3600 };

static enum neo_code read_documents(struct neo_policy *policy, const struct neo_document *documents,
                                    size_t n, struct neo_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = neo_arena_string(&policy->arena, documents[i].name);
        if (name == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to read the policy");
        NEO_TRY(
            document_read_all(documents[i].text, name, &policy->arena, &policy->documents, err));
    }
    return NEO_OK;
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, NEO_SHA256_LEN);
}

/* The same for the same texts, whatever the files are called and in whichever order they came. */
static enum neo_code set_version(struct neo_policy *policy, const struct neo_document *documents,
                                 size_t n, struct neo_error *err)
{
    uint8_t digest[NEO_SHA256_LEN];
    struct neo_buffer hex = {.limit = sizeof(policy->version)};
    uint8_t(*digests)[NEO_SHA256_LEN] = neo_arena_calloc(&policy->arena, n, NEO_SHA256_LEN);

    if (neo_arena_failed(&policy->arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to name the policy");
    for (size_t i = 0; i < n; i++)
        neo_sha256(documents[i].text, digests[i]);
    if (n > 1)
        qsort(digests, n, NEO_SHA256_LEN, compare_digests);
    neo_sha256(neo_bytes(digests, n * NEO_SHA256_LEN), digest);
    if (!neo_hex_encode(&hex, neo_bytes(digest, 8)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to name the policy");
    memcpy(policy->version, hex.at, hex.len);
    neo_buffer_fini(&hex);
    return NEO_OK;
}

static struct neo_bytes test_metadata(const void *self, struct neo_bytes key)
{
    const struct test *test = self;
    const struct test_metadata *entries = test->metadata.at;

    for (size_t i = 0; i < test->metadata.len; i++)
        if (neo_bytes_equal(entries[i].key, key))
            return entries[i].value;
    return (struct neo_bytes){0};
}

static enum neo_code run_test(const struct neo_policy *policy, const struct test *test,
                              struct neo_error *err)
{
    struct neo_policy_question q = {
        .caller = test->from,
        .target = test->to,
        .attested = test->attested,
        .wall = NOON,
        .metadata = test_metadata,
        .metadata_self = test,
        .on_behalf_of = test->on_behalf_of,
        .tee = test->tee,
        .measurement = test->measurement,
    };
    struct pattern method = {0};
    unsigned minutes;

    (void)pattern_parse(test->method, &method); /* checked while it was read */
    q.service = method.service;
    q.method = method.method;
    if (document_parse_time(test->at, false, &minutes))
        q.wall = minutes * 60;

    struct neo_policy_answer answer = neo_policy_decide(policy, &q);
    bool allowed = answer.verdict == NEO_ALLOW;
    if (allowed == neo_bytes_is(test->expect, "allow"))
        return NEO_OK;
    return neo_fail_at(err, NEO_FAILED_PRECONDITION, test->place,
                       "test failed: %.*s to %.*s %.*s is %s (%s, line %u of %s)",
                       NEO_FMT(test->from), NEO_FMT(test->to), NEO_FMT(test->method),
                       allowed ? "allowed" : "denied", answer.reason, answer.rule.line,
                       answer.rule.file == NULL ? "no file" : answer.rule.file);
}

static enum neo_code run_tests(const struct neo_policy *policy, struct neo_error *err)
{
    for (const struct document *d = policy->documents.first; d != NULL; d = d->next) {
        const struct test *tests = d->tests.at;
        for (size_t i = 0; i < d->tests.len; i++)
            NEO_TRY(run_test(policy, &tests[i], err));
    }
    return NEO_OK;
}

static enum neo_code compile(struct neo_policy *policy, const struct neo_document *documents,
                             size_t n, struct neo_error *err)
{
    NEO_TRY(read_documents(policy, documents, n, err));
    NEO_TRY(index_build(policy, err));
    NEO_TRY(set_version(policy, documents, n, err));
    return run_tests(policy, err);
}

enum neo_code neo_policy_compile(const struct neo_document *documents, size_t n,
                                 struct neo_policy **ret, struct neo_error *err)
{
    struct neo_policy *policy = neo_alloc(sizeof(*policy));
    size_t budget = BYTES_ANYWAY;

    if (policy == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to compile the policy");
    for (size_t i = 0; i < n; i++)
        budget += (documents[i].text.len + documents[i].name.len) * BYTES_PER_BYTE;
    neo_arena_init(&policy->arena, budget);
    policy->documents.end = &policy->documents.first;
    atomic_init(&policy->refs, 1);

    enum neo_code code = compile(policy, documents, n, err);
    if (code == NEO_OK)
        *ret = policy;
    else
        neo_policy_unref(policy);
    return code;
}

struct neo_policy *neo_policy_ref(struct neo_policy *policy)
{
    atomic_fetch_add_explicit(&policy->refs, 1, memory_order_relaxed);
    return policy;
}

void neo_policy_unref(struct neo_policy *policy)
{
    if (policy == NULL || atomic_fetch_sub_explicit(&policy->refs, 1, memory_order_acq_rel) > 1)
        return;
    index_fini(policy);
    neo_arena_fini(&policy->arena);
    neo_free(policy);
}

const char *neo_policy_version(const struct neo_policy *policy)
{
    return policy->version;
}
