"""The status of a GPUPool: its nodes, accelerators and quotas, and how its nodes change their mode."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from trainpush.api.base import plain
from trainpush.api.conditions import PoolCondition
from trainpush.api.gpupool import AcceleratorCounts, GPUPoolStatus, NodeCounts
from trainpush.api.modes import HISTORY_MAX, SWITCHES_MAX, VICTIMS_MAX, ModeCounts, PlannedStatus, SwitchStatus
from trainpush.api.quota import QuotaStatus, ResourceUse
from trainpush.model.modes import Mode
from trainpush.model.plan import FinishedSwitch, ModesSummary, PlannedSwitch, PoolSummary, TeamUse
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, listed
from trainpush.model.workload import Refusal
from trainpush.status.conditions import Statement, by_type, cut, part, stamped

COUNT_MAX: Final = 2**53
"""Largest count that every reader of JSON understands."""
_HOUR: Final = timedelta(hours=1)
_NAMED_MAX: Final = 8
"""Nodes or DaemonSets that a message names."""
_BAD: Final = frozenset({Reason.STUCK, Reason.NOT_READY_IN_TIME, Reason.FROZEN})
"""Reasons for which a person must look."""
History = tuple[tuple[str, datetime], ...]
"""Of the latest switches that are over: the node, and when each began."""


@dataclass(frozen=True, slots=True)
class ModesSeen:
    """What is known of a pool's modes beside what was decided."""

    fault: Refusal | None = None
    """Why spec.modes cannot be taken as it stands."""
    repelled: tuple[str, ...] = ()
    """DaemonSets that would not come back on a node with a mode, in order."""


def read(status: GPUPoolStatus) -> History:
    """The switches of earlier cycles, which count against `perHour`."""
    return tuple((switch.node, switch.begun) for switch in status.switches)


def write(
    summary: PoolSummary, generation: int, old: Mapping[str, Any], now: datetime, seen: ModesSeen | None = None
) -> dict[str, Any]:
    """The whole status of a GPUPool; `seen` is None where its nodes have no modes.

    The switches that are over stay as they stand until another one is, also while spec.modes cannot be taken.
    """
    before, modes = GPUPoolStatus.read(part(old, "conditions", "switches")), summary.modes
    said = [*_pool_statements(summary), *(_mode_statements(modes, seen) if seen else ())]
    status = GPUPoolStatus(
        observed_generation=generation,
        conditions=stamped(said, generation, by_type(before.conditions), now),
        nodes=NodeCounts(
            total=summary.nodes, ready=summary.ready, cordoned=summary.cordoned, not_ready=summary.not_ready
        ),
        accelerators=AcceleratorCounts(
            total=summary.total, used=summary.used, free=summary.free, unavailable=summary.unavailable
        ),
        largest_free=dict(summary.largest_free),
        quotas=_write_quotas(summary.teams),
        modes=_write_counts(modes) if modes else None,
        plan=[_write_planned(switch) for switch in modes.planned[:SWITCHES_MAX]] if modes else [],
        switches=_write_switches(modes.finished, before.switches, now) if modes and modes.finished else [],
    )
    kept = part(old, "switches") if seen or modes else {}
    return {**kept, **plain(status)}


def _pool_statements(summary: PoolSummary) -> list[Statement]:
    found = (
        (PoolCondition.NODES_FOUND, True, Reason.NODES_FOUND, f"the pool has {count(summary.nodes, 'node')}")
        if summary.nodes
        else (PoolCondition.NODES_FOUND, False, Reason.NO_NODES, "no node carries the labels of spec.nodeSelector")
    )
    if summary.shared_nodes:
        named = ", ".join(summary.shared_nodes[:_NAMED_MAX])
        text = f"{found[3]}; an older pool has {count(len(summary.shared_nodes), 'node')} that would match: {named}"
        found = (found[0], found[1], Reason.OVERLAPPING_POOLS, text)
    known = (
        (PoolCondition.TOPOLOGY_KNOWN, True, Reason.TOPOLOGY_KNOWN, "every node carries every level's label")
        if not summary.unlabelled_nodes
        else (
            PoolCondition.TOPOLOGY_KNOWN,
            False,
            Reason.LABELS_MISSING,
            f"{count(summary.unlabelled_nodes, 'node')} without a label of spec.topology, a domain by itself",
        )
    )
    ready = (
        (PoolCondition.READY, True, Reason.READY, "the pool takes work")
        if found[1]
        else (PoolCondition.READY, False, found[2], found[3])
    )
    return [ready, found, known]


