/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include "h2/heap.h"

#include <neo/memory.h>

static void *take(struct h2_heap *heap, size_t size)
{
    return heap->mem.malloc(size, heap->mem.mem_user_data);
}

static void put(struct h2_heap *heap, void *memory)
{
    heap->mem.free(memory, heap->mem.mem_user_data);
}

TEST(the_heap_gives_memory_that_does_not_overlap)
{
    struct h2_heap heap;
    struct h2_pool pool;
    uint8_t *all[600];

    h2_pool_init(&pool, 0, 64 * 1024);
    h2_heap_init(&heap, &pool);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < NEO_COUNT(all); i++) {
            all[i] = take(&heap, i);
            assert_non_null(all[i]);
            assert_int_equal((uintptr_t)all[i] % 16, 0);
            memset(all[i], (int)(i % 251), i);
        }
        for (size_t i = 0; i < NEO_COUNT(all); i++) {
            for (size_t b = 0; b < i; b++)
                assert_int_equal(all[i][b], i % 251);
            put(&heap, all[i]);
        }
    }
    put(&heap, NULL);
    assert_int_equal(heap.held, 0);
    h2_pool_trim(&pool);
}

TEST(the_heap_counts_what_is_in_use_and_the_pool_what_waits)
{
    struct h2_heap heap;
    struct h2_pool pool;

    h2_pool_init(&pool, 0, 64 * 1024);
    h2_heap_init(&heap, &pool);
    void *small = take(&heap, 100);
    void *large = take(&heap, 5000);
    assert_true(heap.held >= 5100);
    put(&heap, large);
    assert_true(heap.held < 300);
    assert_int_equal(h2_pool_memory(&pool), 0); /* large ones are not kept */
    put(&heap, small);
    assert_int_equal(heap.held, 0);
    assert_in_range(h2_pool_memory(&pool), 100, 300);
    h2_pool_trim(&pool);
    assert_int_equal(h2_pool_memory(&pool), 0);
}

TEST(a_pool_keeps_a_bounded_reserve)
{
    struct h2_heap heap;
    struct h2_pool pool;
    void *all[1000];

    h2_pool_init(&pool, 0, 64 * 1024);
    h2_heap_init(&heap, &pool);
    for (size_t i = 0; i < NEO_COUNT(all); i++)
        all[i] = take(&heap, 512);
    for (size_t i = 0; i < NEO_COUNT(all); i++)
        put(&heap, all[i]);
    assert_in_range(h2_pool_memory(&pool), 32 * 1024, 64 * 1024);
    h2_pool_trim(&pool);
}

TEST(pages_of_an_ended_session_serve_the_next_and_are_bounded)
{
    struct h2_heap heap;
    struct h2_pool pool;
    void *all[20];

    h2_pool_init(&pool, 0, 512 * 1024);
    h2_heap_init(&heap, &pool);
    void *first = take(&heap, 16 << 10);
    put(&heap, first);
    assert_in_range(h2_pool_memory(&pool), 16 << 10, 17 << 10);
    assert_ptr_equal(take(&heap, 16 << 10), first);
    assert_int_equal(h2_pool_memory(&pool), 0);
    put(&heap, first);
    void *larger = take(&heap, 32 << 10); /* not that one */
    assert_ptr_not_equal(larger, first);
    memset(larger, 1, 32 << 10);
    put(&heap, larger);
    for (size_t i = 0; i < NEO_COUNT(all); i++)
        all[i] = take(&heap, 16 << 10);
    for (size_t i = 0; i < NEO_COUNT(all); i++)
        put(&heap, all[i]);
    assert_in_range(h2_pool_memory(&pool), 8 * (16 << 10), 8 * (17 << 10));
    assert_int_equal(heap.held, 0);
    h2_pool_trim(&pool);
    assert_int_equal(h2_pool_memory(&pool), 0);
}

TEST(a_small_pool_keeps_no_pages)
{
    struct h2_heap heap;
    struct h2_pool pool;

    h2_pool_init(&pool, 0, 8 * 1024);
    h2_heap_init(&heap, &pool);
    put(&heap, take(&heap, 16 << 10));
    assert_int_equal(h2_pool_memory(&pool), 0);
}

TEST(resized_memory_keeps_its_contents)
{
    struct h2_heap heap;
    struct h2_pool pool;

    h2_pool_init(&pool, 0, 64 * 1024);
    h2_heap_init(&heap, &pool);
    uint8_t *at = heap.mem.realloc(NULL, 40, heap.mem.mem_user_data);
    memset(at, 7, 40);
    at = heap.mem.realloc(at, 4000, heap.mem.mem_user_data);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(at[i], 7);
    at = heap.mem.realloc(at, 10, heap.mem.mem_user_data);
    assert_int_equal(at[9], 7);
    put(&heap, at);
    uint8_t *zeros = heap.mem.calloc(30, 3, heap.mem.mem_user_data);
    for (size_t i = 0; i < 90; i++)
        assert_int_equal(zeros[i], 0);
    put(&heap, zeros);
    assert_null(heap.mem.calloc(SIZE_MAX / 2, 3, heap.mem.mem_user_data));
    assert_null(take(&heap, SIZE_MAX));
    h2_pool_trim(&pool);
}

