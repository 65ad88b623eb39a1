/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire.h"

#include "h2/names.h"

#include <neo/encoding.h>

enum { MESSAGE_SHOWN = 1024, TIMEOUT_DIGITS = 8 };

/* No timeout is longer: 99999999 hours would not fit in 64 bits of nanoseconds. */
#define TIMEOUT_MAX (UINT64_MAX / 4)

/* --- timeouts ---------------------------------------------------------------------------- */

/* Finest first. */
static const struct {
    char letter;
    neo_nsec length;
} units[] = {
    {'n', 1},
    {'u', 1000},
    {'m', NEO_NSEC_PER_MSEC},
    {'S', NEO_NSEC_PER_SEC},
    {'M', 60 * NEO_NSEC_PER_SEC},
    {'H', 3600 * NEO_NSEC_PER_SEC},
};

static neo_nsec unit_length(uint8_t letter)
{
    for (size_t i = 0; i < NEO_COUNT(units); i++)
        if (units[i].letter == (char)letter)
            return units[i].length;
    return 0;
}

/* At most eight digits and nothing else. */
static bool read_digits(struct neo_bytes text, uint64_t *ret)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > TIMEOUT_DIGITS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.at[i] - '0');
    }
    *ret = value;
    return true;
}

enum neo_code wire_timeout_parse(struct neo_bytes text, neo_nsec *ret, struct neo_error *err)
{
    neo_nsec unit = text.len == 0 ? 0 : unit_length(text.at[text.len - 1]);
    uint64_t digits;

    if (unit == 0 || !read_digits(neo_bytes(text.at, text.len - 1), &digits))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "grpc-timeout '%.*s' is not 1 to 8 digits and one of H M S m u n",
                        NEO_FMT(text));
    *ret = digits > TIMEOUT_MAX / unit ? TIMEOUT_MAX : digits * unit;
    return NEO_OK;
}

/* Rounded up: a call never gets less than was asked. */
static uint64_t timeout_in(uint64_t unit, neo_nsec timeout)
{
    return timeout / unit + (timeout % unit != 0);
}

size_t wire_decimal(uint64_t value, char ret[static WIRE_DECIMAL_LEN])
{
    size_t len = 1;
    uint64_t rest = value;

    while (rest >= 10) {
        rest /= 10;
        len++;
    }
    for (size_t i = len; i > 0; i--, value /= 10)
        ret[i - 1] = (char)('0' + value % 10);
    return len;
}

size_t wire_timeout_format(neo_nsec timeout, char ret[static WIRE_TIMEOUT_LEN])
{
    size_t i = 0;
    uint64_t digits = timeout_in(units[0].length, timeout);
    char text[WIRE_DECIMAL_LEN];

    while (digits > 99999999 && i + 1 < NEO_COUNT(units))
        digits = timeout_in(units[++i].length, timeout);
    size_t len = wire_decimal(digits, text);
    len = len < WIRE_TIMEOUT_LEN ? len : WIRE_TIMEOUT_LEN - 1;
    memcpy(ret, text, len);
    ret[len] = units[i].letter;
    return len + 1;
}

/* --- grpc-message ------------------------------------------------------------------------ */

static const char upper_hex[] = "0123456789ABCDEF";

/* Spaces at the edges are escaped too: some engines drop or refuse them. */
static bool is_plain(struct neo_bytes text, size_t i)
{
    if (text.at[i] == ' ')
        return i != 0 && i + 1 != text.len;
    return text.at[i] > 0x20 && text.at[i] < 0x7f && text.at[i] != '%';
}

static const struct neo_bytes cut_mark = {(const uint8_t *)"...", 3};

/* How much of a text that is too long is kept: not cut within a character of UTF-8, where there is
 * a whole one. */
static size_t kept_len(struct neo_bytes text)
{
    const size_t most = MESSAGE_SHOWN - cut_mark.len;
    size_t len = most;

    while (len > most - 4 && (text.at[len] & 0xc0) == 0x80)
        len--;
    return (text.at[len] & 0xc0) == 0x80 ? most : len;
}

struct neo_bytes wire_message_shown(struct neo_bytes text, struct neo_arena *arena)
{
    if (text.len <= MESSAGE_SHOWN)
        return text;
    size_t len = kept_len(text);
    uint8_t *at = neo_arena_alloc(arena, len + cut_mark.len);
    if (at == NULL)
        return neo_bytes(text.at, len);
    memcpy(at, text.at, len);
    memcpy(at + len, cut_mark.at, cut_mark.len);
    return neo_bytes(at, len + cut_mark.len);
}

struct neo_bytes wire_message_encode(struct neo_bytes text, struct neo_arena *arena)
{
    size_t plain = 0;

    text = wire_message_shown(text, arena);
    while (plain < text.len && is_plain(text, plain))
        plain++;
    if (plain == text.len)
        return neo_arena_copy(arena, text);

