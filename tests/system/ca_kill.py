#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CA, or its signer with it, is killed with kill -9 in the middle of issuing, again and again.

What it promises: a service that is joining gets its certificate all the same (it asks again with the
same request id); no token is good for two certificates; whatever was handed out is in the store; no
serial was signed twice; a used token stays used.
"""
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

BIN = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 20
HOME = tempfile.mkdtemp(prefix="neo-ca-kill-")
random.seed(7)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


ADDRESS = "127.0.0.1:%d" % free_port()


def path(*parts):
    return os.path.join(HOME, *parts)


def start_ca(*first):
    ready = path("ca.address")
    if os.path.exists(ready):
        os.unlink(ready)
    args = [os.path.join(BIN, "neo"), "serve", "ca", "--state", path("ca"), "--listen", ADDRESS,
            "--registry-file", path("registry.address"), "--address-file", ready]
    for name in first:
        args += ["--first", name + "=" + path("join-" + name)]
    log = open(path("ca.log"), "ab")
    ca = subprocess.Popen(args, stdout=log, stderr=log, start_new_session=True)
    until = time.monotonic() + 15
    while not os.path.exists(ready):
        if ca.poll() is not None or time.monotonic() > until:
            raise SystemExit("the CA did not start:\n" + open(path("ca.log")).read()[-2000:])
        time.sleep(0.005)
    return ca


def stop_group(ca, sig):
    try:
        os.killpg(ca.pid, sig)
    except ProcessLookupError:
        pass
    ca.wait()


def join(name, token, state):
    """A registry is the one service that needs no registry: it joins, then serves."""
    args = [os.path.join(BIN, "neo"), "serve", "registry", "--state", state, "--join-file", token,
            "--listen", "127.0.0.1:0", "--address-file", path(name + ".address")]
    log = open(path(name + ".log"), "ab")
    return subprocess.Popen(args, stdout=log, stderr=log)


def wait_joined(name, process):
    until = time.monotonic() + 20
    while not os.path.exists(path(name + ".address")):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(name + " did not join:\n" + open(path(name + ".log")).read()[-1500:])
        time.sleep(0.01)


def serials_of_journal():
    raw = open(path("ca", "signer", "journal"), "rb").read()
    at, serials = 0, []
    while at + 56 <= len(raw):
        length = int.from_bytes(raw[at + 16:at + 24], "little")
        serials.append(raw[at:at + 16])
        at += 56 + length
    return serials


def play():
    fired = 0
    for i in range(ROUNDS):
        name = "r%d" % i
        ca = start_ca("neo-registry")
        shutil.copy(path("join-neo-registry"), path("token-" + name))
        registry = join(name, path("token-" + name), path("state-" + name))
        time.sleep(random.uniform(0.0, 0.06))
        if random.random() < 0.5:
            stop_group(ca, signal.SIGKILL)  # the signer dies with it
        else:
            os.kill(ca.pid, signal.SIGKILL)
            ca.wait()
        fired += 1
        ca = start_ca()
        wait_joined(name, registry)
        registry.terminate()
        registry.wait(15)
        # The same token once more, by somebody else: refused.
        again = join(name + "-again", path("token-" + name), path("state-again-" + name))
        assert again.wait(20) != 0, "a token was good twice"
        stop_group(ca, signal.SIGTERM)
    return fired


def check():
    store = sqlite3.connect(path("ca", "ca.db"))
    assert store.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    used = store.execute("SELECT count(*) FROM tokens WHERE request_id IS NOT NULL").fetchone()[0]
    rows = store.execute("SELECT serial, der FROM certificates WHERE credential = 'token'").fetchall()
    kept = [r for r in rows if r[1] is not None]
    assert len(kept) == ROUNDS, "%d certificates kept for %d joins" % (len(kept), ROUNDS)
    assert len(rows) == used, "%d decisions under %d used tokens" % (len(rows), used)
    journal = serials_of_journal()
    assert len(journal) == len(set(journal)), "a serial was signed twice"
    assert {r[0] for r in kept} <= set(journal), "a certificate is not in the signer's journal"
    return len(kept), len(journal)


try:
    kills = play()
    certificates, signed = check()
    print("%d kills: %d joins, each one certificate; %d serials signed, none twice" % (
        kills, certificates, signed))
finally:
    subprocess.run(["pkill", "-9", "-f", HOME], check=False)
    shutil.rmtree(HOME, ignore_errors=True)
