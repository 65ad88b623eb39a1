# The front door. `make` builds build/bin and build/lib; `make demo` shows it at work;
# `make test` builds and passes all tests. Each installs the Debian packages it lacks.

JOBS ?= $(shell nproc)
CTEST = ctest --output-on-failure --no-tests=error

.PHONY: all setup test demo h2spec attack bench bench-build bench-peers asan tsan lint install clean help

all: setup
	@cmake --preset release > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@ninja -C build/release -j $(JOBS)

setup:
	@tools/setup
	@mkdir -p build

test: all
	@cd build/release && $(CTEST) -j $(JOBS); status=$$?; ../../tools/say-skipped .; exit $$status

demo: all
	@tools/demo

attack: all
	@build/release/tests/attack_matrix

h2spec: all
	@tests/h2spec/run

.PHONY: interop interop-grpcurl interop-backoff connect-conformance
interop: all
	@tools/setup interop
	@tests/interop/run $(if $(PEERS),--peers $(PEERS))

interop-grpcurl: all
	@tests/interop/grpcurl

interop-backoff: all
	@tests/interop/reconnect/java build/release/tests

connect-conformance: all
	@tests/connect/run

asan tsan: setup
	@cmake --preset $@ > build/configure-$@.log 2>&1 || { cat build/configure-$@.log; exit 1; }
	@ninja -C build/$@ -j $(JOBS)
	@tools/test-$@

lint: setup
	@tools/setup lint
	@tools/lint

bench-build: all
	@tools/setup bench
	@cmake --preset release > build/configure-bench.log 2>&1
	@ninja -C build/release -j $(JOBS) bench_floor bench_load bench_grpc_cpp bench_grpc_cpp_client

bench: bench-build
	@BENCH_COMMAND='make bench' bench/run --json build/bench.json
	@bench/verdict build/bench.json
	@bench/at-rest

bench-peers: bench-build
	@bench/peers/build
	@BENCH_COMMAND='make bench-peers' bench/run --peers --rounds 3 --requests 40000 --json build/bench-peers.json calls latency stream handshakes idle proxy
	@bench/verdict build/bench-peers.json

.PHONY: fuzz-parsers
fuzz-parsers: setup
	@tools/setup lint
	@tools/fuzz-parsers $(if $(RUNS),-n $(RUNS)) -j $(JOBS) $(PARSERS)

.PHONY: attest-flips
attest-flips: all
	@NEO_EXHAUSTIVE=1 NEO_SOURCE_DIR=. sh -ec 'for t in flips nitro cca azure tpm; do build/release/tests/test_attest_$$t; done'

.PHONY: bench-core
bench-core:
	@echo "a current gRPC core: most of an hour of processor time, once; 'make bench-peers' has it beside the others then"
	@bench/peers/build grpc-core

.PHONY: bench-codec
bench-codec: all
	@tools/setup bench
	@bench/codec

.PHONY: bench-verifiers
bench-verifiers: all
	@ninja -C build/release -j $(JOBS) bench_verify
	@bench/verifiers/run --json build/bench-verifiers.json

.PHONY: conformance
conformance: all
	@tests/conformance/run

.PHONY: test-debian13 portability
test-debian13:
	@tools/debian13

portability: setup
	@tools/setup lint
	@tools/portability $(COMBINATIONS)

.PHONY: pgo test-pgo
pgo: setup
	@tools/pgo $(JOBS)

test-pgo: pgo
	@ninja -C build/pgo -j $(JOBS)
	@cd build/pgo && $(CTEST) -j $(JOBS); status=$$?; ../../tools/say-skipped .; exit $$status

ifdef PGO
install: pgo
	@cmake --install build/pgo --prefix $(or $(PREFIX),/usr/local)
else
install: setup
	@cmake --preset release > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@ninja -C build/release -j $(JOBS) neo_installed
	@cmake --install build/release --prefix $(or $(PREFIX),/usr/local)
endif

clean:
	rm -rf build

help:
	@echo "make          build the release: build/bin, build/lib"
	@echo "make demo     play the whole scene on real processes"
	@echo "make test     build and run all tests"
	@echo "make attack   each known attack against a running server, its costs, its control"
	@echo "make h2spec   h2spec's 147 cases against a server of ours; needs Go"
	@echo "make interop  gRPC's interop cases, both roles, against Go, Java, Python, Rust, Node"
	@echo "make interop-grpcurl  grpcurl against our server, by reflection; needs Go"
	@echo "make interop-backoff  grpc-java's ReconnectTestClient against our server, 9 minutes; needs Java"
	@echo "make connect-conformance  ConnectRPC's suite for gRPC on our client and server; needs Go"
	@echo "make asan     the tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make tsan     the tests where threads meet, under ThreadSanitizer"
	@echo "make fuzz-parsers   each parser of evidence on 10^8 inputs (RUNS=, PARSERS=)"
	@echo "make attest-flips   every bit of what evidence of each family is signed over, flipped"
	@echo "make lint     layers, style, clang-tidy, cppcheck, format"
	@echo "make bench    CPU, latency, streams, handshakes, connections against the floor and gRPC C++"
	@echo "make bench-peers  the same against grpc-go, tonic, grpc-java, grpc-js, where they can be built; nginx, Envoy"
	@echo "make bench-core  builds a current gRPC core for bench-peers: most of an hour of processor time"
	@echo "make bench-codec  encoding and decoding beside protobuf for C++ with arenas"
	@echo "make bench-verifiers  evidence: verdicts and CPU beside dcap-qvl, go-sev-guest, go-tdx-guest, nitro_attest, ccatoken"
	@echo "make conformance  the protobuf conformance suite (npm) on our codec"
	@echo "make test-debian13  build and test on Debian 13, in a chroot (root only)"
	@echo "make portability    gcc and clang, -O0, -O2, LTO: builds and unit tests (COMBINATIONS=clang-O2 ...)"
	@echo "make pgo      builds build/pgo by what a run of it has shown (gcc): 5 to 10 % less CPU a call, twice the time to build"
	@echo "make test-pgo  all tests of that build"
	@echo "make install  into PREFIX (/usr/local); with PGO=1 what make pgo builds"
