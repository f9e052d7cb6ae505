"""What holds for the modes of nodes, whatever is asked of them and whatever goes wrong."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer
from trainpush.model.modes import Bounds, Mode, Switching, SwitchStep
from trainpush.model.serving import Service
from trainpush.model.workload import Job
from trainpush.planner.modes.bounds import BOUNDED, bounds_at, feasible

SLOW = settings(max_examples=max(20, settings().max_examples // 8))


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    """At least and at most so many nodes."""
    least = draw(st.sampled_from([0, 0, 1, 2]))
    return Bounds(least, draw(st.sampled_from([None, None, least, least + 1, least + 2])))


@st.composite
def policies(draw: st.DrawFn) -> Switching:
    """What a pool may want."""
    return Switching(
        default=draw(st.sampled_from([Mode.SHARED, Mode.TRAINING, Mode.INFERENCE])),
        bounds={mode: draw(bounds()) for mode in BOUNDED},
        is_enforced=True,
        unit=draw(st.sampled_from(["host", "host", "rack"])),
        max_concurrent=draw(st.sampled_from([1, 1, 2, 3])),
        per_hour=draw(st.sampled_from([2, 20])),
        min_time_in_mode=MINUTE * draw(st.sampled_from([0, 10])),
        cooldown=MINUTE * draw(st.sampled_from([0, 5])),
    )


@st.composite
def work(draw: st.DrawFn, nodes: int) -> list[Job | Service]:
    """Jobs and services, none of which has a place yet."""
    found: list[Job | Service] = []
    for number in range(draw(st.integers(0, 3))):
        size = draw(st.integers(1, nodes))
        sizes = tuple(range(size, 0, -1)) if draw(st.booleans()) else ()
        found.append(a_trainer(f"job{number}", workers=size, sizes=sizes))
    for number in range(draw(st.integers(0, 2))):
        replicas, gpus = draw(st.integers(0, 3)), draw(st.sampled_from([8, 4]))
        found.append(a_server(f"svc{number}", replicas=replicas, gpus=gpus))
    return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A pool of a few nodes of any mode, and work that wants some of them."""
    nodes = draw(st.integers(1, 5))
    modes = st.sampled_from([None, Mode.TRAINING, Mode.INFERENCE, Mode.SHARED])
    annotations = {f"n{i}": a_switch(mode) for i in range(1, nodes + 1) if (mode := draw(modes))}
    per_rack = draw(st.sampled_from([2, 2, 5]))
    return World.of(draw(policies()), *draw(work(nodes)), nodes=nodes, **annotations).in_racks(per_rack)


def changed(world: World, draw: st.DataObject) -> None:
    """Something happens to the demand."""
    for key, service in world.services.items():
        if draw.draw(st.booleans()):
            world.services[key] = replace(service, replicas=draw.draw(st.integers(0, 3)))
    for key in list(world.jobs):
        if draw.draw(st.booleans()):
            del world.jobs[key]
    for number in range(draw.draw(st.integers(0, 2))):
        job = a_trainer(f"late{number}", workers=draw.draw(st.integers(1, 3)))
        world.jobs.setdefault(job.key, job)


def there(world: World, mode: Mode) -> int:
    """Nodes that have a mode and keep it."""
    default = world.switching.default
    return sum(
        (it.mode is mode and it.is_resting) if (it := node.switch) else default is mode for node in world.nodes.values()
    )


def bearing(world: World, mode: Mode) -> int:
    """Nodes that have a mode, or can only come to it."""
    default = world.switching.default
    late = {SwitchStep.FLIPPING, SwitchStep.WARMING}
    return sum(
        (it.to if it.step in late else it.mode) is mode if (it := node.switch) else default is mode
        for node in world.nodes.values()
    )


@SLOW
@given(worlds(), st.data())
def test_bounds_and_limits_are_kept(world: World, data: st.DataObject) -> None:
    """Once a mode has as many nodes as it shall have, it keeps them; and few switch at a time, and in an hour."""
    reach = feasible(bounds_at(world.switching, world.now), len(world.nodes))
    enough: dict[Mode, bool] = dict.fromkeys(BOUNDED, False)
    few: dict[Mode, bool] = dict.fromkeys(BOUNDED, False)
    units = world.units()
    for number in range(90):
        if number % 30 == 29:
            changed(world, data)
        world.step(seconds=30)
        for mode in BOUNDED:
            assert there(world, mode) >= reach.least[mode] or not enough[mode]
            assert bearing(world, mode) <= reach.most[mode] or not few[mode]
            enough[mode] |= there(world, mode) >= reach.least[mode]
            few[mode] |= bearing(world, mode) <= reach.most[mode]
        assert len(world.under_way()) <= world.switching.max_concurrent
        hour = world.now - timedelta(hours=1)
        begun = {
            (units[name], it.begun) for _, name, it in world.diary if it.step is SwitchStep.PLANNED and it.begun > hour
        }
        assert len(begun) <= world.switching.per_hour


@SLOW
@given(worlds(), st.data())
def test_it_comes_to_rest(world: World, data: st.DataObject) -> None:
    """When nobody asks for anything else, no node switches any more."""
    for _ in range(20):
        world.step()
    changed(world, data)
    for _ in range(60):
        world.step()
    for _ in range(12 * 8 * len(world.nodes)):
        world.step(seconds=5 * 60)
    last = len(world.diary)
    for _ in range(40):
        world.step(seconds=5 * 60)
    assert len(world.diary) == last
    assert all(is_in_vain(world, service) for service in world.services.values() if is_short(service))


