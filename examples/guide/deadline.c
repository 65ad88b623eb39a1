/* SPDX-License-Identifier: Apache-2.0 */
/* A deadline that passes: the caller goes on in time, and the handler hears that nobody waits. */
#include "guide/guide.neo.h"

#include <neo/neo.h>

#include <inttypes.h>
#include <stdio.h>

static void study(struct neo_channel *channel, int64_t milliseconds)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct guide_StudyRequest request = {.symbol = NEO_LIT("NEO"),
                                               .milliseconds = milliseconds};
    const struct neo_call_options options = {.timeout = 500 * NEO_NSEC_PER_MSEC};
    struct neo_status status;
    struct guide_Quote quote;

    neo_arena_init(&arena, 1 << 20);
    if (guide_Market_Study(channel, &options, &request, &quote, &arena, &status) == NEO_OK)
        (void)printf("in time: %" PRId64 "\n", quote.cents);
    else
        (void)printf("%s %.*s\n", neo_code_name(status.code), NEO_FMT(status.reason));
}

int main(int argc, char **argv)
{
    struct neo_channel *channel;
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "guide-client", &mesh, &err) != NEO_OK ||
        neo_mesh_channel(mesh, "guide-service", 0, &channel, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    study(channel, 10);
    study(channel, 60000);
    neo_mesh_channel_free(mesh, channel);
    neo_mesh_free(mesh);
    return 0;
}
