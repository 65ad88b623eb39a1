/* SPDX-License-Identifier: Apache-2.0 */
/* What must not be inflated, and that what is deflated comes back. */
#include "../unit.h"

#include "codec/gzip.h"

#include <neo/memory.h>

#include <string.h>
#include <time.h>
#include <zlib.h>

enum { MAX = 4 << 20 };

static struct neo_buffer deflated(struct neo_bytes plain)
{
    struct neo_buffer wire = {0};

    assert_int_equal(gzip_deflate(plain, &wire, NULL), NEO_OK);
    return wire;
}

static enum neo_code inflate_to(struct neo_bytes wire, size_t max, struct neo_buffer *out)
{
    return gzip_inflate(wire, max, out, NULL);
}

/* --- refusals --------------------------------------------------------------------------------- */

/* So many zeros, as the outside world makes them. */
static struct neo_buffer bomb(uint64_t size)
{
    static uint8_t zeros[1 << 16];
    struct neo_buffer wire = {0};
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    while (size > 0) {
        z.next_in = zeros;
        z.avail_in = (unsigned)(size < sizeof(zeros) ? size : sizeof(zeros));
        size -= z.avail_in;
        do {
            z.next_out = neo_buffer_reserve(&wire, 1 << 16);
            z.avail_out = 1 << 16;
            assert_int_not_equal(deflate(&z, size == 0 ? Z_FINISH : Z_NO_FLUSH), Z_STREAM_ERROR);
            wire.len += (1 << 16) - z.avail_out;
        } while (z.avail_out == 0);
    }
    assert_int_equal(deflateEnd(&z), Z_OK);
    return wire;
}

TEST(a_bomb_stops_at_the_limit)
{
    struct neo_buffer wire = bomb(UINT64_C(1) << 30), out = {0};
    struct neo_error err;

    assert_true(wire.len < 2u << 20);
    clock_t before = clock();
    assert_int_equal(gzip_inflate(neo_buffer_bytes(&wire), MAX, &out, &err),
                     NEO_RESOURCE_EXHAUSTED);
    double ms = (double)(clock() - before) * 1000 / CLOCKS_PER_SEC;
    print_message("[   COST   ] 2^30 bytes: %.1f ms of CPU, and %zu bytes kept\n", ms, out.cap);
    assert_non_null(strstr(err.message, "limit"));
    assert_int_equal(out.cap, 0);
    assert_true(ms < 500); /* inflating all of it would take seconds */
    neo_buffer_fini(&wire);
    neo_buffer_fini(&out);
}

/* It tells 100,000 of its 2^30 bytes. */
TEST(a_bomb_that_lies_ends_where_it_said_it_would)
{
    struct neo_buffer wire = bomb(UINT64_C(1) << 30), out = {0};

    memcpy(wire.at + wire.len - 4, "\xa0\x86\x01\x00", 4);
    assert_int_equal(inflate_to(neo_buffer_bytes(&wire), MAX, &out), NEO_INTERNAL);
    assert_in_range(out.cap, 1, 1 << 17);
    neo_buffer_fini(&wire);
    neo_buffer_fini(&out);
}

TEST(the_limit_is_exact)
{
    static uint8_t plain[5000];
    struct neo_buffer wire = deflated(neo_bytes(plain, sizeof(plain))), out = {0};

    assert_int_equal(inflate_to(neo_buffer_bytes(&wire), sizeof(plain) - 1, &out),
                     NEO_RESOURCE_EXHAUSTED);
    neo_buffer_clear(&out);
    assert_int_equal(inflate_to(neo_buffer_bytes(&wire), sizeof(plain), &out), NEO_OK);
    assert_int_equal(out.len, sizeof(plain));
    neo_buffer_clear(&out);
    assert_int_equal(inflate_to(neo_buffer_bytes(&wire), 0, &out), NEO_RESOURCE_EXHAUSTED);
    neo_buffer_fini(&wire);
    neo_buffer_fini(&out);
}

TEST(whatever_is_cut_short_is_refused)
{
    struct neo_buffer wire = deflated(NEO_LIT("not a word of this may be lost")), out = {0};

    for (size_t n = 0; n < wire.len; n++) {
        neo_buffer_clear(&out);
        assert_int_equal(inflate_to(neo_bytes(wire.at, n), MAX, &out), NEO_INTERNAL);
    }
    neo_buffer_fini(&wire);
    neo_buffer_fini(&out);
}

