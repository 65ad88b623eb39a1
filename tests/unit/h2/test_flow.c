/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

static uint8_t chunk[16 * KIB];

/* Sends until it is told to wait; how much went in. */
static size_t send_until_full(struct peer *p, struct h2_stream *s)
{
    size_t n = 0;

    do {
        n += sizeof(chunk);
    } while (h2_send(p->h2, s, neo_bytes(chunk, sizeof(chunk))));
    return n;
}

static void go_on(struct peer *p, struct h2_stream *s)
{
    size_t *left = s->user;

    while (*left > 0) {
        *left -= sizeof(chunk);
        if (!h2_send(p->h2, s, neo_bytes(chunk, sizeof(chunk))))
            return;
    }
    h2_send_end(p->h2, s);
}

TEST(a_fast_sender_is_held_back_by_a_slow_reader)
{
    struct peer client = {.quiet = true}, server = {.quiet = true, .keep_credit = true};

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/Upload");
    assert_int_equal(send_until_full(&client, s), 80 * KIB);
    peers_talk(&client, &server);
    assert_int_equal(server.body, 64 * KIB); /* the window */
    assert_int_equal(h2_queued(client.h2, s), 16 * KIB);
    assert_int_equal(client.writables, 1);

    h2_consume(server.h2, server.last, 64 * KIB);
    peers_talk(&client, &server);
    assert_int_equal(server.body, 80 * KIB);
    assert_int_equal(h2_queued(client.h2, s), 0);
    peers_stop(&client, &server);
}

TEST(writable_comes_once_for_each_time_it_was_owed)
{
    struct peer client = {.quiet = true}, server = {.quiet = true};

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/Upload");
    for (size_t i = 1; i <= 5; i++) {
        send_until_full(&client, s);
        peers_talk(&client, &server);
        assert_int_equal(client.writables, i);
    }
    (void)h2_send(client.h2, s, NEO_LIT("small"));
    peers_talk(&client, &server);
    assert_int_equal(client.writables, 5);
    peers_stop(&client, &server);
}

TEST(a_long_upload_moves_in_bounded_memory)
{
    struct peer client = {.on_writable = go_on, .quiet = true}, server = {.quiet = true};
    size_t left = 16 * MIB, peak = 0;

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/Upload");
    s->user = &left;
    go_on(&client, s);
    while (server.body < 16 * MIB) {
        size_t before = server.body;
        assert_int_equal(h2_pull(client.h2, 16 * KIB, 0, &client.out, NULL), NEO_OK);
        assert_true(client.out.len <= 40 * KIB);
        assert_int_equal(peer_feed(&server, neo_buffer_bytes(&client.out), NULL), NEO_OK);
        neo_buffer_clear(&client.out);
        assert_int_equal(peer_pull(&server, NULL), NEO_OK);
        assert_int_equal(peer_feed(&client, neo_buffer_bytes(&server.out), NULL), NEO_OK);
        neo_buffer_clear(&server.out);
        peak = h2_memory(client.h2) > peak ? h2_memory(client.h2) : peak;
        peak = h2_memory(server.h2) > peak ? h2_memory(server.h2) : peak;
        assert_true(server.body > before);
    }
    assert_true(peak < 512 * KIB);
    assert_int_equal(h2_counters(server.h2)->stopped + h2_counters(client.h2)->stopped, 0);
    peers_stop(&client, &server);
}

struct collector {
    struct h2_sink sink;
    struct neo_buffer all;
    size_t frames;
    bool refuses;
};

static bool collect(struct h2_sink *sink, struct neo_buffer *out, struct neo_bytes frame)
{
    struct collector *c = neo_owner(sink, struct collector, sink);

    assert_true(neo_buffer_append(&c->all, neo_buffer_bytes(out)));
    assert_true(neo_buffer_append(&c->all, frame));
    neo_buffer_clear(out);
    c->frames++;
    return !c->refuses;
}

/* A client that has sent `bytes`, and how its pulls go; the server only gives it windows. */
static void start_upload(struct peer *client, struct peer *server, struct neo_bytes bytes)
{
    peers_start(client, server);
    struct h2_stream *s = peer_call(client, "/a.B/Upload");
    (void)h2_send(client->h2, s, bytes);
    (void)h2_send(client->h2, s, NEO_LIT("and a word more"));
}

