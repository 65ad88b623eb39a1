/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte of a line is covered by its hash, and every hash by the next line. So
 * whoever changes something has to write all lines after it anew, and cannot sign
 * the next checkpoint.
 */
#include "observe/audit.h"

#include "base/cursor.h"
#include "observe/hex.h"

#include <inttypes.h>

enum { TIME_LEN = 30, SIGNATURE_MAX = 160 };

struct line {
    struct neo_bytes hashed;
    struct neo_bytes body;
    uint64_t sequence;
    uint8_t previous[NEO_SHA256_LEN];
    uint8_t hash[NEO_SHA256_LEN];
};

static bool take(struct cursor *c, const char *literal)
{
    return neo_bytes_is(cursor_take(c, strlen(literal)), literal);
}

static bool take_hash(struct cursor *c, uint8_t ret[static NEO_SHA256_LEN])
{
    struct neo_bytes text = cursor_take(c, 2 * NEO_SHA256_LEN);

    return text.len > 0 && hex_take(text.at, ret, NEO_SHA256_LEN);
}

static bool take_number(struct cursor *c, uint64_t *ret)
{
    uint64_t n = 0;

    if (c->left == 0 || *c->at < '1' || *c->at > '9')
        return false;
    while (c->left > 0 && *c->at >= '0' && *c->at <= '9')
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(cursor_u8(c) - '0'), &n))
            return false;
    *ret = n;
    return true;
}

static bool parse(struct neo_bytes text, struct line *ret)
{
    static const char before_hash[] = ",\"hash\":\"";
    const size_t tail = sizeof(before_hash) - 1 + 2 * NEO_SHA256_LEN + 2;

    if (text.len < tail)
        return false;
    ret->hashed = neo_bytes(text.at, text.len - tail);
    struct cursor end = cursor_of(neo_bytes_from(text, text.len - tail));
    if (!take(&end, before_hash) || !take_hash(&end, ret->hash) || !take(&end, "\"}"))
        return false;

    struct cursor head = cursor_of(ret->hashed);
    if (!take(&head, "{\"seq\":") || !take_number(&head, &ret->sequence) ||
        !take(&head, ",\"prev\":\"") || !take_hash(&head, ret->previous) || !take(&head, "\","))
        return false;
    ret->body = neo_bytes(head.at, head.left);
    return true;
}

static enum neo_code check_signature(const struct line *line, struct cursor c,
                                     struct neo_bytes spki, struct neo_error *err)
{
    uint8_t claimed[NEO_SHA256_LEN];
    uint8_t id[NEO_SHA256_LEN];
    uint8_t signature[SIGNATURE_MAX];

    bool whole = take_hash(&c, claimed) && take(&c, "\"");
    struct neo_bytes message = neo_bytes(line->hashed.at, (size_t)(c.at - line->hashed.at));
    whole = whole && take(&c, ",\"sig\":\"") && c.left >= 1;
    size_t len = whole ? (c.left - 1) / 2 : 0;
    if (!whole || c.left != 2 * len + 1 || len > sizeof(signature) ||
        !hex_take(c.at, signature, len) || c.at[2 * len] != '"')
        return neo_fail(err, NEO_DATA_LOSS, "audit line %" PRIu64 ": malformed checkpoint",
                        line->sequence);
    if (spki.len == 0)
        return NEO_OK;

    neo_sha256(spki, id);
    if (memcmp(id, claimed, sizeof(id)) != 0)
        return neo_fail(err, NEO_DATA_LOSS,
                        "audit line %" PRIu64 ": checkpoint of another key than the one given",
                        line->sequence);
    if (neo_spki_verify(spki, message, neo_bytes(signature, len), NULL) != NEO_OK)
        return neo_fail(err, NEO_DATA_LOSS,
                        "audit line %" PRIu64 ": the checkpoint's signature is wrong: something "
                        "between line %" PRIu64 " and here was rewritten",
                        line->sequence, line->sequence - 1);
    return NEO_OK;
}

static enum neo_code check_checkpoint(const struct line *line, struct neo_bytes spki,
                                      struct neo_audit_chain *chain, struct neo_error *err)
{
    struct cursor c = cursor_of(line->body);

