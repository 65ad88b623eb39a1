/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/grammar.h"

enum {
    NAME_FIRST = 1 << 0, /* A-Z a-z _ */
    NAME_MORE = 1 << 1,  /* the same and 0-9 */
    DOT = 1 << 2,
    HOST = 1 << 3,   /* A-Z a-z 0-9 . - _ */
    HEXIP = 1 << 4,  /* 0-9 a-f A-F : . */
    NUMBER = 1 << 5, /* 0-9 */
};

/* clang-format off */
#define LETTER(c) [c] = NAME_FIRST | NAME_MORE | HOST
#define HEX(c)    [c] = NAME_FIRST | NAME_MORE | HOST | HEXIP
#define DECIMAL(c) [c] = NAME_MORE | HOST | HEXIP | NUMBER

static const uint8_t classes[256] = {
    HEX('a'), HEX('b'), HEX('c'), HEX('d'), HEX('e'), HEX('f'),
    HEX('A'), HEX('B'), HEX('C'), HEX('D'), HEX('E'), HEX('F'),
    LETTER('g'), LETTER('h'), LETTER('i'), LETTER('j'), LETTER('k'), LETTER('l'), LETTER('m'),
    LETTER('n'), LETTER('o'), LETTER('p'), LETTER('q'), LETTER('r'), LETTER('s'), LETTER('t'),
    LETTER('u'), LETTER('v'), LETTER('w'), LETTER('x'), LETTER('y'), LETTER('z'),
    LETTER('G'), LETTER('H'), LETTER('I'), LETTER('J'), LETTER('K'), LETTER('L'), LETTER('M'),
    LETTER('N'), LETTER('O'), LETTER('P'), LETTER('Q'), LETTER('R'), LETTER('S'), LETTER('T'),
    LETTER('U'), LETTER('V'), LETTER('W'), LETTER('X'), LETTER('Y'), LETTER('Z'), LETTER('_'),
    DECIMAL('0'), DECIMAL('1'), DECIMAL('2'), DECIMAL('3'), DECIMAL('4'), DECIMAL('5'),
    DECIMAL('6'), DECIMAL('7'), DECIMAL('8'), DECIMAL('9'),
    ['.'] = DOT | HOST | HEXIP, ['-'] = HOST, [':'] = HEXIP,
};
/* clang-format on */

/* How many of the first bytes are all of the class. */
static size_t run(struct neo_bytes bytes, uint8_t class)
{
    size_t n = 0;

    while (n < bytes.len && (classes[bytes.at[n]] & class) != 0)
        n++;
    return n;
}

/* The length of a name at the front, 0 when there is none. */
static size_t name_at(struct neo_bytes bytes, uint8_t more)
{
    if (bytes.len == 0 || (classes[bytes.at[0]] & NAME_FIRST) == 0)
        return 0;
    return 1 + run(neo_bytes_from(bytes, 1), more);
}

bool h2_path_is_valid(struct neo_bytes path)
{
    if (path.len == 0 || path.at[0] != '/')
        return false;

    struct neo_bytes rest = neo_bytes_from(path, 1);
    size_t service = name_at(rest, NAME_MORE | DOT);
    if (service == 0 || service > 128 || service == rest.len || rest.at[service] != '/')
        return false;
    rest = neo_bytes_from(rest, service + 1);
    size_t method = name_at(rest, NAME_MORE);
    return method > 0 && method <= 64 && method == rest.len;
}

static bool is_port(struct neo_bytes text)
{
    return text.len > 0 && text.len <= 5 && run(text, NUMBER) == text.len;
}

bool h2_authority_is_valid(struct neo_bytes authority)
{
    struct neo_bytes rest;

    if (authority.len == 0 || authority.len > 255)
        return false;
    if (authority.at[0] == '[') {
        size_t n = run(neo_bytes_from(authority, 1), HEXIP);
        if (n < 2 || n + 1 == authority.len || authority.at[n + 1] != ']')
            return false;
        rest = neo_bytes_from(authority, n + 2);
    } else {
        size_t n = run(authority, HOST);
        if (n == 0)
            return false;
        rest = neo_bytes_from(authority, n);
    }
    return rest.len == 0 || (rest.at[0] == ':' && is_port(neo_bytes_from(rest, 1)));
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool h2_is_grpc_type(struct neo_bytes content_type)
{
    const struct neo_bytes grpc = NEO_LIT("application/grpc");

    if (content_type.len < grpc.len)
        return false;
    if (memcmp(content_type.at, grpc.at, grpc.len) != 0) {
        for (size_t i = 0; i < grpc.len; i++) {
            if (lower(content_type.at[i]) != grpc.at[i])
                return false;
        }
    }
    struct neo_bytes rest = neo_bytes_from(content_type, grpc.len);
    if (neo_bytes_starts(rest, NEO_LIT("+proto")))
        rest = neo_bytes_from(rest, sizeof("+proto") - 1);
    return rest.len == 0 || rest.at[0] == ';';
}

bool h2_is_reserved_in_trailers(struct neo_bytes name)
{
#define NAME(text)                                                                                 \
    {                                                                                              \
        sizeof(text) - 1, text                                                                     \
    }
    static const struct {
        size_t len;
        const char *text;
    } reserved[] = {
        NAME("content-length"),
        NAME("host"),
        NAME("te"),
        NAME("authorization"),
        NAME("grpc-timeout"),
        NAME("grpc-encoding"),
        NAME("grpc-previous-rpc-attempts"),
        NAME("x-caller-id"),
        NAME("x-deadline-ms"),
        NAME("x-neo-caller-chain-bin"),
        NAME("x-neo-criticality"),
        NAME("x-attestation-nonce"),
    };
#undef NAME

    for (size_t i = 0; i < NEO_COUNT(reserved); i++) {
        if (name.len == reserved[i].len && memcmp(name.at, reserved[i].text, name.len) == 0)
            return true;
    }
    return false;
}
