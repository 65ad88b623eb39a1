/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/bytes.h>

#include "observe/random.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(the_generator_is_xoshiro256_star_star)
{
    static const uint64_t want[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
    };
    uint64_t words[4] = {1, 2, 3, 4};

    for (size_t i = 0; i < NEO_COUNT(want); i++)
        assert_true(random_step(words) == want[i]);
}

static void take(uint64_t ret[static 2])
{
    ret[0] = random_distinct();
    ret[1] = random_unguessable();
}

static void *take_in_thread(void *self)
{
    take(self);
    return NULL;
}

static void assert_differ(const uint64_t a[static 2], const uint64_t b[static 2])
{
    assert_true(a[0] != b[0]);
    assert_true(a[1] != b[1]);
}

TEST(threads_have_numbers_of_their_own)
{
    uint64_t ours[2];
    uint64_t theirs[2];
    pthread_t thread;

    take(ours);
    assert_int_equal(pthread_create(&thread, NULL, take_in_thread, theirs), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_differ(ours, theirs);
}

TEST(a_forked_child_has_numbers_of_its_own)
{
    uint64_t ours[2];
    uint64_t theirs[2];
    int pipes[2];

    take(ours); /* fills what the child would repeat */
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        take(theirs);
        _exit(write(pipes[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
    }
    take(ours);
    assert_int_equal(read(pipes[0], theirs, sizeof(theirs)), sizeof(theirs));
    assert_differ(ours, theirs);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

TEST(the_unguessable_do_not_repeat_when_the_block_is_refilled)
{
    enum { N = 300 };
    uint64_t seen[N];

    for (size_t i = 0; i < N; i++) {
        seen[i] = random_unguessable();
        assert_true(seen[i] > 1); /* not what is left in a place that was given out */
        for (size_t k = 0; k < i; k++)
            assert_true(seen[i] != seen[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_xoshiro256_star_star),
        cmocka_unit_test(threads_have_numbers_of_their_own),
        cmocka_unit_test(a_forked_child_has_numbers_of_its_own),
        cmocka_unit_test(the_unguessable_do_not_repeat_when_the_block_is_refilled),
    };
    return cmocka_run_group_tests_name("observe/random", tests, NULL, NULL);
}
