"""Whatever nodes change their mode for finds its place once they have changed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from support.build import varied
from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer
from trainpush.model.gang import Gang, Slices
from trainpush.model.modes import Bounds, Mode, Switching
from trainpush.model.workload import Job
from trainpush.planner.allocations import Allocations
from trainpush.planner.modes.bounds import BOUNDED
from trainpush.planner.placing.free_capacity import FreeCapacity

SLICES = (
    (),
    (),
    (Slices("rack", 2),),
    (Slices("rack", 3),),
    (Slices("host", 2),),
    (Slices("rack", 4), Slices("host", 2)),
)
MODES = st.sampled_from([None, Mode.TRAINING, Mode.INFERENCE, Mode.INFERENCE, Mode.SHARED])


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    """Mostly none."""
    least = draw(st.sampled_from([0, 0, 0, 1]))
    return Bounds(least, draw(st.sampled_from([None, None, None, least + 2, least + 4])))


@st.composite
def trainers(draw: st.DrawFn, name: str) -> Job:
    """A gang, elastic or not, in slices or not, in one rack or not."""
    slices = draw(st.sampled_from(SLICES))
    size = slices[0].size if slices else 1
    most = draw(st.integers(1, 4)) * size
    sizes = tuple(range(most, 0, -size)) if draw(st.booleans()) else ()
    job = a_trainer(name, workers=most, sizes=sizes, required=draw(st.sampled_from([None, None, "rack"])))
    assert isinstance(job.request, Gang)
    gang = varied(job.request, slices=slices)
    gpus = draw(st.sampled_from([2, 4, 4, 8, 8]))
    each = {"accelerators": gpus, "request": {**gang.requirements.request, gang.requirements.accelerator: 1000 * gpus}}
    return replace(job, request=varied(gang, **each))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A pool in which something runs, and something else waits."""
    nodes, unit = draw(st.integers(2, 9)), draw(st.sampled_from(["host", "host", "rack"]))
    annotations = {f"n{i}": a_switch(mode) for i in range(1, nodes + 1) if (mode := draw(MODES))}
    policy = Switching(
        default=draw(st.sampled_from([Mode.SHARED, Mode.TRAINING, Mode.INFERENCE])),
        bounds={mode: draw(bounds()) for mode in BOUNDED},
        is_enforced=True,
        unit=unit,
        max_concurrent=9,
        min_time_in_mode=0 * MINUTE,
        cooldown=0 * MINUTE,
    )
    world = World.of(policy, nodes=nodes, **annotations).in_racks(draw(st.sampled_from([2, 3, 3])))
    for wave in range(2):
        for number in range(draw(st.integers(wave, 2 + wave))):
            job = draw(trainers(f"job{wave}{number}"))
            world.jobs[job.key] = job
        for number in range(draw(st.integers(0, 1))):
            service = a_server(
                f"svc{wave}{number}", replicas=draw(st.integers(1, 3)), gpus=draw(st.sampled_from([8, 4]))
            )
            world.services[service.key] = service
        if wave == 0:
            for _ in range(draw(st.sampled_from([0, 1, 8]))):
                world.step()
    return world.seated()


def annotated(world: World, modes: dict[str, Mode]) -> World:
    """The world once these nodes bear an annotation: those that had none get one at once."""
    made = replace(world, nodes=dict(world.nodes))
    for name, mode in modes.items():
        made.bear(name, a_switch(mode))
    return made


def after(world: World, switched: dict[str, Mode]) -> World:
    """The world once these nodes have changed their mode, and what may not stay on them has gone."""
    made = replace(annotated(world, switched), jobs=dict(world.jobs), services=dict(world.services))
    for key, job in world.jobs.items():
        place = job.recorded.placement
        if place and any(switched.get(node) in {Mode.INFERENCE, Mode.MAINTENANCE} for node in place.nodes):
            del made.jobs[key]
    for key, service in world.services.items():
        staying = tuple(it for it in service.places if switched.get(it.node) not in {Mode.TRAINING, Mode.MAINTENANCE})
        made.services[key] = replace(service, places=staying)
    return made


def finds_no_place(world: World, helped: set[str]) -> Iterator[str]:
    """Of those whom switches shall help, those for whom there is no room; all that have room take it, in order."""
    jobs, services = list(world.jobs.values()), list(world.services.values())
    ground = FreeCapacity.at_rest(world.pool, Allocations.of(jobs, services).used(world.pool))
    for key, service in sorted(world.services.items()):
        missing = range(len(service.places), service.replicas)
        found = [ground.assign(service.revisions[0].gang) for _ in missing]
        if f"service {key}" in helped and missing and not any(found):
            yield str(key)
    waiting = [job for key, job in sorted(world.jobs.items()) if not job.recorded.placement]
    for job in waiting:
        assert isinstance(job.request, Gang)
        seated = ground.assign(job.request.of_size(job.request.least))
        if seated is None and f"job {job.key}" in helped:
            yield str(job.key)
    for key, job in sorted(world.jobs.items()):
        if job.recorded.placement and f"job {key}" in helped and not grows(ground, job):
            yield str(key)


def grows(ground: FreeCapacity, job: Job) -> bool:
    """Whether a gang that has a place would have room for more workers."""
    assert isinstance(job.request, Gang)
    assert job.recorded.placement
    nodes = job.recorded.placement.nodes
    return ground.largest_instead(job.request.of_size(max(job.request.sizes)), nodes) > len(nodes)


def test_what_nodes_change_for_finds_its_place() -> None:
    """At least a third of the examples switch something, so that it says something."""
    switching: Counter[bool] = Counter()

    @settings(max_examples=settings().max_examples)
    @given(worlds())
    def holds(world: World) -> None:
        decided = world.decide()
        assert decided.summary
        planned = decided.summary.planned
        switching[bool(planned)] += 1
        first = {it.name: it.action.after.to for it in decided.nodes if it.action.after and not it.action.before}
        later = after(annotated(world, first), {it.node: it.new for it in planned})
        # The annotation of a node on its way says for whom it began; by now it may go on for somebody else.
        helped = {str(owner) for owner, help_ in decided.help.items() if help_.is_coming}
        assert list(finds_no_place(later, helped)) == []

    holds()
    assert switching[True] >= switching.total() / 3
