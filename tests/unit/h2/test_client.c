/* SPDX-License-Identifier: Apache-2.0 */
/*
 * H19: a malicious server against our client. The same limits hold; what the
 * client did itself (a reset for each call it made) is not counted against it.
 */
#include "peer.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

struct session {
    struct peer client;
    struct neo_buffer in;
    bool ended;
    size_t calls;
    size_t units;
    size_t growth;
    struct neo_error err;
    char debug[64];
};

static void begin(struct session *s, bool unguarded)
{
    s->client.quiet = true;
    peer_start(&s->client, false, &(struct h2_limits){.unguarded = unguarded});
    frames_put(&s->in, FRAME_SETTINGS, 0, 0, NEO_LIT(""));
    frames_settings_ack(&s->in);
    assert_int_equal(peer_pull(&s->client, NULL), NEO_OK);
    neo_buffer_clear(&s->client.out);
}

static void end(struct session *s)
{
    peer_stop(&s->client);
    neo_buffer_fini(&s->in);
}

static void give(struct session *s)
{
    size_t before = h2_memory(s->client.h2);
    enum neo_code code = peer_feed(&s->client, neo_buffer_bytes(&s->in), &s->err);
    size_t after = h2_memory(s->client.h2);

    if (after > before && after - before > s->growth)
        s->growth = after - before;
    neo_buffer_clear(&s->in);
    code = code == NEO_OK ? peer_pull(&s->client, &s->err) : code;
    if (code != NEO_OK) {
        s->ended = true;
        (void)peer_pull(&s->client, NULL);
        struct neo_bytes debug = {0};
        (void)frames_goaway_error(neo_buffer_bytes(&s->client.out), &debug);
        memcpy(s->debug, debug.at, debug.len);
    }
    neo_buffer_clear(&s->client.out);
}

/* Makes a call and gives its id. */
static uint32_t call(struct session *s)
{
    const struct h2_stream *stream = peer_call(&s->client, "/a.B/C");

    s->calls++;
    assert_int_equal(peer_pull(&s->client, NULL), NEO_OK);
    neo_buffer_clear(&s->client.out);
    return (uint32_t)stream->id;
}

/* --- units ------------------------------------------------------------------------------------ */

static void header_bomb(struct session *s, uint32_t i)
{
    static uint8_t block[16384];

    memset(block, 0xbe, sizeof(block));
    memcpy(block, "\x88\x40\x01\x61\x01\x62", i == 0 ? 6 : 1);
    if (i > 0)
        block[0] = 0x88;
    frames_headers(&s->in, call(s), 0, neo_bytes(block, sizeof(block)));
}

static void informational(struct session *s, uint32_t i)
{
    static uint32_t id;

    id = i == 0 ? call(s) : id;
    frames_headers(&s->in, id, 0,
                   NEO_LIT("\x08\x03"
                           "103\x00\x04link\x0a/style.css"));
}

static void endless_trailers(struct session *s, uint32_t i)
{
    if (i == 0) {
        uint32_t id = call(s);
        frames_headers(&s->in, id, 0, NEO_LIT("\x88"));
        frames_put(&s->in, FRAME_HEADERS, FLAG_END_STREAM, id, NEO_LIT("\x00\x01x\x01y"));
    } else {
        frames_put(&s->in, FRAME_CONTINUATION, 0, 1, NEO_LIT("\x00\x01x\x01y"));
    }
}

static void stray_resets(struct session *s, uint32_t i)
{
    if (i == 0)
        frames_reset(&s->in, call(s), H2_CANCEL);
    frames_reset(&s->in, 1, H2_CANCEL);
}

static void goaways(struct session *s, uint32_t i)
{
    if (i == 0)
        (void)call(s);
    frames_goaway(&s->in, 1, H2_NO_ERROR);
}

static void settings(struct session *s, uint32_t i)
{
    frames_setting(&s->in, SETTING_MAX_CONCURRENT_STREAMS, i);
}

static void pings(struct session *s, uint32_t i)
{
    (void)i;
    frames_ping(&s->in, 0);
}

static void unknown(struct session *s, uint32_t i)
{
    (void)i;
    frames_put(&s->in, 0x42, 0, 0, NEO_LIT(""));
}

static void empty_data(struct session *s, uint32_t i)
{
    static uint32_t id;

    if (i == 0) {
        id = call(s);
        frames_headers(&s->in, id, 0, NEO_LIT("\x88"));
    }
    frames_data(&s->in, id, 0, 0);
}

