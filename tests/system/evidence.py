#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every recorded piece of evidence through `neo attest show` and `verify`: the facts and the verdict
that the recordings' own list states. Says "skipped: no vectors" where the recordings are not."""
import base64
import calendar
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

BIN, ROOT = sys.argv[1], sys.argv[2]
VECTORS = os.environ.get("NEO_VECTORS", os.path.join(ROOT, "../shared/vectors"))
HOME = tempfile.mkdtemp(prefix="neo-evidence-")
failures, judged = [], 0


def vector(*path):
    return os.path.join(VECTORS, *path)


def write(name, data):
    path = os.path.join(HOME, name)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


def neo(*args):
    done = subprocess.run([os.path.join(BIN, "neo"), "attest", *args], text=True, capture_output=True,
                          timeout=60, cwd=HOME, env=dict(os.environ, NO_COLOR="1"))
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, {"text": done.stdout + done.stderr}


def same(what, found, wanted):
    if found != wanted:
        failures.append("%s: %r, not %r" % (what, found, wanted))


def facts_of(what, path, *more):
    status, shown = neo("show", path, *more, "-o", "json")
    if status != 0 or "facts" not in shown:
        failures.append("%s: show failed: %r" % (what, shown))
        return {}
    return shown["facts"]


def seconds(text):
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def policy(row, require="hardware"):
    return write("policy.yaml", "attestation_policies:\n  a:\n    require: %s\n    any_of:\n      - %s\n" % (
        require, json.dumps(row)))


def verify(what, path, row, reason, at=None, more=(), require="hardware", binder=("--own-binder",)):
    """`reason` "none": accepted."""
    global judged
    judged += 1
    args = ["verify", path, "--policy", policy(row, require), "--service", "a", *binder, *more, "-o", "json"]
    if at is not None:
        args += ["--at", str(at)]
    status, said = neo(*args)
    if "submods" not in said:
        failures.append("%s: no verdict: %r" % (what, said))
        return None
    body = list(said["submods"].values())[0]
    same(what + ": reason", body["neo.reason"], reason)
    same(what + ": exit status", status, 0 if reason == "none" else 1)
    same(what + ": ear.status", body["ear.status"], "affirming" if reason == "none" else "contraindicated")
    return body


def check(body, suffix):
    return next((c for c in body["neo.checks"] if c["name"].endswith(suffix)), {}) if body else {}


# --- AMD SEV-SNP ------------------------------------------------------------------------------------

SNP_LOOSE = {"min_report_version": 2, "committed_equals_current": False, "platform": {"alias_check": "any"}}


def snp_facts(what, facts, e):
    same(what, facts.get("report_version"), str(e["version"]))
    for ours, theirs in (("measurement",) * 2, ("report_data",) * 2, ("host_data",) * 2, ("chip_id",) * 2,
                         ("family_id",) * 2, ("image_id",) * 2, ("id_key_digest", "idkey"),
                         ("author_key_digest", "authkey")):
        same(what + " " + ours, facts.get(ours), e[theirs])
    same(what + " vmpl", facts.get("vmpl"), str(e["vmpl"]))
    same(what + " guest_svn", facts.get("guest_svn"), str(e["guest_svn"]))
    same(what + " policy", facts.get("policy", "").split(" ")[0], e["policy"])
    same(what + " platform_info", facts.get("platform_info"), e["platform_info"])
    same(what + " firmware", facts.get("firmware"), ".".join(str(n) for n in e["com_ver"]))
    for ours, theirs in (("reported_tcb", "rep_tcb"), ("committed_tcb", "com_tcb"), ("current_tcb", "cur_tcb"),
                         ("launch_tcb", "launch_tcb")):
        raw, t = bytes.fromhex(facts.get(ours, "00" * 8)), e[theirs]
        same(what + " " + ours, (raw[0], raw[1], raw[6], raw[7]), (t["bl"], t["tee"], t["snp"], t["ucode"]))


