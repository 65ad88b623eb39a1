/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/pki.h"
#include "support/tls_link.h"

#include <neo/memory.h>

#include <string.h>

#define EXPECT "spiffe://neo.test/function-service"

static struct pki *pki;
static struct tls_context *server;
static struct tls_context *client;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    server = tls_link_context(TLS_SERVER, pki, "function-service");
    client = tls_link_context(TLS_CLIENT, pki, "automation-service");
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    tls_context_unref(server);
    tls_context_unref(client);
    pki_free(pki);
    return 0;
}

static struct tls_link open_link(void)
{
    struct tls_link link;

    tls_link_init(&link, client, server, EXPECT);
    tls_link_run(&link);
    assert_int_equal(tls_state(link.client.tls), TLS_OPEN);
    assert_int_equal(tls_state(link.server.tls), TLS_OPEN);
    return link;
}

static struct neo_buffer noise(uint64_t *seed, size_t len)
{
    struct neo_buffer buffer = {0};

    for (size_t i = 0; i < len; i++)
        assert_true(neo_buffer_append_byte(&buffer, (uint8_t)unit_random(seed, 256)));
    return buffer;
}

static void write_all(struct tls_end *end, struct neo_bytes bytes)
{
    assert_int_equal(tls_write(end->tls, bytes, &end->out, NULL), NEO_OK);
}

static void warm_all(const struct tls *tls)
{
    for (unsigned step = 0; step < 8; step++)
        tls_warm(tls, step);
}

TEST(asking_for_its_memory_is_right_at_any_time_of_a_connection)
{
    struct tls_link link;

    tls_link_init(&link, client, server, EXPECT);
    warm_all(link.client.tls);
    warm_all(link.server.tls);
    tls_link_run(&link);
    warm_all(link.server.tls);
    tls_close(link.client.tls, &link.client.out);
    tls_link_run(&link);
    assert_int_equal(tls_state(link.server.tls), TLS_CLOSED);
    warm_all(link.client.tls);
    warm_all(link.server.tls);
    tls_link_fini(&link);
}

TEST(what_is_written_arrives_in_order_however_it_is_cut)
{
    static const size_t steps[] = {0, 1, 2, 5, 6, 21, 22, 23, 1000, 16384, 16406, 40000};
    uint64_t seed = 42;

    for (size_t i = 0; i < NEO_COUNT(steps); i++) {
        struct tls_link link = open_link();
        struct neo_buffer sent[2] = {{0}};

        link.step = steps[i];
        for (int round = 0; round < 6; round++) {
            struct tls_end *end = round % 2 == 0 ? &link.client : &link.server;
            struct neo_buffer message = noise(&seed, unit_random(&seed, 40000));
            write_all(end, neo_buffer_bytes(&message));
            assert_true(neo_buffer_append(&sent[round % 2], neo_buffer_bytes(&message)));
            neo_buffer_fini(&message);
            if (round % 3 == 0)
                tls_link_run(&link);
        }
        tls_link_run(&link);
        assert_int_equal(link.client.err.code, NEO_OK);
        assert_int_equal(link.server.err.code, NEO_OK);
        assert_true(
            neo_bytes_equal(neo_buffer_bytes(&sent[0]), neo_buffer_bytes(&link.server.plain)));
        assert_true(
            neo_bytes_equal(neo_buffer_bytes(&sent[1]), neo_buffer_bytes(&link.client.plain)));
        neo_buffer_fini(&sent[0]);
        neo_buffer_fini(&sent[1]);
        tls_link_fini(&link);
    }
}

TEST(one_feed_drains_everything_it_is_given)
{
    enum { SIZE = 1 << 20 };
    uint64_t seed = 7;
    struct tls_link link = open_link();
    struct neo_buffer message = noise(&seed, SIZE);

    write_all(&link.client, neo_buffer_bytes(&message));
    tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, PKI_NOW);
    assert_true(neo_bytes_equal(neo_buffer_bytes(&message), neo_buffer_bytes(&link.server.plain)));
    neo_buffer_fini(&message);
    tls_link_fini(&link);
}

TEST(one_write_makes_records_of_sixteen_kibibytes)
{
    uint64_t seed = 7;
    struct tls_link link = open_link();
    struct neo_buffer message = noise(&seed, (16 << 10) + 1);

    write_all(&link.client, neo_buffer_bytes(&message));
    assert_int_equal(link.client.out.len, message.len + 2 * (5 + 1 + 16));
    neo_buffer_clear(&link.client.out);
    write_all(&link.client, (struct neo_bytes){0});
    assert_int_equal(link.client.out.len, 0);
    neo_buffer_fini(&message);
    tls_link_fini(&link);
}

