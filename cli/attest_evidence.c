/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence as people have it: raw, in a driver's answer, as hex or base64, within the JSON that
 * configfs-tsm is saved as, or in parts.
 */
#include "cli/attest.h"

#include <neo/encoding.h>
#include <neo/evidence.h>

enum { EVIDENCE_MAX = 256 << 10, TEXT_LEAST = 64 };

/* --- text that stands for bytes --------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What stands between the lines of the first PEM block; else all of it. */
static struct neo_bytes within_pem(struct neo_bytes text)
{
    struct neo_bytes dashes = NEO_LIT("-----");

    if (!neo_bytes_starts(text, dashes))
        return text;
    const uint8_t *from = memchr(text.at, '\n', text.len);
    struct neo_bytes rest = from == NULL ? text : neo_bytes_from(text, (size_t)(from - text.at));
    const uint8_t *end = memmem(rest.at, rest.len, dashes.at, dashes.len);
    return from == NULL || end == NULL ? text : neo_bytes(rest.at, (size_t)(end - rest.at));
}

static bool squeeze(struct neo_bytes text, struct neo_buffer *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < ' ' && !is_blank(text.at[i]))
            return false;
        if (!is_blank(text.at[i]) && !neo_buffer_append_byte(out, text.at[i]))
            return false;
    }
    return true;
}

/* `tpm2_pcrread` prints "0 : 0x<hex>" for each: the values, one behind the other. */
static bool undo_listing(struct neo_bytes text, struct neo_buffer *out)
{
    struct neo_bytes prefix = NEO_LIT("0x");
    const uint8_t *at;
    size_t n = 0;

    while ((at = memmem(text.at, text.len, prefix.at, prefix.len)) != NULL) {
        size_t len = 0;
        text = neo_bytes_from(text, (size_t)(at - text.at) + prefix.len);
        while (len < text.len && !is_blank(text.at[len]))
            len++;
        if (neo_hex_decode(neo_bytes(text.at, len), out, NULL) != NEO_OK)
            return false;
        n++;
    }
    return n > 0;
}

struct neo_bytes attest_plain(struct neo_arena *arena, struct neo_bytes text)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer lines = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer plain = {0};

    if (!squeeze(within_pem(text), &lines) || lines.len < TEXT_LEAST)
        return text;
    struct neo_bytes squeezed = neo_buffer_bytes(&lines);
    if (neo_bytes_starts(squeezed, NEO_LIT("0x")) && memchr(squeezed.at, ':', squeezed.len) == NULL)
        squeezed = neo_bytes_from(squeezed, 2);
    if (neo_hex_decode(squeezed, &plain, NULL) == NEO_OK)
        return neo_arena_copy(arena, neo_buffer_bytes(&plain));
    neo_buffer_clear(&plain);
    if (neo_base64_decode(squeezed, &plain, NULL) == NEO_OK)
        return neo_arena_copy(arena, neo_buffer_bytes(&plain));
    neo_buffer_clear(&plain);
    if (undo_listing(text, &plain))
        return neo_arena_copy(arena, neo_buffer_bytes(&plain));
    return text;
}

/* --- configfs-tsm, saved as JSON -------------------------------------------------------------- */

static bool read_base64(struct neo_json *r, struct neo_bytes *ret)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_bytes text;

    if (!neo_json_string(r, &text))
        return false;
    if (neo_base64_decode(text, &raw, NULL) != NEO_OK) {
        neo_json_refuse(r, "must be base64");
        return false;
    }
    *ret = neo_arena_copy(r->arena, neo_buffer_bytes(&raw));
    return true;
}

/* {"outblob": base64, "auxblob": base64, "provider": ...}; others are left alone. */
static enum neo_code read_json(struct neo_arena *arena, struct neo_bytes text, const char *path,
                               struct neo_evidence *e, struct neo_error *err)
{
    struct neo_bytes key;
    struct neo_json r;

    neo_json_init(&r, text, path, arena);
    if (neo_json_enter_object(&r)) {
        while (neo_json_key(&r, &key)) {
            if (neo_bytes_is(key, "outblob"))
                (void)read_base64(&r, &e->body);
            else if (neo_bytes_is(key, "auxblob") && e->certificates.len == 0)
                (void)read_base64(&r, &e->certificates);
            else
                (void)neo_json_skip(&r);
        }
    }
    NEO_TRY(neo_json_finish(&r, err));
    if (e->body.len == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "'%s' is JSON without \"outblob\": the members of configfs-tsm, in base64, "
                        "are what is read",
                        path);
    return NEO_OK;
}

/* --- parts ------------------------------------------------------------------------------------ */

static const char *const words[] = {
#define X(name, word) [NEO_PART_##name] = word,
    NEO_EVIDENCE_PARTS(X)
#undef X
};

static enum neo_code read_part(struct neo_arena *arena, const char *argument,
                               struct neo_bytes *parts, struct neo_error *err)
{
    const char *equals = strchr(argument, '=');
    struct neo_bytes text;

