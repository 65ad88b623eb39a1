/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault-client: two deposits, one of them a secret. It does not ask whether the vault is attested:
 * the field is of class TEE_ONLY (vault.proto), so the library does.
 */
#include "attested/vault.neo.h"

#include <neo/mesh.h>

#include <stdio.h>

static void deposit(struct neo_channel *channel, const char *what, struct neo_bytes secret)
{
    const struct attested_DepositRequest request = {.name = NEO_LIT("signing key"),
                                                    .secret = secret};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct attested_DepositReply reply;
    struct neo_status status;

    neo_arena_init(&arena, 1 << 20);
    if (attested_Vault_Deposit(channel, NULL, &request, &reply, &arena, &status) == NEO_OK)
        (void)printf("%s: %u bytes kept\n", what, reply.kept);
    else
        (void)printf("%s: %s %.*s: %.*s\n", what, neo_code_name(status.code),
                     NEO_FMT(status.reason), NEO_FMT(status.message));
}

static void show_peer(struct neo_channel *channel)
{
    struct neo_channel_peer peer = {0};

    if (neo_channel_peers(channel, &peer, 1) > 0)
        (void)printf("the vault is %s%s\n", peer.attested ? "attested" : "not attested",
                     peer.simulated ? ", SIMULATED" : "");
}

int main(int argc, char **argv)
{
    struct neo_channel *channel;
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "vault-client", &mesh, &err) != NEO_OK ||
        neo_mesh_channel(mesh, "vault-service", 0, &channel, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    deposit(channel, "a name alone", (struct neo_bytes){0});
    deposit(channel, "a secret", NEO_LIT("correct horse"));
    show_peer(channel);
    neo_mesh_channel_free(mesh, channel);
    neo_mesh_free(mesh);
    return 0;
}
