"""Which nodes may change their mode for another one, the best first, in units that change together."""

from collections.abc import Iterable, Iterator
from operator import itemgetter

from trainpush.model.modes import Mode, Switching
from trainpush.planner.switching.ranking import Block, Cost, Rank, Taken, block, cost, rank
from trainpush.planner.switching.survey import Post, Survey

Unit = tuple[Post, ...]
"""Nodes that change their mode together: those of one unit for which it would be a change."""


class Candidates:
    """The nodes that nobody has chosen yet, as they can be had beside those that are taken."""

    def __init__(self, survey: Survey, switching: Switching) -> None:
        """All nodes; what is under way is taken already."""
        self.doomed: set[str] = set()
        """Nodes under way that have to go back."""
        self._survey = survey
        self._switching = switching
        self._gone: set[str] = set()
        """Nodes that were chosen."""
        self._taken = Taken(post for post in survey.posts if not post.is_resting)
        self._ranks: dict[Mode, dict[int, tuple[Rank, Unit] | None]] = {}
        """Of each unit that was looked at; None where it may not change to that mode."""
        self._lists: dict[Mode, list[Unit]] = {}
        """Units that may change, in order; until something is taken that changes the costs of others."""
        self._others: dict[Mode, list[tuple[int, Block]]] = {}
        self._judged: dict[tuple[str, Mode], Block | None] = {}

    def to(self, mode: Mode) -> Iterator[Unit]:
        """What may change to `mode`, or to Shared for its sake; what is under way to it comes first."""
        if mode not in self._lists:
            ranks = self._ranks.setdefault(mode, {})
            ranks |= {unit: self._ranked(unit, mode) for unit in range(len(self._survey.units)) if unit not in ranks}
            found = [known for unit in range(len(self._survey.units)) if (known := ranks[unit])]
            self._lists[mode] = [unit for _, unit in sorted(found, key=itemgetter(0))]
        return (unit for unit in self._lists[mode] if not any(post.name in self._gone for post in unit))

    def block(self, post: Post, to: Mode) -> Block | None:
        """Why a node may not change to `to`, whatever the bounds say; None where it may."""
        if (post.name, to) not in self._judged:
            self._judged[post.name, to] = block(post, to, self._survey, self._switching, self._taken)
        return self._judged[post.name, to]

    def blocks(self, mode: Mode) -> list[tuple[int, Block]]:
        """Why nodes that do not have `mode` do not change to it, by row."""
        if mode not in self._others:
            others = (it for it in self._survey.posts if it.name not in self._gone and _is_elsewhere(it, mode))
            self._others[mode] = [(it.row, self.reason(it, mode)) for it in others]
        return self._others[mode]

    def reason(self, post: Post, to: Mode) -> Block:
        """Why a node does not change to `to`: what is on it, else the bounds, or that not all of its unit may."""
        beyond = Block.FLOOR if len(self._survey.units[post.unit]) == 1 else Block.UNIT
        return self.block(post, to) or beyond

    def take(self, post: Post, to: Mode) -> Cost:
        """Choose a node; what that costs beside those that were chosen before."""
        price = cost(post, to, self._survey, self._taken)
        self._gone.add(post.name)
        self._taken.add(post)
        self._others.clear()
        if post.gangs:
            self._forget({node for key in post.gangs for node in self._survey.gangs[key].place.nodes})
        return price

    def give_up(self, post: Post) -> None:
        """A node under way has to go back."""
        self.doomed.add(post.name)
        self._taken.discard(post)
        self._judged.clear()

    def _forget(self, nodes: Iterable[str]) -> None:
        """To take more from the same gangs costs less now."""
        self._lists.clear()
        for post in (post for post in self._survey.posts if post.name in nodes):
            for mode in Mode:
                self._judged.pop((post.name, mode), None)
            for ranks in self._ranks.values():
                ranks.pop(post.unit, None)

    def _ranked(self, unit: int, mode: Mode) -> tuple[Rank, Unit] | None:
        # Who is out of order, or where people want it, neither comes along nor keeps the others from it.
        posts = [it for it in self._survey.units[unit] if is_other(it, mode) and it.follows]
        under_way = [it.to for it in posts if not it.is_resting]
        to = under_way[0] if under_way else mode
        # Who was left behind follows the others of its unit.
        mates = (it for it in self._survey.units[unit] if it.follows and not it.is_resting)
        if any(it.to is not to and it.mode is not Mode.MAINTENANCE and it.name not in self.doomed for it in mates):
            return None
        if not posts or any(it.name in self.doomed or self.block(it, to) for it in posts):
            return None
        price = self._price(posts, to)
        return (rank(posts, price), tuple(posts)) if price else None

    def _price(self, posts: list[Post], to: Mode) -> Cost | None:
        """What nodes cost together; None where some gang may not lose all of them."""
        if len(posts) == 1:
            return cost(posts[0], to, self._survey, self._taken)
        taken, prices = self._taken.copy(), []
        for post in posts:
            if block(post, to, self._survey, self._switching, taken):
                return None
            prices.append(cost(post, to, self._survey, taken))
            taken.add(post)
        victims = dict.fromkeys(key for price in prices for key in price.victims)
        return Cost(max(it.kind for it in prices), sum(it.lost for it in prices), tuple(victims))


def is_other(post: Post, mode: Mode) -> bool:
    """Whether a node would have to change to be of use for `mode`, or is about to."""
    return post.mode is not mode if post.is_resting else post.to in {mode, Mode.SHARED}


def _is_elsewhere(post: Post, mode: Mode) -> bool:
    return post.mode is not mode or not post.is_resting
