/* SPDX-License-Identifier: Apache-2.0 */
/* What ends a stream or a connection, and what asks whether it has ended: RST_STREAM, GOAWAY, PING.
 */
#include "h2/session.h"

void h2_reset(struct h2 *h2, struct h2_stream *pub, uint32_t h2_error, bool blame_peer)
{
    struct stream *s = stream_of(pub);

    if (s->reset || h2->error.code != NEO_OK)
        return;
    s->reset = true;
    h2_check(h2, nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, pub->id, h2_error));
    h2_guard_chose_reset(&h2->guard);
    if (blame_peer && !h2_guard_blame(&h2->guard, h2->now))
        h2_stop(h2);
}

void h2_shutdown_notice(struct h2 *h2)
{
    if (h2->error.code == NEO_OK && h2->server)
        h2_check(h2, nghttp2_submit_shutdown_notice(h2->session));
}

void h2_goaway(struct h2 *h2, uint32_t h2_error, const char *debug)
{
    if (h2->error.code != NEO_OK)
        return;

    struct neo_bytes text = neo_text(debug);
    int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);
    int result =
        nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last, h2_error, text.at, text.len);
    h2_check(h2, result);
    if (result == 0 && h2_error != H2_NO_ERROR)
        h2->own_goaways++;
}

void h2_ping(struct h2 *h2, const uint8_t opaque[static 8])
{
    if (h2->error.code != NEO_OK)
        return;

    int result = nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, opaque);
    h2_check(h2, result);
    if (result == 0)
        h2->pings++;
}
