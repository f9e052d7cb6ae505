"""How easily the planner is read, in figures: to judge a refactoring by, before and after.

Who follows a plan reads each function once, when it is first called. A stay is a run of such functions in one file,
a room is a file, and a return is a stay in a room that was left before.
"""

import argparse
import ast
import json
import re
import statistics
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import FrameType
from typing import Any, Final

from support.build import NOW, a_cluster, a_gang, a_job, a_worker, running_job
from support.competition import FOUR
from support.switching_world import World, a_server, a_switch, a_trainer, tolerance
from trainpush.model.modes import Mode, Switching, SwitchStep
from trainpush.model.serving import Replica, Revision, Service
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Job, Phase
from trainpush.planner.plan import plan

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "operator" / "trainpush"
LONG_FUNCTION: Final = 80
LONG_FILE: Final = 400
GOALS: Final = {"one waits: returns": 12, "busy pool: returns": 12, f"functions over {LONG_FUNCTION} lines": 0}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Figures = dict[str, float]
Lists = dict[str, list[str]]


def a_busy_pool() -> Snapshot:
    """Five racks of eight nodes with modes: gangs run, wait and preempt, a service rolls, a node changes its mode."""
    training, inference = ((tolerance(mode),) for mode in (Mode.TRAINING, Mode.INFERENCE))
    jobs = (
        _running("cheap", range(9, 17)),
        a_job("fits", a_gang(2, tolerations=training), age=50),
        a_job("has-no-room", a_gang(30, tolerations=training), age=40),
        a_job("needs-a-switch", a_gang(4, tolerations=training), age=30),
        a_job("preempts", a_gang(8, required="rack", tolerations=training), age=20, priority=10),
        _running("runs", range(1, 9), priority=5),
    )
    replica = a_gang(1, tolerations=inference)
    revisions = (Revision("rolls", "uid-1", 1, replica), Revision("next", "uid-2", 2, replica))
    services = (_serving("moves", [33]), _serving("rolls", range(25, 29), request="next", revisions=revisions))
    modes = [Mode.TRAINING] * 20 + [Mode.INFERENCE] * 20
    marks = {f"n{number}": a_switch(mode) for number, mode in enumerate(modes, 1)}
    before = NOW - timedelta(minutes=1)
    marks["n33"] = a_switch(Mode.INFERENCE, Mode.TRAINING, step=SwitchStep.NOTIFIED, begun=before, since=before)
    world = World.of(Switching(is_enforced=True, max_concurrent=4), nodes=len(marks), **marks)
    return Snapshot((world.in_racks(8).pool,), jobs, services)


def _running(name: str, nodes: Sequence[int], priority: int = 0) -> Job:
    job = a_trainer(name, *(f"n{number}" for number in nodes), priority=priority)
    return replace(job, workers=tuple(a_worker(rank, node=f"n{number}") for rank, number in enumerate(nodes)))


def _serving(name: str, nodes: Sequence[int], **fields: Any) -> Service:
    service = a_server(name, *(f"n{number}" for number in nodes), has_endpoint=True, budget=0, **fields)
    seen: dict[str, Any] = {"phase": Phase.RUNNING, "loaded": True, "answered": True, "ready": True}
    pods = (
        Replica(f"{name}-{place.serial}", "uid", place.serial, name, place.node, **seen) for place in service.places
    )
    return replace(service, pods=tuple(pods))


def stays(story: Callable[[], object], folder: Path) -> list[tuple[str, list[str]]]:
    """The functions of `folder`, file by file, as `story` first calls them; what is inside of one is read with it."""
    called: dict[tuple[str, str], None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called.setdefault((frame.f_code.co_filename, frame.f_code.co_qualname))

    sys.setprofile(note)
    try:
        story()
    finally:
        sys.setprofile(None)
    inside = [(Path(file), name) for file, name in called if Path(file).is_relative_to(folder)]
    read = [(file.relative_to(folder).as_posix(), name) for file, name in inside if "<locals>" not in name]
    return [(file, [name for _, name in run]) for file, run in groupby(read, key=itemgetter(0))]


def functions(tree: ast.AST) -> list[Function]:
    """All functions, methods and inner ones too."""
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def uses_of_private(tree: ast.AST) -> list[int]:
    """How often its file names each private function outside of itself; other files may not, as lint sees to."""
    named = _named(tree)
    private = [function for function in functions(tree) if re.match("_(?!_)", function.name)]
    return [named[function.name] - _named(function)[function.name] for function in private]


def _named(tree: ast.AST) -> Counter[str]:
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute))
    return Counter(node.id if isinstance(node, ast.Name) else node.attr for node in nodes)


