# SPDX-License-Identifier: Apache-2.0
"""The cases of gRPC's interoperability tests on grpcio.

    client.py --server_host H --server_port P --test_case NAME [--use_tls --ca_file F
              [--server_host_override NAME] [--cert_file F --key_file F]]

Exit status 0: the case holds. grpcio cannot switch compression for one message of a stream, nor see
whether a response was compressed.
"""
import argparse
import sys
import threading
import time

import grpc

from grpc_testing_protos import empty_pb2, messages_pb2, test_pb2_grpc

ECHO_INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
ECHO_TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
REQUESTS = (27182, 8, 1828, 45904)
RESPONSES = (31415, 9, 2653, 58979)
TIMEOUT = 20


def expect(what, condition):
    if not condition:
        raise AssertionError(what)


def payload(size):
    return messages_pb2.Payload(body=bytes(size))


def large_request(**more):
    return messages_pb2.SimpleRequest(response_size=314159, payload=payload(271828), **more)


def flag(value):
    return messages_pb2.BoolValue(value=value)


def check_large(response):
    expect("a response of 314159 zeros", response.payload.body == bytes(314159))


def refused(code, fn, *args, **kwargs):
    """Calls, and returns the RpcError, which must have this code."""
    try:
        fn(*args, **kwargs)
    except grpc.RpcError as e:
        expect(f"{code}, not {e.code()}: {e.details()}", e.code() == code)
        return e
    raise AssertionError(f"{code}, not success")


class Feed:
    """An iterator of requests that is fed from outside."""

    def __init__(self):
        self.items, self.closed, self.changed = [], False, threading.Condition()

    def send(self, item):
        with self.changed:
            self.items.append(item)
            self.changed.notify()

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self.changed:
            while not self.items and not self.closed:
                self.changed.wait()
            if self.items:
                return self.items.pop(0)
            raise StopIteration


def output_request(size, request_size=None, **more):
    request = messages_pb2.StreamingOutputCallRequest(**more)
    request.response_parameters.add(size=size)
    if request_size is not None:
        request.payload.body = bytes(request_size)
    return request


def empty_unary(stub, _):
    expect("an empty message", stub.EmptyCall(empty_pb2.Empty(), timeout=TIMEOUT) == empty_pb2.Empty())


def large_unary(stub, _):
    check_large(stub.UnaryCall(large_request(), timeout=TIMEOUT))


def client_compressed_unary(stub, _):
    refused(grpc.StatusCode.INVALID_ARGUMENT, stub.UnaryCall, large_request(expect_compressed=flag(True)),
            timeout=TIMEOUT, compression=grpc.Compression.NoCompression)
    check_large(stub.UnaryCall(large_request(expect_compressed=flag(True)), timeout=TIMEOUT,
                               compression=grpc.Compression.Gzip))
    check_large(stub.UnaryCall(large_request(expect_compressed=flag(False)), timeout=TIMEOUT,
                               compression=grpc.Compression.NoCompression))


def server_compressed_unary(stub, _):
    for compressed in (True, False):
        check_large(stub.UnaryCall(large_request(response_compressed=flag(compressed)), timeout=TIMEOUT))


def client_streaming(stub, _):
    requests = (messages_pb2.StreamingInputCallRequest(payload=payload(n)) for n in REQUESTS)
    response = stub.StreamingInputCall(requests, timeout=TIMEOUT)
    expect("a sum of 74922", response.aggregated_payload_size == 74922)


def server_streaming(stub, _):
    request = messages_pb2.StreamingOutputCallRequest()
    for size in RESPONSES:
        request.response_parameters.add(size=size)
    sizes = [len(r.payload.body) for r in stub.StreamingOutputCall(request, timeout=TIMEOUT)]
    expect(f"four answers in order, not {sizes}", tuple(sizes) == RESPONSES)


def server_compressed_streaming(stub, _):
    request = messages_pb2.StreamingOutputCallRequest()
    request.response_parameters.add(size=31415, compressed=flag(True))
    request.response_parameters.add(size=92653, compressed=flag(False))
    sizes = [len(r.payload.body) for r in stub.StreamingOutputCall(request, timeout=TIMEOUT)]
    expect(f"two answers, not {sizes}", sizes == [31415, 92653])


def ping_pong(stub, _):
    feed = Feed()
    call = stub.FullDuplexCall(feed, timeout=TIMEOUT)
    for sent, wanted in zip(REQUESTS, RESPONSES):
        feed.send(output_request(wanted, sent))
        expect("the answer to this request", len(next(call).payload.body) == wanted)
    feed.close()
    expect("no further answer", list(call) == [])


def empty_stream(stub, _):
    expect("no answer", list(stub.FullDuplexCall(iter(()), timeout=TIMEOUT)) == [])


def cancel_after_begin(stub, _):
    feed = Feed()
    future = stub.StreamingInputCall.future(feed, timeout=TIMEOUT)
    future.cancel()
    feed.close()
    expect("cancelled", future.cancelled() and future.code() == grpc.StatusCode.CANCELLED)


def cancel_after_first_response(stub, _):
    feed = Feed()
    call = stub.FullDuplexCall(feed, timeout=TIMEOUT)
    feed.send(output_request(31415, 27182))
    expect("the first answer", len(next(call).payload.body) == 31415)
    call.cancel()
    feed.close()
    refused(grpc.StatusCode.CANCELLED, next, call)


