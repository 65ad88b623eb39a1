/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip from a peer: never more than the limit comes out, and what is accepted is
 * accepted again after it was compressed by us. The first byte is the limit's.
 */
#include "codec/gzip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer plain = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer again = {0};
    struct neo_error err = {0};

    if (size == 0)
        return 0;
    size_t max = (size_t)data[0] * 257;
    enum neo_code code = gzip_inflate(neo_bytes(data + 1, size - 1), max, &plain, &err);
    must(plain.len <= max);
    must(code == NEO_OK || code == NEO_INTERNAL || code == NEO_RESOURCE_EXHAUSTED);
    if (code != NEO_OK)
        return 0;
    must(gzip_deflate(neo_buffer_bytes(&plain), &wire, &err) == NEO_OK);
    must(gzip_inflate(neo_buffer_bytes(&wire), plain.len, &again, &err) == NEO_OK);
    must(neo_bytes_equal(neo_buffer_bytes(&plain), neo_buffer_bytes(&again)));
    return 0;
}
