/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <stdio.h>

TEST(a_unary_call_goes_there_and_back)
{
    struct peer client = {0}, server = {.echo = true};

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/test.Echo/Call");
    assert_true(h2_send(client.h2, s, NEO_LIT("hello")));
    h2_send_end(client.h2, s);
    peers_talk(&client, &server);

    peer_expect(&server, "headers 1 /test.Echo/Call; data 1 5; ended 1; closed 1 0; ");
    peer_expect(&client, "headers 1 200; data 1 5; trailers 1 grpc-status=0; closed 1 0; ");
    assert_int_equal(h2_open_streams(client.h2), 0);
    assert_int_equal(h2_open_streams(server.h2), 0);
    peers_stop(&client, &server);
}

/* More than the engine has at hand: some share a place there. */
TEST(each_of_many_open_streams_is_found)
{
    enum { STREAMS = 90 };
    static const char text[STREAMS] = {0};
    struct peer client = {0}, server = {.echo = true};
    struct h2_stream *s[STREAMS];
    char line[64];

    peers_start(&client, &server);
    for (size_t i = 0; i < STREAMS; i++)
        s[i] = peer_call(&client, "/test.Echo/Call");
    peers_talk(&client, &server);
    for (size_t i = STREAMS; i-- > 0;) {
        (void)h2_send(client.h2, s[i], neo_bytes(text, i + 1));
        h2_send_end(client.h2, s[i]);
    }
    peers_talk(&client, &server);

    for (size_t i = 0; i < STREAMS; i++) {
        size_t len = (size_t)snprintf(line, sizeof(line), "data %zu %zu; ", 2 * i + 1, i + 1);
        assert_non_null(memmem(client.log.at, client.log.len, line, len));
    }
    assert_int_equal(client.closed, STREAMS);
    assert_int_equal(server.closed, STREAMS);
    peers_stop(&client, &server);
}

TEST(bytes_may_come_one_at_a_time)
{
    struct peer client = {.write_most = 1}, server = {.echo = true, .write_most = 1};

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/test.Echo/Call");
    (void)h2_send(client.h2, s, NEO_LIT("hello"));
    h2_send_end(client.h2, s);
    peers_talk(&client, &server);

    assert_int_equal(server.body, 5);
    assert_int_equal(client.body, 5);
    assert_int_equal(client.closed, 1);
    assert_int_equal(h2_counters(server.h2)->glitches, 1); /* the window at the start */
    peers_stop(&client, &server);
}

TEST(headers_and_trailers_arrive_as_they_were_sent)
{
    struct peer client = {0}, server = {0};
    const struct h2_header sent[] = {
        {NEO_LIT("content-type"), NEO_LIT("application/grpc+proto")},
        {NEO_LIT("te"), NEO_LIT("trailers")},
        {NEO_LIT("x-long"), NEO_LIT("0123456789012345678901234567890123456789")},
        {NEO_LIT("x-empty"), NEO_LIT("")},
        {NEO_LIT("x-twice"), NEO_LIT("a")},
        {NEO_LIT("x-twice"), NEO_LIT("b")},
    };
    struct h2_stream *s;

    peers_start(&client, &server);
    for (int round = 0; round < 3; round++) { /* the second time from the dynamic table */
        assert_int_equal(h2_request(client.h2, NEO_LIT("/a.B/C"), NEO_LIT("host:1"), sent,
                                    NEO_COUNT(sent), NULL, &s, NULL),
                         NEO_OK);
        peers_talk(&client, &server);
        const struct h2_stream *got = server.last;
        assert_true(neo_bytes_is(got->path, "/a.B/C"));
        assert_true(neo_bytes_is(got->authority, "host:1"));
        assert_int_equal(got->headers.len, NEO_COUNT(sent));
        for (size_t i = 0; i < NEO_COUNT(sent); i++) {
            assert_true(neo_bytes_equal(got->headers.at[i].name, sent[i].name));
            assert_true(neo_bytes_equal(got->headers.at[i].value, sent[i].value));
        }
    }
    peers_stop(&client, &server);
}

