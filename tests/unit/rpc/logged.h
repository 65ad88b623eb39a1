/* SPDX-License-Identifier: Apache-2.0 */
/* logged.h - a server whose log can be read; after fixture.h. */
#ifndef NEO_TESTS_UNIT_RPC_LOGGED_H
#define NEO_TESTS_UNIT_RPC_LOGGED_H

#include "fixture.h"

#include <sys/mman.h>

static int begin_logged(void **state)
{
    if (begin(state) != 0)
        return -1;
    world.log.fd = memfd_create("log", MFD_CLOEXEC);
    world.log.level = NEO_LOG_INFO;
    return world.log.fd < 0 ? -1 : 0;
}

static int end_logged(void **state)
{
    int fd = world.log.fd;
    int result = end(state);

    (void)close(fd);
    return result;
}

/* How many lines have both. */
static unsigned lines_with(const char *event, const char *what)
{
    static char text[1 << 20];
    ssize_t len = pread(world.log.fd, text, sizeof(text) - 1, 0);
    unsigned n = 0;

    assert_true(len >= 0);
    text[len] = '\0';
    for (char *line = text, *next; *line != '\0'; line = next) {
        next = strchr(line, '\n');
        assert_non_null(next);
        *next++ = '\0';
        n += strstr(line, event) != NULL && strstr(line, what) != NULL;
    }
    return n;
}

#define LOGGED(name) cmocka_unit_test_setup_teardown(name, begin_logged, end_logged)

#endif
