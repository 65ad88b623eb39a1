/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/target.h - what a channel is to talk to, from its text. Pure.
 *
 *   neo:///service                      the registry's instances
 *   dns:///host:port, dns:host:port     the addresses of a name, looked up again when they fail
 *   ipv4:1.2.3.4:port,5.6.7.8:port      these
 *   ipv6:[::1]:port,[::2]:port          these
 *   unix:/path, unix:///path            a socket in the file system
 *   unix-abstract:name                  a socket of Linux without a file
 *
 * As in gRPC's naming, but that there is no default scheme and no default port: where there is
 * nothing to guess, nothing is guessed wrong.
 */
#ifndef NEO_RPC_TARGET_H
#define NEO_RPC_TARGET_H

#include "io/net.h"

enum { TARGET_ADDRESSES_MAX = 64, TARGET_HOST_MAX = 256 };

enum target_kind { TARGET_NEO, TARGET_DNS, TARGET_ADDRESSES };

struct target {
    enum target_kind kind;
    char host[TARGET_HOST_MAX]; /* NEO: the service; DNS: the name */
    uint16_t port;              /* DNS */
    struct net_address addresses[TARGET_ADDRESSES_MAX];
    size_t n;
};

/* The target that is this one address, in the form of io/net.h. */
void target_of_address(const char *address, char *ret, size_t len);

NEO_MUST_CHECK enum neo_code target_parse(const char *text, struct target *ret,
                                          struct neo_error *err);

#endif
