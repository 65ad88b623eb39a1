/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "h2/guard.h"

#define SEC  NEO_NSEC_PER_SEC
#define MSEC NEO_NSEC_PER_MSEC

static const struct h2_limits limits = {
    .resets_burst = 100,
    .resets_per_second = 33,
    .our_resets_burst = 100,
    .our_resets_per_second = 10,
    .glitches_burst = 1000,
    .glitches_per_second = 100,
    .ping_spacing = 10 * SEC,
};

static struct h2_guard new_guard(bool server)
{
    struct h2_guard g;

    h2_guard_init(&g, server, &limits, 0);
    g.scan.preface = 0;
    return g;
}

/* How many glitches are forgiven at this instant. */
static unsigned glitches_until_stopped(struct h2_guard *g, neo_nsec now)
{
    unsigned n = 0;

    while (h2_guard_glitch(g, H2_ATTACK_PRIORITY, 1, now))
        n++;
    return n;
}

TEST(the_drop_that_fills_the_bucket_stops)
{
    struct h2_guard g = new_guard(true);

    assert_int_equal(glitches_until_stopped(&g, 0), 999);
    assert_int_equal(g.attack, H2_ATTACK_PRIORITY);
    assert_int_equal(g.counters.stopped, 1);
}

TEST(a_bucket_leaks_with_time_and_never_below_empty)
{
    struct h2_guard g = new_guard(true);

    glitches_until_stopped(&g, 0);
    assert_int_equal(glitches_until_stopped(&g, SEC), 99);
    assert_int_equal(glitches_until_stopped(&g, 1000000 * SEC), 999);
}

TEST(a_clock_that_steps_back_only_makes_it_stricter)
{
    struct h2_guard g = new_guard(true);

    glitches_until_stopped(&g, 100 * SEC);
    assert_int_equal(glitches_until_stopped(&g, 50 * SEC), 0);
}

TEST(unguarded_counts_and_never_stops)
{
    struct h2_guard g;
    struct h2_limits none = limits;

    none.unguarded = true;
    h2_guard_init(&g, true, &none, 0);
    for (int i = 0; i < 5000; i++)
        assert_true(h2_guard_glitch(&g, H2_ATTACK_PING, 1, 0));
    assert_int_equal(g.counters.glitches, 5000);
    assert_int_equal(g.counters.stopped, 0);
}

TEST(frequent_cancels_among_many_finished_calls_are_no_attack)
{
    struct h2_guard g = new_guard(true);

    for (int i = 0; i < 10000; i++) {
        h2_guard_stream_closed(&g);
        h2_guard_stream_closed(&g);
        assert_true(h2_guard_reset_received(&g, true, true, (neo_nsec)i * MSEC));
    }
}

TEST(late_cancels_are_no_attack)
{
    struct h2_guard g = new_guard(true);

    for (int i = 0; i < 10000; i++)
        assert_true(h2_guard_reset_received(&g, true, false, 0));
}

TEST(premature_resets_stop_at_the_burst)
{
    struct h2_guard g = new_guard(true);
    int n = 0;

    while (h2_guard_reset_received(&g, true, true, 0))
        n++;
    assert_int_equal(n, 99);
    assert_int_equal(g.attack, H2_ATTACK_RAPID_RESET);
}

TEST(good_behaviour_buys_an_attacker_little)
{
    struct h2_guard g = new_guard(true);
    int n = 0;

    for (int i = 0; i < 100000; i++)
        h2_guard_stream_closed(&g);
    while (h2_guard_reset_received(&g, true, true, SEC))
        n++;
    assert_in_range(n, 99, 300);
}

TEST(resets_of_streams_that_are_not_open_are_glitches)
{
    struct h2_guard g = new_guard(true);
    int n = 0;

    while (h2_guard_reset_received(&g, false, false, 0))
        n++;
    assert_int_equal(n, 999);
    assert_int_equal(g.attack, H2_ATTACK_RST_STREAM);
}

TEST(pings_that_come_too_soon_strike_out)
{
    struct h2_guard g = new_guard(true);

    assert_true(h2_guard_ping(&g, 0, 0));
    assert_true(h2_guard_ping(&g, 0, 10 * MSEC));
    assert_true(h2_guard_ping(&g, 0, 20 * MSEC));
    assert_false(h2_guard_ping(&g, 0, 30 * MSEC));
    assert_int_equal(g.attack, H2_ATTACK_PING);
    assert_string_equal(h2_attack_debug(g.attack), "too_many_pings");
}

