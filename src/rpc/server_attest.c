/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server_attest.h"

#include <neo/memory.h>
#include <neo/server.h>

#include "base/map.h"

static uint32_t either(unsigned configured, uint32_t usual)
{
    return configured != 0 ? configured : usual;
}

struct server_attest *server_attest_new(const struct neo_server_options *options)
{
    struct server_attest *a = neo_alloc(sizeof(*a));

    if (a == NULL)
        return NULL;
    a->vouches = vouch_table_new();
    if (a->vouches == NULL || (options->attester != NULL &&
                               neo_key_generate(NEO_KEY_P256, &a->session_key, NULL) != NEO_OK)) {
        server_attest_free(a);
        return NULL;
    }
    neo_ratelimit_init(&a->quotes, either(options->quotes_per_second, 20),
                       either(options->quotes_burst, 256));
    for (size_t i = 0; i < SERVER_ATTEST_BUCKETS; i++)
        neo_ratelimit_init(&a->exchanges[i], either(options->exchanges_per_second, 2),
                           either(options->exchanges_burst, 64));
    return a;
}

void server_attest_free(struct server_attest *a)
{
    if (a == NULL)
        return;
    vouch_table_free(a->vouches);
    neo_key_unref(a->session_key);
    neo_free(a);
}

neo_nsec server_attest_begin(struct server_attest *a, struct neo_bytes identity, neo_nsec now)
{
    return neo_ratelimit_take(&a->exchanges[map_hash(identity) % SERVER_ATTEST_BUCKETS], now);
}

neo_nsec server_attest_quote(struct server_attest *a, neo_nsec now)
{
    return neo_ratelimit_take(&a->quotes, now);
}
