"""The control plane of a bed: etcd, kube-apiserver and, from Layer.SCALE on, controllers and scheduler.

All of it are the real programs, run as ordinary processes on the loopback interface.
"""

import http
import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from . import accounts, audit, builds, processes
from .report import step

if TYPE_CHECKING:
    from .local_bed import LocalBed


def start_api(bed: "LocalBed") -> None:
    """Start etcd and kube-apiserver and wait until the API answers; what already runs is left alone."""
    _start_etcd(bed)
    if processes.start(bed.folder, "kube-apiserver", _apiserver_command(bed)):
        step("starting kube-apiserver")
    _wait_until_ready(bed, "kube-apiserver", "/readyz")


def start_controllers(bed: "LocalBed") -> None:
    """Start kube-controller-manager and kube-scheduler and wait until both are healthy."""
    for name, command in {
        "kube-controller-manager": _controller_manager_command(bed),
        "kube-scheduler": _scheduler_command(bed),
    }.items():
        if processes.start(bed.folder, name, command):
            step(f"starting {name}")
    for name in ("kube-controller-manager", "kube-scheduler"):
        _wait_until_ready(bed, name, "/healthz")


def _start_etcd(bed: "LocalBed") -> None:
    bed.control_plane.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Sockets in a folder of ours instead of ports: who reaches etcd owns the cluster. It insists on advertising some
    # host and port, which nobody calls since it has no peers.
    command: list[str | Path] = [
        builds.binary("etcd"),
        f"--data-dir={bed.control_plane}/etcd",
        f"--listen-client-urls=unix://{_etcd_socket(bed)}",
        "--advertise-client-urls=http://localhost:2379",
        f"--listen-peer-urls=unix://{bed.control_plane}/peers.sock",
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={8 * 1024**3}",
        "--log-level=warn",
    ]
    if processes.start(bed.folder, "etcd", command):
        step("starting etcd")
    processes.wait_until("etcd's start", _etcd_socket(bed).is_socket, 30, bed.folder, "etcd")


def _etcd_socket(bed: "LocalBed") -> Path:
    return bed.control_plane / "etcd.sock"


def _apiserver_command(bed: "LocalBed") -> list[str | Path]:
    serving = accounts.server_certificate(bed, "kube-apiserver", ["127.0.0.1", "localhost"])
    to_extensions = accounts.client_certificate(bed, "front-proxy", [])
    tokens_key, tokens_public = accounts.signing_key(bed)
    authority = accounts.certificate_authority(bed)
    return [
        builds.binary("kube-apiserver"),
        f"--etcd-servers=unix://{_etcd_socket(bed)}",
        "--bind-address=127.0.0.1",
        # Nobody comes in by the Service `kubernetes`, whose endpoints may not be loopback addresses.
        *("--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"),
        f"--secure-port={bed.port('kube-apiserver')}",
        f"--service-cluster-ip-range={bed.service_range}",
        f"--tls-cert-file={serving[0]}",
        f"--tls-private-key-file={serving[1]}",
        f"--client-ca-file={authority}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={tokens_public}",
        f"--service-account-signing-key-file={tokens_key}",
        f"--requestheader-client-ca-file={authority}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={to_extensions[0]}",
        f"--proxy-client-key-file={to_extensions[1]}",
        # Services of webhooks and extensions are resolved to their endpoints, so that no kube-proxy need run.
        "--enable-aggregator-routing=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        # That plugin waits for accounts which only kube-controller-manager makes.
        f"--disable-admission-plugins={'' if bed.has_controllers else 'ServiceAccount'}",
        "--allow-privileged=true",
        "--max-requests-inflight=4000",
        "--max-mutating-requests-inflight=2000",
        f"--audit-policy-file={_settings(bed, 'audit-policy', audit.POLICY)}",
        f"--audit-log-path={bed.audit_log}",
        "--audit-log-maxsize=100000",
    ]


def _controller_manager_command(bed: "LocalBed") -> list[str | Path]:
    kubeconfig = accounts.client_kubeconfig(bed, "system:kube-controller-manager", [])
    return [
        builds.binary("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        *_serving(bed, "kube-controller-manager", kubeconfig),
        f"--service-account-private-key-file={accounts.signing_key(bed)[0]}",
        f"--root-ca-file={accounts.certificate_authority(bed)}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--kube-api-qps=2000",
        "--kube-api-burst=4000",
    ]


def _scheduler_command(bed: "LocalBed") -> list[str | Path]:
    kubeconfig = accounts.client_kubeconfig(bed, "system:kube-scheduler", [])
    settings = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 2000, "burst": 4000},
    }
    return [
        builds.binary("kube-scheduler"),
        f"--config={_settings(bed, 'scheduler', settings)}",
        *_serving(bed, "kube-scheduler", kubeconfig),
    ]


def _serving(bed: "LocalBed", name: str, kubeconfig: Path) -> list[str]:
    """Flags for health and metrics on the loopback interface, open to whom the API server would let in."""
    certificate, key = accounts.server_certificate(bed, name, ["127.0.0.1", "localhost"])
    return [
        "--bind-address=127.0.0.1",
        f"--secure-port={bed.port(name)}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={accounts.certificate_authority(bed)}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
    ]


def _settings(bed: "LocalBed", name: str, content: Mapping[str, object]) -> Path:
    """Write a configuration file in JSON, which Kubernetes reads as it reads YAML."""
    path = bed.control_plane / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def _wait_until_ready(bed: "LocalBed", part: str, path: str) -> None:
    processes.wait_until(f"{part}'s start", lambda: _answers(bed, part, path), 120, bed.folder, part)


def _answers(bed: "LocalBed", part: str, path: str) -> bool:
    """Tell whether a part of the control plane answers 200 under this path."""
    trust = ssl.create_default_context(cafile=str(accounts.certificate_authority(bed)))
    connection = http.client.HTTPSConnection("127.0.0.1", bed.port(part), timeout=5, context=trust)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