TEST(a_sink_that_cannot_take_a_frame_ends_the_engine)
{
    static uint8_t body[100 * KIB];
    struct peer client = {.quiet = true}, server = {.quiet = true};
    struct collector c = {.sink = {.take = collect, .most = SIZE_MAX}, .refuses = true};

    start_upload(&client, &server, neo_bytes(body, sizeof(body)));
    assert_int_equal(h2_pull_through(client.h2, SIZE_MAX, 0, &client.out, &c.sink, NULL),
                     NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(c.frames, 1);
    neo_buffer_fini(&c.all);
    peers_stop(&client, &server);
}

/* In one window: what a sink takes and what is left are together what a pull alone would give. */
TEST(frames_that_go_through_a_sink_are_the_frames_of_a_pull)
{
    static uint8_t body[100 * KIB];
    uint64_t seed = 5;

    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)unit_random(&seed, 256);
    for (size_t len = 40 * KIB; len <= sizeof(body); len += 5 * KIB + 1) {
        struct peer copies[2] = {{.quiet = true}, {.quiet = true}},
                    servers[2] = {{.quiet = true}, {.quiet = true}};
        struct collector c = {.sink = {.take = collect, .most = 20 * KIB}};
        size_t pulls = 0;

        for (int i = 0; i < 2; i++)
            start_upload(&copies[i], &servers[i], neo_bytes(body, len));
        assert_int_equal(peer_pull(&copies[0], NULL), NEO_OK);
        for (size_t before = SIZE_MAX; before != c.all.len; pulls++) {
            before = c.all.len;
            assert_int_equal(
                h2_pull_through(copies[1].h2, SIZE_MAX, 0, &copies[1].out, &c.sink, NULL), NEO_OK);
            assert_true(neo_buffer_append(&c.all, neo_buffer_bytes(&copies[1].out)));
            neo_buffer_clear(&copies[1].out);
            assert_true(c.all.len - before < 20 * KIB + 2 * 16 * KIB);
        }
        assert_int_equal(c.all.len, copies[0].out.len);
        assert_memory_equal(c.all.at, copies[0].out.at, c.all.len);
        assert_true(len < 64 * KIB ? c.frames == 0 : c.frames >= 2);
        assert_true(pulls > 2);
        neo_buffer_fini(&c.all);
        for (int i = 0; i < 2; i++)
            peers_stop(&copies[i], &servers[i]);
    }
}

TEST(credit_follows_what_was_consumed_even_on_closed_streams)
{
    struct peer client = {.quiet = true}, server = {.quiet = true, .keep_credit = true};

    /* Far more than the connection's window of 1 MiB, and nobody ever consumes. */
    peers_start(&client, &server);
    for (size_t i = 0; i < 100; i++) {
        struct h2_stream *s = peer_call(&client, "/a.B/Upload");
        (void)h2_send(client.h2, s, neo_bytes(chunk, sizeof(chunk)));
        peers_talk(&client, &server);
        assert_int_equal(server.body, (i + 1) * sizeof(chunk));
        h2_reset(server.h2, server.last, H2_CANCEL, false);
        peers_talk(&client, &server);
    }
    peers_stop(&client, &server);
}

TEST(the_connections_window_bounds_all_streams_together)
{
    struct peer client = {.quiet = true}, server = {.quiet = true, .keep_credit = true};
    struct h2_stream *s[40];

    peers_start(&client, &server);
    for (size_t i = 0; i < NEO_COUNT(s); i++) {
        s[i] = peer_call(&client, "/a.B/Upload");
        for (int n = 0; n < 3; n++)
            (void)h2_send(client.h2, s[i], neo_bytes(chunk, sizeof(chunk)));
    }
    peers_talk(&client, &server);
    assert_int_equal(server.body, MIB);
    peers_stop(&client, &server);
}

TEST(all_streams_together_queue_no_more_than_the_connection_may)
{
    struct peer client = {.quiet = true}, server = {.quiet = true, .keep_credit = true};
    size_t queued = 0;

    peers_start(&client, &server);
    for (size_t i = 0; i < 100; i++) {
        struct h2_stream *s = peer_call(&client, "/a.B/Upload");
        while (h2_send(client.h2, s, neo_bytes(chunk, 1 * KIB)))
            continue;
        queued += h2_queued(client.h2, s);
    }
    assert_true(queued > 256 * KIB);
    assert_true(queued <= 256 * KIB + 64 * KIB + 100 * 5 * KIB);
    peers_stop(&client, &server);
}

