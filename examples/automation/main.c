/* SPDX-License-Identifier: Apache-2.0 */
/*
 * automation-service: runs functions for others. Its one method calls function-service
 * and waits, so it is registered as blocking; the child call inherits trace, deadline
 * and criticality from its parent.
 */
#include "automation/automation.neo.h"
#include "function/function.neo.h"

#include <neo/mesh.h>

struct service {
    struct neo_mesh *mesh;
    struct neo_channel *functions;
};

static void run_now(struct neo_call *call, const struct automationservice_RunNowRequest *request,
                    void *self)
{
    struct service *s = self;
    struct functionservice_ExecuteFunctionRequest child = {.id = request->function_id,
                                                           .input = request->input};
    struct functionservice_ExecuteFunctionResponse ran;
    struct neo_call_options options = {.parent = neo_call_context(call)};
    struct neo_status status;

    if (functionservice_FunctionService_ExecuteFunction(s->functions, &options, &child, &ran,
                                                        neo_call_arena(call), &status) != NEO_OK) {
        neo_call_fail(call, status.code, "function-service: %.*s", NEO_FMT(status.message));
        return;
    }
    struct automationservice_RunNowResponse response = {.output = ran.output,
                                                        .instance = ran.instance};
    automationservice_AutomationService_RunNow_reply(call, &response);
}

static const struct automationservice_AutomationService_handlers handlers = {.RunNow = run_now};

static enum neo_code serve(struct service *s, struct neo_error *err)
{
    NEO_TRY(neo_mesh_channel(s->mesh, "function-service", 0, &s->functions, err));
    NEO_TRY(neo_mesh_serve(s->mesh, &automationservice_AutomationService_info, &handlers, s, err));
    NEO_TRY(neo_server_set_blocking(neo_mesh_server(s->mesh),
                                    "/automationservice.AutomationService/RunNow", err));
    return neo_mesh_run(s->mesh, err);
}

int main(int argc, char **argv)
{
    struct service s;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "automation-service", &s.mesh, &err) != NEO_OK ||
        serve(&s, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    return 0;
}
