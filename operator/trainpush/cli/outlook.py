"""What a plan says of each object, and what a second plan says otherwise: values only, for people and for programs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from trainpush.cli.document import Identity
from trainpush.controller.observe import Observation
from trainpush.kube.resources import GPUPOOLS, INFERENCESERVICES, TRAINPUSHJOBS
from trainpush.model.actions import JobAction, ServiceAction
from trainpush.model.gang import Gang
from trainpush.model.plan import (
    Decision,
    ModesSummary,
    Plan,
    PlannedSwitch,
    PoolSummary,
    ServiceDecision,
    Stage,
    Verdict,
)
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, verb
from trainpush.model.workload import Eviction, Job
from trainpush.status.pool import ModesSeen


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would become of one object."""

    identity: Identity
    is_settled: bool
    """Whether it has all that it asks for, or has come to its end: it does not wait."""
    stage: str
    """Of a job; empty for other kinds."""
    verdict: Verdict
    pool: str = ""
    """The pool that takes it, where one does."""
    level: str = ""
    domain: str = ""
    """Of a job's place."""
    nodes: tuple[str, ...] = ()
    """One for each worker in rank order, or for each replica."""
    eviction: Eviction | None = None
    actions: tuple[JobAction | ServiceAction, ...] = ()
    switches: tuple[PlannedSwitch, ...] = ()
    """Nodes of a pool that are on the way to another mode, or would be."""
    modes: str = ""
    """Why the nodes of a pool do not get the modes that it asks for; empty where they do, or are about to."""


class What(StrEnum):
    """What becomes different for an object; the worst first."""

    EVICTED = "evicted"
    """It would go back to the queue."""
    SHRUNK = "shrunk"
    """It would lose workers, and go on with fewer."""
    SWITCHED = "switched"
    """Other nodes of it would change their mode."""
    UNPLACED = "unplaced"
    """It would wait instead of getting a place."""
    DELAYED = "delayed"
    """It would wait for another reason, or further back in the queue."""
    MOVED = "moved"
    """It would get another place."""
    RESTORED = "restored"
    """It would keep what it would lose."""
    PLACED = "placed"
    """It would get a place instead of waiting."""
    ADVANCED = "advanced"
    """It would wait further ahead in the queue."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes different for one object."""

    what: What
    before: Outlook
    after: Outlook


def outlooks(seen: Observation, plan: Plan) -> Mapping[Identity, Outlook]:
    """What `plan`, made for what was `seen`, says of each object."""
    snapshot = seen.snapshot
    jobs = {job.key: job for job in snapshot.jobs}
    asked = {service.key: service.replicas for service in snapshot.services}
    pools = {service.key: service.revisions[-1].gang.pool for service in snapshot.services if service.revisions}
    found = [
        *(_pool(summary, seen.modes.get(summary.name)) for summary in plan.pools),
        *(_job(decision, jobs[decision.key]) for decision in plan.decisions),
        *(_service(served, asked[served.key], pools.get(served.key, "")) for served in plan.services),
    ]
    return {outlook.identity: outlook for outlook in found}


def changes(
    before: Mapping[Identity, Outlook], after: Mapping[Identity, Outlook], given: Iterable[Identity]
) -> tuple[Change, ...]:
    """What becomes different for everything that is in both and was not `given`; the worst first."""
    others = sorted((before.keys() & after.keys()) - set(given))
    made = [Change(what, before[one], after[one]) for one in others if (what := _what(before[one], after[one]))]
    order = list(What)
    return tuple(sorted(made, key=lambda change: order.index(change.what)))


def _what(old: Outlook, new: Outlook) -> What | None:
    if old.identity[0] == GPUPOOLS.kind:
        # What is used and free there follows from all the others.
        turning = [[(switch.node, switch.new) for switch in pool.switches] for pool in (old, new)]
        return None if turning[0] == turning[1] else What.SWITCHED
    if old.eviction != new.eviction:
        if new.eviction is None:
            return What.RESTORED
        return What.SHRUNK if new.eviction.workers else What.EVICTED
    # A gang that waits may keep nodes meanwhile.
    is_turned = old.identity[0] == TRAINPUSHJOBS.kind and old.is_settled != new.is_settled
    return _place(old, new) if is_turned or old.nodes != new.nodes else _waiting(old, new)


def _place(old: Outlook, new: Outlook) -> What:
    if old.is_settled != new.is_settled:
        return What.PLACED if new.is_settled else What.UNPLACED
    return What.SHRUNK if len(new.nodes) < len(old.nodes) else What.MOVED


def _waiting(old: Outlook, new: Outlook) -> What | None:
    before, after = old.verdict, new.verdict
    if (before.reason, before.position) == (after.reason, after.position):
        return None
    is_ahead = before.reason == after.reason and after.position < before.position
    return What.ADVANCED if is_ahead else What.DELAYED


def _job(decision: Decision, job: Job) -> Outlook:
    place, eviction = decision.record.placement, decision.record.eviction
    return Outlook(
        identity=(TRAINPUSHJOBS.kind, *decision.key),
        is_settled=(place is not None and decision.stage is not Stage.QUEUED) or decision.record.outcome is not None,
        stage=decision.stage,
        verdict=decision.verdict,
        pool=job.request.pool if isinstance(job.request, Gang) else "",
        level=place.level if place else "",
        domain=place.domain if place else "",
        nodes=place.nodes if place else (),
        eviction=eviction if eviction and not eviction.is_done else None,
        actions=decision.actions,
    )


def _service(served: ServiceDecision, replicas: int, pool: str) -> Outlook:
    nodes = tuple(place.node for place in served.places if place.revision == served.wanted)
    return Outlook(
        identity=(INFERENCESERVICES.kind, *served.key),
        is_settled=served.refusal is None and len(nodes) >= replicas,
        stage="",
        verdict=served.verdict,
        pool=pool,
        nodes=nodes,
        actions=served.actions,
    )


def _pool(summary: PoolSummary, seen: ModesSeen | None) -> Outlook:
    closed = summary.nodes - summary.ready
    which = "" if summary.nodes == 1 else f"{closed} of them "
    elsewhere = len(summary.shared_nodes)
    more, match, belong = count(elsewhere, "more node"), verb(elsewhere, "match"), verb(elsewhere, "belong")
    message = (
        f"{count(summary.nodes, 'node')}{f', {which}cordoned or not ready' if closed else ''}; "
        f"{summary.free} of {count(summary.total, 'accelerator')} free"
        f"{f'; {more} {match}, and {belong} to an older pool' if elsewhere else ''}"
    )
    identity, found = (GPUPOOLS.kind, "", summary.name), Reason.NODES_FOUND if summary.nodes else Reason.NO_NODES
    reason, modes = _modes(summary.modes, seen)
    is_settled, verdict = bool(summary.nodes) and not modes, Verdict(reason or found, message)
    switches = summary.modes.planned if summary.modes else ()
    return Outlook(identity, is_settled, "", verdict, switches=switches, modes=modes)


def _modes(modes: ModesSummary | None, seen: ModesSeen | None) -> tuple[str, str]:
    """Reason and words where modes are refused, or cannot be had; as the condition ModeSettled says them."""
    if seen and seen.fault:
        return seen.fault.reason, f"no node is touched: {seen.fault.message}"
    if modes and modes.settled.reason == Reason.BOUNDS_NOT_MET:
        return modes.settled.reason, modes.settled.message
    return "", ""
