/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/import.h"

#include "attest/tpm_log.h"

#include <neo/encoding.h>
#include <neo/json.h>
#include <neo/spiffe.h>

enum { ARENA_BUDGET = 16 << 20 };

#define expected(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

static const char *const words[] = {
#define X(name, word) [NEO_REFERENCE_##name] = word,
    NEO_REFERENCE_FORMS(X)
#undef X
};

enum neo_reference_form neo_reference_form_parse(struct neo_bytes word)
{
    for (size_t i = 0; i < NEO_COUNT(words); i++) {
        if (neo_bytes_is(word, words[i]))
            return (enum neo_reference_form)i;
    }
    return NEO_REFERENCE_FORMS_N;
}

const char *neo_reference_form_text(enum neo_reference_form form)
{
    return (size_t)form < NEO_COUNT(words) ? words[form] : "unknown";
}

/* --- rows ------------------------------------------------------------------------------------- */

struct import_row *import_row(struct import *import, const char *tee)
{
    for (size_t i = 0; i < import->n; i++) {
        if (strcmp(import->rows[i].tee, tee) == 0)
            return &import->rows[i];
    }
    if (import->n == IMPORT_ROWS)
        return NULL;
    import->rows[import->n] = (struct import_row){.tee = tee};
    return &import->rows[import->n++];
}

static bool is_same(const struct import_value *v, const char *key, int index)
{
    return strcmp(v->key, key) == 0 && v->index == index;
}

bool import_add(struct import_row *row, const char *key, int index, struct neo_bytes value)
{
    if (row == NULL || value.len == 0 || value.len > IMPORT_VALUE_MAX)
        return false;
    for (size_t i = 0; i < row->n; i++) {
        const struct import_value *v = &row->values[i];
        if (is_same(v, key, index) && neo_bytes_equal(neo_bytes(v->at, v->len), value))
            return true;
    }
    if (row->n == IMPORT_VALUES)
        return false;
    struct import_value *v = &row->values[row->n++];
    *v = (struct import_value){.key = key, .index = index, .len = value.len};
    memcpy(v->at, value.at, value.len);
    return true;
}

/* --- YAML ------------------------------------------------------------------------------------- */

static bool put_hex(struct neo_buffer *out, const struct import_value *v)
{
    return neo_buffer_append_text(out, "\"") && neo_hex_encode(out, neo_bytes(v->at, v->len)) &&
           neo_buffer_append_text(out, "\"");
}

/* All values of one key and index; nitro's `pcr` takes one each, every other key a list. */
static bool put_values(struct neo_buffer *out, const struct import_row *row, size_t first)
{
    const struct import_value *v = &row->values[first];
    bool is_single = strcmp(v->key, "pcr") == 0;
    bool fits = is_single || neo_buffer_append_text(out, "[");
    size_t n = 0;

    for (size_t i = first; i < row->n && fits; i++) {
        if (!is_same(&row->values[i], v->key, v->index) || (is_single && n > 0))
            continue;
        fits = (n == 0 || neo_buffer_append_text(out, ", ")) && put_hex(out, &row->values[i]);
        n++;
    }
    return fits && (is_single || neo_buffer_append_text(out, "]")) &&
           neo_buffer_append_text(out, "\n");
}

static bool is_first(const struct import_row *row, size_t i, bool by_index)
{
    const struct import_value *v = &row->values[i];

    for (size_t k = 0; k < i; k++) {
        const struct import_value *other = &row->values[k];
        if (strcmp(other->key, v->key) == 0 && (!by_index || other->index == v->index))
            return false;
    }
    return true;
}

static bool put_indexed(struct neo_buffer *out, const struct import_row *row, size_t first)
{
    const char *key = row->values[first].key;
    bool fits = neo_buffer_printf(out, "        %s:\n", key);

    for (int index = 0; index < 32 && fits; index++) {
        for (size_t i = 0; i < row->n && fits; i++) {
            const struct import_value *v = &row->values[i];
            if (strcmp(v->key, key) == 0 && v->index == index && is_first(row, i, true))
                fits = neo_buffer_printf(out, "          %d: ", index) && put_values(out, row, i);
        }
    }
    return fits;
}

