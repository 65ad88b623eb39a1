/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include "io/rest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SPAN (30 * NEO_NSEC_PER_SEC)

TEST(a_process_at_work_gives_nothing_back)
{
    struct rest r = {0};

    assert_false(rest_is_due(&r, 400 * MSEC, SPAN));
    assert_false(rest_is_due(&r, 800 * MSEC, SPAN));
}

TEST(one_that_has_come_to_rest_gives_back_once)
{
    struct rest r = {0};

    assert_false(rest_is_due(&r, 400 * MSEC, SPAN));
    assert_true(rest_is_due(&r, 410 * MSEC, SPAN));
    assert_false(rest_is_due(&r, 420 * MSEC, SPAN));
    assert_false(rest_is_due(&r, 600 * MSEC, SPAN));
}

TEST(and_again_after_the_next_work)
{
    struct rest r = {0};

    assert_true(rest_is_due(&r, 10 * MSEC, SPAN));
    assert_false(rest_is_due(&r, 900 * MSEC, SPAN));
    assert_true(rest_is_due(&r, 910 * MSEC, SPAN));
}

static long resident_kib(const char *what)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "re");

    assert_non_null(f);
    while (kib < 0 && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, what, strlen(what)) == 0)
            kib = strtol(line + strlen(what), NULL, 10);
    (void)fclose(f);
    return kib;
}

/* A table that is in the program's file, and large enough to be seen in its resident pages. */
static const unsigned char table[1 << 20] = {[0] = 7, [(1 << 20) - 1] = 9};

static unsigned touch_all(void)
{
    unsigned sum = 0;

    for (size_t i = 0; i < sizeof(table); i += 1024)
        sum += ((const volatile unsigned char *)table)[i];
    return sum + ((const volatile unsigned char *)table)[sizeof(table) - 1];
}

TEST(what_files_hold_is_dropped_and_is_still_there)
{
    assert_int_equal(touch_all(), 16);
    long before = resident_kib("RssFile:");

    rest_give_back();
    assert_true(resident_kib("RssFile:") < before - 900);
    assert_int_equal(touch_all(), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_at_work_gives_nothing_back),
        cmocka_unit_test(one_that_has_come_to_rest_gives_back_once),
        cmocka_unit_test(and_again_after_the_next_work),
        cmocka_unit_test(what_files_hold_is_dropped_and_is_still_there),
    };
    return cmocka_run_group_tests_name("io/rest", tests, NULL, NULL);
}
