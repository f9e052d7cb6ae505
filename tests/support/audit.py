"""Who wrote what, by the API server's own record."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def mark(log: Path) -> int:
    """The end of the log as it is now, for `entries`."""
    return log.stat().st_size


def entries(log: Path, since: int = 0) -> list[Entry]:
    """What was written after `mark` returned `since`; a line that is just being written is left out."""
    with log.open("rb") as lines:
        lines.seek(since)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]


def writes(found: Sequence[Entry], user: str) -> list[str]:
    """What `user` wrote, as `patch trainpushjobs/status default/job`; refused writes count too."""
    return [_line(entry) for entry in found if entry["user"]["username"] == user]


def _line(entry: Entry) -> str:
    target = entry.get("objectRef", {})
    resource = "/".join(target[part] for part in ("resource", "subresource") if part in target)
    name = "/".join(target[part] for part in ("namespace", "name") if part in target)
    return f"{entry['verb']} {resource} {name}"
