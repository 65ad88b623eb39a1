/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record always has the same bytes: fixed order of fields, no spaces, nothing
 * but printable ASCII, times in UTC with nine digits. Whatever a peer sends stays
 * within its quotes; it can neither end the line nor pretend to be a field.
 *
 * Written without printf and without memory: a body is bounded, so it is put into
 * room that is there.
 */
#include "observe/audit.h"

#include "observe/hex.h"
#include "observe/random.h"

#include <neo/time.h>

#include <assert.h>

enum { HEAD_MAX = 128 };

struct neo_decision_id neo_decision_id_new(void)
{
    struct neo_decision_id id = {.text = "d-"};
    uint64_t word = random_unguessable();

    (void)hex_put(id.text + 2, (const uint8_t *)&word, sizeof(word));
    return id;
}

void neo_audit_chain_init(struct neo_audit_chain *chain)
{
    *chain = (struct neo_audit_chain){0};
}

/* --- text; each function returns the new end -------------------------------------------------- */

static char *put(char *at, const char *text)
{
    size_t len = strlen(text);

    memcpy(at, text, len);
    return at + len;
}

/* At least `width` digits. */
static char *put_number(char *at, uint64_t n, unsigned width)
{
    char digits[20];
    unsigned len = 0;

    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    for (; width > len; width--)
        *at++ = '0';
    while (len > 0)
        *at++ = digits[--len];
    return at;
}

/* Days since 1970 as a date. Years are counted from March, so that a leap day is a year's last. */
static char *put_date(char *at, int64_t days)
{
    enum { DAYS_400_YEARS = 146097, DAYS_TO_1970 = 719468 };
    int64_t shifted = days + DAYS_TO_1970; /* since 0000-03-01; positive for any nanosecond clock */
    uint64_t era = (uint64_t)shifted / DAYS_400_YEARS;
    uint64_t day = (uint64_t)shifted % DAYS_400_YEARS;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * day_of_year + 2) / 153; /* March is 0 */

    at = put_number(at, era * 400 + year + (month >= 10), 4);
    *at++ = '-';
    at = put_number(at, month >= 10 ? month - 9 : month + 3, 2);
    *at++ = '-';
    return put_number(at, day_of_year - (153 * month + 2) / 5 + 1, 2);
}

static char *put_time(char *at, int64_t wall_nsec)
{
    enum { SECONDS_A_DAY = 86400 };
    const int64_t second_long = (int64_t)NEO_NSEC_PER_SEC;
    int64_t nsec = wall_nsec % second_long;
    int64_t seconds = wall_nsec / second_long - (nsec < 0);
    int64_t second = (seconds % SECONDS_A_DAY + SECONDS_A_DAY) % SECONDS_A_DAY;

    at = put(at, "\"ts\":\"");
    at = put_date(at, (seconds - second) / SECONDS_A_DAY);
    *at++ = 'T';
    at = put_number(at, (uint64_t)second / 3600, 2);
    *at++ = ':';
    at = put_number(at, (uint64_t)second / 60 % 60, 2);
    *at++ = ':';
    at = put_number(at, (uint64_t)second % 60, 2);
    *at++ = '.';
    at = put_number(at, (uint64_t)(nsec < 0 ? nsec + second_long : nsec), 9);
    return put(at, "Z\"");
}

static char *put_byte(char *at, uint8_t c)
{
    if (c >= 0x20 && c < 0x7f) {
        if (c == '"' || c == '\\')
            *at++ = '\\';
        *at++ = (char)c;
        return at;
    }
    at = put(at, "\\u00");
    return hex_put(at, &c, 1);
}

/* What is too long ends in "...". */
static char *put_escaped(char *at, struct neo_bytes text)
{
    bool cut = text.len > AUDIT_FIELD_MAX;
    size_t shown = cut ? AUDIT_FIELD_MAX - 3 : text.len;

    for (size_t i = 0; i < shown; i++)
        at = put_byte(at, text.at[i]);
    return cut ? put(at, "...") : at;
}

static char *put_field(char *at, const char *name, struct neo_bytes value)
{
    at = put(at, name);
    *at++ = '"';
    at = put_escaped(at, value);
    *at++ = '"';
    return at;
}

static char *put_optional(char *at, const char *name, struct neo_bytes value)
{
    return value.len == 0 ? at : put_field(at, name, value);
}

static char *put_place(char *at, const char *name, const char *file, unsigned line)
{
    if (file == NULL)
        return at;
    at = put(at, name);
    *at++ = '"';
    at = put_escaped(at, neo_text(file));
    *at++ = ':';
    at = put_number(at, line, 1);
    *at++ = '"';
    return at;
}

/* --- bodies ----------------------------------------------------------------------------------- */

