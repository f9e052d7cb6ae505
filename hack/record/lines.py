"""Where figures are kept: files in docs/results with one JSON line for each name, the latest."""

import json
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).resolve().parents[2] / "docs/results"
BENCHES: Final = _FOLDER / "benches.jsonl"
STORIES: Final = _FOLDER / "stories.jsonl"

Line = dict[str, Any]
"""What was measured; `name` is its key."""


def recorded(file: Path) -> list[Line]:
    """The lines of a file, by name."""
    texts = file.read_text().splitlines() if file.exists() else []
    return sorted(map(json.loads, texts), key=lambda line: str(line["name"]))


def record(file: Path, line: Line) -> None:
    """Keep a line in place of an older one of the same name."""
    kept = [*(old for old in recorded(file) if old["name"] != line["name"]), line]
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(one) + "\n" for one in sorted(kept, key=lambda one: str(one["name"]))))
