"""Everything that one decision looks at, frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trainpush.model.modes import Mode, PrepullPod, Switch, Switching
from trainpush.model.nodes import Ending, NodeTable
from trainpush.model.serving import Service
from trainpush.model.workload import Job


@dataclass(frozen=True, slots=True)
class Share:
    """What a team may have of one resource, in thousandths of its unit."""

    guarantee: int = 0
    """Its own: others may borrow what it leaves idle, and give it back when it is needed."""
    weight: int = 1
    """Of what nobody needs for its guarantee, teams get parts in proportion to their weights."""
    limit: int | None = None
    """Never more than this; None means no limit."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A team: the namespaces that share one account."""

    name: str
    namespaces: frozenset[str]
    shares: Mapping[str, Share]
    """By resource; what is not named here is neither guaranteed nor limited, with weight 1."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A GPUPool with its nodes."""

    name: str
    accelerators: tuple[str, ...]
    """Extended resources that count as accelerators, in the order in which they are preferred."""
    table: NodeTable
    ending: tuple[Ending, ...] = ()
    """Of the pods that count as used in the table, those that are ending: by node, then by time."""
    quotas: tuple[Quota, ...] = ()
    """By name; all namespaces that none of them names make up one more team without guarantee."""
    capacity_preference: tuple[str, ...] = ()
    """Kinds of capacity (`NodeKind.capacity_type`), the best first; a gang goes to worse ones only where it must."""
    linked: Mapping[str, int] = field(default_factory=dict)
    """Accelerators that are linked to one group inside a host, by product; groups are not broken without need."""
    keep_place: timedelta = timedelta(minutes=10)
    """How long a gang that lost nodes keeps the others, while it waits for these or for better ones."""
    shared_nodes: tuple[str, ...] = ()
    """Nodes that match this pool too but belong to an older one."""
    unlabelled_nodes: int = 0
    """Nodes that lack the label of some level."""
    switching: Switching | None = None
    """None means that its nodes have no modes, or that what it says of them is refused: none is touched then."""
    switches: Mapping[str, Switch] = field(default_factory=dict)
    """By node; only those whose annotation can be read."""
    labelled: Mapping[str, Mode] = field(default_factory=dict)
    """Mode by node, as the label of those says that are not in `switches`."""
    wishes: Mapping[str, Mode] = field(default_factory=dict)
    """What people want of a node, by node."""
    unhealthy: frozenset[str] = frozenset()
    """Nodes that offer less of an extended resource than they have."""
    states: Mapping[str, str] = field(default_factory=dict)
    """What the vendor's agent says of the accelerators of nodes that turned to their new mode, by node."""
    prepull_pods: tuple[PrepullPod, ...] = ()
    """Pods that pull images onto its nodes, by name."""
    trouble: str = ""
    """What the API server said when it last refused such a pod."""
    history: tuple[tuple[str, datetime], ...] = ()
    """Of the latest switches that are over: the node, and when each began."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one moment."""

    pools: tuple[Pool, ...]
    """By name."""
    jobs: Sequence[Job]
    """By key; as `Records`, so that whoever remembers the last ones finds what changed."""
    services: Sequence[Service] = ()
    """By key."""
    orphans: tuple[tuple[str, Switch | None], ...] = ()
    """Nodes, by name, with our annotations though no pool gives them a mode; none while some pool cannot be read."""
