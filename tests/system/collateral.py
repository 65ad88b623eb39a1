#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""neo attest collateral as a person uses it: import, list, export, and a refresh from a cache over HTTP."""
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

BIN, ROOT = sys.argv[1], sys.argv[2]
HOME = tempfile.mkdtemp(prefix="neo-collateral-")
ENV = dict(os.environ, NEO_DIR=os.path.join(HOME, "dev"), NO_COLOR="1", no_proxy="*")
VECTORS = os.environ.get("NEO_VECTORS", os.path.join(ROOT, "..", "shared", "vectors"))
failures = []


def neo(*args, **more):
    return subprocess.run([os.path.join(BIN, "neo"), "attest", "collateral", *args], env=dict(ENV, **more), text=True,
                          capture_output=True, timeout=60, cwd=HOME)


def expect(what, done, status, *words):
    text = done.stdout + done.stderr
    missing = [w for w in words if w not in text]
    if done.returncode != status or missing:
        failures.append("%s: status %d (want %d), missing %s in:\n%s" % (
            what, done.returncode, status, missing, text[-900:]))


def vector(name):
    with open(os.path.join(VECTORS, name), "rb") as f:
        return f.read()


def without_vectors():
    expect("no word", neo(), 2, "import | list | refresh | export")
    expect("nothing to import", neo("import"), 2, "<file or folder>")
    expect("no store", neo("list", "--store", "none"), 1, "there is no collateral in")
    expect("garbage", neo("import", "/etc/passwd"), 1, "failed", "/etc/passwd")
    os.mkdir(os.path.join(HOME, "in"))
    for name, text in (("bad.pem", "junk"), ("bad.json", '{"tcb_info": 1}')):
        with open(os.path.join(HOME, "in", name), "w") as f:
            f.write(text)
    for name in ("bad.pem", "bad.json", "missing.pem"):
        done = neo("import", "in/" + name)
        expect("a bad file", done, 1, "failed", "in/" + name)
        if (done.stdout + done.stderr).count(name) != 1:
            failures.append("a bad file that is named twice: " + done.stdout)
        said = json.loads(neo("import", "-o", "json", "in/" + name).stdout)["items"][0]
        if said["name"] != "in/" + name or not said["why"]:
            failures.append("a bad file in JSON: %s" % said)
    done = neo("refresh", "intel-qe", "--fetch-command", "/bin/false")
    if done.stdout.count("intel-qe") != 1 or "failed with 1" not in done.stdout:
        failures.append("a request that is named twice: " + done.stdout)
    expect("not a request", neo("refresh", "rm -rf"), 2, "no request")
    expect("two ways", neo("refresh", "--fetch-command", "x", "--source", "y"), 2, "only one")
    expect("a command that is not there", neo("refresh", "intel-qe", "--fetch-command", "/nonexistent x"), 1,
           "cannot run the fetch command")
    expect("help", neo("--help"), 0, "--fetch-command", "examples:")


class Cache(http.server.BaseHTTPRequestHandler):
    """The paths of Intel's and AMD's services, as a local cache has them."""
    tdx = "intel-collateral/2026-02-18_tdx_90c06f000000/"
    down = False
    asked = []

    def do_GET(self):
        Cache.asked.append(self.path)
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        answers = {
            "/tdx/certification/v4/tcb": ("tcb_info.json", "TCB-Info-Issuer-Chain", "tcb_signing_chain.pem"),
            "/tdx/certification/v4/qe/identity": ("qe_identity.json", "SGX-Enclave-Identity-Issuer-Chain",
                                                  "tcb_signing_chain.pem"),
            "/sgx/certification/v4/pckcrl": ("pck_crl.der", "SGX-PCK-CRL-Issuer-Chain", "pck_crl_issuer_chain.pem"),
        }
        body, name, chain = None, None, None
        if url.path in answers and query.get("fmspc", "90C06F000000") == "90C06F000000":
            file, name, chain = answers[url.path]
            body = vector(self.tdx + file)
        elif url.path == "/sgx/certification/v4/rootcacrl":
            body = vector(self.tdx + "root_ca_crl.der").hex().encode()
        elif url.path == "/vcek/v1/Genoa/cert_chain":
            body = vector("snp/roots/ask_ark_genoa.pem")
        elif url.path.startswith("/vcek/v1/Genoa/7b1584c9") and query == {
                "blSPL": "10", "teeSPL": "0", "snpSPL": "23", "ucodeSPL": "84"}:
            body = vector("snp/genoa_v3_tsm_vcek.der")
        if body is None or Cache.down:
            self.send_error(404 if not Cache.down else 503)
            return
        self.send_response(200)
        if name is not None:
            self.send_header(name, urllib.parse.quote(vector(self.tdx + chain).decode()))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def names(*args):
    return {i["name"]: i for i in json.loads(neo("list", "-o", "json", *args).stdout)["items"]}


