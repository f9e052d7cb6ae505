"""Settings of all tests: the depth of property tests, the machine's abilities, and the figures that stories print."""

import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from support.figures import Figures
from testbed import BedError

# Every run of CI tries the same examples, so that it says something of the change; new ones are for the long profile.
settings.register_profile(
    "quick", max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fast", parent=settings.get_profile("quick"), max_examples=30)
settings.register_profile("long", parent=settings.get_profile("quick"), max_examples=10_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

_FIGURES = pytest.StashKey[dict[str, list[tuple[str, str]]]]()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """The table of this story."""
    made = Figures()
    request.config.stash.setdefault(_FIGURES, {})[request.node.name] = made.rows
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures of every story that ran."""
    for name, rows in config.stash.get(_FIGURES, {}).items():
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
