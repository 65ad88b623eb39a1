/* SPDX-License-Identifier: Apache-2.0 */
/* Who took which step of a rollout, or was refused it: told to the registry, which records it. */
#include "cli/attest.h"

#include <neo/policy/v1/policy.neo.h>

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

/* "root@machine", for people: what counts as proven is the identity of our certificate. */
static void describe_person(char *text, size_t size)
{
    struct passwd record, *user = NULL;
    char machine[64] = "", room[1024];

    if (getpwuid_r(getuid(), &record, room, sizeof(room), &user) != 0)
        user = NULL;
    if (gethostname(machine, sizeof(machine) - 1) != 0)
        machine[0] = '\0';
    (void)snprintf(text, size, "%.30s@%.40s", user == NULL ? "?" : user->pw_name, machine);
}

enum neo_code attest_rollout_note(struct neo_policy_v1_NoteRolloutRequest *step,
                                  struct neo_error *err)
{
    const struct neo_call_options patience = {.timeout = 5 * NEO_NSEC_PER_SEC};
    struct neo_policy_v1_NoteRolloutResponse response = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_status status = {0};
    struct neo_channel *channel;
    struct neo_mesh *mesh;
    char person[80];

    describe_person(person, sizeof(person));
    step->person = neo_text(person);
    NEO_TRY(client_join(OPERATOR, &mesh, err));
    enum neo_code code = client_channel(mesh, "neo-registry", &channel, err);
    if (code != NEO_OK) {
        neo_mesh_free(mesh);
        return code;
    }
    neo_arena_init(&arena, 1 << 20);
    code =
        neo_policy_v1_PolicyFeed_NoteRollout(channel, &patience, step, &response, &arena, &status);
    if (code != NEO_OK)
        (void)neo_fail(err, code, "the registry does not record it: %s: %.*s", neo_code_name(code),
                       NEO_FMT(status.message));
    client_close(mesh, channel);
    return code;
}