TEST(a_request_may_come_in_the_same_bytes_as_the_end_of_the_handshake)
{
    struct tls_link link;

    tls_link_init(&link, client, server, EXPECT);
    tls_end_feed(&link.client, (struct neo_bytes){0}, 0, PKI_NOW);
    tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, PKI_NOW);
    neo_buffer_clear(&link.client.out);
    tls_end_feed(&link.client, neo_buffer_bytes(&link.server.out), 0, PKI_NOW);
    write_all(&link.client, NEO_LIT("PRI * HTTP/2.0"));
    tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, PKI_NOW);
    assert_true(neo_bytes_is(neo_buffer_bytes(&link.server.plain), "PRI * HTTP/2.0"));
    tls_link_fini(&link);
}

TEST(nothing_can_be_written_before_the_connection_is_open)
{
    struct tls_link link;

    tls_link_init(&link, client, server, EXPECT);
    assert_int_equal(tls_write(link.client.tls, NEO_LIT("x"), &link.client.out, NULL),
                     NEO_FAILED_PRECONDITION);
    assert_int_equal(link.client.out.len, 0);
    tls_link_run(&link);
    write_all(&link.client, NEO_LIT("x"));
    tls_link_fini(&link);
}

/* --- the end ------------------------------------------------------------------------------- */

TEST(a_goodbye_is_told_apart_from_a_broken_line)
{
    struct tls_link link = open_link();

    write_all(&link.client, NEO_LIT("half a mess"));
    tls_link_run(&link);
    assert_int_equal(tls_state(link.server.tls), TLS_OPEN); /* a FIN now would be a truncation */
    tls_close(link.client.tls, &link.client.out);
    tls_link_run(&link);
    assert_int_equal(tls_state(link.server.tls), TLS_CLOSED);
    assert_int_equal(link.server.err.code, NEO_OK);
    tls_link_fini(&link);
}

/* T07: with the last record cut off at any byte, the goodbye does not happen. */
TEST(a_cut_goodbye_is_no_goodbye)
{
    struct tls_link link = open_link();

    tls_close(link.client.tls, &link.client.out);
    assert_true(link.client.out.len > 0);
    tls_end_feed(&link.server, neo_bytes(link.client.out.at, link.client.out.len - 1), 1, PKI_NOW);
    assert_int_equal(tls_state(link.server.tls), TLS_OPEN);
    tls_end_feed(&link.server, neo_bytes(link.client.out.at + link.client.out.len - 1, 1), 1,
                 PKI_NOW);
    assert_int_equal(tls_state(link.server.tls), TLS_CLOSED);
    tls_link_fini(&link);
}

TEST(data_before_a_goodbye_is_delivered_and_data_after_it_is_not)
{
    struct tls_link link = open_link();

    write_all(&link.client, NEO_LIT("last words"));
    tls_close(link.client.tls, &link.client.out);
    assert_true(neo_buffer_append_text(&link.client.out, "noise from the network"));
    tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, PKI_NOW);
    assert_int_equal(link.server.err.code, NEO_OK);
    assert_int_equal(tls_state(link.server.tls), TLS_CLOSED);
    assert_true(neo_bytes_is(neo_buffer_bytes(&link.server.plain), "last words"));
    tls_end_feed(&link.server, NEO_LIT("more noise"), 0, PKI_NOW);
    assert_int_equal(link.server.err.code, NEO_OK);
    assert_int_equal(link.server.plain.len, 10);
    tls_link_fini(&link);
}

/* Whoever has said its last may still wait for the answer. */
TEST(a_goodbye_closes_one_direction_only)
{
    struct tls_link link = open_link();

    tls_close(link.client.tls, &link.client.out);
    tls_link_run(&link);
    assert_int_equal(tls_state(link.server.tls), TLS_CLOSED);
    write_all(&link.server, NEO_LIT("the answer"));
    tls_link_run(&link);
    assert_true(neo_bytes_is(neo_buffer_bytes(&link.client.plain), "the answer"));
    tls_close(link.server.tls, &link.server.out);
    assert_int_not_equal(tls_write(link.server.tls, NEO_LIT("x"), &link.server.out, NULL), NEO_OK);
    tls_link_fini(&link);
}

TEST(a_goodbye_is_said_once_and_only_on_an_open_connection)
{
    struct tls_link link;

    tls_link_init(&link, client, server, EXPECT);
    tls_close(link.client.tls, &link.client.out);
    assert_int_equal(link.client.out.len, 0);
    tls_link_run(&link);
    tls_close(link.client.tls, &link.client.out);
    size_t once = link.client.out.len;
    assert_true(once > 0);
    tls_close(link.client.tls, &link.client.out);
    assert_int_equal(link.client.out.len, once);
    tls_link_fini(&link);
}