def snp(e):
    what, path = e["report"], vector(e["report"])
    roots = ("--collateral", vector("snp/roots/ask_ark_%s.pem" % e["chain"]), "--certificates", vector(e["vek"]))
    row = {"tee": "sev-snp", "measurement": [e["measurement"]]}
    loose = dict(row, **SNP_LOOSE)
    snp_facts(what, facts_of(what, path), e)
    if e["debug"]:
        verify(what, path, loose, "debug", more=roots)
    elif e["csp_id"] is not None:
        vlek = dict(loose, vek=["vlek"], csp_id=[e["csp_id"]])
        verify(what, path, vlek, "platform", at=1740000000, more=roots)
        verify(what, path, dict(vlek, vmpl=1), "none", at=1740000000, more=roots)
        verify(what, path, dict(vlek, vmpl=1, committed_equals_current=True), "tcb-floor", at=1740000000, more=roots)
        verify(what, path, dict(vlek, vmpl=1), "expired", at=1790000000, more=roots)
    elif e["version"] < 3:
        verify(what, path, row, "tcb-floor", more=roots)
        verify(what, path, loose, "none", more=roots)
    else:
        verify(what, path, row, "none", more=roots)
        verify(what, path, dict(row, measurement=["00" * 48]), "measurement", more=roots)
        verify(what, path, row, "binding", more=roots, binder=("--binder", "00" * 64))


def snp_forms(e):
    """One report in every form in which people have it."""
    raw = read(vector(e["report"]))
    row = {"tee": "sev-snp", "measurement": [e["measurement"]]}
    roots = ("--collateral", vector("snp/roots/ask_ark_genoa.pem"))
    aux = vector("snp/genoa_v3_tsm_auxblob.bin")
    header = (0).to_bytes(4, "little") + len(raw).to_bytes(4, "little") + bytes(24)
    saved = {"provider": "sev_guest", "outblob": base64.urlsafe_b64encode(raw).decode().rstrip("="),
             "auxblob": base64.b64encode(read(aux)).decode()}
    forms = {"hex": raw.hex(), "hex.lines": raw.hex("\n", 32).upper(), "base64": base64.encodebytes(raw),
             "base64url": base64.urlsafe_b64encode(raw), "ioctl": header + raw, "ioctl4000": (header + raw).ljust(4000, b"\0")}
    for name, data in forms.items():
        verify("report as " + name, write(name, data), row, "none", more=roots + ("--certificates", aux))
    verify("report as JSON", write("tsm.json", json.dumps(saved)), row, "none", more=roots)
    refused = (4).to_bytes(4, "little") + header[4:] + raw
    status, said = neo("verify", write("refused", refused), "--policy", policy(row), "--service", "a", "--own-binder")
    same("an answer that the driver refused", (status, "no evidence" in said.get("text", "")), (1, True))
    for text in ("pem", "hex"):
        der = read(vector(e["vek"]))
        vek = der.hex() if text == "hex" else "-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % (
            base64.encodebytes(der).decode())
        verify("VCEK as " + text, vector(e["report"]), row, "none", more=roots + ("--collateral", write("vek", vek)))


# --- Intel ------------------------------------------------------------------------------------------

INTEL_REASON = {"TCB_NOT_SUPPORTED": "tcb-status", "UpToDate": "none"}


def intel_row(e):
    if "mrenclave" in e:
        return {"tee": "sgx", "mrenclave": [e["mrenclave"]]}
    row = {"tee": "tdx", "mrtd": [e["mrtd"]]}
    if e["tdattr"][6:8] != "10":
        row["td_attributes"] = {"value": e["tdattr"], "mask": "ffffffffffffffff"}
    return row