TEST(a_short_answer_does_not_wait_for_a_long_one)
{
    struct peer client = {.quiet = true}, server = {.quiet = true};
    static uint8_t large[MIB];

    peer_start(&client, false,
               &(struct h2_limits){.stream_window = 4 * MIB, .connection_window = 8 * MIB});
    peer_start(&server, true, NULL);
    peers_talk(&client, &server);
    peer_call(&client, "/a.B/Long");
    peers_talk(&client, &server);
    peer_respond(&server, server.last);
    (void)h2_send(server.h2, server.last, neo_bytes(large, sizeof(large)));
    peer_call(&client, "/a.B/Short");
    assert_int_equal(peer_pull(&client, NULL), NEO_OK);
    assert_int_equal(peer_feed(&server, neo_buffer_bytes(&client.out), NULL), NEO_OK);
    neo_buffer_clear(&client.out);
    peer_respond(&server, server.last);
    (void)h2_send(server.h2, server.last, NEO_LIT("short"));
    peer_finish(&server, server.last);

    assert_int_equal(h2_pull(server.h2, 128 * KIB, 0, &server.out, NULL), NEO_OK);
    assert_int_equal(peer_feed(&client, neo_buffer_bytes(&server.out), NULL), NEO_OK);
    assert_int_equal(client.closed, 1); /* the short one */
    neo_buffer_clear(&server.out);
    peers_talk(&client, &server);
    assert_int_equal(client.body, sizeof(large) + 5);
    peers_stop(&client, &server);
}

TEST(room_may_be_filled_in_place)
{
    struct peer client = {.quiet = true}, server = {.quiet = true};

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/C");
    memset(h2_send_reserve(client.h2, s, 1000), 'x', 1000);
    memset(h2_send_reserve(client.h2, s, 2000), 'y', 2000);
    assert_int_equal(h2_queued(client.h2, s), 3000);
    h2_send_end(client.h2, s);
    peers_talk(&client, &server);
    assert_int_equal(server.body, 3000);
    peers_stop(&client, &server);
}

TEST(a_pull_gives_about_as_much_as_was_asked_for)
{
    struct peer client = {.quiet = true}, server = {.quiet = true};
    size_t before = 0;

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/C");
    (void)h2_send(client.h2, s, neo_bytes(chunk, sizeof(chunk)));
    (void)h2_send(client.h2, s, neo_bytes(chunk, sizeof(chunk)));
    while (h2_wants_write(client.h2)) {
        assert_int_equal(h2_pull(client.h2, 1000, 0, &client.out, NULL), NEO_OK);
        assert_true(client.out.len - before <= 1000 + 17 * KIB);
        before = client.out.len;
    }
    assert_true(before > 32 * KIB);
    peers_stop(&client, &server);
}

/* What the WINDOW_UPDATEs in `out` give; returns how many there are. */
static size_t add_credit(struct neo_bytes out, int64_t *stream, int64_t *connection)
{
    size_t updates = 0;
    struct frame f;

    while (frames_next(&out, &f)) {
        if (f.type != FRAME_WINDOW_UPDATE)
            continue;
        int64_t more =
            f.payload.at[0] << 24 | f.payload.at[1] << 16 | f.payload.at[2] << 8 | f.payload.at[3];
        *(f.stream == 0 ? connection : stream) += more;
        updates++;
    }
    return updates;
}

/*
 * A server that pads each five bytes with 255 more costs 15 MB of flow control for a reply of
 * 300 KB. Padding that is not given back would stop it after 64 KiB.
 */
