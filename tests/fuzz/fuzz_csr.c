/* SPDX-License-Identifier: Apache-2.0 */
/* Of a request only its key comes out, as the very bytes that stood in it; of a refused one
 * nothing. */
#include <neo/cert.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_buffer spki = {0};
    struct neo_error err = {0};
    enum neo_code code = neo_csr_check(neo_bytes(data, size), &spki, &err);

    if (code == NEO_OK) {
        must(size <= 4096 && (spki.len == 91 || spki.len == 120 || spki.len == 44));
        must(memmem(data, size, spki.at, spki.len) != NULL);
    } else {
        must(code == err.code && spki.len == 0);
        must(code == NEO_INVALID_ARGUMENT || code == NEO_UNAUTHENTICATED);
    }
    neo_buffer_fini(&spki);
    return 0;
}