    uint8_t *at = neo_arena_alloc(arena, 3 * text.len);
    size_t len = 0;
    if (at == NULL)
        return (struct neo_bytes){0};
    for (size_t i = 0; i < text.len; i++) {
        if (is_plain(text, i)) {
            at[len++] = text.at[i];
            continue;
        }
        at[len++] = '%';
        at[len++] = (uint8_t)upper_hex[text.at[i] >> 4];
        at[len++] = (uint8_t)upper_hex[text.at[i] & 15];
    }
    return neo_bytes(at, len);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* No further than is shown. */
struct neo_bytes wire_message_decode(struct neo_bytes text, struct neo_arena *arena)
{
    size_t most = text.len <= MESSAGE_SHOWN ? text.len : (size_t)MESSAGE_SHOWN + 1;
    uint8_t *at = neo_arena_alloc(arena, most + 1);
    size_t len = 0;

    if (at == NULL)
        return (struct neo_bytes){0};
    for (size_t i = 0; i < text.len && len < most; i++) {
        int high = text.at[i] == '%' && i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_value(text.at[i + 2]);
        if (low < 0) {
            at[len++] = text.at[i];
            continue;
        }
        at[len++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    if (len > MESSAGE_SHOWN) {
        len = kept_len(neo_bytes(at, len));
        memcpy(at + len, cut_mark.at, cut_mark.len);
        len += cut_mark.len;
    }
    return neo_bytes(at, len);
}

/* --- names ------------------------------------------------------------------------------- */

struct neo_bytes wire_header(struct h2_headers headers, const char *name)
{
    struct neo_bytes found = {0};
    size_t len = strlen(name);

    for (size_t i = 0; i < headers.len; i++) {
        const struct h2_header *h = &headers.at[i];
        if (h->name.len != len || memcmp(h->name.at, name, len) != 0)
            continue;
        if (found.at != NULL)
            return (struct neo_bytes){0};
        found = h->value.at != NULL ? h->value : NEO_LIT("");
    }
    return found;
}

bool wire_is_reserved(struct neo_bytes name)
{
    return name.len == 0 || name.at[0] == ':' ||
           (h2_name_use(name) & (H2_NAME_RESERVED | H2_NAME_FALSE)) != 0;
}

/* --- statuses ---------------------------------------------------------------------------- */

static const char *const status_digits[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                            "9", "10", "11", "12", "13", "14", "15", "16"};

struct fields {
    struct h2_header *at;
    size_t len;
    size_t max;
};

static void add_field(struct fields *f, struct neo_bytes name, struct neo_bytes value)
{
    if (f->len < f->max)
        f->at[f->len++] = (struct h2_header){name, value};
}

static struct neo_bytes details_of(const struct neo_status *status, struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    if (!neo_status_encode(status, &wire) ||
        !neo_base64_encode(&text, neo_buffer_bytes(&wire), NEO_BASE64_UNPADDED))
        return (struct neo_bytes){0};
    return neo_arena_copy(arena, neo_buffer_bytes(&text));
}

static void add_details(struct fields *f, const struct neo_status *status, struct neo_arena *arena)
{
    if (status->message.len > 0)
        add_field(f, NEO_LIT("grpc-message"), wire_message_encode(status->message, arena));

    struct neo_bytes details = details_of(status, arena);
    if (details.len > 0)
        add_field(f, NEO_LIT("grpc-status-details-bin"), details);
    if (status->retry_after > 0) {
        uint64_t msec = (status->retry_after + NEO_NSEC_PER_MSEC - 1) / NEO_NSEC_PER_MSEC;
        uint64_t shown = msec < INT32_MAX ? msec : INT32_MAX;
        char *text = neo_arena_printf(arena, "%llu", (unsigned long long)shown);
        if (text != NULL)
            add_field(f, NEO_LIT("grpc-retry-pushback-ms"), neo_text(text));
    }
}

size_t wire_status_headers(const struct neo_status *status, const struct h2_header *extra,
                           size_t n_extra, struct neo_arena *arena, struct h2_header *ret,
                           size_t max)
{
    struct fields f = {.at = ret, .max = max};
    size_t code = (size_t)status->code < NEO_COUNT(status_digits) ? (size_t)status->code
                                                                  : (size_t)NEO_UNKNOWN;

    if (code == NEO_OK) {
        add_field(&f, h2_status_ok.name, h2_status_ok.value);
    } else {
        struct neo_status said = *status; /* the text twice, and alike */
        said.message = wire_message_shown(status->message, arena);
        add_field(&f, NEO_LIT("grpc-status"), neo_text(status_digits[code]));
        add_details(&f, &said, arena);
    }
    for (size_t i = 0; i < n_extra; i++)
        add_field(&f, extra[i].name, extra[i].value);
    return f.len;
}

static enum neo_code code_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return NEO_INTERNAL;
    case 401:
        return NEO_UNAUTHENTICATED;
    case 403:
        return NEO_PERMISSION_DENIED;
    case 404:
        return NEO_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return NEO_UNAVAILABLE;
    default:
        return NEO_UNKNOWN;
    }
}

/* Decimal, no leading zeros; anything else is UNKNOWN. */
static enum neo_code code_of_text(struct neo_bytes text)
{
    for (size_t i = 0; i < NEO_COUNT(status_digits); i++)
        if (neo_bytes_is(text, status_digits[i]))
            return (enum neo_code)i;
    return NEO_UNKNOWN;
}

static struct neo_status status_without_code(int http_status, struct neo_arena *arena)
{
    const char *text =
        neo_arena_printf(arena, "the response has no grpc-status (HTTP status %d)", http_status);