static void data_after_the_end(struct session *s, uint32_t i)
{
    if (i == 0) { /* the client has ended too: it has no reason to reset anything */
        h2_send_end(s->client.h2, peer_call(&s->client, "/a.B/C"));
        s->calls++;
        assert_int_equal(peer_pull(&s->client, NULL), NEO_OK);
        frames_headers(&s->in, 1, FLAG_END_STREAM, NEO_LIT("\x88"));
        give(s);
    }
    frames_data(&s->in, 1, 0, 1);
}

static void broken_responses(struct session *s, uint32_t i)
{
    (void)i;
    frames_headers(&s->in, call(s), 0, NEO_LIT("\x00\x01X\x01y"));
}

static void push_promise(struct session *s, uint32_t i)
{
    uint32_t id = call(s);

    (void)i;
    frames_put(&s->in, FRAME_PUSH_PROMISE, FLAG_END_HEADERS, id,
               NEO_LIT("\x00\x00\x00\x02\x82\x87\x84\x41\x01\x61"));
}

static const struct row {
    const char *name;
    void (*unit)(struct session *s, uint32_t i);
    const char *debug; /* NULL: nghttp2 ends it, guarded or not */
    size_t most_units;
} rows[] = {
    {"header bomb", header_bomb, "too_many_header_refusals", 8},
    {"1xx", informational, "too_many_informational", 1000},
    {"endless trailers", endless_trailers, "too_many_continuations", 10},
    {"RST_STREAM", stray_resets, "too_many_stray_resets", 1001},
    {"GOAWAY", goaways, "too_many_goaways", 1000},
    {"SETTINGS", settings, "too_many_settings", 101},
    {"PING", pings, "too_many_pings", 1000},
    {"unknown frames", unknown, "too_many_unknown_frames", 1000},
    {"empty DATA", empty_data, "too_many_empty_frames", 1000},
    {"DATA after the end", data_after_the_end, "too_many_late_frames", 1000},
    {"broken responses", broken_responses, "too_many_stream_errors", 100},
    {"PUSH_PROMISE", push_promise, NULL, 1},
};

static void run(struct session *s, const struct row *row, size_t units)
{
    for (uint32_t i = 0; i < units && !s->ended; i++) {
        row->unit(s, i);
        s->units++;
        give(s);
    }
}

#define CHECK(row, s, condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s: not " #condition ": %zu units, %zu bytes more, '%s', %s", (row)->name,   \
                     (s)->units, (s)->growth, (s)->debug, (s)->err.message);                       \
    } while (0)

TEST(a_malicious_server_is_left_within_the_same_bounds)
{
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct session s = {0};
        begin(&s, false);
        run(&s, &rows[i], 2000);
        CHECK(&rows[i], &s, s.ended);
        CHECK(&rows[i], &s, s.units <= rows[i].most_units);
        CHECK(&rows[i], &s, s.growth <= 256 * KIB);
        CHECK(&rows[i], &s, rows[i].debug == NULL || strcmp(s.debug, rows[i].debug) == 0);
        CHECK(&rows[i], &s, s.client.closed <= s.calls);
        h2_free(s.client.h2);
        s.client.h2 = NULL;
        CHECK(&rows[i], &s, s.client.closed == s.calls); /* every caller was told, once */
        end(&s);
    }
}

TEST(without_the_guard_the_server_has_its_way)
{
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct session s = {0};
        if (rows[i].debug == NULL)
            continue;
        begin(&s, true);
        run(&s, &rows[i], rows[i].unit == header_bomb ? 50 : 2000);
        CHECK(&rows[i], &s, !s.ended);
        end(&s);
    }
}

/* What a server promises, on which stream, and under which new one. */
struct promise {
    const char *name;
    uint32_t stream; /* 1 is the client's call */
    bool answered;   /* after the headers of its answer */
    uint8_t payload[10];
};

static const struct promise promises[] = {
    {"on an open call", 1, false, {0, 0, 0, 2, 0x82, 0x87, 0x84, 0x41, 1, 0x61}},
    {"in an answer", 1, true, {0, 0, 0, 2, 0x82, 0x87, 0x84, 0x41, 1, 0x61}},
    {"under an id of ours", 1, false, {0, 0, 0, 3, 0x82, 0x87, 0x84, 0x41, 1, 0x61}},
    {"under the call itself", 1, false, {0, 0, 0, 1, 0x82, 0x87, 0x84, 0x41, 1, 0x61}},
    {"on stream 0", 0, false, {0, 0, 0, 2, 0x82, 0x87, 0x84, 0x41, 1, 0x61}},
    {"on an idle stream", 7, false, {0, 0, 0, 2, 0x82, 0x87, 0x84, 0x41, 1, 0x61}},
};

