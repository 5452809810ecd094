"""Durations with units: `"30m"`, `"1d 12h"`, `"500ms"`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

LONGEST = timedelta(days=3650)
"""Ten years. The bound keeps a time plus a duration within the range of `datetime`."""

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_TEXT = re.compile(r"\s*".join(rf"(?:(?P<{unit}>[0-9]{{1,15}})\s*{unit})?" for unit in _MILLISECONDS))


def parse_duration(value: object) -> timedelta:
    """Parse a duration such as `"1d 12h"`: whole numbers of d, h, m, s and ms, each at most once, in this order.

    A timedelta is accepted as it is. Anything else raises `ValueError`, and so does a number without a unit: 30 could
    mean seconds or minutes.
    """
    if isinstance(value, timedelta):
        milliseconds, rest = divmod(value, timedelta(milliseconds=1))
        if rest or milliseconds < 0:
            raise ValueError("must be a whole number of milliseconds, at least 0")
    else:
        milliseconds = _milliseconds(str(value).strip())
    if milliseconds > LONGEST // timedelta(milliseconds=1):
        raise ValueError(f"must not be longer than {format_duration(LONGEST)}")
    return timedelta(milliseconds=milliseconds)


def _milliseconds(text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9.]+", text):
        raise ValueError("needs a unit, such as 30m or 45s")
    found = _TEXT.fullmatch(text)
    if found is None or not text:
        raise ValueError('must be a duration in d, h, m, s and ms, largest unit first, such as 30m, 45s or "1d 12h"')
    return sum(int(number) * _MILLISECONDS[unit] for unit, number in found.groupdict().items() if number)


def format_duration(value: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads as this value. Fractions of a millisecond are dropped."""
    rest = value // timedelta(milliseconds=1)
    parts = []
    for unit, size in _MILLISECONDS.items():
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts) or "0s"


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0s")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
"""A setting that is a duration, written with its units."""

PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
