"""Presets and levels."""

import pytest

from trainpush.api.topology import HOST, PRESETS, Level, Preset, Topology, levels_of


@pytest.mark.parametrize("preset", Preset)
def test_every_preset_would_pass_as_own_levels(preset: Preset) -> None:
    """So that a preset is a shorthand and nothing else."""
    levels = [Level(name=alias, label=label) for alias, label in PRESETS[preset]]
    assert levels_of(Topology(levels=levels)) == levels_of(Topology(preset=preset))
    assert HOST not in dict(PRESETS[preset])


def test_a_pool_without_topology_is_flat() -> None:
    """The host level is not listed."""
    assert levels_of(Topology()) == ()
