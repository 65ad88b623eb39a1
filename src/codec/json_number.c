/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are taken apart into sign, decimal digits and a power of ten, which tells
 * exactly whether a number is whole and in range. Doubles of up to 15 digits and a
 * small power are one exact multiplication or division; the others, and shortest
 * output, are the C library's business, under its "C" locale.
 */
#include "codec/json_number.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    EXACT_DIGITS = 15, /* any such integer is a double */
    EXACT_POWER = 22,  /* so is 10 to any such power */
    U64_DIGITS = 20,
    SHORT_TEXT = 64,
};

#define POWER_MAX INT64_C(1000000000000000)

struct decimal {
    bool negative;
    struct neo_bytes digits; /* first to last significant one; may hold a point */
    size_t n_digits;
    int64_t power; /* of ten, behind the last significant digit */
};

const char *json_number_why(enum json_number result)
{
    switch (result) {
    case JSON_NUMBER_OK:
        return "is a number";
    case JSON_NUMBER_MALFORMED:
        return "is not a number";
    case JSON_NUMBER_FRACTION:
        return "is not a whole number";
    case JSON_NUMBER_RANGE:
        return "is out of range";
    case JSON_NUMBER_MEMORY:
        return "does not fit the memory budget";
    }
    return "is not a number";
}

/* --- grammar ---------------------------------------------------------------------------------- */

static size_t count_digits(struct neo_bytes text, size_t from)
{
    size_t i = from;

    while (i < text.len && text.at[i] >= '0' && text.at[i] <= '9')
        i++;
    return i - from;
}

static bool is_at(struct neo_bytes text, size_t i, char a, char b)
{
    return i < text.len && (text.at[i] == (uint8_t)a || text.at[i] == (uint8_t)b);
}

size_t json_number_len(struct neo_bytes text)
{
    size_t i = is_at(text, 0, '-', '-') ? 1 : 0;
    size_t whole = count_digits(text, i);

    if (whole == 0 || (whole > 1 && text.at[i] == '0'))
        return 0;
    i += whole;
    if (is_at(text, i, '.', '.')) {
        size_t fraction = count_digits(text, i + 1);
        if (fraction == 0)
            return 0;
        i += 1 + fraction;
    }
    if (is_at(text, i, 'e', 'E')) {
        i += is_at(text, i + 1, '+', '-') ? 2 : 1;
        size_t exponent = count_digits(text, i);
        if (exponent == 0)
            return 0;
        i += exponent;
    }
    return i;
}

/* --- taking apart ----------------------------------------------------------------------------- */

/* Saturates far beyond anything a text's length could make up for. */
static int64_t exponent_of(struct neo_bytes text)
{
    bool negative = is_at(text, 0, '-', '-');
    int64_t value = 0;

    for (size_t i = is_at(text, 0, '+', '-') ? 1 : 0; i < text.len; i++) {
        if (value < POWER_MAX)
            value = value * 10 + (text.at[i] - '0');
    }
    return negative ? -value : value;
}

/* The mantissa's significant digits, and the power of ten that goes with them. */
static void trim(struct decimal *d)
{
    const uint8_t *point = memchr(d->digits.at, '.', d->digits.len);

    if (point != NULL)
        d->power -= (d->digits.at + d->digits.len) - (point + 1);
    while (d->digits.len > 0 && (d->digits.at[0] == '0' || d->digits.at[0] == '.'))
        d->digits = neo_bytes_from(d->digits, 1);
    while (d->digits.len > 0 &&
           (d->digits.at[d->digits.len - 1] == '0' || d->digits.at[d->digits.len - 1] == '.')) {
        d->power += d->digits.at[d->digits.len - 1] == '0';
        d->digits.len--;
    }
    d->n_digits = d->digits.len;
    if (d->digits.len > 0 && memchr(d->digits.at, '.', d->digits.len) != NULL)
        d->n_digits--;
}

static bool take_apart(struct neo_bytes text, struct decimal *ret)
{
    size_t mantissa = 0;

    if (text.len == 0 || json_number_len(text) != text.len)
        return false;
    *ret = (struct decimal){.negative = text.at[0] == '-'};
    if (ret->negative)
        text = neo_bytes_from(text, 1);
    while (mantissa < text.len && !is_at(text, mantissa, 'e', 'E'))
        mantissa++;
    if (mantissa < text.len)
        ret->power = exponent_of(neo_bytes_from(text, mantissa + 1));
    ret->digits = (struct neo_bytes){text.at, mantissa};
    trim(ret);
    return true;
}

/* The digits as an integer; there are at most 20 of them. False when beyond 64 bits. */
static bool value_of(const struct decimal *d, uint64_t *ret)
{
    uint64_t value = 0;

    for (size_t i = 0; i < d->digits.len; i++) {
        if (d->digits.at[i] == '.')
            continue;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(d->digits.at[i] - '0'), &value))
            return false;
    }
    *ret = value;
    return true;
}

static enum json_number magnitude_of(struct neo_bytes text, bool *negative, uint64_t *ret)
{
    struct decimal d;
    uint64_t value;