def intel(e):
    what, path = e["quote"], vector(e["quote"])
    if e["collateral"] is None:
        verify(what, path, intel_row(e), "collateral")
        return
    folder = vector("intel-collateral", e["collateral"])
    facts, row, at = facts_of(what, path), intel_row(e), seconds(e["window"][0]) + 60
    same(what + " version", facts.get("quote_version"), str(e["version"]))
    for ours, theirs in (("report_data",) * 2, ("fmspc",) * 2, ("ppid",) * 2, ("platform_instance_id",) * 2,
                         ("mrtd",) * 2, ("mrseam",) * 2, ("mrconfigid",) * 2, ("xfam",) * 2, ("tee_tcb_svn",) * 2,
                         ("td_attributes", "tdattr"), ("rtmr.0", "rtmr0"), ("rtmr.1", "rtmr1"), ("rtmr.2", "rtmr2"),
                         ("rtmr.3", "rtmr3"), ("mrenclave",) * 2, ("mrsigner",) * 2, ("attributes", "attr"),
                         ("cpu_svn", "cpusvn")):
        if e.get(theirs) is not None:
            same(what + " " + ours, facts.get(ours), e[theirs])
    same(what + " sgx_type", facts.get("sgx_type"), str(e["pck_sgx_type"]))
    if "mrservicetd" not in row and int(facts.get("mrservicetd", "0"), 16) != 0:
        row["mrservicetd"] = facts["mrservicetd"]
    more = ("--collateral", folder)
    strict = "debug" if e["debug"] else INTEL_REASON.get(e["tcb_status"], "tcb-status")
    verify(what, path, row, strict, at=at, more=more)
    verify(what + " without collateral", path, row, "collateral", at=at)
    verify(what + " long after", path, row, "collateral-stale", at=at + 400 * 86400, more=more)
    if e["debug"] or e["tcb_status"] == "TCB_NOT_SUPPORTED":
        return
    tcb = {"accept": [e["tcb_status"]], "min_eval_number": e["tcb_eval_num"], "min_date": e["tcb_date"][:10]}
    if e["advisories"]:
        tcb["advisories"] = sorted(set(e["advisories"]))
    body = verify(what, path, dict(row, tcb=tcb), "none", at=at, more=more)
    detail = check(body, ".tcb").get("detail", "")
    same(what + " standing", detail.split(" ")[0], e["tcb_status"])
    for part in e["detail"].values():
        same(what + " parts", part in detail, True)
    verify(what, path, dict(row, tcb=dict(tcb, min_eval_number=e["tcb_eval_num"] + 1)), "tcb-floor", at=at, more=more)


def intel_bundle(e):
    """The same collateral as tools keep it: one JSON object."""
    folder = vector("intel-collateral", e["collateral"])
    tcb, identity = (read(os.path.join(folder, n)).decode() for n in ("tcb_info.json", "qe_identity.json"))
    signing = read(os.path.join(folder, "tcb_signing_chain.pem")).decode()

    def body(text, member):
        start = text.index('"%s":' % member) + len(member) + 3
        return text[start:text.index(',"signature"')], json.loads(text)["signature"]

    lists = {n: read(os.path.join(folder, n + ".der")).hex() for n in ("root_ca_crl", "pck_crl")}
    chains = {"tcb_info_issuer_chain": signing, "qe_identity_issuer_chain": signing,
              "pck_crl_issuer_chain": read(os.path.join(folder, "pck_crl_issuer_chain.pem")).decode()}
    bodies = {"tcb_info": body(tcb, "tcbInfo"), "qe_identity": body(identity, "enclaveIdentity")}
    whole = dict(lists, **chains, tcb_info=tcb, qe_identity=identity)
    split = dict(lists, **chains)
    for name, (text, signature) in bodies.items():
        split[name], split[name + "_signature"] = text, signature
    at, row = seconds(e["window"][0]) + 60, intel_row(e)
    verify("a bundle of documents", vector(e["quote"]), row, "none", at=at,
           more=("--collateral", write("bundle.json", json.dumps(whole))))
    verify("a bundle of bodies", vector(e["quote"]), row, "none", at=at,
           more=("--collateral", write("split.json", json.dumps(split, indent=1))))
    header = signing.replace(" ", "%20").replace("\n", "%0A")
    files = [write("tcb", tcb), write("identity", identity), write("header", header), write("root", lists["root_ca_crl"]),
             write("pck", base64.b64encode(read(os.path.join(folder, "pck_crl.der"))))]
    verify("headers, hex and base64", vector(e["quote"]), row, "none", at=at,
           more=[a for f in files for a in ("--collateral", f)])
    forged = dict(split, tcb_info=split["tcb_info"].replace("UpToDate", "UpToDatf", 1))
    status, _ = neo("verify", vector(e["quote"]), "--policy", policy(row), "--service", "a", "--own-binder",
                    "--at", str(at), "--collateral", write("forged.json", json.dumps(forged)))
    same("a forged body", status, 1)


# --- the others -------------------------------------------------------------------------------------

def nitro(e):
    what, path = e["file"], vector(e["file"])
    at, facts = seconds(e["window"][0]) + 60, facts_of(what, path)
    for i, value in e["pcrs"].items():
        same(what + " PCR" + i, facts.get("pcr." + i), value)
    same(what + " module", facts.get("module_id"), e["module_id"])
    for key in ("user_data", "nonce", "public_key"):
        same(what + " " + key, facts.get(key), e[key] or "")
    row = {"tee": "nitro", "pcr": e["pcrs"] if "0" in e["pcrs"] else {"0": "11" * 48}}
    reason = "debug" if e["pcr0_zero"] else "none" if e["cose_sig"] else "signature"
    verify(what, path, row, reason, at=at)
    if e["cose_sig"]:
        verify(what + " now", path, row, "expired")
        verify(what + " for another", path, row, "binding", at=at, binder=("--binder", "00" * 64))
    document = read(path)
    answer = (b"\xa1\x6bAttestation\xa1\x68document\x59" + len(document).to_bytes(2, "big") + document)
    verify(what + " as the driver's answer", write("nsm", answer), row, reason, at=at)
    verify(what + " tagged", write("tagged", b"\xd2" + document), row, reason, at=at)


