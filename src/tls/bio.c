/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's side of the engine: it reads from the caller's bytes and appends to
 * the caller's buffer, with no buffer of its own between. This is also where a
 * peer that goes too far is cut off, because nothing reaches OpenSSL but through
 * here.
 */
#include "tls/engine.h"

#include <pthread.h>

static bool is_too_much(struct tls *tls, size_t more)
{
    if (tls->state == TLS_HANDSHAKE) {
        tls->handshake_bytes += more;
        if (tls->handshake_bytes <= TLS_HANDSHAKE_MAX)
            return false;
        neo_fail(&tls->verdict, NEO_RESOURCE_EXHAUSTED, "tls: handshake of more than %d bytes",
                 TLS_HANDSHAKE_MAX);
        return true;
    }
    if (tls->post_handshake <= TLS_POST_HANDSHAKE_MAX + (tls->plain_bytes >> 20))
        return false;
    neo_fail(&tls->verdict, NEO_RESOURCE_EXHAUSTED,
             "tls: the peer sent %llu key updates or tickets and next to no data",
             (unsigned long long)tls->post_handshake);
    return true;
}

static int read_in(BIO *bio, char *at, size_t len, size_t *ret_len)
{
    struct tls *tls = BIO_get_data(bio);
    size_t n = len < tls->in.len ? len : tls->in.len;

    BIO_clear_retry_flags(bio);
    *ret_len = 0;
    if (is_too_much(tls, n))
        return 0;
    if (n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(at, tls->in.at, n);
    tls->in = neo_bytes_from(tls->in, n);
    *ret_len = n;
    return 1;
}

static int write_out(BIO *bio, const char *at, size_t len, size_t *ret_len)
{
    struct tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *ret_len = 0;
    if (!neo_buffer_append(tls->out, neo_bytes(at, len))) {
        neo_fail(&tls->verdict, NEO_RESOURCE_EXHAUSTED, "tls: no room for what must be sent");
        return 0;
    }
    *ret_len = len;
    return 1;
}

static long control(BIO *bio __attribute__((unused)), int command,
                    long number __attribute__((unused)), void *pointer __attribute__((unused)))
{
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method; /* one for the process: OpenSSL has few type numbers to give */

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "neo tls");
    if (method == NULL)
        return;
    (void)BIO_meth_set_read_ex(method, read_in);
    (void)BIO_meth_set_write_ex(method, write_out);
    (void)BIO_meth_set_ctrl(method, control);
}

BIO *bio_new(struct tls *tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_method);
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}
