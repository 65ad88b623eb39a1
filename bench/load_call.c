/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of bench_load: gRPC by hand on nghttp2. A call has succeeded when its trailers
 * say grpc-status 0 and as many bytes have come back as were sent.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 5, WINDOW = 64 * 1024 * 1024 };

struct call {
    uint64_t began;
    size_t sent;
    size_t back;
    bool ok;
};

static struct load *load; /* there is one */

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE        \
    }

static size_t put_varint(uint8_t *at, size_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        at[n++] = (uint8_t)(value | 0x80);
    at[n++] = (uint8_t)value;
    return n;
}

/* `size` bytes in field 1, behind gRPC's five. */
void message_make(struct load *l)
{
    uint8_t head[16] = {0x0a};
    size_t head_len = 1 + put_varint(head + 1, l->size);
    size_t body = head_len + l->size;

    load = l;
    l->message_len = PREFIX + body;
    l->message = malloc(l->message_len);
    if (l->message == NULL)
        die("memory");
    memset(l->message, 'x', l->message_len);
    l->message[0] = 0;
    for (size_t i = 0; i < 4; i++)
        l->message[1 + i] = (uint8_t)(body >> (8 * (3 - i)));
    memcpy(l->message + PREFIX, head, head_len);
}

static size_t total(void)
{
    return load->message_len * load->messages;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *at, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct call *call = source->ptr;
    size_t n = 0;

    (void)session;
    (void)id;
    (void)user;
    while (n < room && call->sent < total()) {
        size_t from = call->sent % load->message_len;
        size_t some = load->message_len - from < room - n ? load->message_len - from : room - n;
        memcpy(at + n, load->message + from, some);
        n += some;
        call->sent += some;
    }
    if (call->sent == total())
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

void call_start(struct load *l)
{
    static const nghttp2_nv headers[] = {
        NV(":method", "POST"),
        NV(":scheme", "https"),
        NV(":path", "/bench.Echo/Call"),
        NV(":authority", "localhost"),
        NV("content-type", "application/grpc"),
        NV("te", "trailers"),
        NV("user-agent", "bench_load"),
        NV("grpc-timeout", "60S"),
    };
    static const nghttp2_nv stream = NV(":path", "/bench.Echo/Stream");
    struct connection *c = &l->all[l->next];
    struct call *call = calloc(1, sizeof(*call));
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = on_read};
    nghttp2_nv fields[8];

    if (call == NULL)
        die("memory");
    l->next = (l->next + 1) % l->connections;
    l->started++;
    call->began = now_ns();
    memcpy(fields, headers, sizeof(headers));
    if (l->messages > 1)
        fields[2] = stream;
    if (nghttp2_submit_request(c->session, NULL, fields, 8, &body, call) < 0)
        die("nghttp2");
    if (l->connections > 1)
        connection_flush(c);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags;
    (void)user;
    if (call == NULL)
        return 0;
    if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        call->ok = value_len == 1 && value[0] == '0';
    else if (name_len == 12 && memcmp(name, "grpc-message", 12) == 0 && value_len > 0 &&
             !call->ok && load->failed == 0)
        (void)fprintf(stderr, "bench_load: %.*s\n", (int)value_len, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, id);

    (void)flags;
    (void)data;
    (void)user;
    if (call != NULL)
        call->back += len;
    return 0;
}

/* Another begins when this turn is over. */
static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, id);

    (void)user;
    (void)error; /* a server may reset with NO_ERROR what it has answered */
    if (call == NULL)
        return 0;
    load->took[load->done++] = (uint32_t)(now_ns() - call->began);
    load->failed += !call->ok || call->back != total();
    load->messages_back += call->back / load->message_len;
    free(call);
    load->to_start++;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *c = user;

    (void)session;
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        c->ready = true;
    return 0;
}

nghttp2_session *session_new(struct load *l, struct connection *c)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
    };
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;

    (void)l;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        die("nghttp2");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    if (nghttp2_session_client_new(&session, callbacks, c) != 0 ||
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW) != 0)
        die("nghttp2");
    nghttp2_session_callbacks_del(callbacks);
    return session;
}
