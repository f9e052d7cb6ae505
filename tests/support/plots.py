"""Pictures of what stories saw, for docs/results.md."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import matplotlib as mpl
from matplotlib import dates
from matplotlib.figure import Figure

from support.calendar_oracle import Course, Phase

FOLDER: Final = Path(__file__).parents[2] / "docs/results"
BLUE: Final = "#1f5fa8"
ORANGE: Final = "#d9822b"
GREY: Final = "#c9d3df"
mpl.rcParams["svg.hashsalt"] = "trainpush"


def week(found: Course, phases: Sequence[Phase], end: datetime, change: datetime) -> None:
    """How many nodes served, between their bounds, one point in three minutes; and the `change` of all clocks."""
    zone = ZoneInfo("Europe/Berlin")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes: Any = figure.subplots()  # its types know of no dates
    begins = [*(phase.begin for phase in phases), end]
    floors = [*(phase.floor for phase in phases), phases[-1].floor]
    ceilings = [*(phase.ceiling for phase in phases), phases[-1].ceiling]
    axes.fill_between(begins, floors, ceilings, step="post", color=GREY, label="bounds of the calendar")
    moments = list({it.at.replace(minute=it.at.minute // 3 * 3, second=0): it for it in found.moments}.values())
    at = [phases[0].begin, *(it.at for it in moments), end]
    serving = [0, *(it.serving for it in moments), moments[-1].serving]
    axes.step(at, serving, where="post", color=BLUE, linewidth=1.4, label="nodes that serve")
    axes.axvline(change, color=ORANGE, linestyle="--", linewidth=1, label="clocks go forward")
    axes.set_ylim(0, 130)
    axes.set_ylabel("nodes of 200")
    axes.legend(loc="upper center", ncols=3, frameon=False)
    axes.set_xlim(begins[0] - timedelta(hours=2), end + timedelta(hours=2))
    axes.xaxis.set_major_locator(dates.DayLocator(tz=zone))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(dates.DateFormatter("%a %d", tz=zone))  # type: ignore[no-untyped-call]
    axes.grid(axis="x", color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, "week")


def save(figure: Figure, name: str) -> None:
    """Write docs/results/NAME.svg; the same picture gives the same file."""
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
