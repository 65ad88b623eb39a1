/* SPDX-License-Identifier: Apache-2.0 */
#include "hello/hello.neo.h"

#include <neo/mesh.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = NEO_ARENA(1 << 20);
    struct hello_GreetRequest request = {.name = NEO_LIT("world")};
    struct hello_GreetReply reply;
    struct neo_channel *channel;
    struct neo_status status;
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "hello-client", &mesh, &err) != NEO_OK ||
        neo_mesh_channel(mesh, "hello-service", 0, &channel, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    enum neo_code code = hello_Greeter_Greet(channel, NULL, &request, &reply, &arena, &status);
    (void)printf("%.*s\n", NEO_FMT(code == NEO_OK ? reply.text : status.message));
    neo_mesh_free(mesh);
    return code == NEO_OK ? 0 : 1;
}
