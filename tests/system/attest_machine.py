#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Machines as `neo attest doctor` meets them, below folders that stand for "/"; and a service that proves
itself with a TPM in software (swtpm), where that is installed."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

BIN, ROOT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
HOME = tempfile.mkdtemp(prefix="neo-machine-")
ENV = dict(os.environ, NEO_DIR=os.path.join(HOME, "dev"), NO_COLOR="1")
failures = []
left_out = False


def neo(*args, **how):
    return subprocess.run([os.path.join(BIN, "neo"), *args], env=ENV, text=True, capture_output=True, timeout=60,
                          cwd=HOME, **how)


def expect(what, done, status, *words):
    text = done.stdout + done.stderr
    missing = [w for w in words if w not in text]
    if done.returncode != status or missing:
        failures.append("%s: status %d (want %d), missing %s in:\n%s" % (what, done.returncode, status, missing,
                                                                       text[-2000:]))


def machine(name, files):
    """A root with these files; a folder is a name that ends in a slash."""
    root = os.path.join(HOME, name)
    os.makedirs(root)
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(full if path.endswith("/") else os.path.dirname(full), exist_ok=True)
        if not path.endswith("/"):
            with open(full, "w") as f:
                f.write(text)
    return root


def state_of(root, tee, via, *more):
    out = json.loads(neo("attest", "doctor", "--root", root, "-o", "json", *more).stdout)
    return [s for s in out["sources"] if (s["tee"], s["via"]) == (tee, via)][0]


def bare_metal():
    root = machine("bare", {"proc/cpuinfo": "vendor_id\t: GenuineIntel\nmodel name\t: A Processor\nflags\t\t: fpu sgx\n",
                            "proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
                            "sys/class/dmi/id/sys_vendor": "A Maker\n", "dev/sgx_enclave": ""})
    expect("bare metal", neo("attest", "doctor", "--root", root), 1, "GenuineIntel, A Processor", "6.1.0-18-amd64",
           "A Maker", "proves nothing", "not a SEV-SNP guest", "there is no /dev/nsm", "start the service under Gramine")
    expect("evidence of bare metal", neo("attest", "collect", "--root", root, "--out", "x", "--binder", "00" * 64), 1,
           "no TEE that is known")
    expect("evidence of a named TEE", neo("attest", "collect", "--root", root, "--tee", "nitro", "--out", "x",
                                          "--binder", "00" * 64), 1, "nitro is not to be had here", "/dev/nsm")
    expect("no such TEE", neo("attest", "collect", "--root", root, "--tee", "trustzone", "--out", "x", "--binder",
                              "00" * 64), 2, "there are: auto, sev-snp")
    expect("a binder that is too short", neo("attest", "collect", "--root", root, "--out", "x", "--binder", "00"), 2,
           "128 hex digits")
    if os.path.exists(os.path.join(HOME, "x")):
        failures.append("a file was made of no evidence")


def guest_without_permission():
    root = machine("snp", {"proc/cpuinfo": "vendor_id\t: AuthenticAMD\n", "sys/bus/platform/devices/sev-guest/": "",
                           "sys/kernel/config/": "", "dev/sev-guest": "", "proc/modules": "sev_guest 20480 0 - Live\n",
                           "proc/mounts": "configfs /sys/kernel/config configfs rw 0 0\n"})
    os.chmod(os.path.join(root, "dev/sev-guest"), 0)
    program = os.path.join(HOME, "neo")
    shutil.copy(os.path.join(BIN, "neo"), program)
    os.chmod(HOME, 0o755)
    how = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run([program, "attest", "doctor", "--root", root], env=ENV, text=True, capture_output=True,
                          timeout=60, cwd="/", **how)
    expect("a guest whose device is closed", done, 1, "not yet", "cannot open /dev/sev-guest: Permission denied",
           "udev rule", "without CAP_DAC_OVERRIDE", "sev_guest", "configfs   mounted, without tsm", "modprobe sev-guest")
    os.remove(program)
    os.chmod(os.path.join(root, "dev/sev-guest"), 0o600)
    expect("a guest whose device is open", neo("attest", "doctor", "--root", root), 0, "proves sev-snp, by sev-guest")
    expect("a device that is none", neo("attest", "doctor", "--root", root, "--try"), 1, "no evidence",
           "/dev/sev-guest")


