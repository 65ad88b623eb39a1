// SPDX-License-Identifier: Apache-2.0

// Command mutual is grpc-go's own interop cases with a certificate at both ends, for which its own
// programs have no flags: "mutual server" and "mutual client". The cases are those of grpc-go's
// package interop; what is ours is the choice of certificates.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"
	_ "unsafe" // linkname

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
)

// Reports more often than each 30 s, as orca_oob wants them, are kept for grpc-go's own programs.
//
//go:linkname allowAnyInterval google.golang.org/grpc/internal.ORCAAllowAnyMinReportingInterval
var allowAnyInterval any

var (
	certFile = flag.String("cert_file", "", "what is shown to the peer")
	keyFile  = flag.String("key_file", "", "its key")
	caFile   = flag.String("ca_file", "", "what the peer's certificate must lead to")
	port     = flag.Int("port", 0, "server: where to listen")
	host     = flag.String("server_host", "127.0.0.1", "client: where to connect")
	peerPort = flag.Int("server_port", 0, "client: where to connect")
	peerName = flag.String("server_host_override", "", "client: the name in the server's certificate")
	testCase = flag.String("test_case", "", "client: one case")
	config   = flag.String("service_config_json", "", "client: of the channel")
	soak     = flag.Int("soak_iterations", 10, "client: of rpc_soak and channel_soak")
	latency  = flag.Int("soak_per_iteration_max_acceptable_latency_ms", 1000, "client")
	overall  = flag.Int("soak_overall_timeout_seconds", 10, "client")
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func settings() *tls.Config {
	pair, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	must(err)
	pem, err := os.ReadFile(*caFile)
	must(err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		log.Fatalf("no certificate in %s", *caFile)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ClientCAs: roots,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13, ServerName: *peerName}
}

func serve() {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	must(err)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(settings())), orca.CallMetricsServerOption(nil))
	recorder := orca.NewServerMetricsRecorder()
	options := orca.ServiceOptions{MinReportingInterval: time.Second, ServerMetricsProvider: recorder}
	allowAnyInterval.(func(*orca.ServiceOptions))(&options)
	must(orca.Register(server, options))
	testgrpc.RegisterTestServiceServer(server,
		interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: recorder}))
	fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
	must(server.Serve(listener))
}

func dial() *grpc.ClientConn {
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(settings()))}
	if *config != "" {
		options = append(options, grpc.WithDisableServiceConfig(), grpc.WithDefaultServiceConfig(*config))
	}
	conn, err := grpc.NewClient(fmt.Sprintf("%s:%d", *host, *peerPort), options...)
	must(err)
	return conn
}

func soaked(ctx context.Context, channel func() (*grpc.ClientConn, func())) {
	limit := time.Duration(*overall) * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	interop.DoSoakTest(ctx, interop.SoakTestConfig{
		RequestSize: 271828, ResponseSize: 314159, NumWorkers: 1, Iterations: *soak, OverallTimeout: limit,
		PerIterationMaxAcceptableLatency: time.Duration(*latency) * time.Millisecond,
		ServerAddr:                       fmt.Sprintf("%s:%d", *host, *peerPort), ChannelForTest: channel,
	})
}

func call() {
	ctx := context.Background()
	conn := dial()
	defer conn.Close()
	unary := map[string]func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption){
		"empty_unary":                 interop.DoEmptyUnaryCall,
		"large_unary":                 interop.DoLargeUnaryCall,
		"client_streaming":            interop.DoClientStreaming,
		"server_streaming":            interop.DoServerStreaming,
		"ping_pong":                   interop.DoPingPong,
		"empty_stream":                interop.DoEmptyStream,
		"timeout_on_sleeping_server":  interop.DoTimeoutOnSleepingServer,
		"cancel_after_begin":          interop.DoCancelAfterBegin,
		"cancel_after_first_response": interop.DoCancelAfterFirstResponse,
		"status_code_and_message":     interop.DoStatusCodeAndMessage,
		"special_status_message":      interop.DoSpecialStatusMessage,
		"custom_metadata":             interop.DoCustomMetadata,
	}
	client := testgrpc.NewTestServiceClient(conn)
	if run := unary[*testCase]; run != nil {
		run(ctx, client)
		return
	}
	switch *testCase {
	case "unimplemented_method":
		interop.DoUnimplementedMethod(ctx, conn)
	case "unimplemented_service":
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	case "pick_first_unary":
		interop.DoPickFirstUnary(ctx, client)
	case "orca_per_rpc":
		interop.DoORCAPerRPCTest(ctx, client)
	case "orca_oob":
		interop.DoORCAOOBTest(ctx, client)
	case "rpc_soak":
		soaked(ctx, func() (*grpc.ClientConn, func()) { return conn, func() {} })
	case "channel_soak":
		soaked(ctx, func() (*grpc.ClientConn, func()) {
			own := dial()
			return own, func() { own.Close() }
		})
	default:
		log.Fatalf("there is no case %q", *testCase)
	}
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: mutual server|client [flags]")
	}
	must(flag.CommandLine.Parse(os.Args[2:]))
	switch os.Args[1] {
	case "server":
		serve()
	case "client":
		call()
	default:
		log.Fatalf("%q is neither server nor client", os.Args[1])
	}
}
