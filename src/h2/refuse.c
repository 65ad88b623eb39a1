/* SPDX-License-Identifier: Apache-2.0 */
/* How requests that are none of ours are answered: most of it is static. */
#include "h2/session.h"

#include <stdio.h>

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE        \
    }

int h2_refuse_method(struct h2 *h2, struct stream *s)
{
    static const nghttp2_nv headers[] = {NV(":status", "405"), NV("allow", "POST")};

    return h2_answer(h2, s, headers, NEO_COUNT(headers));
}

int h2_refuse_type(struct h2 *h2, struct stream *s)
{
    static const nghttp2_nv headers[] = {NV(":status", "415")};

    return h2_answer(h2, s, headers, NEO_COUNT(headers));
}

/* Names the field where it is one that looks like another; '%' has a meaning in grpc-message. */
static size_t say_what_is_wrong(const struct block *b, char *ret, size_t max)
{
    enum { NAME_SHOWN = 64 };
    struct neo_bytes name = b->false_name;
    int len;

    if (name.len > NAME_SHOWN)
        name.len = NAME_SHOWN;
    if (name.len > 0)
        len =
            snprintf(ret, max, "malformed request headers: '%.*s' may be taken for a reserved name",
                     NEO_FMT(name));
    else
        len = snprintf(ret, max, "malformed request headers: %s",
                       b->is_bad    ? "content-type or te is there twice"
                       : !b->has_te ? "te: trailers is not there"
                                    : ":authority is no host and port, or not as host");
    for (int i = 0; i < len; i++)
        if (ret[i] == '%')
            ret[i] = '?';
    return (size_t)len;
}

int h2_refuse_headers(struct h2 *h2, struct stream *s)
{
    char text[160];
    size_t len = say_what_is_wrong(&h2->block, text, sizeof(text));
    const nghttp2_nv headers[] = {
        NV(":status", "400"),
        NV("content-type", "application/grpc"),
        NV("grpc-status", "13"),
        {(uint8_t *)(uintptr_t) "grpc-message", (uint8_t *)text, sizeof("grpc-message") - 1, len,
         NGHTTP2_NV_FLAG_NO_COPY_NAME},
    };

    return h2_answer(h2, s, headers, NEO_COUNT(headers));
}

int h2_refuse_path(struct h2 *h2, struct stream *s)
{
    static const nghttp2_nv headers[] = {
        NV(":status", "200"),
        NV("content-type", "application/grpc"),
        NV("grpc-status", "12"),
        NV("grpc-message", "not a gRPC method: the path must be /package.Service/Method"),
    };

    return h2_answer(h2, s, headers, NEO_COUNT(headers));
}
