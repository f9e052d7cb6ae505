"""A table is copied as far as it changed, no further; that it is right stands in tests/property."""

import numpy as np
import pytest

from support.build import GPU, LEVELS, a_node, three_racks
from trainpush.model.columns import Columns
from trainpush.model.fleet import Fleet, PoolSelector
from trainpush.model.nodes import Taint

COLUMNS = ("allocatable", "used", "ready", "cordoned", "kind")
STRUCTURE = ("names", "levels", "resources", "kinds", "rows")


def some_columns(usage: dict[str, dict[str, int]]) -> Columns:
    """Two racks of two nodes."""
    columns = Columns(LEVELS, usage)
    for node in three_racks(2, 2):
        columns.put(node)
    return columns


def test_without_a_change_the_table_is_the_very_same() -> None:
    """Also after an event that says nothing new."""
    columns = some_columns({})
    table = columns.table()
    columns.put(a_node("r1-n0", rack="r1"))
    columns.usage_changed("r1-n0")
    assert columns.table() is table


@pytest.mark.parametrize(
    ("node", "changed"),
    [
        (a_node("r1-n0", rack="r1", ready=False), {"ready"}),
        (a_node("r1-n0", rack="r1", cordoned=True), {"cordoned"}),
        (a_node("r1-n0", rack="r1", gpus=4), {"allocatable"}),
        (a_node("r1-n0", rack="r1", taints=(Taint("k", "v", "NoSchedule"),)), {"kind", "kinds"}),
    ],
)
def test_only_the_column_that_changed_is_another(node: object, changed: set[str]) -> None:
    """Names, domains and positions are shared by all tables between which no node came, went or moved."""
    columns = some_columns({})
    before = columns.table()
    columns.put(node)  # type: ignore[arg-type]
    after = columns.table()
    assert changed == {name for name in COLUMNS + STRUCTURE if getattr(after, name) is not getattr(before, name)}


def test_usage_changes_one_column() -> None:
    """And the table before keeps what it said."""
    usage: dict[str, dict[str, int]] = {}
    columns = some_columns(usage)
    before = columns.table()
    usage["r1-n0"] = {GPU: 3000}
    columns.usage_changed("r1-n0")
    after = columns.table()
    assert {"used"} == {name for name in COLUMNS + STRUCTURE if getattr(after, name) is not getattr(before, name)}
    assert (before.used.sum(), after.used.sum()) == (0, 3000)


def test_nobody_can_write_into_a_table() -> None:
    """It is the state from which the next one is made."""
    table = some_columns({}).table()
    for name in COLUMNS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(table, name)[...] = 0


def test_what_is_taken_before_a_node_is_known_is_not_lost() -> None:
    """Pods may be listed before nodes, and a node may come before its device plugin."""
    fleet = Fleet()
    fleet.divide([PoolSelector("p", {}, LEVELS)])
    fleet.add_usage("n", {GPU: 2000}, +1)
    fleet.put(a_node("other", rack="r1"))
    assert np.array_equal(fleet.table("p").used, [[0], [0]])
    fleet.put(a_node("n", rack="r1"))
    assert fleet.table("p").used[fleet.table("p").resources.index(GPU)].tolist() == [2000, 0]


def test_a_node_goes_to_the_first_pool_that_claims_it() -> None:
    """When that pool goes, the next one has it; when it is made again, younger, it does not get it back."""
    fleet = Fleet()
    fleet.put(a_node("n", rack="r1"))
    old, young = PoolSelector("old", {}, LEVELS), PoolSelector("young", {}, ())
    for selectors, owner, shared in (
        ([old, young], "old", "young"),
        ([young], "young", ""),
        ([young, old], "young", "old"),
    ):
        fleet.divide(selectors)
        having = [selector.pool for selector in selectors if fleet.table(selector.pool).names == ("n",)]
        assert [owner] == having
        assert [shared] * bool(shared) == [selector.pool for selector in selectors if fleet.shared(selector.pool)]
