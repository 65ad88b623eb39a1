/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/nv.h"

const struct h2_header h2_type_grpc = {
    {(const uint8_t *)"content-type", sizeof("content-type") - 1},
    {(const uint8_t *)"application/grpc", sizeof("application/grpc") - 1},
};
const struct h2_header h2_status_ok = {
    {(const uint8_t *)"grpc-status", sizeof("grpc-status") - 1},
    {(const uint8_t *)"0", 1},
};

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE        \
    }

const nghttp2_nv nv_usual[NV_USUAL] = {
    NV(":status", "200"),
    NV("content-type", "application/grpc"),
};
static const nghttp2_nv usual_trailer = NV("grpc-status", "0");

static bool is_static(const struct h2_header *h)
{
    return h->value.at == h2_type_grpc.value.at || h->value.at == h2_status_ok.value.at;
}

/*
 * Values that are never the same twice. In the table of HPACK they would only push out what does
 * come again, and both sides would search among them.
 */
static bool is_unique(struct neo_bytes name)
{
    switch (name.len) {
    case 10:
        return neo_bytes_equal(name, NEO_LIT("x-trace-id"));
    case 11:
        return neo_bytes_equal(name, NEO_LIT("traceparent"));
    case 12:
        return neo_bytes_equal(name, NEO_LIT("grpc-timeout"));
    case 13:
        return neo_bytes_equal(name, NEO_LIT("x-deadline-ms"));
    default:
        return false;
    }
}

void nv_fill(nghttp2_nv *at, const struct h2_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        at[i] = is_static(&headers[i]) ? nv_static(headers[i].name, headers[i].value)
                                       : nv_of(headers[i].name, headers[i].value);
        if (is_unique(headers[i].name))
            at[i].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    }
}

nghttp2_nv nv_status(int status, char digits[static 3])
{
    if (status == 200)
        return nv_static(NEO_LIT(":status"), NEO_LIT("200"));
    for (int i = 2; i >= 0; i--, status /= 10)
        digits[i] = (char)('0' + status % 10);
    return nv_of(NEO_LIT(":status"), neo_bytes(digits, 3));
}

const nghttp2_nv *nv_keep(struct neo_arena *arena, const struct h2_header *headers, size_t n)
{
    if (n == 1 && headers[0].value.at == h2_status_ok.value.at)
        return &usual_trailer;

    nghttp2_nv *all = neo_arena_calloc(arena, n, sizeof(*all));
    for (size_t i = 0; i < n && all != NULL; i++)
        all[i] = is_static(&headers[i]) ? nv_static(headers[i].name, headers[i].value)
                                        : nv_of(neo_arena_copy(arena, headers[i].name),
                                                neo_arena_copy(arena, headers[i].value));
    return neo_arena_failed(arena) ? NULL : all;
}
