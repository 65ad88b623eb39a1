/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attacks of the field, byte for byte, against the server engine.
 *
 * Each runs twice: guarded, where it must end within its bounds, and unguarded,
 * where it must go through to its end: a test that would pass without the guard
 * proves nothing about it.
 */
#include "peer.h"

#include <stdio.h>
#include <time.h>

enum { KIB = 1024, MIB = 1024 * 1024 };

/* One connection under attack. */
struct attack {
    struct peer server;
    struct neo_buffer in; /* what the attacker is about to write */
    bool undrained;       /* the attacker reads nothing */
    bool ended;
    size_t units; /* written before the end */
    size_t memory;
    size_t growth; /* the most that the engine took beyond its start */
    int64_t goaway;
    char debug[64];
    struct neo_error err;
};

static void note_output(struct attack *a)
{
    struct neo_bytes debug;
    int64_t error = frames_goaway_error(neo_buffer_bytes(&a->server.out), &debug);

    if (error >= 0) {
        a->goaway = error;
        (void)snprintf(a->debug, sizeof(a->debug), "%.*s", NEO_FMT(debug));
    }
    neo_buffer_clear(&a->server.out);
}

static void note_memory(struct attack *a)
{
    size_t memory = h2_memory(a->server.h2);

    if (memory > a->memory + a->growth)
        a->growth = memory - a->memory;
}

static void write_piece(struct attack *a, struct neo_bytes piece)
{
    enum neo_code code = h2_feed(a->server.h2, piece, a->server.now, &a->err);

    note_memory(a);
    if (code == NEO_OK && !a->undrained)
        code = peer_pull(&a->server, &a->err);
    if (code != NEO_OK) {
        a->ended = true;
        (void)peer_pull(&a->server, NULL);
    }
    note_memory(a);
    note_output(a);
}

/* Writes what is waiting, in pieces of `most`; the last short one only when `all`. */
static void flush(struct attack *a, size_t most, bool all)
{
    struct neo_bytes left = neo_buffer_bytes(&a->in);

    while (!a->ended && left.len > 0 && (all || left.len >= most)) {
        size_t len = left.len < most ? left.len : most;
        write_piece(a, neo_bytes(left.at, len));
        left = neo_bytes_from(left, len);
    }
    neo_buffer_drop(&a->in, a->in.len - left.len);
}

static void begin(struct attack *a, bool unguarded)
{
    a->goaway = -1;
    a->server.quiet = true;
    peer_start(&a->server, true, &(struct h2_limits){.unguarded = unguarded});
    frames_preface(&a->in);
    frames_settings_ack(&a->in);
    assert_int_equal(peer_pull(&a->server, NULL), NEO_OK); /* its SETTINGS, which we acknowledge */
    neo_buffer_clear(&a->server.out);
    flush(a, SIZE_MAX, true);
    assert_false(a->ended);
    a->memory = h2_memory(a->server.h2);
}

static void end(struct attack *a)
{
    peer_stop(&a->server);
    neo_buffer_fini(&a->in);
}

/* --- one unit of each attack ------------------------------------------------------------------ */

static uint32_t id_of(uint32_t i)
{
    return 2 * i + 1;
}

static void open_stream(struct attack *a, uint32_t i, uint8_t flags)
{
    frames_request(&a->in, id_of(i), flags, &frames_good_request);
}

/* H01, in the bytes of the CVE: the path is "/", so that no handler should ever start. */
static void rapid_reset_bare(struct attack *a, uint32_t i)
{
    frames_headers(&a->in, id_of(i), FLAG_END_STREAM, NEO_LIT("\x83\x87\x84\x41\x01\x61"));
    frames_reset(&a->in, id_of(i), H2_CANCEL);
}

static void rapid_reset(struct attack *a, uint32_t i)
{
    open_stream(a, i, FLAG_END_STREAM);
    frames_reset(&a->in, id_of(i), H2_CANCEL);
}

/* H02, the shapes that nghttp2 answers with RST_STREAM. */
static void window_overflow(struct attack *a, uint32_t i)
{
    open_stream(a, i, FLAG_END_STREAM);
    frames_window_update(&a->in, id_of(i), 0x7fffffff);
}

static void more_than_content_length(struct attack *a, uint32_t i)
{
    struct frames_request r = frames_good_request;

    r.more[0] = "content-length";
    r.more[1] = "5";
    frames_request(&a->in, id_of(i), 0, &r);
    frames_data(&a->in, id_of(i), FLAG_END_STREAM, 6);
}

static void less_than_content_length(struct attack *a, uint32_t i)
{
    struct frames_request r = frames_good_request;

    r.more[0] = "content-length";
    r.more[1] = "5";
    frames_request(&a->in, id_of(i), 0, &r);
    frames_data(&a->in, id_of(i), FLAG_END_STREAM, 4);
}

static void pseudo_header_in_trailers(struct attack *a, uint32_t i)
{
    open_stream(a, i, 0);
    frames_headers(&a->in, id_of(i), FLAG_END_STREAM, NEO_LIT("\x83"));
}

static void trailers_without_end(struct attack *a, uint32_t i) /* H15 */
{
    open_stream(a, i, 0);
    frames_headers(&a->in, id_of(i), 0, NEO_LIT("\x00\x01x\x01y"));
}

