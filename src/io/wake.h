/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/wake.h - a descriptor that is readable or not, as it is told.
 *
 * For whoever waits with poll or epoll, on any thread. Set and clear are idempotent.
 */
#ifndef NEO_IO_WAKE_H
#define NEO_IO_WAKE_H

#include <neo/error.h>

NEO_MUST_CHECK enum neo_code wake_open(int *ret, struct neo_error *err);
void wake_close(int fd);
void wake_set(int fd);
void wake_clear(int fd);

#endif
