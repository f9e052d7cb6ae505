"""Pods on nodes that are silent: what is said of them, what a person can do, and when to look again."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from trainpush.model.outage import OUT_OF_SERVICE, Outage
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.serving import Replica
from trainpush.model.wording import moment, named, verb
from trainpush.model.workload import Worker

Pod = Worker | Replica
P = TypeVar("P", Worker, Replica)

_NAMED_MAX: Final = 4
"""Most nodes, pods or ranks that a message names; it counts the others."""
_TAINT: Final = f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute"


def told(decision: Decision, workers: Iterable[Worker], now: datetime) -> Decision:
    """The decision on a job, with what is to be said of silent nodes, and with when to look at them again.

    Where all run, what an earlier attempt left on other nodes holds nothing up.
    """
    silent, attempt = silent_of(workers), decision.record.attempt
    if decision.stage is Stage.RUNNING:
        silent = [worker for worker in silent if worker.attempt == attempt]
    if not silent or decision.record.outcome:
        return decision
    due = min(filter(None, (decision.wake_at, wake_at(silent, now))), default=None)
    return replace(decision, verdict=noted(decision.verdict, silent, now), wake_at=due)


def silent_of(pods: Iterable[P]) -> list[P]:
    """Those that were not seen to end, and of which nothing is heard."""
    return [pod for pod in pods if pod.outage and pod.is_live]


def awaited_of(pods: Iterable[Pod]) -> list[Pod]:
    """Those that may go on where nobody sees them, and that a job wants to wait for as long as it takes."""
    return [pod for pod in pods if pod.outage and pod.outage.is_awaited and pod.is_live]


def forgotten_by(pod: Pod) -> str:
    """Its node, where nobody will ever say that it has ended, since that is gone or out of service; else empty."""
    return pod.outage.node if pod.is_live and pod.outage and pod.outage.is_final else ""


def wake_at(silent: Iterable[Pod], now: datetime) -> datetime | None:
    """When the next of them is cut off."""
    due = (pod.outage.lost_at for pod in silent if pod.outage and not pod.is_cut_off(now))
    return min(filter(None, due), default=None)


def noted(verdict: Verdict, silent: Sequence[Pod], now: datetime) -> Verdict:
    """The verdict with what is wrong, how long it is waited for, and what a person can do."""
    lost = [pod for pod in silent if pod.is_cut_off(now) and not forgotten_by(pod)]
    coming = [pod for pod in silent if pod.outage and pod.outage.lost_at and not pod.is_cut_off(now)]
    awaited = awaited_of(silent)
    said = [verdict.message]
    if due := wake_at(coming, now):
        said.append(f"{_silence(_outages(coming))}; what runs there counts as ended from {moment(due)} on")
    if awaited:
        said.append(f"spec.failurePolicy.lostNode says Wait, and {stuck(_outages(awaited))}")
    if lost:
        names = named("pod", sorted(pod.name for pod in lost), _NAMED_MAX)
        holds = "cannot end there, and volumes that only one node may mount stay with it"
        said.append(f"{names} {holds}: {stuck(_outages(lost))}")
    return replace(verdict, message="; ".join(said)) if len(said) > 1 else verdict


def stuck(outages: Sequence[Outage]) -> str:
    """Which nodes are silent, and how to tell Kubernetes that nothing runs there any more."""
    nodes = _nodes(outages)
    if len(nodes) == 1:
        end, which = "if it is shut down for good", nodes[0]
    else:
        end, which = "for each that is shut down for good", "NODE"
    return f"{_silence(outages)}; {end}: `kubectl taint nodes {which} {_TAINT}`, or delete the Node"


def loss(workers: Sequence[Worker]) -> str:
    """What ended an attempt of which these workers are cut off."""
    nodes, ranks = _nodes(_outages(workers)), sorted(worker.rank for worker in workers)
    where, whose = named("node", nodes, _NAMED_MAX), named("worker", [str(rank) for rank in ranks], _NAMED_MAX)
    return f"{where} of {whose} {verb(len(nodes), 'are')} lost"


def _silence(outages: Iterable[Outage]) -> str:
    nodes, since = _nodes(outages), min(outage.since for outage in outages if outage.since)
    first = " since" if len(nodes) == 1 else ", the first since"
    return f"{named('node', nodes, _NAMED_MAX)} {verb(len(nodes), 'have')} not been ready{first} {moment(since)}"


def _outages(pods: Iterable[Pod]) -> list[Outage]:
    return [pod.outage for pod in pods if pod.outage]


def _nodes(outages: Iterable[Outage]) -> list[str]:
    return sorted({outage.node for outage in outages})