def domain_without_configfs():
    root = machine("tdx", {"proc/cpuinfo": "vendor_id\t: GenuineIntel\nflags\t\t: fpu tdx_guest hypervisor\n"})
    expect("a TD without configfs", neo("attest", "doctor", "--root", root), 1, "hypervisor tdx_guest",
           "no configfs", "→ modprobe configfs")
    os.makedirs(os.path.join(root, "sys/kernel/config"))
    expect("a TD whose configfs is not mounted", neo("attest", "doctor", "--root", root), 1,
           "mount -t configfs none /sys/kernel/config; modprobe tdx_guest", "not mounted, without tsm")
    if state_of(root, "tdx", "configfs-tsm")["state"] != "lacking":
        failures.append("a TD without configfs is not 'lacking'")
    if state_of(root, "sev-snp", "configfs-tsm")["state"] != "absent":
        failures.append("a TD is a SEV-SNP guest")


def enclave():
    """Gramine's files are plain ones: everything but the quote's freshness is there."""
    root = machine("sgx", {"dev/attestation/attestation_type": "none", "dev/attestation/user_report_data": ""})
    expect("Gramine without attestation", neo("attest", "doctor", "--root", root), 1, "'none'", "the manifest")
    with open(os.path.join(root, "dev/attestation/attestation_type"), "w") as f:
        f.write("dcap")
    quote = os.path.join(ROOT, "tests/fuzz/corpus/intel_quote/sgx-v3")
    shutil.copy(quote, os.path.join(root, "dev/attestation/quote"))
    expect("Gramine", neo("attest", "doctor", "--root", root), 0, "proves sgx, by gramine")
    expect("a quote for somebody else", neo("attest", "doctor", "--root", root, "--try"), 1, "another question")
    said = json.loads(neo("attest", "show", quote, "-o", "json").stdout)["facts"]["report_data"]
    expect("collect", neo("attest", "collect", "--root", root, "--binder", said, "--out", "quote.bin"), 0,
           "sgx-quote by gramine")
    with open(os.path.join(HOME, "quote.bin"), "rb") as ours, open(quote, "rb") as theirs:
        if ours.read() != theirs.read():
            failures.append("the collected quote is not the one of the file")
    with open(os.path.join(root, "dev/attestation/user_report_data"), "rb") as f:
        if f.read() != bytes.fromhex(said):
            failures.append("Gramine was asked for another binder")


def start_swtpm():
    """It returns when it listens. The id, or None where there is no swtpm."""
    folder = os.path.join(HOME, "tpm")
    os.makedirs(folder)
    try:
        subprocess.run(["swtpm", "socket", "--tpm2", "--daemon", "--flags", "not-need-init,startup-clear", "--server",
                        "type=unixio,path=%s/sock" % folder, "--ctrl", "type=unixio,path=%s/sock.ctrl" % folder,
                        "--tpmstate", "dir=" + folder, "--pid", "file=%s/pid" % folder], check=True, timeout=30)
    except FileNotFoundError:
        return None, None
    with open(os.path.join(folder, "pid")) as f:
        return int(f.read()), "swtpm:path=%s/sock" % folder


def policy_of(facts):
    with open(os.path.join(HOME, "tpm.yaml"), "w") as f:
        f.write("attestation_policies:\n  hello-service:\n    require: hardware-or-tpm\n    any_of:\n"
                "      - tee: tpm\n        pcr_sha256: {0: [\"%s\"], 7: [\"%s\"]}\n        ak: {names: [\"%s\"]}\n" %
                (facts["pcr_sha256.0"], facts["pcr_sha256.7"], facts["ak_name"]))
    return os.path.join(HOME, "tpm.yaml")


