"""What is known of the modes of nodes, pool by pool."""

from collections.abc import Mapping
from dataclasses import replace

from trainpush.kube.store import Store
from trainpush.model.fleet import NOBODY, Fleet
from trainpush.model.marks import Marks
from trainpush.model.modes import Switch, Switching
from trainpush.model.plan import MarkNode, NodeDecision
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Refusal
from trainpush.status.pool import History, ModesSeen

Switchings = Mapping[str, Switching | Refusal | None]
"""What each pool wants of its nodes' modes, by name."""


def with_modes(pool: Pool, fleet: Fleet, switching: Switching | Refusal | None, history: History) -> Pool:
    """`pool` with what it wants, and what its nodes and its status say."""
    if not isinstance(switching, Switching):
        return pool
    marks = fleet.marks(pool.name)
    return replace(
        pool,
        switching=switching,
        switches=marks.switches,
        labelled=marks.labelled,
        wishes=marks.wishes,
        unhealthy=marks.unhealthy,
        states=_states(switching, marks),
        history=history,
    )


def _states(switching: Switching, marks: Marks) -> dict[str, str]:
    if switching.hook is None:
        return {}
    found = {name: switching.hook.state(marks.switches[name].setting, labels) for name, labels in marks.turned.items()}
    return {name: state for name, state in found.items() if state}


def orphans(fleet: Fleet, switchings: Switchings) -> tuple[tuple[str, Switch | None], ...]:
    """Nodes that bear marks though no pool gives them a mode, by name."""
    without = [NOBODY, *(name for name, switching in switchings.items() if switching is None)]
    held = [fleet.marks(pool) for pool in without]
    found = {name: marks.switches.get(name) for marks in held for name in marks.marked}
    return tuple((name, found[name]) for name in sorted(found))


def repairs(fleet: Fleet, switchings: Switchings) -> tuple[NodeDecision, ...]:
    """Nodes of enforced pools whose label or taints are not what follows from their mark, by name."""
    enforced = [name for name, it in switchings.items() if isinstance(it, Switching) and it.is_enforced]
    found = [(name, marks.switches[name]) for marks in map(fleet.marks, enforced) for name in marks.spoiled]
    return tuple(NodeDecision(name, MarkNode(name, switch, switch)) for name, switch in sorted(found, key=_name))


def _name(found: tuple[str, Switch]) -> str:
    return found[0]


def modes_seen(store: Store, switchings: Switchings) -> dict[str, ModesSeen]:
    """What the status of each pool with modes says beside what is decided."""
    suspects = sorted((row.name, row.selector) for row in store.daemons if row.is_repelled) if switchings else []
    return {
        pool: ModesSeen(
            fault=switching if isinstance(switching, Refusal) else None,
            repelled=tuple(name for name, selector in suspects if store.fleet.has_one_with(pool, selector)),
        )
        for pool, switching in switchings.items()
        if switching is not None
    }
