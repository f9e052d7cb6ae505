"""What a node with its new mode still lacks before it can be used, in words for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from trainpush.model.modes import TURNED, Mode, Step, Switch
from trainpush.model.snapshot import Pool
from trainpush.planner.switching.warmers import awaited


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
    is_due = switch.step is Step.WARMING and switch.to is not Mode.MAINTENANCE
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
