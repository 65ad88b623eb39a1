/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/log.h - one line of JSON per thing that happened.
 *
 * Only programs log; the library returns errors and lets its caller decide, and
 * where it works in the background it logs to the log its owner gave it. An
 * event has a dotted name that never changes, and typed fields:
 *
 *     neo_log_warn(log, "breaker.opened", NEO_STR("target", name),
 *                  NEO_U64("open_ms", open_for / NEO_NSEC_PER_MSEC));
 *
 * Names are for machines, so there is no format string and nothing to parse.
 * Fields are evaluated only when the level is enabled. There is no way to log a
 * secret: `struct neo_secret` has no field constructor. Everything outside
 * printable ASCII is escaped, a field shows at most 256 bytes, a line is one
 * write.
 *
 * Threads   A log may be shared: each line is one write to an O_APPEND file or pipe.
 */
#ifndef NEO_LOG_H
#define NEO_LOG_H

#include <neo/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

enum neo_log_level {
    NEO_LOG_DEBUG,
    NEO_LOG_INFO,
    NEO_LOG_WARN,
    NEO_LOG_ERROR,
    NEO_LOG_OFF,
};

enum neo_field_type {
    NEO_FIELD_STR,
    NEO_FIELD_BYTES,
    NEO_FIELD_U64,
    NEO_FIELD_I64,
    NEO_FIELD_BOOL,
};

struct neo_field {
    const char *name; /* NULL ends a list */
    enum neo_field_type type;
    union {
        const char *str;
        struct neo_bytes bytes;
        uint64_t u64;
        int64_t i64;
        bool flag;
    };
};

struct neo_log {
    int fd; /* borrowed */
    enum neo_log_level level;
    bool pretty;                /* for a person at a terminal */
    const char *service;        /* borrowed; shown in every line; may be NULL */
    int64_t (*wall_nsec)(void); /* nanoseconds since 1970; neo_wall_nsec of neo/loop.h */
};

/* What the macros below make of a name and a value: C++ has no compound literals, and warns of
   members that are left out. */
#ifdef __cplusplus
static inline struct neo_field neo_field_of(const char *name, enum neo_field_type type)
{
    struct neo_field field = {};
    field.name = name;
    field.type = type;
    return field;
}
static inline struct neo_field neo_field_str(const char *name, const char *value)
{
    struct neo_field field = neo_field_of(name, NEO_FIELD_STR);
    field.str = value;
    return field;
}
static inline struct neo_field neo_field_bytes(const char *name, struct neo_bytes value)
{
    struct neo_field field = neo_field_of(name, NEO_FIELD_BYTES);
    field.bytes = value;
    return field;
}
static inline struct neo_field neo_field_u64(const char *name, uint64_t value)
{
    struct neo_field field = neo_field_of(name, NEO_FIELD_U64);
    field.u64 = value;
    return field;
}
static inline struct neo_field neo_field_i64(const char *name, int64_t value)
{
    struct neo_field field = neo_field_of(name, NEO_FIELD_I64);
    field.i64 = value;
    return field;
}
static inline struct neo_field neo_field_bool(const char *name, bool value)
{
    struct neo_field field = neo_field_of(name, NEO_FIELD_BOOL);
    field.flag = value;
    return field;
}
/* clang-format off */
#define NEO_STR(n, v)   (neo_field_str((n), (v)))
#define NEO_BYTES(n, v) (neo_field_bytes((n), (v)))
#define NEO_U64(n, v)   (neo_field_u64((n), (v)))
#define NEO_I64(n, v)   (neo_field_i64((n), (v)))
#define NEO_BOOL(n, v)  (neo_field_bool((n), (v)))
#define NEO_FIELDS_END  {}
#else
#define NEO_STR(n, v)   ((struct neo_field){.name = (n), .type = NEO_FIELD_STR, .str = (v)})
#define NEO_BYTES(n, v) ((struct neo_field){.name = (n), .type = NEO_FIELD_BYTES, .bytes = (v)})
#define NEO_U64(n, v)   ((struct neo_field){.name = (n), .type = NEO_FIELD_U64, .u64 = (v)})
#define NEO_I64(n, v)   ((struct neo_field){.name = (n), .type = NEO_FIELD_I64, .i64 = (v)})
#define NEO_BOOL(n, v)  ((struct neo_field){.name = (n), .type = NEO_FIELD_BOOL, .flag = (v)})
#define NEO_FIELDS_END  {0}
#endif

#define neo_log_debug(log, ...) neo_log_at((log), NEO_LOG_DEBUG, __VA_ARGS__, NEO_FIELDS_END)
#define neo_log_info(log, ...)  neo_log_at((log), NEO_LOG_INFO, __VA_ARGS__, NEO_FIELDS_END)
#define neo_log_warn(log, ...)  neo_log_at((log), NEO_LOG_WARN, __VA_ARGS__, NEO_FIELDS_END)
#define neo_log_error(log, ...) neo_log_at((log), NEO_LOG_ERROR, __VA_ARGS__, NEO_FIELDS_END)
/* clang-format on */

/* With a level of one's own; the last argument is NEO_FIELDS_END. */
#define neo_log_at(log, level, event, ...)                                                         \
    do {                                                                                           \
        if (neo_log_enabled((log), (level))) {                                                     \
            const struct neo_field neo_fields_[] = {__VA_ARGS__};                                  \
            neo_log_emit((log), (level), (event), neo_fields_);                                    \
        }                                                                                          \
    } while (0)

/* A NULL log is off. */
static inline bool neo_log_enabled(const struct neo_log *log, enum neo_log_level level)
{
    return log != NULL && level >= log->level;
}

/* What the macros above call: one line of JSON, written at once. Any thread. */
void neo_log_emit(const struct neo_log *log, enum neo_log_level level, const char *event,
                  const struct neo_field fields[]);

/* debug, info, warn, error, off; false when `text` is none of them. */
bool neo_log_level_parse(const char *text, enum neo_log_level *ret);

#ifdef __cplusplus
}
#endif

#endif
