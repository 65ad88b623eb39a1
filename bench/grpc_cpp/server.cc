// SPDX-License-Identifier: Apache-2.0
//
// The same echo on gRPC C++, in its callback API: what most services run today.
//
//     bench_grpc_cpp --port N --cert FILE --key FILE [--ca FILE]
//
// It prints "port N" when it listens (port 0: the kernel's choice). With --ca the client must
// have a certificate.
#include "echo.grpc.pb.h"

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

namespace
{

// One message at a time: read, write, and read again.
class Stream final : public grpc::ServerBidiReactor<bench::EchoMessage, bench::EchoMessage>
{
  public:
    Stream()
    {
        StartRead(&message_);
    }
    void OnReadDone(bool ok) override
    {
        if (ok)
            StartWrite(&message_);
        else
            Finish(grpc::Status::OK);
    }
    void OnWriteDone(bool ok) override
    {
        if (ok)
            StartRead(&message_);
        else
            Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override
    {
        delete this;
    }

  private:
    bench::EchoMessage message_;
};

class Echo final : public bench::Echo::CallbackService
{
    grpc::ServerUnaryReactor *Call(grpc::CallbackServerContext *context,
                                   const bench::EchoMessage *request,
                                   bench::EchoMessage *response) override
    {
        response->set_payload(request->payload());
        grpc::ServerUnaryReactor *reactor = context->DefaultReactor();
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }
    grpc::ServerBidiReactor<bench::EchoMessage, bench::EchoMessage> *
    Stream(grpc::CallbackServerContext *) override
    {
        return new ::Stream;
    }
};

std::string read_file(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
}

} // namespace

int main(int argc, char **argv)
{
    std::string port = "0", cert, key, ca;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--port") == 0)
            port = argv[i + 1];
        else if (std::strcmp(argv[i], "--cert") == 0)
            cert = read_file(argv[i + 1]);
        else if (std::strcmp(argv[i], "--key") == 0)
            key = read_file(argv[i + 1]);
        else if (std::strcmp(argv[i], "--ca") == 0)
            ca = read_file(argv[i + 1]);
    }
    if (cert.empty() || key.empty()) {
        std::fprintf(stderr, "usage: bench_grpc_cpp --port N --cert FILE --key FILE [--ca FILE]\n");
        return 2;
    }

    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({key, cert});
    if (!ca.empty()) {
        tls.pem_root_certs = ca;
        tls.client_certificate_request =
            GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    }
    Echo service;
    int chosen = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + port, grpc::SslServerCredentials(tls), &chosen);
    builder.RegisterService(&service);
    builder.SetMaxReceiveMessageSize(8 << 20);
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (server == nullptr || chosen == 0)
        return 1;
    std::printf("port %d\n", chosen);
    std::fflush(stdout);
    server->Wait();
    return 0;
}
