"""What a story proves something of: the operator, and the Python files by which the story is told.

A story whose files changed since it was recorded is stale.
"""

from hashlib import sha256
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Final

from record.lines import Line

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final = ROOT / "tests"


def is_stale(line: Line) -> bool:
    """Whether a file of the story behind a line is not as it was."""
    return bool(line["sources"] != digest(ROOT / line["file"]))


def digest(story: Path) -> str:
    """Sixteen hexadecimal digits that change with any file of a story; empty when the story itself is gone."""
    if not story.exists():
        return ""
    total = sha256()
    for file in sorted(sources(story)):
        total.update(f"{file.relative_to(ROOT)} {sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def sources(story: Path) -> set[Path]:
    """All of the operator, the file of a story, the fixtures around it, and what they import of tests/ and hack/."""
    around = [folder / "conftest.py" for folder in story.parents if folder.is_relative_to(TESTS)]
    told_by = {story, *(file for file in around if file.exists())}
    finder = ModuleFinder(path=[str(TESTS), str(ROOT / "hack")])
    for file in told_by:
        finder.run_script(str(file))
    places = (getattr(module, "__file__", None) for module in finder.modules.values())
    imported = {Path(place) for place in places if place}
    return {*(ROOT / "operator").rglob("*.py"), *told_by, *imported}
