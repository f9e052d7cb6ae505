"""The network of a bed's real nodes: one bridge, on which all pods of all nodes reach each other.

Nothing is forwarded beyond the bridge. kube-proxy would take over the machine's iptables, so that no two beds could
live side by side; only the Service `kubernetes`, by which pods find the API server, is translated here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .machine import run, succeeds

if TYPE_CHECKING:
    from .bed import Bed
    from .node import Node


def up(bed: Bed) -> None:
    """Make the bridge with the host's address on it, and the rules for packets; what stands is left alone."""
    name = bridge(bed)
    if not _exists(name):
        run("ip", "link", "add", name, "type", "bridge")
    run("ip", "address", "replace", f"{bed.bridge_address}/16", "dev", name)
    run("ip", "link", "set", name, "up")
    rules = _rules(bed)
    if not all(succeeds("iptables", "--wait", "-t", table, "-C", chain, *rule) for table, chain, *rule in rules):
        _remove_rules(bed)
        for table, chain, *rule in rules:
            # First in the chain, before a rule that drops.
            run("iptables", "--wait", "-t", table, "-I", chain, *rule)


def down(bed: Bed) -> None:
    """Remove bridge and rules."""
    _remove_rules(bed)
    if _exists(bridge(bed)):
        run("ip", "link", "delete", bridge(bed))


def add_address(node: Node) -> None:
    """Give the host the node's address, at which its kubelet listens."""
    run("ip", "address", "replace", f"{node.address}/16", "dev", bridge(node.bed))


def write_cni_configuration(node: Node) -> None:
    """Tell containerd how to connect a pod: to the bridge, with an address of the node's own range."""
    addresses = {"subnet": node.bed.subnet, "gateway": node.bed.bridge_address}
    addresses |= {"rangeStart": node.first_pod_address, "rangeEnd": node.last_pod_address}
    plugin = {
        "type": "bridge",
        "bridge": bridge(node.bed),
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[addresses]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(node.folder / "addresses"),
        },
    }
    document = {"cniVersion": "0.4.0", "name": "pods", "plugins": [plugin]}
    node.cni_folder.mkdir(parents=True, exist_ok=True)
    (node.cni_folder / "pods.conflist").write_text(json.dumps(document, indent=2) + "\n")


def bridge(bed: Bed) -> str:
    """The bridge's name, short enough for an interface."""
    return f"trainpush{bed.index}"


def _exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _rules(bed: Bed) -> list[list[str]]:
    """The bed's rules: table, chain, and the words of iptables."""
    name, comment = bridge(bed), ["-m", "comment", "--comment", _comment(bed)]
    service = ["-i", name, "-d", f"{bed.first_service_address}/32", "-p", "tcp", "--dport", "443", *comment]
    target = f"{bed.bridge_address}:{bed.port('kube-apiserver')}"
    return [
        ["nat", "PREROUTING", *service, "-j", "DNAT", "--to-destination", target],
        # A machine with Docker drops what it does not know, even between two ports of one bridge.
        ["filter", "FORWARD", "-i", name, "-o", name, *comment, "-j", "ACCEPT"],
    ]


def _remove_rules(bed: Bed) -> None:
    """Remove the rules that bear the bed's comment, also those of an earlier run with other ports."""
    for table, chain in (("nat", "PREROUTING"), ("filter", "FORWARD")):
        for line in run("iptables", "--wait", "-t", table, "-S", chain).splitlines():
            words = line.replace('"', "").split()
            if _comment(bed) in words:
                run("iptables", "--wait", "-t", table, "-D", *words[1:])


def _comment(bed: Bed) -> str:
    return f"testbed:{bridge(bed)}"
