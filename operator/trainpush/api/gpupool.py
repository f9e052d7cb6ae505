"""GPUPool: the nodes that take work, and what they give to it."""

from typing import Annotated, Literal

from pydantic import Field

from trainpush.api.base import OMIT_EMPTY, ApiModel, Condition, Count, Distinct, MapBy, Resource, Rule, Status
from trainpush.api.modes import HISTORY_MAX, SWITCHES_MAX, ModeCounts, Modes, PlannedStatus, Switching, SwitchStatus
from trainpush.api.pod import ARE_LABELS, Labels, Toleration
from trainpush.api.quantity import lasts
from trainpush.api.quota import FEW_NAMESPACES, NAMESPACES_ONCE, QUOTAS_MAX, Quota, QuotaStatus
from trainpush.api.text import DNS_LABEL_PATTERN, EXTENDED_RESOURCE_PATTERN, KEY_MAX, FewWords, Image, like, matches
from trainpush.api.topology import HOST, PRESETS, Alias, Topology, aliases_of

ResourceName = Annotated[
    str,
    Field(max_length=KEY_MAX),
    like(EXTENDED_RESOURCE_PATTERN, "must be the name of an extended resource, such as nvidia.com/gpu or amd.com/gpu"),
]


class TrainingDefaults(ApiModel):
    """What a TrainPushJob gets where it says nothing itself."""

    image: Image | None = None
    """Container image."""
    command: FewWords = []
    """Command; only for jobs that name no image, command or args."""
    args: FewWords = []
    """Arguments; only for jobs that name no image, command or args."""
    required: Alias | None = None
    """Level of which one domain must hold all workers."""
    preferred: Alias | None = None
    """Level of which one domain should hold all workers."""


class InferenceDefaults(ApiModel):
    """What an InferenceService gets where it says nothing itself."""

    image: Image | None = None
    """Container image of the model server."""


class Defaults(ApiModel):
    """What work gets where it says nothing itself."""

    training: TrainingDefaults = TrainingDefaults()
    """For TrainPushJobs."""
    inference: InferenceDefaults = InferenceDefaults()
    """For InferenceServices."""


def _default_level_rule(field: str) -> Rule:
    """A default level must be one that the pool has; the presets' levels are written into the rule."""
    presets = ", ".join(f"'{preset}': {[alias for alias, _ in levels]}" for preset, levels in PRESETS.items())
    asked = f"self.defaults.training.{field}"
    return Rule(
        f"!has(self.defaults) || !has(self.defaults.training) || !has({asked}) || {asked} == '{HOST}' || "
        f"(has(self.topology) && ((has(self.topology.preset) && {asked} in {{{presets}}}[self.topology.preset]) || "
        f"(has(self.topology.levels) && self.topology.levels.exists(l, l.name == {asked}))))",
        "must be the name of a level of spec.topology, or host",
        lambda spec: getattr(spec.defaults.training, field) in {None, *aliases_of(spec.topology)},
        field=f".defaults.training.{field}",
    )


_NOT_SELECTED = "!(self.switching.hook.{} in self.nodeSelector)"


class LinkedAccelerators(ApiModel):
    """Accelerators of one product that are linked to groups inside a host."""

    product: Annotated[str, Field(min_length=1, max_length=63)]
    """The product, as the node label nvidia.com/gpu.product names it."""
    size: Annotated[int, Field(ge=2, le=256)]
    """Accelerators of one group; groups are not broken without need."""


class LostNodes(ApiModel):
    """What becomes of work whose nodes do not answer."""

    keep_place: Annotated[str, Field(max_length=16), lasts("24h", "5m or 10m", "0s")] = "10m"
    """How long a gang that lost some of its nodes keeps the others, while nobody with a right to them needs them; 0s
    means not at all."""
    after: Annotated[str, Field(max_length=16), lasts("24h", "2m or 10m", "10s")] = "2m"
    """How long a node may be not ready until its workers and replicas count as ended, and others are made elsewhere."""


