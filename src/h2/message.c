/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that mean something are compared as a whole, and are valid then. All others, and all
 * values, are looked at eight bytes at a time: what consists of usual bytes passes, and only
 * where an unusual one is among them, the table is asked.
 */
#include "h2/message.h"

enum {
    SEEN_METHOD = 1 << 0,
    SEEN_SCHEME = 1 << 1,
    SEEN_PATH = 1 << 2,
    SEEN_AUTHORITY = 1 << 3,
    SEEN_STATUS = 1 << 4,
    SEEN_HOST = 1 << 5,
    SEEN_REGULAR = 1 << 6, /* no pseudo-header may follow */
    IS_CONNECT = 1 << 7,
    IS_OPTIONS = 1 << 8,
    IS_HTTP = 1 << 9,     /* :scheme http or https */
    IS_SLASHED = 1 << 10, /* :path begins with a slash */
    IS_STAR = 1 << 11,    /* :path is "*" */

    SEEN_REQUEST = SEEN_METHOD | SEEN_SCHEME | SEEN_PATH,
};

/* --- bytes ------------------------------------------------------------------------------------ */

enum {
    TOKEN = 1 << 0,     /* RFC 9110, 5.6.2 */
    UPPER = 1 << 1,     /* of these, what no field name may have */
    AUTHORITY = 1 << 2, /* RFC 3986, 3.2, without userinfo, as far as bytes can say */
    SCHEME = 1 << 3,
    DIGIT = 1 << 4,
};

/* clang-format off */
#define LOWER_CASE(c) [c] = TOKEN | AUTHORITY | SCHEME
#define UPPER_CASE(c) [c] = TOKEN | AUTHORITY | SCHEME | UPPER
#define DECIMAL(c)    [c] = TOKEN | AUTHORITY | SCHEME | DIGIT

static const uint8_t classes[256] = {
    LOWER_CASE('a'), LOWER_CASE('b'), LOWER_CASE('c'), LOWER_CASE('d'), LOWER_CASE('e'),
    LOWER_CASE('f'), LOWER_CASE('g'), LOWER_CASE('h'), LOWER_CASE('i'), LOWER_CASE('j'),
    LOWER_CASE('k'), LOWER_CASE('l'), LOWER_CASE('m'), LOWER_CASE('n'), LOWER_CASE('o'),
    LOWER_CASE('p'), LOWER_CASE('q'), LOWER_CASE('r'), LOWER_CASE('s'), LOWER_CASE('t'),
    LOWER_CASE('u'), LOWER_CASE('v'), LOWER_CASE('w'), LOWER_CASE('x'), LOWER_CASE('y'),
    LOWER_CASE('z'),
    UPPER_CASE('A'), UPPER_CASE('B'), UPPER_CASE('C'), UPPER_CASE('D'), UPPER_CASE('E'),
    UPPER_CASE('F'), UPPER_CASE('G'), UPPER_CASE('H'), UPPER_CASE('I'), UPPER_CASE('J'),
    UPPER_CASE('K'), UPPER_CASE('L'), UPPER_CASE('M'), UPPER_CASE('N'), UPPER_CASE('O'),
    UPPER_CASE('P'), UPPER_CASE('Q'), UPPER_CASE('R'), UPPER_CASE('S'), UPPER_CASE('T'),
    UPPER_CASE('U'), UPPER_CASE('V'), UPPER_CASE('W'), UPPER_CASE('X'), UPPER_CASE('Y'),
    UPPER_CASE('Z'),
    DECIMAL('0'), DECIMAL('1'), DECIMAL('2'), DECIMAL('3'), DECIMAL('4'), DECIMAL('5'),
    DECIMAL('6'), DECIMAL('7'), DECIMAL('8'), DECIMAL('9'),
    ['!'] = TOKEN | AUTHORITY, ['#'] = TOKEN, ['$'] = TOKEN | AUTHORITY,
    ['%'] = TOKEN | AUTHORITY, ['&'] = TOKEN | AUTHORITY, ['\''] = TOKEN | AUTHORITY,
    ['*'] = TOKEN | AUTHORITY, ['+'] = TOKEN | AUTHORITY | SCHEME,
    ['-'] = TOKEN | AUTHORITY | SCHEME, ['.'] = TOKEN | AUTHORITY | SCHEME,
    ['^'] = TOKEN, ['_'] = TOKEN | AUTHORITY, ['`'] = TOKEN, ['|'] = TOKEN,
    ['~'] = TOKEN | AUTHORITY,
    ['('] = AUTHORITY, [')'] = AUTHORITY, [','] = AUTHORITY, [':'] = AUTHORITY,
    [';'] = AUTHORITY, ['='] = AUTHORITY, ['['] = AUTHORITY, [']'] = AUTHORITY,
};
/* clang-format on */