static void reserved_trailer(struct attack *a, uint32_t i) /* H15 */
{
    open_stream(a, i, 0);
    frames_headers(&a->in, id_of(i), FLAG_END_STREAM, NEO_LIT("\x00\x0bx-caller-id\x01y"));
}

static void priority_on_itself(struct attack *a, uint32_t i)
{
    if (i == 0)
        open_stream(a, 0, 0);
    frames_priority(&a->in, 1, 1);
}

/* H02, the shapes that nghttp2 ends the connection for. */
static void window_update_of_zero(struct attack *a, uint32_t i)
{
    open_stream(a, i, FLAG_END_STREAM);
    frames_window_update(&a->in, id_of(i), 0);
}

static void short_priority(struct attack *a, uint32_t i)
{
    open_stream(a, i, FLAG_END_STREAM);
    frames_put(&a->in, FRAME_PRIORITY, 0, id_of(i), neo_bytes("\0\0\0", 3));
}

static void data_after_end(struct attack *a, uint32_t i)
{
    open_stream(a, i, FLAG_END_STREAM);
    frames_data(&a->in, id_of(i), 0, 1);
}

static void headers_after_end(struct attack *a, uint32_t i)
{
    open_stream(a, i, FLAG_END_STREAM);
    open_stream(a, i, FLAG_END_STREAM);
}

/* H03 */
static void continuation(struct attack *a, uint32_t i)
{
    if (i == 0)
        frames_put(&a->in, FRAME_HEADERS, 0, 1, NEO_LIT("\x83\x87\x84\x41\x01\x61"));
    else
        frames_put(&a->in, FRAME_CONTINUATION, 0, 1, NEO_LIT("\x00\x01x\x01y"));
}

static void eight_empty_continuations(struct attack *a, uint32_t i)
{
    frames_put(&a->in, FRAME_HEADERS, FLAG_END_STREAM, id_of(i),
               NEO_LIT("\x83\x87\x84\x41\x01\x61"));
    for (int n = 0; n < 8; n++)
        frames_put(&a->in, FRAME_CONTINUATION, n == 7 ? FLAG_END_HEADERS : 0, id_of(i),
                   NEO_LIT(""));
}

/* H07 */
static void nameless_fields(struct attack *a, uint32_t i)
{
    static const uint8_t block[15000];

    frames_headers(&a->in, id_of(i), FLAG_END_STREAM, neo_bytes(block, sizeof(block)));
}

/* H09 */
static void ping(struct attack *a, uint32_t i)
{
    (void)i;
    frames_ping(&a->in, 0);
}

static void stray_pong(struct attack *a, uint32_t i)
{
    (void)i;
    frames_ping(&a->in, FLAG_ACK);
}

static void settings(struct attack *a, uint32_t i)
{
    frames_setting(&a->in, SETTING_INITIAL_WINDOW_SIZE, i % 2 == 0 ? 0 : 0x7fffffff);
}

static void settings_with_open_streams(struct attack *a, uint32_t i)
{
    for (uint32_t s = 0; i == 0 && s < 100; s++)
        open_stream(a, s, FLAG_END_STREAM);
    settings(a, i);
}

static void priority(struct attack *a, uint32_t i)
{
    frames_priority(&a->in, id_of(i % 100000), 0);
}

static void empty_data(struct attack *a, uint32_t i)
{
    if (i == 0)
        open_stream(a, 0, 0);
    frames_data(&a->in, 1, 0, 0);
}

static void only_padding(struct attack *a, uint32_t i) /* H11 */
{
    if (i == 0)
        open_stream(a, 0, 0);
    frames_padded_data(&a->in, 1, 0, 0, 255);
}

static void window_update(struct attack *a, uint32_t i)
{
    (void)i;
    frames_window_update(&a->in, 0, 1);
}

static void reset_of_closed(struct attack *a, uint32_t i)
{
    if (i == 0) {
        open_stream(a, 0, FLAG_END_STREAM);
        frames_reset(&a->in, 1, H2_CANCEL);
    }
    frames_reset(&a->in, 1, H2_CANCEL);
}

static void invalid_request(struct attack *a, uint32_t i) /* CVE-2019-9514: we reset each */
{
    frames_headers(&a->in, id_of(i), FLAG_END_STREAM, NEO_LIT("\x00\x01X\x01y"));
}

static void goaways(struct attack *a, uint32_t i)
{
    (void)i;
    frames_goaway(&a->in, 0, H2_NO_ERROR);
}

/* H10 */
static void unknown_frame(struct attack *a, uint32_t i)
{
    (void)i;
    frames_put(&a->in, 0x42, 0xff, 0, NEO_LIT(""));
}

/* H13 */
static void decreasing_ids(struct attack *a, uint32_t i)
{
    open_stream(a, 2000000 - i, FLAG_END_STREAM);
}

static void same_id(struct attack *a, uint32_t i)
{
    open_stream(a, 0, FLAG_END_STREAM);
    if (i == 0)
        frames_reset(&a->in, 1, H2_CANCEL);
}

static void even_id(struct attack *a, uint32_t i)
{
    frames_request(&a->in, 2 * i + 2, FLAG_END_STREAM, &frames_good_request);
}

static void stream_zero(struct attack *a, uint32_t i)
{
    (void)i;
    frames_request(&a->in, 0, FLAG_END_STREAM, &frames_good_request);
}

