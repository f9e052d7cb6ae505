"""helm, built once."""

from collections.abc import Callable

import pytest

from testbed import builds


@pytest.fixture(autouse=True, scope="session")
def _helm(required: Callable[[Callable[[], None]], None]) -> None:
    """Nothing here is done without it."""

    def build() -> None:
        builds.binary("helm")

    required(build)
