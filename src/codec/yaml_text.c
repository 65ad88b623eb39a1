/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/yaml_text.h"

#include <neo/time.h>

#include "codec/utf8.h"

/* An inclusive range of code points. */
struct range {
    uint32_t first;
    uint32_t last;
};

/*
 * Characters that make a text read differently from what it says: zero width,
 * direction marks and overrides, line ends that only some programs see, byte
 * order marks, tags.
 */
static const struct range INVISIBLE[] = {
    {0x00ad, 0x00ad}, {0x034f, 0x034f}, {0x061c, 0x061c}, {0x115f, 0x1160}, {0x17b4, 0x17b5},
    {0x180b, 0x180f}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164},
    {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xe0000, 0xe0fff},
};

static bool is_invisible(uint32_t point)
{
    for (size_t i = 0; i < NEO_COUNT(INVISIBLE); i++)
        if (point >= INVISIBLE[i].first && point <= INVISIBLE[i].last)
            return true;
    return false;
}

/* NULL for a character that may stand in a file; line ends are the caller's matter. */
static const char *offence_of(uint32_t point)
{
    if (point >= 0x20 && point < 0x7f)
        return NULL;
    if (point == '\t')
        return "is a tab; indent with spaces";
    if (point == '\r')
        return "is a carriage return without a line feed; end lines with a line feed";
    if (point < 0x20 || (point >= 0x7f && point < 0xa0))
        return "is a control character; remove it";
    if (point == 0xfeff)
        return "is a byte order mark; save the file as UTF-8 without one";
    if (is_invisible(point))
        return "is invisible or changes the direction of text; remove it";
    return NULL;
}

static bool is_line_end(struct neo_bytes text, size_t at)
{
    return text.at[at] == '\n' ||
           (text.at[at] == '\r' && at + 1 < text.len && text.at[at + 1] == '\n');
}

enum neo_code yaml_check_text(struct neo_bytes text, const char *file, struct neo_error *err)
{
    struct neo_place place = {.file = file, .line = 1, .column = 1};
    size_t len;

    for (size_t i = 0; i < text.len; i += len, place.column++) {
        len = utf8_sequence_len(text.at + i, text.len - i);
        if (len == 0)
            return neo_fail_at(err, NEO_INVALID_ARGUMENT, place,
                               "byte 0x%02x is not UTF-8; save the file as UTF-8", text.at[i]);
        if (is_line_end(text, i)) {
            if (text.at[i] == '\n')
                place = (struct neo_place){.file = file, .line = place.line + 1};
            continue;
        }
        uint32_t point = utf8_code_point(text.at + i, len);
        const char *offence = offence_of(point);
        if (offence != NULL)
            return neo_fail_at(err, NEO_INVALID_ARGUMENT, place, "U+%04X %s", point, offence);
    }
    return NEO_OK;
}

bool yaml_is_visible(struct neo_bytes value)
{
    size_t len;

    for (size_t i = 0; i < value.len; i += len) {
        len = utf8_sequence_len(value.at + i, value.len - i);
        if (len == 0)
            return false;
        uint32_t point = utf8_code_point(value.at + i, len);
        if (point != '\n' && offence_of(point) != NULL)
            return false;
    }
    return true;
}

/* Decimal digits, all of them, without a sign or a leading zero. */
static bool read_decimal(struct neo_bytes text, uint64_t *ret)
{
    uint64_t value = 0;

    if (text.len == 0 || (text.len > 1 && text.at[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value))
            return false;
    }
    *ret = value;
    return true;
}

static bool read_duration(struct neo_bytes text, neo_nsec *ret)
{
    static const struct {
        const char *name;
        neo_nsec length;
    } units[] = {
        {"ms", NEO_NSEC_PER_MSEC},
        {"s", NEO_NSEC_PER_SEC},
        {"m", 60 * NEO_NSEC_PER_SEC},
        {"h", 3600 * NEO_NSEC_PER_SEC},
    };
    size_t digits = 0;
    uint64_t count;
    neo_nsec value;

    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    if (!read_decimal(neo_bytes(text.at, digits), &count))
        return false;
    for (size_t i = 0; i < NEO_COUNT(units); i++) {
        if (!neo_bytes_is(neo_bytes_from(text, digits), units[i].name))
            continue;
        if (__builtin_mul_overflow(count, units[i].length, &value))
            return false;
        *ret = value;
        return true;
    }
    return false;
}

static bool read_bool(struct neo_bytes text, bool *ret)
{
    if (!neo_bytes_is(text, "true") && !neo_bytes_is(text, "false"))
        return false;
    *ret = text.at[0] == 't';
    return true;
}

static bool read_u32(struct neo_bytes text, uint32_t *ret)
{
    uint64_t value;

    if (!read_decimal(text, &value) || value > UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static const char *convert_text(struct neo_bytes text, bool plain, struct neo_arena *arena,
                                struct neo_bytes *ret)
{
    if (plain && text.len == 0)
        return "must have a value; write \"\" if it is meant to be empty";
    if (!yaml_is_visible(text))
        return "must hold no control or invisible characters, escaped ones included";
    *ret = neo_arena_copy(arena, text);
    return NULL;
}

const char *yaml_convert(enum neo_yaml_kind kind, struct neo_bytes text, bool plain,
                         struct neo_arena *arena, void *ret)
{
    switch (kind) {
    case NEO_YAML_TEXT:
        return convert_text(text, plain, arena, ret);
    case NEO_YAML_BOOL:
        return plain && read_bool(text, ret) ? NULL : "must be true or false, without quotes";
    case NEO_YAML_U32:
        return plain && read_u32(text, ret)
                   ? NULL
                   : "must be a whole number from 0 to 4294967295, in plain digits";
    case NEO_YAML_DURATION:
        return read_duration(text, ret) ? NULL : "must be a duration such as 250ms, 10s, 5m or 24h";
    case NEO_YAML_STRUCT:
    case NEO_YAML_MAP:
        return "must be a mapping (key: value)";
    case NEO_YAML_LIST:
        return "must be a list; write [ ] around it, or each element behind \"- \"";
    case NEO_YAML_ANY:
        return NULL;
    }
    return NULL;
}

enum { LONGEST_KEY = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be changed, added, dropped or swapped with their neighbour. */
static size_t distance(struct neo_bytes a, struct neo_bytes b)
{
    size_t row[3][LONGEST_KEY + 1];

    for (size_t j = 0; j <= b.len; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *here = row[i % 3];
        const size_t *above = row[(i + 2) % 3];
        const size_t *two_above = row[(i + 1) % 3];
        here[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            here[j] = least(least(above[j], here[j - 1]) + 1,
                            above[j - 1] + (a.at[i - 1] != b.at[j - 1]));
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1])
                here[j] = least(here[j], two_above[j - 2] + 1);
        }
    }
    return row[a.len % 3][b.len];
}

const char *yaml_nearest_key(const struct neo_yaml_field *fields, struct neo_bytes key)
{
    const char *nearest = NULL;
    size_t best = key.len / 3 + 1; /* farther than this is another word */

    if (key.len > LONGEST_KEY)
        return NULL;
    for (; fields->key != NULL; fields++) {
        struct neo_bytes known = neo_text(fields->key);
        if (known.len > LONGEST_KEY)
            continue;
        size_t away = distance(key, known);
        if (away <= best && (nearest == NULL || away < best)) {
            best = away;
            nearest = fields->key;
        }
    }
    return nearest;
}
