"""Decisions as status: conditions, counts and a summary; and the smallest patch that brings it about."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trainpush.api.conditions import Condition, PoolCondition
from trainpush.api.trainpushjob import Resolved
from trainpush.model.plan import Decision, PoolSummary, Pushing, Stage, TeamUse
from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, Outcome, Placement
from trainpush.render.conditions import MESSAGE_MAX, Statement, Status, counted, stamped, timestamp, verdict_status
from trainpush.render.eviction import evicted

COUNT_MAX = 2**53
"""Largest count that every reader of JSON understands."""


def job_status(
    decision: Decision, resolved: Resolved | None, workers: int, generation: int, old: Mapping[str, Any], now: datetime
) -> Status:
    """The whole status of a TrainPushJob that asks for `workers`; `old` gives unchanged conditions their times."""
    status: Status = {
        "observedGeneration": generation,
        "phase": decision.stage.value,
        "conditions": stamped(_job_claims(decision, old), generation, old, now),
        "attempt": decision.attempt,
        "replicas": {
            "desired": workers,
            "assigned": len(decision.placement.nodes) if decision.placement else 0,
            "running": decision.running,
        },
        "restarts": {
            "failures": decision.failures,
            "infrastructure": decision.infrastructure,
            "preemptions": decision.preemptions,
        },
        "verdict": verdict_status(decision.verdict),
    }
    if decision.placement:
        status["placement"] = _placement(decision.placement)
    if decision.queued_at:
        status["queuedAt"] = timestamp(decision.queued_at)
    if decision.eviction:
        status["eviction"] = _eviction(decision.eviction)
    if resolved is not None:
        status["resolved"] = resolved.model_dump(by_alias=True, exclude_none=True, mode="json")
    elif decision.placement and "resolved" in old:
        status["resolved"] = old["resolved"]
    if decision.last:
        status["lastFailure"] = {"reason": decision.last.reason, "message": decision.last.message[:MESSAGE_MAX]}
    if progress := _progress(decision.report) or old.get("progress"):
        status["progress"] = progress
    # Absent until there is something to say: that tells a push that was never begun, or a status that was lost.
    if decision.push and (push := _push(decision.push)):
        status["push"] = push
    elif resolved is None and "push" in old:
        status["push"] = old["push"]
    return status


def pool_status(summary: PoolSummary, generation: int, old: Mapping[str, Any], now: datetime) -> Status:
    """The whole status of a GPUPool."""
    status: Status = {
        "observedGeneration": generation,
        "conditions": stamped(_pool_claims(summary), generation, old, now),
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
    return status


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) from `old` to `new`; empty when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch


def _job_claims(decision: Decision, old: Mapping[str, Any]) -> list[Statement]:
    verdict, stage = decision.verdict, decision.stage
    reason, message = verdict.reason, verdict.message
    is_complete = decision.outcome is Outcome.COMPLETE
    has_failed = decision.outcome is Outcome.FAILED
    refusal, push = decision.refusal, decision.push
    claims: list[Statement] = [
        (Condition.READY, False, push.reason, push.message)
        if push and push.has_failed
        else (Condition.READY, not (refusal or has_failed or reason == Reason.APPLY_FAILED), reason, message),
        (Condition.ACCEPTED, False, refusal.reason, refusal.message)
        if refusal
        else (Condition.ACCEPTED, True, Reason.ACCEPTED, "the spec is sound and its pool takes it"),
        (Condition.PLACED, True, Reason.PLACED, _where(decision.placement))
        if decision.placement
        else (Condition.PLACED, False, reason, message),
        (Condition.RUNNING, stage is Stage.RUNNING, reason, message),
        evicted(decision, old),
        (Condition.TRAINING_COMPLETE, True, Reason.COMPLETED, message)
        if is_complete
        else (Condition.TRAINING_COMPLETE, False, reason if has_failed else Reason.IN_PROGRESS, "training is not over"),
        *([(Condition.PUSHED, push.is_over, push.reason, push.message)] if push else []),
        (Condition.FAILED, True, reason, message)
        if has_failed
        else (Condition.FAILED, False, Reason.NOT_FAILED, "the job has not given up"),
    ]
    return [*claims, *_passing_claims(decision)]


def _passing_claims(decision: Decision) -> Iterable[Statement]:
    """The conditions that are there only while true."""
    verdict, push, outcome = decision.verdict, decision.push, decision.outcome
    if outcome is None and decision.placement and decision.stage is not Stage.RUNNING:
        yield (Condition.RECONCILING, True, verdict.reason, verdict.message)
    elif outcome is Outcome.COMPLETE and push and not (push.is_over or push.has_failed):
        yield (Condition.RECONCILING, True, push.reason, push.message)
    if decision.refusal or outcome is Outcome.FAILED:
        yield (Condition.STALLED, True, verdict.reason, verdict.message)
    elif push and push.has_failed:
        yield (Condition.STALLED, True, push.reason, push.message)


def _pool_claims(summary: PoolSummary) -> list[Statement]:
    found = (
        (PoolCondition.NODES_FOUND, True, Reason.NODES_FOUND, f"the pool has {counted(summary.nodes, 'node')}")
        if summary.nodes
        else (PoolCondition.NODES_FOUND, False, Reason.NO_NODES, "no node carries the labels of spec.nodeSelector")
    )
    if summary.shared_nodes:
        listed = ", ".join(summary.shared_nodes[:8])
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


def _placement(placement: Placement) -> Status:
    return {
        "level": placement.level,
        "domain": placement.domain,
        "nodes": list(placement.nodes),
        "since": timestamp(placement.since),
        **({"protectedUntil": timestamp(placement.protected_until)} if placement.protected_until else {}),
    }


def _where(placement: Placement) -> str:
    site = "the pool" if placement.domain == placement.level else f"{placement.level} {placement.domain}"
    workers, nodes = len(placement.nodes), len(set(placement.nodes))
    return f"{counted(workers, 'worker')} on {counted(nodes, 'node')} of {site}"


def _eviction(eviction: Eviction) -> Status:
    return {
        "by": eviction.by,
        "reason": eviction.reason,
        "message": eviction.message[:MESSAGE_MAX],
        "workers": eviction.workers,
        "lost": eviction.lost,
        "carriedOut": eviction.is_done,
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


def _push(push: Pushing) -> Status:
    known = {"exportJob": push.export, "digest": push.digest, "uri": push.uri, "revision": push.revision}
    return {key: value for key, value in known.items() if value}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX


def _progress(report: Mapping[str, object]) -> Status:
    """The parts of a program's report that status shows; anything of another type is left out."""
    progress: Status = {key: report[key] for key in ("step", "totalSteps") if _is_count(report.get(key))}
    metrics = report.get("metrics")
    if isinstance(metrics, Mapping):
        progress["metrics"] = {str(key)[:64]: str(value)[:64] for key, value in list(metrics.items())[:32]}
    return progress
