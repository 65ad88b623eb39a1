// SPDX-License-Identifier: Apache-2.0
//
// What a small unary call costs its client, on gRPC C++ in its callback API: one channel, some
// calls in flight.
//
//     bench_grpc_cpp_client --port N --cert FILE --key FILE --ca FILE [--in-flight 1] [--calls 1000]
//
// It connects, prints "ready", waits for a line, makes the calls, and prints one line of JSON.
#include "echo.grpc.pb.h"

#include <grpcpp/grpcpp.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace
{

using Clock = std::chrono::steady_clock;

std::string argument(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (std::strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return otherwise;
}

std::string read_file(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
}

double micros(Clock::duration d)
{
    return std::chrono::duration<double, std::micro>(d).count();
}

double cpu_us()
{
    rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

struct Run {
    std::unique_ptr<bench::Echo::Stub> stub;
    size_t calls = 0;
    std::mutex lock;
    std::condition_variable over;
    size_t started = 0;
    size_t failed = 0;
    std::vector<double> took;
};

// One of those in flight; used again for the next.
struct Slot {
    Run *run;
    std::optional<grpc::ClientContext> context;
    bench::EchoMessage request, response;
    Clock::time_point began;

    void start()
    {
        context.emplace();
        context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
        began = Clock::now();
        run->stub->async()->Call(&*context, &request, &response,
                                 [this](grpc::Status status) { done(status); });
    }

    void done(const grpc::Status &status)
    {
        {
            std::lock_guard<std::mutex> guard(run->lock);
            run->took.push_back(micros(Clock::now() - began));
            run->failed += !status.ok() || response.payload().size() != 16;
            if (run->took.size() == run->calls)
                run->over.notify_one();
            if (run->started == run->calls)
                return;
            run->started++;
        }
        start();
    }
};

void measure(Run &run, size_t in_flight)
{
    std::vector<std::unique_ptr<Slot>> slots;
    double cpu = cpu_us();
    auto began = Clock::now();

    run.took.reserve(run.calls);
    run.started = in_flight;
    for (size_t i = 0; i < in_flight; i++) {
        slots.push_back(std::make_unique<Slot>());
        slots.back()->run = &run;
        slots.back()->request.set_payload("0123456789abcdef");
        slots.back()->start();
    }
    {
        std::unique_lock<std::mutex> guard(run.lock);
        run.over.wait(guard, [&] { return run.took.size() == run.calls; });
    }
    double seconds = micros(Clock::now() - began) / 1e6;
    cpu = cpu_us() - cpu;
    std::sort(run.took.begin(), run.took.end());
    std::printf("{\"seconds\": %.6f, \"done\": %zu, \"failed\": %zu, \"cpu_us\": %.1f, "
                "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
                seconds, run.took.size(), run.failed, cpu, run.took[run.took.size() / 2],
                run.took[run.took.size() * 99 / 100]);
    std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv)
{
    Run run;
    grpc::SslCredentialsOptions tls;
    grpc::ChannelArguments arguments;
    grpc::ClientContext context;
    bench::EchoMessage request, response;

    run.calls = std::stoul(argument(argc, argv, "--calls", "1000"));
    tls.pem_root_certs = read_file(argument(argc, argv, "--ca", ""));
    tls.pem_cert_chain = read_file(argument(argc, argv, "--cert", ""));
    tls.pem_private_key = read_file(argument(argc, argv, "--key", ""));
    arguments.SetSslTargetNameOverride("localhost");
    auto channel = grpc::CreateCustomChannel("127.0.0.1:" + argument(argc, argv, "--port", "0"),
                                             grpc::SslCredentials(tls), arguments);
    run.stub = bench::Echo::NewStub(channel);
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::Status status = run.stub->Call(&context, request, &response);
    if (!status.ok()) {
        std::fprintf(stderr, "bench_grpc_cpp_client: %s\n", status.error_message().c_str());
        return 1;
    }
    std::puts("ready");
    std::fflush(stdout);
    if (std::getchar() != EOF)
        measure(run, std::stoul(argument(argc, argv, "--in-flight", "1")));
    return run.failed == 0 ? 0 : 1;
}
