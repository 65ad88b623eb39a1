/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/seal.h"

/* Twice what is framed by copying: fewer system calls. What a socket does not take of it, waits. */
enum { MOST = 128 * 1024 };

static bool take(struct h2_sink *sink, struct neo_buffer *out, struct neo_bytes frame)
{
    const struct seal *s = neo_owner(sink, struct seal, sink);
    bool fine = tls_write(s->tls, neo_buffer_bytes(out), s->cipher, NULL) == NEO_OK &&
                tls_write(s->tls, frame, s->cipher, NULL) == NEO_OK;

    neo_buffer_clear(out);
    return fine;
}

struct seal seal_of(struct tls *tls, struct neo_buffer *cipher)
{
    return (struct seal){.sink = {.take = take, .most = MOST}, .tls = tls, .cipher = cipher};
}
