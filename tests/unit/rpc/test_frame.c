/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "rpc/frame.h"

#include <neo/memory.h>

enum { LIMIT = 1000 };

static struct frame_reader new_reader(void)
{
    return (struct frame_reader){.max = LIMIT};
}

static enum frame_result read_text(struct frame_reader *r, struct neo_bytes text,
                                   struct neo_error *err)
{
    struct neo_bytes message;

    return frame_read(r, &text, &message, err);
}

static void assert_bad(struct neo_bytes text, enum neo_code code)
{
    struct frame_reader r = new_reader();
    struct neo_error err = {0};

    assert_int_equal(read_text(&r, text, &err), FRAME_BAD);
    assert_int_equal(err.code, code);
    frame_reader_fini(&r);
}

TEST(refuses_what_is_no_plain_message)
{
    assert_bad(NEO_LIT("\1\0\0\0\1a"), NEO_INTERNAL); /* compressed, and nobody has said how */
    for (int flags = 2; flags < 256; flags++) {
        uint8_t prefix[5] = {(uint8_t)flags};
        assert_bad(neo_bytes(prefix, 5), NEO_INTERNAL);
    }
}

TEST(refuses_what_is_compressed_in_another_way)
{
    struct frame_reader r = new_reader();
    struct neo_error err = {0};

    r.encoding = FRAME_UNKNOWN;
    assert_int_equal(read_text(&r, NEO_LIT("\1\0\0\0\1a"), &err), FRAME_BAD);
    assert_int_equal(err.code, NEO_UNIMPLEMENTED);
    assert_int_equal(read_text(&r, NEO_LIT("\0\0\0\0\1a"), &err), FRAME_MESSAGE);
    frame_reader_fini(&r);
}

TEST(refuses_what_inflates_beyond_the_limit)
{
    static const uint8_t zeros[LIMIT + 1];
    struct neo_error err = {0};

    for (size_t len = LIMIT; len <= LIMIT + 1; len++) {
        struct frame_reader r = new_reader();
        struct neo_buffer wire = {0};
        assert_true(neo_buffer_append(&wire, NEO_LIT("12345")) &&
                    neo_buffer_append(&wire, neo_bytes(zeros, len)));
        assert_int_equal(frame_compress(&wire, 0, NULL), NEO_OK);
        r.encoding = FRAME_GZIP;
        assert_int_equal(read_text(&r, neo_buffer_bytes(&wire), &err),
                         len == LIMIT ? FRAME_MESSAGE : FRAME_BAD);
        if (len > LIMIT)
            assert_int_equal(err.code, NEO_RESOURCE_EXHAUSTED);
        frame_reader_fini(&r);
        neo_buffer_fini(&wire);
    }
}

