"""Parsing and formatting of durations."""

from datetime import timedelta

import pytest
from hypothesis import given, settings, strategies

from recovery.settings import format_duration, parse_duration

milliseconds = strategies.integers(min_value=0, max_value=3650 * 86_400_000)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("1d 12h", timedelta(days=1, hours=12)),
        (" 1d12h 5 m ", timedelta(days=1, hours=12, minutes=5)),
        ("90m", timedelta(minutes=90)),
        ("0s", timedelta()),
    ],
)
def test_read(text, value):
    """A duration with units is parsed."""
    assert parse_duration(text) == value


@pytest.mark.parametrize("number", [30, 30.5, "30", "-5", " 30 "])
def test_number(number):
    """A number without a unit is rejected, with an example in the error."""
    with pytest.raises(ValueError, match=r"^needs a unit, such as 30m or 45s$"):
        parse_duration(number)


@pytest.mark.parametrize(
    "text", ["", "soon", "1w", "30m 1h", "1h 1h", "1.5h", "-1h", "1h,", "٣h", True, None, [], "1ms2"]
)
def test_nonsense(text):
    """An invalid duration is rejected with an example."""
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@pytest.mark.parametrize("long", ["3651d", "999999999999999d", timedelta(days=3650, milliseconds=1)])
def test_too_long(long):
    """A duration beyond the maximum is rejected."""
    with pytest.raises(ValueError, match="must not be longer than 3650d"):
        parse_duration(long)


@pytest.mark.parametrize("odd", [timedelta(microseconds=1), timedelta(seconds=-1)])
def test_odd(odd):
    """A timedelta that the text format cannot express is rejected."""
    with pytest.raises(ValueError, match="whole number of milliseconds"):
        parse_duration(odd)


@settings(max_examples=100)
@given(milliseconds)
def test_there_and_back(number):
    """Every duration survives formatting and parsing, and has exactly one text."""
    value = timedelta(milliseconds=number)
    assert parse_duration(format_duration(value)) == value == parse_duration(value)
    assert format_duration(parse_duration(format_duration(value))) == format_duration(value)