/* Makes a call and hears of the promise. */
static enum neo_code promise_to(struct session *s, const struct promise *promise, bool acked,
                                bool unguarded)
{
    s->client.quiet = true;
    peer_start(&s->client, false, &(struct h2_limits){.unguarded = unguarded});
    frames_put(&s->in, FRAME_SETTINGS, 0, 0, NEO_LIT(""));
    if (acked) /* of SETTINGS_ENABLE_PUSH = 0, which has been said in any case */
        frames_settings_ack(&s->in);
    (void)call(s);
    if (promise->answered)
        frames_headers(&s->in, 1, 0, NEO_LIT("\x88"));
    frames_put(&s->in, FRAME_PUSH_PROMISE, FLAG_END_HEADERS, promise->stream,
               neo_bytes(promise->payload, sizeof(promise->payload)));
    enum neo_code code = peer_feed(&s->client, neo_buffer_bytes(&s->in), NULL);
    return code == NEO_OK ? peer_pull(&s->client, NULL) : code;
}

static void expect_no_promise(const struct promise *promise, bool acked)
{
    struct session s = {0};

    enum neo_code code = promise_to(&s, promise, acked, false);
    (void)peer_pull(&s.client, NULL);
    int64_t error = frames_goaway_error(neo_buffer_bytes(&s.client.out), NULL);
    if (code == NEO_OK || error != H2_PROTOCOL_ERROR || !h2_is_finished(s.client.h2))
        fail_msg("a promise %s, %s the ACK: code %d, GOAWAY %d", promise->name,
                 acked ? "after" : "before", code, (int)error);
    h2_free(s.client.h2);
    s.client.h2 = NULL;
    assert_int_equal(s.client.closed, 1); /* the caller was told */
    end(&s);
}

/*
 * RFC 9113, 6.5.2 and 6.6. A server that promises anything has read a request, and so the SETTINGS
 * before it, whether or not it has acknowledged them. nghttp2 alone waits for that.
 */
TEST(a_promise_ends_the_connection_before_and_after_the_settings_are_acknowledged)
{
    for (size_t i = 0; i < NEO_COUNT(promises); i++) {
        expect_no_promise(&promises[i], false);
        expect_no_promise(&promises[i], true);
    }
}

TEST(without_the_guard_a_promise_is_kept_until_the_settings_are_acknowledged)
{
    for (size_t i = 0; i < 2; i++) {
        struct session s = {0};
        assert_int_equal(promise_to(&s, &promises[i], false, true), NEO_OK);
        end(&s);
    }
}

TEST(refusing_every_call_is_a_servers_right)
{
    struct session s = {0};

    begin(&s, false);
    for (int i = 0; i < 5000; i++) {
        frames_reset(&s.in, call(&s), H2_REFUSED_STREAM);
        give(&s);
        assert_false(s.ended);
    }
    assert_int_equal(s.client.refused, 5000);
    end(&s);
}

/* The server has run it: another attempt would be the second. */
TEST(a_response_that_finds_no_memory_is_not_taken_for_a_call_that_was_refused)
{
    const struct h2_limits limits = {.connection_headers = 1};
    struct session s = {.client.quiet = true};

    peer_start(&s.client, false, &limits);
    frames_put(&s.in, FRAME_SETTINGS, 0, 0, NEO_LIT(""));
    frames_settings_ack(&s.in);
    give(&s);
    uint32_t id = call(&s);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer block = {0};
    (void)neo_buffer_append(&block, NEO_LIT("\x88\x00\x01x\x7f\xc1\x3d"));
    for (int i = 0; i < 8000; i++)
        (void)neo_buffer_append(&block, NEO_LIT("y"));
    frames_headers(&s.in, id, 0, neo_buffer_bytes(&block));
    give(&s);
    assert_int_equal(s.client.closed, 1);
    assert_int_equal(s.client.refused, 0);
    end(&s);
}

TEST(answers_to_cancelled_calls_may_come_late)
{
    struct session s = {0};

    begin(&s, false);
    for (int i = 0; i < 5000; i++) {
        struct h2_stream *stream = peer_call(&s.client, "/a.B/C");
        uint32_t id = (uint32_t)stream->id;
        assert_int_equal(peer_pull(&s.client, NULL), NEO_OK);
        h2_reset(s.client.h2, stream, H2_CANCEL, false);
        assert_int_equal(peer_pull(&s.client, NULL), NEO_OK);
        frames_headers(&s.in, id, 0, NEO_LIT("\x88"));
        frames_data(&s.in, id, 0, 100);
        frames_headers(&s.in, id, FLAG_END_STREAM,
                       NEO_LIT("\x00\x0bgrpc-status\x01"
                               "0"));
        give(&s);
        assert_false(s.ended);
    }
    assert_int_equal(h2_counters(s.client.h2)->glitches, 0);
    end(&s);
}

