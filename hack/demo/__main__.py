"""`python -m demo up|down`: bring a cluster up, install the operator, train and serve a model on real input.

Ends with a table and exit status 0 only if everything in it is as it should be.
"""

import json
import sys
import time
from pathlib import Path

from testbed import BedError, KindBed, builds
from testbed.fake_nodes import layout
from testbed.kind_bed import prepare
from testbed.report import step

from . import serving
from .install import NAMESPACE, install
from .objects import Object, Row, get, items

ROOT = Path(__file__).parents[2]
RACK_LABEL = "topology.example.com/rack"
FULL_RACK = "r2"
"""The rack that foreign pods fill too far for the seed manifest."""


def main() -> int:
    """Run one of the two commands; the exit status."""
    bed = KindBed("demo")
    try:
        if sys.argv[1:] == ["down"]:
            bed.down()
            step("the demo is down; its binaries and images stay in the cache")
            return 0
        return _up(bed)
    except BedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _up(bed: KindBed) -> int:
    prepare()
    bed.up(workers=2)
    bed.add_fake_nodes(layout(15, 3))
    for image in ("busybox", "training", "triton"):
        bed.load_image(image)
    rows = _install(bed)
    _fill_rack(bed)
    rows += [*_seed(bed), *_digits(bed), *serving.ask(bed)]
    _print(rows)
    _print_hints(bed)
    return 0 if all(is_good for _, _, is_good in rows) else 1


def _install(bed: KindBed) -> list[Row]:
    step("installing the operator by helm: two replicas as pods under their own ServiceAccount")
    install(bed)
    bed.kubectl("apply", "-f", str(ROOT / "examples" / "pools.yaml"))
    bed.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "gpupool", "--all")
    status = get(bed, "deployment", "trainpush", "-n", NAMESPACE)["status"]
    ready, wanted = status.get("readyReplicas", 0), status["replicas"]
    return [("operator: replicas ready", f"{ready}/{wanted}", ready == wanted)]


def _fill_rack(bed: KindBed) -> None:
    """Pods that nobody asked trainpush about take GPUs on two of five nodes of a rack."""
    pods = [_foreign_pod(f"foreign-{index}") for index in range(2)]
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    bed.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *(f"pod/foreign-{index}" for index in range(2)))


def _foreign_pod(name: str) -> Object:
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


def _seed(bed: KindBed) -> list[Row]:
    step("applying the seed manifest: 4 workers of 8 GPUs, three racks, one of them too full")
    _delete(bed, "tpj/llama-7b-training")
    started = time.monotonic()
    bed.kubectl("apply", "-f", str(ROOT / "examples" / "seed.yaml"))
    bed.kubectl("wait", "--for=condition=Placed", "--timeout=60s", "tpj/llama-7b-training")
    seconds = time.monotonic() - started
    bed.kubectl("wait", "--for=condition=Running", "--timeout=60s", "tpj/llama-7b-training")
    nodes = [pod["spec"]["nodeName"] for pod in items(bed, "pods", "-l", "training.ai/job-name=llama-7b-training")]
    rack_of = {node["metadata"]["name"]: node["metadata"]["labels"].get(RACK_LABEL, "") for node in items(bed, "nodes")}
    racks = sorted({rack_of[node] for node in nodes})
    return [
        ("seed manifest: workers placed", f"{len(nodes)}/4", len(nodes) == 4),  # noqa: PLR2004 - as the manifest says
        ("seed manifest: rack", ", ".join(racks), len(racks) == 1 and FULL_RACK not in racks),
        ("seed manifest: seconds from apply to placed", f"{seconds:.2f}", True),
    ]


def _digits(bed: KindBed) -> list[Row]:
    step("training on the UCI digits: 2 workers x 2 processes, FSDP, real containers on 2 workers of kind")
    _delete(bed, "infsvc/digits")
    _delete(bed, "tpj/digits")
    bed.docker("exec", bed.workers[0], "find", bed.folder / "volumes", "-mindepth", "1", "-delete")
    volume = (ROOT / "examples" / "digits" / "volume.yaml").read_text()
    bed.kubectl("apply", "-f", "-", stdin=volume.replace("/var/lib/trainpush-demo", f"{bed.folder}/volumes"))
    started = time.monotonic()
    for name in ("service", "job"):  # the service waits for the job's first release
        bed.kubectl("apply", "-f", str(ROOT / "examples" / "digits" / f"{name}.yaml"))
    _follow(bed, "digits", seconds=600)
    seconds = time.monotonic() - started
    status = get(bed, "tpj", "digits")["status"]
    progress = status.get("progress", {})
    accuracy = float(progress.get("metrics", {}).get("accuracy", 0))
    return [
        ("digits: outcome", status["phase"], status["phase"] == "Complete"),
        ("digits: accuracy on held-out images", f"{accuracy:.3f}", accuracy >= 0.95),  # noqa: PLR2004 - the goal
        ("digits: steps", f"{progress.get('step', 0)}/{progress.get('totalSteps', 0)}", True),
        ("digits: wall time in seconds", f"{seconds:.1f}", True),
    ]


def _follow(bed: KindBed, name: str, seconds: float) -> None:
    """Say what the job does until it has ended: whenever that changes, and every ten seconds."""
    said, say_again_at = "", 0.0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = get(bed, "tpj", name).get("status", {})
        now = f"{status.get('phase', 'Unknown')}: {status.get('verdict', {}).get('message', '')}"
        if now != said or time.monotonic() > say_again_at:
            progress = status.get("progress", {})
            steps = f", step {progress['step']} of {progress['totalSteps']}" if "step" in progress else ""
            step(f"  {name}: {now}{steps}")
            said, say_again_at = now, time.monotonic() + 10
        if status.get("phase") in {"Complete", "Failed"}:
            return
        time.sleep(1)
    raise BedError(f"{name} did not end within {seconds:.0f} s: see `kubectl describe tpj {name}`")


def _delete(bed: KindBed, name: str) -> None:
    bed.kubectl("delete", name, "--ignore-not-found", "--cascade=foreground", "--timeout=90s")


def _print(rows: list[Row]) -> None:
    width = max(len(what) for what, _, _ in rows)
    print()
    for what, value, is_good in rows:
        print(f"  {what:<{width}}  {value:<12}{'' if is_good else '  <- not as it should be'}")


def _print_hints(bed: KindBed) -> None:
    metrics = f"/api/v1/namespaces/{NAMESPACE}/services/trainpush:metrics/proxy/metrics"
    kubectl = builds.binary("kubectl")
    print(f"""
Look around:
  export KUBECONFIG={bed.kubeconfig}
  {kubectl} get tpj,infsvc,gpupool -o wide
  {kubectl} describe tpj digits
  {kubectl} logs digits-worker-0-a1
  {kubectl} get --raw {metrics} | grep ^trainpush
Take it down:
  make demo-down
""")


if __name__ == "__main__":
    sys.exit(main())
