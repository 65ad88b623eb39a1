/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: what they look like, unwrapped, described and explained. */
#include <neo/attest_policy.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_bytes body = neo_evidence_unwrap(neo_bytes(data, size));
    const struct neo_explain_node *nodes;
    struct neo_evidence_facts facts;
    struct neo_arena arena;
    size_t n;

    must(body.at >= data && body.len <= size);
    const struct neo_evidence evidence = {.kind = neo_evidence_guess(body), .body = body};
    neo_arena_init(&arena, 8 << 20);
    enum neo_code described = neo_evidence_describe(&evidence, &arena, &facts, NULL);
    enum neo_code explained = neo_evidence_explain(&evidence, &arena, &nodes, &n, NULL);
    must(described == explained);
    if (described == NEO_OK)
        must(facts.n > 0 && n > facts.n);
    neo_arena_fini(&arena);
    return 0;
}
