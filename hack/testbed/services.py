"""Addresses of Services: kube-proxy, which brings packets for them to one of their pods. One serves all real nodes."""

import json
from pathlib import Path

from . import accounts, builds, network, processes
from .cluster import Cluster
from .node import Node
from .report import step

HEALTH_PORT = 10256


def up(bed: Cluster) -> None:
    """Start kube-proxy and wait until its first rules stand; it wants a node to belong to."""
    configuration = _write_configuration(bed)
    command: list[str | Path] = [
        *network.command_inside(bed),
        builds.binary("kube-proxy"),
        f"--config={configuration}",
    ]
    if processes.start(bed.folder, "kube-proxy", command):
        step("starting kube-proxy")
    processes.wait_until(
        "kube-proxy's start", lambda: network.answers(bed, HEALTH_PORT, "/healthz"), 60, bed.folder, "kube-proxy"
    )


def _write_configuration(bed: Cluster) -> Path:
    kubeconfig = accounts.client_kubeconfig(bed, "system:kube-proxy", [], bed.inner_server)
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": Node(bed, 0).name,
        "mode": "nftables",
        # minSyncPeriod: a pod that goes away gets no new connections from then on, not a second later.
        # masqueradeAll: pods share a bridge, so an answer would go straight back to who asked, past the translation.
        "nftables": {"minSyncPeriod": "10ms", "masqueradeAll": True},
        "healthzBindAddress": f"{bed.bridge_address}:{HEALTH_PORT}",
        "metricsBindAddress": f"{bed.bridge_address}:10249",
        # The size of the kernel's table of connections is the machine's affair.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    path = bed.folder / "kube-proxy.json"
    text = json.dumps(settings, indent=2) + "\n"
    # kube-proxy ends as soon as its file is written, whatever is in it.
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path
