"""What people run into: manifests of `tests/e2e/living`, each in a namespace of its own on real nodes."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Final

from support.cluster import Space, conditions, is_observed, now, says
from support.operator_process import ROOT
from testbed import BedError, KindBed
from trainpush.kube.client import Object
from trainpush.kube.resources import INFERENCESERVICES, PODS

MANIFESTS: Final = ROOT / "tests" / "e2e" / "living"
CONFIG: Final = """
backend: "python"
input [{ name: "X" data_type: TYPE_FP32 dims: [2] }]
output [{ name: "Y" data_type: TYPE_FP32 dims: [2] }]
"""
MODELS: Final = {
    "echo": """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [pb.InferenceResponse([pb.Tensor("Y", self.given(request))]) for request in requests]

    def given(self, request):
        return pb.get_input_tensor_by_name(request, "X").as_numpy()
""",
    "raises": """
class TritonPythonModel:
    def initialize(self, args):
        raise RuntimeError("weights are for 3 layers, not 2")
""",
}
"""Model directories on the claim of a scene: the source of each."""


@dataclass(frozen=True)
class Scene(Space):
    """A namespace on a bed with real nodes, and what was applied there."""

    bed: KindBed
    applied: list[str] = field(default_factory=list)
    """Manifests, as YAML."""

    @property
    def folder(self) -> Path:
        """What the claim `data` holds; on all nodes and here."""
        return self.bed.folder / "volumes" / self.name

    async def make(self) -> None:
        """Make the namespace, with an empty folder for its volume."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        await self.kubectl("create", "namespace", self.name)
        await self.kubectl("wait", "serviceaccount/default", "--for=create", "--timeout=60s")

    async def apply(self, *manifests: str, **values: str) -> None:
        """Apply manifests by the name of their file."""
        for manifest in manifests:
            text = Template((MANIFESTS / f"{manifest}.yaml").read_text())
            # What else looks like a variable is one of a shell.
            self.applied.append(text.safe_substitute(namespace=self.name, folder=self.folder, **values))
            await self.kubectl("apply", "-f", "-", stdin=self.applied[-1])

    async def models(self, *names: str) -> None:
        """Make the claim, and on it model directories."""
        for name in names:
            (self.folder / name / "1").mkdir(parents=True)
            (self.folder / name / "config.pbtxt").write_text(CONFIG)
            (self.folder / name / "1" / "model.py").write_text(MODELS[name])
        await self.apply("volume")

    async def leave(self) -> None:
        """Begin to delete the namespace and all that was applied, and end the pods at once."""
        for manifest in self.applied:
            await self.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=manifest)
        await self.kubectl("delete", "pods", "--all", "--grace-period=1", "--wait=false")
        await self.kubectl("delete", "namespace", self.name, "--wait=false")

    async def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace, while others go on."""
        return await asyncio.to_thread(self.bed.kubectl, "-n", self.name, *arguments, stdin=stdin)

    async def service(self, name: str, holds: Callable[[Object], object], what: str, *, seconds: float) -> Object:
        """Wait until `holds` for an InferenceService whose status speaks of its present spec."""
        found = await self.until(
            INFERENCESERVICES,
            lambda all_: name in all_ and is_observed(all_[name]) and holds(all_[name]),
            f"service {name} {what}",
            seconds=seconds,
        )
        return found[name]

    async def pod(self, name: str, holds: Callable[[Object], object], what: str, *, seconds: float = 60) -> Object:
        """Wait until `holds` for a pod."""
        found = await self.until(
            PODS, lambda all_: name in all_ and holds(all_[name]), f"pod {name} {what}", seconds=seconds
        )
        return found[name]

    async def until_injected(self, container: str) -> None:
        """Wait until the API server puts a container into pods: it takes up policies with a delay."""
        spec = {"containers": [{"name": "main", "image": "main"}]}
        pod = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec})

        deadline = now() + 60
        while True:
            made = await self.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=pod)
            if container in containers(json.loads(made)):
                return
            assert now() < deadline, f"{container} is not injected"


def containers(pod: Object) -> set[str]:
    """Names of all containers of a pod."""
    return {entry["name"] for entry in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", []))}


def told(thing: Object, kind: str = "Ready") -> str:
    """What a job or service says of itself: its phase, and the message of a condition."""
    return f"{thing['status']['phase']}: {conditions(thing)[kind]['message']}"


def names(words: str, kind: str = "Ready") -> Callable[[Object], bool]:
    """A predicate: the message of a condition has these words."""
    return lambda thing: words in conditions(thing)[kind]["message"]


def runs_again(job: Object) -> bool:
    """Whether all workers of a later attempt than the first run."""
    return job["status"]["attempt"] > 1 and says("Running")(job)


def both(one: Callable[[Object], bool], other: Callable[[Object], bool]) -> Callable[[Object], bool]:
    """A predicate: both are so."""
    return lambda thing: one(thing) and other(thing)


async def refusal(attempt: Awaitable[object]) -> str:
    """What the API server says to whoever attempts this.

    Raises:
        AssertionError: it lets them.
    """
    try:
        await attempt
    except BedError as refused:
        return str(refused)
    raise AssertionError("it was not refused")
