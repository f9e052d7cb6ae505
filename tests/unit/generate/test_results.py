"""The tables tell what was measured, and what was missed."""

from typing import Any

import pytest

from generate.results import bench, story

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
    assert bench(LINE | change) == ("`queue`", "One cycle.", "at most 100 ms", want, "`abc`")


def test_a_story_tells_its_figures() -> None:
    """Below what it is about, and when it ran."""
    figures = [("steps", "300", "300"), ("seconds", "57.100", "")]
    ran = {"date": "2027-03-28", "commit": "abc", "seconds": 61.4}
    assert list(story({"name": "digits", "about": "It learns.", "figures": figures, **ran})) == [
        ("`digits`", "It learns.", "", "2027-03-28 at `abc`, 61.4 s"),
        ("", "steps", "300", "300"),
        ("", "seconds", "", "57.100"),
    ]
