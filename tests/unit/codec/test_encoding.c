/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/encoding.h>
#include <neo/memory.h>

typedef enum neo_code decode_fn(struct neo_bytes, struct neo_buffer *, struct neo_error *);

static void assert_refused(decode_fn *decode, struct neo_bytes text)
{
    struct neo_buffer out = {0};
    struct neo_error err = {0};

    neo_buffer_append_text(&out, "kept");
    assert_int_equal(decode(text, &out, &err), NEO_INVALID_ARGUMENT);
    assert_true(neo_bytes_is(neo_buffer_bytes(&out), "kept"));
    assert_false(out.failed);
    assert_true(err.message[0] != '\0');
    neo_buffer_fini(&out);
}

static void assert_decodes(decode_fn *decode, const char *text, const char *expected)
{
    struct neo_buffer out = {0};

    assert_int_equal(decode(neo_text(text), &out, NULL), NEO_OK);
    assert_true(neo_bytes_is(neo_buffer_bytes(&out), expected));
    neo_buffer_fini(&out);
}

static void assert_base64(const char *data, enum neo_base64_form form, const char *expected)
{
    struct neo_buffer out = {0};

    assert_true(neo_base64_encode(&out, neo_text(data), form));
    assert_true(neo_bytes_is(neo_buffer_bytes(&out), expected));
    neo_buffer_fini(&out);
}

TEST(hex_refuses_what_is_not_hex)
{
    assert_refused(neo_hex_decode, NEO_LIT("0"));
    assert_refused(neo_hex_decode, NEO_LIT("abc"));
    assert_refused(neo_hex_decode, NEO_LIT("0x"));
    assert_refused(neo_hex_decode, NEO_LIT("g0"));
    assert_refused(neo_hex_decode, NEO_LIT("0G"));
    assert_refused(neo_hex_decode, NEO_LIT("00 0"));
    assert_refused(neo_hex_decode, NEO_LIT("0\0"));
    assert_refused(neo_hex_decode, NEO_LIT("00\xff\xff"));
}

/* Every pair of bytes: hex exactly when both are hex digits. */
TEST(hex_knows_every_byte)
{
    for (unsigned i = 0; i < 65536; i++) {
        uint8_t pair[] = {(uint8_t)(i >> 8), (uint8_t)i};
        const char *digits = "0123456789abcdefABCDEF";
        bool valid = pair[0] != 0 && pair[1] != 0 && strchr(digits, pair[0]) != NULL &&
                     strchr(digits, pair[1]) != NULL;
        struct neo_buffer out = {0};
        assert_int_equal(neo_hex_decode(neo_bytes(pair, 2), &out, NULL) == NEO_OK, valid);
        assert_int_equal(out.len, valid);
        neo_buffer_fini(&out);
    }
}

