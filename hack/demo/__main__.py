"""`python -m demo up|down`: bring a cluster up, install the operator, show its main job on real input.

Ends with a table and exit status 0 only if everything in it is as it should be.
"""

import json
import shutil
import sys
import time
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from testbed import Bed, BedError, Layer, processes
from testbed.fake_nodes import layout
from testbed.report import step
from trainpush.kube import rights

ROOT = Path(__file__).parents[2]
NAMESPACE, ACCOUNT = "trainpush-system", "trainpush"
RACK_LABEL = "topology.example.com/rack"
FULL_RACK = "r2"
"""The rack that foreign pods fill too far for the seed manifest."""


def main() -> int:
    """Run one of the two commands; the exit status."""
    bed = Bed("demo")
    try:
        if sys.argv[1:] == ["down"]:
            bed.down()
            step("the demo is down; its binaries and images stay in the cache")
            return 0
        return _up(bed)
    except BedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _up(bed: Bed) -> int:
    bed.up(Layer.NODES, real_nodes=2)
    bed.add_fake_nodes(layout(15, 3))
    bed.load_image("training")
    _install(bed)
    _fill_rack(bed)
    rows = [*_seed(bed), *_digits(bed)]
    _print(rows)
    _print_hints(bed)
    return 0 if all(is_good for _, _, is_good in rows) else 1


def _install(bed: Bed) -> None:
    step("installing the operator: CRDs, roles, and a process under its ServiceAccount")
    crds = str(ROOT / "crds")
    bed.kubectl("apply", "--server-side", "-f", crds)
    bed.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", crds)
    bed.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(rights.manifests(NAMESPACE, ACCOUNT)))
    environment = {
        "TRAINPUSH_KUBECONFIG": str(bed.kubeconfig_for(NAMESPACE, ACCOUNT)),
        "TRAINPUSH_NAMESPACE": NAMESPACE,
        "TRAINPUSH_LISTEN": "127.0.0.1",
        "TRAINPUSH_PORT": str(bed.port("operator")),
    }
    processes.start(bed.folder, "operator", [sys.executable, "-m", "trainpush", "run"], environment)
    processes.wait_until("the operator", lambda: _is_ready(bed), 30, bed.folder, "operator")
    bed.kubectl("apply", "-f", str(ROOT / "examples" / "pools.yaml"))
    bed.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "gpupool", "--all")


def _is_ready(bed: Bed) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{bed.port('operator')}/readyz", timeout=5) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _fill_rack(bed: Bed) -> None:
    """Pods that nobody asked trainpush about take GPUs on two of five nodes of a rack."""
    pods = [_foreign_pod(f"foreign-{index}") for index in range(2)]
    bed.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(pods))
    bed.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *(f"pod/foreign-{index}" for index in range(2)))


