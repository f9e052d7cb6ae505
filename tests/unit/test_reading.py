"""What is counted of a package that is made up, and what goes on where a plan is followed."""

import runpy
from pathlib import Path
from typing import Final

from reading import a_busy_pool, measured, stays
from support.build import NOW
from trainpush.model.modes import SwitchStep
from trainpush.model.plan import Stage
from trainpush.planner.plan import plan

PLANNER: Final = """
class NodeTable: ...
class Tree: ...
class _Hidden: ...

def story(other):
    _first()
    other(lambda: _last(1))
    _first()

def _first(): ...
def _last(left): return left and _last(left - 1)
def _kind(gang): return (gang.size, gang.pool)
def both(gang, known):
    key = (gang.size, 1)
    size = (gang.size, 2)
    return known[key], known[gang.size, 3], size
"""
MODEL: Final = "def other(call): call()\n"
PAGE: Final = "| `NodeTable` | Nodes. | `two.py` |\n| `Tree` |  | `one.py` |\n"


def test_reading_a_package(tmp_path: Path) -> None:
    """To and fro between two files; names, callers and keys."""
    files = {"planner/one.py": PLANNER, "model/two.py": MODEL}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text)
    one, two = (runpy.run_path(str(tmp_path / path)) for path in files)
    assert stays(lambda: one["story"](two["other"]), tmp_path) == [
        ("planner/one.py", ["story", "_first"]),
        ("model/two.py", ["other"]),
        ("planner/one.py", ["_last"]),
    ]
    figures, lists = measured(tmp_path, PAGE)
    assert {
        name: figures[name] for name in ("lines of trainpush/planner", "functions", "lines of a function: longest")
    } == {
        "lines of trainpush/planner": 17,
        "functions": 6,
        "lines of a function: longest": 4,
    }
    assert (figures["private functions"], figures["private functions with one caller"]) == (3, 1)
    assert lists == {
        "functions over 80 lines": [],
        "files over 400 lines": [],
        "cache keys written by hand": ["planner/one.py:13", "planner/one.py:15", "planner/one.py:17"],
        "classes of planner not in the glossary": ["Tree"],
        "classes of model not in the glossary": [],
    }


def test_a_bit_of_everything_goes_on_in_the_busy_pool() -> None:
    """Else the way through its plan would say little."""
    planned = plan(a_busy_pool(), NOW)
    jobs = {decision.key.name: decision for decision in planned.decisions}
    assert [name for name, decision in jobs.items() if decision.record.eviction] == ["cheap"]
    assert [name for name, decision in jobs.items() if decision.stage is Stage.QUEUED] == [
        "has-no-room",
        "needs-a-switch",
        "preempts",
    ]
    assert (jobs["fits"].stage, jobs["runs"].stage) == (Stage.STARTING, Stage.RUNNING)
    assert {place.revision for place in planned.services[1].places} == {"rolls", "next"}
    assert {node.action.after.step for node in planned.nodes if node.action.after} == {
        SwitchStep.PLANNED,
        SwitchStep.DRAINING,
    }
