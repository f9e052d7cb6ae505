"""Nodes that change their mode on a bed with real nodes, and what a training did meanwhile, step by step."""

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml

from support.cluster import conditions
from support.digits import Digits, DigitsBed, Object
from support.look import look, look_at_all
from support.operator_process import ROOT
from support.sharing import holder
from testbed import KindBed

EXAMPLES: Final = ROOT / "examples" / "switching"
WISH: Final = "training.ai/wanted-mode"
KEPT: Final = "test-e2e-worker"
LENT: Final = "test-e2e-worker2"
"""The node that goes to and fro; the other one stays as it is."""


@contextmanager
def modes(real: DigitsBed, team: Digits, wishes: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """The example's pool on the real nodes, and people's `wishes` for them; afterwards no node bears an annotation.

    An operator runs all the time.
    """
    for node, mode in wishes.items():
        real.bed.kubectl("annotate", "node", node, f"{WISH}={mode}", "--overwrite")
    real.bed.kubectl("apply", "-f", str(EXAMPLES / "pool.yaml"))
    try:
        yield
    finally:
        for node in wishes:
            real.bed.kubectl("annotate", "node", node, f"{WISH}-")
        real.bed.kubectl("delete", "gpupool", "real")
        team.until(lambda: not any(map(is_marked, all_nodes(real.bed))), "no node bears an annotation", seconds=60)
        real.renew_pool()


def all_nodes(bed: KindBed) -> list[Object]:
    """Every node."""
    return look_at_all(bed, "/api/v1/nodes")


def a_node(bed: KindBed, name: str) -> Object:
    """One node as it stands."""
    return look(bed, f"/api/v1/nodes/{name}")


def switch_of(node: Object) -> Object:
    """What its annotation says; empty where there is none."""
    found: Object = json.loads(node["metadata"].get("annotations", {}).get("training.ai/switch", "{}"))
    return found


def mode_of(node: Object) -> str:
    """Its mode as its label says; empty where there is none."""
    mode: str = node["metadata"]["labels"].get("training.ai/mode", "")
    return mode


def has(bed: KindBed, name: str, mode: str) -> bool:
    """Whether a node has a mode, and nothing is under way."""
    node = a_node(bed, name)
    return mode_of(node) == mode and switch_of(node).get("step") == "Active"


def taints_of(node: Object) -> dict[str, str]:
    """Our taints by key."""
    return {t["key"]: t["value"] for t in node["spec"].get("taints", []) if t["key"].startswith("training.ai/")}


def is_marked(node: Object) -> bool:
    """Whether it bears anything of ours."""
    return bool(switch_of(node) or mode_of(node) or taints_of(node))


def wish(team: Digits, node: str, mode: str | None) -> None:
    """What a person wants of a node, or that nothing is wanted any more."""
    team.bed.kubectl("annotate", "node", node, f"{WISH}={mode}" if mode else f"{WISH}-", "--overwrite")


def spread(name: str) -> Object:
    """A job of one or two workers that take a whole node each."""
    job = holder(name, workers=2)
    job["spec"]["resources"] = {"requests": {"nvidia.com/gpu": 8, "cpu": "20m"}, "limits": {"nvidia.com/gpu": 8}}
    job["spec"]["elastic"] = {"minReplicas": 1}
    job["spec"]["checkpoint"] = {"onPreempt": "Signal"}
    return job


def runs_on(team: Digits, name: str, *nodes: str) -> bool:
    """Whether a job runs with one worker on each of these nodes."""
    job = team.job(name)
    if "status" not in job or conditions(job)["Running"]["status"] != "True":
        return False
    return sorted(job["status"]["placement"]["nodes"]) == sorted(nodes)


def elastic_job(team: Digits, *args: str) -> Object:
    """The example's job in the namespace of a team, with more arguments for its program."""
    job: Object = yaml.safe_load((EXAMPLES / "job.yaml").read_text())
    job["metadata"]["namespace"] = team.namespace
    job["spec"]["worker"]["args"] += args
    return job


def steps_by_attempt(volume: Path) -> dict[int, list[int]]:
    """The steps that each attempt took, as the program wrote them down one by one."""
    return {attempt: [step for step, _ in rows] for attempt, rows in _losses(volume).items()}


def loss_curve(volume: Path) -> list[tuple[int, float]]:
    """Steps and losses of all attempts, in the order in which they were taken."""
    return [row for _, rows in sorted(_losses(volume).items()) for row in rows]


def _losses(volume: Path) -> dict[int, list[tuple[int, float]]]:
    found = {}
    for path in volume.glob("attempt-*/losses.csv"):
        with path.open() as file:
            rows = [(int(step), float(loss)) for step, loss in csv.reader(file)]
        found[int(path.parent.name.rpartition("-")[2])] = rows
    return found