TEST(patient_pings_are_welcome_for_ever)
{
    struct h2_guard idle = new_guard(true), busy = new_guard(true);

    for (neo_nsec i = 0; i < 1000; i++) {
        assert_true(h2_guard_ping(&idle, 0, i * 10 * SEC));
        assert_true(h2_guard_ping(&busy, 1, i * SEC));
    }
}

TEST(sending_wipes_the_slate_of_pings)
{
    struct h2_guard g = new_guard(true);

    for (neo_nsec i = 0; i < 500; i++) {
        assert_true(h2_guard_ping(&g, 0, i * 10 * MSEC));
        h2_guard_sent_headers(&g);
    }
}

TEST(each_data_frame_we_send_earns_a_ping_and_ten_window_updates)
{
    struct h2_guard g = new_guard(true);
    const uint8_t update[13] = {0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1};

    for (int i = 0; i < 5000; i++) {
        h2_guard_sent_data(&g);
        assert_true(h2_guard_ping(&g, 0, 0));
        for (int u = 0; u < 10; u++)
            assert_true(h2_guard_scan(&g, neo_bytes(update, sizeof(update)), 0));
    }
    assert_int_equal(g.counters.glitches, 0);
}

TEST(what_was_under_way_when_we_chose_to_reset_is_forgiven)
{
    struct h2_guard g = new_guard(true);
    const uint8_t data[10] = {0, 0, 1, 0, 0, 0, 0, 0, 1, 'x'};

    h2_guard_chose_reset(&g);
    for (int i = 0; i < 4096; i++) {
        assert_true(h2_guard_scan(&g, neo_bytes(data, sizeof(data)), 0));
        assert_true(h2_guard_settle(&g, 0));
    }
    assert_int_equal(g.counters.glitches, 0);
    assert_true(h2_guard_scan(&g, neo_bytes(data, sizeof(data)), 0));
    assert_true(h2_guard_settle(&g, 0));
    assert_int_equal(g.counters.glitches, 1);
}

/* PRIORITY, SETTINGS twice, an unknown frame with 300 bytes, an empty CONTINUATION. */
static size_t mixture(uint8_t *at)
{
    static const uint8_t heads[] = {
        0, 0, 5,  2,    0, 0, 0, 0, 1, 0, 0, 0, 0, 0, /* PRIORITY: 1 */
        0, 0, 0,  4,    0, 0, 0, 0, 0,                /* the first SETTINGS: 0 */
        0, 0, 0,  4,    0, 0, 0, 0, 0,                /* 10 */
        0, 0, 0,  4,    1, 0, 0, 0, 0,                /* its ACK: 0 */
        0, 0, 0,  9,    0, 0, 0, 0, 1,                /* CONTINUATION: 1 */
        0, 1, 44, 0x42, 0, 0, 0, 0, 1,                /* 1 */
    };

    memcpy(at, heads, sizeof(heads));
    memset(at + sizeof(heads), 2, 300);
    return sizeof(heads) + 300;
}

TEST(counts_the_same_however_the_bytes_are_cut)
{
    uint8_t bytes[512];
    size_t len = mixture(bytes);

    for (size_t cut = 1; cut <= len; cut++) {
        struct h2_guard g = new_guard(true);
        for (size_t at = 0; at < len; at += cut) {
            size_t n = len - at < cut ? len - at : cut;
            assert_true(h2_guard_scan(&g, neo_bytes(bytes + at, n), 0));
        }
        assert_int_equal(g.counters.glitches, 13);
        assert_int_equal(g.counters.unknown_frames, 1);
        assert_int_equal(g.scan.left, 0);
    }
}

TEST(skips_the_preface_of_a_client)
{
    struct h2_guard g;
    const char *text = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    h2_guard_init(&g, true, &limits, 0);
    for (size_t i = 0; text[i] != '\0'; i++)
        assert_true(h2_guard_scan(&g, neo_bytes(text + i, 1), 0));
    uint8_t bytes[512];
    assert_true(h2_guard_scan(&g, neo_bytes(bytes, mixture(bytes)), 0));
    assert_int_equal(g.counters.glitches, 13);
}

TEST(the_ninth_continuation_of_one_block_is_too_many)
{
    struct h2_guard g = new_guard(true);
    const uint8_t headers[] = {0, 0, 0, 1, 0, 0, 0, 0, 1};
    const uint8_t more[] = {0, 0, 1, 9, 0, 0, 0, 0, 1, 0};

    for (int block = 0; block < 100; block++) {
        assert_true(h2_guard_scan(&g, neo_bytes(headers, sizeof(headers)), 0));
        for (int i = 0; i < 8; i++)
            assert_true(h2_guard_scan(&g, neo_bytes(more, sizeof(more)), 0));
    }
    assert_false(h2_guard_scan(&g, neo_bytes(more, sizeof(more)), 0));
    assert_int_equal(g.attack, H2_ATTACK_CONTINUATION);
}

