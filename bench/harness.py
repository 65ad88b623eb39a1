# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: certificates, servers, and whoever loads them."""
import json
import os
import re
import resource
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(ROOT, "build", "bin")
PEERS = os.path.join(ROOT, "build", "bench")
TICKS = os.sysconf("SC_CLK_TCK")
METHOD = "/bench.Echo/Call"
HEADERS = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
SERVER_CORE, LOAD_CORE = "0", "1"

# name, program; each takes --port N --cert FILE --key FILE [--ca FILE] and prints "port N".
OURS = [
    ("floor", os.path.join(BIN, "bench_floor")),
    ("grpc-c++", os.path.join(BIN, "bench_grpc_cpp")),
    ("neo", os.path.join(BIN, "bench_neo_server")),
]
# What `make pgo` builds, where it was made: measured beside the usual build where calls are.
TRAINED = [("neo-pgo", os.path.join(ROOT, "build", "pgo", "bin", "bench_neo_server"))]
OTHERS = [
    ("grpc-go", os.path.join(PEERS, "bench_grpc_go")),
    ("tonic", os.path.join(PEERS, "bench_tonic")),
    ("grpc-java", os.path.join(PEERS, "bench_grpc_java")),
    ("grpc-js", os.path.join(PEERS, "bench_grpc_js")),
    ("grpc-core", os.path.join(PEERS, "bench_grpc_core")),  # built only when it is named
]
PROXIES = [
    ("nginx", os.path.join(PEERS, "bench_nginx")),
    ("envoy", os.path.join(PEERS, "bench_envoy")),
]
# What runs in a virtual machine that compiles while it runs gets so many more rounds that do not count.
WARM = {"grpc-java": 4, "grpc-js": 2}

EXTENSIONS = {
    "root": "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
            "subjectKeyIdentifier=hash\nsubjectAltName=URI:spiffe://bench\n",
    "issuer": "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
              "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n"
              "subjectAltName=URI:spiffe://bench\n",
    "leaf": "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth,clientAuth\nauthorityKeyIdentifier=keyid:always\n"
            "subjectKeyIdentifier=hash\n"
            "subjectAltName=URI:spiffe://bench/{name},DNS:localhost\n",
}


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)


def make_certificate(folder, name, kind, issuer):
    """A P-256 certificate for `name`; returns its file and its key's."""
    key, cert, extensions = (os.path.join(folder, name + "." + end) for end in ("key", "pem", "ext"))
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    with open(extensions, "w", encoding="ascii") as out:
        out.write(EXTENSIONS[kind].format(name=name))
    request = os.path.join(folder, name + ".csr")
    openssl("req", "-new", "-key", key, "-subj", "/CN=" + name, "-out", request)
    by = ["-signkey", key] if issuer is None else ["-CA", issuer[0], "-CAkey", issuer[1]]
    openssl("x509", "-req", "-in", request, "-days", "2", "-extfile", extensions, "-out", cert, *by)
    return cert, key


def make_files(folder):
    """A root, an issuer under it, a server and a client; and a message behind gRPC's five bytes."""
    root = make_certificate(folder, "root", "root", None)
    issuer = make_certificate(folder, "issuer", "issuer", root)
    files = {"ca": root[0], "body": os.path.join(folder, "body")}
    for role, name in (("server", "echo-service"), ("client", "bench-client")):
        cert, key = make_certificate(folder, name, "leaf", issuer)
        files[role] = cert + ".chain"
        files[role + "_key"] = key
        with open(files[role], "w", encoding="ascii") as out:
            for part in (cert, issuer[0]):
                with open(part, encoding="ascii") as text:
                    out.write(text.read())
    with open(files["body"], "wb") as body:
        body.write(b"\0\0\0\0\x12" + b"\x0a\x10" + b"0123456789abcdef")
    return files


def cpu_seconds(pid):
    """Of all threads: to the nanosecond where the kernel says so, else in ticks."""
    try:
        total = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9
    except OSError:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS  # utime, stime


def memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))