TPM_KEYS = {"swtpm_quote_ecc": "swtpm_ak_ecc.tpm2b_public", "swtpm_quote_ecc_pcr14changed": "swtpm_ak_ecc.tpm2b_public",
            "swtpm_quote_rsa": "swtpm_ak_rsa.tpm2b_public", "trustee_swtpm_quote": "trustee_swtpm_ak_spki.der"}


def tpm(e):
    name = e["name"]
    pcrs = vector("tpm", name.replace("_pcr14changed", "") + ".pcrs")
    key = vector("tpm", TPM_KEYS.get(name, "gce_ak.tpmt_public"))
    parts = ["--part", "signature=" + vector("tpm", name + ".tpmt_signature"), "--part", "key=" + key,
             "--part", "pcrs=" + pcrs]
    path, row = vector("tpm", name + ".tpms_attest"), {"tee": "tpm"}
    facts, bank = facts_of(name, path, *parts), e["pcr_sel"][0]
    same(name + " extraData", facts.get("extra_data"), e["extra"])
    width, key = {4: (20, "pcr_sha1"), 11: (32, "pcr_sha256"), 12: (48, "pcr_sha384")}[bank[0]]
    pcr = str(bank[1][0])
    same(name + " PCR " + pcr, facts.get(key + "." + pcr), read(pcrs)[:width].hex())
    row[key] = {pcr: [read(pcrs)[:width].hex()]}
    if key == "pcr_sha1":
        row["accept_sha1"] = True
    more = list(parts)
    if name.startswith("gce"):
        row["ak"] = {"ca": ["9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf"]}
        more += ["--certificates", vector("tpm/gce_ak_cert.der"), "--collateral", vector("tpm/gce_tpm_ek_intermediate_2.crt"),
                 "--collateral", vector("tpm/gce_tpm_ek_root_1.cer")]
    elif name.startswith("trustee"):
        row["ak"] = {"spki": ["a517f03ffdaee469aef1a19569547e330726335d0461c3ef6383409c6295679e"]}
    else:
        row["ak"] = {"names": [read(vector("tpm", "swtpm_ak_%s.name" % ("rsa" if "rsa" in name else "ecc"))).hex()]}
    reason = "none" if e["pcr_digest_ok"] else "signature"
    body = verify(name, path, row, reason, more=more, require="hardware-or-tpm", binder=("--bound", e["extra"]))
    same(name + " signature", check(body, "tpm.signature").get("result"), "pass")
    if name.startswith("gce"):
        verify(name + " of another machine", path, dict(row, **{key: {pcr: ["00" * width]}}), "measurement", more=more,
               require="hardware-or-tpm")
        verify(name + " as an attestation key", path, dict(row, ak=dict(row["ak"], usage=["aik"])), "chain", more=more,
               require="hardware-or-tpm")
        verify(name + " with its log", path, row, "none", require="hardware-or-tpm",
               more=more + ["--part", "log=" + vector("tpm/gce_eventlog_cos85.bin")])
    if name == "swtpm_quote_ecc":
        wrapped = write("tpm2b", len(read(path)).to_bytes(2, "big") + read(path))
        listed = parts[:4] + ["--part", "pcrs=" + vector("tpm/swtpm_pcrs.txt")]
        verify(name + " wrapped, values as listed", wrapped, row, "none", more=listed, require="hardware-or-tpm")
        verify(name + " by its PEM", path, dict(row, ak={"spki": [spki_of(vector("tpm/swtpm_ak_ecc.pem"))]}), "none",
               require="hardware-or-tpm", more=parts[:2] + parts[4:] + ["--part", "key=" + vector("tpm/swtpm_ak_ecc.pem")])
        verify(name + " by its PEM, unnamed", path, row, "chain", require="hardware-or-tpm",
               more=parts[:2] + parts[4:] + ["--part", "key=" + vector("tpm/swtpm_ak_ecc.pem")])