static bool are_all(struct neo_bytes bytes, uint8_t class)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if ((classes[bytes.at[i]] & class) == 0)
            return false;
    }
    return true;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* `text` is of lower case; letters of `bytes` may be of either. */
static bool is_in_any_case(struct neo_bytes bytes, struct neo_bytes text)
{
    if (bytes.len != text.len)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (lower(bytes.at[i]) != text.at[i])
            return false;
    }
    return true;
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

static uint64_t eight_at(const uint8_t *at)
{
    uint64_t eight;

    memcpy(&eight, at, sizeof(eight));
    return eight;
}

/*
 * Whether all of eight bytes are a-z or '-'. While no byte has its highest bit, adding what is less
 * than 0x80 to each carries into no other, and sets that bit where the sum reaches it.
 */
static bool are_usual_in_names(uint64_t x)
{
    const uint64_t top = EACH_BYTE(0x80);
    uint64_t seven = x & ~top;
    uint64_t from_a = seven + EACH_BYTE(0x80 - 'a');
    uint64_t beyond_z = seven + EACH_BYTE(0x80 - 'z' - 1);
    uint64_t no_dash = (seven ^ EACH_BYTE('-')) + EACH_BYTE(0x7f);

    return (((from_a & ~beyond_z) | ~no_dash) & ~x & top) == top;
}

/*
 * Whether all of eight bytes are at least `least`, and none is DEL. A borrow comes only from a byte
 * that is too low itself, so that one which has none to blame is never blamed alone.
 */
static bool are_printed(uint64_t x, uint8_t least)
{
    uint64_t too_low = x - EACH_BYTE(least);
    uint64_t is_del = (x ^ EACH_BYTE(0x7f)) - EACH_BYTE(0x01);

    return ((too_low | is_del) & ~x & EACH_BYTE(0x80)) == 0;
}

/* The last eight overlap those before them. */
static bool is_usual_name(struct neo_bytes name)
{
    if (name.len < 8)
        return false;
    for (size_t i = 0; i + 8 < name.len; i += 8) {
        if (!are_usual_in_names(eight_at(name.at + i)))
            return false;
    }
    return are_usual_in_names(eight_at(name.at + name.len - 8));
}

static bool is_printed(struct neo_bytes bytes, uint8_t least)
{
    if (bytes.len < 8) {
        for (size_t i = 0; i < bytes.len; i++) {
            if (bytes.at[i] < least || bytes.at[i] == 0x7f)
                return false;
        }
        return true;
    }
    for (size_t i = 0; i + 8 < bytes.len; i += 8) {
        if (!are_printed(eight_at(bytes.at + i), least))
            return false;
    }
    return are_printed(eight_at(bytes.at + bytes.len - 8), least);
}

