#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The first things that a newcomer does with two services: restarts one and calls it at once; starts a second
on the same port; asks why a call was refused as the refusal says.

usage: front.py BIN SOURCE
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

BIN, ROOT = map(os.path.abspath, sys.argv[1:3])
HOME = tempfile.mkdtemp(prefix="neo-front-")
ENV = dict(os.environ, NEO_DIR=os.path.join(HOME, "dev"), NO_COLOR="1")
FAILURES = []
LEFT_OUT = []


def expect(what, holds, *seen):
    if not holds:
        FAILURES.append(what)
        print("NOT SO: " + what, *seen, sep="\n")


def program(name, *args):
    return subprocess.run([os.path.join(BIN, name), *args], env=ENV, text=True, cwd=HOME, timeout=60,
                          capture_output=True)


def neo(*args):
    done = program("neo", *args)
    if done.returncode != 0:
        sys.exit("neo %s: %s" % (" ".join(args), done.stdout + done.stderr))
    return done.stdout


def token(service):
    path = os.path.join(HOME, service + ".join")
    with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(neo("token", "create", service))
    return ["--join-file", path]


class Service:
    """A program that is ready, or has ended."""

    def __init__(self, name, state, *options):
        self.log = os.path.join(HOME, state + ".log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([os.path.join(BIN, name), "--state", state, *options], env=ENV, cwd=HOME,
                                            stdout=log, stderr=log)
        until = time.monotonic() + 20
        while "service.ready" not in self.read() and self.process.poll() is None:
            if time.monotonic() > until:
                sys.exit("%s was not ready in 20 s:\n%s" % (name, self.read()))
            time.sleep(0.02)

    def read(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def client():
    done = program("hello-client", "--state", "client", "--log-level", "warn")
    return done.stdout.strip() or done.stderr.strip()


def moves(server):
    """The server at another port each time; its client asks as soon as it says that it is ready."""
    for _ in range(5):
        server.stop()
        server = Service("hello-service", "server")
        said = client()
        expect("the first call after a restart finds the service", said == "hello, world", said)
    return server


def one_port(server):
    address = re.search(r'"address":"([^"]+)"', server.read()) or re.search(r"address=(\S+)", server.read())
    second = Service("guide-service", "second", "--listen", address[1], *token("guide-service"))
    expect("a second service on the port of another is refused", second.process.poll() not in (None, 0), second.read())
    expect("it is told why", "cannot listen on %s: somebody does already" % address[1] in second.read(), second.read())
    second.stop()


def stock_client(server):
    """The program of docs/GUIDE.md on another implementation of gRPC."""
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import grpc, google.protobuf"], capture_output=True).returncode != 0:
        LEFT_OUT.append("the stock client (no python3-grpcio)")
        print("SKIPPED: system.front, " + LEFT_OUT[-1])
        return
    with open(os.path.join(ROOT, "docs/GUIDE.md"), encoding="utf-8") as f:
        code = re.search(r"^```python\n(.*?)^```$", f.read(), re.MULTILINE | re.DOTALL)[1]
    subprocess.run(["protoc", "-I", ROOT + "/examples", "--python_out", HOME, "hello/hello.proto"], check=True)
    address = re.search(r'"?address"?[:=]"?([\d.]+:\d+)', server.read())[1]
    done = subprocess.run([python, "-c", code, address], cwd=HOME, text=True, capture_output=True, timeout=60)
    expect("the stock client of the guide calls", done.stdout == "hello, grpcio\n", done.stdout, done.stderr)
    wrong = code.replace('"hello-service")', '"guide-service")')
    done = subprocess.run([python, "-c", wrong, address], cwd=HOME, text=True, capture_output=True, timeout=60)
    expect("another name than the service's is refused", "UNAVAILABLE" in done.stderr, done.stdout, done.stderr)


def words():
    """Options and answers of `neo` itself."""
    def check(what, done, code, *parts):
        said = done.stdout + done.stderr
        expect(what, done.returncode == code and all(p in said for p in parts), said, done.returncode)

    check("options may come first", program("neo", "-o", "json", "--dir", "dev", "version"), 0, '{"version": "')
    check("usage errors in JSON", program("neo", "frob", "-o", "json"), 2, '"code": "INVALID_ARGUMENT"')
    check("an output that is none", subprocess.run([os.path.join(BIN, "neo"), "version"], env=dict(ENV, NEO_OUTPUT="frob"),
                                                   text=True, capture_output=True), 2, "table and json")
    check("too many binders", program("neo", "attest", "verify", "x", "--policy", "x", "--service", "a", "--own-binder",
                                      "--bound", "00"), 2, "only one of them")
    check("a name that is none", program("neo", "attest", "policy", "import", "--from", "corim", "--service", "Bad Name",
                                         "x"), 2, "no service name")
    for command in ("collect", "doctor"):
        check("every TEE is named", program("neo", "attest", command, "--help"), 0, "azure-tdx")
    os.makedirs(os.path.join(HOME, "outer", "inner"))
    check("a folder of folders", program("neo", "attest", "collateral", "import", "outer"), 1, "skipped", "outer/inner",
          "there is no file in it")
    with open(os.path.join(HOME, "wide.yaml"), "w") as f:
        f.write('service: "*"\nallowed_calls:\n  - {target_service: "*", operations: ["*"]}\n')
    warnings = json.loads(program("neo", "policy", "check", "wide.yaml", "-o", "json").stdout)["warnings"]
    expect("warnings are a list", isinstance(warnings, list) and len(warnings) >= 2 and
           all(w.startswith("wide.yaml:") for w in warnings), warnings)
    verdict = subprocess.run([os.path.join(ROOT, "bench/verdict"), "--help"], text=True, capture_output=True)
    check("bench/verdict --help", verdict, 0, "bench/verdict build/bench.json")


def refused_evidence():
    """The verdict of evidence that is refused is the first thing to read."""
    with open(os.path.join(HOME, "rules.yaml"), "w") as f:
        f.write("attestation_policies:\n  a:\n    require: hardware\n    any_of:\n      - tee: sev-snp\n"
                "        measurement: ['%s']\n" % ("00" * 48))
    with open(os.path.join(HOME, "quote"), "wb") as f:
        f.write(bytes(1184))
    done = program("neo", "attest", "verify", "quote", "--kind", "snp-report", "--policy", "rules.yaml", "--service", "a",
                   "--own-binder")
    lines = done.stdout.splitlines()
    expect("a refusal begins with the verdict", done.returncode == 1 and len(lines) > 1 and
           lines[0].startswith("refused ("), done.stdout, done.stderr)


def near_miss():
    """The caller has a document, and a rule whose method is nearly the one it calls."""
    with open(os.path.join(HOME, "policies", "policy.yaml"), "w") as f:
        f.write('service: "hello-client"\nallowed_calls:\n'
                '  - {target_service: "hello-service", operations: ["Greeting"]}\n')
    until = time.monotonic() + 20
    refused = None
    while refused is None or refused.returncode == 0:
        if time.monotonic() > until:
            sys.exit("the policy never came into force")
        refused = program("neo", "call", "--as", "hello-client", "hello-service", "hello.Greeter/Greet", "-d", "{}")
    hint = re.search(r"next +neo (why (d-\w+) --audit) DIR \(the state folder of hello-service\)", refused.stderr)
    expect("a refusal says how to ask why", hint, refused.stderr)
    for words in ([*hint[1].split(), "server"], ["why", hint[2]]): # the second looks around where it is
        why = program("neo", *words)
        for part in ("rule     none allows it", "nearest  policies/policy.yaml:3", "to allow it, have in the policy:",
                     'operations: ["hello.Greeter/Greet"]'):
            expect("why after a near miss says '%s'" % part, part in why.stdout, why.stdout, why.stderr)


def play():
    os.mkdir(os.path.join(HOME, "policies"))
    shutil.copy(os.path.join(ROOT, "examples/hello/policy.yaml"), os.path.join(HOME, "policies"))
    neo("up", "--detach", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0", "--policy", "policies")
    server = None
    try:
        server = Service("hello-service", "server", *token("hello-service"))
        first = program("hello-client", "--state", "client", "--log-level", "warn", *token("hello-client")).stdout
        expect("the example works", first == "hello, world\n", first)
        one_port(server)
        server = moves(server)
        stock_client(server)
        near_miss()
        words()
        refused_evidence()
    finally:
        if server is not None:
            server.stop()
        program("neo", "down")


def main():
    try:
        play()
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
    return 1 if FAILURES else 77 if LEFT_OUT else 0


if __name__ == "__main__":
    sys.exit(main())
