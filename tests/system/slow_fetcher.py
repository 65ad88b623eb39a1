#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Collateral is refreshed in nobody's way: while a service's fetcher hangs, its calls are answered."""
import os
import signal
import subprocess
import sys
import tempfile
import time

BIN, ROOT = (os.path.realpath(a) for a in sys.argv[1:3])
CALLS = 20


def wait_for(what, probe, seconds=60):
    until = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > until:
            sys.exit("FAILED never: " + what)
        time.sleep(0.1)


def play(home, started):
    env = dict(os.environ, NEO_DIR=os.path.join(home, "dev"), NO_COLOR="1")
    at = lambda name: os.path.join(home, name)
    neo = lambda *words: subprocess.run([os.path.join(BIN, "neo"), *words], env=env, text=True, capture_output=True,
                                        timeout=60, cwd=home)
    started.append(lambda: neo("down"))
    done = neo("up", "--detach", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0", "--policy",
               os.path.join(ROOT, "examples/hello/policy.yaml"))
    assert done.returncode == 0, done.stderr
    assert neo("token", "create", "hello-service", "--out", at("join")).returncode == 0
    os.mkdir(at("collateral"), 0o700)
    with open(at("collateral/wanted.txt"), "w") as f:
        f.write("intel-td-qe\n")
    with open(at("fetch"), "w") as f:
        f.write("#!/bin/sh\necho $$ > %s\nexec sleep 600\n" % at("fetching"))
    os.chmod(at("fetch"), 0o700)
    with open(at("log"), "w") as log:
        service = subprocess.Popen([os.path.join(BIN, "hello-service"), "--state", at("state"), "--join-file", at("join"),
                                    "--collateral", at("collateral"), "--collateral-fetch", at("fetch")],
                                   env=env, cwd=home, stdout=log, stderr=log)

    def stop():
        service.terminate()
        service.wait(60)

    started.append(stop)
    wait_for("a fetcher that runs", lambda: os.path.exists(at("fetching")) and open(at("fetching")).read().endswith("\n"))
    fetcher = int(open(at("fetching")).read())
    for i in range(CALLS):
        done = neo("call", "--as", "hello-client", "hello-service", "hello.Greeter/Greet", "-d", "{}", "--timeout-ms", "5000")
        if done.returncode != 0 or '"hello, "' not in done.stdout:
            sys.exit("FAILED call %d while the fetcher hangs:\n%s%s" % (i, done.stdout, done.stderr))
        time.sleep(0.6)  # all together longer than a lease of the registry: who cannot renew it is not listed any more
    listed = neo("registry", "list", "-o", "json")
    if '"hello-service"' not in listed.stdout:
        sys.exit("FAILED the service lost its lease while the fetcher hung:\n%s%s" % (listed.stdout, listed.stderr))
    try:
        os.kill(fetcher, 0)
    except ProcessLookupError:
        sys.exit("FAILED the fetcher ended before the calls did: this showed nothing")
    os.kill(fetcher, signal.SIGKILL)
    wait_for("the fetcher's end on record", lambda: "collateral.refresh_failed" in open(at("log")).read())


def main():
    started = []
    with tempfile.TemporaryDirectory(prefix="neo-slow-fetcher-") as home:
        try:
            play(home, started)
        finally:
            for stop in reversed(started):
                stop()
    print("%d calls were answered while the fetcher hung" % CALLS)


main()
