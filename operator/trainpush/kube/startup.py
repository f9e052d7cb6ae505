"""What a pod that has not started waits for, as far as its status tells.

A kubelet mounts the volumes and sets up the network, runs the init containers one after the other, and pulls the image
of each container before it starts it.
"""

from typing import Final, NamedTuple

from trainpush.kube.decode import ContainerStatus, PodObject
from trainpush.kube.last_error import how
from trainpush.model.workload import Phase

UNDERWAY: Final = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons of containers that wait as they should."""


class Startup(NamedTuple):
    """How far the start of a pod has come."""

    said: str = ""
    """What it waits for; empty where its status does not tell."""
    is_hindered: bool = False
    """Whether its node cannot go on as things are. An image that is pulled, however large, and an init container that
    works are no hindrance."""
    is_unexplained: bool = False
    """Whether of that its status does not tell the reason."""


def startup(pod: PodObject, phase: Phase) -> Startup:
    """How far the start has come of what has this `phase` of a pod that is bound; nothing where it is over."""
    if not pod.node or phase is not Phase.PENDING:
        return Startup()
    inits, containers = pod.status.init_container_statuses, pod.status.container_statuses
    named = [*((f"init container {it.name}", it) for it in inits), *((f"container {it.name}", it) for it in containers)]
    if not named:
        return Startup("its node has not taken it up", is_hindered=True, is_unexplained=True)
    if refused := next((f"{name}: {said}" for name, it in named if (said := _refused(it))), failed_init(pod)):
        return Startup(refused, is_hindered=True)
    sandbox = pod.condition("PodReadyToStartContainers")
    if sandbox and sandbox.status == "False":
        said = "ContainerCreating: its volumes are not mounted or its network is not set up"
        return Startup(said, is_hindered=True, is_unexplained=True)
    # A sidecar that is ready keeps nobody waiting.
    for it in inits:
        if (running := it.state.running) and not it.ready:
            return Startup(f"init container {it.name} runs since {running.started_at}")
    creating = next((name for name, it in named if it.state.waiting), "")
    return Startup(f"ContainerCreating: its node pulls the image of {creating}, or makes it" if creating else "")


def failed_init(pod: PodObject) -> str:
    """Which init container ended with an error, and how; empty where none did."""
    ends = ((it.name, it.state.terminated) for it in pod.status.init_container_statuses)
    failed = (f"init container {name}: {how(ended)}" for name, ended in ends if ended and ended.exit_code)
    return next(failed, "")


def _refused(status: ContainerStatus) -> str:
    """Why the kubelet cannot start a container; empty where nothing is in its way."""
    waiting, before = status.state.waiting, status.last_state.terminated
    if not waiting or waiting.reason in UNDERWAY:
        return ""
    # Of one that is started again and again how it ended tells more than for how long the kubelet waits.
    said = how(before) if before and before.exit_code else waiting.message
    return f"{waiting.reason}: {said}".strip(": ")
