"""Real nodes: a kubelet with a containerd of its own each, so that pods really run; only the GPUs are pretended.

A kubelet that died is started again under its running containers. A node of which nothing runs begins without
containers, like a machine after a power cut; its images stay.
"""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

from . import accounts, builds, cgroups, images, machine, network, processes
from .cluster import Cluster
from .node import Node
from .report import step

GPUS = 8
LABELS = {
    "training.ai/testbed": "real",
    "topology.example.com/block": "b1",
    "topology.example.com/rack": "real",
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
}
# A kubelet takes no other folder for device plugins, whatever its root directory: each one sees its own in this place.
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
WITH_OWN_DEVICE_PLUGINS = """
mount --make-private "$(findmnt --noheadings --output=TARGET --target="$2")"
mount --bind "$1" "$2"
shift 2
exec "$@"
"""
# Kubelets link the logs of all containers here, wherever they are.
LOG_LINKS = Path("/var/log/containers")


def up(bed: Cluster, index: int) -> None:
    """Start real node `index` (from 0), or what died of it, and wait until it is Ready with its GPUs."""
    node = Node(bed, index)
    if not node.is_running("containerd") and not node.is_running("kubelet"):
        clear(node)
    network.add_address(node)
    _start_containerd(node)
    images.put(node, "busybox")
    _start_kubelet(node)
    _start_device_plugin(node)
    _wait_until_ready(node)


def clear(node: Node) -> None:
    """Remove what containers of an earlier run have left: processes, mounts, addresses, volumes and logs."""
    cgroups.remove(node.cgroup)
    _end_shims(node)
    for socket in node.run_folder.glob("containerd/io.containerd.runtime.v2.task/*/*/address"):
        Path(socket.read_text().removeprefix("unix://")).unlink(missing_ok=True)
    for folder in (node.run_folder, node.kubelet_folder, node.folder / "addresses", node.pod_logs):
        machine.remove_folder(folder)
    if LOG_LINKS.exists():
        for link in LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(node.pod_logs):
                link.unlink()


def _end_shims(node: Node) -> None:
    """Stop the processes that watch over containers; they outlive containerd."""
    deadline = time.monotonic() + 2
    while shims := _shims(node):
        order = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        for pid in shims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, order)
        time.sleep(0.05)


def _shims(node: Node) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = (folder / "cmdline").read_text().split("\0")
            if "containerd-shim" in words[0] and str(node.containerd_socket) in words:
                found.append(int(folder.name))
    return found


def _start_containerd(node: Node) -> None:
    network.write_cni_configuration(node)
    configuration = f"--config={_write_containerd_configuration(node)}"
    _start(node, "containerd", [*network.command_inside(node.bed), "containerd", configuration])
    question = ("ctr", f"--address={node.containerd_socket}", "version")
    part = node.part("containerd")
    processes.wait_until(f"{part}'s start", lambda: machine.succeeds(*question), 30, node.bed.folder, part)


def _write_containerd_configuration(node: Node) -> Path:
    node.run_folder.mkdir(parents=True, exist_ok=True)
    path = node.folder / "containerd.toml"
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE, as in most containers, no pod could start.
    path.write_text(f"""\
version = 2
root = "{node.image_store}"
state = "{node.run_folder}/containerd"
[grpc]
address = "{node.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{node.folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{images.reference("busybox")}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{machine.CNI_PLUGINS}"
conf_dir = "{node.cni_folder}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{images.snapshotter(node)}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{node.run_folder}/runc"
""")
    return path


def _start_kubelet(node: Node) -> None:
    cgroups.create(node.cgroup)
    _share_volumes(node)
    labels = ",".join(f"{key}={value}" for key, value in LABELS.items())
    user = f"system:node:{node.name}"
    command: list[str | Path] = [
        *network.command_inside(node.bed),
        *("unshare", "--mount", "--propagation=unchanged"),
        *("sh", "-euc", WITH_OWN_DEVICE_PLUGINS, "kubelet", _device_plugins(node), DEVICE_PLUGINS),
        builds.binary("kubelet"),
        f"--config={_write_kubelet_configuration(node)}",
        f"--kubeconfig={accounts.client_kubeconfig(node.bed, user, ['system:nodes'], node.bed.inner_server)}",
        f"--root-dir={node.kubelet_folder}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--node-labels={labels}",
    ]
    _start(node, "kubelet", command)


def _share_volumes(node: Node) -> None:
    """Let what the kubelet mounts for pods, in its own mount namespace, appear in containerd's."""
    for folder in (node.kubelet_folder, _device_plugins(node), DEVICE_PLUGINS):
        folder.mkdir(parents=True, exist_ok=True)
    if str(node.kubelet_folder) not in machine.mounts_below(node.kubelet_folder):
        machine.run("mount", "--bind", node.kubelet_folder, node.kubelet_folder)
        machine.run("mount", "--make-shared", node.kubelet_folder)


def _write_kubelet_configuration(node: Node) -> Path:
    certificate, key = accounts.server_certificate(node.bed, node.part("kubelet"), [node.address])
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(accounts.certificate_authority(node.bed))},
        },
        "authorization": {"mode": "Webhook"},
        "address": node.address,
        "port": node.bed.port(node.part("kubelet")),
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "healthzPort": 0,
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "clusterDNS": [node.bed.bridge_address],
        "clusterDomain": "cluster.local",
        # Names outside the cluster do not resolve, so this machine's search domains would only cost time.
        "resolvConf": "",
        "podLogsDir": str(node.pod_logs),
        "volumePluginDir": str(node.folder / "volume-plugins"),
        # A full disk is the machine's affair; nodes of a test bed neither evict pods nor drop images for it.
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        # How soon a node shows its GPUs, and how often it says that it lives.
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 8,
    }
    path = node.folder / "kubelet.json"
    path.write_text(json.dumps(settings, indent=2) + "\n")
    return path


def _start_device_plugin(node: Node) -> None:
    command: list[str | Path] = [
        builds.binary("deviceplugin"),
        f"--folder={_device_plugins(node)}",
        f"--node={node.name}",
        f"--count={GPUS}",
        f"--ready-file={_devices_ready(node)}",
    ]
    _start(node, "deviceplugin", command)


def _start(node: Node, program: str, command: list[str | Path]) -> None:
    if processes.is_running(node.bed.folder, node.part(program), command):
        return
    step(f"starting {program} of {node.name}")
    if program in {"kubelet", "deviceplugin"}:
        _devices_ready(node).unlink(missing_ok=True)
    processes.start(node.bed.folder, node.part(program), command)


def _device_plugins(node: Node) -> Path:
    """The sockets of the node's kubelet and device plugin."""
    return node.run_folder / "device-plugins"


def _devices_ready(node: Node) -> Path:
    """A file that is there while the kubelet knows the GPUs."""
    return node.run_folder / "devices-ready"


def _wait_until_ready(node: Node) -> None:
    # The API server alone would not do: after a crash it shows the node as it was before.
    kubelet = node.part("kubelet")
    processes.wait_until(f"the GPUs of {node.name}", _devices_ready(node).exists, 60, node.bed.folder, kubelet)
    gpus = f"jsonpath={{.status.allocatable.nvidia\\.com/gpu}}={GPUS}"
    for condition in ("create", gpus, "condition=Ready"):
        node.bed.kubectl("wait", f"node/{node.name}", f"--for={condition}", "--timeout=60s")
