# SPDX-License-Identifier: Apache-2.0
"""nginx and Envoy in front of a server of ours: TLS 1.3 and HTTP/2 on both sides.

Callers have no certificate (h2load has none); towards the server each proxy shows one and checks the
server's chain and name. One thread, no access log, limits out of the way.
"""
import os
import socket
import subprocess
import tempfile
import time

from harness import METHOD, SERVER_CORE, Process

STREAMS = 1000  # a connection's; neither proxy is to be stopped by its limits

NGINX = """daemon off;
master_process off;
error_log {folder}/error.log;
pid {folder}/pid;
worker_rlimit_nofile 8192;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        http2_max_concurrent_streams {streams};
        keepalive_requests 1000000000;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        location / {{
            grpc_pass grpcs://backend;
            grpc_ssl_protocols TLSv1.3;
            grpc_ssl_certificate {client};
            grpc_ssl_certificate_key {client_key};
            grpc_ssl_trusted_certificate {ca};
            grpc_ssl_verify on;
            grpc_ssl_verify_depth 2;
            grpc_ssl_name localhost;
        }}
    }}
}}
"""

# JSON is YAML, and envoy reads a file that ends in .json as such.
ENVOY = """{{
  "static_resources": {{
    "listeners": [{{
      "name": "in",
      "address": {{"socket_address": {{"address": "127.0.0.1", "port_value": {port}}}}},
      "filter_chains": [{{
        "transport_socket": {{
          "name": "envoy.transport_sockets.tls",
          "typed_config": {{
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {{
              "alpn_protocols": ["h2"],
              "tls_params": {{"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}},
              "tls_certificates": [{{"certificate_chain": {{"filename": "{cert}"}}, "private_key": {{"filename": "{key}"}}}}]
            }}
          }}
        }},
        "filters": [{{
          "name": "envoy.filters.network.http_connection_manager",
          "typed_config": {{
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "in",
            "codec_type": "HTTP2",
            "http2_protocol_options": {{"max_concurrent_streams": {streams}}},
            "generate_request_id": false,
            "http_filters": [{{
              "name": "envoy.filters.http.router",
              "typed_config": {{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}
            }}],
            "route_config": {{
              "virtual_hosts": [{{
                "name": "all",
                "domains": ["*"],
                "routes": [{{"match": {{"prefix": "/"}}, "route": {{"cluster": "backend"}}}}]
              }}]
            }}
          }}
        }}]
      }}]
    }}],
    "clusters": [{{
      "name": "backend",
      "type": "STATIC",
      "circuit_breakers": {{"thresholds": [{{"max_requests": 100000, "max_pending_requests": 100000}}]}},
      "load_assignment": {{
        "cluster_name": "backend",
        "endpoints": [{{"lb_endpoints": [{{"endpoint": {{
          "address": {{"socket_address": {{"address": "127.0.0.1", "port_value": {backend}}}}}
        }}}}]}}]
      }},
      "typed_extension_protocol_options": {{
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {{
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          "explicit_http_config": {{"http2_protocol_options": {{"max_concurrent_streams": {streams}}}}}
        }}
      }},
      "transport_socket": {{
        "name": "envoy.transport_sockets.tls",
        "typed_config": {{
          "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
          "sni": "localhost",
          "common_tls_context": {{
            "alpn_protocols": ["h2"],
            "tls_params": {{"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}},
            "tls_certificates": [{{
              "certificate_chain": {{"filename": "{client}"}}, "private_key": {{"filename": "{client_key}"}}
            }}],
            "validation_context": {{
              "trusted_ca": {{"filename": "{ca}"}},
              "match_typed_subject_alt_names": [{{"san_type": "DNS", "matcher": {{"exact": "localhost"}}}}]
            }}
          }}
        }}
      }}
    }}]
  }}
}}
"""


def free_port():
    """Neither says which port the kernel gave it, so one is chosen that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy(Process):
    """nginx or Envoy, on the servers' core, in front of `backend`."""

    def __init__(self, name, program, files, backend):
        self.name = name
        self.warm = 0
        self.port = str(free_port())
        self.url = f"https://127.0.0.1:{self.port}{METHOD}"
        self.folder = tempfile.TemporaryDirectory()
        config = os.path.join(self.folder.name, name + (".json" if name == "envoy" else ".conf"))
        with open(config, "w", encoding="ascii") as out:
            out.write((ENVOY if name == "envoy" else NGINX).format(
                folder=self.folder.name, port=self.port, backend=backend.port, streams=STREAMS,
                cert=files["server"], key=files["server_key"], ca=files["ca"], client=files["client"],
                client_key=files["client_key"]))
        command = [program, "-c", config]
        command += ["--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"] if name == "envoy" else \
            ["-p", self.folder.name, "-e", os.path.join(self.folder.name, "error.log")]
        with open(os.path.join(self.folder.name, "said"), "wb") as said:
            self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command], stdout=said,
                                            stderr=subprocess.STDOUT)
        self.wait()

    def wait(self):
        """Until it listens; whoever connects is the kernel's question, and costs it one connection."""
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", int(self.port)), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        said = self.said()
        self.stop()
        raise RuntimeError(f"{self.name} does not listen: {said}")

    def said(self):
        text = ""
        for name in ("said", "error.log"):
            path = os.path.join(self.folder.name, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as out:
                    text += out.read()
        return text[-2000:]

    def stop(self):
        super().stop()
        self.folder.cleanup()
