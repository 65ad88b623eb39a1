/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/sockaddr.h - addresses as the kernel has them.
 */
#ifndef NEO_IO_SOCKADDR_H
#define NEO_IO_SOCKADDR_H

#include "io/address.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

union sockaddr_any {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    struct sockaddr_un path;
};

/* Returns how many bytes of `*ret` are used. */
socklen_t sockaddr_make(const struct address *address, union sockaddr_any *ret);

/* `len` as the kernel gave it. */
void sockaddr_read(const struct sockaddr *from, socklen_t len, struct address *ret);

#endif