TEST(whatever_goes_on_is_refused)
{
    struct neo_buffer wire = deflated(NEO_LIT("one")), second = deflated(NEO_LIT("two")), out = {0};

    assert_true(neo_buffer_append(&wire, neo_buffer_bytes(&second)));
    assert_int_equal(inflate_to(neo_buffer_bytes(&wire), MAX, &out), NEO_INTERNAL);
    neo_buffer_fini(&wire);
    neo_buffer_fini(&second);
    neo_buffer_fini(&out);
}

TEST(a_changed_bit_never_passes_as_the_same_message)
{
    static const char text[] = "every bit of the body and of its check counts";
    struct neo_buffer wire = deflated(NEO_LIT(text)), out = {0};

    for (size_t bit = 0; bit < wire.len * 8; bit++) {
        wire.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        neo_buffer_clear(&out);
        if (inflate_to(neo_buffer_bytes(&wire), MAX, &out) == NEO_OK)
            assert_true(
                neo_bytes_is(neo_buffer_bytes(&out), text)); /* a bit of the header's time */
        wire.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    neo_buffer_fini(&wire);
    neo_buffer_fini(&out);
}

TEST(other_wrappings_of_deflate_are_refused)
{
    static const uint8_t zlib[] = {0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01};
    static const uint8_t raw[] = {0x03, 0x00};
    struct neo_buffer out = {0};

    assert_int_equal(inflate_to(neo_bytes(zlib, sizeof(zlib)), MAX, &out), NEO_INTERNAL);
    assert_int_equal(inflate_to(neo_bytes(raw, sizeof(raw)), MAX, &out), NEO_INTERNAL);
    neo_buffer_fini(&out);
}

TEST(without_memory_it_fails_and_loses_nothing)
{
    struct neo_buffer wire = deflated(NEO_LIT("a message")), out = {0};
    enum neo_code in = NEO_UNKNOWN, back = NEO_UNKNOWN;

    for (unsigned long n = 1; n < 10 && (in != NEO_OK || back != NEO_OK); n++) {
        neo_memory_fail_at(n);
        in = inflate_to(neo_buffer_bytes(&wire), MAX, &out);
        neo_memory_fail_at(0);
        neo_buffer_fini(&out);
        neo_memory_fail_at(n);
        back = gzip_deflate(NEO_LIT("a message"), &out, NULL);
        neo_memory_fail_at(0);
        neo_buffer_fini(&out);
        assert_true(in == NEO_OK || in == NEO_RESOURCE_EXHAUSTED);
        assert_true(back == NEO_OK || back == NEO_RESOURCE_EXHAUSTED);
        if (n == 1)
            assert_true(in != NEO_OK && back != NEO_OK);
    }
    assert_int_equal(in, NEO_OK);
    assert_int_equal(back, NEO_OK);
    neo_buffer_fini(&wire);
}

/* --- promises --------------------------------------------------------------------------------- */

TEST(what_is_deflated_comes_back)
{
    enum { LARGEST = 300000 };
    uint8_t *plain = neo_alloc(LARGEST);
    uint64_t seed = 7;

    for (size_t i = 0; i < LARGEST; i++)
        plain[i] = (uint8_t)(unit_random(&seed, 256) & (i % 7 == 0 ? 0xff : 0x0f));
    for (size_t len = 0; len <= LARGEST; len = len * 3 + 1) {
        struct neo_buffer wire = deflated(neo_bytes(plain, len)), out = {0};
        assert_int_equal(inflate_to(neo_buffer_bytes(&wire), len, &out), NEO_OK);
        assert_true(neo_bytes_equal(neo_buffer_bytes(&out), neo_bytes(plain, len)));
        neo_buffer_fini(&wire);
        neo_buffer_fini(&out);
    }
    neo_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bomb_stops_at_the_limit),
        cmocka_unit_test(a_bomb_that_lies_ends_where_it_said_it_would),
        cmocka_unit_test(the_limit_is_exact),
        cmocka_unit_test(whatever_is_cut_short_is_refused),
        cmocka_unit_test(whatever_goes_on_is_refused),
        cmocka_unit_test(a_changed_bit_never_passes_as_the_same_message),
        cmocka_unit_test(other_wrappings_of_deflate_are_refused),
        cmocka_unit_test(without_memory_it_fails_and_loses_nothing),
        cmocka_unit_test(what_is_deflated_comes_back),
    };
    return cmocka_run_group_tests_name("codec/gzip", tests, NULL, NULL);
}
