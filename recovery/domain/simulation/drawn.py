"""A drawn population: checkouts made up from a seed, to try a schedule where nothing is kept yet."""

import random
from bisect import bisect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from recovery.domain.checkout import Customer, Facts
from recovery.domain.quiet_hours import zone
from recovery.domain.simulation.courses import Course
from recovery.domain.state import KeptConsent

ORDERED_SHARE = 0.3
"""Of checkouts, about seven of ten are abandoned (Baymard Institute, the average of 50 studies)."""

ORDERED_AFTER = timedelta(minutes=12)
"""Half of those that are ordered are so within this time of the last activity; one in ten, after five hours."""

_SPREAD = 2.5
_AGREED, _UNKNOWN = 0.7, 0.25
"""The shares of customers who have agreed to reminders, and of those who were not asked. The others have refused."""

_AGAIN_SHARE = 0.1
_AGAIN_AFTER = timedelta(days=2)
_BY_HOUR = (3, 2, 1, 1, 1, 2, 4, 6, 8, 10, 12, 12, 12, 11, 11, 11, 12, 13, 15, 17, 18, 17, 12, 7)
"""How many checkouts are left in each hour of the day, by the shop's clock: most in the evening."""

_CUMULATIVE = tuple(accumulate(_BY_HOUR))
_MS = timedelta(milliseconds=1)
_MS_AN_HOUR, _MS_A_DAY = 3_600_000, 86_400_000
_ORDERED_AFTER_MS, _AGAIN_AFTER_MS = ORDERED_AFTER // _MS, _AGAIN_AFTER // _MS
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
_YES, _NO = (KeptConsent(given=given, basis="drawn", at=_EVER, source="drawn") for given in (True, False))
_FACTS = Facts(customer=Customer(email="customer@shop.example"))


def drawn(count: int, seed: int | str, since: datetime, until: datetime, time_zone: str) -> Iterator[list[Course]]:
    """Yield so many checkouts, those of one person together, left between the two times by the clock of a shop's zone.

    The same arguments give the same checkouts. Times are whole milliseconds, as they are stored.
    """
    dice = random.Random(seed)  # noqa: S311 - a population for a simulation
    first = since.astimezone(zone(time_zone)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=since.tzinfo)
    days = max((until - since) // timedelta(days=1), 1)
    offset = since.astimezone(zone(time_zone)).utcoffset() or timedelta()
    midnight = first - offset
    number = 0
    while number < count:
        left_at = midnight + (dice.randrange(days) * _MS_A_DAY + _time_of_day(dice)) * _MS
        person = f"drawn-{seed}-{number}"
        courses = [_course(dice, number, left_at, person)]
        while number + len(courses) < count and dice.random() < _AGAIN_SHARE:
            left_at += int(_AGAIN_AFTER_MS * dice.expovariate(1)) * _MS
            courses.append(_course(dice, number + len(courses), left_at, person))
        number += len(courses)
        yield courses


def _time_of_day(dice: random.Random) -> int:
    """Return a time of day, in milliseconds."""
    hour = bisect(_CUMULATIVE, dice.random() * _CUMULATIVE[-1])
    return int((hour + dice.random()) * _MS_AN_HOUR)


def _course(dice: random.Random, number: int, left_at: datetime, person: str) -> Course:
    ordered_at = None
    if dice.random() < ORDERED_SHARE:
        ordered_at = left_at + (int(_ORDERED_AFTER_MS * dice.lognormvariate(0, _SPREAD)) + 1) * _MS
    luck = dice.random()
    consent = _YES if luck < _AGREED else None if luck < _AGREED + _UNKNOWN else _NO
    return Course(f"drawn-{number}", person, left_at, left_at, _FACTS, consent, ordered_at)
