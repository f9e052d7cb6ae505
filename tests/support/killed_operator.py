"""`python -m support.killed_operator run`: the operator, which ends itself by SIGKILL right after chosen writes.

Nothing of the operator is replaced: a hook that it offers is told of each successful write, before anything else
happens. $POINTS is a JSON list of points. Each strikes once; those that struck stand in the folder $STRUCK, one file
each, across all lives.
"""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from trainpush.controller.run import operate
from trainpush.controller.settings import Settings
from trainpush.kube.client import Written
from trainpush.telemetry import logs

Object = dict[str, Any]


def _condition(job: Object, kind: str) -> str:
    conditions = job.get("status", {}).get("conditions", [])
    return next((c["status"] for c in conditions if c["type"] == kind), "")


def _attempt(job: Object) -> int:
    return int(job.get("status", {}).get("attempt", 0))


def _is_placed(job: Object) -> bool:
    return _condition(job, "Placed") == "True"


def _pod(verb: str, end: str) -> Callable[[str, str, Object], bool]:
    return lambda kind, was, made: (kind, was) == ("Pod", verb) and made["metadata"]["name"].endswith(end)


def _job(condition: Callable[[Object], bool]) -> Callable[[str, str, Object], bool]:
    return lambda kind, verb, made: (kind, verb) == ("TrainPushJob", "patch_status") and condition(made)


Points = dict[str, Callable[[str, str, Object], bool]]

TRAINING: Final[Points] = {
    "the Lease was taken": lambda kind, verb, _: kind == "Lease",
    "the pool's status was written": lambda kind, verb, _: (kind, verb) == ("GPUPool", "patch_status"),
    "the placement stood in status": _job(lambda job: _attempt(job) == 1 and _condition(job, "Running") == "False"),
    "the Service was made": lambda kind, verb, _: (kind, verb) == ("Service", "create"),
    "one pod of the gang was made": _pod("create", "-worker-0-a1"),
    "Running was written": _job(lambda job: _attempt(job) == 1 and _condition(job, "Running") == "True"),
    "the restart was written": _job(lambda job: _attempt(job) > 1 and _condition(job, "Running") == "False"),
    "a pod of the new attempt was made": _pod("create", "-worker-1-a2"),
    "a pod of the new attempt was deleted": _pod("delete", "-a2"),
    "an Event was written": lambda kind, verb, _: (kind, verb) == ("Event", "create"),
    "the end of the training was written": _job(lambda job: _condition(job, "TrainingComplete") == "True"),
}
"""One point after each kind of write and each step of a gang's life; the second attempt is ended by suspending it."""


def _write(*expected: str) -> Callable[[str, str, Object], bool]:
    return lambda kind, verb, _: (kind, verb) == expected


def _service(condition: Callable[[Object], bool]) -> Callable[[str, str, Object], bool]:
    return lambda kind, verb, made: (kind, verb) == ("InferenceService", "patch_status") and condition(made)


def _push_of(job: Object) -> Object:
    push: Object = job.get("status", {}).get("push", {})
    return push


PUSHING: Final[Points] = {
    "the export stood in status": _job(lambda job: "exportJob" in _push_of(job)),
    "the export Job was made": _write("Job", "create"),
    "the digest stood in status": _job(lambda job: "digest" in _push_of(job)),
    "the release was recorded": _write("ControllerRevision", "create"),
    "the service's Service was made": _write("Service", "create"),
    "the budget was made": _write("PodDisruptionBudget", "create"),
    "a place stood in status": _service(lambda service: bool(service.get("status", {}).get("placements"))),
    "the revision's ConfigMap was made": _write("ConfigMap", "create"),
    "the revision's Service was made": _write("Service", "create"),
    "a replica was made": _pod("create", "-2"),
    "the readiness gate was set": _write("Pod", "apply"),
    "the stable revision was noted": _write("InferenceService", "patch"),
    "the end of the push was written": _job(lambda job: _condition(job, "Pushed") == "True"),
    "an old replica was deleted": _pod("delete", "-1"),
}
"""One point after each kind of write of a push, and of the roll to the next release."""

PREEMPTING: Final[Points] = {
    "the eviction was announced": _job(lambda job: "eviction" in job.get("status", {})),
    "the eviction was carried out": _job(lambda job: _condition(job, "Evicted") == "True" and not _is_placed(job)),
    "a pod of the victim was deleted": lambda kind, verb, made: (kind, verb) == ("Pod", "delete"),
    "the room was given out": _job(lambda job: _is_placed(job) and job["metadata"]["name"] == "urgent"),
    "the victim came back": _job(lambda job: _is_placed(job) and _attempt(job) == 2),
}
"""From the announcement of an eviction to the end of it: the victim is the only job with a second attempt."""

LOSING: Final[Points] = {
    "the loss of a node was written": _job(lambda job: _attempt(job) == 2 and _condition(job, "Running") == "False"),
    "another place was given out": _job(lambda job: _attempt(job) == 3 and _condition(job, "Running") == "False"),
    "a pod of the lost node was forgotten": _pod("delete", "-worker-1-a1"),
    "a pod of the next attempt was made": _pod("create", "-a3"),
}
"""From the loss of the node of rank 1 to the next start; that pod is deleted by force, and no other one is."""


def _node(step: str) -> Callable[[str, str, Object], bool]:
    return lambda kind, verb, made: (kind, verb) == ("Node", "patch") and _step(made) == step


def _step(node: Object) -> str:
    switch = json.loads(node["metadata"].get("annotations", {}).get("training.ai/switch", "{}"))
    return "" if switch.get("mode") == switch.get("to") and switch.get("step") != "Active" else switch.get("step", "")


_STEPS: Final = ("Planned", "Cordoned", "Notified", "Draining", "Flipping", "Warming", "Active")
SWITCHING: Final[Points] = {
    **{f"a node was {step}": _node(step) for step in _STEPS},
    "the eviction was announced": PREEMPTING["the eviction was announced"],
    "the gang had its new size": _job(lambda job: _attempt(job) == 2),
    "a pod was deleted": lambda kind, verb, made: (kind, verb) == ("Pod", "delete"),
}
"""From the plan to change a node's mode to its end, and what becomes of the gang that runs there."""
POINTS: Final = TRAINING | PUSHING | PREEMPTING | LOSING | SWITCHING


def strike(written: Written) -> None:
    """End this process if the write is a point that has not struck yet."""
    made: Object = json.loads(written.answer)
    folder = Path(os.environ["STRUCK"])
    for name in json.loads(os.environ["POINTS"]):
        mark = folder / name
        if not mark.exists() and POINTS[name](written.kind, written.verb, made):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the operator under the sword."""
    settings = Settings()
    logs.configure(level=settings.log_level, json=True)
    asyncio.run(operate(settings, strike))


if __name__ == "__main__":
    main()
