"""How the program of a worker is: its own container decides, whatever others put beside it."""

from typing import Final, NamedTuple

from trainpush.kube.decode import ContainerState, PodObject, Terminated
from trainpush.model.workload import Beside, Phase
from trainpush.render.children import CONTAINER

EVICTED: Final = "Evicted"
"""Why a pod ended that its kubelet evicted: for its node's sake, or for what the pod used itself."""
_OVER: Final = {Phase.SUCCEEDED, Phase.FAILED}


class Program(NamedTuple):
    """What a pod tells of the program of its worker."""

    phase: Phase
    ended: Terminated | None
    """How it ended; None where it has not, or where nothing is known of that."""
    beside: Beside


def program(pod: PodObject) -> Program:
    """The program of the worker in `pod`: what a mesh or an agent injected has no say in how it is."""
    states = {status.name: status.state for status in pod.status.container_statuses}
    own = states.pop(CONTAINER, ContainerState())
    phase = _phase(phase_of(pod), own, pod.status.reason)
    beside = Beside.NOTHING
    if phase in _OVER and not pod.is_over:
        goes_on = any(state.terminated is None for state in states.values())
        beside = Beside.OTHERS if goes_on else Beside.SIDECARS
    return Program(phase, own.terminated, beside)


def phase_of(pod: PodObject) -> Phase:
    """The phase of a pod as a whole."""
    return Phase(pod.status.phase) if pod.status.phase in set(Phase) else Phase.UNKNOWN


def _phase(whole: Phase, own: ContainerState, reason: str) -> Phase:
    if (whole is Phase.FAILED and reason) or (whole in _OVER and reason == EVICTED):
        return Phase.FAILED  # by the kubelet: how its containers took that tells nothing
    if own.terminated:
        return Phase.FAILED if own.terminated.exit_code else Phase.SUCCEEDED
    if whole in {Phase.PENDING, Phase.RUNNING} and (own.running or own.waiting):
        return Phase.RUNNING if own.running else Phase.PENDING
    return whole
