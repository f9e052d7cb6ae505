"""Places are the best there are: as brute force finds them on small clusters, and a solver on larger ones."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from support.build import GPU, a_gang, a_node, varied
from support.placement_oracle import Host, Question, fewest_by_solver, fewest_by_table
from trainpush.model.gang import Gang, Slices
from trainpush.model.nodes import Level, Node, node_table
from trainpush.model.snapshot import Pool
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.placing.placement import Assignment

BLOCK, RACK = Level("block", "example.com/block"), Level("rack", "example.com/rack")
ALIASES = ("pool", "block", "rack", "host")
GROUP = 2


@st.composite
def clusters(draw: st.DrawFn, hosts: int = 6, most: int = 3) -> list[Node]:
    """Up to six hosts in up to two blocks and four racks, of 0 to 3 free GPUs."""
    count = draw(st.integers(1, hosts))
    return [
        a_node(
            f"n{i}",
            gpus=draw(st.integers(0, most)),
            block=draw(st.sampled_from(["b1", "b2"])),
            rack=draw(st.sampled_from(["r1", "r2"])),
            product=draw(st.sampled_from(["linked", "other"])),
            capacity_type=draw(st.sampled_from(["reserved", "spot", ""])),
        )
        for i in range(count)
    ]


@st.composite
def gangs(draw: st.DrawFn) -> Gang:
    """Up to six workers of one GPU, perhaps in one or two layers of slices, perhaps within one domain."""
    layers = draw(st.sampled_from([(), (), (), ("rack",), ("host",), ("block", "rack"), ("rack", "host")]))
    sizes = [2, 2] if len(layers) == 2 and draw(st.booleans()) else [4, 2]
    slices = tuple(Slices(level, size) for level, size in zip(layers, sizes[-len(layers) :], strict=False))
    unit = slices[0].size if slices else 1
    return a_gang(
        unit * draw(st.integers(1, max(1, 6 // unit))),
        gpus=1,
        slices=slices,
        required=draw(st.sampled_from([None, None, "block", "rack", "host"])),
        preferred=draw(st.sampled_from([None, "rack"])),
    )


def a_ground(
    nodes: Sequence[Node], linked: Mapping[str, int] | None = None, preference: tuple[str, ...] = ()
) -> FreeCapacity:
    """A ground of nodes all of whose GPUs are free."""
    table = node_table(nodes, (BLOCK, RACK), {})
    pool = Pool("pool", (GPU,), table, capacity_preference=preference, linked=linked or {})
    return FreeCapacity.at_rest(pool, table.used.copy())


def question(ground: FreeCapacity, gang: Gang, kinds: frozenset[str] | None = None) -> Question:
    """The same for the oracle; `kinds` are the only kinds of capacity that it may use."""
    table = ground.pool.table
    hosts = []
    for row in range(len(table.names)):
        path = [level.names[int(np.searchsorted(level.starts, row, side="right")) - 1] for level in table.levels[1:-1]]
        kind = table.kinds[table.kind[row]]
        free = int(table.allocatable[table.resources.index(GPU), row]) // 1000
        group = ground.pool.linked.get(kind.product, 1)
        usable = kinds is None or kind.capacity_type in kinds
        hosts.append(Host(tuple(path), free if usable else 0, group if free % group == 0 else 1))
    slices = {ALIASES.index(layer.level): layer.size for layer in gang.topology.slices}
    return Question(hosts, gang.workers, slices, ALIASES.index(gang.topology.required) if gang.topology.required else 0)


def shares(site: Assignment, asked: Question) -> list[int]:
    """Workers per host, in the order of the oracle."""
    return [site.by_row.get(row, 0) for row in range(len(asked.hosts))]


def check_against_brute_force(site: Assignment | None, asked: Question) -> None:
    """The site is allowed, and the best there is."""
    places = list(asked.every_place())
    assert (site is None) == (not places)
    if site is None:
        return
    taken = shares(site, asked)
    assert asked.is_allowed(taken)
    assert site.gap == 0

    def cost(place: Sequence[int]) -> tuple[int, ...]:
        return (*asked.span(place), asked.broken(place))

    best = min(map(cost, places))
    assert cost(taken) == best
    if asked.span(taken)[-2] == 1:
        equal = [place for place in places if cost(place) == best]
        most = max(map(asked.left, equal))
        assert asked.left(taken) == most
        assert asked.tightness(taken) == min(asked.tightness(place) for place in equal if asked.left(place) == most)


@given(clusters(), gangs())
def test_no_place_is_better(nodes: list[Node], gang: Gang) -> None:
    """Span, and in one rack what is left to others and how tight it is, are as good as any place's."""
    ground = a_ground(nodes)
    check_against_brute_force(ground.assign(gang), question(ground, gang))


