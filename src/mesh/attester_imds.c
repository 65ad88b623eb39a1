/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/attester_imds.h"

#include "attest/azure_hcl.h"
#include "attest/intel_quote.h"

#include <neo/encoding.h>
#include <neo/json.h>

#include <errno.h>
#include <strings.h>

#define SERVICE "169.254.169.254:80"

enum {
    CHUNK = 4096,
    ANSWER_MAX = 64 << 10,
    QUOTE_MAX = 24 << 10,
    JSON_ARENA = 256 << 10,
    TD_REPORT_DATA = 128, /* in a TDREPORT */
};

/* --- HTTP ------------------------------------------------------------------------------------- */

struct head {
    unsigned status;
    bool is_chunked;
    bool has_length;
    size_t length;
    size_t len; /* of the head, with its empty line */
};

/* Digits of `base`, all of `text`; false: it is no such number, or above `max`. */
static bool read_number(struct neo_bytes text, unsigned base, size_t max, size_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    size_t value = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i] >= 'A' && text.at[i] <= 'F' ? text.at[i] | 0x20 : text.at[i];
        const char *at = c == 0 ? NULL : strchr(digits, c);
        if (at == NULL || (unsigned)(at - digits) >= base)
            return false;
        value = value * base + (size_t)(at - digits);
        if (value > max)
            return false;
    }
    *ret = value;
    return text.len > 0;
}

static struct neo_bytes trimmed(struct neo_bytes text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = neo_bytes_from(text, 1);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static bool is_word(struct neo_bytes text, const char *word)
{
    return text.len == strlen(word) && strncasecmp((const char *)text.at, word, text.len) == 0;
}

/* A line up to CRLF, which is taken from `rest`; false: none ends there. */
static bool take_line(struct neo_bytes *rest, struct neo_bytes *ret)
{
    const uint8_t *end = memmem(rest->at, rest->len, "\r\n", 2);

    if (end == NULL)
        return false;
    *ret = neo_bytes(rest->at, (size_t)(end - rest->at));
    *rest = neo_bytes_from(*rest, ret->len + 2);
    return true;
}

static bool read_field(struct neo_bytes line, struct head *head)
{
    const uint8_t *colon = memchr(line.at, ':', line.len);

    if (colon == NULL || colon == line.at)
        return false;
    struct neo_bytes name = neo_bytes(line.at, (size_t)(colon - line.at));
    struct neo_bytes value = trimmed(neo_bytes_from(line, name.len + 1));
    if (is_word(name, "transfer-encoding")) {
        if (head->is_chunked || !is_word(value, "chunked"))
            return false;
        head->is_chunked = true;
    } else if (is_word(name, "content-length")) {
        if (head->has_length || !read_number(value, 10, ANSWER_MAX, &head->length))
            return false;
        head->has_length = true;
    } else if (is_word(name, "content-encoding")) {
        return is_word(value, "identity");
    }
    return true;
}

/* "HTTP/1.1 200 OK" */
static bool read_status(struct neo_bytes line, struct head *head)
{
    size_t status;

    if (!neo_bytes_starts(line, NEO_LIT("HTTP/1.")) || line.len < 12 || line.at[8] != ' ' ||
        (line.len > 12 && line.at[12] != ' ') ||
        !read_number(neo_bytes(line.at + 9, 3), 10, 999, &status))
        return false;
    head->status = (unsigned)status;
    return true;
}

static enum neo_code read_head(struct neo_bytes text, struct head *ret, struct neo_error *err)
{
    struct neo_bytes rest = text, line;
    struct head head = {.status = 0};

    if (memmem(text.at, text.len, "\r\n\r\n", 4) == NULL)
        return neo_fail(err, NEO_NOT_FOUND, "the head is not complete");
    if (!take_line(&rest, &line) || !read_status(line, &head))
        return neo_fail(err, NEO_DATA_LOSS, "an answer that is not HTTP/1");
    while (take_line(&rest, &line) && line.len > 0) {
        if (!read_field(line, &head))
            return neo_fail(err, NEO_DATA_LOSS, "an answer with a malformed field");
    }
    if (head.is_chunked && head.has_length)
        return neo_fail(err, NEO_DATA_LOSS, "an answer of two lengths");
    head.len = text.len - rest.len;
    *ret = head;
    return NEO_OK;
}

static enum neo_code read_chunks(struct neo_bytes rest, struct neo_buffer *out,
                                 struct neo_error *err)
{
    struct neo_bytes line;
    size_t len;

    while (take_line(&rest, &line)) {
        const uint8_t *extension = memchr(line.at, ';', line.len);
        if (extension != NULL)
            line.len = (size_t)(extension - line.at);
        if (!read_number(trimmed(line), 16, ANSWER_MAX, &len))
            return neo_fail(err, NEO_DATA_LOSS, "an answer with a malformed chunk");
        if (len == 0)
            return NEO_OK; /* whatever trails says nothing */
        if (rest.len < len + 2)
            break;
        if (memcmp(rest.at + len, "\r\n", 2) != 0)
            return neo_fail(err, NEO_DATA_LOSS, "an answer with a malformed chunk");
        if (!neo_buffer_append(out, neo_bytes(rest.at, len)))
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an answer");
        rest = neo_bytes_from(rest, len + 2);
    }
    return neo_fail(err, NEO_NOT_FOUND, "the body is not complete");
}

static enum neo_code read_body(struct neo_bytes rest, const struct head *head, bool is_whole,
                               struct neo_buffer *out, struct neo_error *err)
{
    if (head->is_chunked)
        return read_chunks(rest, out, err);
    if (head->has_length ? rest.len < head->length : !is_whole)
        return neo_fail(err, NEO_NOT_FOUND, "the body is not complete");
    if (head->has_length)
        rest.len = head->length;
    if (!neo_buffer_append(out, rest))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an answer");
    return NEO_OK;
}

enum neo_code imds_answer_read(struct neo_bytes text, bool is_whole, struct neo_buffer *ret_body,
                               struct neo_error *err)
{
    struct head head = {.status = 0};

    neo_buffer_clear(ret_body);
    NEO_TRY(read_head(text, &head, err));
    if (head.status == 429 || head.status >= 500)
        return neo_fail(err, NEO_UNAVAILABLE, "it answered %u: busy", head.status);
    if (head.status != 200)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "it refused with %u", head.status);
    return read_body(neo_bytes_from(text, head.len), &head, is_whole, ret_body, err);
}

