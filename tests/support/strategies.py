"""Hypothesis strategies: small clusters in every state, with jobs in every stage."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from support.build import GPU, NOW, a_gang, a_job, a_node, a_placement, a_pool, a_quota, running_job
from trainpush.model.nodes import Ending, Node, Taint
from trainpush.model.outage import Outage
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place, Replica, Revision, Service
from trainpush.model.snapshot import Pool, Quota, Snapshot
from trainpush.model.workload import (
    Beside,
    Eviction,
    FailedStarts,
    Job,
    Key,
    Phase,
    Preemption,
    Recorded,
    Refusal,
    Worker,
)

OUTAGES = (Outage("n0", NOW, timedelta(minutes=2)), Outage("n0", NOW, patience=None), Outage("n0"))
"""Nodes that are silent since now, or gone."""
ENDS = st.sampled_from([None, *(NOW + timedelta(seconds=seconds) for seconds in (-500, -60, -59, 0, 30, 3600, 5000))])
"""When the grace period of a pod is over: long ago, just now, soon, or not for long; or nobody knows."""
_TAINT = (Taint("maintenance", "", "NoSchedule"),)


@st.composite
def nodes(draw: st.DrawFn, index: int) -> Node:
    """A node somewhere in two blocks of two racks, mostly fit for work."""
    return a_node(
        f"n{index}",
        gpus=draw(st.sampled_from([4, 8])),
        rack=draw(st.sampled_from(["r1", "r2", None])),
        block=draw(st.sampled_from(["b1", "b2"])),
        ready=draw(st.integers(0, 9)) > 0,
        cordoned=draw(st.integers(0, 9)) == 0,
        taints=_TAINT if draw(st.integers(0, 9)) == 0 else (),
    )


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Up to six nodes, some of whose GPUs others use."""
    made = [draw(nodes(i)) for i in range(draw(st.integers(0, 6)))]
    used = {node.name: draw(st.integers(0, 4)) for node in made}
    return replace(a_pool(*made, used=used), quotas=draw(quotas()), ending=draw(endings(used)))


@st.composite
def endings(draw: st.DrawFn, used: Mapping[str, int]) -> tuple[Ending, ...]:
    """Pods behind some of the GPUs that others use, which are ending or hang."""
    counts = [(node, draw(st.integers(0, most))) for node, most in sorted(used.items())]
    return tuple(Ending(node, {GPU: gpus * 1000}, draw(ENDS)) for node, gpus in counts if gpus)


@st.composite
def quotas(draw: st.DrawFn) -> tuple[Quota, ...]:
    """None, or two teams with any guarantee, weight and limit."""
    if draw(st.booleans()):
        return ()
    shares = [(draw(st.sampled_from([0, 4, 8, 16])), draw(st.sampled_from([None, 0, 8]))) for _ in range(2)]
    return tuple(
        a_quota(team, guarantee, None if beyond is None else guarantee + beyond, draw(st.integers(1, 3)))
        for team, (guarantee, beyond) in zip(("a", "b"), shares, strict=True)
    )


@st.composite
def workers(draw: st.DrawFn, attempt: int, names: list[str]) -> tuple[Worker, ...]:
    """Pods of this attempt and the one before, in any phase, each rank at most once an attempt."""
    found = []
    for number in (attempt - 1, attempt):
        for rank, node in enumerate(names):
            if number > 0 and draw(st.booleans()):
                found.append(
                    Worker(
                        name=f"w{rank}-a{number}",
                        uid=f"w{rank}-a{number}-{draw(st.integers(0, 3))}",
                        attempt=number,
                        rank=rank,
                        phase=draw(st.sampled_from(list(Phase))),
                        node=draw(st.sampled_from([node, None])),
                        deleting=draw(st.booleans()),
                        ends_at=draw(ENDS),
                        disrupted=draw(st.booleans()),
                        beside=draw(st.sampled_from(list(Beside))),
                        is_hindered=draw(st.booleans()),
                        outage=draw(st.sampled_from([None, None, *OUTAGES])),
                    )
                )
    return tuple(found)


