"""Which bounds hold when, on clocks that jump twice a year."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainpush.model.modes import Bounds, Mode, Switching, Window
from trainpush.planner.modes.bounds import bounds_at, is_open, next_change

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
LORD_HOWE, SANTIAGO = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/Santiago")
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
        (a_window("02:30", "05:00"), "2026-03-29T01:00", "2026-03-29T03:00"),
        (a_window("02:30", "03:15"), "2026-03-29T01:00", "2026-03-29T01:15"),
        (a_window("02:00", "03:01"), "2026-03-29T01:00", "2026-03-29T01:01"),
        # What would end before it begins moves as a whole.
        (a_window("02:30", "03:00"), "2026-03-29T01:30", "2026-03-29T02:00"),
        (a_window("02:15", "02:45"), "2026-03-29T01:15", "2026-03-29T01:45"),
        # What would end there is over when they have jumped.
        (a_window("22:00", "02:30"), "2026-03-28T21:00", "2026-03-29T01:00"),
        (a_window("01:59", "02:01"), "2026-03-29T00:59", "2026-03-29T01:00"),
        (NIGHT, "2026-03-28T21:00", "2026-03-29T04:00"),
        # They go back from 03:00 to 02:00: 02:30 comes twice, and the first counts.
        (a_window("02:30", "05:00"), "2026-10-25T00:30", "2026-10-25T04:00"),
        (a_window("22:00", "02:30"), "2026-10-24T20:00", "2026-10-25T00:30"),
        (NIGHT, "2026-10-24T20:00", "2026-10-25T05:00"),
        # In New York on other days: from 02:00 to 03:00, and back.
        (a_window("02:30", "05:00", NEW_YORK), "2026-03-08T07:00", "2026-03-08T09:00"),
        (a_window("01:30", "05:00", NEW_YORK), "2026-11-01T05:30", "2026-11-01T10:00"),
        (a_window("22:00", "06:00", NEW_YORK), "2026-11-01T02:00", "2026-11-01T11:00"),
        # By half an hour, from 02:00 to 02:30, and at midnight, from 00:00 to 01:00.
        (a_window("02:10", "02:45", LORD_HOWE), "2026-10-03T15:30", "2026-10-03T15:45"),
        (a_window("02:10", "02:20", LORD_HOWE), "2026-10-03T15:40", "2026-10-03T15:50"),
        (a_window("20:00", "02:10", LORD_HOWE), "2026-10-03T09:30", "2026-10-03T15:30"),
        (a_window("00:00", "06:00", SANTIAGO), "2026-09-06T04:00", "2026-09-06T09:00"),
        (a_window("00:30", "01:00", SANTIAGO), "2026-09-06T04:30", "2026-09-06T05:00"),
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


CLOCK = st.times().map(lambda it: it.replace(second=0, microsecond=0, tzinfo=None))
ZONES = st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, SANTIAGO])
DAYS_OF_JUMPS = ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-10-04", "2026-04-05", "2026-09-06")


@given(CLOCK, CLOCK, ZONES, st.sampled_from(DAYS_OF_JUMPS))
def test_every_window_is_open_once_on_each_of_its_days(begin: time, end: time, zone: ZoneInfo, day: str) -> None:
    """Whatever the clocks do in that night, and for no longer than they say and jump."""
    first = date.fromisoformat(day)
    window = Window("any", begin, end, zone, frozenset({first.weekday()}), MANY)
    policy, noon_before = Switching(windows=(window,)), datetime.combine(first, time(0), zone) - timedelta(hours=12)
    opens = next_change(policy, noon_before)
    assert opens
    assert is_open(window, opens)
    closes = next_change(policy, opens)
    assert closes
    assert not is_open(window, closes)
    asked = (datetime.combine(first, end) - datetime.combine(first, begin)) % timedelta(days=1) or timedelta(days=1)
    assert opens < closes
    assert abs(closes - opens - asked) <= timedelta(hours=1)
    assert next_change(policy, closes) == pytest.approx(opens + timedelta(days=7), abs=timedelta(hours=1))


HOURS = st.dictionaries(st.sampled_from(range(0, 24, 2)), st.integers(0, 59), min_size=2)


@given(HOURS, ZONES, st.sampled_from(DAYS_OF_JUMPS))
def test_windows_that_follow_each_other_neither_meet_nor_part(begins: dict[int, int], zone: ZoneInfo, day: str) -> None:
    """Each is longer than the clocks jump, and one is open at every moment."""
    first, *others = times = [time(*it) for it in sorted(begins.items())]
    windows = [a_window(f"{begin}", f"{end}", zone) for begin, end in zip(times, [*others, first], strict=True)]
    moment = datetime.combine(date.fromisoformat(day), time(0), zone).astimezone(UTC) - timedelta(hours=12)
    end = moment + timedelta(days=2)
    while moment < end:
        assert sum(is_open(window, moment) for window in windows) == 1, moment
        moment = next_change(Switching(windows=tuple(windows)), moment) or end


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
