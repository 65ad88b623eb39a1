/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/intercept.h"

#include "rpc/record.h"

struct call_value {
    const struct call_value *next;
    const void *key;
    void *value;
};

enum neo_code neo_server_intercept(struct neo_server *server, struct neo_interceptor *interceptor,
                                   struct neo_error *err)
{
    if (server_is_listening(server))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "server '%s' listens already: add interceptor '%s' before", server->name,
                        interceptor->name);
    if (server->n_interceptors == NEO_INTERCEPTORS_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "server '%s' has %d interceptors already",
                        server->name, NEO_INTERCEPTORS_MAX);
    server->interceptors[server->n_interceptors++] = interceptor;
    if (interceptor->request != NULL || interceptor->response != NULL)
        server->sees_messages = true;
    return NEO_OK;
}

/* Whatever it put there, the caller learns a failure, and that nothing ran. */
static void refuse(struct neo_call *call, const struct neo_interceptor *by, enum neo_code code,
                   struct neo_status *refusal)
{
    refusal->code = code;
    refusal->processed = false;
    if (refusal->reason.len == 0)
        refusal->reason = neo_text(neo_reason_name(NEO_REASON_APPLICATION));
    record_denied(call, "intercept", NEO_REASON_APPLICATION, by->name);
    refusal->decision_id = neo_text(call->decision.text);
    call_finish(call, refusal);
}

bool intercept_begin(struct neo_call *call)
{
    struct neo_server *server = call->worker->server;

    call->intercept_states =
        neo_arena_calloc(call->arena, server->n_interceptors, sizeof(*call->intercept_states));
    if (call->intercept_states == NULL) {
        call_end(call, NEO_REASON_OUT_OF_MEMORY);
        return false;
    }
    for (unsigned i = 0; i < server->n_interceptors; i++) {
        struct neo_interceptor *each = server->interceptors[i];
        struct neo_status refusal = {.code = NEO_UNKNOWN};
        enum neo_code code = NEO_OK;
        if (each->begin != NULL)
            code = each->begin(each, call, &call->intercept_states[i], &refusal);
        if (code != NEO_OK) {
            refuse(call, each, code, &refusal);
            return false;
        }
        call->intercepted++;
        if (call->state == CALL_ENDED)
            return false;
    }
    return true;
}

void intercept_end(struct neo_call *call, const struct neo_status *status)
{
    struct neo_server *server = call->worker->server;

    while (call->intercepted > 0) {
        unsigned i = --call->intercepted;
        struct neo_interceptor *each = server->interceptors[i];
        if (each->end != NULL)
            each->end(each, call, call->intercept_states[i], status);
    }
}

void intercept_message(struct neo_call *call, bool is_request, const void *message)
{
    struct neo_server *server = call->worker->server;

    for (unsigned i = 0; i < call->intercepted; i++) {
        struct neo_interceptor *each = server->interceptors[i];
        if (is_request && each->request != NULL)
            each->request(each, call, call->intercept_states[i], message);
        else if (!is_request && each->response != NULL)
            each->response(each, call, call->intercept_states[i], message);
    }
}

bool intercept_wire(struct neo_call *call, struct neo_bytes wire)
{
    const struct neo_message_info *info = call->method->info->response;
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};

    if (!intercept_sees(call))
        return true;
    neo_arena_init(&arena, wire.len * 16 + (1 << 20));
    void *message = neo_arena_calloc(&arena, 1, info->size);
    if (message == NULL || neo_proto_decode(info, wire, message, &arena, NULL) != NEO_OK)
        return false;
    intercept_message(call, false, message);
    return true;
}

bool neo_call_set_value(struct neo_call *call, const void *key, void *value)
{
    struct call_value *v = neo_arena_calloc(call->arena, 1, sizeof(*v));

    if (v == NULL)
        return false;
    *v = (struct call_value){call->values, key, value};
    call->values = v;
    return true;
}

void *neo_call_value(const struct neo_call *call, const void *key)
{
    for (const struct call_value *v = call->values; v != NULL; v = v->next)
        if (v->key == key)
            return v->value;
    return NULL;
}