@st.composite
def misstarts(draw: st.DrawFn, names: list[str]) -> FailedStarts:
    """Tries that came to nothing, a while ago."""
    nodes = tuple(draw(st.permutations(names))[: draw(st.integers(0, 2))])
    age = timedelta(seconds=draw(st.sampled_from([0, 25, 100, 2000, 30_000])))
    return FailedStarts(draw(st.sampled_from([1, 2, 9])), NOW - age, nodes)


@st.composite
def jobs(draw: st.DrawFn, index: int, names: list[str]) -> Job:
    """A job that waits, or holds a place on some of `names` with any pods."""
    workers_asked = draw(st.integers(1, 4))
    smaller = draw(st.sets(st.integers(1, workers_asked))) if draw(st.booleans()) else set()
    gang = a_gang(
        workers=workers_asked,
        gpus=draw(st.sampled_from([1, 2, 4, 8])),
        required=draw(st.sampled_from([None, None, "rack", "block", "host"])),
        sizes=tuple(sorted(smaller | {workers_asked}, reverse=True)) if smaller else (),
    )
    failed_starts = draw(st.one_of(st.none(), st.none(), misstarts(names)))
    recorded = Recorded(failed_starts=failed_starts)
    is_placed: bool = draw(st.booleans())
    if names and is_placed:
        chosen = [draw(st.sampled_from(names)) for _ in range(gang.workers)]
        recorded = Recorded(
            attempt=draw(st.integers(1, 3)),
            placement=a_placement(*chosen, age=draw(st.sampled_from([0, 200]))),
            has_run=draw(st.booleans()),
            completed=tuple(sorted(draw(st.sets(st.integers(0, gang.workers - 1), max_size=2)))),
            failed_starts=failed_starts,
            failures=draw(st.integers(0, 4)),
            eviction=draw(st.sampled_from([None, Eviction("default/other", Reason.PREEMPTED, "makes room")])),
        )
    return a_job(
        f"job{index}",
        gang,
        age=draw(st.sampled_from([0, 1, 2, 3, 1000, 30_000])),
        namespace=draw(st.sampled_from(["default", "a", "b"])),
        priority=draw(st.sampled_from([0, 0, 10, 20])),
        preempts=draw(st.sampled_from([True, True, True, False])),
        preemption=draw(st.sampled_from([Preemption.ALWAYS, *Preemption])),
        min_runtime=timedelta(seconds=draw(st.sampled_from([0, 0, 100]))),
        suspend=draw(st.integers(0, 9)) == 0,
        deleting=draw(st.integers(0, 9)) == 0,
        recorded=recorded,
        workers=draw(workers(recorded.attempt, list(recorded.placement.nodes if recorded.placement else ()))),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """One pool, up to five jobs."""
    pool = draw(pools())
    names = list(pool.table.names)
    made = [draw(jobs(i, names)) for i in range(draw(st.integers(0, 5)))]
    return Snapshot(pools=(pool,), jobs=tuple(made))


@st.composite
def contested(draw: st.DrawFn) -> Snapshot:
    """A pool of sound nodes that running jobs mostly fill, and jobs that want room, often with a right to it."""
    count = draw(st.integers(1, 4))
    sound = [a_node(f"n{i}", rack=draw(st.sampled_from(["r1", "r2"]))) for i in range(count)]
    pool = replace(a_pool(*sound), quotas=draw(quotas()))
    free = {node.name: 8 for node in sound}
    made = []
    for index in range(draw(st.integers(1, 6))):
        gpus = draw(st.sampled_from([8, 4, 2]))
        fitting = [name for name, left in free.items() for _ in range(left // gpus)]
        size = draw(st.integers(1, 3))
        if len(fitting) >= size:
            nodes_of = sorted(draw(st.permutations(fitting))[:size])
            for name in nodes_of:
                free[name] -= gpus
            smaller = tuple(range(size, 0, -1)) if draw(st.booleans()) else ()
            made.append(_contender(draw, running_job(f"r{index}", *nodes_of, gpus=gpus, sizes=smaller)))
    for index in range(draw(st.integers(1, 3))):
        gang = a_gang(
            workers=draw(st.integers(1, 3)),
            gpus=draw(st.sampled_from([8, 4, 2])),
            required=draw(st.sampled_from([None, None, "rack"])),
        )
        made.append(_contender(draw, a_job(f"w{index}", gang, age=draw(st.sampled_from([0, 5, 1000, 30_000])))))
    return Snapshot(pools=(pool,), jobs=tuple(made))


def _contender(draw: st.DrawFn, job: Job) -> Job:
    return replace(
        job,
        key=Key(draw(st.sampled_from(["default", "a", "b"])), job.key.name),
        priority=draw(st.sampled_from([0, 0, 10, 20])),
        preempts=draw(st.sampled_from([True, True, True, False])),
        preemption=draw(st.sampled_from([Preemption.ALWAYS, Preemption.ALWAYS, *Preemption])),
        min_runtime=timedelta(seconds=draw(st.sampled_from([0, 0, 0, 1000]))),
    )


@st.composite
def revisions(draw: st.DrawFn, service: str) -> tuple[Revision, ...]:
    """Up to three releases, replicas of which may differ in size."""
    gpus = [draw(st.sampled_from([1, 2, 4])) for _ in range(draw(st.sampled_from([2, 1, 3, 0])))]
    return tuple(
        Revision(f"{service}-{n}", f"uid-{service}-{n}", number=n, gang=a_gang(workers=1, gpus=size))
        for n, size in enumerate(gpus, 1)
    )


@st.composite
def replicas(draw: st.DrawFn, place: Place, revision: Revision) -> Replica:
    """The pod of a place on its way from pending to ready, mostly at its end, or beyond."""
    phase = draw(st.sampled_from([Phase.RUNNING] * 6 + list(Phase)))
    steps = draw(st.sampled_from([2, 2, 2, 1, 0])) if phase is Phase.RUNNING else 0
    return Replica(
        name=f"{place.revision}-{place.serial}",
        uid=f"uid-{place.revision}-{place.serial}",
        serial=place.serial,
        revision=place.revision,
        node=place.node if phase is Phase.RUNNING else draw(st.sampled_from([place.node, None])),
        phase=phase,
        loaded=steps > 0,
        answered=steps > 1,
        ready=steps > 1,
        deleting=draw(st.integers(0, 9)) == 0,
        outage=draw(st.sampled_from([*[None] * 9, *OUTAGES])),
        ends_at=draw(ENDS),
        message=draw(st.sampled_from(["", "the model directory has another digest"])),
        request=revision.gang.requirements.request,
    )


@st.composite
def services(draw: st.DrawFn, index: int, names: list[str]) -> Service:
    """A service somewhere between its first release and its last, with replicas on some of `names`."""
    name = f"service{index}"
    known = draw(revisions(name))
    by_name = {revision.name: revision for revision in known}
    titles = list(by_name)
    count = draw(st.sampled_from([2, 1, 3, 4, 0])) if names and known else 0
    places = [
        Place(
            serial=serial,
            revision=draw(st.sampled_from(titles)),
            node=draw(st.sampled_from(names)),
            since=NOW - timedelta(seconds=draw(st.sampled_from([0, 200]))),
        )
        for serial in range(1, count + 1)
    ]
    is_new: bool = draw(st.integers(0, 9)) == 0
    kept = [place for place in places if draw(st.integers(0, 7)) < 7]
    return Service(
        key=Key("default", name),
        uid=f"uid-{name}",
        created_at=NOW - timedelta(seconds=draw(st.integers(0, 3))),
        request=draw(st.sampled_from([*titles, f"{name}-9", None, Refusal(Reason.IMAGE_REQUIRED, "no image")])),
        replicas=draw(st.sampled_from([2, 1, 3, 0])),
        min_available=draw(st.integers(0, 3)),
        deleting=draw(st.integers(0, 9)) == 0,
        stable=draw(st.sampled_from(["", *titles])),
        is_new=is_new,
        places=() if is_new else tuple(kept),
        revisions=known,
        pods=tuple(draw(replicas(it, by_name[it.revision])) for it in places if draw(st.integers(0, 7)) < 7),
    )


@st.composite
def mixed_snapshots(draw: st.DrawFn) -> Snapshot:
    """One pool, up to two jobs and three services."""
    pool = draw(pools())
    names = list(pool.table.names)
    made = [draw(jobs(i, names)) for i in range(draw(st.integers(0, 2)))]
    serving = [draw(services(i, names)) for i in range(draw(st.integers(0, 3)))]
    return Snapshot(pools=(pool,), jobs=tuple(made), services=tuple(serving))


LATER = NOW + timedelta(hours=1)