def is_short(service: Service) -> bool:
    """Whether replicas lack a place."""
    return len(service.places) < service.replicas


def is_in_vain(world: World, service: Service) -> bool:
    """Whether no unit could change its mode for a replica of `service`."""
    reach = feasible(bounds_at(world.switching, world.now), len(world.nodes))
    serving = {place.node for other in world.services.values() for place in other.places}
    modes, units = world.modes(), world.units()
    if there(world, Mode.INFERENCE) >= reach.most[Mode.INFERENCE]:
        return True

    def may_change(unit: str) -> bool:
        nodes = [name for name in modes if units[name] == unit and modes[name] is not Mode.INFERENCE]
        fewer = Counter(modes[name] for name in nodes)
        is_left = all(there(world, mode) - fewer[mode] >= reach.least[mode] for mode in BOUNDED)
        fits = there(world, Mode.INFERENCE) + len(nodes) <= reach.most[Mode.INFERENCE]
        return bool(nodes) and not serving.intersection(nodes) and is_left and fits

    is_free = any(mode is Mode.INFERENCE and name not in serving for name, mode in modes.items())
    return not is_free and not any(may_change(unit) for unit in units.values())


@SLOW
@given(policies(), work(6), st.sampled_from([2, 3]), st.data())
def test_units_stay_whole(policy: Switching, asked: list[Job | Service], per_rack: int, data: st.DataObject) -> None:
    """Nodes of a rack that had one mode have one mode whenever they rest."""
    world = World.of(replace(policy, unit="rack"), *asked, nodes=6).in_racks(per_rack)
    for number in range(90):
        if number % 30 == 29:
            changed(world, data)
        world.step(seconds=60)
        of_unit: dict[str, set[Mode]] = {}
        for name, unit in world.units().items():
            of_unit.setdefault(unit, set()).add(world.modes()[name])
        assert all(len(modes) == 1 for unit, modes in of_unit.items() if unit not in world.under_way())


@SLOW
@given(worlds(), st.data())
def test_no_node_goes_to_and_fro(world: World, data: st.DataObject) -> None:
    """A node that has a new mode keeps it for its least time."""
    for number in range(120):
        if number % 20 == 19:
            changed(world, data)
        world.step(seconds=20)
    changed_at = dict.fromkeys(world.nodes, world.now - timedelta(days=1))
    for at, node, switch in world.diary:
        if switch.step is SwitchStep.PLANNED:
            assert at - changed_at[node] >= world.switching.min_time_in_mode
        if switch.step is SwitchStep.ACTIVE and switch.why:
            changed_at[node] = at


@SLOW
@given(worlds(), st.randoms(use_true_random=False))
def test_writes_that_fail_change_nothing_but_the_time(world: World, luck: random.Random) -> None:
    """All that is known is in the annotations: any of them may be late."""
    flaky = replace(world, nodes=dict(world.nodes), jobs=dict(world.jobs), services=dict(world.services), diary=[])
    flaky.history, flaky.is_written = [], lambda _node: luck.random() < 0.5
    for _ in range(200):
        flaky.step(seconds=60)
        assert len(flaky.under_way()) <= flaky.switching.max_concurrent
    for name in flaky.nodes:
        steps = [SwitchStep(step) for step in flaky.steps(name)]
        assert all(after in FOLLOWS[before] for before, after in pairwise(steps))


@given(worlds(), st.randoms(use_true_random=False))
def test_order_does_not_matter(world: World, shuffle: random.Random) -> None:
    """The same cluster told in another order is decided alike."""
    for _ in range(3):
        world.step()

    def mixed(things: dict[object, object]) -> dict[object, object]:
        items = list(things.items())
        shuffle.shuffle(items)
        return dict(items)

    other = replace(world, nodes=mixed(world.nodes), jobs=mixed(world.jobs), services=mixed(world.services))  # type: ignore[arg-type]
    assert other.decide() == world.decide()


@given(worlds())
def test_a_dry_run_touches_nothing(world: World) -> None:
    """It only tells: what it would do first is what is done first where it is enforced."""
    dry = replace(world, switching=replace(world.switching, is_enforced=False))
    decided, done = dry.decide(), world.decide()
    assert decided.nodes == ()
    assert decided.summary
    assert done.summary
    assert decided.summary.planned == done.summary.planned


FOLLOWS = {
    SwitchStep.PLANNED: {SwitchStep.CORDONED, SwitchStep.ABORTED},
    SwitchStep.CORDONED: {SwitchStep.NOTIFIED, SwitchStep.FLIPPING, SwitchStep.ABORTED},
    SwitchStep.NOTIFIED: {SwitchStep.DRAINING, SwitchStep.ABORTED, SwitchStep.STUCK},
    SwitchStep.DRAINING: {SwitchStep.FLIPPING, SwitchStep.ABORTED, SwitchStep.STUCK},
    SwitchStep.STUCK: {SwitchStep.FLIPPING, SwitchStep.ABORTED},
    SwitchStep.FLIPPING: {SwitchStep.WARMING},
    SwitchStep.WARMING: {SwitchStep.ACTIVE},
    SwitchStep.ACTIVE: {SwitchStep.PLANNED},
    SwitchStep.ABORTED: {SwitchStep.PLANNED},
}
