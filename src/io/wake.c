/* SPDX-License-Identifier: Apache-2.0 */
#include "io/wake.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum neo_code wake_open(int *ret, struct neo_error *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return neo_fail_errno(err, "cannot make an eventfd");
    *ret = fd;
    return NEO_OK;
}

void wake_close(int fd)
{
    (void)close(fd);
}

/* Neither can fail but by being so already: the counter is far from its end, the read never waits.
 */
void wake_set(int fd)
{
    const uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0)
        return;
}

void wake_clear(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0)
        return;
}
