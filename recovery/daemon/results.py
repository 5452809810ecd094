"""The count of results: one of the daemons counts what reminders bring, at intervals, and never during a burst."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from recovery.daemon.outage import Outage
from recovery.daemon.share import Share
from recovery.engine.ports import Clock
from recovery.errors import Unavailable
from recovery.mongo.results import MongoResults

DUTY = "results"
"""The key whose owner counts."""

AT_FIRST = 10.0
"""Seconds until the first count: everything else at a daemon's start comes first."""

REST = 20
"""The pause after a count, in durations of it: counting takes at most a twentieth of one processor of the database."""

LOOKED_EVERY = 5.0
"""Seconds between two looks whether the burst is over."""

LONGEST_PATIENCE = 3600.0
"""Seconds that a count waits for the end of a burst."""


class ResultsCount:
    """Counts results at intervals, if this daemon is the one that does.

    `backlog` says whether more is due than can be sent: then a count waits.
    """

    def __init__(
        self,
        results: MongoResults,
        share: Share,
        clock: Clock,
        backlog: Callable[[], bool],
        *,
        every: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._results = results
        self._share = share
        self._clock = clock
        self._backlog = backlog
        self._every = every.total_seconds()
        self._monotonic = monotonic
        self._outage = Outage(task="results")

    async def run(self) -> None:
        """Count for ever, at intervals."""
        await asyncio.sleep(AT_FIRST)
        while True:
            await self.patience()
            await asyncio.sleep(max(self._every, REST * await self.count()))

    async def count(self) -> float:
        """Count, if this daemon is the one that does; return the seconds that it took."""
        if not self._share.leads(DUTY):
            return 0.0
        began_at = self._monotonic()
        try:
            await self._results.count(self._clock.now())
        except Unavailable as exc:
            self._outage.tell(exc)
        else:
            self._outage.over()
        return self._monotonic() - began_at

    async def patience(self) -> None:
        """Wait until no more is due than can be sent, at most an hour."""
        began_at = self._monotonic()
        while self._backlog() and self._monotonic() - began_at < LONGEST_PATIENCE:  # noqa: ASYNC110
            await asyncio.sleep(LOOKED_EVERY)
