/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/pki.h"
#include "support/tls_link.h"

#include <pthread.h>

#define EXPECT "spiffe://neo.test/function-service"

enum { THREADS = 4, CONNECTIONS = 12 };

struct shared {
    struct tls_context *server;
    struct tls_context *client;
    unsigned opened[THREADS];
};

struct worker {
    struct shared *shared;
    unsigned *opened;
    pthread_t thread;
};

static void *connect_many(void *argument)
{
    struct worker *w = argument;

    for (int i = 0; i < CONNECTIONS; i++) {
        struct tls_link link;

        tls_link_init(&link, w->shared->client, w->shared->server, EXPECT);
        tls_link_run(&link);
        if (tls_state(link.server.tls) == TLS_OPEN &&
            neo_trust_recheck(tls_context_trust(w->shared->server), tls_peer(link.server.tls)->leaf,
                              PKI_NOW, NULL) == NEO_OK)
            (*w->opened)++;
        tls_link_fini(&link);
    }
    return NULL;
}

/* Contexts, identities and trust are shared by the workers; under the thread sanitizer this bites.
 */
TEST(a_context_serves_many_threads)
{
    struct pki *pki = pki_new("neo.test");
    struct shared shared = {.server = tls_link_context(TLS_SERVER, pki, "function-service"),
                            .client = tls_link_context(TLS_CLIENT, pki, "automation-service")};
    struct worker workers[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.shared = &shared, .opened = &shared.opened[i]};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, connect_many, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(shared.opened[i], CONNECTIONS);
    }
    tls_context_unref(shared.server);
    tls_context_unref(shared.client);
    pki_free(pki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_serves_many_threads),
    };
    return cmocka_run_group_tests_name("tls/threads", tests, NULL, NULL);
}