def by_hand(tpm):
    """Evidence into a file, shown, put into a policy, judged."""
    binder = os.urandom(64).hex()
    expect("doctor --try", neo("attest", "doctor", "--tpm", tpm, "--try"), 0, "proves tpm, by tpm2-tss",
           "judged by its own values: accepted")
    expect("collect of a TPM", neo("attest", "collect", "--tee", "tpm", "--tpm", tpm, "--binder", binder, "--out",
                                   "tpm.bin"), 0, "tpm-quote by tpm2-tss")
    policy = policy_of(json.loads(neo("attest", "show", "tpm.bin", "-o", "json").stdout)["facts"])
    asked = ("attest", "verify", "tpm.bin", "--policy", policy, "--service", "hello-service", "--binder")
    expect("verify", neo(*asked, binder), 0, "accepted")
    expect("verify for another channel", neo(*asked, "00" * 64), 1, "tpm.binder", "refused (binding)")
    return policy


def start_service(*options):
    join = neo("token", "create", "hello-service").stdout
    with open(os.path.join(HOME, "join"), "w") as f:
        f.write(join)
    return subprocess.Popen([os.path.join(BIN, "hello-service"), "--state", "hello", "--join-file", "join", *options],
                            env=ENV, cwd=HOME, stderr=subprocess.PIPE, text=True)


def stop_service(service):
    service.send_signal(signal.SIGTERM)
    return service.communicate(timeout=30)[1]


def greet():
    return neo("call", "--as", "hello-client", "hello-service", "hello.Greeter/Greet", "-d", '{"name": "you"}')


def wait_for(service, text):
    """The log up to that line."""
    lines = []
    for line in service.stderr:
        lines.append(line)
        if text in line:
            break
    return "".join(lines)


def as_a_service(tpm, policy):
    expect("up", neo("up", "--detach", "--ca", "127.0.0.1:0", "--registry", "127.0.0.1:0", "--policy", policy,
                     "--policy", os.path.join(ROOT, "examples/hello/policy.yaml")), 0, "is up")
    service = start_service("--tee", "none")
    if "must be attested first" not in wait_for(service, "must be attested first"):
        failures.append("the registry serves a service that cannot prove itself")
    service.kill()
    service.communicate(timeout=30)
    shutil.rmtree(os.path.join(HOME, "hello"))
    service = start_service("--tee", "tpm", "--tpm", tpm)
    log = wait_for(service, "registered")
    if "attester.chosen" not in log:
        failures.append("the service does not say what it proves itself with:\n" + log)
    expect("a service that proves itself with its TPM", greet(), 0, "you")
    stop_service(service)
    shutil.rmtree(os.path.join(HOME, "hello"))
    service = start_service("--tee", "nitro")
    log = service.communicate(timeout=30)[1]
    if service.returncode != 1 or "--tee nitro: nitro is not to be had here: there is no /dev/nsm" not in log or \
            "neo attest doctor" not in log:
        failures.append("a service with a TEE that is not there: %d\n%s" % (service.returncode, log))


pid = None
try:
    bare_metal()
    guest_without_permission()
    domain_without_configfs()
    enclave()
    pid, tpm = start_swtpm()
    if pid is None:
        left_out = True
        print("SKIPPED: a service that proves itself with a TPM: no swtpm")
    elif state_of("/", "tpm", "tpm2-tss", "--tpm", tpm)["what"].endswith("no tpm2-tss"):
        left_out = True
        print("SKIPPED: a service that proves itself with a TPM: no tpm2-tss")
    else:
        as_a_service(tpm, by_hand(tpm))
finally:
    neo("down")
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(HOME, ignore_errors=True)
for f in failures:
    print("FAILED " + f)
print("%d things wrong" % len(failures))
sys.exit(1 if failures else 77 if left_out else 0)
