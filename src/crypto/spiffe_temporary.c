/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in until the codec room's spiffe.c is here; to be dropped then. */
#include <neo/spiffe.h>

static bool is_all(struct neo_bytes text, const char *allowed, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == 0 || strchr(allowed, text.at[i]) == NULL)
            return false;
    }
    return text.len > 0 && text.len <= max;
}

bool neo_is_service_name(struct neo_bytes name)
{
    return is_all(name, "abcdefghijklmnopqrstuvwxyz0123456789-", 63);
}

bool neo_is_trust_domain(struct neo_bytes name)
{
    return is_all(name, "abcdefghijklmnopqrstuvwxyz0123456789.-", 255);
}

enum neo_code neo_spiffe_parse(struct neo_bytes uri, struct neo_spiffe_id *ret,
                               struct neo_error *err)
{
    struct neo_bytes scheme = NEO_LIT("spiffe://");
    struct neo_bytes rest = neo_bytes_from(uri, scheme.len);
    const uint8_t *slash = rest.len == 0 ? NULL : memchr(rest.at, '/', rest.len);
    struct neo_spiffe_id id = {.trust_domain = rest};

    if (slash != NULL) {
        id.trust_domain.len = (size_t)(slash - rest.at);
        id.service = neo_bytes_from(rest, id.trust_domain.len + 1);
    }
    if (!neo_bytes_starts(uri, scheme) || uri.len > 2048 || !neo_is_trust_domain(id.trust_domain) ||
        (slash != NULL && !neo_is_service_name(id.service)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "not a SPIFFE id");
    *ret = id;
    return NEO_OK;
}
