/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault-service: keeps secrets. It does nothing about attestation itself: whether it can prove what
 * it runs is a matter of the machine (--tee, or --simulated-tee in development), and whether it
 * must is one of the policy.
 */
#include "attested/vault.neo.h"

#include <neo/interceptor.h>
#include <neo/mesh.h>

#include <stdio.h>

/* What comes in is written down, and yet no secret is. */
static void write_down(struct neo_interceptor *self, struct neo_call *call, void *state,
                       const void *message)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    (void)self;
    (void)state;
    if (neo_proto_to_json(neo_call_method(call)->request, message, NEO_JSON_REDACT, &text, NULL) ==
        NEO_OK)
        (void)printf("request: %.*s\n", NEO_FMT(neo_buffer_bytes(&text)));
    (void)fflush(stdout);
}

static void deposit(struct neo_call *call, const struct attested_DepositRequest *request,
                    void *self)
{
    const struct attested_DepositReply reply = {.kept = (uint32_t)request->secret.len};

    (void)self;
    attested_Vault_Deposit_reply(call, &reply);
}

int main(int argc, char **argv)
{
    static struct neo_interceptor writer = {.name = "writer", .request = write_down};
    const struct attested_Vault_handlers handlers = {.Deposit = deposit};
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "vault-service", &mesh, &err) != NEO_OK ||
        neo_mesh_serve(mesh, &attested_Vault_info, &handlers, NULL, &err) != NEO_OK ||
        neo_server_intercept(neo_mesh_server(mesh), &writer, &err) != NEO_OK ||
        neo_mesh_run(mesh, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    return 0;
}
