/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/reason.h>

static const struct {
    const char *name;
    const char *text;
    enum neo_code code;
} rows[NEO_REASON_COUNT] = {[NEO_REASON_NONE] = {"", "", NEO_UNKNOWN},
#define X(name, code, text) [NEO_REASON_##name] = {#name, text, NEO_##code},
                            NEO_REASONS(X)
#undef X
};

const char *neo_reason_name(enum neo_reason reason)
{
    return rows[reason].name;
}

const char *neo_reason_text(enum neo_reason reason)
{
    return rows[reason].text;
}

enum neo_code neo_reason_code(enum neo_reason reason)
{
    return rows[reason].code;
}