static void data_on_closed_streams(struct attack *a, uint32_t i)
{
    if (i == 0) {
        open_stream(a, 0, 0);
        frames_reset(&a->in, 1, H2_CANCEL);
    }
    frames_data(&a->in, 1, 0, 1);
}

static void data_after_own_reset(struct attack *a, uint32_t i)
{
    open_stream(a, i, 0);
    frames_reset(&a->in, id_of(i), H2_NO_ERROR);
    frames_data(&a->in, id_of(i), 0, 1);
}

static void priority_of_nothing(struct attack *a, uint32_t i)
{
    (void)i;
    frames_priority(&a->in, 0, 1);
}

static void window_of_connection_overflows(struct attack *a, uint32_t i)
{
    (void)i;
    frames_window_update(&a->in, 0, 0x7fffffff);
}

static void connection_window_update_of_zero(struct attack *a, uint32_t i)
{
    (void)i;
    frames_window_update(&a->in, 0, 0);
}

static void data_beyond_the_window(struct attack *a, uint32_t i)
{
    a->server.keep_credit = true;
    if (i % 100 == 0)
        open_stream(a, i / 100, 0);
    frames_data(&a->in, id_of(i / 100), 0, 16384);
}

static void not_grpc(struct attack *a, uint32_t i)
{
    frames_headers(&a->in, id_of(i), FLAG_END_STREAM, NEO_LIT("\x82\x87\x84\x41\x01\x61"));
}

/* H17: the attacker has said goodbye, and goes on. */
static void windows_after_goaway(struct attack *a, uint32_t i)
{
    if (i == 0) {
        open_stream(a, 0, 0);
        frames_goaway(&a->in, 0, H2_NO_ERROR);
    }
    frames_window_update(&a->in, 1, 1);
}

static void zero_windows_after_goaway(struct attack *a, uint32_t i)
{
    if (i == 0) {
        open_stream(a, 0, FLAG_END_STREAM);
        frames_reset(&a->in, 1, H2_CANCEL);
        open_stream(a, 1, 0);
        frames_goaway(&a->in, 0, H2_NO_ERROR);
    }
    frames_window_update(&a->in, 1, 0); /* on the closed one: nghttp2 does not look at it */
}

static void resets_after_goaway(struct attack *a, uint32_t i)
{
    if (i == 0) {
        open_stream(a, 0, 0); /* without it nghttp2 would be done */
        frames_goaway(&a->in, 0, H2_NO_ERROR);
    }
    rapid_reset(a, i + 1);
}

/* We have: what the peer may still do is to end its streams. */
static void say_goodbye(struct attack *a)
{
    open_stream(a, 0, 0);
    flush(a, 48, true);
    h2_goaway(a->server.h2, H2_NO_ERROR, "");
}

static void windows_after_ours(struct attack *a, uint32_t i)
{
    if (i == 0)
        say_goodbye(a);
    frames_window_update(&a->in, 1, 1);
}

static void pings_after_ours(struct attack *a, uint32_t i)
{
    if (i == 0)
        say_goodbye(a);
    frames_ping(&a->in, FLAG_ACK);
}

static void streams_after_ours(struct attack *a, uint32_t i)
{
    if (i == 0)
        say_goodbye(a);
    open_stream(a, i + 1, FLAG_END_STREAM);
}

/* --- the table -------------------------------------------------------------------------------- */

enum {
    LIBRARY = 1, /* nghttp2 ends it by itself, guarded or not */
    BREACH,      /* our engine does, at the first, because a rule was broken */
};

