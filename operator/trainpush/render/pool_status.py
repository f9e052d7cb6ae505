"""Summaries of pools as status: nodes, accelerators, quotas, and how nodes change their mode."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from trainpush.api.conditions import PoolCondition
from trainpush.api.modes import HISTORY_MAX, SWITCHES_MAX, VICTIMS_MAX
from trainpush.model.modes import Mode
from trainpush.model.plan import FinishedSwitch, ModesSummary, PlannedSwitch, PoolSummary, TeamUse
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal
from trainpush.render.conditions import MESSAGE_MAX, Statement, Status, counted, stamped, timestamp

COUNT_MAX: Final = 2**53
"""Largest count that every reader of JSON understands."""
_HOUR: Final = timedelta(hours=1)
_NAMED_MAX: Final = 8
"""Nodes or DaemonSets that a message names."""
_BAD: Final = frozenset({Reason.STUCK, Reason.NOT_READY_IN_TIME, Reason.FROZEN})
"""Reasons for which a person must look."""


@dataclass(frozen=True, slots=True)
class ModesSeen:
    """What is known of a pool's modes beside what was decided."""

    fault: Refusal | None = None
    """Why spec.modes cannot be taken as it stands."""
    repelled: tuple[str, ...] = ()
    """DaemonSets that would not come back on a node with a mode, in order."""


def pool_status(
    summary: PoolSummary, generation: int, old: Mapping[str, Any], now: datetime, seen: ModesSeen | None = None
) -> Status:
    """The whole status of a GPUPool; `seen` is None where its nodes have no modes."""
    claims = [*_pool_claims(summary), *(_mode_claims(summary.modes, seen) if seen else ())]
    status: Status = {
        "observedGeneration": generation,
        "conditions": stamped(claims, generation, old, now),
        "nodes": {
            "total": summary.nodes,
            "ready": summary.ready,
            "cordoned": summary.cordoned,
            "notReady": summary.not_ready,
        },
        "accelerators": {
            "total": summary.total,
            "used": summary.used,
            "free": summary.free,
            "unavailable": summary.unavailable,
        },
        "largestFree": dict(summary.largest_free),
    }
    if summary.teams:
        status["quotas"] = _quotas(summary.teams)
    if summary.modes:
        status |= _modes(summary.modes, old, now)
    elif seen and "switches" in old:
        status["switches"] = old["switches"]
    return status


def _pool_claims(summary: PoolSummary) -> list[Statement]:
    found = (
        (PoolCondition.NODES_FOUND, True, Reason.NODES_FOUND, f"the pool has {counted(summary.nodes, 'node')}")
        if summary.nodes
        else (PoolCondition.NODES_FOUND, False, Reason.NO_NODES, "no node carries the labels of spec.nodeSelector")
    )
    if summary.shared_nodes:
        listed = ", ".join(summary.shared_nodes[:_NAMED_MAX])
        text = f"{found[3]}; an older pool has {counted(len(summary.shared_nodes), 'node')} that would match: {listed}"
        found = (found[0], found[1], Reason.OVERLAPPING_POOLS, text)
    known = (
        (PoolCondition.TOPOLOGY_KNOWN, True, Reason.TOPOLOGY_KNOWN, "every node carries every level's label")
        if not summary.unlabelled_nodes
        else (
            PoolCondition.TOPOLOGY_KNOWN,
            False,
            Reason.LABELS_MISSING,
            f"{counted(summary.unlabelled_nodes, 'node')} without a label of spec.topology; each is its own domain",
        )
    )
    ready = (
        (PoolCondition.READY, True, Reason.READY, "the pool takes work")
        if found[1]
        else (PoolCondition.READY, False, found[2], found[3])
    )
    return [ready, found, known]


def _mode_claims(modes: ModesSummary | None, seen: ModesSeen) -> Iterable[Statement]:
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
    more = f" and {len(repelled) - _NAMED_MAX} more" if len(repelled) > _NAMED_MAX else ""
    text = (
        f"{', '.join(repelled[:_NAMED_MAX])}{more} would not come back on a node with a mode: let their pods tolerate "
        "the keys training.ai/mode and training.ai/switching with operator Exists"
    )
    return (kind, False, Reason.DAEMON_SETS_REPELLED, text)


def _modes(modes: ModesSummary, old: Mapping[str, Any], now: datetime) -> Status:
    counts = {mode.value.lower(): modes.counts.get(mode, 0) for mode in Mode}
    status: Status = {"modes": {**counts, "switching": modes.switching}}
    if modes.planned:
        status["plan"] = [_planned(switch) for switch in modes.planned[:SWITCHES_MAX]]
    if switches := _switches(modes.finished, old.get("switches", []), now):
        status["switches"] = switches
    return status


def _planned(switch: PlannedSwitch) -> Status:
    return {
        "node": switch.node,
        "from": switch.old.value,
        "to": switch.new.value,
        "step": switch.step.value,
        "why": switch.why[:MESSAGE_MAX],
        "victims": list(switch.victims[:VICTIMS_MAX]),
        "lostAcceleratorSeconds": _rough(switch.lost),
    }


def _rough(amount: int) -> int:
    """Two digits, rounded up: what grows by the second would else be written by the second."""
    digit = int("1" + "0" * (len(str(amount)) - 2))
    return min(-(-amount // digit) * digit, COUNT_MAX)


def _switches(
    finished: Iterable[FinishedSwitch], known: Sequence[Mapping[str, Any]], now: datetime
) -> list[Mapping[str, Any]]:
    """The latest switches, and all that began within the hour; `perHour` is counted from them.

    What is told again was not written down on its node in time, and stays as first told.
    """
    told = [_finished(switch) for switch in finished]
    if not told:
        return list(known)
    once = {(entry["node"], entry["begun"]): entry for entry in [*told, *known]}
    latest = sorted(once.values(), key=lambda entry: (entry["ended"], entry["node"]), reverse=True)
    counted = [entry for entry in latest[SWITCHES_MAX:] if entry["begun"] > timestamp(now - _HOUR)]
    return [*latest[:SWITCHES_MAX], *counted][:HISTORY_MAX]


def _finished(switch: FinishedSwitch) -> Status:
    return {
        "node": switch.node,
        "from": switch.old.value,
        "to": switch.new.value,
        "begun": timestamp(switch.begun),
        "ended": timestamp(switch.ended),
        "outcome": switch.outcome.value,
    }


def _quotas(uses: Iterable[TeamUse]) -> list[Status]:
    """One entry per team, with all of its resources."""
    teams: dict[str, dict[str, Status]] = {}
    for use in uses:
        counts = {"used": _whole(use.used), "guarantee": _whole(use.guarantee)}
        limit = {} if use.limit is None else {"limit": _whole(use.limit)}
        teams.setdefault(use.team, {})[use.resource] = counts | limit
    return [{"name": team, "resources": resources} for team, resources in teams.items()]


def _whole(thousandths: int) -> int:
    """Whole units, a part of one as one."""
    return min(-(-thousandths // 1000), COUNT_MAX)
