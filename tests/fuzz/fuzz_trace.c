/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/trace.h>

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_trace t, again;
    char text[NEO_TRACEPARENT_LEN + 1];

    if (!neo_trace_parse(neo_bytes(data, size), &t))
        return 0;
    neo_trace_format(&t, text);
    assert(neo_trace_parse(neo_text(text), &again));
    assert(memcmp(&t, &again, sizeof(t)) == 0);
    assert(memcmp(data + 2, text + 2, NEO_TRACEPARENT_LEN - 4) == 0);
    return 0;
}
