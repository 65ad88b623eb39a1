/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the CA that hears wishes: what it writes, for whom, and that it ends. */
#include "cli/first.h" /* before cmocka's fail(), which is a macro */

#include "../scratch.h"

#include <neo/store.h>

#include <signal.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n;
    int64_t seconds; /* of the last one */
} given = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct arg_list pairs;
static char pair_a[160], pair_b[160];
static const struct neo_log quiet = {.fd = 2, .level = NEO_LOG_OFF};

/* In the CA's place. */
enum neo_code ca_first_string(struct ca *ca, const char *service, int64_t ttl_seconds,
                              struct neo_buffer *out, struct neo_error *err)
{
    (void)ca;
    assert_int_equal(pthread_mutex_lock(&given.lock), 0);
    unsigned n = ++given.n;
    given.seconds = ttl_seconds;
    (void)pthread_cond_broadcast(&given.changed);
    (void)pthread_mutex_unlock(&given.lock);
    return neo_buffer_printf(out, "%s-%u", service, n)
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory");
}

static int64_t await_given(unsigned n)
{
    (void)pthread_mutex_lock(&given.lock);
    while (given.n < n)
        (void)pthread_cond_wait(&given.changed, &given.lock);
    int64_t seconds = given.seconds;
    (void)pthread_mutex_unlock(&given.lock);
    return seconds;
}

static int begin(void **state)
{
    int status = scratch_setup(state);

    given.n = 0;
    (void)snprintf(pair_a, sizeof(pair_a), "a-service=%s", scratch("a"));
    (void)snprintf(pair_b, sizeof(pair_b), "b-service=%s", scratch("b"));
    pairs = (struct arg_list){.at = {pair_a, pair_b}, .n = 2};
    first_block();
    return status;
}

static void wish(const char *name)
{
    assert_int_equal(neo_file_replace(scratch(name), NEO_LIT("\n"), 0600, NULL), NEO_OK);
}

static bool is_there(const char *name)
{
    return access(scratch(name), F_OK) == 0;
}

TEST(a_pair_that_names_no_file_is_refused)
{
    struct first f = {.pairs = &pairs, .log = &quiet};
    struct neo_error err;

    pairs.at[1] = "b-service";
    assert_int_equal(first_begin(&f, &err), NEO_INVALID_ARGUMENT);
    first_end(&f);
}

TEST(a_signal_gives_nothing_to_who_did_not_wish_and_one_string_to_who_did)
{
    struct first f = {.pairs = &pairs, .log = &quiet};
    struct stat status;

    assert_int_equal(first_begin(&f, NULL), NEO_OK);
    assert_int_equal(await_given(2), 0); /* the usual life, at the start */
    assert_int_equal(unlink(scratch("a")), 0);
    assert_int_equal(unlink(scratch("b")), 0);
    assert_int_equal(kill(getpid(), FIRST_SIGNAL), 0);
    wish("a.wanted");
    assert_int_equal(kill(getpid(), FIRST_SIGNAL), 0);
    assert_int_equal(await_given(3), 60);
    first_end(&f);
    assert_int_equal(given.n, 3);
    assert_int_equal(stat(scratch("a"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_false(is_there("a.wanted"));
    assert_false(is_there("b"));
}

TEST(it_ends_in_the_middle_of_wishes)
{
    for (unsigned i = 0; i < 50; i++) {
        struct first f = {.pairs = &pairs, .log = &quiet};
        given.n = 0;
        (void)unlink(scratch("b.wanted")); /* of the one before, when it ended first */
        assert_int_equal(first_begin(&f, NULL), NEO_OK);
        wish("b.wanted");
        assert_int_equal(kill(getpid(), FIRST_SIGNAL), 0);
        first_end(&f);
        assert_true(given.n == 2 || !is_there("b.wanted"));
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_pair_that_names_no_file_is_refused),
        test(a_signal_gives_nothing_to_who_did_not_wish_and_one_string_to_who_did),
        test(it_ends_in_the_middle_of_wishes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
