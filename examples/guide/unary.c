/* SPDX-License-Identifier: Apache-2.0 */
/* One question, one answer, with a deadline and metadata; and what an error has to say. */
#include "guide/guide.neo.h"

#include <google/rpc/error_details.neo.h>
#include <neo/neo.h>

#include <inttypes.h>
#include <stdio.h>

static void print_error(const struct neo_status *status, struct neo_arena *arena)
{
    struct google_rpc_BadRequest bad;

    (void)printf("%s %.*s: %.*s\n", neo_code_name(status->code), NEO_FMT(status->reason),
                 NEO_FMT(status->message));
    if (!neo_status_detail(status, &google_rpc_BadRequest_info, arena, &bad))
        return;
    for (size_t i = 0; i < bad.field_violations.len; i++)
        (void)printf("  field %.*s %.*s\n", NEO_FMT(bad.field_violations.at[i]->field),
                     NEO_FMT(bad.field_violations.at[i]->description));
}

static void ask(struct neo_channel *channel, const char *symbol, const char *tenant)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_pair metadata = {NEO_LIT("x-tenant"), neo_text(tenant)};
    const struct neo_call_options options = {
        .timeout = 2 * NEO_NSEC_PER_SEC, .metadata = &metadata, .n_metadata = 1};
    const struct guide_PriceRequest request = {.symbol = neo_text(symbol)};
    struct neo_status status;
    struct guide_Quote quote;

    neo_arena_init(&arena, 1 << 20);
    if (guide_Market_Price(channel, &options, &request, &quote, &arena, &status) == NEO_OK)
        (void)printf("%.*s costs %" PRId64 "\n", NEO_FMT(quote.symbol), quote.cents);
    else
        print_error(&status, &arena);
}

int main(int argc, char **argv)
{
    struct neo_channel *channel;
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "guide-client", &mesh, &err) != NEO_OK ||
        neo_mesh_channel(mesh, "guide-service", 0, &channel, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    ask(channel, "NEO", "acme");
    ask(channel, "", "acme");
    ask(channel, "NEO", "nobody");
    neo_mesh_channel_free(mesh, channel);
    neo_mesh_free(mesh);
    return 0;
}
