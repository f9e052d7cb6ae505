"""Which node labels make the levels of a pool's topology, and by what alias users know them."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from trainpush.api.base import ApiModel, MapBy, Rule
from trainpush.api.names import LABEL_HOSTNAME
from trainpush.api.text import KEY_MAX, LABEL_KEY_PATTERN, like

HOST: Final = "host"
"""Alias of the innermost level, which every pool has: the node itself."""


class Preset(StrEnum):
    """A known set of labels; see `PRESETS`."""

    TOPOGRAPH_V1 = "topograph-v1"
    TOPOGRAPH_LEGACY = "topograph-legacy"
    AWS = "aws"
    GKE = "gke"
    OCI = "oci"
    ZONE = "zone"


PRESETS: Final = {
    Preset.TOPOGRAPH_V1: (("block", "fabric.topograph.run/tier-1"), ("rack", "fabric.topograph.run/tier-0")),
    Preset.TOPOGRAPH_LEGACY: (
        ("block", "network.topology.nvidia.com/spine"),
        ("rack", "network.topology.nvidia.com/leaf"),
    ),
    Preset.AWS: (
        ("spine", "topology.k8s.aws/network-node-layer-1"),
        ("block", "topology.k8s.aws/network-node-layer-2"),
        ("rack", "topology.k8s.aws/network-node-layer-3"),
    ),
    Preset.GKE: (
        ("block", "cloud.google.com/gce-topology-block"),
        ("rack", "cloud.google.com/gce-topology-subblock"),
    ),
    Preset.OCI: (
        ("block", "oci.oraclecloud.com/host.network_block_id"),
        ("rack", "oci.oraclecloud.com/host.rack_id"),
    ),
    Preset.ZONE: (("zone", "topology.kubernetes.io/zone"),),
}
"""Levels of each preset, outermost first: alias and label.

Only labels that every node of such a fabric carries: a node without one is a domain of its own.
Source: NVIDIA topograph (v1.0 renamed its labels), and the clouds' own documentation.
"""

ALIAS_PATTERN: Final = r"^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$"
Alias = Annotated[
    str,
    Field(max_length=31),
    like(
        ALIAS_PATTERN, "must be the name of a level such as rack or host: lower case letters, digits and -, at most 31"
    ),
]
"""Name of a level."""


class Level(ApiModel):
    """One level of a topology: nodes with the same value of the label form a domain."""

    name: Alias
    """Alias by which users name the level, such as `rack`; `host` is reserved."""
    label: Annotated[
        str,
        Field(max_length=KEY_MAX),
        like(LABEL_KEY_PATTERN, "must be the key of a node label, such as topology.kubernetes.io/rack"),
    ]
    """Key of the node label that tells the domain."""

    rules = (
        Rule(
            f"self.name != '{HOST}' && self.label != '{LABEL_HOSTNAME}'",
            "must not be the host: every pool has that level by itself, innermost; remove this entry",
            lambda level: level.name != HOST and level.label != LABEL_HOSTNAME,
            field=".name",
        ),
    )


class Topology(ApiModel):
    """Levels between the pool and the host. None at all: the pool is flat."""

    preset: Preset | None = None
    """A known set of labels. The topograph presets, gke and oci have the levels block and rack; aws has spine, block
    and rack; zone has zone."""
    levels: Annotated[list[Level], MapBy("name"), Field(max_length=5)] = []
    """Own levels, outermost first; instead of a preset."""

    rules = (
        Rule(
            "!has(self.preset) || !has(self.levels) || self.levels.size() == 0",
            "must not be set beside preset: keep one of the two",
            lambda topology: topology.preset is None or not topology.levels,
            field=".levels",
        ),
        Rule(
            "!has(self.levels) || self.levels.all(l, self.levels.exists_one(m, m.label == l.label))",
            "must not name one label twice",
            lambda topology: len({level.label for level in topology.levels}) == len(topology.levels),
            field=".levels",
        ),
    )


def aliases_of(topology: Topology) -> list[str]:
    """Names of all levels, outermost first, the host at the end."""
    return [*(alias for alias, _ in levels_of(topology)), HOST]


def levels_of(topology: Topology) -> tuple[tuple[str, str], ...]:
    """Alias and label of each level, outermost first, without the host."""
    if topology.preset is not None:
        return PRESETS[topology.preset]
    return tuple((level.name, level.label) for level in topology.levels)
