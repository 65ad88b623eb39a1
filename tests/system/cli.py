#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The neo program as a person meets it: what is wrong is said clearly, with the right exit status."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

BIN = sys.argv[1]
ROOT = sys.argv[2]
HOME = tempfile.mkdtemp(prefix="neo-cli-")
ENV = dict(os.environ, NEO_DIR=os.path.join(HOME, "dev"), NO_COLOR="1")
failures = []


def neo(*args, program="neo"):
    return subprocess.run([os.path.join(BIN, program), *args], env=ENV, text=True,
                          capture_output=True, timeout=60, cwd=HOME)


def expect(what, done, status, *words):
    text = done.stdout + done.stderr
    missing = [w for w in words if w not in text]
    if done.returncode != status or missing:
        failures.append("%s: status %d (want %d), missing %s in:\n%s" % (
            what, done.returncode, status, missing, text[-600:]))


def write(name, text):
    path = os.path.join(HOME, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def without_anything():
    expect("no command", neo(), 2, "usage: neo")
    expect("help", neo("--help"), 0, "neo up", "neo check", "token")
    expect("unknown command", neo("chekc"), 2, "did you mean 'check'")
    expect("unknown option", neo("up", "--frob"), 2, "unknown option '--frob'", "neo up --help")
    expect("missing value", neo("up", "--ca"), 2, "--ca needs a value")
    for command in ("up", "down", "status", "check", "call", "why", "cert", "ca", "token", "policy",
                    "registry", "serve", "attest"):
        expect("help of " + command, neo(command, "--help"), 0, "usage: neo " + command, "examples:")
    expect("check without a control plane", neo("check"), 1, "neo up --detach")
    expect("token without a control plane", neo("token", "create", "a"), 1, "neo up")
    expect("why what", neo("why", "x"), 2, "neo why d-")
    expect("cert of no certificate", neo("cert", "inspect", "/etc/passwd"), 2, "/etc/passwd")
    expect("cert of nothing", neo("cert", "inspect", "/nonexistent"), 1, "/nonexistent")


def documents():
    bad = write("bad.yaml", 'service: "a"\nallowed_call:\n  - target_service: "b"\n')
    expect("policy with an unknown key", neo("policy", "check", bad), 1, "bad.yaml:2:1", "allowed_calls")
    expect("the seed's documents", neo("policy", "check", os.path.join(ROOT, "examples/policies")), 0, "ok")
    expect("simulated evidence without the flag",
           neo("policy", "check", os.path.join(ROOT, "examples/policies/development")), 1, "development")


def evidence():
    """A quote in Intel's form under a root that nobody trusts, as the fuzzers begin with."""
    quote = os.path.join(ROOT, "tests/fuzz/corpus/intel_quote/tdx-v4")
    rules = write("tdx.yaml", "attestation_policies:\n  a:\n    require: hardware\n    any_of:\n"
                  "      - {tee: tdx, mrtd: [%s]}\n" % ("4d" * 48))
    asked = ("attest", "verify", quote, "--policy", rules, "--service", "a")
    expect("evidence for people", neo("attest", "show", quote), 0, "tdx-quote", "mrtd", "nothing below is verified")
    shown = json.loads(neo("attest", "show", quote, "-o", "json").stdout)
    if shown["verified"] or shown["facts"]["mrtd"] != "4d" * 48:
        failures.append("attest show -o json: %r" % shown)
    expect("no evidence", neo("attest", "show", "/etc/passwd"), 1, "no evidence of a form that is known")
    expect("no rules", neo("attest", "verify", quote), 2, "--policy FILE --service NAME")
    expect("no binder", neo(*asked), 2, "--binder HEX")
    expect("two binders", neo(*asked, "--own-binder", "--binder", "00"), 2, "--binder HEX")
    expect("half a binder", neo(*asked, "--binder", "00"), 1, "64 bytes")
    expect("an odd time", neo(*asked, "--own-binder", "--at", "noon"), 1, "2025-06-19T12:00:00Z")
    expect("a root that is not Intel's", neo(*asked, "--own-binder"), 1, "tdx.certificates", "refused (chain)")
    judged = json.loads(neo(*asked, "--own-binder", "-o", "json").stdout)["submods"]["tdx"]
    if judged["neo.accepted"] or judged["ear.status"] != "contraindicated":
        failures.append("attest verify -o json: %r" % judged)
    expect("of another kind", neo(*asked, "--own-binder", "--kind", "sgx-quote"), 1, "evidence.kind")
    expect("simulated without the flag", neo(*asked, "--own-binder", "--kind", "sim-tdx-quote"), 1,
           "outside development")


def evidence_policies():
    """Policies for people, reference values of other tools, and a tree."""
    quote = os.path.join(ROOT, "tests/fuzz/corpus/intel_quote/tdx-v4")
    rules = write("rows.yaml", "attestation_policies:\n  a:\n    require: hardware\n    any_of:\n"
                  "      - {tee: tdx, mrtd: [%s]}\n      - {tee: sev-snp, measurement: [%s]}\n" % ("4e" * 48, "4d" * 48))
    bad = write("badrow.yaml", "attestation_policies:\n  a:\n    require: hardware\n    any_of:\n"
                "      - tee: tdx\n        mrtd: [00]\n")
    expect("rows", neo("attest", "policy", "check", rules), 0, "tdx  ", "rows.yaml:5", "no chip_id", "no rtmr", "ok")
    listed = json.loads(neo("attest", "policy", "check", rules, "-o", "json").stdout)["services"][0]["rows"]
    if [r["tee"] for r in listed] != ["tdx", "sev-snp"] or listed[0]["keys"] != {"mrtd": "4e" * 48}:
        failures.append("attest policy check -o json: %r" % listed)
    expect("a bad row", neo("attest", "policy", "check", bad), 1, "badrow.yaml:6:16", "96 hex digits")
    expect("policy of what", neo("attest", "policy"), 2, "check or import")
    expect("policy help", neo("attest", "policy", "--help"), 0, "usage: neo attest policy")
    measured = write("eif.json", json.dumps({"Measurements": {"PCR0": "a0" * 48, "PCR1": "a1" * 48}}))
    made = neo("attest", "policy", "import", "--from", "nitro-cli", measured, "--service", "signer")
    expect("an import", made, 0, "tee: nitro", "a1" * 48)
    said = neo("attest", "policy", "import", "--from", "nitro-cli", measured, "--service", "signer", "-o", "json")
    expect("the same for a machine", said, 0)
    if json.loads(said.stdout)["policy_yaml"] != made.stdout.partition("\n")[2]:
        failures.append("attest policy import -o json: %r" % said.stdout)
    expect("what was imported loads", neo("attest", "policy", "check", write("made.yaml", made.stdout)), 0, "signer", "pcr.1")
    expect("of another shape", neo("attest", "policy", "import", "--from", "td-shim", measured), 1, "rtmr0 to rtmr3")
    expect("from nowhere", neo("attest", "policy", "import", "--from", "x", measured), 2, "sev-snp-measure")
    expect("a tree", neo("attest", "explain", quote), 0, "SEPT_VE_DISABLE", "Intel SGX PCK Certificate", "not after")
    compared = neo("attest", "explain", quote, "--policy", rules, "--service", "a")
    expect("a comparison", compared, 0, "refused (chain)", "rows.yaml:5: not judged, for the evidence is not proven, and is the nearest", "tdx.certificates")
    tree = json.loads(neo("attest", "explain", quote, "--policy", rules, "--service", "a", "-o", "json").stdout)
    if tree["accepted"] or len(tree["rows"]) != 1 or tree["tree"]["name"] != "tdx-quote":
        failures.append("attest explain -o json: %r" % tree["rows"])
    expect("half of a question", neo("attest", "explain", quote, "--policy", rules), 2, "belong together")
    expect("a part alone", neo("attest", "show", write("hcl.bin", "HCLA" + " " * 40)), 1, "--part quote=FILE")
    expect("an odd part", neo("attest", "show", os.path.join(HOME, "hcl.bin"), "--part", "x=y"), 1, "--part x=y")


def joining():
    expect("a service without arguments", neo(program="price-feed-service"), 2, "--state")
    expect("garbage as a join string", neo("--state", "s", "--join", "garbage", program="price-feed-service"),
           2, "join string", "neo token create")
    expect("nothing to join with", neo("--state", "s2", program="price-feed-service"), 1,
           "neo token create price-feed-service")
    os.makedirs(os.path.join(HOME, "open"), mode=0o755)
    os.chmod(os.path.join(HOME, "open"), 0o755)
    expect("a state folder others may enter", neo("--state", "open", program="price-feed-service"), 1,
           "chmod 700")


def running():
    up = neo("up", "--detach", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0", "--policy",
             os.path.join(ROOT, "examples/policies"))
    expect("up", up, 0, "is up", "registry")
    expect("up twice", neo("up", "--detach"), 1, "up already")
    expect("check", neo("check"), 0, "all is well")
    checks = json.loads(neo("check", "-o", "json").stdout)
    if not checks["success"] or len(checks["checks"]) < 8:
        failures.append("check -o json: %r" % checks)
    expect("a name that is no service", neo("token", "create", "No_Such"), 2, "[a-z0-9-]")
    denied = neo("call", "--as", "api-service", "neo-registry", "neo.policy.v1.PolicyFeed/GetStatus")
    expect("a call that is denied", denied, 64 + 7, "PERMISSION_DENIED", "neo why d-")
    decision = (denied.stderr.split("neo why ") + ["none"])[1].split()[0]
    expect("why", neo("why", decision), 0, "deny", "authorise", "api-service", "builtin/neo-registry.yaml")
    expect("check names number and hash", neo("check"), 0, "number 1, hash ")
    if os.listdir(os.path.join(HOME, "dev", "join")):
        failures.append("a join string is left: %r" % os.listdir(os.path.join(HOME, "dev", "join")))
    expect("ca status", neo("ca", "status"), 0, "its successor is made", "signer         alive")
    crl = write("crl.der", "")
    with open(crl, "wb") as f:
        f.write(subprocess.run([os.path.join(BIN, "neo"), "ca", "crl"], env=ENV, cwd=HOME, timeout=60,
                               capture_output=True).stdout)
    expect("openssl reads our CRL", subprocess.run(["openssl", "crl", "-inform", "DER", "-in", crl, "-text",
                                                    "-noout"], text=True, capture_output=True), 0,
           "issuing CA", "Revoked")
    expect("advance", neo("registry", "advance", "--beyond", "41"), 0, "number 42")
    expect("what is on record of it", subprocess.run(["grep", "-c", '"stage":"issue"', os.path.join(
        HOME, "dev", "ca", "audit.jsonl")], text=True, capture_output=True), 0, "")
    expect("an unknown decision", neo("why", "d-0000000000000000"), 1, "no audit trail")
    expect("a method that is not", neo("call", "neo-registry", "neo.registry.v1.Registry/Nope"), 1,
           "has no method 'Nope'", "List")
    expect("JSON that is not", neo("call", "neo-registry", "neo.registry.v1.Registry/List", "-d", "{x}"),
           2, "1:2")
    expect("two requests for one", neo("call", "neo-registry", "neo.registry.v1.Registry/List", "-d", "{} {}"),
           2, "takes one request")
    expect("a service that the server has not", neo("call", "neo-registry", "a.B/C"), 1,
           "does not know 'a.B'", "neo.registry.v1.Registry")
    expect("a method without its service", neo("call", "neo-registry", "a.B.C"), 2, "package.Service/Method")
    expect("a service nobody registered", neo("call", "no-such-service", "a.B/C"), 64 + 14, "UNAVAILABLE")
    expect("down", neo("down"), 0, "down")
    expect("down twice", neo("down"), 0, "nothing was up")
    expect("up again on the same state", neo("up", "--detach", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0"), 0, "is up")
    if os.listdir(os.path.join(HOME, "dev", "join")):
        failures.append("the second up left %r" % os.listdir(os.path.join(HOME, "dev", "join")))
    neo("down")


try:
    without_anything()
    documents()
    evidence()
    evidence_policies()
    joining()
    running()
finally:
    neo("down")
    shutil.rmtree(HOME, ignore_errors=True)
for f in failures:
    print("FAILED " + f)
print("%d things wrong" % len(failures))
sys.exit(1 if failures else 0)
