"""What each team of a pool holds, and what it may have: guarantee, weight and limit."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.snapshot import Pool, Share
from trainpush.planner.feasibility.slots import column

OTHERS: Final = ""
"""The team of all namespaces that no quota names."""
_FREE: Final = Share()


@dataclass(eq=False)
class QuotaUsage:
    """The books of one pool while a cycle gives out places; amounts in thousandths, of accelerators only."""

    pool: Pool
    held: Mapping[str, Mapping[str, int]]
    """What the jobs and services of each namespace hold and keep, by resource: their teams are charged with it."""
    changed: set[str] = field(default_factory=set, init=False)
    """Teams that were charged since somebody cleared this."""
    charges: Counter[str] = field(default_factory=Counter, init=False)
    """How often each team was charged."""
    _reserved: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter), init=False)
    """By team, the part of what it was charged with that is only kept for it."""
    _returning: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter), init=False)
    """By team, what it is about to give back."""

    def team_of(self, namespace: str) -> str:
        """Name of the team that a namespace belongs to."""
        return self._teams.get(namespace, OTHERS)

    def charge(self, namespace: str, gang: Gang, workers: int) -> None:
        """Note that a team holds so many workers more, or less where negative."""
        team = self.team_of(namespace)
        self.changed.add(team)
        self.charges[team] += 1
        used = self._used[team]
        for resource in self.pool.accelerators:
            used[resource] += gang.requirements.request.get(resource, 0) * workers

    def reserve(self, namespace: str, gang: Gang) -> None:
        """Charge a team with what is kept for a gang of its own, which does not hold it yet."""
        self.charge(namespace, gang, gang.workers)
        for resource in self.pool.accelerators:
            more = gang.requirements.request.get(resource, 0) * gang.workers
            self._reserved[self.team_of(namespace)][resource] += more

    def give_back(self, namespace: str, gang: Gang, workers: int) -> None:
        """Note that a team is about to hold so many workers less: until then, it holds them."""
        for resource in self.pool.accelerators:
            self._returning[self.team_of(namespace)][resource] += gang.requirements.request.get(resource, 0) * workers

    def beyond_limit(self, namespace: str, gang: Gang, resource: str) -> int:
        """By how much the team would exceed its limit of `resource`, in thousandths, once it gave back what it will."""
        team = self.team_of(namespace)
        will_hold = self._used[team][resource] - self._returning[team][resource]
        limit, more = self.share(team, resource).limit, gang.requirements.request[resource] * gang.workers
        return max(0, will_hold + more - limit) if limit is not None else 0

    def used(self, team: str, resource: str) -> int:
        """How much of a resource a team holds."""
        return self._used[team][resource] - self.reserved(team, resource)

    def reserved(self, team: str, resource: str) -> int:
        """How much more of it is kept for gangs of the team that wait."""
        return self._reserved[team][resource]

    def over_limit(self, namespace: str, gang: Gang) -> str | None:
        """The resource of which the team may not have so much more; None when it may."""
        if not self.pool.quotas:
            return None
        team = self.team_of(namespace)
        for resource in self._asked(gang):
            limit = self.share(team, resource).limit
            more = gang.requirements.request[resource] * gang.workers
            if limit is not None and self._used[team][resource] + more > limit:
                return resource
        return None

    def within_limit(self, namespace: str, gang: Gang) -> Gang:
        """The gang with those of its legal sizes that its team may have; the smallest stays in any case."""
        if not (self.pool.quotas and gang.sizes):
            return gang
        team, request = self.team_of(namespace), gang.requirements.request
        limits = [(name, self.share(team, name).limit) for name in self._asked(gang)]
        left = [(limit - self._used[team][name]) // request[name] for name, limit in limits if limit is not None]
        if not left:
            return gang
        sizes = tuple(size for size in gang.sizes if size <= max(gang.least, min(left)))
        return replace(gang, sizes=sizes, workers=sizes[0])

    def within_guarantee(self, namespace: str, gang: Gang) -> Gang:
        """The gang with those of its legal sizes that nobody may take back; all of them where that is none."""
        sizes = tuple(size for size in gang.sizes if self.is_within_guarantee(namespace, gang.of_size(size)))
        return replace(gang, sizes=sizes, workers=sizes[0]) if sizes else gang

    def is_within_guarantee(self, namespace: str, gang: Gang) -> bool:
        """Whether `gang` stays within what its team is guaranteed."""
        team = self.team_of(namespace)
        return all(
            self._used[team][resource] + gang.requirements.request[resource] * gang.workers
            <= self.share(team, resource).guarantee
            for resource in self._asked(gang)
        )

    def dominant_share(self, team: str) -> float:
        """Dominant share: the largest part of a resource that a team holds beyond its guarantee, over its weight."""
        excess = self._beyond(team, self._used[team])
        return max(
            (excess[name] / self._totals[name] / self.share(team, name).weight for name in excess if excess[name]),
            default=0.0,
        )

    def share(self, team: str, resource: str) -> Share:
        """What a team may have of one resource."""
        return self._shares.get(team, {}).get(resource, _FREE)

    def borrowed(self, team: str) -> Mapping[str, int]:
        """What a team held beyond its guarantee before this cycle gave anything out: what is new never ran on it."""
        return self._beyond(team, self._before.get(team, {}))

    def _beyond(self, team: str, used: Mapping[str, int]) -> Mapping[str, int]:
        return {name: max(0, used.get(name, 0) - self.share(team, name).guarantee) for name in self.pool.accelerators}

    def _asked(self, gang: Gang) -> list[str]:
        return [name for name in self.pool.accelerators if gang.requirements.request.get(name)]

    @cached_property
    def _teams(self) -> Mapping[str, str]:
        """By namespace."""
        return {namespace: quota.name for quota in self.pool.quotas for namespace in quota.namespaces}

    @cached_property
    def _shares(self) -> Mapping[str, Mapping[str, Share]]:
        return {quota.name: quota.shares for quota in self.pool.quotas}

    @cached_property
    def _totals(self) -> Mapping[str, int]:
        """Accelerators of the whole pool, in thousandths; at least one, to divide by."""
        table = self.pool.table
        return {
            name: max(1, 1000 * int((column(table, table.allocatable, name) // 1000).sum()))
            for name in self.pool.accelerators
        }

    @cached_property
    def _before(self) -> Mapping[str, Mapping[str, int]]:
        """What each team held before this cycle."""
        before: dict[str, Counter[str]] = defaultdict(Counter)
        for namespace, amounts in self.held.items():
            before[self.team_of(namespace)].update({name: amounts.get(name, 0) for name in self.pool.accelerators})
        return before

    @cached_property
    def _used(self) -> dict[str, Counter[str]]:
        """What each team holds by now, and what is kept for it."""
        return defaultdict(Counter, {team: Counter(held) for team, held in self._before.items()})