TEST(informational_responses_are_skipped)
{
    struct peer client = {0};
    struct neo_buffer in = {0};

    peer_start(&client, false, NULL);
    peer_call(&client, "/a.B/C");
    assert_int_equal(peer_pull(&client, NULL), NEO_OK);
    frames_put(&in, FRAME_SETTINGS, 0, 0, NEO_LIT(""));
    for (int i = 0; i < 3; i++)
        frames_headers(&in, 1, 0,
                       NEO_LIT("\x08\x03"
                               "100\x00\x06x-hint\x01y"));
    frames_headers(&in, 1, 0, NEO_LIT("\x88\x00\x05x-own\x01z"));
    frames_headers(&in, 1, FLAG_END_STREAM,
                   NEO_LIT("\x00\x0bgrpc-status\x01"
                           "0"));
    assert_int_equal(peer_feed(&client, neo_buffer_bytes(&in), NULL), NEO_OK);
    assert_int_equal(client.last->headers.len, 1);
    assert_true(neo_bytes_is(client.last->headers.at[0].name, "x-own"));
    peer_expect(&client, "ready; headers 1 200; trailers 1 grpc-status=0; ");
    assert_int_equal(peer_pull(&client, NULL), NEO_OK); /* our NO_ERROR: we had not ended */
    peer_expect(&client, "closed 1 0; ");
    neo_buffer_fini(&in);
    peer_stop(&client);
}

TEST(a_status_below_100_is_none)
{
    struct session s = {0};

    begin(&s, false);
    s.client.quiet = false;
    frames_headers(&s.in, call(&s), FLAG_END_STREAM,
                   NEO_LIT("\x08\x03"
                           "042"));
    give(&s);
    peer_expect(&s.client, "ready; closed 1 1; ");
    end(&s);
}

TEST(an_oversize_response_fails_its_call_alone)
{
    struct session s = {0};

    begin(&s, false);
    s.client.quiet = false;
    uint32_t bad = call(&s), good = call(&s);
    struct neo_buffer block = {0};
    neo_buffer_append_byte(&block, 0x88);
    for (int i = 0; i < 200; i++)
        frames_field(&block, NEO_LIT("x"), NEO_LIT("y"));
    frames_headers(&s.in, bad, 0, neo_buffer_bytes(&block));
    frames_headers(&s.in, good, FLAG_END_STREAM, NEO_LIT("\x88"));
    give(&s);
    assert_false(s.ended);
    peer_expect(&s.client, "ready; headers 3 200 end; closed 1 11; closed 3 0; ");
    neo_buffer_fini(&block);
    end(&s);
}

TEST(a_message_without_end_meets_the_window)
{
    struct session s = {.client.keep_credit = true};
    size_t sent = 0;

    begin(&s, false);
    uint32_t id = call(&s);
    frames_headers(&s.in, id, 0, NEO_LIT("\x88"));
    while (!s.ended && s.client.closed == 0 && sent < 100 * MIB) {
        frames_data(&s.in, id, 0, 16384);
        sent += 16384;
        give(&s);
    }
    assert_int_equal(s.client.body, 64 * KIB + 16384); /* nghttp2 delivers the frame it judges */
    assert_int_equal(s.client.closed, 1);
    end(&s);
}

TEST(pongs_that_answer_no_ping_are_not_reported)
{
    struct session s = {.client.quiet = false};

    begin(&s, false);
    s.client.quiet = false;
    frames_ping(&s.in, FLAG_ACK);
    give(&s);
    peer_expect(&s.client, "ready; ");
    assert_int_equal(h2_counters(s.client.h2)->glitches, 1);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_malicious_server_is_left_within_the_same_bounds),
        cmocka_unit_test(without_the_guard_the_server_has_its_way),
        cmocka_unit_test(
            a_promise_ends_the_connection_before_and_after_the_settings_are_acknowledged),
        cmocka_unit_test(without_the_guard_a_promise_is_kept_until_the_settings_are_acknowledged),
        cmocka_unit_test(refusing_every_call_is_a_servers_right),
        cmocka_unit_test(a_response_that_finds_no_memory_is_not_taken_for_a_call_that_was_refused),
        cmocka_unit_test(answers_to_cancelled_calls_may_come_late),
        cmocka_unit_test(informational_responses_are_skipped),
        cmocka_unit_test(a_status_below_100_is_none),
        cmocka_unit_test(an_oversize_response_fails_its_call_alone),
        cmocka_unit_test(a_message_without_end_meets_the_window),
        cmocka_unit_test(pongs_that_answer_no_ping_are_not_reported),
    };
    return cmocka_run_group_tests_name("h2/client", tests, NULL, NULL);
}