    for (size_t i = 0; equals != NULL && i < NEO_COUNT(words); i++) {
        if (!neo_bytes_equal(neo_bytes(argument, (size_t)(equals - argument)), neo_text(words[i])))
            continue;
        NEO_TRY(attest_read_file(arena, equals + 1, EVIDENCE_MAX, &text, err));
        parts[i] = attest_plain(arena, text);
        return NEO_OK;
    }
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "--part %s: write quote=FILE, or signature, key, pcrs, log, tdquote or hcl",
                    argument);
}

static bool is_hcl(struct neo_bytes body)
{
    return neo_bytes_starts(body, NEO_LIT("HCLA"));
}

/* TPMS_ATTEST, bare or behind the length of a TPM2B. */
static bool is_quote(struct neo_bytes body)
{
    return neo_bytes_starts(body, NEO_LIT("\xffTCG")) ||
           neo_bytes_starts(neo_bytes_from(body, 2), NEO_LIT("\xffTCG"));
}

static enum neo_code pack(struct neo_arena *arena, const struct attest_source *a,
                          struct neo_evidence *e, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer whole = {0};
    struct neo_bytes parts[NEO_EVIDENCE_PARTS_N] = {{0}};

    if (is_hcl(e->body))
        parts[NEO_PART_HCL] = e->body;
    else if (is_quote(e->body))
        parts[NEO_PART_QUOTE] = e->body;
    else
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "evidence in parts begins with Azure's HCL report or a TPM's quote; what "
                        "was given is neither");
    for (size_t i = 0; i < a->parts.n; i++)
        NEO_TRY(read_part(arena, a->parts.at[i], parts, err));
    if (e->kind == NEO_EVIDENCE_UNKNOWN)
        e->kind = parts[NEO_PART_HCL].len == 0      ? NEO_EVIDENCE_TPM
                  : parts[NEO_PART_TDQUOTE].len > 0 ? NEO_EVIDENCE_AZURE_TDX
                                                    : NEO_EVIDENCE_AZURE_SNP;
    NEO_TRY(neo_evidence_pack(e->kind, parts, &whole, err));
    e->body = neo_arena_copy(arena, neo_buffer_bytes(&whole));
    return NEO_OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum neo_code read_kind(const char *text, enum neo_evidence_kind *ret, struct neo_error *err)
{
    *ret = NEO_EVIDENCE_UNKNOWN;
    if (text == NULL)
        return NEO_OK;
    *ret = neo_evidence_kind_parse(neo_text(text));
    if (*ret == NEO_EVIDENCE_UNKNOWN)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--kind %s: write snp-report, tdx-quote, sgx-quote, nitro-doc, cca-token, "
                        "tpm-quote, azure-snp or azure-tdx, or the same with sim- before it",
                        text);
    return NEO_OK;
}

static enum neo_code recognise(struct neo_evidence *e, const char *path, struct neo_error *err)
{
    e->kind = neo_evidence_guess(e->body);
    if (e->kind != NEO_EVIDENCE_UNKNOWN)
        return NEO_OK;
    if (is_hcl(e->body))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "'%s' is Azure's HCL report alone; give what belongs to it: --part "
                        "quote=FILE --part signature=FILE --part pcrs=FILE, and for TDX --part "
                        "tdquote=FILE",
                        path);
    if (is_quote(e->body))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "'%s' is a TPM's quote alone; give what belongs to it: --part "
                        "signature=FILE --part key=FILE --part pcrs=FILE",
                        path);
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "'%s' is no evidence of a form that is known; --kind KIND says what is wrong "
                    "with it",
                    path);
}

/* PEM may hold several, and stays. */
static enum neo_code read_certificates(struct neo_arena *arena, const char *path,
                                       struct neo_bytes *ret, struct neo_error *err)
{
    NEO_TRY(attest_read_file(arena, path, ATTEST_FILE_MAX, ret, err));
    if (!neo_bytes_starts(*ret, NEO_LIT("-----BEGIN ")))
        *ret = attest_plain(arena, *ret);
    return NEO_OK;
}

enum neo_code attest_read_evidence(struct neo_arena *arena, const struct attest_source *a,
                                   const char *path, struct neo_evidence *ret,
                                   struct neo_error *err)
{
    struct neo_evidence e = {.kind = NEO_EVIDENCE_UNKNOWN};
    struct neo_bytes text;

    NEO_TRY(read_kind(a->kind, &e.kind, err));
    NEO_TRY(attest_read_file(arena, path, EVIDENCE_MAX, &text, err));
    if (a->certificates != NULL)
        NEO_TRY(read_certificates(arena, a->certificates, &e.certificates, err));
    if (neo_bytes_starts(text, NEO_LIT("{")))
        NEO_TRY(read_json(arena, text, path, &e, err));
    else
        e.body = neo_evidence_unwrap(attest_plain(arena, text));
    if (a->parts.n > 0)
        NEO_TRY(pack(arena, a, &e, err));
    else if (e.kind == NEO_EVIDENCE_UNKNOWN)
        NEO_TRY(recognise(&e, path, err));
    *ret = e;
    return NEO_OK;
}