TEST(padding_is_paid_for_and_given_back)
{
    struct peer client = {.quiet = true};
    struct neo_buffer in = {0};

    peer_start(&client, false, NULL);
    h2_send_end(client.h2, peer_call(&client, "/a.B/C"));
    assert_int_equal(peer_pull(&client, NULL), NEO_OK);
    neo_buffer_append(&in, neo_bytes("\0\0\0\4\0\0\0\0\0", 9)); /* SETTINGS */
    frames_put(&in, FRAME_HEADERS, FLAG_END_HEADERS, 1, NEO_LIT("\x88"));
    assert_int_equal(peer_feed(&client, neo_buffer_bytes(&in), NULL), NEO_OK);

    int64_t stream = 64 * KIB, connection = MIB;
    size_t updates = 0;
    for (size_t sent = 0; sent < 300000; sent += 5) {
        neo_buffer_clear(&in);
        frames_padded_data(&in, 1, 0, 5, 255);
        stream -= 261;
        connection -= 261;
        assert_true(stream >= 0 && connection >= 0);
        assert_int_equal(peer_feed(&client, neo_buffer_bytes(&in), NULL), NEO_OK);
        neo_buffer_clear(&client.out);
        assert_int_equal(peer_pull(&client, NULL), NEO_OK);
        updates += add_credit(neo_buffer_bytes(&client.out), &stream, &connection);
    }
    assert_int_equal(client.body, 300000);
    assert_int_equal(h2_counters(client.h2)->glitches, 0);
    assert_true(updates < 1000); /* 15.6 MB: batched, not one for each of 60,000 frames */
    neo_buffer_fini(&in);
    peer_stop(&client);
}

/* Padding alone moves windows and nothing else: it is given back, and counted as nonsense. */
TEST(padding_alone_is_given_back_and_ends_as_empty_frames_do)
{
    struct peer client = {.quiet = true}, server = {.quiet = true};
    struct neo_buffer in = {0};
    int64_t stream = 64 * KIB, connection = MIB;
    enum neo_code code = NEO_OK;
    unsigned n = 0;

    peers_start(&client, &server);
    (void)peer_call(&client, "/a.B/Upload");
    peers_talk(&client, &server);
    for (; code == NEO_OK && n < 2000; n++) {
        neo_buffer_clear(&in);
        frames_padded_data(&in, 1, 0, 0, 255);
        stream -= 256;
        connection -= 256;
        assert_true(stream >= 0 && connection >= 0);
        code = peer_feed(&server, neo_buffer_bytes(&in), NULL);
        neo_buffer_clear(&server.out);
        (void)peer_pull(&server, NULL);
        add_credit(neo_buffer_bytes(&server.out), &stream, &connection);
    }
    assert_int_equal(n, 999); /* and the client's first WINDOW_UPDATE */
    assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(server.body, 0);
    neo_buffer_fini(&in);
    peers_stop(&client, &server);
}

