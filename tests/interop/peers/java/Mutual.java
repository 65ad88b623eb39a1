// SPDX-License-Identifier: Apache-2.0

import io.grpc.ChannelCredentials;
import io.grpc.ManagedChannelBuilder;
import io.grpc.ManagedChannelProvider;
import io.grpc.ManagedChannelRegistry;
import io.grpc.ServerBuilder;
import io.grpc.ServerCredentials;
import io.grpc.ServerProvider;
import io.grpc.ServerRegistry;
import io.grpc.TlsChannelCredentials;
import io.grpc.TlsServerCredentials;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.testing.integration.TestServiceClient;
import io.grpc.testing.integration.TestServiceServer;
import java.io.File;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;

/**
 * grpc-java's own interop programs with a certificate at both ends, for which they have no flags: they make
 * their channels and servers through grpc-java's registries, and what stands first in those is ours here.
 *
 * <p>Mutual server|client CERT KEY CA [their flags]
 */
public final class Mutual {
  private static final int FIRST = 10;
  private static File cert;
  private static File key;
  private static File ca;

  private static final class Channels extends ManagedChannelProvider {
    @Override
    protected boolean isAvailable() {
      return true;
    }

    @Override
    protected int priority() {
      return FIRST;
    }

    @Override
    protected ManagedChannelBuilder<?> builderForAddress(String name, int port) {
      throw new UnsupportedOperationException("without credentials");
    }

    @Override
    protected ManagedChannelBuilder<?> builderForTarget(String target) {
      throw new UnsupportedOperationException("without credentials");
    }

    @Override
    protected NewChannelBuilderResult newChannelBuilder(String target, ChannelCredentials unused) {
      try {
        return NewChannelBuilderResult.channelBuilder(NettyChannelBuilder.forTarget(target,
            TlsChannelCredentials.newBuilder().keyManager(cert, key).trustManager(ca).build()));
      } catch (java.io.IOException e) {
        return NewChannelBuilderResult.error(e.toString());
      }
    }

    @Override
    protected Collection<Class<? extends SocketAddress>> getSupportedSocketAddressTypes() {
      return Collections.singleton(InetSocketAddress.class);
    }
  }

  private static final class Servers extends ServerProvider {
    @Override
    protected boolean isAvailable() {
      return true;
    }

    @Override
    protected int priority() {
      return FIRST;
    }

    @Override
    protected ServerBuilder<?> builderForPort(int port) {
      throw new UnsupportedOperationException("without credentials");
    }

    @Override
    protected NewServerBuilderResult newServerBuilderForPort(int port, ServerCredentials unused) {
      try {
        return NewServerBuilderResult.serverBuilder(NettyServerBuilder.forPort(port,
            TlsServerCredentials.newBuilder().keyManager(cert, key).trustManager(ca)
                .clientAuth(TlsServerCredentials.ClientAuth.REQUIRE).build()));
      } catch (java.io.IOException e) {
        return NewServerBuilderResult.error(e.toString());
      }
    }
  }

  private Mutual() {}

  public static void main(String[] args) throws Exception {
    cert = new File(args[1]);
    key = new File(args[2]);
    ca = new File(args[3]);
    String[] theirs = Arrays.copyOfRange(args, 4, args.length);
    if (args[0].equals("server")) {
      ServerRegistry.getDefaultRegistry().register(new Servers());
      TestServiceServer.main(theirs);
    } else {
      ManagedChannelRegistry.getDefaultRegistry().register(new Channels());
      TestServiceClient.main(theirs);
    }
  }
}