static const struct row {
    const char *name;
    void (*unit)(struct attack *a, uint32_t i);
    const char *debug; /* of our GOAWAY; NULL: the library's */
    size_t most_handlers;
    size_t most_units; /* written when the end came, in small writes */
    int by;
} rows[] = {
    {"H01 rapid reset, bare", rapid_reset_bare, "too_many_bad_requests", 0, 101, 0},
    {"H01 rapid reset", rapid_reset, "too_many_resets", 101, 101, 0},
    {"H02 window overflow", window_overflow, "too_many_stream_errors", 101, 101, 0},
    {"H02 content-length exceeded", more_than_content_length, "too_many_stream_errors", 101, 101,
     0},
    {"H02 content-length not reached", less_than_content_length, "too_many_stream_errors", 101, 101,
     0},
    {"H02 pseudo-header in trailers", pseudo_header_in_trailers, "too_many_stream_errors", 101, 101,
     0},
    {"H02 priority on itself", priority_on_itself, "made a stream depend on itself", 1, 2, BREACH},
    {"H02 WINDOW_UPDATE 0", window_update_of_zero, NULL, 1, 2, LIBRARY},
    {"H02 PRIORITY of 3 bytes", short_priority, NULL, 1, 2, LIBRARY},
    {"H02 DATA after END_STREAM", data_after_end, NULL, 1, 2, LIBRARY},
    {"H02 HEADERS after END_STREAM", headers_after_end, NULL, 1, 2, LIBRARY},
    {"H03 CONTINUATION", continuation, "too_many_continuations", 0, 12, 0},
    {"H03 empty CONTINUATIONs", eight_empty_continuations, "too_many_bad_requests", 0, 60, 0},
    {"H07 fields without names", nameless_fields, "too_many_stream_errors", 0, 101, 0},
    {"H09 PING", ping, "too_many_pings", 0, 8, 0},
    {"H09 PING ACK", stray_pong, "too_many_pings", 0, 1003, 0},
    {"H09 SETTINGS", settings, "too_many_settings", 0, 105, 0},
    {"H09 SETTINGS, 100 streams", settings_with_open_streams, "too_many_settings", 100, 105, 0},
    {"H09 PRIORITY", priority, "too_many_priorities", 0, 1004, 0},
    {"H09 empty DATA", empty_data, "too_many_empty_frames", 1, 1006, 0},
    {"H09 WINDOW_UPDATE", window_update, "too_many_window_updates", 0, 1004, 0},
    {"H09 RST_STREAM", reset_of_closed, "too_many_stray_resets", 1, 1004, 0},
    {"H09 requests we reset", invalid_request, "too_many_stream_errors", 0, 104, 0},
    {"H09 GOAWAY", goaways, "too_many_goaways", 0, 1003, 0},
    {"H10 unknown frames", unknown_frame, "too_many_unknown_frames", 0, 1006, 0},
    {"H11 padding alone", only_padding, "too_many_empty_frames", 1, 1001, 0},
    {"H11 window of the connection", window_of_connection_overflows, NULL, 0, 5, LIBRARY},
    {"H11 WINDOW_UPDATE 0", connection_window_update_of_zero, NULL, 0, 5, LIBRARY},
    {"H11 DATA beyond the window", data_beyond_the_window, "too_many_late_frames", 20, 2000, 0},
    {"H13 decreasing ids", decreasing_ids, "opened a stream with a lower id than the last", 1, 3,
     BREACH},
    {"H13 the same id", same_id, "sent HEADERS on a stream that it had ended", 1, 3, BREACH},
    {"H13 even id", even_id, NULL, 0, 2, LIBRARY},
    {"H13 stream 0", stream_zero, NULL, 0, 2, LIBRARY},
    {"H13 PRIORITY on stream 0", priority_of_nothing, "sent PRIORITY on stream 0", 0, 3, BREACH},
    {"H13 DATA on streams it reset", data_after_own_reset, "too_many_resets", 101, 101, 0},
    {"H13 DATA on closed streams", data_on_closed_streams, "too_many_late_frames", 1, 1006, 0},
    {"H15 trailers without end", trailers_without_end, "too_many_stream_errors", 101, 101, 0},
    {"H15 reserved trailers", reserved_trailer, "too_many_stream_errors", 101, 101, 0},
    {"H17 windows after GOAWAY", windows_after_goaway, "too_many_window_updates", 1, 1004, 0},
    {"H17 zero windows after GOAWAY", zero_windows_after_goaway, "too_many_window_updates", 2, 1004,
     0},
    {"H17 resets after GOAWAY", resets_after_goaway, "too_many_resets", 101, 101, 0},
    {"H17 windows after our GOAWAY", windows_after_ours, "too_many_window_updates", 1, 1004, 0},
    {"H17 PING ACKs after our GOAWAY", pings_after_ours, "too_many_pings", 1, 1004, 0},
    {"H17 streams after our GOAWAY", streams_after_ours, "too_many_late_frames", 1, 1204, 0},
    {"requests that are not gRPC", not_grpc, "too_many_bad_requests", 0, 101, 0},
};

static void run(struct attack *a, const struct row *row, size_t write, size_t units)
{
    for (uint32_t i = 0; i < units && !a->ended; i++) {
        row->unit(a, i);
        a->units++;
        flush(a, write, false);
    }
    flush(a, write, true);
}

#define CHECK(row, a, condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s: not " #condition ": %zu units, %zu handlers, %zu bytes more, goaway "    \
                     "%d '%s', %s",                                                                \
                     (row)->name, (a)->units, (a)->server.handlers, (a)->growth, (int)(a)->goaway, \
                     (a)->debug, (a)->err.message);                                                \
    } while (0)

static void expect_stopped(const struct row *row, size_t write, bool undrained)
{
    struct attack a = {0};
    /* In a large write the end comes with the next one, or nghttp2 sees too many streams first. */
    bool large = write > 48;

    begin(&a, false);
    a.undrained = undrained;
    run(&a, row, write, 10000);
    CHECK(row, &a, a.ended);
    CHECK(row, &a, a.units <= row->most_units + (large ? 1300 : 6));
    CHECK(row, &a, a.server.handlers <= row->most_handlers + (large ? 100 : 0));
    CHECK(row, &a, a.server.most_open <= 100);
    CHECK(row, &a, a.growth <= MIB);
    CHECK(row, &a, h2_counters(a.server.h2)->glitches <= 1000 + 10);
    CHECK(row, &a, a.goaway > H2_NO_ERROR);
    if (!large && row->by == LIBRARY)
        CHECK(row, &a, a.err.code == NEO_INTERNAL);
    if (!large && row->by == BREACH) {
        CHECK(row, &a, a.goaway == H2_PROTOCOL_ERROR || a.goaway == H2_STREAM_CLOSED);
        CHECK(row, &a, strcmp(a.debug, row->debug) == 0);
        CHECK(row, &a, a.err.code == NEO_INTERNAL);
    }
    if (!large && row->by == 0) {
        CHECK(row, &a, a.goaway == H2_ENHANCE_YOUR_CALM);
        CHECK(row, &a, strcmp(a.debug, row->debug) == 0);
        CHECK(row, &a, a.err.code == NEO_RESOURCE_EXHAUSTED);
        CHECK(row, &a, h2_counters(a.server.h2)->stopped == 1);
    }
    end(&a);
}

