"""A pool as it would be if some nodes had another mode: where those that wait would find room."""

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from trainpush.model.modes import MODE_KEY, SWITCHING_KEY, Mode
from trainpush.model.nodes import NodeKind
from trainpush.model.workload import Gang
from trainpush.planner import ledger
from trainpush.planner.placing import capacity
from trainpush.planner.placing.ground import Ground
from trainpush.planner.switching.calendar import BOUNDED
from trainpush.planner.switching.survey import LATE, Post


class Outlook:
    """What is free on each node when all that is under way has happened, and what was added to it."""

    def __init__(self, ground: Ground, posts: Iterable[Post]) -> None:
        """As it is once pods that are ending have ended, and nodes that are empty have their new mode."""
        self._table = ground.pool.table
        self._taken = ground.used - ground.leaving
        self._open = {mode: np.zeros(len(self._table.names), dtype=np.bool_) for mode in BOUNDED}
        self._fits: dict[Hashable, NDArray[np.int64]] = {}
        self._domains: dict[str | None, NDArray[np.intp]] = {}
        for post in posts:
            if post.is_usable and (post.is_resting or post.step in LATE):
                self._open_to(post.row, post.to)

    def switch(self, post: Post, to: Mode) -> None:
        """A node gets another mode; what may not stay goes, and everything with it."""
        if not post.suits(to):
            self._taken[:, post.row] = self._table.used[:, post.row]
        self._open_to(post.row, to)

    def room(self, gang: Gang, mode: Mode) -> NDArray[np.int64]:
        """How many workers each node takes of a gang that wants nodes of `mode`, one entry per node."""
        now = capacity.slots(self._table, gang, self._taken)
        return np.where(self._open[mode] & (self.fits(gang) > 0), now, 0)

    def fits(self, gang: Gang) -> NDArray[np.int64]:
        """How many workers each node would take if it were empty and of the right mode."""
        kind = kind_of(gang)
        if kind not in self._fits:
            of_kinds = np.array([_would_take(it, gang) for it in self._table.kinds], dtype=np.bool_)
            whole = capacity.slots(self._table, gang, self._table.used)
            self._fits[kind] = np.where(of_kinds[self._table.kind], whole, 0)
        return self._fits[kind]

    def domains(self, gang: Gang) -> NDArray[np.intp]:
        """Which domain of its required level each node is in, as the position of that domain."""
        if gang.required not in self._domains:
            self._domains[gang.required] = self._table.domains_of_nodes(gang.required)
        return self._domains[gang.required]

    def seat(self, gang: Gang, room: NDArray[np.int64], rows: Iterable[int]) -> list[int]:
        """Place the workers of `gang` on `rows`, in this order, as far as there is `room`; which got some."""
        left, by_row = gang.workers, dict[int, int]()
        for row in rows:
            workers = min(left, int(room[row]))
            if workers > 0:
                by_row[row] = workers
                left -= workers
        ledger.take(self._table, self._taken, by_row, gang.request)
        return list(by_row)

    def _open_to(self, row: int, mode: Mode) -> None:
        for one in BOUNDED:
            self._open[one][row] = mode in (one, Mode.SHARED)


def kind_of(gang: Gang) -> Hashable:
    """What decides how many workers of a gang a node takes."""
    return (gang.products, gang.tolerations, tuple(sorted(gang.request.items())))


def _would_take(kind: NodeKind, gang: Gang) -> bool:
    """Whether nodes of a kind take workers of `gang` once their mode is the right one."""
    lasting = (taint for taint in kind.taints if taint.key not in {MODE_KEY, SWITCHING_KEY})
    return all(capacity.is_tolerated(taint, gang) for taint in lasting) and (
        not gang.products or kind.product in gang.products
    )