def timeout_on_sleeping_server(stub, _):
    feed = Feed()
    call = stub.FullDuplexCall(feed, timeout=0.001)
    feed.send(output_request(31415, 27182))
    refused(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(call))
    feed.close()


def check_echo(call):
    initial = dict(call.initial_metadata())
    trailing = dict(call.trailing_metadata())
    expect(f"the initial value back, not {initial}", initial.get(ECHO_INITIAL[0]) == ECHO_INITIAL[1])
    expect(f"the trailing value back, not {trailing}", trailing.get(ECHO_TRAILING[0]) == ECHO_TRAILING[1])


def custom_metadata(stub, _):
    metadata = (ECHO_INITIAL, ECHO_TRAILING)
    response, call = stub.UnaryCall.with_call(large_request(), timeout=TIMEOUT, metadata=metadata)
    check_large(response)
    check_echo(call)
    duplex = stub.FullDuplexCall(iter((output_request(314159, 271828),)), timeout=TIMEOUT, metadata=metadata)
    expect("one answer", [len(r.payload.body) for r in duplex] == [314159])
    check_echo(duplex)


def check_status(stub, message, duplex):
    status = messages_pb2.EchoStatus(code=2, message=message)
    error = refused(grpc.StatusCode.UNKNOWN, stub.UnaryCall,
                    messages_pb2.SimpleRequest(response_status=status), timeout=TIMEOUT)
    expect(f"the same text, not {error.details()!r}", error.details() == message)
    if duplex:
        request = messages_pb2.StreamingOutputCallRequest(response_status=status)
        call = stub.FullDuplexCall(iter((request,)), timeout=TIMEOUT)
        error = refused(grpc.StatusCode.UNKNOWN, lambda: list(call))
        expect(f"the same text, not {error.details()!r}", error.details() == message)


def status_code_and_message(stub, _):
    check_status(stub, "test status message", True)


def special_status_message(stub, _):
    check_status(stub, SPECIAL, False)


def unimplemented_method(stub, _):
    refused(grpc.StatusCode.UNIMPLEMENTED, stub.UnimplementedCall, empty_pb2.Empty(), timeout=TIMEOUT)


def unimplemented_service(_, make_channel):
    with make_channel() as channel:
        stub = test_pb2_grpc.UnimplementedServiceStub(channel)
        refused(grpc.StatusCode.UNIMPLEMENTED, stub.UnimplementedCall, empty_pb2.Empty(), timeout=TIMEOUT)


def pick_first_unary(stub, _):
    ids = {stub.UnaryCall(messages_pb2.SimpleRequest(fill_server_id=True), timeout=TIMEOUT).server_id
           for _ in range(100)}
    expect(f"one server, not {ids}", len(ids) == 1 and ids != {""})


def soak(iterate):
    worst = 0
    for _ in range(10):
        start = time.monotonic()
        iterate()
        worst = max(worst, time.monotonic() - start)
    expect(f"each within 5 s, not {worst}", worst < 5)


def rpc_soak(stub, _):
    soak(lambda: check_large(stub.UnaryCall(large_request(), timeout=TIMEOUT)))


def channel_soak(_, make_channel):
    def iterate():
        with make_channel() as channel:
            check_large(test_pb2_grpc.TestServiceStub(channel).UnaryCall(large_request(), timeout=TIMEOUT))

    soak(iterate)


CASES = [empty_unary, large_unary, client_compressed_unary, server_compressed_unary, client_streaming,
         server_streaming, server_compressed_streaming, ping_pong, empty_stream, cancel_after_begin,
         cancel_after_first_response, timeout_on_sleeping_server, custom_metadata, status_code_and_message,
         special_status_message, unimplemented_method, unimplemented_service, pick_first_unary, rpc_soak,
         channel_soak]


def channel_maker(flags):
    def read(path):
        with open(path, "rb") as file:
            return file.read()

    target = f"{flags.server_host}:{flags.server_port}"
    options = []
    if not flags.use_tls:
        return lambda: grpc.insecure_channel(target, options)
    if flags.server_host_override:
        options.append(("grpc.ssl_target_name_override", flags.server_host_override))
    key = read(flags.key_file) if flags.key_file else None
    chain = read(flags.cert_file) if flags.cert_file else None
    credentials = grpc.ssl_channel_credentials(read(flags.ca_file), key, chain)
    return lambda: grpc.secure_channel(target, credentials, options)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server_host", default="127.0.0.1")
    parser.add_argument("--server_port", type=int, required=True)
    parser.add_argument("--server_host_override")
    parser.add_argument("--test_case", required=True)
    parser.add_argument("--use_tls", action="store_true")
    parser.add_argument("--ca_file")
    parser.add_argument("--cert_file")
    parser.add_argument("--key_file")
    flags = parser.parse_args()
    case = {c.__name__: c for c in CASES}.get(flags.test_case)
    if case is None:
        print(f"no such case: {flags.test_case}", file=sys.stderr)
        return 2
    make_channel = channel_maker(flags)
    with make_channel() as channel:
        case(test_pb2_grpc.TestServiceStub(channel), make_channel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
