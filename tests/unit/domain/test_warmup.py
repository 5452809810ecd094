"""The warm-up of a new sending address: how many messages on which day, and when complaints halt it."""

from datetime import UTC, date, datetime, timedelta

import pytest

from recovery.domain.warmup import LONGEST_WAIT, SPREAD, Warmup, again_at

FIRST = date(2026, 3, 27)
"""Two days before clocks go forward in Europe."""


def warmup(**changes):
    values = {"begins_on": FIRST, "first_day": 50, "growth": 1.5, "last_day": 50_000, "halt_at": 0.003}
    return Warmup(**(values | changes))


def limits(of, days, halted=()):
    return [of.limit(FIRST + timedelta(days=number), halted) for number in range(days)]


def test_the_number_grows_by_its_factor_from_day_to_day():
    assert limits(warmup(), 6) == [50, 75, 112, 168, 253, 379]
    assert limits(warmup(growth=2.0), 4) == [50, 100, 200, 400]


def test_it_is_over_after_the_day_that_reaches_the_last_number():
    assert limits(warmup(growth=2.0, last_day=200), 5) == [50, 100, 200, None, None]
    assert limits(warmup(growth=2.0, last_day=250), 5) == [50, 100, 200, None, None]
    assert limits(warmup(first_day=1, growth=1.01, last_day=2), 72)[69:] == [1, None, None]
    assert limits(warmup(growth=1.6, last_day=128), 4) == [50, 80, 128, None]  # in floating point, a little more
    assert warmup().days == 18
    assert warmup(first_day=50, last_day=50).days == 1


def test_long_after_it_is_over_and_not_an_overflow():
    assert warmup().limit(date(9999, 12, 31)) is None


def test_before_it_begins_the_number_of_the_first_day_holds():
    assert warmup().limit(FIRST - timedelta(days=90)) == 50


def test_a_day_on_which_it_halted_does_not_count():
    """The day after has the same number, whatever comes later goes on from there."""
    halted = {FIRST + timedelta(days=1)}
    assert limits(warmup(), 4, halted) == [50, 75, 75, 112]
    assert warmup(growth=2.0, last_day=100).limit(FIRST + timedelta(days=2), halted) == 100


def test_what_halted_before_it_begins_or_today_does_not_lower_today():
    assert limits(warmup(), 2, {FIRST - timedelta(days=1), FIRST + timedelta(days=1)}) == [50, 75]


@pytest.mark.parametrize(
    ("complaints", "sent", "halts"),
    [(2, 10, False), (3, 999, True), (3, 1000, False), (4, 1000, True), (30, 10_000, False), (31, 10_000, True)],
)
def test_it_halts_above_three_in_a_thousand_and_from_three_complaints_on(complaints, sent, halts):
    assert warmup().halts(complaints, sent) is halts


def test_it_is_looked_again_when_there_may_be_more_spread_over_an_hour():
    now = datetime(2026, 3, 28, 9, tzinfo=UTC)
    assert again_at(now, 60.0, 0.0) == now + timedelta(seconds=60)
    assert again_at(now, 60.0, 0.5) == now + timedelta(seconds=60) + SPREAD / 2
    assert again_at(now, 20 * 3600.0, 0.0) == now + LONGEST_WAIT


def test_it_is_looked_again_at_the_beginning_of_the_next_day():
    """A day is one of UTC: it has 24 hours also where clocks change."""
    assert again_at(datetime(2026, 3, 28, 23, tzinfo=UTC), 9 * 3600.0, 0.0) == datetime(2026, 3, 29, tzinfo=UTC)
    assert again_at(datetime(2026, 3, 29, 23, tzinfo=UTC), 9 * 3600.0, 0.0) == datetime(2026, 3, 30, tzinfo=UTC)
