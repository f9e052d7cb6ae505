"""A story is stale when a file that it is of has changed, and only then."""

import pytest

from record.sources import ROOT, TESTS, digest, is_stale, sources

KILLS = TESTS / "e2e/test_kills.py"
LINE = {"name": "kills", "file": "tests/e2e/test_kills.py"}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("operator/trainpush/planner/plan.py", id="the operator"),
        pytest.param("tests/e2e/test_kills.py", id="the story"),
        pytest.param("tests/e2e/conftest.py", id="its fixtures"),
        pytest.param("tests/conftest.py", id="the fixtures of all"),
        pytest.param("tests/support/kills.py", id="what it imports"),
        pytest.param("tests/support/given_cluster.py", id="what its fixtures import"),
        pytest.param("tests/support/killed_operator.py", id="what it starts"),
        pytest.param("hack/testbed/kind_bed.py", id="its bed"),
    ],
)
def test_a_story_is_of(path: str) -> None:
    assert ROOT / path in sources(KILLS)


def test_a_story_is_not_of_what_it_does_not_use() -> None:
    assert TESTS / "support/calendar_oracle.py" not in sources(KILLS)
    assert TESTS / "scale/conftest.py" not in sources(KILLS)


def test_a_program_of_its_own_belongs_to_a_story() -> None:
    assert TESTS / "support/leaping_operator.py" in sources(TESTS / "scale/test_week.py")


def test_a_story_that_was_recorded_just_now_is_fresh() -> None:
    assert not is_stale({**LINE, "sources": digest(KILLS)})


def test_a_story_that_was_recorded_on_other_files_is_stale() -> None:
    assert is_stale({**LINE, "sources": "0123456789abcdef"})


def test_a_story_that_is_gone_is_stale() -> None:
    assert is_stale({"name": "gone", "file": "tests/e2e/test_gone.py", "sources": digest(KILLS)})
