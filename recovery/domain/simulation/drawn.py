"""A drawn population: checkouts made up from a seed, to try a schedule where nothing is kept yet."""

import random
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
_CONSENT_SHARES = {True: 0.7, None: 0.95, False: 1.0}
_AGAIN_SHARE = 0.1
_AGAIN_AFTER = timedelta(days=2)
_BY_HOUR = (3, 2, 1, 1, 1, 2, 4, 6, 8, 10, 12, 12, 12, 11, 11, 11, 12, 13, 15, 17, 18, 17, 12, 7)
"""How many checkouts are left in each hour of the day, by the shop's clock: most in the evening."""

_CUMULATIVE = tuple(accumulate(_BY_HOUR))
_HOURS = range(24)
_MS_AN_HOUR = 3_600_000
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
_CONSENTS = {given: KeptConsent(given=given, basis="drawn", at=_EVER, source="drawn") for given in (True, False)}
_FACTS = Facts(customer=Customer(email="customer@shop.example"))


def drawn(count: int, seed: int | str, since: datetime, until: datetime, time_zone: str) -> Iterator[list[Course]]:
    """Yield so many checkouts, those of one person together, left between the two times by the clock of a shop's zone.

    The same arguments give the same checkouts. Times are whole milliseconds, as they are stored.
    """
    dice = random.Random(seed)  # noqa: S311 - a population for a simulation
    first = since.astimezone(zone(time_zone)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=since.tzinfo)
    days = max((until - since) // timedelta(days=1), 1)
    offset = since.astimezone(zone(time_zone)).utcoffset() or timedelta()
    number = 0
    while number < count:
        left_at = first - offset + timedelta(days=dice.randrange(days), milliseconds=_time_of_day(dice))
        person = f"drawn-{number}"
        courses = [_course(dice, number, left_at, person)]
        while number + len(courses) < count and dice.random() < _AGAIN_SHARE:
            left_at += _whole(_AGAIN_AFTER * dice.expovariate(1))
            courses.append(_course(dice, number + len(courses), left_at, person))
        number += len(courses)
        yield courses


def _time_of_day(dice: random.Random) -> int:
    hour = dice.choices(_HOURS, cum_weights=_CUMULATIVE)[0]
    return int(hour * _MS_AN_HOUR + dice.random() * _MS_AN_HOUR)


def _course(dice: random.Random, number: int, left_at: datetime, person: str) -> Course:
    ordered_at = None
    if dice.random() < ORDERED_SHARE:
        ordered_at = left_at + _whole(ORDERED_AFTER * dice.lognormvariate(0, _SPREAD)) + timedelta(milliseconds=1)
    luck = dice.random()
    given = next(each for each, share in _CONSENT_SHARES.items() if luck < share)
    consent = None if given is None else _CONSENTS[given]
    return Course(f"drawn-{number}", person, left_at, left_at, _FACTS, consent, ordered_at)


def _whole(time: timedelta) -> timedelta:
    return timedelta(milliseconds=time // timedelta(milliseconds=1))
