/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same echo on the core of a current gRPC, by its C interface, without gRPC C++ on top.
 *
 *     bench_grpc_core --port N --cert FILE --key FILE [--ca FILE] [--queue callback|next]
 *
 * It prints "port N" when it listens. With --ca the client must have a certificate.
 *
 * It does less than a service on gRPC C++ does: what it received it sends back as it is, without
 * decoding or encoding it; all that a unary call needs is one batch; its memory is used again.
 * Whoever is compared with it is compared with the core alone.
 *
 * "callback" has the core's own threads run the completions, as gRPC C++'s callback API does;
 * "next" has the main thread take them from the queue.
 */
#include <grpc/byte_buffer.h>
#include <grpc/credentials.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING = 1000, OPS = 4, MESSAGE_MOST = 8 << 20 };

struct call {
    grpc_completion_queue_functor tag; /* first: the core hands it back */
    bool streams;
    void (*then)(struct call *call, bool ok);
    grpc_call *call;
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    grpc_byte_buffer *message;
    int cancelled;
};

static struct {
    grpc_server *server;
    grpc_completion_queue *queue;
    void *method[2]; /* unary, streams */
} echo;

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_grpc_core: %s\n", what);
    exit(1);
}

/* --- calls ------------------------------------------------------------------------------------ */

static void started(struct call *call, bool ok);

static void wait_for_one(struct call *call)
{
    call->then = started;
    call->message = NULL;
    if (grpc_server_request_registered_call(
            echo.server, echo.method[call->streams], &call->call, &call->deadline, &call->metadata,
            call->streams ? NULL : &call->message, echo.queue, echo.queue, call) != GRPC_CALL_OK)
        die("request_registered_call");
}

static void batch(struct call *call, const grpc_op *ops, size_t n,
                  void (*then)(struct call *call, bool ok))
{
    call->then = then;
    if (grpc_call_start_batch(call->call, ops, n, call, NULL) != GRPC_CALL_OK)
        die("start_batch");
}

static void ended(struct call *call, bool ok)
{
    (void)ok;
    if (call->message != NULL)
        grpc_byte_buffer_destroy(call->message);
    grpc_call_unref(call->call);
    wait_for_one(call);
}

static const grpc_op send_headers = {.op = GRPC_OP_SEND_INITIAL_METADATA};
static const grpc_op send_status = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                                    .data.send_status_from_server.status = GRPC_STATUS_OK};

static grpc_op receive_close(struct call *call)
{
    return (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                     .data.recv_close_on_server.cancelled = &call->cancelled};
}

static grpc_op send_message(struct call *call)
{
    return (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->message};
}

static grpc_op receive_message(struct call *call)
{
    return (grpc_op){.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->message};
}

static void received(struct call *call, bool ok);

static void sent(struct call *call, bool ok)
{
    grpc_byte_buffer_destroy(call->message);
    call->message = NULL;
    grpc_op op = ok ? receive_message(call) : receive_close(call);
    batch(call, &op, 1, ok ? received : ended);
}

static void received(struct call *call, bool ok)
{
    if (ok && call->message != NULL) {
        grpc_op op = send_message(call);
        batch(call, &op, 1, sent);
        return;
    }
    grpc_op ops[] = {send_status, receive_close(call)};
    batch(call, ops, 2, ended);
}

static void started(struct call *call, bool ok)
{
    if (!ok)
        die("the server has ended");
    call->metadata.count = 0; /* its room is used again */
    if (call->streams) {
        grpc_op ops[] = {send_headers, receive_message(call)};
        batch(call, ops, 2, received);
        return;
    }
    if (call->message == NULL) {
        grpc_op ops[] = {send_headers, send_status, receive_close(call)};
        batch(call, ops, 3, ended);
        return;
    }
    grpc_op ops[OPS] = {send_headers, send_message(call), send_status, receive_close(call)};
    batch(call, ops, OPS, ended);
}

static void run(grpc_completion_queue_functor *tag, int ok)
{
    struct call *call = (struct call *)tag;

    call->then(call, ok != 0);
}

/* --- the server ------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    char *text = calloc(1, 1 << 16);

    if (file == NULL || text == NULL || fread(text, 1, (1 << 16) - 1, file) == 0)
        die("usage: bench_grpc_core --port N --cert FILE --key FILE [--ca FILE]");
    (void)fclose(file);
    return text;
}

static grpc_server_credentials *new_credentials(const char *cert, const char *key, const char *ca)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = read_file(key),
                                       .cert_chain = read_file(cert)};

    return grpc_ssl_server_credentials_create_ex(
        ca != NULL ? read_file(ca) : NULL, &pair, 1,
        ca != NULL ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                   : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
        NULL);
}

static void start(const char *port, grpc_server_credentials *credentials)
{
    grpc_arg most = {.type = GRPC_ARG_INTEGER,
                     .key = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                     .value.integer = MESSAGE_MOST};
    grpc_channel_args args = {.num_args = 1, .args = &most};
    char address[64];

    echo.server = grpc_server_create(&args, NULL);
    grpc_server_register_completion_queue(echo.server, echo.queue, NULL);
    echo.method[0] = grpc_server_register_method(echo.server, "/bench.Echo/Call", NULL,
                                                 GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    echo.method[1] = grpc_server_register_method(echo.server, "/bench.Echo/Stream", NULL,
                                                 GRPC_SRM_PAYLOAD_NONE, 0);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", port);
    int chosen = grpc_server_add_http2_port(echo.server, address, credentials);
    if (chosen == 0)
        die("listen");
    grpc_server_start(echo.server);
    for (size_t i = 0; i < 2UL * WAITING; i++) {
        struct call *call = calloc(1, sizeof(*call));
        if (call == NULL)
            die("memory");
        call->tag.functor_run = run;
        call->streams = i % 2 == 1;
        grpc_metadata_array_init(&call->metadata);
        wait_for_one(call);
    }
    printf("port %d\n", chosen);
    (void)fflush(stdout);
}

static void on_shutdown(grpc_completion_queue_functor *tag, int ok)
{
    (void)tag;
    (void)ok;
}

int main(int argc, char **argv)
{
    static grpc_completion_queue_functor shutdown = {.functor_run = on_shutdown, .inlineable = 1};
    const char *port = "0", *cert = NULL, *key = NULL, *ca = NULL;
    bool callback = true;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0)
            port = argv[i + 1];
        else if (strcmp(argv[i], "--cert") == 0)
            cert = argv[i + 1];
        else if (strcmp(argv[i], "--key") == 0)
            key = argv[i + 1];
        else if (strcmp(argv[i], "--ca") == 0)
            ca = argv[i + 1];
        else if (strcmp(argv[i], "--queue") == 0)
            callback = strcmp(argv[i + 1], "callback") == 0;
    }
    grpc_init();
    grpc_server_credentials *credentials = new_credentials(cert, key, ca);
    echo.queue = callback ? grpc_completion_queue_create_for_callback(&shutdown, NULL)
                          : grpc_completion_queue_create_for_next(NULL);
    start(port, credentials);
    while (callback)
        gpr_sleep_until(gpr_inf_future(GPR_CLOCK_REALTIME));
    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(echo.queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (event.type == GRPC_OP_COMPLETE)
            run(event.tag, event.success);
    }
}
