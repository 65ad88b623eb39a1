/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's role, byte by byte: the 57 cases that h2spec has for clients, with our own bytes
 * and by RFC 9113.
 *
 * In each the client has one call open, on stream 1, whose request is complete. The server sends
 * what the case says, at once and again in single bytes. Then the client must have ended the
 * connection with the right GOAWAY, or reset the stream with the right code, or have taken it
 * all: it must still answer a PING and take the answer of a second call.
 */
#include "peer.h"

#include <stdio.h>

enum { CASES = 57, ANY = -1 };

/* Of a client's output, and of its events. */
struct end {
    int64_t goaway;
    int64_t reset; /* of stream 1 */
    size_t settings_acks;
    size_t ping_acks;
};

/* What is said, to `out`. */
typedef void say_fn(struct neo_buffer *out);

static struct neo_bytes ok_headers(void)
{
    return NEO_LIT("\x88"); /* :status 200 */
}

static void respond(struct neo_buffer *out, uint8_t flags)
{
    frames_headers(out, 1, flags, ok_headers());
}

static void answer_and_end(struct neo_buffer *out)
{
    respond(out, 0);
    frames_headers(out, 1, FLAG_END_STREAM,
                   NEO_LIT("\x00\x0bgrpc-status\x01"
                           "0"));
}

static void put_zeros(struct neo_buffer *out, uint8_t type, uint8_t flags, uint32_t stream,
                      size_t len)
{
    static const uint8_t zeros[16385];

    frames_put(out, type, flags, stream, neo_bytes(zeros, len));
}

/* --- 4 ---------------------------------------------------------------------------------------- */

static void nothing(struct neo_buffer *out)
{
    (void)out;
}

static void unknown_type(struct neo_buffer *out)
{
    frames_put(out, 0xff, 0, 0, NEO_LIT("anything"));
}

static void undefined_flag(struct neo_buffer *out)
{
    frames_ping(out, 0xfe);
}

static void reserved_bit(struct neo_buffer *out)
{
    frames_put(out, FRAME_PING, 0, 0x80000000, NEO_LIT("reserved"));
}

static void data_of_16384(struct neo_buffer *out)
{
    respond(out, 0);
    put_zeros(out, FRAME_DATA, 0, 1, 16384);
}

static void data_of_16385(struct neo_buffer *out)
{
    respond(out, 0);
    put_zeros(out, FRAME_DATA, 0, 1, 16385);
}

static void headers_of_16385(struct neo_buffer *out)
{
    put_zeros(out, FRAME_HEADERS, FLAG_END_HEADERS, 1, 16385);
}

static void invalid_block(struct neo_buffer *out)
{
    frames_headers(out, 1, 0, NEO_LIT("\x88\xff\xff\xff\xff\xff\xff\xff"));
}

/* --- 5.1 -------------------------------------------------------------------------------------- */

static void data_on_idle(struct neo_buffer *out)
{
    frames_data(out, 7, FLAG_END_STREAM, 4);
}

static void reset_on_idle(struct neo_buffer *out)
{
    frames_reset(out, 7, H2_CANCEL);
}

static void window_on_idle(struct neo_buffer *out)
{
    frames_window_update(out, 7, 100);
}

static void continuation_on_idle(struct neo_buffer *out)
{
    frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 7, ok_headers());
}

static void data_after_reset(struct neo_buffer *out)
{
    respond(out, 0);
    frames_reset(out, 1, H2_CANCEL);
    frames_data(out, 1, FLAG_END_STREAM, 4);
}

static void headers_after_reset(struct neo_buffer *out)
{
    respond(out, 0);
    frames_reset(out, 1, H2_CANCEL);
    respond(out, FLAG_END_STREAM);
}

static void continuation_after_reset(struct neo_buffer *out)
{
    respond(out, 0);
    frames_reset(out, 1, H2_CANCEL);
    frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, ok_headers());
}

static void data_after_end(struct neo_buffer *out)
{
    answer_and_end(out);
    frames_data(out, 1, FLAG_END_STREAM, 4);
}

static void headers_after_end(struct neo_buffer *out)
{
    answer_and_end(out);
    respond(out, FLAG_END_STREAM);
}

