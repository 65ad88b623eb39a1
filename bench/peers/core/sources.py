# SPDX-License-Identifier: Apache-2.0
"""Which files of the core's source a server needs, one a line.

    sources.py FOLDER-OF-GRPCIO

The package says what its core is made of. What a server with TLS does not touch (xDS, RLS, ALTS,
the balancers, other systems) is left out: it is a third of the work, and no part of a call.
"""
import os
import re
import runpy
import sys

LIST = "src/python/grpcio/grpc_core_dependencies.py"
LEFT_OUT = re.compile("|".join((
    r"src/core/xds/|/xds/|/xds_|upbdefs-gen/(?!src/proto/grpc/channelz)|upb-gen/envoy/",
    r"/(rls|alts|grpclb|google_c2p|google_default|external|gcp_service_account_identity|ext_proc)/",
    r"/(composite|regional_access_boundary|gdch|authorization|autosharding|ring_hash|c_ares|cares)",
    r"/credentials/(call/(jwt|oauth2|iam|token_fetcher)|transport/(fake|local))|/outlier_detection/",
    r"windows|cfstream|iocp|ev_apple|/msys/|/iphone/|tchar|_extra\.cc$|third_party/cel-c/",
    r"filters/(rbac|stateful_session|fault_injection|gcp_authentication)|/util/gcp_metadata")))
ADDED = ["src/core/plugin_registry/grpc_plugin_registry_noextra.cc"]

os.chdir(sys.argv[1])
known = runpy.run_path(LIST)
files = known["CORE_SOURCE_FILES"] + known["ASM_SOURCE_FILES"].get("crypto_asm", []) + ADDED
for name in dict.fromkeys(files):
    if not LEFT_OUT.search(name):
        print(os.path.abspath(name))