static bool put_row(struct neo_buffer *out, const struct import_row *row)
{
    bool fits = neo_buffer_printf(out, "      - tee: %s\n", row->tee);

    if (row->missing != NULL)
        fits = fits && neo_buffer_printf(out, "        # %s\n", row->missing);
    for (size_t i = 0; i < row->n && fits; i++) {
        const struct import_value *v = &row->values[i];
        if (!is_first(row, i, false))
            continue;
        if (v->index >= 0)
            fits = put_indexed(out, row, i);
        else
            fits = neo_buffer_printf(out, "        %s: ", v->key) && put_values(out, row, i);
    }
    return fits;
}

enum neo_code neo_reference_import(enum neo_reference_form form, struct neo_bytes text,
                                   struct neo_bytes service, struct neo_buffer *out,
                                   struct neo_error *err)
{
    static import_fn *const readers[] = {
        [NEO_REFERENCE_SEV_SNP_MEASURE] = import_snp_measure,
        [NEO_REFERENCE_TD_SHIM] = import_td_shim,
        [NEO_REFERENCE_CCEL] = import_ccel,
        [NEO_REFERENCE_NITRO_CLI] = import_nitro_cli,
        [NEO_REFERENCE_CORIM] = import_corim,
        [NEO_REFERENCE_TPM2_PCRREAD] = import_tpm2,
    };
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct import import = {.arena = &arena};

    if ((size_t)form >= NEO_COUNT(readers) || text.len > IMPORT_MAX)
        return expected("no such form, or more than %d bytes", IMPORT_MAX);
    if (!neo_is_service_name(service))
        return expected("\"%.*s\" is not a service name ([a-z0-9-], at most 63)", NEO_FMT(service));
    neo_arena_init(&arena, ARENA_BUDGET);
    import.rows = neo_arena_calloc(&arena, IMPORT_ROWS, sizeof(*import.rows));
    if (import.rows == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    NEO_TRY(readers[form](text, &import, err));
    bool is_tpm = strcmp(import.rows[0].tee, "tpm") == 0;
    bool fits = neo_buffer_printf(out,
                                  "attestation_policies:\n  %.*s:\n    require: %s\n"
                                  "    any_of:\n",
                                  NEO_FMT(service), is_tpm ? "hardware-or-tpm" : "hardware");
    for (size_t i = 0; i < import.n && fits; i++)
        fits = put_row(out, &import.rows[i]);
    if (!fits)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    return NEO_OK;
}

/* --- sev-snp-measure -------------------------------------------------------------------------- */

enum { SHA384_LEN = 48 };

static struct neo_bytes trimmed(struct neo_bytes text)
{
    while (text.len > 0 && text.at[text.len - 1] <= ' ')
        text.len--;
    while (text.len > 0 && text.at[0] <= ' ')
        text = neo_bytes_from(text, 1);
    return text;
}

/* Hex or base64 of one digest. */
static bool read_digest(struct neo_bytes text, struct neo_buffer *out)
{
    if (neo_hex_decode(text, out, NULL) == NEO_OK && out->len == SHA384_LEN)
        return true;
    neo_buffer_clear(out);
    return neo_base64_decode(text, out, NULL) == NEO_OK && out->len == SHA384_LEN;
}

static struct neo_bytes digest_of_json(struct neo_bytes text, struct import *import)
{
    static const char *const keys[] = {"launch_digest", "measurement", "digest", "snp_measurement"};
    struct neo_bytes key, found = {0};
    struct neo_json r;

