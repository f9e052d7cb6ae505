"""Amounts and durations, as Kubernetes writes them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainpush.api.quantity import microseconds, milli, seconds

AMOUNTS: dict[str | int, int] = {
    8: 8_000,
    "8": 8_000,
    "0": 0,
    "500m": 500,
    "1.5": 1_500,
    ".5": 500,
    "5.": 5_000,
    "1k": 1_000_000,
    "64Gi": 64 * 2**30 * 1000,
    "1.5Gi": 1_610_612_736_000,
    "1E": 10**21,
    "1Ei": 2**60 * 1000,
    "1e3": 1_000_000,
    "1E3": 1_000_000,
    "12e-1": 1_200,
    "2u": 1,
    "1n": 1,
    "1000001n": 2,
}


@pytest.mark.parametrize(("quantity", "want"), AMOUNTS.items())
def test_thousandths(quantity: str | int, want: int) -> None:
    """Exact, and rounded up: half a thousandth is not nothing."""
    assert milli(quantity) == want


@pytest.mark.parametrize("quantity", ["", "-1", -1, "8 Gi", "64GB", "1ki", "0x8", "1e", "e3", ".", "1e999", "8\n", "٣"])
def test_no_quantity(quantity: str | int) -> None:
    """The remedy is in the message."""
    with pytest.raises(ValueError, match="such as 8, 500m or 64Gi"):
        milli(quantity)


@given(st.decimals(min_value=0, max_value=10**6, places=3), st.sampled_from(["", "k", "M", "Ki", "Mi"]))
def test_units_multiply(number: object, unit: str) -> None:
    """For any number, a unit is a factor."""
    factors = {"": 1, "k": 10**3, "M": 10**6, "Ki": 2**10, "Mi": 2**20}
    assert milli(f"{number}{unit}") == Fraction(str(number)) * factors[unit] * 1000


@pytest.mark.parametrize(("duration", "want"), {"30s": 30, "2m": 120, "1h": 3600, "1h30m": 5400, "1m30s": 90}.items())
def test_durations(duration: str, want: int) -> None:
    """In seconds."""
    assert seconds(duration) == want


@pytest.mark.parametrize("duration", ["", "30", "1.5s", "2 m", "1d", "-5s", "5ms", "1s\n"])
def test_no_duration(duration: str) -> None:
    """The remedy is in the message."""
    with pytest.raises(ValueError, match="such as 30s, 2m or 1h30m"):
        seconds(duration)


@pytest.mark.parametrize(
    ("duration", "want"), {"0s": 0, "500us": 500, "2ms": 2_000, "10s": 10_000_000, "100us": 100}.items()
)
def test_short_durations(duration: str, want: int) -> None:
    """In microseconds, as model servers count."""
    assert microseconds(duration) == want


@pytest.mark.parametrize("duration", ["", "2", "1m", "1.5ms", "-1ms", "1s500ms", "2ns", "1s\n"])
def test_no_short_duration(duration: str) -> None:
    """The remedy is in the message."""
    with pytest.raises(ValueError, match="such as 500us, 2ms or 1s"):
        microseconds(duration)
