"""The sweep: it finds what ought to have been looked at and was not. Streams make it prompt, this makes it certain."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from recovery.engine import Engine
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.shadows import MongoShadows
from recovery.ports import Clock, StoreUnavailable

AGAIN_AFTER = 0.5
LOOKED_AT_ONCE = 500

log = structlog.get_logger()


class Sweep:
    """Looks at what is past its `next_at`, of the checkouts that are `mine`.

    At intervals it leaves what is younger than `grace` to the streams; whatever it then finds, they have missed. While
    the engine is behind, it looks at all that is due, at once, until nothing is.
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
        repair: Callable[[], Awaitable[object]],
    ) -> None:
        self._checkouts = checkouts
        self._shadows = shadows
        self._engine = engine
        self._mine = mine
        self._clock = clock
        self._interval = interval
        self._grace = grace
        self._repair = repair
        self._late = 0
        self._without_shadow = 0

    @property
    def fault(self) -> str | None:
        """What is wrong with the streams or the shadows, as far as the last sweep could tell."""
        if self._late:
            return f"the last sweep found {self._late} checkouts that no stream had told of in time"
        if self._without_shadow:
            return f"the last sweep found {self._without_shadow} checkouts whose shadow was missing"
        return None

    async def run(self) -> None:
        """Sweep for ever: at the start, at intervals, and at once while behind."""
        await self._insist(lambda: self.due_now("start"))
        while True:
            try:
                interval = self._interval.total_seconds() * random.uniform(0.8, 1.2)  # noqa: S311  spreads the daemons
                async with asyncio.timeout(interval):
                    await self._engine.behind.wait()
            except TimeoutError:
                await self._insist(self.audit)
            else:
                await self._insist(lambda: self.due_now("behind"))

    async def due_now(self, cause: str) -> int:
        """Look at all that is due, until nothing is; return how many."""
        return await self._look_at_due(timedelta(0), cause)

    async def after_loss(self) -> None:
        """Make good what may be missing after history was lost: collections and indexes first, then what is due."""
        await self._repair()
        await self.due_now("lost")

    async def audit(self) -> None:
        """Look at what is late in spite of the streams, and put back the shadows missing for what is due soon."""
        self._late = await self._look_at_due(self._grace, "sweep")
        self._without_shadow = await self._put_back_shadows()
        if self.fault:
            log.warning("the sweep did the streams' work", why=self.fault)

    async def _put_back_shadows(self) -> int:
        """Look at what is due before the next sweep and has no shadow: a look sets it. Return how many."""
        count = 0
        now = self._clock.now()
        soon = self._checkouts.soon(now + self._grace, now + 2 * self._interval, LOOKED_AT_ONCE, self._mine)
        async for ids in soon:
            if missing := await self._shadows.missing(ids):
                await self._engine.look(missing, "no shadow")
                count += len(missing)
        return count

    async def _look_at_due(self, grace: timedelta, cause: str) -> int:
        looked = 0
        stuck: list[str] = []
        while True:
            room = await self._engine.sender.wait_for_room()
            self._engine.behind.clear()
            before = self._clock.now() - grace
            ids = await self._checkouts.due(before, min(room, LOOKED_AT_ONCE), self._mine)
            if not ids or ids == stuck:
                return looked
            await self._engine.look(ids, cause)
            looked += len(ids)
            # What a look does not move, though there was room, is left to the next sweep: never a hot loop.
            stuck = [] if self._engine.behind.is_set() else ids

    async def _insist(self, sweep: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await sweep()
            except StoreUnavailable as exc:
                log.warning("the database is not available: sweeping again", error=str(exc))
                await asyncio.sleep(AGAIN_AFTER)
            else:
                return
