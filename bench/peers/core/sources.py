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
    r"src/core/xds/|/xds/|/xds_",
    r"/(rls|alts|grpclb|google_c2p|google_default|external|gcp_service_account_identity|ext_proc)/",
    r"/(composite|regional_access_boundary|gdch|authorization|autosharding|ring_hash|c_ares|cares)",
    r"/credentials/(call/(jwt|oauth2|iam|token_fetcher)|transport/(fake|local))|/outlier_detection/",
    r"windows|cfstream|iocp|ev_apple|/msys/|/iphone/|tchar|registry_extra\.cc$|third_party/cel-c/",
    r"filters/(rbac|stateful_session|fault_injection|gcp_authentication)|/util/gcp_metadata")))
TABLES = re.compile(r"src/core/ext/upb")
# Behind all others, so that those stay in the groups in which they are compiled. The core makes itself known what
# is in these when it begins.
ADDED = [
    "src/core/plugin_registry/grpc_plugin_registry_noextra.cc",
    "src/core/lib/security/authorization/grpc_server_authz_filter.cc",
    "src/core/load_balancing/grpclb/client_load_reporting_filter.cc",
    "src/core/load_balancing/grpclb/grpclb.cc",
    "src/core/load_balancing/grpclb/grpclb_balancer_addresses.cc",
    "src/core/load_balancing/grpclb/grpclb_client_stats.cc",
]

os.chdir(sys.argv[1])
known = runpy.run_path(LIST)
files = known["CORE_SOURCE_FILES"] + known["ASM_SOURCE_FILES"].get("crypto_asm", [])
kept = [name for name in files if TABLES.search(name) or not LEFT_OUT.search(name)]
for name in dict.fromkeys(kept + ADDED):
    print(os.path.abspath(name))