TEST(a_refusal_is_one_frame_and_comes_with_end_stream)
{
    struct peer client = {0}, server = {0};
    const struct h2_header refusal[] = {
        {NEO_LIT("content-type"), NEO_LIT("application/grpc")},
        {NEO_LIT("grpc-status"), NEO_LIT("7")},
    };

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/C");
    h2_send_end(client.h2, s);
    peers_talk(&client, &server);
    assert_int_equal(h2_respond(server.h2, server.last, 200, refusal, 2, true, NULL), NEO_OK);
    peers_talk(&client, &server);

    peer_expect(&client, "headers 1 200 end; closed 1 0; ");
    peers_stop(&client, &server);
}

TEST(an_early_answer_stops_the_request)
{
    struct peer client = {0}, server = {0};

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/C");
    (void)h2_send(client.h2, s, NEO_LIT("the first of many"));
    peers_talk(&client, &server);
    peer_finish(&server, server.last);
    peers_talk(&client, &server);

    peer_expect(&server, "headers 1 /a.B/C; data 1 17; closed 1 0; ");
    peer_expect(&client, "headers 1 200; trailers 1 grpc-status=0; closed 1 0; ");
    peers_stop(&client, &server);
}

TEST(an_answer_without_a_message_needs_no_data_frame)
{
    struct peer client = {0}, server = {.echo = true};

    peers_start(&client, &server);
    h2_send_end(client.h2, peer_call(&client, "/a.B/C"));
    peers_talk(&client, &server);

    peer_expect(&client, "headers 1 200; trailers 1 grpc-status=0; closed 1 0; ");
    peers_stop(&client, &server);
}

TEST(either_side_may_reset_a_stream)
{
    struct peer client = {0}, server = {0};

    peers_start(&client, &server);
    struct h2_stream *s = peer_call(&client, "/a.B/C");
    peers_talk(&client, &server);
    h2_reset(client.h2, s, H2_CANCEL, false);
    peers_talk(&client, &server);
    peer_expect(&server, "headers 1 /a.B/C; closed 1 8; ");
    peer_expect(&client, "closed 1 8; ");

    peer_call(&client, "/a.B/C");
    peers_talk(&client, &server);
    h2_reset(server.h2, server.last, H2_REFUSED_STREAM, false);
    h2_reset(server.h2, server.last, H2_CANCEL, false); /* once is enough */
    peers_talk(&client, &server);
    peer_expect(&server, "headers 3 /a.B/C; closed 3 7; ");
    peer_expect(&client, "closed 3 7; ");
    peers_stop(&client, &server);
}

TEST(a_request_that_was_reset_before_it_left_never_leaves)
{
    struct peer client = {0}, server = {0};

    peers_start(&client, &server);
    h2_reset(client.h2, peer_call(&client, "/a.B/C"), H2_CANCEL, false);
    peers_talk(&client, &server);

    peer_expect(&client, "closed 1 8; ");
    peer_expect(&server, "");
    peers_stop(&client, &server);
}

TEST(what_is_sent_on_a_reset_stream_is_dropped)
{
    struct peer client = {0}, server = {0};
    const struct h2_header type = {NEO_LIT("content-type"), NEO_LIT("application/grpc")};

    peers_start(&client, &server);
    peer_call(&client, "/a.B/C");
    peers_talk(&client, &server);
    h2_reset(server.h2, server.last, H2_CANCEL, false);
    assert_int_equal(h2_respond(server.h2, server.last, 200, &type, 1, false, NULL), NEO_CANCELLED);
    assert_int_equal(h2_send_trailers(server.h2, server.last, &type, 1, NULL), NEO_CANCELLED);
    assert_true(h2_send(server.h2, server.last, NEO_LIT("x")));
    assert_null(h2_send_reserve(server.h2, server.last, 1));
    assert_int_equal(h2_queued(server.h2, server.last), 0);
    peers_talk(&client, &server);
    peers_stop(&client, &server);
}

