"""Where figures are kept: `docs/results/benches.jsonl`, the latest line of each benchmark, by name."""

import json
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).resolve().parents[2] / "docs/results/benches.jsonl"

Line = dict[str, Any]
"""What a benchmark printed."""


def recorded() -> list[Line]:
    """The lines, by name."""
    texts = FILE.read_text().splitlines() if FILE.exists() else []
    return sorted(map(json.loads, texts), key=lambda line: str(line["name"]))


def record(line: Line) -> None:
    """Keep a line in place of an older one of the same name."""
    kept = [*(old for old in recorded() if old["name"] != line["name"]), line]
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text("".join(json.dumps(one) + "\n" for one in sorted(kept, key=lambda one: str(one["name"]))))
