"""What is known of the modes of nodes, pool by pool."""

from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter

from trainpush.kube.store import Store
from trainpush.model.fleet import NOBODY, Fleet
from trainpush.model.modes import Switch, Switching
from trainpush.model.node_modes import NodeModes
from trainpush.model.plan import AnnotateNode, NodeDecision
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Refusal
from trainpush.status.pool import History, ModesSeen

Switchings = Mapping[str, Switching | Refusal | None]
"""What each pool wants of its nodes' modes, by name."""


def with_modes(pool: Pool, fleet: Fleet, switching: Switching | Refusal | None, history: History) -> Pool:
    """`pool` with what it wants, and what its nodes and its status say."""
    if not isinstance(switching, Switching):
        return pool
    modes = fleet.modes(pool.name)
    return replace(
        pool,
        switching=switching,
        switches=modes.switches,
        labelled=modes.labelled,
        wishes=modes.wishes,
        unhealthy=modes.unhealthy,
        states=_states(switching, modes),
        history=history,
    )


def _states(switching: Switching, modes: NodeModes) -> dict[str, str]:
    if switching.hook is None:
        return {}
    found = {name: switching.hook.state(modes.switches[name].setting, labels) for name, labels in modes.turned.items()}
    return {name: state for name, state in found.items() if state}


def orphans(fleet: Fleet, switchings: Switchings) -> tuple[tuple[str, Switch | None], ...]:
    """Nodes that bear annotations though no pool gives them a mode, by name."""
    without = [NOBODY, *(name for name, switching in switchings.items() if switching is None)]
    held = [fleet.modes(pool) for pool in without]
    found = {name: modes.switches.get(name) for modes in held for name in modes.marked}
    return tuple((name, found[name]) for name in sorted(found))


def repairs(fleet: Fleet, switchings: Switchings) -> tuple[NodeDecision, ...]:
    """Nodes of enforced pools whose label or taints are not what follows from their annotation, by name."""
    enforced = [name for name, it in switchings.items() if isinstance(it, Switching) and it.is_enforced]
    found = [(name, modes.switches[name]) for modes in map(fleet.modes, enforced) for name in modes.spoiled]
    return tuple(
        NodeDecision(name, AnnotateNode(name, switch, switch)) for name, switch in sorted(found, key=itemgetter(0))
    )


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
