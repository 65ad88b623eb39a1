/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/address.h - addresses between text and bytes.
 *
 * The grammar is strict and nothing is guessed: one way to write each address, but
 * for IPv6, which is read in all its spellings and written in the canonical one.
 * The simulated twin reads addresses with the same code.
 */
#ifndef NEO_IO_ADDRESS_H
#define NEO_IO_ADDRESS_H

#include "io/net.h"

enum address_family { ADDRESS_IP4, ADDRESS_IP6, ADDRESS_UNIX };

enum { ADDRESS_PATH_MAX = 108 }; /* the kernel's, with the terminator */

struct address {
    enum address_family family;
    uint8_t ip[16]; /* IP4: the first four */
    uint16_t port;
    bool is_abstract; /* UNIX: the path is a name of Linux, without a file */
    char path[ADDRESS_PATH_MAX];
};

NEO_MUST_CHECK enum neo_code address_parse(const char *text, struct address *ret,
                                           struct neo_error *err);
/* As above, for one to connect to: port 0 is refused. */
NEO_MUST_CHECK enum neo_code address_parse_peer(const char *text, struct address *ret,
                                                struct neo_error *err);
void address_format(const struct address *address, struct net_address *ret);

/* "10.0.0.1" or "::1", without port or brackets. Sets family and ip. */
bool address_parse_ip(const char *text, struct address *ret);

/* OK for what may be asked of the resolver: a name, or a number address_parse_ip() takes. */
NEO_MUST_CHECK enum neo_code address_check_host(const char *host, struct neo_error *err);

#endif
