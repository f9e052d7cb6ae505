"""Names for pods on real nodes: CoreDNS on the bridge, which knows the Services of the bed and nothing else."""

from __future__ import annotations

import http
import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING

from . import accounts, builds, network, processes
from .report import step

if TYPE_CHECKING:
    from .bed import Bed

USER = "testbed:coredns"
READS = [
    {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]


def up(bed: Bed) -> None:
    """Start CoreDNS and wait until it knows the Services; makes the bridge on which it listens."""
    network.up(bed)
    command: list[str | Path] = [builds.binary("coredns"), f"-conf={_write_configuration(bed)}"]
    if processes.is_running(bed.folder, "coredns", command):
        return
    step("starting CoreDNS")
    _allow_reading(bed)
    processes.start(bed.folder, "coredns", command)
    processes.wait_until("CoreDNS's start", lambda: _is_ready(bed), 60, bed.folder, "coredns")


def _write_configuration(bed: Bed) -> str:
    # No cache: what a pod asks is answered from the API server's present state. Other names do not exist.
    path = bed.folder / "coredns.conf"
    path.write_text(f"""\
cluster.local:53 in-addr.arpa:53 {{
    bind {bed.bridge_address}
    errors
    ready 127.0.0.1:{bed.port("coredns")}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {accounts.client_kubeconfig(bed, USER, [])}
    }}
}}
.:53 {{
    bind {bed.bridge_address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
""")
    return str(path)


def _allow_reading(bed: Bed) -> None:
    role = {"metadata": {"name": USER}, "rules": READS}
    binding = {
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    }
    for kind, content in {"ClusterRole": role, "ClusterRoleBinding": binding}.items():
        document = json.dumps({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, **content})
        bed.kubectl("apply", "--server-side", "--field-manager=testbed", "-f", "-", stdin=document)


def _is_ready(bed: Bed) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", bed.port("coredns"), timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
