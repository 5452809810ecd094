"""The figures of the overview, read once for all who look at it within a second."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.console.desk import Desk
from recovery.mongo.backlog import MOST_COUNTED, Backlog, Due
from recovery.mongo.daemons import Daemons
from recovery.mongo.receivers import MongoReceivers, Reception

FRESH_FOR = timedelta(seconds=1)
"""How long figures are shown to the next who asks."""

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
    faults: Mapping[str, str | None]
    daemons: Sequence[DaemonSeen]
    receivers: Sequence[Reception]

    @property
    def due_shown(self) -> str:
        """The number of due checkouts, as it is known: `12`, or `10,000+`."""
        return f"{MOST_COUNTED:,}+" if self.due.count > MOST_COUNTED else f"{self.due.count:,}"


class FiguresReader:
    """Reads the figures for viewers of the same shops, once a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._backlog = Backlog(desk.database)
        self._daemons = Daemons(desk.database)
        self._receivers = MongoReceivers(desk.database)
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

    async def _read(self, shops: tuple[str, ...], now: datetime) -> Figures:
        due = await self._backlog.due(now, shops)
        if shops:
            return Figures(now, due, {}, (), ())
        alive = await self._daemons.alive(now, SEEN_WITHIN)
        daemons = [
            DaemonSeen(
                name, said["beat_at"], now - said["beat_at"] > SILENT_AFTER, tuple(map(str, said.get("sick", ())))
            )
            for name, said in sorted(alive.items())
        ]
        slowed = [each for each in await self._receivers.last_day(now) if each.slowed is not None]
        return Figures(now, due, dict(self._desk.faults()), daemons, slowed)
