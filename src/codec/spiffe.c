/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/spiffe.h>

enum { LONGEST_URI = 2048, LONGEST_TRUST_DOMAIN = 255, LONGEST_SERVICE = 63 };

static bool is_name_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-';
}

bool neo_is_service_name(struct neo_bytes name)
{
    if (name.len == 0 || name.len > LONGEST_SERVICE)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_name_byte(name.at[i]))
            return false;
    return true;
}

/* An empty label would make "neo.local." and "neo.local" two names that people read as one. */
bool neo_is_trust_domain(struct neo_bytes name)
{
    bool in_label = false;

    if (name.len == 0 || name.len > LONGEST_TRUST_DOMAIN)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] == '.' ? !in_label : !is_name_byte(name.at[i]))
            return false;
        in_label = name.at[i] != '.';
    }
    return in_label;
}

/* The run up to `byte`, or all of it. */
static struct neo_bytes up_to(struct neo_bytes text, uint8_t byte)
{
    const uint8_t *found = text.len == 0 ? NULL : memchr(text.at, byte, text.len);

    return found == NULL ? text : neo_bytes(text.at, (size_t)(found - text.at));
}

enum neo_code neo_spiffe_parse(struct neo_bytes uri, struct neo_spiffe_id *ret,
                               struct neo_error *err)
{
    struct neo_bytes scheme = NEO_LIT("spiffe://");
    struct neo_spiffe_id id = {0};

    if (uri.len > LONGEST_URI)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "identity has %zu bytes; at most %d are allowed",
                        uri.len, LONGEST_URI);
    if (!neo_bytes_starts(uri, scheme))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "identity does not begin with spiffe:// in lower case");
    struct neo_bytes rest = neo_bytes_from(uri, scheme.len);

    id.trust_domain = up_to(rest, '/');
    if (!neo_is_trust_domain(id.trust_domain))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "identity has no valid trust domain: 1 to %d of a-z 0-9 . - "
                        "without empty labels",
                        LONGEST_TRUST_DOMAIN);
    if (id.trust_domain.len < rest.len) {
        id.service = neo_bytes_from(rest, id.trust_domain.len + 1);
        if (!neo_is_service_name(id.service))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "identity has no valid service: one path segment of 1 to %d "
                            "of a-z 0-9 -",
                            LONGEST_SERVICE);
    }
    *ret = id;
    return NEO_OK;
}