static void continuation_after_end(struct neo_buffer *out)
{
    answer_and_end(out);
    frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, ok_headers());
}

static void unexpected_id(struct neo_buffer *out)
{
    frames_headers(out, 2, 0, ok_headers());
}

/* --- 5.4, 6.1 to 6.4 -------------------------------------------------------------------------- */

static void ping_on_a_stream(struct neo_buffer *out)
{
    frames_put(out, FRAME_PING, 0, 3, NEO_LIT("12345678"));
}

static void data_on_stream_0(struct neo_buffer *out)
{
    respond(out, 0);
    frames_data(out, 0, 0, 4);
}

static void padding_beyond_data(struct neo_buffer *out)
{
    respond(out, 0);
    frames_put(out, FRAME_DATA, FLAG_PADDED, 1, NEO_LIT("\x06test!"));
}

static void priority_in_headers(struct neo_buffer *out)
{
    frames_put(out, FRAME_HEADERS, 0, 1, ok_headers());
    frames_priority(out, 1, 0);
}

static void headers_on_stream_0(struct neo_buffer *out)
{
    frames_headers(out, 0, 0, ok_headers());
}

static void padding_beyond_headers(struct neo_buffer *out)
{
    frames_put(out, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_PADDED, 1, NEO_LIT("\x02\x88"));
}

static void priority_on_stream_0(struct neo_buffer *out)
{
    frames_priority(out, 0, 1);
}

static void priority_of_4(struct neo_buffer *out)
{
    put_zeros(out, FRAME_PRIORITY, 0, 1, 4);
}

static void reset_on_stream_0(struct neo_buffer *out)
{
    frames_reset(out, 0, H2_CANCEL);
}

static void reset_of_3(struct neo_buffer *out)
{
    put_zeros(out, FRAME_RST_STREAM, 0, 1, 3);
}

/* --- 6.5 -------------------------------------------------------------------------------------- */

static void ack_with_payload(struct neo_buffer *out)
{
    put_zeros(out, FRAME_SETTINGS, FLAG_ACK, 0, 6);
}

static void settings_on_a_stream(struct neo_buffer *out)
{
    frames_put(out, FRAME_SETTINGS, 0, 1, NEO_LIT("\0\3\0\0\0\x64"));
}

static void settings_of_3(struct neo_buffer *out)
{
    frames_put(out, FRAME_SETTINGS, 0, 0, NEO_LIT("\0\3\0"));
}

static void window_of_2_to_31(struct neo_buffer *out)
{
    frames_setting(out, SETTING_INITIAL_WINDOW_SIZE, 0x80000000);
}

static void frames_of_16383(struct neo_buffer *out)
{
    frames_setting(out, SETTING_MAX_FRAME_SIZE, 16383);
}

static void frames_of_2_to_24(struct neo_buffer *out)
{
    frames_setting(out, SETTING_MAX_FRAME_SIZE, 1 << 24);
}

static void unknown_setting(struct neo_buffer *out)
{
    frames_setting(out, 0xff, 1);
}

static void known_setting(struct neo_buffer *out)
{
    frames_setting(out, SETTING_MAX_CONCURRENT_STREAMS, 50);
}

/* --- 6.7 to 6.9 ------------------------------------------------------------------------------- */

static void ping(struct neo_buffer *out)
{
    frames_ping(out, 0);
}

static void pong(struct neo_buffer *out)
{
    frames_ping(out, FLAG_ACK);
}

static void ping_of_6(struct neo_buffer *out)
{
    put_zeros(out, FRAME_PING, 0, 0, 6);
}

static void goaway_on_a_stream(struct neo_buffer *out)
{
    put_zeros(out, FRAME_GOAWAY, 0, 1, 8);
}

static void window_of_0(struct neo_buffer *out)
{
    frames_window_update(out, 0, 0);
}

static void window_of_0_on_a_stream(struct neo_buffer *out)
{
    frames_window_update(out, 1, 0);
}

static void window_update_of_3(struct neo_buffer *out)
{
    put_zeros(out, FRAME_WINDOW_UPDATE, 0, 0, 3);
}

static void window_overflows(struct neo_buffer *out)
{
    frames_window_update(out, 0, 0x7fffffff);
    frames_window_update(out, 0, 0x7fffffff);
}

