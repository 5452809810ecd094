"""The activity: how many messages were sent, skipped and given up, why, and how late, by hour, shop and step. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import inf
from typing import TypeVar

T = TypeVar("T")

BOUNDS = (*(round(0.01 * 1.4**power, 3) for power in range(54)), inf)
"""The upper bounds of lateness, in seconds, that messages are counted by: from 10 ms to a week, each 40 % more."""

MOST_SHOPS = 5000
"""Shops that are counted in an hour; what further ones do is not counted."""

MOST_COUNTS = 200
"""Counts of a shop in an hour that have a reason of their own."""

OTHER = "another reason"
REASON_KEPT = 100
"""Characters of a reason that are kept."""


class Fate(StrEnum):
    """What became of a message."""

    SENT = "sent"
    SKIPPED = "skipped"
    DEAD = "dead"


What = tuple[str, Fate, str]
"""What is counted: a step, a fate, and its reason; the reason is empty for what was sent."""


def hour_of(at: datetime) -> datetime:
    """Return the start of the hour of a time."""
    return at.replace(minute=0, second=0, microsecond=0)


@dataclass(slots=True)
class Lateness:
    """A histogram of lateness: the number of messages by their upper bound, in seconds."""

    counts: Counter[float] = field(default_factory=Counter)

    def count(self, seconds: float) -> None:
        """Count one message that was so late."""
        self.counts[BOUNDS[bisect_left(BOUNDS, seconds)]] += 1

    def add(self, counts: Mapping[float, int]) -> None:
        """Add the counts of another."""
        self.counts.update(counts)

    @property
    def total(self) -> int:
        """The number of messages."""
        return self.counts.total()

    def percentile(self, share: float) -> float | None:
        """Return the lateness, in seconds, that this share of the messages did not exceed; None if there are none.

        Within two bounds it is interpolated; above the last one, it is that.
        """
        wanted = share * self.total
        if not self.total:
            return None
        before = 0
        for bound in sorted(self.counts):
            count = self.counts[bound]
            if before + count >= wanted and count:
                lower = max((each for each in BOUNDS if each < bound), default=0.0)
                return lower if bound == inf else lower + (bound - lower) * (wanted - before) / count
            before += count
        return None


@dataclass(slots=True)
class ShopHour:
    """The counts of one shop in one hour. `is_stored`: nothing was counted since they were stored."""

    counts: Counter[What] = field(default_factory=Counter)
    lateness: dict[str, Lateness] = field(default_factory=dict)
    is_stored: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """The counts of a shop, with the hour and the shop that they are of."""

    hour: datetime
    shop: str
    of: ShopHour


class Tally:
    """The counts of a process, from its start on: by hour and shop. `turn` tells it the hour."""

    def __init__(self) -> None:
        self._hour: datetime | None = None
        self._current: dict[str, ShopHour] = {}
        self._past: dict[datetime, dict[str, ShopHour]] = {}

    def sent(self, shop: str, step: str, seconds: float) -> None:
        """Count a message that was sent, so many seconds after it was due."""
        if (of := self._count(shop, (step, Fate.SENT, ""))) is not None:
            if (lateness := of.lateness.get(step)) is None:
                lateness = of.lateness[step] = Lateness()
            lateness.count(seconds)

    def skipped(self, shop: str, step: str, reason: str) -> None:
        """Count a message that was skipped."""
        self._count(shop, (step, Fate.SKIPPED, reason[:REASON_KEPT]))

    def dead(self, shop: str, step: str, cause: str) -> None:
        """Count a message that was given up; the step is empty for a document that could not be read."""
        self._count(shop, (step, Fate.DEAD, cause))

    def turn(self, now: datetime) -> None:
        """Count what comes from now on in the hour of this time; forget hours that are over and stored."""
        hour = hour_of(now)
        if self._hour is not None and hour > self._hour:
            self._past[self._hour] = self._current
            self._current = {}
        self._hour = max(hour, self._hour or hour)
        for past, shops in list(self._past.items()):
            left = {shop: of for shop, of in shops.items() if not of.is_stored}
            self._past[past] = left
            if not left:
                del self._past[past]

    def taken(self, limit: int) -> list[Entry]:
        """Return up to `limit` entries that are not stored, the oldest first, and take them for stored."""
        if self._hour is None:
            return []
        found = []
        for hour, shops in (*self._past.items(), (self._hour, self._current)):
            found += [Entry(hour, shop, of) for shop, of in shops.items() if not of.is_stored]
        for each in found[:limit]:
            each.of.is_stored = True
        return found[:limit]

    @staticmethod
    def give_back(entries: Iterable[Entry]) -> None:
        """Take entries that could not be stored back."""
        for each in entries:
            each.of.is_stored = False

    def _count(self, shop: str, what: What) -> ShopHour | None:
        of = self._current.get(shop)
        if of is None:
            if len(self._current) >= MOST_SHOPS:
                return None
            of = self._current[shop] = ShopHour()
        if what not in of.counts and len(of.counts) >= MOST_COUNTS:
            what = (what[0], what[1], OTHER)
        of.counts[what] += 1
        of.is_stored = False
        return of


@dataclass(slots=True)
class Summary:
    """The activity of some shops in some time: counts by hour and by what is counted, and the lateness by step."""

    counts: Counter[tuple[datetime, What]] = field(default_factory=Counter)
    by_step: dict[str, Lateness] = field(default_factory=dict)

    def total(self, fate: Fate) -> int:
        """Return the number of messages with a fate."""
        return sum(count for (_, what), count in self.counts.items() if what[1] is fate)

    def by_hour(self, fate: Fate) -> dict[datetime, int]:
        """Return the number of messages with a fate, by hour; hours without any are left out."""
        return self._by(fate, lambda hour, _: hour)

    def by_reason(self, fate: Fate) -> dict[str, int]:
        """Return the number of messages with a fate, by reason, the most frequent first."""
        found = self._by(fate, lambda _, what: what[2])
        return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))

    @property
    def lateness(self) -> Lateness:
        """The lateness of all steps together."""
        together = Lateness()
        for each in self.by_step.values():
            together.add(each.counts)
        return together

    def _by(self, fate: Fate, key: Callable[[datetime, What], T]) -> dict[T, int]:
        found: Counter[T] = Counter()
        for (hour, what), count in sorted(self.counts.items()):
            if what[1] is fate:
                found[key(hour, what)] += count
        return dict(found)