/* --- the conversation ------------------------------------------------------------------------- */

struct line {
    struct attester_run *run;
    int fd;
};

static void line_close(struct line *l)
{
    if (l->fd >= 0)
        l->run->sys->close(l->run->sys, l->fd);
}

static const char *service_of(const struct attester_run *run)
{
    return run->options->metadata == NULL ? SERVICE : run->options->metadata;
}

static enum neo_code wait_for(struct line *l, bool to_read, struct neo_error *err)
{
    struct attester_sys *sys = l->run->sys;

    for (;;) {
        neo_nsec now = sys->now(sys);
        int ready = now >= l->run->until ? 0 : sys->wait(sys, l->fd, to_read, l->run->until - now);
        if (ready > 0)
            return NEO_OK;
        if (ready == 0)
            return neo_fail(err, NEO_DEADLINE_EXCEEDED, "no answer in time");
        if (errno != EINTR)
            return neo_fail_errno(err, "cannot wait");
    }
}

static enum neo_code connect_to(struct attester_run *run, struct line *ret, struct neo_error *err)
{
    ret->run = run;
    ret->fd = run->sys->connect(run->sys, service_of(run));
    if (ret->fd < 0)
        return neo_fail(err, NEO_UNAVAILABLE, "cannot connect: %s", strerrordesc_np(errno));
    NEO_TRY(wait_for(ret, false, err));
    if (run->sys->send(run->sys, ret->fd, "", 0) < 0) /* how the connecting ended */
        return neo_fail(err, NEO_UNAVAILABLE, "cannot connect: %s", strerrordesc_np(errno));
    return NEO_OK;
}

static enum neo_code send_all(struct line *l, struct neo_bytes bytes, struct neo_error *err)
{
    while (bytes.len > 0) {
        NEO_TRY(wait_for(l, false, err));
        ssize_t n = l->run->sys->send(l->run->sys, l->fd, bytes.at, bytes.len);
        if (n > 0)
            bytes = neo_bytes_from(bytes, (size_t)n);
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            return neo_fail(err, NEO_UNAVAILABLE, "cannot send: %s", strerrordesc_np(errno));
    }
    return NEO_OK;
}

static enum neo_code receive(struct line *l, struct neo_buffer *ret_body, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    enum neo_code code = NEO_NOT_FOUND;
    bool is_whole = false;

    while (code == NEO_NOT_FOUND && !is_whole) {
        uint8_t *at = neo_buffer_reserve(&text, CHUNK);
        if (at == NULL || text.len > ANSWER_MAX)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "an answer of more than %d bytes",
                            ANSWER_MAX);
        NEO_TRY(wait_for(l, true, err));
        ssize_t n = l->run->sys->read(l->run->sys, l->fd, at, CHUNK);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0)
            return neo_fail(err, NEO_UNAVAILABLE, "cannot receive: %s", strerrordesc_np(errno));
        text.len += (size_t)n;
        is_whole = n == 0;
        code = imds_answer_read(neo_buffer_bytes(&text), is_whole, ret_body, err);
    }
    return code == NEO_NOT_FOUND ? neo_fail(err, NEO_DATA_LOSS, "an answer that ends too early")
                                 : code;
}

