/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/collateral_text.h"

#include <neo/encoding.h>
#include <neo/json.h>

/* --- text that stands for bytes --------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct neo_bytes trimmed(struct neo_bytes text)
{
    while (text.len > 0 && is_blank(text.at[0]))
        text = neo_bytes_from(text, 1);
    while (text.len > 0 && (is_blank(text.at[text.len - 1]) || text.at[text.len - 1] == 0))
        text.len--;
    return text;
}

/* Without the blanks: lines of base64 or hex. */
static bool squeeze(struct neo_bytes text, struct neo_buffer *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_blank(text.at[i]) && !neo_buffer_append_byte(out, text.at[i]))
            return false;
    }
    return true;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Of a header: "%20", "%0A". */
static bool undo_percent(struct neo_bytes text, struct neo_buffer *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (uint8_t)(high * 16 + low);
            i += 2;
        }
        if (!neo_buffer_append_byte(out, c))
            return false;
    }
    return true;
}

struct neo_bytes collateral_plain(struct neo_bytes text, struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer lines = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer plain = {0};
    struct neo_bytes inner = trimmed(text);
    enum { DER_SEQUENCE_TAG = 0x30 };

    if (neo_bytes_starts(inner, NEO_LIT("-----BEGIN%20")) ||
        neo_bytes_starts(inner, NEO_LIT("-----BEGIN+"))) {
        if (undo_percent(inner, &plain))
            return neo_arena_copy(arena, neo_buffer_bytes(&plain));
        return text;
    }
    if (neo_bytes_starts(inner, NEO_LIT("-----BEGIN ")))
        return inner;
    if (!squeeze(inner, &lines) || lines.len < 2)
        return text;
    struct neo_bytes squeezed = neo_buffer_bytes(&lines);
    if (neo_hex_decode(squeezed, &plain, NULL) == NEO_OK && plain.at[0] == DER_SEQUENCE_TAG)
        return neo_arena_copy(arena, neo_buffer_bytes(&plain));
    neo_buffer_clear(&plain);
    if (neo_base64_decode(squeezed, &plain, NULL) == NEO_OK && plain.len > 0 &&
        plain.at[0] == DER_SEQUENCE_TAG)
        return neo_arena_copy(arena, neo_buffer_bytes(&plain));
    return text;
}

/* --- what an object is ------------------------------------------------------------------------ */

enum collateral_form collateral_form_of(struct neo_bytes text, struct neo_arena *arena)
{
    enum collateral_form form = COLLATERAL_ODD;
    struct neo_bytes key;
    struct neo_json r;

    neo_json_init(&r, text, "collateral", arena);
    if (!neo_json_enter_object(&r))
        return COLLATERAL_INTEL; /* its reader says what is wrong */
    while (neo_json_key(&r, &key)) {
        if (neo_bytes_is(key, "tcbInfo") || neo_bytes_is(key, "enclaveIdentity"))
            form = COLLATERAL_INTEL;
        else if (neo_bytes_is(key, "kty"))
            form = COLLATERAL_JWK;
        else if (form == COLLATERAL_ODD &&
                 (neo_bytes_is(key, "tcb_info") || neo_bytes_is(key, "qe_identity") ||
                  neo_bytes_is(key, "pck_crl") || neo_bytes_is(key, "root_ca_crl")))
            form = COLLATERAL_BUNDLE;
        (void)neo_json_skip(&r);
    }
    return neo_json_finish(&r, NULL) == NEO_OK ? form : COLLATERAL_INTEL;
}

/* --- an object of all of it ------------------------------------------------------------------- */

enum { TCB_INFO, QE_IDENTITY };

/* A document, or its body alone, and the signature beside it. */
struct found {
    struct neo_bytes text;
    struct neo_bytes signature;
};

static bool is_chain_or_list(struct neo_bytes key)
{
    static const char *const keys[] = {
        "pck_crl",
        "root_ca_crl",
        "pck_crl_issuer_chain",
        "tcb_info_issuer_chain",
        "qe_identity_issuer_chain",
        "pck_certificate_chain",
    };

    for (size_t i = 0; i < NEO_COUNT(keys); i++) {
        if (neo_bytes_is(key, keys[i]))
            return true;
    }
    return false;
}

/* A string that holds JSON, or the JSON itself. */
static void read_text(struct neo_json *r, struct neo_bytes *ret)
{
    if (neo_json_peek(r) == NEO_JSON_STRING)
        (void)neo_json_string(r, ret);
    else
        (void)neo_json_raw(r, ret);
}

static void read_certs(struct neo_json *r, struct vendor_bundle *certs)
{
    struct neo_bytes text;
    struct neo_error why;

    if (neo_json_peek(r) == NEO_JSON_NULL) {
        (void)neo_json_null(r);
        return;
    }
    if (neo_json_string(r, &text) && text.len > 0 &&
        vendor_bundle_read(certs, collateral_plain(text, r->arena), r->what, &why) != NEO_OK)
        neo_json_refuse(r, "%s", why.message);
}

static void read_member(struct neo_json *r, struct neo_bytes key, struct vendor_bundle *certs,
                        struct found found[static COLLATERAL_DOCUMENTS])
{
    if (neo_bytes_is(key, "tcb_info"))
        read_text(r, &found[TCB_INFO].text);
    else if (neo_bytes_is(key, "qe_identity"))
        read_text(r, &found[QE_IDENTITY].text);
    else if (neo_bytes_is(key, "tcb_info_signature"))
        (void)neo_json_string(r, &found[TCB_INFO].signature);
    else if (neo_bytes_is(key, "qe_identity_signature"))
        (void)neo_json_string(r, &found[QE_IDENTITY].signature);
    else if (is_chain_or_list(key))
        read_certs(r, certs);
    else
        (void)neo_json_skip(r);
}

/* The body keeps its very bytes: the signature is over them. */
static struct neo_bytes as_document(const struct found *f, const char *member,
                                    struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    if (f->signature.len == 0)
        return f->text;
    if (!neo_buffer_printf(&text, "{\"%s\":", member) || !neo_buffer_append(&text, f->text) ||
        !neo_buffer_append_text(&text, ",\"signature\":\"") ||
        !neo_buffer_append(&text, f->signature) || !neo_buffer_append_text(&text, "\"}"))
        return (struct neo_bytes){0};
    return neo_arena_copy(arena, neo_buffer_bytes(&text));
}

enum neo_code collateral_bundle_read(struct neo_bytes text, const char *what,
                                     struct vendor_bundle *certs,
                                     struct neo_bytes ret[static COLLATERAL_DOCUMENTS],
                                     struct neo_arena *arena, struct neo_error *err)
{
    struct found found[COLLATERAL_DOCUMENTS] = {{{0}, {0}}, {{0}, {0}}};
    struct neo_bytes key;
    struct neo_json r;

    neo_json_init(&r, text, what, arena);
    if (neo_json_enter_object(&r)) {
        while (neo_json_key(&r, &key))
            read_member(&r, key, certs, found);
    }
    NEO_TRY(neo_json_finish(&r, err));
    ret[TCB_INFO] = as_document(&found[TCB_INFO], "tcbInfo", arena);
    ret[QE_IDENTITY] = as_document(&found[QE_IDENTITY], "enclaveIdentity", arena);
    return NEO_OK;
}