def _mode_statements(modes: ModesSummary | None, seen: ModesSeen) -> Iterable[Statement]:
    fault = seen.fault
    if fault:
        yield (PoolCondition.MODE_SETTLED, False, fault.reason, f"no node is touched: {fault.message}")
    elif modes:
        yield (PoolCondition.MODE_SETTLED, modes.settled.holds, modes.settled.reason, modes.settled.message)
    yield _tolerating(seen.repelled)
    if fault:
        yield (PoolCondition.DEGRADED, True, fault.reason, fault.message)
    elif modes and modes.settled.reason in _BAD:
        yield (PoolCondition.DEGRADED, True, modes.settled.reason, modes.settled.message)
    else:
        yield (PoolCondition.DEGRADED, False, Reason.READY, "no switch needs a person")


def _tolerating(repelled: Sequence[str]) -> Statement:
    kind = PoolCondition.DAEMON_SETS_TOLERATE
    if not repelled:
        return (kind, True, Reason.DAEMON_SETS_TOLERATE, "every DaemonSet here tolerates the taints of modes")
    text = (
        f"{listed(repelled, _NAMED_MAX)} would not come back on a node with a mode: let their pods tolerate "
        "the keys training.ai/mode and training.ai/switching with operator Exists"
    )
    return (kind, False, Reason.DAEMON_SETS_REPELLED, text)


def _write_counts(modes: ModesSummary) -> ModeCounts:
    return ModeCounts(
        training=modes.counts.get(Mode.TRAINING, 0),
        inference=modes.counts.get(Mode.INFERENCE, 0),
        shared=modes.counts.get(Mode.SHARED, 0),
        maintenance=modes.counts.get(Mode.MAINTENANCE, 0),
        switching=modes.switching,
    )


def _write_planned(switch: PlannedSwitch) -> PlannedStatus:
    return PlannedStatus(
        node=switch.node,
        old=switch.old.value,
        to=switch.new.value,
        step=switch.step.value,
        why=cut(switch.why),
        victims=list(switch.victims[:VICTIMS_MAX]),
        lost_accelerator_seconds=_rough(switch.lost),
    )


def _rough(amount: int) -> int:
    """Two digits, rounded up: what grows by the second would else be written by the second."""
    digit = int("1" + "0" * (len(str(amount)) - 2))
    return min(-(-amount // digit) * digit, COUNT_MAX)


def _write_switches(
    finished: Iterable[FinishedSwitch], known: Sequence[SwitchStatus], now: datetime
) -> list[SwitchStatus]:
    """The latest switches, and all that began within the hour; `perHour` is counted from them.

    What is told again was not written down on its node in time, and stays as first told.
    """
    once = {(switch.node, switch.begun): switch for switch in [*map(_write_switch, finished), *known]}
    latest = sorted(once.values(), key=lambda switch: (switch.ended, switch.node), reverse=True)
    within_hour = [switch for switch in latest[SWITCHES_MAX:] if switch.begun > now - _HOUR]
    return [*latest[:SWITCHES_MAX], *within_hour][:HISTORY_MAX]


def _write_switch(switch: FinishedSwitch) -> SwitchStatus:
    return SwitchStatus(
        node=switch.node,
        old=switch.old.value,
        to=switch.new.value,
        # In whole seconds, as those that stand.
        begun=switch.begun.replace(microsecond=0),
        ended=switch.ended.replace(microsecond=0),
        outcome=switch.outcome.value,
    )


def _write_quotas(uses: Iterable[TeamUse]) -> list[QuotaStatus]:
    """One entry per team, with all of its resources."""
    teams: dict[str, dict[str, ResourceUse]] = {}
    for use in uses:
        limit = None if use.limit is None else _whole(use.limit)
        amounts = ResourceUse(used=_whole(use.used), guarantee=_whole(use.guarantee), limit=limit)
        teams.setdefault(use.team, {})[use.resource] = amounts
    return [QuotaStatus(name=team, resources=resources) for team, resources in teams.items()]


def _whole(thousandths: int) -> int:
    """Whole units, a part of one as one."""
    return min(-(-thousandths // 1000), COUNT_MAX)