def _foreign_pod(name: str) -> dict[str, Any]:
    # Five of eight GPUs: no two such pods share a node.
    container = {"name": "main", "image": "busybox", "resources": {"limits": {"nvidia.com/gpu": 5}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "containers": [container],
            "nodeSelector": {RACK_LABEL: FULL_RACK},
            "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        },
    }


def _seed(bed: Bed) -> list[tuple[str, str, bool]]:
    step("applying the seed manifest: 4 workers of 8 GPUs, three racks, one of them too full")
    _delete(bed, "llama-7b-training")
    started = time.monotonic()
    bed.kubectl("apply", "-f", str(ROOT / "examples" / "seed.yaml"))
    bed.kubectl("wait", "--for=condition=Placed", "--timeout=60s", "tpj/llama-7b-training")
    seconds = time.monotonic() - started
    bed.kubectl("wait", "--for=condition=Running", "--timeout=60s", "tpj/llama-7b-training")
    nodes = [pod["spec"]["nodeName"] for pod in _pods(bed, "llama-7b-training")]
    rack_of = {node["metadata"]["name"]: node["metadata"]["labels"].get(RACK_LABEL, "") for node in _nodes(bed)}
    racks = sorted({rack_of[node] for node in nodes})
    return [
        ("seed manifest: workers placed", f"{len(nodes)}/4", len(nodes) == 4),  # noqa: PLR2004 - as the manifest says
        ("seed manifest: rack", ", ".join(racks), len(racks) == 1 and FULL_RACK not in racks),
        ("seed manifest: seconds from apply to placed", f"{seconds:.2f}", True),
    ]


def _digits(bed: Bed) -> list[tuple[str, str, bool]]:
    step("training on the UCI digits: 2 workers x 2 processes, FSDP, real containers on 2 real nodes")
    _delete(bed, "digits")
    shutil.rmtree(bed.folder / "volumes", ignore_errors=True)
    volume = (ROOT / "examples" / "digits" / "volume.yaml").read_text()
    bed.kubectl("apply", "-f", "-", stdin=volume.replace("/var/lib/trainpush-demo", f"{bed.folder}/volumes"))
    started = time.monotonic()
    bed.kubectl("apply", "-f", str(ROOT / "examples" / "digits" / "job.yaml"))
    _follow(bed, "digits", seconds=600)
    seconds = time.monotonic() - started
    status = json.loads(bed.kubectl("get", "tpj", "digits", "-o", "json"))["status"]
    progress = status.get("progress", {})
    accuracy = float(progress.get("metrics", {}).get("accuracy", 0))
    return [
        ("digits: outcome", status["phase"], status["phase"] == "Complete"),
        ("digits: accuracy on held-out images", f"{accuracy:.3f}", accuracy >= 0.95),  # noqa: PLR2004 - the goal
        ("digits: steps", f"{progress.get('step', 0)}/{progress.get('totalSteps', 0)}", True),
        ("digits: wall time in seconds", f"{seconds:.1f}", True),
    ]


def _follow(bed: Bed, name: str, seconds: float) -> None:
    """Say what the job does until it has ended."""
    said = ""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = json.loads(bed.kubectl("get", "tpj", name, "-o", "json")).get("status", {})
        now = f"{status.get('phase', 'Unknown')}: {status.get('verdict', {}).get('message', '')}"
        if now != said:
            step(f"  {name}: {now}")
            said = now
        if status.get("phase") in {"Complete", "Failed"}:
            return
        time.sleep(1)
    raise BedError(f"{name} did not end within {seconds:.0f} s: see `kubectl describe tpj {name}`")


def _delete(bed: Bed, name: str) -> None:
    bed.kubectl("delete", "tpj", name, "--ignore-not-found", "--cascade=foreground", "--timeout=90s")


def _pods(bed: Bed, job: str) -> list[dict[str, Any]]:
    return _items(bed, "pods", "-l", f"training.ai/job-name={job}")


def _nodes(bed: Bed) -> list[dict[str, Any]]:
    return _items(bed, "nodes")


def _items(bed: Bed, *what: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(bed.kubectl("get", *what, "-o", "json"))["items"]
    return items


def _print(rows: list[tuple[str, str, bool]]) -> None:
    width = max(len(what) for what, _, _ in rows)
    print()
    for what, value, is_good in rows:
        print(f"  {what:<{width}}  {value:<12}{'' if is_good else '  <- not as it should be'}")


def _print_hints(bed: Bed) -> None:
    operator = f"http://127.0.0.1:{bed.port('operator')}"
    print(f"""
Look around:
  export KUBECONFIG={bed.kubeconfig}
  {_kubectl()} get tpj,gpupool -o wide
  {_kubectl()} describe tpj digits
  {_kubectl()} logs digits-worker-0-a1
  curl -s {operator}/metrics | grep ^trainpush
Take it down:
  make demo-down
""")


def _kubectl() -> str:
    from testbed import builds  # built by now

    return str(builds.binary("kubectl"))


if __name__ == "__main__":
    sys.exit(main())
