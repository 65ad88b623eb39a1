#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `neo up` believes of the folder it finds: whose it is, which options it kept, which process a pid file means; and a
CA that something else started."""
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

BIN = os.path.abspath(sys.argv[1])
HOME = tempfile.mkdtemp(prefix="neo-up-")
DIR = os.path.join(HOME, "dev")
NEO = os.path.join(BIN, "neo")
UP = ("up", "--detach", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0")
failures = []
left_out = []
children = []


def neo(*args, folder=DIR, **more):
    return subprocess.run([NEO, *args], env=dict(os.environ, NEO_DIR=folder, NO_COLOR="1"), text=True, capture_output=True,
                          timeout=60, **{"cwd": HOME, **more})


def expect(what, done, status, *words):
    text = done.stdout + done.stderr
    missing = [w for w in words if w not in text]
    if done.returncode != status or missing:
        failures.append("%s: status %d (want %d), missing %s in:\n%s" % (what, done.returncode, status, missing, text[-900:]))
    return done


def holds(what, condition):
    if not condition:
        failures.append(what)


def path(*names):
    return os.path.join(DIR, *names)


def options(text=None):
    if text is not None:
        with open(path("up.options"), "w") as f:
            f.write(text)
    with open(path("up.options")) as f:
        return f.read()


def pid_of(name):
    with open(path("run", name + ".pid")) as f:
        return int(f.read())


def only_ours_is_taken():
    os.mkdir(path(), 0o700)
    for mode in (0o720, 0o702):
        os.chmod(path(), mode)
        expect("a folder of mode %o" % mode, neo(*UP), 1, "has mode %o" % mode)
    os.chmod(path(), 0o700)
    holds("nothing is made in such a folder", not os.listdir(path()))
    os.symlink(path(), os.path.join(HOME, "link"))
    expect("a link to a folder", neo(*UP, folder=os.path.join(HOME, "link")), 1, "is no folder")
    for name in ("ca", "registry", "join", "run", "log", "simulator", "as"):
        os.mkdir(path(name), 0o700)
        os.chmod(path(name), 0o777)
        expect("a subfolder that is open to all: " + name, neo(*UP), 1, "dev/%s' has mode 777" % name)
        os.rmdir(path(name))
        os.symlink(HOME, path(name))
        expect("a subfolder that is a link: " + name, neo(*UP), 1, "dev/%s' is no folder" % name)
        os.unlink(path(name))
    options("policy /nowhere\n")
    os.chmod(path("up.options"), 0o666)
    expect("options that anybody wrote", neo(*UP), 1, "up.options' has mode 666")
    os.rename(path("up.options"), os.path.join(HOME, "elsewhere"))
    os.chmod(os.path.join(HOME, "elsewhere"), 0o600)
    os.symlink(os.path.join(HOME, "elsewhere"), path("up.options"))
    expect("options that are a link", neo(*UP), 1, "up.options' is no file")
    os.unlink(path("up.options"))
    if os.geteuid() != 0:
        left_out.append("another user's folder (not root)")
        print("SKIPPED: system.up, " + left_out[-1])
        return
    for name in (".", "ca", "run", "up.options"):
        options("policy /nowhere\n")
        os.chown(path(name), 1, 1)
        expect("another user's, for root, too: " + name, neo(*UP), 1, "user 1's")
        os.chown(path(name), 0, 0)
        os.unlink(path("up.options"))
    holds("no process was started", not os.listdir(path("run")))


def options_that_are_none():
    for what, text in (("a path that is too long", "policy " + "x" * 5000), ("a folder that is too long", "cwd /" + "y" * 5000),
                       ("too many of one", "policy a\n" * 33)):
        options("cwd /\n" + text + "\n")
        expect(what, neo(*UP), 1, "up.options' is none of ours")
    # As many and as long as can be, from elsewhere: all are made absolute.
    deep = "/" + "/".join(["x" * 200] * 10)
    options("cwd %s\n" % deep + "".join("%s %s/%d\n" % (kind, deep[1:], i) for kind in ("policy", "attestation", "collateral")
                                       for i in range(32)))
    done = expect("all that fits", neo(*UP), 1, "did not start")
    holds("it is no crash: %r" % done, done.returncode > 0)
    os.unlink(path("up.options"))
    shutil.rmtree(path("ca"))
    os.mkdir(os.path.join(HOME, "a\npolicy b"))
    for what, more, how in (("a trust domain of two lines", ("--trust-domain", "a\nb"), {}),
                            ("an address of two lines", ("--registry", "127.0.0.1:0\npolicy x"), {}),
                            ("a policy of two lines", ("--policy", "x\ninsecure-dev yes"), {}),
                            ("a folder of two lines", (), {"cwd": os.path.join(HOME, "a\npolicy b")}),
                            ("a path that could not be read again", ("--policy", "x" * 5000), {})):
        expect(what, neo(*UP, *more, **how), 2, "cannot be remembered")
    holds("nothing was started, or remembered", not os.listdir(path("run")) and not os.path.exists(path("up.options")))


def development_is_said_each_time():
    expect("both", neo(*UP, "--insecure-dev", "--no-insecure-dev"), 2, "one of them")
    expect("up", neo(*UP, "--insecure-dev"), 0, "DEVELOPMENT")
    expect("down", neo("down"), 0)
    expect("up without a word", neo("up", "--detach"), 1, "say --insecure-dev again, or --no-insecure-dev")
    holds("nothing runs then", not os.path.exists(path("run", "ca.pid")))
    expect("up with it", neo("up", "--detach", "--insecure-dev"), 0, "DEVELOPMENT")
    os.kill(pid_of("registry"), signal.SIGKILL)
    expect("half of it without a word", neo("up", "--detach"), 1, "--no-insecure-dev")
    expect("half of it otherwise", neo("up", "--detach", "--no-insecure-dev"), 1, "with another --no-insecure-dev")
    expect("down", neo("down"), 0)
    done = expect("up without it", neo("up", "--detach", "--no-insecure-dev"), 0, "is up")
    holds("it is no development: " + done.stdout, "DEVELOPMENT" not in done.stdout and "insecure" not in options())
    holds("nor for the operator", not os.path.exists(path("run", "development")))
    expect("check", neo("check"), 0, "all is well")
    expect("down", neo("down"), 0)
    options(options() + "insecure-dev no\n")
    expect("a no is a no", neo("up", "--detach"), 0, "is up")
    holds("and is forgotten", "insecure" not in options())


def a_ca_that_moved_is_found():
    expect("down", neo("down"), 0)
    expect("up elsewhere", neo("up", "--detach", "--ca", "127.0.0.1:0"), 0, "is up")
    expect("the operator finds it", neo("check"), 0, "all is well")
    with open(path("log", "registry.log")) as f:
        log = f.read()
    holds("so does the registry: " + log[-600:], "cannot connect" not in log)


def a_pid_means_this_folder():
    """Two planes: the pid file of one has the pid of the other's CA, as when a pid is used again."""
    other = os.path.join(HOME, "other")
    expect("another plane", neo(*UP, folder=other), 0, "is up")
    shutil.copy(os.path.join(other, "run/ca.pid"), path("run", "kept"))
    mine = pid_of("ca")
    os.rename(path("run", "ca.pid"), path("run", "mine"))
    os.rename(path("run", "kept"), path("run", "ca.pid"))
    expect("it is not ours", neo("status"), 1, "DOWN")
    expect("nor is it ended", neo("down"), 0)
    expect("the other plane is well", neo("check", folder=other), 0, "all is well")
    expect("from wherever one looks", neo("status", folder="../other", cwd=DIR), 0)
    os.rename(path("run", "mine"), path("run", "ca.pid"))
    began = time.monotonic()
    expect("its own is ended", neo("down"), 0, "down")
    holds("when it has ended, not later", time.monotonic() - began < 10)
    holds("it has ended", not os.path.exists("/proc/%d/exe" % mine))
    expect("down", neo("down", folder=os.path.relpath(other, HOME)), 0, "down")


