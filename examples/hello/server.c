/* SPDX-License-Identifier: Apache-2.0 */
#include "hello/hello.neo.h"

#include <neo/mesh.h>

static void greet(struct neo_call *call, const struct hello_GreetRequest *request, void *self)
{
    (void)self;
    const char *text =
        neo_arena_printf(neo_call_arena(call), "hello, %.*s", NEO_FMT_ALL(request->name));
    struct hello_GreetReply reply = {.text = neo_text(text)};

    hello_Greeter_Greet_reply(call, &reply);
}

int main(int argc, char **argv)
{
    const struct hello_Greeter_handlers handlers = {.Greet = greet};
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "hello-service", &mesh, &err) != NEO_OK ||
        neo_mesh_serve(mesh, &hello_Greeter_info, &handlers, NULL, &err) != NEO_OK ||
        neo_mesh_run(mesh, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    return 0;
}
