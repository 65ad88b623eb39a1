/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain page: suites that test HTTP/2 as such ask for "/" and want 200 and some
 * bytes. It exists for them alone (h2_limits.plain_page), is answered without the
 * owner's knowledge, and excuses nothing else: any other request must be gRPC.
 */
#include "h2/session.h"

bool h2_is_plain(struct h2 *h2, struct stream *s)
{
    const struct block *b = &h2->block;

    s->plain =
        neo_bytes_is(s->pub.path, "/") && b->has_scheme && (b->is_post || b->is_get || b->is_head);
    s->head = b->is_head;
    return s->plain;
}

int h2_answer_plain(struct h2 *h2, struct stream *s)
{
    const struct h2_header type = {NEO_LIT("content-type"), NEO_LIT("text/plain")};
    enum neo_code code = h2_respond(h2, &s->pub, 200, &type, 1, s->head, NULL);

    if (code == NEO_OK && !s->head) {
        (void)h2_send(h2, &s->pub, neo_text(h2->limits.plain_page));
        code = h2_send_trailers(h2, &s->pub, NULL, 0, NULL);
    }
    if (code != NEO_OK)
        h2_reset(h2, &s->pub, H2_INTERNAL_ERROR, false);
    return h2_verdict(h2, true);
}
