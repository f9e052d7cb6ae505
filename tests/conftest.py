"""Settings of all tests: the depth of property tests, the machine's abilities, and the figures that stories print."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

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


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """The table of this story; its report brings it to whoever prints, from another process too."""
    made = Figures()
    request.node.user_properties.append((FIGURES, (request.node.name, made.rows)))
    return made


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of every story that ran."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    told = [dict(report.user_properties) for report in reports if getattr(report, "when", "") == "call"]
    for name, rows in (properties[FIGURES] for properties in told if FIGURES in properties):
        terminalreporter.section(name.removeprefix("test_story_"))
        width = max((len(what) for what, _ in rows), default=0)
        for what, value in rows:
            terminalreporter.write_line(f"{what:<{width}}  {value}")


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
