"""Watchers: each follows one change stream, and has the engine look at the checkouts that it reports.

When a stream has lost its history, its watcher has everything swept that is due.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

import structlog

from recovery.daemon.lanes import Lane, Lanes
from recovery.daemon.outage import Outage
from recovery.daemon.share import Share
from recovery.engine.ports import Clock
from recovery.mongo.feed import FIRST_START, Batch, Feed
from recovery.mongo.positions import Positions

SAVE_EVERY = 1.0
"""Seconds between two saves of the position: the resume token."""
AT_ONCE = 2
"""Batches looked at together: while the database writes one, the next is loaded and decided."""

log = structlog.get_logger()


class Watcher:
    """Follows one stream. Its position is saved once everything up to it was looked at, and at most once a second.

    So events are handled at least once. If the stream has lost history, the collections are repaired and the sweeps
    find the rest. `expired` means that the stream only reports checkouts whose shadow is gone, which are due by their
    `next_at`: those that were claimed ahead are not loaded again, and those that there is no room for are left to the
    sweep, and not loaded for nothing.
    """

    def __init__(
        self,
        name: str,
        feed: Feed,
        positions: Positions,
        lanes: Lanes,
        share: Share,
        clock: Clock,
        *,
        expired: bool,
        repair: Callable[[], Awaitable[object]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._feed = feed
        self._positions = positions
        self._lanes = lanes
        self._share = share
        self._clock = clock
        self._expired = expired
        self._repair = repair
        self._monotonic = monotonic
        self._saved_at = float("-inf")
        self._outage = Outage(stream=name)

    async def run(self) -> None:
        """Follow the stream for ever."""
        token = await self._positions.load(self._name)
        under_way: deque[tuple[Batch, asyncio.Task[None]]] = deque()
        async with aclosing(self._feed.follow(token)) as batches:
            try:
                async for batch in batches:
                    under_way.append((batch, asyncio.create_task(self._outage.insist(partial(self._look, batch)))))
                    while under_way and (len(under_way) >= AT_ONCE or batch.lost or under_way[0][1].done()):
                        first, look = under_way.popleft()
                        await look
                        await self._outage.insist(partial(self._save, first))
            finally:
                for _, look in under_way:
                    look.cancel()

    async def _look(self, batch: Batch) -> None:
        """Look at the checkouts of a batch; after a gap in the stream, repair and sweep first."""
        if batch.lost:
            report = log.info if batch.lost == FIRST_START else log.warning
            report("change stream gap", stream=self._name, why=batch.lost)
            await self._repair()
            self._lanes.behind()  # each sweep looks at what is due in its lane; no stream waits for a relay
        mine = self._lanes.by_lane([id_ for id_ in batch.ids if self._share.mine(id_)])
        await asyncio.gather(*(self._look_in(lane, ids) for lane, ids in mine.items()))

    async def _look_in(self, lane: Lane, ids: list[str]) -> None:
        engine = lane.engine
        if self._expired:
            ids = await engine.ahead.unanswered(ids)
            if len(ids) > (room := engine.sender.room()):
                engine.behind.set()
                ids = ids[:room]
        if ids:
            await engine.look(ids, self._name)

    async def _save(self, batch: Batch) -> None:
        now = self._monotonic()
        if batch.lost or now - self._saved_at >= SAVE_EVERY:
            await self._positions.save(self._name, batch.token, self._clock.now())
            self._saved_at = now
