/* SPDX-License-Identifier: Apache-2.0 */
/* How requests that are none of ours are answered: all of it is static. */
#include "h2/session.h"

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

int h2_refuse_headers(struct h2 *h2, struct stream *s)
{
    static const nghttp2_nv headers[] = {
        NV(":status", "400"),
        NV("content-type", "application/grpc"),
        NV("grpc-status", "13"),
        NV("grpc-message", "malformed request headers"),
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
