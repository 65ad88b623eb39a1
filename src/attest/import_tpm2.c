/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tpm2_pcrread's list: a bank's name on a line, and below it its PCRs, "7 : 0x...". One bank makes
 * the row: SHA-256's where it is, else SHA-384's, else SHA-1's.
 */
#include "attest/import.h"

#include "attest/tpm_quote.h"

#include <neo/encoding.h>

static const struct bank {
    const char *name;
    const char *key;
    const char *missing;
    uint16_t hash;
} banks[] = {
    {"sha256", "pcr_sha256", "add ak: whose key signs", TPM_SHA256},
    {"sha384", "pcr_sha384", "add ak: whose key signs", TPM_SHA384},
    {"sha1", "pcr_sha1", "add ak: whose key signs; and accept_sha1: true, if SHA-1 must do",
     TPM_SHA1},
};

static struct neo_bytes trimmed(struct neo_bytes text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = neo_bytes_from(text, 1);
    while (text.len > 0 && memchr(" \t\r", text.at[text.len - 1], 3) != NULL)
        text.len--;
    return text;
}

/* Up to the end of the line, which is taken from `rest`. */
static struct neo_bytes next_line(struct neo_bytes *rest)
{
    const uint8_t *end = memchr(rest->at, '\n', rest->len);
    struct neo_bytes line = {rest->at, end == NULL ? rest->len : (size_t)(end - rest->at)};

    *rest = neo_bytes_from(*rest, end == NULL ? rest->len : line.len + 1);
    return line;
}

/* "7" to 7; TPM_PCRS: it is none. */
static unsigned index_of(struct neo_bytes text)
{
    unsigned index = 0;

    if (text.len == 0 || text.len > 2)
        return TPM_PCRS;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return TPM_PCRS;
        index = index * 10 + (unsigned)(text.at[i] - '0');
    }
    return index < TPM_PCRS ? index : TPM_PCRS;
}

static bool read_pcr(struct neo_bytes key, struct neo_bytes value, const struct bank *bank,
                     struct import_row *row)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};
    unsigned index = index_of(key);

    if (neo_bytes_starts(value, NEO_LIT("0x")) || neo_bytes_starts(value, NEO_LIT("0X")))
        value = neo_bytes_from(value, 2);
    return index < TPM_PCRS && neo_hex_decode(value, &raw, NULL) == NEO_OK &&
           raw.len == tpm_hash_len(bank->hash) &&
           import_add(row, bank->key, (int)index, neo_buffer_bytes(&raw));
}

/* Adds the PCRs of `bank`, which may have none. False: a line of it is not as it must be. */
static bool read_bank(struct neo_bytes text, const struct bank *bank, struct import_row *row)
{
    bool is_in = false;

    while (text.len > 0) {
        struct neo_bytes line = trimmed(next_line(&text));
        const uint8_t *colon = memchr(line.at, ':', line.len);
        if (line.len == 0)
            continue;
        if (colon == NULL)
            return false;
        struct neo_bytes key = trimmed(neo_bytes(line.at, (size_t)(colon - line.at)));
        struct neo_bytes value = trimmed(neo_bytes_from(line, (size_t)(colon - line.at) + 1));
        if (value.len == 0)
            is_in = neo_bytes_is(key, bank->name);
        else if (is_in && !read_pcr(key, value, bank, row))
            return false;
    }
    return true;
}

enum neo_code import_tpm2(struct neo_bytes text, struct import *import, struct neo_error *err)
{
    struct import_row *row = import_row(import, "tpm");
    bool is_good = true;

    for (size_t i = 0; i < NEO_COUNT(banks) && row->n == 0 && is_good; i++) {
        row->missing = banks[i].missing;
        is_good = read_bank(text, &banks[i], row);
    }
    if (row->n == 0 || !is_good)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "expected what tpm2_pcrread prints: \"sha256:\", and below it a line "
                        "\"7 : 0x...\" for each PCR");
    return NEO_OK;
}
