/* SPDX-License-Identifier: Apache-2.0 */
/* The three kinds of streams, in a thread that waits. */
#include "guide/guide.neo.h"

#include <neo/neo.h>

#include <inttypes.h>
#include <stdio.h>

/* Reading: the loop ends with the stream, and the status says why. */
static void watch(struct neo_channel *channel, struct neo_arena *arena)
{
    const struct guide_PriceRequest request = {.symbol = NEO_LIT("NEO")};
    struct neo_stream *stream;
    struct guide_Quote quote;

    if (guide_Market_Watch_stream(channel, NULL, &request, &stream, NULL) != NEO_OK)
        return;
    for (int i = 0; i < 3 && guide_Market_Watch_stream_next(stream, &quote, arena); i++)
        (void)printf("watch: %" PRId64 "\n", quote.cents);
    neo_stream_free(stream); /* enough: that cancels it */
}

/* Writing: send, say that there is no more, take the one answer. */
static void report(struct neo_channel *channel, struct neo_arena *arena)
{
    static const int64_t cents[] = {1200, 1300, 1250};
    struct neo_stream *stream;
    struct guide_Summary summary;

    if (guide_Market_Report_stream(channel, NULL, &stream, NULL) != NEO_OK)
        return;
    for (size_t i = 0; i < NEO_COUNT(cents); i++) {
        const struct guide_Quote quote = {.symbol = NEO_LIT("NEO"), .cents = cents[i]};
        if (guide_Market_Report_stream_send(stream, &quote) != NEO_OK)
            break;
    }
    neo_stream_close_send(stream);
    if (guide_Market_Report_stream_next(stream, &summary, arena))
        (void)printf("report: %" PRId64 " quotes, highest %" PRId64 "\n", summary.quotes,
                     summary.highest_cents);
    neo_stream_free(stream);
}

/* Both: here one by one; two threads could do it, one for each direction. */
static void trade(struct neo_channel *channel, struct neo_arena *arena)
{
    struct neo_stream *stream;
    struct guide_Fill fill;

    if (guide_Market_Trade_stream(channel, NULL, &stream, NULL) != NEO_OK)
        return;
    for (int64_t amount = 1; amount <= 3; amount++) {
        const struct guide_Order order = {.symbol = NEO_LIT("NEO"), .amount = amount};
        if (guide_Market_Trade_stream_send(stream, &order) != NEO_OK ||
            !guide_Market_Trade_stream_next(stream, &fill, arena))
            break;
        (void)printf("trade: %" PRId64 "\n", fill.cents);
    }
    neo_stream_close_send(stream);
    while (guide_Market_Trade_stream_next(stream, &fill, arena))
        continue;
    (void)printf("trade: %s\n", neo_code_name(neo_stream_status(stream)->code));
    neo_stream_free(stream);
}

int main(int argc, char **argv)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_channel *channel;
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "guide-client", &mesh, &err) != NEO_OK ||
        neo_mesh_channel(mesh, "guide-service", 0, &channel, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    neo_arena_init(&arena, 1 << 20);
    watch(channel, &arena);
    report(channel, &arena);
    trade(channel, &arena);
    neo_mesh_channel_free(mesh, channel);
    neo_mesh_free(mesh);
    return 0;
}