class GPUPoolSpec(ApiModel):
    """Which nodes, and what they give."""

    default: bool = False
    """Whether jobs that name no pool come here; of several such pools, the oldest is taken."""
    node_selector: Annotated[Labels, Field(min_length=1, max_length=16), ARE_LABELS]
    """Labels of the pool's nodes. A node belongs to one pool: of several, the oldest."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """Given to every pod placed here."""
    accelerator_resources: Annotated[list[ResourceName], Distinct(), Field(min_length=1, max_length=8)] = [
        "nvidia.com/gpu"
    ]
    """Extended resources that count as accelerators."""
    topology: Topology = Topology()
    """Levels between the pool and the host."""
    defaults: Defaults = Defaults()
    """What work gets where it says nothing itself."""
    quotas: Annotated[list[Quota], MapBy("name"), Field(max_length=QUOTAS_MAX), FEW_NAMESPACES, NAMESPACES_ONCE] = []
    """What teams may have; none means that all namespaces share one account."""
    capacity_preference: Annotated[list[Literal["reserved", "on-demand", "spot"]], Distinct(), Field(max_length=3)] = []
    """Kinds of capacity, the best first: a gang goes to worse ones only where it must. None means no preference."""
    linked_accelerators: Annotated[list[LinkedAccelerators], MapBy("product"), Field(max_length=16)] = []
    """Products whose accelerators are linked to groups inside a host."""
    lost_nodes: LostNodes = LostNodes()
    """What becomes of work whose nodes do not answer."""
    modes: Modes | None = None
    """How many nodes train and how many serve; none means that all do both, and that no node is touched."""
    switching: Switching = Switching()
    """Within which limits nodes change their mode; only with spec.modes."""

    rules = (
        _default_level_rule("required"),
        _default_level_rule("preferred"),
        Rule(
            "!has(self.quotas) || "
            "self.quotas.all(q, !has(q.resources) || q.resources.all(r, r in self.acceleratorResources))",
            "must name only resources of spec.acceleratorResources: correct the name, or add it there",
            lambda spec: all(name in spec.accelerator_resources for quota in spec.quotas for name in quota.resources),
            field=".quotas",
        ),
        Rule(
            "!has(self.switching) || !has(self.switching.hook) || "
            f"({_NOT_SELECTED.format('label')} && {_NOT_SELECTED.format('stateLabel')})",
            "must not set a label of spec.nodeSelector: the node would leave the pool; name another label",
            lambda spec: (
                not (hook := spec.switching.hook) or not {hook.label, hook.state_label} & spec.node_selector.keys()
            ),
            field=".switching.hook",
        ),
    )


class NodeCounts(ApiModel):
    """Counts of nodes; a node may be both cordoned and not ready."""

    total: Count = 0
    """Nodes of the pool."""
    ready: Count = 0
    """Nodes that are ready and not cordoned."""
    cordoned: Count = 0
    """Nodes that people closed, or whose driver is being upgraded."""
    not_ready: Count = 0
    """Nodes that do not answer."""


class AcceleratorCounts(ApiModel):
    """Counts of accelerators."""

    total: Count = 0
    """On all nodes of the pool."""
    used: Count = 0
    """Held by jobs or by foreign pods."""
    free: Count = 0
    """Free on usable nodes."""
    unavailable: Count = 0
    """Free, but on nodes that are cordoned or not ready."""


class GPUPoolStatus(Status):
    """What the operator sees."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[list[Condition], MapBy("type"), Field(max_length=16)] = []
    """Ready, NodesFound, TopologyKnown; with spec.modes also ModeSettled, DaemonSetsTolerate and Degraded."""
    nodes: NodeCounts = NodeCounts()
    """Counts of nodes."""
    accelerators: AcceleratorCounts = AcceleratorCounts()
    """Counts of accelerators."""
    largest_free: Annotated[dict[str, Count], Field(max_length=8)] = {}
    """Per level, the free accelerators of the domain that has most."""
    quotas: Annotated[list[QuotaStatus], MapBy("name"), Field(max_length=QUOTAS_MAX + 1), OMIT_EMPTY] = []
    """What teams hold; absent without spec.quotas."""
    modes: ModeCounts | None = None
    """Nodes by mode; absent without spec.modes."""
    plan: Annotated[list[PlannedStatus], MapBy("node"), Field(max_length=SWITCHES_MAX), OMIT_EMPTY] = []
    """Switches that are under way or, in a dry run, would be."""
    switches: Annotated[list[SwitchStatus], Field(max_length=HISTORY_MAX), OMIT_EMPTY] = []
    """Switches that are over, the latest first: 32, and more where more began within an hour."""


class GPUPool(Resource):
    """A pool of GPU nodes that takes training jobs."""

    spec: GPUPoolSpec
    """Which nodes, and what they give."""
    status: GPUPoolStatus = GPUPoolStatus()
    """What the operator sees."""

    rules = (
        Rule(
            f"self.metadata.name.matches(r'{DNS_LABEL_PATTERN}')",
            "must be at most 63 lower case letters, digits and -: choose another metadata.name",
            lambda pool: matches(DNS_LABEL_PATTERN)(pool.name),
            field=".metadata.name",
        ),
    )
