"""What a node with its new mode still lacks before it can be used, and the pods that pull images onto it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.modes import TURNED, Mode, PrepullPod, Switch, SwitchStep, digest_of
from trainpush.model.plan import MakePrepullPod, PoolAction, RemovePrepullPod
from trainpush.model.snapshot import Pool

RETRY: Final = timedelta(minutes=1)
"""Least time from the beginning of a pod that ended without having pulled all to the next one."""


def actions(pool: Pool, now: datetime) -> tuple[PoolAction, ...]:
    """What becomes of such pods, by node; it follows from the annotations that stand on the nodes."""
    images = pool.switching.warm_images if pool.switching else ()
    nodes = _warming(pool) if images else frozenset()
    kept = [it for it in pool.prepull_pods if it.node in nodes and _is_of_use(it, images, now)]
    gone = [it for it in pool.prepull_pods if it not in kept and not it.deleting]
    # A pod of the same name that is still there, if only on its way out, would be in the way of another.
    taken = {it.node for it in pool.prepull_pods if it.digest == digest_of(images)}
    missing = (name for name in sorted(nodes - taken) if pool.table.ready[pool.table.rows[name]])
    return (*(RemovePrepullPod(it.name, it.uid) for it in gone), *(MakePrepullPod(name, images) for name in missing))


def wake_at(pool: Pool, now: datetime) -> datetime | None:
    """When a pod that ended too early gives way to the next."""
    return min((end for it in pool.prepull_pods if it.is_over and (end := it.created + RETRY) > now), default=None)


def awaited(pool: Pool, node: str, switch: Switch) -> Iterator[tuple[str, str]]:
    """Images that a node with this annotation still has to pull, each with what is in the way, if that is known."""
    images = pool.switching.warm_images if pool.switching else ()
    if not needs_images(switch):
        return
    pods = [it for it in pool.prepull_pods if it.node == node and it.digest == digest_of(images)]
    pulled = frozenset[int]().union(*(it.pulled for it in pods))
    troubles = {position: said for it in pods for position, said in it.troubles.items()}
    for position, image in enumerate(images):
        if position not in pulled:
            yield image, troubles.get(position, "" if pods else pool.trouble)


def needs_images(switch: Switch) -> bool:
    """Whether a node that comes to this mode will run anything."""
    return switch.to is not Mode.MAINTENANCE


def _warming(pool: Pool) -> frozenset[str]:
    found: Iterable[tuple[str, Switch]] = pool.switches.items()
    return frozenset(name for name, it in found if it.step is SwitchStep.WARMING and needs_images(it))


def _is_of_use(prepull_pod: PrepullPod, images: tuple[str, ...], now: datetime) -> bool:
    """Whether a pod pulls what is wanted, or has; one that ended early stays for a while, so that it tells why."""
    is_lost = prepull_pod.is_over and len(prepull_pod.pulled) < len(images)
    return prepull_pod.digest == digest_of(images) and not (is_lost and now >= prepull_pod.created + RETRY)


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
    hook, state = pool.switching.hook, pool.states.get(pool.table.names[row], "")
    has_failed = switch.setting is not None and hook is not None and state == hook.failed
    what = tuple(_missing(pool, row, switch, state))
    is_due = switch.step is SwitchStep.WARMING and switch.to is not Mode.MAINTENANCE
    return Lacking(what, bool(what) and is_due and (has_failed or now >= switch.since + pool.switching.drain_deadline))


def _missing(pool: Pool, row: int, switch: Switch, state: str) -> Iterator[str]:
    if not pool.table.ready[row]:
        yield "the node is not ready"
    if pool.table.names[row] in pool.unhealthy:
        yield "not all of its accelerators are healthy"
    for image, trouble in awaited(pool, pool.table.names[row], switch):
        yield f"image {image}: {trouble or 'not pulled yet'}"
    hook = pool.switching.hook if pool.switching else None
    if hook is None or switch.setting is None:
        return
    if state != hook.done:
        yield f"{hook.state_label} is {state or 'not there yet'}"
    # The agent may be done before the device plugin has told the kubelet what there is now.
    elif switch.to is not Mode.MAINTENANCE and not _offers_any(pool, row):
        yield "it offers nothing of spec.acceleratorResources"


def _offers_any(pool: Pool, row: int) -> bool:
    table = pool.table
    return any(
        amount > 0
        for name, amount in zip(table.resources, table.allocatable[:, row].tolist(), strict=True)
        if name in pool.accelerators
    )