TEST(a_drain_in_two_phases_loses_no_call)
{
    struct peer client = {0}, server = {.echo = true};

    peers_start(&client, &server);
    struct h2_stream *first = peer_call(&client, "/a.B/First");
    peers_talk(&client, &server);

    h2_shutdown_notice(server.h2);
    struct h2_stream *crossing = peer_call(&client, "/a.B/Crossing"); /* under way meanwhile */
    peers_talk(&client, &server);
    peer_expect(&client, "goaway 2147483647 0 ''; ");
    struct h2_stream *late = NULL;
    assert_int_equal(
        h2_request(client.h2, NEO_LIT("/a.B/Late"), NEO_LIT("h"), NULL, 0, NULL, &late, NULL),
        NEO_UNAVAILABLE);
    assert_int_equal(h2_stream_room(client.h2), 0);

    h2_goaway(server.h2, H2_NO_ERROR, "max_age");
    peers_talk(&client, &server);
    peer_expect(&client, "goaway 3 0 'max_age'; ");
    assert_false(h2_is_finished(server.h2));
    h2_send_end(client.h2, first);
    h2_send_end(client.h2, crossing);
    peers_talk(&client, &server);
    peer_expect(&client, "headers 1 200; headers 3 200; trailers 1 grpc-status=0; closed 1 0; "
                         "trailers 3 grpc-status=0; closed 3 0; ");
    assert_true(h2_is_finished(server.h2));
    assert_true(h2_is_finished(client.h2));
    peers_stop(&client, &server);
}

TEST(calls_above_the_last_id_are_refused_and_were_not_seen)
{
    struct peer client = {0}, server = {0};

    peers_start(&client, &server);
    peer_call(&client, "/a.B/Seen");
    peers_talk(&client, &server);
    h2_goaway(server.h2, H2_NO_ERROR, "bye");
    assert_int_equal(peer_pull(&server, NULL), NEO_OK);
    peer_call(&client, "/a.B/Unseen");
    assert_int_equal(peer_pull(&client, NULL), NEO_OK);
    peers_talk(&client, &server);

    peer_expect(&server, "headers 1 /a.B/Seen; ");
    peer_expect(&client, "goaway 1 0 'bye'; closed 3 7; ");
    peers_stop(&client, &server);
}

TEST(a_request_waiting_in_the_queue_is_refused_by_goaway)
{
    struct peer client = {0}, server = {0};

    peers_start(&client, &server);
    h2_goaway(server.h2, H2_NO_ERROR, "bye");
    assert_int_equal(peer_pull(&server, NULL), NEO_OK);
    peer_call(&client, "/a.B/Queued"); /* not pulled before the GOAWAY comes */
    assert_int_equal(peer_feed(&client, neo_buffer_bytes(&server.out), NULL), NEO_OK);
    neo_buffer_clear(&server.out);
    peers_talk(&client, &server);

    peer_expect(&client, "goaway 0 0 'bye'; closed 1 7; ");
    peers_stop(&client, &server);
}

TEST(the_servers_limit_of_streams_queues_the_next_call)
{
    struct peer client = {.quiet = true}, server = {.echo = true, .quiet = true};
    struct h2_stream *calls[5], *one_more = NULL;

    peer_start(&client, false, NULL);
    peer_start(&server, true, &(struct h2_limits){.max_streams = 5});
    assert_int_equal(h2_stream_room(client.h2), 100); /* until SETTINGS come */
    peers_talk(&client, &server);
    assert_int_equal(h2_stream_room(client.h2), 5);

    for (size_t i = 0; i < 5; i++)
        calls[i] = peer_call(&client, "/a.B/C");
    assert_int_equal(
        h2_request(client.h2, NEO_LIT("/a.B/C"), NEO_LIT("h"), NULL, 0, NULL, &one_more, NULL),
        NEO_RESOURCE_EXHAUSTED);
    assert_null(one_more);
    h2_send_end(client.h2, calls[2]);
    peers_talk(&client, &server);
    assert_int_equal(h2_stream_room(client.h2), 1);
    assert_non_null(peer_call(&client, "/a.B/C"));
    peers_stop(&client, &server);
}

