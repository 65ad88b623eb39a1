/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of the audit trail on hostile text, and the writer on hostile fields:
 * whatever a record holds, it is one line and verifies.
 */
#include <neo/audit.h>

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_hostile(struct neo_bytes text)
{
    struct neo_audit_chain chain;

    (void)(neo_audit_verify(text, neo_bytes(NULL, 0), &chain, NULL) == NEO_OK);
    (void)neo_audit_find(text, "d-0123456789abcdef");
}

static void write_hostile(struct neo_bytes field)
{
    struct neo_buffer log = {0};
    struct neo_audit_chain chain, after;
    struct neo_audit_record r = {
        .id = {"d-0123456789abcdef"},
        .caller = field,
        .target = neo_bytes_from(field, field.len / 2),
        .method = neo_bytes(field.at, field.len / 2),
        .decision = "deny",
        .stage = "authorise",
        .reason = "NO_RULE_ALLOWS",
        .peer = field,
    };

    neo_audit_chain_init(&chain);
    assert(neo_audit_append(&chain, &r, &log));
    assert(neo_audit_append(&chain, &r, &log));
    struct neo_bytes text = neo_buffer_bytes(&log);
    assert(neo_audit_verify(text, neo_bytes(NULL, 0), &after, NULL) == NEO_OK);
    assert(after.sequence == 2);
    assert(neo_audit_find(text, "d-0123456789abcdef").at == text.at);

    /* One changed byte, chosen by the input, is found. */
    if (field.len >= 2) {
        size_t at = (size_t)(field.at[0] << 8 | field.at[1]) % log.len;
        log.at[at] ^= (uint8_t)(field.at[field.len - 1] | 1);
        assert(neo_audit_verify(text, neo_bytes(NULL, 0), &after, NULL) == NEO_DATA_LOSS);
    }
    neo_buffer_fini(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_hostile(neo_bytes(data, size));
    write_hostile(neo_bytes(data, size));
    return 0;
}
