"""How Kubernetes writes amounts and times: quantities such as `8` or `64Gi`, durations such as `2m`."""

import math
import re
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from trainpush.api.base import Rule

QUANTITY_PATTERN: Final = r"^([0-9]{1,18}([.][0-9]{0,9})?|[.][0-9]{1,9})([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$"
"""A quantity that is not negative. RE2 and Python read it alike, as they do every pattern here."""
DURATION_PATTERN: Final = r"^([0-9]{1,6}[hms]){1,3}$"
"""A duration in whole hours, minutes and seconds, as Go and CEL write it."""
SHORT_DURATION_PATTERN: Final = r"^[0-9]{1,9}(us|ms|s)$"
"""A short duration in one unit, as Go and CEL write it."""

_UNITS: Final = {
    "": Fraction(1),
    **{unit: Fraction(1000) ** (power - 3) for power, unit in enumerate(("n", "u", "m"))},
    **{unit: Fraction(1000) ** (power + 1) for power, unit in enumerate(("k", "M", "G", "T", "P", "E"))},
    **{unit: Fraction(1024) ** (power + 1) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
}
_QUANTITY: Final = re.compile(QUANTITY_PATTERN)
_STORED: Final = re.compile(r"([0-9]+[.]?[0-9]*|[.][0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?", re.ASCII)
"""As the API server may hand a quantity back: 9Ei, which it cuts to what it can count, comes as 19 digits."""
_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}
_MICROSECONDS: Final = {"us": 1, "ms": 1_000, "s": 1_000_000}
_EXPECTED_QUANTITY: Final = "must be a quantity such as 8, 500m or 64Gi, not negative; write a fraction as a string"


def milli(quantity: str | int) -> int:
    """Thousandths of `quantity`, exact, rounded up where there is a remainder.

    Raises:
        ValueError: it is no quantity, or it is negative.
    """
    parts = _STORED.fullmatch(str(quantity))
    if not parts:
        raise ValueError(f"{quantity!r} {_EXPECTED_QUANTITY}")
    number, suffix = parts[1], parts[2] or ""
    scale = _UNITS[suffix] if suffix in _UNITS else Fraction(10) ** int(suffix[1:])
    return math.ceil(Fraction(number) * scale * 1000)


def seconds(duration: str) -> int:
    """Whole seconds of a duration such as `30s`, `2m` or `1h30m`.

    Raises:
        ValueError: it is no such duration.
    """
    if not re.fullmatch(DURATION_PATTERN, duration):
        raise ValueError(
            f"{duration!r} must be a duration in whole hours, minutes and seconds, such as 30s, 2m or 1h30m"
        )
    return sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([hms])", duration))


def microseconds(duration: str) -> int:
    """Microseconds of a short duration such as `500us`, `2ms` or `1s`.

    Raises:
        ValueError: it is no such duration.
    """
    if not re.fullmatch(SHORT_DURATION_PATTERN, duration):
        raise ValueError(f"{duration!r} must be a short duration in one unit, such as 500us, 2ms or 1s")
    number = duration.rstrip("mus")
    return int(number) * _MICROSECONDS[duration.removeprefix(number)]


def _integer_or_string(value: Any) -> int | str:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise PydanticCustomError("quantity", _EXPECTED_QUANTITY)


Quantity = Annotated[
    int | str,
    PlainValidator(_integer_or_string),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 32}),
    Rule(
        f"string(self).matches(r'{QUANTITY_PATTERN}')",
        _EXPECTED_QUANTITY,
        lambda quantity: _QUANTITY.fullmatch(str(quantity)) is not None,
    ),
]
"""An amount of a resource: a whole number or a string with a unit."""


def lasts(longest: str, example: str, shortest: str = "1s") -> Rule:
    """From `shortest` up to `longest`, in whole hours, minutes and seconds."""
    return Rule(
        f"self.matches(r'{DURATION_PATTERN}') && "
        f"duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')",
        f"must be a duration from {shortest} to {longest}, such as {example}",
        lambda text: (
            bool(re.fullmatch(DURATION_PATTERN, text)) and seconds(shortest) <= seconds(text) <= seconds(longest)
        ),
    )


GracePeriod = Annotated[str, Field(max_length=16), lasts("1h", "30s or 2m")]
"""A duration from one second to one hour."""
ShortDuration = Annotated[
    str,
    Field(max_length=16),
    Rule(
        f"self.matches(r'{SHORT_DURATION_PATTERN}') && duration(self) <= duration('10s')",
        "must be a duration up to 10s, such as 2ms or 500us",
        lambda text: bool(re.fullmatch(SHORT_DURATION_PATTERN, text)) and microseconds(text) <= microseconds("10s"),
    ),
]
"""A duration of at most ten seconds, to the microsecond."""