TEST(hands_out_as_it_came_what_is_to_stay_packed)
{
    static const uint8_t zeros[LIMIT];
    struct frame_reader r = {.max = LIMIT, .encoding = FRAME_GZIP, .packed = true};
    struct neo_buffer wire = {0}, plain = {0};
    struct neo_bytes left, message;

    assert_true(neo_buffer_append(&wire, NEO_LIT("12345")) &&
                neo_buffer_append(&wire, neo_bytes(zeros, LIMIT)));
    assert_int_equal(frame_compress(&wire, 0, NULL), NEO_OK);
    left = neo_buffer_bytes(&wire);
    assert_int_equal(frame_read(&r, &left, &message, NULL), FRAME_MESSAGE);
    assert_true(r.compressed);
    assert_int_equal(message.len, wire.len - 5);
    assert_int_equal(r.inflated.cap, 0);
    assert_int_equal(frame_inflate(message, LIMIT - 1, &plain, NULL), NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(frame_inflate(message, LIMIT, &plain, NULL), NEO_OK);
    assert_int_equal(plain.len, LIMIT);
    left = NEO_LIT("\0\0\0\0\1a");
    assert_int_equal(frame_read(&r, &left, &message, NULL), FRAME_MESSAGE);
    assert_false(r.compressed);
    frame_reader_fini(&r);
    neo_buffer_fini(&wire);
    neo_buffer_fini(&plain);
}

/* Compressed, plain, compressed: cut anywhere they are the same. */
TEST(inflates_each_message_by_its_own_flag_however_it_is_cut)
{
    static const char *const texts[] = {"one one one", "two", "three three three three"};
    struct neo_buffer wire = {0};

    for (size_t i = 0; i < NEO_COUNT(texts); i++) {
        size_t at = wire.len, len = strlen(texts[i]);
        uint8_t prefix[FRAME_PREFIX_LEN];
        frame_prefix(prefix, len);
        assert_true(neo_buffer_append(&wire, neo_bytes(prefix, sizeof(prefix))) &&
                    neo_buffer_append_text(&wire, texts[i]));
        if (i != 1)
            assert_int_equal(frame_compress(&wire, at, NULL), NEO_OK);
    }
    for (size_t step = 1; step <= wire.len; step++) {
        struct frame_reader r = {.max = LIMIT, .encoding = FRAME_GZIP};
        struct neo_bytes message;
        size_t n = 0;
        for (size_t at = 0; at < wire.len; at += step) {
            struct neo_bytes piece = {wire.at + at, step < wire.len - at ? step : wire.len - at};
            while (frame_read(&r, &piece, &message, NULL) == FRAME_MESSAGE) {
                assert_true(neo_bytes_is(message, texts[n]));
                assert_int_equal(r.compressed, n != 1);
                n++;
            }
        }
        assert_int_equal(n, NEO_COUNT(texts));
        frame_reader_fini(&r);
    }
    neo_buffer_fini(&wire);
}

TEST(refuses_a_message_over_the_limit_before_it_comes)
{
    uint8_t prefix[5];

    assert_bad(NEO_LIT("\0\xff\xff\xff\xff"), NEO_RESOURCE_EXHAUSTED);
    frame_prefix(prefix, LIMIT + 1);
    assert_bad(neo_bytes(prefix, 5), NEO_RESOURCE_EXHAUSTED);

    struct frame_reader r = new_reader();
    frame_prefix(prefix, LIMIT);
    assert_int_equal(read_text(&r, neo_bytes(prefix, 5), NULL), FRAME_MORE);
    frame_reader_fini(&r);
}

/* The prefix arrives split, and lies. */
TEST(refuses_a_bad_prefix_however_it_is_cut)
{
    for (size_t cut = 1; cut < 5; cut++) {
        static const uint8_t bad[] = {0, 0xff, 0xff, 0xff, 0xff};
        struct frame_reader r = new_reader();
        struct neo_error err;

        assert_int_equal(read_text(&r, neo_bytes(bad, cut), &err), FRAME_MORE);
        assert_int_equal(read_text(&r, neo_bytes(bad + cut, 5 - cut), &err), FRAME_BAD);
        assert_int_equal(err.code, NEO_RESOURCE_EXHAUSTED);
        frame_reader_fini(&r);
    }
}

TEST(takes_no_memory_for_what_has_not_come)
{
    struct frame_reader r = {.max = UINT32_MAX};

    assert_int_equal(read_text(&r,
                               NEO_LIT("\0\x7f\xff\xff\xff"
                                       "abc"),
                               NULL),
                     FRAME_MORE);
    assert_true(r.partial.cap < 1024);
    frame_reader_fini(&r);
}

TEST(hands_out_a_whole_message_where_it_lies)
{
    struct frame_reader r = new_reader();
    struct neo_bytes chunk = NEO_LIT("\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1d");
    const uint8_t *start = chunk.at;
    struct neo_bytes message;

    assert_int_equal(frame_read(&r, &chunk, &message, NULL), FRAME_MESSAGE);
    assert_true(neo_bytes_is(message, "abc"));
    assert_ptr_equal(message.at, start + 5);
    assert_int_equal(frame_read(&r, &chunk, &message, NULL), FRAME_MESSAGE);
    assert_int_equal(message.len, 0);
    assert_int_equal(frame_read(&r, &chunk, &message, NULL), FRAME_MESSAGE);
    assert_true(neo_bytes_is(message, "d"));
    assert_int_equal(frame_read(&r, &chunk, &message, NULL), FRAME_MORE);
    assert_false(frame_is_partial(&r));
    assert_int_equal(r.partial.cap, 0);
    frame_reader_fini(&r);
}

/* Random messages, cut at random places: what comes out is what went in. */
TEST(reads_the_same_however_it_is_cut)
{
    uint64_t seed = 7;

    for (int round = 0; round < 300; round++) {
        struct neo_buffer wire = {0};
        struct frame_reader r = new_reader();
        size_t lens[20];
        size_t n = 0;
        size_t read = 0;

        for (; n < NEO_COUNT(lens); n++) {
            uint8_t prefix[5];
            lens[n] = unit_random(&seed, LIMIT + 1);
            frame_prefix(prefix, lens[n]);
            neo_buffer_append(&wire, neo_bytes(prefix, 5));
            for (size_t i = 0; i < lens[n]; i++)
                neo_buffer_append_byte(&wire, (uint8_t)(n + i));
        }
        for (size_t at = 0; at < wire.len;) {
            size_t most = round % 3 == 0 ? 1 : unit_random(&seed, 700) + 1;
            size_t len = most < wire.len - at ? most : wire.len - at;
            struct neo_bytes chunk = {wire.at + at, len};
            struct neo_bytes message;
            while (frame_read(&r, &chunk, &message, NULL) == FRAME_MESSAGE) {
                assert_int_equal(message.len, lens[read]);
                for (size_t i = 0; i < message.len; i++)
                    assert_int_equal(message.at[i], (uint8_t)(read + i));
                read++;
            }
            assert_int_equal(chunk.len, 0);
            at += len;
        }
        assert_int_equal(read, n);
        assert_false(frame_is_partial(&r));
        frame_reader_fini(&r);
        neo_buffer_fini(&wire);
    }
}

TEST(knows_when_a_message_is_cut_short)
{
    struct frame_reader r = new_reader();

    assert_false(frame_is_partial(&r));
    assert_int_equal(read_text(&r, NEO_LIT("\0"), NULL), FRAME_MORE);
    assert_true(frame_is_partial(&r));
    assert_int_equal(read_text(&r, NEO_LIT("\0\0\0\2a"), NULL), FRAME_MORE);
    assert_true(frame_is_partial(&r));
    assert_int_equal(read_text(&r, NEO_LIT("b"), NULL), FRAME_MESSAGE);
    assert_false(frame_is_partial(&r));
    frame_reader_fini(&r);
}

TEST(says_so_when_memory_is_out)
{
    struct frame_reader r = new_reader();
    struct neo_error err;

    neo_memory_fail_at(1);
    assert_int_equal(read_text(&r, NEO_LIT("\0\0\0\0\2a"), &err), FRAME_BAD);
    neo_memory_fail_at(0);
    assert_int_equal(err.code, NEO_RESOURCE_EXHAUSTED);
    frame_reader_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_plain_message),
        cmocka_unit_test(refuses_what_is_compressed_in_another_way),
        cmocka_unit_test(refuses_what_inflates_beyond_the_limit),
        cmocka_unit_test(hands_out_as_it_came_what_is_to_stay_packed),
        cmocka_unit_test(inflates_each_message_by_its_own_flag_however_it_is_cut),
        cmocka_unit_test(refuses_a_message_over_the_limit_before_it_comes),
        cmocka_unit_test(refuses_a_bad_prefix_however_it_is_cut),
        cmocka_unit_test(takes_no_memory_for_what_has_not_come),
        cmocka_unit_test(hands_out_a_whole_message_where_it_lies),
        cmocka_unit_test(reads_the_same_however_it_is_cut),
        cmocka_unit_test(knows_when_a_message_is_cut_short),
        cmocka_unit_test(says_so_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