TEST(a_closed_end_still_says_goodbye_back)
{
    struct tls_link link = open_link();

    tls_close(link.client.tls, &link.client.out);
    tls_link_run(&link);
    tls_close(link.server.tls, &link.server.out);
    tls_link_run(&link);
    assert_int_equal(tls_state(link.client.tls), TLS_CLOSED);
    assert_int_equal(tls_state(link.server.tls), TLS_CLOSED);
    tls_link_fini(&link);
}

/* --- damage -------------------------------------------------------------------------------- */

TEST(any_changed_bit_ends_the_connection_without_plaintext)
{
    struct neo_bytes message = NEO_LIT("a message of some length");

    for (size_t bit = 0; bit < 8 * (message.len + 22); bit += 5) {
        struct tls_link link = open_link();

        write_all(&link.client, message);
        link.client.out.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, PKI_NOW);
        assert_int_equal(link.server.plain.len, 0);
        /* A length made greater by the change is still waited for. */
        assert_true(link.server.err.code == NEO_UNAVAILABLE || bit / 8 == 3 || bit / 8 == 4);
        tls_link_fini(&link);
    }
}

TEST(a_repeated_record_ends_the_connection)
{
    struct tls_link link = open_link();

    write_all(&link.client, NEO_LIT("pay 100"));
    tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, PKI_NOW);
    tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, PKI_NOW);
    assert_int_equal(link.server.err.code, NEO_UNAVAILABLE);
    assert_true(neo_bytes_is(neo_buffer_bytes(&link.server.plain), "pay 100"));
    tls_link_fini(&link);
}

TEST(after_a_failure_nothing_works_any_more)
{
    struct tls_link link = open_link();
    struct neo_error err;

    tls_end_feed(&link.server, NEO_LIT("GET / HTTP/1.1\r\n\r\n"), 0, PKI_NOW);
    assert_int_equal(link.server.err.code, NEO_UNAVAILABLE);
    assert_true(link.server.out.len > 0); /* the alert */
    size_t sent = link.server.out.len;
    assert_int_equal(tls_feed(link.server.tls, NEO_LIT("x"), PKI_NOW, &link.server.plain,
                              &link.server.out, &err),
                     NEO_FAILED_PRECONDITION);
    assert_int_equal(tls_write(link.server.tls, NEO_LIT("x"), &link.server.out, &err),
                     NEO_FAILED_PRECONDITION);
    tls_close(link.server.tls, &link.server.out);
    assert_int_equal(link.server.out.len, sent);
    tls_link_fini(&link);
}

TEST(a_full_buffer_ends_the_connection_and_loses_nothing_silently)
{
    struct tls_link link = open_link();
    uint64_t seed = 1;
    struct neo_buffer message = noise(&seed, 100000);

    link.server.plain.limit = 60000;
    write_all(&link.client, neo_buffer_bytes(&message));
    tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, PKI_NOW);
    assert_int_equal(link.server.err.code, NEO_RESOURCE_EXHAUSTED);
    neo_buffer_fini(&link.client.out);
    link.client.out.limit = 1000;
    assert_int_equal(tls_write(link.client.tls, neo_buffer_bytes(&message), &link.client.out, NULL),
                     NEO_RESOURCE_EXHAUSTED);
    neo_buffer_fini(&message);
    tls_link_fini(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_arrives_in_order_however_it_is_cut),
        cmocka_unit_test(one_feed_drains_everything_it_is_given),
        cmocka_unit_test(one_write_makes_records_of_sixteen_kibibytes),
        cmocka_unit_test(a_request_may_come_in_the_same_bytes_as_the_end_of_the_handshake),
        cmocka_unit_test(nothing_can_be_written_before_the_connection_is_open),
        cmocka_unit_test(a_goodbye_is_told_apart_from_a_broken_line),
        cmocka_unit_test(a_cut_goodbye_is_no_goodbye),
        cmocka_unit_test(a_goodbye_closes_one_direction_only),
        cmocka_unit_test(data_before_a_goodbye_is_delivered_and_data_after_it_is_not),
        cmocka_unit_test(a_goodbye_is_said_once_and_only_on_an_open_connection),
        cmocka_unit_test(a_closed_end_still_says_goodbye_back),
        cmocka_unit_test(any_changed_bit_ends_the_connection_without_plaintext),
        cmocka_unit_test(a_repeated_record_ends_the_connection),
        cmocka_unit_test(asking_for_its_memory_is_right_at_any_time_of_a_connection),
        cmocka_unit_test(after_a_failure_nothing_works_any_more),
        cmocka_unit_test(a_full_buffer_ends_the_connection_and_loses_nothing_silently),
    };
    return cmocka_run_group_tests_name("tls/data", tests, set_up, tear_down);
}
