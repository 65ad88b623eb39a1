/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/interceptor.h - code that sees every call of a server or a channel.
 *
 * For what belongs to all methods alike: tenants, quotas of your own, logs, timing.
 *
 *     static enum neo_code begin(struct neo_interceptor *self, struct neo_call *call,
 *                                void **state, struct neo_status *refusal)
 *     {
 *         if (neo_call_metadata(call, "x-tenant").len == 0) {
 *             *refusal = neo_status_of(NEO_INVALID_ARGUMENT, "x-tenant is missing");
 *             return refusal->code;
 *         }
 *         return NEO_OK;
 *     }
 *     static struct neo_interceptor tenants = {.name = "tenants", .begin = begin};
 *     NEO_TRY(neo_server_intercept(server, &tenants, err));
 *
 * On the server they run after identity, policy, attestation, limits and admission, and
 * directly before the handler. Never earlier: code that runs for callers who may not call
 * at all would be reachable by everybody, could be made to work without limit, and could
 * let slip in its refusals what the policy hides.
 *
 * They may see each message, too. Whoever writes them down leaves secrets out:
 *
 *     static void request(struct neo_interceptor *self, struct neo_call *call, void *state,
 *                         const void *message)
 *     {
 *         neo_proto_to_json(neo_call_method(call)->request, message, NEO_JSON_REDACT, &text, NULL);
 *
 * They are called in the order they were added, and their `end` in the opposite one. The
 * services that every server has of itself (health, reflection, channelz, attestation) have
 * none. Where there is no interceptor, a call pays nothing for the possibility.
 *
 * Threads   Added before neo_server_listen(), or before the channel's first call. Called on
 *           the call's loop, so they must not block, also for handlers that may; a server
 *           has a loop per worker, and calls them on several threads at once.
 */
#ifndef NEO_INTERCEPTOR_H
#define NEO_INTERCEPTOR_H

#include <neo/call.h>
#include <neo/channel.h>
#include <neo/server.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEO_INTERCEPTORS_MAX = 8 };

/* --- on the server ---------------------------------------------------------------------------- */

/* Yours; often the first member of a larger struct. Either function may be NULL. */
struct neo_interceptor {
    const char *name; /* in audit records, when it refuses; static */
    /*
     * The call is about to run. It may be looked at (neo_call_context(), _method(), _metadata())
     * and given headers and trailers, but not answered. OK: it goes on. Otherwise it ends with
     * `*refusal`, whose parts are static or in the call's arena; the caller is told that nothing
     * ran. `*state` is NULL, and kept for `end`.
     */
    enum neo_code (*begin)(struct neo_interceptor *self, struct neo_call *call, void **state,
                           struct neo_status *refusal);
    /* It ended, however: exactly once for each `begin` that returned OK. */
    void (*end)(struct neo_interceptor *self, struct neo_call *call, void *state,
                const struct neo_status *status);
    /*
     * Each message, decoded: a request before the handler has it, a response before it leaves, of
     * types neo_call_method(call)->request and ->response. To be looked at, until it returns; the
     * call may not be answered from here. Either may be NULL; where all are, no message is looked
     * at. What a handler of the pool sends is decoded once more for this.
     */
    void (*request)(struct neo_interceptor *self, struct neo_call *call, void *state,
                    const void *message);
    void (*response)(struct neo_interceptor *self, struct neo_call *call, void *state,
                     const void *message);
};

/* Borrows `interceptor` until the server is freed. FAILED_PRECONDITION: it listens already. */
NEO_MUST_CHECK enum neo_code neo_server_intercept(struct neo_server *server,
                                                  struct neo_interceptor *interceptor,
                                                  struct neo_error *err);

/*
 * What an interceptor found out, for the handler. `key` is an address of yours (of a static
 * variable, say), so that nobody's keys collide. The value lives as long as you make it: take it
 * from neo_call_arena(). False: out of memory. Handlers on the pool may read, and not set.
 */
bool neo_call_set_value(struct neo_call *call, const void *key, void *value);
/* NULL: it was not set. */
void *neo_call_value(const struct neo_call *call, const void *key);

/* --- on the client ---------------------------------------------------------------------------- */

struct neo_client_interceptor {
    const char *name; /* static */
    /*
     * A call is about to start, once for all its attempts. It may be given metadata:
     * neo_client_call_add_metadata(). Not OK: it is not started, and neo_channel_start() (or the
     * blocking function) fails with this code and `err`.
     */
    enum neo_code (*begin)(struct neo_client_interceptor *self, struct neo_client_call *call,
                           void **state, struct neo_error *err);
    /* Its end, before `done`; exactly once for each `begin` that returned OK. */
    void (*end)(struct neo_client_interceptor *self, struct neo_client_call *call, void *state,
                const struct neo_status *status);
    /*
     * Each message, decoded: a request once, however often it is sent; a response before the caller
     * has it. To be looked at, until it returns; the call may be cancelled from here. Either may be
     * NULL; where all are, no message is looked at. Otherwise requests, and what the blocking
     * functions receive, are inflated and decoded once more for this, on the channel's loop; one
     * that becomes more than 16 times as large, and 1 MiB, ends the call with RESOURCE_EXHAUSTED.
     */
    void (*request)(struct neo_client_interceptor *self, struct neo_client_call *call, void *state,
                    const void *message);
    void (*response)(struct neo_client_interceptor *self, struct neo_client_call *call, void *state,
                     const void *message);
};

/* Borrows `interceptor` until the channel is freed. FAILED_PRECONDITION: it has begun a call. */
NEO_MUST_CHECK enum neo_code neo_channel_intercept(struct neo_channel *channel,
                                                   struct neo_client_interceptor *interceptor,
                                                   struct neo_error *err);
/*
 * From inside `begin` alone. A key in -bin takes any bytes, others printable ASCII. Both are
 * copied. INVALID_ARGUMENT: reserved or malformed; RESOURCE_EXHAUSTED: more than 64 for one call.
 */
NEO_MUST_CHECK enum neo_code neo_client_call_add_metadata(struct neo_client_call *call,
                                                          struct neo_bytes key,
                                                          struct neo_bytes value,
                                                          struct neo_error *err);
/* Which method it calls; as long as the channel's generated tables. */
const struct neo_method *neo_client_call_method(const struct neo_client_call *call);
/* Trace, deadline and criticality with which it goes out. */
const struct neo_context *neo_client_call_context(const struct neo_client_call *call);

#ifdef __cplusplus
}
#endif

#endif
