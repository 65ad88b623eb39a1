/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/pattern.h"

enum { LONGEST_SERVICE = 128, LONGEST_METHOD = 64 };

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The grammar of a path on the wire, so that no rule speaks of what cannot be called. */
static bool is_name(struct neo_bytes name, size_t longest, bool dots)
{
    if (name.len == 0 || name.len > longest || !is_letter(name.at[0]))
        return false;
    for (size_t i = 1; i < name.len; i++)
        if (!is_letter(name.at[i]) && !is_digit(name.at[i]) && !(dots && name.at[i] == '.'))
            return false;
    return true;
}

bool pattern_parse(struct neo_bytes text, struct pattern *ret)
{
    struct pattern p = {.method = text};
    const uint8_t *slash = text.len == 0 ? NULL : memchr(text.at, '/', text.len);

    if (slash != NULL) {
        p.service = neo_bytes(text.at, (size_t)(slash - text.at));
        p.method = neo_bytes_from(text, p.service.len + 1);
        if (!is_name(p.service, LONGEST_SERVICE, true))
            return false;
    }
    if (p.method.len > 0 && p.method.at[p.method.len - 1] == '*') {
        p.is_prefix = true;
        p.method.len--;
    }
    if (!(p.is_prefix && p.method.len == 0) && !is_name(p.method, LONGEST_METHOD, false))
        return false;
    *ret = p;
    return true;
}

bool pattern_matches(const struct pattern *p, struct neo_bytes service, struct neo_bytes method)
{
    if (p->service.len > 0 && !neo_bytes_equal(p->service, service))
        return false;
    return p->is_prefix ? neo_bytes_starts(method, p->method) : neo_bytes_equal(p->method, method);
}

bool pattern_covers(const struct pattern *outer, const struct pattern *inner)
{
    if (outer->service.len > 0 && !neo_bytes_equal(outer->service, inner->service))
        return false;
    if (!outer->is_prefix)
        return !inner->is_prefix && neo_bytes_equal(outer->method, inner->method);
    return neo_bytes_starts(inner->method, outer->method);
}

int pattern_compare_names(struct neo_bytes a, struct neo_bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}
