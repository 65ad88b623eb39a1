/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load with a client certificate: what h2load cannot do.
 *
 * One thread, epoll, full TLS 1.3 handshakes, no resumption. First all connections are
 * opened, a few at a time; then it prints "ready" and waits for a line on its standard
 * input; then it makes the calls, prints what it saw as one line of JSON, and keeps the
 * connections until its input ends. Each further line has it make as many calls again.
 * Whoever runs it reads the server's clocks meanwhile.
 *
 *     bench_load --port N --cert FILE --key FILE [--connections 1] [--in-flight 1]
 *                [--calls 1000] [--size 16] [--messages 1] [--handshakes N]
 *
 *     --in-flight    calls at once, over all connections in turn
 *     --messages     in each call: 1 is the method Call; more go to Stream, and come back
 *     --handshakes   makes so many connections, one after the other, and no calls
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 64, OPENING_MOST = 32, SOURCES = 20, READ_SIZE = 64 * 1024 };

static struct load load = {
    .connections = 1, .in_flight = 1, .calls = 1000, .size = 16, .messages = 1};

void die(const char *what)
{
    (void)fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void watch(struct connection *c, bool write)
{
    struct epoll_event event = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0),
                                .data.ptr = c};

    if (write == c->waits_to_write)
        return;
    c->waits_to_write = write;
    if (epoll_ctl(load.epoll, EPOLL_CTL_MOD, c->fd, &event) != 0)
        die("epoll_ctl");
}

static void append(struct connection *c, const uint8_t *at, size_t len)
{
    if (c->len + len > c->cap) {
        c->cap = c->len + len + 4096;
        c->out = realloc(c->out, c->cap);
        if (c->out == NULL)
            die("memory");
    }
    memcpy(c->out + c->len, at, len);
    c->len += len;
}

/* Frames up to a mark, so that a large body waits in the provider and not here. */
static void collect(struct connection *c)
{
    const uint8_t *at;
    ssize_t n = 1;

    while (c->len < READ_SIZE && (n = nghttp2_session_mem_send(c->session, &at)) > 0)
        append(c, at, (size_t)n);
    if (n < 0)
        die("nghttp2");
}

void connection_flush(struct connection *c)
{
    size_t written = 0;

    for (;;) {
        collect(c);
        if (c->len == 0)
            break;
        if (SSL_write_ex(c->ssl, c->out, c->len, &written) != 1) {
            if (SSL_get_error(c->ssl, 0) != SSL_ERROR_WANT_WRITE)
                die("the server closed a connection");
            watch(c, true);
            return;
        }
        memmove(c->out, c->out + written, c->len - written);
        c->len -= written;
    }
    watch(c, false);
}

static void receive(struct connection *c)
{
    static uint8_t buffer[READ_SIZE];
    size_t n;

    do {
        if (SSL_read_ex(c->ssl, buffer, sizeof(buffer), &n) != 1) {
            if (SSL_get_error(c->ssl, 0) != SSL_ERROR_WANT_READ)
                die("the server closed a connection");
            return;
        }
        if (nghttp2_session_mem_recv(c->session, buffer, n) != (ssize_t)n)
            die("the server does not speak HTTP/2");
    } while (SSL_has_pending(c->ssl) == 1);
}

/* --- connections ------------------------------------------------------------------------------ */

static int open_socket(size_t number)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr =
                                   htonl(INADDR_LOOPBACK + (uint32_t)(number % SOURCES))};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(load.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
        die("connect");
    return fd;
}

static void open_connection(struct connection *c)
{
    /* OpenSSL's macros cast const away, and some compilers mind. */
    static char localhost[] = "localhost";
    struct epoll_event event = {.events = EPOLLIN | (uint32_t)EPOLLOUT, .data.ptr = c};

    c->fd = open_socket(load.opened++);
    c->waits_to_write = true;
    c->ssl = SSL_new(load.tls);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 ||
        SSL_set_tlsext_host_name(c->ssl, localhost) != 1 ||
        epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("connection");
    SSL_set_connect_state(c->ssl);
    load.opening++;
}

static void close_connection(struct connection *c)
{
    (void)SSL_shutdown(c->ssl);
    (void)close(c->fd);
    SSL_free(c->ssl);
    nghttp2_session_del(c->session);
    free(c->out);
    *c = (struct connection){0};
}

/* True when there is HTTP/2 on it. */
static bool shake_hands(struct connection *c)
{
    if (c->session != NULL)
        return true;
    int result = SSL_do_handshake(c->ssl);
    if (result != 1) {
        int why = SSL_get_error(c->ssl, result);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            die("handshake");
        watch(c, why == SSL_ERROR_WANT_WRITE);
        return false;
    }
    c->session = session_new(&load, c);
    return true;
}

