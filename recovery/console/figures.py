"""The figures of the overview, read once for all who look at it within a second."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.console.desk import Desk
from recovery.domain.activity import Fate, Summary, hour_of
from recovery.mongo.activity import Activity
from recovery.mongo.backlog import MOST_COUNTED, Backlog, Due
from recovery.mongo.daemons import Daemons
from recovery.mongo.pauses import KeptPause, Pauses
from recovery.mongo.receivers import MongoReceivers, Reception

FRESH_FOR = timedelta(seconds=1)
"""How long figures are shown to the next who asks."""

DAY = timedelta(hours=24)

ACTIVITY_FRESH_FOR = 5.0
"""Seconds for which activity is shown to the next who asks: daemons store it every few seconds."""

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
        self._activity_kept: dict[tuple[str, ...], tuple[float, Summary]] = {}
        self._kept: dict[tuple[str, ...], Figures] = {}
        self._reading = asyncio.Lock()

    async def read(self, shops: tuple[str, ...] = ()) -> Figures:
        """Return the figures of these shops, or of all. Raises `Unavailable`."""
        async with self._reading:
            now = self._desk.clock.now()
            kept = self._kept.get(shops)
            if kept is not None and now - kept.at < FRESH_FOR:
                return kept
            self._kept = {key: each for key, each in self._kept.items() if now - each.at < FRESH_FOR}
            figures = self._kept[shops] = await self._read(shops, now)
            return figures

    def forget(self) -> None:
        """Read everything anew for the next who asks: somebody has changed it."""
        self._kept = {}

    async def _read(self, shops: tuple[str, ...], now: datetime) -> Figures:
        due = await self._backlog.due(now, shops)
        pauses = [each for each in await self._pauses.all() if not shops or each.shop is None or each.shop in shops]
        activity = await self._last_day(shops, now)
        if shops:
            return Figures(now, due, pauses, activity, {}, (), ())
        alive = await self._daemons.alive(now, SEEN_WITHIN)
        daemons = [
            DaemonSeen(
                name, said["beat_at"], now - said["beat_at"] > SILENT_AFTER, tuple(map(str, said.get("sick", ())))
            )
            for name, said in sorted(alive.items())
        ]
        slowed = [each for each in await self._receivers.last_day(now) if each.slowed is not None]
        return Figures(now, due, pauses, activity, dict(self._desk.faults()), daemons, slowed)

    async def _last_day(self, shops: tuple[str, ...], now: datetime) -> Summary:
        """Return the activity of the last day; the longer it takes to read, the longer it is kept."""
        began = time.monotonic()
        until, kept = self._activity_kept.get(shops, (0.0, Summary()))
        if began < until:
            return kept
        self._activity_kept = {key: each for key, each in self._activity_kept.items() if each[0] > began}
        found = await self._activity.since(now - DAY, shops or None)
        ended = time.monotonic()
        self._activity_kept[shops] = (ended + max(ACTIVITY_FRESH_FOR, 20 * (ended - began)), found)
        return found
