/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client may send to the HTTP/2 server engine behind its preface. The first
 * byte of the input says how the rest is cut, so that partial frames are met too.
 *
 * Targets: h2_feed, h2_pull, h2_guard_scan, the grammar of requests.
 */
#include "h2/h2.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t open_calls;

static void answer(struct h2 *h2, struct h2_stream *s)
{
    const struct h2_header type = {NEO_LIT("content-type"), NEO_LIT("application/grpc")};
    const struct h2_header status = {NEO_LIT("grpc-status"), NEO_LIT("0")};

    if (s->user != NULL || h2_respond(h2, s, 200, &type, 1, false, NULL) != NEO_OK)
        return;
    s->user = h2;
    if (!h2_send(h2, s, s->path) || h2_send_trailers(h2, s, &status, 1, NULL) != NEO_OK)
        h2_reset(h2, s, H2_INTERNAL_ERROR, false);
}

static void on_headers(struct h2 *h2, struct h2_stream *s, bool end)
{
    open_calls++;
    assert(s->path.len > 3 && s->path.at[0] == '/'); /* the grammar's promise */
    assert(s->authority.len > 0 && s->headers.len <= 100);
    assert(memchr(s->path.at, '.', 1) == NULL);
    if (end)
        answer(h2, s);
}

static void on_data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    if (bytes.len > 0 && bytes.at[0] == 'r')
        h2_reset(h2, s, H2_CANCEL, bytes.at[bytes.len - 1] == 'b');
    h2_consume(h2, s, bytes.len);
}

static void on_close(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    (void)h2;
    (void)s;
    (void)h2_error;
    assert(open_calls > 0);
    open_calls--;
}

static const struct h2_events events = {
    .headers = on_headers,
    .data = on_data,
    .trailers = answer,
    .ended = answer,
    .closed = on_close,
};

static void run(struct h2 *h2, struct neo_bytes in, size_t cut)
{
    struct neo_buffer out = {0};
    enum neo_code code = NEO_OK;
    neo_nsec now = 0;

    while (in.len > 0 && code == NEO_OK) {
        size_t len = in.len < cut ? in.len : cut;
        code = h2_feed(h2, neo_bytes(in.at, len), now, NULL);
        code = code == NEO_OK ? h2_pull(h2, 4096, now, &out, NULL) : code;
        neo_buffer_clear(&out);
        in = neo_bytes_from(in, len);
        now += NEO_NSEC_PER_MSEC;
        assert(h2_memory(h2) < 8 << 20);
    }
    if (code != NEO_OK)
        assert(h2_pull(h2, 4096, now, &out, NULL) == code);
    neo_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const struct h2_options options = {.server = true, .events = &events};
    struct h2 *h2;

    if (size < 2 || h2_new(&options, 0, &h2, NULL) != NEO_OK)
        return 0;
    open_calls = 0;
    run(h2, neo_bytes(preface, sizeof(preface) - 1), 100);
    run(h2, neo_bytes(data + 1, size - 1), data[0] == 0 ? size : data[0]);
    h2_free(h2);
    assert(open_calls == 0);
    return 0;
}
