/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/config_reader.h"

#include <neo/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

void config_init(struct config_reader *r, const char *json, struct neo_arena *arena)
{
    *r = (struct config_reader){.path = "$", .len = 1};
    neo_json_init(&r->json, neo_text(json), "service config", arena);
}

static bool has_failed(struct config_reader *r)
{
    return r->json.error.code != NEO_OK;
}

enum neo_code config_finish(struct config_reader *r, struct neo_error *err)
{
    struct neo_error found = {0};
    enum neo_code code = neo_json_finish(&r->json, &found);

    if (code == NEO_OK)
        return NEO_OK;
    return neo_fail(err, code, "%s: %s", r->path, found.message);
}

void config_refuse(struct config_reader *r, const char *format, ...)
{
    char why[200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    neo_json_refuse(&r->json, "%s", why);
}

void config_unknown(struct config_reader *r, const char *known)
{
    config_refuse(r, "unknown key; known are %s", known);
}

/* --- containers ------------------------------------------------------------------------------- */

static void leave(struct config_reader *r, size_t base)
{
    r->len = base;
    r->path[base] = '\0';
}

/* A path that is too long ends early; nobody has one. */
NEO_PRINTF(3, 4)
static void enter(struct config_reader *r, size_t base, const char *format, ...)
{
    size_t room = sizeof(r->path) - base;
    va_list args;

    leave(r, base);
    va_start(args, format);
    int len = vsnprintf(r->path + base, room, format, args);
    va_end(args);
    r->len = base + (len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1);
}

void config_object(struct config_reader *r, config_key_fn *each, void *self)
{
    size_t base = r->len;
    struct neo_bytes key;

    if (!neo_json_enter_object(&r->json))
        return;
    while (neo_json_key(&r->json, &key)) {
        enter(r, base, ".%.*s", NEO_FMT(key));
        each(r, key, self);
        if (has_failed(r))
            return;
    }
    if (!has_failed(r))
        leave(r, base);
}

void config_array(struct config_reader *r, config_element_fn *each, void *self)
{
    size_t base = r->len;

    if (!neo_json_enter_array(&r->json))
        return;
    for (unsigned i = 0; neo_json_element(&r->json); i++) {
        enter(r, base, "[%u]", i);
        each(r, self);
        if (has_failed(r))
            return;
    }
    if (!has_failed(r))
        leave(r, base);
}

/* --- values ----------------------------------------------------------------------------------- */

void config_string(struct config_reader *r, struct neo_bytes *ret)
{
    struct neo_bytes text;

    if (neo_json_peek(&r->json) == NEO_JSON_NULL) {
        if (neo_json_null(&r->json))
            *ret = (struct neo_bytes){0};
    } else if (neo_json_string(&r->json, &text)) {
        *ret = text;
    }
}

void config_bool(struct config_reader *r, bool *ret)
{
    bool value;

    if (neo_json_bool(&r->json, &value))
        *ret = value;
}

void config_u32(struct config_reader *r, uint32_t least, uint32_t most, uint32_t *ret)
{
    uint64_t value;

    if (!neo_json_u64(&r->json, &value))
        return;
    if (value < least || value > most)
        config_refuse(r, "must be a whole number of %u to %u", least, most);
    else
        *ret = (uint32_t)value;
}

static bool parse_duration(struct neo_bytes text, neo_nsec *ret)
{
    uint64_t seconds = 0, nanos = 0, scale = NEO_NSEC_PER_SEC;
    bool digits = false, fraction = false;

    if (text.len < 2 || text.at[text.len - 1] != 's')
        return false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        uint8_t c = text.at[i];
        if (c == '.' && !fraction && digits) {
            fraction = true;
            digits = false;
            continue;
        }
        if (c < '0' || c > '9' || (fraction && scale == 1))
            return false;
        digits = true;
        if (fraction)
            nanos += (uint64_t)(c - '0') * (scale /= 10);
        else if ((seconds = seconds * 10 + (uint64_t)(c - '0')) > UINT32_MAX)
            return false;
    }
    if (digits)
        *ret = seconds * NEO_NSEC_PER_SEC + nanos;
    return digits;
}

void config_duration(struct config_reader *r, neo_nsec least, neo_nsec *ret)
{
    struct neo_bytes text;
    neo_nsec value;

    if (!neo_json_string(&r->json, &text))
        return;
    if (!parse_duration(text, &value))
        config_refuse(r, "'%.*s' is not a duration; write seconds like \"0.1s\"", NEO_FMT(text));
    else if (value == 0 && least == 1)
        config_refuse(r, "must be more than 0s");
    else if (value < least)
        config_refuse(r, "must be at least %.9gs", (double)least / (double)NEO_NSEC_PER_SEC);
    else
        *ret = value;
}

void config_milli(struct config_reader *r, uint32_t least, uint32_t most, uint32_t *ret)
{
    double value;

    if (!neo_json_double(&r->json, &value))
        return;
    if (!(value * 1000 >= least && value * 1000 <= most))
        config_refuse(r, "must be %g to %g", least / 1000.0, most / 1000.0);
    else
        *ret = (uint32_t)(value * 1000 + 0.5);
}

static void read_code(struct config_reader *r, void *self)
{
    uint32_t *mask = self;
    struct neo_bytes name;
    uint32_t number = 0;

    if (neo_json_peek(&r->json) == NEO_JSON_NUMBER) {
        config_u32(r, NEO_CANCELLED, NEO_UNAUTHENTICATED, &number);
        if (number != 0)
            *mask |= 1u << number;
        return;
    }
    if (!neo_json_string(&r->json, &name))
        return;
    for (enum neo_code code = NEO_CANCELLED; code <= NEO_UNAUTHENTICATED; code++) {
        const char *known = neo_code_name(code);
        if (strlen(known) == name.len && strncasecmp(known, (const char *)name.at, name.len) == 0) {
            *mask |= 1u << code;
            return;
        }
    }
    config_refuse(r,
                  "'%.*s' is no gRPC code that may be named here; write for example "
                  "\"UNAVAILABLE\"",
                  NEO_FMT(name));
}

void config_codes(struct config_reader *r, uint32_t *ret)
{
    uint32_t mask = 0;

    config_array(r, read_code, &mask);
    if (!has_failed(r))
        *ret = mask;
}
