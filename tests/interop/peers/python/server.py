# SPDX-License-Identifier: Apache-2.0
"""grpc.testing.TestService on grpcio, as the interoperability tests ask for it.

    server.py --port 0 [--use_tls --cert_file F --key_file F [--ca_file F: certificates are required]]

Prints "port N" when it listens. grpcio does not tell a handler whether a message came compressed, so
expect_compressed is not looked at: the runner leaves out the cases that need it.
"""
import argparse
import sys
import time
from concurrent import futures

import grpc

from grpc_testing_protos import empty_pb2, messages_pb2, test_pb2_grpc

ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"


def echo_metadata(context):
    for key, value in context.invocation_metadata():
        if key == ECHO_INITIAL:
            context.send_initial_metadata(((key, value),))
        elif key == ECHO_TRAILING:
            context.set_trailing_metadata(((key, value),))


def echo_status(request, context):
    if request.HasField("response_status") and request.response_status.code != 0:
        wanted = request.response_status
        code = next(c for c in grpc.StatusCode if c.value[0] == wanted.code)
        context.abort(code, wanted.message)


class TestService(test_pb2_grpc.TestServiceServicer):
    def EmptyCall(self, request, context):
        echo_metadata(context)
        return empty_pb2.Empty()

    def UnaryCall(self, request, context):
        echo_metadata(context)
        echo_status(request, context)
        if request.HasField("response_compressed"):
            context.set_compression(grpc.Compression.Gzip)
            if not request.response_compressed.value:
                context.disable_next_message_compression()
        response = messages_pb2.SimpleResponse()
        if request.response_size > 0:
            response.payload.body = bytes(request.response_size)
        if request.fill_server_id:
            response.server_id = "grpcio"
        return response

    def StreamingOutputCall(self, request, context):
        if any(p.HasField("compressed") for p in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        echo_status(request, context)
        yield from self.answers(request, context)

    @staticmethod
    def answers(request, context):
        for wanted in request.response_parameters:
            if wanted.interval_us > 0:
                time.sleep(wanted.interval_us / 1e6)
            if wanted.HasField("compressed") and not wanted.compressed.value:
                context.disable_next_message_compression()
            response = messages_pb2.StreamingOutputCallResponse()
            response.payload.body = bytes(wanted.size)
            yield response

    def StreamingInputCall(self, requests, context):
        total = sum(len(r.payload.body) for r in requests)
        return messages_pb2.StreamingInputCallResponse(aggregated_payload_size=total)

    def FullDuplexCall(self, requests, context):
        echo_metadata(context)
        for request in requests:
            echo_status(request, context)
            yield from self.answers(request, context)

    def HalfDuplexCall(self, requests, context):
        for request in list(requests):
            yield from self.answers(request, context)


def credentials(flags):
    def read(path):
        with open(path, "rb") as file:
            return file.read()

    roots = read(flags.ca_file) if flags.ca_file else None
    return grpc.ssl_server_credentials([(read(flags.key_file), read(flags.cert_file))], roots, roots is not None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--use_tls", action="store_true")
    parser.add_argument("--cert_file")
    parser.add_argument("--key_file")
    parser.add_argument("--ca_file")
    flags = parser.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    test_pb2_grpc.add_TestServiceServicer_to_server(TestService(), server)
    address = f"127.0.0.1:{flags.port}"
    if flags.use_tls:
        port = server.add_secure_port(address, credentials(flags))
    else:
        port = server.add_insecure_port(address)
    server.start()
    print(f"port {port}", flush=True)
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