@given(clusters(most=4), gangs())
def test_no_place_breaks_fewer_linked_groups(nodes: list[Node], gang: Gang) -> None:
    """Of places with the same span the one with fewest broken groups, and of these the one that leaves most."""
    ground = a_ground(nodes, linked={"linked": GROUP})
    check_against_brute_force(ground.assign(gang), question(ground, gang))


@given(clusters(), gangs())
def test_worse_capacity_is_used_only_where_it_must_be(nodes: list[Node], gang: Gang) -> None:
    """The best kinds that suffice, and on those the best place."""
    ground = a_ground(nodes, preference=("reserved", "spot"))
    site = ground.assign(gang)
    tiers = [frozenset({"reserved"}), frozenset({"reserved", "spot"}), frozenset({"reserved", "spot", ""})]
    asked = [question(ground, gang, kinds) for kinds in tiers]
    enough = next((it for it in asked if next(it.every_place(), None)), asked[-1])
    check_against_brute_force(site, enough)


@given(clusters(), gangs(), st.randoms(use_true_random=False))
def test_the_order_of_the_nodes_does_not_matter(nodes: list[Node], gang: Gang, shuffle: random.Random) -> None:
    """Same nodes, same place."""
    site = a_ground(nodes).assign(gang)
    shuffle.shuffle(nodes)
    assert a_ground(nodes).assign(gang) == site