    neo_json_init(&r, text, "sev-snp-measure", import->arena);
    if (!neo_json_enter_object(&r))
        return found;
    while (neo_json_key(&r, &key)) {
        bool is_known = false;
        for (size_t i = 0; i < NEO_COUNT(keys); i++)
            is_known = is_known || neo_bytes_is(key, keys[i]);
        if (is_known)
            (void)neo_json_string(&r, &found);
        else
            (void)neo_json_skip(&r);
    }
    return neo_json_finish(&r, NULL) == NEO_OK ? found : (struct neo_bytes){0};
}

/* "Calculated SNP Launch Digest: <hex>": what follows the last blank or colon. */
static struct neo_bytes last_word(struct neo_bytes text)
{
    size_t from = text.len;

    while (from > 0 && text.at[from - 1] > ' ' && text.at[from - 1] != ':')
        from--;
    return neo_bytes_from(text, from);
}

enum neo_code import_snp_measure(struct neo_bytes text, struct import *import,
                                 struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer digest = {0};
    struct neo_bytes inner = trimmed(text);

    if (neo_bytes_starts(inner, NEO_LIT("{")))
        inner = digest_of_json(inner, import);
    else
        inner = last_word(inner);
    if (!read_digest(inner, &digest))
        return expected("expected a launch digest: 96 hex digits, the same 48 bytes in base64, or "
                        "JSON with \"launch_digest\" or \"measurement\"");
    (void)import_add(import_row(import, "sev-snp"), "measurement", -1, neo_buffer_bytes(&digest));
    return NEO_OK;
}

/* --- td-shim ---------------------------------------------------------------------------------- */

/* As it is compared: lower case, without underscores and dots. */
static void plain_name(struct neo_bytes key, char *to, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < key.len && n + 1 < size; i++) {
        uint8_t c = key.at[i];
        if (c == '_' || c == '.' || c == '-')
            continue;
        to[n++] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    to[n] = '\0';
}

static void add_td(struct neo_json *r, struct import_row *row, const char *key, int index)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_bytes text;

    if (!neo_json_string(r, &text))
        return;
    if (neo_bytes_starts(text, NEO_LIT("0x")))
        text = neo_bytes_from(text, 2);
    if (neo_hex_decode(text, &raw, NULL) != NEO_OK || raw.len != SHA384_LEN)
        neo_json_refuse(r, "must be 96 hex digits");
    else if (!import_add(row, key, index, neo_buffer_bytes(&raw)))
        neo_json_refuse(r, "is one value too many");
}

static void read_td_member(struct neo_json *r, struct import_row *row, struct neo_bytes key)
{
    static const char *const keys[] = {"mrtd", "mrseam", "mrconfigid", "mrowner", "mrownerconfig"};
    char name[24];

    plain_name(key, name, sizeof(name));
    for (size_t i = 0; i < NEO_COUNT(keys); i++) {
        if (strcmp(name, keys[i]) == 0) {
            add_td(r, row, keys[i], -1);
            return;
        }
    }
    if (strlen(name) == 5 && memcmp(name, "rtmr", 4) == 0 && name[4] >= '0' && name[4] <= '3') {
        add_td(r, row, "rtmr", name[4] - '0');
        return;
    }
    if (strcmp(name, "rtmr") == 0 || strcmp(name, "rtmrs") == 0) {
        int index = 0;
        if (neo_json_enter_array(r)) {
            while (neo_json_element(r))
                add_td(r, row, "rtmr", index++);
        }
        if (index > 4)
            neo_json_refuse(r, "there are four RTMRs");
        return;
    }
    (void)neo_json_skip(r);
}

static const char *td_missing(const struct import_row *row)
{
    for (size_t i = 0; i < row->n; i++) {
        if (strcmp(row->values[i].key, "mrtd") == 0)
            return NULL;
    }
    return "add mrtd: [...] before it loads; this input does not hold it";
}

enum neo_code import_td_shim(struct neo_bytes text, struct import *import, struct neo_error *err)
{
    struct import_row *row = import_row(import, "tdx");
    struct neo_bytes key;
    struct neo_json r;

