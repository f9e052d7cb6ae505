"""What kind and kubeadm are told of a cluster."""

import json
from typing import TYPE_CHECKING

from . import images

if TYPE_CHECKING:
    from .kind_bed import KindBed

PKI = "/etc/kubernetes/pki"
AUDIT = "/etc/kubernetes/audit"
IMAGES = "/images"
"""Where a worker sees the archives: `kind load` would bring each of them through three pipes."""
LABELS = {
    "training.ai/testbed": "real",
    "topology.example.com/block": "b1",
    "topology.example.com/rack": "real",
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
}


def of(bed: "KindBed") -> dict[str, object]:
    """The configuration of a bed's cluster: its addresses, what is mounted into its nodes, and kubeadm's settings.

    Volumes have the same path in every worker and on this machine: so pods share them, and tests see them.
    """
    volumes = {"hostPath": str(bed.folder / "volumes"), "containerPath": str(bed.folder / "volumes")}
    archives = {"hostPath": str(images.folder()), "containerPath": IMAGES, "readOnly": True}
    worker = {"role": "worker", "labels": LABELS, "extraMounts": [volumes, archives]}
    log = {"hostPath": str(bed.control_plane), "containerPath": AUDIT}
    return {
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kind": "Cluster",
        "networking": {
            "apiServerAddress": "127.0.0.1",
            "apiServerPort": bed.port("kube-apiserver"),
            "podSubnet": bed.pod_range,
            "serviceSubnet": bed.service_range,
        },
        "kubeadmConfigPatches": [json.dumps(CLUSTER), json.dumps(KUBELET)],
        "nodes": [{"role": "control-plane", "extraMounts": [log]}, *[worker] * len(bed.workers)],
    }


def _flags(**values: str) -> list[dict[str, str]]:
    return [{"name": name.replace("_", "-"), "value": value} for name, value in values.items()]


CLUSTER = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "ClusterConfiguration",
    "apiServer": {
        "extraArgs": _flags(
            audit_policy_file=f"{AUDIT}/policy.json",
            audit_log_path=f"{AUDIT}/audit.log",
            audit_log_maxsize="100000",
        ),
        "extraVolumes": [{"name": "audit", "hostPath": AUDIT, "mountPath": AUDIT}],
    },
    # A node that says nothing for 20 s is lost.
    "controllerManager": {
        "extraArgs": _flags(kube_api_qps="2000", kube_api_burst="4000", node_monitor_grace_period="20s")
    },
    "etcd": {"local": {"extraArgs": _flags(unsafe_no_fsync="true")}},
}
# How soon a node shows its GPUs, and how often it says that it lives.
KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "nodeStatusUpdateFrequency": "2s",
    "nodeLeaseDurationSeconds": 8,
}
