"""Quiet hours, over every zone there is."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recovery.domain.quiet_hours import QuietHours, zone

NIGHT = QuietHours(time(21), time(8))
ZONES = sorted(available_timezones() - {"localtime"})

hours = st.builds(
    lambda begin, end: QuietHours(time(begin // 60, begin % 60), time(end // 60, end % 60)),
    st.integers(0, 1439),
    st.integers(0, 1439),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def is_quiet(hours, at, where):
    """Return the same by another method: minute by minute on the wall clock, from the beginning to the end."""
    wall = at.astimezone(where)
    minute = (wall.hour * 60 + wall.minute - hours.begin.hour * 60 - hours.begin.minute) % 1440
    length = (hours.end.hour * 60 + hours.end.minute - hours.begin.hour * 60 - hours.begin.minute) % 1440
    return minute < length


def changes(name):
    """Return when the clocks of a zone change in 2026 and 2027."""
    where, found, at = zone(name), [], utc(2026, 1, 1)
    while at < utc(2028, 1, 1):
        later = at + timedelta(hours=6)
        if at.astimezone(where).utcoffset() != later.astimezone(where).utcoffset():
            found.append(at)
        at = later
    return found


def test_a_night_ends_in_the_morning_of_where_one_lives():
    """Half past ten in the evening in Berlin is quiet until eight the next morning there; noon is not quiet."""
    assert NIGHT.end_after(utc(2026, 6, 1, 20, 30), zone("Europe/Berlin")) == utc(2026, 6, 2, 6)
    assert NIGHT.end_after(utc(2026, 6, 2, 5, 59), zone("Europe/Berlin")) == utc(2026, 6, 2, 6)
    assert NIGHT.end_after(utc(2026, 6, 2, 6), zone("Europe/Berlin")) is None
    assert NIGHT.end_after(utc(2026, 6, 2, 10), zone("Europe/Berlin")) is None


@pytest.mark.parametrize(
    ("evening", "morning"),
    [((2026, 3, 28, 22), (2026, 3, 29, 6)), ((2026, 10, 24, 22), (2026, 10, 25, 7))],
    ids=["spring", "autumn"],
)
def test_the_night_of_a_change_ends_at_eight_all_the_same(evening, morning):
    """In the nights in which Berlin changes its clocks, eight in the morning is eight by the new time."""
    assert NIGHT.end_after(utc(*evening), zone("Europe/Berlin")) == utc(*morning)


def test_an_hour_that_comes_twice_is_quiet_twice():
    """When the clock is put back from three to two, quiet hours until half past two end at the second of them."""
    small_hours = QuietHours(time(0), time(2, 30))
    assert small_hours.end_after(utc(2026, 10, 25, 1, 10), zone("Europe/Berlin")) == utc(2026, 10, 25, 1, 30)


def test_an_end_that_is_leapt_over_is_not_lost():
    """Where the clock leaps from two to three, quiet hours until half past two are over within that hour."""
    end = QuietHours(time(0), time(2, 30)).end_after(utc(2026, 3, 29, 0, 30), zone("Europe/Berlin"))
    assert utc(2026, 3, 29, 1) <= end <= utc(2026, 3, 29, 2)


@settings(max_examples=1000)
@given(hours, moments, st.sampled_from(ZONES))
@example(QuietHours(time(0), time(0, 30)), utc(2026, 4, 4, 14, 45), "Australia/Lord_Howe")
@example(QuietHours(time(2, 1), time(2)), utc(2027, 3, 13, 8, 1), "Africa/Casablanca")
def test_what_is_moved_never_lies_in_quiet_hours_and_is_never_lost(hours, at, name):
    """In every zone and at every time: only quiet times are moved, and by at most a day and a half.

    By a day more where the part of the day that is not quiet is so short that a change of the clocks leaps over it.
    """
    where = zone(name)
    end = hours.end_after(at, where)
    assert (end is not None) == is_quiet(hours, at, where)
    if end is not None:
        awake = (hours.begin.hour * 60 + hours.begin.minute - hours.end.hour * 60 - hours.end.minute) % 1440
        assert at < end <= at + timedelta(hours=36 if awake > 120 else 60)
        assert not is_quiet(hours, end, where)


@pytest.mark.parametrize("name", ZONES)
def test_the_changes_of_2026_and_2027_move_what_is_due_and_lose_nothing(name):
    """Around each change of the clocks of each zone there is, every quarter of an hour, with several quiet hours."""
    where = zone(name)
    for change in changes(name):
        for quarter in range(-48, 96):
            at = change + quarter * timedelta(minutes=15)
            for hours in (NIGHT, QuietHours(time(0), time(2, 30)), QuietHours(time(1, 30), time(3))):
                end = hours.end_after(at, where)
                assert (end is not None) == is_quiet(hours, at, where)
                assert end is None or (at < end <= at + timedelta(hours=25) and not is_quiet(hours, end, where))


@settings(max_examples=200)
@given(hours, moments, st.integers(0, 5000), st.sampled_from(ZONES))
def test_the_time_awake_between_two_moments_is_what_one_counts_by_the_minute(hours, since, length, name):
    """It is as long as the minutes that are not quiet, but for the one hour that a clock may leap over."""
    where = zone(name)
    since = since.replace(second=0, microsecond=0)
    until = since + timedelta(minutes=length)
    counted = sum(is_quiet(hours, since + timedelta(minutes=minute), where) for minute in range(length))
    awake = hours.awake(since, until, where, enough=timedelta(days=9))
    assert abs(awake - timedelta(minutes=length - counted)) <= timedelta(minutes=61)


@given(hours, moments, st.integers(0, 5000), st.integers(0, 2000), st.sampled_from(ZONES))
def test_no_more_is_counted_than_is_enough(hours, since, length, enough, name):
    """The comparison of the time awake with a bound does not depend on where counting stops."""
    where, until = zone(name), since + timedelta(minutes=length)
    bound = timedelta(minutes=enough)
    whole = hours.awake(since, until, where, enough=timedelta(days=9))
    assert (hours.awake(since, until, where, enough=bound) > bound) == (whole > bound)


def test_years_are_done_with_after_a_few_nights(monkeypatch):
    """A checkout that was touched at the epoch does not hold up the others: the nights looked at are counted."""
    looks = 0
    hold = QuietHours._hold

    def counted(self, at, where):
        nonlocal looks
        looks += 1
        return hold(self, at, where)

    monkeypatch.setattr(QuietHours, "_hold", counted)
    since, until = datetime(1900, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert NIGHT.awake(since, until, zone("Europe/Berlin"), enough=timedelta(hours=12)) > timedelta(hours=12)
    assert looks < 10


def test_a_zone_that_is_none_is_told():
    """A name that the tz database does not know, or that leads out of it, is refused in a sentence."""
    for name in ("Europe/Atlantis", "../../etc/passwd", "", "/etc/localtime"):
        with pytest.raises(ValueError, match="there is no time zone"):
            zone(name)
