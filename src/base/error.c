/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum neo_code code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return NEO_NOT_FOUND;
    case EEXIST:
        return NEO_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
        return NEO_PERMISSION_DENIED;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
        return NEO_RESOURCE_EXHAUSTED;
    case ETIMEDOUT:
        return NEO_DEADLINE_EXCEEDED;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPIPE:
        return NEO_UNAVAILABLE;
    default:
        return NEO_INTERNAL;
    }
}

NEO_PRINTF(4, 0)
static void fill(struct neo_error *err, enum neo_code code, const char *where, const char *format,
                 va_list args)
{
    *err = (struct neo_error){.code = code, .where = where};
    (void)vsnprintf(err->message, sizeof(err->message), format, args);
}

enum neo_code neo_error_set(struct neo_error *err, enum neo_code code, const char *where,
                            const char *format, ...)
{
    if (err != NULL) {
        va_list args;

        va_start(args, format);
        fill(err, code, where, format, args);
        va_end(args);
    }
    return code;
}

enum neo_code neo_error_set_errno(struct neo_error *err, const char *where, const char *format, ...)
{
    int number = errno; /* before anything below can change it */
    enum neo_code code = code_of_errno(number);

    if (err != NULL) {
        va_list args;

        va_start(args, format);
        fill(err, code, where, format, args);
        va_end(args);

        size_t used = strlen(err->message);
        (void)snprintf(err->message + used, sizeof(err->message) - used, ": %s",
                       strerrordesc_np(number));
    }
    return code;
}

const char *neo_code_name(enum neo_code code)
{
    switch (code) {
#define X(name, number, http)                                                                      \
    case NEO_##name:                                                                               \
        return #name;
        NEO_CODES(X)
#undef X
    }
    return "UNKNOWN";
}

int neo_code_http_status(enum neo_code code)
{
    switch (code) {
#define X(name, number, http)                                                                      \
    case NEO_##name:                                                                               \
        return (http);
        NEO_CODES(X)
#undef X
    }
    return 500;
}