def with_a_cache(url):
    at = ("--at", "2026-03-01T00:00:00Z", "--store", "store")
    quote = [f for f in sorted(os.listdir(os.path.join(VECTORS, "tdx"))) if f.endswith("quote.dat") and "v5" in f]
    report = os.path.join(VECTORS, "snp/genoa_v3_tsm_outblob.bin")
    expect("refresh for a report", neo("refresh", "--source", url, "--for", report, *at), 0, "amd-vcek_Genoa_",
           "amd-ask_Genoa", "amd-ark_Genoa")
    for request in ("intel-tcb-tdx 90C06F000000", "intel-td-qe", "intel-pck-crl platform", "intel-root-crl"):
        expect(request, neo("refresh", request, "--source", url, *at), 0, "added")
    held = names(*at)
    if len(held) != 10 or any(i["proof"] != "verified" or i["state"] != "fresh" for i in held.values()):
        failures.append("after the refresh: %r" % held)
    expect("nothing is due", neo("refresh", "--source", url, *at), 0, "nothing is due")
    expect("all of it once more", neo("refresh", "--all", "--source", url, *at), 0, "same")
    expect("an unknown platform", neo("refresh", "intel-tcb-tdx 000000000000", "--source", url, *at), 1, "404")
    expect("another platform's answer", neo("refresh", "amd-vcek Genoa 00 1 2 3 4", "--source", url, *at), 1, "404")
    Cache.down = True
    expect("the cache is down", neo("refresh", "--all", "--source", url, *at), 1, "503")
    Cache.down = False
    if names(*at).keys() != held.keys():
        failures.append("a failed refresh changed the store")
    expect("stale, and said so", neo("list", "--at", "2026-03-19T00:00:00Z", "--store", "store"), 0, "stale soon")
    expect("stale, and said so", neo("list", "--at", "2026-05-01T00:00:00Z", "--store", "store"), 0, "stale ")
    expect("export", neo("export", "stick", *at), 0, "added")
    expect("and import elsewhere", neo("import", "stick", "--store", "other"), 0, "added")
    if names("--store", "other").keys() != held.keys():
        failures.append("export and import lost something")
    older = os.path.join(VECTORS, "intel-collateral/2025-06-19_tdx_90c06f000000/tcb_info.json")
    expect("an older edition", neo("import", older, *at), 1, "older", "--force")
    expect("forced", neo("import", older, "--force", *at), 0, "replaced")
    expect("stale is refreshed", neo("refresh", "--source", url, *at[2:], "--at", "2026-03-02T12:00:00Z"), 0,
           "replaced")
    if not quote:
        failures.append("no quote among the vectors")


def metric(admin, name):
    with urllib.request.urlopen("http://%s/metrics" % admin, timeout=10) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    return None


def wait_for(what, probe, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = probe()
        if found:
            return found
        time.sleep(0.2)
    failures.append("never: " + what)
    return None


def in_a_service(url):
    """A service reads its folder, gets what is missing through its fetcher, and takes over what a person adds."""
    run = lambda *words: subprocess.run([os.path.join(BIN, "neo"), *words], env=ENV, text=True, capture_output=True,
                                        timeout=120, cwd=HOME)
    os.mkdir(os.path.join(HOME, "policies"))
    expect("neo up", run("up", "--detach", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0", "--policy", os.path.join(HOME, "policies")), 0)
    token = run("token", "create", "hello-service")
    with open(os.path.join(HOME, "join"), "w") as f:
        f.write(token.stdout.strip())
    os.chmod(os.path.join(HOME, "join"), 0o600)
    folder = os.path.join(HOME, "service-collateral")
    os.mkdir(folder, 0o700)
    with open(os.path.join(folder, "wanted.txt"), "w") as f:
        f.write("intel-tcb-tdx 90C06F000000\nintel-td-qe\nintel-pck-crl platform\nintel-tcb-tdx 0000\n")
    log = open(os.path.join(HOME, "service.log"), "w+")
    script = os.path.join(BIN, "..", "share", "neo", "fetch-collateral")
    service = subprocess.Popen(
        [os.path.join(BIN, "hello-service"), "--state", os.path.join(HOME, "state"), "--join-file",
         os.path.join(HOME, "join"), "--collateral", folder, "--collateral-fetch", script + " --source " + url],
        env=ENV, cwd=HOME, stdout=log, stderr=log)

    def said(event):
        with open(log.name) as f:
            lines = [json.loads(line) for line in f if line.startswith("{")]
        return [line for line in lines if event in line.values()]

    try:
        ready = wait_for("service.ready", lambda: said("service.ready"))
        if not ready:
            return
        admin = ready[0]["admin"]
        wait_for("what was missing", lambda: metric(admin, "neo_collateral_items") == 6)
        wait_for("a failure that is counted", lambda: metric(admin, "neo_collateral_refresh_failures_total") >= 1)
        wait_for("a warning ahead of staleness", lambda: said("collateral.stale"))
        if metric(admin, "neo_collateral_stale_in_seconds") >= 0:
            failures.append("recordings of long ago are not stale")
        expect("a person adds", neo("import", os.path.join(VECTORS, "snp/roots/ask_ark_milan.pem"), "--store", folder),
               0, "added")
        wait_for("what a person added", lambda: metric(admin, "neo_collateral_items") == 8)
        with open(os.path.join(folder, "junk"), "w") as f:
            f.write("junk")
        wait_for("junk that is named", lambda: [s for s in said("collateral.skipped") if "junk" in str(s)])
        if service.poll() is not None or metric(admin, "neo_collateral_items") != 8:
            failures.append("junk in the folder did harm")
    finally:
        service.terminate()
        service.wait(30)
        run("down")
        if failures:
            with open(log.name) as f:
                print(f.read()[-3000:])


def main():
    left_out = True
    without_vectors()
    if not os.path.isdir(VECTORS):
        print("skipped: no vectors\nSKIPPED: system.collateral, but for what needs no recordings")
    elif shutil.which("curl") is None:
        print("SKIPPED: system.collateral, but for what needs no curl")
    else:
        left_out = False
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cache)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with_a_cache("http://127.0.0.1:%d" % server.server_address[1])
        in_a_service("http://127.0.0.1:%d" % server.server_address[1])
        server.shutdown()
    shutil.rmtree(HOME, ignore_errors=True)
    for f in failures:
        print("FAILED", f)
    sys.exit(1 if failures else 77 if left_out else 0)


main()
