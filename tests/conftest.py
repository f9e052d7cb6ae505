"""Settings of all tests: the depth of property tests, the machine's abilities, and the figures that stories print."""

import inspect
import os
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from record import lines
from record.circumstances import circumstances
from record.sources import ROOT, digest
from support.figures import Figures
from testbed import BedError

# Every run of CI tries the same examples, so that it says something of the change; new ones are for the long profile.
settings.register_profile(
    "quick", max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fast", parent=settings.get_profile("quick"), max_examples=30)
settings.register_profile("long", parent=settings.get_profile("quick"), max_examples=10_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

FIGURES: Final = "figures"
STORY: Final = "story"


def pytest_configure() -> None:
    """Choose what draws the kill points of this run, unless $SEED says it; other processes of the run inherit it."""
    os.environ.setdefault("SEED", str(random.randrange(1_000_000)))  # noqa: S311 - not for secrets


def pytest_report_header() -> str:
    """Show how to draw the same again."""
    return f"kill points are drawn by SEED={os.environ['SEED']}"


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """The table of this test; its report brings it to whoever prints, from another process too."""
    made = Figures()
    request.node.user_properties.append((FIGURES, made.rows))
    return made


@pytest.fixture
def one_of(request: pytest.FixtureRequest, figures: Figures) -> Callable[[Iterable[str]], str]:
    """Draws, the same for the same test and seed, and tells what."""
    source = random.Random(f"{os.environ['SEED']} {request.node.name}")  # noqa: S311 - not for secrets

    def draw(names: Iterable[str]) -> str:
        drawn = source.choice([*names])
        figures.add("drawn", drawn)
        return drawn

    return draw


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Of a story that begins, note what it is of; its report brings it to whoever records."""
    if item.get_closest_marker(STORY) and isinstance(item, pytest.Function):
        file = item.path.relative_to(ROOT).as_posix()
        told = {"about": inspect.getdoc(item.obj), "file": file, "sources": digest(item.path), **circumstances()}
        item.user_properties.append((STORY, told))


class _TwoProcesses(LoadScopeScheduling):  # type: ignore[misc]
    """Of two processes (`-n 2`) one takes e2e, where containers compute; the other one all that is left."""

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if "tests/e2e/" in nodeid else "rest"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _TwoProcesses:
    """A bed is there once: the tests of a folder belong to one process."""
    return _TwoProcesses(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What only computes comes before the other folders, since stories with traffic come late in e2e."""
    order = ("e2e", "property", "unit")

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return order.index(folder) if folder in order else len(order)

    items.sort(key=turn)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """With $RECORD, keep what a story told that held; at once, where the reports of all processes arrive."""
    told: dict[str, Any] = dict(report.user_properties)
    is_over = report.when == "call" and report.passed and STORY in told
    if is_over and os.environ.get("RECORD") and "PYTEST_XDIST_WORKER" not in os.environ:
        line = {"name": _name(report), "seconds": round(report.duration, 1), "figures": told.get(FIGURES, [])}
        lines.record(lines.STORIES, {**line, **told[STORY]})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of every test that tells some."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    for report in (report for report in reports if getattr(report, "when", "") == "call"):
        rows = dict(report.user_properties).get(FIGURES, [])
        if rows:
            terminalreporter.section(_name(report))
        width = max((len(what) for what, _, _ in rows), default=0)
        for what, value, goal in rows:
            terminalreporter.write_line(f"{what:<{width}}  {value}{f' (goal {goal})' if goal else ''}")


def _name(report: pytest.TestReport) -> str:
    return report.nodeid.rpartition("::")[2].removeprefix("test_").removeprefix("story_")


@pytest.fixture(scope="session")
def required() -> Callable[[Callable[[], None]], None]:
    """Runs a step that a machine may lack the means for: skipped with one line, or failed where all is required."""

    def attempt(step: Callable[[], None]) -> None:
        try:
            step()
        except BedError as error:
            if os.environ.get("TRAINPUSH_REQUIRE") == "all":
                raise
            pytest.skip(str(error))

    return attempt


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> Iterator[None]:
    """No test may depend on the cluster that the shell happens to point at."""
    kept = os.environ.pop("KUBECONFIG", None)
    yield
    if kept is not None:
        os.environ["KUBECONFIG"] = kept
