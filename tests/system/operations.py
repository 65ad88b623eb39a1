#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/OPERATIONS.md: its units are right to systemd (where that is there), and what they start is a control plane that an
operator and a service can use, that is copied, lost and put back.

usage: operations.py BIN SOURCE
"""
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN, ROOT = map(os.path.abspath, sys.argv[1:3])
HOME = tempfile.mkdtemp(prefix="neo-operations-")
NEO = os.path.join(HOME, "lib/neo")
ENV = dict(os.environ, NEO_DIR=NEO, NO_COLOR="1", PATH=BIN + ":" + os.environ["PATH"])
FAILURES = []
LEFT_OUT = []


def expect(what, holds, *seen):
    if not holds:
        FAILURES.append(what)
        print("NOT SO: " + what, *seen, sep="\n")


def here(text):
    """What the page says, with the folders and ports of this test."""
    text = text.replace("/usr/local/bin/", BIN + "/").replace("/var/lib/", HOME + "/lib/").replace("/etc/", HOME + "/etc/")
    return re.sub(r"10\.0\.0\.\d+:\d+", "127.0.0.1:0", text)


def units():
    with open(os.path.join(ROOT, "docs/OPERATIONS.md"), encoding="utf-8") as f:
        page = f.read()
    found = {}
    for path, body in re.findall(r"^```ini\n# (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        found[os.path.basename(path)] = body
    return page, found


def verify(found):
    """systemd's own opinion of them."""
    if shutil.which("systemd-analyze") is None:
        LEFT_OUT.append("what systemd says of the units (no systemd-analyze)")
        print("SKIPPED: system.operations, " + LEFT_OUT[-1])
        return
    for name, body in found.items():
        path = os.path.join(HOME, name)
        with open(path, "w") as f:
            f.write(re.sub(r"User=\w+", "User=root", here(body)))
    done = subprocess.run(["systemd-analyze", "verify", *(os.path.join(HOME, name) for name in found)], text=True,
                          capture_output=True, timeout=60)
    expect("systemd takes the units", HOME not in done.stderr, done.stderr)


class Unit:
    """One that runs, without systemd."""

    def __init__(self, name, body):
        command = re.search(r"^ExecStart=((?:.*\\\n)*.*)$", body, re.MULTILINE)[1].replace("\\\n", " ")
        self.words = shlex.split(here(command))
        self.log = os.path.join(HOME, name + ".log")
        self.start()

    def read(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def start(self):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(self.words, env=ENV, umask=0o077, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while "service.ready" not in self.read():
            if time.monotonic() > until or self.process.poll() is not None:
                sys.exit("%s did not start:\n%s" % (self.words, self.read()))
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            expect("it ends when told to", self.process.wait(20) == 0, self.words)


COPY = "(umask 077; tar -C /var/lib/neo -czpf neo-ca.tar.gz ca)"


def neo(*args):
    return subprocess.run(["neo", *args], env=ENV, text=True, capture_output=True, timeout=60)


def token(service, path):
    done = neo("token", "create", service, "--out", path)
    expect("the operator makes a token", done.returncode == 0, done.stderr)
    expect("a token is its owner's alone", os.stat(path).st_mode & 0o77 == 0, oct(os.stat(path).st_mode))


def hello():
    return neo("call", "--as", "hello-client", "hello-service", "hello.Greeter/Greet", "-d", "{}")


def play(found, running):
    for folder in ("lib/neo/join", "lib/neo/run", "lib/hello", "etc/neo/policies"):
        os.makedirs(os.path.join(HOME, folder), mode=0o700)
    shutil.copy(os.path.join(ROOT, "examples/hello/policy.yaml"), os.path.join(HOME, "etc/neo/policies"))
    running.append(ca := Unit("ca", found["neo-ca.service"]))
    running.append(Unit("registry", found["neo-registry.service"]))
    os.unlink(NEO + "/join/neo-operator")  # as after its ten minutes: the CA is asked for another
    token("hello-service", os.path.join(HOME, "lib/hello/join"))
    running.append(Unit("hello", found["hello.service"]))
    done = hello()
    expect("a call goes through", '"hello, "' in done.stdout, done.stdout, done.stderr)
    listed = neo("registry", "list", "-o", "json").stdout
    expect("so does the listing", re.search(r'"admin_address": "127\.0\.0\.1:\d+"', listed), listed)
    expect("the log names the administration port", re.search(r"admin\W+127\.0\.0\.1:\d+", running[-1].read()))
    # The commands of the page, but that no systemd is here.
    address = re.search(r'127\.0\.0\.1:\d+', ca.read())[0]
    ca.stop()
    subprocess.run(["sh", "-c", COPY.replace("/var/lib/neo", NEO)], cwd=HOME, check=True)
    mode = os.stat(HOME + "/neo-ca.tar.gz").st_mode
    expect("the copy, which has the root's key, is its owner's alone", mode & 0o77 == 0, oct(mode))
    ca.words[ca.words.index("127.0.0.1:0")] = address
    ca.start()
    done = neo("ca", "revoke", "hello-service")
    expect("a service is revoked after the copy", done.returncode == 0, done.stdout, done.stderr)
    ca.stop()
    shutil.copy2(NEO + "/ca/signer/trust.last", HOME + "/trust.last")
    shutil.rmtree(NEO + "/ca")
    subprocess.run(["tar", "-C", NEO, "-xzpf", HOME + "/neo-ca.tar.gz"], check=True)
    shutil.copy2(HOME + "/trust.last", NEO + "/ca/signer/trust.last")
    ca.start()
    listed = neo("ca", "list", "hello-service").stdout
    expect("with the signer's last trust it is revoked after going back, too",
           "revoked" in listed.lower(), listed)
    token("guide-service", os.path.join(HOME, "again.join"))


def main():
    running = []
    try:
        page, found = units()
        expect("the page has three units", len(found) == 3, list(found))
        expect("the copy is made as the test makes it", COPY + "\n" in page)
        verify(found)
        play(found, running)
    finally:
        for unit in reversed(running):
            unit.stop()
        shutil.rmtree(HOME, ignore_errors=True)
    return 1 if FAILURES else 77 if LEFT_OUT else 0


if __name__ == "__main__":
    sys.exit(main())
