/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/compression.h"

#include "rpc/call.h"
#include "rpc/channel_internal.h"

#include <neo/compression.h>

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

const struct h2_header compression_encoding = {TEXT("grpc-encoding"), TEXT("gzip")};

const struct h2_header *compression_accept(bool gzip)
{
    static const struct h2_header both = {TEXT("grpc-accept-encoding"), TEXT("identity,gzip")};
    static const struct h2_header none = {TEXT("grpc-accept-encoding"), TEXT("identity")};

    return gzip ? &both : &none;
}

/* Said twice, it says nothing that could be relied on. */
enum frame_encoding compression_read(struct h2_headers headers, bool accept_gzip)
{
    const struct neo_bytes name = compression_encoding.name;
    enum frame_encoding found = FRAME_IDENTITY;
    unsigned n = 0;

    for (size_t i = 0; i < headers.len; i++) {
        const struct h2_header *h = &headers.at[i];
        if (h->name.len != name.len || memcmp(h->name.at, name.at, name.len) != 0)
            continue;
        if (neo_bytes_equal(h->value, compression_encoding.value) && accept_gzip)
            found = FRAME_GZIP;
        else if (!neo_bytes_is(h->value, "identity"))
            found = FRAME_UNKNOWN;
        n++;
    }
    return n > 1 ? FRAME_UNKNOWN : found;
}

static struct neo_bytes trimmed(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return neo_bytes(at, (size_t)(end - at));
}

bool compression_is_accepted(struct h2_headers headers)
{
    for (size_t i = 0; i < headers.len; i++) {
        if (!neo_bytes_is(headers.at[i].name, "grpc-accept-encoding"))
            continue;
        const uint8_t *at = headers.at[i].value.at, *end = at + headers.at[i].value.len;
        while (at < end) {
            const uint8_t *comma = memchr(at, ',', (size_t)(end - at));
            const uint8_t *stop = comma == NULL ? end : comma;
            if (neo_bytes_is(trimmed(at, stop), "gzip"))
                return true;
            at = comma == NULL ? end : comma + 1;
        }
    }
    return false;
}

/* --- the public face -------------------------------------------------------------------------- */

bool neo_call_was_compressed(const struct neo_call *call)
{
    return call->reader.compressed;
}

bool neo_call_compress(struct neo_call *call, bool on)
{
    if (call_is_elsewhere(call))
        return false;
    if (on && !call->may_compress)
        call->may_compress = !call->headers_sent && compression_is_accepted(call->request_headers);
    call->compressing = on && call->may_compress;
    return call->compressing == on;
}

bool neo_client_call_was_compressed(const struct neo_client_call *call)
{
    return call->n_running > 0 && call->running[0]->reader.compressed;
}

void neo_client_call_compress(struct neo_client_call *call, bool on)
{
    call->compressing = on && call->gzip;
}