    neo_json_init(&r, text, "td-shim", import->arena);
    if (neo_json_enter_object(&r)) {
        while (neo_json_key(&r, &key))
            read_td_member(&r, row, key);
    }
    NEO_TRY(neo_json_finish(&r, err));
    if (row->n == 0)
        return expected("expected a JSON object with mrtd, rtmr0 to rtmr3, mrseam, mrconfigid, "
                        "mrowner or mrownerconfig, each 96 hex digits");
    row->missing = td_missing(row);
    return NEO_OK;
}

/* Registers are numbered from 1 in a CC event log: 0 is MRTD. */
enum neo_code import_ccel(struct neo_bytes text, struct import *import, struct neo_error *err)
{
    struct import_row *row = import_row(import, "tdx");
    struct tpm_replay replay;
    struct neo_error why;

    if (tpm_log_replay(text, TPM_SHA384, &replay, &why) != NEO_OK)
        return expected(
            "expected a CC event log with digests of SHA-384 (the area that ACPI's CCEL "
            "table points to): %s",
            why.message);
    for (int i = 0; i < 4; i++) {
        if ((replay.touched & UINT32_C(2) << i) != 0)
            (void)import_add(row, "rtmr", i, neo_bytes(replay.pcrs[i + 1], SHA384_LEN));
    }
    if (row->n == 0)
        return expected("an event log that extends none of RTMR 0 to 3");
    row->missing = td_missing(row);
    return NEO_OK;
}

/* --- nitro-cli -------------------------------------------------------------------------------- */

/* "PCR0" to "PCR31" */
static int pcr_index(struct neo_bytes key)
{
    int index = 0;

    if (!neo_bytes_starts(key, NEO_LIT("PCR")) || key.len < 4 || key.len > 5)
        return -1;
    for (size_t i = 3; i < key.len; i++) {
        if (key.at[i] < '0' || key.at[i] > '9')
            return -1;
        index = index * 10 + (key.at[i] - '0');
    }
    return index < 32 ? index : -1;
}

static void read_measurements(struct neo_json *r, struct import_row *row)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    struct neo_bytes key, text;

    if (!neo_json_enter_object(r))
        return;
    while (neo_json_key(r, &key)) {
        int index = pcr_index(key);
        if (index < 0) {
            (void)neo_json_skip(r);
            continue;
        }
        neo_buffer_clear(&raw);
        if (neo_json_string(r, &text) &&
            (neo_hex_decode(text, &raw, NULL) != NEO_OK || raw.len != SHA384_LEN))
            neo_json_refuse(r, "must be 96 hex digits");
        else
            (void)import_add(row, "pcr", index, neo_buffer_bytes(&raw));
    }
}

static bool has_pcr0(const struct import_row *row)
{
    for (size_t i = 0; i < row->n; i++) {
        if (row->values[i].index == 0)
            return true;
    }
    return false;
}

enum neo_code import_nitro_cli(struct neo_bytes text, struct import *import, struct neo_error *err)
{
    struct import_row *row = import_row(import, "nitro");
    struct neo_bytes key;
    struct neo_json r;

    /* build-enclave prints a line of talk first, when both streams were kept. */
    const uint8_t *brace = memchr(text.at, '{', text.len);
    if (brace != NULL)
        text = neo_bytes_from(text, (size_t)(brace - text.at));
    neo_json_init(&r, text, "nitro-cli", import->arena);
    if (neo_json_enter_object(&r)) {
        while (neo_json_key(&r, &key)) {
            if (neo_bytes_is(key, "Measurements"))
                read_measurements(&r, row);
            else
                (void)neo_json_skip(&r);
        }
    }
    NEO_TRY(neo_json_finish(&r, err));
    if (!has_pcr0(row))
        return expected("expected JSON with \"Measurements\": {\"PCR0\": 96 hex digits, ...}, as "
                        "nitro-cli build-enclave and describe-eif print it");
    return NEO_OK;
}
