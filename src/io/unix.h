/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/unix.h - listening on a path.
 *
 * Threads   Safe to share.
 */
#ifndef NEO_IO_UNIX_H
#define NEO_IO_UNIX_H

#include "io/address.h"

NEO_MUST_CHECK enum neo_code unix_listen(const struct address *address, enum net_listening how,
                                         int *ret_fd, struct neo_error *err);

/* `fd` is about to be closed. Removes the path after the last listener on it; cheap for others. */
void unix_forget(int fd);

#endif
