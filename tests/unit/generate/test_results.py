"""The table of benchmarks tells what was missed."""

from typing import Any

import pytest

from generate.results import row

LINE: dict[str, Any] = {
    "name": "queue",
    "figure": "One cycle.",
    "value": 80.5,
    "unit": "ms",
    "goal": 100.0,
    "details": {"MiB": 1234},
    "missed": [],
    "commit": "abc",
}
MEASURED = {
    "held": ({}, "80.5 ms"),
    "missed": ({"value": 2000.0}, "**missed**: 2,000 ms"),
    "another goal missed": ({"missed": ["MiB"]}, "80.5 ms; **missed**: MiB 1,234"),
}


@pytest.mark.parametrize(("change", "want"), MEASURED.values(), ids=MEASURED.keys())
def test_what_was_measured(change: dict[str, Any], want: str) -> None:
    """Whatever stands beside it."""
    assert row(LINE | change) == ("`queue`", "One cycle.", "at most 100 ms", want, "`abc`")