/* However it drips: what waits for its end waits since its beginning. */
TEST(a_header_block_is_as_old_as_its_beginning_until_it_ends)
{
    const uint8_t headers[] = {0, 0, 2, 1, 0, 0, 0, 0, 1, 0x83, 0x87};
    const uint8_t more[] = {0, 0, 1, 9, 0, 0, 0, 0, 1, 0x84};
    const uint8_t last[] = {0, 0, 1, 9, 4, 0, 0, 0, 1, 0x85};
    const struct neo_bytes frames[] = {{headers, sizeof(headers)},
                                       {more, sizeof(more)},
                                       {more, sizeof(more)},
                                       {last, sizeof(last)}};
    struct h2_guard g = new_guard(true);
    neo_nsec now = 100 * SEC;

    assert_true(h2_guard_block_since(&g) == 0);
    for (size_t f = 0; f < NEO_COUNT(frames); f++) {
        for (size_t i = 0; i < frames[f].len; i++, now += SEC) {
            bool begun = f > 0 || i >= 9;
            assert_true(h2_guard_block_since(&g) == (begun ? 108 * SEC : 0));
            assert_true(h2_guard_scan(&g, neo_bytes(frames[f].at + i, 1), now));
        }
    }
    assert_true(h2_guard_block_since(&g) == 0);
}

TEST(a_block_in_one_frame_that_drips_has_an_age_too)
{
    const uint8_t headers[] = {0, 0, 2, 1, 5, 0, 0, 0, 1, 0x83, 0x87};
    struct h2_guard g = new_guard(true);

    assert_true(h2_guard_scan(&g, neo_bytes(headers, 10), 7 * SEC));
    assert_true(h2_guard_block_since(&g) == 7 * SEC);
    assert_true(h2_guard_scan(&g, neo_bytes(headers + 10, 1), 9 * SEC));
    assert_true(h2_guard_block_since(&g) == 0);
}

TEST(empty_continuations_are_glitches_even_in_blocks_of_eight)
{
    struct h2_guard g = new_guard(true);
    const uint8_t headers[] = {0, 0, 0, 1, 0, 0, 0, 0, 1};
    const uint8_t more[] = {0, 0, 0, 9, 0, 0, 0, 0, 1};
    int blocks = 0;
    bool welcome = true;

    for (; welcome; blocks++) {
        assert_true(h2_guard_scan(&g, neo_bytes(headers, sizeof(headers)), 0));
        for (int i = 0; i < 8 && welcome; i++)
            welcome = h2_guard_scan(&g, neo_bytes(more, sizeof(more)), 0);
    }
    assert_int_equal(blocks, 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_drop_that_fills_the_bucket_stops),
        cmocka_unit_test(a_bucket_leaks_with_time_and_never_below_empty),
        cmocka_unit_test(a_clock_that_steps_back_only_makes_it_stricter),
        cmocka_unit_test(unguarded_counts_and_never_stops),
        cmocka_unit_test(frequent_cancels_among_many_finished_calls_are_no_attack),
        cmocka_unit_test(late_cancels_are_no_attack),
        cmocka_unit_test(premature_resets_stop_at_the_burst),
        cmocka_unit_test(good_behaviour_buys_an_attacker_little),
        cmocka_unit_test(resets_of_streams_that_are_not_open_are_glitches),
        cmocka_unit_test(pings_that_come_too_soon_strike_out),
        cmocka_unit_test(patient_pings_are_welcome_for_ever),
        cmocka_unit_test(sending_wipes_the_slate_of_pings),
        cmocka_unit_test(each_data_frame_we_send_earns_a_ping_and_ten_window_updates),
        cmocka_unit_test(what_was_under_way_when_we_chose_to_reset_is_forgiven),
        cmocka_unit_test(counts_the_same_however_the_bytes_are_cut),
        cmocka_unit_test(skips_the_preface_of_a_client),
        cmocka_unit_test(the_ninth_continuation_of_one_block_is_too_many),
        cmocka_unit_test(a_header_block_is_as_old_as_its_beginning_until_it_ends),
        cmocka_unit_test(a_block_in_one_frame_that_drips_has_an_age_too),
        cmocka_unit_test(empty_continuations_are_glitches_even_in_blocks_of_eight),
    };
    return cmocka_run_group_tests_name("h2/guard", tests, NULL, NULL);
}
