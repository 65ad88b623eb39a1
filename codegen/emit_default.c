/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Defaults of proto2 and editions: a struct holds what came, so an absent field is zero; a function
 * for each field with another default tells what it means then.
 */
#include "emit.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *c_type(int32_t type)
{
    switch (type) {
    case NEO_KIND_DOUBLE:
        return "double";
    case NEO_KIND_FLOAT:
        return "float";
    case NEO_KIND_BOOL:
        return "bool";
    case NEO_KIND_STRING:
    case NEO_KIND_BYTES:
        return "struct neo_bytes";
    case NEO_KIND_INT64:
    case NEO_KIND_SINT64:
    case NEO_KIND_SFIXED64:
        return "int64_t";
    case NEO_KIND_UINT64:
    case NEO_KIND_FIXED64:
        return "uint64_t";
    case NEO_KIND_UINT32:
    case NEO_KIND_FIXED32:
        return "uint32_t";
    default:
        return "int32_t";
    }
}

/* --- literals --------------------------------------------------------------------------------- */

static void put_byte(const struct emit *e, uint8_t byte)
{
    emit(e, "\\%03o", byte);
}

static void put_string(const struct emit *e, struct neo_bytes text)
{
    emit(e, "NEO_LIT(\"");
    for (size_t i = 0; i < text.len; i++)
        put_byte(e, text.at[i]);
    emit(e, "\")");
}

static unsigned digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)((c | 0x20) - 'a' + 10);
}

/* A number behind a backslash, in base 8 or 16, of at most `max` digits; returns how many. */
static size_t take_digits(struct neo_bytes text, bool hex, size_t max, uint8_t *ret)
{
    unsigned value = 0;
    size_t n = 0;

    while (n < max && n < text.len &&
           (hex ? isxdigit(text.at[n]) != 0 : text.at[n] >= '0' && text.at[n] <= '7'))
        value = value * (hex ? 16 : 8) + digit_of(text.at[n++]);
    *ret = (uint8_t)value;
    return n;
}

/* protoc writes bytes as C would have them between quotes. */
static void put_bytes(const struct emit *e, struct neo_bytes text)
{
    static const char names[] = "abfnrtv";
    static const char values[] = "\a\b\f\n\r\t\v";

    emit(e, "NEO_LIT(\"");
    while (text.len > 0) {
        uint8_t byte = text.at[0];
        size_t used = 1;

        if (byte == '\\' && text.len > 1) {
            bool hex = (text.at[1] | 0x20) == 'x';
            const char *name = memchr(names, text.at[1], sizeof(names) - 1);

            used = (hex ? 2u : 1u) +
                   take_digits(neo_bytes_from(text, hex ? 2 : 1), hex, hex ? 2 : 3, &byte);
            if (used == 1) {
                byte = name != NULL ? (uint8_t)values[name - names] : text.at[1];
                used = 2;
            }
        }
        put_byte(e, byte);
        text = neo_bytes_from(text, used);
    }
    emit(e, "\")");
}

static void put_real(const struct emit *e, struct neo_bytes text, bool single)
{
    const char *suffix = single ? "f" : "";
    bool has_point =
        memchr(text.at, '.', text.len) != NULL || memchr(text.at, 'e', text.len) != NULL;

    if (neo_bytes_is(text, "inf") || neo_bytes_is(text, "-inf"))
        emit(e, "%s__builtin_inf%s()", text.at[0] == '-' ? "-" : "", suffix);
    else if (neo_bytes_is(text, "nan"))
        emit(e, "__builtin_nan%s(\"\")", suffix);
    else
        emit(e, "%.*s%s%s", NEO_FMT_ALL(text), has_point ? "" : ".0", suffix);
}

static void put_integer(const struct emit *e, const char *type, struct neo_bytes text)
{
    if (neo_bytes_is(text, "-9223372036854775808"))
        emit(e, "INT64_MIN");
    else if (neo_bytes_is(text, "-2147483648"))
        emit(e, "INT32_MIN");
    else if (type[0] == 'u')
        emit(e, "%s(%.*s)", strcmp(type, "uint64_t") == 0 ? "UINT64_C" : "UINT32_C",
             NEO_FMT_ALL(text));
    else
        emit(e, "%s(%.*s)", strcmp(type, "int64_t") == 0 ? "INT64_C" : "INT32_C",
             NEO_FMT_ALL(text));
}

/* By name; without one the first, which in a closed enum need not be zero. */
static void put_enum(const struct emit *e, const struct model_field *f)
{
    const struct neo_descriptor_enum *d = f->type->enumeration;
    struct neo_bytes name = f->descriptor->default_value;
    size_t at = 0;

    for (size_t i = 0; f->descriptor->has_default_value && i < d->value.len; i++) {
        if (neo_bytes_equal(d->value.at[i]->name, name))
            at = i;
    }
    emit(e, "%s", model_value(e->model, f->type, at));
}

static void put_literal(const struct emit *e, const struct model_field *f)
{
    struct neo_bytes text = f->descriptor->default_value;

    switch (f->descriptor->type) {
    case NEO_KIND_STRING:
        put_string(e, text);
        break;
    case NEO_KIND_BYTES:
        put_bytes(e, text);
        break;
    case NEO_KIND_BOOL:
        emit(e, "%.*s", NEO_FMT_ALL(text));
        break;
    case NEO_KIND_DOUBLE:
    case NEO_KIND_FLOAT:
        put_real(e, text, f->descriptor->type == NEO_KIND_FLOAT);
        break;
    case NEO_KIND_ENUM:
        put_enum(e, f);
        break;
    default:
        put_integer(e, c_type(f->descriptor->type), text);
        break;
    }
}

/* --- functions -------------------------------------------------------------------------------- */

static bool has_default(const struct model_field *f)
{
    const struct neo_descriptor_enum *d = f->type == NULL ? NULL : f->type->enumeration;

    if (!(f->flags & (NEO_FIELD_PRESENCE | NEO_FIELD_ONEOF)))
        return false;
    return f->descriptor->has_default_value ||
           (d != NULL && d->value.len > 0 && d->value.at[0]->number != 0);
}

void emit_defaults(const struct emit *e, const struct model_type *type)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct model_field *f = &type->fields[i];

        if (!has_default(f))
            continue;
        if (model_is_deprecated(f))
            emit(e, "#pragma GCC diagnostic push\n"
                    "#pragma GCC diagnostic ignored \"-Wdeprecated-declarations\"\n");
        emit(e,
             "%sstatic inline %s\n"
             "%s_%s_or_default(const struct %s *message)\n"
             "{\n    return message->%s",
             model_is_deprecated(f) ? "NEO_DEPRECATED " : "", c_type(f->descriptor->type),
             type->symbol, f->plain, type->symbol, f->presence);
        if (f->flags & NEO_FIELD_ONEOF)
            emit(e, " == %d", f->descriptor->number);
        emit(e, " ? message->%s : ", f->name);
        put_literal(e, f);
        emit(e, ";\n}\n%s\n", model_is_deprecated(f) ? "#pragma GCC diagnostic pop\n" : "");
    }
}