TEST(each_attack_is_stopped_within_its_bounds)
{
    for (size_t i = 0; i < NEO_COUNT(rows); i++)
        expect_stopped(&rows[i], 48, false);
}

TEST(large_writes_gain_an_attacker_at_most_one_of_them)
{
    for (size_t i = 0; i < NEO_COUNT(rows); i++)
        expect_stopped(&rows[i], 16384, false);
}

/* What is not drained is bounded as well; some of it by nghttp2's limit of ACKs, and then ours. */
TEST(an_attacker_who_does_not_read_is_stopped_too)
{
    struct row row;

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct attack a = {.undrained = true};
        row = rows[i];
        if (row.by != 0 || strcmp(row.debug, "too_many_stream_errors") == 0)
            continue; /* these show when we write; until then max_streams holds them */
        begin(&a, false);
        run(&a, &row, 16384, 10000);
        CHECK(&row, &a, a.ended);
        CHECK(&row, &a, a.growth <= MIB);
        CHECK(&row, &a, a.goaway == H2_ENHANCE_YOUR_CALM || a.goaway == H2_PROTOCOL_ERROR);
        end(&a);
    }
}

TEST(without_the_guard_each_attack_goes_through)
{
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct attack a = {0};
        if (rows[i].by == LIBRARY)
            continue;
        begin(&a, true);
        run(&a, &rows[i], 1000, 5000);
        CHECK(&rows[i], &a, !a.ended);
        CHECK(&rows[i], &a, a.units == 5000);
        CHECK(&rows[i], &a, a.goaway <= 0);
        CHECK(&rows[i], &a, rows[i].most_handlers != 101 || a.server.handlers >= 50 * (5000 / 100));
        CHECK(&rows[i], &a, h2_counters(a.server.h2)->stopped == 0);
        end(&a);
    }
}

/* --- header bombs: H04, H05 ------------------------------------------------------------------- */

/* The pseudo-headers and types of a good request, without touching the dynamic table. */
static void put_grpc_fields(struct neo_buffer *block)
{
    frames_field(block, NEO_LIT(":method"), NEO_LIT("POST"));
    frames_field(block, NEO_LIT(":scheme"), NEO_LIT("https"));
    frames_field(block, NEO_LIT(":path"), NEO_LIT("/S/M"));
    frames_field(block, NEO_LIT(":authority"), NEO_LIT("a"));
    frames_field(block, NEO_LIT("content-type"), NEO_LIT("application/grpc"));
    frames_field(block, NEO_LIT("te"), NEO_LIT("trailers"));
}

static void fill_with_index(struct neo_buffer *block)
{
    size_t len = 16384 - block->len;

    memset(neo_buffer_reserve(block, len), 0xbe, len);
    block->len += len;
}

static void small_bomb(struct neo_buffer *block, uint32_t i)
{
    if (i == 0)
        neo_buffer_append(block, NEO_LIT("\x40\x01\x61\x01\x62"));
}

static void large_bomb(struct neo_buffer *block, uint32_t i)
{
    if (i > 0)
        return;
    neo_buffer_append(block, NEO_LIT("\x40\x01\x61\x7f\xbd\x1d")); /* 127 + 0x3d + 29 * 128 */
    memset(neo_buffer_reserve(block, 3900), 'x', 3900);
    block->len += 3900;
}

static void drop_bombs(struct attack *a, void (*seed)(struct neo_buffer *, uint32_t), bool valid,
                       uint32_t n)
{
    for (uint32_t i = 0; i < n && !a->ended; i++) {
        struct neo_buffer block = {0};
        if (valid)
            put_grpc_fields(&block);
        seed(&block, i);
        fill_with_index(&block);
        frames_headers(&a->in, id_of(i), FLAG_END_STREAM, neo_buffer_bytes(&block));
        neo_buffer_fini(&block);
        a->units++;
        flush(a, 16384, false);
    }
    flush(a, 16384, true);
}

static void expect_defused(void (*seed)(struct neo_buffer *, uint32_t), bool valid)
{
    struct attack a = {0};
    const struct row row = {.name = "header bomb"};

    begin(&a, false);
    frames_setting(&a.in, SETTING_INITIAL_WINDOW_SIZE, 0);
    drop_bombs(&a, seed, valid, 100);
    CHECK(&row, &a, a.ended);
    CHECK(&row, &a, a.units <= 10);
    CHECK(&row, &a, a.server.handlers == 0);
    CHECK(&row, &a, a.growth <= 256 * KIB);
    CHECK(&row, &a, h2_counters(a.server.h2)->header_refusals == 8);
    CHECK(&row, &a, strcmp(a.debug, "too_many_header_refusals") == 0);
    end(&a);
}

TEST(header_bombs_are_counted_not_unpacked)
{
    expect_defused(small_bomb, false);
    expect_defused(small_bomb, true);
    expect_defused(large_bomb, false);
    expect_defused(large_bomb, true);
}

