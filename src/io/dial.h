/* SPDX-License-Identifier: Apache-2.0 */
/* io/dial.h - a connection without a loop, for threads that may wait: evidence from a service. */
#ifndef NEO_IO_DIAL_H
#define NEO_IO_DIAL_H

#include <stddef.h>
#include <sys/types.h>

/*
 * A TCP connection to an IPv4 address and a port, as digits ("169.254.169.254:80"): nobody is asked
 * what a name means. Does not block: the connecting may still be under way, and the first send
 * says how it ended. -1 with errno; else a descriptor that does not block, the caller's to close.
 */
int dial(const char *address);
/* As write(), without SIGPIPE. */
ssize_t dial_send(int fd, const void *at, size_t len);

#endif
