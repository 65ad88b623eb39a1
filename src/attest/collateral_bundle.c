/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools save what Intel's service answers in one JSON object: chains as PEM, lists as
 * hexadecimal, base64 or PEM, the documents as text, whole or with their signature beside them. It
 * is a wrapping, and its names are the ones of Intel's sgx_ql_qve_collateral_t.
 */
#include "attest/collateral.h"

#include <neo/encoding.h>
#include <neo/json.h>

enum { CHAINS = 3, LISTS = 2, DOCUMENTS = 2 };

struct bundle {
    struct neo_bytes chains[CHAINS];
    struct neo_bytes lists[LISTS];
    struct neo_bytes documents[DOCUMENTS];
    struct neo_bytes signatures[DOCUMENTS];
};

static const char *const chain_keys[CHAINS] = {"pck_crl_issuer_chain", "tcb_info_issuer_chain",
                                               "qe_identity_issuer_chain"};
static const char *const list_keys[LISTS] = {"root_ca_crl", "pck_crl"};
static const char *const document_keys[DOCUMENTS] = {"tcb_info", "qe_identity"};
static const char *const signature_keys[DOCUMENTS] = {"tcb_info_signature",
                                                      "qe_identity_signature"};
static const char *const body_keys[DOCUMENTS] = {"tcbInfo", "enclaveIdentity"};

static struct neo_bytes *slot(struct bundle *b, struct neo_bytes key)
{
    for (size_t i = 0; i < CHAINS; i++) {
        if (neo_bytes_is(key, chain_keys[i]))
            return &b->chains[i];
    }
    for (size_t i = 0; i < LISTS; i++) {
        if (neo_bytes_is(key, list_keys[i]))
            return &b->lists[i];
        if (neo_bytes_is(key, document_keys[i]))
            return &b->documents[i];
        if (neo_bytes_is(key, signature_keys[i]))
            return &b->signatures[i];
    }
    return NULL;
}

bool collateral_is_bundle(struct neo_bytes text, struct neo_arena *arena)
{
    struct bundle b = {.chains = {{0}}};
    struct neo_bytes key;
    struct neo_json r;

    neo_json_init(&r, text, "bundle", arena);
    if (!neo_json_enter_object(&r))
        return false;
    while (neo_json_key(&r, &key)) {
        if (slot(&b, key) != NULL)
            return true;
        if (!neo_json_skip(&r))
            return false;
    }
    return false;
}

/* A document may be text in a string, or stand as it is. */
static void read_value(struct neo_json *r, struct neo_bytes *ret)
{
    if (neo_json_peek(r) == NEO_JSON_STRING)
        (void)neo_json_string(r, ret);
    else if (neo_json_peek(r) == NEO_JSON_OBJECT)
        (void)neo_json_raw(r, ret);
    else
        (void)neo_json_skip(r);
}

/* {"tcbInfo":<body>,"signature":"<hex>"}, as Intel sends it. */
static enum neo_code add_document(struct neo_collateral *set, const struct bundle *b, size_t which,
                                  const char *what, collateral_part_fn *part, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer whole = {0};
    const struct neo_bytes *signature = &b->signatures[which];

    if (b->documents[which].len == 0)
        return NEO_OK;
    if (signature->len == 0)
        return part(set, b->documents[which], what, err);
    for (size_t i = 0; i < signature->len; i++) {
        if (signature->at[i] == '"' || signature->at[i] == '\\')
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: \"%s\" is no signature", what,
                            signature_keys[which]);
    }
    if (!neo_buffer_printf(&whole, "{\"%s\":", body_keys[which]) ||
        !neo_buffer_append(&whole, b->documents[which]) ||
        !neo_buffer_append_text(&whole, ",\"signature\":\"") ||
        !neo_buffer_append(&whole, *signature) || !neo_buffer_append_text(&whole, "\"}"))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    return part(set, neo_buffer_bytes(&whole), what, err);
}

static enum neo_code add_list(struct neo_collateral *set, struct neo_bytes text, const char *what,
                              collateral_part_fn *part, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};

    if (text.len == 0)
        return NEO_OK;
    if (text.at[0] == 'M' && neo_base64_decode(text, &raw, NULL) == NEO_OK) /* 'M': 30 8x */
        return part(set, neo_buffer_bytes(&raw), what, err);
    return part(set, text, what, err);
}

enum neo_code collateral_read_bundle(struct neo_collateral *set, struct neo_bytes text,
                                     const char *what, collateral_part_fn *part,
                                     struct neo_error *err)
{
    struct bundle b = {.chains = {{0}}};
    struct neo_bytes key;
    struct neo_json r;

    neo_json_init(&r, text, what, &set->arena);
    if (neo_json_enter_object(&r)) {
        while (neo_json_key(&r, &key)) {
            struct neo_bytes *at = slot(&b, key);
            if (at != NULL)
                read_value(&r, at);
            else
                (void)neo_json_skip(&r);
        }
    }
    NEO_TRY(neo_json_finish(&r, err));
    for (size_t i = 0; i < CHAINS; i++) {
        if (b.chains[i].len > 0)
            NEO_TRY(part(set, b.chains[i], what, err));
    }
    for (size_t i = 0; i < LISTS; i++)
        NEO_TRY(add_list(set, b.lists[i], what, part, err));
    for (size_t i = 0; i < DOCUMENTS; i++)
        NEO_TRY(add_document(set, &b, i, what, part, err));
    return NEO_OK;
}
