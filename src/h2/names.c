/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/names.h"

struct row {
    uint8_t use;
    bool begins; /* all names that begin so */
    uint8_t len;
    const char *text;
};

#define NAME(use, text)                                                                            \
    {                                                                                              \
        use, false, sizeof(text) - 1, text                                                         \
    }
#define ALL(use, text)                                                                             \
    {                                                                                              \
        use, true, sizeof(text) - 1, text                                                          \
    }

static const struct row rows[] = {
    /* Neo's */
    NAME(H2_NAME_RESERVED, "x-caller-id"),
    NAME(H2_NAME_RESERVED, "x-priority"),
    ALL(H2_NAME_RESERVED, "x-attestation-"),
    ALL(H2_NAME_RESERVED, "x-neo-caller-"),
    NAME(H2_NAME_RESERVED, "x-neo-admission"),
    NAME(H2_NAME_MADE, "x-neo-criticality"),
    NAME(H2_NAME_MADE, "x-deadline-ms"),
    NAME(H2_NAME_MADE, "x-trace-id"),
    ALL(H2_NAME_KNOWN, "x-neo-"),
    /* gRPC's */
    ALL(H2_NAME_RESERVED, "grpc-"),
    NAME(H2_NAME_RESERVED, "content-type"),
    NAME(H2_NAME_RESERVED, "te"),
    NAME(H2_NAME_MADE, "user-agent"),
    NAME(H2_NAME_KNOWN, "endpoint-load-metrics-bin"),
    /* HTTP's: what belongs to one connection, and says how bodies are read */
    NAME(H2_NAME_RESERVED, "connection"),
    NAME(H2_NAME_RESERVED, "keep-alive"),
    NAME(H2_NAME_RESERVED, "proxy-connection"),
    NAME(H2_NAME_RESERVED, "transfer-encoding"),
    NAME(H2_NAME_RESERVED, "upgrade"),
    NAME(H2_NAME_RESERVED, "host"),
    NAME(H2_NAME_RESERVED, "content-length"),
    NAME(H2_NAME_KNOWN, "content-encoding"),
    NAME(H2_NAME_KNOWN, "accept-encoding"),
    NAME(H2_NAME_KNOWN, "set-cookie"),
    NAME(H2_NAME_KNOWN, "www-authenticate"),
    /* W3C's trace context */
    NAME(H2_NAME_MADE, "traceparent"),
    NAME(H2_NAME_MADE, "tracestate"),
    /* who somebody is, and where he came from, in the words of proxies */
    NAME(H2_NAME_RESERVED, "x-forwarded-client-cert"),
    ALL(H2_NAME_KNOWN, "x-forwarded-"),
    ALL(H2_NAME_KNOWN, "x-original-"),
    ALL(H2_NAME_KNOWN, "x-envoy-"),
    ALL(H2_NAME_KNOWN, "x-client-cert"),
    ALL(H2_NAME_KNOWN, "x-ssl-"),
    ALL(H2_NAME_KNOWN, "ssl-client-"),
    ALL(H2_NAME_KNOWN, "proxy-"),
    NAME(H2_NAME_KNOWN, "x-real-ip"),
    NAME(H2_NAME_KNOWN, "forwarded"),
    NAME(H2_NAME_KNOWN, "authorization"),
};

static bool is_row(struct neo_bytes name, const struct row *row)
{
    if (row->begins ? name.len < row->len : name.len != row->len)
        return false;
    for (size_t i = 0; i < row->len; i++)
        if ((name.at[i] == '_' ? '-' : (char)name.at[i]) != row->text[i])
            return false;
    return true;
}

unsigned h2_name_use(struct neo_bytes name)
{
    unsigned use = 0;

    for (size_t i = 0; i < NEO_COUNT(rows); i++)
        if (is_row(name, &rows[i]))
            use |= rows[i].use;
    if (use != 0 && memchr(name.at, '_', name.len) != NULL)
        return H2_NAME_FALSE;
    return use;
}
