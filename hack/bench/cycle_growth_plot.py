"""The picture of what a change costs, for docs/results.md."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from support.plots import BLUE, ORANGE, save


def plot(before: Mapping[int, float], now: Mapping[int, float]) -> None:
    """Milliseconds of processor time of one change by the number of running jobs, before and now."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        list(before), list(before.values()), color=ORANGE, marker="o", label="when every cycle looked at everything"
    )
    axes.plot(list(now), list(now.values()), color=BLUE, marker="o", linewidth=2.4, label="now")
    for course, offset in ((before, 8), (now, -15)):
        for jobs, took in course.items():
            axes.annotate(
                f"{took:,.1f}", (jobs, took), (0, offset), textcoords="offset points", ha="center", fontsize=8
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(0.3, 5000)
    axes.set_xticks(list(before), [f"{jobs:,}" for jobs in before])
    axes.minorticks_off()
    axes.set_xlabel("running jobs of one GPU, on 5,000 nodes")
    axes.set_ylabel("ms of processor time")
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, "cycle-growth")
