"""The figures of the overview, read once for all who look at it within a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from recovery.console.desk import Desk
from recovery.domain.activity import Fate, Summary, hour_of
from recovery.domain.results import By, Row, results
from recovery.errors import Unavailable
from recovery.mongo.activity import Activity
from recovery.mongo.backlog import MOST_COUNTED, Backlog, Due
from recovery.mongo.daemons import Daemons
from recovery.mongo.pauses import KeptPause, Pauses
from recovery.mongo.receivers import MongoReceivers, Reception
from recovery.mongo.results import ResultsReader

T = TypeVar("T")

FRESH_FOR = timedelta(seconds=1)
"""How long figures are shown to the next who asks."""

DAY = timedelta(hours=24)

ACTIVITY_FRESH_FOR = 5.0
"""Seconds for which activity is shown to the next who asks: daemons store it every few seconds."""

WEEK = timedelta(days=7)
"""Days of the recovered money, today among them."""

RESULTS_FRESH_FOR = 60.0
"""Seconds for which results are shown to the next who asks: they are counted every few minutes."""

SEEN_WITHIN = timedelta(hours=1)
SILENT_AFTER = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class DaemonSeen:
    """A daemon that was alive within the last hour: when its last heartbeat came, and what it cannot do."""

    name: str
    beat_at: datetime
    silent: bool
    sick: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What the overview shows. Of daemons, relays and receivers, only those who see all shops are told."""

    at: datetime
    due: Due
    pauses: Sequence[KeptPause]
    activity: Summary
    week: Row
    faults: Mapping[str, str | None]
    daemons: Sequence[DaemonSeen]
    receivers: Sequence[Reception]

    @property
    def due_shown(self) -> str:
        """The number of due checkouts, as it is known: `12`, or `10,000+`."""
        return f"{MOST_COUNTED:,}+" if self.due.count > MOST_COUNTED else f"{self.due.count:,}"

    @property
    def sent(self) -> int:
        """The messages that were sent in the last day."""
        return self.activity.total(Fate.SENT)

    @property
    def skipped(self) -> Mapping[str, int]:
        """The messages that were skipped in the last day, by reason, the most frequent first."""
        return self.activity.by_reason(Fate.SKIPPED)

    @property
    def dead(self) -> Mapping[str, int]:
        """The messages that were given up in the last day, by cause, the most frequent first."""
        return self.activity.by_reason(Fate.DEAD)

    def late(self, share: float) -> timedelta | None:
        """Return the lateness that this share of the last day's messages did not exceed; None if none was sent."""
        seconds = self.activity.lateness.percentile(share)
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def hours(self) -> list[tuple[datetime, dict[str, int]]]:
        """The last 24 hours and this one, oldest first, with the messages that were sent, skipped and given up."""
        last = hour_of(self.at)
        by_fate = {fate: self.activity.by_hour(fate) for fate in Fate}
        hours = [last - timedelta(hours=back) for back in range(24, -1, -1)]
        return [(hour, {fate.value: found.get(hour, 0) for fate, found in by_fate.items()}) for hour in hours]


class FiguresReader:
    """Reads the figures for viewers of the same shops, once a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._backlog = Backlog(desk.database)
        self._daemons = Daemons(desk.database)
        self._receivers = MongoReceivers(desk.database)
        self._pauses = Pauses(desk.database)
        self._activity = Activity(desk.database)
        self._results = ResultsReader(desk.database)
        self._day = Kept(self._last_day, ACTIVITY_FRESH_FOR)
        self._week = Kept(self._last_week, RESULTS_FRESH_FOR)
        self._kept: dict[tuple[str, ...], Figures] = {}
        self._reading = asyncio.Lock()
        self._failures = 0

    async def read(self, shops: tuple[str, ...] = ()) -> Figures:
        """Return the figures of these shops, or of all. Raises `Unavailable`.

        Whoever waits while others fail to read them does not try as well: each try may take many seconds.
        """
        before = self._failures
        async with self._reading:
            if self._failures != before:
                raise Unavailable("the figures could not be read a moment ago")
            now = self._desk.clock.now()
            kept = self._kept.get(shops)
            if kept is not None and now - kept.at < FRESH_FOR:
                return kept
            self._kept = {key: each for key, each in self._kept.items() if now - each.at < FRESH_FOR}
            try:
                figures = self._kept[shops] = await self._read(shops, now)
            except Unavailable:
                self._failures += 1
                raise
            return figures

    def forget(self) -> None:
        """Read everything anew for the next who asks: somebody has changed it."""
        self._kept = {}

    async def _read(self, shops: tuple[str, ...], now: datetime) -> Figures:
        due = await self._backlog.due(now, shops)
        pauses = [each for each in await self._pauses.all() if not shops or each.shop is None or each.shop in shops]
        activity, week = await self._day.of(shops, now), await self._week.of(shops, now)
        if shops:
            return Figures(now, due, pauses, activity, week, {}, (), ())
        alive = await self._daemons.alive(now, SEEN_WITHIN)
        daemons = [
            DaemonSeen(
                name, said["beat_at"], now - said["beat_at"] > SILENT_AFTER, tuple(map(str, said.get("sick", ())))
            )
            for name, said in sorted(alive.items())
        ]
        slowed = [each for each in await self._receivers.last_day(now) if each.slowed is not None]
        return Figures(now, due, pauses, activity, week, dict(self._desk.faults()), daemons, slowed)

    async def _last_day(self, shops: tuple[str, ...], now: datetime) -> Summary:
        return await self._activity.since(now - DAY, shops or None)

    async def _last_week(self, shops: tuple[str, ...], now: datetime) -> Row:
        cells = await self._results.cells((now - WEEK).date() + timedelta(days=1), now.date(), shops)
        return results(cells, By.SHOP, self._desk.terms, now).total


class Kept(Generic[T]):
    """Values that are read for some shops and kept for a while: the longer it takes to read them, the longer."""

    def __init__(self, read: Callable[[tuple[str, ...], datetime], Awaitable[T]], fresh_for: float) -> None:
        self._read = read
        self._fresh_for = fresh_for
        self._kept: dict[tuple[str, ...], tuple[float, T]] = {}

    async def of(self, shops: tuple[str, ...], now: datetime) -> T:
        """Return the value of these shops, read at some time before `now`."""
        began = time.monotonic()
        self._kept = {key: each for key, each in self._kept.items() if each[0] > began}
        if (kept := self._kept.get(shops)) is not None:
            return kept[1]
        found = await self._read(shops, now)
        ended = time.monotonic()
        self._kept[shops] = (ended + max(self._fresh_for, 20 * (ended - began)), found)
        return found
