"""The digits example on a bed with real nodes: its namespace, its volume, its job, and what is left of it."""

import copy
import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from support.look import look, look_at_all
from support.operator_process import ROOT
from testbed import KindBed

Object = dict[str, Any]
POOL: Final = """
apiVersion: training.ai/v1
kind: GPUPool
metadata: {name: real}
spec: {nodeSelector: {training.ai/testbed: real}}
"""


@dataclass
class DigitsBed:
    """A bed whose real nodes hold the training image."""

    bed: KindBed
    kubeconfig: Path
    """Of the operator's ServiceAccount."""

    def __post_init__(self) -> None:
        """Make the pool."""
        self.renew_pool()

    def renew_pool(self) -> None:
        """Make the pool anew, without a status."""
        self.bed.kubectl("delete", "gpupool", "real", "--ignore-not-found")
        self.bed.kubectl("apply", "-f", "-", stdin=POOL)

    def namespace(self, name: str) -> "Digits":
        """A fresh namespace with a volume for checkpoints that both nodes share."""
        self.bed.kubectl("create", "namespace", name)
        folder = self.bed.folder / "volumes" / name
        shutil.rmtree(folder, ignore_errors=True)
        text = (ROOT / "examples" / "digits" / "volume.yaml").read_text()
        text = text.replace("/var/lib/trainpush-demo/digits", str(folder)).replace(
            "namespace: default", f"namespace: {name}"
        )
        volume, claim = yaml.safe_load_all(text)
        volume["metadata"]["name"] = claim["spec"]["volumeName"] = f"digits-{name}"
        self.bed.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([volume, claim]))
        return Digits(self.bed, name, folder)


@dataclass
class Digits:
    """One namespace with digits jobs."""

    bed: KindBed
    namespace: str
    volume: Path

    def manifest(self, *args: str, name: str = "digits") -> Object:
        """The example's job with more arguments for the program, and without its push."""
        job: Object = copy.deepcopy(yaml.safe_load((ROOT / "examples" / "digits" / "job.yaml").read_text()))
        job["metadata"] = {"name": name, "namespace": self.namespace}
        job["spec"]["worker"]["args"] += args
        del job["spec"]["push"]
        job["spec"]["checkpoint"] = {"uri": f"pvc://digits/{name}", "gracePeriod": "10s"}
        return job

    def lean_manifest(self, *args: str, workers: int = 1, name: str = "digits") -> Object:
        """The same with one process per worker, which is there in half the time."""
        job = self.manifest(*args, name=name)
        job["spec"] |= {"replicas": workers, "strategy": {"type": "DDP"}}
        for amounts in job["spec"]["resources"].values():
            amounts["nvidia.com/gpu"] = 1
        return job

    def apply(self, job: Object) -> None:
        """Create or change a job."""
        self.bed.kubectl("apply", "-f", "-", stdin=json.dumps(job))

    def suspend(self, job: Object) -> None:
        """Suspend a job, and wait until its pods are gone."""
        self.apply({**job, "spec": {**job["spec"], "suspend": True}})
        self.until(lambda: not [c for c in self.children() if c["kind"] == "Pod"], "every pod gone", seconds=60)

    def job(self, name: str = "digits") -> Object:
        """The job as it stands."""
        return look(self.bed, f"/apis/training.ai/v1/namespaces/{self.namespace}/trainpushjobs/{name}")

    def condition(self, kind: str, name: str = "digits") -> str:
        """Status of one of its conditions; empty before the first touch."""
        conditions = self.job(name).get("status", {}).get("conditions", [])
        return next((c["status"] for c in conditions if c["type"] == kind), "")

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
        """Wait for something about it."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self.story()}")
            time.sleep(0.2)

    def until_true(self, kind: str, name: str = "digits", seconds: float = 180) -> None:
        """Wait for a condition to be True."""
        self.until(lambda: self.condition(kind, name) == "True", f"{kind} of {name}", seconds)

    def children(self) -> list[Object]:
        """Pods and Services of the namespace."""
        here = f"/api/v1/namespaces/{self.namespace}"
        return look_at_all(self.bed, f"{here}/pods") + look_at_all(self.bed, f"{here}/services")

    def children_at_rest(self) -> list[Object]:
        """The same, once what is being deleted is gone: the kubelet takes a second after a pod's end."""
        self.until(lambda: not any(map(_is_going, self.children())), "nothing is being deleted", seconds=60)
        return self.children()

    def logs(self, pod: str) -> str:
        """What the program said."""
        return self.bed.kubectl("logs", pod, "-n", self.namespace)

    def story(self) -> str:
        """All that helps to find out what went wrong."""
        return self.bed.kubectl("get", "tpj,pods", "-n", self.namespace, "-o", "wide") + self.bed.kubectl(
            "describe", "tpj", "-n", self.namespace
        )

    def checkpoints(self, name: str = "digits") -> list[tuple[int, int]]:
        """(attempt, step) of every complete checkpoint on the volume."""
        found = (re.search(r"attempt-(\d+)/step-(\d+)$", str(path)) for path in (self.volume / name).glob("*/step-*"))
        return sorted((int(match[1]), int(match[2])) for match in found if match)


def _is_going(child: Object) -> bool:
    return "deletionTimestamp" in child["metadata"]


_FLEETING: Final = {
    "uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "observedGeneration",
    "lastTransitionTime", "lastProbeTime", "since", "startTime", "startedAt", "finishedAt", "containerID", "imageID",
    "hostIP", "hostIPs", "podIP", "podIPs", "kubectl.kubernetes.io/last-applied-configuration", "training.ai/job-uid",
    "deletionTimestamp", "namespace", "nodeName", "allocatedResourcesStatus", "clusterIP", "clusterIPs",
    "controller-uid", "at", "askedAt", "deadline", "firstSince", "keptUntil",
    "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "job-name", "completionTime",
    "uncountedTerminatedPods", "jobUid", "training.ai/push-of", "generateName",
}  # fmt: skip
"""What differs between two runs that did the same."""


def normalised(objects: list[Object]) -> list[Object]:
    """Objects without what is particular to one run, by kind and name."""
    plain = [_plain(_ended(entry)) for entry in objects]
    return sorted(plain, key=lambda entry: (entry["kind"], entry["metadata"]["name"]))


def _ended(entry: Object) -> Object:
    """Of a pod's status only how it ended; the rest is the kubelet's, and comes when it comes."""
    if entry["kind"] != "Pod":
        return entry
    status = entry["status"]
    ends = [container["state"].get("terminated") for container in status.get("containerStatuses", [])]
    return {**entry, "status": {"phase": status["phase"], "ends": ends}}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if key not in _FLEETING}
    if isinstance(value, list):
        return [_plain(entry) for entry in value if not _is_of_a_moment(entry)]
    if isinstance(value, str):
        # What a program says when it fails holds process ids, and which worker is seen first is the kubelets' affair.
        return re.sub(r"worker \d+ failed: (exit code \d+ \(\w+\)): .*", r"a worker failed: \1", value)
    return value


def _is_of_a_moment(entry: Any) -> bool:
    """Whether it depends on when a training was disturbed: at which step, and whether its last words were heard."""
    return isinstance(entry, dict) and str(entry.get("name", "")).startswith("TRAINPUSH_RESUME_")
