/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor.h"

#include <neo/buffer.h>

/* Major types, and the simple values that go with 7. */
static unsigned major_of(enum cbor_type type)
{
    switch (type) {
    case CBOR_UINT:
        return 0;
    case CBOR_NINT:
        return 1;
    case CBOR_BYTES:
        return 2;
    case CBOR_TEXT:
        return 3;
    case CBOR_ARRAY:
        return 4;
    case CBOR_MAP:
        return 5;
    case CBOR_TAG:
        return 6;
    case CBOR_FALSE:
    case CBOR_TRUE:
    case CBOR_NULL:
        break;
    }
    return 7;
}

static uint64_t value_of(enum cbor_type type, uint64_t value)
{
    static const uint8_t simple[] = {[CBOR_FALSE] = 20, [CBOR_TRUE] = 21, [CBOR_NULL] = 22};

    return major_of(type) == 7 ? simple[type] : value;
}

bool cbor_put(struct neo_buffer *out, enum cbor_type type, uint64_t value)
{
    uint8_t head[9];
    uint64_t v = value_of(type, value);
    unsigned form = v < 24 ? 0 : v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;
    unsigned info = form == 0 ? (unsigned)v : form == 1 ? 24 : form == 2 ? 25 : form == 4 ? 26 : 27;

    head[0] = (uint8_t)(major_of(type) << 5 | info);
    for (unsigned i = 0; i < form; i++)
        head[1 + i] = (uint8_t)(v >> (8 * (form - 1 - i)));
    return neo_buffer_append(out, neo_bytes(head, 1 + form));
}

bool cbor_put_bytes(struct neo_buffer *out, struct neo_bytes bytes)
{
    return cbor_put(out, CBOR_BYTES, bytes.len) && neo_buffer_append(out, bytes);
}

bool cbor_put_text(struct neo_buffer *out, const char *text)
{
    return cbor_put(out, CBOR_TEXT, strlen(text)) && neo_buffer_append_text(out, text);
}
