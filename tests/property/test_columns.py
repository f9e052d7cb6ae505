"""Columns that follow events say the same as a table made anew, in whatever order the events come."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from support.build import NOW
from trainpush.model.fleet import NOBODY, Fleet, PoolSelector
from trainpush.model.modes import MODE_KEY, Mode, Switch, SwitchStep
from trainpush.model.nodes import AMOUNT_MAX, Ending, Level, Node, NodeTable, Taint, node_table

NAMES = [f"n{i}" for i in range(5)]
RACK, BLOCK = Level("rack", "rack"), Level("block", "block")
AMOUNTS = st.dictionaries(st.sampled_from(["gpu", "cpu", "pods"]), st.sampled_from([0, 1, 2, AMOUNT_MAX, 2**70]))
AT_REST = Switch(Mode.TRAINING, Mode.TRAINING, SwitchStep.ACTIVE, NOW, NOW)
NODES = st.builds(
    Node,
    name=st.sampled_from(NAMES),
    labels=st.fixed_dictionaries(
        {},
        optional={key: st.sampled_from(["", "a", "b"]) for key in ("rack", "block", "team", "other")}
        | {MODE_KEY: st.sampled_from(["Shared", "Shard"])},
    ),
    allocatable=AMOUNTS,
    taints=st.sampled_from([(), (Taint("k", "v", "NoSchedule"),), (Taint("k", "w", "NoExecute"),)]),
    ready=st.booleans(),
    cordoned=st.booleans(),
    product=st.sampled_from(["", "H100"]),
    capacity_type=st.sampled_from(["", "spot"]),
    switch=st.sampled_from(
        [
            None,
            None,
            AT_REST,
            *(replace(AT_REST, to=Mode.INFERENCE, step=step) for step in (SwitchStep.DRAINING, SwitchStep.WARMING)),
        ]
    ),
    is_marked=st.booleans(),
    is_spoiled=st.booleans(),
    wish=st.sampled_from([None, None, Mode.MAINTENANCE]),
    unhealthy=st.booleans(),
)
ENDINGS = st.builds(
    Ending,
    node=st.sampled_from([*NAMES, "unknown"]),
    request=st.sampled_from([{}, {"gpu": 1000}]),
    ends_at=st.sampled_from([None, NOW]),
)
CLAIMS = st.lists(
    st.builds(
        PoolSelector,
        pool=st.sampled_from(["p", "q", "r"]),
        labels=st.sampled_from([{}, {"team": "a"}, {"team": "b"}, {"other": "a", "team": "a"}]),
        levels=st.sampled_from([(), (RACK,), (BLOCK, RACK), (RACK, BLOCK)]),
    ),
    unique_by=lambda selector: selector.pool,
)


@dataclass
class World:
    """What is true, beside what follows the events; and every table that was handed out, with a copy of it."""

    fleet: Fleet = field(default_factory=Fleet)
    nodes: dict[str, Node] = field(default_factory=dict)
    pods: list[tuple[str, Mapping[str, int]]] = field(default_factory=list)
    ending: list[Ending] = field(default_factory=list)
    selectors: list[PoolSelector] = field(default_factory=list)
    handed_out: list[tuple[NodeTable, NodeTable]] = field(default_factory=list)

    def put(self, node: Node) -> None:
        """A node came or changed."""
        self.nodes[node.name] = node
        self.fleet.put(node)

    def remove(self, name: str) -> None:
        """A node went, if it was there."""
        self.nodes.pop(name, None)
        self.fleet.remove(name)

    def bind(self, pod: tuple[str, Mapping[str, int]]) -> None:
        """A pod came onto a node, known or not."""
        self.pods.append(pod)
        self.fleet.add_usage(*pod, +1)

    def end(self, number: int) -> None:
        """One of the pods ended."""
        if self.pods:
            self.fleet.add_usage(*self.pods.pop(number % len(self.pods)), -1)

    def begins_to_end(self, pod: Ending) -> None:
        """A pod is ending, on a node that is known or not."""
        self.ending.append(pod)
        self.fleet.add_ending(pod, +1)

    def is_gone(self, number: int) -> None:
        """One of those that were ending is gone."""
        if self.ending:
            self.fleet.add_ending(self.ending.pop(number % len(self.ending)), -1)

    def divide(self, selectors: list[PoolSelector]) -> None:
        """Pools came, went, changed, or were made again younger."""
        self.selectors = selectors

    def look(self) -> None:
        """Compare everything with what is made anew."""
        usage: dict[str, dict[str, int]] = {}
        for node, amounts in self.pods:
            used = usage.setdefault(node, {})
            used.update({name: used.get(name, 0) + amount for name, amount in amounts.items()})
        self.fleet.divide(self.selectors)
        left = dict(self.nodes)
        for selector in self.selectors:
            shared = [n for n in self.nodes if n not in left and selector.covers(self.nodes[n])]
            own = [left.pop(name) for name in list(left) if selector.covers(left[name])]
            found = self.fleet.table(selector.pool)
            assert_same(node_table(own, selector.levels, usage), found)
            assert self.fleet.table(selector.pool) is found
            assert self.fleet.shared(selector.pool) == tuple(sorted(shared))
            self.look_at_marks(selector.pool, own)
            names = {node.name for node in own}
            expected = [pod for pod in self.ending if pod.node in names]
            found_ending = self.fleet.ending(selector.pool)
            assert Counter(map(repr, found_ending)) == Counter(map(repr, expected))
            assert [pod.node for pod in found_ending] == sorted(pod.node for pod in expected)
            lacking = [node for node in own if not all(node.labels.get(level.label) for level in selector.levels)]
            assert self.fleet.unlabelled(selector.pool) == len(lacking)
            self.handed_out.append((found, a_copy(found)))
        self.look_at_marks(NOBODY, list(left.values()))

    def look_at_marks(self, pool: str, own: list[Node]) -> None:
        """What they say of their modes is said for the pool."""
        annotations = self.fleet.modes(pool)
        assert self.fleet.modes(pool) is annotations
        of_label = [(node, node.labels.get(MODE_KEY)) for node in own if node.is_marked and not node.switch]
        assert annotations.marked == {node.name for node in own if node.is_marked}
        assert annotations.labelled == {node.name: "Shared" for node, label in of_label if label == "Shared"}
        assert annotations.wishes == {node.name: node.wish for node in own if node.wish}
        assert annotations.unhealthy == {node.name for node in own if node.unhealthy}
        marked = [node for node in own if node.switch and node.is_marked]
        assert annotations.switches == {node.name: node.switch for node in marked}
        assert annotations.spoiled == {node.name for node in marked if node.is_spoiled}
        turned = {node.name: node.labels for node in marked if node.switch and node.switch.step is SwitchStep.WARMING}
        assert annotations.turned == turned
        for labels in ({}, {"team": "a"}, {"rack": "a", "block": "b"}):
            has_one = any(labels.items() <= node.labels.items() for node in own)
            assert self.fleet.has_one_with(pool, labels) == has_one


STEPS = st.one_of(
    st.tuples(st.just(World.put), NODES),
    st.tuples(st.just(World.remove), st.sampled_from(NAMES)),
    st.tuples(st.just(World.bind), st.tuples(st.sampled_from([*NAMES, "unknown"]), AMOUNTS)),
    st.tuples(st.just(World.end), st.integers(0, 9)),
    st.tuples(st.just(World.begins_to_end), ENDINGS),
    st.tuples(st.just(World.is_gone), st.integers(0, 9)),
    st.tuples(st.just(World.divide), CLAIMS),
)


def a_copy(table: NodeTable) -> NodeTable:
    """The same with arrays of its own."""
    columns = {name: getattr(table, name).copy() for name in ("allocatable", "used", "ready", "cordoned", "kind")}
    return replace(table, **columns, rows=dict(table.rows))


def assert_same(expected: NodeTable, actual: NodeTable) -> None:
    """Field by field."""
    for name in ("names", "resources", "kinds", "rows"):
        assert getattr(expected, name) == getattr(actual, name), name
    for name in ("allocatable", "used", "ready", "cordoned", "kind"):
        one, other = getattr(expected, name), getattr(actual, name)
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other, err_msg=name, strict=True)
    assert [(level.alias, level.names) for level in expected.levels] == [
        (level.alias, level.names) for level in actual.levels
    ]
    for one, other in zip(expected.levels, actual.levels, strict=True):
        np.testing.assert_array_equal(one.starts, other.starts, strict=True)


@given(
    st.lists(NODES, max_size=6),
    st.lists(st.lists(STEPS, min_size=1, max_size=3), min_size=2, max_size=20),
)
def test_columns_say_what_a_table_made_anew_says(
    nodes: list[Node], bursts: list[list[tuple[Callable[..., None], object]]]
) -> None:
    """After every burst of events; and no table that was handed out changes afterwards."""
    world = World(selectors=[PoolSelector("p", {"team": "a"}, (BLOCK, RACK)), PoolSelector("q", {}, (RACK,))])
    for node in nodes:
        world.put(node)
    for burst in bursts:
        world.look()
        for step, what in burst:
            step(world, what)
    world.look()
    for then, copied in world.handed_out:
        assert_same(copied, then)
