"""What may happen to a small cluster between two cycles: each leaves all else the very same."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
from hypothesis import strategies as st

from support.build import GPU, a_quota
from support.strategies import OUTAGES, contested, endings, jobs, mixed_snapshots, services, snapshots, workers
from trainpush.model.actions import MakeWorker
from trainpush.model.modes import Bounds, Mode, Switching
from trainpush.model.plan import Plan
from trainpush.model.serving import Service
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import (
    Checkpoint,
    Export,
    ExportState,
    Heard,
    Job,
    Key,
    Outcome,
    Phase,
    Push,
    Refusal,
    Worker,
)

SECONDS: Final = (0, 1, 5, 31, 121, 121, 700, 30_000, -100)


class Moment(NamedTuple):
    """A cluster as it is seen, and when."""

    snapshot: Snapshot
    now: datetime


@st.composite
def beginnings(draw: st.DrawFn) -> Snapshot:
    """A pool with jobs that run, wait or compete, and services."""
    return draw(st.one_of(snapshots(), contested(), mixed_snapshots()))


@st.composite
def followed(draw: st.DrawFn, before: Moment, decided: Plan) -> Moment:
    """The cluster a while after what was `decided` of it: some of that was carried out, and something else happened."""
    snapshot = before.snapshot
    if draw(st.integers(0, 3)):
        snapshot = draw(written(snapshot, decided))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        snapshot = draw(st.sampled_from(EVENTS))(draw, snapshot)
    return Moment(snapshot, before.now + timedelta(seconds=draw(st.sampled_from(SECONDS))))


@st.composite
def written(draw: st.DrawFn, snapshot: Snapshot, decided: Plan) -> Snapshot:
    """Some statuses were written, and the pods made that earlier ones announced."""
    by_key = {decision.key: decision for decision in decided.decisions}
    served = {decision.key: decision for decision in decided.services}
    made = []
    for job in snapshot.jobs:
        decision = by_key.get(job.key)
        if decision is None or not draw(st.integers(0, 3)):
            made.append(job)
            continue
        pods = tuple(
            Worker(f"{job.key.name}-{it.rank}-a{it.attempt}", f"{job.uid}-{it.rank}-{it.attempt}", it.attempt, it.rank)
            for it in decision.actions
            if isinstance(it, MakeWorker)
        )
        is_other = decision.record != job.recorded or pods
        made.append(replace(job, recorded=decision.record, workers=(*job.workers, *pods)) if is_other else job)
    places = tuple(
        replace(it, places=served[it.key].places, stable=served[it.key].stable)
        if it.key in served and draw(st.booleans())
        else it
        for it in snapshot.services
    )
    return replace(snapshot, jobs=tuple(made), services=places)


def _one_job(change: Callable[[st.DrawFn, Job], Job]) -> Callable[[st.DrawFn, Snapshot], Snapshot]:
    def happen(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
        if not snapshot.jobs:
            return snapshot
        i = draw(st.integers(0, len(snapshot.jobs) - 1))
        return replace(snapshot, jobs=(*snapshot.jobs[:i], change(draw, snapshot.jobs[i]), *snapshot.jobs[i + 1 :]))

    return happen


def _pods_go_on(draw: st.DrawFn, job: Job) -> Job:
    phase = draw(st.sampled_from([Phase.RUNNING, Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED]))
    nodes = job.recorded.placement.nodes if job.recorded.placement else ()
    bound = [
        replace(
            it,
            phase=phase,
            node=nodes[it.rank] if it.rank < len(nodes) else None,
            deleting=draw(st.integers(0, 9)) == 0,
        )
        for it in job.workers
    ]
    return replace(job, workers=tuple(bound))


def _nodes_fall_silent(draw: st.DrawFn, job: Job) -> Job:
    """Or are heard again; the moments at which pods are cut off lie before and after those of the plans."""
    return replace(
        job, workers=tuple(replace(it, outage=draw(st.sampled_from([None, *OUTAGES]))) for it in job.workers)
    )


def _other_pods(draw: st.DrawFn, job: Job) -> Job:
    nodes = job.recorded.placement.nodes if job.recorded.placement else ("n0",)
    return replace(job, workers=draw(workers(job.recorded.attempt, list(nodes))))


def _edited(draw: st.DrawFn, job: Job) -> Job:
    return replace(
        job,
        suspend=draw(st.integers(0, 3)) > 0,
        deleting=draw(st.integers(0, 3)) == 0,
        priority=draw(st.integers(0, 3)),
        is_under_way=draw(st.booleans()),
    )


def _status_lost(draw: st.DrawFn, job: Job) -> Job:
    return replace(job, recorded=type(job.recorded)(), is_asked=draw(st.booleans()))


def _reports(draw: st.DrawFn, job: Job) -> Job:
    attempt, step = job.recorded.attempt, draw(st.integers(0, 9))
    at = job.created_at + timedelta(seconds=draw(st.integers(0, 99)))
    saved = Checkpoint(attempt, step, "file:///x", at) if draw(st.booleans()) else None
    return replace(job, heard=Heard(attempt, at, step, 9, saved=saved), is_asked=True)


def _pushes(draw: st.DrawFn, job: Job) -> Job:
    digest = draw(st.sampled_from(["", "sha256:1"]))
    over = draw(st.sampled_from([None, None, Refusal("Pushed", "serves it")]))
    push = Push(
        "service0", "export", "file:///models", digest, is_new=draw(st.booleans()), over=over if digest else None
    )
    record = replace(job.recorded, attempt=max(1, job.recorded.attempt), outcome=Outcome.COMPLETE)
    job = replace(job, recorded=draw(st.sampled_from([record, record, job.recorded])))
    exports = (Export("export", draw(st.sampled_from(list(ExportState))), digest="sha256:1"),)
    return replace(job, push=push, exports=draw(st.sampled_from([(), exports])))


def replace_namespace(key: Key, other: Key) -> Key:
    """The same name in the namespace of another."""
    return Key(other.namespace, key.name)


def _comes(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    job = draw(jobs(draw(st.integers(0, 9)), list(snapshot.pools[0].table.names)))
    others = [it for it in snapshot.jobs if it.key != job.key]
    return replace(snapshot, jobs=tuple(sorted([*others, job], key=lambda it: it.key)))


def _goes(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, jobs=snapshot.jobs[1:] if draw(st.booleans()) else snapshot.jobs[:-1])


def _serves(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    made: Service = draw(services(0, list(snapshot.pools[0].table.names)))
    if snapshot.jobs:
        job = draw(st.sampled_from(snapshot.jobs))
        released = tuple(replace(it, job_uid=job.uid, digest="sha256:1") for it in made.revisions)
        made = replace(made, key=replace_namespace(made.key, job.key), revisions=released, follows=job.key.name)
    others = [it for it in snapshot.services if it.key != made.key]
    return replace(snapshot, services=tuple(sorted([*others, made], key=lambda it: it.key)))


def _nodes_change(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    (pool,) = snapshot.pools
    table, count = pool.table, len(pool.table.names)
    ready = np.array([draw(st.integers(0, 5)) > 0 for _ in range(count)], dtype=np.bool_)
    cordoned = np.array([draw(st.integers(0, 5)) == 0 for _ in range(count)], dtype=np.bool_)
    return replace(snapshot, pools=(replace(pool, table=replace(table, ready=ready, cordoned=cordoned)),))


def _nodes_are_relabelled(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    """Every node stays in its row; the domains of the innermost level begin elsewhere, and have other names."""
    (pool,) = snapshot.pools
    *outer, inner, hosts = pool.table.levels
    if not outer:
        return snapshot
    rows = st.integers(0, max(0, len(pool.table.names) - 1))
    starts = sorted({*outer[-1].starts.tolist(), *draw(st.sets(rows, max_size=2))})[: len(pool.table.names)]
    names = tuple(f"b1/{draw(st.sampled_from('rs'))}{i}" for i in range(len(starts)))
    levels = (*outer, replace(inner, names=names, starts=np.array(starts, dtype=np.intp)), hosts)
    return replace(snapshot, pools=(replace(pool, table=replace(pool.table, levels=levels)),))


def _others_take(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    (pool,) = snapshot.pools
    used = pool.table.used.copy()
    if used.size:
        used[:, 0] = draw(st.sampled_from([0, 1000, 4000, 8000]))
    there = used[pool.table.resources.index(GPU)] // 1000 if GPU in pool.table.resources else used.sum(axis=0)
    ending = draw(endings(dict(zip(pool.table.names, there.tolist(), strict=True))))
    return replace(snapshot, pools=(replace(pool, table=replace(pool.table, used=used), ending=ending),))


def _pool_edited(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    (pool,) = snapshot.pools
    quotas = draw(st.sampled_from([(), (a_quota("a", 4, 8), a_quota("b", 8)), (a_quota("a", 8),)]))
    return replace(snapshot, pools=(replace(pool, quotas=quotas, switching=draw(st.sampled_from(SWITCHINGS))),))


def _nodes_are_sorted_anew(draw: st.DrawFn, snapshot: Snapshot) -> Snapshot:
    del draw
    (pool,) = snapshot.pools
    return replace(snapshot, pools=(replace(pool, table=replace(pool.table, rows=dict(pool.table.rows))),))


SWITCHINGS: Final[Sequence[Switching | None]] = (
    None,
    Switching(default=Mode.SHARED, is_enforced=True),
    Switching(default=Mode.TRAINING, bounds={Mode.INFERENCE: Bounds(1)}, is_enforced=True),
)
EVENTS: Final[Sequence[Callable[[st.DrawFn, Snapshot], Snapshot]]] = (
    *map(
        _one_job, (_pods_go_on, _pods_go_on, _nodes_fall_silent, _other_pods, _edited, _status_lost, _reports, _pushes)
    ),
    *(_comes, _goes, _serves, _nodes_change, _others_take, _pool_edited, _nodes_are_sorted_anew, _nodes_are_relabelled),
)
