"""The sweep: finds due checkouts that nobody looked at. Streams make looks prompt, the sweep makes them certain."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from recovery.daemon.outage import Outage
from recovery.engine.engine import Engine
from recovery.engine.ports import Clock
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.queues import ALL, Shops
from recovery.mongo.shadows import MongoShadows

SET_WITHIN = 0.5
"""Seconds within which a daemon that has planned a checkout sets its shadow."""

LOOKED_AT_ONCE = 500

log = structlog.get_logger()


class Sweep:
    """Looks at the checkouts past their `next_at`, of these `shops`, that are `mine`.

    At intervals it skips those overdue by less than `grace`, which the streams will report; others they have missed. It
    also looks at `everybodys` checkouts that are overdue by more than `everybodys_after`, since their owner does not do
    its work. While the engine is behind, it looks at everything due at once, until nothing is.

    What is due and paused stays due, without a look: the end of a pause has it look at everything due.

    It also looks at everything due at the start. So a stream position may be saved as soon as the sweeps are asked to
    look: what the stream could not report is due in the database, and stays due until it has been looked at.
    """

    def __init__(
        self,
        checkouts: MongoCheckouts,
        shadows: MongoShadows,
        engine: Engine,
        mine: Callable[[str], bool],
        clock: Clock,
        *,
        interval: timedelta,
        grace: timedelta,
        everybodys: Callable[[str], bool] | None = None,
        everybodys_after: timedelta = timedelta(seconds=20),
        shops: Shops = ALL,
    ) -> None:
        self._checkouts = checkouts
        self._shadows = shadows
        self._engine = engine
        self._mine = mine
        self._clock = clock
        self._interval = interval
        self._grace = grace
        self._everybodys = everybodys or mine
        self._shops = shops
        self._everybodys_after = max(everybodys_after, grace)
        self._outage = Outage(task="sweep")
        self._late = 0
        self._without_shadow = 0

    @property
    def fault(self) -> str | None:
        """The fault of the streams or the shadows that the last sweep found, or None."""
        if self._late:
            return f"the last sweep found {self._late} overdue checkouts that no change stream had reported"
        if self._without_shadow:
            return f"the last sweep found {self._without_shadow} checkouts without a shadow"
        return None

    async def run(self) -> None:
        """Sweep for ever: at the start, at intervals, and at once while behind."""
        await self._outage.insist(lambda: self.due_now("start"))
        while True:
            try:
                interval = self._interval.total_seconds() * random.uniform(0.8, 1.2)  # noqa: S311  spreads the daemons
                async with asyncio.timeout(interval):
                    await self._engine.behind.wait()
            except TimeoutError:
                await self._outage.insist(self.audit)
            else:
                await self._outage.insist(lambda: self.due_now("behind"))

    async def due_now(self, cause: str) -> int:
        """Look at everything due, until nothing is; return the number of looks."""
        return await self._look_at_due(timedelta(0), cause, self._mine)

    async def audit(self) -> None:
        """Look at what the streams missed, and restore missing shadows of what is due soon."""
        self._late = await self._look_at_due(self._grace, "sweep", self._mine)
        if self._everybodys is not self._mine:
            await self._look_at_due(self._everybodys_after, "late", self._everybodys)
        self._without_shadow = await self._put_back_shadows()
        if self.fault:
            log.warning("sweep found missed checkouts", why=self.fault)

    async def _put_back_shadows(self) -> int:
        """Look at what is due before the next sweep and has no shadow: a look sets it. Return the number found.

        A checkout just planned gets its shadow with the next write, so only those count that still have none later.
        """
        now = self._clock.now()
        after, before = now + self._grace, now + 2 * self._interval
        missing = {id_ async for ids in self._bare(after, before, self._mine) for id_ in ids}
        if not missing:
            return 0
        await asyncio.sleep(SET_WITHIN)
        count = 0
        async for ids in self._bare(after, before, missing.__contains__):
            await self._engine.look(ids, "no shadow")
            count += len(ids)
        return count

    async def _bare(
        self, after: datetime, before: datetime, whose: Callable[[str], bool]
    ) -> AsyncIterator[Sequence[str]]:
        """Yield the checkouts that are due between these times and have no shadow."""
        async for ids in self._checkouts.soon(after, before, LOOKED_AT_ONCE, whose, self._shops):
            if missing := await self._shadows.missing(ids):
                yield missing

    async def _look_at_due(self, grace: timedelta, cause: str, whose: Callable[[str], bool]) -> int:
        looked = 0
        stuck: list[str] = []
        while True:
            room = await self._engine.sender.wait_for_room()
            if not grace:  # a pass that leaves some out must not clear the flag for them
                self._engine.behind.clear()
            if self._engine.pauses.everything:
                return looked
            before = self._clock.now() - grace
            shops = replace(self._shops, paused=self._engine.pauses.shops)
            ids = await self._checkouts.due(before, min(room, LOOKED_AT_ONCE), self._open(whose), shops)
            if not ids or ids == stuck:
                return looked
            await self._engine.look(ids, cause)
            looked += len(ids)
            # What a look did not move, though there was room, is left to the next sweep: no hot loop.
            stuck = [] if self._engine.behind.is_set() and not grace else ids

    def _open(self, whose: Callable[[str], bool]) -> Callable[[str], bool]:
        """Leave out what is paused, in documents of older versions too, which are in no queue of their shop."""
        pauses = self._engine.pauses
        return (lambda id_: whose(id_) and not pauses.cover(id_)) if pauses.count else whose
