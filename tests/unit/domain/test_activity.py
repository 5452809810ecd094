"""The activity: what is counted, how it is taken to be stored, and what comes of it."""

from datetime import timedelta
from itertools import pairwise
from math import inf

import pytest

from recovery.domain.activity import BOUNDS, MOST_COUNTS, MOST_SHOPS, OTHER, Fate, Lateness, Summary, Tally, hour_of
from tests.support.builders import NOON, minutes

SHOP = "shop.example"


def tally():
    made = Tally()
    made.turn(NOON)
    return made


def lateness(*seconds):
    made = Lateness()
    for each in seconds:
        made.count(each)
    return made


def test_the_bounds_rise_from_ten_milliseconds_to_more_than_a_reminder_can_be_late():
    """Each is higher than the one before, by two fifths at most, and the last holds everything."""
    assert BOUNDS[0] == 0.01
    assert BOUNDS[-2] > timedelta(days=6).total_seconds()
    assert BOUNDS[-1] == inf
    assert all(low < high <= low * 1.41 + 0.001 for low, high in pairwise(BOUNDS[:-1]))


@pytest.mark.parametrize("seconds", [0.0, 0.003, 0.02, 1.0, 59.0, 3600.0, 86400.0])
def test_a_percentile_is_as_near_as_the_bounds_are(seconds):
    """It is within the bounds that the lateness lies in."""
    median = lateness(*[seconds] * 9).percentile(0.5)
    assert median is not None
    assert seconds / 1.45 - 0.01 <= median <= max(seconds * 1.45, 0.01)


def test_percentiles_part_the_quick_from_the_slow():
    """Of a hundred of which two are late, the median is small and the 99th percentile is not."""
    found = lateness(*[0.1] * 98, 60.0, 60.0)
    assert found.total == 100
    assert found.percentile(0.5) < 0.2
    assert 40 < found.percentile(0.99) < 90


def test_of_nothing_there_is_no_percentile():
    """And what is beyond all bounds has the last one."""
    assert Lateness().percentile(0.5) is None
    assert lateness(1e9).percentile(0.5) == BOUNDS[-2]


def test_a_message_before_its_time_is_not_late():
    """Two clocks may differ by a little."""
    assert lateness(-0.002).counts == {0.01: 1}


def test_what_was_counted_is_taken_once_as_totals():
    """What changes afterwards is taken again, with all of the hour: to store it twice changes nothing."""
    made = tally()
    made.sent(SHOP, "reminder-1", 0.2)
    made.skipped(SHOP, "reminder-1", "too late to be of use")
    (entry,) = made.taken(10)
    assert (entry.hour, entry.shop) == (NOON, SHOP)
    assert made.taken(10) == []
    made.sent(SHOP, "reminder-1", 0.2)
    made.dead(SHOP, "reminder-2", "attempts")
    (entry,) = made.taken(10)
    assert entry.of.counts == {
        ("reminder-1", Fate.SENT, ""): 2,
        ("reminder-1", Fate.SKIPPED, "too late to be of use"): 1,
        ("reminder-2", Fate.DEAD, "attempts"): 1,
    }
    assert entry.of.lateness["reminder-1"].total == 2


def test_a_few_are_taken_at_a_time_and_what_failed_again():
    """The rest comes the next time; nothing is forgotten."""
    made = tally()
    for number in range(5):
        made.sent(f"s{number}", "reminder-1", 0.0)
    first, second = made.taken(3), made.taken(3)
    assert [each.shop for each in (*first, *second)] == ["s0", "s1", "s2", "s3", "s4"]
    made.give_back(first)
    assert made.taken(10) == first


def test_a_new_hour_begins_at_nought_and_the_old_one_is_stored_first():
    """An hour is forgotten once it is over and stored, and not before."""
    made = tally()
    made.sent(SHOP, "reminder-1", 0.0)
    made.turn(NOON + minutes(60))
    made.turn(NOON + minutes(61))
    made.sent(SHOP, "reminder-1", 0.0)
    entries = made.taken(10)
    assert [(each.hour, each.of.counts.total()) for each in entries] == [(NOON, 1), (NOON + minutes(60), 1)]
    made.turn(NOON + minutes(120))
    made.turn(NOON + minutes(121))
    made.give_back(entries)
    assert made.taken(10) == []


def test_a_clock_that_is_set_back_ends_no_hour():
    """What is counted then counts for the hour that was reached."""
    made = tally()
    made.turn(NOON - minutes(1))
    made.sent(SHOP, "reminder-1", 0.0)
    assert [each.hour for each in made.taken(10)] == [NOON]


def test_what_is_counted_before_the_first_hour_is_known_is_kept():
    """A daemon counts from its start on."""
    made = Tally()
    made.sent(SHOP, "reminder-1", 0.0)
    assert made.taken(10) == []
    made.turn(NOON + minutes(5))
    assert [each.hour for each in made.taken(10)] == [NOON]


def test_neither_shops_nor_reasons_grow_without_end():
    """Reports name shops, and a reason may be anybody's text."""
    made = tally()
    for number in range(MOST_COUNTS + 50):
        made.skipped(SHOP, "reminder-1", f"reason {number}")
    (entry,) = made.taken(10)
    assert len(entry.of.counts) == MOST_COUNTS + 1
    assert entry.of.counts["reminder-1", Fate.SKIPPED, OTHER] == 50
    for number in range(MOST_SHOPS + 50):
        made.sent(f"s{number}", "reminder-1", 0.0)
    assert len(made.taken(2 * MOST_SHOPS)) == MOST_SHOPS - 1


def test_a_summary_adds_up():
    """By fate, hour and reason; the lateness of all steps together."""
    later = NOON + minutes(60)
    found = Summary()
    found.counts[NOON, ("reminder-1", Fate.SENT, "")] = 3
    found.counts[later, ("reminder-2", Fate.SENT, "")] = 2
    found.counts[NOON, ("reminder-1", Fate.SKIPPED, "the customer has said no")] = 1
    found.counts[later, ("reminder-1", Fate.SKIPPED, "too late to be of use")] = 4
    found.by_step = {"reminder-1": lateness(0.1, 0.1), "reminder-2": lateness(5.0)}
    assert [found.total(fate) for fate in Fate] == [5, 5, 0]
    assert found.by_hour(Fate.SENT) == {NOON: 3, later: 2}
    assert list(found.by_reason(Fate.SKIPPED).items()) == [
        ("too late to be of use", 4),
        ("the customer has said no", 1),
    ]
    assert found.lateness.total == 3
    assert hour_of(NOON + minutes(59)) == NOON
