/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer of Azure's metadata service gives at most what was in it, and the same however much of
 * it has come: once it is complete, that nothing more will come changes nothing.
 */
#include "mesh/attester_imds.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer open = {0}, whole = {0};
    struct neo_bytes text = neo_bytes(data, size);

    enum neo_code early = imds_answer_read(text, false, &open, NULL);
    enum neo_code late = imds_answer_read(text, true, &whole, NULL);
    if (early == NEO_OK) {
        must(late == NEO_OK && open.len == whole.len);
        must(neo_bytes_equal(neo_buffer_bytes(&open), neo_buffer_bytes(&whole)));
    } else if (early != NEO_NOT_FOUND) {
        must(late == early);
    }
    if (late == NEO_OK)
        must(whole.len <= size);
    return 0;
}