size_t audit_put_body(const struct neo_audit_record *r, char out[static AUDIT_BODY_MAX])
{
    char *at = put_time(out, r->wall_nsec);

    at = put_field(at, ",\"id\":", neo_bytes(r->id.text, strnlen(r->id.text, sizeof(r->id.text))));
    at = put_field(at, ",\"decision\":", neo_text(r->decision));
    at = put_field(at, ",\"stage\":", neo_text(r->stage));
    at = put_field(at, ",\"reason\":", neo_text(r->reason));
    at = put_field(at, ",\"caller\":", r->caller);
    at = put_field(at, ",\"target\":", r->target);
    at = put_field(at, ",\"method\":", r->method);
    at = put_place(at, ",\"rule\":", r->rule_file, r->rule_line);
    at = put_place(at, ",\"nearest\":", r->nearest_file, r->nearest_line);
    at = put_optional(at, ",\"detail\":", neo_text(r->detail));
    at = put_optional(at, ",\"trace\":", r->trace_id);
    at = put_optional(at, ",\"peer\":", r->peer);
    at = put_optional(at, ",\"policy\":", neo_text(r->policy_version));
    at = put_optional(at, ",\"evidence\":", neo_text(r->evidence));
    assert(at - out <= AUDIT_BODY_MAX);
    return (size_t)(at - out);
}

size_t audit_put_note(int64_t wall_nsec, const char *name, uint64_t n,
                      char out[static AUDIT_BODY_MAX])
{
    char *at = put_time(out, wall_nsec);

    at = put(at, ",\"");
    at = put(at, name);
    at = put(at, "\":");
    at = put_number(at, n, 1);
    return (size_t)(at - out);
}

/* --- lines ------------------------------------------------------------------------------------ */

static char *put_head(char *at, const struct neo_audit_chain *chain)
{
    at = put(at, "{\"seq\":");
    at = put_number(at, chain->sequence + 1, 1);
    at = put(at, ",\"prev\":\"");
    at = hex_put(at, chain->previous, sizeof(chain->previous));
    return put(at, "\",");
}

bool audit_put_line(struct neo_audit_chain *chain, struct neo_bytes body, struct neo_buffer *out)
{
    char *line = (char *)neo_buffer_reserve(out, HEAD_MAX + body.len + HEAD_MAX);

    if (line == NULL)
        return false;
    char *at = put_head(line, chain);
    memcpy(at, body.at, body.len);
    at += body.len;
    neo_sha256(neo_bytes(line, (size_t)(at - line)), chain->previous);
    at = put(at, ",\"hash\":\"");
    at = hex_put(at, chain->previous, sizeof(chain->previous));
    at = put(at, "\"}\n");
    out->len += (size_t)(at - line);
    chain->sequence++;
    return true;
}

bool neo_audit_append(struct neo_audit_chain *chain, const struct neo_audit_record *record,
                      struct neo_buffer *out)
{
    char body[AUDIT_BODY_MAX];
    size_t len = audit_put_body(record, body);

    return audit_put_line(chain, neo_bytes(body, len), out);
}

static void finip(struct neo_buffer *buffer)
{
    neo_buffer_fini(buffer);
}

/* `"ts":"...","checkpoint":"<SHA-256 of the key>"`: what is signed, together with the head. */
static enum neo_code put_statement(char *at, int64_t wall_nsec, const struct neo_key *key,
                                   size_t *ret_len, struct neo_error *err)
{
    NEO_CLEANUP(finip) struct neo_buffer spki = {0};
    uint8_t id[NEO_SHA256_LEN];
    const char *start = at;

    NEO_TRY(neo_key_spki(key, &spki, err));
    neo_sha256(neo_buffer_bytes(&spki), id);
    at = put_time(at, wall_nsec);
    at = put(at, ",\"checkpoint\":\"");
    at = hex_put(at, id, sizeof(id));
    *at++ = '"';
    *ret_len = (size_t)(at - start);
    return NEO_OK;
}

enum neo_code neo_audit_checkpoint(struct neo_audit_chain *chain, int64_t wall_nsec,
                                   const struct neo_key *key, struct neo_buffer *out,
                                   struct neo_error *err)
{
    enum { STATEMENT_MAX = 160, SIGNATURE_MAX = 160 };
    NEO_CLEANUP(finip) struct neo_buffer signature = {.limit = SIGNATURE_MAX};
    char text[HEAD_MAX + STATEMENT_MAX + 2 * SIGNATURE_MAX];
    char *statement = put_head(text, chain);
    size_t len;

    NEO_TRY(put_statement(statement, wall_nsec, key, &len, err));
    size_t signed_len = (size_t)(statement - text) + len;
    NEO_TRY(neo_key_sign(key, neo_bytes(text, signed_len), &signature, err));

    char *at = put(statement + len, ",\"sig\":\"");
    at = hex_put(at, signature.at, signature.len);
    *at++ = '"';
    if (!audit_put_line(chain, neo_bytes(statement, (size_t)(at - statement)), out))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no room for a checkpoint of the audit trail");
    chain->checkpoint = chain->sequence;
    return NEO_OK;
}
