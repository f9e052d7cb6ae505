"""Objects of the demo's cluster."""

import json
import time
from datetime import datetime
from typing import Any

from testbed import Bed, BedError

Object = dict[str, Any]
Row = tuple[str, str, bool]
"""One line of the demo's table: what it is, its value, and whether that is as it should be."""


def get(bed: Bed, *what: str) -> Object:
    """One object, or a list of them, as `kubectl get` has it."""
    found: Object = json.loads(bed.kubectl("get", *what, "-o", "json"))
    return found


def items(bed: Bed, *what: str) -> list[Object]:
    """The objects of a list."""
    found: list[Object] = get(bed, *what)["items"]
    return found


def until_true(bed: Bed, name: str, condition: str, seconds: float) -> Object:
    """Wait for a condition of TYPE/NAME, and return the object; one that is stalled ends the wait."""
    deadline = time.monotonic() + seconds
    while True:
        entry = get(bed, name)
        found = {one["type"]: one for one in entry.get("status", {}).get("conditions", [])}
        if found.get(condition, {}).get("status") == "True":
            return entry
        if "Stalled" in found:
            raise BedError(f"{name}: {found['Stalled']['message']}")
        if time.monotonic() > deadline:
            raise BedError(f"{name} is not {condition} after {seconds:.0f} s: see `kubectl describe {name}`")
        time.sleep(1)


def true_since(entry: Object, condition: str) -> datetime:
    """When a condition that is True became so."""
    (found,) = (one for one in entry["status"]["conditions"] if one["type"] == condition)
    return datetime.fromisoformat(found["lastTransitionTime"])
