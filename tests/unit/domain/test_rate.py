"""Rates as people write them."""

from datetime import timedelta

import pytest

from recovery.domain.rate import Rate


@pytest.mark.parametrize(
    ("text", "count", "period"),
    [
        ("14/s", 14, timedelta(seconds=1)),
        ("30/min", 30, timedelta(minutes=1)),
        (" 200 / h ", 200, timedelta(hours=1)),
        ("2000/d", 2000, timedelta(days=1)),
    ],
)
def test_a_rate_is_read(text, count, period):
    assert Rate.parse(text) == Rate(count, period)
    assert Rate.parse(str(Rate.parse(text))) == Rate.parse(text)


@pytest.mark.parametrize("text", ["", "14", "/s", "14/", "14/m", "14/sec", "-1/s", "1.5/s", "٣/s", "14/s/s", "1e3/s"])
def test_what_is_no_rate_is_refused_with_examples(text):
    with pytest.raises(ValueError, match="14/s, 30/min, 200/h or 2000/d"):
        Rate.parse(text)


@pytest.mark.parametrize("text", ["0/s", "00/d", "1000000001/s", "9" * 5000 + "/s"])
def test_a_rate_of_nothing_or_of_anything_is_refused(text):
    with pytest.raises(ValueError, match="must allow 1 to"):
        Rate.parse(text)
