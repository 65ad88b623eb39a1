#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The first things that a newcomer does with two services: restarts one and calls it at once; starts a second
on the same port; asks why a call was refused as the refusal says.

usage: front.py BIN SOURCE
"""
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
        near_miss()
    finally:
        if server is not None:
            server.stop()
        program("neo", "down")


def main():
    try:
        play()
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