@given(clusters(hosts=8), st.lists(gangs(), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_counts_that_are_mended_are_the_counts(nodes: list[Node], many: list[Gang], draw: random.Random) -> None:
    """A ground on which gangs came and went places the next one as a new ground does."""
    ground = a_ground(nodes, linked={"linked": GROUP}, preference=("reserved",))
    seated: list[tuple[Gang, tuple[str, ...]]] = []
    for gang in many * 2:
        fresh = FreeCapacity.at_rest(ground.pool, ground.used.copy())
        assert ground.largest(gang) == fresh.largest(gang)
        assert ground.after_terminations(gang) == fresh.after_terminations(gang)
        site = ground.assign(gang)
        assert site == fresh.assign(gang)
        if site:
            seated.append((gang, site.nodes(ground.pool.table)))
        if seated and draw.random() < 0.6:
            ground.release(*seated.pop(draw.randrange(len(seated))))


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_counts_of_many_nodes_that_are_mended_are_the_counts(seed: int) -> None:
    """Gangs that change more nodes and racks at once than are looked at one by one."""
    draw = random.Random(seed)  # noqa: S311
    nodes = [a_node(f"n{i:02}", gpus=draw.randint(0, 3), block=f"b{i // 30}", rack=f"r{i // 3}") for i in range(90)]
    ground = a_ground(nodes)
    for _ in range(6):
        gang = a_gang(draw.choice([2, 5, 30, 60]), gpus=1)
        fresh = FreeCapacity.at_rest(ground.pool, ground.used.copy())
        site = ground.assign(gang)
        assert site == fresh.assign(gang)
        if site and draw.random() < 0.7:
            ground.release(gang, site.nodes(ground.pool.table))


@given(clusters(hosts=7), gangs(), st.data())
def test_what_is_mended_keeps_its_good_nodes(nodes: list[Node], gang: Gang, data: st.DataObject) -> None:
    """Lost nodes are replaced whenever the rest, left where it is, allows for it."""
    site = a_ground(nodes).assign(gang)
    if site is None:
        return
    places = site.nodes(a_ground(nodes).pool.table)
    lost = data.draw(st.sets(st.sampled_from(sorted(set(places))), min_size=1))
    ground = a_ground([replace(node, ready=node.name not in lost) for node in nodes])
    rows = ground.pool.table.rows
    gpu = ground.pool.table.resources.index(GPU)
    for node in places:
        ground.used[gpu, rows[node]] += 1000 * (node not in lost)
    mended = ground.replace_lost(gang, places)
    asked = question(ground, gang)
    hosts = [
        replace(h, slots=0 if n in lost else h.slots) for h, n in zip(asked.hosts, ground.pool.table.names, strict=True)
    ]
    asked = replace(asked, hosts=hosts)
    if mended is None:
        assert not any(_fits_around(place, places, lost, ground, gang) for place in asked.every_place())
        return
    assert [node for node in places if node not in lost] == [
        new for new, old in zip(mended, places, strict=True) if old not in lost
    ]
    assert not lost & set(mended)
    assert asked.is_allowed([mended.count(name) for name in ground.pool.table.names])
    for layer in gang.topology.slices:
        for first in range(0, gang.workers, layer.size):
            assert len({_domain(ground, node, layer.level) for node in mended[first : first + layer.size]}) == 1
    assert (ground.used <= ground.pool.table.allocatable).all()


def _domain(ground: FreeCapacity, node: str, alias: str) -> int:
    level = ground.pool.table.levels[ALIASES.index(alias)]
    return int(np.searchsorted(level.starts, ground.pool.table.rows[node], side="right"))


def _fits_around(place: list[int], places: Sequence[str], lost: set[str], ground: FreeCapacity, gang: Gang) -> bool:
    """Whether a place has those who stay where they are, and their slices can be made whole."""
    counts = dict(zip(ground.pool.table.names, place, strict=True))
    if any(counts[node] < places.count(node) for node in set(places) - lost):
        return False
    for layer in gang.topology.slices:
        needed: dict[int, int] = {}
        for first in range(0, gang.workers, layer.size):
            kept = {
                _domain(ground, node, layer.level) for node in places[first : first + layer.size] if node not in lost
            }
            for domain in kept:
                needed[domain] = needed.get(domain, 0) + layer.size
        for domain, workers in needed.items():
            if sum(n for node, n in counts.items() if _domain(ground, node, layer.level) == domain) < workers:
                return False
    return True


@given(
    st.integers(0, 3), st.lists(st.tuples(*[st.integers(0, 1)] * 3, st.integers(0, 3)), min_size=1, max_size=7), gangs()
)
def test_any_number_of_levels_will_do(depth: int, drawn: list[tuple[int, int, int, int]], gang: Gang) -> None:
    """From a pool without topology to one of three levels."""
    levels = [Level(f"l{i}", f"level/{i}") for i in range(depth)]
    nodes = [
        replace(
            a_node(f"n{i}", gpus=gpus),
            labels={level.label: f"d{index}" for level, index in zip(levels, indices, strict=False)},
        )
        for i, (*indices, gpus) in enumerate(drawn)
    ]
    table = node_table(nodes, levels, {})
    ground = FreeCapacity.at_rest(Pool("pool", (GPU,), table), table.used.copy())
    gang = varied(gang, slices=(), required=None, preferred=None)
    check_against_brute_force(ground.assign(gang), question(ground, gang))


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([(), (("rack", 4),), (("block", 8), ("rack", 2))]))
def test_a_solver_finds_no_smaller_span(seed: int, layers: tuple[tuple[str, int], ...]) -> None:
    """Four blocks of six racks of eight hosts; neither the solver nor a table of costs spans less."""
    draw = random.Random(seed)  # noqa: S311
    busy = draw.uniform(0.3, 0.95)
    nodes = [
        a_node(
            f"n{i:03}", gpus=0 if draw.random() < busy else draw.randint(1, 4), block=f"b{i // 48}", rack=f"r{i // 8}"
        )
        for i in range(4 * 6 * 8)
    ]
    ground = a_ground(nodes)
    slices = tuple(Slices(*layer) for layer in layers)
    gang = a_gang(8 * draw.randint(1, 8), gpus=1, slices=slices)
    site = ground.assign(gang)
    asked = question(ground, gang)
    best = fewest_by_solver(asked)
    assert fewest_by_table(asked) == best
    assert (site is None) == (best is None)
    if site:
        assert asked.is_allowed(shares(site, asked))
        assert asked.span(shares(site, asked))[1:] == best
        assert site.gap == 0
