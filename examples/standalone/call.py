# SPDX-License-Identifier: Apache-2.0
import sys

import grpc
from hello import hello_pb2


def read(path):
    with open(path, "rb") as f:
        return f.read()


proof = grpc.ssl_channel_credentials(read("ca.pem"), read("hello-client.key"), read("hello-client.pem"))
channel = grpc.secure_channel(sys.argv[1], proof)
greet = channel.unary_unary("/hello.Greeter/Greet", request_serializer=hello_pb2.GreetRequest.SerializeToString,
                            response_deserializer=hello_pb2.GreetReply.FromString)
print(greet(hello_pb2.GreetRequest(name="Python"), timeout=5).text)
