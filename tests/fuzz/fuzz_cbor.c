/* SPDX-License-Identifier: Apache-2.0 */
/* Item by item and as a whole, a text is good or bad by the same measure. */
#include "codec/cbor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cbor whole = cbor_of(neo_bytes(data, size));
    struct cbor items = whole;
    struct cbor_item item;
    struct neo_bytes taken = cbor_skip(&whole);

    must(whole.failed == (taken.at == NULL));
    must(taken.len <= size);
    while (items.at != items.end && cbor_next(&items, &item)) {
        must(item.bytes.len <= size);
        must(item.bytes.len == 0 ||
             (item.bytes.at >= data && item.bytes.at + item.bytes.len <= data + size));
    }
    must(!cbor_is_done(&whole) || cbor_is_done(&items)); /* what a whole reads, its items read */
    return 0;
}