static void window_overflows_on_a_stream(struct neo_buffer *out)
{
    frames_window_update(out, 1, 0x7fffffff);
    frames_window_update(out, 1, 0x7fffffff);
}

/* --- 6.10 ------------------------------------------------------------------------------------- */

static void headers_begin(struct neo_buffer *out)
{
    frames_put(out, FRAME_HEADERS, 0, 1, ok_headers());
    frames_put(out, FRAME_CONTINUATION, 0, 1, NEO_LIT("\x00\x01x\x01y"));
}

static void continuations(struct neo_buffer *out)
{
    headers_begin(out);
    frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, NEO_LIT("\x00\x01z\x01y"));
}

static void continuation_then_data(struct neo_buffer *out)
{
    headers_begin(out);
    frames_data(out, 1, 0, 4);
}

static void continuation_on_stream_0(struct neo_buffer *out)
{
    headers_begin(out);
    frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 0, NEO_LIT("\x00\x01z\x01y"));
}

static void continuation_after_headers(struct neo_buffer *out)
{
    respond(out, 0);
    frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, NEO_LIT("\x00\x01z\x01y"));
}

static void continuation_after_continuation(struct neo_buffer *out)
{
    continuations(out);
    frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, NEO_LIT("\x00\x01z\x01y"));
}

static void continuation_after_data(struct neo_buffer *out)
{
    respond(out, 0);
    frames_data(out, 1, 0, 4);
    frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, NEO_LIT("\x00\x01z\x01y"));
}

/* --- the table -------------------------------------------------------------------------------- */

enum outcome {
    GOES_ON, /* `log` is what the client's owner heard; NULL: a frame full of body */
    STREAM,  /* RST_STREAM with `code`; the connection goes on */
    ENDS,    /* GOAWAY with `code` */
};

