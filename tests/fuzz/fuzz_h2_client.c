/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server may send to the HTTP/2 client engine, to which three calls are
 * open: one half closed, one sending, one waiting in the queue.
 *
 * Targets: h2_feed, h2_pull, h2_guard_scan.
 */
#include "h2/h2.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t open_calls;

static void on_headers(struct h2 *h2, struct h2_stream *s, bool end)
{
    (void)h2;
    (void)end;
    assert(s->status >= 200 && s->status <= 999 && s->headers.len <= 100);
}

static void on_data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    assert(s->status != 0);
    if (bytes.len > 0 && bytes.at[0] == 'r')
        h2_reset(h2, s, H2_CANCEL, false);
    h2_consume(h2, s, bytes.len);
}

static void on_trailers(struct h2 *h2, struct h2_stream *s)
{
    (void)h2;
    assert(s->remote_ended && s->trailers.len <= 100);
}

static void on_end(struct h2 *h2, struct h2_stream *s)
{
    (void)h2;
    assert(s->remote_ended);
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
    .trailers = on_trailers,
    .ended = on_end,
    .closed = on_close,
};

static void call(struct h2 *h2, bool end)
{
    const struct h2_header te = {NEO_LIT("te"), NEO_LIT("trailers")};
    struct h2_stream *s;

    if (h2_request(h2, NEO_LIT("/a.B/C"), NEO_LIT("h"), &te, 1, NULL, &s, NULL) != NEO_OK)
        return;
    open_calls++;
    (void)h2_send(h2, s, NEO_LIT("\0\0\0\0\0"));
    if (end)
        h2_send_end(h2, s);
}

static void run(struct h2 *h2, struct neo_bytes in, size_t cut)
{
    struct neo_buffer out = {0};
    enum neo_code code = h2_pull(h2, 4096, 0, &out, NULL);
    neo_nsec now = 0;

    call(h2, true);
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
    const struct h2_options options = {.events = &events};
    struct h2 *h2;

    if (size < 2 || h2_new(&options, 0, &h2, NULL) != NEO_OK)
        return 0;
    open_calls = 0;
    call(h2, true);
    call(h2, false);
    run(h2, neo_bytes(data + 1, size - 1), data[0] == 0 ? size : data[0]);
    h2_free(h2);
    assert(open_calls == 0);
    return 0;
}
