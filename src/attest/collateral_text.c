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
        else if (form == COLLATERAL_ODD && collateral_is_saved_key(key))
            form = COLLATERAL_BUNDLE;
        (void)neo_json_skip(&r);
    }
    return neo_json_finish(&r, NULL) == NEO_OK ? form : COLLATERAL_INTEL;
}