    return neo_status_of(code_of_http(http_status), text);
}

/* The details, when they are there, well-formed and of the same code; else nothing but the code. */
static struct neo_status read_details(struct h2_headers trailers, enum neo_code code,
                                      struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_status bare = {.code = code, .processed = true};
    struct neo_status status;
    struct neo_bytes text = wire_header(trailers, "grpc-status-details-bin");

    if (text.len == 0 || neo_base64_decode(text, &wire, NULL) != NEO_OK)
        return bare;
    struct neo_bytes details = neo_arena_copy(arena, neo_buffer_bytes(&wire));
    if (neo_status_decode(details, arena, &status, NULL) != NEO_OK || status.code != code)
        return bare;
    status.details = details;
    status.message = wire_message_shown(status.message, arena);
    return status;
}

struct neo_status wire_status_read(struct h2_headers trailers, int http_status,
                                   struct neo_arena *arena)
{
    struct neo_bytes number = wire_header(trailers, "grpc-status");

    if (number.at == NULL)
        return status_without_code(http_status, arena);

    struct neo_status status = read_details(trailers, code_of_text(number), arena);
    struct neo_bytes message = wire_header(trailers, "grpc-message");
    if (message.at != NULL)
        status.message = wire_message_decode(message, arena);

    uint64_t msec;
    if (status.retry_after == 0 &&
        read_digits(wire_header(trailers, "grpc-retry-pushback-ms"), &msec))
        status.retry_after = msec * NEO_NSEC_PER_MSEC;
    return status;
}

/* gRPC over HTTP/2, "Errors"; what it does not name is INTERNAL, as are codes of nobody. */
static const struct {
    enum neo_code code;
    const char *text;
} resets[] = {
    [H2_NO_ERROR] = {NEO_INTERNAL, "the server ended the stream without a status"},
    [H2_PROTOCOL_ERROR] = {NEO_INTERNAL, "the server reset the stream: PROTOCOL_ERROR"},
    [H2_INTERNAL_ERROR] = {NEO_INTERNAL, "the server reset the stream: INTERNAL_ERROR"},
    [H2_FLOW_CONTROL_ERROR] = {NEO_INTERNAL, "the server reset the stream: FLOW_CONTROL_ERROR"},
    [H2_SETTINGS_TIMEOUT] = {NEO_INTERNAL, "the server reset the stream: SETTINGS_TIMEOUT"},
    [H2_STREAM_CLOSED] = {NEO_INTERNAL, "the server reset the stream: STREAM_CLOSED"},
    [H2_FRAME_SIZE_ERROR] = {NEO_INTERNAL, "the server reset the stream: FRAME_SIZE_ERROR"},
    [H2_REFUSED_STREAM] = {NEO_UNAVAILABLE, "the server refused the stream unprocessed"},
    [H2_CANCEL] = {NEO_CANCELLED, "the server cancelled the stream"},
    [H2_COMPRESSION_ERROR] = {NEO_INTERNAL, "the server reset the stream: COMPRESSION_ERROR"},
    [H2_CONNECT_ERROR] = {NEO_INTERNAL, "the server reset the stream: CONNECT_ERROR"},
    [H2_ENHANCE_YOUR_CALM] = {NEO_RESOURCE_EXHAUSTED, "the server asks to be calm"},
    [H2_INADEQUATE_SECURITY] = {NEO_PERMISSION_DENIED, "the server finds the security inadequate"},
    [H2_HTTP_1_1_REQUIRED] = {NEO_INTERNAL, "the server reset the stream: HTTP_1_1_REQUIRED"},
};

struct neo_status wire_status_of_reset(uint32_t h2_error)
{
    struct neo_status status;

    if (h2_error >= NEO_COUNT(resets))
        return neo_status_of(NEO_INTERNAL, "the server reset the stream with an unknown code");
    status = neo_status_of(resets[h2_error].code, resets[h2_error].text);
    status.processed = h2_error != H2_REFUSED_STREAM;
    return status;
}
