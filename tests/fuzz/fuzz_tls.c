/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server fed with anything. The first byte chooses: even, the rest goes to a new
 * connection, in steps of that size; odd, the rest is cut into records (type,
 * length, content) that a real client, its handshake done, sends encrypted, so
 * that what comes after decryption is reached too.
 */
#include "support/pki.h"
#include "support/tls_link.h"
#include "support/tls_raw.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* They live as long as the process. */
static struct pki *pki;
static struct tls_context *server;
static const struct pki_cert *client;

static void must(bool promise)
{
    if (!promise)
        abort();
}

static void set_up(void)
{
    pki = pki_new("neo.test");
    server = tls_link_context(TLS_SERVER, pki, "function-service");
    client = pki_make(pki, pki_issuer(pki), "automation-service", NULL);
}

static struct tls_end new_end(void)
{
    struct tls_end end = {0};

    must(tls_new(server, (struct neo_bytes){0}, NULL, &end.tls, NULL) == NEO_OK);
    return end;
}

static void fini_end(struct tls_end *end)
{
    tls_free(end->tls);
    neo_buffer_fini(&end->plain);
    neo_buffer_fini(&end->out);
}

static void feed_stranger(struct neo_bytes bytes, size_t step)
{
    struct tls_end end = new_end();
    uint8_t exported[32];

    tls_end_feed(&end, bytes, step, PKI_NOW);
    must(tls_state(end.tls) == TLS_HANDSHAKE && end.plain.len == 0);
    must(tls_peer(end.tls) == NULL && tls_exporter(end.tls, exported, NULL) != NEO_OK);
    fini_end(&end);
}

static void feed_client(struct neo_bytes bytes)
{
    const struct raw_options options = {.cert = client};
    struct raw *raw = raw_new(&options);
    struct tls_end end = new_end();
    struct neo_buffer records = {0};
    size_t sent = 0;

    raw_link(raw, &end);
    must(tls_state(end.tls) == TLS_OPEN);
    while (bytes.len >= 2) {
        size_t len = bytes.at[1] < bytes.len - 2 ? bytes.at[1] : bytes.len - 2;
        raw_forge(raw, bytes.at[0], neo_bytes(bytes.at + 2, len), &records);
        sent += len;
        bytes = neo_bytes_from(bytes, 2 + len);
    }
    tls_end_feed(&end, neo_buffer_bytes(&records), 0, PKI_NOW);
    must(end.plain.len <= sent);
    must(end.err.code == NEO_OK || tls_write(end.tls, NEO_LIT("x"), &end.out, NULL) != NEO_OK);
    neo_buffer_fini(&records);
    fini_end(&end);
    raw_free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (server == NULL)
        set_up();
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        feed_stranger(neo_bytes(data + 1, size - 1), data[0]);
    else
        feed_client(neo_bytes(data + 1, size - 1));
    return 0;
}
