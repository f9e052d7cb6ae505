"""The least cost at which enough room comes free in one of several domains.

Where no two candidates share a node, each frees a fixed number of slots, and a dynamic program over the slots
that are missing gives the optimum. Where they share nodes, the same program with the most that each could free
in any company bounds the cost from below, and its answer is optimal if it fits. If it does not, all candidates are
taken and let go again, the dearest per slot first, and so are all but the dearest ones; then the best that is left
is improved step by step: by the same program around the present choice, by taking all that is in the way on one
more node or two, by doing without one victim, and by taking one more. A step may lead to a dearer choice,
where it has not been yet: the way to a cheaper one may go through it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainpush.planner.feasibility.slots import fits
from trainpush.planner.preemption.scenarios import Ints, Mask, Places, Scenarios, SearchSpace

EXACT = 10
"""Up to so many candidates all subsets are tried."""
CELLS = 4_000_000
"""Largest table of the dynamic program; beyond it the search goes without."""
EFFORT = 300_000
"""How much is tried to improve choices, in entries looked at: it bounds the time without a clock."""
CROWD = 20_000
"""Most entries of attempts that are made at once."""
TRIES = 64
"""Most attempts that are made at once."""
FEW = 4
"""Where fewer can be made at once, the domain is so large that the programs alone come near enough."""
PARTNERS = 16
"""Of so many nodes every two are tried together."""
SPARES = 3
"""So many more nodes than are needed are made free when one victim is to be spared."""
FOLLOWED = 5
"""One of so many attempts of a step, the best, is gone on with."""
HOPE = 1.25
"""A domain where the first attempt is dearer than the best by more than this is left at that."""
MANY = 100
"""With more candidates, several are let go at a time, and all are taken only once."""
NOTHING = 2**62
"""More than anything costs."""

Groups = tuple[list[tuple[int, ...]], Ints, Ints]
"""Sets of candidates that make room together; what each set costs, and how much room it makes."""


@dataclass
class Best:
    """The best choice so far: a domain, and which of its pairs are taken."""

    cost: int = NOTHING
    domain: int = -1
    taken: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def offer(self, cost: int, domain: int, taken: Mask) -> None:
        """Take this one if it is cheaper."""
        if cost < self.cost:
            self.cost, self.domain, self.taken = cost, domain, taken


def cheapest(space: SearchSpace, domains: Iterable[tuple[int, float]]) -> Best:
    """The best choice in any of `domains`, each with a lower bound of its cost, which ascends."""
    best, undecided = Best(), {}
    for domain, bound in domains:
        if bound >= best.cost:
            break
        least = _relaxed(space, domain, best)
        if least < best.cost:
            undecided[domain] = least
    left = {domain: least for domain, least in undecided.items() if least < best.cost}
    if left:
        _search(space, left, best)
    return best


def _relaxed(space: SearchSpace, domain: int, best: Best) -> int:
    """A lower bound of the cost in `domain`; where it can be met, the choice that does is offered."""
    one = space.scenarios([domain])
    span = slice(space.entries[domain], space.entries[domain + 1])
    most = np.bincount(one.pair, space.entry_most[span], len(one.cost)).astype(np.int64)
    missing = space.workers - int(fits(one.free, one.request).sum())
    guess = covering(one.cost, most, missing)
    if guess is None:
        return 0
    cost = one.cost_of(guess)
    if cost < best.cost and one.spare(guess)[0] >= 0:
        best.offer(cost, domain, guess)
    return cost


def _search(space: SearchSpace, domains: dict[int, int], best: Best) -> None:
    """Try to find something cheaper in `domains`, each with a lower bound, the most promising ones first."""
    together = space.scenarios(list(domains))
    everybody = np.ones(len(together.cost), dtype=np.bool_)
    rough = together.pruned(everybody, in_haste=len(everybody) > MANY * len(domains))
    costs = together.costs(rough).tolist()
    effort = EFFORT
    for cost, i, (domain, least) in sorted(zip(costs, range(len(domains)), domains.items(), strict=True)):
        if cost > HOPE * best.cost:
            break
        if least < best.cost:
            one = space.scenarios([domain])
            taken, effort = _improved(space, domain, one, rough[together.scenario == i], effort)
            best.offer(one.cost_of(taken), domain, taken)


def _improved(space: SearchSpace, domain: int, one: Scenarios, taken: Mask, effort: int) -> tuple[Mask, int]:
    """`taken`, or something cheaper, and what is left of the effort."""
    if len(one.cost) <= EXACT:
        return _best_subset(space, domain, len(one.cost)), effort
    most, moves = min(TRIES, CROWD // len(one.pair)), Moves(one)
    taken = moves.exchanged(taken)
    if len(one.cost) <= MANY and most >= FEW:
        begun = _prefixes(one, most)
        starts = _pruned(space, domain, begun, np.zeros_like(begun))[: 1 + most // FOLLOWED]
        taken = min([taken, *map(moves.exchanged, starts)], key=one.cost_of)
    now, seen = taken, {taken.tobytes()}
    while effort > 0 and most >= FEW:
        begun, kept = moves.neighbours(now, most)
        effort -= 16 * len(begun) * len(one.pair)
        nexts = _pruned(space, domain, begun, kept)[: 1 + most // FOLLOWED]
        others = [other for other in map(moves.exchanged, nexts) if other.tobytes() not in seen]
        if not others:
            break
        now = min(others, key=one.cost_of)
        seen.add(now.tobytes())
        taken = min(taken, now, key=one.cost_of)
    return taken, effort


def _pruned(space: SearchSpace, domain: int, begun: Mask, kept: Mask) -> list[Mask]:
    """What is left of the rows of `begun` that fit, the cheapest first; `kept` is let go last."""
    crowd = space.scenarios([domain] * len(begun))
    ends = crowd.pruned(crowd.pruned(begun.ravel(), kept.ravel()))
    costs = np.where(crowd.spare(ends) >= 0, crowd.costs(ends), NOTHING)
    rows = np.argsort(costs, kind="stable")[: int((costs < NOTHING).sum())]
    return list(ends.reshape(begun.shape)[rows])


def _best_subset(space: SearchSpace, domain: int, candidates: int) -> Mask:
    """The cheapest of all subsets that fit; of equal ones that with the first candidates."""
    numbers = np.arange(2**candidates - 1, -1, -1)
    subsets = ((numbers[:, None] >> np.arange(candidates - 1, -1, -1)) & 1).astype(np.bool_)
    crowd = space.scenarios([domain] * len(numbers))
    flat = subsets.ravel()
    costs = np.where(crowd.spare(flat) >= 0, crowd.costs(flat), NOTHING)
    best: Mask = subsets[int(np.argmin(costs))]
    return best


def _prefixes(one: Scenarios, most: int) -> Mask:
    """Attempts without the dearest ones, one per row, from none left out to as many as can be."""
    lengths = np.unique(np.linspace(1, len(one.cost), most).astype(np.intp))
    result: Mask = np.arange(len(one.cost)) < lengths[:, None]
    return result


class Moves:
    """Ways from one choice in a domain to cheaper ones; what was looked at once is remembered."""

    def __init__(self, one: Scenarios) -> None:
        """`one` is a single attempt."""
        self._one = one
        self._known: dict[bytes, Groups] = {}
        self._ends: dict[bytes, Mask] = {}

    def exchanged(self, taken: Mask) -> Mask:
        """`taken`, improved as long as can be as if each move freed what it frees beside the present choice."""
        key = taken.tobytes()
        if key not in self._ends:
            other = self._step(taken)
            is_cheaper = self._one.cost_of(other) < self._one.cost_of(taken)
            self._ends[key] = self.exchanged(other) if is_cheaper else taken
        return self._ends[key]

    def neighbours(self, taken: Mask, most: int) -> tuple[Mask, Mask]:
        """Choices to prune from, one per row, and what must stay.

        A node or two made free; one victim spared; or one more taken, even if it makes no room beside the others.
        """
        groups, costs, gains = self._groups(taken)
        _, needed = self._one.changes(taken)
        spared = np.flatnonzero(taken)[: -1 - most // 2 : -1]
        enough = max([most - len(spared), *(needed[spared] + SPARES).tolist()])
        joined = np.zeros((min(len(groups), enough), len(taken)), dtype=np.bool_)
        for row, i in enumerate(_by_price(costs, gains)[:enough]):
            joined[row, list(groups[i])] = True
        added = joined[: most - len(spared)]
        without = [joined[: needed[victim] + SPARES].any(axis=0) | taken for victim in spared.tolist()]
        for rest, victim in zip(without, spared.tolist(), strict=True):
            rest[victim] = False
        more = np.eye(len(taken), dtype=np.bool_)[np.flatnonzero(~taken)[: most - len(added) - len(without)]]
        kept = np.concatenate([added, more, np.zeros((len(without), len(taken)), dtype=np.bool_)])
        return np.array([*(added | taken), *(more | taken), *without]), kept

    def _step(self, taken: Mask) -> Mask:
        one = self._one
        groups, costs_of_groups, gains = self._groups(taken)
        spare, alone = one.changes(taken)
        costs = np.concatenate([one.cost, costs_of_groups])
        moves = covering(costs, np.concatenate([alone, gains]), int(alone[taken].sum() - spare[0]))
        if moves is None:
            return taken
        other = moves[: len(taken)].copy()
        for move in np.flatnonzero(moves[len(taken) :]).tolist():
            other[list(groups[move])] = True
        return one.pruned(other if one.spare(other)[0] >= 0 else other | taken)

    def _groups(self, taken: Mask) -> Groups:
        """Those on one node, and those on two."""
        key, one = taken.tobytes(), self._one
        if key not in self._known:
            groups = one.bundles(taken)
            costs, gains = _costs(one, groups), one.gains(taken, groups)
            best = [groups[i] for i in _by_price(costs, gains)[:PARTNERS]]
            pairs = sorted({tuple(sorted({*a, *b})) for i, a in enumerate(best) for b in best[:i]} - set(groups))
            costs = np.concatenate([costs, _costs(one, pairs)])
            self._known[key] = groups + pairs, costs, np.concatenate([gains, one.gains(taken, pairs)])
        return self._known[key]


def _costs(one: Scenarios, groups: Sequence[tuple[int, ...]]) -> Ints:
    """What each group costs."""
    of = one.cost.tolist()
    return np.array([sum(of[member] for member in group) for group in groups], dtype=np.int64)


def _by_price(costs: Ints, gains: Ints) -> list[int]:
    """The cheapest per slot first."""
    order: list[int] = np.argsort(costs / np.maximum(gains, 1), kind="stable").tolist()
    return order


def covering(costs: Ints, weights: Ints, missing: int) -> Mask | None:
    """The cheapest items whose `weights` add up to `missing`; None where that cannot be or takes too long."""
    chosen = np.zeros(len(costs), dtype=np.bool_)
    if missing <= 0:
        return chosen
    weights = np.minimum(weights, missing)
    useful = _undominated(costs, weights, missing)
    if weights[useful].sum() < missing or len(useful) * missing > CELLS:
        return None
    best, other = np.full((2, missing + 1), NOTHING, dtype=np.int64)
    best[0] = 0
    is_better = np.zeros((len(useful), missing + 1), dtype=np.bool_)
    for row, (cost, weight) in enumerate(zip(costs[useful].tolist(), weights[useful].tolist(), strict=True)):
        other[:weight] = cost
        np.add(best[: missing + 1 - weight], cost, out=other[weight:])
        np.less(other, best, out=is_better[row])
        np.minimum(best, other, out=best)
    left = missing
    for row in range(len(useful) - 1, -1, -1):
        if is_better[row, left]:
            chosen[useful[row]] = True
            left = max(0, left - int(weights[useful[row]]))
    return chosen


def _undominated(costs: Ints, weights: Ints, missing: int) -> Places:
    """Positions that can be part of a cheapest cover: of all that weigh as much no more than would do alone."""
    order = np.lexsort((-weights, costs))
    ordered = weights[order]
    kept = np.zeros(len(order), dtype=np.bool_)
    for weight in np.unique(ordered[ordered > 0]).tolist():
        rank = np.cumsum(ordered >= weight)
        kept |= (ordered == weight) & (rank <= -(-missing // weight))
    result: Places = np.sort(order[kept])
    return result
