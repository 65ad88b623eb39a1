/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is accepted can be put together again to the very same bytes, and holds no odd one. */
#include <neo/spiffe.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_bytes uri = neo_bytes(data, size);
    struct neo_spiffe_id id;
    size_t len = 9;

    if (neo_spiffe_parse(uri, &id, NULL) != NEO_OK)
        return 0;
    must(size <= 2048 && neo_bytes_starts(uri, NEO_LIT("spiffe://")));
    must(neo_is_trust_domain(id.trust_domain));
    must(id.trust_domain.at == data + len);
    len += id.trust_domain.len;
    if (id.service.len > 0) {
        must(neo_is_service_name(id.service));
        must(data[len] == '/' && id.service.at == data + len + 1);
        len += 1 + id.service.len;
    }
    must(len == size);
    return 0;
}
