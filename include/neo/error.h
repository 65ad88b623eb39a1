/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/error.h - how everything here fails.
 *
 * There is one vocabulary of failure, the canonical gRPC codes, used from the
 * system call to the wire. Nothing translates between layers; a layer may only
 * replace the code when the truth changes for its caller.
 *
 * A function that can fail returns the code, and says more in a `struct neo_error`
 * that its caller keeps on the stack:
 *
 *     enum neo_code neo_policy_load(const char *path, struct neo_policy **ret,
 *                                   struct neo_error *err);
 *
 * On failure `*ret` is untouched. `err` may be NULL; it is always the last
 * parameter. "Not ready yet" is not a failure and has its own type.
 */
#ifndef NEO_ERROR_H
#define NEO_ERROR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One row per code: name, number on the wire, HTTP status at the gateway. */
#define NEO_CODES(X)                                                                               \
    X(OK, 0, 200)                                                                                  \
    X(CANCELLED, 1, 499)                                                                           \
    X(UNKNOWN, 2, 500)                                                                             \
    X(INVALID_ARGUMENT, 3, 400)                                                                    \
    X(DEADLINE_EXCEEDED, 4, 504)                                                                   \
    X(NOT_FOUND, 5, 404)                                                                           \
    X(ALREADY_EXISTS, 6, 409)                                                                      \
    X(PERMISSION_DENIED, 7, 403)                                                                   \
    X(RESOURCE_EXHAUSTED, 8, 429)                                                                  \
    X(FAILED_PRECONDITION, 9, 400)                                                                 \
    X(ABORTED, 10, 409)                                                                            \
    X(OUT_OF_RANGE, 11, 400)                                                                       \
    X(UNIMPLEMENTED, 12, 501)                                                                      \
    X(INTERNAL, 13, 500)                                                                           \
    X(UNAVAILABLE, 14, 503)                                                                        \
    X(DATA_LOSS, 15, 500)                                                                          \
    X(UNAUTHENTICATED, 16, 401)

enum neo_code {
#define X(name, number, http) NEO_##name = (number),
    NEO_CODES(X)
#undef X
};

struct neo_error {
    enum neo_code code;
    const char *where; /* "policy.c:118"; static */
    char message[240]; /* for people; never parsed, never holds a secret */
};

#define NEO_MUST_CHECK __attribute__((warn_unused_result))
/* What a .proto marks with [deprecated = true]; the compiler names each use. */
#define NEO_DEPRECATED       __attribute__((deprecated))
#define NEO_PRINTF(f, first) __attribute__((format(printf, f, first)))

/* Records a failure and returns its code: `return neo_fail(err, NEO_NOT_FOUND, ...)`. */
#define neo_fail(err, code, ...) neo_error_set((err), (code), NEO_HERE, __VA_ARGS__)

/* As neo_fail(), for a failed system call: the code and text come from errno. */
#define neo_fail_errno(err, ...) neo_error_set_errno((err), NEO_HERE, __VA_ARGS__)

#ifdef __clang_analyzer__ /* it sees one file at a time: tell it that a failure is never OK */
#undef neo_fail
#undef neo_fail_errno
#define neo_fail(err, code, ...) (neo_error_set((err), (code), NEO_HERE, __VA_ARGS__), (code))
#define neo_fail_errno(err, ...) (neo_error_set_errno((err), NEO_HERE, __VA_ARGS__), NEO_INTERNAL)
#endif

/*
 * Passes a failure up. The only macro here that hides control flow; what must be
 * released on the way out is declared with NEO_CLEANUP.
 */
#define NEO_TRY(expr)                                                                              \
    do {                                                                                           \
        enum neo_code neo_try_code = (expr);                                                       \
        if (neo_try_code != NEO_OK)                                                                \
            return neo_try_code;                                                                   \
    } while (0)

#define NEO_CLEANUP(fn) __attribute__((cleanup(fn)))

/* What the macros above call: fill `err`, unless it is NULL, and return the code. Cold: what only
   leads to them is kept out of the way of what does not fail. */
NEO_PRINTF(4, 5)
__attribute__((cold)) enum neo_code neo_error_set(struct neo_error *err, enum neo_code code,
                                                  const char *where, const char *format, ...);
NEO_PRINTF(3, 4)
__attribute__((cold)) enum neo_code neo_error_set_errno(struct neo_error *err, const char *where,
                                                        const char *format, ...);

/* "PERMISSION_DENIED", and 403: static; "UNKNOWN" and 500 for what is no code. */
const char *neo_code_name(enum neo_code code);
int neo_code_http_status(enum neo_code code);

#define NEO_HERE          __FILE_NAME__ ":" NEO_STRING(__LINE__)
#define NEO_STRING(x)     NEO_STRING_RAW(x)
#define NEO_STRING_RAW(x) #x

#ifdef __cplusplus
}
#endif

#endif