/* A connection of its own kind: the client's engine is only there to talk to. */
static void run_a_burst(struct h2_pool *pool, struct peer *server)
{
    struct peer client = {.quiet = true};
    const struct h2_options options = {
        .server = true, .events = peer_events(), .owner = server, .pool = pool};

    server->quiet = server->echo = true;
    peer_start(&client, false, NULL);
    assert_int_equal(h2_new(&options, 0, &server->h2, NULL), NEO_OK);
    peers_talk(&client, server);
    for (int i = 0; i < 50; i++)
        h2_send_end(client.h2, peer_call(&client, "/a.B/C"));
    peers_talk(&client, server);
    assert_int_equal(client.closed, 50);
    peer_stop(&client);
}

TEST(engines_may_share_a_pool)
{
    struct h2_pool *pool = NULL;
    struct peer first = {0}, second = {0};

    assert_int_equal(h2_pool_new(&pool, NULL), NEO_OK);
    run_a_burst(pool, &first);
    size_t kept = h2_pool_memory(pool);
    assert_true(kept > 50 * 1664);
    run_a_burst(pool, &second); /* with the same streams and blocks */
    assert_in_range(h2_pool_memory(pool), kept - 4096, kept + 4096);
    h2_trim(second.h2); /* the pool is not its own */
    assert_true(h2_pool_memory(pool) > 50 * 1664);
    assert_in_range(h2_memory(second.h2), 1, 64 * 1024);
    peer_stop(&first);
    peer_stop(&second);
    h2_pool_free(pool);
    h2_pool_free(NULL);
}

/* --- memory that fails ------------------------------------------------------------------------ */

/* As far as it gets; whatever fails must fail cleanly. */
static bool exchange(struct peer *from, struct peer *to)
{
    enum neo_code code = peer_pull(from, NULL);
    struct neo_bytes bytes = neo_buffer_bytes(&from->out);

    if (code == NEO_OK)
        code = h2_feed(to->h2, bytes, 0, NULL);
    neo_buffer_fini(&from->out);
    return code == NEO_OK && bytes.len > 0;
}

static void answer(struct peer *p, struct h2_stream *s)
{
    static const uint8_t message[9000];
    const struct h2_header fields[] = {
        {NEO_LIT("content-type"), NEO_LIT("application/grpc")},
        {NEO_LIT("x-more"), NEO_LIT("something")},
    };

    if (h2_respond(p->h2, s, 200, fields, 2, false, NULL) != NEO_OK)
        return;
    (void)h2_send(p->h2, s, neo_bytes(message, sizeof(message)));
    if (h2_send_trailers(p->h2, s, fields + 1, 1, NULL) != NEO_OK)
        h2_reset(p->h2, s, H2_INTERNAL_ERROR, false);
}

static size_t call_twice(struct peer *client)
{
    const struct h2_header fields[] = {
        {NEO_LIT("content-type"), NEO_LIT("application/grpc")},
        {NEO_LIT("te"), NEO_LIT("trailers")},
        {NEO_LIT("x-more"), NEO_LIT("something else")},
    };
    size_t calls = 0;

    for (int i = 0; i < 2; i++) {
        struct h2_stream *s = NULL;
        if (h2_request(client->h2, NEO_LIT("/a.B/C"), NEO_LIT("h"), fields, 3, NULL, &s, NULL) !=
            NEO_OK)
            continue;
        calls++;
        (void)h2_send(client->h2, s, NEO_LIT("0123456789"));
        h2_send_end(client->h2, s);
    }
    return calls;
}

/* Whether all went well. */
static bool run_with_failure_at(unsigned long n)
{
    struct peer client = {.quiet = true}, server = {.quiet = true, .on_headers = answer};
    size_t calls = 0;
    const struct h2_options as_client = {.events = peer_events(), .owner = &client};
    const struct h2_options as_server = {.server = true, .events = peer_events(), .owner = &server};

    neo_memory_fail_at(n);
    if (h2_new(&as_client, 0, &client.h2, NULL) == NEO_OK &&
        h2_new(&as_server, 0, &server.h2, NULL) == NEO_OK) {
        calls = call_twice(&client);
        bool moved = true;
        while (moved) {
            moved = exchange(&client, &server);
            moved |= exchange(&server, &client);
        }
    }
    neo_memory_fail_at(0);
    bool done = calls == 2 && client.body == 2 * 9000;
    h2_free(client.h2);
    h2_free(server.h2);
    client.h2 = server.h2 = NULL;
    assert_int_equal(client.closed, calls); /* each call ends once, whatever happens */
    assert_int_equal(server.closed, server.handlers);
    peers_stop(&client, &server);
    return done;
}

TEST(each_allocation_may_fail)
{
    unsigned long n = 1;

    while (!run_with_failure_at(n))
        assert_true(++n < 1000);
    assert_true(n > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_heap_gives_memory_that_does_not_overlap),
        cmocka_unit_test(the_heap_counts_what_is_in_use_and_the_pool_what_waits),
        cmocka_unit_test(a_pool_keeps_a_bounded_reserve),
        cmocka_unit_test(pages_of_an_ended_session_serve_the_next_and_are_bounded),
        cmocka_unit_test(a_small_pool_keeps_no_pages),
        cmocka_unit_test(resized_memory_keeps_its_contents),
        cmocka_unit_test(engines_may_share_a_pool),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("h2/memory", tests, NULL, NULL);
}