static void serve(struct connection *c)
{
    bool was_ready = c->ready;

    ERR_clear_error();
    if (!shake_hands(c))
        return;
    receive(c);
    if (load.handshakes > 0 && c->ready) {
        load.opening--;
        load.done++;
        close_connection(c);
        return;
    }
    connection_flush(c);
    if (c->ready && !was_ready) {
        load.opening--;
        load.n_ready++;
    }
}

static void turn(void)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(load.epoll, events, EVENTS, -1);

    for (int i = 0; i < n; i++)
        serve(events[i].data.ptr);
}

/* --- what is done ----------------------------------------------------------------------------- */

static bool has_line(void)
{
    char line[16];

    return fgets(line, sizeof(line), stdin) != NULL;
}

static void open_all(void)
{
    while (load.n_ready < load.connections) {
        while (load.opened < load.connections && load.opening < OPENING_MOST)
            open_connection(&load.all[load.opened]);
        turn();
    }
}

static void make_handshakes(void)
{
    while (load.done < load.handshakes) {
        for (size_t i = 0; i < load.connections && load.opened < load.handshakes; i++)
            if (load.all[i].ssl == NULL)
                open_connection(&load.all[i]);
        turn();
    }
}

static void make_calls(void)
{
    load.started = load.done = load.failed = load.messages_back = 0;
    load.to_start = load.in_flight;
    while (load.done < load.calls) {
        for (; load.to_start > 0; load.to_start--)
            if (load.started < load.calls)
                call_start(&load);
        if (load.connections == 1)
            connection_flush(&load.all[0]);
        turn();
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double percentile(double share)
{
    size_t at = (size_t)((double)load.done * share);

    return load.done == 0 ? 0 : load.took[at < load.done ? at : load.done - 1] / 1e3;
}

static double cpu_us(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void report(uint64_t began, double cpu_before)
{
    double seconds = (double)(now_ns() - began) / 1e9;
    double cpu = cpu_us() - cpu_before;

    if (load.handshakes == 0)
        qsort(load.took, load.done, sizeof(*load.took), compare);
    else
        memset(load.took, 0, load.done * sizeof(*load.took));
    printf("{\"seconds\": %.6f, \"done\": %zu, \"failed\": %zu, \"messages\": %llu, "
           "\"cpu_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           seconds, load.done, load.failed, (unsigned long long)load.messages_back, cpu,
           percentile(0.5), percentile(0.99));
    (void)fflush(stdout);
}

static SSL_CTX *new_context(const char *cert, const char *key)
{
    static const uint8_t h2[] = {2, 'h', '2'};
    static char groups[] = "X25519:P-256";
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(tls, groups) != 1 ||
        SSL_CTX_set_alpn_protos(tls, h2, sizeof(h2)) != 0)
        die("TLS");
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls, 1);
    return tls;
}

static size_t number(int argc, char **argv, const char *name, size_t otherwise)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0)
            return strtoul(argv[i + 1], NULL, 10);
    return otherwise;
}

static const char *text(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    (void)fprintf(stderr, "bench_load: %s is missing; bench/load.c says how to use it\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    load.port = (uint16_t)strtoul(text(argc, argv, "--port"), NULL, 10);
    load.connections = number(argc, argv, "--connections", load.connections);
    load.in_flight = number(argc, argv, "--in-flight", load.in_flight);
    load.calls = number(argc, argv, "--calls", load.calls);
    load.size = number(argc, argv, "--size", load.size);
    load.messages = number(argc, argv, "--messages", load.messages);
    load.handshakes = number(argc, argv, "--handshakes", 0);
    load.tls = new_context(text(argc, argv, "--cert"), text(argc, argv, "--key"));
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.all = calloc(load.connections, sizeof(*load.all));
    size_t most = load.handshakes > load.calls ? load.handshakes : load.calls;
    load.took = calloc(most + 1, sizeof(*load.took));
    if (load.epoll < 0 || load.all == NULL || load.took == NULL)
        die("memory");
    (void)signal(SIGPIPE, SIG_IGN);
    message_make(&load);
    if (load.handshakes == 0)
        open_all();
    puts("ready");
    (void)fflush(stdout);
    for (bool good = true;; good = good && load.failed == 0) {
        if (!has_line())
            return good ? 0 : 1;
        uint64_t began = now_ns();
        double cpu = cpu_us();
        if (load.handshakes > 0)
            make_handshakes();
        else
            make_calls();
        report(began, cpu);
    }
}