TEST(streams_opened_before_the_settings_are_refused_not_fatal)
{
    struct peer client = {.quiet = true}, server = {.quiet = true};

    peer_start(&client, false, NULL);
    peer_start(&server, true, &(struct h2_limits){.max_streams = 5});
    for (size_t i = 0; i < 20; i++)
        peer_call(&client, "/a.B/C"); /* before it knows of the limit */
    peers_talk(&client, &server);

    assert_int_equal(server.handlers, 5);
    assert_int_equal(client.refused, 15);
    peers_stop(&client, &server);
}

TEST(pings_are_answered)
{
    struct peer client = {0}, server = {0};

    peers_start(&client, &server);
    h2_ping(client.h2, (const uint8_t *)"abcdefgh");
    h2_ping(server.h2, (const uint8_t *)"ijklmnop");
    peers_talk(&client, &server);

    peer_expect(&client, "pong abcdefgh; ");
    peer_expect(&server, "pong ijklmnop; ");
    peers_stop(&client, &server);
}

TEST(freeing_tells_every_open_stream)
{
    struct peer client = {0}, server = {0};

    peers_start(&client, &server);
    peer_call(&client, "/a.B/C");
    peer_call(&client, "/a.B/D");
    peers_talk(&client, &server);
    peer_call(&client, "/a.B/Unsent");
    neo_buffer_clear(&server.log);
    h2_free(client.h2);
    h2_free(server.h2);
    client.h2 = server.h2 = NULL;

    peer_expect(&client, "closed 1 8; closed 3 8; closed 5 8; ");
    peer_expect(&server, "closed 1 8; closed 3 8; ");
    peers_stop(&client, &server);
}

TEST(an_owner_that_errs_is_told)
{
    struct peer client = {0}, server = {0};
    const struct h2_header status = {NEO_LIT("grpc-status"), NEO_LIT("0")};

    peers_start(&client, &server);
    peer_call(&client, "/a.B/C");
    peers_talk(&client, &server);
    assert_int_equal(h2_send_trailers(server.h2, server.last, &status, 1, NULL),
                     NEO_FAILED_PRECONDITION);
    peer_finish(&server, server.last);
    assert_int_equal(h2_respond(server.h2, server.last, 200, &status, 1, true, NULL),
                     NEO_FAILED_PRECONDITION);
    assert_int_equal(h2_send_trailers(server.h2, server.last, &status, 1, NULL),
                     NEO_FAILED_PRECONDITION);
    peers_talk(&client, &server);
    peers_stop(&client, &server);
}

