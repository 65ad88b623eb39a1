/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tls_link.h"

#include <stdio.h>
#include <stdlib.h>

static void must(enum neo_code code, const struct neo_error *err)
{
    if (code == NEO_OK)
        return;
    (void)fprintf(stderr, "tls_link: %s\n", err->message);
    abort();
}

void tls_link_init(struct tls_link *link, struct tls_context *client, struct tls_context *server,
                   const char *expect)
{
    struct neo_error err;

    *link = (struct tls_link){.wall = PKI_NOW};
    must(tls_new(client, neo_text(expect), NULL, &link->client.tls, &err), &err);
    must(tls_new(server, (struct neo_bytes){0}, NULL, &link->server.tls, &err), &err);
}

static void fini_end(struct tls_end *end)
{
    tls_free(end->tls);
    neo_buffer_fini(&end->plain);
    neo_buffer_fini(&end->out);
}

void tls_link_fini(struct tls_link *link)
{
    fini_end(&link->client);
    fini_end(&link->server);
}

void tls_end_feed(struct tls_end *end, struct neo_bytes bytes, size_t step, int64_t wall)
{
    do {
        size_t n = step == 0 || step > bytes.len ? bytes.len : step;

        if (end->err.code != NEO_OK)
            return;
        if (tls_feed(end->tls, neo_bytes(bytes.at, n), wall, &end->plain, &end->out, &end->err) ==
            NEO_OK)
            end->err.code = NEO_OK;
        bytes = neo_bytes_from(bytes, n);
    } while (bytes.len > 0);
}

/* What the one wants to send goes to the other. */
static bool carry(struct tls_end *from, struct tls_end *to, const struct tls_link *link)
{
    struct neo_buffer moving = from->out;

    if (moving.len == 0)
        return false;
    from->out = (struct neo_buffer){0};
    tls_end_feed(to, neo_buffer_bytes(&moving), link->step, link->wall);
    neo_buffer_fini(&moving);
    return true;
}

void tls_link_run(struct tls_link *link)
{
    bool moved = true;

    tls_end_feed(&link->client, (struct neo_bytes){0}, 0, link->wall);
    while (moved) {
        moved = carry(&link->client, &link->server, link);
        moved |= carry(&link->server, &link->client, link);
    }
}

struct tls_context *tls_link_context_of(enum tls_role role, struct neo_identity *identity,
                                        struct neo_trust *trust)
{
    const struct tls_options options = {.role = role, .identity = identity, .trust = trust};
    struct tls_context *context = NULL;
    struct neo_error err;

    must(tls_context_new(&options, &context, &err), &err);
    return context;
}

struct tls_context *tls_link_context(enum tls_role role, struct pki *pki, const char *service)
{
    struct neo_identity *identity = service == NULL ? NULL : pki_identity(pki, service, NULL);
    struct neo_trust *trust = pki_trust(pki);
    struct tls_context *context = tls_link_context_of(role, identity, trust);

    neo_identity_unref(identity);
    neo_trust_unref(trust);
    return context;
}
