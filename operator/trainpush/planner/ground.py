"""A pool while a cycle places work in it: what is free shrinks with every decision."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainpush.model.nodes import Amounts
from trainpush.model.plan import Verdict
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Gang
from trainpush.planner import capacity, ledger, verdicts
from trainpush.planner.capacity import Hindrance
from trainpush.planner.placement import Site, site_for


@dataclass(frozen=True, slots=True)
class Ground:
    """A pool, and what is `used` of it: shape (resources, nodes), thousandths; grows with every placement."""

    pool: Pool
    used: Amounts
    blocked: dict[tuple[object, ...], NDArray[np.int8]] = field(default_factory=dict)
    """Hindrances of the nodes, per kind of worker."""

    def hindrances(self, gang: Gang) -> NDArray[np.int8]:
        """As `capacity.hindrances`, worked out once per kind of worker."""
        kind = (gang.products, gang.tolerations, tuple(sorted(gang.request.items())))
        if kind not in self.blocked:
            self.blocked[kind] = capacity.hindrances(self.pool.table, gang)
        return self.blocked[kind]

    def seat(self, gang: Gang) -> Site | None:
        """The best place for `gang`, which is taken from now on; None if there is none."""
        site = self._site(gang, self.used)
        if site is not None:
            ledger.take(self.pool.table, self.used, site.by_row, gang.request)
        return site

    def would_seat(self, gang: Gang, former: Gang, node: str) -> bool:
        """Whether `gang` would find a place if one worker of `former` left `node`."""
        used = self.used.copy()
        ledger.give_back(self.pool.table, used, former, [node])
        return self._site(gang, used) is not None

    def leave(self, gang: Gang, nodes: Sequence[str]) -> None:
        """Free what one worker on each of `nodes` held."""
        ledger.give_back(self.pool.table, self.used, gang, nodes)

    def waiting(self, gang: Gang) -> Verdict:
        """Why `gang` finds no place."""
        return verdicts.waiting(gang, self.pool.table, self.used, self.hindrances(gang))

    def hindrance_of(self, gang: Gang, node: str) -> Hindrance:
        """Why `node` takes no worker of `gang`; a node that is not there is not ready."""
        row = self.pool.table.rows.get(node)
        return Hindrance.NOT_READY if row is None else Hindrance(int(self.hindrances(gang)[row]))

    def _site(self, gang: Gang, used: Amounts) -> Site | None:
        """The best place for `gang` beside what is `used`."""
        table = self.pool.table
        slots = np.where(self.hindrances(gang) == Hindrance.NONE, capacity.slots(table, gang, used), 0)
        return site_for(gang, table, slots)