TEST(after_a_failure_one_goaway_comes_and_nothing_more)
{
    struct peer server = {0};
    struct neo_error err = {0};
    struct neo_buffer in = {0};

    peer_start(&server, true, NULL);
    neo_buffer_append_text(&in, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(peer_feed(&server, neo_buffer_bytes(&in), &err), NEO_INTERNAL);
    assert_true(h2_wants_write(server.h2));
    assert_int_equal(peer_pull(&server, NULL), NEO_INTERNAL);
    assert_int_equal(frames_goaway_error(neo_buffer_bytes(&server.out), NULL), H2_PROTOCOL_ERROR);
    assert_int_equal(frames_count(neo_buffer_bytes(&server.out), FRAME_GOAWAY), 1);
    assert_false(h2_wants_write(server.h2));
    assert_true(h2_is_finished(server.h2));

    size_t len = server.out.len;
    assert_int_equal(peer_feed(&server, NEO_LIT("x"), &err), NEO_INTERNAL);
    assert_int_equal(peer_pull(&server, NULL), NEO_INTERNAL);
    assert_int_equal(server.out.len, len);
    neo_buffer_fini(&in);
    peer_stop(&server);
}

TEST(a_breach_of_protocol_is_an_error_with_its_reason)
{
    struct peer server = {.quiet = true};
    struct neo_error err = {0};
    struct neo_buffer in = {0};

    peer_start(&server, true, NULL);
    frames_preface(&in);
    frames_data(&in, 0, 0, 5); /* DATA on stream 0 */
    assert_int_equal(peer_feed(&server, neo_buffer_bytes(&in), &err), NEO_OK);
    assert_int_equal(peer_pull(&server, &err), NEO_INTERNAL);
    assert_string_equal(err.message, "the peer broke HTTP/2: PROTOCOL_ERROR: DATA: stream_id == 0");
    assert_int_equal(frames_count(neo_buffer_bytes(&server.out), FRAME_GOAWAY), 1);
    neo_buffer_fini(&in);
    peer_stop(&server);
}

TEST(spaces_at_the_edge_of_a_message_survive_at_the_client)
{
    struct peer client = {0}, server = {0};
    const struct h2_header sent[] = {
        {NEO_LIT("grpc-status"), NEO_LIT("2")},
        {NEO_LIT("grpc-message"), NEO_LIT("boom ")},
    };

    peers_start(&client, &server);
    peer_call(&client, "/a.B/C");
    peers_talk(&client, &server);
    peer_respond(&server, server.last);
    assert_int_equal(h2_send_trailers(server.h2, server.last, sent, 2, NULL), NEO_OK);
    peers_talk(&client, &server);

    peer_expect(&client, "headers 1 200; trailers 1 grpc-status=2 grpc-message=boom ; "
                         "closed 1 0; ");
    peers_stop(&client, &server);
}

TEST(every_status_reaches_the_client)
{
    struct peer client = {0}, server = {0};
    char want[64];

    peers_start(&client, &server);
    for (int status = 200; status < 600; status += 37) {
        struct h2_stream *s = peer_call(&client, "/a.B/C");
        h2_send_end(client.h2, s);
        peers_talk(&client, &server);
        int id = server.last->id;
        assert_int_equal(h2_respond(server.h2, server.last, status, NULL, 0, true, NULL), NEO_OK);
        peers_talk(&client, &server);
        (void)snprintf(want, sizeof(want), "headers %d %d end; closed %d 0; ", id, status, id);
        peer_expect(&client, want);
    }
    peers_stop(&client, &server);
}

TEST(headers_that_the_peer_would_refuse_are_not_sent)
{
    struct peer client = {0}, server = {0};
    static char large[20 * 1024];
    const struct h2_header field = {NEO_LIT("x-large"), neo_bytes(large, sizeof(large))};
    const struct h2_header many[] = {field, field, field, field};
    struct h2_stream *s = NULL;

    memset(large, 'x', sizeof(large));
    peers_start(&client, &server);
    assert_int_equal(
        h2_request(client.h2, NEO_LIT("/a.B/C"), NEO_LIT("h"), &field, 1, NULL, &s, NULL),
        NEO_INVALID_ARGUMENT); /* the server has said 16 KiB */
    assert_int_equal(h2_open_streams(client.h2), 0);
    peer_call(&client, "/a.B/C");
    peers_talk(&client, &server);
    assert_int_equal(h2_respond(server.h2, server.last, 200, many, 4, false, NULL),
                     NEO_INVALID_ARGUMENT);
    peer_respond(&server, server.last);
    assert_int_equal(h2_send_trailers(server.h2, server.last, many, 4, NULL), NEO_INVALID_ARGUMENT);
    peer_finish(&server, server.last); /* a shorter one is still possible */
    peers_talk(&client, &server);
    peer_expect(&client, "headers 1 200; trailers 1 grpc-status=0; closed 1 0; ");
    peers_stop(&client, &server);
}

static struct h2_kept *kept;

static void keep(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    (void)h2;
    (void)h2_error;
    kept = h2_keep(s);
}

TEST(what_its_owner_keeps_outlives_the_stream_and_the_engine)
{
    struct peer client = {0}, server = {0};
    struct h2_events events = *peer_events();
    const struct h2_options options = {.server = true, .events = &events, .owner = &server};

    events.closed = keep;
    peer_start(&client, false, NULL);
    assert_int_equal(h2_new(&options, 0, &server.h2, NULL), NEO_OK);
    peers_talk(&client, &server);
    h2_send_end(client.h2, peer_call(&client, "/a.B/Kept"));
    peers_talk(&client, &server);
    struct neo_bytes path = server.last->path;
    struct neo_arena *arena = server.last->arena;
    peer_finish(&server, server.last);
    peers_talk(&client, &server);
    assert_int_equal(h2_open_streams(server.h2), 0);
    for (int i = 0; i < 3; i++) /* others come and go */
        h2_reset(client.h2, peer_call(&client, "/a.B/Other"), H2_CANCEL, false);
    peers_talk(&client, &server);
    peers_stop(&client, &server);

    assert_true(neo_bytes_is(path, "/a.B/Kept"));
    assert_non_null(neo_arena_alloc(arena, 100000));
    h2_kept_free(kept);
    h2_kept_free(NULL);
}

TEST(ids_that_are_spent_end_the_connection_gracefully)
{
    struct peer server = {0};
    struct neo_buffer in = {0};

    peer_start(&server, true, NULL);
    frames_preface(&in);
    frames_request(&in, INT32_MAX, FLAG_END_STREAM, &frames_good_request);
    assert_int_equal(peer_feed(&server, neo_buffer_bytes(&in), NULL), NEO_OK);
    peer_finish(&server, server.last);
    assert_int_equal(peer_pull(&server, NULL), NEO_OK);
    assert_int_equal(frames_goaway_error(neo_buffer_bytes(&server.out), NULL), H2_NO_ERROR);
    assert_true(h2_is_finished(server.h2));
    neo_buffer_fini(&in);
    peer_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unary_call_goes_there_and_back),
        cmocka_unit_test(each_of_many_open_streams_is_found),
        cmocka_unit_test(bytes_may_come_one_at_a_time),
        cmocka_unit_test(headers_and_trailers_arrive_as_they_were_sent),
        cmocka_unit_test(a_refusal_is_one_frame_and_comes_with_end_stream),
        cmocka_unit_test(an_early_answer_stops_the_request),
        cmocka_unit_test(an_answer_without_a_message_needs_no_data_frame),
        cmocka_unit_test(either_side_may_reset_a_stream),
        cmocka_unit_test(a_request_that_was_reset_before_it_left_never_leaves),
        cmocka_unit_test(what_is_sent_on_a_reset_stream_is_dropped),
        cmocka_unit_test(a_drain_in_two_phases_loses_no_call),
        cmocka_unit_test(calls_above_the_last_id_are_refused_and_were_not_seen),
        cmocka_unit_test(a_request_waiting_in_the_queue_is_refused_by_goaway),
        cmocka_unit_test(the_servers_limit_of_streams_queues_the_next_call),
        cmocka_unit_test(streams_opened_before_the_settings_are_refused_not_fatal),
        cmocka_unit_test(pings_are_answered),
        cmocka_unit_test(freeing_tells_every_open_stream),
        cmocka_unit_test(an_owner_that_errs_is_told),
        cmocka_unit_test(after_a_failure_one_goaway_comes_and_nothing_more),
        cmocka_unit_test(a_breach_of_protocol_is_an_error_with_its_reason),
        cmocka_unit_test(spaces_at_the_edge_of_a_message_survive_at_the_client),
        cmocka_unit_test(every_status_reaches_the_client),
        cmocka_unit_test(headers_that_the_peer_would_refuse_are_not_sent),
        cmocka_unit_test(what_its_owner_keeps_outlives_the_stream_and_the_engine),
        cmocka_unit_test(ids_that_are_spent_end_the_connection_gracefully),
    };
    return cmocka_run_group_tests_name("h2/engine", tests, NULL, NULL);
}