TEST(small_windows_never_stand_still)
{
    struct peer client = {.quiet = true, .on_writable = go_on}, server = {.quiet = true};
    size_t left = 256 * KIB;

    peer_start(&client, false, NULL);
    peer_start(&server, true, &(struct h2_limits){.stream_window = 100});
    peers_talk(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/Upload");
    s->user = &left;
    go_on(&client, s);
    peers_talk(&client, &server);
    assert_int_equal(server.body, 256 * KIB);
    peers_stop(&client, &server);
}

TEST(a_stream_whose_peer_reads_nothing_is_found)
{
    struct peer client = {.quiet = true}, server = {.quiet = true, .keep_credit = true};

    peers_start(&client, &server);
    client.now = 100 * NEO_NSEC_PER_SEC;
    struct h2_stream *idle = peer_call(&client, "/a.B/Idle");
    struct h2_stream *s = peer_call(&client, "/a.B/Upload");
    send_until_full(&client, s);
    peers_talk(&client, &server);
    assert_int_equal(h2_queued(client.h2, idle), 0);
    assert_null(h2_stalled(client.h2, 100 * NEO_NSEC_PER_SEC));
    assert_ptr_equal(h2_stalled(client.h2, 101 * NEO_NSEC_PER_SEC), s);

    client.now = 120 * NEO_NSEC_PER_SEC;
    h2_consume(server.h2, server.last, 64 * KIB);
    peers_talk(&client, &server);
    assert_null(h2_stalled(client.h2, 121 * NEO_NSEC_PER_SEC)); /* all of it is gone */
    send_until_full(&client, s);
    peers_talk(&client, &server);
    assert_ptr_equal(h2_stalled(client.h2, 121 * NEO_NSEC_PER_SEC), s);
    h2_reset(client.h2, s, H2_CANCEL, true);
    assert_null(h2_stalled(client.h2, 121 * NEO_NSEC_PER_SEC));
    peers_stop(&client, &server);
}

static void let_out(struct peer *client, uint32_t bytes)
{
    struct neo_buffer in = {0};

    frames_window_update(&in, 1, bytes);
    assert_int_equal(peer_feed(client, neo_buffer_bytes(&in), NULL), NEO_OK);
    assert_int_equal(peer_pull(client, NULL), NEO_OK);
    neo_buffer_clear(&client->out);
    neo_buffer_fini(&in);
}

/* Windows of a few bytes: only a whole KiB of them is progress. The first window's last frame
 * has 35. */
TEST(a_stream_whose_peer_lets_out_drops_is_found)
{
    struct peer client = {.quiet = true}, server = {.quiet = true, .keep_credit = true};

    peers_start(&client, &server);
    client.now = 100 * NEO_NSEC_PER_SEC;
    struct h2_stream *s = peer_call(&client, "/a.B/Upload");
    send_until_full(&client, s);
    send_until_full(&client, s);
    peers_talk(&client, &server);
    size_t waits = h2_queued(client.h2, s);
    for (int i = 1; i <= 6; i++) { /* 164 bytes each: the sixth makes 1,019 */
        client.now += 10 * NEO_NSEC_PER_SEC;
        let_out(&client, 164);
        assert_ptr_equal(h2_stalled(client.h2, 101 * NEO_NSEC_PER_SEC), s);
    }
    let_out(&client, 5);
    assert_int_equal(waits - h2_queued(client.h2, s), 1024 - 35);
    assert_null(h2_stalled(client.h2, 160 * NEO_NSEC_PER_SEC));
    assert_ptr_equal(h2_stalled(client.h2, 161 * NEO_NSEC_PER_SEC), s);
    peers_stop(&client, &server);
}

TEST(memory_kept_for_the_next_burst_can_be_given_back)
{
    struct peer client = {.quiet = true}, server = {.echo = true, .quiet = true};

    peers_start(&client, &server);
    size_t idle = h2_memory(server.h2);
    for (int i = 0; i < 50; i++) {
        struct h2_stream *s = peer_call(&client, "/a.B/C");
        (void)h2_send(client.h2, s, neo_bytes(chunk, sizeof(chunk)));
        h2_send_end(client.h2, s);
    }
    peers_talk(&client, &server);
    assert_int_equal(client.closed, 50);
    assert_true(h2_memory(server.h2) > idle + 50 * 1664);
    h2_trim(server.h2);
    assert_true(h2_memory(server.h2) < idle + 4096); /* HPACK's table has grown a little */
    peers_stop(&client, &server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fast_sender_is_held_back_by_a_slow_reader),
        cmocka_unit_test(writable_comes_once_for_each_time_it_was_owed),
        cmocka_unit_test(a_long_upload_moves_in_bounded_memory),
        cmocka_unit_test(a_sink_that_cannot_take_a_frame_ends_the_engine),
        cmocka_unit_test(frames_that_go_through_a_sink_are_the_frames_of_a_pull),
        cmocka_unit_test(credit_follows_what_was_consumed_even_on_closed_streams),
        cmocka_unit_test(the_connections_window_bounds_all_streams_together),
        cmocka_unit_test(all_streams_together_queue_no_more_than_the_connection_may),
        cmocka_unit_test(a_short_answer_does_not_wait_for_a_long_one),
        cmocka_unit_test(room_may_be_filled_in_place),
        cmocka_unit_test(a_pull_gives_about_as_much_as_was_asked_for),
        cmocka_unit_test(padding_is_paid_for_and_given_back),
        cmocka_unit_test(padding_alone_is_given_back_and_ends_as_empty_frames_do),
        cmocka_unit_test(small_windows_never_stand_still),
        cmocka_unit_test(a_stream_whose_peer_reads_nothing_is_found),
        cmocka_unit_test(a_stream_whose_peer_lets_out_drops_is_found),
        cmocka_unit_test(memory_kept_for_the_next_burst_can_be_given_back),
    };
    return cmocka_run_group_tests_name("h2/flow", tests, NULL, NULL);
}
