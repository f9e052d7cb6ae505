"""The network of a bed's real nodes: a network namespace with one bridge, on which all pods reach each other.

kube-proxy takes over the chains of netfilter, of which each namespace has its own: so beds live side by side.
This machine is one more host on the bridge, by a pair of virtual interfaces. It talks to pods and nodes directly, and
to Services by way of the bridge. Nothing is forwarded beyond the bridge.
"""

import http
import http.client
import json
from pathlib import Path

from . import state
from .cluster import Cluster
from .machine import run
from .node import Node
from .report import BedError

BRIDGE = "pods"
# Its own, else it changes with the pods that come and go, and who remembers the old one gets no answer for a while.
BRIDGE_HARDWARE_ADDRESS = "02:00:00:00:00:01"


def up(bed: Cluster) -> None:
    """Make namespace and bridge, and tie this machine to it; what stands is left alone."""
    if _is_up(bed):
        return
    down(bed)
    if bed.index in state.routed():
        raise BedError(f"the addresses {bed.subnet} are in use: bring bed {bed.name} down and up, which takes others")
    name, inside = _name(bed), ("ip", "-netns", _name(bed))
    run("ip", "netns", "add", name)
    run(*inside, "link", "add", BRIDGE, "address", BRIDGE_HARDWARE_ADDRESS, "type", "bridge")
    run(*inside, "address", "add", f"{bed.bridge_address}/16", "dev", BRIDGE)
    run("ip", "link", "add", _tie(bed), "type", "veth", "peer", "host", "netns", name)
    run(*inside, "link", "set", "host", "master", BRIDGE)
    for interface in ("lo", BRIDGE, "host"):
        run(*inside, "link", "set", interface, "up")
    run(*command_inside(bed), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    run("ip", "address", "add", f"{bed.host_address}/16", "dev", _tie(bed))
    run("ip", "link", "set", _tie(bed), "up")
    run("ip", "route", "add", bed.service_range, "via", bed.bridge_address, "dev", _tie(bed))


def down(bed: Cluster) -> None:
    """Remove the namespace with all that is in it, and this machine's way to it."""
    if _has_tie(bed):
        run("ip", "link", "delete", _tie(bed))
    if _file(bed).exists():
        run("ip", "netns", "delete", _name(bed))


def command_inside(bed: Cluster) -> list[str]:
    """What to put before a command that shall run in the namespace; everything but the network stays this machine's."""
    return ["nsenter", f"--net={_file(bed)}"]


def add_address(node: Node) -> None:
    """Give the namespace the node's address, at which its kubelet listens."""
    address = f"{node.address}/16"
    run("ip", "-netns", _name(node.bed), "address", "replace", address, "dev", BRIDGE)


def answers(bed: Cluster, port: int, path: str) -> bool:
    """Tell whether a part that listens on the bridge answers 200 under this path."""
    connection = http.client.HTTPConnection(bed.bridge_address, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def write_cni_configuration(node: Node) -> None:
    """Tell containerd how to connect a pod: to the bridge, with an address of the node's own range."""
    addresses = {"subnet": node.bed.subnet, "gateway": node.bed.bridge_address}
    addresses |= {"rangeStart": node.first_pod_address, "rangeEnd": node.last_pod_address}
    plugin = {
        "type": "bridge",
        "bridge": BRIDGE,
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


def _is_up(bed: Cluster) -> bool:
    """Tell whether the last thing that `up` makes is there."""
    return _has_tie(bed) and bed.service_range in run("ip", "route", "show", "dev", _tie(bed))


def _has_tie(bed: Cluster) -> bool:
    return Path("/sys/class/net", _tie(bed)).exists()


def _tie(bed: Cluster) -> str:
    """Name of this machine's end of the pair of interfaces; such a name has at most 15 characters."""
    return f"tp{bed.mark}"


def _name(bed: Cluster) -> str:
    return f"trainpush-{bed.mark}"


def _file(bed: Cluster) -> Path:
    """Where iproute2 keeps the namespace."""
    return Path("/run/netns") / _name(bed)