TEST(hex_round_trips)
{
    struct neo_buffer text = {0};
    struct neo_buffer data = {0};
    uint8_t all[256];

    for (unsigned i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    assert_true(neo_hex_encode(&text, neo_bytes(all, sizeof(all))));
    assert_int_equal(text.len, 512);
    assert_memory_equal(text.at, "000102", 6);
    assert_memory_equal(text.at + 506, "fdfeff", 6);
    assert_int_equal(neo_hex_decode(neo_buffer_bytes(&text), &data, NULL), NEO_OK);
    assert_memory_equal(data.at, all, sizeof(all));
    assert_decodes(neo_hex_decode, "4e654F", "NeO");
    assert_decodes(neo_hex_decode, "", "");
    neo_buffer_fini(&text);
    neo_buffer_fini(&data);
}

TEST(base64_refuses_what_is_not_base64)
{
    static const char *const bad[] = {
        "A",     "AAAAA",    "A===",   "AA=",    "AAA==", "AA=A",     "=AAA",    "====",
        "=",     "==",       "AA\n==", "AA==\n", " AAA",  "AA==AA==", "AAA=AAA", "AA==A",
        "AAAA=", "AAAA====", "A.AA",   "A,AA",   "+-AA",  "_/AA",     "AA+_",    "\x80QQQ",
    };

    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        assert_refused(neo_base64_decode, neo_text(bad[i]));
    assert_refused(neo_base64_decode, NEO_LIT("AA\0A"));
}

TEST(base64_refuses_bits_that_stand_for_nothing)
{
    assert_refused(neo_base64_decode, NEO_LIT("QR=="));
    assert_refused(neo_base64_decode, NEO_LIT("QR"));
    assert_refused(neo_base64_decode, NEO_LIT("QUJ="));
    assert_refused(neo_base64_decode, NEO_LIT("QUJ"));
}

/* RFC 4648, section 10. */
TEST(base64_agrees_with_its_standard)
{
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    for (size_t i = 0; i < NEO_COUNT(vectors); i++) {
        assert_base64(vectors[i][0], NEO_BASE64_PADDED, vectors[i][1]);
        assert_decodes(neo_base64_decode, vectors[i][1], vectors[i][0]);
    }
    assert_base64("f", NEO_BASE64_UNPADDED, "Zg");
    assert_base64("fo", NEO_BASE64_URL, "Zm8");
    assert_base64("\xfb\xff", NEO_BASE64_PADDED, "+/8=");
    assert_base64("\xfb\xff", NEO_BASE64_URL, "-_8");
    assert_decodes(neo_base64_decode, "-_8=", "\xfb\xff");
    assert_decodes(neo_base64_decode, "+/8", "\xfb\xff");
}

TEST(base64_round_trips_every_length_in_every_form)
{
    uint8_t data[100];
    uint64_t seed = 3;

    for (size_t len = 0; len <= sizeof(data); len++) {
        for (int form = NEO_BASE64_PADDED; form <= NEO_BASE64_URL; form++) {
            struct neo_buffer text = {0};
            struct neo_buffer back = {0};
            for (size_t i = 0; i < len; i++)
                data[i] = (uint8_t)unit_random(&seed, 256);
            assert_true(neo_base64_encode(&text, neo_bytes(data, len), (enum neo_base64_form)form));
            assert_int_equal(neo_base64_decode(neo_buffer_bytes(&text), &back, NULL), NEO_OK);
            assert_true(neo_bytes_equal(neo_buffer_bytes(&back), neo_bytes(data, len)));
            neo_buffer_fini(&text);
            neo_buffer_fini(&back);
        }
    }
}

/* What decodes is what we would have written: one spelling per value. */
TEST(whatever_base64_accepts_it_would_have_written_itself)
{
    static const char digits[] = "AQgw+/-_=9";
    uint64_t seed = 11;

    for (int round = 0; round < 200000; round++) {
        uint8_t text[8];
        size_t len = (size_t)unit_random(&seed, sizeof(text) + 1);
        bool same = false;
        struct neo_buffer data = {0};
        for (size_t i = 0; i < len; i++)
            text[i] = (uint8_t)digits[unit_random(&seed, sizeof(digits) - 1)];
        if (neo_base64_decode(neo_bytes(text, len), &data, NULL) != NEO_OK) {
            neo_buffer_fini(&data);
            continue;
        }
        for (int form = NEO_BASE64_PADDED; form <= NEO_BASE64_URL; form++) {
            struct neo_buffer back = {0};
            assert_true(
                neo_base64_encode(&back, neo_buffer_bytes(&data), (enum neo_base64_form)form));
            /* The header names no URL-safe form with padding, but decoding takes it. */
            if (form == NEO_BASE64_URL)
                while (back.len % 4 != 0 && back.len < len)
                    neo_buffer_append_byte(&back, '=');
            same = same || neo_bytes_equal(neo_buffer_bytes(&back), neo_bytes(text, len));
            neo_buffer_fini(&back);
        }
        assert_true(same);
        neo_buffer_fini(&data);
    }
}

/* Decodes to a code point, or -1: the definition, without its shortcuts. */
static int64_t code_point(const uint8_t *at, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value;

    if (len == 1)
        return at[0] < 0x80 ? at[0] : -1;
    if ((unsigned)at[0] >> (7 - len) != (0xffu >> (7 - len) & ~1u))
        return -1;
    value = at[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (at[i] >> 6 != 2)
            return -1;
        value = value << 6 | (at[i] & 0x3fu);
    }
    if (value < least[len] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return -1;
    return value;
}

/* All sequences of one to three bytes, and all four-byte ones in steps. */
TEST(utf8_agrees_with_its_definition)
{
    uint64_t seed = 5;

    for (size_t len = 1; len <= 4; len++) {
        uint64_t all = UINT64_C(1) << (8 * len);
        for (uint64_t i = 0; i < all; i += len < 4 ? 1 : 1 + unit_random(&seed, 2000)) {
            uint8_t at[4];
            for (size_t k = 0; k < len; k++)
                at[k] = (uint8_t)(i >> (8 * (len - 1 - k)));
            if (code_point(at, len) >= 0) {
                assert_true(neo_is_utf8(neo_bytes(at, len)));
            } else if (at[0] >= 0x80 && (at[len - 1] & 0x80) != 0 && (len < 4 || at[0] >= 0xf0)) {
                /* Not one sequence; it may still be several shorter ones. */
                bool several = false;
                for (size_t cut = 1; cut < len; cut++)
                    several = several || (neo_is_utf8(neo_bytes(at, cut)) &&
                                          neo_is_utf8(neo_bytes(at + cut, len - cut)));
                assert_int_equal(neo_is_utf8(neo_bytes(at, len)), several);
            }
        }
    }
}

TEST(utf8_refuses_overlong_surrogate_cut_and_foreign_bytes)
{
    static const char *const bad[] = {
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\x80",
        "\xbf",
        "\xff",
        "\xfe",
        "\xc2",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc2\x41",
        "aaaaaaaaaaaaaaa\xc2",
        "aaaaaaa\x80",
        "\xe2\x28\xa1",
    };

    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        assert_false(neo_is_utf8(neo_text(bad[i])));
    assert_true(neo_is_utf8(NEO_LIT("")));
    assert_true(neo_is_utf8((struct neo_bytes){NULL, 0}));
    assert_true(neo_is_utf8(NEO_LIT("plain \0 text, na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80")));
}

TEST(no_memory_is_reported_and_changes_nothing)
{
    struct neo_buffer out = {0};

    neo_memory_fail_at(1);
    assert_false(neo_hex_encode(&out, NEO_LIT("abc")));
    out.failed = false;
    assert_false(neo_base64_encode(&out, NEO_LIT("abc"), NEO_BASE64_PADDED));
    out.failed = false;
    assert_int_equal(neo_hex_decode(NEO_LIT("00"), &out, NULL), NEO_RESOURCE_EXHAUSTED);
    out.failed = false;
    assert_int_equal(neo_base64_decode(NEO_LIT("AAAA"), &out, NULL), NEO_RESOURCE_EXHAUSTED);
    neo_memory_fail_at(0);
    assert_int_equal(out.len, 0);
    neo_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_refuses_what_is_not_hex),
        cmocka_unit_test(hex_knows_every_byte),
        cmocka_unit_test(hex_round_trips),
        cmocka_unit_test(base64_refuses_what_is_not_base64),
        cmocka_unit_test(base64_refuses_bits_that_stand_for_nothing),
        cmocka_unit_test(base64_agrees_with_its_standard),
        cmocka_unit_test(base64_round_trips_every_length_in_every_form),
        cmocka_unit_test(whatever_base64_accepts_it_would_have_written_itself),
        cmocka_unit_test(utf8_agrees_with_its_definition),
        cmocka_unit_test(utf8_refuses_overlong_surrogate_cut_and_foreign_bytes),
        cmocka_unit_test(no_memory_is_reported_and_changes_nothing),
    };
    return cmocka_run_group_tests_name("codec/encoding", tests, NULL, NULL);
}
