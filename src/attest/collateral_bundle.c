/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools save what Intel's service answers in one JSON object: chains as PEM, lists as
 * hexadecimal, base64 or PEM, the documents as text, whole or with their signature beside them. It
 * is a wrapping, and its names are the ones of Intel's sgx_ql_qve_collateral_t.
 */
#include "attest/collateral_text.h"

#include <neo/json.h>

/* As the object has it, before documents and signatures are put together. */
struct members {
    struct collateral_saved is;
    struct neo_bytes signatures[COLLATERAL_DOCUMENTS];
};

static const char *const chain_keys[COLLATERAL_CHAINS] = {
    "pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain"};
static const char platform_key[] = "pck_certificate_chain";
static const char *const list_keys[COLLATERAL_LISTS] = {"root_ca_crl", "pck_crl"};
static const char *const document_keys[COLLATERAL_DOCUMENTS] = {"tcb_info", "qe_identity"};
static const char *const signature_keys[COLLATERAL_DOCUMENTS] = {"tcb_info_signature",
                                                                 "qe_identity_signature"};
static const char *const body_keys[COLLATERAL_DOCUMENTS] = {"tcbInfo", "enclaveIdentity"};

static struct neo_bytes *find(const char *const *keys, size_t n, struct neo_bytes *at,
                              struct neo_bytes key)
{
    for (size_t i = 0; i < n; i++) {
        if (neo_bytes_is(key, keys[i]))
            return &at[i];
    }
    return NULL;
}

/* Chains and lists. */
static struct neo_bytes *certificates_slot(struct members *m, struct neo_bytes key)
{
    struct neo_bytes *slot = find(chain_keys, COLLATERAL_CHAINS, m->is.chains, key);

    if (slot == NULL)
        slot = find(list_keys, COLLATERAL_LISTS, m->is.lists, key);
    return slot == NULL && neo_bytes_is(key, platform_key) ? &m->is.platform : slot;
}

bool collateral_is_saved_key(struct neo_bytes key)
{
    struct members m = {.signatures = {{0}}};

    return certificates_slot(&m, key) != NULL ||
           find(document_keys, COLLATERAL_DOCUMENTS, m.is.documents, key) != NULL ||
           find(signature_keys, COLLATERAL_DOCUMENTS, m.signatures, key) != NULL;
}

/* A string, or nothing. */
static void read_text(struct neo_json *r, struct neo_bytes *ret)
{
    if (neo_json_peek(r) == NEO_JSON_NULL)
        (void)neo_json_null(r);
    else
        (void)neo_json_string(r, ret);
}

/* A string that holds JSON, or the JSON itself: its very bytes, for the signature is over them. */
static void read_document(struct neo_json *r, struct neo_bytes *ret)
{
    if (neo_json_peek(r) == NEO_JSON_OBJECT)
        (void)neo_json_raw(r, ret);
    else
        read_text(r, ret);
}

static void read_member(struct neo_json *r, struct neo_bytes key, struct members *m)
{
    struct neo_bytes *slot = certificates_slot(m, key);

    if (slot != NULL) {
        read_text(r, slot);
        *slot = collateral_plain(*slot, r->arena);
        return;
    }
    slot = find(document_keys, COLLATERAL_DOCUMENTS, m->is.documents, key);
    if (slot != NULL) {
        read_document(r, slot);
        return;
    }
    slot = find(signature_keys, COLLATERAL_DOCUMENTS, m->signatures, key);
    if (slot != NULL)
        read_text(r, slot);
    else
        (void)neo_json_skip(r);
}

/* {"tcbInfo":<body>,"signature":"<hex>"}, as Intel sends it. */
static enum neo_code join(struct members *m, size_t which, const char *what,
                          struct neo_arena *arena, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer whole = {0};
    struct neo_bytes *document = &m->is.documents[which];
    struct neo_bytes signature = m->signatures[which];

    if (document->len == 0 || signature.len == 0)
        return NEO_OK;
    for (size_t i = 0; i < signature.len; i++) {
        if (signature.at[i] == '"' || signature.at[i] == '\\')
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: \"%s\" is no signature", what,
                            signature_keys[which]);
    }
    (void)neo_buffer_printf(&whole, "{\"%s\":", body_keys[which]);
    (void)neo_buffer_append(&whole, *document);
    (void)neo_buffer_append_text(&whole, ",\"signature\":\"");
    (void)neo_buffer_append(&whole, signature);
    (void)neo_buffer_append_text(&whole, "\"}");
    *document = neo_arena_copy(arena, neo_buffer_bytes(&whole));
    return whole.failed || neo_arena_failed(arena)
               ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what)
               : NEO_OK;
}

enum neo_code collateral_saved_read(struct neo_bytes text, const char *what,
                                    struct neo_arena *arena, struct collateral_saved *ret,
                                    struct neo_error *err)
{
    struct members m = {.signatures = {{0}}};
    struct neo_bytes key;
    struct neo_json r;

    neo_json_init(&r, text, what, arena);
    if (neo_json_enter_object(&r)) {
        while (neo_json_key(&r, &key))
            read_member(&r, key, &m);
    }
    NEO_TRY(neo_json_finish(&r, err));
    for (size_t i = 0; i < COLLATERAL_DOCUMENTS; i++)
        NEO_TRY(join(&m, i, what, arena, err));
    *ret = m.is;
    return NEO_OK;
}
