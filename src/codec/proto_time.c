/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timestamps and durations as text.
 *
 * Dates are computed in the proleptic Gregorian calendar with years that begin in
 * March: then the leap day is the last day of the year, and the day of the year
 * follows from the month by a straight line, (153 * month + 2) / 5.
 */
#include "codec/proto_wkt.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    DAYS_PER_ERA = 146097, /* of 400 years */
    DAYS_TO_1970 = 719468, /* from 0000-03-01 */
    NANOS_PER_SEC = 1000000000,
    NANO_DIGITS = 9,
};

#define SECONDS_PER_DAY INT64_C(86400)
#define TIMESTAMP_MIN   INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MAX   INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define DURATION_MAX    INT64_C(315576000000) /* about 10,000 years */

static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

struct civil {
    int64_t year;
    int64_t month;
    int64_t day;
};

static struct civil civil_from_days(int64_t days)
{
    int64_t since = days + DAYS_TO_1970; /* not negative in our range */
    int64_t era = since / DAYS_PER_ERA;
    int64_t day_of_era = since - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;

    return (struct civil){
        .year = era * 400 + year_of_era + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
    };
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

bool proto_wkt_is_timestamp(int64_t seconds, int32_t nanos)
{
    return seconds >= TIMESTAMP_MIN && seconds <= TIMESTAMP_MAX && nanos >= 0 &&
           nanos < NANOS_PER_SEC;
}

bool proto_wkt_is_duration(int64_t seconds, int32_t nanos)
{
    return seconds >= -DURATION_MAX && seconds <= DURATION_MAX && nanos > -NANOS_PER_SEC &&
           nanos < NANOS_PER_SEC && !(seconds > 0 && nanos < 0) && !(seconds < 0 && nanos > 0);
}

/* --- printing --------------------------------------------------------------------------------- */

/* ".5", ".000001", ...: as many groups of three digits as needed. */
static size_t print_fraction(int32_t nanos, char *at, size_t room)
{
    if (nanos == 0)
        return 0;
    if (nanos % 1000000 == 0)
        return (size_t)snprintf(at, room, ".%03d", nanos / 1000000);
    if (nanos % 1000 == 0)
        return (size_t)snprintf(at, room, ".%06d", nanos / 1000);
    return (size_t)snprintf(at, room, ".%09d", nanos);
}

size_t proto_wkt_print_timestamp(int64_t seconds, int32_t nanos, char ret[static WKT_TEXT_MAX])
{
    if (!proto_wkt_is_timestamp(seconds, nanos))
        return 0;

    int64_t days = (seconds - TIMESTAMP_MIN) / SECONDS_PER_DAY + TIMESTAMP_MIN / SECONDS_PER_DAY;
    int64_t second = seconds - days * SECONDS_PER_DAY;
    struct civil date = civil_from_days(days);
    size_t len = (size_t)snprintf(
        ret, WKT_TEXT_MAX,
        "%04" PRId64 "-%02" PRId64 "-%02" PRId64 "T%02" PRId64 ":%02" PRId64 ":%02" PRId64,
        date.year, date.month, date.day, second / 3600, second / 60 % 60, second % 60);
    len += print_fraction(nanos, ret + len, WKT_TEXT_MAX - len);
    ret[len++] = 'Z';
    return len;
}

size_t proto_wkt_print_duration(int64_t seconds, int32_t nanos, char ret[static WKT_TEXT_MAX])
{
    if (!proto_wkt_is_duration(seconds, nanos))
        return 0;

    const char *sign = seconds < 0 || nanos < 0 ? "-" : "";
    size_t len =
        (size_t)snprintf(ret, WKT_TEXT_MAX, "%s%" PRId64, sign, seconds < 0 ? -seconds : seconds);
    len += print_fraction(nanos < 0 ? -nanos : nanos, ret + len, WKT_TEXT_MAX - len);
    ret[len++] = 's';
    return len;
}

/* --- parsing ---------------------------------------------------------------------------------- */

/* Takes exactly `digits` digits off the front. */
static bool take_number(struct neo_bytes *text, size_t digits, int64_t *ret)
{
    int64_t value = 0;

    if (text->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (text->at[i] < '0' || text->at[i] > '9')
            return false;
        value = value * 10 + (text->at[i] - '0');
    }
    *text = neo_bytes_from(*text, digits);
    *ret = value;
    return true;
}

static bool take_byte(struct neo_bytes *text, char c)
{
    if (text->len == 0 || text->at[0] != (uint8_t)c)
        return false;
    *text = neo_bytes_from(*text, 1);
    return true;
}

static size_t count_digits(struct neo_bytes text)
{
    size_t n = 0;

    while (n < text.len && text.at[n] >= '0' && text.at[n] <= '9')
        n++;
    return n;
}

/* Nothing, or a point and one to nine digits. */
static bool take_fraction(struct neo_bytes *text, int32_t *ret)
{
    int64_t nanos = 0;

    if (take_byte(text, '.')) {
        size_t digits = count_digits(*text);
        if (digits == 0 || digits > NANO_DIGITS || !take_number(text, digits, &nanos))
            return false;
        for (; digits < NANO_DIGITS; digits++)
            nanos *= 10;
    }
    *ret = (int32_t)nanos;
    return true;
}

static bool take_date(struct neo_bytes *text, int64_t *ret_days)
{
    int64_t year;
    int64_t month;
    int64_t day;

    if (!take_number(text, 4, &year) || !take_byte(text, '-') || !take_number(text, 2, &month) ||
        !take_byte(text, '-') || !take_number(text, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return false;
    *ret_days = days_from_civil(year, month, day);
    return true;
}

static bool take_clock(struct neo_bytes *text, int64_t *ret_seconds)
{
    int64_t hour;
    int64_t minute;
    int64_t second;

    if (!take_number(text, 2, &hour) || !take_byte(text, ':') || !take_number(text, 2, &minute) ||
        !take_byte(text, ':') || !take_number(text, 2, &second))
        return false;
    *ret_seconds = hour * 3600 + minute * 60 + second;
    return hour < 24 && minute < 60 && second < 60;
}

/* "Z" or "+01:30", in seconds east of Greenwich. */
static bool take_zone(struct neo_bytes *text, int64_t *ret)
{
    int64_t hour;
    int64_t minute;

    *ret = 0;
    if (take_byte(text, 'Z'))
        return true;
    bool west = take_byte(text, '-');
    if (!west && !take_byte(text, '+'))
        return false;
    if (!take_number(text, 2, &hour) || !take_byte(text, ':') || !take_number(text, 2, &minute) ||
        hour > 23 || minute > 59)
        return false;
    *ret = (hour * 3600 + minute * 60) * (west ? -1 : 1);
    return true;
}

bool proto_wkt_parse_timestamp(struct neo_bytes text, int64_t *ret_seconds, int32_t *ret_nanos)
{
    int64_t days;
    int64_t clock;
    int64_t zone;
    int32_t nanos;

    if (!take_date(&text, &days) || !take_byte(&text, 'T') || !take_clock(&text, &clock) ||
        !take_fraction(&text, &nanos) || !take_zone(&text, &zone) || text.len > 0)
        return false;
    int64_t seconds = days * SECONDS_PER_DAY + clock - zone;
    if (seconds < TIMESTAMP_MIN || seconds > TIMESTAMP_MAX)
        return false;
    *ret_seconds = seconds;
    *ret_nanos = nanos;
    return true;
}

bool proto_wkt_parse_duration(struct neo_bytes text, int64_t *ret_seconds, int32_t *ret_nanos)
{
    enum { SECONDS_DIGITS = 12 };
    int64_t seconds;
    int32_t nanos;
    bool negative = take_byte(&text, '-');
    size_t digits = count_digits(text);

    if (digits == 0 || digits > SECONDS_DIGITS || !take_number(&text, digits, &seconds) ||
        !take_fraction(&text, &nanos) || !take_byte(&text, 's') || text.len > 0)
        return false;
    if (seconds > DURATION_MAX)
        return false;
    *ret_seconds = negative ? -seconds : seconds;
    *ret_nanos = negative ? -nanos : nanos;
    return true;
}
