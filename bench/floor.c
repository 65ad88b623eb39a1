/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a small unary gRPC call can cost on nghttp2 and OpenSSL.
 *
 * One thread, epoll, TLS 1.3. It knows no method and looks at no header: every
 * request that ends is answered with the same message and trailers. Whatever a read
 * brought is answered with one SSL_write and one send. Others are measured by how
 * far above this they are.
 *
 *     bench_floor --port N --cert FILE --key FILE [--ca FILE]
 *
 * It prints "port N" when it listens (port 0: the kernel's choice). With --ca the client must
 * have a certificate.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, EVENTS = 64 };

struct connection {
    int fd;
    SSL *ssl;
    nghttp2_session *session; /* NULL during the handshake */
    uint8_t *out;
    size_t len;
    size_t cap;
    bool waits_to_write;
};

/* 16 bytes in field 1 of a message, behind the five bytes of gRPC. */
static const uint8_t message[5 + 2 + 16] = {0, 0, 0, 0, 18, 0x0a, 16, 'f', 'l', 'o', 'o', 'r'};

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_floor: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* --- HTTP/2 ----------------------------------------------------------------------------------- */

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE        \
    }

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *at, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    static const nghttp2_nv trailers[] = {NV("grpc-status", "0")};

    (void)source;
    (void)user;
    if (room < sizeof(message) || nghttp2_submit_trailer(session, id, trailers, 1) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(at, message, sizeof(message));
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return sizeof(message);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    static const nghttp2_nv headers[] = {
        NV(":status", "200"),
        NV("content-type", "application/grpc"),
    };
    const nghttp2_data_provider body = {.read_callback = on_read};

    (void)user;
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    return nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &body);
}

static nghttp2_session *new_session(void)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, /* the cheaper of its two schedulers */
    };
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        die("nghttp2");
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    if (nghttp2_session_server_new(&session, callbacks, NULL) != 0 ||
        nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2) != 0)
        die("nghttp2");
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

/* --- one connection --------------------------------------------------------------------------- */

static void close_connection(struct connection *c)
{
    (void)close(c->fd);
    SSL_free(c->ssl);
    nghttp2_session_del(c->session);
    free(c->out);
    free(c);
}

static void append(struct connection *c, const uint8_t *at, size_t len)
{
    if (c->len + len > c->cap) {
        c->cap = c->cap == 0 ? READ_SIZE : c->cap * 2;
        c->out = realloc(c->out, c->cap);
        if (c->out == NULL)
            die("memory");
    }
    memcpy(c->out + c->len, at, len);
    c->len += len;
}

static bool collect(struct connection *c)
{
    const uint8_t *at;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(c->session, &at)) > 0)
        append(c, at, (size_t)n);
    return n == 0;
}

static void watch(int epoll, struct connection *c, bool write)
{
    struct epoll_event event = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0),
                                .data.ptr = c};

    if (write == c->waits_to_write)
        return;
    c->waits_to_write = write;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) != 0)
        die("epoll_ctl");
}

/* Writes what was collected; false when the connection is over. */
static bool flush(int epoll, struct connection *c)
{
    size_t written = 0;

    if (c->len == 0)
        return true;
    if (SSL_write_ex(c->ssl, c->out, c->len, &written) != 1 &&
        SSL_get_error(c->ssl, 0) != SSL_ERROR_WANT_WRITE)
        return false;
    memmove(c->out, c->out + written, c->len - written);
    c->len -= written;
    watch(epoll, c, c->len > 0);
    return true;
}

/* Reads until OpenSSL has no whole record left; epoll tells when there is more. */
static bool receive(struct connection *c)
{
    static uint8_t buffer[READ_SIZE];
    size_t n;

    do {
        if (SSL_read_ex(c->ssl, buffer, sizeof(buffer), &n) != 1)
            return SSL_get_error(c->ssl, 0) == SSL_ERROR_WANT_READ;
        if (nghttp2_session_mem_recv(c->session, buffer, n) != (ssize_t)n)
            return false;
    } while (SSL_has_pending(c->ssl) == 1);
    return true;
}

static bool shake_hands(struct connection *c)
{
    int result = SSL_accept(c->ssl);

    if (result != 1)
        return SSL_get_error(c->ssl, result) == SSL_ERROR_WANT_READ;
    c->session = new_session();
    return true;
}

static bool serve(int epoll, struct connection *c)
{
    if (c->session == NULL && !shake_hands(c))
        return false;
    if (c->session == NULL)
        return true;
    if (!receive(c) || !collect(c) || !flush(epoll, c))
        return false;
    return nghttp2_session_want_read(c->session) != 0 ||
           nghttp2_session_want_write(c->session) != 0;
}

/* --- the loop --------------------------------------------------------------------------------- */

static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                   const unsigned char *in, unsigned len, void *user)
{
    (void)ssl;
    (void)user;
    for (unsigned i = 0; i + 2 < len; i += 1U + in[i]) {
        if (in[i] == 2 && memcmp(in + i + 1, "h2", 2) == 0) {
            *ret = in + i + 1;
            *ret_len = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *new_context(const char *cert, const char *key, const char *ca)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_num_tickets(context, 0) != 1)
        die("TLS");
    if (ca != NULL && SSL_CTX_load_verify_file(context, ca) != 1)
        die("TLS");
    if (ca != NULL)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1); /* else each record costs two reads */
    SSL_CTX_set_default_read_buffer_len(context, READ_SIZE);
    return context;
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        die("listen");
    printf("port %u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}

static void add_connection(int epoll, int listener, SSL_CTX *context)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int on = 1;

    if (fd < 0)
        return;
    struct connection *c = calloc(1, sizeof(*c));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        die("accept");
    c->fd = fd;
    c->ssl = SSL_new(context);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("accept");
}

static void loop(int listener, SSL_CTX *context)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        die("epoll");
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            ERR_clear_error();
            if (c == NULL)
                add_connection(epoll, listener, context);
            else if (!serve(epoll, c))
                close_connection(c);
        }
    }
}

int main(int argc, char **argv)
{
    const char *port = "0", *cert = NULL, *key = NULL, *ca = NULL;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0)
            port = argv[i + 1];
        else if (strcmp(argv[i], "--cert") == 0)
            cert = argv[i + 1];
        else if (strcmp(argv[i], "--key") == 0)
            key = argv[i + 1];
        else if (strcmp(argv[i], "--ca") == 0)
            ca = argv[i + 1];
    }
    if (cert == NULL || key == NULL) {
        (void)fprintf(stderr, "usage: bench_floor --port N --cert FILE --key FILE [--ca FILE]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    loop(listen_on((uint16_t)strtoul(port, NULL, 10)), new_context(cert, key, ca));
    return 0;
}
