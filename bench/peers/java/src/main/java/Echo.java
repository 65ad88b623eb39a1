// SPDX-License-Identifier: Apache-2.0
import com.google.protobuf.BytesValue;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.handler.ssl.ClientAuth;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;

/**
 * The echo of this folder on grpc-java. BytesValue has the wire form of EchoMessage, so no code is
 * generated.
 *
 * <pre>java Echo --port N --cert FILE --key FILE [--ca FILE]</pre>
 *
 * It prints "port N" when it listens. With --ca the client must have a certificate.
 */
public final class Echo {
  private static MethodDescriptor<BytesValue, BytesValue> method(
      String name, MethodDescriptor.MethodType type) {
    var codec = ProtoUtils.marshaller(BytesValue.getDefaultInstance());
    return MethodDescriptor.newBuilder(codec, codec)
        .setFullMethodName("bench.Echo/" + name)
        .setType(type)
        .build();
  }

  private static void call(BytesValue request, StreamObserver<BytesValue> answer) {
    answer.onNext(BytesValue.of(request.getValue()));
    answer.onCompleted();
  }

  private static StreamObserver<BytesValue> stream(StreamObserver<BytesValue> answer) {
    return new StreamObserver<>() {
      @Override
      public void onNext(BytesValue message) {
        answer.onNext(message);
      }

      @Override
      public void onError(Throwable why) {}

      @Override
      public void onCompleted() {
        answer.onCompleted();
      }
    };
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> given = new HashMap<>();
    for (int i = 0; i + 1 < args.length; i += 2) {
      given.put(args[i], args[i + 1]);
    }
    var tls =
        GrpcSslContexts.configure(
            SslContextBuilder.forServer(
                new File(given.get("--cert")), new File(given.get("--key"))));
    tls.protocols("TLSv1.3");
    if (given.containsKey("--ca")) {
      tls.trustManager(new File(given.get("--ca"))).clientAuth(ClientAuth.REQUIRE);
    }
    int port = Integer.parseInt(given.getOrDefault("--port", "0"));
    Server server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port))
            .sslContext(tls.build())
            .directExecutor()
            .maxInboundMessageSize(8 << 20)
            .addService(
                ServerServiceDefinition.builder("bench.Echo")
                    .addMethod(
                        method("Call", MethodDescriptor.MethodType.UNARY),
                        ServerCalls.asyncUnaryCall(Echo::call))
                    .addMethod(
                        method("Stream", MethodDescriptor.MethodType.BIDI_STREAMING),
                        ServerCalls.asyncBidiStreamingCall(Echo::stream))
                    .build())
            .build()
            .start();
    System.out.println("port " + server.getPort());
    server.awaitTermination();
  }
}