class Process:
    """A process whose CPU and memory are measured: `self.process`."""

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def memory_kib(self):
        return memory_kib(self.process.pid)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Server(Process):
    """One of the servers, on its core. With `mutual` it asks for a client's certificate."""

    def __init__(self, name, program, files, mutual=True, core=SERVER_CORE, more=()):
        self.name = name
        self.warm = WARM.get(name, 0)
        pin = ["taskset", "-c", core] if core is not None else []
        ca = ["--ca", files["ca"]] if mutual else []
        self.process = subprocess.Popen(
            [*pin, program, "--port", "0", "--cert", files["server"], "--key", files["server_key"],
             *ca, *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        match = re.match(r"port (\d+)$", line)
        if match is None:
            self.stop()
            raise RuntimeError(f"{name}: expected 'port N', got {line!r}")
        self.port = match.group(1)
        self.url = f"https://127.0.0.1:{self.port}{METHOD}"


class Load:
    """A program that prints "ready", waits for a line, works, and prints a line of JSON."""

    def __init__(self, server, files, *options, program="bench_load", core=LOAD_CORE, ca=False):
        pin = ["taskset", "-c", core] if core is not None else []
        more = ["--ca", files["ca"]] if ca else []
        self.name = f"{program} on {server.name}"
        self.server = server
        self.process = subprocess.Popen(
            [*pin, os.path.join(BIN, program), "--port", server.port, "--cert", files["client"],
             "--key", files["client_key"], *more, *[str(o) for o in options]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.expect("ready\n")

    def expect(self, line):
        said = self.process.stdout.readline()
        if said != line:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"{self.name}: expected {line!r}, got {said!r}")

    def begin(self):
        self.before = self.server.cpu_seconds()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        """Returns what it reports, with the server's CPU seconds as "server_cpu"."""
        line = self.process.stdout.readline()
        spent = self.server.cpu_seconds() - self.before
        try:
            result = json.loads(line)
        except ValueError:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"{self.name}: no report, but {line!r}") from None
        if result["failed"] > 0:
            raise RuntimeError(f"{self.name}: {result['failed']} of {result['done']} calls failed")
        result["server_cpu"] = spent
        return result

    def run(self):
        self.begin()
        return self.end()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def one_load(server, files, *options, **more):
    load = Load(server, files, *options, **more)
    try:
        return load.run()
    finally:
        load.close()


def check_sample(server, files):
    """True: one call must come back with grpc-status 0 before anything is measured."""
    done = subprocess.run(["nghttp", "-v", "-d", files["body"], *HEADERS, server.url],
                          capture_output=True, timeout=10, check=False)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode("latin-1"))
    if not re.search(r"grpc-status: 0\s", text):
        raise RuntimeError(f"{server.name}: the sample call was not answered with grpc-status 0:\n{text}")
    return True


def h2load(server, files, shape, requests):
    """Returns the server's CPU seconds and the calls per second of wall clock."""
    connections, streams = shape
    before = server.cpu_seconds()
    done = subprocess.run(
        ["taskset", "-c", LOAD_CORE, "h2load", "-t", "1", "-n", str(requests), "-c",
         str(connections), "-m", str(streams), "-d", files["body"], *HEADERS, server.url],
        capture_output=True, text=True, check=False)
    spent = server.cpu_seconds() - before
    good = re.search(r"status codes: (\d+) 2xx", done.stdout)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", done.stdout)
    if good is None or int(good.group(1)) != requests:
        raise RuntimeError(f"{server.name}: h2load did not get {requests} answers:\n{done.stdout}")
    return spent, float(rate.group(1))


def there(programs, only=None):
    """Those that are there; what is missing is said aloud."""
    found = []
    for name, path in programs:
        if only and name not in only:
            continue
        if os.access(path, os.X_OK):
            found.append((name, path))
        else:
            print(f"skipped: {name} (there is no {os.path.relpath(path, ROOT)})", flush=True)
    return found


def trained(only):
    """What make pgo has built, unless that was before the sources were changed."""
    newest = max(os.path.getmtime(os.path.join(folder, name)) for part in ("src", "include", "bench")
                 for folder, _, names in os.walk(os.path.join(ROOT, part)) for name in names)
    found = []
    for name, path in TRAINED:
        if not os.access(path, os.X_OK) or (only and name not in only):
            continue
        if os.path.getmtime(path) < newest:
            print(f"skipped: {name} (older than the sources; make pgo)", flush=True)
        else:
            found.append((name, path))
    return found


def programs(peers, only):
    """The servers to measure."""
    return there(OURS + (OTHERS if peers else []), only)


def prepare():
    for tool in ("h2load", "nghttp", "openssl", "taskset"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing (Debian: nghttp2-client, openssl, util-linux)")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for most in (65536, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, max(most, hard)))
            return
        except (ValueError, OSError):
            continue
