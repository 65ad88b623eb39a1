/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/attest.h>

static const char *const kinds[] = {
#define X(name, text) [NEO_EVIDENCE_##name] = text,
    NEO_EVIDENCE_KINDS(X)
#undef X
};

static const char *const reasons[] = {
#define X(name, text) [NEO_ATTEST_##name] = text,
    NEO_ATTEST_REASONS(X)
#undef X
};

enum neo_evidence_kind neo_evidence_kind_parse(struct neo_bytes text)
{
    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        if (neo_bytes_is(text, kinds[i]))
            return (enum neo_evidence_kind)i;
    }
    return NEO_EVIDENCE_UNKNOWN;
}

const char *neo_evidence_kind_text(enum neo_evidence_kind kind)
{
    return (size_t)kind < NEO_COUNT(kinds) ? kinds[kind] : "unknown";
}

const char *neo_attest_reason_text(enum neo_attest_reason reason)
{
    return (size_t)reason < NEO_COUNT(reasons) ? reasons[reason] : "unknown";
}