TEST(without_the_guard_a_header_bomb_explodes)
{
    struct attack a = {0};

    begin(&a, true);
    drop_bombs(&a, small_bomb, true, 20);
    assert_int_equal(a.server.handlers, 20);
    assert_true(a.growth >= 10 * MIB); /* of 320 KiB sent: each stream keeps 16,000 fields */
    end(&a);

    struct attack b = {0};
    begin(&b, true);
    drop_bombs(&b, large_bomb, true, 3);
    assert_true(b.growth >= 30 * MIB); /* until the arena's budget ends it */
    end(&b);
}

static double cpu_of_bombs(bool unguarded)
{
    struct attack a = {0};

    begin(&a, unguarded);
    clock_t start = clock();
    drop_bombs(&a, large_bomb, false, 100);
    double spent = (double)(clock() - start) / CLOCKS_PER_SEC;
    end(&a);
    return spent;
}

TEST(a_header_bomb_costs_little_time)
{
    double guarded = cpu_of_bombs(false), unguarded = cpu_of_bombs(true);

    if (guarded * 5 > unguarded)
        fail_msg("%.4f s guarded, %.4f s unguarded", guarded, unguarded);
}

/* H06: a block that was refused has still been decoded to its end. */
TEST(hpack_stays_in_step_after_a_refusal)
{
    struct attack a = {0};
    struct neo_buffer block = {0};

    begin(&a, false);
    put_grpc_fields(&block);
    for (int i = 0; i < 200; i++) /* over the count... */
        frames_field(&block, NEO_LIT("x"), NEO_LIT("y"));
    neo_buffer_append(&block, NEO_LIT("\x40\x06x-late\x03yes")); /* ...and behind that, an entry */
    frames_headers(&a.in, 1, FLAG_END_STREAM, neo_buffer_bytes(&block));
    neo_buffer_clear(&block);
    put_grpc_fields(&block);
    neo_buffer_append(&block, NEO_LIT("\xbe"));
    frames_headers(&a.in, 3, FLAG_END_STREAM, neo_buffer_bytes(&block));
    flush(&a, 16384, true);

    assert_false(a.ended);
    assert_int_equal(h2_counters(a.server.h2)->header_refusals, 1);
    assert_int_equal(a.server.handlers, 1);
    const struct h2_headers *got = &a.server.last->headers;
    assert_int_equal(got->len, 3);
    assert_true(neo_bytes_is(got->at[2].name, "x-late"));
    assert_true(neo_bytes_is(got->at[2].value, "yes"));
    neo_buffer_fini(&block);
    end(&a);
}

/* Many streams, each with headers just below its own limit. */
static size_t hold_headers(struct attack *a, uint32_t n)
{
    static char value[7000];
    struct frames_request r = frames_good_request;

    memset(value, 'v', sizeof(value) - 1);
    r.more[0] = "x-large";
    r.more[1] = value;
    for (uint32_t i = 0; i < n && !a->ended; i++) {
        frames_request(&a->in, id_of(i), 0, &r);
        flush(a, 16384, true);
    }
    return a->server.open;
}

TEST(all_streams_together_keep_a_bounded_amount_of_headers)
{
    struct attack a = {0}, b = {0};

    begin(&a, false);
    size_t held = hold_headers(&a, 100);
    assert_false(a.ended);
    assert_in_range(held, 20, 60);
    assert_true(a.growth <= 512 * KIB);
    end(&a);

    begin(&b, true);
    assert_int_equal(hold_headers(&b, 100), 100);
    assert_true(b.growth >= 2 * a.growth);
    end(&b);
}

/* --- output that nobody takes: H08 ------------------------------------------------------------ */

static void stream_for_ever(struct peer *p, struct h2_stream *s)
{
    static const uint8_t bytes[1000];

    if (s->user == NULL)
        peer_respond(p, s);
    while (h2_send(p->h2, s, neo_bytes(bytes, sizeof(bytes))))
        continue;
}

/* 100 large answers, windows of one byte, and the windows grow by ones. */
static void dribble(struct attack *a, const struct h2_limits *limits)
{
    a->goaway = -1;
    a->server =
        (struct peer){.quiet = true, .on_headers = stream_for_ever, .on_writable = stream_for_ever};
    peer_start(&a->server, true, limits);
    a->memory = h2_memory(a->server.h2);
    frames_preface(&a->in);
    frames_setting(&a->in, SETTING_INITIAL_WINDOW_SIZE, 1);
    for (uint32_t i = 0; i < 100; i++)
        open_stream(a, i, FLAG_END_STREAM);
    for (uint32_t i = 0; i < 10000; i++)
        frames_window_update(&a->in, id_of(i % 100), 1);
    flush(a, 1000, true);
}

TEST(windows_of_one_byte_hold_back_a_bounded_amount_of_output)
{
    struct attack a = {0}, b = {0};

    dribble(&a, NULL);
    assert_false(a.ended);
    assert_int_equal(a.server.open, 100);
    size_t queued = 0;
    for (struct h2_stream *s; (s = h2_stalled(a.server.h2, UINT64_MAX)) != NULL;) {
        queued += h2_queued(a.server.h2, s); /* what the connection does after 30 s */
        h2_reset(a.server.h2, s, H2_CANCEL, false);
    }
    assert_in_range(queued, 256 * KIB, 256 * KIB + 64 * KIB + 100 * 5 * KIB);
    if (a.growth > MIB)
        fail_msg("%zu", a.growth);
    assert_int_equal(peer_pull(&a.server, NULL), NEO_OK);
    assert_int_equal(a.server.open, 0);
    end(&a);

    dribble(&b, &(struct h2_limits){.stream_queue = MIB, .connection_queue = 128 * MIB});
    assert_true(b.growth >= 50 * MIB);
    end(&b);
}

