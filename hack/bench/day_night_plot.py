"""The picture of three days and nights for docs/results.md."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure

from support.plots import BLUE, GREY, ORANGE, save

if TYPE_CHECKING:
    from bench.day_night import Point

_LINES: Final[dict[str, dict[str, Any]]] = {
    "trainpush": {"color": BLUE, "linewidth": 2.4},
    "static": {"color": ORANGE, "linewidth": 1.4},
    "evict": {"color": "#222222", "linewidth": 1.0, "linestyle": (0, (3, 3))},
}
_NAMES: Final = {
    "trainpush": "trainpush",
    "static": "static partition",
    "evict": "eviction without checkpoint",
}


def plot(courses: Mapping[str, "Sequence[Point]"], peak: int) -> None:
    """What the nodes do under trainpush, and how much waits under each policy."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    points = courses["trainpush"]
    hours = [point.at / 3600 for point in points]
    serving, training = [point.serving for point in points], [point.training for point in points]
    above.stackplot(hours, serving, training, colors=[BLUE, GREY], labels=["serve", "train"], step="pre")
    above.step(
        hours, [point.demand for point in points], where="pre", color="black", linewidth=1, label="asked for to serve"
    )
    above.axhline(peak, color=ORANGE, linestyle="--", linewidth=1, label="what only serves in a static partition")
    above.set_ylim(0, 1180)
    above.set_yticks([0, 250, 500, 750, 1000])
    above.set_ylabel("nodes, of 1,000")
    above.legend(loc="upper center", ncols=4, frameon=False)
    for name, course in courses.items():
        below.plot(hours, [it.waiting for it in course], label=_NAMES[name], **_LINES[name])
    most = max(it.waiting for course in courses.values() for it in course)
    below.set_ylim(0, 1.3 * most)
    below.set_ylabel("gangs that wait, in nodes")
    below.set_xlabel("hours")
    below.set_xlim(0, hours[-1])
    below.set_xticks(range(0, round(hours[-1]) + 1, 12))
    below.legend(loc="upper center", ncols=3, frameon=False)
    for axes in (above, below):
        axes.grid(axis="x", color="#e6e6e6")
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, "day-night")
