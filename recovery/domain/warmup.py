"""The warm-up of a new sending address: the number of messages a day begins small and grows until it is enough."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

LEAST_COMPLAINTS = 3
"""Complaints in 24 hours below which a warm-up does not halt: on its first days one complaint is one of few mails."""

LONGEST_WAIT = timedelta(hours=4)
"""The longest time until a message that the warm-up holds back is looked at again: somebody may have lifted it."""

SPREAD = timedelta(hours=1)
"""The time over which looks at held back messages are spread, so that they do not all come at once."""


@dataclass(frozen=True, slots=True)
class Warmup:
    """A warm-up. Days are days of UTC.

    In 24 hours, `first_day` messages may be sent on the day `begins_on`, and `growth` times as many on each day after
    it, until a day would have more than `last_day`. Complaints about more than the share `halt_at` of the messages halt
    it.
    """

    begins_on: date
    first_day: int
    growth: float
    last_day: int
    halt_at: float

    @property
    def name(self) -> str:
        """The name under which its messages are counted. One that begins on another day counts anew."""
        return f"warm-up {self.begins_on}"

    @property
    def days(self) -> int:
        """The number of days that it takes."""
        return math.floor(math.log(self.last_day / self.first_day) / math.log(self.growth) + 1e-9) + 1

    def day(self, today: date, halted: Collection[date] = ()) -> int:
        """Return the number of the day: 1 on the first day and before it. Days on which it `halted` do not count."""
        stood_still = sum(self.begins_on <= day < today for day in halted)
        return max((today - self.begins_on).days - stood_still, 0) + 1

    def limit(self, today: date, halted: Collection[date] = ()) -> int | None:
        """Return the number of messages in 24 hours on a day, or None if the warm-up is over."""
        day = self.day(today, halted)
        return None if day > self.days else min(int(self.first_day * self.growth ** (day - 1)), self.last_day)

    def halts(self, complaints: int, sent: int) -> bool:
        """Return whether so many complaints halt it, in 24 hours in which so many messages were sent."""
        return complaints >= LEAST_COMPLAINTS and complaints > self.halt_at * sent


def again_at(now: datetime, wait: float, jitter: float) -> datetime:
    """Return the time at which to look again at a message that the warm-up holds back.

    That is in `wait` seconds, when the next messages may be sent, but no later than the next day, which may have more.
    `jitter` is a number in [0, 1) that spreads the messages.
    """
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    return min(now + timedelta(seconds=wait), now + LONGEST_WAIT, tomorrow) + SPREAD * jitter