static enum neo_code talk(struct attester_run *run, struct neo_bytes request,
                          struct neo_buffer *ret_body, struct neo_error *err)
{
    NEO_CLEANUP(line_close) struct line line = {.fd = -1};

    NEO_TRY(connect_to(run, &line, err));
    NEO_TRY(send_all(&line, request, err));
    return receive(&line, ret_body, err);
}

/* --- the quote -------------------------------------------------------------------------------- */

static enum neo_code write_request(const char *service, struct neo_bytes report,
                                   struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};

    if (!neo_buffer_append_text(&body, "{\"report\":\"") ||
        !neo_base64_encode(&body, report, NEO_BASE64_URL) ||
        !neo_buffer_append_text(&body, "\"}") ||
        !neo_buffer_printf(out,
                           "POST /acc/tdquote HTTP/1.1\r\nHost: %s\r\nMetadata: true\r\n"
                           "Content-Type: application/json\r\nAccept: application/json\r\n"
                           "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                           service, body.len) ||
        !neo_buffer_append(out, neo_buffer_bytes(&body)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a request");
    return NEO_OK;
}

/* {"quote": base64url}; members that are not known are left alone. */
static enum neo_code read_answer(struct neo_bytes body, struct neo_buffer *out,
                                 struct neo_error *err)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_bytes key, quote = {0};
    struct neo_json r;

    neo_arena_init(&arena, JSON_ARENA);
    neo_json_init(&r, body, "its answer", &arena);
    if (neo_json_enter_object(&r)) {
        while (neo_json_key(&r, &key)) {
            if (neo_bytes_is(key, "quote"))
                (void)neo_json_string(&r, &quote);
            else
                (void)neo_json_skip(&r);
        }
    }
    if (neo_json_finish(&r, err) != NEO_OK)
        return NEO_DATA_LOSS;
    if (neo_base64_decode(quote, out, NULL) != NEO_OK || out->len == 0 || out->len > QUOTE_MAX)
        return neo_fail(err, NEO_DATA_LOSS, "its answer has no \"quote\" in base64url");
    return NEO_OK;
}

/* Of this report, as far as that can be seen: another guest's would be judged to be another's. */
static enum neo_code check_quote(struct neo_bytes quote, struct neo_bytes report,
                                 struct neo_error *err)
{
    struct intel_quote q;
    struct neo_error why;

    if (intel_quote_read(quote, &q, &why) != NEO_OK || !q.is_tdx)
        return neo_fail(err, NEO_DATA_LOSS, "what it gave is no quote of a TD");
    if (memcmp(report.at + TD_REPORT_DATA, q.body.tdx.report_data, INTEL_REPORT_DATA_LEN) != 0)
        return neo_fail(err, NEO_DATA_LOSS, "what it gave is the quote of another report");
    return NEO_OK;
}

static enum neo_code fetch(struct attester_run *run, struct neo_bytes report,
                           struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer request = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};

    NEO_TRY(write_request(service_of(run), report, &request, err));
    NEO_TRY(talk(run, neo_buffer_bytes(&request), &body, err));
    NEO_TRY(read_answer(neo_buffer_bytes(&body), out, err));
    return check_quote(neo_buffer_bytes(out), report, err);
}

/* The same failure, and of what. */
static enum neo_code name(struct attester_run *run, enum neo_code code, const struct neo_error *why,
                          struct neo_error *err)
{
    if (code == NEO_OK)
        return NEO_OK;
    return neo_fail(err, code, "Azure's metadata service at %.40s: %.150s", service_of(run),
                    why->message);
}

enum neo_code imds_quote(struct attester_run *run, struct neo_bytes report, struct neo_buffer *out,
                         struct neo_error *err)
{
    struct neo_error why = {.code = NEO_OK};

    neo_buffer_clear(out);
    if (report.len != AZURE_TD_REPORT_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a TDREPORT of %zu bytes", report.len);
    return name(run, fetch(run, report, out, &why), &why, err);
}

enum neo_code imds_reach(struct attester_run *run, struct neo_error *err)
{
    NEO_CLEANUP(line_close) struct line line = {.fd = -1};
    struct neo_error why = {.code = NEO_OK};

    return name(run, connect_to(run, &line, &why), &why, err);
}