def spki_of(pem):
    import hashlib
    lines = [l for l in read(pem).decode().splitlines() if not l.startswith("-")]
    return hashlib.sha256(base64.b64decode("".join(lines))).hexdigest()


def azure(e):
    name = e["name"]
    tdx = e["report_type"] == 4
    quote = [a for part, suffix in (("quote", "tpm_quote.tpms_attest"), ("signature", "tpm_quote.rsassa_sig"),
                                    ("pcrs", "tpm_quote.pcrs_sha256_24x32.bin"))
             for a in ("--part", "%s=%s" % (part, vector("azure-vtpm", name + "_" + suffix)))]
    path = vector("azure-vtpm", name + "_hcl_report.bin")
    row, at, more = {"tee": "azure-tdx" if tdx else "azure-snp", "pcr_sha256": {"0": [e["pcr0"]]}}, None, list(quote)
    if tdx:
        more += ["--part", "tdquote=" + vector("azure-vtpm/tdx_td_quote.dat")]
    facts = facts_of(name, path, *more)
    same(name + " runtime", facts.get("runtime_sha256"), e["runtime_sha256"])
    same(name + " user-data", facts.get("user_data"), e["user_data"].lower())
    same(name + " PCR0", facts.get("pcr_sha256.0"), e["pcr0"])
    same(name + " extraData", facts.get("extra_data"), e["tpm_extra"])
    same(name + " secure boot", facts.get("secure_boot"), str(e["vm_configuration"]["secure-boot"]).lower())
    if tdx:
        row.update(mrtd=[facts.get("mrtd")], td_attributes={"value": "00" * 8, "mask": "ff" * 8})
        more += ["--collateral", vector("intel-collateral/2025-07-07_tdx_00806f050000")]
        at = 1751883626
        verify(name, path, row, "tcb-status", at=at, more=more)
        row["tcb"] = {"accept": ["OutOfDate"], "advisories": ["INTEL-SA-00960", "INTEL-SA-00982", "INTEL-SA-00986"]}
    else:
        snp_facts(name, facts, e["snp"])
        row["measurement"] = [e["snp"]["measurement"]]
        more += ["--certificates", vector("azure-vtpm", name + "_vcek.der"),
                 "--collateral", vector("snp/roots/ask_ark_%s.pem" % e["snp"]["chain"])]
    verify(name, path, row, "none", at=at, more=more, binder=("--bound", e["tpm_extra"]))
    verify(name + " on its own", path, row, "none", at=at, more=more)
    verify(name + " for another", path, row, "binding", at=at, more=more, binder=("--binder", "00" * 64))
    verify(name + " of another guest", path, dict(row, pcr_sha256={"0": ["00" * 32]}), "measurement", at=at, more=more)
    status, said = neo("show", path)
    same(name + " alone", (status, "--part quote=FILE" in said.get("text", "")), (1, True))


def cca(e):
    what, path = e["file"], vector(e["file"])
    facts = facts_of(what, path)
    for ours, theirs in (("rim",) * 2, ("rpv",) * 2, ("challenge", "realm_challenge"), ("implementation_id", "impl_id"),
                         ("instance_id",) * 2):
        same(what + " " + ours, facts.get(ours), e[theirs])
    for i, value in enumerate(e["rems"]):
        same(what + " REM%d" % i, facts.get("rem.%d" % i), value)
    same(what + " lifecycle", facts.get("lifecycle"), e["lifecycle"])
    row = {"tee": "arm-cca", "rim": [e["rim"]]}
    verify(what, path, row, "none", more=("--collateral", vector(e["cpak"])))
    verify(what + " of an unknown platform", path, row, "collateral")
    folder = os.path.join(HOME, "mixed")
    os.makedirs(folder, exist_ok=True)
    shutil.copy(vector(e["cpak"]), folder)
    shutil.copy(path, folder)
    write("mixed/README.md", "about these files")
    verify(what + " with its key in a folder of all sorts", path, row, "none", more=("--collateral", folder))
    _, said = neo("verify", path, "--policy", policy(row), "--service", "a", "--own-binder",
                  "--collateral", os.path.join(folder, "README.md"))
    if "README.md: neither PEM nor DER" not in said.get("error", {}).get("message", said.get("text", "")):
        failures.append("a file that is no collateral, asked for by name: %r" % said)
    other = "cca/veraison_synth_cpak_p256.jwk.json" if "veraison" not in what else "cca/fvp_cpak_p384.jwk.json"
    verify(what + " under another key", path, row, "signature", more=("--collateral", vector(other)))
    verify(what, path, dict(row, rim=["ff" * 32]), "measurement", more=("--collateral", vector(e["cpak"])))