def a_ca_of_a_unit():
    """No `neo up`: systemd, or a hand."""
    folder = os.path.join(HOME, "unit")
    for name in ("", "join", "run"):
        os.mkdir(os.path.join(folder, name), 0o700)
    join, ready = folder + "/join/", folder + ".ready"
    words = [NEO, "serve", "ca", "--state", folder + "/ca", "--listen", "127.0.0.1:0", "--registry-file", folder + "/at",
             "--first", "neo-operator=" + join + "neo-operator", "--first", "neo-registry=" + join + "neo-registry"]

    def start(*command):
        if os.path.exists(ready):
            os.unlink(ready)
        with open(folder + ".log", "w") as log:
            child = subprocess.Popen([*command, "--address-file", ready], stdout=log, stderr=log)
        children.append(child)
        until = time.monotonic() + 20
        while not os.path.exists(ready) and time.monotonic() < until:
            time.sleep(0.02)
        return child

    child = start(*words)
    os.unlink(join + "neo-operator")
    expect("the advice is for both ways", neo("token", "create", "x", folder=folder), 1, "neo up --detach",
           "--pid-file %s/run/ca.pid" % folder)
    child.terminate()
    child.wait(20)
    start(*words, "--pid-file", folder + "/run/ca.pid")
    os.unlink(join + "neo-operator")
    start(NEO, "serve", "registry", "--state", folder + "/registry", "--listen", "127.0.0.1:0", "--join-file",
          join + "neo-registry")
    shutil.copy(ready, folder + "/at")
    made = expect("a token from a CA that a unit runs", neo("token", "create", "x", folder=folder), 0)
    holds("it is one: %r" % made.stdout, made.stdout.startswith("neo"))
    holds("its pid file is for all to read", stat.S_IMODE(os.stat(folder + "/run/ca.pid").st_mode) == 0o644)


try:
    only_ours_is_taken()
    options_that_are_none()
    development_is_said_each_time()
    a_ca_that_moved_is_found()
    a_pid_means_this_folder()
    a_ca_of_a_unit()
finally:
    for c in children:
        if c.poll() is None:
            c.terminate()
            c.wait(20)
    for plane in ("dev", "other"):
        neo("down", folder=os.path.join(HOME, plane))
    shutil.rmtree(HOME, ignore_errors=True)
for f in failures:
    print("FAILED " + f)
print("%d things wrong" % len(failures))
sys.exit(1 if failures else 77 if left_out else 0)
