/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server.h"

#include <neo/memory.h>

static void release(struct neo_epoch *is)
{
    neo_identity_unref(is->identity);
    neo_trust_unref(is->trust);
    neo_policy_unref(is->policy);
    neo_limits_unref(is->limits);
    neo_attest_policies_unref(is->attest_policies);
    neo_attest_trust_unref(is->attest_trust);
}

/* The member of the change where it has one, else of the base; referenced. */
#define TAKE(member, ref)                                                                          \
    do {                                                                                           \
        if (change->member != NULL)                                                                \
            is.member = ref(change->member);                                                       \
        else if (base != NULL && base->is.member != NULL)                                          \
            is.member = ref(base->is.member);                                                      \
    } while (0)

static struct neo_epoch merge(const struct epoch *base, const struct neo_epoch *change)
{
    struct neo_epoch is = {0};

    TAKE(identity, neo_identity_ref);
    TAKE(trust, neo_trust_ref);
    TAKE(policy, neo_policy_ref);
    TAKE(limits, neo_limits_ref);
    TAKE(attest_policies, neo_attest_policies_ref);
    TAKE(attest_trust, neo_attest_trust_ref);
    return is;
}

static bool changes_attestation(const struct epoch *base, const struct neo_epoch *is)
{
    return base->is.attest_policies != is->attest_policies ||
           base->is.attest_trust != is->attest_trust;
}

/* A context is made anew only when what it is made of has changed. */
static enum neo_code take_tls(struct epoch *e, const struct epoch *base,
                              const struct tls_options *how, struct neo_error *err)
{
    struct tls_options options = *how;

    options.identity = e->is.identity;
    options.trust = e->is.trust;
    if (base == NULL || base->is.identity != e->is.identity || base->is.trust != e->is.trust)
        return tls_context_new(&options, &e->tls, err);
    e->tls = tls_context_ref(base->tls);
    return NEO_OK;
}

/* Mutual TLS cannot be without them; an insecure server would not use them. */
static enum neo_code check(const struct neo_epoch *is, enum tls_mode mode, struct neo_error *err)
{
    if (mode == TLS_MUTUAL)
        return NEO_OK;
    if (is->identity != NULL || is->trust != NULL || is->attest_policies != NULL ||
        is->attest_trust != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "an insecure server takes no identity, trust or rules of attestation: "
                        "nobody proves anything to it");
    return NEO_OK;
}

enum neo_code epoch_new(const struct epoch *base, const struct neo_epoch *change,
                        const struct tls_options *how, struct epoch **ret, struct neo_error *err)
{
    struct epoch *e = neo_alloc(sizeof(*e));

    if (e == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a server's epoch");
    e->refs = 1;
    e->number = base == NULL ? 1 : base->number + 1;
    e->is = merge(base, change);
    e->attest_number = base == NULL ? 1 : base->attest_number + changes_attestation(base, &e->is);

    enum neo_code code = check(&e->is, how->mode, err);
    if (code == NEO_OK)
        code = take_tls(e, base, how, err);
    if (code != NEO_OK) {
        epoch_unref(e);
        return code;
    }
    e->own_not_after = e->is.identity == NULL
                           ? INT64_MAX
                           : neo_cert_facts(neo_identity_leaf(e->is.identity))->not_after;
    *ret = e;
    return NEO_OK;
}

struct epoch *epoch_ref(struct epoch *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void epoch_unref(struct epoch *e)
{
    if (e == NULL || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) > 1)
        return;
    tls_context_unref(e->tls);
    release(&e->is);
    neo_free(e);
}
