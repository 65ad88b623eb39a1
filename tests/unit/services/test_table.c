/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's table: leases that end many at once, and the number of the policy. */
#include "../scratch.h"

#include "registry/table.h"

#include <neo/memory.h>

#define SEC NEO_NSEC_PER_SEC

static struct table table;
static struct neo_arena arena;
static neo_nsec now;

static void open_table(void)
{
    struct neo_error err;

    if (table_open(&table, scratch("registry.db"), now, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static int begin(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    now = 1000 * SEC;
    neo_arena_init(&arena, 16 << 20);
    open_table();
    return 0;
}

static int end(void **state)
{
    table_close(&table);
    neo_arena_fini(&arena);
    return scratch_teardown(state);
}

/* Gives its lease. */
static struct neo_bytes add(unsigned number)
{
    char id[32];
    struct neo_bytes address = NEO_LIT("10.0.0.1:1000");
    struct neo_registry_v1_RegisterResponse response = {0};
    struct neo_error err;

    (void)snprintf(id, sizeof(id), "instance-%u", number);
    struct neo_registry_v1_Instance instance = {.service = NEO_LIT("a-service"),
                                                .id = neo_text(id),
                                                .addresses = {.at = &address, .len = 1}};
    const struct neo_registry_v1_RegisterRequest request = {.instance = &instance,
                                                            .ttl_seconds = 10};
    if (table_register(&table, NEO_LIT("a-service"), &request, now, &arena, &response, &err) !=
        NEO_OK)
        fail_msg("%s", err.message);
    return response.lease_id;
}

static void beat(struct neo_bytes lease, uint64_t policy_number)
{
    const struct neo_registry_v1_HeartbeatRequest request = {.lease_id = lease,
                                                             .policy_number = policy_number};
    bool changed;

    assert_true(table_heartbeat(&table, NEO_LIT("a-service"), &request, now, &changed));
}

TEST(one_instance_that_is_gone_is_removed_when_its_lease_ends)
{
    size_t held;
    struct neo_bytes first = add(1);

    (void)add(2);
    now += 9 * SEC;
    beat(first, 0);
    assert_int_equal(table_expire(&table, now, &held), 0);
    now += 2 * SEC;
    assert_int_equal(table_expire(&table, now, &held), 1);
    assert_int_equal(held, 0);
    assert_int_equal(table.n, 1);
}

TEST(when_all_leases_end_at_once_a_fifth_goes_and_the_rest_waits)
{
    struct neo_bytes leases[100];
    size_t held;

    for (unsigned i = 0; i < 100; i++)
        leases[i] = add(i);
    now += 20 * SEC;
    assert_int_equal(table_expire(&table, now, &held), 20);
    assert_int_equal(held, 80);
    now += SEC;
    assert_int_equal(table_expire(&table, now, &held), 0);
    assert_int_equal(held, 80);
    now += TABLE_BRAKE_WINDOW;
    assert_int_equal(table_expire(&table, now, &held), 16); /* a fifth of 80 */
    now += SEC;
    for (unsigned i = 0; i < 20;
         i++) { /* the network is back: those who are left are heard again */
        bool changed;
        const struct neo_registry_v1_HeartbeatRequest request = {.lease_id = leases[i]};
        (void)table_heartbeat(&table, NEO_LIT("a-service"), &request, now, &changed);
    }
    assert_int_equal(table_expire(&table, now, &held), 0);
    assert_true(held < 64);
}

TEST(where_there_are_few_a_few_may_end_at_once)
{
    size_t held;

    for (unsigned i = 0; i < 5; i++)
        (void)add(i);
    now += 20 * SEC;
    assert_int_equal(table_expire(&table, now, &held), TABLE_BRAKE_LEAST);
    assert_int_equal(held, 5 - TABLE_BRAKE_LEAST);
}

TEST(an_instance_is_listed_with_the_policy_that_it_told_of)
{
    struct neo_registry_v1_DiscoverRequest filter = {.service = NEO_LIT("a-service")};
    struct neo_registry_v1_DiscoverResponse found = {0};

    beat(add(1), 17);
    assert_int_equal(table_find(&table, &filter, &arena, &found, NULL), NEO_OK);
    assert_int_equal(found.instances.len, 1);
    assert_int_equal(found.instances.at[0]->policy_number, 17);
}

TEST(the_number_of_the_policy_grows_with_its_digest_and_over_restarts)
{
    static const uint8_t one[32] = {1}, other[32] = {2};
    uint64_t number;

    assert_int_equal(table_policy_number(&table, one, 0, &number, NULL), NEO_OK);
    assert_int_equal(number, 1);
    assert_int_equal(table_policy_number(&table, one, 0, &number, NULL), NEO_OK);
    assert_int_equal(number, 1);
    assert_int_equal(table_policy_number(&table, other, 0, &number, NULL), NEO_OK);
    assert_int_equal(number, 2);
    table_close(&table);
    open_table();
    assert_int_equal(table_policy_number(&table, other, 0, &number, NULL), NEO_OK);
    assert_int_equal(number, 2);
    assert_int_equal(table_policy_number(&table, one, 0, &number, NULL), NEO_OK);
    assert_int_equal(number, 3); /* back to older documents is a new policy */
    assert_int_equal(table_policy_number(&table, one, 41, &number, NULL), NEO_OK);
    assert_int_equal(number, 42);
    assert_int_equal(table_policy_number(&table, one, UINT64_MAX, &number, NULL),
                     NEO_INVALID_ARGUMENT);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(one_instance_that_is_gone_is_removed_when_its_lease_ends),
        PROMISE(when_all_leases_end_at_once_a_fifth_goes_and_the_rest_waits),
        PROMISE(where_there_are_few_a_few_may_end_at_once),
        PROMISE(an_instance_is_listed_with_the_policy_that_it_told_of),
        PROMISE(the_number_of_the_policy_grows_with_its_digest_and_over_restarts),
    };
    return cmocka_run_group_tests_name("services/table", tests, NULL, NULL);
}
