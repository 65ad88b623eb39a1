#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges recorded quotes with dcap-qvl. One JSON question per line in, one JSON answer out."""
import json
import pathlib
import statistics
import sys
import time

import dcap_qvl


def collateral_of(folder):
    """dcap-qvl wants the signed bytes and the signature apart; the bodies are cut, not written anew."""
    folder = pathlib.Path(folder)
    info = (folder / "tcb_info.json").read_text()
    identity = (folder / "qe_identity.json").read_text()

    def signed(text, member):
        start = text.index("{", text.index('"%s"' % member))
        _, end = json.JSONDecoder().raw_decode(text, start)
        return text[start:end]

    return dcap_qvl.QuoteCollateralV3(
        pck_crl_issuer_chain=(folder / "pck_crl_issuer_chain.pem").read_text(),
        root_ca_crl=(folder / "root_ca_crl.der").read_bytes(),
        pck_crl=(folder / "pck_crl.der").read_bytes(),
        tcb_info_issuer_chain=(folder / "tcb_signing_chain.pem").read_text(),
        tcb_info=signed(info, "tcbInfo"),
        tcb_info_signature=bytes.fromhex(json.loads(info)["signature"]),
        qe_identity_issuer_chain=(folder / "tcb_signing_chain.pem").read_text(),
        qe_identity=signed(identity, "enclaveIdentity"),
        qe_identity_signature=bytes.fromhex(json.loads(identity)["signature"]))


def verify(quote, collateral, at):
    return json.loads(dcap_qvl.verify(quote, collateral, at).to_json())


def ask(question):
    quote = pathlib.Path(question["Evidence"]).read_bytes()
    collateral = collateral_of(question["Collateral"])
    answer = {"name": question["Name"], "accept": False, "said": "", "usec": 0.0}
    try:
        report = verify(quote, collateral, question["At"])
        answer["said"] = report["status"]
        answer["advisories"] = sorted(set(report["advisory_ids"]))
        answer["accept"] = report["status"] == "UpToDate"
    except ValueError as error:
        answer["said"] = str(error)
    times = []
    for _ in range(question["Rounds"]):
        begun = time.process_time()
        try:
            verify(quote, collateral, question["At"])
        except ValueError:
            pass
        times.append((time.process_time() - begun) * 1e6)
    if times:
        answer["usec"] = statistics.median(times)
    return answer


for line in sys.stdin:
    print(json.dumps(ask(json.loads(line))), flush=True)