static const struct row {
    const char *id; /* SECTION/NUMBER: the section of RFC 9113 and RFC 7540 alike */
    say_fn *say;
    enum outcome outcome;
    int64_t code;
    const char *log;
} rows[] = {
    {"1/1 connection preface", nothing, GOES_ON, 0, ""},
    {"4.1/1 unknown type", unknown_type, GOES_ON, 0, ""},
    {"4.1/2 undefined flag", undefined_flag, GOES_ON, 0, ""},
    {"4.1/3 reserved bit", reserved_bit, GOES_ON, 0, ""},
    {"4.2/1 DATA of 2^14", data_of_16384, GOES_ON, 0, NULL},
    {"4.2/2 DATA beyond it", data_of_16385, ENDS, H2_FRAME_SIZE_ERROR, NULL},
    {"4.2/3 HEADERS beyond it", headers_of_16385, ENDS, H2_FRAME_SIZE_ERROR, NULL},
    {"4.3/1 invalid block", invalid_block, ENDS, H2_COMPRESSION_ERROR, NULL},
    {"5.1/1 idle: DATA", data_on_idle, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"5.1/2 idle: RST_STREAM", reset_on_idle, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"5.1/3 idle: WINDOW_UPDATE", window_on_idle, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"5.1/4 idle: CONTINUATION", continuation_on_idle, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"5.1/5 reset: DATA", data_after_reset, STREAM, H2_STREAM_CLOSED, NULL},
    {"5.1/6 reset: HEADERS", headers_after_reset, ENDS, H2_STREAM_CLOSED, NULL},
    {"5.1/7 reset: CONTINUATION", continuation_after_reset, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"5.1/8 closed: DATA", data_after_end, STREAM, H2_STREAM_CLOSED, NULL},
    {"5.1/9 closed: HEADERS", headers_after_end, ENDS, H2_STREAM_CLOSED, NULL},
    {"5.1/10 closed: CONTINUATION", continuation_after_end, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"5.1.1/1 unexpected id", unexpected_id, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"5.4.1/1 invalid PING ends it", ping_on_a_stream, ENDS, ANY, NULL},
    {"5.4.1/2 and GOAWAY says why", ping_on_a_stream, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"5.5/1 unknown extension", unknown_type, GOES_ON, 0, ""},
    {"6.1/1 DATA on stream 0", data_on_stream_0, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.1/2 DATA on a closed stream", data_after_end, STREAM, H2_STREAM_CLOSED, NULL},
    {"6.1/3 padding beyond it", padding_beyond_data, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.2/1 PRIORITY within HEADERS", priority_in_headers, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.2/2 HEADERS on stream 0", headers_on_stream_0, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.2/3 padding beyond it", padding_beyond_headers, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.3/1 PRIORITY on stream 0", priority_on_stream_0, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.3/2 PRIORITY of 4 bytes", priority_of_4, ENDS, H2_FRAME_SIZE_ERROR, NULL},
    {"6.4/1 RST_STREAM on stream 0", reset_on_stream_0, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.4/2 RST_STREAM on an idle one", reset_on_idle, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.4/3 RST_STREAM of 3 bytes", reset_of_3, ENDS, H2_FRAME_SIZE_ERROR, NULL},
    {"6.5/1 ACK with payload", ack_with_payload, ENDS, H2_FRAME_SIZE_ERROR, NULL},
    {"6.5/2 SETTINGS on a stream", settings_on_a_stream, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.5/3 SETTINGS of 3 bytes", settings_of_3, ENDS, H2_FRAME_SIZE_ERROR, NULL},
    {"6.5.2/1 window of 2^31", window_of_2_to_31, ENDS, H2_FLOW_CONTROL_ERROR, NULL},
    {"6.5.2/2 frames too small", frames_of_16383, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.5.2/3 frames too large", frames_of_2_to_24, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.5.2/4 unknown setting", unknown_setting, GOES_ON, 0, ""},
    {"6.5.3/1 SETTINGS", known_setting, GOES_ON, 0, ""},
    {"6.7/1 PING", ping, GOES_ON, 0, ""},
    {"6.7/2 PING with ACK", pong, GOES_ON, 0, ""},
    {"6.7/3 PING on a stream", ping_on_a_stream, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.7/4 PING of 6 bytes", ping_of_6, ENDS, H2_FRAME_SIZE_ERROR, NULL},
    {"6.8/1 GOAWAY on a stream", goaway_on_a_stream, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.9/1 WINDOW_UPDATE of 0", window_of_0, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.9/2 the same on a stream", window_of_0_on_a_stream, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.9/3 WINDOW_UPDATE of 3 bytes", window_update_of_3, ENDS, H2_FRAME_SIZE_ERROR, NULL},
    {"6.9.1/1 window above 2^31-1", window_overflows, ENDS, H2_FLOW_CONTROL_ERROR, NULL},
    {"6.9.1/2 the same on a stream", window_overflows_on_a_stream, STREAM, H2_FLOW_CONTROL_ERROR,
     NULL},
    {"6.10/1 CONTINUATIONs", continuations, GOES_ON, 0, "headers 1 200; "},
    {"6.10/2 then another frame", continuation_then_data, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.10/3 on stream 0", continuation_on_stream_0, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.10/4 after HEADERS' end", continuation_after_headers, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.10/5 after its own end", continuation_after_continuation, ENDS, H2_PROTOCOL_ERROR, NULL},
    {"6.10/6 after DATA", continuation_after_data, ENDS, H2_PROTOCOL_ERROR, NULL},
};

/* --- playing it ------------------------------------------------------------------------------- */

static const struct row *now; /* the one being played, for the complaints */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s: not " #condition, now->id);                                              \
    } while (0)

/* The client with its call, and a server that has said hello. */
static void begin(struct peer *client, size_t write_most)
{
    struct neo_buffer in = {0};

    *client = (struct peer){.write_most = write_most};
    peer_start(client, false, NULL);
    h2_send_end(client->h2, peer_call(client, "/a.B/C"));
    frames_put(&in, FRAME_SETTINGS, 0, 0, NEO_LIT(""));
    frames_settings_ack(&in);
    CHECK(peer_feed(client, neo_buffer_bytes(&in), NULL) == NEO_OK);
    CHECK(peer_pull(client, NULL) == NEO_OK);
    CHECK(frames_count(neo_bytes_from(neo_buffer_bytes(&client->out), 24), FRAME_SETTINGS) == 2);
    peer_expect(client, "ready; ");
    neo_buffer_clear(&client->out);
    neo_buffer_fini(&in);
}

static struct end read_end(struct peer *client)
{
    struct neo_bytes out = neo_buffer_bytes(&client->out);
    struct end end = {.goaway = frames_goaway_error(out, NULL), .reset = ANY};
    struct frame f;

    while (frames_next(&out, &f)) {
        if (f.type == FRAME_RST_STREAM && f.stream == 1)
            end.reset = f.payload.at[3];
        end.settings_acks += f.type == FRAME_SETTINGS && f.flags == FLAG_ACK;
        end.ping_acks += f.type == FRAME_PING && f.flags == FLAG_ACK && f.stream == 0;
    }
    neo_buffer_clear(&client->out);
    return end;
}

/* It answers a PING, and a second call gets its answer. */
static void expect_alive(struct peer *client)
{
    struct neo_buffer in = {0};
    struct h2_stream *second = peer_call(client, "/a.B/D");

    h2_send_end(client->h2, second);
    CHECK(peer_pull(client, NULL) == NEO_OK);
    neo_buffer_clear(&client->out);
    neo_buffer_clear(&client->log);
    frames_ping(&in, 0);
    frames_headers(&in, 3, FLAG_END_STREAM, ok_headers());
    CHECK(peer_feed(client, neo_buffer_bytes(&in), NULL) == NEO_OK);
    CHECK(peer_pull(client, NULL) == NEO_OK);
    peer_expect(client, "headers 3 200 end; closed 3 0; ");
    CHECK(read_end(client).ping_acks == 1);
    neo_buffer_fini(&in);
}

/* Which frames of the case are owed an acknowledgement of their own. */
static void expect_acks(const struct end *end)
{
    bool is_setting = now->say == unknown_setting || now->say == known_setting;
    bool is_ping = now->say == ping || now->say == undefined_flag || now->say == reserved_bit;

    CHECK(end->settings_acks == is_setting);
    CHECK(end->ping_acks == is_ping);
}

static void expect_outcome(struct peer *client, enum neo_code code, const struct end *end)
{
    switch (now->outcome) {
    case GOES_ON:
        CHECK(code == NEO_OK && end->goaway == ANY && end->reset == ANY);
        expect_acks(end);
        if (now->log != NULL)
            peer_expect(client, now->log);
        CHECK(client->body == (now->log == NULL ? 16384 : 0));
        expect_alive(client);
        break;
    case STREAM:
        CHECK(code == NEO_OK && end->goaway == ANY);
        CHECK(end->reset == now->code);
        CHECK(client->closed == 1);
        expect_alive(client);
        break;
    case ENDS:
        CHECK(code != NEO_OK);
        if (now->code == ANY ? end->goaway <= 0 : end->goaway != now->code)
            fail_msg("%s: GOAWAY %d, not %d", now->id, (int)end->goaway, (int)now->code);
        CHECK(h2_feed(client->h2, NEO_LIT("\0"), client->now, NULL) != NEO_OK);
        CHECK(h2_is_finished(client->h2));
        break;
    }
}

static void play(size_t write_most)
{
    struct peer client;
    struct neo_buffer in = {0};

    begin(&client, write_most);
    now->say(&in);
    enum neo_code code = peer_feed(&client, neo_buffer_bytes(&in), NULL);
    enum neo_code pulled = peer_pull(&client, NULL);
    struct end end = read_end(&client);
    expect_outcome(&client, code != NEO_OK ? code : pulled, &end);
    size_t calls = now->outcome == ENDS ? 1 : 2;
    h2_free(client.h2);
    client.h2 = NULL;
    CHECK(client.closed == calls); /* each is told of its end, once */
    peer_stop(&client);
    neo_buffer_fini(&in);
}

TEST(every_client_case_of_h2spec_has_the_outcome_that_rfc_9113_asks_for)
{
    assert_int_equal(NEO_COUNT(rows), CASES);
    for (now = rows; now < rows + CASES; now++)
        play(0);
}

TEST(the_same_in_single_bytes)
{
    for (now = rows; now < rows + CASES; now++)
        play(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_client_case_of_h2spec_has_the_outcome_that_rfc_9113_asks_for),
        cmocka_unit_test(the_same_in_single_bytes),
    };
    return cmocka_run_group_tests_name("h2/h2spec_client", tests, NULL, NULL);
}
