#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A measurement's way from candidate to revoked, with real processes and simulated evidence, whose certificates take evidence."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

BIN = sys.argv[1]
HOME = tempfile.mkdtemp(prefix="neo-rollout-")
ENV = dict(os.environ, NEO_DIR=os.path.join(HOME, "dev"), NO_COLOR="1")
OLD, NEW = "aa" * 48, "bb" * 48
SERVICE = "function-service"
failures, processes = [], {}


def neo(*args):
    return subprocess.run([os.path.join(BIN, "neo"), *args], env=ENV, text=True, capture_output=True, timeout=120,
                          cwd=HOME)


def rollout(*args):
    return neo("attest", "rollout", *args)


def expect(what, done, status, *words):
    text = done.stdout + done.stderr
    missing = [w for w in words if w not in text]
    if done.returncode != status or missing:
        failures.append("%s: status %d (want %d), missing %s in:\n%s" % (
            what, done.returncode, status, missing, text[-900:]))


def wait_for(what, probe, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = probe()
        if found:
            return found
        time.sleep(0.2)
    failures.append("never: " + what)
    return None


def write(name, text):
    with open(os.path.join(HOME, name), "w") as f:
        f.write(text)


def start(program, name, *options):
    with open(os.open(os.path.join(HOME, name + ".join"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write(neo("token", "create", program).stdout)
    log = open(os.path.join(HOME, name + ".log"), "w")
    processes[name] = subprocess.Popen(
        [os.path.join(BIN, program), "--state", os.path.join(HOME, name), "--instance", name, "--insecure-dev",
         "--join-file", os.path.join(HOME, name + ".join"), *options], env=ENV, cwd=HOME, stdout=log, stderr=log)


def start_function(name, measurement):
    start(SERVICE, name, "--simulated-tee", os.path.join(HOME, "dev", "simulator", "bundle.pem"), "--measurement",
          measurement)


def stop(name):
    processes[name].terminate()
    processes.pop(name).wait(60)


def rows():
    done = rollout("list", "-o", "json")
    return {r["measurement"]: r for r in json.loads(done.stdout)["rollouts"]} if done.returncode == 0 else {}


def run_now():
    """Through automation-service, which keeps its channel to function-service."""
    return neo("call", "--as", "tester", "automation-service", "automationservice.AutomationService/RunNow", "-d",
               '{"function_id": "f"}').stderr


def trail():
    """The registry's records of rollouts: decision, detail."""
    with open(os.path.join(HOME, "dev", "registry", "audit.jsonl")) as f:
        lines = [json.loads(line) for line in f]
    return [(r["decision"], r["detail"], r) for r in lines if r.get("stage") == "rollout"]


def expect_record(decision, *words):
    if not wait_for("a record of %s: %s" % (decision, words),
                    lambda: any(d == decision and all(w in text for w in words) for d, text, _ in trail()), 20):
        failures.append("the trail has %s" % [t[:2] for t in trail()])


def is_served():
    text = run_now()
    return "NOT_FOUND" in text and "attest" not in text.lower()


def policies():
    os.mkdir(os.path.join(HOME, "policies"))
    write("policies/policy.yaml", 'service: "automation-service"\nallowed_calls:\n'
          '  - {target_service: "function-service", operations: ["*"]}\n---\nservice: "tester"\nallowed_calls:\n'
          '  - {target_service: "automation-service", operations: ["*"]}\n')
    rule = ("attestation_policies:\n  function-service:\n    require: simulator\n%s    any_of:\n"
            "      - tee: sev-snp\n        measurement: [\"" + OLD + "\", \"" + NEW + "\"]\n")
    write("policies/attest.yaml", rule % "")
    write("enrol.yaml", rule % "    enrol: attested\n")


def enrolment():
    """`neo up --attestation`: the CA gives a certificate for what was proven, and for nothing else."""
    start(SERVICE, "bare")
    if processes.pop("bare").wait(60) == 0:
        failures.append("a certificate without evidence")
    with open(os.path.join(HOME, "bare.log")) as log:
        if "takes evidence of what it runs" not in log.read():
            failures.append("and it was not said why")


def is_enrolled():
    with open(os.path.join(HOME, "dev", "ca", "audit.jsonl")) as f:
        return "for function-service, sev-snp evidence " in f.read()


def readings(event):
    with open(os.path.join(HOME, "dev", "log", "ca.log")) as log:
        return log.read().count('"%s"' % event)


def settled():
    """How often the CA has read, once it has read all that was told until now: it looks each second, twice."""
    seen, since = readings("ca.attestation"), time.monotonic()
    while time.monotonic() - since < 5:
        time.sleep(0.2)
        if readings("ca.attestation") != seen:
            seen, since = readings("ca.attestation"), time.monotonic()
    return seen


def read_anew():
    """The CA's policies change while it runs; what cannot be read changes nothing."""
    with open(os.path.join(HOME, "enrol.yaml")) as f:
        kept = f.read()
    write("enrol.yaml", "attestation_policies: nonsense\n")
    wait_for("the CA's word on what it cannot read", lambda: readings("ca.attestation_refused") == 1, 20)
    start(SERVICE, "unread")
    if processes.pop("unread").wait(60) == 0:
        failures.append("a certificate without evidence, by policies that cannot be read")
    before = readings("ca.attestation")
    write("enrol.yaml", kept)
    wait_for("the CA's reading", lambda: readings("ca.attestation") > before, 20)


def taking_in():
    """Another document, that has nothing yet: what runs must not be cut off by the first step."""
    other = ("--file", os.path.join(HOME, "other.yaml"))
    expect("add the next one first", rollout("add", SERVICE, NEW, *other), 1, "would be refused", "activate %s %s" % (
        SERVICE, OLD))
    expect("add what runs", rollout("add", SERVICE, OLD, *other), 1, "first take in what runs")
    expect("activate the next one", rollout("activate", SERVICE, NEW, *other), 1, "no instance has started with it")
    expect("take in what runs", rollout("activate", SERVICE, OLD, *other), 0, "is active now")
    added = rollout("add", SERVICE, NEW, *other)
    expect("then add", added, 0, "candidate")
    if "warning" in added.stderr:
        failures.append("a row has it: " + added.stderr)
    expect("what no row has", rollout("add", SERVICE, "ab" * 48, *other), 0, "warning: no row of", "enrol.yaml:2")
    expect("whom no policy names", rollout("add", "nosuch-service", NEW, *other), 0, "warning: no attestation_policies")


def mistakes():
    """Each says what is wrong, where, and what to do."""
    expect("no document", rollout("list"), 0, "'policies/rollouts.yaml' is not there: no service is rolled out")
    expect("more than list", rollout("list", SERVICE), 2, "takes nothing behind it")
    expect("no folder", rollout("add", SERVICE, OLD), 1, "there is no folder 'policies/' here", "--file")
    expect("no service", rollout("add", "A Service", OLD), 2, "is not a service name")
    expect("no time", rollout("retire", SERVICE, OLD, "--at", "tomorrow"), 2, "--at tomorrow: write 20")
    expect("no collateral", neo("attest", "collateral", "list"), 1, "there is no collateral", "attest collateral import")
    write("other.txt", "service: \"x\"\n")
    expect("no policy", neo("attest", "policy", "check", "other.txt"), 0, "nothing here has attestation_policies")
    expect("no measurements", neo("attest", "policy", "import", "--from", "nitro-cli", "other.txt"), 1,
           "'other.txt' is nothing that --from nitro-cli reads")


def told(name):
    with open(os.path.join(HOME, name + ".log")) as log:
        return '"channel.refused"' in log.read()


def story():
    mistakes()
    policies()
    expect("no such word", rollout("promote", SERVICE, OLD), 2, "there is no")
    expect("no measurement", rollout("add", SERVICE, "abc"), 2, "no measurement")
    expect("add", rollout("add", SERVICE, OLD), 0, "candidate")
    expect("add twice", rollout("add", SERVICE, OLD), 1, "already")
    expect("up without the file", neo("up", "--detach", "--insecure-dev", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0",
                                      "--attestation", "absent.yaml"), 1, "absent.yaml")
    expect("up", neo("up", "--detach", "--insecure-dev", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0", "--policy",
                     os.path.join(HOME, "policies"), "--attestation", os.path.join(HOME, "enrol.yaml"), "--attestation",
                     os.path.join(HOME, "policies", "rollouts.yaml")), 0)
    enrolment()
    read_anew()
    expect("activate what never started", rollout("activate", SERVICE, OLD), 1, "no instance has started with it")
    start("automation-service", "automation")
    start_function("old", OLD)
    wait_for("the candidate's start", lambda: rows().get(OLD, {}).get("instances"))
    if not is_enrolled():
        failures.append("its certificate's record has no evidence")
    if is_served():
        failures.append("a candidate was called")
    expect_record("deny", "activate " + OLD[:32], "candidate to none", "refused: no instance has started with it")
    expect("activate", rollout("activate", SERVICE, OLD), 0, "active")
    expect_record("allow", "activate " + OLD[:32], "candidate to active, by ")
    expect_record("allow", "measurement " + OLD[:32], "candidate to active, by policies number ")
    wait_for("calls to what is active", is_served)

    taking_in()
    before = settled()
    expect("the next one", rollout("add", SERVICE, NEW), 0, "candidate")
    wait_for("the CA's reading of the next one", lambda: readings("ca.attestation") > before, 20)
    expect("activate before its start", rollout("activate", SERVICE, NEW), 1, "no instance has started with it")
    expect("retire a candidate", rollout("retire", SERVICE, NEW), 1, "it is candidate, and must be active")
    start_function("new", NEW)
    wait_for("the next one's start", lambda: rows().get(NEW, {}).get("instances"))
    expect("activate after it", rollout("activate", SERVICE, NEW), 0, "active")
    wait_for("live connections on the old one", lambda: rows().get(OLD, {}).get("connections"))
    expect("retire while it is in use", rollout("retire", SERVICE, OLD), 1, "live connections rest on it")
    stop("old")
    wait_for("no connection on the old one", lambda: rows().get(OLD, {"connections": 1})["connections"] == 0)
    expect("retire after it", rollout("retire", SERVICE, OLD, "--at", "2099-01-01T00:00:00Z"), 0, "retiring")
    expect("retire the last one", rollout("retire", SERVICE, NEW), 1, "no other measurement of function-service is active", "--last")
    wait_for("calls to the new one", is_served)
    expect("simulated in the listing", neo("registry", "list"), 0, "SIMULATED")
    if not any(i.get("simulated") and i["measurement"] == NEW
               for i in json.loads(neo("registry", "list", "-o", "json").stdout)["instances"]):
        failures.append("an instance that is not marked as simulated")
    wait_for("live connections on the new one", lambda: rows().get(NEW, {}).get("connections"))
    expect("revoke with a date", rollout("revoke", SERVICE, NEW, "--at", "2099-01-01T00:00:00Z"), 2, "at once")
    before = settled()
    expect("revoke", rollout("revoke", SERVICE, NEW), 0, "revoked")
    wait_for("the CA's reading of it", lambda: readings("ca.attestation") > before, 20)
    start_function("late", NEW)
    if processes.pop("late").wait(60) == 0:
        failures.append("a certificate for what is revoked")
    with open(os.path.join(HOME, "late.log")) as log:
        if "was not accepted: measurement" not in log.read():
            failures.append("and it was not said why")
    wait_for("the end of live connections", lambda: rows().get(NEW, {"connections": 1})["connections"] == 0)
    if is_served():
        failures.append("what is revoked was called")
    wait_for("the service is told that its evidence is refused", lambda: told("new"))
    expect_record("deny", "retire " + OLD[:32], "active to none", "live connections rest on it")
    expect_record("allow", "retire " + OLD[:32], "active to retiring at 4070908800")
    expect_record("allow", "revoke " + NEW[:32], "active to revoked")
    expect_record("allow", "measurement " + NEW[:32], "active to revoked, by policies")
    record = next(r for _, text, r in trail() if text.startswith("revoke " + NEW[:32]))
    if record["target"] != SERVICE or not record["caller"].endswith("/neo-operator"):
        failures.append("who did what to whom: %s" % record)
    expect("the record is found", neo("why", record["id"]), 0, "revoke")
    expect("the trail holds", neo("audit", "verify", os.path.join(HOME, "dev", "registry", "audit.jsonl")), 0, "nothing changed")
    expect("revoked is the end", rollout("activate", SERVICE, NEW), 1, "it is revoked")
    expect("for people", rollout("list"), 0, "MEASUREMENT", "retiring", "revoked")


try:
    story()
finally:
    for name in list(processes):
        stop(name)
    neo("down")
    if failures:
        for name in sorted(os.listdir(HOME)):
            if name.endswith(".log"):
                with open(os.path.join(HOME, name)) as log:
                    print("---", name, log.read()[-2500:])
    for failure in failures:
        print("FAILED", failure)
    shutil.rmtree(HOME, ignore_errors=True)
sys.exit(1 if failures else 0)
