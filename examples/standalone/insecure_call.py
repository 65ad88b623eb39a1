# SPDX-License-Identifier: Apache-2.0
import sys

import grpc
from hello import hello_pb2

channel = grpc.insecure_channel(sys.argv[1])
greet = channel.unary_unary("/hello.Greeter/Greet", request_serializer=hello_pb2.GreetRequest.SerializeToString,
                            response_deserializer=hello_pb2.GreetReply.FromString)
print(greet(hello_pb2.GreetRequest(name="Python"), timeout=5).text)
