"""Names for pods on real nodes: CoreDNS on the bridge, which knows the Services of the bed and nothing else."""

import json
from pathlib import Path

from . import accounts, builds, network, processes
from .cluster import Cluster
from .report import step

USER = "testbed:coredns"
HEALTH_PORT = 8181
READS = [
    {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]


def up(bed: Cluster) -> None:
    """Start CoreDNS and wait until it knows the Services."""
    configuration = f"-conf={_write_configuration(bed)}"
    command: list[str | Path] = [*network.command_inside(bed), builds.binary("coredns"), configuration]
    if processes.is_running(bed.folder, "coredns", command):
        return
    step("starting CoreDNS")
    _allow_reading(bed)
    processes.start(bed.folder, "coredns", command)
    processes.wait_until(
        "CoreDNS's start", lambda: network.answers(bed, HEALTH_PORT, "/ready"), 60, bed.folder, "coredns"
    )


def _write_configuration(bed: Cluster) -> str:
    # No cache: what a pod asks is answered from the API server's present state. Other names do not exist.
    path = bed.folder / "coredns.conf"
    path.write_text(f"""\
cluster.local:53 in-addr.arpa:53 {{
    bind {bed.bridge_address}
    errors
    ready {bed.bridge_address}:{HEALTH_PORT}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {accounts.client_kubeconfig(bed, USER, [], bed.inner_server)}
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


def _allow_reading(bed: Cluster) -> None:
    role = {"metadata": {"name": USER}, "rules": READS}
    binding = {
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    }
    for kind, content in {"ClusterRole": role, "ClusterRoleBinding": binding}.items():
        document = json.dumps({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, **content})
        bed.kubectl("apply", "--server-side", "--field-manager=testbed", "-f", "-", stdin=document)