/* --- H18: the end comes inside a callback, and more frames follow ----------------------------- */

static void blame_until_stopped(struct peer *p, struct h2_stream *s)
{
    h2_reset(p->h2, s, H2_CANCEL, true);
    h2_goaway(p->h2, H2_ENHANCE_YOUR_CALM, "enough");
}

static void end_inside_a_callback(bool unguarded, size_t *ret_handlers)
{
    struct attack a = {.server.on_headers = blame_until_stopped};

    begin(&a, unguarded);
    for (uint32_t i = 0; i < 400; i++) {
        open_stream(&a, i, i % 3 == 0 ? FLAG_END_STREAM : 0);
        if (i % 3 != 0)
            frames_data(&a.in, id_of(i), 0, 10);
        frames_ping(&a.in, FLAG_ACK);
        frames_put(&a.in, FRAME_HEADERS, 0, id_of(1000 + i), NEO_LIT("\x83"));
        frames_put(&a.in, FRAME_CONTINUATION, FLAG_END_HEADERS, id_of(1000 + i), NEO_LIT("\x87"));
    }
    for (int again = 0; again < 3; again++) {
        struct neo_bytes all = neo_buffer_bytes(&a.in);
        (void)peer_feed(&a.server, all, NULL); /* also after its end */
        (void)peer_pull(&a.server, NULL);
    }
    *ret_handlers = a.server.handlers;
    end(&a);
}

TEST(an_end_inside_a_callback_survives_the_frames_that_follow)
{
    size_t guarded, unguarded;

    end_inside_a_callback(false, &guarded);
    end_inside_a_callback(true, &unguarded);
    assert_true(guarded <= 100);
    assert_true(unguarded >= 1);
}

static void stop_from_outside(struct attack *a, uint32_t i)
{
    open_stream(a, i, 0);
    flush(a, SIZE_MAX, true);
    if (!a->ended)
        h2_reset(a->server.h2, a->server.last, H2_CANCEL, true);
}

TEST(resets_that_the_owner_blames_on_the_peer_count)
{
    const struct row row = {.name = "blamed resets", .unit = stop_from_outside};
    struct attack a = {0};

    begin(&a, false);
    run(&a, &row, 16384, 1000);
    assert_true(a.ended);
    assert_string_equal(a.debug, "too_many_stream_errors");
    assert_in_range(a.server.handlers, 99, 101);
    end(&a);
}

/* --- G08, and the peers that must not be mistaken for attackers ------------------------------- */

TEST(pings_every_ten_milliseconds_strike_out_after_two)
{
    struct attack a = {0};

    begin(&a, false);
    for (int i = 0; i < 10 && !a.ended; i++) {
        frames_ping(&a.in, 0);
        a.units++;
        flush(&a, SIZE_MAX, true);
        a.server.now += 10 * NEO_NSEC_PER_MSEC;
    }
    assert_true(a.ended);
    assert_int_equal(a.units, 4);
    assert_string_equal(a.debug, "too_many_pings");
    end(&a);
}

TEST(a_busy_client_that_cancels_some_calls_is_left_alone)
{
    struct attack a = {.server.echo = true};

    begin(&a, false);
    for (uint32_t i = 0; i < 20000; i++) {
        open_stream(&a, i, 0);
        frames_data(&a.in, id_of(i), FLAG_END_STREAM, 100);
        frames_window_update(&a.in, 0, 100);
        flush(&a, SIZE_MAX, true);
        if (i % 4 == 0) { /* every fifth is cancelled at once */
            i++;
            rapid_reset(&a, i);
            flush(&a, SIZE_MAX, true);
        }
        a.server.now += NEO_NSEC_PER_MSEC;
        if (a.ended)
            fail_msg("%u %s", i, a.err.message);
    }
    assert_true(h2_counters(a.server.h2)->resets_received > 3000);
    assert_int_equal(h2_counters(a.server.h2)->stopped, 0);
    end(&a);
}

static void open_before_settings(struct attack *a, uint32_t n)
{
    a->server.quiet = true;
    peer_start(&a->server, true, NULL);
    frames_preface(&a->in);
    for (uint32_t i = 0; i < n; i++)
        open_stream(a, i, FLAG_END_STREAM);
    flush(a, 16384, true);
}

TEST(a_client_that_does_not_wait_for_our_settings_is_refused_not_stopped)
{
    struct attack eager = {0}, rude = {0};

    open_before_settings(&eager, 1000);
    assert_false(eager.ended);
    assert_int_equal(eager.server.handlers, 100);
    assert_int_equal(h2_counters(eager.server.h2)->resets_sent, 900);
    end(&eager);

    open_before_settings(&rude, 3000);
    assert_true(rude.ended);
    assert_int_equal(rude.server.handlers, 100);
    end(&rude);
}

