"""Which bounds hold when, on clocks that jump twice a year."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from trainpush.model.modes import Bounds, Mode, Switching, Window
from trainpush.planner.modes.bounds import bounds_at, is_open, next_change

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
ALWAYS = frozenset(range(7))
MANY = {Mode.INFERENCE: Bounds(8)}


def a_window(begin: str, end: str, zone: ZoneInfo = BERLIN, days: frozenset[int] = ALWAYS) -> Window:
    """A window in which inference has at least 8 nodes."""
    return Window("day", time.fromisoformat(begin), time.fromisoformat(end), zone, days, MANY)


def utc(text: str) -> datetime:
    """A moment."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


DAY = a_window("08:00", "20:00")
NIGHT = a_window("22:00", "06:00")


@pytest.mark.parametrize(
    ("window", "moment", "is_so"),
    [
        (DAY, "2026-01-05T06:59", False),
        (DAY, "2026-01-05T07:00", True),
        (DAY, "2026-01-05T18:59", True),
        (DAY, "2026-01-05T19:00", False),
        (DAY, "2026-07-06T06:00", True),  # summer: two hours ahead of UTC
        (NIGHT, "2026-01-05T20:59", False),
        (NIGHT, "2026-01-05T21:00", True),
        (NIGHT, "2026-01-06T04:59", True),
        (NIGHT, "2026-01-06T05:00", False),
        (a_window("00:00", "00:00"), "2026-01-05T13:00", True),
    ],
)
def test_a_window_follows_its_clocks(window: Window, moment: str, is_so: bool) -> None:
    """Also over midnight."""
    assert is_open(window, utc(moment)) is is_so


def test_days_are_those_on_which_it_begins() -> None:
    """The night of Friday lasts into Saturday, and none begins on Saturday."""
    friday = a_window("22:00", "06:00", days=frozenset({4}))
    assert is_open(friday, utc("2026-01-03T04:00"))  # a Saturday
    assert not is_open(friday, utc("2026-01-03T22:00"))
    assert not is_open(friday, utc("2026-01-02T04:00"))


@pytest.mark.parametrize(
    ("window", "opens", "closes"),
    [
        # Clocks go from 02:00 to 03:00 in Berlin, and there is no 02:30.
        (a_window("02:30", "05:00"), "2026-03-29T01:30", "2026-03-29T03:00"),
        (a_window("22:00", "02:30"), "2026-03-28T21:00", "2026-03-29T01:30"),
        (NIGHT, "2026-03-28T21:00", "2026-03-29T04:00"),
        # They go back from 03:00 to 02:00: 02:30 comes twice, and the first counts.
        (a_window("02:30", "05:00"), "2026-10-25T00:30", "2026-10-25T04:00"),
        (a_window("22:00", "02:30"), "2026-10-24T20:00", "2026-10-25T00:30"),
        (NIGHT, "2026-10-24T20:00", "2026-10-25T05:00"),
        # In New York on other days: from 02:00 to 03:00, and back.
        (a_window("02:30", "05:00", NEW_YORK), "2026-03-08T07:30", "2026-03-08T09:00"),
        (a_window("01:30", "05:00", NEW_YORK), "2026-11-01T05:30", "2026-11-01T10:00"),
        (a_window("22:00", "06:00", NEW_YORK), "2026-11-01T02:00", "2026-11-01T11:00"),
    ],
)
def test_clocks_that_jump(window: Window, opens: str, closes: str) -> None:
    """Every window opens and closes once, also in those nights."""
    policy = Switching(windows=(window,))
    before = utc(opens).replace(second=0) - (utc(closes) - utc(opens)) / 100
    assert not is_open(window, before)
    assert next_change(policy, before) == utc(opens)
    assert is_open(window, utc(opens))
    assert next_change(policy, utc(opens)) == utc(closes)
    assert not is_open(window, utc(closes))


def test_a_window_that_does_not_come_in_a_night_is_never_open() -> None:
    """From 02:30, which is 03:30 then, until 03:00."""
    window = a_window("02:30", "03:00")
    assert not any(
        is_open(window, utc(f"2026-03-29T{hour:02}:{minute:02}")) for hour in (0, 1, 2) for minute in (0, 15, 30, 45)
    )


def test_a_window_replaces_bounds_mode_by_mode() -> None:
    """What it does not name stays; of two at once the later counts."""
    other = Window("launch", time(9), time(10), BERLIN, ALWAYS, {Mode.INFERENCE: Bounds(9)})
    policy = Switching(bounds={Mode.TRAINING: Bounds(2, 6), Mode.INFERENCE: Bounds(1)}, windows=(DAY, other))
    assert bounds_at(policy, utc("2026-01-05T03:00")) == {Mode.TRAINING: Bounds(2, 6), Mode.INFERENCE: Bounds(1)}
    assert bounds_at(policy, utc("2026-01-05T12:00")) == {Mode.TRAINING: Bounds(2, 6), Mode.INFERENCE: Bounds(8)}
    assert bounds_at(policy, utc("2026-01-05T08:30"))[Mode.INFERENCE] == Bounds(9)


def test_without_windows_nothing_changes() -> None:
    """Nor when a window is open on no day."""
    assert next_change(Switching(), utc("2026-01-05T12:00")) is None
    assert (
        next_change(Switching(windows=(a_window("01:00", "02:00", days=frozenset()),)), utc("2026-01-05T12:00")) is None
    )