/* As RFC 9110, 5.5, has it: what can be seen, blanks and tabs, and bytes of no meaning. */
static bool is_value(struct neo_bytes value)
{
    if (is_printed(value, ' '))
        return true;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* RFC 9113, 8.2.1: neither begins nor ends with a blank. */
static bool is_trimmed_value(struct neo_bytes value)
{
    if (value.len > 0 && (is_blank(value.at[0]) || is_blank(value.at[value.len - 1])))
        return false;
    return is_value(value);
}

/* --- names ------------------------------------------------------------------------------------ */

static enum message_name judge_name(struct neo_bytes name)
{
    bool underscore = false;

    if (is_usual_name(name))
        return NAME_OTHER;
    for (size_t i = 0; i < name.len; i++) {
        if ((classes[name.at[i]] & (TOKEN | UPPER)) != TOKEN)
            return NAME_BAD;
        underscore |= name.at[i] == '_';
    }
    if (name.len == 0)
        return NAME_BAD;
    return underscore ? NAME_UNDERSCORE : NAME_OTHER;
}

/* Those that belong to a connection are no one's in HTTP/2 (RFC 9113, 8.2.2): they are bad. */
enum message_name message_name(struct neo_bytes name)
{
#define IS(text) (memcmp(name.at, text, sizeof(text) - 1) == 0)
    switch (name.len) {
    case sizeof("te") - 1:
        return IS("te") ? NAME_TE : judge_name(name);
    case sizeof("host") - 1:
        return IS("host") ? NAME_HOST : judge_name(name);
    case sizeof(":path") - 1:
        return IS(":path") ? NAME_PATH : judge_name(name);
    case sizeof(":method") - 1:
        if (IS(":method"))
            return NAME_METHOD;
        if (IS(":scheme"))
            return NAME_SCHEME;
        if (IS(":status"))
            return NAME_STATUS;
        return IS("upgrade") ? NAME_BAD : judge_name(name);
    case sizeof(":authority") - 1:
        if (IS(":authority"))
            return NAME_AUTHORITY;
        if (IS("user-agent"))
            return NAME_OTHER;
        return IS("connection") || IS("keep-alive") ? NAME_BAD : judge_name(name);
    case sizeof("content-type") - 1:
        return IS("content-type") ? NAME_TYPE : judge_name(name);
    case sizeof("content-length") - 1:
        return IS("content-length") ? NAME_LENGTH : judge_name(name);
    case sizeof("proxy-connection") - 1:
        return IS("proxy-connection") ? NAME_BAD : judge_name(name);
    case sizeof("transfer-encoding") - 1:
        return IS("transfer-encoding") ? NAME_BAD : judge_name(name);
    default:
        return judge_name(name);
    }
#undef IS
}

/* --- fields ----------------------------------------------------------------------------------- */

/* Not empty, not again, and not behind what is no pseudo-header. */
static bool is_first(struct message *m, uint16_t bit, struct neo_bytes value)
{
    if (value.len == 0 || (m->seen & (bit | SEEN_REGULAR)) != 0)
        return false;
    m->seen |= bit;
    return true;
}

static bool take_method(struct message *m, struct neo_bytes value)
{
    if (!is_first(m, SEEN_METHOD, value))
        return false;
    if (neo_bytes_equal(value, NEO_LIT("POST")))
        return true;
    if (neo_bytes_equal(value, NEO_LIT("CONNECT")))
        m->seen |= IS_CONNECT;
    else if (neo_bytes_equal(value, NEO_LIT("OPTIONS")))
        m->seen |= IS_OPTIONS;
    return are_all(value, TOKEN);
}

static bool take_scheme(struct message *m, struct neo_bytes value)
{
    if (!is_first(m, SEEN_SCHEME, value))
        return false;
    if (neo_bytes_equal(value, NEO_LIT("https")) || is_in_any_case(value, NEO_LIT("https")) ||
        is_in_any_case(value, NEO_LIT("http"))) {
        m->seen |= IS_HTTP;
        return true;
    }
    return lower(value.at[0]) >= 'a' && lower(value.at[0]) <= 'z' && are_all(value, SCHEME);
}

static bool take_path(struct message *m, struct neo_bytes value, bool is_known)
{
    if (!is_first(m, SEEN_PATH, value))
        return false;
    if (value.at[0] == '/')
        m->seen |= IS_SLASHED;
    else if (neo_bytes_equal(value, NEO_LIT("*")))
        m->seen |= IS_STAR;
    return is_known || is_printed(value, ' ' + 1);
}

static bool take_length(struct message *m, struct neo_bytes value)
{
    uint64_t length = 0;

    if (m->has_length || value.len == 0 || !are_all(value, DIGIT))
        return false;
    for (size_t i = 0; i < value.len; i++) {
        uint64_t digit = (uint64_t)(value.at[i] - '0');
        if (length > (INT64_MAX - digit) / 10)
            return false;
        length = length * 10 + digit;
    }
    m->length = length;
    m->has_length = true;
    return true;
}

static bool is_trailers(struct neo_bytes value)
{
    return neo_bytes_equal(value, NEO_LIT("trailers")) ||
           is_in_any_case(value, NEO_LIT("trailers"));
}

static bool take_host(struct message *m, struct neo_bytes value)
{
    if (value.len == 0 || (m->seen & SEEN_HOST) != 0)
        return false;
    m->seen |= SEEN_HOST;
    return are_all(value, AUTHORITY);
}

static bool take_request_pseudo(struct message *m, enum message_name what, struct neo_bytes value,
                                bool is_known)
{
    if (what == NAME_METHOD)
        return take_method(m, value);
    if (what == NAME_SCHEME)
        return take_scheme(m, value);
    if (what == NAME_PATH)
        return take_path(m, value, is_known);
    if (what == NAME_AUTHORITY)
        return is_first(m, SEEN_AUTHORITY, value) && (is_known || are_all(value, AUTHORITY));
    return false;
}

bool message_request_field(struct message *m, enum message_name what, struct neo_bytes value,
                           bool is_known)
{
    if (what == NAME_BAD)
        return false;
    if (message_is_pseudo(what))
        return take_request_pseudo(m, what, value, is_known);
    m->seen |= SEEN_REGULAR;
    if (what == NAME_HOST)
        return take_host(m, value);
    if (what == NAME_TE)
        return is_trailers(value);
    if (what == NAME_LENGTH)
        return take_length(m, value);
    return is_trimmed_value(value);
}

/* Three digits. 101 would change the protocol, which is not done here (RFC 9113, 8.6). */
static bool take_status(struct message *m, struct neo_bytes value)
{
    if (!is_first(m, SEEN_STATUS, value) || value.len != 3 || !are_all(value, DIGIT))
        return false;
    m->status =
        (uint16_t)((value.at[0] - '0') * 100 + (value.at[1] - '0') * 10 + (value.at[2] - '0'));
    return m->status >= 100 && m->status != 101;
}

/* None in 1xx; in 204 some say "0", which is let pass. */
static bool take_response_length(struct message *m, struct neo_bytes value)
{
    if (m->status >= 100 && m->status < 200)
        return false;
    return take_length(m, value) && (m->status != 204 || value.len == 1) &&
           (m->status != 204 || m->length == 0);
}

bool message_response_field(struct message *m, enum message_name what, struct neo_bytes value)
{
    if (message_is_pseudo(what))
        return what == NAME_STATUS && take_status(m, value);
    if (what == NAME_BAD)
        return false;
    m->seen |= SEEN_REGULAR;
    if (what == NAME_TE)
        return is_trailers(value);
    if (what == NAME_LENGTH)
        return take_response_length(m, value);
    return is_value(value);
}

bool message_drops(const struct message *m, enum message_name what)
{
    return what == NAME_LENGTH && m->status == 204;
}

bool message_trailer_field(enum message_name what, struct neo_bytes value, bool is_request)
{
    if (what == NAME_BAD || message_is_pseudo(what))
        return false;
    return is_request ? is_trimmed_value(value) : is_value(value);
}

/* --- messages --------------------------------------------------------------------------------- */

bool message_ended(const struct message *m)
{
    return !m->awaits_final && (!m->has_length || m->length == m->received);
}

/* RFC 9113, 8.3.1 and 8.5. */
bool message_request_complete(struct message *m, bool end)
{
    uint16_t seen = m->seen;

    if ((seen & IS_CONNECT) != 0) {
        m->has_length = false;
        return (seen & (SEEN_SCHEME | SEEN_PATH)) == 0 && (seen & SEEN_AUTHORITY) != 0;
    }
    if ((seen & SEEN_REQUEST) != SEEN_REQUEST || (seen & (SEEN_AUTHORITY | SEEN_HOST)) == 0)
        return false;
    if ((seen & IS_HTTP) != 0 && (seen & IS_SLASHED) == 0 &&
        (seen & (IS_OPTIONS | IS_STAR)) != (IS_OPTIONS | IS_STAR))
        return false;
    return !end || message_ended(m);
}

bool message_response_complete(struct message *m, bool end)
{
    if ((m->seen & SEEN_STATUS) == 0)
        return false;
    if (m->status < 200) {
        *m = (struct message){.awaits_final = true};
        return !end;
    }
    m->awaits_final = false;
    if (m->status == 204 || m->status == 304) {
        m->has_length = true;
        m->length = 0;
    }
    return !end || message_ended(m);
}

bool message_trailers_complete(const struct message *m, bool end)
{
    return end && message_ended(m);
}

bool message_data(struct message *m, size_t len)
{
    m->received += len;
    return !m->awaits_final && (!m->has_length || m->received <= m->length);
}
