/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/client_intercept.h"

#include <assert.h>

enum neo_code neo_channel_intercept(struct neo_channel *channel,
                                    struct neo_client_interceptor *interceptor,
                                    struct neo_error *err)
{
    if (channel->counts.started > 0)
        return neo_fail(
            err, NEO_FAILED_PRECONDITION,
            "the channel to %s has begun calls; interceptors are added before the first",
            channel->core->target);
    if (channel->n_interceptors == NEO_INTERCEPTORS_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "the channel to %s has %d interceptors already", channel->core->target,
                        NEO_INTERCEPTORS_MAX);
    channel->interceptors[channel->n_interceptors++] = interceptor;
    if (interceptor->request != NULL || interceptor->response != NULL)
        channel->sees_messages = true;
    return NEO_OK;
}

/* Room for all that a call may carry, in place of room for what its caller gave. */
static enum neo_code make_room(struct neo_client_call *call, struct neo_error *err)
{
    struct h2_header *all =
        neo_arena_calloc(&call->arena, CLIENT_METADATA_MAX, sizeof(*call->metadata));

    if (all == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    if (call->n_metadata > 0)
        memcpy(all, call->metadata, call->n_metadata * sizeof(*all));
    call->metadata = all;
    return NEO_OK;
}

static enum neo_code begin_all(struct neo_client_call *call, struct neo_error *err)
{
    struct neo_channel *channel = call->channel;

    call->intercept_states =
        neo_arena_calloc(&call->arena, channel->n_interceptors, sizeof(*call->intercept_states));
    if (call->intercept_states == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    NEO_TRY(make_room(call, err));
    for (unsigned i = 0; i < channel->n_interceptors; i++) {
        struct neo_client_interceptor *each = channel->interceptors[i];
        if (each->begin != NULL)
            NEO_TRY(each->begin(each, call, &call->intercept_states[i], err));
        call->intercepted++;
    }
    return NEO_OK;
}

enum neo_code client_intercept_begin(struct neo_client_call *call, struct neo_error *err)
{
    struct neo_error local = {.code = NEO_UNKNOWN};
    struct neo_error *why = err == NULL ? &local : err;

    why->message[0] = '\0';
    call->intercepting = true;
    enum neo_code code = begin_all(call, why);
    call->intercepting = false;
    if (code != NEO_OK) {
        const struct neo_status status = neo_status_of(code, why->message);
        client_intercept_end(call, &status);
    }
    return code;
}

void client_intercept_end(struct neo_client_call *call, const struct neo_status *status)
{
    while (call->intercepted > 0) {
        unsigned i = --call->intercepted;
        struct neo_client_interceptor *each = call->channel->interceptors[i];
        if (each->end != NULL)
            each->end(each, call, call->intercept_states[i], status);
    }
}

bool client_intercept_message(struct neo_client_call *call, bool is_request, const void *message)
{
    bool entered = call->entered;

    call->entered = true;
    for (unsigned i = 0; i < call->intercepted && !call->over; i++) {
        struct neo_client_interceptor *each = call->channel->interceptors[i];
        if (is_request && each->request != NULL)
            each->request(each, call, call->intercept_states[i], message);
        else if (!is_request && each->response != NULL)
            each->response(each, call, call->intercept_states[i], message);
    }
    call->entered = entered;
    return !call->over;
}

bool client_intercept_wire(struct neo_client_call *call, bool is_request, struct neo_bytes wire)
{
    const struct neo_message_info *info =
        is_request ? call->method->request : call->method->response;
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};

    neo_arena_init(&arena, wire.len * 16 + (1 << 20));
    void *message = neo_arena_calloc(&arena, 1, info->size);
    if (message != NULL && neo_proto_decode(info, wire, message, &arena, NULL) == NEO_OK)
        return client_intercept_message(call, is_request, message);
    if (!neo_arena_failed(&arena))
        return true; /* whoever reads it will say so */
    client_call_fail(call, NEO_RESOURCE_EXHAUSTED,
                     "a message takes more memory than is given to show it to the interceptors");
    return false;
}

enum neo_code neo_client_call_add_metadata(struct neo_client_call *call, struct neo_bytes key,
                                           struct neo_bytes value, struct neo_error *err)
{
    if (!call->intercepting)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "metadata are added from inside an interceptor's begin");
    if (call->n_metadata == CLIENT_METADATA_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "a call has at most %d metadata entries",
                        CLIENT_METADATA_MAX);
    return client_call_add_metadata(call, key, value, err);
}

const struct neo_method *neo_client_call_method(const struct neo_client_call *call)
{
    return call->method;
}

const struct neo_context *neo_client_call_context(const struct neo_client_call *call)
{
    return &call->context;
}