static void reset_at_once(struct peer *p, struct h2_stream *s)
{
    h2_reset(p->h2, s, H2_CANCEL, false);
}

TEST(a_stream_of_small_messages_may_be_cut_short)
{
    struct attack a = {.server.on_headers = reset_at_once};

    begin(&a, false);
    for (uint32_t i = 0; i < 20; i++) { /* each fills its window with messages of 20 bytes */
        open_stream(&a, i, 0);
        for (int n = 0; n < 65536 / 20; n++)
            frames_data(&a.in, id_of(i), 0, 20);
        flush(&a, 16384, true);
        assert_false(a.ended);
    }
    assert_int_equal(h2_counters(a.server.h2)->glitches, 0);
    end(&a);
}

/* RFC 9113, section 5.1: of a stream that it has ended itself a peer is told so, once. */
TEST(data_on_a_stream_that_its_peer_ended_is_answered_once)
{
    struct attack a = {.server.echo = true};
    struct frame frame;
    size_t told = 0;

    begin(&a, false);
    open_stream(&a, 0, 0);
    frames_data(&a.in, 1, FLAG_END_STREAM, 10);
    assert_int_equal(peer_feed(&a.server, neo_buffer_bytes(&a.in), NULL), NEO_OK);
    assert_int_equal(peer_pull(&a.server, NULL), NEO_OK);
    assert_int_equal(a.server.closed, 1);
    neo_buffer_clear(&a.in);
    for (int i = 0; i < 50; i++)
        frames_data(&a.in, 1, 0, 10);
    assert_int_equal(peer_feed(&a.server, neo_buffer_bytes(&a.in), NULL), NEO_OK);
    assert_int_equal(peer_pull(&a.server, NULL), NEO_OK);
    for (struct neo_bytes out = neo_buffer_bytes(&a.server.out); frames_next(&out, &frame);)
        if (frame.type == FRAME_RST_STREAM) {
            assert_memory_equal(frame.payload.at, "\0\0\0\5", 4);
            told++;
        }
    assert_int_equal(told, 1);
    assert_int_equal(h2_counters(a.server.h2)->glitches, 50);
    end(&a);
}

/* A client may reset what it has ended, and the server's answer may cross that. */
TEST(what_crosses_on_the_wire_is_no_breach)
{
    struct attack a = {.server.echo = true};

    begin(&a, false);
    for (uint32_t i = 0; i < 50; i++) {
        open_stream(&a, i, 0);
        frames_data(&a.in, id_of(i), FLAG_END_STREAM, 10);
        flush(&a, SIZE_MAX, true);
        frames_window_update(&a.in, id_of(i), 10);
        frames_reset(&a.in, id_of(i), H2_CANCEL);
        frames_priority(&a.in, id_of(i), 0);
        flush(&a, SIZE_MAX, true);
    }
    assert_false(a.ended);
    assert_int_equal(h2_counters(a.server.h2)->resets_sent, 0);
    end(&a);
}

TEST(ordinary_noise_is_forgiven_for_ever)
{
    struct attack a = {.server.echo = true};

    begin(&a, false);
    for (uint32_t i = 0; i < 20000; i++) { /* 50 times a second, for a while */
        open_stream(&a, i, 0);
        frames_data(&a.in, id_of(i), FLAG_END_STREAM, 100);
        frames_window_update(&a.in, 0, 100);
        frames_put(&a.in, 0x42, 0, 0, NEO_LIT("grease"));
        if (i % 50 == 0)
            frames_ping(&a.in, 0);
        flush(&a, SIZE_MAX, true);
        a.server.now += 20 * NEO_NSEC_PER_MSEC;
        assert_false(a.ended);
    }
    end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_attack_is_stopped_within_its_bounds),
        cmocka_unit_test(large_writes_gain_an_attacker_at_most_one_of_them),
        cmocka_unit_test(an_attacker_who_does_not_read_is_stopped_too),
        cmocka_unit_test(without_the_guard_each_attack_goes_through),
        cmocka_unit_test(header_bombs_are_counted_not_unpacked),
        cmocka_unit_test(without_the_guard_a_header_bomb_explodes),
        cmocka_unit_test(a_header_bomb_costs_little_time),
        cmocka_unit_test(hpack_stays_in_step_after_a_refusal),
        cmocka_unit_test(all_streams_together_keep_a_bounded_amount_of_headers),
        cmocka_unit_test(windows_of_one_byte_hold_back_a_bounded_amount_of_output),
        cmocka_unit_test(an_end_inside_a_callback_survives_the_frames_that_follow),
        cmocka_unit_test(resets_that_the_owner_blames_on_the_peer_count),
        cmocka_unit_test(pings_every_ten_milliseconds_strike_out_after_two),
        cmocka_unit_test(a_busy_client_that_cancels_some_calls_is_left_alone),
        cmocka_unit_test(a_client_that_does_not_wait_for_our_settings_is_refused_not_stopped),
        cmocka_unit_test(a_stream_of_small_messages_may_be_cut_short),
        cmocka_unit_test(data_on_a_stream_that_its_peer_ended_is_answered_once),
        cmocka_unit_test(what_crosses_on_the_wire_is_no_breach),
        cmocka_unit_test(ordinary_noise_is_forgiven_for_ever),
    };
    return cmocka_run_group_tests_name("h2/attacks", tests, NULL, NULL);
}
