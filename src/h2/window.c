/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a peer may have under way to us.
 *
 * A window that is too small for the path makes the peer wait for each of our credits; one
 * that is large from the start lets every stream fill it before anybody has looked. So it
 * begins small, and doubles for a stream whose owner has taken whole windows of it within
 * moments: until it holds what passes in that time, or the limit is reached. Bytes that nobody
 * consumes never make it grow.
 */
#include "h2/session.h"

#define MOMENT (100 * NEO_NSEC_PER_MSEC)

enum {
    CREDIT_SHARE = 8, /* credit is told when it is this part of the window */
    WHOLE_WINDOWS = 2,
    CONNECTION_SHARE = 4, /* the connection holds as many of its largest stream window */
};

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void grow_connection(struct h2 *h2, uint32_t stream_window)
{
    uint32_t wanted = smaller(stream_window * CONNECTION_SHARE, h2->limits.connection_window_most);

    if (wanted <= h2->window)
        return;
    h2->window = wanted;
    h2_check(h2, nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                       (int32_t)wanted));
}

static void grow(struct h2 *h2, struct stream *s)
{
    s->window = smaller(s->window * 2, h2->limits.stream_window_most);
    h2_check(h2, nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, s->pub.id,
                                                       (int32_t)s->window));
    grow_connection(h2, s->window);
}

static void flush_stream(struct h2 *h2, struct stream *s)
{
    s->taken += s->credit;
    h2_check(h2, nghttp2_session_consume_stream(h2->session, s->pub.id, s->credit));
    s->credit = 0;
    if (s->taken < (size_t)WHOLE_WINDOWS * s->window)
        return;
    if (h2->now - s->taken_since < MOMENT && s->window < h2->limits.stream_window_most)
        grow(h2, s);
    s->taken = 0;
    s->taken_since = h2->now;
}

void h2_flush_credit(struct h2 *h2)
{
    if (h2->credit < h2->window / CREDIT_SHARE)
        return;

    size_t n = h2->credit;
    h2->credit = 0;
    h2_check(h2, nghttp2_session_consume_connection(h2->session, n));
}

void h2_discard(struct h2 *h2, size_t n)
{
    h2->credit += n;
}

void h2_consume(struct h2 *h2, struct h2_stream *pub, size_t n)
{
    struct stream *s = stream_of(pub);

    if (n > s->unconsumed)
        n = s->unconsumed;
    s->unconsumed -= n;
    s->credit += n;
    h2->credit += n;
    if (s->credit >= s->window / CREDIT_SHARE && !pub->remote_ended && h2->error.code == NEO_OK)
        flush_stream(h2, s);
}

void h2_windows(const struct h2 *h2, int32_t *ret_out, int32_t *ret_in)
{
    *ret_out = nghttp2_session_get_remote_window_size(h2->session);
    *ret_in = nghttp2_session_get_local_window_size(h2->session);
}
