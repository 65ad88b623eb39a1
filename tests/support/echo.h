/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/echo.h - an echo service and everything it needs, on real loops.
 */
#ifndef NEO_TESTS_SUPPORT_ECHO_H
#define NEO_TESTS_SUPPORT_ECHO_H

#include <neo/channel.h>
#include <neo/server.h>

#include "support/pki.h"

#include <neo/test/v1/words.neo.h>

struct echo_world {
    struct pki *pki;
    struct neo_runtime *runtime;
    struct neo_runtime *client; /* scenarios: on another machine */
    struct neo_epoch epoch;     /* of the server */
    _Atomic unsigned handled;
    _Atomic unsigned ended; /* streams whose `done` came */
};

/* Policy: caller-service may call everything of echo-service. */
void echo_world_init(struct echo_world *w);
void echo_world_fini(struct echo_world *w);
/* Instances; each gives a server to be freed with neo_server_free(). */
struct neo_server *echo_server(struct echo_world *w, const struct neo_server_options *options);
struct neo_server *echo_server_at(struct echo_world *w, const struct neo_server_options *options,
                                  const char *address);
/* With these options and nothing filled in. */
struct neo_server *echo_server_with(struct echo_world *w, const struct neo_server_options *options,
                                    const char *address);
struct neo_interceptor;
struct neo_server *echo_server_intercepted(struct echo_world *w,
                                           struct neo_interceptor *interceptor);
/* As `caller` to the servers' addresses; `config` may be NULL. */
struct neo_channel *echo_channel(struct echo_world *w, const char *caller, const char *target,
                                 const char *config);
/* "ipv4:a,b" over servers. */
void echo_target(char *target, size_t len, struct neo_server *const *servers, size_t n);

#endif
