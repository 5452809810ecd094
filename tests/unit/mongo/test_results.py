"""Which days are counted."""

from datetime import UTC, datetime, timedelta

import pytest

from recovery.mongo.results import first_day

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WINDOW, RETENTION = timedelta(days=5), timedelta(days=30)


def day(number, month=11):
    return datetime(2026, month, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("counted_at", "first"),
    [
        (NOW - timedelta(minutes=5), day(24)),
        (NOW - timedelta(days=10), day(14)),
        (NOW - timedelta(days=100), day(1)),
        (None, day(1)),
        (NOW + timedelta(days=3), day(24)),
    ],
    ids=["as usual", "after ten days down", "after longer than all is kept", "for the first time", "clock set back"],
)
def test_days_are_counted_to_their_end_as_long_as_nothing_is_deleted(counted_at, first):
    """A day can change for the window after its end, and is whole for the retention after its begin."""
    assert first_day(NOW, counted_at, WINDOW, RETENTION) == first


def test_a_day_of_which_checkouts_may_be_deleted_is_left_as_it_is():
    """A retention that is shorter than the window ends the count of a day before its last order."""
    assert first_day(NOW, NOW, timedelta(days=20), timedelta(days=3)) == day(28)
