/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's signed JSON. What is read is whole, and its signed text is part of what came. */
#include "attest/intel_collateral.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct intel_document d;
    struct neo_arena arena;

    neo_arena_init(&arena, 4 << 20);
    if (intel_document_read(neo_bytes(data, size), "fuzz", &arena, &d, NULL) == NEO_OK) {
        must(d.signed_text.len > 1 && d.signed_text.len < size);
        must(d.signed_text.at[0] == '{' && d.signed_text.at[d.signed_text.len - 1] == '}');
        must(d.levels.n > 0);
        for (size_t i = 0; i < d.levels.n; i++)
            must(d.levels.at[i].status < INTEL_STATUSES_N);
        must(d.kind != INTEL_TCB_TDX || d.has_module);
    }
    neo_arena_fini(&arena);
    return 0;
}
