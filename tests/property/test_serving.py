"""What holds of every plan with model servers in it, whatever the cluster."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from support.build import GPU, NOW
from support.strategies import mixed_snapshots
from trainpush.model.actions import MakeReplica, RemoveReplica
from trainpush.model.plan import Plan, ServiceDecision
from trainpush.model.serving import Place, Service
from trainpush.model.snapshot import Snapshot
from trainpush.planner.allocations import Allocations
from trainpush.planner.plan import plan


def applied(snapshot: Snapshot, decided: Plan) -> Snapshot:
    """The snapshot after the places that `decided` names were written; pods as before."""
    places = {decision.key: decision.record.placement for decision in decided.decisions}
    jobs = [
        replace(job, recorded=replace(job.recorded, placement=places.get(job.key, job.recorded.placement)))
        for job in snapshot.jobs
    ]
    served = {decision.key: decision for decision in decided.services}
    services = [_recorded(service, served.get(service.key)) for service in snapshot.services]
    return replace(snapshot, jobs=tuple(jobs), services=tuple(services))


def _recorded(service: Service, decision: ServiceDecision | None) -> Service:
    if decision is None:
        return service
    return replace(service, places=decision.places, stable=decision.stable, is_new=False)


def decisions(snapshot: Snapshot) -> list[tuple[Service, ServiceDecision]]:
    """Each service with what is decided of it."""
    by_key = {service.key: service for service in snapshot.services}
    return [(by_key[decision.key], decision) for decision in plan(snapshot, NOW).services]


def new_places(service: Service, decision: ServiceDecision) -> list[Place]:
    """Places that nobody held before."""
    held = {place.serial for place in service.places} | {pod.serial for pod in service.pods}
    return [place for place in decision.places if place.serial not in held]


def ready(service: Service, places: tuple[Place, ...]) -> int:
    """How many of the replicas at `places` get requests and will go on to."""
    serials = {place.serial for place in places}
    return sum(pod.ready and not pod.deleting for pod in service.pods if pod.serial in serials)


@given(mixed_snapshots())
def test_every_service_has_exactly_one_decision(snapshot: Snapshot) -> None:
    """With a reason and a message in every statement, unless it is being deleted."""
    decided = plan(snapshot, NOW)
    assert [d.key for d in decided.services] == sorted(it.key for it in snapshot.services if not it.deleting)
    for decision in decided.services:
        for claim in (decision.verdict, decision.placed, decision.loaded, decision.available, decision.progressing):
            assert claim.reason
            assert claim.message


@given(mixed_snapshots())
def test_no_node_is_filled_beyond_its_capacity(snapshot: Snapshot) -> None:
    """New places of replicas never push a node over, beside jobs and other services."""
    decided = plan(snapshot, NOW)
    table = snapshot.pools[0].table
    after = applied(snapshot, decided)
    used = Allocations.of(after.jobs, after.services).used(snapshot.pools[0])
    nodes = {place.node for service, decision in decisions(snapshot) for place in new_places(service, decision)}
    for node in nodes:
        row, column = table.resources.index(GPU), table.names.index(node)
        assert used[row, column] <= table.allocatable[row, column]


@given(mixed_snapshots(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(snapshot: Snapshot, shuffle: random.Random) -> None:
    """Same snapshot, same plan."""
    services = list(snapshot.services)
    shuffle.shuffle(services)
    assert plan(replace(snapshot, services=tuple(services)), NOW) == plan(snapshot, NOW)


@given(mixed_snapshots())
def test_planning_comes_to_rest(snapshot: Snapshot) -> None:
    """With pods as they are, places settle within a few cycles: nothing to do means no writes."""
    seen = [plan(snapshot, NOW)]
    for _ in range(8):
        snapshot = applied(snapshot, seen[-1])
        seen.append(plan(snapshot, NOW))
    assert seen[-1].services == seen[-2].services


@given(mixed_snapshots())
def test_serial_numbers_are_used_once(snapshot: Snapshot) -> None:
    """A place has a serial number of its own, and a new one none that a pod already has."""
    for service, decision in decisions(snapshot):
        serials = [place.serial for place in decision.places]
        assert len(set(serials)) == len(serials)
        known = {place.serial for place in service.places} | {pod.serial for pod in service.pods}
        fresh = [place for place in decision.places if place not in service.places]
        assert service.is_new or not {place.serial for place in fresh} & known


@given(mixed_snapshots())
def test_there_are_no_more_replicas_than_asked_for_and_one(snapshot: Snapshot) -> None:
    """One more while another is replaced; what already was more only shrinks."""
    for service, decision in decisions(snapshot):
        found = {place.serial for place in service.places} | {pod.serial for pod in service.pods}
        assert len(decision.places) <= max(service.replicas + 1, len(found))


@given(mixed_snapshots())
def test_pods_follow_what_the_status_said_before(snapshot: Snapshot) -> None:
    """First written, then carried out: a pod is made for a place that stands there, and goes once it does not."""
    for service, decision in decisions(snapshot):
        for action in decision.actions:
            if isinstance(action, MakeReplica):
                assert action.place in service.places
                assert action.place.serial not in {pod.serial for pod in service.pods}
            if isinstance(action, RemoveReplica):
                pod = next(pod for pod in service.pods if pod.uid == action.uid)
                assert pod.serial not in {place.serial for place in service.places}


@given(mixed_snapshots())
def test_no_plan_takes_the_last_replicas_away(snapshot: Snapshot) -> None:
    """What answers is never given up below minAvailable, except by whoever asks for fewer replicas."""
    for service, decision in decisions(snapshot):
        floor = min(service.min_available, service.replicas, ready(service, service.places))
        assert ready(service, decision.places) >= floor