def unexplained(trees: Iterable[ast.Module], page: str) -> list[str]:
    """Public classes that are no entry of the page, or one without a word of explanation."""
    entries = re.findall(r"^\| `(\w+)` \| \S", page, re.MULTILINE)
    names = {node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    return sorted(name for name in names if not name.startswith("_") and name not in entries)


def cache_keys(tree: ast.AST) -> list[int]:
    """Lines of tuples of a `gang`'s attributes: in brackets, themselves or by name, or all that a function returns."""
    keys: list[ast.expr | None] = []
    for function in functions(tree):
        nodes = list(ast.walk(function))
        bracketed = [node.slice for node in nodes if isinstance(node, ast.Subscript)]
        names = {key.id for key in bracketed if isinstance(key, ast.Name)}
        assigned = [node for node in nodes if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names]
        keys += [*bracketed, *(node.value for node in assigned)]
        if [argument.arg for argument in function.args.args] == ["gang"]:
            keys += [node.value for node in nodes if isinstance(node, ast.Return)]
    return sorted({key.lineno for key in keys if isinstance(key, ast.Tuple) and "gang." in ast.unparse(key)})


def walked() -> tuple[Figures, Lists]:
    """What it takes to follow a plan, and the rooms to which one returns."""
    figures, lists = Figures(), Lists()
    one_waits = a_cluster(running_job("runs", "r1-n0"), a_job("waits"), pool=FOUR)
    for name, snapshot in (("one waits", one_waits), ("busy pool", a_busy_pool())):
        found = stays(partial(plan, snapshot, NOW), PACKAGE / "planner")
        rooms = Counter(file for file, _ in found)
        figures[f"{name}: functions read"] = sum(len(read) for _, read in found)
        figures |= {f"{name}: stays": len(found), f"{name}: rooms": len(rooms)}
        figures[f"{name}: returns"] = len(found) - len(rooms)
        lists[f"{name}: stays by room"] = [f"{file} {count}" for file, count in rooms.most_common() if count > 1]
    return figures, lists


def measured(package: Path, page: str) -> tuple[Figures, Lists]:
    """Figures of the source, and lists of what there should be less of; a function goes from `def` to its end."""
    texts = {path.relative_to(package).as_posix(): path.read_text() for path in sorted(package.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lines = {path: len(text.splitlines()) for path, text in texts.items()}
    named = [(f"{path} {node.name}", node) for path, tree in trees.items() for node in functions(tree)]
    lengths = [(where, (node.end_lineno or 0) - node.lineno + 1) for where, node in named]
    sizes = [length for _, length in lengths]
    uses = [count for tree in trees.values() for count in uses_of_private(tree)]
    figures = {
        "lines of trainpush": sum(lines.values()),
        "lines of trainpush/planner": sum(count for path, count in lines.items() if path.startswith("planner/")),
        "functions": len(sizes),
        "lines of a function: median": statistics.median(sizes),
        "lines of a function: nine of ten at most": statistics.quantiles(sizes, n=10, method="inclusive")[-1],
        "lines of a function: longest": max(sizes),
        "private functions": len(uses),
        "private functions with one caller": uses.count(1),
    }
    lists = {
        f"functions over {LONG_FUNCTION} lines": [where for where, length in lengths if length > LONG_FUNCTION],
        f"files over {LONG_FILE} lines": [path for path, count in lines.items() if count > LONG_FILE],
        "cache keys written by hand": [f"{path}:{line}" for path, tree in trees.items() for line in cache_keys(tree)],
    }
    for folder in ("planner", "model"):
        inside = [tree for path, tree in trees.items() if path.startswith(f"{folder}/")]
        lists[f"classes of {folder} not in the glossary"] = unexplained(inside, page)
    return figures | {name: len(items) for name, items in lists.items()}, lists


def main() -> None:
    """Print what was counted, with the goal where there is one."""
    parser = argparse.ArgumentParser(prog="reading", description="How easily the planner is read.")
    parser.add_argument("--json", action="store_true", help="one JSON line in place of a table")
    is_json = parser.parse_args().json
    (figures, rooms), (more, lists) = (
        walked(),
        measured(PACKAGE, (ROOT / "docs" / "reference" / "glossary.md").read_text()),
    )
    figures, lists = figures | more, rooms | lists
    if is_json:
        print(json.dumps({"figures": figures, "goals": GOALS, "lists": lists}))
        return
    for name, value in figures.items():
        print(f"{name:<45}{value:>8,.10g}" + (f"   goal: at most {GOALS[name]}" if name in GOALS else ""))
    for name, items in lists.items():
        print(f"\n{name}:", textwrap.fill(", ".join(items) or "none", 120), sep="\n")


if __name__ == "__main__":
    main()
