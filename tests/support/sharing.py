"""Jobs that share real nodes: what their manifests are, and all that was said of them on the way."""

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import yaml

from support.digits import Digits, DigitsBed, Object
from support.manifests import GPU
from support.operator_process import ROOT
from testbed import KindBed, builds

EXAMPLES: Final = ROOT / "examples" / "sharing"


def holder(name: str, *, workers: int = 1, seconds: str = "infinity", priority_class: str | None = None) -> Object:
    """A job of `workers` with 2 GPUs each that holds them for a while; to be created in a namespace."""
    job: Object = yaml.safe_load((EXAMPLES / "job.yaml").read_text())
    job["metadata"]["name"] = name
    job["spec"]["replicas"] = workers
    job["spec"]["worker"]["args"] = [seconds]
    if priority_class:
        job["spec"]["scheduling"] = {"priorityClassName": priority_class}
    return job


def apply(team: Digits, *jobs: Object) -> None:
    """Create jobs in the namespace of a team."""
    items = [{**job, "metadata": {**job["metadata"], "namespace": team.namespace}} for job in jobs]
    team.bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


@contextmanager
def a_team(real: DigitsBed, namespace: str) -> Iterator[Digits]:
    """A fresh namespace; afterwards all jobs are gone, so that their accelerators are free again."""
    team = real.namespace(namespace)
    try:
        yield team
    finally:
        team.bed.kubectl("delete", "trainpushjobs", "--all", f"--namespace={namespace}", "--wait=false")
        team.until(lambda: not team.children(), "nothing left", seconds=60)


@contextmanager
def urgency(bed: KindBed) -> Iterator[str]:
    """The example's PriorityClass, under a name that nobody else has."""
    manifest = yaml.safe_load((EXAMPLES / "priorities.yaml").read_text())
    manifest["metadata"]["name"] += f"-{uuid.uuid4().hex[:8]}"
    bed.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    try:
        yield manifest["metadata"]["name"]
    finally:
        bed.kubectl("delete", "-f", "-", stdin=json.dumps(manifest))


@contextmanager
def quotas(real: DigitsBed) -> Iterator[None]:
    """The example's quotas on the real nodes."""
    real.bed.kubectl("apply", "-f", str(EXAMPLES / "quotas.yaml"))
    try:
        yield
    finally:
        real.renew_pool()


@contextmanager
def others_hold(team: Digits, gpus: int) -> Iterator[None]:
    """Pods of somebody else, one with `gpus` GPUs on each real node."""
    container = {
        "name": "other",
        "image": "trainpush.local/busybox:dev",
        "imagePullPolicy": "Never",
        "command": ["sleep", "infinity"],
        "resources": {"limits": {GPU: gpus}},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    items = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"other-{node}"}, "spec": {**spec, "nodeName": node}}
        for node in team.bed.workers
    ]
    pods = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    team.bed.kubectl("create", "--namespace", team.namespace, "-f", "-", stdin=pods)
    team.bed.kubectl("wait", "--namespace", team.namespace, "--for=condition=Ready", "pods", "--all", "--timeout=60s")
    try:
        yield
    finally:
        team.bed.kubectl("delete", "--namespace", team.namespace, "-f", "-", stdin=pods)


@dataclass(frozen=True)
class Entry:
    """A job as it stood from a moment on."""

    at: float
    """Seconds, as time.monotonic() gives them."""
    job: Object

    @property
    def name(self) -> str:
        """Of the job."""
        name: str = self.job["metadata"]["name"]
        return name


@dataclass
class Diary:
    """Every state of the jobs of one namespace, those too that stood for a moment only."""

    team: Digits
    entries: list[Entry] = field(default_factory=list)
    """In the order of the writes."""

    def of(self, name: str) -> list[Entry]:
        """What stands there of one job."""
        return [entry for entry in self.entries if entry.name == name]

    def first(self, name: str, holds: Callable[[Object], bool], what: str, seconds: float = 180) -> Entry:
        """The first state of a job that has a status and for which `holds`; waits for it."""
        found: list[Entry] = []

        def is_there() -> bool:
            found[:] = [entry for entry in self.of(name) if "status" in entry.job and holds(entry.job)]
            return bool(found)

        self.team.until(is_there, f"{name} {what}", seconds)
        return found[0]

    def ever(self, name: str, holds: Callable[[Object], bool]) -> bool:
        """Whether it was so at any time."""
        return any("status" in entry.job and holds(entry.job) for entry in self.of(name))

    @property
    def names(self) -> list[str]:
        """Of all jobs that there ever were."""
        return sorted({entry.name for entry in self.entries})

    def most(self, holds: Callable[[Object], bool]) -> int:
        """For how many jobs at most it was so at the same time."""
        now: dict[str, bool] = {}
        most = 0
        for entry in list(self.entries):
            now[entry.name] = "status" in entry.job and holds(entry.job)
            most = max(most, sum(now.values()))
        return most

    def read(self, process: "subprocess.Popen[str]") -> None:
        """Read what `kubectl get --watch` prints, to its end: objects of many lines, each closed by a line `}`."""
        lines: list[str] = []
        for line in process.stdout or ():
            lines.append(line)
            if line == "}\n":
                self.entries.append(Entry(time.monotonic(), json.loads("".join(lines))))
                lines.clear()


@contextmanager
def diary_of(team: Digits) -> Iterator[Diary]:
    """Keep a diary of all jobs in the namespace of a team that has none yet."""
    command = [str(builds.binary("kubectl")), f"--kubeconfig={team.bed.kubeconfig}", f"--namespace={team.namespace}"]
    command += ["get", "trainpushjobs", "--watch", "--output=json"]
    diary = Diary(team)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        reader = threading.Thread(target=diary.read, args=(process,))
        reader.start()
        try:
            yield diary
        finally:
            process.terminate()
            reader.join()
