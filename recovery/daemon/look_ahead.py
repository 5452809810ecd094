"""The look ahead: finds out what is due within the next moments, has it loaded, and has it claimed at its instant.

It needs no leader: each daemon looks ahead at its own share. Nothing depends on it, as the expirer, the streams and the
sweep do their work whether it does its own or not.
"""

import asyncio
from datetime import datetime, timedelta

from recovery.daemon.lanes import Lanes
from recovery.daemon.outage import AGAIN_AFTER, Outage
from recovery.daemon.share import Share
from recovery.engine.engine import Engine
from recovery.engine.ports import Clock
from recovery.errors import Unavailable
from recovery.mongo.shadows import MongoShadows

AHEAD = timedelta(seconds=0.25)
"""The time before it is due at which a checkout is loaded at the earliest."""

EVERY = 0.1
"""Seconds between two questions for what is due next, while something is."""

LONGEST_SLEEP = 1.0
"""Seconds between two questions while nothing is due: another daemon may have set a shadow."""

MOST = 500
"""Shadows that are asked for at a time. What is beyond that is left to the streams."""

CLAIMS_AT_ONCE = 3
"""Claims under way in each lane: what becomes due meanwhile does not wait for the journal of the one before."""


class LookAhead:
    """Loads what is due soon in this daemon's share, and claims it when it is due."""

    def __init__(self, shadows: MongoShadows, lanes: Lanes, share: Share, clock: Clock) -> None:
        self._shadows = shadows
        self._lanes = lanes
        self._share = share
        self._clock = clock
        self._covered: datetime | None = None
        self._busy = False
        self._outage = Outage(task="look ahead")

    async def run(self) -> None:
        """Look ahead for ever."""
        tasks = [asyncio.create_task(self._load())]
        for lane in self._lanes.all:
            turn = asyncio.Lock()
            tasks += [asyncio.create_task(self._claim(lane.engine, turn)) for _ in range(CLAIMS_AT_ONCE)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def load(self) -> float:
        """Have loaded what is due soon; return the number of seconds until there may be more. Raises `Unavailable`."""
        now = self._clock.now()
        until = now + AHEAD
        if not self._busy:
            first = await self._shadows.next_expiry()
            if first is None or first > until:
                return LONGEST_SLEEP if first is None else min(LONGEST_SLEEP, (first - until).total_seconds())
        after = now if self._covered is None else max(now, min(self._covered, until))  # the clock may be set back
        alarms = await self._shadows.due_between(after, until, MOST)
        self._covered, self._busy = until, bool(alarms)
        mine = self._lanes.by_lane([id_ for id_ in alarms if self._share.mine(id_)])
        for lane in self._lanes.all:
            lane.engine.ahead.forget_after(until)
        await asyncio.gather(*(lane.engine.ahead.load({id_: alarms[id_] for id_ in ids}) for lane, ids in mine.items()))
        return EVERY

    async def _load(self) -> None:
        while True:
            try:
                pause = await self.load()
                self._outage.over()
            except Unavailable as exc:
                self._outage.tell(exc)
                self._lanes.outage()
                pause = AGAIN_AFTER
            await asyncio.sleep(pause)

    async def _claim(self, engine: Engine, turn: asyncio.Lock) -> None:
        """Claim what is due. Of the tasks of a lane, one waits for it at a time, and the others claim."""
        while True:
            async with turn:
                due = await engine.ahead.due()
            try:
                await engine.ahead.claim(due)
            except Unavailable as exc:
                self._outage.tell(exc)
                engine.outage()