    (void)cursor_take(&c, sizeof("\"ts\":\"") - 1 + TIME_LEN);
    if (take(&c, "\",\"checkpoint\":\"")) {
        NEO_TRY(check_signature(line, c, spki, err));
        chain->checkpoint = line->sequence;
        return NEO_OK;
    }
    if (spki.len > 0 && line->sequence - chain->checkpoint > NEO_AUDIT_CHECKPOINT_RECORDS)
        return neo_fail(err, NEO_DATA_LOSS,
                        "audit line %" PRIu64
                        ": a signed checkpoint is missing since line %" PRIu64,
                        line->sequence, chain->checkpoint);
    return NEO_OK;
}

static enum neo_code check_line(struct neo_bytes text, struct neo_bytes spki,
                                struct neo_audit_chain *chain, struct neo_error *err)
{
    struct line line;
    uint8_t hash[NEO_SHA256_LEN];
    uint64_t expected = chain->sequence + 1;

    if (!parse(text, &line))
        return neo_fail(err, NEO_DATA_LOSS, "audit line %" PRIu64 ": not a line of the chain",
                        expected);
    if (line.sequence != expected)
        return neo_fail(err, NEO_DATA_LOSS,
                        "audit line %" PRIu64 ": lines are missing, repeated or moved: this one is "
                        "number %" PRIu64,
                        expected, line.sequence);
    if (memcmp(line.previous, chain->previous, sizeof(line.previous)) != 0)
        return neo_fail(err, NEO_DATA_LOSS,
                        "audit line %" PRIu64 ": does not follow the line before it", expected);
    neo_sha256(line.hashed, hash);
    if (memcmp(line.hash, hash, sizeof(hash)) != 0)
        return neo_fail(err, NEO_DATA_LOSS, "audit line %" PRIu64 ": was changed", expected);
    NEO_TRY(check_checkpoint(&line, spki, chain, err));
    memcpy(chain->previous, hash, sizeof(hash));
    chain->sequence = expected;
    return NEO_OK;
}

enum neo_code audit_verify_from(struct neo_bytes text, struct neo_bytes spki,
                                struct neo_audit_chain *chain, struct neo_error *err)
{
    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        if (end == NULL)
            return neo_fail(err, NEO_DATA_LOSS, "audit line %" PRIu64 ": was cut short",
                            chain->sequence + 1);
        size_t len = (size_t)(end - text.at);
        NEO_TRY(check_line(neo_bytes(text.at, len), spki, chain, err));
        text = neo_bytes_from(text, len + 1);
    }
    return NEO_OK;
}

bool audit_chain_before(struct neo_bytes text, struct neo_audit_chain *ret)
{
    struct line line;

    if (!parse(text, &line))
        return false;
    *ret = (struct neo_audit_chain){
        .sequence = line.sequence - 1,
        .checkpoint = line.sequence - 1,
    };
    memcpy(ret->previous, line.previous, sizeof(line.previous));
    return true;
}

enum neo_code neo_audit_verify(struct neo_bytes text, struct neo_bytes spki,
                               struct neo_audit_chain *ret, struct neo_error *err)
{
    struct neo_audit_chain chain;

    neo_audit_chain_init(&chain);
    NEO_TRY(audit_verify_from(text, spki, &chain, err));
    *ret = chain;
    return NEO_OK;
}

/* The start of the line that holds `at`. */
static size_t line_start(struct neo_bytes text, size_t at)
{
    while (at > 0 && text.at[at - 1] != '\n')
        at--;
    return at;
}

struct neo_bytes neo_audit_find(struct neo_bytes text, const char *decision_id)
{
    /* Quotes inside a value are escaped, so this text is a field and nothing else. */
    char wanted[40] = "\",\"id\":\"";
    size_t before = strlen(wanted);
    size_t len = strlen(decision_id);

    if (len == 0 || len > sizeof(wanted) - before - 2 || strpbrk(decision_id, "\"\\\n") != NULL)
        return (struct neo_bytes){0};
    memcpy(wanted + before, decision_id, len);
    wanted[before + len] = '"';

    const uint8_t *hit = text.len == 0 ? NULL : memmem(text.at, text.len, wanted, before + len + 1);
    if (hit == NULL)
        return (struct neo_bytes){0};
    size_t start = line_start(text, (size_t)(hit - text.at));
    struct neo_bytes rest = neo_bytes_from(text, start);
    const uint8_t *end = memchr(rest.at, '\n', rest.len);
    return neo_bytes(rest.at, end == NULL ? rest.len : (size_t)(end - rest.at));
}
