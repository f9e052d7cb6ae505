"""What a node with its new mode still lacks before it can be used, and the pods that pull images onto it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.actions import MakePrepullPod, PoolAction, RemovePrepullPod
from trainpush.model.modes import TURNED, Hook, Mode, PrepullPod, Switch, SwitchStep, digest_of
from trainpush.model.snapshot import Pool

RETRY: Final = timedelta(minutes=1)
"""Least time from the beginning of a pod that ended without having pulled all to the next one."""


def actions(pool: Pool, now: datetime) -> tuple[PoolAction, ...]:
    """What becomes of such pods, by node; it follows from the annotations that stand on the nodes."""
    images = pool.switching.warm_images if pool.switching else ()
    switches = pool.switches.items() if images else ()
    warming = {name for name, switch in switches if switch.step is SwitchStep.WARMING and _is_for_work(switch)}
    kept = [pod for pod in pool.prepull_pods if pod.node in warming and _is_of_use(pod, images, now)]
    gone = [pod for pod in pool.prepull_pods if pod not in kept and not pod.deleting]
    # A pod of the same name that is still there, if only on its way out, would be in the way of another.
    taken = {pod.node for pod in pool.prepull_pods if pod.digest == digest_of(images)}
    missing = (name for name in sorted(warming - taken) if pool.table.ready[pool.table.rows[name]])
    return (*(RemovePrepullPod(pod.name, pod.uid) for pod in gone), *(MakePrepullPod(name, images) for name in missing))


def _is_for_work(switch: Switch) -> bool:
    """Whether anything will run on a node that comes to this mode."""
    return switch.to is not Mode.MAINTENANCE


def _is_of_use(pod: PrepullPod, images: tuple[str, ...], now: datetime) -> bool:
    """Whether a pod pulls what is wanted, or has; one that ended early stays for a while, so that it tells why."""
    is_lost = pod.is_over and len(pod.pulled) < len(images)
    return pod.digest == digest_of(images) and not (is_lost and now >= pod.created + RETRY)


def wake_at(pool: Pool, now: datetime) -> datetime | None:
    """When a pod that ended too early gives way to the next."""
    return min((end for pod in pool.prepull_pods if pod.is_over and (end := pod.created + RETRY) > now), default=None)


@dataclass(frozen=True, slots=True)
class Lacking:
    """What a node waits for."""

    what: tuple[str, ...] = ()
    """Each thing in a few words; nothing for one that is ready."""
    is_late: bool = False
    """Whether it waits too long already, or something has failed; who wants a node in maintenance wants it as it is."""


NOTHING = Lacking()


def lacking(pool: Pool, row: int, switch: Switch | None, now: datetime) -> Lacking:
    """What the node in `row` of the table of `pool` lacks for its new mode; nothing where it has not turned."""
    if switch is None or switch.step not in TURNED or pool.switching is None:
        return NOTHING
    hook, state = pool.switching.hook if switch.setting else None, pool.states.get(pool.table.names[row], "")
    what = tuple(_missing(pool, row, switch, hook, state))
    has_failed = hook is not None and state == hook.failed
    is_due = has_failed or now >= switch.since + pool.switching.drain_deadline
    return Lacking(what, bool(what) and is_due and switch.step is SwitchStep.WARMING and _is_for_work(switch))


def _missing(pool: Pool, row: int, switch: Switch, hook: Hook | None, state: str) -> Iterator[str]:
    table = pool.table
    if not table.ready[row]:
        yield "the node is not ready"
    if table.names[row] in pool.unhealthy:
        yield "not all of its accelerators are healthy"
    for image, trouble in awaited(pool, table.names[row], switch):
        yield f"image {image}: {trouble or 'not pulled yet'}"
    if hook and state != hook.done:
        yield f"{hook.state_label} is {state or 'not there yet'}"
    # The agent may be done before the device plugin has told the kubelet what there is now.
    elif hook and _is_for_work(switch):
        offered = zip(table.resources, table.allocatable[:, row].tolist(), strict=True)
        if not any(amount > 0 and name in pool.accelerators for name, amount in offered):
            yield "it offers nothing of spec.acceleratorResources"


def awaited(pool: Pool, node: str, switch: Switch) -> Iterator[tuple[str, str]]:
    """Images that a node with this annotation still has to pull, each with what is in the way, if that is known."""
    images = pool.switching.warm_images if pool.switching and _is_for_work(switch) else ()
    pods = [pod for pod in pool.prepull_pods if pod.node == node and pod.digest == digest_of(images)]
    pulled = frozenset[int]().union(*(pod.pulled for pod in pods))
    troubles = {position: said for pod in pods for position, said in pod.troubles.items()}
    for position, image in enumerate(images):
        if position not in pulled:
            yield image, troubles.get(position, "" if pods else pool.trouble)