# --- what must be refused ---------------------------------------------------------------------------

NEGATIVE = {"FORMAT": "format", "SIGNATURE": "signature", "QUOTE_SIGNATURE": "signature",
            "QE_REPORT_SIGNATURE": "signature", "AK_BINDING": "signature"}


def negative(i, case, expected):
    data = bytearray(read(vector(case["base"])))
    for op in case["ops"]:
        if op[0] == "xor":
            data[op[1]] ^= op[2]
        elif op[0] == "set":
            new = bytes.fromhex(op[2])
            data[op[1]:op[1] + len(new)] = new
        elif op[0] == "trunc":
            del data[op[1]:]
        else:
            data += bytes.fromhex(op[1])
    path, what = write("negative", bytes(data)), "negative %d (%s)" % (i, case["why"])
    if case["base"].startswith("tpm"):
        parts = ("--part", "signature=" + vector("tpm/swtpm_quote_ecc.tpmt_signature"),
                 "--part", "key=" + vector("tpm/swtpm_ak_ecc.tpm2b_public"), "--part", "pcrs=" + vector("tpm/swtpm_quote_ecc.pcrs"))
        row = {"tee": "tpm", "pcr_sha256": {"0": ["00" * 32]}, "ak": {"names": [read(vector("tpm/swtpm_ak_ecc.name")).hex()]}}
        status, said = neo("verify", path, "--policy", policy(row, "hardware-or-tpm"), "--service", "a", "--own-binder", *parts)
        same(what, status, 1)
        return
    row, more, at, kind = expected
    args = ("verify", path, "--policy", policy(row), "--service", "a", "--own-binder", "--at", str(at), "--kind", kind,
            "-o", "json", *more)
    status, said = neo(*args)
    body = list(said.get("submods", {"": {}}).values())[0]
    wanted = {NEGATIVE[w] for w in case["expect"].replace("/", " ").replace("+", " ").split() if w in NEGATIVE}
    if case["expect"] == "OK":
        wanted = {"none", "tcb-status"}
    if body.get("neo.reason") not in wanted:
        failures.append("%s: %r, not %r" % (what, body.get("neo.reason", said), wanted))
    guessed, _ = neo(*(args[:9] + args[11:]))  # the same without --kind
    same(what + " by its form", guessed, status)


def negatives(listed):
    by_file = {e["report"]: ({"tee": "sev-snp", "measurement": [e["measurement"]]},
                             ("--collateral", vector("snp/roots/ask_ark_%s.pem" % e["chain"]), "--certificates", vector(e["vek"])),
                             1790000000, "snp-report") for e in listed["snp"]}
    for e in listed["intel"]:
        if e["collateral"] is not None:
            by_file.setdefault(e["quote"], (intel_row(e), ("--collateral", vector("intel-collateral", e["collateral"])),
                                            seconds(e["window"][0]) + 60, "sgx-quote" if "mrenclave" in e else "tdx-quote"))
    for e in listed["nitro"]:
        by_file[e["file"]] = ({"tee": "nitro", "pcr": {"0": e["pcrs"].get("0", "11" * 48)}}, (), seconds(e["window"][0]) + 60,
                              "nitro-doc")
    with open(vector("NEGATIVES.json")) as f:
        for i, case in enumerate(json.load(f)["cases"]):
            negative(i, case, by_file.get(case["base"]))


def main():
    if not os.path.exists(vector("EXPECTED.json")):
        print("skipped: no vectors\nSKIPPED: system.evidence, all of it")
        return 77
    with open(vector("EXPECTED.json")) as f:
        listed = json.load(f)
    for family, judge in (("snp", snp), ("intel", intel), ("nitro", nitro), ("tpm", tpm), ("azure_vtpm", azure), ("cca", cca)):
        for e in listed[family]:
            judge(e)
    snp_forms(next(e for e in listed["snp"] if "genoa" in e["report"]))
    intel_bundle(next(e for e in listed["intel"] if e["quote"] == "tdx/v4_uptodate_quote.dat"))
    negatives(listed)
    print("%d verdicts" % judged)
    return 0


try:
    status = main()
finally:
    shutil.rmtree(HOME, ignore_errors=True)
for f in failures:
    print("FAILED", f)
sys.exit(1 if failures else status)