    if (!take_apart(text, &d))
        return JSON_NUMBER_MALFORMED;
    *negative = d.negative;
    if (d.n_digits == 0) {
        *ret = 0;
        return JSON_NUMBER_OK;
    }
    if (d.power < 0)
        return JSON_NUMBER_FRACTION;
    if (d.n_digits > U64_DIGITS || d.power > U64_DIGITS || !value_of(&d, &value))
        return JSON_NUMBER_RANGE;
    for (int64_t i = 0; i < d.power; i++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value))
            return JSON_NUMBER_RANGE;
    }
    *ret = value;
    return JSON_NUMBER_OK;
}

enum json_number json_number_u64(struct neo_bytes text, uint64_t *ret)
{
    bool negative;
    uint64_t magnitude;
    enum json_number result = magnitude_of(text, &negative, &magnitude);

    if (result != JSON_NUMBER_OK)
        return result;
    if (negative && magnitude > 0)
        return JSON_NUMBER_RANGE;
    *ret = magnitude;
    return JSON_NUMBER_OK;
}

enum json_number json_number_i64(struct neo_bytes text, int64_t *ret)
{
    bool negative;
    uint64_t magnitude;
    enum json_number result = magnitude_of(text, &negative, &magnitude);

    if (result != JSON_NUMBER_OK)
        return result;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return JSON_NUMBER_RANGE;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return JSON_NUMBER_OK;
}

/* --- doubles ---------------------------------------------------------------------------------- */

/* Runs the C library's conversions under the "C" locale; this costs no memory. */
static locale_t enter_c_locale(void)
{
    static locale_t c_locale; /* set to the same value by whoever comes first */
    locale_t c = __atomic_load_n(&c_locale, __ATOMIC_ACQUIRE);

    if (c == (locale_t)0) {
        c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        __atomic_store_n(&c_locale, c, __ATOMIC_RELEASE);
    }
    return uselocale(c);
}

static double convert(const char *text)
{
    locale_t before = enter_c_locale();
    double value = strtod(text, NULL);

    (void)uselocale(before);
    return value;
}

static bool convert_exactly(const struct decimal *d, double *ret)
{
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t value;

    if (d->n_digits > EXACT_DIGITS || d->power < -EXACT_POWER || d->power > EXACT_POWER ||
        !value_of(d, &value))
        return false;
    double result = (double)value;
    result = d->power < 0 ? result / powers[-d->power] : result * powers[d->power];
    *ret = d->negative ? -result : result;
    return true;
}

enum json_number json_number_double(struct neo_bytes text, struct neo_arena *arena, double *ret)
{
    struct decimal d;
    char buffer[SHORT_TEXT];
    const char *copy = buffer;

    if (!take_apart(text, &d))
        return JSON_NUMBER_MALFORMED;
    if (convert_exactly(&d, ret))
        return JSON_NUMBER_OK;
    if (text.len < sizeof(buffer)) {
        memcpy(buffer, text.at, text.len);
        buffer[text.len] = '\0';
    } else {
        copy = neo_arena_string(arena, text);
        if (copy == NULL)
            return JSON_NUMBER_MEMORY;
    }
    double value = convert(copy);
    if (isinf(value))
        return JSON_NUMBER_RANGE;
    *ret = value;
    return JSON_NUMBER_OK;
}

/* --- printing --------------------------------------------------------------------------------- */

/* Most numbers that people write are whole and small. */
static bool print_whole(double value, char ret[static JSON_DOUBLE_MAX], size_t *len)
{
    if (!(value > -1e15 && value < 1e15))
        return false;
    if (value == 0 && signbit(value)) { /* to many readers "-0" is an integer, without a sign */
        *len = (size_t)snprintf(ret, JSON_DOUBLE_MAX, "-0.0");
        return true;
    }
    int64_t whole = (int64_t)value;
    if ((double)whole < value || (double)whole > value)
        return false;
    *len = (size_t)snprintf(ret, JSON_DOUBLE_MAX, "%lld", (long long)whole);
    return true;
}

static bool reads_back(const char *text, double value, bool single)
{
    if (single)
        return !islessgreater(strtof(text, NULL), (float)value);
    return !islessgreater(strtod(text, NULL), value);
}

static size_t print(double value, bool single, char ret[static JSON_DOUBLE_MAX])
{
    int digits = single ? FLT_DIG : DBL_DIG;
    int most = single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    size_t len = 0;

    if (print_whole(value, ret, &len))
        return len;
    locale_t before = enter_c_locale();
    do
        len = (size_t)snprintf(ret, JSON_DOUBLE_MAX, "%.*g", digits, value);
    while (digits++ < most && !reads_back(ret, value, single));
    (void)uselocale(before);
    return len;
}

size_t json_number_print_double(double value, char ret[static JSON_DOUBLE_MAX])
{
    return print(value, false, ret);
}

size_t json_number_print_float(float value, char ret[static JSON_DOUBLE_MAX])
{
    return print((double)value, true, ret);
}
